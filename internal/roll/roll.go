// Package roll is the index of what hangs on something: the entries of a group, the interfaces' state of entries, the
// routes of a neighbor.
package roll

// Roll is a list of things that know their own place in it, so that joining and leaving take no time however long it is.
// Its order is of no meaning, but the same in every run. A thing is on one roll of a kind at most; the function place
// returns where it keeps its place + 1, 0 for none.
type Roll[T any] struct {
	All []T // to read
}

// Add puts x on the roll, if it is not there.
func (r *Roll[T]) Add(x T, place func(T) *int32) {
	if p := place(x); *p == 0 {
		r.All = append(r.All, x)
		*p = int32(len(r.All))
	}
}

// Remove takes x from the roll, if it is there. The last takes its place.
func (r *Roll[T]) Remove(x T, place func(T) *int32) {
	p := place(x)
	if *p == 0 {
		return
	}
	last := len(r.All) - 1
	moved := r.All[last]
	r.All[*p-1] = moved
	*place(moved) = *p
	*p = 0
	var none T
	r.All[last] = none
	r.All = r.All[:last]
}
