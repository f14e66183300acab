package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"grove/internal/engine"
	"grove/internal/ip"
	"grove/mfib/cases"
)

var families = []engine.Family{engine.IPv4, engine.IPv6}

// each runs a test for both families.
func each(t *testing.T, f func(t *testing.T, family engine.Family)) {
	for _, family := range families {
		t.Run(family.String(), func(t *testing.T) { f(t, family) })
	}
}

// flow returns the n-th (S,G) of a family.
func flow(family engine.Family, n int) engine.Key {
	if family == engine.IPv4 {
		return engine.SG(netip.AddrFrom4([4]byte{10, 9, byte(n >> 8), byte(n)}), netip.AddrFrom4([4]byte{239, 1, byte(n >> 8), byte(n)}))
	}
	return engine.SG(netip.MustParseAddr(fmt.Sprintf("fd00:9::%x", n+1)), netip.MustParseAddr(fmt.Sprintf("ff0e::1:%x", n)))
}

// data returns a UDP packet of a flow.
func data(k engine.Key, ttl uint8, text string) []byte {
	p := ip.UDP(netip.AddrPortFrom(k.Source, 1000), netip.AddrPortFrom(k.Group, 5000), ttl, []byte(text))
	return p.Append(nil)
}

// row returns a row from one VIF to others.
func row(k engine.Key, parent engine.VIF, out ...engine.VIF) engine.Row {
	r := engine.Row{Key: k, Parent: parent}
	for _, v := range out {
		r.TTL[v] = 1
	}
	return r
}

func closed(t *testing.T, tab *Table) {
	t.Cleanup(func() {
		if err := tab.Close(); err != nil {
			t.Error(err)
		}
	})
}

func (r *router) vif(tab *Table, v engine.VIF, i int) {
	r.t.Helper()
	if err := tab.SetVIF(engine.SetVIF{VIF: v, If: engine.IfID(i)}, r.links[i].ifindex); err != nil {
		r.t.Fatal(err)
	}
}

func set(t *testing.T, tab *Table, rows ...engine.Row) {
	t.Helper()
	if failed := tab.SetRows(rows); len(failed) > 0 {
		t.Fatal(failed)
	}
}

// next returns the next upcall, or IGMP packet with its interface.
func next(t *testing.T, tab *Table) (engine.Event, int) {
	t.Helper()
	if err := tab.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	for {
		event, ifindex, err := tab.Read()
		if err != nil {
			t.Fatal(err)
		}
		if event != nil {
			return event, ifindex
		}
	}
}

// nextData returns the next UDP packet that the router sent on a link.
func (l *link) nextData(family engine.Family, within time.Duration) []byte {
	for {
		packet := l.receive(family, within)
		if packet == nil {
			return nil
		}
		if p, err := ip.Parse(packet); err == nil && p.Proto == engine.ProtoUDP {
			return packet
		}
	}
}

// TestOwned: a table has one owner; a second daemon is told who is in its way, and gets the table when that one ends.
func TestOwned(t *testing.T) {
	each(t, func(t *testing.T, family engine.Family) {
		r := newRouter(t, 0)
		first := r.open(family, 0)
		r.do(func() error {
			second, err := Open(family, 0, 1<<20)
			if second != nil || !errors.Is(err, ErrOwned) || !errors.Is(err, unix.EADDRINUSE) ||
				!strings.Contains(err.Error(), "another multicast routing daemon owns the table") {
				return fmt.Errorf("opened twice: %v", err)
			}
			return nil
		})
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		closed(t, r.open(family, 0))
	})
}

