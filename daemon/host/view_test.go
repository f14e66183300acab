package host

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"grove/daemon/nstest"
	"grove/internal/engine"
	"grove/internal/testneed"
)

func pfx(s string) netip.Prefix { return netip.MustParsePrefix(s) }
func ipOf(s string) netip.Addr  { return netip.MustParseAddr(s) }

const upFlags = unix.IFF_UP | unix.IFF_LOWER_UP | unix.IFF_RUNNING | unix.IFF_MULTICAST

// said writes changes as a person reads them.
func describeChanges(events []engine.Event) string {
	var lines []string
	for _, ev := range events {
		switch ev := ev.(type) {
		case engine.InterfaceChange:
			state := "down"
			switch {
			case ev.Gone:
				state = "gone"
			case ev.Running():
				state = "running"
			}
			lines = append(lines, strings.TrimSpace(fmt.Sprintf("%d %s %s %s", ev.ID, ev.Name, state, strings.Trim(fmt.Sprint(ev.Addrs), "[]"))))
		case engine.RouteChange:
			line := fmt.Sprintf("%v metric %d %s", ev.Prefix, ev.Metric, ev.Origin)
			for _, h := range ev.Hops {
				line += fmt.Sprintf(" %d", h.If)
				if h.Gateway.IsValid() {
					line += fmt.Sprintf("@%v", h.Gateway)
				}
				if h.Weight != 1 {
					line += fmt.Sprintf("*%d", h.Weight)
				}
			}
			if ev.Gone {
				line += " gone"
			}
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

func (v *view) expect(t *testing.T, what string, want ...string) {
	t.Helper()
	if got := describeChanges(v.changes()); got != strings.Join(want, "\n") {
		t.Errorf("%s:\n%s\nwant:\n%s", what, got, strings.Join(want, "\n"))
	}
}

func TestViewAnnouncesWhatDiffers(t *testing.T) {
	v := newView()
	eth := link{index: 7, name: "eth1", flags: upFlags, mtu: 1500}
	v.setLinks([]link{eth, {index: 9, name: "eth2", flags: upFlags, mtu: 1500}, {index: 12, name: "pimreg", hardware: unix.ARPHRD_PIMREG}})
	v.setAddresses([]address{
		{7, pfx("10.0.1.1/24"), unix.IFA_F_PERMANENT}, {7, pfx("10.0.0.1/24"), 0},
		{7, pfx("fe80::1/64"), unix.IFA_F_TENTATIVE}, {9, pfx("fe80::2/64"), unix.IFA_F_DADFAILED},
	})
	key := routeKey{pfx("10.9.0.0/16"), 5}
	r := route{routeKey: key, kind: unix.RTN_UNICAST, protocol: unix.RTPROT_STATIC, hops: []hop{{7, ipOf("10.0.1.9"), 1, false}}}
	v.setRoutes([]route{r,
		{routeKey: routeKey{pfx("10.0.1.0/24"), 0}, kind: unix.RTN_UNICAST, protocol: unix.RTPROT_KERNEL, hops: []hop{{7, netip.Addr{}, 1, false}}},
		{routeKey: routeKey{pfx("fe80::/64"), 256}, kind: unix.RTN_UNICAST, protocol: unix.RTPROT_KERNEL, hops: []hop{{7, netip.Addr{}, 1, false}}},
		{routeKey: routeKey{pfx("10.66.0.0/16"), 0}, kind: unix.RTN_BLACKHOLE, protocol: unix.RTPROT_BGP},
	}, nil)
	v.expect(t, "start", "1 eth1 running 10.0.1.1/24 10.0.0.1/24", "2 eth2 running",
		"10.0.1.0/24 metric 0 connected 1", "10.9.0.0/16 metric 5 static 1@10.0.1.9", "10.66.0.0/16 metric 0 bgp")
	v.expect(t, "nothing happened")

	v.setLink(eth)
	v.setRoutes([]route{r}, nil)
	v.expect(t, "read again", "10.0.1.0/24 metric 0 connected 1 gone", "10.66.0.0/16 metric 0 bgp gone")

	// Without carrier the interface is down; its routes are rib's to judge.
	eth.flags = unix.IFF_UP | unix.IFF_MULTICAST
	v.setLink(eth)
	v.expect(t, "carrier lost", "1 eth1 down 10.0.1.1/24 10.0.0.1/24")

	// Renamed: another interface, so the route now leads out of that.
	eth.name = "wan"
	v.setLink(eth)
	v.expect(t, "renamed", "1 eth1 gone 10.0.1.1/24 10.0.0.1/24", "3 wan down 10.0.1.1/24 10.0.0.1/24", "10.9.0.0/16 metric 5 static 3@10.0.1.9")

	// Gone and made again within one batch, with the same index and name.
	v.removeLink(7)
	v.setLink(eth)
	v.expect(t, "made again", "3 wan gone 10.0.1.1/24 10.0.0.1/24", "4 wan down 10.0.1.1/24 10.0.0.1/24", "10.9.0.0/16 metric 5 static 4@10.0.1.9")

	v.setLinks(nil)
	v.expect(t, "all gone", "4 wan gone 10.0.1.1/24 10.0.0.1/24", "2 eth2 gone", "10.9.0.0/16 metric 5 static 4@10.0.1.9 gone")
}

// A notification is applied if it leaves no doubt; otherwise the table is to be read again.
func TestViewKnowsWhenItDoesNotKnow(t *testing.T) {
	v := newView()
	v.setLink(link{index: 7, name: "eth1", flags: upFlags})
	v.changes()
	key := routeKey{pfx("10.9.0.0/16"), 5}
	one := route{routeKey: key, kind: unix.RTN_UNICAST, protocol: unix.RTPROT_BOOT, hops: []hop{{7, ipOf("10.0.1.9"), 1, false}}}
	two := one
	two.hops = []hop{{7, ipOf("10.0.1.8"), 1, false}}
	for range 2 {
		if !v.applyRoute(routeNews{route: one}) {
			t.Error("a new route is not clear")
		}
	}
	v.expect(t, "new", "10.9.0.0/16 metric 5 static 1@10.0.1.9")
	if !v.applyRoute(routeNews{route: two, replaces: true}) || !v.applyRoute(routeNews{route: one, replaces: true}) {
		t.Error("a replacement of the only route is not clear")
	}
	v.expect(t, "replaced, and back")
	if v.applyRoute(routeNews{route: two}) || v.applyRoute(routeNews{route: two, gone: true}) {
		t.Error("a second route of the key is clear")
	}
	if !v.applyRoute(routeNews{route: one, gone: true}) {
		t.Error("the end of the only route is not clear")
	}
	v.expect(t, "gone", "10.9.0.0/16 metric 5 static 1@10.0.1.9 gone")
	if v.applyRoute(routeNews{route: one, gone: true}) {
		t.Error("the end of a route that is not there is clear")
	}
	one.hops[0].dead = true
	v.applyRoute(routeNews{route: one})
	v.expect(t, "only a dead hop: no route, and no blackhole")
}

// Routes by nexthop objects, with and without the hops expanded by the kernel; a group; an object that changes; links
// that the kernel takes routes from without a word.
func TestViewOfTheKernel(t *testing.T) {
	testneed.Tool(t, "ip")
	a, b := nstest.New(t, "a"), nstest.New(t, "b")
	nstest.Veth(a, "eth1", b, "eth1")
	nstest.Veth(a, "eth2", b, "eth2")
	r := run(t, a, "interfaces: {eth1: {addresses: [10.0.1.1/24]}, eth2: {addresses: [10.0.2.1/24]}}")
	ip := func(args string) { a.Run("ip", strings.Fields(args)...) }
	routes := func(want ...string) {
		t.Helper()
		var got string
		eventually(t, 5*time.Second, "routes "+strings.Join(want, "; "), func() bool {
			var events []engine.Event
			err := r.call(t.Context(), func() {
				for _, ev := range engine.SortedFunc(r.view.announced, compareKeys) {
					name := func(h engine.NextHop) string { return r.InterfaceName(h.If) }
					slices.SortFunc(ev.Hops, func(a, b engine.NextHop) int { return strings.Compare(name(a), name(b)) })
					events = append(events, ev)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			if now := describeChanges(events); now != got {
				got = now
				t.Logf("now:\n%s", got)
			}
			return got == strings.Join(want, "\n")
		})
	}
	connected := []string{"10.0.1.0/24 metric 0 connected 2", "10.0.2.0/24 metric 0 connected 3"}
	routes(connected...)
	for _, args := range []string{
		"nexthop add id 1 via 10.0.1.9 dev eth1", "nexthop add id 2 via 10.0.2.9 dev eth2", "nexthop add id 3 group 1,3/2,5",
		"nexthop add id 4 blackhole", "route add 10.1.0.0/16 nhid 1 proto ospf", "route add 10.2.0.0/16 nhid 3 metric 7",
		"route add 10.3.0.0/16 nhid 4", "route add 10.4.0.0/16 nexthop via 10.0.1.8 weight 2 nexthop via 10.0.2.8",
		"route add unreachable 10.5.0.0/16", "route add 10.6.0.0/16 via 10.0.1.9 table 77", "route add 10.7.0.0/16 via 10.0.1.9 tos 0x10",
		"-6 route add 2001:db8:1::/48 via fe80::9 dev eth1", "-6 route append 2001:db8:1::/48 via fe80::8 dev eth2",
	} {
		ip(args)
	}
	v6 := "2001:db8:1::/48 metric 1024 static 2@fe80::9 3@fe80::8"
	all := append(slices.Clone(connected), "10.1.0.0/16 metric 0 ospf 2@10.0.1.9", "10.2.0.0/16 metric 7 static 2@10.0.1.9*3 3@10.0.2.9*5",
		"10.3.0.0/16 metric 0 static", "10.4.0.0/16 metric 0 static 2@10.0.1.8*2 3@10.0.2.8", "10.5.0.0/16 metric 0 static", v6)
	routes(all...)

	// An object changes, and with it all its routes, although no route was touched. Some administrators tell the kernel
	// not to expand objects, nor to announce the routes for them.
	a.Sysctl("ipv4/nexthop_compat_mode", "0")
	ip("nexthop replace id 1 via 10.0.1.7 dev eth1")
	all[2], all[3] = "10.1.0.0/16 metric 0 ospf 2@10.0.1.7", "10.2.0.0/16 metric 7 static 2@10.0.1.7*3 3@10.0.2.9*5"
	routes(all...)

	// A link goes down: Linux deletes its IPv4 routes in silence.
	a.Down("eth1")
	routes(connected[1], "10.2.0.0/16 metric 7 static 3@10.0.2.9*5", "10.3.0.0/16 metric 0 static",
		"10.4.0.0/16 metric 0 static 3@10.0.2.8", "10.5.0.0/16 metric 0 static", "2001:db8:1::/48 metric 1024 static 3@fe80::8")
	ip("-6 route del 2001:db8:1::/48")
	ip("route del 10.4.0.0/16")
	routes(connected[1], "10.2.0.0/16 metric 7 static 3@10.0.2.9*5", "10.3.0.0/16 metric 0 static", "10.5.0.0/16 metric 0 static")
}

// Notifications were lost: all is read again.
func TestOverflow(t *testing.T) {
	testneed.Tool(t, "ip")
	a, b := nstest.New(t, "a"), nstest.New(t, "b")
	nstest.Veth(a, "eth1", b, "eth1")
	r := run(t, a, "interfaces: {eth1: {addresses: [10.0.1.1/24]}}")
	rc, err := r.netlink.news.GetFd(), error(nil)
	if err = unix.SetsockoptInt(rc, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 1); err != nil {
		t.Fatal(err)
	}
	block, blocked := make(chan struct{}), make(chan struct{})
	go r.call(t.Context(), func() { close(blocked); <-block })
	<-blocked
	var lines strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&lines, "route add 10.%d.%d.0/24 via 10.0.1.9\n", 100+i/250, i%250)
	}
	file := filepath.Join(t.TempDir(), "routes")
	if err := os.WriteFile(file, []byte(lines.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	a.Run("ip", "-batch", file)
	close(block)
	eventually(t, 10*time.Second, "5000 routes", func() bool {
		n := 0
		if err := r.call(t.Context(), func() { n = len(r.view.announced) }); err != nil {
			t.Fatal(err)
		}
		return n == 5001
	})
	eventually(t, 10*time.Second, "word of the overflow: without it the test proves nothing", func() bool {
		return ask[map[string]uint64](t, r, engine.MachineID{Protocol: Self}, "counts")["netlink overflows: all read again"] > 0
	})
}
