package wire_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"grove/internal/pim/wire"
)

func host(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
}

func group(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{239, byte(i >> 16), byte(i >> 8), byte(i)})
}

var (
	upstream = addr("10.0.12.2")
	rp       = addr("10.255.0.3")
)

// TestPackFull: 1,000 (*,G) joins go out in as few messages as 1500 bytes and 255 groups allow, in order, and Size is
// what Encode makes.
func TestPackFull(t *testing.T) {
	var sets []wire.GroupSet
	for i := range 1000 {
		sets = append(sets, wire.GroupSet{Group: wire.GroupOf(group(i)), Joined: []wire.Source{wire.StarG(rp)}})
	}
	for _, c := range []struct{ limit, messages int }{
		{wire.MaxMessage(1500, upstream), 14}, // (1480-14)/20 = 73 groups in each
		{9000, 4},                             // 255 groups in each
	} {
		messages, err := wire.Pack(upstream, 210*time.Second, sets, c.limit)
		if err != nil {
			t.Fatal(err)
		}
		var got []wire.GroupSet
		for _, m := range messages {
			b, err := wire.Encode(m, addr("10.0.12.1"), addr("224.0.0.13"))
			if err != nil || len(b) != m.Size() || len(b) > c.limit || m.Upstream != upstream || m.Holdtime != 210*time.Second {
				t.Fatalf("a message of %d bytes, size %d, limit %d (%v)", len(b), m.Size(), c.limit, err)
			}
			got = append(got, m.Groups...)
		}
		if !reflect.DeepEqual(got, sets) {
			t.Error("the messages do not say what the groups say")
		}
		if len(messages) != c.messages {
			t.Errorf("limit %d: %d messages, want %d", c.limit, len(messages), c.messages)
		}
	}
}

// TestPackKeepsSharedTree: a (*,G) join and its (S,G,rpt) prunes stay in one message; of those that do not fit, the
// numerically largest are left out; the (S,G) entries of the group follow in other messages (RFC 7761 section 4.9.5.2).
func TestPackKeepsSharedTree(t *testing.T) {
	set := wire.GroupSet{Group: wire.GroupOf(group(1)), Joined: []wire.Source{wire.SG(host(1)), wire.StarG(rp)}}
	for i := range 20 {
		set.Pruned = append(set.Pruned, wire.SGRpt(host(100-i)), wire.SG(host(200+i)))
	}
	other := wire.GroupSet{Group: wire.GroupOf(group(0)), Joined: []wire.Source{wire.SG(host(9))}}
	limit := 14 + 12 + 8*8 // header and upstream, group, 8 sources
	messages, err := wire.Pack(upstream, time.Minute, []wire.GroupSet{other, set}, limit)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(messages[0].Groups, []wire.GroupSet{other}) {
		t.Errorf("the first message says %+v", messages[0].Groups)
	}
	shared := wire.GroupSet{Group: set.Group, Joined: []wire.Source{wire.StarG(rp)}}
	for i := range 7 {
		shared.Pruned = append(shared.Pruned, wire.SGRpt(host(81+i)))
	}
	if !reflect.DeepEqual(messages[1].Groups, []wire.GroupSet{shared}) {
		t.Errorf("the second message says %+v", messages[1].Groups)
	}
	var rest wire.GroupSet
	for _, m := range messages[2:] {
		if m.Size() > limit || len(m.Groups) != 1 || m.Groups[0].Group != set.Group {
			t.Errorf("a piece of %d bytes: %+v", m.Size(), m)
		}
		rest.Joined = append(rest.Joined, m.Groups[0].Joined...)
		rest.Pruned = append(rest.Pruned, m.Groups[0].Pruned...)
	}
	if len(messages) != 5 || !slices.Equal(rest.Joined, []wire.Source{wire.SG(host(1))}) || len(rest.Pruned) != 20 ||
		slices.ContainsFunc(rest.Pruned, wire.Source.IsSGRpt) {
		t.Errorf("%d messages, of the last %+v", len(messages), rest)
	}
}

// TestPackSaysEverything: whatever the groups and the limit, every message fits, and all that was said is said once;
// but for the (S,G,rpt) prunes that do not fit beside their (*,G) join.
func TestPackSaysEverything(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		limit := 34 + rng.IntN(400)
		var sets []wire.GroupSet
		want := map[string]int{}
		for i := range rng.IntN(20) {
			g := wire.GroupSet{Group: wire.GroupOf(group(i))}
			star := rng.IntN(2) == 0
			if star {
				g.Joined = append(g.Joined, wire.StarG(rp))
			}
			for s := range rng.IntN(30) {
				switch rng.IntN(4) {
				case 0:
					g.Joined = append(g.Joined, wire.SG(host(s)))
				case 1:
					g.Pruned = append(g.Pruned, wire.SG(host(s)))
				case 2:
					g.Pruned = append(g.Pruned, wire.SGRpt(host(s)))
				case 3:
					if !star {
						g.Joined = append(g.Joined, wire.SGRpt(host(s)))
					}
				}
			}
			sets = append(sets, g)
			say(want, g, star)
		}
		messages, err := wire.Pack(upstream, time.Minute, sets, limit)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		got := map[string]int{}
		for _, m := range messages {
			if m.Size() > limit || len(m.Groups) == 0 {
				t.Fatalf("seed %d: %d groups in %d bytes of %d", seed, len(m.Groups), m.Size(), limit)
			}
			for _, g := range m.Groups {
				say(got, g, slices.ContainsFunc(g.Joined, wire.Source.IsStarG))
			}
		}
		for what, n := range want {
			if got[what] != n {
				t.Errorf("seed %d: said %d times: %s", seed, got[what], what)
			}
		}
		if len(got) > len(want) {
			t.Errorf("seed %d: said more than asked", seed)
		}
	}
}

// say notes what a set says, leaving out the (S,G,rpt) prunes beside a (*,G) join.
func say(m map[string]int, g wire.GroupSet, star bool) {
	for _, s := range g.Joined {
		m[fmt.Sprintf("join %v %v", g.Group, s)]++
	}
	for _, s := range g.Pruned {
		if !star || !s.IsSGRpt() {
			m[fmt.Sprintf("prune %v %v", g.Group, s)]++
		}
	}
}

// TestPackLimit: a limit too small for any source is refused, not looped over.
func TestPackLimit(t *testing.T) {
	sets := []wire.GroupSet{{Group: wire.GroupOf(group(1)), Joined: []wire.Source{wire.StarG(rp)}}}
	if _, err := wire.Pack(upstream, time.Minute, sets, 33); !errors.Is(err, wire.ErrRange) {
		t.Errorf("got %v", err)
	}
	if m, err := wire.Pack(upstream, time.Minute, sets, 34); err != nil || len(m) != 1 || m[0].Size() != 34 {
		t.Errorf("got %v, %v", m, err)
	}
	six := []wire.GroupSet{{Group: wire.GroupOf(addr("ff3e::1")), Joined: []wire.Source{wire.SG(addr("2001:db8::1"))}}}
	if m, err := wire.Pack(addr("fe80::1"), time.Minute, six, 70); err != nil || len(m) != 1 || m[0].Size() != 70 {
		t.Errorf("got %v, %v", m, err)
	}
}
