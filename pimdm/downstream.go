package pimdm

import (
	"time"

	"grove/internal/engine"
	"grove/internal/pim/wire"
)

// This file is the Prune(S,G) Downstream state machine of RFC 3973, section 4.4.2 (Figure 2): what neighbors on an
// interface asked of us.

// DownstreamState is a state of the downstream state machine, DownstreamPState.
type DownstreamState uint8

// The states of Figure 2.
const (
	NoInfo DownstreamState = iota
	PrunePending
	Pruned
)

// String returns the name that the RFC gives the state.
func (s DownstreamState) String() string { return [...]string{"NoInfo", "PrunePending", "Pruned"}[s] }

// downstream is a downstream state machine that is not in NoInfo state.
type downstream struct {
	state DownstreamState
	ppt   engine.Timer // PrunePending Timer
	pt    engine.Timer // Prune Timer; stopped in Pruned state: until a Join or Graft
	// holdtime is the largest one of the Prunes received, and since when the first of them did.
	holdtime time.Duration
	since    time.Time
}

func (d *downstream) current() DownstreamState {
	if d == nil {
		return NoInfo
	}
	return d.state
}

// receivePrune is "Receive Prune(S,G)".
func (o *oif) receivePrune(holdtime time.Duration) {
	m := o.e.m
	if o.down == nil {
		d := &downstream{state: PrunePending, holdtime: holdtime, since: m.now}
		d.ppt.Do = func(time.Time) { o.prunePendingTimerExpires() }
		d.pt.Do = func(time.Time) { o.endPrune("PT(S,G,I) expires") }
		o.down = d
		o.downstreamTransition(NoInfo, PrunePending, "receive Prune(S,G)")
		// "If the router has only one neighbor on interface I, then it SHOULD set the PPT(S,G,I) to zero, effectively
		// transitioning immediately to the Pruned (P) state."
		if o.iface.nb.Count() > 1 {
			m.timers.Set(&d.ppt, m.now.Add(o.iface.nb.JPOverrideInterval()))
		} else {
			o.prunePendingTimerExpires()
		}
		return
	}
	d := o.down
	d.holdtime = max(d.holdtime, holdtime)
	// "The Prune Timer (PT(S,G,I)) SHOULD be reset to the holdtime contained in the Prune(S,G) message if it is greater
	// than the current value."
	switch {
	case d.state != Pruned:
	case holdtime == wire.Forever:
		m.timers.Stop(&d.pt)
	case d.pt.Running():
		m.timers.SetMax(&d.pt, m.now.Add(holdtime))
	}
}

// prunePendingTimerExpires is "PPT(S,G) Expires": "The Prune Timer (PT(S,G,I)) is started and MUST be initialized to the
// received Prune_Hold_Time minus J/P_Override_Interval. A PruneEcho(S,G) MUST be sent on I if I has more than one PIM
// neighbor."
//
// Deviation: what is subtracted is the time that the Prune has been pending. It is the same where it was, and on a link
// with one neighbor, where it was not, packets do not flow again before the neighbor may prune them again.
func (o *oif) prunePendingTimerExpires() {
	m, d := o.e.m, o.down
	m.timers.Stop(&d.ppt)
	d.state = Pruned
	if d.holdtime != wire.Forever {
		m.timers.Set(&d.pt, m.now.Add(max(0, d.holdtime-m.now.Sub(d.since))))
	}
	o.downstreamTransition(PrunePending, Pruned, "PPT(S,G,I) expires")
	if o.iface.nb.Count() > 1 {
		m.queuePruneEcho(o)
	}
	m.touch(o.e)
}

// startPruned has the machine in Pruned state for a time, whatever it was: what a State Refresh says at startup.
func (o *oif) startPruned(holdtime time.Duration, cause string) {
	m := o.e.m
	if o.down == nil {
		o.down = &downstream{since: m.now}
		o.down.ppt.Do = func(time.Time) { o.prunePendingTimerExpires() }
		o.down.pt.Do = func(time.Time) { o.endPrune("PT(S,G,I) expires") }
	}
	old := o.down.state
	m.timers.Stop(&o.down.ppt)
	o.down.state, o.down.holdtime = Pruned, max(holdtime, o.down.holdtime)
	m.timers.SetMax(&o.down.pt, m.now.Add(holdtime))
	if old != Pruned {
		o.downstreamTransition(old, Pruned, cause)
		m.touch(o.e)
	}
}

// refreshPrune is "Send State Refresh(S,G) out I": "The router MUST reset the Prune Timer (PT(S,G,I)) to the Holdtime from
// an active Prune received on interface I. The Holdtime used SHOULD be the largest active one".
func (o *oif) refreshPrune() {
	if d := o.down; d.pt.Running() && d.holdtime != wire.Forever {
		o.e.m.timers.SetMax(&d.pt, o.e.m.now.Add(d.holdtime))
	}
}

// endPrune is the transition to NoInfo: a Join or Graft is received, PT(S,G,I) expires, RPF_Interface(S) becomes I.
func (o *oif) endPrune(cause string) {
	d := o.down
	if d == nil {
		return
	}
	o.e.m.timers.Stop(&d.ppt)
	o.e.m.timers.Stop(&d.pt)
	o.down = nil
	o.downstreamTransition(d.state, NoInfo, cause)
	o.e.m.touch(o.e)
}

func (o *oif) downstreamTransition(old, state DownstreamState, cause string) {
	o.e.m.emit(engine.Transition{
		Entity: "downstream (S,G)", If: o.iface.id, Key: o.e.key(), Old: old.String(), New: state.String(), Cause: cause,
	})
}
