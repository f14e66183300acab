package pimsm

import (
	"math/big"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"grove/internal/engine"
)

// TestHashFunction: values of section 4.7.2 that were computed apart from this code, and the RPs that follow.
func TestHashFunction(t *testing.T) {
	type candidate struct {
		rp    string
		value uint32
	}
	for _, c := range []struct {
		group      string
		mask       uint8
		candidates []candidate
		winner     string
	}{
		{"224.1.1.1", 30, []candidate{{"10.0.0.1", 1897476369}, {"10.0.0.2", 913054808}, {"10.0.0.3", 1957023211}}, "10.0.0.3"},
		{"224.1.1.4", 30, []candidate{{"10.0.0.1", 2007210677}, {"10.0.0.2", 1022789116}, {"10.0.0.3", 2066757519}}, "10.0.0.3"},
		{"239.255.0.1", 30, []candidate{{"10.0.0.1", 699189265}, {"10.0.0.2", 1862251352}, {"10.0.0.3", 758736107}}, "10.0.0.2"},
		{"239.1.2.3", 0, []candidate{{"10.0.0.1", 1410713617}, {"10.0.0.2", 426292056}, {"10.0.0.3", 1470260459}}, "10.0.0.3"},
		{"239.1.2.3", 32, []candidate{{"192.0.2.1", 281337894}, {"192.0.2.2", 1384853139}, {"198.51.100.7", 1145194676}}, "192.0.2.2"},
		{"232.43.211.234", 24, []candidate{{"10.1.1.1", 675407377}, {"10.2.2.2", 1490642008}}, "10.2.2.2"},
		{"ff3e::4321:1234", 126, []candidate{{"2001:db8::1", 1703602765}, {"2001:db8::2", 719181204}}, "2001:db8::1"},
		{"ff0e::1", 126, []candidate{{"2001:db8:1::1", 1284857785}, {"2001:db8:2::1", 2116575161}}, "2001:db8:2::1"},
	} {
		g := netip.MustParseAddr(c.group)
		all := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		if g.Is6() {
			all = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
		var list []mapping
		for _, x := range c.candidates {
			rp := netip.MustParseAddr(x.rp)
			if got := hashValue(g, c.mask, rp); got != x.value {
				t.Errorf("Value(%v, /%d, %v) = %d, want %d", g, c.mask, rp, got, x.value)
			}
			list = append(list, mapping{groups: all, rp: rp, hashMaskLen: c.mask})
		}
		if got := chooseRP(list, g); got.rp.String() != c.winner {
			t.Errorf("RP(%v) with /%d is %v, want %s", g, c.mask, got.rp, c.winner)
		}
	}
	// The digest that section 4.7.2 prints.
	if got, want := digest(netip.MustParseAddr("3ffe:b00:c18:1::10")), uint32(0x3ffe0b00^0x0c180001^0x10); got != want {
		t.Errorf("digest %#x, want %#x", got, want)
	}
}

// TestChooseRP: RP(G) is what a slow reading of section 4.7.1 says, step by step, with numbers of any size, whatever the
// order of the mappings.
func TestChooseRP(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 7))
	for range 2000 {
		g := netip.AddrFrom4([4]byte{byte(224 + rng.IntN(4)), byte(rng.IntN(2)), 0, byte(rng.IntN(256))})
		list := make([]mapping, rng.IntN(12))
		for i := range list {
			a := netip.AddrFrom4([4]byte{byte(224 + rng.IntN(4)), byte(rng.IntN(2)), 0, 0})
			list[i] = mapping{
				origin: origin(rng.IntN(int(origins))), groups: netip.PrefixFrom(a, []int{4, 8, 16}[rng.IntN(3)]).Masked(), priority: uint8(rng.IntN(2)), hashMaskLen: 30,
				rp: netip.AddrFrom4([4]byte{10, byte(rng.IntN(2)), byte(rng.IntN(3)), byte(1 + rng.IntN(200))}),
			}
		}
		want := slowRP(list, g)
		rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		var got netip.Addr
		if m := chooseRP(list, g); m != nil {
			got = m.rp
		}
		if got != want {
			t.Fatalf("RP(%v) of %v is %v, want %v", g, list, got, want)
		}
	}
}

func slowRP(list []mapping, g netip.Addr) netip.Addr {
	var left []mapping
	for _, m := range list {
		if m.groups.Contains(g) {
			left = append(left, m)
		}
	}
	// keep leaves those of which a number is the highest of all.
	keep := func(number func(mapping) int) {
		highest := -1 << 20
		for _, m := range left {
			highest = max(highest, number(m))
		}
		left = slices.DeleteFunc(left, func(m mapping) bool { return number(m) != highest })
	}
	keep(func(m mapping) int {
		if m.origin == originOverride {
			return 1
		}
		return 0
	})
	keep(func(m mapping) int { return m.groups.Bits() })
	keep(func(m mapping) int { return int(m.origin) })
	keep(func(m mapping) int { return -int(m.priority) })
	var rp netip.Addr
	highest := big.NewInt(-1)
	for _, m := range left {
		masked, err := g.Prefix(30)
		if err != nil {
			panic(err)
		}
		v := new(big.Int).SetBytes(masked.Addr().AsSlice())
		step := func() { v.Mul(v, big.NewInt(1103515245)); v.Add(v, big.NewInt(12345)) }
		step()
		v.Xor(v, new(big.Int).SetBytes(m.rp.AsSlice()))
		step()
		v.Mod(v, big.NewInt(1<<31))
		if c := v.Cmp(highest); c > 0 || c == 0 && rp.Less(m.rp) {
			rp, highest = m.rp, v
		}
	}
	return rp
}

