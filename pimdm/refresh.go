package pimdm

import (
	"net/netip"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/assert"
	"grove/internal/pim/wire"
)

// This file is State Refresh, RFC 3973 section 4.5: the forwarding of messages, and the Origination(S,G) state machine
// (Figure 3).

// refresh is what is remembered of the State Refresh messages of an entry.
type refresh struct {
	last     wire.StateRefresh // the last one that was accepted, or that we originated
	at       time.Time         // when the last one came from RPF'(S), accepted or not; or went
	received uint64
	limited  uint64
	sent     uint64
}

func (e *entry) refreshes() *refresh {
	if e.refresh == nil {
		e.refresh = &refresh{}
	}
	return e.refresh
}

// lifetimes is how many intervals an entry is kept after a State Refresh: as AT(S,G,I) is, three.
const lifetimes = 3

// receiveStateRefresh handles a State Refresh message from a PIM neighbor.
func (m *Machine) receiveStateRefresh(i *iface, src netip.Addr, sr *wire.StateRefresh) {
	if m.cfg.NoStateRefresh || i.cfg.NoStateRefresh {
		m.drop(i, src, "state refresh is not configured")
		return
	}
	// Section 4.5.1 has the sender skip a scope boundary. Where the boundary is ours alone, it holds for what comes in as well
	// (RFC 2365, section 5): no packet of the group comes over it.
	if covers(i.cfg.Boundary, sr.Group.Addr) {
		m.drop(i, src, "state refresh over a scope boundary")
		return
	}
	fresh := m.entry(engine.SG(sr.Source, sr.Group.Addr)) == nil
	e := m.entryOf(i, src, sr.Group, sr.Source, "state refresh")
	if e != nil {
		e.whenPathKnown(func() { e.receiveStateRefresh(i, src, sr, fresh) })
	}
}

func (e *entry) receiveStateRefresh(i *iface, src netip.Addr, sr *wire.StateRefresh, fresh bool) {
	m := e.m
	// Section 4.6.4: for the Assert state machine it is an Assert, on any interface.
	e.receiveAssert(i, receivedMetric(sr.MetricPreference, sr.Metric, src), lifetimes*sr.Interval, "State Refresh")
	if o := e.on(i.bit); iAmAssertLoser(o) && o.assert.winner == src {
		o.winnerRefreshes(sr.PruneIndicator, sr.Interval)
	}
	if external(e) {
		return
	}
	e.updateUpstream() // RPF'(S) may be another now
	// Section 4.5.1, the pseudo-code from its beginning.
	if i.bit != rpfInterface(e) || rpfNeighbor(e) != (neighborID{i, src}) {
		m.counts.Add("state refresh not from RPF'(S)")
		return
	}
	r := e.refreshes()
	first := r.at.IsZero()
	if !first && m.now.Sub(r.at) < m.cfg.RefreshLimit {
		r.limited++
		m.counts.Add("state refresh over the rate")
		return
	}
	r.at, r.last = m.now, *sr
	r.received++
	m.timers.SetMax(&e.alive, m.now.Add(lifetimes*sr.Interval))
	if fresh && sr.PruneIndicator && m.now.Before(i.started.Add(i.cfg.HelloPeriod)) {
		e.establish(sr.Interval)
	}
	e.refreshed(sr.PruneIndicator)
	m.update()
	if !e.gone && sr.TTL > 0 {
		e.forwardStateRefresh(*sr, sr.TTL-1)
	}
}

