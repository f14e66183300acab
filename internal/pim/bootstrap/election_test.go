package bootstrap

import (
	"fmt"
	"math/big"
	"net/netip"
	"slices"
	"testing"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/wire"
)

// quiescent is longer than all that a change may take: a BSR dies (BS_Timeout), another is elected (BS_Rand_Override), an RP is
// silent (2.5 times C_RP_Adv_Period at the BSR), and its last mapping expires (as long again).
const quiescent = 800 * time.Second

// slowWeight is the weight of section 3.1, read literally: the concatenation of the priority and the address.
func slowWeight(priority uint8, a netip.Addr) *big.Int {
	return new(big.Int).SetBytes(append([]byte{priority}, a.AsSlice()...))
}

// slowBest is the router that is elected among some for a scope: the one with the highest weight.
func slowBest(routers map[*router]bool, scope netip.Prefix) *router {
	var best *router
	for r := range routers {
		c := r.cfg.Candidate
		if c == nil || scope.IsValid() && !slices.Contains(c.Zones, scope) {
			continue
		}
		if best == nil || slowWeight(c.Priority, c.Address).Cmp(slowWeight(best.cfg.Candidate.Priority, best.cfg.Candidate.Address)) > 0 {
			best = r
		}
	}
	return best
}

// randomNetwork is two clusters of routers that one link joins, which may be the border of a scope: so the zones on both sides
// are convex, as section 1.3 demands.
func randomNetwork(t reporter, seed uint64) (n *network, scope netip.Prefix) {
	family := engine.IPv4
	if seed%3 == 2 {
		family = engine.IPv6
	}
	n = newNetwork(t, family, seed)
	n.slow, n.small = n.rng.IntN(2) == 0, n.rng.IntN(3) == 0
	if n.rng.IntN(2) == 0 {
		scope = netip.MustParsePrefix("239.0.0.0/8")
		if family == engine.IPv6 {
			scope = netip.MustParsePrefix("ff05::/16")
		}
	}
	var clusters [2][]*router
	for side := range clusters {
		for range 1 + n.rng.IntN(5) {
			address := fmt.Sprintf("10.%d.%d.%d", 200+n.rng.IntN(3), n.rng.IntN(3), len(n.routers)+1)
			if family == engine.IPv6 {
				address = fmt.Sprintf("2001:db8:%x::%x:%x", n.rng.IntN(3), n.rng.IntN(3), len(n.routers)+1)
			}
			r := n.addRouter(address, Config{})
			clusters[side] = append(clusters[side], r)
			if first := len(clusters[side]) == 1; first || n.rng.IntN(3) == 0 {
				r.cfg.Candidate = &Candidate{Address: r.address, Priority: uint8(n.rng.IntN(3) * 127), HashMaskLen: uint8(28 + n.rng.IntN(4))}
				if scope.IsValid() && (first || n.rng.IntN(2) == 0) {
					r.cfg.Candidate.Zones = []netip.Prefix{scope}
				}
			}
			if n.rng.IntN(2) == 0 {
				r.cfg.CandidateRPs = []CandidateRP{{Address: r.address, Priority: uint8(n.rng.IntN(2)), Groups: n.someRanges(scope)}}
			}
		}
		c := clusters[side]
		for i := 1; i < len(c); i++ {
			n.addLink(c[n.rng.IntN(i)], c[i])
		}
		if len(c) >= 3 {
			for range n.rng.IntN(3) {
				perm := n.rng.Perm(len(c))
				var lan []*router
				for _, i := range perm[:2+n.rng.IntN(len(c)-1)] {
					lan = append(lan, c[i])
				}
				n.addLink(lan...)
			}
		}
	}
	bridge := n.addLink(clusters[0][0], clusters[1][0])
	if scope.IsValid() {
		bridge.boundaries = []netip.Prefix{scope}
	}
	return n, scope
}

// someRanges are groups of a Candidate-RP: all of them, or some, or some inside a scope.
func (n *network) someRanges(scope netip.Prefix) []netip.Prefix {
	ranges := []string{"224.0.0.0/4", "225.1.0.0/16", "239.1.0.0/16"}
	if n.family == engine.IPv6 {
		ranges = []string{"ff00::/8", "ff1e::/32", "ff15:1::/32"}
	}
	switch n.rng.IntN(3) {
	case 0:
		return nil
	case 1:
		return []netip.Prefix{netip.MustParsePrefix(ranges[1])}
	}
	list := []netip.Prefix{netip.MustParsePrefix(ranges[n.rng.IntN(2)])}
	if scope.IsValid() {
		list = append(list, netip.MustParsePrefix(ranges[2]))
	}
	return list
}

