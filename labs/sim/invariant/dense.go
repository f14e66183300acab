package invariant

import (
	"cmp"
	"slices"
	"time"

	"grove/internal/engine"
	"grove/labs/sim"
)

// This file holds the invariants of protocols that flood and prune. What they have in common with PIM-SM: no loop, no
// black hole. What differs is what may be seen besides the tree's packets.
//
// A prune ends after its lifetime, and then packets come down to the routers below once more until these prune again: a
// re-flood. An Assert ends as well, and then two routers put a packet on a LAN until one of them loses again. State
// Refresh messages (RFC 3973 section 4.5) keep both alive. So a crossing of a link is spare if it leads to no member, or
// if the packet crossed that link before; and
//
//   - with State Refresh, or with lifetimes that are longer than the play, no crossing is spare;
//   - otherwise each interface makes at most burst spare crossings of a flow in each lifetime: a re-flood is over as soon
//     as prunes have come up again from the leaves, which takes a LAN's prune delay at each LAN on the way. Prunes of
//     different branches end at different times, and the end of one is a Graft all the way up;
//   - whatever happens, no interface puts one copy of a packet on its link twice, and no packet comes back to a link that
//     it came by (a loop): two copies that two routers put on a LAN until one of them loses go on downstream as two;
//   - a re-flood comes: on a link of two, between a router and the next hop of its path to the source, a packet is seen
//     at least once in a lifetime, wanted or not, or else a prune ended there and the next one came before a packet;
//   - detour: what reaches a member came by a shortest path, as the unicast routing (or the DVMRP metrics, which are
//     the same here) has them: on every LAN that router forwards that is nearest to the source.
const burst = 30

// lifetime is how long a prune, or an Assert, lasts in the networks of the random plays, unless it is refreshed.
const lifetime = 210 * time.Second

// longLifetime is how long a prune lasts in a network of DVMRP where it is to outlive the play.
const longLifetime = time.Hour

// Dense says what may be expected of a network of a protocol that floods and prunes.
type Dense struct {
	// Refresh says that nothing ends that is still needed: State Refresh, or lifetimes beyond the play.
	Refresh bool
	// Reflood says that a re-flood must be seen: the window is longer than a lifetime.
	Reflood bool
	// Settled is as Rest: Settled or Recent. Recently changed networks are excused from detours.
	Rest Rest
}

// sourceNetwork is the length of the prefixes of links: what DVMRP prunes are all sources of such a network.
const sourceNetwork = 24

// DenseDelivery is Delivery for protocols that flood and prune.
func DenseDelivery(n *Network, window time.Duration, d Dense) []Violation {
	since := n.Now()
	w, first, last := observe(n.Sim, n.Sources, window)
	if n.protocol == engine.DVMRP {
		w.network = sourceNetwork
	}
	w.loops()
	allowed := 0
	if !d.Refresh {
		allowed = burst * int(1+window/lifetime)
	}
	w.spare(allowed)
	for _, src := range n.Sources {
		w.received(src, first[src], last[src], allowed)
		if d.Rest == Settled && first[src] <= last[src] {
			w.detours(n, src)
		}
		if d.Reflood && !d.Refresh && src.Running() {
			w.reflood(n, src, since)
		}
	}
	n.ForgetHops()
	return w.found
}

// loops checks that no interface puts a copy of a packet on its link twice, and that no packet comes back to a link.
func (w *walk) loops() {
	type sending struct {
		copyID
		from   *sim.Port
		parent int
	}
	seen := make(map[sending]int)
	told := make(map[engine.Key]bool)
	for i := 1; i < len(w.hops); i++ {
		h := &w.hops[i]
		c := sending{id(h), h.From, h.Parent}
		before, again := seen[c]
		seen[c] = i
		for up := h.Parent; up != 0; up = w.hops[up].Parent {
			if w.hops[up].From.Link() == h.From.Link() {
				before, again = up, true
			}
		}
		if again && !told[c.key] {
			told[c.key] = true
			w.add("loop", "packet %d of %v comes to %s again: %s and %s", c.seq, c.key, h.From.Link().Name(), w.path(before), w.path(i))
		}
	}
}

