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
// peers it makes N, and then what becomes of a message from each of them; and again whenever something changed on which that
// depends.
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
		for _, n := range rng.Perm(3) {
			bits := []int{8, 15, 32}[n]
			if rng.IntN(2) == 0 {
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
		path := w.paths[rp]
		if path.BGP == nil { // else the RP is a peer of which BGP knows
			path = randomPath(rng, w, rp, someone)
		}
		w.paths[rp] = path
		if w.track[rp] {
			w.event(path)
		}
		rules[judge(t, w, rng, seed, 0, up, asOf, rp)]++
		// What the choice depends on changes under it: peers come and go, the route, the configuration, where BGP says that a peer is.
		for round := 1; round <= 4; round++ {
			n := rng.IntN(len(w.cfg.Peers))
			a := w.cfg.Peers[n].Address
			switch rng.IntN(6) {
			case 0:
				if w.open[w.peers[a]] {
					id := w.peers[a]
					delete(w.open, id)
					w.event(engine.StreamClosed{ID: id, Err: "gone"})
				} else if w.dial[w.peers[a]] || w.listens(a) {
					w.connect(a)
				}
			case 1:
				if own := w.paths[rp]; own.BGP == nil || !slices.ContainsFunc(w.cfg.Peers, func(p msdp.PeerConfig) bool { return p.Address == rp }) {
					path := randomPath(rng, w, rp, someone)
					w.paths[rp] = path
					if w.track[rp] {
						w.event(path)
					}
				}
			case 2:
				w.cfg.Peers = slices.Clone(w.cfg.Peers)
				p := &w.cfg.Peers[n]
				p.MeshGroup, p.Default = pick(rng, "", "", "a"), rng.IntN(2) == 0
				w.event(engine.Configure{Config: w.cfg})
			case 3:
				w.cfg.StaticRPF = []msdp.StaticRPF{{RPs: netip.PrefixFrom(rp, pick(rng, 8, 32)).Masked(), Peer: a}}
				w.event(engine.Configure{Config: w.cfg})
			case 4:
				w.cfg.OriginatorID = pick(rng, netip.Addr{}, netip.Addr{}, rp)
				w.event(engine.Configure{Config: w.cfg})
			case 5:
				if as := pick(rng, uint32(65001), 65002); w.cfg.Peers[n].AS == 0 && a != rp {
					asOf[a] = as
					w.paths[a] = engine.Path{Addr: a, BGP: &engine.BGPPath{ASPath: []uint32{65009, as}}}
					w.event(w.paths[a])
				}
			}
			up = nil
			for _, p := range w.cfg.Peers {
				if w.open[w.peers[p.Address]] {
					up = append(up, p)
				}
			}
			rules[judge(t, w, rng, seed, round, up, asOf, rp)]++
		}
	}
	for _, r := range []string{"self", "i", "ii", "iii", "iv", "v", "default", "only", "none"} {
		if rules[r] < 5 {
			t.Errorf("rule %s was tried %d times: %v", r, rules[r], rules)
		}
	}
}

// randomPath is what rib may say of an RP.
func randomPath(rng *rand.Rand, w *world, rp netip.Addr, someone func() netip.Addr) engine.Path {
	path := engine.Path{Addr: rp, Prefix: netip.PrefixFrom(rp, 24).Masked()}
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
	return path
}

// judge compares the machine with the slow reading and returns the rule that the latter finds: what becomes of a message from
// each peer that is up, and what is explained.
func judge(t *testing.T, w *world, rng *rand.Rand, seed uint64, round int, up []msdp.PeerConfig, asOf map[netip.Addr]uint32, rp netip.Addr) string {
	t.Helper()
	path := w.paths[rp]
	rule, want := slowReading(w.cfg, up, asOf, rp, path)
	verdicts := map[netip.Addr]bool{}
	for n, p := range up {
		source := nth(addr("10.1.0.0"), round<<8|n)
		w.send(p.Address, &wire.SourceActive{RP: rp, Entries: []wire.Entry{{Source: source, Group: addr("225.1.1.1"), PrefixLen: 32}}})
		var got bool
		for _, e := range w.m.Step(w.now, engine.Query{What: "sa-cache"}) {
			for _, s := range e.(engine.Answer).Value.([]msdp.SAShow) {
				got = got || s.Key.Source == source
			}
		}
		verdicts[p.Address] = rule != "self" && (p.MeshGroup != "" || want == p.Address)
		if got != verdicts[p.Address] {
			t.Fatalf("seed %d, round %d: from %v: accepted %v; RPF peer %v by %s\n%+v\n%+v %+v", seed, round, p.Address, got, want, rule,
				w.cfg.Peers, path, path.BGP)
		}
	}
	var said []engine.Effect
	for _, ev := range []engine.Event{engine.Query{What: "rpf", Arg: rp.String()}, path} { // which asks rib if it was not asked yet
		said = append(said, slices.Clone(w.m.Step(w.now, ev))...)
	}
	w.track[rp] = true
	explained := false
	for _, e := range said {
		a, ok := e.(engine.Answer)
		if !ok {
			continue
		}
		explained = true
		x := a.Value.(msdp.RPFShow)
		if x.RPFPeer != want || ruleNames[rule] != x.Rule {
			t.Fatalf("seed %d, round %d: explains that the RPF peer is %v by %q, want %v by %s", seed, round, x.RPFPeer, x.Rule, want, rule)
		}
		for _, p := range x.Peers {
			accepts, isUp := verdicts[p.Peer]
			if p.Established != isUp || isUp && p.Accepted != accepts {
				t.Fatalf("seed %d, round %d: explains of %v: %+v, want accepted %v", seed, round, p.Peer, p, accepts)
			}
		}
	}
	if !explained {
		t.Fatalf("seed %d, round %d: nothing is explained", seed, round)
	}
	return rule
}

// ruleNames are the rules as they are explained.
var ruleNames = map[string]string{
	"self": "the RP is this router", "i": "(i) the peer is the RP", "ii": "(ii) the peer is the EBGP next hop",
	"iii": "(iii) the peer advertised the route or is the next hop", "iv": "(iv) the peer is in the closest AS", "v": "(v) static RPF peer",
	"default": "default peer", "only": "only peer", "none": "no rule",
}

// slowReading returns the RPF neighbor and the rule by which it is that.
func slowReading(cfg msdp.Config, up []msdp.PeerConfig, asOf map[netip.Addr]uint32, rp netip.Addr, path engine.Path) (string, netip.Addr) {
	if path.Local || rp == cfg.OriginatorID {
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
