package host

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/net/ipv4"

	"grove/daemon/config"
	"grove/daemon/nstest"
	"grove/internal/engine"
	"grove/internal/ip"
	"grove/internal/ipip"
	"grove/internal/testneed"
)

// tunneled is source - a - r - b - member. r forwards unicast and knows no multicast; a and b are groveds with a tunnel
// between them.
type tunneled struct {
	line
	r    *nstest.Space
	a, b *running
	keys string // of both tunnels
}

const (
	outerA = "192.0.2.1"
	outerB = "198.51.100.1"
)

// tunnelFile is the configuration of an end.
func tunnelFile(local, remote, gateway, inside, hosts, route, keys string) string {
	return fmt.Sprintf(`
time-scale: 10
interfaces:
  eth1: {addresses: [%s/24]}
  eth2: {addresses: [%s/24], pim: {}, igmp: {}}
  tun1: {addresses: [%s/30], pim: {}}
tunnels:
  - {name: tun1, local: %s, remote: %s%s}
routes:
  - {to: %s, via: %s}
  - {to: %s, interface: tun1}
  - {to: 10.99.0.2/32, interface: tun1}
pim: {ipv4: {rp: [{address: 10.99.0.2}]}}
`, local, hosts, inside, local, remote, keys, netip.PrefixFrom(netip.MustParseAddr(remote), 24).Masked(), gateway, route)
}

func (l *tunneled) fileA() string {
	f := tunnelFile(outerA, outerB, "192.0.2.254", "10.99.0.1", "10.0.1.1", "10.0.4.0/24", l.keys)
	return f
}

func (l *tunneled) fileB() string {
	f := tunnelFile(outerB, outerA, "198.51.100.254", "10.99.0.2", "10.0.4.1", "10.0.1.0/24", l.keys)
	return strings.Replace(f, "  - {to: 10.99.0.2/32, interface: tun1}\n", "", 1)
}

// newTunneled makes the network; keys are those of both tunnels, beside name and ends.
func newTunneled(t *testing.T, keys string) *tunneled {
	t.Helper()
	l := &tunneled{line: line{family: engine.IPv4, group: "239.1.2.3", src: "10.0.1.9"}, keys: keys}
	a, r, b := nstest.New(t, "a"), nstest.New(t, "r"), nstest.New(t, "b")
	l.source, l.member = nstest.New(t, "source"), nstest.New(t, "member")
	nstest.Veth(l.source, "eth1", a, "eth2")
	nstest.Veth(a, "eth1", r, "eth1")
	nstest.Veth(r, "eth2", b, "eth1")
	nstest.Veth(b, "eth2", l.member, "eth1")
	r.Addr("eth1", "192.0.2.254/24")
	r.Addr("eth2", "198.51.100.254/24")
	r.Sysctl("ipv4/ip_forward", "1")
	run(t, l.source, "interfaces: {eth1: {addresses: [10.0.1.9/24]}}")
	run(t, l.member, "interfaces: {eth1: {addresses: [10.0.4.9/24]}}")
	l.r1, l.r, l.r3 = a, r, b
	l.a, l.b = run(t, a, l.fileA()), run(t, b, l.fileB())
	return l
}

// meet waits until both ends see each other through the tunnel.
func (l *tunneled) meet(t *testing.T) {
	t.Helper()
	for _, h := range []*running{l.a, l.b} {
		h.transition("a neighbor through the tunnel", func(ifc string, tr engine.Transition) bool {
			return ifc == "tun1" && tr.Entity == "neighbor" && tr.New == "up"
		})
	}
}

func (r *running) tunnel(t *testing.T) Tunnel {
	t.Helper()
	all := ask[[]Tunnel](t, r, engine.MachineID{Protocol: Self}, "tunnels")
	if len(all) != 1 {
		t.Fatalf("tunnels: %+v", all)
	}
	return all[0]
}

// iface returns an interface as the machines know it.
func (r *running) iface(t *testing.T, name string) (found Interface) {
	t.Helper()
	for _, i := range ask[[]Interface](t, r, engine.MachineID{Protocol: Self}, "interfaces") {
		if i.Name == name {
			found = i
		}
	}
	return found
}