// establish is what section 4.3.4 allows upon startup: a State Refresh message tells a router that has just started what
// the state was before. "If the Prune Indicator is set, the router SHOULD set the PruneLimitTimer to Prune_Holdtime and set
// the PruneTimer on all downstream interfaces to the State Refresh's Interval times two."
//
// Interfaces with a neighbor that does not take part in State Refresh are left out: the message that has the others
// override would not reach it.
func (e *entry) establish(interval time.Duration) {
	const times = 2
	for slot := range (pimNbrs(e.m) & usable(e.g) &^ rpfInterface(e)).Bits() {
		if i := e.m.slots[slot]; i.nb.StateRefreshCapable() {
			e.oif(i).startPruned(times*interval, "State Refresh at startup")
		}
	}
	if !wanted(e) && !directlyConnected(e) {
		e.m.timers.Set(&e.up.plt, e.m.now.Add(e.m.cfg.PruneHoldtime))
		e.setUpstream(UpstreamPruned, "State Refresh at startup")
		e.up.wanted = false
	}
}

// forwardStateRefresh is the loop of section 4.5.1 over the interfaces, for a message that came in or that we originate,
// with the TTL that it leaves with.
func (e *entry) forwardStateRefresh(sr wire.StateRefresh, ttl uint8) {
	for slot := range (pimNbrs(e.m) & usable(e.g) &^ boundary(e.g) &^ rpfInterface(e)).Bits() {
		i := e.m.slots[slot]
		if ttl < max(1, i.cfg.Threshold) || i.cfg.NoStateRefresh {
			continue // "Out of TTL, skip this interface"
		}
		e.sendStateRefresh(i, sr, ttl)
	}
}

// sendStateRefresh makes the copy of a message for an interface and sends it.
func (e *entry) sendStateRefresh(i *iface, sr wire.StateRefresh, ttl uint8) {
	m := e.m
	o := e.on(i.bit)
	if o != nil && lostAssertOn(o) {
		return // "Let the Assert Winner do State Refresh"
	}
	sr.PruneIndicator = o != nil && o.down != nil && o.down.state == Pruned
	if sr.PruneIndicator && i.nb.StateRefreshCapable() {
		o.refreshPrune()
	}
	sr.TTL = ttl
	mine := sptAssertMetric(e, i)
	sr.RPT, sr.MetricPreference, sr.Metric = false, mine.Preference, mine.Metric
	sr.MaskLen = uint8(e.rpf.maskLen)
	sr.AssertOverride = o == nil || o.assert == nil
	if o != nil && o.assert != nil && o.assert.state == assert.Winner {
		// "Send State Refresh: ->W Reset AT(S,G,I)" to three times the interval.
		m.timers.Set(&o.assert.timer, m.now.Add(lifetimes*sr.Interval))
	}
	i.send(&sr)
	e.refreshes().sent++
}

// replayStateRefresh has a neighbor that lost its state know that the interface is pruned: "the router MAY replay the last
// State Refresh message for any (S,G) pairs for which it is the Assert Winner" (section 4.3.4). It says whether it could.
func (o *oif) replayStateRefresh(i *iface) bool {
	e := o.e
	if e.refresh == nil || e.refresh.last.Interval == 0 || i.cfg.NoStateRefresh || e.m.cfg.NoStateRefresh ||
		e.m.now.Sub(e.refresh.at) > lifetimes*e.refresh.last.Interval || !i.nb.StateRefreshCapable() || lostAssertOn(o) {
		return false
	}
	ttl := e.refresh.last.TTL
	if e.origin == nil {
		ttl = max(ttl, 1) - 1
	}
	if ttl < max(1, i.cfg.Threshold) {
		return false
	}
	e.sendStateRefresh(i, e.refresh.last, ttl)
	return true
}

// cancelRefreshes sends an AssertCancel to an interface that becomes RPF_interface(S), if State Refresh messages of ours may
// have made us the Assert winner of neighbors there.
//
// Deviation: RFC 3973 has only one who is in Winner state cancel. But a State Refresh makes its receivers losers without making
// its sender a winner, and a receiver would send its Joins and Grafts to us, who forward nothing any more, until AT expires.
func (e *entry) cancelRefreshes(i *iface) {
	if r := e.refresh; r != nil && r.sent > 0 && e.m.now.Sub(r.at) <= lifetimes*r.last.Interval && pimNbrs(e.m).Has(i.bit) &&
		!boundary(e.g).Has(i.bit) {
		i.send(&wire.Assert{
			Group: wire.GroupOf(e.g.addr), Source: e.addr,
			MetricPreference: assert.Infinite.Preference, Metric: assert.Infinite.Metric,
		})
	}
}