// TestTables: two tables of a namespace are apart, and the interfaces with VIFs in the other one belong to it.
func TestTables(t *testing.T) {
	each(t, func(t *testing.T, family engine.Family) {
		r := newRouter(t, 4)
		main, other := r.open(family, 0), r.open(family, 77)
		closed(t, main)
		r.vif(main, 1, 1)
		r.vif(main, 2, 2)
		r.vif(other, 1, 3)
		r.vif(other, 2, 4)
		if err := other.SetVIF(engine.SetVIF{VIF: 0, Register: true}, 0); err != nil {
			t.Fatal(err)
		}
		k := flow(family, 1)
		set(t, main, row(k, 1, 2))
		set(t, other, row(k, 1, 2, 0))
		r.links[1].send(data(k, 9, "main"))
		r.links[3].send(data(k, 9, "other"))
		for i, text := range map[int]string{2: "main", 4: "other"} {
			if got := r.links[i].nextData(family, 5*time.Second); !strings.HasSuffix(string(got), text) {
				t.Errorf("link %d: %q, want %q", i, got, text)
			}
		}
		event, _ := next(t, other)
		if u, ok := event.(engine.Upcall); !ok || u.Kind != engine.WholePkt || !strings.HasSuffix(string(u.Packet), "other") {
			t.Errorf("upcall of the other table: %+v", event)
		}
		for name, tab := range map[string]*Table{"main": main, "other": other} {
			c := tab.ReadCounters([]engine.Key{k})
			if len(c) != 1 || c[0].Packets != 1 {
				t.Errorf("counters of %s: %+v", name, c)
			}
			rows, err := tab.Dump()
			if err != nil || len(rows) != 1 || rows[0].Row.Parent != 1 || rows[0].Row.TTL[2] != 1 {
				t.Errorf("dump of %s: %+v, %v", name, rows, err)
			}
		}
		if err := other.Close(); err != nil {
			t.Fatal(err)
		}
		r.do(func() error {
			n := familyIPMR
			if family == engine.IPv6 {
				n = familyIP6MR
			}
			rules, err := netlink.RuleList(n)
			if err != nil || len(rules) != 1 {
				return fmt.Errorf("rules after the end: %v, %v", rules, err)
			}
			return nil
		})
	})
}

// TestInject: a packet leaves by the interfaces that are named, as it is, and comes back neither to this host's members
// nor to the forwarding plane.
func TestInject(t *testing.T) {
	each(t, func(t *testing.T, family engine.Family) {
		r := newRouter(t, 3)
		tab := r.open(family, 0)
		closed(t, tab)
		for i := 1; i <= 3; i++ {
			r.vif(tab, engine.VIF(i), i)
		}
		k := flow(family, 1)
		member := r.member(family, k.Group, 1)
		// A source elsewhere, and one that is on the very link; with an identification and without.
		own := engine.SG(cases.RouterAddr(family, 1).Next(), k.Group)
		packets := [][]byte{data(k, 7, "first"), data(own, 1, "second")}
		if family == engine.IPv4 {
			p, err := ip.Parse(packets[0])
			if err != nil {
				t.Fatal(err)
			}
			p.ID, p.TOS = 4711, 0xb8
			packets[0] = p.Append(nil)
		}
		for _, packet := range packets {
			if err := tab.Inject([]int{r.links[1].ifindex, r.links[3].ifindex}, packet); err != nil {
				t.Fatal(err)
			}
			for _, i := range []int{1, 3} {
				got := r.links[i].nextData(family, 5*time.Second)
				if family == engine.IPv4 && len(got) > 12 && binary.BigEndian.Uint16(packet[4:]) == 0 {
					// The kernel gives a packet without an identification one.
					copy(got[4:6], packet[4:6])
					copy(got[10:12], packet[10:12])
				}
				if !slices.Equal(got, packet) {
					t.Errorf("link %d: %x, want %x", i, got, packet)
				}
			}
		}
		if got := r.links[2].nextData(family, 0); got != nil {
			t.Errorf("out of interface 2: %x", got)
		}
		if event, _, err := tab.TryRead(); err != ErrEmpty {
			t.Errorf("the forwarding plane saw %+v (%v)", event, err)
		}
		buf := make([]byte, 100)
		if n, _, err := unix.Recvfrom(member, buf, unix.MSG_DONTWAIT); err != unix.EAGAIN {
			t.Errorf("a member on this host received %q (%v)", buf[:n], err)
		}

		// All interfaces are tried; errors say which failed.
		err := tab.Inject([]int{9999, r.links[2].ifindex}, packets[0])
		if err == nil || !strings.Contains(err.Error(), "ifindex 9999") {
			t.Errorf("error of an interface that is not there: %v", err)
		}
		if got := r.links[2].nextData(family, 5*time.Second); got == nil {
			t.Error("nothing out of the interface after the one that failed")
		}
		if err := tab.Inject([]int{r.links[2].ifindex}, packets[0][:15]); !errors.Is(err, ip.ErrMalformed) {
			t.Errorf("half a header: %v", err)
		}
	})
}

