package pimsm

import (
	"net/netip"

	"grove/internal/engine"
)

// This file is the state summarization macros of RFC 7761, section 4.1.5, and those of its state machines, each a
// function that only reads: the formula of the RFC stands above it. The suffix StarG is (*,G), SG is (S,G), SGRpt is
// (S,G,rpt). For groups of an SSM range every (*,G) and (S,G,rpt) macro is NULL (section 4.8.1).
//
// The oracle of the tests computes the same from the RFC's formulas by other means.

// ---- section 4.1.5: interfaces ----

// immediate_olist(*,G) = joins(*,G) (+) pim_include(*,G) (-) lost_assert(*,G)
func immediateOlistStarG(g *group) ifSet {
	return (joinsStarG(g) | pimIncludeStarG(g)) &^ lostAssertStarG(g)
}

// immediate_olist(S,G) = joins(S,G) (+) pim_include(S,G) (-) lost_assert(S,G)
func immediateOlistSG(s *source) ifSet {
	return (joinsSG(s) | pimIncludeSG(s)) &^ lostAssertSG(s)
}

// inherited_olist(S,G,rpt) =
//
//	    ( joins(*,G) (-) prunes(S,G,rpt) )
//	(+) ( pim_include(*,G) (-) pim_exclude(S,G))
//	(-) ( lost_assert(*,G) (+) lost_assert(S,G,rpt) )
//
// At the RP other protocols' wildcard receivers are in it as well: see alertedStarStar.
func inheritedOlistSGRpt(s *source) ifSet {
	return (joinsStarG(s.g)&^prunesSGRpt(s) | (pimIncludeStarG(s.g)|alertedStarStar(s.g))&^pimExcludeSG(s)) &^
		(lostAssertStarG(s.g) | lostAssertSGRpt(s))
}

// inherited_olist(S,G) =
//
//	inherited_olist(S,G,rpt) (+) joins(S,G) (+) pim_include(S,G) (-) lost_assert(S,G)
func inheritedOlistSG(s *source) ifSet {
	return (inheritedOlistSGRpt(s) | joinsSG(s) | pimIncludeSG(s)) &^ lostAssertSG(s)
}

// pim_include(*,G) =
//
//	{ all interfaces I such that:
//	  ( ( I_am_DR( I ) AND lost_assert(*,G,I) == FALSE ) OR AssertWinner(*,G,I) == me )
//	  AND  local_receiver_include(*,G,I) }
func pimIncludeStarG(g *group) ifSet {
	if g.ssm {
		return 0
	}
	lost := lostAssertStarG(g)
	return alertedStarG(g) | g.where(func(o *oif) bool {
		return (o.iface.dr && !lost.Has(o.iface.bit) || assertWinnerIsMe(o)) && o.member
	})
}

// pim_include(S,G) =
//
//	{ all interfaces I such that:
//	  ( (I_am_DR( I ) AND lost_assert(S,G,I) == FALSE ) OR AssertWinner(S,G,I) == me )
//	  AND  local_receiver_include(S,G,I) }
func pimIncludeSG(s *source) ifSet {
	lost := lostAssertSG(s)
	return alertedSG(s, engine.JoinAlert) | s.where(func(o *oif) bool {
		return (o.iface.dr && !lost.Has(o.iface.bit) || assertWinnerIsMe(o)) && o.member
	})
}

// pim_exclude(S,G) =
//
//	{ all interfaces I such that:
//	  ( (I_am_DR( I ) AND lost_assert(*,G,I) == FALSE ) OR AssertWinner(*,G,I) == me )
//	  AND  local_receiver_exclude(S,G,I) }
func pimExcludeSG(s *source) ifSet {
	if s.g.ssm {
		return 0
	}
	lost := lostAssertStarG(s.g)
	return alertedSG(s, engine.PruneAlert) | s.where(func(o *oif) bool {
		return (o.iface.dr && !lost.Has(o.iface.bit) || assertWinnerIsMe(s.g.on(o.iface.bit))) && o.exclude
	})
}

// joins(*,G) = { all interfaces I such that DownstreamJPState(*,G,I) is either Join or Prune-Pending }
func joinsStarG(g *group) ifSet {
	if g.ssm {
		return 0
	}
	return g.where(func(o *oif) bool { return o.jp.is(Join, PrunePending) })
}

// joins(S,G) = { all interfaces I such that DownstreamJPState(S,G,I) is either Join or Prune-Pending }
//
// The Register tunnel is one of them while the DR's Register state machine is in Join state (section 4.4.1).
func joinsSG(s *source) ifSet {
	set := s.where(func(o *oif) bool { return o.jp.is(Join, PrunePending) })
	if s.registerState() == RegisterJoin {
		set |= registerTunnel
	}
	return set
}

