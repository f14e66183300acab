package pimsm

import (
	"iter"
	"math/bits"
)

// ifSet is a set of interfaces, so that the macros of RFC 7761 read as they are written there: A (+) B is A|B,
// A (-) B is A&^B, NULL is 0, and both are evaluated from left to right where parentheses do not say otherwise. Every
// interface that runs PIM has a bit of its own (iface.bit); a table of Linux has no more than 32 of them.
type ifSet uint64

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
	slots     = 64
)

// has says whether b, a set of one, is in s. Nothing has the empty set.
func (s ifSet) has(b ifSet) bool { return s&b != 0 }

// bits ranges over the members by slot number, in ascending order.
func (s ifSet) bits() iter.Seq[int] {
	return func(yield func(int) bool) {
		for ; s != 0; s &= s - 1 {
			if !yield(bits.TrailingZeros64(uint64(s))) {
				return
			}
		}
	}
}