// member returns a UDP socket that is a member of the group on interface i of the router.
func (r *router) member(family engine.Family, group netip.Addr, i int) int {
	fd := -1
	r.do(func() (err error) {
		domain := unix.AF_INET
		if family == engine.IPv6 {
			domain = unix.AF_INET6
		}
		if fd, err = unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		if family == engine.IPv4 {
			if err := unix.Bind(fd, &unix.SockaddrInet4{Port: 5000}); err != nil {
				return err
			}
			return unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP,
				&unix.IPMreqn{Multiaddr: group.As4(), Ifindex: int32(r.links[i].ifindex)})
		}
		if err := unix.Bind(fd, &unix.SockaddrInet6{Port: 5000}); err != nil {
			return err
		}
		return unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP,
			&unix.IPv6Mreq{Multiaddr: group.As16(), Interface: uint32(r.links[i].ifindex)})
	})
	r.t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// host gives the far end of link 1 an address, and returns a UDP socket there that sends to multicast groups.
func (r *router) host(family engine.Family, a netip.Prefix) int {
	fd := -1
	r.wire.do(func() error {
		if err := sysctl("ipv6/conf/far1/disable_ipv6", "0"); err != nil {
			return err
		}
		dev, err := netlink.LinkByName("far1")
		if err != nil {
			return err
		}
		addr, err := netlink.ParseAddr(a.String())
		if err != nil {
			return err
		}
		addr.Flags = unix.IFA_F_NODAD
		if err := netlink.AddrAdd(dev, addr); err != nil {
			return err
		}
		if family == engine.IPv4 {
			if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
				return err
			}
			if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, 9); err != nil {
				return err
			}
			return unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, &unix.IPMreqn{Ifindex: int32(dev.Attrs().Index)})
		}
		if fd, err = unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 9); err != nil {
			return err
		}
		return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, dev.Attrs().Index)
	})
	r.t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// TestChecksum: what a host's UDP socket sends over veth has no complete checksum on the way; a whole-packet upcall of
// it has, and a packet that was injected from it reaches a member.
func TestChecksum(t *testing.T) {
	each(t, func(t *testing.T, family engine.Family) {
		r := newRouter(t, 2)
		tab := r.open(family, 0)
		closed(t, tab)
		r.vif(tab, 1, 1)
		r.vif(tab, 2, 2)
		if err := tab.SetVIF(engine.SetVIF{VIF: 0, Register: true}, 0); err != nil {
			t.Fatal(err)
		}
		r1 := cases.RouterAddr(family, 1)
		bits := map[engine.Family]int{engine.IPv4: 24, engine.IPv6: 64}[family]
		sender := r.host(family, netip.PrefixFrom(r1.Next(), bits))
		k := engine.SG(r1.Next(), flow(family, 1).Group)
		set(t, tab, row(k, 1, 0, 2))
		for _, text := range []string{"even", "odd"} {
			var to unix.Sockaddr = &unix.SockaddrInet6{Addr: k.Group.As16(), Port: 5000}
			if family == engine.IPv4 {
				to = &unix.SockaddrInet4{Addr: k.Group.As4(), Port: 5000}
			}
			r.wire.do(func() error { return unix.Sendto(sender, []byte(text), 0, to) })
			onWire := r.links[2].nextData(family, 5*time.Second)
			if onWire == nil {
				t.Fatal("not forwarded")
			}
			event, _ := next(t, tab)
			u, ok := event.(engine.Upcall)
			if !ok || u.Kind != engine.WholePkt || u.Src != k.Source || u.Dst != k.Group {
				t.Fatalf("upcall %+v", event)
			}
			if good(t, onWire) {
				t.Error("the checksum is complete on a veth link already: this test shows nothing")
			}
			if !good(t, u.Packet) {
				t.Errorf("the checksum in the upcall is wrong: %x", u.Packet)
			}
			if p, _ := ip.Parse(u.Packet); p.TTL != 9 || string(p.Payload[8:]) != text {
				t.Errorf("upcall of %+v", p)
			}
		}
	})
}

