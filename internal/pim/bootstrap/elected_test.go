package bootstrap

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/wire"
)

// elect makes a router that is the BSR of the whole domain, and of some scopes, with a neighbor that hears all and says nothing of
// itself.
func elect(t *testing.T, f engine.Family, cfg Config, scopes ...string) *pair {
	c := Candidate{Address: netip.MustParseAddr("10.255.0.5"), Priority: 64, HashMaskLen: 30}
	if f == engine.IPv6 {
		c.Address, c.HashMaskLen = netip.MustParseAddr("2001:db8::5"), 126
	}
	for _, s := range scopes {
		c.Zones = append(c.Zones, netip.MustParsePrefix(s))
	}
	cfg.Candidate = &c
	p := newPair(t, f, cfg)
	p.n.deny = func(from, _ *router, _ wire.Message) bool { return from == p.peer }
	p.n.run(10 * time.Second) // 5 s are BS_Rand_Override of one that knows no other
	for s, z := range p.r.b.zones {
		if z.state != ElectedBSR {
			t.Fatalf("zone %v: %v", s, z.state)
		}
	}
	p.r.sent = nil
	return p
}

// adv hands the BSR an advertisement of an RP for ranges, which are written as for bsm.
func (p *pair) adv(rp string, holdtime time.Duration, ranges ...string) {
	m := &wire.CandidateRPAdv{Priority: 192, Holdtime: holdtime, RP: netip.MustParseAddr(rp)}
	for _, r := range p.bsm(ranges...).Ranges {
		m.Groups = append(m.Groups, r.Group)
	}
	p.r.b.ReceiveAdv(p.n.now, Interface{}, m.RP, m)
	p.n.run(0)
}

// said are the messages that left since the last call, one string each: "scope: range RP/holdtime RP/holdtime, range ...".
func (p *pair) said() (list []string) {
	for _, s := range p.r.sent {
		var parts []string
		for _, r := range s.m.Ranges {
			part := netip.PrefixFrom(r.Group.Addr, int(r.Group.MaskLen)).String()
			if r.Group.Zone {
				part = "Z" + part
			}
			if r.Group.Bidir {
				part = "B" + part
			}
			for _, rp := range r.RPs {
				part += fmt.Sprintf(" %v/%v", rp.RP, rp.Holdtime)
			}
			parts = append(parts, part)
		}
		text := strings.Join(parts, ", ")
		if s.m.Priority != 64 {
			text += fmt.Sprintf(" priority %d", s.m.Priority)
		}
		list = append(list, text)
	}
	p.r.sent = nil
	return list
}

func (p *pair) wantSaid(when string, want ...string) {
	p.n.t.Helper()
	if got := p.said(); !slices.Equal(got, want) {
		p.n.t.Errorf("%s: said\n%q\nwant\n%q", when, got, want)
	}
	p.r.checkInvariants(p.n.t)
}

