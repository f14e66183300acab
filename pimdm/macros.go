package pimdm

import (
	"net/netip"
	"slices"

	"grove/internal/engine"
	"grove/internal/pim/assert"
)

// This file is the macros of RFC 3973: those of section 4.1.3 and those of its state machines, each a function that only
// reads: the formula of the RFC stands above it.
//
// The oracle of the tests computes the same from the RFC's formulas by other means.

// ---- section 4.1.3: interfaces ----

// immediate_olist(S,G) = pim_nbrs (-) prunes(S,G) (+)
//
//	(pim_include(*,G) (-) pim_exclude(S,G) ) (+)
//	pim_include(S,G) (-) lost_assert(S,G) (-)
//	boundary(G)
//
// Interfaces on which the group is sparse mode's are none of ours.
func immediateOlist(e *entry) ifSet {
	return (pimNbrs(e.m)&^prunes(e) | pimIncludeStarG(e.g)&^pimExclude(e) | pimInclude(e)) &^ lostAssert(e) &^
		boundary(e.g) & usable(e.g)
}

// olist(S,G) = immediate_olist(S,G) (-) RPF_interface(S)
func olist(e *entry) ifSet { return immediateOlist(e) &^ rpfInterface(e) }

// pim_nbrs: "the set of all interfaces on which the router has at least one active PIM neighbor".
func pimNbrs(m *Machine) ifSet { return m.nbrs }

// pim_include(*,G) = {all interfaces I such that: local_receiver_include(*,G,I)}
func pimIncludeStarG(g *group) ifSet {
	var set ifSet
	for n := range g.members {
		if g.members[n].mode == engine.Exclude {
			set |= g.members[n].iface.bit
		}
	}
	return set
}

// pim_include(S,G) = {all interfaces I such that: local_receiver_include(S,G,I)}
func pimInclude(e *entry) ifSet { return e.g.listed(e.addr, engine.Include) }

// pim_exclude(S,G) = {all interfaces I such that: local_receiver_exclude(S,G,I)}
func pimExclude(e *entry) ifSet { return e.g.listed(e.addr, engine.Exclude) }

// listed returns the interfaces whose members name a source, in a filter mode.
func (g *group) listed(s netip.Addr, mode engine.FilterMode) ifSet {
	var set ifSet
	for n := range g.members {
		if mb := &g.members[n]; mb.mode == mode {
			if _, found := slices.BinarySearchFunc(mb.sources, s, netip.Addr.Compare); found {
				set |= mb.iface.bit
			}
		}
	}
	return set
}

// prunes(S,G) = {all interfaces I such that DownstreamPState(S,G,I) is in Pruned state}
func prunes(e *entry) ifSet {
	return e.where(func(o *oif) bool { return o.down != nil && o.down.state == Pruned })
}

// lost_assert(S,G) = {all interfaces I such that lost_assert(S,G,I) == TRUE}
func lostAssert(e *entry) ifSet { return e.where(lostAssertOn) }

// lost_assert(S,G,I), section 4.6.3:
//
//	bool lost_assert(S,G,I) {
//	  if ( RPF_interface(S) == I ) {
//	    return FALSE
//	  } else {
//	    return (AssertWinner(S,G,I) != me  AND
//	            (AssertWinnerMetric(S,G,I) is better than
//	             spt_assert_metric(S,G,I)))
//	  }
//	}
func lostAssertOn(o *oif) bool {
	return rpfInterface(o.e) != o.iface.bit && o.assert.lost() && o.assert.metric.Better(sptAssertMetric(o.e, o.iface))
}

// boundary(G) = {all interfaces I with an administratively scoped boundary for group G}
func boundary(g *group) ifSet { return g.boundary }

// usable is the interfaces where PIM runs and the group is dense mode's.
func usable(g *group) ifSet { return g.dense & g.m.running }

// ---- section 4.1.3: the reverse path ----

// RPF_interface(S): "the interface used to reach S as indicated by the MRIB". NULL if that is none of ours: the source is
// another protocol's (RFC 2715), or there is no way to it.
func rpfInterface(e *entry) ifSet { return e.rpf.iface.set() & usable(e.g) }

// external says that there is no upstream state machine: RPF_interface(S) is not an interface of dense mode.
func external(e *entry) bool { return rpfInterface(e) == 0 }

// neighborID is a PIM neighbor: an interface and the primary address of the neighbor there. The zero value is NULL.
type neighborID struct {
	iface *iface
	addr  netip.Addr
}

// RPF'(S):
//
//	neighbor RPF'(S,G) {
//	  if ( I_Am_Assert_loser(S, G, RPF_interface(S) )) {
//	    return AssertWinner(S, G, RPF_interface(S) )
//	  } else {
//	    return MRIB.next_hop( S )
//	  }
//	}
//
// MRIB.next_hop is given as the PIM neighbor that has the address, by its primary address; NULL if it is none, and if S is
// directly connected.
func rpfNeighbor(e *entry) neighborID {
	if o := e.on(rpfInterface(e)); iAmAssertLoser(o) {
		return neighborID{o.iface, o.assert.winner}
	}
	if external(e) || directlyConnected(e) || !e.rpf.nbr.IsValid() {
		return neighborID{}
	}
	return neighborID{e.rpf.iface, e.rpf.nbr}
}

// directlyConnected says that S is on a link of ours, or an address of this router.
func directlyConnected(e *entry) bool { return e.rpf.connected || e.rpf.local }

// ---- section 4.4.1 ----

// wanted is olist(S,G) != NULL for the upstream state machine: the interfaces of other protocols on this router count as
// well (RFC 2715, section 2, rules 4 and 5), and so does this router itself.
func wanted(e *entry) bool { return olist(e) != 0 || e.up.others || e.g.own }

// ---- section 4.6 ----

// CouldAssert(S,G,I) = (RPF_interface(S) != I)
func couldAssert(e *entry, i *iface) bool { return rpfInterface(e) != i.bit }

// I_Am_Assert_Loser(S,G,I): the machine is in "I am Assert Loser" state.
func iAmAssertLoser(o *oif) bool { return o != nil && o.assert.lost() }

// my_assert_metric(S,G,I):
//
//	if (CouldAssert(S,G,I) == TRUE) {
//	  return spt_assert_metric(S,G,I)
//	} else {
//	  return infinite_assert_metric()
//	}
func myAssertMetric(e *entry, i *iface) assert.Metric {
	if couldAssert(e, i) {
		return sptAssertMetric(e, i)
	}
	return assert.Infinite
}

// spt_assert_metric(S,I) = {0,MRIB.pref(S),MRIB.metric(S),my_addr(I)}
func sptAssertMetric(e *entry, i *iface) assert.Metric {
	return assert.Metric{Preference: e.rpf.preference(), Metric: e.rpf.metric(), Address: i.primary}
}