// slowRPSet is what section 3.2 and 3.3 make of the Candidate-RPs of a partition: the mappings that the BSR of a scope announces.
// scopes are those whose zone every router is in.
func slowRPSet(candidates map[*router]bool, bsr *router, scope netip.Prefix, scopes []netip.Prefix) []Mapping {
	var list []Mapping
	if bsr == nil {
		return nil
	}
	family := bsr.n.family
	for r := range candidates {
		for _, rp := range r.cfg.CandidateRPs {
			groups := rp.Groups
			if len(groups) == 0 {
				groups = []netip.Prefix{allMulticast(family)}
			}
			var sent []netip.Prefix
			for _, g := range groups {
				var home netip.Prefix
				for _, s := range scopes {
					if family == engine.IPv4 && s.Overlaps(g) && s.Bits() <= g.Bits() ||
						family == engine.IPv6 && g.Bits() >= 16 && g.Addr().As16()[1]&15 == s.Addr().As16()[1]&15 {
						home = s
					}
				}
				switch {
				case home == scope:
					sent = append(sent, g)
				case !scope.IsValid():
				case family == engine.IPv4 && g.Overlaps(scope) && g.Bits() < scope.Bits():
					sent = append(sent, scope)
				case family == engine.IPv6 && g.Bits() < 16:
					for flags := range byte(16) {
						sent = append(sent, netip.PrefixFrom(netip.AddrFrom16([16]byte{0xff, flags<<4 | scope.Addr().As16()[1]}), 16))
					}
				}
			}
			for _, g := range sent {
				list = append(list, Mapping{Groups: g, RP: rp.Address, Priority: rp.Priority, HashMaskLen: bsr.cfg.Candidate.HashMaskLen})
			}
		}
	}
	return list
}

// checkQuiescent compares what all routers know with what the rules say of the network as it is.
func checkQuiescent(t reporter, n *network, scope netip.Prefix) {
	t.Helper()
	inside := func(l *link) bool { return !slices.Contains(l.boundaries, scope) }
	scopes := []netip.Prefix{}
	if scope.IsValid() {
		scopes = append(scopes, scope)
	}
	for _, r := range n.routers {
		if !r.up {
			continue
		}
		all := n.component(r, nil)
		var want []Mapping
		// Where a side of a border has lost all its candidates, who is told of the groups of the scope depends on what has been
		// before: section 1.3 forbids it.
		fair := true
		for o := range all {
			fair = fair && (!scope.IsValid() || slowBest(n.component(o, inside), scope) != nil)
		}
		for _, s := range append([]netip.Prefix{{}}, scopes...) {
			part := all
			if s.IsValid() {
				part = n.component(r, inside)
			}
			best := slowBest(part, s)
			z := r.b.zones[s]
			switch {
			case z == nil && best == nil:
				continue
			case z == nil:
				t.Errorf("%v does not know zone %v, whose BSR is %v", r, s, best)
				continue
			}
			state, bsr := AcceptPreferred, weight{}
			c := r.cfg.Candidate
			candidate := c != nil && (!s.IsValid() || slices.Contains(c.Zones, s))
			switch {
			case best == nil:
				state = AcceptAny
			case best == r:
				state = ElectedBSR
			case candidate:
				state = CandidateBSR
			}
			if best != nil {
				bsr = weight{best.cfg.Candidate.Priority, best.cfg.Candidate.Address}
			}
			if z.state != state || z.bsr != bsr {
				t.Errorf("%v, zone %v: %v with BSR %v, want %v with %v", r, s, z.state, z.bsr, state, bsr)
			}
			want = append(want, slowRPSet(part, best, s, scopes)...)
		}
		slices.SortFunc(want, Mapping.compare)
		if fair && !slices.Equal(r.told, slices.Compact(want)) {
			t.Errorf("%v has the mappings\n%v\nwant\n%v", r, r.told, want)
		}
		r.checkInvariants(t)
	}
}

