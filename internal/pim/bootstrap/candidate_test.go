package bootstrap

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"grove/internal/engine"
)

func prefixes(list ...string) (p []netip.Prefix) {
	for _, s := range list {
		p = append(p, netip.MustParsePrefix(s))
	}
	return p
}

// TestRangesOf is the algorithm of section 3.2: which ranges a C-RP advertises to the BSR of which scope.
func TestRangesOf(t *testing.T) {
	all16 := func(scope byte, flags ...byte) (list []string) {
		for _, f := range flags {
			list = append(list, fmt.Sprintf("ff%x%x::/16", f, scope))
		}
		return list
	}
	for _, c := range []struct {
		family engine.Family
		scopes []string // known
		groups []string
		want   map[string][]string // by scope; "" the whole domain
	}{
		{engine.IPv4, nil, []string{"224.0.0.0/4", "239.1.0.0/16"}, map[string][]string{"": {"224.0.0.0/4", "239.1.0.0/16"}}},
		{engine.IPv4, []string{"239.0.0.0/8"}, []string{"224.0.0.0/4"}, map[string][]string{"": {"224.0.0.0/4"}, "239.0.0.0/8": {"239.0.0.0/8"}}},
		{engine.IPv4, []string{"239.0.0.0/8"}, []string{"239.0.0.0/8"}, map[string][]string{"239.0.0.0/8": {"239.0.0.0/8"}}},
		{engine.IPv4, []string{"239.0.0.0/8"}, []string{"239.1.0.0/16", "238.0.0.0/8"}, map[string][]string{"": {"238.0.0.0/8"}, "239.0.0.0/8": {"239.1.0.0/16"}}},
		{engine.IPv4, []string{"239.0.0.0/8", "239.1.0.0/16"}, []string{"239.1.2.0/24"}, map[string][]string{"239.1.0.0/16": {"239.1.2.0/24"}}},
		{
			engine.IPv4, []string{"239.0.0.0/8", "239.1.0.0/16"}, []string{"224.0.0.0/4"},
			map[string][]string{"": {"224.0.0.0/4"}, "239.0.0.0/8": {"239.0.0.0/8"}, "239.1.0.0/16": {"239.1.0.0/16"}},
		},
		{
			engine.IPv4, []string{"239.0.0.0/8", "239.1.0.0/16"}, []string{"224.0.0.0/4", "239.0.0.0/8"}, // none of them twice
			map[string][]string{"": {"224.0.0.0/4"}, "239.0.0.0/8": {"239.0.0.0/8"}, "239.1.0.0/16": {"239.1.0.0/16"}},
		},
		{engine.IPv6, nil, []string{"ff00::/8", "ff05::/16"}, map[string][]string{"": {"ff00::/8", "ff05::/16"}}},
		{
			engine.IPv6, []string{"ff05::/16"}, []string{"ff00::/8"},
			map[string][]string{"": {"ff00::/8"}, "ff05::/16": all16(5, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)},
		},
		{engine.IPv6, []string{"ff05::/16"}, []string{"ff30::/12"}, map[string][]string{"": {"ff30::/12"}, "ff05::/16": {"ff35::/16"}}},
		{engine.IPv6, []string{"ff05::/16"}, []string{"ff38::/13"}, map[string][]string{"": {"ff38::/13"}}}, // scope IDs 8 to f
		{engine.IPv6, []string{"ff05::/16", "ff08::/16"}, []string{"ff15:1::/32", "ff78::/16", "ff0e::/16"}, map[string][]string{
			"": {"ff0e::/16"}, "ff05::/16": {"ff15:1::/32"}, "ff08::/16": {"ff78::/16"},
		}},
	} {
		p := newPair(t, c.family, Config{})
		for _, s := range c.scopes {
			p.receive(p.bsm("Z" + s))
		}
		for s, z := range p.r.b.zones {
			name := s.String()
			if !s.IsValid() {
				name = ""
			}
			if got, want := p.r.b.rangesOf(prefixes(c.groups...), z), prefixes(c.want[name]...); !slices.Equal(got, want) {
				t.Errorf("scopes %v, groups %v: to the BSR of %q %v, want %v", c.scopes, c.groups, name, got, want)
			}
		}
	}
}