// prunes(S,G,rpt) = { all interfaces I such that DownstreamJPState(S,G,rpt,I) is Prune or PruneTmp }
func prunesSGRpt(s *source) ifSet {
	if s.g.ssm {
		return 0
	}
	return s.where(func(o *oif) bool { return o.rpt.is(Prune, PruneTmp) })
}

// lost_assert(*,G) = { all interfaces I such that lost_assert(*,G,I) == TRUE }, and from section 4.6.5:
//
//	bool lost_assert(*,G,I) {
//	  if ( RPF_interface(RP(G)) == I ) {
//	     return FALSE
//	  } else {
//	     return ( AssertWinner(*,G,I) != NULL AND AssertWinner(*,G,I) != me )
//	  }
//	}
func lostAssertStarG(g *group) ifSet {
	if g.ssm {
		return 0
	}
	return g.where(func(o *oif) bool { return o.assert.lost() }) &^ rpfInterfaceRP(g)
}

// lost_assert(S,G,rpt) = { all interfaces I such that lost_assert(S,G,rpt,I) == TRUE }, and from section 4.6.5:
//
//	bool lost_assert(S,G,rpt,I) {
//	  if ( RPF_interface(RP(G)) == I  OR ( RPF_interface(S) == I AND SPTbit(S,G) == TRUE ) ) {
//	     return FALSE
//	  } else {
//	     return ( AssertWinner(S,G,I) != NULL AND AssertWinner(S,G,I) != me )
//	  }
//	}
func lostAssertSGRpt(s *source) ifSet {
	if s.g.ssm {
		return 0
	}
	lost := s.where(func(o *oif) bool { return o.assert.lost() }) &^ rpfInterfaceRP(s.g)
	if sptBit(s) {
		lost &^= rpfInterface(s)
	}
	return lost
}

// lost_assert(S,G) = { all interfaces I such that lost_assert(S,G,I) == TRUE }, and from section 4.6.5:
//
//	bool lost_assert(S,G,I) {
//	  if ( RPF_interface(S) == I ) {
//	     return FALSE
//	  } else {
//	     return ( AssertWinner(S,G,I) != NULL AND AssertWinner(S,G,I) != me AND
//	              (AssertWinnerMetric(S,G,I) is better than spt_assert_metric(S,I) )
//	  }
//	}
func lostAssertSG(s *source) ifSet {
	return s.where(func(o *oif) bool {
		return o.assert.lost() && o.assert.metric.Better(sptAssertMetric(s, o.iface))
	}) &^ rpfInterface(s)
}

// ---- section 4.1.5 and 4.2: the reverse path ----

// RPF_interface(RP(G)): "the interface the MRIB indicates would be used to route packets to the RP, except at the RP
// when it is the decapsulation interface" (section 4.2). NULL if there is no RP or no way to it.
func rpfInterfaceRP(g *group) ifSet {
	switch {
	case g.rpf == nil:
		return 0
	case iAmRP(g):
		return decapsulation
	}
	return g.rpf.iface.set()
}

// RPF_interface(S): "the interface the MRIB indicates would be used to route packets to S". Of an externally reached source
// it stands for the interface of the other protocol.
func rpfInterface(s *source) ifSet {
	if externallyReached(s) {
		return external
	}
	return s.rpf.iface.set()
}

// neighborID is a PIM neighbor: an interface and the primary address of the neighbor there. The zero value is NULL.
type neighborID struct {
	iface *iface
	addr  netip.Addr
}

// RPF'(*,G):
//
//	neighbor RPF'(*,G) {
//	    if ( I_Am_Assert_Loser(*, G, RPF_interface(RP(G))) ) {
//	         return AssertWinner(*, G, RPF_interface(RP(G)) )
//	    } else {
//	         return NBR( RPF_interface(RP(G)), MRIB.next_hop( RP(G) ) )
//	    }
//	}
func rpfNeighborStarG(g *group) neighborID {
	if o := g.on(rpfInterfaceRP(g)); iAmAssertLoser(o) {
		return neighborID{o.iface, o.assert.winner}
	}
	return nbr(g.rpf)
}

// RPF'(S,G,rpt):
//
//	neighbor RPF'(S,G,rpt) {
//	    if( I_Am_Assert_Loser(S, G, RPF_interface(RP(G)) ) ) {
//	         return AssertWinner(S, G, RPF_interface(RP(G)) )
//	    } else {
//	         return RPF'(*,G)
//	    }
//	}
func rpfNeighborSGRpt(s *source) neighborID {
	if o := s.on(rpfInterfaceRP(s.g)); iAmAssertLoser(o) {
		return neighborID{o.iface, o.assert.winner}
	}
	return rpfNeighborStarG(s.g)
}

