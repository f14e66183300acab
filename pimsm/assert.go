package pimsm

import (
	"net/netip"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/assert"
	"grove/internal/pim/wire"
)

// This file is the Assert state machines of RFC 7761, sections 4.6.1 ((S,G), Figure 8) and 4.6.2 ((*,G), Figure 9).

// AssertState is a state of an Assert state machine.
type AssertState = assert.State

// The states of Figures 8 and 9.
const (
	AssertNoInfo = assert.NoInfo
	AssertWinner = assert.Winner
	AssertLoser  = assert.Loser
)

// assertState is an Assert state machine that is not in NoInfo state.
type assertState struct {
	state  AssertState
	winner netip.Addr   // AssertWinner
	metric assertMetric // AssertWinnerMetric
	timer  engine.Timer // AT
}

func (a *assertState) lost() bool { return a != nil && a.state == AssertLoser }

// assertMetric is struct assert_metric of RFC 7761, section 4.6.3.
type assertMetric = assert.Metric

var infiniteAssertMetric = assert.Infinite

// receiveAssert handles an Assert message from a PIM neighbor on i. Section 4.6.2: the (S,G) machine comes first, and
// the (*,G) machine hears of the message only if the (S,G) machine was in NoInfo state and remains there.
func (m *Machine) receiveAssert(i *iface, src netip.Addr, a *wire.Assert) {
	addr := a.Group.Addr
	if !a.Group.Single() {
		m.drop(i, src, "assert of no single group")
		return
	}
	metric := assertMetric{RPT: a.RPT, Preference: a.MetricPreference, Metric: a.Metric, Address: src}
	g := m.group(addr)
	if g == nil {
		return // nothing of ours depends on it: every macro is FALSE
	}
	if a.Source.IsValid() && !a.Source.IsUnspecified() {
		if !validSource(a.Source) {
			m.drop(i, src, "assert of a bad source")
			return
		}
		s := m.makeSource(a.Source, addr)
		if s == nil {
			return
		}
		m.touchSource(s) // it goes again if it has no state
		before := s.assertOn(i)
		s.receiveAssert(i, metric)
		if before != AssertNoInfo || s.assertOn(i) != AssertNoInfo {
			return
		}
	}
	if a.RPT && !g.ssm {
		g.receiveAssert(i, metric)
	}
}

func (e *entry) assertOn(i *iface) AssertState {
	if o := e.on(i.bit); o != nil && o.assert != nil {
		return o.assert.state
	}
	return AssertNoInfo
}

// receiveAssert is the receipt of an Assert in the (S,G) machine, Figure 8.
func (s *source) receiveAssert(i *iface, a assertMetric) {
	mine := myAssertMetricSG(s, i)
	switch s.assertOn(i) {
	case AssertNoInfo:
		switch {
		case !a.RPT && a.Inferior(mine):
			s.oif(i).becomeAssertWinner(sptAssertMetric(s, i), "receive Inferior Assert") // A1
		case a.RPT && couldAssertSG(s, i.bit):
			s.oif(i).becomeAssertWinner(sptAssertMetric(s, i), "receive Assert with RPTbit set") // A1
		case !a.RPT && a.Acceptable(mine) && assertTrackingDesiredSG(s, i.bit):
			s.oif(i).becomeAssertLoser(a, "receive Acceptable Assert")
			// A6: "If (I is RPF_interface(S)) AND (UpstreamJPState(S,G) == Joined) set SPTbit(S,G) to TRUE."
			if i.bit == rpfInterface(s) && s.up.state == Joined {
				s.setSPTbit("receive Assert(S,G) on RPF_interface(S)")
			}
		}
	case AssertWinner:
		switch {
		case a.Inferior(mine):
			s.on(i.bit).sendAssert(mine, s.addr) // A3
		case a.Better(mine):
			s.on(i.bit).becomeAssertLoser(a, "receive Preferred Assert") // A2
		}
	case AssertLoser:
		s.on(i.bit).receiveAssertAsLoser(a, mine, false)
	}
}

// receiveAssert is the receipt of an Assert with the RPTbit set in the (*,G) machine, Figure 9.
func (g *group) receiveAssert(i *iface, a assertMetric) {
	mine := myAssertMetricStarG(g, i)
	switch g.assertOn(i) {
	case AssertNoInfo:
		switch {
		case a.Inferior(mine) && couldAssertStarG(g, i.bit):
			g.oif(i).becomeAssertWinner(mine, "receive Inferior Assert") // A1
		case a.Acceptable(mine) && assertTrackingDesiredStarG(g, i.bit):
			g.oif(i).becomeAssertLoser(a, "receive Acceptable Assert") // A2
		}
	case AssertWinner:
		switch {
		case a.Inferior(mine):
			g.on(i.bit).sendAssert(mine, netip.Addr{}) // A3
		case a.Better(mine):
			g.on(i.bit).becomeAssertLoser(a, "receive Preferred Assert") // A2
		}
	case AssertLoser:
		g.on(i.bit).receiveAssertAsLoser(a, mine, true)
	}
}

