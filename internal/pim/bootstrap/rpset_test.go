package bootstrap

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/wire"
)

// mappings are what the router has told, in words.
func (p *pair) mappings() (list []string) {
	for _, m := range p.r.told {
		s := m.Groups.String() + " " + m.RP.String()
		if m.Bidir {
			s += " BIDIR"
		}
		list = append(list, s)
	}
	return list
}

func (p *pair) wantMappings(when string, want ...string) {
	p.n.t.Helper()
	if got := p.mappings(); !slices.Equal(got, want) {
		p.n.t.Errorf("%s: the mappings are %q, want %q", when, got, want)
	}
	p.r.checkInvariants(p.n.t)
}

// manyRPs makes a message with so many ranges of so many RPs each.
func (p *pair) manyRPs(ranges, rps int) *wire.Bootstrap {
	m := p.bsm()
	for k := range ranges {
		m.Ranges = append(m.Ranges, p.bsm(fmt.Sprintf("239.%d.0.0/16", k)).Ranges...)
		r := &m.Ranges[k]
		for i := range rps {
			r.RPs = append(r.RPs, wire.RPMapping{RP: netip.AddrFrom4([4]byte{10, 1, byte(k), byte(i + 1)}), Holdtime: 150 * time.Second})
		}
		r.RPCount = uint8(rps)
	}
	return m
}

// TestStoreRPSet: what a message says of a range takes the place of what was known of it, and of no other range (section 3.1.5).
func TestStoreRPSet(t *testing.T) {
	p := newPair(t, engine.IPv4, Config{})
	p.receive(p.bsm("224.0.0.0/4", "10.0.0.1", "10.0.0.2", "B239.0.0.0/8", "10.0.0.3"))
	p.wantMappings("first", "224.0.0.0/4 10.0.0.1", "224.0.0.0/4 10.0.0.2", "239.0.0.0/8 10.0.0.3 BIDIR")
	p.receive(p.bsm("224.0.0.0/4", "10.0.0.2", "10.0.0.4"))
	p.wantMappings("one is not there any more", "224.0.0.0/4 10.0.0.2", "224.0.0.0/4 10.0.0.4", "239.0.0.0/8 10.0.0.3 BIDIR")
	m := p.bsm("224.0.0.0/4", "10.0.0.2", "10.0.0.4")
	m.Ranges[0].RPs[0].Holdtime, m.Ranges[0].RPs[1].Priority, m.HashMaskLen = 0, 7, 24
	p.receive(m)
	p.wantMappings("one has holdtime 0", "224.0.0.0/4 10.0.0.4", "239.0.0.0/8 10.0.0.3 BIDIR")
	for _, x := range p.r.told {
		if x.HashMaskLen != 24 || x.RP == netip.MustParseAddr("10.0.0.4") && x.Priority != 7 {
			t.Errorf("hash mask length or priority: %+v", x)
		}
	}
	p.receive(p.bsm("B239.0.0.0/8"))
	p.wantMappings("RP count 0", "224.0.0.0/4 10.0.0.4")
	p.receive(p.bsm("239.0.0.0/8", "10.0.0.3"))
	p.wantMappings("no BIDIR range any more", "224.0.0.0/4 10.0.0.4", "239.0.0.0/8 10.0.0.3")
	p.receive(p.bsm("239.0.0.0/8", "224.0.0.1", "127.0.0.1", "10.0.0.5"))
	p.wantMappings("RPs that are no unicast addresses", "224.0.0.0/4 10.0.0.4", "239.0.0.0/8 10.0.0.5")
	p.receive(p.bsm("239.0.0.0/8", "10.0.0.5", "10.0.0.5"))
	p.wantMappings("an RP that is there twice", "224.0.0.0/4 10.0.0.4", "239.0.0.0/8 10.0.0.5")
	p.n.run(129 * time.Second)
	p.wantMappings("before BS_Timeout", "224.0.0.0/4 10.0.0.4", "239.0.0.0/8 10.0.0.5")
	p.n.run(148 * time.Second) // BS_Timeout, and the holdtime from there: Refresh RP-Set
	p.wantMappings("before the refreshed mapping expires", "239.0.0.0/8 10.0.0.5")
	p.n.run(5 * time.Second)
	p.wantMappings("after that")
}