// good says whether a UDP packet's checksum is right.
func good(t *testing.T, packet []byte) bool {
	t.Helper()
	p, err := ip.Parse(packet)
	if err != nil {
		t.Fatal(err)
	}
	return ip.Fold(ip.Sum(ip.PseudoSum(p.Src, p.Dst, p.Proto, len(p.Payload)), p.Payload)) == 0xffff
}

// TestIGMP: IGMP messages come by the multicast routing socket, with their header and interface: those to groups that
// this host is no member of, those to link-local groups that it is, and those without Router Alert.
func TestIGMP(t *testing.T) {
	r := newRouter(t, 3)
	tab := r.open(engine.IPv4, 0)
	closed(t, tab)
	r.vif(tab, 1, 1)
	r.vif(tab, 2, 2)
	routers := netip.MustParseAddr("224.0.0.22")
	r.member(engine.IPv4, routers, 2)
	for _, c := range []struct {
		link  int
		group string
		alert bool
		ttl   uint8
	}{
		{1, "239.1.2.3", true, 1},
		{1, "239.1.2.4", false, 1},
		{2, "224.0.0.22", true, 1},
		{2, "239.1.2.3", true, 5},
	} {
		sent := ip.Packet{
			Src: netip.AddrFrom4([4]byte{10, 0, byte(c.link), 99}), Dst: netip.MustParseAddr(c.group), Proto: engine.ProtoIGMP,
			TTL: c.ttl, TOS: 0xc0, RouterAlert: c.alert, Payload: []byte{0x16, 0, 0xfa, 0xfc, 239, 1, 2, 3},
		}
		r.links[c.link].send(sent.Append(nil))
		var got engine.Packet
		var ifindex int
		for got.Src != sent.Src { // this router's own reports come as well
			event, i := next(t, tab)
			p, ok := event.(engine.Packet)
			if !ok {
				t.Fatalf("%v: %+v", c, event)
			}
			got, ifindex = p, i
		}
		if got.Dst != sent.Dst || got.Proto != engine.ProtoIGMP || got.TTL != c.ttl || got.TOS != 0xc0 ||
			got.RouterAlert != c.alert || !slices.Equal(got.Payload, sent.Payload) || ifindex != r.links[c.link].ifindex {
			t.Errorf("%v: received %+v on ifindex %d", c, got, ifindex)
		}
	}
	// On a link without a VIF nobody hears a report to its group.
	report := ip.Packet{Src: netip.MustParseAddr("10.0.3.99"), Dst: netip.MustParseAddr("239.1.2.3"), Proto: engine.ProtoIGMP,
		TTL: 1, RouterAlert: true, Payload: []byte{0x16, 0, 0xfa, 0xfc, 239, 1, 2, 3}}
	r.links[3].send(report.Append(nil))
	report.Src = netip.MustParseAddr("10.0.1.98")
	r.links[1].send(report.Append(nil))
	for {
		event, _ := next(t, tab)
		p, ok := event.(engine.Packet)
		if !ok || p.Src == netip.MustParseAddr("10.0.3.99") {
			t.Fatalf("%+v", event)
		}
		if p.Src == report.Src {
			break
		}
	}
}

