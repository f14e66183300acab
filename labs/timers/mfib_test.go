package timers

import (
	"testing"
	"time"

	"grove/internal/engine"
	"grove/mfib"
)

// sg returns the entry of a source at a router; false if there is none.
func (n *network) sg(node string) (mfib.Entry, bool) {
	for _, e := range query[[]mfib.Entry](n, node, engine.MFIB, "entries") {
		if e.Key.Source.IsValid() && e.Key.Group == n.group() {
			return e, true
		}
	}
	return mfib.Entry{}, false
}

// negativeLife: r3 is on the LAN where r1 sends to r2, and wants nothing.
func negativeLife(t *testing.T, f engine.Family) {
	n := build(t, f, 1, "r1 a s\nr2 a b\nr3 a\nh1 s\nh2 b")
	n.join("h2")
	n.Run(time.Minute)
	begin := n.Now()
	source := n.send("h1")
	n.Run(30 * second)
	e, ok := n.sg("r3")
	if !ok || e.State != "negative" {
		t.Fatalf("entry of r3: %+v%s", e, n.story())
	}
	exactly(t, "age and time left of a negative entry", e.Age+e.Left, 60*second)
	between(t, "age of a negative entry", e.Age, 29*second, n.Now()-begin)
	source.Stop()
	end := n.Now() + e.Left
	n.Run(e.Left - delay)
	if _, ok := n.sg("r3"); !ok {
		t.Error("the negative entry went early")
	}
	n.Run(2 * delay)
	if _, ok := n.sg("r3"); ok {
		t.Errorf("the negative entry is still there at %v, it was to go at %v", n.Now(), end)
	}
}

// check: a row that somebody deletes is written again when its counters are read.
func check(t *testing.T, f engine.Family) {
	got := each(t, f, line, func(n *network) time.Duration {
		n.join("h2")
		n.Run(time.Minute)
		plane := n.Node("r2").Router().Plane(f)
		key := engine.StarG(n.group())
		missing := func() bool { return plane.ReadCounters([]engine.Key{key})[0].Missing }
		if missing() {
			t.Fatal("r2 has no row")
		}
		// At some time between two checks: 40 times in 8 s.
		n.Run(time.Duration(n.seed) * 200 * millisecond)
		plane.SetRows(n.Clock(), []engine.Row{{Key: key, Gone: true}})
		deleted := n.Now()
		if !n.RunWhile(missing, time.Minute) {
			t.Fatal("the row does not come back")
		}
		return n.Now() - deleted
	})
	spread(t, "repair of a deleted row", got, 0, 4*second)
}
