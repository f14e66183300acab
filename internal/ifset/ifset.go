// Package ifset has sets of a router's interfaces, so that the macros of the protocols' RFCs read as they are written
// there: A (+) B is A|B, A (-) B is A&^B, NULL is 0.
package ifset

import (
	"iter"
	"math/bits"
)

// Slots is how many bits a Set has. A protocol gives each of its interfaces one; a table of Linux has no more than 32.
const Slots = 64

// Set is a set of interfaces. Its operators are evaluated from left to right where parentheses do not say otherwise.
type Set uint64

// Has says whether b, a set of one, is in s. Nothing has the empty set.
func (s Set) Has(b Set) bool { return s&b != 0 }

// Bits ranges over the members by slot number, in ascending order.
func (s Set) Bits() iter.Seq[int] {
	return func(yield func(int) bool) {
		for ; s != 0; s &= s - 1 {
			if !yield(bits.TrailingZeros64(uint64(s))) {
				return
			}
		}
	}
}
