package mfib

import "iter"

// ring is a list of entries through the entries themselves: there are many, and container/list takes an allocation for each.
// It keeps them by the time of their last check.
type ring struct {
	front, back *entry
	len         int
}

func (r *ring) pushBack(e *entry) {
	e.prev, e.next = r.back, nil
	if r.back == nil {
		r.front = e
	} else {
		r.back.next = e
	}
	r.back = e
	r.len++
}

func (r *ring) remove(e *entry) {
	if e.prev == nil {
		r.front = e.next
	} else {
		e.prev.next = e.next
	}
	if e.next == nil {
		r.back = e.prev
	} else {
		e.next.prev = e.prev
	}
	e.prev, e.next = nil, nil
	r.len--
}

// all ranges over the entries. The body may remove the one that it has.
func (r *ring) all() iter.Seq[*entry] {
	return func(yield func(*entry) bool) {
		for e := r.front; e != nil; {
			next := e.next
			if !yield(e) {
				return
			}
			e = next
		}
	}
}
