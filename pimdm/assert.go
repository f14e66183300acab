package pimdm

import (
	"net/netip"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/assert"
	"grove/internal/pim/wire"
)

// This file is the (S,G) Assert Message state machine of RFC 3973, section 4.6.4 (Figure 4).

// assertState is an Assert state machine that is not in NoInfo state.
type assertState struct {
	state  assert.State
	winner netip.Addr    // AssertWinner
	metric assert.Metric // AssertWinnerMetric
	timer  engine.Timer  // AT
	pruned time.Time     // when the loser last sent the winner a Prune
}

func (a *assertState) lost() bool { return a != nil && a.state == assert.Loser }

func (e *entry) assertOn(i *iface) assert.State {
	if o := e.on(i.bit); o != nil && o.assert != nil {
		return o.assert.state
	}
	return assert.NoInfo
}

// receiveAssertMessage handles an Assert from a PIM neighbor.
func (m *Machine) receiveAssertMessage(i *iface, src netip.Addr, a *wire.Assert) {
	e := m.entryOf(i, src, a.Group, a.Source, "assert")
	if e == nil {
		return
	}
	metric := receivedMetric(a.MetricPreference, a.Metric, src)
	e.whenPathKnown(func() { e.receiveAssert(i, metric, m.cfg.AssertTime, "Assert") })
}

// receivedMetric is the metric of a message. The R bit is "ignored upon receipt" (section 4.7.7), but an AssertCancel is
// what it is with or without it.
func receivedMetric(preference, metric uint32, src netip.Addr) assert.Metric {
	a := assert.Metric{Preference: preference, Metric: metric, Address: src}
	a.RPT = a.Infinite()
	return a
}

// receiveAssert is "Receive Inferior" and "Receive Preferred (Assert OR State Refresh)". timer is what AT(S,G,I) is set to:
// Assert_Time, or three times the interval of a State Refresh.
func (e *entry) receiveAssert(i *iface, a assert.Metric, timer time.Duration, what string) {
	mine := myAssertMetric(e, i)
	e.m.touch(e)
	switch o := e.on(i.bit); e.assertOn(i) {
	case assert.NoInfo:
		switch {
		case a.Inferior(mine):
			e.oif(i).becomeAssertWinner("receive Inferior " + what)
		case a.Acceptable(mine):
			e.oif(i).becomeAssertLoser(a, timer, "receive Preferred "+what)
		}
	case assert.Winner:
		switch {
		case a.Inferior(mine):
			o.resendAssert()
		case a.Acceptable(mine):
			o.becomeAssertLoser(a, timer, "receive Preferred "+what)
		}
	case assert.Loser:
		fromWinner := a.Address == o.assert.winner
		switch {
		case fromWinner && (a.Inferior(mine) || a.Infinite()):
			// Where our own metric is infinite, on RPF_interface(S), nothing is inferior to it, but an AssertCancel of the
			// winner is one all the same.
			o.endAssert("receive Inferior " + what + " from Assert Winner")
		case a == o.assert.metric:
			e.m.timers.Set(&o.assert.timer, e.m.now.Add(timer))
		case !a.Infinite() && a.Better(o.assert.metric):
			o.becomeAssertLoser(a, timer, "receive Preferred "+what)
		case fromWinner:
			// Deviation: "a metric better than or equal to that of the current Assert winner". The winner's own that has
			// become worse, but is still better than ours, is kept as RFC 7761 has it (Figure 8): what it was is no more.
			o.setAssert(assert.Loser, a.Address, a, "receive "+what+" from Assert Winner")
			e.m.timers.Set(&o.assert.timer, e.m.now.Add(timer))
		}
	}
}

// dataAssert is "An (S,G) Data packet received on downstream interface".
func (e *entry) dataAssert(i *iface) {
	switch e.assertOn(i) {
	case assert.NoInfo:
		e.oif(i).becomeAssertWinner("data arrives on downstream interface")
	case assert.Winner:
		e.on(i.bit).resendAssert()
	}
}

// becomeAssertWinner is "->W Send Assert(S,G) Set AT(S,G,I)": "store its own address and metric as the Assert Winner".
func (o *oif) becomeAssertWinner(cause string) {
	o.setAssert(assert.Winner, o.iface.primary, sptAssertMetric(o.e, o.iface), cause)
	o.resendAssert()
}

// resendAssert is "Send Assert(S,G) Set AT(S,G,I)" of the winner.
func (o *oif) resendAssert() {
	m := o.e.m
	o.assert.metric = sptAssertMetric(o.e, o.iface)
	o.sendAssert(o.assert.metric)
	m.timers.Set(&o.assert.timer, m.now.Add(m.cfg.AssertTime))
}

// becomeAssertLoser is "->L Set AT(S,G,I)". Where packets of ours may be on the interface, "the router MUST also multicast a
// Prune(S,G) to the Assert winner with a Prune Hold Time equal to the Assert Timer".
func (o *oif) becomeAssertLoser(a assert.Metric, timer time.Duration, cause string) {
	m := o.e.m
	o.setAssert(assert.Loser, a.Address, a, cause)
	m.timers.Set(&o.assert.timer, m.now.Add(timer))
	o.pruneWinner(timer)
}

