package pimsm

import (
	"slices"
	"time"

	"grove/internal/engine"
)

// This file is the downstream state machines: what neighbors on an interface asked of us. RFC 7761, sections 4.5.1
// ((*,G), Figure 2), 4.5.2 ((S,G), Figure 3) and 4.5.3 ((S,G,rpt), Figure 4).

// DownstreamState is a state of a downstream state machine, DownstreamJPState.
type DownstreamState uint8

// The states of Figures 2 and 3 are NoInfo, Join and PrunePending, those of Figure 4 are NoInfo, Prune, PrunePending,
// PruneTmp and PrunePendingTmp.
const (
	NoInfo DownstreamState = iota
	Join
	Prune
	PrunePending
	PruneTmp
	PrunePendingTmp
)

// String returns the name that the RFC gives the state.
func (s DownstreamState) String() string {
	return [...]string{"NoInfo", "Join", "Prune", "Prune-Pending", "PruneTmp", "Prune-Pending-Tmp"}[s]
}

// downstream is a downstream state machine that is not in NoInfo state.
type downstream struct {
	state DownstreamState
	et    engine.Timer // Expiry Timer
	ppt   engine.Timer // Prune-Pending Timer
}

// is says whether the machine is in one of two states; nil is in NoInfo.
func (d *downstream) is(a, b DownstreamState) bool { return d != nil && (d.state == a || d.state == b) }

func (d *downstream) current() DownstreamState {
	if d == nil {
		return NoInfo
	}
	return d.state
}

// receiveJoin is "Receive Join(*,G)" of Figure 2 and "Receive Join(S,G)" of Figure 3. They have one form: o knows whose
// it is.
func (o *oif) receiveJoin(holdtime time.Duration) {
	m := o.iface.m
	old := o.jp.current()
	if o.jp == nil {
		d := &downstream{}
		d.et.Do = func(time.Time) { o.endJoin("Expiry Timer expires") }
		d.ppt.Do = func(time.Time) { o.prunePendingTimerExpires() }
		o.jp = d
	}
	o.jp.state = Join
	m.timers.Stop(&o.jp.ppt)
	// "The ET is set to the maximum of its current value and the HoldTime from the triggering Join/Prune message."
	m.setMax(&o.jp.et, holdtime)
	if old != Join {
		o.downstreamTransition(false, old, Join, "receive Join"+o.arguments())
	}
	if old == NoInfo {
		o.touch()
	}
	// "Receive Join(*,G) on Interface I", "Receive Join(S,G) on interface I" in Figures 9 and 8.
	if o.assert.lost() {
		o.endAssert("receive Join" + o.arguments())
	}
}

// receivePrune is "Receive Prune(*,G)" of Figure 2 and "Receive Prune(S,G)" of Figure 3.
func (o *oif) receivePrune() {
	if o.jp.current() != Join {
		return
	}
	o.jp.state = PrunePending
	o.downstreamTransition(false, Join, PrunePending, "receive Prune"+o.arguments())
	// "It is set to the J/P_Override_Interval(I) if the router has more than one neighbor on that interface; otherwise,
	// it is set to zero, causing it to expire immediately."
	if o.iface.neighbors() > 1 {
		m := o.iface.m
		m.timers.Set(&o.jp.ppt, m.now.Add(o.iface.nb.JPOverrideInterval()))
	} else {
		o.prunePendingTimerExpires()
	}
}

func (o *oif) prunePendingTimerExpires() {
	o.endJoin("Prune-Pending Timer expires")
	// "A PruneEcho need not be sent on an interface that contains only a single PIM neighbor."
	if o.iface.neighbors() > 1 {
		o.iface.m.queuePruneEcho(o)
	}
}

// endJoin: the machine goes to NoInfo state.
func (o *oif) endJoin(cause string) {
	if o.jp == nil {
		return
	}
	old := o.jp.state
	m := o.iface.m
	m.timers.Stop(&o.jp.et)
	m.timers.Stop(&o.jp.ppt)
	o.jp = nil
	o.downstreamTransition(false, old, NoInfo, cause)
	o.touch()
}

