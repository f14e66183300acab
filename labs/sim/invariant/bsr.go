package invariant

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"grove/internal/engine"
	"grove/internal/pim/bootstrap"
	"grove/pimsm"
)

// BSR is the Protocol of networks of PIM-SM in which the routers learn their RPs from a Bootstrap Router (RFC 5059). Their
// invariant is
//
//   - agree: at rest all routers know the same BSR, the candidate with the highest priority and address that there is; the same
//     mappings, those of all Candidate-RPs that there are; and the same RP for every group, the one that RFC 7761, section 4.7
//     says.
const BSR engine.Protocol = "bsr"

// candidates are the Candidate-BSRs and Candidate-RPs of a network.
type candidates struct {
	bsrs []candidate
	rps  []candidate
	gone []bool // by router: it has lost its address, and is no candidate
}

// candidate is a router as one of them.
type candidate struct {
	router   int
	priority int
	mask     int            // of a BSR: the length of the hash mask
	groups   []netip.Prefix // of an RP
}

// planCandidates makes up to three Candidate-BSRs and two to four Candidate-RPs, of which the first takes all groups.
func (n *Network) planCandidates(routers int) {
	all, some, one := "224.0.0.0/4", "239.1.0.0/16", "239.1.1.2/32"
	if n.Family == engine.IPv6 {
		all, some, one = "ff00::/8", "ff0e::/112", "ff0e::1:2/128"
	}
	c := &candidates{gone: make([]bool, routers)}
	n.candidates = c
	for _, r := range n.rng.Perm(routers)[:1+n.rng.IntN(3)] {
		bits := netip.MustParsePrefix(one).Bits()
		c.bsrs = append(c.bsrs, candidate{router: r, priority: 64 + n.rng.IntN(2), mask: []int{0, bits - 4, bits - 2, bits}[n.rng.IntN(4)]})
	}
	for i, r := range n.rng.Perm(routers)[:2+n.rng.IntN(3)] {
		d := candidate{router: r, priority: 192 - n.rng.IntN(2), groups: []netip.Prefix{netip.MustParsePrefix(all)}}
		if kind := n.rng.IntN(5); i > 0 && kind < 2 {
			d.groups[0] = netip.MustParsePrefix([]string{some, one}[kind])
		}
		c.rps = append(c.rps, d)
	}
}

// candidacy writes what a router's configuration says of the mechanism.
func (n *Network) candidacy(r int) string {
	var parts []string
	for _, c := range n.candidates.bsrs {
		if c.router == r {
			parts = append(parts, fmt.Sprintf("candidate: {address: %q, priority: %d, hash-mask-length: %d}", n.loopback(r).Addr(), c.priority, c.mask))
		}
	}
	for _, c := range n.candidates.rps {
		if c.router == r {
			parts = append(parts, fmt.Sprintf("candidate-rp: [{address: %q, priority: %d, groups: [%q]}]", n.loopback(r).Addr(), c.priority, c.groups[0]))
		}
	}
	return "bsr: {" + strings.Join(parts, ", ") + "}"
}

// present returns the candidates of a list that have their address.
func (c *candidates) present(list []candidate) []candidate {
	return slices.DeleteFunc(slices.Clone(list), func(d candidate) bool { return c.gone[d.router] })
}

// retire takes the address of a candidate away, unless there would be no BSR then or no RP for some group. Every other one
// says no goodbye.
func (n *Network) retire(r int) {
	c := n.candidates
	if c.gone[r] {
		return
	}
	c.gone[r] = true
	all := func(d candidate) bool { return d.groups[0].Bits() <= 8 }
	if len(c.present(c.bsrs)) == 0 || !slices.ContainsFunc(c.present(c.rps), all) {
		c.gone[r] = false
		return
	}
	if n.rng.IntN(2) == 0 {
		n.Routers[r].Router().Restart()
	}
	n.Routers[r].Port("lo").SetAddrs(nil)
}

func (n *Network) retireSome() {
	c := slices.Concat(n.candidates.bsrs, n.candidates.rps)
	n.retire(c[n.rng.IntN(len(c))].router)
}

func (n *Network) returnSome() {
	for r, gone := range n.candidates.gone {
		if gone && n.rng.IntN(2) == 0 {
			n.candidates.gone[r] = false
			n.Routers[r].Port("lo").SetAddrs([]netip.Prefix{n.loopback(r)})
		}
	}
}

