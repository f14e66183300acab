package dvmrp

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"grove/dvmrp/wire"
	"grove/internal/engine"
)

// This file is Pruning, section 3.5.

// ---- Prunes that neighbors sent ----

// prune is a Prune that a dependent neighbor sent.
type prune struct {
	n     *neighbor
	f     *flow
	e     *entry // it names this host alone; nil: all of the source network
	key   engine.Key
	life  engine.Timer
	place int32 // in n.prunes
}

// list returns the list that the prune stands on, by the seq of neighbors.
func (p *prune) list() *[]*prune {
	if p.e != nil {
		return &p.e.prunes
	}
	return &p.f.prunes
}

func findPrune(list []*prune, n *neighbor) (int, bool) {
	return slices.BinarySearchFunc(list, n.seq, func(p *prune, seq uint32) int { return cmp.Compare(p.n.seq, seq) })
}

func (f *flow) pruneOf(n *neighbor) *prune {
	if at, found := findPrune(f.prunes, n); found {
		return f.prunes[at]
	}
	return nil
}

func (e *entry) pruneOf(n *neighbor) *prune {
	if at, found := findPrune(e.prunes, n); found {
		return e.prunes[at]
	}
	return nil
}

// end forgets a Prune: its lifetime is over, or a Graft took it back.
func (p *prune) end(cause string) {
	m, list := p.f.m, p.list()
	m.timers.Stop(&p.life)
	if at, found := findPrune(*list, p.n); found {
		*list = slices.Delete(*list, at, at+1)
	}
	p.n.prunes.remove(p, placeAtNeighbor)
	m.prunes--
	p.transition("Pruned", "Forwarding", cause)
	m.touch(p.f)
}

func (p *prune) transition(old, now, cause string) {
	p.f.m.emit(engine.Transition{
		Entity: "downstream (S,G)", If: p.n.iface.id, Neighbor: p.n.addr, Key: p.key, Old: old, New: now, Cause: cause,
	})
}

// activeFlow returns the flow that a message of a neighbor is about, by "a best-match lookup using the routing table" (section
// 3.5.2); nil if there is no active source information.
func (m *Machine) activeFlow(source, addr netip.Addr) *flow {
	g := m.groups[addr]
	if g == nil {
		return nil
	}
	return m.flows[flowKey{m.bestMatch(source), g}]
}

// receivePrune handles a Prune (section 3.5.3).
func (n *neighbor) receivePrune(p *wire.Prune) {
	m := n.m
	f := m.activeFlow(p.Source, p.Group)
	if f == nil || f.r == nil {
		m.counts.Add("prune of no active source") // step 4
		return
	}
	// Section 3.5.2: "If the Netmask is a host mask, only that source address should be pruned. Otherwise, the Netmask MUST
	// match the mask sent to the downstream router for that source."
	host := p.HasMask && p.Bits == 32 && f.r.prefix.Bits() != 32
	if p.HasMask && !host && p.Bits != f.r.prefix.Bits() {
		m.drop(n.iface, n.addr, "prune with another netmask")
		return
	}
	if !f.r.dependent(n) {
		m.drop(n.iface, n.addr, "prune not from a dependent neighbor") // step 5
		return
	}
	var e *entry
	if host {
		if e = m.entries[engine.SG(p.Source, p.Group)]; e == nil {
			m.counts.Add("prune of no active source")
			return
		}
	}
	lifetime := p.Lifetime / time.Second * m.cfg.SecondOnWire
	if lifetime <= 0 {
		m.counts.Add("prune without a lifetime")
		return
	}
	// Steps 6 and 7. What follows from it, steps 8 to 10, the update of the flow finds.
	x := &prune{n: n, f: f, e: e, key: engine.SG(p.Source, p.Group)}
	list := x.list()
	at, found := findPrune(*list, n)
	if found {
		x = (*list)[at]
	} else {
		if m.prunes >= m.cfg.MaxPrunes {
			m.counts.Add("too many prunes")
			return
		}
		m.prunes++
		*list = slices.Insert(*list, at, x)
		n.prunes.add(x, placeAtNeighbor)
		x.life.Do = func(time.Time) { x.end("Prune Lifetime expires") }
		x.transition("Forwarding", "Pruned", "receive Prune")
	}
	m.timers.Set(&x.life, m.now.Add(lifetime))
	m.touch(f)
}

// dependent says whether a neighbor is a downstream dependent router for the route (section 3.4.6, rule 3).
func (r *route) dependent(n *neighbor) bool {
	at, found := r.find(n)
	return found && r.heard[at].dependent() && n.iface != r.iface
}

