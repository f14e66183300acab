package dvmrp

import (
	"iter"
	"math/bits"
)

// ifSet is a set of interfaces. Every interface that DVMRP is configured on has a bit of its own (iface.bit); a table of
// Linux has no more than 32 of them.
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
