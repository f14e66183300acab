package pimsm_test

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"

	"grove/internal/engine"
	"grove/internal/pim/wire"
	"grove/pimsm"
)

const manyGroups = 20_000

func groupNumber(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{239, byte(n >> 16), byte(n >> 8), byte(n)})
}
func sourceNumber(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 9, byte(n >> 8), byte(n)})
}

// quietWorld drives a machine without keeping what it says, but for the messages that take is called with.
type quietWorld struct {
	*world
	take func(engine.Send)
}

func newQuietWorld(t *testing.T, script ...string) *quietWorld {
	w := &quietWorld{world: newWorld(t, engine.IPv4)}
	for _, line := range script {
		if err := w.do(splitFields(line)); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	w.log, w.all = nil, nil
	return w
}

func (w *quietWorld) quietStep(ev engine.Event) {
	var paths []engine.Path
	for _, e := range w.m.Step(w.now, ev) {
		switch e := e.(type) {
		case engine.Track:
			paths = append(paths, engine.Path{Addr: e.Addr, Distance: 110, Metric: 10, Hops: []engine.NextHop{
				{If: w.ifaces["alt"].ID, Gateway: addr("10.0.1.2"), Weight: 1},
			}})
		case engine.Send:
			if w.take != nil {
				w.take(e)
			}
		}
	}
	for _, p := range paths {
		w.quietStep(p)
	}
}

func (w *quietWorld) batch(n int, ev func(n int) engine.Event) {
	for i := range n {
		w.quietStep(ev(i))
		if i%100 == 99 {
			w.quietStep(engine.Settled{})
		}
	}
	w.quietStep(engine.Settled{})
}

// lastHop joins n groups, hears of a source of each on the shared tree, and switches to the shortest-path tree.
func lastHop(t *testing.T, n int, take func(engine.Send)) *quietWorld {
	w := newQuietWorld(t,
		"config rp 10.255.0.3", "config go", "iface up 10.0.0.1/24", "iface alt 10.0.1.1/24", "iface lan 10.0.2.1/24",
		"path 10.255.0.3 via up 10.0.0.2", "hello up 10.0.0.2", "hello alt 10.0.1.2")
	w.take = take
	lan, up, alt := w.ifaces["lan"].ID, w.ifaces["up"].ID, w.ifaces["alt"].ID
	w.batch(n, func(i int) engine.Event {
		return engine.Membership{If: lan, Group: groupNumber(i), Mode: engine.Exclude}
	})
	w.batch(n, func(i int) engine.Event {
		return engine.Creation{Key: engine.SG(sourceNumber(i), groupNumber(i)), If: up}
	})
	w.batch(n, func(i int) engine.Event {
		return engine.WrongInterface{Key: engine.SG(sourceNumber(i), groupNumber(i)), If: alt}
	})
	return w
}

// BenchmarkLastHop: groups joined by hosts, with a source each on the shortest-path tree. B/entry is what stays in
// memory of a group and its source.
func BenchmarkLastHop(b *testing.B) {
	for _, n := range []int{5_000, 10_000, manyGroups} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var before, after runtime.MemStats
			for b.Loop() {
				runtime.GC()
				runtime.ReadMemStats(&before)
				messages := 0
				w := lastHop(&testing.T{}, n, func(engine.Send) { messages++ })
				runtime.GC()
				runtime.ReadMemStats(&after)
				b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(n), "B/entry")
				b.ReportMetric(float64(messages), "messages")
				runtime.KeepAlive(w)
			}
		})
	}
}