// TestMissing: a row that someone else deletes is Missing.
func TestMissing(t *testing.T) {
	each(t, func(t *testing.T, family engine.Family) {
		r := newRouter(t, 2)
		tab := r.open(family, 0)
		closed(t, tab)
		r.vif(tab, 1, 1)
		r.vif(tab, 2, 2)
		keys := []engine.Key{flow(family, 1), flow(family, 2), engine.StarG(flow(family, 3).Group), {}}
		for _, k := range keys {
			set(t, tab, row(k, 1, 1, 2))
		}
		// Another process with CAP_NET_ADMIN needs not own the table.
		r.do(func() error {
			if family == engine.IPv4 {
				fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_IGMP)
				if err != nil {
					return err
				}
				defer unix.Close(fd)
				return setopt(fd, unix.IPPROTO_IP, mrtDelMFC, &mfcctl{origin: keys[1].Source.As4(), group: keys[1].Group.As4()})
			}
			fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMPV6)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			return setopt(fd, unix.IPPROTO_IPV6, mrtDelMFC, &mf6cctl{origin: sockaddr6(keys[1].Source), group: sockaddr6(keys[1].Group)})
		})
		counters := tab.ReadCounters(keys)
		if len(counters) != len(keys) {
			t.Fatalf("%d answers: %+v", len(counters), counters)
		}
		for i, c := range counters {
			if c.Key != keys[i] || c.Missing != (i == 1) {
				t.Errorf("%+v", c)
			}
		}
	})
}

// TestBatch: of a long batch the kernel takes what it can; what it refuses is named, and the order counts.
func TestBatch(t *testing.T) {
	each(t, func(t *testing.T, family engine.Family) {
		r := newRouter(t, 2)
		tab := r.open(family, 0)
		closed(t, tab)
		r.vif(tab, 1, 1)
		r.vif(tab, 31, 2)
		var rows []engine.Row
		var keys []engine.Key
		bad := engine.SG(flow(family, 1).Source, flow(family, 1).Source) // a group that is none
		for n := range 1000 {
			keys = append(keys, flow(family, n))
			rows = append(rows, row(keys[n], 1))
			switch n % 10 {
			case 3:
				rows = append(rows, row(bad, 1))
			case 4:
				rows = append(rows, engine.Row{Key: keys[n], Gone: true})
			case 5:
				rows = append(rows, row(keys[n], 1, 31)) // VIF 31 is where netlink ends
			case 6:
				rows = append(rows, row(keys[n], 7)) // a parent that is not there
			}
		}
		refused := map[engine.Key]int{}
		for _, f := range tab.SetRows(rows) {
			refused[f.Key]++
			if f.Err == "" {
				t.Errorf("no reason: %+v", f)
			}
		}
		if refused[bad] != 100 || len(refused) != 101 {
			t.Errorf("refused: %d rows, %d of them the wrong group", len(refused), refused[bad])
		}
		for i, c := range tab.ReadCounters(keys) {
			if c.Missing != (i%10 == 4) {
				t.Errorf("row %d: %+v", i, c)
			}
			if want := i%10 == 6; (refused[c.Key] == 1) != want {
				t.Errorf("row %d: refused %d times", i, refused[c.Key])
			}
		}
		r.links[1].send(data(keys[5], 9, "to VIF 31"))
		if got := r.links[2].nextData(family, 5*time.Second); !strings.HasSuffix(string(got), "to VIF 31") {
			t.Errorf("out of VIF 31: %q", got)
		}
	})
}

