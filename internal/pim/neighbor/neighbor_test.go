package neighbor_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/neighbor"
	"grove/internal/pim/wire"
)

// TestTimerValues: t_override is rand(0, Effective_Override_Interval), t_suppressed is rand(1.1 * t_periodic, 1.4 *
// t_periodic) or 0 if suppression is disabled (RFC 7761 section 4.11), and all of the range is used.
func TestTimerValues(t *testing.T) {
	s := newScenario(engine.IPv4)
	s.ifc.Update(s.now, linkOf([]string{"10.0.12.1/24"}))
	if got := s.ifc.TSuppressed(time.Minute); got != 0 {
		t.Errorf("t_suppressed without suppression is %v", got)
	}
	s.ifc.Receive(s.now, netip.MustParseAddr("10.0.12.2"), helloOf([]string{"holdtime=105s", "lan=700ms/4s"}))
	if got := s.ifc.JPOverrideInterval(); got != 4700*time.Millisecond {
		t.Errorf("J/P_Override_Interval is %v", got)
	}
	for _, c := range []struct {
		name     string
		draw     func() time.Duration
		from, to time.Duration
	}{
		{"t_override", s.ifc.TOverride, 0, 4 * time.Second},
		{
			"t_suppressed", func() time.Duration { return s.ifc.TSuppressed(time.Minute) }, 66 * time.Second,
			84 * time.Second,
		},
	} {
		lowest, highest := c.draw(), c.draw()
		for range 1000 {
			d := c.draw()
			lowest, highest = min(lowest, d), max(highest, d)
		}
		tenth := (c.to - c.from) / 10
		if lowest < c.from || lowest > c.from+tenth || highest > c.to || highest < c.to-tenth {
			t.Errorf("%s is between %v and %v, want %v to %v", c.name, lowest, highest, c.from, c.to)
		}
	}
}

// TestHelloDelays: the first Hello comes at a random time within Triggered_Hello_Delay, and so does a triggered one;
// the ones after the first are Hello_Period apart.
func TestHelloDelays(t *testing.T) {
	s := newScenario(engine.IPv4)
	var first, triggered []time.Duration
	for n := range 200 {
		s.ifc.Update(s.now, linkOf([]string{"10.0.12.1/24"}))
		s.sent = nil
		up := s.now
		s.advance(65 * time.Second)
		if len(s.sent) != 3 || s.sent[1].at.Sub(s.sent[0].at) != 30*time.Second ||
			s.sent[2].at.Sub(s.sent[1].at) != 30*time.Second {
			t.Fatalf("round %d: %d Hellos in 65 s", n, len(s.sent))
		}
		first = append(first, s.sent[0].at.Sub(up))
		s.advance(s.sent[2].at.Add(time.Second).Sub(s.now)) // well away from a periodic one
		s.sent = nil
		s.ifc.Receive(s.now, netip.MustParseAddr("10.0.12.2"), helloOf([]string{"holdtime=105s", "priority=1"}))
		heard := s.now
		s.advance(5 * time.Second)
		if len(s.sent) != 1 {
			t.Fatalf("round %d: %d triggered Hellos", n, len(s.sent))
		}
		triggered = append(triggered, s.sent[0].at.Sub(heard))
		s.ifc.Stop(s.now)
	}
	for name, delays := range engine.Sorted(map[string][]time.Duration{"first": first, "triggered": triggered}) {
		slices.Sort(delays)
		if delays[0] > 500*time.Millisecond || delays[199] < 4500*time.Millisecond || delays[199] > 5*time.Second {
			t.Errorf("%s Hellos come after %v to %v", name, delays[0], delays[199])
		}
	}
	if s.timers.Len() != 0 {
		t.Errorf("%d timers run after Stop", s.timers.Len())
	}
}

// TestGenerationIDs: each start has a new one.
func TestGenerationIDs(t *testing.T) {
	s := newScenario(engine.IPv4)
	seen := map[uint32]bool{}
	for range 100 {
		s.ifc.Update(s.now, linkOf([]string{"10.0.12.1/24"}))
		if id := s.ifc.GenerationID(); seen[id] {
			t.Fatalf("Generation ID %08x again", id)
		} else {
			seen[id] = true
		}
		s.ifc.Update(s.now, linkOf([]string{"down", "10.0.12.1/24"}))
	}
}

