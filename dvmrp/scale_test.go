package dvmrp

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"grove/dvmrp/wire"
	"grove/internal/engine"
)

// wired is machines whose interfaces are wired directly, in virtual time: interface n of one is link n.
type wired struct {
	nodes []*node
	now   time.Time
	queue arrivals
	seq   int
	down  map[engine.IfID]bool
	sent  int
}

type node struct {
	m     *Machine
	links map[engine.IfID]engine.Interface
}

// arrival is a packet on its way.
type arrival struct {
	at  time.Time
	seq int
	to  *node
	p   engine.Packet
}

type arrivals []arrival

func (a arrivals) Len() int { return len(a) }
func (a arrivals) Less(i, j int) bool {
	return a[i].at.Before(a[j].at) || a[i].at.Equal(a[j].at) && a[i].seq < a[j].seq
}
func (a arrivals) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *arrivals) Push(x any)   { *a = append(*a, x.(arrival)) }
func (a *arrivals) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

// newWired makes machines on links: links[l] are the machines that are on link l+1.
func newWired(networks int, links ...[]int) *wired {
	w := &wired{now: time.Unix(1_000_000, 0), down: map[engine.IfID]bool{}}
	for n := range 1 + slices.Max(slices.Concat(links...)) {
		nd := &node{links: map[engine.IfID]engine.Interface{}}
		nd.m = New(engine.MachineID{Protocol: engine.DVMRP, Family: engine.IPv4}, rand.New(rand.NewPCG(uint64(n), 1)))
		w.nodes = append(w.nodes, nd)
		cfg := Config{Interfaces: map[string]InterfaceConfig{}, MaxRoutes: networks + 100}
		for l, on := range links {
			if slices.Contains(on, n) {
				cfg.Interfaces[fmt.Sprintf("l%d", l+1)] = InterfaceConfig{}
			}
		}
		if n == 0 {
			for k := range networks {
				p := netip.PrefixFrom(netip.AddrFrom4([4]byte{20, byte(k >> 16), byte(k >> 8), byte(k)}), 32)
				if k%2 == 0 {
					p = netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(30 + k>>16), byte(k >> 8), byte(k), 0}), 24)
				}
				cfg.Originate.Networks = append(cfg.Originate.Networks, Network{Prefix: p, Metric: 1})
			}
		}
		w.tell(nd, engine.Configure{Config: cfg})
		for l, on := range links {
			if !slices.Contains(on, n) {
				continue
			}
			i := engine.Interface{
				ID: engine.IfID(l + 1), Name: fmt.Sprintf("l%d", l+1), Up: true, Carrier: true, Multicast: true, MTU: 1500,
				Addrs: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(l + 1), byte(n + 1)}), 24)},
			}
			nd.links[i.ID] = i
			w.tell(nd, engine.InterfaceChange{Interface: i})
		}
	}
	return w
}

func (w *wired) tell(n *node, ev engine.Event) {
	for _, ev := range []engine.Event{ev, engine.Settled{}} {
		for _, e := range n.m.Step(w.now, ev) {
			s, ok := e.(engine.Send)
			if !ok || w.down[s.If] {
				continue
			}
			w.sent++
			for _, to := range w.nodes {
				i, on := to.links[s.If]
				if on && to != n && (s.Dst.IsMulticast() || i.HasAddr(s.Dst)) {
					w.seq++
					p := engine.Packet{If: s.If, Src: s.Src, Dst: s.Dst, Proto: s.Proto, TTL: s.TTL, TOS: s.TOS, Payload: s.Payload}
					heap.Push(&w.queue, arrival{w.now.Add(time.Millisecond), w.seq, to, p})
				}
			}
		}
	}
}

// cut has both ends of a link see that it is gone.
func (w *wired) cut(link engine.IfID) {
	w.down[link] = true
	for _, n := range w.nodes {
		if i, on := n.links[link]; on {
			i.Carrier = false
			w.tell(n, engine.InterfaceChange{Interface: i})
		}
	}
}

// run lets time pass until done, and returns how much did.
func (w *wired) run(limit time.Duration, done func() bool) (time.Duration, bool) {
	begin := w.now
	for !done() {
		next, what := begin.Add(limit), -1
		for n := range w.nodes {
			if at, ok := w.nodes[n].m.Deadline(); ok && at.Before(next) {
				next, what = at, n
			}
		}
		if len(w.queue) > 0 && !w.queue[0].at.After(next) {
			a := heap.Pop(&w.queue).(arrival)
			w.now = a.at
			w.tell(a.to, a.p)
			continue
		}
		w.now = next
		if what < 0 {
			return w.now.Sub(begin), done()
		}
		w.tell(w.nodes[what], engine.Tick{})
	}
	return w.now.Sub(begin), true
}

// learned counts the routes that a machine has by an interface and tells others.
func (n *node) learned(by engine.IfID) int {
	count := 0
	for _, i := range n.m.order {
		for _, nbr := range i.neighbors {
			if i.id == by {
				count += len(nbr.routes.All)
			}
		}
	}
	return count
}