// TestWithoutNetAdmin: a process that has the multicast routing socket but not CAP_NET_ADMIN writes rows all the same.
func TestWithoutNetAdmin(t *testing.T) {
	r := newRouter(t, 2)
	tab := r.open(engine.IPv4, 0)
	closed(t, tab)
	r.vif(tab, 1, 1)
	r.vif(tab, 2, 2)
	set(t, tab, row(flow(engine.IPv4, 0), 1, 2))
	keys := []engine.Key{flow(engine.IPv4, 0), flow(engine.IPv4, 1), engine.StarG(flow(engine.IPv4, 2).Group)}
	var failed []engine.RowFailed
	r.do(func() error { // the rights of a thread; this one has no more use for them
		head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var caps [2]unix.CapUserData
		if err := unix.Capget(&head, &caps[0]); err != nil {
			return err
		}
		caps[unix.CAP_NET_ADMIN/32].Effective &^= 1 << (unix.CAP_NET_ADMIN % 32)
		if err := unix.Capset(&head, &caps[0]); err != nil {
			return err
		}
		failed = tab.SetRows([]engine.Row{row(keys[1], 1, 2), row(keys[2], 1, 1, 2), {Key: keys[0], Gone: true}})
		return nil
	})
	if len(failed) > 0 || !tab.direct {
		t.Fatalf("failed %v, by setsockopt: %v", failed, tab.direct)
	}
	for i, c := range tab.ReadCounters(keys) {
		if c.Missing != (i == 0) {
			t.Errorf("%+v", c)
		}
	}
}

// TestDump: the dump has rows with their parents and thresholds, counters, and the flows that wait for a row.
func TestDump(t *testing.T) {
	each(t, func(t *testing.T, family engine.Family) {
		r := newRouter(t, 3)
		tab := r.open(family, 0)
		closed(t, tab)
		r.vif(tab, 4, 1)
		r.vif(tab, 2, 2)
		if err := tab.SetVIF(engine.SetVIF{VIF: 0, Register: true}, 0); err != nil {
			t.Fatal(err)
		}
		threshold := uint8(1)
		if family == engine.IPv4 {
			threshold = 16
		}
		want := map[engine.Key]engine.Row{}
		for _, w := range []engine.Row{
			row(flow(family, 1), 4, 2, 0),
			row(engine.StarG(flow(family, 2).Group), 0, 0, 2, 4),
			row(engine.Key{}, 0, 0, 4),
			row(flow(family, 3), 2),
		} {
			if w.TTL[2] != 0 {
				w.TTL[2] = threshold
			}
			want[w.Key] = w
			set(t, tab, w)
		}
		waiting := flow(family, 9)
		r.links[1].send(data(flow(family, 1), 99, "counted"))
		r.links[2].send(data(waiting, 9, "waits"))
		for event, _ := next(t, tab); event.(engine.Upcall).Kind != engine.NoCache; {
			event, _ = next(t, tab)
		}
		rows, err := tab.Dump()
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range rows {
			if d.Unresolved {
				if d.Row.Key != waiting {
					t.Errorf("unresolved: %v", d.Row.Key)
				}
				waiting = engine.Key{}
				continue
			}
			if d.Row != want[d.Row.Key] {
				t.Errorf("row %+v, want %+v", d.Row, want[d.Row.Key])
			}
			if counted := d.Counters.Packets == 1; counted != (d.Row.Key == flow(family, 1)) {
				t.Errorf("counters %+v", d.Counters)
			}
			delete(want, d.Row.Key)
		}
		if waiting.Group.IsValid() || len(want) > 0 {
			t.Errorf("not in the dump: %v, %v", waiting, want)
		}
	})
}

// TestDumpLong: a dump of many messages is read to its end.
func TestDumpLong(t *testing.T) {
	each(t, func(t *testing.T, family engine.Family) {
		r := newRouter(t, 1)
		tab := r.open(family, 0)
		closed(t, tab)
		r.vif(tab, 1, 1)
		var rows []engine.Row
		for n := range 2000 {
			rows = append(rows, row(flow(family, n), 1))
		}
		set(t, tab, rows...)
		if got, err := tab.Dump(); err != nil || len(got) != len(rows) {
			t.Fatalf("%d rows, %v", len(got), err)
		}
	})
}