// TestRefreshOfSilentBSR: of a BSR that is silent the last message is stored once more, and the mappings then expire (section 3.1.5).
func TestRefreshOfSilentBSR(t *testing.T) {
	p := newPair(t, engine.IPv4, Config{})
	p.receive(p.bsm("224.0.0.0/4", "10.0.0.1"))
	p.n.run(130*time.Second + 149*time.Second)
	p.wantMappings("refreshed at BS_Timeout", "224.0.0.0/4 10.0.0.1")
	p.n.run(2 * time.Second)
	p.wantMappings("expired")
}

// TestFragments: of a message in fragments a range that is whole is used at once; one that is divided when all of its RPs are
// there; what a lost fragment says stays as it was (section 4.1.1).
func TestFragments(t *testing.T) {
	p := newPair(t, engine.IPv4, Config{})
	old := p.bsm("239.0.0.0/16", "10.9.0.1", "239.1.0.0/16", "10.9.1.1", "239.2.0.0/16", "10.9.2.1")
	p.receive(old)

	// A range of 2 RPs fits into a fragment of 60 bytes, and two do not.
	list := p.manyRPs(3, 2).Fragments(60)
	if len(list) != 3 {
		t.Fatalf("%d fragments", len(list))
	}
	p.receive(list[0])
	p.receive(list[2])
	p.wantMappings("the second is lost", "239.0.0.0/16 10.1.0.1", "239.0.0.0/16 10.1.0.2", "239.1.0.0/16 10.9.1.1", "239.2.0.0/16 10.1.2.1", "239.2.0.0/16 10.1.2.2")
	p.receive(list[1])
	p.wantMappings("it comes late", "239.0.0.0/16 10.1.0.1", "239.0.0.0/16 10.1.0.2", "239.1.0.0/16 10.1.1.1", "239.1.0.0/16 10.1.1.2", "239.2.0.0/16 10.1.2.1", "239.2.0.0/16 10.1.2.2")

	// One range of 3 RPs in fragments of one RP each, in all orders, one of them twice.
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 1, 2, 1, 0}, {0, 0, 0, 2, 2, 1}} {
		p.receive(p.bsm("239.0.0.0/16", "10.9.0.1", "239.1.0.0/16", "239.2.0.0/16"))
		p.wantMappings("at first", "239.0.0.0/16 10.9.0.1")
		list := p.manyRPs(1, 3).Fragments(40)
		if len(list) != 3 {
			t.Fatalf("%d fragments", len(list))
		}
		for k, i := range order {
			p.receive(list[i])
			if k < len(order)-1 {
				p.wantMappings(fmt.Sprint(order[:k+1]), "239.0.0.0/16 10.9.0.1")
			}
		}
		p.wantMappings(fmt.Sprint(order), "239.0.0.0/16 10.1.0.1", "239.0.0.0/16 10.1.0.2", "239.0.0.0/16 10.1.0.3")
		if kept := len(p.r.b.zones[netip.Prefix{}].last); kept != 3 {
			t.Errorf("%v: %d fragments are kept", order, kept)
		}
	}

	// Parts of two messages make no range.
	p.receive(p.bsm("239.0.0.0/16", "10.9.0.1"))
	first, second := p.manyRPs(1, 2).Fragments(40), p.manyRPs(1, 2).Fragments(40)
	p.receive(first[0])
	p.receive(second[1])
	p.wantMappings("parts of two messages", "239.0.0.0/16 10.9.0.1")
	p.receive(first[1])
	p.wantMappings("and one of the older", "239.0.0.0/16 10.9.0.1")
	p.receive(first[0])
	p.wantMappings("the older is whole", "239.0.0.0/16 10.1.0.1", "239.0.0.0/16 10.1.0.2")

	// What is kept for Refresh is all fragments of the last message.
	p.receive(p.bsm("239.0.0.0/16"))
	p.wantMappings("none")
	for _, f := range p.manyRPs(2, 3).Fragments(50) {
		p.receive(f)
	}
	all := p.mappings()
	p.n.run(130*time.Second + 149*time.Second)
	p.wantMappings("refreshed from fragments", all...)
}

// TestConstantTag: a BSR all of whose messages have the same tag does no harm.
func TestConstantTag(t *testing.T) {
	p := newPair(t, engine.IPv4, Config{})
	for i := range 600 {
		m := p.bsm("239.0.0.0/16", fmt.Sprintf("10.1.%d.%d", i/200, 1+i%200))
		m.FragmentTag = 7
		p.receive(m)
		p.wantMappings("each", "239.0.0.0/16 "+m.Ranges[0].RPs[0].RP.String())
	}
	if kept := len(p.r.b.zones[netip.Prefix{}].last); kept != 1 {
		t.Errorf("%d fragments are kept", kept)
	}
}