// BenchmarkRP: the same groups joined by a neighbor, and Registers of a source of each.
func BenchmarkRP(b *testing.B) {
	var joins []*wire.JoinPrune
	lastHop(&testing.T{}, manyGroups, func(s engine.Send) {
		if m, err := wire.Parse(s.Payload, s.Src, s.Dst); err == nil {
			if jp, ok := m.(*wire.JoinPrune); ok && jp.Upstream == addr("10.0.0.2") {
				joins = append(joins, jp)
			}
		}
	})
	for b.Loop() {
		w := newQuietWorld(&testing.T{},
			"config rp 10.255.0.3", "config go", "iface lo 10.255.0.3/32", "iface alt 10.0.1.1/24",
			"iface rcv 10.0.0.2/24", "path 10.255.0.3 local lo", "hello rcv 10.0.0.1", "hello alt 10.0.1.2")
		rcv := w.ifaces["rcv"].ID
		w.batch(len(joins), func(i int) engine.Event {
			p, _ := wire.Encode(joins[i], addr("10.0.0.1"), w.all_())
			return engine.Packet{If: rcv, Src: addr("10.0.0.1"), Dst: w.all_(), Proto: engine.ProtoPIM, Payload: p}
		})
		w.batch(manyGroups, func(i int) engine.Event {
			r := &wire.Register{Packet: dataPacket(sourceNumber(i), groupNumber(i), nil)}
			p, _ := wire.Encode(r, addr("10.9.0.1"), addr("10.255.0.3"))
			return engine.Packet{Src: addr("10.9.0.1"), Dst: addr("10.255.0.3"), Proto: engine.ProtoPIM, Payload: p}
		})
	}
}

// TestMessagesAggregate: 20,000 groups are joined and refreshed by few messages, none of them longer than the MTU.
func TestMessagesAggregate(t *testing.T) {
	messages, longest, groups := 0, 0, 0
	w := lastHop(t, manyGroups, func(s engine.Send) {
		messages++
		longest = max(longest, len(s.Payload))
	})
	if longest > 1500-20 {
		t.Errorf("a message of %d bytes", longest)
	}
	if messages > 2000 {
		t.Errorf("%d messages to join", messages)
	}
	messages = 0
	w.take = func(s engine.Send) {
		m, err := wire.Parse(s.Payload, s.Src, s.Dst)
		if err != nil {
			t.Fatal(err)
		}
		if jp, ok := m.(*wire.JoinPrune); ok {
			messages++
			groups += len(jp.Groups)
		}
	}
	until := w.now.Add(120_000_000_000)
	for {
		at, ok := w.m.Deadline()
		if !ok || at.After(until) {
			break
		}
		w.now = at
		w.quietStep(engine.Tick{})
		w.quietStep(engine.Settled{})
	}
	if groups < 2*2*manyGroups-2*manyGroups {
		t.Errorf("%d entries refreshed in two periods", groups)
	}
	if messages > 4000 {
		t.Errorf("%d messages in two periods", messages)
	}
}

// TestManySourcesOfAGroup: a group with many sources finds each of them, and all go.
func TestManySourcesOfAGroup(t *testing.T) {
	w := newQuietWorld(t,
		"config go", "iface alt 10.0.1.1/24", "iface rcv 10.0.0.2/24", "hello rcv 10.0.0.1", "hello alt 10.0.1.2")
	g := addr("239.1.1.1")
	message := func(join bool) {
		for first := 0; first < 3000; first += 100 {
			jp := &wire.JoinPrune{Upstream: addr("10.0.0.2"), Holdtime: 210_000_000_000}
			set := wire.GroupSet{Group: wire.GroupOf(g)}
			for n := range 100 {
				if e := wire.SG(sourceNumber(first + n)); join {
					set.Joined = append(set.Joined, e)
				} else {
					set.Pruned = append(set.Pruned, e)
				}
			}
			jp.Groups = []wire.GroupSet{set}
			p, err := wire.Encode(jp, addr("10.0.0.1"), w.all_())
			if err != nil {
				t.Fatal(err)
			}
			w.quietStep(engine.Packet{
				If: w.ifaces["rcv"].ID, Src: addr("10.0.0.1"), Dst: w.all_(), Proto: engine.ProtoPIM, Payload: p,
			})
		}
		w.quietStep(engine.Settled{})
	}
	for _, join := range []bool{true, true, false} {
		message(join)
		joined := 0
		for _, e := range w.m.Step(w.now, engine.Query{What: "entries"}) {
			if a, ok := e.(engine.Answer); ok {
				for _, x := range a.Value.([]pimsm.EntryShow) {
					if x.Upstream == "Joined" {
						joined++
					}
				}
			}
		}
		if want := map[bool]int{true: 3000}[join]; joined != want {
			t.Errorf("joins %v: %d sources are joined, want %d", join, joined, want)
		}
	}
}