func (n *Network) playBSR() []step {
	steps := n.playSparse()
	for _, i := range []int{0, 1, 2} {
		play := steps[i].do
		steps[i].do = func() []Violation { return append(play(), n.agree()...) }
	}
	gone := step{"after candidates are gone", func() []Violation {
		n.retire(n.electedBSR().router)
		n.retireSome()
		n.Run(rest)
		return append(Delivery(n.Sim, n.Sources, window, Settled), n.agree()...)
	}}
	return slices.Insert(steps, 2, gone)
}

// electedBSR is the candidate that all routers have to know as the BSR.
func (n *Network) electedBSR() candidate {
	return slices.MaxFunc(n.candidates.present(n.candidates.bsrs), func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.priority, b.priority), n.loopback(a.router).Addr().Compare(n.loopback(b.router).Addr()))
	})
}

// offered is what a router knows of a Candidate-RP.
type offered struct {
	groups   netip.Prefix
	rp       netip.Addr
	priority uint8
	mask     uint8
}

// agree says which routers do not know the BSR, the mappings and the RPs that they should.
func (n *Network) agree() []Violation {
	w := walk{sim: n.Sim}
	id := engine.MachineID{Protocol: engine.PIMSM, Family: n.Family}
	elected := n.electedBSR()
	bsr := n.loopback(elected.router).Addr()
	want := make(map[offered]bool)
	for _, c := range n.candidates.present(n.candidates.rps) {
		want[offered{c.groups[0], n.loopback(c.router).Addr(), uint8(c.priority), uint8(elected.mask)}] = true
	}
	groups := slices.Clone(n.Groups[:2])
	for range 6 {
		last := groups[len(groups)-1]
		groups = append(groups, last.Next().Next().Next())
	}
	for _, at := range n.Routers {
		show, _ := w.ask(at, id, "bsr").(bootstrap.Show)
		known := netip.Addr{}
		for _, z := range show.Zones {
			if !z.Scope.IsValid() {
				known = z.BSR
			}
		}
		if known != bsr {
			w.add("agree", "%s knows the BSR %v, not %v", at.Name(), known, bsr)
		}
		have := make(map[offered]bool)
		mappings, _ := w.ask(at, id, "mappings").([]pimsm.MappingShow)
		for _, m := range mappings {
			have[offered{m.Groups, m.RP, m.Priority, m.HashMaskLen}] = true
		}
		if !maps.Equal(have, want) || len(have) != len(mappings) {
			w.add("agree", "%s has the mappings %v, not %v", at.Name(), mappings, want)
		}
		for _, g := range groups {
			v, err := n.Query(at, id, "mappings", g.String())
			if err != nil {
				w.add("fault", "%s: %v", at.Name(), err)
				continue
			}
			var chosen netip.Addr
			for _, m := range v.([]pimsm.MappingShow) {
				if m.Chosen {
					chosen = m.RP
				}
			}
			if rp := n.rpOf(g, elected.mask); chosen != rp {
				w.add("agree", "%s has the RP %v for %v, not %v", at.Name(), chosen, g, rp)
			}
		}
	}
	return w.found
}

// rpOf is section 4.7.1: the longest match, the lowest priority number, the highest hash value, the highest address.
func (n *Network) rpOf(g netip.Addr, mask int) netip.Addr {
	fits := slices.DeleteFunc(n.candidates.present(n.candidates.rps), func(c candidate) bool { return !c.groups[0].Contains(g) })
	best := slices.MaxFunc(fits, func(a, b candidate) int {
		x, y := n.loopback(a.router).Addr(), n.loopback(b.router).Addr()
		return cmp.Or(cmp.Compare(a.groups[0].Bits(), b.groups[0].Bits()), cmp.Compare(b.priority, a.priority),
			cmp.Compare(hash(g, mask, x), hash(g, mask, y)), x.Compare(y))
	})
	return n.loopback(best.router).Addr()
}

// hash is Value(G,M,C) of section 4.7.2, as the RFC writes it.
func hash(g netip.Addr, mask int, c netip.Addr) uint64 {
	masked := netip.PrefixFrom(g, mask).Masked().Addr()
	const a, b, m = 1103515245, 12345, 1 << 31
	return (a*((a*digest(masked)+b)^digest(c)) + b) % m
}

// digest is an IPv4 address, or the exclusive-or of the four words of an IPv6 address.
func digest(a netip.Addr) (d uint64) {
	bytes := a.AsSlice()
	for i := 0; i < len(bytes); i += 4 {
		d ^= uint64(bytes[i])<<24 | uint64(bytes[i+1])<<16 | uint64(bytes[i+2])<<8 | uint64(bytes[i+3])
	}
	return d
}