// TestBounds: mappings, partly received ranges and kept fragments are bounded, and at the bound a range's RPs may be replaced.
func TestBounds(t *testing.T) {
	p := newPair(t, engine.IPv4, Config{MaxMappings: 4})
	p.receive(p.manyRPs(2, 3))
	p.wantMappings("6 of 4", "239.0.0.0/16 10.1.0.1", "239.0.0.0/16 10.1.0.2", "239.0.0.0/16 10.1.0.3", "239.1.0.0/16 10.1.1.1")
	p.receive(p.bsm("239.0.0.0/16", "10.9.0.1", "10.9.0.2", "10.9.0.3"))
	p.wantMappings("replaced", "239.0.0.0/16 10.9.0.1", "239.0.0.0/16 10.9.0.2", "239.0.0.0/16 10.9.0.3", "239.1.0.0/16 10.1.1.1")
	if p.r.counts.Get("too many mappings of a zone") != 2 {
		t.Errorf("counts %v", p.r.counts.Snapshot())
	}

	m := p.manyRPs(200, 2)
	for i := range m.Ranges {
		f := *m
		f.Ranges = []wire.RPRange{{Group: m.Ranges[i].Group, RPCount: 2, RPs: m.Ranges[i].RPs[:1]}}
		p.receive(&f)
	}
	z := p.r.b.zones[netip.Prefix{}]
	if len(z.partial) != 4 {
		t.Errorf("%d ranges wait for the rest", len(z.partial))
	}
	p.r.checkInvariants(t)
	// So are the RPs of one range, and the next message is free of what waited.
	whole := p.manyRPs(1, 6)
	part := *whole
	part.Ranges = []wire.RPRange{{Group: whole.Ranges[0].Group, RPCount: 6, RPs: whole.Ranges[0].RPs[:5]}}
	p.receive(&part)
	if z.partialRPs != 4 || p.r.counts.Get(tooManyPartial) == 0 {
		t.Errorf("%d RPs wait for the rest; counts %v", z.partialRPs, p.r.counts.Snapshot())
	}
	p.receive(p.bsm("239.0.0.0/16", "10.9.0.1"))
	if z.partialRPs != 0 || len(z.partial) != 0 {
		t.Errorf("%d RPs of %d ranges wait after the next message", z.partialRPs, len(z.partial))
	}
	for i := range 1000 {
		f := *m
		f.Ranges = []wire.RPRange{{Group: wire.Group{Addr: netip.AddrFrom4([4]byte{239, 200, byte(i >> 8), byte(i)}), MaskLen: 32}}}
		p.receive(&f)
	}
	if len(z.last) != maxFragments {
		t.Errorf("%d fragments are kept", len(z.last))
	}
	p.r.checkInvariants(t)
}

// TestLatePath: the MRIB's answer may come when the mechanism has ended, or when there are as many zones as there may be.
func TestLatePath(t *testing.T) {
	p := newPair(t, engine.IPv4, Config{MaxZones: 2})
	var answers []func(netip.Addr)
	p.r.b.env.WhenPathKnown = func(_ netip.Addr, f func(netip.Addr)) { answers = append(answers, f) }
	for k := range 5 {
		p.receive(p.bsm(fmt.Sprintf("Z239.%d.0.0/16", k), "10.0.0.1"))
	}
	for _, f := range answers[:4] {
		f(p.link.on(p.peer))
	}
	if len(p.r.b.zones) != 2 || p.r.counts.Get(tooManyZones) != 3 {
		t.Errorf("%d zones; counts %v", len(p.r.b.zones), p.r.counts.Snapshot())
	}
	p.r.b.Stop(p.n.now)
	answers[4](p.link.on(p.peer))
	p.gone()
}

// gone checks that nothing is left of the mechanism.
func (p *pair) gone() {
	p.n.t.Helper()
	if r := p.r; r.timers.Len() > 0 || len(r.tracked) > 0 || len(r.told) > 0 || len(r.b.zones) > 0 || len(r.b.offered) > 0 || r.b.candidates != 0 {
		p.n.t.Errorf("after its end: %d timers, tracked %v, mappings %v, zones %v, offers %v", r.timers.Len(), r.tracked, r.told, r.b.zones, r.b.offered)
	}
}