// TestAdvertisements: three to a new BSR after up to 3 s each, then one in C_RP_Adv_Period, with 2.5 times that as holdtime; with
// holdtime zero for what is not advertised any more (section 3.2).
func TestAdvertisements(t *testing.T) {
	rp := CandidateRP{Address: netip.MustParseAddr("10.255.0.5"), Priority: 7, Period: 40 * time.Second, Groups: prefixes("224.0.0.0/4", "238.0.0.0/8")}
	p := newPair(t, engine.IPv4, Config{CandidateRPs: []CandidateRP{rp}})
	p.n.run(time.Minute)
	if len(p.r.advs) > 0 {
		t.Fatalf("advertised to nobody: %v", p.r.advs)
	}
	heard := p.n.now
	keep := func() { p.receive(p.bsm()) }
	keep()
	p.n.run(100 * time.Second)
	keep()
	if len(p.r.advs) < 5 || len(p.r.advs) > 6 {
		t.Fatalf("%d advertisements", len(p.r.advs))
	}
	for i, a := range p.r.advs {
		gap := a.at.Sub(heard)
		heard = a.at
		if i < 3 && gap > 3*time.Second || i >= 3 && gap != 40*time.Second {
			t.Errorf("advertisement %d comes %v after the one before", i, gap)
		}
		if a.src != rp.Address || a.bsr != p.peer.address || a.m.Holdtime != 100*time.Second || a.m.Priority != 7 || a.m.RP != rp.Address || len(a.m.Groups) != 2 {
			t.Errorf("%+v", a)
		}
	}
	last := func(when, want string) {
		t.Helper()
		p.n.run(0)
		got := ""
		for _, a := range p.r.advs {
			got += fmt.Sprintf("%v %v:", a.bsr, a.m.Holdtime)
			for _, g := range a.m.Groups {
				got += fmt.Sprintf(" %v/%d", g.Addr, g.MaskLen)
				if g.Zone {
					got += "Z"
				}
			}
			got += "\n"
		}
		if p.r.advs = nil; got != want {
			t.Errorf("%s:\n%swant\n%s", when, got, want)
		}
		p.r.checkInvariants(t)
	}
	p.r.advs = nil
	rp.Groups = prefixes("224.0.0.0/4")
	p.r.b.Configure(p.n.now, Config{CandidateRPs: []CandidateRP{rp}})
	last("one range goes", "10.255.0.9 0s: 238.0.0.0/8\n10.255.0.9 1m40s: 224.0.0.0/4\n")
	rp.Priority = 9
	p.r.b.Configure(p.n.now, Config{CandidateRPs: []CandidateRP{rp}})
	last("another priority", "10.255.0.9 1m40s: 224.0.0.0/4\n")
	p.r.b.Configure(p.n.now, Config{CandidateRPs: []CandidateRP{rp}})
	last("nothing has changed", "")

	// A zone becomes known, on whose border we are: it is told with the Zone bit. That groups of it are in the larger range, or
	// stand for themselves, is the same to its BSR.
	other := p.n.addLink(p.r)
	other.boundaries = prefixes("239.0.0.0/8")
	p.r.b.Update(p.n.now)
	p.receive(p.bsm("Z239.0.0.0/8"))
	p.n.run(9 * time.Second)
	zone := 0
	for _, a := range p.r.advs {
		if a.m.Groups[0].Zone {
			zone++
			if len(a.m.Groups) != 1 || a.m.Groups[0].MaskLen != 8 {
				t.Errorf("to the BSR of the scope: %+v", a.m)
			}
		}
	}
	if zone != 3 {
		t.Errorf("%d advertisements to the BSR of the scope", zone)
	}
	p.r.advs = nil
	rp.Groups = prefixes("224.0.0.0/4", "239.0.0.0/8")
	p.r.b.Configure(p.n.now, Config{CandidateRPs: []CandidateRP{rp}})
	last("the scope is there by itself", "10.255.0.9 1m40s: 224.0.0.0/4\n10.255.0.9 1m40s: 239.0.0.0/8Z\n")
	rp.Groups = prefixes("224.0.0.0/4")
	p.r.b.Configure(p.n.now, Config{CandidateRPs: []CandidateRP{rp}})
	last("and not any more, but the larger range is", "10.255.0.9 1m40s: 224.0.0.0/4\n10.255.0.9 1m40s: 239.0.0.0/8Z\n")

	p.r.b.Stop(p.n.now)
	last("the end", "10.255.0.9 0s: 224.0.0.0/4\n10.255.0.9 0s: 239.0.0.0/8Z\n")
	p.gone()
}

// TestCandidateRPWithoutAddress: a Candidate-RP whose address is not the router's is none, and no Candidate-BSR is one.
func TestCandidateRPWithoutAddress(t *testing.T) {
	elsewhere := netip.MustParseAddr("10.255.3.3")
	p := newPair(t, engine.IPv4, Config{
		Candidate: &Candidate{Address: elsewhere, Priority: 200}, CandidateRPs: []CandidateRP{{Address: elsewhere}},
	})
	p.receive(p.bsm())
	p.n.run(30 * time.Second)
	whole := p.r.b.zones[netip.Prefix{}]
	if len(p.r.advs) > 0 || whole.state != AcceptPreferred {
		t.Errorf("%v, advertised %v", whole.state, p.r.advs)
	}
	p.r.others = []netip.Addr{elsewhere}
	p.r.b.Update(p.n.now)
	p.n.run(30 * time.Second)
	if whole.state != ElectedBSR || len(p.r.b.offered) != 1 {
		t.Errorf("with the address: %v, offered %v", whole.state, p.r.b.offered)
	}
	p.r.others = nil
	p.r.b.Update(p.n.now)
	if whole.state != AcceptAny || len(p.r.b.offered) != 0 {
		t.Errorf("without it: %v, offered %v", whole.state, p.r.b.offered)
	}
	p.r.checkInvariants(t)
}
