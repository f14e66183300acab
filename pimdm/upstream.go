package pimdm

import (
	"time"

	"grove/internal/engine"
)

// This file is the Upstream(S,G) state machine of RFC 3973, section 4.4.1 (Figure 1).

// UpstreamState is a state of the Upstream(S,G) state machine.
type UpstreamState uint8

// The states of Figure 1. NoInfo is that of a source that another protocol on this router has the way to.
const (
	UpstreamNoInfo UpstreamState = iota
	Forwarding
	UpstreamPruned
	AckPending
)

// String returns the name that the RFC gives the state.
func (s UpstreamState) String() string {
	return [...]string{"NoInfo", "Forwarding", "Pruned", "AckPending"}[s]
}

// upstream is the upstream-specific state of an entry.
type upstream struct {
	state   UpstreamState
	grt     engine.Timer // GraftRetry Timer
	ot      engine.Timer // Override Timer
	plt     engine.Timer // Prune Limit Timer
	retries int

	// What the machine last saw, so that it sees changes: RPF'(S), whether S was directly connected, olist != NULL.
	rpf       neighborID
	connected bool
	wanted    bool

	others bool // by the (S,G) alert, another protocol wants the packets
	data   bool // a packet came in on RPF_interface(S), or a State Refresh, that may call for a Prune
	ended  bool // the way was not ours before: neighbors upstream may have a Prune of ours, as the loser of an Assert
}

// timers of the machine are made when the entry is.
func (e *entry) initUpstream() {
	u := &e.up
	u.grt.Do = func(time.Time) { e.graftRetryTimerExpires() }
	u.ot.Do = func(time.Time) { e.overrideTimerExpires() }
	u.plt.Do = func(time.Time) { e.m.touch(e) } // the next packet calls for a Prune again
}

// updateUpstream makes the transitions that follow from macros: olist(S,G) -> NULL and -> non-NULL, RPF'(S) Changes, S
// becomes directly connected; and "Data packet arrives on RPF_Interface(S) AND olist(S,G) == NULL AND PLT(S,G) not
// running".
func (e *entry) updateUpstream() {
	u := &e.up
	if external(e) {
		e.endUpstream()
		return
	}
	rpf, connected, want := rpfNeighbor(e), directlyConnected(e), wanted(e)
	switch {
	case u.state == UpstreamNoInfo && u.ended:
		e.rpfNeighborChanges(rpf, connected, want, "RPF_interface(S) is ours again")
	case u.state == UpstreamNoInfo:
		e.setUpstream(Forwarding, "entry created")
	case connected:
		e.directlyConnected(!u.connected, want)
	case rpf != u.rpf:
		e.rpfNeighborChanges(rpf, connected, want, "RPF'(S) changes")
	case !want && u.wanted && u.state != UpstreamPruned:
		// Before mfib has placed the entry we do not know what other protocols want: if they want nothing the next packet
		// makes this transition.
		if e.placed {
			e.becomePruned(rpf, "olist(S,G) -> NULL")
		}
	case want && !u.wanted && u.state == UpstreamPruned:
		e.becomeAckPending(rpf, "olist(S,G) -> non-NULL")
	}
	u.rpf, u.connected, u.wanted = rpf, connected, want
	switch {
	case !u.data:
	case want || connected || u.plt.Running():
		u.data = false
	case e.placed:
		u.data = false
		e.becomePruned(rpf, "data arrives and olist(S,G) == NULL")
	}
}

// directlyConnected is "S becomes directly connected", and what follows while it is: nobody is asked for anything.
//
// Deviation: the RFC leaves the machine in Pruned state, from which no event leads if olist(S,G) becomes non-NULL. Here the
// state of a source on our own link is Forwarding, as it is if the entry begins there.
func (e *entry) directlyConnected(becomes, want bool) {
	u := &e.up
	if becomes {
		e.m.timers.Stop(&u.ot)
		e.m.timers.Stop(&u.plt)
	}
	if becomes && u.state != UpstreamPruned || want {
		e.becomeForwarding("S is directly connected")
	}
}

// rpfNeighborChanges is "RPF'(S) Changes".
func (e *entry) rpfNeighborChanges(rpf neighborID, connected, want bool, cause string) {
	u := &e.up
	e.m.timers.Stop(&u.ot)
	switch {
	case connected:
		e.m.timers.Stop(&u.plt)
		e.becomeForwarding(cause)
	case want:
		e.becomeAckPending(rpf, cause)
	default:
		e.m.timers.Stop(&u.plt)
		e.m.timers.Stop(&u.grt)
		e.setUpstream(UpstreamPruned, cause)
	}
}

// becomePruned is "->P Send Prune(S,G) Set PLT(S,G)", and cancels GRT(S,G).
func (e *entry) becomePruned(rpf neighborID, cause string) {
	u := &e.up
	e.m.timers.Stop(&u.grt)
	e.m.timers.Stop(&u.ot)
	e.setUpstream(UpstreamPruned, cause)
	e.m.queuePrune(e, rpf, e.m.cfg.PruneHoldtime)
	e.m.timers.Set(&u.plt, e.m.now.Add(e.m.cfg.PruneLimit))
}

// becomeAckPending is "->AP Send Graft(S,G) Set GRT(S,G)", and cancels PLT(S,G).
//
// Where RPF'(S) is nobody, no Graft can be sent: the machine forwards, and the neighbor that appears is a change again.
func (e *entry) becomeAckPending(rpf neighborID, cause string) {
	u := &e.up
	e.m.timers.Stop(&u.plt)
	if rpf == (neighborID{}) {
		e.becomeForwarding(cause)
		return
	}
	e.setUpstream(AckPending, cause)
	u.retries = 0
	e.sendGraft(rpf)
}

