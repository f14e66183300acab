package interop

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket/pcapgo"

	grovev1 "grove/daemon/api/grove/v1"
	"grove/labs/script"
)

// TestHosts: two Linux hosts on one LAN are members of groups, by every version of IGMP and MLD that hosts speak. What
// they join comes, what they leave stops, what the other wants goes on without loss.
func TestHosts(t *testing.T) {
	const dir = "testdata/hosts"
	l := start(t, topology(t, dir, "interop-hosts"), dir, nil)
	in, out := l.sniff("r1", "eth1"), l.sniff("r1", "eth2")
	for _, c := range []struct{ name, versionA, versionB, group, version string }{
		{"IGMPv3", "3", "3", "239.1.1.3", "IGMPv3"},
		{"IGMPv2", "2", "2", "239.1.1.2", "IGMPv2"},
		{"IGMPv2 beside IGMPv3", "2", "3", "239.1.1.23", "IGMPv2"},
		{"MLDv2", "2", "2", "ff1e::2", "MLDv2"},
		{"MLDv1", "1", "1", "ff1e::1", "MLDv1"},
		{"MLDv1 beside MLDv2", "1", "2", "ff1e::12", "MLDv1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := l.of(t)
			l.force("ha", c.group, c.versionA)
			l.force("hb", c.group, c.versionB)
			l.anySource(c.group, c.version, in, out)
		})
	}
	for _, c := range []struct{ name, version, group, a, b string }{
		{"IGMPv3 by source", "3", "232.1.1.1", "10.1.0.11", "10.1.0.12"},
		{"MLDv2 by source", "2", "ff3e::1", "2001:db8:1::11", "2001:db8:1::12"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := l.of(t)
			l.force("ha", c.group, c.version)
			l.force("hb", c.group, c.version)
			l.bySource(c.group, c.a, c.b, in, out)
		})
	}
}

// of returns the lab as that of a subtest.
func (l *lab) of(t *testing.T) *lab {
	copied := *l
	copied.t = t
	return &copied
}

// anySource plays with a group of which hosts want every source.
func (l *lab) anySource(group, version string, in, out *sniffer) {
	l.t.Helper()
	source := sourceOf(group)
	member := func(host string) *script.Membership { return &script.Membership{Host: host, Group: addr(group)} }
	got := func(host string) int { return l.Received(host, addr(group)).Packets }

	l.do(script.Action{Send: &script.Send{Host: "sa", Group: addr(group), Rate: 200, TTL: 64, Size: 100}})
	l.until(5*time.Second, "the source is heard, and goes nowhere", func() string { return fewer(in.count(source, group), 20) })
	if n := out.count(source, group); n > 0 {
		l.t.Errorf("%d packets on the LAN before anyone has joined", n)
	}
	l.do(script.Action{Join: member("ha")})
	l.until(5*time.Second, "ha has joined and receives", func() string { return fewer(got("ha"), 50) })
	l.membership(group, "EXCLUDE", version)
	l.do(script.Action{Join: member("hb")})
	l.until(5*time.Second, "hb has joined and receives", func() string { return fewer(got("hb"), 50) })
	l.membership(group, "EXCLUDE", version)

	l.do(script.Action{Leave: member("ha")})
	before := l.Received("hb", addr(group))
	// More than the three queries for which a leave gives hosts time.
	l.until(5*time.Second, "ha has left, hb still receives", func() string { return fewer(got("hb"), before.Packets+200) })
	l.membership(group, "EXCLUDE", version)
	if after := l.Received("hb", addr(group)); after.Lost > 0 || after.Duplicates > 0 {
		l.t.Errorf("hb lost %d of %d, %d came twice", after.Lost, after.Packets, after.Duplicates)
	}
	l.do(script.Action{Leave: member("hb")})
	l.stops(source, group, in, out)
	l.do(script.Action{Stop: &script.Send{Host: "sa", Group: addr(group)}})
}

// bySource plays with a source-specific group: each host wants a source of its own.
func (l *lab) bySource(group, a, b string, in, out *sniffer) {
	l.t.Helper()
	member := func(host, source string) *script.Membership {
		return &script.Membership{Host: host, Group: addr(group), Source: addr(source)}
	}
	for _, host := range []string{"sa", "sb"} {
		l.do(script.Action{Send: &script.Send{Host: host, Group: addr(group), Rate: 200, TTL: 64, Size: 100}})
	}
	l.until(5*time.Second, "both sources are heard, and go nowhere", func() string {
		return fewer(min(in.count(a, group), in.count(b, group)), 20)
	})
	l.do(script.Action{Join: member("ha", a)})
	l.until(5*time.Second, "ha has joined sa's and receives", func() string {
		return fewer(l.Received("ha", addr(group)).Packets, 50)
	})
	l.membership(group, "INCLUDE", "", a)
	if n := out.count(a, group) + out.count(b, group); n != out.count(a, group) {
		l.t.Errorf("%d packets of sb on the LAN, whom nobody wants", out.count(b, group))
	}
	l.do(script.Action{Join: member("hb", b)})
	l.until(5*time.Second, "hb has joined sb's and receives", func() string {
		return fewer(l.Received("hb", addr(group)).Packets, 50)
	})
	l.membership(group, "INCLUDE", "", a, b)

	l.do(script.Action{Leave: member("ha", a)})
	l.until(5*time.Second, "sa's goes nowhere again", func() string { return forwards(l.mroute("r1", a, group)) })
	l.silent(a, group, in, out)
	l.membership(group, "INCLUDE", "", b)
	if r := l.Received("hb", addr(group)); r.Lost > 0 || r.Duplicates > 0 {
		l.t.Errorf("hb lost %d of %d, %d came twice", r.Lost, r.Packets, r.Duplicates)
	}
	l.do(script.Action{Leave: member("hb", b)})
	l.stops(b, group, in, out)
	for _, host := range []string{"sa", "sb"} {
		l.do(script.Action{Stop: &script.Send{Host: host, Group: addr(group)}})
	}
}

