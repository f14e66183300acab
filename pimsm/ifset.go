package pimsm

import "grove/internal/ifset"

// ifSet is a set of interfaces. Every interface that runs PIM has a bit of its own (iface.bit).
type ifSet = ifset.Set

const (
	// registerTunnel is the Register-Tunnel interface of RFC 7761, section 4.4.1. It is in joins(S,G) while the
	// Register state machine of (S,G) is in Join state.
	registerTunnel ifSet = 1 << iota
	// decapsulation is RPF_interface(RP(G)) at the RP: "the virtual interface on which Register packets are
	// received" (RFC 7761, section 4.2). It is in no outgoing list.
	decapsulation
	// external is RPF_interface(S) of a source that is reached by another protocol of this router, and others is where the
	// members are that those protocols tell of by alerts (border.go).
	external
	others

	firstSlot = iota // of real interfaces
)
