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
	if e == nil {
		return nil
	}
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
	p.n.prunes.Remove(p, placeAtNeighbor)
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
		n.prunes.Add(x, placeAtNeighbor)
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
	if !h.dependent() || len(h.n.prunes.All) == 0 {
		return
	}
	for _, f := range r.flows.All {
		f.endPrunes(h.n, "the neighbor does not depend on us")
	}
}

// endPrunes forgets what a neighbor pruned of the flow.
func (f *flow) endPrunes(n *neighbor, cause string) {
	if p := f.pruneOf(n); p != nil {
		p.end(cause)
	}
	for _, e := range f.entries.All {
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

// upstream is what we asked of the upstream neighbor: for a flow, or for one host of a flow.
//
// By default a Prune is about a source network. Where hosts want packets of one source of it and not those of another, which
// IGMPv3 lets them say, a neighbor that takes netmasks can be asked for single ones (section 3.5.2).
type upstream struct {
	f        *flow
	e        *entry // the host; nil: all of the network
	state    UpstreamState
	neighbor *neighbor // nil: nobody; the source is on a link of ours, or another protocol's
	wanted   bool      // as it was last

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

func (u *upstream) init(f *flow, e *entry) {
	u.f, u.e = f, e
	u.life.Do = func(time.Time) { u.becomeForwarding("Prune Lifetime expires") }
	u.retransmit.Do = func(time.Time) {
		f.m.timers.Set(&u.watch, f.m.now.Add(f.m.cfg.PruneRetransmission))
		f.m.touch(f)
	}
	u.watch.Do = func(time.Time) {
		u.expectCounts(false) // there was time enough for counts of before
		f.m.touch(f)
	}
	u.graft.Do = func(time.Time) { u.sendGraft() }
}

func (u *upstream) stop() {
	for _, t := range []*engine.Timer{&u.life, &u.retransmit, &u.watch, &u.graft} {
		u.f.m.timers.Stop(t)
	}
}

// host returns a host that the messages are about; nil if there is none.
func (u *upstream) host() *entry {
	if u.e != nil {
		return u.e
	}
	if len(u.f.entries.All) == 0 {
		return nil
	}
	return u.f.entries.All[0]
}

// upstreamNeighbor returns who sends us the packets; nil if the source is on our own link or another protocol's.
func (f *flow) upstreamNeighbor() *neighbor {
	if f.r == nil || f.r.gateway == nil ||
		!slices.ContainsFunc(f.entries.All, func(e *entry) bool { return e.s.known && e.s.upstream() != 0 }) {
		return nil
	}
	return f.r.gateway
}

// updateUpstream sends what the upstream neighbor is to be told: a Prune when a packet comes and the downstream list is empty,
// or when it becomes empty while packets come; a Graft when it is empty no more (sections 3.5.4 and 3.6).
func (f *flow) updateUpstream() {
	n, wanted := f.upstreamNeighbor(), f.wanted()
	var cause *entry
	for _, e := range f.entries.All {
		if !wanted && e.calls(f.up.wanted) {
			cause = e
		}
	}
	f.up.update(n, wanted, cause)
	for _, e := range f.entries.All {
		e.updateHost(n)
		if e.placed || wanted && (e.up == nil || e.up.wanted) {
			e.data = false
		}
	}
}

// calls says that there are packets that call for a Prune if nobody wants them, or not any more. Before mfib has placed an entry
// we do not know what other protocols want of it.
func (e *entry) calls(ended bool) bool { return e.placed && (e.data || ended && e.alive.Running()) }

// updateHost does the same for a host of a network of which others are wanted.
func (e *entry) updateHost(n *neighbor) {
	f := e.f
	if n == nil || n.capabilities&wire.CapNetmask == 0 || f.r.prefix.Bits() == 32 || e.s.upstream() == 0 {
		e.endHost()
		return
	}
	wanted := e.others || e.olist(f.list) != 0
	if e.up == nil {
		if wanted || !f.up.wanted {
			return
		}
		e.up = &upstream{neighbor: n, wanted: true}
		e.up.init(f, e)
	}
	var cause *entry
	if !wanted && f.up.wanted && e.calls(e.up.wanted) {
		cause = e
	}
	e.up.update(n, wanted, cause)
	if wanted && e.up.state == Forwarding && e.up.former == nil {
		e.endHost()
	}
}

// endHost forgets what was asked for the host alone.
func (e *entry) endHost() {
	if u := e.up; u != nil {
		u.stop()
		u.set(Forwarding, "nothing is asked for the host alone")
		e.up = nil
	}
}

// update takes who the upstream neighbor is, whether the packets are wanted, and an entry whose packets call for a Prune.
func (u *upstream) update(n *neighbor, wanted bool, cause *entry) {
	if n != u.neighbor {
		u.changes(n)
	}
	u.wanted = wanted
	switch {
	case u.neighbor == nil || !u.neighbor.canPrune():
	case u.state == Pruned && wanted && u.life.Left(u.f.m.now) == 0:
		u.becomeForwarding("Prune Lifetime expires") // in this instant, as that of a Prune which it was derived from
	case u.state == Pruned && wanted:
		u.becomeGrafting()
	case cause != nil && u.state == Pruned:
		if !u.retransmit.Running() {
			u.sendPrune(cause, u.life.Left(u.f.m.now))
		}
	case cause != nil:
		u.becomePruned(cause)
	}
}

// hears says that packets may call for something: not if they are wanted, or if nobody can be asked to stop them, or not yet again.
func (u *upstream) hears() bool {
	return u.neighbor != nil && u.neighbor.canPrune() && !u.wanted && !(u.state == Pruned && u.retransmit.Running())
}

// watches says that packets call for a Prune now, and so are looked for often.
func (u *upstream) watches() bool {
	return u.neighbor != nil && u.neighbor.canPrune() && !u.wanted &&
		(u.state == Forwarding || u.state == Pruned && u.watch.Running())
}

// becomePruned sends a Prune (section 3.5.4). "The lifetime of the prune sent must be equal to the minimum of the remaining
// lifetimes of the received prunes" (section 2.6), or else the default, "randomized to prevent synchronization".
func (u *upstream) becomePruned(e *entry) {
	m := u.f.m
	lifetime := m.cfg.PruneLifetime - m.upTo(m.cfg.PruneLifetime/4)
	for _, p := range u.f.prunes {
		lifetime = min(lifetime, p.life.Left(m.now))
	}
	if u.e != nil {
		for _, p := range u.e.prunes {
			lifetime = min(lifetime, p.life.Left(m.now))
		}
	}
	lifetime -= lifetime % m.cfg.SecondOnWire
	if lifetime <= 0 {
		return // it would be over at once
	}
	m.timers.Stop(&u.graft) // "Stop any pending Grafts awaiting acknowledgments."
	m.timers.Set(&u.life, m.now.Add(lifetime))
	u.interval = m.cfg.PruneRetransmission
	u.set(Pruned, "no downstream interface is left")
	u.sendPrune(e, lifetime)
}

// sendPrune sends a Prune with the lifetime that is left, and sees to its retransmission: "using binary exponential back-off
// during the lifetime of the prune if traffic is still arriving", randomized (section 3.5.5).
func (u *upstream) sendPrune(e *entry, left time.Duration) {
	m := u.f.m
	m.timers.Stop(&u.watch)
	u.expectCounts(true)
	m.timers.Set(&u.retransmit, m.now.Add(u.interval+m.upTo(u.interval/4)))
	u.interval = min(2*u.interval, m.cfg.PruneLifetime)
	p := &wire.Prune{Source: e.s.addr, Group: u.f.g.addr, Lifetime: left / m.cfg.SecondOnWire * time.Second}
	if p.Lifetime == 0 {
		return
	}
	p.HasMask, p.Bits = u.netmask()
	u.neighbor.send(p)
}

// expectCounts says whether the next counts of packets may be of those that came before the last Prune: counters are read
// late. By those it would be sent again without need.
func (u *upstream) expectCounts(before bool) {
	if u.e != nil {
		u.e.before = before
		return
	}
	for _, e := range u.f.entries.All {
		e.before = before
	}
}

// netmask returns the netmask for Prunes and Grafts, which only those are sent that take it (section 3.5.6).
func (u *upstream) netmask() (has bool, bits int) {
	switch {
	case u.neighbor.capabilities&wire.CapNetmask == 0:
		return false, 0
	case u.e != nil:
		return true, 32
	}
	return true, u.f.r.prefix.Bits()
}

// becomeForwarding ends what we asked for.
func (u *upstream) becomeForwarding(cause string) {
	u.stop()
	u.grafts = 0
	u.set(Forwarding, cause)
	u.expectCounts(false)
	u.f.m.touch(u.f)
}

// upstreamForgot: the upstream neighbor has lost what we asked for.
func (f *flow) upstreamForgot(cause string) {
	if f.up.state != Forwarding {
		f.up.becomeForwarding(cause)
	}
	for _, e := range f.entries.All {
		if e.up != nil && e.up.state != Forwarding {
			e.up.becomeForwarding(cause)
		}
	}
}

// changes takes another upstream neighbor. He has no Prune of ours, unless he was it before; he that is left learns by the route
// exchange that we do not depend on him.
func (u *upstream) changes(n *neighbor) {
	m, old, was := u.f.m, u.neighbor, u.former
	if old != nil && u.state != Forwarding {
		u.former = &former{old, old.generationID, u.life.At()}
		u.stop()
		u.set(Forwarding, "the upstream neighbor changes")
		u.expectCounts(false)
	}
	u.neighbor = n
	if n != nil && was != nil && was.neighbor == n && was.generationID == n.generationID && was.until.After(m.now) {
		m.timers.Set(&u.life, was.until)
		u.interval = m.cfg.PruneRetransmission
		u.set(Pruned, "the upstream neighbor of before has our Prune")
	}
}

func (u *upstream) set(state UpstreamState, cause string) {
	if u.state == state {
		return
	}
	t := engine.Transition{Entity: "upstream (S,G)", Old: u.state.String(), New: state.String(), Cause: cause}
	if u.e != nil {
		t.Entity = "upstream host (S,G)"
	}
	if e := u.host(); e != nil {
		t.Key = e.key()
	}
	if u.neighbor != nil {
		t.If, t.Neighbor = u.neighbor.iface.id, u.neighbor.addr
	}
	u.state = state
	u.f.m.emit(t)
}
