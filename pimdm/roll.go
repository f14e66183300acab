package pimdm

// roll is a list of things that know their own place in it, so that joining and leaving take no time however long it
// is: the index of what hangs on an interface, a tracked address, a group. A thing is on one roll
// of a kind at most; place returns where it keeps its place + 1, 0 for none.
type roll[T any] struct{ all []T }

func (r *roll[T]) add(x T, place func(T) *int32) {
	if p := place(x); *p == 0 {
		r.all = append(r.all, x)
		*p = int32(len(r.all))
	}
}

func (r *roll[T]) remove(x T, place func(T) *int32) {
	p := place(x)
	if *p == 0 {
		return
	}
	last := len(r.all) - 1
	moved := r.all[last]
	r.all[*p-1] = moved
	*place(moved) = *p
	*p = 0
	var none T
	r.all[last] = none
	r.all = r.all[:last]
}

func placeOfOif(o *oif) *int32      { return &o.place }
func placeOfHop(h *hop) *int32      { return &h.place }
func placeInTarget(e *entry) *int32 { return &e.placeInTarget }
func placeInGroup(e *entry) *int32  { return &e.placeInGroup }
