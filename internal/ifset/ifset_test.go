package ifset

import (
	"slices"
	"testing"
)

func TestSet(t *testing.T) {
	const a, b, last Set = 1 << 0, 1 << 5, 1 << (Slots - 1)
	s := a | b | last
	if got := slices.Collect(s.Bits()); !slices.Equal(got, []int{0, 5, Slots - 1}) {
		t.Errorf("members %v", got)
	}
	if !s.Has(b) || (s &^ b).Has(b) || s.Has(0) || Set(0).Has(a) {
		t.Error("Has does not say what is in the set")
	}
	for slot := range s.Bits() {
		if slot == 5 {
			break
		}
	}
}