// checkInvariants holds at any time on any router.
func (r *router) checkInvariants(t reporter) {
	t.Helper()
	timers, tracked := 0, map[netip.Addr]int{}
	count := func(x *engine.Timer) bool {
		if x.Running() {
			timers++
		}
		return x.Running()
	}
	for _, z := range r.b.zones {
		bst, szt := count(&z.bst), count(&z.szt)
		if bst == (z.state == AcceptAny) {
			t.Errorf("%v, zone %v, %v: the Bootstrap Timer runs: %v", r, z.scope, z.state, bst)
		}
		if szt != (z.state == AcceptAny && !z.configured) {
			t.Errorf("%v, zone %v, %v, configured %v: the Scope-Zone Expiry Timer runs: %v", r, z.scope, z.state, z.configured, szt)
		}
		if known := z.state != AcceptAny && z.state != PendingBSR; z.bsr.address.IsValid() != known {
			t.Errorf("%v, zone %v, %v: BSR %v", r, z.scope, z.state, z.bsr)
		}
		if z.bsr.address.IsValid() {
			tracked[z.bsr.address]++
		}
		if (z.self != nil) != (z.state >= CandidateBSR) {
			t.Errorf("%v, zone %v, %v: candidate %v", r, z.scope, z.state, z.self)
		}
		if len(z.last) > maxFragments {
			t.Errorf("%v, zone %v: %d fragments", r, z.scope, len(z.last))
		}
		mappings := 0
		for p, g := range z.ranges {
			if len(g.rps) == 0 || g.groups != p {
				t.Errorf("%v, zone %v, %v: %+v", r, z.scope, p, g)
			}
			for _, m := range g.rps {
				mappings++
				if !count(&m.expiry) {
					t.Errorf("%v, zone %v: the mapping of %v to %v does not expire", r, z.scope, p, m.rp)
				}
			}
		}
		waiting := 0
		for _, part := range z.partial {
			waiting += len(part.rps)
		}
		if waiting != z.partialRPs || waiting > r.b.cfg.MaxMappings {
			t.Errorf("%v, zone %v: %d RPs of ranges that are not whole, counted %d", r, z.scope, waiting, z.partialRPs)
		}
		if mappings != z.mappings || mappings > r.b.cfg.MaxMappings {
			t.Errorf("%v, zone %v: %d mappings, counted %d", r, z.scope, mappings, z.mappings)
		}
	}
	candidates := 0
	for p, o := range r.b.offered {
		if r.b.homeOf(p) == nil {
			t.Errorf("%v has candidates for %v, and is the BSR of none", r, p)
		}
		for _, x := range o.offers {
			candidates++
			if count(&x.expiry) == x.withdrawn {
				t.Errorf("%v: candidate %v of %v withdrawn %v, its timer runs: %v", r, x.rp, p, x.withdrawn, x.expiry.Running())
			}
		}
	}
	if candidates != r.b.candidates || candidates > r.b.cfg.MaxMappings {
		t.Errorf("%v: %d candidates, counted %d", r, candidates, r.b.candidates)
	}
	for _, rp := range r.b.rps {
		for _, a := range rp.advertised {
			count(&a.timer)
		}
	}
	if timers != r.timers.Len() {
		t.Errorf("%v: %d timers run, %d are known", r, r.timers.Len(), timers)
	}
	for a, k := range tracked {
		if r.tracked[a] != k {
			t.Errorf("%v: the path to BSR %v is tracked %d times, want %d", r, a, r.tracked[a], k)
		}
	}
	if len(r.tracked) != len(tracked) {
		t.Errorf("%v tracks %v, want %v", r, r.tracked, tracked)
	}
}

// trouble does something to a network at random.
func (n *network) trouble() {
	r := n.routers[n.rng.IntN(len(n.routers))]
	l := n.links[n.rng.IntN(len(n.links))]
	switch n.rng.IntN(6) {
	case 0:
		if r.up {
			n.crash(r)
		}
	case 1, 2:
		n.startRouter(r)
	case 3:
		n.setUp(l, false)
	case 4:
		n.setUp(l, true)
	case 5: // an orderly end
		if r.up {
			r.b.Stop(n.now)
			n.after(time.Second, func() { n.startRouter(r) })
		}
	}
	n.run(time.Duration(n.rng.IntN(60)) * time.Second)
}

// play starts a random network, lets things happen to it, and checks it three times.
func play(t reporter, seed uint64, plant func(*network)) {
	n, scope := randomNetwork(t, seed)
	if plant != nil {
		plant(n)
	}
	for _, r := range n.routers {
		n.startRouter(r)
		n.run(time.Duration(n.rng.IntN(40)) * time.Second)
	}
	n.run(quiescent)
	checkQuiescent(t, n, scope)
	for _, l := range n.links {
		l.loss = float64(n.rng.IntN(2)) * 0.3
	}
	for range 5 + n.rng.IntN(10) {
		n.trouble()
	}
	for _, l := range n.links {
		l.loss = 0
	}
	n.run(quiescent)
	checkQuiescent(t, n, scope)
	for _, l := range n.links {
		n.setUp(l, true)
	}
	for _, r := range n.routers {
		if !r.up {
			n.startRouter(r)
		}
	}
	n.run(quiescent)
	checkQuiescent(t, n, scope)
	for _, r := range n.routers {
		r.b.Stop(n.now)
		if r.timers.Len() > 0 || len(r.tracked) > 0 || len(r.told) > 0 {
			t.Errorf("%v after its end: %d timers, tracked %v, mappings %v", r, r.timers.Len(), r.tracked, r.told)
		}
	}
}

