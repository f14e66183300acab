package engine_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"grove/internal/engine"
)

// TestTimersFireInOrder: timers fire by deadline, then by the order in which they were set; a stopped one never.
func TestTimersFireInOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	start := time.Unix(0, 0)
	type want struct{ at, set int }
	for range 200 {
		var h engine.Timers
		timers := make([]engine.Timer, 50)
		due := map[int]want{}
		var fired []int
		for i := range timers {
			timers[i].Do = func(time.Time) { fired = append(fired, i) }
		}
		for n := range 200 {
			i := rng.IntN(len(timers))
			if rng.IntN(4) == 0 {
				h.Stop(&timers[i])
				delete(due, i)
				continue
			}
			at := rng.IntN(20)
			h.Set(&timers[i], start.Add(time.Duration(at)))
			due[i] = want{at, n}
		}
		var order []int
		for i, w := range due {
			if w.at <= 10 {
				order = append(order, i)
			}
		}
		slices.SortFunc(order, func(a, b int) int {
			if d := due[a].at - due[b].at; d != 0 {
				return d
			}
			return due[a].set - due[b].set
		})
		h.Fire(start.Add(10))
		if !slices.Equal(fired, order) {
			t.Fatalf("fired %v, want %v", fired, order)
		}
		if h.Len() != len(due)-len(order) {
			t.Fatalf("%d timers left, want %d", h.Len(), len(due)-len(order))
		}
	}
}

// TestTimerSetByAnother: a timer that a firing timer sets for now fires in the same call; one that it stops does not.
func TestTimerSetByAnother(t *testing.T) {
	var h engine.Timers
	now := time.Unix(100, 0)
	var log []string
	var a, b, c engine.Timer
	a.Do = func(now time.Time) { log = append(log, "a"); h.Stop(&b); h.Set(&c, now) }
	b.Do = func(time.Time) { log = append(log, "b") }
	c.Do = func(time.Time) { log = append(log, "c") }
	h.Set(&a, now)
	h.Set(&b, now)
	h.Fire(now)
	if !slices.Equal(log, []string{"a", "c"}) {
		t.Fatalf("fired %v", log)
	}
	if _, ok := h.Deadline(); ok {
		t.Fatal("a timer is left")
	}
}