// TestScopeZoneExpires: a zone that is only heard of is forgotten with all its mappings SZ_Timeout after its last BSR (section
// 3.1.2), and the groups of the smaller scope come before those of the larger one.
func TestScopeZoneExpires(t *testing.T) {
	p := newPair(t, engine.IPv4, Config{})
	m := p.bsm("Z239.0.0.0/8", "10.0.0.1")
	m.Ranges[0].RPs[0].Holdtime = 30000 * time.Second
	p.receive(m)
	p.n.run(130*time.Second + 1299*time.Second)
	p.wantMappings("SZ_Timeout has not passed", "239.0.0.0/8 10.0.0.1")
	p.n.run(2 * time.Second)
	p.wantMappings("forgotten")
	if len(p.r.b.zones) != 1 {
		t.Errorf("zones %v", p.r.b.zones)
	}
	// A border makes the zone one that is configured.
	other := p.n.addLink(p.r)
	other.boundaries = []netip.Prefix{netip.MustParsePrefix("239.0.0.0/8")}
	p.r.b.Update(p.n.now)
	p.receive(m)
	p.n.run(2000 * time.Second)
	p.wantMappings("of a zone that is configured", "239.0.0.0/8 10.0.0.1")
	other.boundaries = nil
	p.r.b.Update(p.n.now)
	p.n.run(1301 * time.Second)
	p.wantMappings("no longer configured")

	// Two zones have the same range and RP: the narrower one's priority holds.
	p.receive(p.bsm("239.0.0.0/8", "10.0.0.1"))
	m = p.bsm("Z239.0.0.0/8", "10.0.0.1")
	m.Ranges[0].RPs[0].Priority = 3
	p.receive(m)
	if len(p.r.told) != 1 || p.r.told[0].Priority != 3 {
		t.Errorf("mappings %v", p.r.told)
	}
}

// TestPrime: a new neighbor gets the last message of each zone with the No-Forward bit, fragment by fragment, and by unicast if
// that is configured; none across a border (section 3.5). It takes it, and hands it to nobody.
func TestPrime(t *testing.T) {
	for _, unicast := range []bool{false, true} {
		p := newPair(t, engine.IPv4, Config{Unicast: unicast})
		for _, f := range p.manyRPs(2, 3).Fragments(50) {
			p.receive(f)
		}
		fragments := len(p.r.b.zones[netip.Prefix{}].last)
		p.receive(p.bsm("Z239.0.0.0/8", "10.0.0.1"))
		fresh := p.n.addRouter("10.255.0.77", Config{Unicast: unicast})
		behind := p.n.addRouter("10.255.0.78", Config{})
		inner, outer := p.n.addLink(p.r, fresh), p.n.addLink(fresh, behind)
		border := p.n.addLink(p.r, p.n.addRouter("10.255.0.79", Config{}))
		border.boundaries = []netip.Prefix{netip.MustParsePrefix("239.0.0.0/8")}
		p.n.startRouter(behind)
		p.n.deny = func(from, _ *router, _ wire.Message) bool { return from == p.peer }
		p.r.sent, behind.told = nil, nil
		p.n.startRouter(fresh)
		p.n.startRouter(border.routers[1])
		p.n.run(time.Second)
		multicast, one := map[engine.IfID]int{}, map[engine.IfID]int{}
		for _, s := range p.r.sent {
			if s.to.IsValid() {
				one[s.i]++
			} else {
				multicast[s.i]++
			}
		}
		if multicast[inner.id] != fragments+1 || multicast[border.id] != fragments || len(multicast) != 2 {
			t.Errorf("unicast %v: multicast %v, %d fragments", unicast, multicast, fragments)
		}
		if want := map[bool]int{true: fragments + 1}[unicast]; one[inner.id] != want {
			t.Errorf("unicast %v: %v", unicast, one)
		}
		if !slices.Equal(fresh.told, p.r.told) {
			t.Errorf("unicast %v: the new router has %v, want %v", unicast, fresh.told, p.r.told)
		}
		for _, s := range fresh.sent {
			if s.i == outer.id && !s.m.NoForward {
				t.Error("the new router handed it on")
			}
		}
	}
}