// becomeForwarding is "->F Cancel GRT(S,G)".
func (e *entry) becomeForwarding(cause string) {
	e.m.timers.Stop(&e.up.grt)
	e.setUpstream(Forwarding, cause)
}

func (e *entry) sendGraft(rpf neighborID) {
	e.m.queueGraft(e, rpf)
	e.m.timers.Set(&e.up.grt, e.m.now.Add(e.m.cfg.GraftRetryPeriod))
}

// graftRetryTimerExpires: "Another Graft message for (S,G) SHOULD be unicast to RPF'(S) and the GraftRetry Timer reset. It
// is RECOMMENDED that the router retry a configured number of times before ceasing retries."
func (e *entry) graftRetryTimerExpires() {
	u := &e.up
	if max := e.m.cfg.GraftRetries; max >= 0 && u.retries >= max {
		e.m.counts.Add("graft never acknowledged")
		e.m.emit(engine.Note{
			Level: engine.Warning, If: u.rpf.id(), Neighbor: u.rpf.addr, Key: e.key(), Text: "no Graft-Ack, retries end",
		})
		e.m.touch(e)
		return
	}
	u.retries++
	e.m.counts.Add("graft retries")
	e.sendGraft(u.rpf)
}

// overrideTimerExpires: "The router MUST send a Join(S,G) to RPF'(S) to override a previously detected prune."
func (e *entry) overrideTimerExpires() {
	e.m.queueJoin(e, e.up.rpf)
	e.m.touch(e)
}

// override is "Set OT(S,G)": "If OT(S,G) is not running, the router MUST set OT(S,G) to t_override seconds."
func (e *entry) override() {
	if u := &e.up; !u.ot.Running() && u.rpf.iface != nil && !u.connected {
		e.m.timers.Set(&u.ot, e.m.now.Add(u.rpf.iface.nb.TOverride()))
	}
}

// seeJoin is "See Join(S,G) to RPF'(S)": another router has overridden the Prune already.
func (e *entry) seeJoin(to neighborID) {
	if to == e.up.rpf {
		e.m.timers.Stop(&e.up.ot)
		e.m.touch(e)
	}
}

// seePrune is "See Prune(S,G)" on RPF_interface(S), to any router there, and in Pruned state "See Prune(S,G) to RPF'(S)":
// "The router MAY reset its PLT(S,G) to the value in the Holdtime field of the received message if it is greater than the
// current value of the PLT(S,G)."
func (e *entry) seePrune(to neighborID, holdtime time.Duration) {
	u := &e.up
	switch {
	case u.connected:
	case u.state == UpstreamPruned && to == u.rpf:
		e.m.timers.SetMax(&u.plt, e.m.now.Add(holdtime))
	case u.state == UpstreamPruned || !u.wanted:
	default:
		e.override()
	}
}

// receiveGraftAck is "Receive GraftAck(S,G) from RPF'(S)".
func (e *entry) receiveGraftAck(from neighborID) {
	if e.up.state == AckPending && e.up.rpf == from {
		e.becomeForwarding("receive GraftAck(S,G) from RPF'(S)")
		e.m.touch(e)
	}
}

// refreshed is "State Refresh(S,G) received from RPF'(S)" with its Prune Indicator.
//
// A machine that is in Forwarding state with an empty olist(S,G), as an entry is at first, takes the message for what a
// packet would have told it: the state is that of an olist that is not empty.
func (e *entry) refreshed(pruneIndicator bool) {
	u := &e.up
	limit := func() { e.m.timers.Set(&u.plt, e.m.now.Add(e.m.cfg.PruneLimit)) }
	switch {
	case external(e) || u.connected:
	case u.state == UpstreamPruned && pruneIndicator:
		limit()
	case u.state == UpstreamPruned:
		if !u.plt.Running() {
			e.m.queuePrune(e, u.rpf, e.m.cfg.PruneHoldtime)
			limit()
		}
	case !u.wanted:
		u.data = true
	case pruneIndicator:
		e.override()
	case u.state == AckPending:
		e.becomeForwarding("State Refresh(S,G) received from RPF'(S) with Prune Indicator 0")
	}
	e.m.touch(e)
}

// endUpstream ends the machine: the source is not reached by an interface of ours any more.
func (e *entry) endUpstream() {
	u := &e.up
	u.ended = true
	if u.state != UpstreamNoInfo {
		e.setUpstream(UpstreamNoInfo, "RPF_interface(S) is not ours")
	}
	e.stopUpstream()
	u.rpf, u.connected, u.wanted, u.data = neighborID{}, false, false, false
}

func (e *entry) stopUpstream() {
	e.m.timers.Stop(&e.up.grt)
	e.m.timers.Stop(&e.up.ot)
	e.m.timers.Stop(&e.up.plt)
}

func (e *entry) setUpstream(state UpstreamState, cause string) {
	u := &e.up
	if u.state == state {
		return
	}
	old := u.state
	u.state = state
	e.m.emit(engine.Transition{
		Entity: "upstream (S,G)", If: e.m.ifID(rpfInterface(e)), Neighbor: rpfNeighbor(e).addr, Key: e.key(),
		Old: old.String(), New: state.String(), Cause: cause,
	})
}

func (n neighborID) id() engine.IfID {
	if n.iface == nil {
		return 0
	}
	return n.iface.id
}