// receiveAssertAsLoser is the receipt of an Assert in "I am Assert Loser" state. The (S,G) machine obeys its current
// winner if the RPTbit is clear, the (*,G) machine if it is set.
func (o *oif) receiveAssertAsLoser(a, mine assertMetric, rpt bool) {
	fromWinner := a.Address == o.assert.winner
	switch {
	case a.Better(o.assert.metric):
		o.becomeAssertLoser(a, "receive Preferred Assert") // A2
	case fromWinner && a.Acceptable(mine) && a.RPT == rpt:
		o.becomeAssertLoser(a, "receive Acceptable Assert from Current Winner") // A2
	case fromWinner && (a.Inferior(mine) || a.Infinite()):
		o.endAssert("receive Inferior Assert or Assert Cancel from Current Winner") // A5
	}
}

// dataAssert is the arrival of a data packet from S to G on an interface of the outgoing list (section 4.2): the event
// "Data arrives from S to G on I and CouldAssert" of both machines. Data in other states triggers nothing, so a storm
// of wrong packets sends no storm of Asserts.
func (s *source) dataAssert(iif ifSet, kind assertKind) {
	i := s.m.ifaceOf(iif)
	if i == nil || !i.runs {
		return
	}
	switch kind {
	case assertSG:
		if s.assertOn(i) == AssertNoInfo && couldAssertSG(s, i.bit) {
			s.oif(i).becomeAssertWinner(sptAssertMetric(s, i), "data arrives and CouldAssert(S,G,I)")
		}
	case assertStarG:
		if g := s.g; s.assertOn(i) == AssertNoInfo && g.assertOn(i) == AssertNoInfo && couldAssertStarG(g, i.bit) {
			o := g.oif(i)
			o.setAssert(AssertWinner, i.primary, rptAssertMetric(g, i), "data arrives for G and CouldAssert(*,G,I)")
			// Section 4.9.6: "For data-triggered Asserts, the Source-Address field MAY be set to the IP source
			// address of the data packet": a router that forwards this source by (S,G) state then says so.
			o.sendAssert(o.assert.metric, s.addr)
		}
	}
}

// repeatAssert is "send Assert(S,G) on iif" or "send Assert(*,G) on iif" of section 4.2 where a machine is the winner
// already: somebody on the link does not know it, as a downstream router that left and came back. Without it the two
// streams would go on until the Assert Timer expires. The kernel reports such packets every three seconds at most.
func (s *source) repeatAssert(iif ifSet, kind assertKind) {
	i := s.m.ifaceOf(iif)
	if i == nil || !i.runs {
		return
	}
	switch {
	case kind == assertSG && s.assertOn(i) == AssertWinner:
		s.oif(i).resendAssert()
	case kind == assertStarG && s.assertOn(i) == AssertNoInfo && s.g.assertOn(i) == AssertWinner:
		s.g.oif(i).sendAssert(rptAssertMetric(s.g, i), s.addr)
	}
}

// becomeAssertWinner is the action A1: "Send Assert. Set Assert Timer to (Assert_Time - Assert_Override_Interval).
// Store self as AssertWinner. Store the metric as AssertWinnerMetric."
func (o *oif) becomeAssertWinner(mine assertMetric, cause string) {
	o.setAssert(AssertWinner, o.iface.primary, mine, cause)
	o.resendAssert()
}

// sendAssert is the action A3: "Send Assert. Set Assert Timer to (Assert_Time - Assert_Override_Interval)."
func (o *oif) sendAssert(mine assertMetric, source netip.Addr) {
	m := o.iface.m
	o.assert.metric = mine
	m.sendAssert(o.iface, o.g.addr, source, mine)
	m.timers.Set(&o.assert.timer, m.now.Add(m.cfg.AssertTime-m.cfg.AssertOverride))
}

func (o *oif) resendAssert() {
	if o.s != nil {
		o.sendAssert(sptAssertMetric(o.s, o.iface), o.s.addr)
	} else {
		o.sendAssert(rptAssertMetric(o.g, o.iface), netip.Addr{})
	}
}

