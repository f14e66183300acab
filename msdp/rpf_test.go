package msdp_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"grove/internal/engine"
	"grove/msdp"
	"grove/msdp/wire"
)

// TestPeerRPF compares the machine with a slow reading of RFC 3618, section 10.1.3: for each rule in turn, which of the established
// peers it makes N, and then what becomes of a message from each of them.
func TestPeerRPF(t *testing.T) {
	rules := map[string]int{}
	for seed := range uint64(600) {
		rng := rand.New(rand.NewPCG(seed, 5))
		w := newWorld(t)
		w.nosay = true
		var up []msdp.PeerConfig
		asOf := map[netip.Addr]uint32{}
		for n := range 1 + rng.IntN(5) {
			a := addr(fmt.Sprintf("10.0.0.%d", pick(rng, 1, 2, 3, 4, 6, 7, 8)+10*(n%2)))
			if slices.ContainsFunc(w.cfg.Peers, func(p msdp.PeerConfig) bool { return p.Address == a }) {
				continue
			}
			p := msdp.PeerConfig{
				Address: a, Local: local, AS: pick(rng, 0, 0, uint32(65001), 65002), MeshGroup: pick(rng, "", "", "", "a", "b"),
				Default: rng.IntN(5) == 0,
			}
			if rng.IntN(2) == 0 {
				p.DefaultFor = []netip.Prefix{netip.MustParsePrefix("10.254.0.0/16")}
			}
			if as := pick(rng, 0, uint32(65001), 65002); as != 0 { // where BGP says that the peer is
				w.paths[a] = engine.Path{Addr: a, BGP: &engine.BGPPath{ASPath: []uint32{65009, as}}}
				asOf[a] = as
			}
			if p.AS != 0 {
				asOf[a] = p.AS
			}
			w.cfg.Peers = append(w.cfg.Peers, p)
		}
		someone := func() netip.Addr {
			return pick(rng, w.cfg.Peers[rng.IntN(len(w.cfg.Peers))].Address, addr("10.7.7.7"))
		}
		for _, bits := range []int{8, 15, 32} {
			if rng.IntN(4) == 0 {
				w.cfg.StaticRPF = append(w.cfg.StaticRPF, msdp.StaticRPF{RPs: netip.PrefixFrom(addr("10.255.0.1"), bits).Masked(), Peer: someone()})
			}
		}
		w.do([]string{"addr", local.String()})
		w.event(engine.Configure{Config: w.cfg})
		for _, p := range w.cfg.Peers {
			if rng.IntN(4) > 0 {
				w.connect(p.Address)
				up = append(up, p)
			}
		}
		rp := pick(rng, addr("10.255.0.1"), addr("10.254.0.1"), someone())
		path := engine.Path{Addr: rp, Prefix: netip.PrefixFrom(rp, 24).Masked()}
		if own := w.paths[rp]; own.BGP != nil {
			path = own // the RP is a peer of which BGP knows
		} else {
			switch rng.IntN(6) {
			case 0: // unreachable
			case 1:
				path.Local = !slices.ContainsFunc(w.cfg.Peers, func(p msdp.PeerConfig) bool { return p.Address == rp })
			case 2:
				path.Origin, path.Hops = "ospf", []engine.NextHop{{If: 2, Gateway: someone()}, {If: 3, Gateway: someone()}}
			default:
				path.Hops = []engine.NextHop{{If: 2, Gateway: someone()}}
				path.BGP = &engine.BGPPath{NextHop: someone(), Neighbor: someone(), Internal: rng.IntN(2) == 0}
				for range rng.IntN(3) {
					path.BGP.ASPath = append(path.BGP.ASPath, pick(rng, uint32(65001), 65002, 65003))
				}
			}
		}
		w.paths[rp] = path
		if w.track[rp] {
			w.event(path)
		}
		rule, want := slowReading(w.cfg, up, asOf, rp, path)
		rules[rule]++
		for _, p := range w.cfg.Peers {
			if !slices.ContainsFunc(up, func(o msdp.PeerConfig) bool { return o.Address == p.Address }) {
				continue
			}
			source := addr("10.1.0.0").Next()
			for range p.Address.As4()[3] {
				source = source.Next()
			}
			w.send(p.Address, &wire.SourceActive{RP: rp, Entries: []wire.Entry{{Source: source, Group: addr("225.1.1.1"), PrefixLen: 32}}})
			var got bool
			for _, e := range w.m.Step(w.now, engine.Query{What: "sa-cache"}) {
				for _, s := range e.(engine.Answer).Value.([]msdp.SAShow) {
					got = got || s.Key.Source == source
				}
			}
			accepted := rule != "self" && (p.MeshGroup != "" || want == p.Address)
			if got != accepted {
				t.Fatalf("seed %d: from %v: accepted %v; RPF peer %v by %s\n%+v\n%+v %+v", seed, p.Address, got, want, rule, w.cfg.Peers, path, path.BGP)
			}
		}
		for _, e := range w.m.Step(w.now, engine.Query{What: "rpf", Arg: rp.String()}) {
			if a, ok := e.(engine.Answer); ok {
				if v := a.Value.(msdp.RPFShow); v.RPFPeer != want {
					t.Fatalf("seed %d: explains that the RPF peer is %v, want %v by %s", seed, v.RPFPeer, want, rule)
				}
			}
		}
	}
	for _, r := range []string{"self", "i", "ii", "iii", "iv", "v", "default", "only", "none"} {
		if rules[r] < 5 {
			t.Errorf("rule %s was tried %d times: %v", r, rules[r], rules)
		}
	}
}