// receivePruneRpt is "Receive Prune(S,G,rpt)" of Figure 4.
func (o *oif) receivePruneRpt(holdtime time.Duration) {
	m := o.iface.m
	const cause = "receive Prune(S,G,rpt)"
	switch o.rpt.current() {
	case NoInfo:
		d := &downstream{state: PrunePending}
		d.et.Do = func(time.Time) { o.endPruneRpt("Expiry Timer expires") }
		d.ppt.Do = func(time.Time) { o.setPruneRpt(Prune, "Prune-Pending Timer expires") }
		o.rpt = d
		m.setMax(&d.et, holdtime)
		o.downstreamTransition(true, NoInfo, PrunePending, cause)
		if o.iface.neighbors() > 1 {
			m.timers.Set(&d.ppt, m.now.Add(o.iface.nb.JPOverrideInterval()))
		} else {
			o.setPruneRpt(Prune, "Prune-Pending Timer expires")
		}
	case Prune:
		m.setMax(&o.rpt.et, holdtime)
	case PruneTmp:
		m.setMax(&o.rpt.et, holdtime)
		o.rpt.state = Prune
	case PrunePendingTmp:
		m.setMax(&o.rpt.et, holdtime)
		o.rpt.state = PrunePending
	case PrunePending:
	}
}

// receiveJoinRpt is "Receive Join(S,G,rpt)" of Figure 4: "transitions to the NoInfo state. The ET and PPT are
// canceled." In the transient states it changes nothing.
func (o *oif) receiveJoinRpt() {
	if o.rpt.is(Prune, PrunePending) {
		o.endPruneRpt("receive Join(S,G,rpt)")
	}
}

// receiveJoinStarG is "Receive Join(*,G)" of Figure 4: the prune is lifted unless it follows in the same message. As no
// time is spent in the transient states, nothing is told of them.
func (o *oif) receiveJoinStarG() {
	switch o.rpt.current() {
	case Prune:
		o.rpt.state = PruneTmp
	case PrunePending:
		o.rpt.state = PrunePendingTmp
	}
}

// endOfMessage is "End of Message" of Figure 4.
func (o *oif) endOfMessage() {
	switch o.rpt.current() {
	case PruneTmp:
		o.rpt.state = Prune // as people saw it last
		o.endPruneRpt("receive Join(*,G) without Prune(S,G,rpt)")
	case PrunePendingTmp:
		o.rpt.state = PrunePending
		o.endPruneRpt("receive Join(*,G) without Prune(S,G,rpt)")
	}
}

func (o *oif) setPruneRpt(state DownstreamState, cause string) {
	old := o.rpt.state
	o.rpt.state = state
	o.downstreamTransition(true, old, state, cause)
	o.touch()
}

// endPruneRpt: the (S,G,rpt) machine goes to NoInfo state.
func (o *oif) endPruneRpt(cause string) {
	if o.rpt == nil {
		return
	}
	old := o.rpt.state
	m := o.iface.m
	m.timers.Stop(&o.rpt.et)
	m.timers.Stop(&o.rpt.ppt)
	o.rpt = nil
	o.downstreamTransition(true, old, NoInfo, cause)
	o.touch()
}

// oif returns the entry's state of an interface, made if there is none.
func (g *group) oif(i *iface) *oif  { return g.m.makeOif(&g.entry, &oif{iface: i, g: g}) }
func (s *source) oif(i *iface) *oif { return s.m.makeOif(&s.entry, &oif{iface: i, g: s.g, s: s}) }

func (m *Machine) makeOif(e *entry, fresh *oif) *oif {
	at, found := slices.BinarySearchFunc(e.oifs, fresh.iface.bit, func(o *oif, b ifSet) int {
		return int(o.iface.slot) - int(fresh.iface.slot)
	})
	if found {
		return e.oifs[at]
	}
	e.oifs = slices.Insert(e.oifs, at, fresh)
	fresh.iface.oifs.Add(fresh, placeOfOif)
	return fresh
}

// sweep removes per-interface state of which nothing is left.
func (e *entry) sweep() {
	e.oifs = slices.DeleteFunc(e.oifs, func(o *oif) bool {
		if !o.empty() {
			return false
		}
		o.iface.oifs.Remove(o, placeOfOif)
		return true
	})
	if len(e.oifs) == 0 {
		e.oifs = nil
	}
}

// touch says that state of the interface changed from which other state follows.
func (o *oif) touch() {
	if o.s != nil {
		o.iface.m.touchSource(o.s)
	} else {
		o.iface.m.touchGroup(o.g)
	}
}

func (o *oif) arguments() string {
	if o.s != nil {
		return "(S,G)"
	}
	return "(*,G)"
}

func (o *oif) downstreamTransition(rpt bool, old, state DownstreamState, cause string) {
	entity := "downstream " + o.arguments()
	if rpt {
		entity = "downstream (S,G,rpt)"
	}
	o.iface.m.emit(engine.Transition{
		Entity: entity, If: o.iface.id, Key: o.key(), Old: old.String(), New: state.String(), Cause: cause,
	})
}
