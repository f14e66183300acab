package autorp_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"grove/internal/pim/autorp"
	"grove/internal/pim/autorp/wire"
)

// slow is the rules of sections 3.2 and 6 read group by group: of the ranges that hold a group the longest counts; of those who announce
// that range one who denies it, else the one with the highest address. It returns the RP, and whether the range is denied.
func slow(said []announcement, group netip.Addr) (rp netip.Addr, denied, found bool) {
	var best *announcement
	for i := range said {
		s := &said[i]
		if !s.groups.Contains(group) {
			continue
		}
		switch {
		case best == nil || s.groups.Bits() > best.groups.Bits():
			best = s
		case s.groups.Bits() < best.groups.Bits():
		case s.negative != best.negative:
			if s.negative {
				best = s
			}
		case best.rp.Less(s.rp):
			best = s
		}
	}
	if best == nil {
		return rp, false, false
	}
	return best.rp, best.negative, true
}

type announcement struct {
	rp       netip.Addr
	groups   netip.Prefix
	negative bool
}

func (a announcement) String() string {
	return fmt.Sprintf("%v %v negative=%v", a.rp, a.groups, a.negative)
}

// TestAgentChooses: whatever RPs announce, a listener that hears what the agent makes of it finds for every group what the rules say,
// and no range is said that could be left out.
func TestAgentChooses(t *testing.T) {
	for seed := range uint64(500) {
		rng := rand.New(rand.NewPCG(seed, 7))
		w := newWorld()
		w.owned = []netip.Addr{netip.MustParseAddr("10.0.0.9")}
		w.a.Configure(w.now, autorp.Config{Listen: true, Agent: autorp.Agent{Address: w.owned[0], Scope: 1, Interval: time.Minute, Holdtime: time.Hour}})
		var all []announcement
		for range 1 + rng.IntN(12) {
			group := netip.AddrFrom4([4]byte{239, byte(rng.IntN(2)), byte(rng.IntN(4)) << 6, byte(rng.IntN(2)) << 7})
			p, err := group.Prefix([]int{4, 8, 15, 16, 17, 18, 24, 25, 32}[rng.IntN(9)])
			if err != nil {
				t.Fatal(err)
			}
			s := announcement{netip.AddrFrom4([4]byte{10, 1, 0, byte(1 + rng.IntN(4))}), p, rng.IntN(4) == 0}
			for i := range all { // one RP says of a range what it said last
				if all[i].rp == s.rp && all[i].groups == s.groups {
					all[i].negative = s.negative
				}
			}
			all = append(all, s)
			m := wire.Message{Type: wire.Announcement, Holdtime: time.Hour, RPs: []wire.RP{
				{Address: s.rp, Groups: []wire.Group{{Prefix: s.groups, Negative: s.negative}}},
			}}
			b, err := m.Append(nil)
			if err != nil {
				t.Fatal(err)
			}
			w.a.Receive(w.now, s.rp, wire.AnnounceGroup, b)
		}
		w.wait(2 * time.Second)
		learned := w.a.Mappings()
		lookup := func(without int, group netip.Addr) autorp.Mapping {
			var best autorp.Mapping
			for i, m := range learned {
				if i != without && m.Groups.Contains(group) && (!best.Groups.IsValid() || m.Groups.Bits() > best.Groups.Bits()) {
					best = m
				}
			}
			return best
		}
		var groups []netip.Addr
		for _, s := range all {
			last := s.groups.Addr().As4()
			for bit := s.groups.Bits(); bit < 32; bit++ {
				last[bit/8] |= 1 << (7 - bit%8)
			}
			groups = append(groups, s.groups.Addr(), netip.AddrFrom4(last), netip.AddrFrom4(last).Next())
		}
		needed := make([]bool, len(learned))
		for _, g := range groups {
			if !g.IsMulticast() {
				continue
			}
			got := lookup(-1, g)
			rp, denied, found := slow(all, g)
			if found != got.Groups.IsValid() || found && (denied != got.Negative || rp != got.RP) {
				t.Fatalf("seed %d: %v is served by %v (denied %v), want %v (denied %v)\nsaid %v\nlearned %v", seed, g, got.RP, got.Negative, rp, denied, all, learned)
			}
			for i := range learned {
				without := lookup(i, g)
				if without.RP != got.RP || without.Negative != got.Negative {
					needed[i] = true
				}
			}
		}
		for i, m := range learned {
			if !needed[i] && wider(learned, m) {
				t.Errorf("seed %d: %v of %v says nothing new\nsaid %v\nlearned %v", seed, m.Groups, m.RP, all, learned)
			}
		}
	}
}

// wider says whether the narrowest range around m is the same RP's: then m is a duplicate.
func wider(learned []autorp.Mapping, m autorp.Mapping) bool {
	var best autorp.Mapping
	for _, o := range learned {
		if o.Groups != m.Groups && o.Groups.Contains(m.Groups.Addr()) && o.Groups.Bits() < m.Groups.Bits() &&
			(!best.Groups.IsValid() || o.Groups.Bits() > best.Groups.Bits()) {
			best = o
		}
	}
	return best.RP == m.RP && best.Negative == m.Negative
}