// TestReadEnds: a Read that waits ends at its deadline, and at Close.
func TestReadEnds(t *testing.T) {
	each(t, func(t *testing.T, family engine.Family) {
		r := newRouter(t, 0)
		tab := r.open(family, 0)
		if err := tab.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := tab.Read(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("at the deadline: %v", err)
		}
		if _, _, err := tab.TryRead(); err != ErrEmpty {
			t.Fatalf("past the deadline: %v", err)
		}
		if err := tab.SetReadDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error)
		reading := make(chan bool)
		go func() {
			close(reading)
			_, _, err := tab.Read()
			ended <- err
		}()
		<-reading
		if err := tab.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; !errors.Is(err, os.ErrClosed) {
			t.Fatalf("at Close: %v", err)
		}
	})
}

// TestIfindex: an interface index that struct mif6ctl cannot hold is refused, not cut short.
func TestIfindex(t *testing.T) {
	r := newRouter(t, 0)
	tab := r.open(engine.IPv6, 0)
	closed(t, tab)
	if err := tab.SetVIF(engine.SetVIF{VIF: 1, If: 1}, 1<<16+1); !errors.Is(err, ErrIfindex) {
		t.Fatal(err)
	}
}

// TestManyFlows: with the receive buffer that Open sets, thousands of new flows at once each come up.
func TestManyFlows(t *testing.T) {
	each(t, func(t *testing.T, family engine.Family) {
		r := newRouter(t, 1)
		tab := r.open(family, 0)
		closed(t, tab)
		r.vif(tab, 1, 1)
		const flows = 2000
		for n := range flows {
			r.links[1].send(data(flow(family, n), 9, "new"))
		}
		seen := map[netip.Addr]bool{}
		for len(seen) < flows {
			event, _ := next(t, tab)
			if u, ok := event.(engine.Upcall); ok && u.Kind == engine.NoCache {
				seen[u.Dst] = true
			}
		}
	})
}

// BenchmarkSetRows writes 20,000 rows in batches as mfib does: the figures are rows a second.
func BenchmarkSetRows(b *testing.B) {
	for _, family := range families {
		for _, direct := range []bool{false, true} {
			if family == engine.IPv6 && !direct {
				continue
			}
			name := family.String() + "/netlink"
			if direct {
				name = family.String() + "/setsockopt"
			}
			b.Run(name, func(b *testing.B) {
				r := newRouter(b, 2)
				tab := r.open(family, 0)
				defer tab.Close()
				tab.direct = direct
				r.vif(tab, 1, 1)
				r.vif(tab, 2, 2)
				rows := make([]engine.Row, 20000)
				for n := range rows {
					rows[n] = row(flow(family, n), 1, 2)
				}
				took := map[string]time.Duration{}
				write := func(what string) {
					start := time.Now()
					for part := range slices.Chunk(rows, 1000) {
						if failed := tab.SetRows(part); len(failed) > 0 {
							b.Fatal(failed[0])
						}
					}
					took[what] += time.Since(start)
				}
				rounds := 0
				for b.Loop() {
					write("add")
					write("replace")
					for n := range rows {
						rows[n].Gone = true
					}
					write("delete")
					for n := range rows {
						rows[n].Gone = false
					}
					rounds++
				}
				for what, d := range took {
					b.ReportMetric(float64(rounds*len(rows))/d.Seconds(), what+"/s")
				}
			})
		}
	}
}

// BenchmarkReadCounters reads the counters of 20,000 rows.
func BenchmarkReadCounters(b *testing.B) {
	for _, family := range families {
		b.Run(family.String(), func(b *testing.B) {
			r := newRouter(b, 1)
			tab := r.open(family, 0)
			defer tab.Close()
			r.vif(tab, 1, 1)
			var rows []engine.Row
			var keys []engine.Key
			for n := range 20000 {
				keys = append(keys, flow(family, n))
				rows = append(rows, row(keys[n], 1))
			}
			if failed := tab.SetRows(rows); len(failed) > 0 {
				b.Fatal(failed[0])
			}
			read := 0
			for b.Loop() {
				read += len(tab.ReadCounters(keys))
			}
			b.ReportMetric(float64(read)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