// TestCandidateRPs: what the BSR makes of advertisements (section 3.3): a new candidate is announced after BS_Min_Interval at
// most; holdtimes that are too short are replaced; one that withdraws or is silent is announced with a holdtime of zero, and then
// its range with an RP count of zero for BS_Timeout (section 4.1.1).
func TestCandidateRPs(t *testing.T) {
	p := elect(t, engine.IPv4, Config{})
	// The first message was sent at 5 s; it is 11 s: BS_Min_Interval has not passed.
	p.adv("10.0.0.1", 150*time.Second, "224.0.0.0/4")
	p.wantSaid("within BS_Min_Interval")
	p.n.run(4 * time.Second)
	p.wantSaid("after it", "224.0.0.0/4 10.0.0.1/2m30s")
	p.n.run(20 * time.Second)
	p.adv("10.0.0.2", 30*time.Second, "224.0.0.0/4")
	p.wantSaid("at once: the last is old; the holdtime is too short", "224.0.0.0/4 10.0.0.1/2m30s 10.0.0.2/2m30s")
	p.adv("10.0.0.2", 300*time.Second, "224.0.0.0/4", "239.0.0.0/8")
	p.n.run(9 * time.Second)
	p.wantSaid("within BS_Min_Interval")
	p.n.run(time.Second)
	p.wantSaid("after it", "224.0.0.0/4 10.0.0.1/2m30s 10.0.0.2/5m0s, 239.0.0.0/8 10.0.0.2/5m0s")
	p.adv("10.0.0.1", 150*time.Second, "224.0.0.0/4")
	p.n.run(59 * time.Second)
	p.wantSaid("nothing has changed")
	p.n.run(time.Second)
	p.wantSaid("BS_Period", "224.0.0.0/4 10.0.0.1/2m30s 10.0.0.2/5m0s, 239.0.0.0/8 10.0.0.2/5m0s")

	p.n.run(20 * time.Second)
	p.adv("10.0.0.2", 0, "239.0.0.0/8")
	p.wantSaid("one withdraws", "224.0.0.0/4 10.0.0.1/2m30s 10.0.0.2/5m0s, 239.0.0.0/8 10.0.0.2/0s")
	p.wantMappings("without it", "224.0.0.0/4 10.0.0.1", "224.0.0.0/4 10.0.0.2")
	p.adv("10.0.0.2", 0, "239.0.0.0/8")
	p.n.run(59 * time.Second)
	p.wantSaid("it withdraws once more")
	// 10.0.0.1 was heard last 80 s ago.
	p.n.run(time.Second)
	p.wantSaid("BS_Period", "224.0.0.0/4 10.0.0.1/2m30s 10.0.0.2/5m0s, 239.0.0.0/8")
	p.n.run(11 * time.Second)
	p.wantSaid("one is silent, its holdtime is over", "224.0.0.0/4 10.0.0.1/0s 10.0.0.2/5m0s, 239.0.0.0/8")
	p.wantMappings("without it", "224.0.0.0/4 10.0.0.2")
	p.n.run(59 * time.Second)
	p.wantSaid("BS_Timeout after it has withdrawn", "224.0.0.0/4 10.0.0.2/5m0s, 239.0.0.0/8")
	p.n.run(time.Minute)
	p.wantSaid("later", "224.0.0.0/4 10.0.0.2/5m0s")
}

// TestBidirPreferred: of BIDIR and sparse candidates for a range only one kind is announced, BIDIR by preference (section 3.3).
func TestBidirPreferred(t *testing.T) {
	p := elect(t, engine.IPv4, Config{})
	p.n.run(20 * time.Second)
	p.adv("10.0.0.1", 150*time.Second, "224.0.0.0/4")
	p.wantSaid("sparse", "224.0.0.0/4 10.0.0.1/2m30s")
	p.n.run(20 * time.Second)
	p.adv("10.0.0.2", 150*time.Second, "B224.0.0.0/4")
	p.wantSaid("both", "B224.0.0.0/4 10.0.0.2/2m30s")
	p.wantMappings("both", "224.0.0.0/4 10.0.0.2 BIDIR")
	p.n.run(20 * time.Second)
	p.adv("10.0.0.2", 0, "B224.0.0.0/4")
	p.wantSaid("sparse again", "224.0.0.0/4 10.0.0.1/2m30s")
	p.wantMappings("sparse again", "224.0.0.0/4 10.0.0.1")
}