// Control and data pass through a router that knows no multicast; the path's MTU is found; a deleted device comes back;
// the last word is a goodbye, and the device goes with its daemon.
func TestTunnel(t *testing.T) {
	l := newTunneled(t, ", ttl: 9")
	l.meet(t)
	i := l.a.iface(t, "tun1")
	if !i.PointToPoint || !i.Multicast || i.TunnelLocal.String() != outerA || i.TunnelRemote.String() != outerB || i.MTU != 1480 {
		t.Errorf("the machines know the tunnel as %+v", i)
	}
	numbers := l.join(t)
	eventually(t, 5*time.Second, "the shared tree at the RP", func() bool {
		return strings.Contains(fmt.Sprint(ask[any](t, l.b, engine.MachineID{Protocol: engine.PIMSM, Family: engine.IPv4}, "joins")), l.group)
	})
	l.send(t, 0, 300, time.Millisecond)
	got := make(map[uint32]bool)
	for timeout := time.After(5 * time.Second); len(got) < 300; {
		select {
		case n := <-numbers:
			got[n] = true
		case <-timeout:
			t.Fatalf("%d of 300 packets came through: %+v %+v", len(got), l.a.tunnel(t).Counts, l.b.tunnel(t).Counts)
		}
	}

	l.r1.Delete("tun1")
	l.a.transition("the neighbor through the tunnel that was made again", func(ifc string, tr engine.Transition) bool {
		return ifc == "tun1" && tr.Entity == "neighbor" && tr.New == "up"
	})
	first := i.ID
	if i = l.a.iface(t, "tun1"); i.ID == first || i.TunnelRemote.String() != outerB {
		t.Errorf("made again it is known as %+v", i)
	}
	l.send(t, 1000, 200, 2*time.Millisecond)
	eventually(t, 5*time.Second, "data through the tunnel that was made again", func() bool {
		select {
		case n := <-numbers:
			return n > 1100
		default:
			return false
		}
	})

	l.a.stop()
	l.b.transition("the goodbye", func(ifc string, tr engine.Transition) bool {
		return ifc == "tun1" && tr.Entity == "neighbor" && tr.New == "down" && !strings.Contains(tr.Cause, "expire")
	})
	l.r1.Do(func() {
		if _, err := netlink.LinkByName("tun1"); !errors.As(err, &netlink.LinkNotFoundError{}) {
			t.Errorf("the device is still there: %v", err)
		}
	})
}