// spare checks that no interface makes more spare crossings of a flow than allowed.
func (w *walk) spare(allowed int) {
	type crossing struct {
		copyID
		link *sim.Link
	}
	type place struct {
		key  engine.Key
		from *sim.Port
	}
	useful := w.useful()
	seen := make(map[crossing]bool)
	count := make(map[place]int)
	sample := make(map[place]int)
	var places []place // in the order of time
	for i := 1; i < len(w.hops); i++ {
		h := &w.hops[i]
		c := crossing{id(h), h.From.Link()}
		again := seen[c]
		seen[c] = true
		if !again && (useful[i] || h.Parent == 0 && h.From.Node().Host() != nil) {
			continue
		}
		p := place{c.key, h.From}
		if count[p] == 0 {
			places = append(places, p)
		}
		count[p]++
		sample[p] = i
	}
	for _, p := range places {
		if count[p] > allowed {
			i := sample[p]
			kind := "waste"
			if useful[i] {
				kind = "duplicate"
			}
			w.add(kind, "%s puts %d packets of %v on %s that lead to no member or crossed it before, %d are allowed; the last: %d %s",
				p.from.Node().Name(), count[p], p.key, p.from.Link().Name(), allowed, w.hops[i].Seq, w.path(i))
		}
	}
}

// detours checks that packets of a source reach members by shortest paths: one copy of each, for until an Assert is over
// the other may be faster.
func (w *walk) detours(n *Network, src *sim.Source) {
	dist := n.distances(src.Port().Link())
	type receipt struct {
		member *sim.Member
		seq    uint64
	}
	short := make(map[receipt]bool) // one copy came by a shortest path
	var longer []sim.Delivery
	for _, d := range w.sim.Deliveries() {
		h := &w.hops[d.Hop]
		if engine.SG(h.Source, h.Group) != src.Key() || h.Parent == 0 {
			continue // or on the source's own link
		}
		if cost, best := w.costs(d.Hop, dist); cost == best {
			short[receipt{d.Member, d.Seq}] = true
		} else {
			longer = append(longer, d)
		}
	}
	told := make(map[*sim.Member]bool)
	for _, d := range longer {
		if short[receipt{d.Member, d.Seq}] || told[d.Member] {
			continue
		}
		told[d.Member] = true
		cost, best := w.costs(d.Hop, dist)
		w.add("detour", "%s gets packet %d of %v over a path of cost %d, the shortest has %d: %s",
			d.Member.Host().Node().Name(), d.Seq, src.Key(), cost, best, w.path(d.Hop))
	}
}

// costs returns what the path of a hop costs, and the shortest path to its link.
func (w *walk) costs(hop int, dist map[*sim.Node]int) (cost, best int) {
	h := &w.hops[hop]
	for up := h.Parent; w.hops[up].Parent != 0; up = w.hops[up].Parent {
		cost += w.hops[up].From.Link().Cost()
	}
	best = -1
	for _, p := range h.From.Link().Ports() {
		if x, ok := dist[p.Node()]; ok && p.Up() && (best < 0 || x < best) {
			best = x
		}
	}
	return cost, best
}

// distances returns how far routers are from a link, by the costs of the links between.
func (n *Network) distances(from *sim.Link) map[*sim.Node]int {
	dist := make(map[*sim.Node]int)
	for _, p := range from.Ports() {
		if p.Up() && p.Node().Router() != nil {
			dist[p.Node()] = 0
		}
	}
	for range n.Routers { // Bellman and Ford: a path has no more hops than there are routers
		for _, l := range n.Links() {
			for _, p := range l.Ports() {
				for _, q := range l.Ports() {
					at, ok := dist[p.Node()]
					if !ok || p == q || !p.Up() || !q.Up() || q.Node().Router() == nil {
						continue
					}
					if x, known := dist[q.Node()]; !known || at+l.Cost() < x {
						dist[q.Node()] = at + l.Cost()
					}
				}
			}
		}
	}
	return dist
}

