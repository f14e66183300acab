package sim

import (
	"net/netip"
	"testing"
	"time"

	"grove/daemon/config"
	"grove/internal/engine"
	"grove/internal/rib"
)

// TestLearn: the routes that BGP would bring serve the RPF check, with what MSDP wants to know of them; across a restart and a
// new configuration; and until others take their place.
func TestLearn(t *testing.T) {
	parse := func(text string) *config.Config {
		c, err := config.Parse("test", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	const (
		unicast = "interfaces:\n  eth1: {addresses: [10.0.1.1/24], pim: {}}\n  eth2: {addresses: [10.0.2.1/24], pim: {}}\nroutes: [{to: 10.9.0.0/16, via: 10.0.2.2}]\n"
		both    = unicast + "rpf-lookup: mrib-then-urib\n"
	)
	s := New(1, Options{Unicast: Static})
	a := s.AddRouter("a", parse(both), RouterOptions{})
	b := s.AddRouter("b", parse("interfaces: {eth1: {addresses: [10.0.1.2/24]}, eth2: {addresses: [10.0.2.2/24]}}"), RouterOptions{})
	s.AddLink("l1", LinkOptions{}, End{Node: a, If: "eth1"}, End{Node: b, If: "eth1"})
	s.AddLink("l2", LinkOptions{}, End{Node: a, If: "eth2"}, End{Node: b, If: "eth2"})
	learned := func(to string) []engine.MRIBRoute {
		via := netip.MustParseAddr("10.0.1.2")
		return []engine.MRIBRoute{{
			Prefix: netip.MustParsePrefix(to), Hops: []engine.NextHop{{Gateway: via, Weight: 1}},
			BGP: &engine.BGPPath{NextHop: via, Neighbor: via, ASPath: []uint32{2, 3}},
		}}
	}
	expect := func(when, origin, gateway string) {
		t.Helper()
		s.Run(s.Now() + time.Second)
		v, err := s.Query(a, engine.MachineID{Protocol: engine.RIB, Family: engine.IPv4}, "rpf", "10.9.0.1")
		if err != nil {
			t.Fatal(err)
		}
		r := v.(rib.RPF)
		if r.Origin != origin || len(r.Hops) != 1 || r.Hops[0].Gateway.String() != gateway || (r.BGP != nil) != (origin == "bgp") {
			t.Errorf("%s: by %s via %v, BGP %+v; want %s via %s", when, r.Origin, r.Hops, r.BGP, origin, gateway)
		}
	}
	a.Router().Learn(learned("10.9.0.0/16"))
	expect("told before the start", "bgp", "10.0.1.2")
	a.Router().Restart()
	expect("after a restart", "bgp", "10.0.1.2")
	a.Router().Configure(parse(unicast + "rpf-lookup: urib-only\n"))
	expect("where unicast routes alone count", "static", "10.0.2.2")
	a.Router().Configure(parse(both))
	expect("with the first configuration again", "bgp", "10.0.1.2")
	a.Router().Learn(learned("10.8.0.0/16"))
	expect("when another took its place", "static", "10.0.2.2")
	a.Router().Learn(learned("10.9.0.0/16"))
	expect("when it is back", "bgp", "10.0.1.2")
	a.Router().Learn(nil)
	expect("when there is none", "static", "10.0.2.2")
}
