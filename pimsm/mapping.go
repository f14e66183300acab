package pimsm

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"

	"grove/internal/engine"
)

// This file is the Group-to-RP mappings, RFC 7761, section 4.7.

// origin is where a mapping comes from. A higher one wins over a lower one for the same range of groups.
type origin uint8

const (
	originStatic   origin = iota // the configuration
	originBSR                    // the Bootstrap mechanism, RFC 5059
	originAutoRP                 // Auto-RP
	originOverride               // the configuration, where it is to win over what is learned
	origins
)

func (o origin) String() string {
	return [...]string{"static", "BSR", "Auto-RP", "static, override"}[o]
}

// mapping says that an RP serves a range of groups.
type mapping struct {
	origin      origin
	groups      netip.Prefix
	bidir       bool       // the range is one of BIDIR-PIM: "They MUST NOT treat them as being for the protocol they support" (RFC 5059, section 3.6)
	rp          netip.Addr // invalid: the range has none (Auto-RP)
	priority    uint8      // the lowest wins
	hashMaskLen uint8
}

// defaultHashMaskLen is the hash-mask where the mapping does not come with one: "the most significant 30 bits being one for
// IPv4 and the most significant 126 bits being one for IPv6" (section 4.7.2).
func defaultHashMaskLen(a netip.Addr) uint8 { return uint8(a.BitLen() - 2) }

// staticMappings are those of the configuration. They have no priority: all have the same.
func staticMappings(rps []StaticRP) []mapping {
	var list []mapping
	for _, rp := range rps {
		from := originStatic
		if rp.Override {
			from = originOverride
		}
		for _, p := range rp.Groups {
			list = append(list, mapping{origin: from, groups: p, rp: rp.Address, hashMaskLen: defaultHashMaskLen(rp.Address)})
		}
	}
	return list
}

// setLearned takes over the mappings that a way to learn them has now, in place of those that it had.
func (m *Machine) setLearned(from origin, list []mapping) {
	if slices.Equal(m.learned[from], list) {
		return
	}
	m.learned[from] = list
	m.mappingsChanged()
}

// mappingsChanged works out RP(G) of all groups. RPs are tracked whether a group needs them or not: an RP has to know that it
// is one before the first Register.
func (m *Machine) mappingsChanged() {
	m.modesChanged = true
	m.mappings = staticMappings(m.cfg.RPs)
	for _, list := range m.learned {
		m.mappings = append(m.mappings, list...)
	}
	old := m.rps
	m.rps, m.rpGroups = nil, nil
	for _, t := range old {
		t.pinned--
	}
	tracked, ranges := make(map[netip.Addr]bool), make(map[netip.Prefix]bool)
	for _, mp := range m.mappings {
		if mp.bidir || !mp.rp.IsValid() {
			continue
		}
		if !tracked[mp.rp] {
			tracked[mp.rp] = true
			t := m.track(mp.rp)
			t.pinned++
			m.rps = append(m.rps, t)
		}
		if !ranges[mp.groups] {
			ranges[mp.groups] = true
			m.rpGroups = append(m.rpGroups, mp.groups)
		}
	}
	for _, g := range engine.SortedAddrs(m.groups) {
		g.setRP(m.rpOf(g.addr))
	}
	for _, t := range old {
		t.release() // once its groups have left it
	}
}

// sayModes says which groups are sparse mode's where dense mode runs as well: the source-specific ones, and those with an RP. Those
// of BIDIR-PIM are nobody's: dense mode must not flood them, either.
func (m *Machine) sayModes() {
	if !m.cfg.SparseDense || !m.modesChanged && m.saidModes != nil {
		return
	}
	m.modesChanged = false
	modes := []engine.GroupMode{}
	for _, p := range m.cfg.SSM {
		modes = append(modes, engine.GroupMode{Groups: p, Sparse: true})
	}
	ranges := make(map[netip.Prefix]bool)
	for i := range m.mappings {
		ranges[m.mappings[i].groups] = true
	}
	longestFirst := func(a, b netip.Prefix) int { return cmp.Or(b.Bits()-a.Bits(), a.Addr().Compare(b.Addr())) }
	for p := range engine.SortedFunc(ranges, longestFirst) {
		var best *mapping
		for i := range m.mappings {
			x := &m.mappings[i]
			if x.groups.Bits() <= p.Bits() && x.groups.Contains(p.Addr()) && (best == nil || x.betterThan(best, p.Addr())) {
				best = x
			}
		}
		modes = append(modes, engine.GroupMode{Groups: p, Sparse: best.bidir || best.rp.IsValid()})
	}
	if !slices.Equal(modes, m.saidModes) {
		m.emit(engine.GroupModes{Ranges: modes})
	}
	m.saidModes = modes
}

// chooseRP is the algorithm of section 4.7.1: of the mappings that match a group those with the longest prefix, of these the
// ones with the highest priority, of these the one that the hash function chooses. It returns nil if none matches.
//
// The RFC leaves open what holds if mappings are learned in several ways. Those of the configuration that are to override win
// over all others; of the rest with the longest prefix those of Auto-RP win over those of a BSR, and these over the
// configuration's.
func chooseRP(mappings []mapping, g netip.Addr) *mapping {
	var best *mapping
	for i := range mappings {
		if m := &mappings[i]; m.groups.Contains(g) && (best == nil || m.betterThan(best, g)) {
			best = m
		}
	}
	return best
}

// betterThan says whether m is preferred to o, both of which match the group.
func (m *mapping) betterThan(o *mapping, g netip.Addr) bool {
	if mine, other := m.origin == originOverride, o.origin == originOverride; mine != other {
		return mine
	}
	if m.groups.Bits() != o.groups.Bits() {
		return m.groups.Bits() > o.groups.Bits()
	}
	if m.origin != o.origin {
		return m.origin > o.origin
	}
	if m.priority != o.priority {
		return m.priority < o.priority
	}
	if mine, other := hashValue(g, m.hashMaskLen, m.rp), hashValue(g, o.hashMaskLen, o.rp); mine != other {
		return mine > other
	}
	// "If more than one RP has the same highest hash value, the RP with the highest IP address is chosen."
	return o.rp.Less(m.rp)
}

// hashValue is the hash function of section 4.7.2:
//
//	Value(G,M,C(i))= (1103515245 * ((1103515245 * (G&M)+12345) XOR C(i)) + 12345) mod 2^31
//
// For IPv6 the mask is applied to the group before its digest is taken: the hash-mask has 126 bits by default, so it is one of
// the address.
func hashValue(g netip.Addr, maskLen uint8, rp netip.Addr) uint32 {
	masked, err := g.Prefix(min(int(maskLen), g.BitLen()))
	if err != nil {
		return 0
	}
	const multiplier, increment = 1103515245, 12345
	// 2^31 divides 2^32, so that the arithmetic of 32 bits gives the same.
	v := multiplier*digest(masked.Addr()) + increment
	return (multiplier*(v^digest(rp)) + increment) & (1<<31 - 1)
}

// digest is an IPv4 address as a number, and the exclusive-or of the four 32-bit segments of an IPv6 address. Of an
// IPv4-compatible address that is the IPv4 address, as section 4.7.2 recommends.
func digest(a netip.Addr) uint32 {
	var d uint32
	for b := a.AsSlice(); len(b) > 0; b = b[4:] {
		d ^= binary.BigEndian.Uint32(b)
	}
	return d
}
