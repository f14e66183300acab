package mfib_test

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"grove/internal/engine"
	"grove/mfib"
)

// big is a table of many entries with the plane that it writes.
type big struct {
	m     *mfib.Machine
	plane *fakePlane
	now   time.Time
}

func newBig(t testing.TB) *big {
	b := &big{
		m:     mfib.New(engine.MachineID{Protocol: engine.MFIB, Family: engine.IPv4}),
		plane: &fakePlane{t: t, vifs: make(map[engine.VIF]engine.IfID), rows: make(map[engine.Key]engine.Row)},
		now:   time.Unix(0, 0),
	}
	cfg := mfib.Config{Interfaces: make(map[string]mfib.InterfaceConfig)}
	for i := 1; i <= 4; i++ {
		cfg.Interfaces[fmt.Sprint("eth", i)] = mfib.InterfaceConfig{Owner: engine.PIMSM}
	}
	b.step(engine.Configure{Config: cfg})
	for i := 1; i <= 3; i++ {
		b.appear(engine.IfID(i), fmt.Sprint("eth", i))
	}
	b.settle()
	return b
}

func (b *big) step(ev engine.Event) []engine.Effect {
	effects := b.m.Step(b.now, ev)
	b.plane.apply(effects)
	return effects
}

func (b *big) appear(id engine.IfID, name string) {
	b.step(engine.InterfaceChange{Interface: engine.Interface{ID: id, Name: name, Up: true, Carrier: true}})
}

// settle lets the machine write all that it wants to, slice by slice, and returns how long that took and in how many.
func (b *big) settle() (took time.Duration, slices int) {
	start := b.now
	b.step(engine.Settled{})
	for slices = 1; b.dirty(); slices++ {
		b.now, _ = b.m.Deadline()
		b.step(engine.Tick{})
		b.step(engine.Settled{})
	}
	return b.now.Sub(start), slices
}

// dirty says whether there is something left to write.
func (b *big) dirty() bool {
	answer := b.m.Step(b.now, engine.Query{What: "counts"})
	return answer[len(answer)-1].(engine.Answer).Value.(mfib.Counts).Dirty > 0
}

func (b *big) want(n int, out ...engine.IfID) {
	group := netip.MustParseAddr("239.1.1.1")
	for i := range n {
		w := engine.Want{
			From: engine.MachineID{Protocol: engine.PIMSM, Family: engine.IPv4}, In: 1, Activity: 10 * time.Second,
			Key: engine.SG(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), group),
		}
		for _, id := range out {
			w.Out = append(w.Out, engine.Outgoing{If: id})
		}
		b.step(w)
	}
}

// checks runs the machine for a while and answers what it asks of the kernel. It returns how often each key was asked for,
// and the largest question.
func (b *big) checks(d time.Duration, packets uint64) (asked map[engine.Key]int, largest, activities int) {
	asked = make(map[engine.Key]int)
	end := b.now.Add(d)
	for {
		at, ok := b.m.Deadline()
		if !ok || at.After(end) {
			b.now = end
			return asked, largest, activities
		}
		b.now = at
		var answer engine.Counters
		for _, e := range b.step(engine.Tick{}) {
			if r, ok := e.(engine.ReadCounters); ok {
				largest = max(largest, len(r.Keys))
				for _, k := range r.Keys {
					asked[k]++
					_, there := b.plane.rows[k]
					answer.Rows = append(answer.Rows, engine.RowCounters{Key: k, Missing: !there, Packets: packets})
				}
			}
		}
		for _, e := range b.step(answer) {
			if _, ok := e.(engine.Activity); ok {
				activities++
			}
		}
		b.step(engine.Settled{})
	}
}

// TestVIFReuse: an interface of many rows goes and another comes. The new one has another number as long as there are
// rows that name the old one, which takes several slices.
func TestVIFReuse(t *testing.T) {
	b := newBig(t)
	b.want(10000, 2, 3)
	b.settle()
	b.step(engine.InterfaceChange{Interface: engine.Interface{ID: 2}, Gone: true})
	b.appear(4, "eth4")
	took, slices := b.settle()
	if slices < 3 || took < 10*time.Millisecond {
		t.Errorf("10,000 rows rewritten in %d slices, in %v: at once", slices, took)
	}
	used := make(map[engine.IfID]engine.VIF)
	for v, id := range b.plane.vifs {
		used[id] = v
	}
	if len(used) != 3 || used[4] != 3 {
		t.Errorf("VIFs %v, want interface 4 to have number 3", used)
	}
	b.appear(5, "eth2")
	b.settle()
	if v := b.plane.vifs[1]; v != 5 {
		t.Errorf("number 1 belongs to %d, want it free by now and given to interface 5", v)
	}
}

// TestEveryRowIsChecked: in each interval every row is asked for once, in slices; what somebody deletes is back within one.
func TestEveryRowIsChecked(t *testing.T) {
	b := newBig(t)
	const n = 20000
	b.want(n, 2)
	b.settle()
	asked, largest, _ := b.checks(4*time.Second, 0)
	for k, times := range asked {
		if times != 1 {
			t.Fatalf("%v was asked for %d times", k, times)
		}
	}
	if len(asked) != n || largest > 1000 {
		t.Errorf("%d of %d rows were asked for, %d at once", len(asked), n, largest)
	}
	lost := 0
	for k := range b.plane.rows {
		if lost++; lost > 1000 {
			break
		}
		delete(b.plane.rows, k)
	}
	b.checks(5*time.Second, 0)
	if len(b.plane.rows) != n {
		t.Errorf("%d of %d rows are there five seconds after some were deleted", len(b.plane.rows), n)
	}
	if _, _, activities := b.checks(12*time.Second, 7); activities != n {
		t.Errorf("%d reports of activity, want %d", activities, n)
	}
	if _, _, activities := b.checks(12*time.Second, 7); activities != 0 {
		t.Errorf("%d reports of activity, want silence", activities)
	}
}

// BenchmarkInstall: 100,000 entries wanted and written.
func BenchmarkInstall(b *testing.B) {
	for b.Loop() {
		var before, after runtime.MemStats
		t := newBig(b)
		t.plane.rows = nil
		runtime.GC()
		runtime.ReadMemStats(&before)
		quiet := t.plane
		quiet.rows = make(map[engine.Key]engine.Row)
		t.want(100000, 2, 3)
		t.settle()
		quiet.rows = nil
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/100000, "bytes/entry")
		runtime.KeepAlive(t)
	}
}

// BenchmarkChange: one entry of 100,000 changes.
func BenchmarkChange(b *testing.B) {
	t := newBig(b)
	t.want(100000, 2, 3)
	t.settle()
	for i := 0; b.Loop(); i++ {
		t.want(1, engine.IfID(2+i%2))
		t.step(engine.Settled{})
	}
}

// BenchmarkCheck: all of 100,000 rows are checked once.
func BenchmarkCheck(b *testing.B) {
	t := newBig(b)
	t.want(100000, 2, 3)
	t.settle()
	for i := uint64(0); b.Loop(); i++ {
		t.checks(4*time.Second, i)
	}
}

// BenchmarkInterfaceGone: an interface in 100,000 rows goes and comes back.
func BenchmarkInterfaceGone(b *testing.B) {
	t := newBig(b)
	t.want(100000, 2, 3)
	t.settle()
	for id := engine.IfID(2); b.Loop(); id += 10 {
		t.step(engine.InterfaceChange{Interface: engine.Interface{ID: id}, Gone: true})
		t.appear(id+10, "eth2")
		t.settle()
	}
}