// endDependence: a neighbor that depends on us no more has no use for its Prunes; if it comes to depend on us again it begins
// anew.
func (r *route) endDependence(h *heard) {
	if !h.dependent() || len(h.n.prunes.all) == 0 {
		return
	}
	for _, f := range r.flows.all {
		f.endPrunes(h.n, "the neighbor does not depend on us")
	}
}

// endPrunes forgets what a neighbor pruned of the flow.
func (f *flow) endPrunes(n *neighbor, cause string) {
	if p := f.pruneOf(n); p != nil {
		p.end(cause)
	}
	for _, e := range f.entries.all {
		if p := e.pruneOf(n); p != nil {
			p.end(cause)
		}
	}
}

// ---- Prunes that we send ----

// UpstreamState is what we asked of the upstream neighbor.
type UpstreamState uint8

// The states. They have no name in the draft.
const (
	Forwarding UpstreamState = iota // he sends
	Pruned                          // we sent a Prune, and its lifetime is not over
	Grafting                        // we took it back, and wait for the Graft Ack
)

// String returns the name of the state.
func (s UpstreamState) String() string { return [...]string{"Forwarding", "Pruned", "Grafting"}[s] }

// upstream is what we asked of the upstream neighbor for a flow.
type upstream struct {
	state    UpstreamState
	neighbor *neighbor // nil: nobody; the source is on a link of ours, or another protocol's
	wanted   bool      // flow.wanted as it was last

	life       engine.Timer  // of our Prune
	retransmit engine.Timer  // of a Prune: until it may be sent again
	watch      engine.Timer  // while it runs we look whether packets still come, which call for the Prune again
	interval   time.Duration // until the next retransmission, of a Prune or a Graft
	graft      engine.Timer  // until the Graft is sent again
	grafts     int           // sent without an answer

	former *former
}

// former is a neighbor that was left while our Prune was in force there: if it becomes the upstream neighbor again before the
// Prune ends, it is.
type former struct {
	neighbor     *neighbor
	generationID uint32
	until        time.Time
}

func (f *flow) initUpstream() {
	u := &f.up
	u.life.Do = func(time.Time) { f.becomeForwarding("Prune Lifetime expires") }
	u.retransmit.Do = func(time.Time) {
		f.m.timers.Set(&u.watch, f.m.now.Add(f.m.cfg.PruneRetransmission))
		f.m.touch(f)
	}
	u.watch.Do = func(time.Time) {
		f.expectCounts(false) // there was time enough for counts of before
		f.m.touch(f)
	}
	u.graft.Do = func(time.Time) { f.sendGraft() }
}

func (f *flow) stopUpstream() {
	u := &f.up
	for _, t := range []*engine.Timer{&u.life, &u.retransmit, &u.watch, &u.graft} {
		f.m.timers.Stop(t)
	}
}

// upstreamNeighbor returns who sends us the packets; nil if the source is on our own link or another protocol's.
func (f *flow) upstreamNeighbor() *neighbor {
	if f.r == nil || f.r.gateway == nil ||
		!slices.ContainsFunc(f.entries.all, func(e *entry) bool { return e.s.known && e.s.upstream() != 0 }) {
		return nil
	}
	return f.r.gateway
}

// updateUpstream sends what the upstream neighbor is to be told: a Prune when a packet comes and the downstream list is empty,
// or when it becomes empty while packets come; a Graft when it is empty no more (sections 3.5.4 and 3.6).
func (f *flow) updateUpstream() {
	u := &f.up
	if n := f.upstreamNeighbor(); n != u.neighbor {
		f.upstreamChanges(n)
	}
	wanted := f.wanted()
	ended := u.wanted && !wanted
	u.wanted = wanted
	var cause *entry
	for _, e := range f.entries.all {
		// Before mfib has placed an entry we do not know what other protocols want of it.
		if (e.data || ended && e.alive.Running()) && e.placed && !wanted {
			cause = e
		}
		if e.placed || wanted {
			e.data = false
		}
	}
	switch {
	case u.neighbor == nil || !u.neighbor.canPrune():
	case u.state == Pruned && wanted && u.life.Left(f.m.now) == 0:
		f.becomeForwarding("Prune Lifetime expires") // in this instant, as that of a Prune which it was derived from
	case u.state == Pruned && wanted:
		f.becomeGrafting()
	case cause != nil && u.state == Pruned:
		if !u.retransmit.Running() {
			f.sendPrune(cause, u.life.Left(f.m.now))
		}
	case cause != nil:
		f.becomePruned(cause)
	}
}