// reflood checks that no prune outlives its lifetime: every line to a router for which it is the only shortest way to the
// source carried a packet since the given time, or might have.
func (w *walk) reflood(n *Network, src *sim.Source, since time.Duration) {
	dist := n.distances(src.Port().Link())
	carried := make(map[*sim.Link]bool)
	for i := range w.hops[1:] {
		if h := &w.hops[i+1]; engine.SG(h.Source, h.Group) == src.Key() {
			carried[h.From.Link()] = true
		}
	}
	transitions := w.sim.Transitions()
	for i := len(transitions) - 1; i >= 0 && transitions[i].At >= since; i-- {
		if t := &transitions[i]; t.Key == src.Key() && t.If != 0 {
			if p := t.Node.Port(t.Node.IfName(t.If)); p != nil {
				carried[p.Link()] = true
			}
		}
	}
	for _, r := range n.Routers {
		var ways []*sim.Link
		for _, p := range r.Ports() {
			if p.Link() == nil || !p.Up() {
				continue
			}
			for _, q := range p.Link().Ports() {
				x, ok := dist[q.Node()]
				if mine, known := dist[r]; q != p && q.Up() && ok && known && mine > 0 && x+p.Link().Cost() == mine {
					ways = append(ways, p.Link())
				}
			}
		}
		if len(ways) == 1 && slices.Contains(n.lines, ways[0]) && !carried[ways[0]] {
			w.add("stale prune", "%s carries no packet of %v in a lifetime, and is the way to %s", ways[0].Name(), src.Key(), r.Name())
		}
	}
}

// playDense is Play for a protocol that floods and prunes.
func (n *Network) playDense() []step {
	long := cmp.Or(n.forgetRoutes, rest)
	at := Dense{Refresh: n.refresh, Reflood: true}
	watch := lifetime + 30*time.Second
	if n.refresh {
		watch = 20 * time.Second
	}
	return []step{
		{"at rest after joins, leaves, failures and restarts", func() []Violation {
			n.Run(start)
			n.churn()
			n.Run(long)
			return DenseDelivery(n, watch, at)
		}},
		{"after joins and leaves", func() []Violation {
			for range 4 {
				n.join()
				n.leave()
				n.Run(time.Second)
			}
			n.Run(quick)
			return DenseDelivery(n, 2*burst*time.Second, Dense{Refresh: n.refresh, Rest: Recent})
		}},
		{"after joins while messages were lost", func() []Violation {
			for _, l := range n.lines {
				l.SetLoss(0.4)
			}
			for range 4 {
				n.join()
				n.Run(time.Second)
			}
			for _, l := range n.lines {
				l.SetLoss(0)
			}
			n.Run(quick)
			return only(DenseDelivery(n, window, Dense{Rest: Recent}), "loop", "black hole")
		}},
		{"after a failure", func() []Violation {
			n.Run(long)
			n.cutLine()
			n.Run(cmp.Or(n.forgetRoutes, quick))
			return only(DenseDelivery(n, window, Dense{Rest: Recent}), "loop", "black hole")
		}},
		{"after everyone left", func() []Violation {
			n.Run(long)
			for len(n.members()) > 0 {
				n.leave()
			}
			n.Run(quick)
			return append(DenseDelivery(n, 2*burst*time.Second, Dense{Refresh: n.refresh, Rest: Recent}), NoJoins(n.Sim)...)
		}},
		{"after everyone fell silent", func() []Violation {
			for _, s := range n.Sources {
				s.Stop()
			}
			n.Run(forget)
			if n.refresh && n.protocol == engine.DVMRP {
				n.Run(longLifetime) // what is known of a flow goes with the last prune
			}
			return NoState(n.Sim)
		}},
	}
}
