package pimdm

import "net/netip"

// This file is what the coming, going and restarting of PIM neighbors means to entries.

// neighborUp is the first Hello of a neighbor.
func (i *iface) neighborUp(addr netip.Addr) {
	i.follow()
	i.resolveHops()
	i.tellOfPrunes("neighbor " + addr.String() + " appears")
}

// neighborDown is the end of a neighbor.
func (i *iface) neighborDown(addr netip.Addr) {
	i.winnerLost(addr, "winner's NLT expires")
	i.follow()
	i.resolveHops()
}

// neighborRestarted is a Hello with a new Generation ID: the neighbor "may not contain the correct (S,G) state" (section
// 4.3.4).
func (i *iface) neighborRestarted(addr netip.Addr) {
	// Asserts that it has won it does not know of. RFC 3973 has no event for that; RFC 7761, Figure 8, has.
	i.winnerLost(addr, "winner's GenID changes")
	// "If the neighbor is the upstream neighbor for an (S,G) entry, the router MAY cancel its Prune Limit Timer to permit
	// sending a prune and reestablishing a Pruned state in the upstream router."
	n := neighborID{i, addr}
	for _, h := range i.hops.All {
		for _, e := range h.t.entries.All {
			if e.up.rpf == n {
				i.m.timers.Stop(&e.up.plt)
				i.m.touch(e)
			}
		}
	}
	i.tellOfPrunes("neighbor " + addr.String() + " restarted")
}

// tellOfPrunes has a neighbor that knows nothing yet learn that flows are pruned on the interface, so that it can ask
// for them: "the router MAY replay the last State Refresh message" (section 4.3.4).
//
// Deviation: RFC 3973 leaves open what becomes of such a flow if there is no message to replay. The neighbor knows neither
// source nor Prune, so it cannot Graft, and its members would wait for the Prune Timer. Here the Prune ends: packets flow
// again, until who does not want them prunes them again.
func (i *iface) tellOfPrunes(cause string) {
	for _, o := range i.oifs.All {
		if o.down != nil && rpfInterface(o.e) != i.bit && !o.replayStateRefresh(i) {
			o.endPrune(cause)
		}
	}
}