// stops waits until the router knows no member and forwards no more, and looks whether that is so.
func (l *lab) stops(source, group string, in, out *sniffer) {
	l.t.Helper()
	l.until(5*time.Second, "there is no member, and nothing is forwarded", func() string {
		if groups := l.groups(group); len(groups) > 0 {
			return fmt.Sprint(groups)
		}
		return forwards(l.mroute("r1", source, group))
	})
	l.silent(source, group, in, out)
}

// silent looks on while the router gets packets: it puts none on the LAN.
func (l *lab) silent(source, group string, in, out *sniffer) {
	l.t.Helper()
	came, went := in.count(source, group), out.count(source, group)
	l.until(5*time.Second, "more packets come", func() string { return fewer(in.count(source, group), came+100) })
	// What came before the entry changed may have gone out between the two counts, but no more than that.
	if n := out.count(source, group) - went; n > 2 {
		l.t.Errorf("%d packets on the LAN although nobody wants them", n)
	}
}

// forwards says what an entry still forwards.
func forwards(m *grovev1.Mroute) string {
	if list := outgoing(m); len(list) > 0 {
		return fmt.Sprintf("there is still %v to %v", m, list)
	}
	return ""
}

func (l *lab) groups(group string) []*grovev1.Group {
	l.t.Helper()
	return ask(l, l.Client("r1").ListGroups, &grovev1.ListGroupsRequest{Family: familyOf(group), Group: group}).Groups
}

// membership checks what the router says of the group: its mode, the version of its hosts, the sources they want; and
// that it forwards.
func (l *lab) membership(group, mode, version string, sources ...string) {
	l.t.Helper()
	groups := l.groups(group)
	if len(groups) != 1 {
		l.t.Fatalf("%d groups, want 1: %v", len(groups), groups)
	}
	g := groups[0]
	var wanted []string
	for _, s := range g.Sources {
		if s.Forwarded {
			wanted = append(wanted, s.Address)
		}
	}
	slices.Sort(wanted)
	if g.Interface != "eth2" || g.Mode != mode || version != "" && g.Version != version || !slices.Equal(wanted, sources) {
		l.t.Errorf("membership %v; want %s %s %v on eth2", g, mode, version, sources)
	}
	from := sources
	if len(from) == 0 {
		from = []string{sourceOf(group)}
	}
	for _, s := range from {
		m := l.mroute("r1", s, group)
		if d := cmp.Diff([]string{"eth2"}, outgoing(m)); d != "" || m.GetIncomingInterface() != "eth1" || !m.Installed || !m.Connected {
			l.t.Errorf("entry of %s: %v\n%s", s, m, d)
		}
	}
}

// sourceOf returns sa's address of the family of a group.
func sourceOf(group string) string {
	if addr(group).Is6() {
		return "2001:db8:1::11"
	}
	return "10.1.0.11"
}

func familyOf(a string) grovev1.Family {
	if addr(a).Is6() {
		return grovev1.Family_FAMILY_IPV6
	}
	return grovev1.Family_FAMILY_IPV4
}

// force makes a host speak a version of the protocol for a group.
func (l *lab) force(host, group, version string) {
	l.t.Helper()
	name := "ipv4/conf/eth1/force_igmp_version"
	if addr(group).Is6() {
		name = "ipv6/conf/eth1/force_mld_version"
	}
	if err := l.In(host, func() error { return os.WriteFile(filepath.Join("/proc/sys/net", name), []byte(version), 0) }); err != nil {
		l.t.Fatal(err)
	}
}

// sniffer counts the multicast packets on a link, by source and group, as they are on the wire.
type sniffer struct {
	mu     sync.Mutex
	counts map[[2]netip.Addr]int
}

// sniff counts at an interface of a node until the test ends.
func (l *lab) sniff(node, ifc string) *sniffer {
	l.t.Helper()
	var handle *pcapgo.EthernetHandle
	err := l.In(node, func() (err error) {
		handle, err = pcapgo.NewEthernetHandle(ifc)
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	s := &sniffer{counts: map[[2]netip.Addr]int{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for frame, _, err := handle.ReadPacketData(); err == nil; frame, _, err = handle.ReadPacketData() {
			s.add(frame)
		}
	}()
	l.t.Cleanup(func() {
		handle.Close()
		<-done
	})
	return s
}

// add counts a frame if it is a UDP datagram to a group.
func (s *sniffer) add(frame []byte) {
	const ethernet, udp = 14, 17
	var source, group netip.Addr
	switch {
	case len(frame) >= ethernet+20 && binary.BigEndian.Uint16(frame[12:]) == 0x0800 && frame[ethernet+9] == udp:
		source, _ = netip.AddrFromSlice(frame[ethernet+12:][:4])
		group, _ = netip.AddrFromSlice(frame[ethernet+16:][:4])
	case len(frame) >= ethernet+40 && binary.BigEndian.Uint16(frame[12:]) == 0x86dd && frame[ethernet+6] == udp:
		source, _ = netip.AddrFromSlice(frame[ethernet+8:][:16])
		group, _ = netip.AddrFromSlice(frame[ethernet+24:][:16])
	}
	if group.IsMulticast() {
		s.mu.Lock()
		s.counts[[2]netip.Addr{source, group}]++
		s.mu.Unlock()
	}
}

func (s *sniffer) count(source, group string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[[2]netip.Addr{addr(source), addr(group)}]
}