// TestAdvsThatAreDropped: which advertisements a BSR does not take.
func TestAdvsThatAreDropped(t *testing.T) {
	p := newPair(t, engine.IPv4, Config{})
	p.adv("10.0.0.1", time.Minute, "224.0.0.0/4")
	if len(p.r.b.offered) > 0 {
		t.Error("taken by a router that is no BSR")
	}
	p = elect(t, engine.IPv4, Config{AcceptRP: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}, MaxMappings: 3})
	p.adv("10.0.0.1", time.Minute, "224.0.0.0/4")
	p.adv("224.0.0.1", time.Minute, "224.0.0.0/4")
	p.adv("10.1.0.1", time.Minute, "10.0.0.0/8")
	p.adv("10.1.0.1", 0, "224.0.0.0/4")
	p.r.b.ReceiveAdv(p.n.now, Interface{Border: true}, netip.Addr{}, &wire.CandidateRPAdv{RP: netip.MustParseAddr("10.1.0.1"), Holdtime: time.Minute})
	if len(p.r.b.offered) > 0 {
		t.Errorf("taken: %v", p.r.b.offered)
	}
	p.n.run(20 * time.Second)
	p.said()
	p.r.b.ReceiveAdv(p.n.now, Interface{}, netip.Addr{}, &wire.CandidateRPAdv{RP: netip.MustParseAddr("10.1.0.1"), Holdtime: time.Minute})
	p.n.run(0)
	p.wantSaid("one without ranges is of all groups", "224.0.0.0/4 10.1.0.1/2m30s")
	for k := range 10 {
		p.adv("10.1.0.1", time.Minute, fmt.Sprintf("239.%d.0.0/16", k))
	}
	if p.r.b.candidates != 3 || p.r.counts.Get("too many candidate RPs") != 8 {
		t.Errorf("%d candidates; counts %v", p.r.b.candidates, p.r.counts.Snapshot())
	}
	// Ranges that come and go are bounded, too.
	p.adv("10.1.0.1", 0, "224.0.0.0/4", "239.0.0.0/16", "239.1.0.0/16")
	p.n.run(20 * time.Second)
	p.adv("10.1.0.1", time.Minute, "238.0.0.0/8")
	if p.r.b.candidates != 0 || len(p.r.b.offered) != 3 {
		t.Errorf("%d candidates, ranges %v", p.r.b.candidates, p.r.b.offered)
	}
	p.n.run(5 * time.Minute)
	if len(p.r.b.offered) != 0 {
		t.Errorf("ranges without candidates after BS_Timeout: %v", p.r.b.offered)
	}
	p.r.checkInvariants(t)
}

// TestScopesAtBSR: a mapping is in the message of the narrowest scope that contains it, and a scoped message begins with its scope
// (section 3.3). What was offered to a zone whose BSR is another now is not announced elsewhere.
func TestScopesAtBSR(t *testing.T) {
	p := elect(t, engine.IPv4, Config{}, "239.0.0.0/8", "239.1.0.0/16")
	p.n.run(60 * time.Second)
	p.said()
	p.adv("10.0.0.1", 150*time.Second, "224.0.0.0/4", "239.0.0.0/8", "239.2.0.0/16", "239.1.0.0/16", "239.1.2.0/24")
	p.n.run(10 * time.Second)
	p.wantSaid("three scopes", "224.0.0.0/4 10.0.0.1/2m30s",
		"Z239.0.0.0/8 10.0.0.1/2m30s, 239.2.0.0/16 10.0.0.1/2m30s", "Z239.1.0.0/16 10.0.0.1/2m30s, 239.1.2.0/24 10.0.0.1/2m30s")
	better := p.bsm("Z239.1.0.0/16", "10.0.0.9")
	better.Priority = 200
	p.receive(better)
	p.n.run(60 * time.Second)
	for _, s := range p.said() {
		if strings.Contains(s, "239.1.") && strings.Contains(s, "10.0.0.1") {
			t.Errorf("announced although another is the BSR of 239.1.0.0/16: %s", s)
		}
	}
	p.r.checkInvariants(t)

	p = elect(t, engine.IPv6, Config{}, "ff05::/16", "ff08::/16")
	p.n.run(60 * time.Second)
	p.said()
	p.adv("2001:db8::1", 150*time.Second, "ff00::/8", "ff15::/16", "ff18:1::/32", "ff05::/16")
	p.n.run(10 * time.Second)
	p.wantSaid("IPv6", "ff00::/8 2001:db8::1/2m30s", "Zff05::/16 2001:db8::1/2m30s, ff15::/16 2001:db8::1/2m30s",
		"Zff08::/16, ff18:1::/32 2001:db8::1/2m30s")
}