// converge makes a triangle with so many routes behind one corner, cuts the link of another corner to it, which has the routes
// by the third one at once, and returns how long it took until that was ready to tell so.
func converge(t testing.TB, networks int) (learn, again time.Duration, work time.Duration) {
	w := newWired(networks, []int{0, 1}, []int{0, 2}, []int{1, 2})
	b := w.nodes[1]
	learn, ok := w.run(2*time.Minute, func() bool { return b.learned(1) >= networks && w.nodes[2].learned(2) >= networks })
	if !ok {
		t.Fatalf("%d and %d routes of %d after %v", b.learned(1), w.nodes[2].learned(2), networks, learn)
	}
	w.run(5*time.Minute, func() bool { return false })
	w.sent = 0
	start := time.Now()
	w.cut(1)
	if b.learned(1) != 0 || b.learned(3) < networks {
		t.Fatalf("after the cut %d routes by it, %d by another way", b.learned(1), b.learned(3))
	}
	held := func() bool {
		for _, r := range b.m.buckets[0].All {
			if r.hold != nil {
				return true
			}
		}
		return false
	}
	again, ok = w.run(5*time.Minute, func() bool { return b.learned(3) >= networks && !held() })
	work = time.Since(start)
	if !ok {
		t.Fatalf("%d routes of %d after %v", b.learned(3), networks, again)
	}
	// What was learned meanwhile is told when the hold-down of all is over.
	w.run(10*time.Second, func() bool { return false })
	for _, b := range w.nodes[1].m.buckets {
		for _, r := range b.All {
			if r.hold != nil || !r.reachable() {
				t.Fatalf("%v: %s", r.prefix, r.words())
			}
		}
	}
	return learn, again, work
}

// TestConverge: routes are learned at once (a neighbor is sent the whole table), and after a cut they are told by the other way
// when the hold-down is over (section 3.4.8).
func TestConverge(t *testing.T) {
	learn, again, _ := converge(t, 1000)
	if learn > time.Second {
		t.Errorf("learned after %v", learn)
	}
	if want := 2 * time.Minute; again < want || again > want+time.Second {
		t.Errorf("the other way after %v, want %v and little more", again, want)
	}
}

// BenchmarkConverge measures the work of three machines from the cut of a link until the last hold-down is over: two Route
// Report Intervals of all routes, and the change of each. Virtual time is printed beside it.
func BenchmarkConverge(b *testing.B) {
	for _, networks := range []int{5_000, 20_000} {
		b.Run(fmt.Sprint(networks), func(b *testing.B) {
			var learn, again, work time.Duration
			for range b.N {
				learn, again, work = converge(b, networks)
			}
			b.ReportMetric(float64(learn.Milliseconds()), "virtual-ms-to-learn")
			b.ReportMetric(again.Seconds(), "virtual-s-to-converge")
			b.ReportMetric(float64(work.Milliseconds()), "ms-of-work")
		})
	}
}

// BenchmarkReport measures a Report of a hundred routes that changes nothing.
func BenchmarkReport(b *testing.B) {
	w := newWired(20_000, []int{0, 1})
	w.run(time.Minute, func() bool { return w.nodes[1].learned(1) >= 20_000 })
	n := w.nodes[1].m.order[0].neighbors[0]
	report := &wire.Report{}
	for _, h := range n.heard.All[:100] {
		report.Routes = append(report.Routes, wire.Route{Prefix: h.r.prefix, Metric: h.metric})
	}
	b.ReportAllocs()
	for b.Loop() {
		n.receiveReport(report)
	}
}

// BenchmarkActivity measures the counts of packets of ten thousand sources behind one route, as a default route has them.
func BenchmarkActivity(b *testing.B) {
	const hosts = 10_000
	w := newWired(2, []int{0, 1}, []int{1, 2})
	w.run(time.Minute, func() bool { return w.nodes[1].learned(1) >= 2 })
	n := w.nodes[1]
	w.tell(n, engine.Packet{
		If: 1, Src: netip.MustParseAddr("10.0.1.1"), Dst: wire.AllDVMRPRouters, Proto: engine.ProtoIGMP, TTL: 1,
		Payload: must(wire.Encode(wire.Header{Version: wire.OurVersion}, &wire.Report{Routes: []wire.Route{{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Metric: 1}}})),
	})
	var keys []engine.Key
	for k := range hosts {
		key := engine.SG(netip.AddrFrom4([4]byte{172, 16, byte(k >> 8), byte(k)}), netip.MustParseAddr("239.1.1.1"))
		keys = append(keys, key)
		n.m.Step(w.now, engine.Creation{Key: key, If: 1})
		n.m.Step(w.now, engine.Path{Addr: key.Source, Hops: []engine.NextHop{{If: 1}}})
	}
	n.m.Step(w.now, engine.Membership{If: 2, Group: keys[0].Group, Mode: engine.Exclude})
	n.m.Step(w.now, engine.Settled{})
	for i := 0; b.Loop(); i++ {
		n.m.Step(w.now, engine.Activity{Key: keys[i%hosts], Packets: 1})
	}
}

func must(payload []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return payload
}
