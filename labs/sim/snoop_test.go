package sim

import (
	"net/netip"
	"testing"
	"time"

	"grove/daemon/config"
	"grove/internal/engine"
)

// snooped is a router with a bridge on eth1, on which there are a source, a member and a bystander, and with a member
// on eth2.
func snooped(t *testing.T, family engine.Family, snooping bool) (s *Sim, near, far *Member, source *Source, bystander *Host) {
	text, nets, group := `
interfaces:
  lo: {addresses: [10.255.0.1/32]}
  eth1: {addresses: [10.1.1.1/24], igmp: {}, pim: {}}
  eth2: {addresses: [10.1.2.1/24], igmp: {}, pim: {}}
pim: {ipv4: {rp: [{address: 10.255.0.1}]}}
`, []string{"10.1.1.2/24", "10.1.1.3/24", "10.1.1.4/24", "10.1.2.2/24"}, "239.1.1.1"
	if family == engine.IPv6 {
		text, nets, group = `
interfaces:
  lo: {addresses: ["2001:db8:ff::1/128"]}
  eth1: {addresses: ["2001:db8:1::1/64"], mld: {}, pim6: {}}
  eth2: {addresses: ["2001:db8:2::1/64"], mld: {}, pim6: {}}
pim: {ipv6: {rp: [{address: "2001:db8:ff::1"}]}}
`, []string{"2001:db8:1::2/64", "2001:db8:1::3/64", "2001:db8:1::4/64", "2001:db8:2::2/64"}, "ff0e::1"
	}
	c, err := config.Parse("r1", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	s = New(1, Options{})
	r := s.AddRouter("r1", c, RouterOptions{})
	var ends []End
	for i, net := range nets {
		h := s.AddHost([]string{"source", "member", "bystander", "far"}[i], HostOptions{})
		ends = append(ends, End{h, "eth1", []netip.Prefix{netip.MustParsePrefix(net)}})
	}
	s.AddLink("bridge", LinkOptions{Snooping: snooping, Lan: true}, End{Node: r, If: "eth1"}, ends[0], ends[1], ends[2])
	s.AddLink("far", LinkOptions{}, End{Node: r, If: "eth2"}, ends[3])
	s.Run(30 * time.Second)
	near = ends[1].Node.Host().Join("eth1", addr(group))
	s.Run(5 * time.Second)
	source = ends[0].Node.AddSource(SourceOptions{If: "eth1", Group: addr(group), Interval: 100 * time.Millisecond})
	s.Run(5 * time.Second)
	far = ends[3].Node.Host().Join("eth1", addr(group))
	s.Run(60 * time.Second)
	return s, near, far, source, ends[2].Node.Host()
}

// TestSnooping: a bridge that snoops takes a group to its members and to routers, and to nobody else; a source behind it
// reaches the router, which never reported the group. Both families.
func TestSnooping(t *testing.T) {
	for _, family := range []engine.Family{engine.IPv4, engine.IPv6} {
		for _, snooping := range []bool{false, true} {
			s, near, far, source, bystander := snooped(t, family, snooping)
			if n := bystander.Unwanted(); (n == 0) != snooping {
				t.Errorf("%v, snooping %v: the bystander heard %d packets", family, snooping, n)
			}
			for _, m := range []*Member{near, far} {
				f := m.Flow(source.Key().Source)
				if f == nil || f.Lost() != 0 || f.Duplicates != 0 || f.Unique() < 590 {
					t.Errorf("%v, snooping %v: %s: account %+v", family, snooping, m.Host().Node().Name(), f)
				}
			}
			late := bystander.Join("eth1", near.Group)
			s.Run(5 * time.Second)
			if f := late.Flow(source.Key().Source); f == nil || f.Packets < 45 {
				t.Errorf("%v, snooping %v: after its join the bystander heard %+v", family, snooping, f)
			}
			late.Leave()
			s.Run(5 * time.Second)
			before := bystander.Unwanted()
			s.Run(5 * time.Second)
			if n := bystander.Unwanted() - before; (n == 0) != snooping {
				t.Errorf("%v, snooping %v: after its leave the bystander heard %d packets", family, snooping, n)
			}
			if len(s.Faults()) > 0 {
				t.Errorf("faults: %v", s.Faults())
			}
		}
	}
}
