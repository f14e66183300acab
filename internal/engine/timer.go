package engine

import "time"

// Timer is a time at which something is due. It lives in the state that it times; the zero value with Do set is ready
// and stopped. A Timer must not be copied while it runs.
type Timer struct {
	// Do is called when the timer expires, with the time of the Step. The timer is stopped by then and may be set
	// again.
	Do func(now time.Time)

	at    time.Time
	order uint64
	pos   int32 // index in the heap + 1; 0: stopped
}

// Running says whether the timer is set and has not expired.
func (t *Timer) Running() bool { return t.pos != 0 }

// Left returns the time left at now: 0 if the timer is stopped or due.
func (t *Timer) Left(now time.Time) time.Duration {
	if t.pos == 0 || !t.at.After(now) {
		return 0
	}
	return t.at.Sub(now)
}

// At returns when the timer is due; the zero time if it is stopped.
func (t *Timer) At() time.Time {
	if t.pos == 0 {
		return time.Time{}
	}
	return t.at
}

// Timers is the heap of a machine's running timers, by deadline and then by the order in which they were set. The zero
// value is ready.
type Timers struct {
	heap  []*Timer
	order uint64
}

// Set starts t, or moves it: due at at.
func (h *Timers) Set(t *Timer, at time.Time) {
	h.order++
	t.at, t.order = at, h.order
	if t.pos == 0 {
		h.heap = append(h.heap, t)
		t.pos = int32(len(h.heap))
		h.up(len(h.heap) - 1)
		return
	}
	i := int(t.pos - 1)
	if !h.down(i) {
		h.up(i)
	}
}

// SetMin starts t, or brings it forward: due at at, or earlier if it was.
func (h *Timers) SetMin(t *Timer, at time.Time) {
	if t.pos == 0 || at.Before(t.at) {
		h.Set(t, at)
	}
}

// SetMax starts t, or puts it off: due at at, or later if it was.
func (h *Timers) SetMax(t *Timer, at time.Time) {
	if t.pos == 0 || at.After(t.at) {
		h.Set(t, at)
	}
}

// Stop cancels t: it cannot fire.
func (h *Timers) Stop(t *Timer) {
	if t.pos == 0 {
		return
	}
	i, last := int(t.pos-1), len(h.heap)-1
	h.swap(i, last)
	h.heap[last] = nil
	h.heap = h.heap[:last]
	t.pos = 0
	if i < last && !h.down(i) {
		h.up(i)
	}
}

// Fire calls Do of every timer that is due by now, in order, those included that a Do sets for now or earlier.
func (h *Timers) Fire(now time.Time) {
	for len(h.heap) > 0 && !h.heap[0].at.After(now) {
		t := h.heap[0]
		h.Stop(t)
		t.Do(now)
	}
}

// Deadline returns when the first timer is due; false if none runs.
func (h *Timers) Deadline() (time.Time, bool) {
	if len(h.heap) == 0 {
		return time.Time{}, false
	}
	return h.heap[0].at, true
}

// Len returns the number of running timers.
func (h *Timers) Len() int { return len(h.heap) }

func (h *Timers) less(i, j int) bool {
	a, b := h.heap[i], h.heap[j]
	if !a.at.Equal(b.at) {
		return a.at.Before(b.at)
	}
	return a.order < b.order
}

func (h *Timers) swap(i, j int) {
	h.heap[i], h.heap[j] = h.heap[j], h.heap[i]
	h.heap[i].pos, h.heap[j].pos = int32(i+1), int32(j+1)
}

func (h *Timers) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !h.less(i, parent) {
			return
		}
		h.swap(i, parent)
		i = parent
	}
}

func (h *Timers) down(i int) bool {
	start := i
	for {
		child := 2*i + 1
		if child >= len(h.heap) {
			break
		}
		if right := child + 1; right < len(h.heap) && h.less(right, child) {
			child = right
		}
		if !h.less(child, i) {
			break
		}
		h.swap(i, child)
		i = child
	}
	return i > start
}
