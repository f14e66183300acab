package pimsm

import "net/netip"

// neighborRestarted is a Hello with a new Generation ID: the neighbor has lost its state. "RPF' GenID changes: Decrease
// Join Timer to t_override" (RFC 7761, Figures 5 and 6), and Asserts that it has won are forgotten (Figures 8 and 9).
func (i *iface) neighborRestarted(addr netip.Addr) {
	m := i.m
	n := neighborID{i, addr}
	refresh := func(u *upstream) {
		if u.rpf == n {
			m.decreaseJoinTimer(u, i)
		}
	}
	for _, h := range i.hops.All {
		for _, g := range h.t.groups.All {
			refresh(&g.up)
		}
		for _, s := range h.t.sources.All {
			refresh(&s.up)
		}
	}
	i.winnerLost(addr, "current winner's GenID changes")
	// The neighbor has forgotten our Hello, too: section 4.3.1 has a triggered one sent, before any Join.
}