// watches says that packets call for a Prune now, and so are looked for often.
func (f *flow) watches() bool {
	u := &f.up
	return u.neighbor != nil && u.neighbor.canPrune() && !u.wanted &&
		(u.state == Forwarding || u.state == Pruned && u.watch.Running())
}

// becomePruned sends a Prune (section 3.5.4). "The lifetime of the prune sent must be equal to the minimum of the remaining
// lifetimes of the received prunes" (section 2.6), or else the default, "randomized to prevent synchronization".
func (f *flow) becomePruned(e *entry) {
	m, u := f.m, &f.up
	lifetime := m.cfg.PruneLifetime - m.upTo(m.cfg.PruneLifetime/4)
	for _, p := range f.prunes {
		lifetime = min(lifetime, p.life.Left(m.now))
	}
	lifetime -= lifetime % m.cfg.SecondOnWire
	if lifetime <= 0 {
		return // it would be over at once
	}
	m.timers.Stop(&u.graft) // "Stop any pending Grafts awaiting acknowledgments."
	m.timers.Set(&u.life, m.now.Add(lifetime))
	u.interval = m.cfg.PruneRetransmission
	f.setUpstream(Pruned, "no downstream interface is left")
	f.sendPrune(e, lifetime)
}

// sendPrune sends a Prune with the lifetime that is left, and sees to its retransmission: "using binary exponential back-off
// during the lifetime of the prune if traffic is still arriving", randomized (section 3.5.5).
func (f *flow) sendPrune(e *entry, left time.Duration) {
	m, u := f.m, &f.up
	m.timers.Stop(&u.watch)
	f.expectCounts(true)
	m.timers.Set(&u.retransmit, m.now.Add(u.interval+m.upTo(u.interval/4)))
	u.interval = min(2*u.interval, m.cfg.PruneLifetime)
	p := &wire.Prune{Source: e.s.addr, Group: f.g.addr, Lifetime: left / m.cfg.SecondOnWire * time.Second}
	if p.Lifetime == 0 {
		return
	}
	p.HasMask, p.Bits = f.netmask()
	u.neighbor.send(p)
}

// expectCounts says whether the next counts of packets may be of those that came before the last Prune: counters are read
// late. By those it would be sent again without need.
func (f *flow) expectCounts(before bool) {
	for _, e := range f.entries.all {
		e.before = before
	}
}

// netmask returns the netmask for Prunes and Grafts, which only those are sent that take it (section 3.5.6).
func (f *flow) netmask() (has bool, bits int) {
	if f.up.neighbor.capabilities&wire.CapNetmask == 0 {
		return false, 0
	}
	return true, f.r.prefix.Bits()
}

// becomeForwarding ends what we asked for.
func (f *flow) becomeForwarding(cause string) {
	f.stopUpstream()
	f.up.grafts = 0
	f.setUpstream(Forwarding, cause)
	f.expectCounts(false)
	f.m.touch(f)
}

// upstreamForgot: the upstream neighbor has lost what we asked for.
func (f *flow) upstreamForgot(cause string) {
	if f.up.state != Forwarding {
		f.becomeForwarding(cause)
	}
}

// upstreamChanges takes another upstream neighbor. He has no Prune of ours, unless he was it before; he that is left learns
// by the route exchange that we do not depend on him.
func (f *flow) upstreamChanges(n *neighbor) {
	m, u := f.m, &f.up
	old, was := u.neighbor, u.former
	if old != nil && u.state != Forwarding {
		u.former = &former{old, old.generationID, u.life.At()}
		f.stopUpstream()
		f.setUpstream(Forwarding, "the upstream neighbor changes")
	}
	u.neighbor = n
	if n != nil && was != nil && was.neighbor == n && was.generationID == n.generationID && was.until.After(m.now) {
		m.timers.Set(&u.life, was.until)
		u.interval = m.cfg.PruneRetransmission
		f.setUpstream(Pruned, "the upstream neighbor of before has our Prune")
	}
}

func (f *flow) setUpstream(state UpstreamState, cause string) {
	u := &f.up
	if u.state == state {
		return
	}
	t := engine.Transition{Entity: "upstream (S,G)", Old: u.state.String(), New: state.String(), Cause: cause}
	if len(f.entries.all) > 0 {
		t.Key = f.entries.all[0].key()
	}
	if u.neighbor != nil {
		t.If, t.Neighbor = u.neighbor.iface.id, u.neighbor.addr
	}
	u.state = state
	f.m.emit(t)
}