// pruneWinner sends the Assert winner a Prune, unless I is where we take packets ourselves.
func (o *oif) pruneWinner(holdtime time.Duration) {
	if couldAssert(o.e, o.iface) {
		o.assert.pruned = o.e.m.now
		o.e.m.queuePrune(o.e, neighborID{o.iface, o.assert.winner}, holdtime)
	}
}

// winnerRefreshes is a State Refresh of the Assert winner, by which the loser stays one: if it says that the interface is not
// pruned, the loser sends its Prune again.
//
// Deviation: RFC 3973 has the loser send one Prune. Where State Refresh keeps the loser a loser without end, and the Prune was
// lost, or the winner forgot it, packets would go to a LAN where nobody wants them without end. As the Upstream machine does
// (section 4.4.1), the loser prunes no more often than t_limit; who wants the packets overrides.
func (o *oif) winnerRefreshes(pruneIndicator bool, interval time.Duration) {
	if m := o.e.m; !pruneIndicator && m.now.Sub(o.assert.pruned) >= m.cfg.PruneLimit {
		o.pruneWinner(lifetimes * interval)
	}
}

// cancelAssert is "CouldAssert -> FALSE" of the winner: "send an AssertCancel(S,G) to interface I". An AssertCancel is an
// Assert with infinite metric (section 4.6.2).
func (o *oif) cancelAssert(cause string) {
	o.sendAssert(assert.Infinite)
	o.endAssert(cause)
}

// downstreamAsksLoser is "Receive Prune(S,G), Join(S,G) or Graft(S,G)" addressed to us, who have lost: "The router MUST send
// an Assert(S,G) on the receiving interface I to initiate an Assert negotiation."
//
// Deviation: RFC 3973 has us remain a loser, whoever asks. But if that Assert wins over the winner, whose path has become
// worse, the winner takes us for the winner now, and tells us by its Prune alone (section 4.6.4.2); as losers both, nobody
// would forward until AT(S,G,I) expires. So the winner that asks us is the winner no more.
func (o *oif) downstreamAsksLoser(src netip.Addr) {
	switch {
	case !o.assert.lost():
	case src == o.assert.winner:
		o.endAssert("Assert Winner takes us for upstream")
	default:
		o.sendAssert(myAssertMetric(o.e, o.iface))
	}
}

// sendAssert sends an Assert of the entry. The R bit is "set to 0 for PIM-DM" (section 4.7.7), in an AssertCancel, too.
func (o *oif) sendAssert(a assert.Metric) {
	o.iface.send(&wire.Assert{
		Group: wire.GroupOf(o.e.g.addr), Source: o.e.addr, MetricPreference: a.Preference, Metric: a.Metric,
	})
}

// setAssert changes the state to Winner or Loser.
func (o *oif) setAssert(state assert.State, winner netip.Addr, metric assert.Metric, cause string) {
	old := assert.NoInfo
	if o.assert == nil {
		a := &assertState{}
		a.timer.Do = func(time.Time) { o.endAssert("AT(S,G,I) expires") }
		o.assert = a
	} else {
		old = o.assert.state
	}
	changed := old != state || o.assert.winner != winner || o.assert.metric != metric
	o.assert.state, o.assert.winner, o.assert.metric = state, winner, metric
	if changed {
		o.assertTransition(old, state, winner, cause)
		o.e.m.touch(o.e)
	}
}

// endAssert is "->NI Cancel AT(S,G,I)": the winner's address and metric are deleted.
func (o *oif) endAssert(cause string) {
	if o.assert == nil {
		return
	}
	old := o.assert.state
	o.e.m.timers.Stop(&o.assert.timer)
	o.assert = nil
	o.assertTransition(old, assert.NoInfo, netip.Addr{}, cause)
	o.e.m.touch(o.e)
}

// updateAsserts makes the transition of a loser whose own metric has become better than the winner's.
//
// Deviation: RFC 3973 has no such event; but lost_assert(S,G,I) is FALSE then, both routers forward, and neither would
// assert. RFC 7761, Figure 8, has it.
func (e *entry) updateAsserts() {
	for _, o := range e.oifs {
		if mine := myAssertMetric(e, o.iface); o.assert.lost() && mine.Acceptable(o.assert.metric) {
			o.endAssert("my metric becomes better than the assert winner's metric")
		}
	}
}

// winnerLost is "Winner's NLT(N,I) Expires" for every Assert that addr has won on i.
func (i *iface) winnerLost(addr netip.Addr, cause string) {
	for _, o := range i.oifs.All {
		if o.assert.lost() && o.assert.winner == addr {
			o.endAssert(cause)
		}
	}
}

func (o *oif) assertTransition(old, state assert.State, winner netip.Addr, cause string) {
	o.e.m.emit(engine.Transition{
		Entity: "assert (S,G)", If: o.iface.id, Neighbor: winner, Key: o.e.key(),
		Old: old.String(), New: state.String(), Cause: cause,
	})
}