// TestOriginatedFragments: a message that does not fit into the smallest MTU is divided, and others put it together (section
// 4.1.1).
func TestOriginatedFragments(t *testing.T) {
	p := elect(t, engine.IPv4, Config{})
	p.link.mtu = 576
	for k := range 20 {
		p.adv(fmt.Sprintf("10.0.0.%d", k+1), 150*time.Second, "224.0.0.0/4", fmt.Sprintf("239.%d.0.0/16", k))
	}
	p.n.deny = func(from, _ *router, _ wire.Message) bool { return from == p.peer }
	p.n.run(30 * time.Second)
	if len(p.peer.told) != 40 || !slices.Equal(p.peer.told, p.r.told) {
		t.Errorf("the neighbor has %d mappings, the BSR %d", len(p.peer.told), len(p.r.told))
	}
	long := 0
	for _, s := range p.r.sent {
		b := p.n.encoded(s.m, p.link.on(p.r), wire.AllPIMRouters(engine.IPv4))
		if long = max(long, len(b)+20); long > 576 {
			t.Errorf("a packet of %d octets", long)
		}
	}
	if len(p.r.sent) < 2 || long < 400 {
		t.Errorf("%d messages, the longest %d", len(p.r.sent), long)
	}
}

// TestHandOver: a BSR that ends says its RP-Set with the lowest priority, its own Candidate-RPs being withdrawn; the others elect
// another at once (section 3.3).
func TestHandOver(t *testing.T) {
	p := elect(t, engine.IPv4, Config{CandidateRPs: []CandidateRP{{Address: netip.MustParseAddr("10.255.0.5"), Priority: 192}}})
	p.adv("10.0.0.1", 150*time.Second, "224.0.0.0/4")
	p.n.run(70 * time.Second)
	p.said()
	p.r.b.Stop(p.n.now)
	p.wantSaid("at the end", "224.0.0.0/4 10.0.0.1/2m30s 10.255.0.5/0s priority 0")
	p.gone()
	p.n.run(time.Second)
	if z := p.peer.b.zones[netip.Prefix{}]; z.bsr.priority != 0 || z.bsr.address != p.r.address {
		t.Errorf("the neighbor's BSR is %v", z.bsr)
	}

	// A candidate of a lower weight takes over within BS_Rand_Override instead of BS_Timeout.
	n := newNetwork(t, engine.IPv4, 1)
	a := n.addRouter("10.255.0.9", Config{Candidate: &Candidate{Address: netip.MustParseAddr("10.255.0.9"), Priority: 64}})
	b := n.addRouter("10.255.0.1", Config{Candidate: &Candidate{Address: netip.MustParseAddr("10.255.0.1"), Priority: 63}})
	n.addLink(a, b)
	n.startAll()
	n.run(2 * time.Minute)
	if s := b.b.zones[netip.Prefix{}].state; s != CandidateBSR {
		t.Fatalf("%v", s)
	}
	a.b.Stop(n.now)
	n.run(24 * time.Second)
	if s := b.b.zones[netip.Prefix{}].state; s != ElectedBSR {
		t.Errorf("after the end of the BSR: %v", s)
	}
}

// TestAnotherAddress: a BSR that is configured with another address hands over as the one that it was.
func TestAnotherAddress(t *testing.T) {
	p := elect(t, engine.IPv4, Config{})
	p.r.others = append(p.r.others, netip.MustParseAddr("10.255.0.4"))
	cfg := p.r.b.cfg
	c := *cfg.Candidate
	c.Address = netip.MustParseAddr("10.255.0.4")
	cfg.Candidate = &c
	p.r.b.Configure(p.n.now, cfg)
	p.wantSaid("at once", " priority 0")
	p.n.run(24 * time.Second)
	if z := p.r.b.zones[netip.Prefix{}]; z.state != ElectedBSR || z.bsr.address != c.Address {
		t.Errorf("%v with BSR %v", z.state, z.bsr)
	}
	p.r.checkInvariants(t)
}