// slowReading returns the RPF neighbor and the rule by which it is that.
func slowReading(cfg msdp.Config, up []msdp.PeerConfig, asOf map[netip.Addr]uint32, rp netip.Addr, path engine.Path) (string, netip.Addr) {
	if path.Local {
		return "self", netip.Addr{}
	}
	bgp := path.BGP
	if bgp == nil {
		bgp = &engine.BGPPath{}
	}
	matches := []struct {
		rule string
		is   func(n msdp.PeerConfig) bool
	}{
		{"i", func(n msdp.PeerConfig) bool { return n.Address == rp }},
		{"ii", func(n msdp.PeerConfig) bool { return path.BGP != nil && !bgp.Internal && n.Address == bgp.NextHop }},
		{"iii", func(n msdp.PeerConfig) bool { return path.BGP != nil && n.Address == bgp.Neighbor }},
		{"iii", func(n msdp.PeerConfig) bool { return path.BGP != nil && bgp.Internal && n.Address == bgp.NextHop }},
		{"iii", func(n msdp.PeerConfig) bool {
			return path.BGP == nil && len(path.Hops) > 0 && n.Address == path.Hops[0].Gateway
		}},
		{"iv", func(n msdp.PeerConfig) bool {
			if len(bgp.ASPath) == 0 || asOf[n.Address] != bgp.ASPath[0] {
				return false
			}
			for _, o := range up { // nobody of that AS has a higher address
				if asOf[o.Address] == bgp.ASPath[0] && n.Address.Less(o.Address) {
					return false
				}
			}
			return true
		}},
	}
	for bits := 32; bits >= 0; bits-- {
		for _, s := range cfg.StaticRPF {
			if s.RPs.Bits() == bits && s.RPs.Contains(rp) {
				matches = append(matches, struct {
					rule string
					is   func(n msdp.PeerConfig) bool
				}{"v", func(n msdp.PeerConfig) bool { return n.Address == s.Peer }})
			}
		}
	}
	for _, m := range matches {
		for _, n := range up {
			if m.is(n) {
				return m.rule, n.Address
			}
		}
	}
	for _, n := range up {
		covered := len(n.DefaultFor) == 0
		for _, p := range n.DefaultFor {
			covered = covered || p.Contains(rp)
		}
		if n.Default && covered {
			return "default", n.Address
		}
	}
	if len(cfg.Peers) == 1 && len(up) == 1 {
		return "only", up[0].Address
	}
	return "none", netip.Addr{}
}