// RPF'(S,G):
//
//	neighbor RPF'(S,G) {
//	    if ( I_Am_Assert_Loser(S, G, RPF_interface(S) )) {
//	         return AssertWinner(S, G, RPF_interface(S) )
//	    } else {
//	         return NBR( RPF_interface(S), MRIB.next_hop( S ) )
//	    }
//	}
func rpfNeighborSG(s *source) neighborID {
	if o := s.on(rpfInterface(s)); iAmAssertLoser(o) {
		return neighborID{o.iface, o.assert.winner}
	}
	if s.rpf.connected || externallyReached(s) {
		return neighborID{} // "If S is directly adjacent, then MRIB.next_hop( S ) returns NULL."
	}
	return nbr(s.rpf)
}

// NBR( RPF_interface(X), MRIB.next_hop(X) ): the primary address of the PIM neighbor behind the next hop to X, whichever
// of its addresses the route names. At X itself it is NULL.
func nbr(t *target) neighborID {
	if t == nil || t.local || !t.nbr.IsValid() {
		return neighborID{}
	}
	return neighborID{t.iface, t.nbr}
}

// I_am_RP(G) "is true if the group-to-RP mapping indicates that this router is the RP for the group" (section 4.4.2).
func iAmRP(g *group) bool { return g.rpf != nil && g.rpf.local && !g.ssm }

// DirectlyConnected(S) "is TRUE if the source S is on any subnet that is directly connected to this router (or for
// packets originating on this router)" (section 4.2). So is an externally reached source: the border router is where its
// packets enter the domain.
func directlyConnected(s *source) bool {
	return s.rpf.connected || s.rpf.local || externallyReached(s)
}

// ---- section 4.5: what to ask of the neighbor upstream ----

// JoinDesired(*,G) = immediate_olist(*,G) != NULL
func joinDesiredStarG(g *group) bool { return immediateOlistStarG(g) != 0 }

// RPTJoinDesired(G) = JoinDesired(*,G)
func rptJoinDesired(g *group) bool { return joinDesiredStarG(g) }

// JoinDesired(S,G) =
//
//	immediate_olist(S,G) != NULL
//	OR ( KeepaliveTimer(S,G) is running AND inherited_olist(S,G) != NULL )
//
// A source of another domain of which MSDP tells the RP is as active as one whose KeepaliveTimer is running.
func joinDesiredSG(s *source) bool {
	return immediateOlistSG(s) != 0 || (keepaliveRunning(s) || announced(s)) && inheritedOlistSG(s) != 0
}

// PruneDesired(S,G,rpt) =
//
//	RPTJoinDesired(G) AND
//	( inherited_olist(S,G,rpt) == NULL
//	  OR (SPTbit(S,G)==TRUE AND (RPF'(*,G) != RPF'(S,G)) ))
func pruneDesiredSGRpt(s *source) bool {
	return rptJoinDesired(s.g) &&
		(inheritedOlistSGRpt(s) == 0 || sptBit(s) && rpfNeighborStarG(s.g) != rpfNeighborSG(s))
}

// SPTbit(S,G). "The SPTbit should be treated as always being set for an SSM address" (section 4.8.2).
func sptBit(s *source) bool { return s.sptBit || s.g.ssm }

// KeepaliveTimer(S,G) is running. "The Keepalive Timer should be treated as always running" for an SSM address
// (section 4.8.2).
func keepaliveRunning(s *source) bool { return s.kat.Running() || s.g.ssm }

// ---- section 4.4.1: the DR's Register tunnel ----

// CouldRegister(S,G) =
//
//	I_am_DR( RPF_interface(S) ) AND KeepaliveTimer(S,G) is running AND DirectlyConnected(S) == TRUE
//
// "A router MUST NOT send a Register message for any packet that is destined to an SSM address" (section 4.8.1).
//
// Deviation: a router that is the RP itself does not register with itself, and without an RP there is no tunnel. The
// RFC would have the RP send itself a Register and answer it with a Register-Stop. A member of an Anycast-RP set registers
// with the other members (RFC 4610).
func couldRegister(s *source) bool {
	return !s.g.ssm && s.g.rpf != nil && (!iAmRP(s.g) || len(s.m.anycast(s.g).others()) > 0) && iAmDRTowards(s) && keepaliveRunning(s) && directlyConnected(s)
}

// I_am_DR( RPF_interface(S) ). For an externally reached source it is this router that registers.
func iAmDRTowards(s *source) bool {
	return externallyReached(s) || s.rpf.iface != nil && s.rpf.iface.dr
}

// ---- section 4.6: asserts ----