// becomeAssertLoser is the action A2: "Store new assert winner as AssertWinner and assert winner metric as
// AssertWinnerMetric. Set Assert Timer to Assert_Time."
func (o *oif) becomeAssertLoser(a assertMetric, cause string) {
	m := o.iface.m
	o.setAssert(AssertLoser, a.Address, a, cause)
	m.timers.Set(&o.assert.timer, m.now.Add(m.cfg.AssertTime))
}

// cancelAssert is the action A4: "Send AssertCancel. Delete assert information." An AssertCancel is an Assert with
// infinite metric and the RPTbit set (section 4.6.4).
func (o *oif) cancelAssert(cause string) {
	var source netip.Addr
	if o.s != nil {
		source = o.s.addr
	}
	o.iface.m.sendAssert(o.iface, o.g.addr, source, infiniteAssertMetric)
	o.endAssert(cause)
}

// setAssert changes the state to Winner or Loser.
func (o *oif) setAssert(state AssertState, winner netip.Addr, metric assertMetric, cause string) {
	old := AssertNoInfo
	if o.assert == nil {
		a := &assertState{}
		a.timer.Do = func(time.Time) { o.assertTimerExpires() }
		o.assert = a
	} else {
		old = o.assert.state
	}
	changed := old != state || o.assert.winner != winner || o.assert.metric != metric
	o.assert.state, o.assert.winner, o.assert.metric = state, winner, metric
	if changed {
		o.assertTransition(old, state, winner, cause)
		o.touch()
	}
}

// endAssert is the action A5: "Delete assert information". The machine is in NoInfo state.
func (o *oif) endAssert(cause string) {
	if o.assert == nil {
		return
	}
	old := o.assert.state
	o.iface.m.timers.Stop(&o.assert.timer)
	o.assert = nil
	o.assertTransition(old, AssertNoInfo, netip.Addr{}, cause)
	o.touch()
}

// assertTimerExpires: a winner repeats its Assert, a loser forgets it.
func (o *oif) assertTimerExpires() {
	if o.assert.state == AssertWinner {
		o.resendAssert()
	} else {
		o.endAssert("Assert Timer expires")
	}
}

// updateAsserts makes the transitions that follow from macros: CouldAssert -> FALSE, AssertTrackingDesired -> FALSE,
// and my_metric -> better than the winner's metric.
func (g *group) updateAsserts() {
	for _, o := range g.oifs {
		switch {
		case o.assert == nil:
		case o.assert.state == AssertWinner && !couldAssertStarG(g, o.iface.bit):
			o.cancelAssert("CouldAssert(*,G,I) -> FALSE")
		case o.assert.state == AssertLoser:
			o.updateLoser(assertTrackingDesiredStarG(g, o.iface.bit), myAssertMetricStarG(g, o.iface), "(*,G,I)")
		}
	}
}

func (s *source) updateAsserts() {
	for _, o := range s.oifs {
		switch {
		case o.assert == nil:
		case o.assert.state == AssertWinner && !couldAssertSG(s, o.iface.bit):
			o.cancelAssert("CouldAssert(S,G,I) -> FALSE")
		case o.assert.state == AssertLoser:
			o.updateLoser(assertTrackingDesiredSG(s, o.iface.bit), myAssertMetricSG(s, o.iface), "(S,G,I)")
		}
	}
}

func (o *oif) updateLoser(trackingDesired bool, mine assertMetric, arguments string) {
	switch {
	case !trackingDesired:
		o.endAssert("AssertTrackingDesired" + arguments + " -> FALSE")
	case !mine.Infinite() && mine.Better(o.assert.metric):
		o.endAssert("my metric becomes better than the assert winner's metric")
	}
}

// winnerLost is "Current Winner's GenID Changes or NLT Expires" for every Assert that addr has won on i.
func (i *iface) winnerLost(addr netip.Addr, cause string) {
	for _, o := range i.oifs.All {
		if o.assert.lost() && o.assert.winner == addr {
			o.endAssert(cause)
		}
	}
}

func (o *oif) assertTransition(old, state AssertState, winner netip.Addr, cause string) {
	entity := "assert (*,G)"
	if o.s != nil {
		entity = "assert (S,G)"
	}
	o.iface.m.emit(engine.Transition{
		Entity: entity, If: o.iface.id, Neighbor: winner, Key: o.key(),
		Old: old.String(), New: state.String(), Cause: cause,
	})
}

// sendAssert sends an Assert of (S,G), or of (*,G) if source is invalid.
func (m *Machine) sendAssert(i *iface, g, source netip.Addr, metric assertMetric) {
	if !source.IsValid() {
		source = unspecified(m.id.Family)
	}
	i.send(&wire.Assert{
		Group: wire.GroupOf(g), Source: source, RPT: metric.RPT,
		MetricPreference: metric.Preference, Metric: metric.Metric,
	})
}
