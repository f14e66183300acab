package dvmrp

// roll is a list of things that know their own place in it, so that joining and leaving take no time however long it
// is: the index of what hangs on a neighbor, a route, a group. A thing is on one roll of a kind at most; place returns
// where it keeps its place + 1, 0 for none.
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

func placeInBucket(r *route) *int32   { return &r.placeInBucket }
func placeAtGateway(r *route) *int32  { return &r.placeAtGateway }
func placeOfHeard(h *heard) *int32    { return &h.place }
func placeInRoute(f *flow) *int32     { return &f.placeInRoute }
func placeInGroup(f *flow) *int32     { return &f.placeInGroup }
func placeInFlow(e *entry) *int32     { return &e.placeInFlow }
func placeInSource(e *entry) *int32   { return &e.placeInSource }
func placeAtNeighbor(p *prune) *int32 { return &p.place }