// ---- section 4.5.2: origination ----

// origin is the Origination(S,G) state machine in Originator state.
type origin struct {
	sat engine.Timer // Source Active Timer
	srt engine.Timer // State Refresh Timer
	ttl uint8        // the highest that packets were seen to have; 0: not known
	n   int          // of messages
}

// receiveDirectly is "Receive Data from S AND S directly connected". ttl is that of the packet; 0: not known.
func (e *entry) receiveDirectly(ttl uint8) {
	m := e.m
	if m.cfg.NoStateRefresh {
		return
	}
	if e.origin == nil {
		e.origin = &origin{}
		e.origin.sat.Do = func(time.Time) { e.endOrigin("SAT(S,G) expires") }
		e.origin.srt.Do = func(time.Time) { e.stateRefreshTimerExpires() }
		m.timers.Set(&e.origin.srt, m.now.Add(m.cfg.RefreshInterval))
		e.originTransition("NotOriginator", "Originator", "receive data from S")
	}
	e.origin.ttl = max(e.origin.ttl, ttl)
	m.timers.Set(&e.origin.sat, m.now.Add(m.cfg.SourceLifetime))
}

// stateRefreshTimerExpires is "SRT(S,G) Expires".
func (e *entry) stateRefreshTimerExpires() {
	m := e.m
	m.timers.Set(&e.origin.srt, m.now.Add(m.cfg.RefreshInterval))
	if external(e) {
		return
	}
	sr := wire.StateRefresh{
		Group: wire.GroupOf(e.g.addr), Source: e.addr, Originator: e.originator(),
		Interval: m.cfg.RefreshInterval, TTL: e.refreshTTL(),
	}
	// "This SHOULD be set to 1 by the State Refresh originator on every third State Refresh message" (section 4.7.10).
	const third = 3
	e.origin.n++
	sr.PruneNow = e.origin.n%third == 0
	r := e.refreshes()
	r.at, r.last = m.now, sr
	e.forwardStateRefresh(sr, sr.TTL)
	m.touch(e)
}

// originator returns what we say of ourselves as the originator. Another route to S may lead by no interface of ours.
func (e *entry) originator() netip.Addr {
	if e.rpf.iface == nil {
		return netip.Addr{}
	}
	return e.rpf.iface.reachableAddr()
}

// refreshTTL: "If the TTL of data packets from S to G are being recorded, then the TTL of each State Refresh message is set
// to the highest recorded TTL. Otherwise, the TTL is set to the configured State Refresh TTL."
func (e *entry) refreshTTL() uint8 {
	if e.origin.ttl > 0 {
		return e.origin.ttl
	}
	return e.m.cfg.RefreshTTL
}

// endOrigin is "->NO Cancel SRT(S,G), SAT(S,G)".
func (e *entry) endOrigin(cause string) {
	if e.origin == nil {
		return
	}
	e.m.timers.Stop(&e.origin.sat)
	e.m.timers.Stop(&e.origin.srt)
	e.origin = nil
	e.originTransition("Originator", "NotOriginator", cause)
	e.m.touch(e)
}

// updateOrigin makes the transition "S no longer directly connected".
func (e *entry) updateOrigin() {
	switch {
	case e.origin == nil:
	case e.m.cfg.NoStateRefresh:
		e.endOrigin("configuration changed")
	case !directlyConnected(e) || external(e):
		e.endOrigin("S no longer directly connected")
	}
}

func (e *entry) originTransition(old, state, cause string) {
	e.m.emit(engine.Transition{Entity: "originator (S,G)", Key: e.key(), Old: old, New: state, Cause: cause})
}