// TestElection: whatever the weights, the topology, the times of start, losses, partitions and restarts, when all has come to
// rest every router of a partition has the BSR with the highest weight of all candidates there, and its RP-Set; so there is one
// Elected-BSR of each zone (section 3.1).
func TestElection(t *testing.T) {
	seeds := uint64(300)
	if testing.Short() {
		seeds = 60
	}
	for seed := range seeds {
		play(t, seed, nil)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// finder is a reporter that wants a fault.
type finder struct{ first string }

func (f *finder) Helper() {}

func (f *finder) Errorf(format string, args ...any) {
	if f.first == "" {
		f.first = fmt.Sprintf(format, args...)
	}
}

// found ends the play of a network whose fault is found.
type found struct{}

func (f *finder) Fatal(args ...any) {
	f.Errorf("%s", fmt.Sprint(args...))
	panic(found{})
}

func (f *finder) Fatalf(format string, args ...any) {
	f.Errorf(format, args...)
	panic(found{})
}

// finds says what is wrong in the network of a seed with a planted fault.
func finds(seed uint64, plant func(*network)) string {
	f := new(finder)
	func() {
		defer func() {
			if p := recover(); p != nil && p != (found{}) {
				panic(p)
			}
		}()
		play(f, seed, plant)
	}()
	return f.first
}

// TestPlantedFaults: faults of all routers of a network, each of which TestElection would find on some of its networks.
func TestPlantedFaults(t *testing.T) {
	edit := func(edit func(*wire.Bootstrap)) func(*network) {
		return func(n *network) { n.heard = edit }
	}
	for _, fault := range []struct {
		name  string
		plant func(*network)
	}{
		{"no RPF check", func(n *network) {
			n.maxEvents = 20_000
			n.tamper = func(e *Env) { e.WhenPathKnown = func(_ netip.Addr, f func(netip.Addr)) { f(n.lastSource) } }
		}},
		{"the weight is compared the wrong way", edit(func(m *wire.Bootstrap) { m.Priority = 255 - m.Priority })},
		{"the address is no part of the weight", func(n *network) {
			// Of two with one priority the first to be heard stays.
			n.heard = func(m *wire.Bootstrap) {
				if n.first == nil {
					n.first = map[uint8]netip.Addr{}
				}
				if a, ok := n.first[m.Priority]; ok && a != m.BSR && m.Priority > 0 {
					m.Priority--
				} else {
					n.first[m.Priority] = m.BSR
				}
			}
		}},
		{"fragments are applied though there is more of their ranges", func(n *network) {
			n.small = true
			n.heard = func(m *wire.Bootstrap) {
				for i := range m.Ranges {
					m.Ranges[i].RPCount = uint8(len(m.Ranges[i].RPs))
				}
			}
		}},
		{"no-forward messages are forwarded", func(n *network) {
			exempt := false // from the RPF check, as they are
			n.heard = func(m *wire.Bootstrap) { exempt, m.NoForward = m.NoForward, false }
			n.tamper = func(e *Env) {
				known := e.WhenPathKnown
				e.WhenPathKnown = func(a netip.Addr, f func(netip.Addr)) {
					if exempt {
						f(n.lastSource)
					} else {
						known(a, f)
					}
				}
			}
		}},
		{"messages are not forwarded", func(n *network) {
			n.tamper = func(e *Env) {
				multicast := e.Multicast
				e.Multicast = func(i engine.IfID, m *wire.Bootstrap) {
					if m.NoForward || e.Local(m.BSR) {
						multicast(i, m)
					}
				}
			}
		}},
		{"the border of a scope does not hold", func(n *network) { n.noBorders = true }},
		{"RPs with holdtime 0 stay", edit(func(m *wire.Bootstrap) {
			for _, r := range m.Ranges {
				for i := range r.RPs {
					r.RPs[i].Holdtime = 65535 * time.Second
				}
			}
		})},
		{"the hash mask length is lost", edit(func(m *wire.Bootstrap) { m.HashMaskLen = 30 })},
		{"the Zone bit is lost", edit(func(m *wire.Bootstrap) {
			for i := range m.Ranges {
				m.Ranges[i].Group.Zone = false
			}
		})},
	} {
		t.Run(fault.name, func(t *testing.T) {
			for seed := range uint64(60) {
				if what := finds(seed, fault.plant); what != "" {
					t.Logf("seed %d: %s", seed, what)
					return
				}
			}
			t.Error("it is not found in 60 networks")
		})
	}
}
