package pimsm

import (
	"time"

	"grove/internal/engine"
)

// This file is the upstream state machine for (S,G,rpt) triggered messages, RFC 7761, section 4.5.7, Figure 7, and the
// rule for the prunes that go with a periodic Join(*,G), section 4.5.6.

// RptState is a state of the upstream (S,G,rpt) state machine.
type RptState uint8

// The states of Figure 7.
const (
	RPTNotJoined RptState = iota
	Pruned
	NotPruned
)

// String returns the name that the RFC gives the state.
func (s RptState) String() string {
	return [...]string{"RPTNotJoined(G)", "Pruned(S,G,rpt)", "NotPruned(S,G,rpt)"}[s]
}

// rptUpstream is an upstream (S,G,rpt) state machine.
type rptUpstream struct {
	ot    *engine.Timer // Override Timer; nil: never set
	state RptState
	// apart says that RPF'(S,G,rpt) was not RPF'(*,G) when we last looked.
	apart bool
}

// updateRpt makes the transitions of Figure 7 that follow from macros.
func (s *source) updateRpt() {
	if s.g.ssm {
		return
	}
	m := s.m
	rpf := rpfNeighborSGRpt(s)
	apart := rpf != rpfNeighborStarG(s.g)
	wasApart := s.rpt.apart
	s.rpt.apart = apart
	switch pruneDesired := pruneDesiredSGRpt(s); {
	case !rptJoinDesired(s.g):
		s.setRpt(RPTNotJoined, "RPTJoinDesired(G) -> False")
		s.cancelOverride()
	case pruneDesired && s.rpt.state != Pruned:
		// From RPTNotJoined "there is no need to trigger an action [...] because sending a Prune(S,G,rpt) is handled
		// by the rules for sending the Join(*,G)".
		if s.rpt.state == NotPruned {
			m.queueRpt(s, rpf, false)
		}
		s.setRpt(Pruned, "PruneDesired(S,G,rpt) -> True")
		s.cancelOverride()
	case !pruneDesired && s.rpt.state == Pruned:
		m.queueRpt(s, rpf, true)
		s.setRpt(NotPruned, "PruneDesired(S,G,rpt) -> False")
	case !pruneDesired && s.rpt.state == RPTNotJoined:
		s.setRpt(NotPruned, "inherited_olist(S,G,rpt) -> non-NULL")
	case s.rpt.state == NotPruned && wasApart && !apart:
		// "RPF'(S,G,rpt) -> RPF'(*,G)": the source comes by the shared tree again.
		s.override(rpf.iface)
	}
}

func (s *source) setRpt(state RptState, cause string) {
	if s.rpt.state == state {
		return
	}
	old := s.rpt.state
	s.rpt.state = state
	s.m.emit(engine.Transition{
		Entity: "upstream (S,G,rpt)", Key: s.key(), Old: old.String(), New: state.String(), Cause: cause,
	})
}

// override is "OT = min(OT, t_override)".
func (s *source) override(i *iface) {
	if s.rpt.state != NotPruned || i == nil {
		return
	}
	if s.rpt.ot == nil {
		s.rpt.ot = &engine.Timer{Do: func(time.Time) { s.overrideTimerExpires() }}
	}
	s.m.timers.SetMin(s.rpt.ot, s.m.now.Add(i.nb.TOverride()))
}

func (s *source) cancelOverride() {
	if s.rpt.ot != nil {
		s.m.timers.Stop(s.rpt.ot)
	}
}

// overrideTimerExpires: "Send Join(S,G,rpt); leave OT unset", but "we only send this if RPF'(S,G,rpt) equals RPF'(*,G)".
func (s *source) overrideTimerExpires() {
	if rpf := rpfNeighborSGRpt(s); rpf == rpfNeighborStarG(s.g) {
		s.m.queueRpt(s, rpf, true)
	}
	s.m.touchSource(s)
}

// pruneWithJoin says whether a Prune(S,G,rpt) goes into the message with a Join(*,G) (section 4.5.6):
//
//	if( SPTbit(S,G) == TRUE ) {
//	    # Note: If receiving (S,G) on the SPT, we only prune off the
//	    # shared tree if the RPF neighbors differ.
//	     if( RPF'(*,G) != RPF'(S,G) ) {
//	         add Prune(S,G,rpt) to compound message
//	     }
//	} else if ( inherited_olist(S,G,rpt) == NULL ) {
//	  # Note: All (*,G) olist interfaces received RPT prunes for (S,G).
//	  add Prune(S,G,rpt) to compound message
//	} else if ( RPF'(*,G) != RPF'(S,G,rpt) ) {
//	  # Note: We joined the shared tree, but there was an (S,G) assert
//	  # and the source tree RPF neighbor is different.
//	  add Prune(S,G,rpt) to compound message
//	}
func pruneWithJoin(s *source) bool {
	if sptBit(s) {
		return rpfNeighborStarG(s.g) != rpfNeighborSG(s)
	}
	return inheritedOlistSGRpt(s) == 0 || rpfNeighborStarG(s.g) != rpfNeighborSGRpt(s)
}