// A reload makes, changes and removes tunnels; one whose local address goes, goes.
func TestTunnelReload(t *testing.T) {
	l := newTunneled(t, "")
	l.meet(t)
	reload := func(file string) {
		t.Helper()
		cfg, err := config.Parse("a.yaml", []byte(file))
		if err == nil {
			err = l.a.Reload(t.Context(), cfg)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	there := func() (there bool) {
		l.r1.Do(func() { _, err := net.InterfaceByName("tun1"); there = err == nil })
		return there
	}
	reload("interfaces: {eth1: {addresses: [192.0.2.1/24]}, eth2: {igmp: {}}}")
	if there() {
		t.Error("the configuration dropped the tunnel, and the device is still there")
	}
	reload(l.fileA())
	eventually(t, 5*time.Second, "the tunnel back", there)
	l.keys = ", mtu: 1300, rate-limit: 900kbps"
	reload(l.fileA())
	eventually(t, 5*time.Second, "the tunnel with another MTU", func() bool { return l.a.iface(t, "tun1").MTU == 1300 })

	l.keys = ""
	reload(strings.Replace(l.fileA(), "eth1: {addresses: [192.0.2.1/24]}", "eth1: {addresses: [192.0.2.8/24]}", 1))
	eventually(t, 5*time.Second, "no tunnel from an address that is not ours", func() bool { return !there() })
	if s := l.a.tunnel(t).State; !strings.Contains(s, "no address of this router") {
		t.Errorf("its state is said to be %q", s)
	}
	reload(l.fileA())
	eventually(t, 5*time.Second, "the tunnel back with its address", there)
}

// The path takes less than the first link: the tunnel's MTU follows, by what the router on the way says, and packets
// of all sizes come through as long as they allow fragmentation.
func TestTunnelPathMTU(t *testing.T) {
	testneed.Tool(t, "ip")
	l := newTunneled(t, "")
	l.meet(t)
	l.r.Run("ip", "link", "set", "eth2", "mtu", "1400")
	// A unicast packet that just fits the tunnel as it is now makes the router complain.
	send := func(size int, df bool) {
		l.r1.Do(func() {
			c, err := net.Dial("udp4", "10.99.0.2:9")
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			c.Write(make([]byte, size-28))
		})
	}
	eventually(t, 5*time.Second, "the MTU of the path", func() bool {
		send(1480, false)
		return l.a.tunnel(t).MTU == 1380
	})
	eventually(t, 5*time.Second, "the MTU at the machines", func() bool { return l.a.iface(t, "tun1").MTU == 1380 })
	if c := l.a.tunnel(t).Counts; c["the path says: too big"] == 0 {
		t.Errorf("counts %v", c)
	}
	before := l.b.tunnel(t).Counts["received packets"]
	send(1480, false) // now it enters as two fragments
	eventually(t, 5*time.Second, "two fragments", func() bool { return l.b.tunnel(t).Counts["received packets"] >= before+2 })
}

// What routers on the way say of outer packets is counted: that their TTL is too small, that the far end is not there.
func TestTunnelComplaints(t *testing.T) {
	testneed.Tool(t, "ip")
	l := newTunneled(t, ", ttl: 1")
	eventually(t, 5*time.Second, "word of the TTL", func() bool {
		return l.a.tunnel(t).Counts["the path says: TTL exceeded"] > 0
	})
	l = newTunneled(t, ", ttl: 2")
	l.meet(t)
	l.r.Run("ip", "route", "add", "unreachable", outerB+"/32")
	eventually(t, 10*time.Second, "word of the far end", func() bool {
		return l.a.tunnel(t).Counts["the path says: unreachable"] > 0
	})
}

// A way to the far end that leads through the tunnel is said, and nothing is sent; when it is mended all is well.
func TestTunnelLoop(t *testing.T) {
	testneed.Tool(t, "ip")
	l := newTunneled(t, "")
	l.meet(t)
	l.r1.Run("ip", "route", "add", outerB+"/32", "dev", "tun1")
	eventually(t, 5*time.Second, "word of the loop", func() bool { return strings.HasPrefix(l.a.tunnel(t).State, "loop") })
	eventually(t, 5*time.Second, "packets that are not sent", func() bool {
		for what, n := range l.a.tunnel(t).Counts {
			if strings.HasPrefix(what, "not sent: loop") && n > 0 {
				return true
			}
		}
		return false
	})
	l.r1.Run("ip", "route", "del", outerB+"/32", "dev", "tun1")
	eventually(t, 5*time.Second, "the way back", func() bool { return l.a.tunnel(t).State == "up" })
}

// rawTo sends packets of protocol 4 from a namespace.
func rawTo(t *testing.T, s *nstest.Space, packets ...[]byte) {
	t.Helper()
	s.Do(func() {
		c, err := net.ListenPacket("ip4:255", "0.0.0.0")
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		raw, err := ipv4.NewRawConn(c)
		if err != nil {
			t.Error(err)
			return
		}
		for _, p := range packets {
			h, err := ipv4.ParseHeader(p)
			if err == nil {
				err = raw.WriteTo(h, p[20:], nil)
			}
			if err != nil {
				t.Error(err)
			}
		}
	})
}

// What may not come out of the tunnel does not, and is counted: packets of others, and such as would loop.
func TestTunnelRefuses(t *testing.T) {
	l := newTunneled(t, "")
	l.meet(t)
	wrap := func(src, dst string, in []byte) []byte {
		p := ip.Packet{Src: netip.MustParseAddr(src), Dst: netip.MustParseAddr(dst), Proto: 4, TTL: 9, Payload: in}
		return p.Append(nil)
	}
	inside := func(src string) []byte {
		p := ip.UDP(netip.AddrPortFrom(netip.MustParseAddr(src), 7), netip.MustParseAddrPort("239.9.9.9:7"), 9, []byte("x"))
		return p.Append(nil)
	}
	// r plays the attacker: its link to b takes any source.
	rawTo(t, l.r,
		wrap("198.51.100.254", outerB, inside("10.7.0.1")),                               // a stranger
		wrap(outerA, outerB, inside("10.0.4.1")),                                         // b's own address
		wrap(outerA, outerB, wrap(outerA, outerB, inside("10.7.0.1"))),                   // encapsulated twice
		wrap(outerA, outerB, inside("239.1.1.1")),                                        // a group as source
		wrap(outerA, outerB, []byte{0x45, 0}),                                            // cut
		wrap(outerA, outerB, append([]byte{0x60}, make([]byte, 60)...)),                  // IPv6
		wrap(outerA, outerB, bytes.Replace(inside("10.7.0.1"), []byte{9}, []byte{0}, 1)), // header damaged
	)
	want := map[string]uint64{
		"dropped: " + ipip.OwnSource.String(): 1, "dropped: " + ipip.Nested.String(): 1, "dropped: " + ipip.BadSource.String(): 1,
		"dropped: " + ipip.Malformed.String(): 2, "dropped: " + ipip.NotIPv4.String(): 1,
	}
	eventually(t, 5*time.Second, "all of them counted", func() bool {
		counts := ask[map[string]uint64](t, l.b, engine.MachineID{Protocol: Self}, "counts")
		for what, n := range want {
			if counts["tunnel tun1: "+what] != n {
				return false
			}
		}
		return counts["dropped IP in IP packets: no such tunnel"] == 1
	})
	// A good one passes, with its TTL as it was, and the kernel asks what to do with it: the tunnel is no boundary.
	before := l.b.tunnel(t).Counts["received packets"]
	rawTo(t, l.r, wrap(outerA, outerB, inside("10.7.0.1")))
	eventually(t, 5*time.Second, "a good packet", func() bool { return l.b.tunnel(t).Counts["received packets"] > before })
}

// The rate limit drops what is beyond it, and never what neighbors say to each other.
func TestTunnelRateLimit(t *testing.T) {
	l := newTunneled(t, ", rate-limit: 800kbps")
	l.meet(t)
	begin := time.Now()
	before := l.a.tunnel(t).Counts["sent bytes"]
	l.r1.Do(func() {
		c, err := net.Dial("udp4", "10.99.0.2:9")
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		for range 1000 { // 1 MB, as fast as it goes
			c.Write(make([]byte, 972))
		}
	})
	var counts map[string]uint64
	eventually(t, 5*time.Second, "packets over the limit", func() bool {
		counts = l.a.tunnel(t).Counts
		return counts["not sent: rate limit"] > 0
	})
	allowed := uint64(time.Since(begin).Seconds()*100_000) + ipip.Burst(800) + 20_000
	if n := counts["sent bytes"] - before; n > allowed {
		t.Errorf("%d bytes were sent in %v, allowed are %d", n, time.Since(begin), allowed)
	}
}

// The kernel's device is chosen where the kernel makes one. This kernel has none, so that a bridge takes its place: what
// is shown is the choice, the filter for the rate limit, and the end of the device.
func TestTunnelOfTheKernel(t *testing.T) {
	a, b := nstest.New(t, "a"), nstest.New(t, "b")
	nstest.Veth(a, "eth1", b, "eth1")
	const file = `
interfaces: {eth1: {addresses: [192.0.2.1/24]}, tun1: {addresses: [10.99.0.1/30]}}
tunnels: [{name: tun1, local: 192.0.2.1, remote: 192.0.2.2, ttl: 9, mtu: 1300, rate-limit: 800kbps}]
`
	r := run(t, a, strings.Replace(file, "local: 192.0.2.1", "local: 192.0.2.99", 1)) // not yet
	var asked *netlink.Iptun
	var fails error
	handle := r.handle
	if err := r.call(t.Context(), func() {
		r.tunnels.add = func(l netlink.Link) error {
			asked = l.(*netlink.Iptun)
			if fails != nil {
				return fails
			}
			attrs := netlink.NewLinkAttrs()
			attrs.Name = l.Attrs().Name
			return handle.LinkAdd(&netlink.Bridge{LinkAttrs: attrs})
		}
	}); err != nil {
		t.Fatal(err)
	}
	reload := func(file string) {
		t.Helper()
		cfg, err := config.Parse("a.yaml", []byte(file))
		if err == nil {
			err = r.Reload(t.Context(), cfg)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	reload(file)
	eventually(t, 5*time.Second, "the tunnel", func() bool { return r.tunnel(t).State == "up" })
	s := r.tunnel(t)
	if !s.Kernel || s.State != "up" || asked == nil || asked.Ttl != 9 || asked.PMtuDisc != 0 || asked.Tos != 1 ||
		!asked.Local.Equal(net.ParseIP("192.0.2.1")) || !asked.Remote.Equal(net.ParseIP("192.0.2.2")) {
		t.Fatalf("%+v by %+v", s, asked)
	}
	if _, err := exec.LookPath("tc"); err == nil {
		if out := a.Run("tc", "qdisc", "show", "dev", "tun1"); !strings.Contains(out, "tbf") || !strings.Contains(out, "800Kbit") {
			t.Errorf("the rate limit is %s", out)
		}
	}
	i := r.iface(t, "tun1")
	eventually(t, 5*time.Second, "the tunnel at the machines", func() bool {
		i = r.iface(t, "tun1")
		return i.TunnelRemote.String() == "192.0.2.2" && i.MTU == 1300
	})
	reload("interfaces: {eth1: {addresses: [192.0.2.1/24]}}")
	a.Do(func() {
		if _, err := net.InterfaceByName("tun1"); err == nil {
			t.Error("the kernel's device is still there")
		}
	})

	// auto turns to TUN only if the kernel knows no ipip; kernel never does.
	check := func(mode, err string, kernel bool, state string) {
		t.Helper()
		reload(strings.Replace(file, "ttl: 9", "mode: "+mode, 1))
		if s := r.tunnel(t); s.Kernel != kernel || !strings.Contains(s.State, state) || s.State == "up" != (s.Index != 0) {
			t.Errorf("mode %s, the kernel says %s: %+v", mode, err, s)
		}
		reload("interfaces: {eth1: {addresses: [192.0.2.1/24]}}")
	}
	fails = syscall.EOPNOTSUPP
	check("auto", "EOPNOTSUPP", false, "up")
	check("kernel", "EOPNOTSUPP", false, "not supported")
	fails = syscall.EPERM
	check("auto", "EPERM", false, "not permitted")
	fails = nil
	asked = nil
	check("user", "nothing", false, "up")
	if asked != nil {
		t.Error("mode user asked the kernel")
	}
}

// An interface of the tunnel's name that is somebody else's is left alone.
func TestTunnelNameTaken(t *testing.T) {
	a, b := nstest.New(t, "a"), nstest.New(t, "b")
	nstest.Veth(a, "eth1", b, "eth1")
	nstest.Veth(a, "tun1", b, "eth2")
	r := run(t, a, `
interfaces: {eth1: {addresses: [192.0.2.1/24]}}
tunnels: [{name: tun1, local: 192.0.2.1, remote: 192.0.2.2}]
`)
	eventually(t, 5*time.Second, "the fault", func() bool {
		return strings.Contains(r.tunnel(t).State, "interface of that name")
	})
	index := a.Index("tun1")
	a.Delete("tun1")
	eventually(t, 10*time.Second, "the tunnel, when the name is free", func() bool { return r.tunnel(t).State == "up" })
	if r.tunnel(t).Index == index {
		t.Error("the other's interface was taken")
	}
}