// CouldAssert(S,G,I) =
//
//	SPTbit(S,G)==TRUE
//	AND (RPF_interface(S) != I)
//	AND (I in ( ( joins(*,G) (-) prunes(S,G,rpt) )
//	            (+) ( pim_include(*,G) (-) pim_exclude(S,G) )
//	            (-) lost_assert(*,G)
//	            (+) joins(S,G) (+) pim_include(S,G) ) )
func couldAssertSG(s *source, i ifSet) bool {
	return sptBit(s) && rpfInterface(s) != i &&
		((joinsStarG(s.g)&^prunesSGRpt(s)|pimIncludeStarG(s.g)&^pimExcludeSG(s))&^lostAssertStarG(s.g) |
			joinsSG(s) | pimIncludeSG(s)).Has(i)
}

// AssertTrackingDesired(S,G,I) =
//
//	(I in ( joins(*,G) (-) prunes(S,G,rpt)
//	        (+) ( pim_include(*,G) (-) pim_exclude(S,G) )
//	        (-) lost_assert(*,G)
//	        (+) joins(S,G) ) )
//	OR (local_receiver_include(S,G,I) == TRUE AND (I_am_DR(I) OR (AssertWinner(S,G,I) == me)))
//	OR ((RPF_interface(S) == I) AND (JoinDesired(S,G) == TRUE))
//	OR ((RPF_interface(RP(G)) == I) AND (JoinDesired(*,G) == TRUE) AND (SPTbit(S,G) == FALSE))
func assertTrackingDesiredSG(s *source, i ifSet) bool {
	if ((joinsStarG(s.g)&^prunesSGRpt(s)|pimIncludeStarG(s.g)&^pimExcludeSG(s))&^lostAssertStarG(s.g) |
		joinsSG(s)).Has(i) {
		return true
	}
	if o := s.on(i); o != nil && o.member && (o.iface.dr || assertWinnerIsMe(o)) {
		return true
	}
	return rpfInterface(s) == i && joinDesiredSG(s) ||
		rpfInterfaceRP(s.g) == i && joinDesiredStarG(s.g) && !sptBit(s)
}

// CouldAssert(*,G,I) = ( I in ( joins(*,G) (+) pim_include(*,G)) ) AND (RPF_interface(RP(G)) != I)
func couldAssertStarG(g *group, i ifSet) bool {
	return (joinsStarG(g) | pimIncludeStarG(g)).Has(i) && rpfInterfaceRP(g) != i
}

// AssertTrackingDesired(*,G,I) =
//
//	CouldAssert(*,G,I)
//	OR (local_receiver_include(*,G,I)==TRUE AND (I_am_DR(I) OR AssertWinner(*,G,I) == me))
//	OR (RPF_interface(RP(G)) == I AND RPTJoinDesired(G))
func assertTrackingDesiredStarG(g *group, i ifSet) bool {
	if g.ssm {
		return false
	}
	if couldAssertStarG(g, i) {
		return true
	}
	if o := g.on(i); o != nil && o.member && (o.iface.dr || assertWinnerIsMe(o)) {
		return true
	}
	return rpfInterfaceRP(g) == i && rptJoinDesired(g)
}

// AssertWinner(*,G,I) == me, or AssertWinner(S,G,I) == me: the machine is in "I am Assert Winner" state.
func assertWinnerIsMe(o *oif) bool {
	return o != nil && o.assert != nil && o.assert.state == AssertWinner
}

// I_Am_Assert_Loser(*,G,I), or I_Am_Assert_Loser(S,G,I): the machine is in "I am Assert Loser" state.
func iAmAssertLoser(o *oif) bool { return o != nil && o.assert.lost() }

// my_assert_metric(S,G,I):
//
//	if( CouldAssert(S,G,I) == TRUE ) {
//	    return spt_assert_metric(S,I)
//	} else if( CouldAssert(*,G,I) == TRUE ) {
//	    return rpt_assert_metric(G,I)
//	} else {
//	    return infinite_assert_metric()
//	}
func myAssertMetricSG(s *source, i *iface) assertMetric {
	if couldAssertSG(s, i.bit) {
		return sptAssertMetric(s, i)
	}
	return myAssertMetricStarG(s.g, i)
}

// my_assert_metric(*,G,I): the same without a source.
func myAssertMetricStarG(g *group, i *iface) assertMetric {
	if couldAssertStarG(g, i.bit) {
		return rptAssertMetric(g, i)
	}
	return infiniteAssertMetric
}

// spt_assert_metric(S,I) = {0,MRIB.pref(S),MRIB.metric(S),my_ip_address(I)}
func sptAssertMetric(s *source, i *iface) assertMetric {
	return assertMetric{RPT: false, Preference: s.rpf.preference(), Metric: s.rpf.metric(), Address: i.primary}
}

// rpt_assert_metric(G,I) = {1,MRIB.pref(RP(G)),MRIB.metric(RP(G)),my_ip_address(I)}
func rptAssertMetric(g *group, i *iface) assertMetric {
	return assertMetric{RPT: true, Preference: g.rpf.preference(), Metric: g.rpf.metric(), Address: i.primary}
}
