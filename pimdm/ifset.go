package pimdm

import (
	"iter"
	"math/bits"
)

// ifSet is a set of interfaces, so that the macros of RFC 3973 read as they are written there: A (+) B is A|B, A (-) B is
// A&^B, NULL is 0, and they are evaluated from left to right where parentheses do not say otherwise (section 2.2). Every
// interface that dense mode is configured on has a bit of its own (iface.bit); a table of Linux has no more than 32.
type ifSet uint64

const slots = 64

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