// TestCallbackSeesNewState: a callback that looks around finds the state that it is told of, and may send a Join/Prune.
func TestCallbackSeesNewState(t *testing.T) {
	s := newScenario(engine.IPv4)
	env := s.env()
	two := netip.MustParseAddr("10.0.12.2")
	var up, down, hellos int
	env.Send = func(time.Time, netip.Addr, netip.Addr, wire.Message) { hellos++ }
	env.NeighborUp = func(now time.Time, n *neighbor.Neighbor) {
		up++
		if s.ifc.Neighbor(netip.MustParseAddr("10.1.1.2")) != n || s.ifc.DR() != two || s.ifc.IAmDR() ||
			s.ifc.EffectiveOverrideInterval() != 9*time.Second {
			t.Error("NeighborUp sees the state before")
		}
		s.ifc.HelloBeforeJoin(now)
		if hellos != 1 {
			t.Errorf("%d Hellos before the Join to the new neighbor", hellos)
		}
	}
	env.NeighborDown = func(_ time.Time, n *neighbor.Neighbor) {
		down++
		if s.ifc.Neighbor(two) != nil || s.ifc.DR() == two || !s.ifc.IAmDR() {
			t.Error("NeighborDown sees the state before")
		}
	}
	s.ifc = neighbor.New(env, configOf(nil))
	s.ifc.Update(s.now, linkOf([]string{"10.0.12.1/24"}))
	s.ifc.Receive(s.now, two, helloOf([]string{"holdtime=10s", "priority=5", "lan=1s/9s", "list=10.1.1.2"}))
	s.advance(10 * time.Second)
	if up != 1 || down != 1 {
		t.Errorf("%d up, %d down", up, down)
	}
}

// lan is a link with routers of ours on it, for TestLAN.
type lan struct {
	now     time.Time
	routers []*lanRouter
	queue   []sentMessage
}

type lanRouter struct {
	timers engine.Timers
	counts engine.Counts
	ifc    *neighbor.Interface
	cfg    neighbor.Config
	link   engine.Interface
}

func newLAN(rng *rand.Rand, n int) *lan {
	l := &lan{now: time.Unix(1_000_000_000, 0)}
	for i := range n {
		r := &lanRouter{cfg: randomConfig(rng), link: linkOf(nil)}
		r.link.Addrs = randomAddrs(rng, i)
		nothing := func(time.Time, *neighbor.Neighbor) {}
		r.ifc = neighbor.New(neighbor.Env{
			ID: engine.MachineID{Protocol: engine.PIMSM, Family: engine.IPv4}, If: 1, Rand: rng, Timers: &r.timers,
			Counts: &r.counts, Emit: func(engine.Effect) {},
			Send: func(now time.Time, src, dst netip.Addr, m wire.Message) {
				l.queue = append(l.queue, sentMessage{now, src, dst, m})
			},
			NeighborUp: nothing, NeighborDown: nothing, NeighborRestarted: nothing,
			AddressesChanged:  func(time.Time) {},
			DRChanged:         func(time.Time, netip.Addr, netip.Addr) {},
			ParametersChanged: func(time.Time) {},
		}, r.cfg)
		l.routers = append(l.routers, r)
	}
	return l
}

func randomConfig(rng *rand.Rand) neighbor.Config {
	c := configOf(nil)
	c.DRPriority, c.NoDRPriority = rng.Uint32N(3), rng.IntN(8) == 0
	c.PropagationDelay = time.Duration(rng.IntN(1000)) * time.Millisecond
	c.OverrideInterval = time.Duration(rng.IntN(4000)) * time.Millisecond
	c.TrackingSupport = rng.IntN(3) > 0
	return c
}

// randomAddrs gives router i of the LAN some of the addresses that only it may have, in any order.
func randomAddrs(rng *rand.Rand, i int) []netip.Prefix {
	var list []netip.Prefix
	for _, n := range rng.Perm(4)[:1+rng.IntN(3)] {
		list = append(list, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(n), byte(10 + i)}), 24))
	}
	return list
}

