package rib

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"grove/internal/engine"
)

// TestTouched: of a large table a change has those tracked addresses looked up that are under it, and no others, in whichever table
// it is and whether or not anything of their paths changes.
func TestTouched(t *testing.T) {
	const routes, tracked = 100_000, 1000
	now := time.Unix(0, 0)
	m := New(engine.MachineID{Protocol: engine.RIB, Family: engine.IPv4})
	m.Step(now, engine.InterfaceChange{Interface: engine.Interface{
		ID: 1, Name: "eth1", Up: true, Carrier: true, Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")},
	}})
	prefix := func(i int) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{20 + byte(i>>16), byte(i >> 8), byte(i), 0}), 24)
	}
	learned := func(p netip.Prefix, gateway string, gone bool) engine.MRIBRoute {
		next := netip.MustParseAddr(gateway)
		return engine.MRIBRoute{
			From: engine.MachineID{Protocol: engine.BGP, Family: engine.IPv4}, Prefix: p, Gone: gone,
			Hops: []engine.NextHop{{Gateway: next, Weight: 1}}, BGP: &engine.BGPPath{NextHop: next, Internal: true},
		}
	}
	far := func(i int) string { return fmt.Sprintf("10.9.0.%d", i) } // next hops that a unicast route leads to, ten of them
	unicast := func(p netip.Prefix, gateway string, gone bool) engine.RouteChange {
		return engine.RouteChange{Prefix: p, Metric: 5, Origin: "ospf", Gone: gone, Hops: []engine.NextHop{{If: 1, Gateway: netip.MustParseAddr(gateway), Weight: 1}}}
	}
	for i := range 10 {
		m.Step(now, unicast(netip.PrefixFrom(netip.MustParseAddr(far(i)), 32), "10.0.0.2", false))
	}
	for i := range routes {
		m.Step(now, learned(prefix(i), far(i/100%10), false))
	}
	for i := range tracked {
		a := prefix(i * (routes / tracked)).Addr()
		m.Step(now, engine.Track{From: engine.MachineID{Protocol: engine.PIMSM, Family: engine.IPv4}, Addr: a.Next()})
	}
	if told := len(m.Step(now, engine.Settled{})); told != tracked {
		t.Fatalf("%d of %d are told", told, tracked)
	}
	for _, test := range []struct {
		what          string
		event         engine.Event
		touched, told int
	}{
		{"a multicast route, other attributes", learned(prefix(500), "10.0.0.9", false), 1, 1},
		{"a multicast route withdrawn", learned(prefix(500), "10.0.0.9", true), 1, 1},
		{"a multicast route as it is", learned(prefix(700), far(7), false), 0, 0},
		{"a multicast route with nothing tracked under it", learned(prefix(501), "10.0.0.9", false), 0, 0},
		{"a shorter prefix that hides nothing", learned(netip.MustParsePrefix("20.0.0.0/16"), "10.0.0.9", false), 3, 0},
		{"a unicast route, nearer than those of IBGP", unicast(prefix(600), "10.0.0.3", false), 1, 1},
		{"a unicast route of somewhere else", unicast(netip.MustParsePrefix("30.0.0.0/8"), "10.0.0.3", false), 0, 0},
		{"the way to a next hop", unicast(netip.PrefixFrom(netip.MustParseAddr(far(3)), 32), "10.0.0.3", false), tracked / 10, tracked / 10},
		{"a next hop is lost", unicast(netip.PrefixFrom(netip.MustParseAddr(far(4)), 32), "10.0.0.2", true), tracked / 10, tracked / 10},
	} {
		m.Step(now, test.event)
		m.settleGateways() // as Settled does first: it touches what depends on a next hop
		touched := len(m.dirty)
		told := len(m.Step(now, engine.Settled{}))
		if touched != test.touched || told != test.told {
			t.Errorf("%s: %d looked up and %d told, want %d and %d", test.what, touched, told, test.touched, test.told)
		}
	}
}