// TestLearnedMappings: what is learned takes the place of what was learned in the same way before, and of nothing else; its
// RPs are tracked as long as it holds.
func TestLearnedMappings(t *testing.T) {
	addr, prefix := netip.MustParseAddr, netip.MustParsePrefix
	m := New(engine.MachineID{Protocol: engine.PIMSM, Family: engine.IPv4}, rand.New(rand.NewPCG(1, 1)))
	m.configure(Config{RPs: []StaticRP{
		{Address: addr("10.0.0.1")},
		{Address: addr("10.0.0.2"), Groups: []netip.Prefix{prefix("239.9.0.0/16")}, Override: true},
	}})
	learned := func(from origin, rp, groups string) []mapping {
		return []mapping{{origin: from, groups: prefix(groups), rp: addr(rp), hashMaskLen: 30}}
	}
	for _, step := range []struct {
		from origin
		list []mapping
		want map[string]string // by group
	}{
		{originBSR, learned(originBSR, "10.0.0.3", "224.0.0.0/4"), map[string]string{"239.1.1.1": "10.0.0.3", "239.9.1.1": "10.0.0.2"}},
		{originAutoRP, learned(originAutoRP, "10.0.0.4", "224.0.0.0/4"), map[string]string{"239.1.1.1": "10.0.0.4", "239.9.1.1": "10.0.0.2"}},
		{originBSR, learned(originBSR, "10.0.0.5", "239.9.1.0/24"), map[string]string{"239.1.1.1": "10.0.0.4", "239.9.1.1": "10.0.0.2"}},
		{originAutoRP, nil, map[string]string{"239.1.1.1": "10.0.0.1", "239.9.1.1": "10.0.0.2"}},
		{originBSR, nil, map[string]string{"239.1.1.1": "10.0.0.1", "239.9.1.1": "10.0.0.2"}},
	} {
		m.setLearned(step.from, step.list)
		for g, rp := range step.want {
			if got := m.rpOf(addr(g)); got == nil || got.addr != addr(rp) {
				t.Errorf("%v %v: RP(%s) is %v, want %s", step.from, step.list, g, got, rp)
			}
		}
	}
	for _, a := range []string{"10.0.0.3", "10.0.0.4", "10.0.0.5"} {
		if m.targets[addr(a)] != nil {
			t.Errorf("%s is tracked although no mapping names it", a)
		}
	}
}

// TestGroupModes: where dense mode runs as well it is said which groups are sparse mode's, the longest prefix first, and said again
// when that changes.
func TestGroupModes(t *testing.T) {
	addr, prefix := netip.MustParseAddr, netip.MustParsePrefix
	m := New(engine.MachineID{Protocol: engine.PIMSM, Family: engine.IPv4}, rand.New(rand.NewPCG(1, 1)))
	said := 0
	var modes []engine.GroupMode
	settle := func() {
		for _, e := range m.Step(m.now, engine.Settled{}) {
			if e, ok := e.(engine.GroupModes); ok {
				said++
				modes = e.Ranges
			}
		}
	}
	check := func(what string, times int, sparse, dense []string) {
		t.Helper()
		settle()
		if said != times {
			t.Errorf("%s: said %d times, want %d", what, said, times)
		}
		for _, g := range sparse {
			if !engine.SparseIn(modes, addr(g)) {
				t.Errorf("%s: %s is dense mode's by %v", what, g, modes)
			}
		}
		for _, g := range dense {
			if engine.SparseIn(modes, addr(g)) {
				t.Errorf("%s: %s is sparse mode's by %v", what, g, modes)
			}
		}
	}
	m.configure(Config{SparseDense: true, RPs: []StaticRP{{Address: addr("10.0.0.1"), Groups: []netip.Prefix{prefix("239.1.0.0/16")}}}})
	check("configured", 1, []string{"239.1.1.1", "232.1.1.1"}, []string{"239.2.1.1"})
	m.setLearned(originBSR, []mapping{
		{origin: originBSR, groups: prefix("239.0.0.0/8"), rp: addr("10.0.0.2"), hashMaskLen: 30},
		{origin: originBSR, groups: prefix("239.3.0.0/16"), rp: addr("10.0.0.2"), bidir: true, hashMaskLen: 30},
	})
	check("BSR", 2, []string{"239.1.1.1", "239.2.1.1", "239.3.1.1"}, []string{"225.1.1.1"})
	// Auto-RP denies a range its RP; one that lies in an SSM range changes nothing.
	m.setLearned(originAutoRP, []mapping{{origin: originAutoRP, groups: prefix("239.1.2.0/24")}, {origin: originAutoRP, groups: prefix("232.1.0.0/16")}})
	check("Auto-RP", 3, []string{"239.1.1.1", "232.1.1.1"}, []string{"239.1.2.1"})
	m.setLearned(originBSR, []mapping{
		{origin: originBSR, groups: prefix("239.0.0.0/8"), rp: addr("10.0.0.9"), hashMaskLen: 30},
		{origin: originBSR, groups: prefix("239.3.0.0/16"), rp: addr("10.0.0.9"), bidir: true, hashMaskLen: 30},
	})
	check("other RPs for the same ranges", 3, nil, nil)
	m.setLearned(originBSR, nil)
	m.setLearned(originAutoRP, nil)
	check("nothing learned", 4, []string{"239.1.1.1", "239.1.2.1"}, []string{"239.2.1.1"})
}