// run lets d pass: messages arrive at once at every other router, timers fire in order.
func (l *lan) run(d time.Duration) {
	end := l.now.Add(d)
	for {
		for len(l.queue) > 0 {
			m := l.queue[0]
			l.queue = l.queue[1:]
			for _, r := range l.routers {
				if r.link.Running() && !r.link.HasAddr(m.src) {
					r.ifc.Receive(l.now, m.src, m.msg.(*wire.Hello))
				}
			}
		}
		next, at := -1, end
		for i, r := range l.routers {
			if due, ok := r.timers.Deadline(); ok && !due.After(at) && (next < 0 || due.Before(at)) {
				next, at = i, due
			}
		}
		if next < 0 {
			break
		}
		l.now = at
		l.routers[next].timers.Fire(at)
	}
	l.now = end
}

// check compares what every router thinks with what is.
func (l *lan) check(t *testing.T, context string) {
	var dr candidate
	byAddress := slices.ContainsFunc(l.routers, func(r *lanRouter) bool { return r.ifc.Running() && r.cfg.NoDRPriority })
	for _, r := range l.routers {
		c := candidate{r.ifc.Primary(), r.cfg.DRPriority}
		if byAddress {
			c.priority = 0
		}
		if r.ifc.Running() && (!dr.address.IsValid() || c.priority > dr.priority ||
			c.priority == dr.priority && c.address.Compare(dr.address) > 0) {
			dr = c
		}
	}
	for n, r := range l.routers {
		if !r.ifc.Running() {
			continue
		}
		propagation, override, suppression, others := r.cfg.PropagationDelay, r.cfg.OverrideInterval, false, 0
		for _, o := range l.routers {
			if o == r || !o.ifc.Running() {
				continue
			}
			others++
			propagation = max(propagation, o.cfg.PropagationDelay)
			override = max(override, o.cfg.OverrideInterval)
			suppression = suppression || !o.cfg.TrackingSupport
			for _, p := range o.link.Addrs {
				if nb := r.ifc.Neighbor(p.Addr()); nb == nil || nb.Address != o.ifc.Primary() {
					t.Errorf("%s: router %d: NBR(%v) is %v", context, n, p.Addr(), nb)
				}
			}
		}
		if got := len(r.ifc.Neighbors()); got != others {
			t.Errorf("%s: router %d has %d neighbors of %d", context, n, got, others)
		}
		if r.ifc.DR() != dr.address || r.ifc.IAmDR() != (r.ifc.Primary() == dr.address) {
			t.Errorf("%s: router %d: the DR is %v, want %v", context, n, r.ifc.DR(), dr.address)
		}
		if r.ifc.EffectivePropagationDelay() != propagation || r.ifc.EffectiveOverrideInterval() != override ||
			r.ifc.SuppressionEnabled() != suppression {
			t.Errorf("%s: router %d: %v, %v, %v; want %v, %v, %v", context, n, r.ifc.EffectivePropagationDelay(),
				r.ifc.EffectiveOverrideInterval(), r.ifc.SuppressionEnabled(), propagation, override, suppression)
		}
	}
}

type candidate struct {
	address  netip.Addr
	priority uint32
}

// TestLAN: routers come, go, and change addresses and configuration on a LAN. After each change everybody soon agrees
// on the neighbors behind every address, the DR and the delays: at once, but for a router that went without a goodbye
// (after its holdtime) or came (after its first Hello).
func TestLAN(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 7))
		l := newLAN(rng, 2+rng.IntN(4))
		for _, r := range l.routers {
			r.ifc.Update(l.now, r.link)
		}
		l.run(10 * time.Second)
		l.check(t, fmt.Sprintf("seed %d, start", seed))
		for step := range 20 {
			i := rng.IntN(len(l.routers))
			r := l.routers[i]
			what, settle := "", time.Duration(0)
			switch rng.IntN(4) {
			case 0:
				what = "configure"
				r.cfg = randomConfig(rng)
				r.ifc.Configure(l.now, r.cfg)
			case 1:
				what = "addresses"
				r.link.Addrs = randomAddrs(rng, i)
				if r.link.Running() {
					r.ifc.Update(l.now, r.link)
				}
			case 2:
				what, settle = "link", 110*time.Second
				r.link.Carrier = !r.link.Carrier
				r.ifc.Update(l.now, r.link)
			case 3:
				what, settle = "restart", 10*time.Second
				r.ifc.Stop(l.now)
				r.ifc.Update(l.now, r.link)
			}
			l.run(settle)
			l.check(t, fmt.Sprintf("seed %d, step %d: router %d: %s", seed, step, i, what))
			if t.Failed() {
				t.FailNow()
			}
		}
	}
}
