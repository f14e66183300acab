package probe

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"
)

func TestPacket(t *testing.T) {
	p := Packet{Run: 7, Seq: 1 << 40, Sent: time.Unix(12, 345), TTL: 64}
	b := p.Append([]byte("head"))[4:]
	if len(b) != Size {
		t.Fatalf("%d bytes, want %d", len(b), Size)
	}
	got, err := Parse(append(b, "padding"...))
	if err != nil || got != p {
		t.Fatalf("parsed %+v, %v; want %+v", got, err, p)
	}
	for n := range Size {
		if _, err := Parse(b[:n]); !errors.Is(err, ErrShort) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	b[0] ^= 1
	if _, err := Parse(b); !errors.Is(err, ErrForeign) {
		t.Errorf("another magic: %v", err)
	}
}

// TestFlow: numbers come in with loss, duplicates and disorder; the account says of each how many.
func TestFlow(t *testing.T) {
	start := time.Unix(100, 0)
	var f Flow
	at := start
	for i, seq := range []uint64{3, 4, 7, 6, 6, 4, 9} {
		at = start.Add(time.Duration(i) * time.Millisecond)
		f.Count(Packet{Seq: seq, Sent: at.Add(-time.Duration(i+1) * time.Microsecond), TTL: 16}, 13, at)
	}
	if f.Packets != 7 || f.Unique() != 5 || f.Duplicates != 2 || f.Reordered != 1 || f.First != 3 || f.Last != 9 {
		t.Errorf("%+v", f)
	}
	if f.Lost() != 2 || f.LostSince(0) != 5 {
		t.Errorf("lost %d, since 0 %d; want 2 (5, 8) and 5", f.Lost(), f.LostSince(0))
	}
	if f.MinLatency != time.Microsecond || f.MaxLatency != 7*time.Microsecond || f.MeanLatency() != 4*time.Microsecond || f.Hops != 3 {
		t.Errorf("latency %v %v %v, hops %d", f.MinLatency, f.MeanLatency(), f.MaxLatency, f.Hops)
	}
	if f.MaxGap != time.Millisecond || !f.Has(7) || f.Has(8) || f.Has(10) {
		t.Errorf("gap %v, has %v %v %v", f.MaxGap, f.Has(7), f.Has(8), f.Has(10))
	}
}

// TestFlowAgainstSets: whatever comes, within the window the account equals that of a set of numbers.
func TestFlowAgainstSets(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		var f Flow
		seen := map[uint64]bool{}
		duplicates, high := uint64(0), uint64(rng.IntN(1000))+Window
		low := high
		for range 5000 {
			seq := high - uint64(rng.IntN(Window/2))
			if rng.IntN(3) == 0 {
				seq = high + uint64(rng.IntN(200))
			}
			high = max(high, seq)
			low = min(low, seq)
			if high-low >= Window && seen[seq] && high-seq >= Window {
				continue
			}
			if seen[seq] {
				duplicates++
			}
			seen[seq] = true
			f.Count(Packet{Seq: seq}, 1, time.Time{})
		}
		if f.Duplicates != duplicates || f.Unique() != uint64(len(seen)) {
			t.Fatalf("%d duplicates, %d different; want %d, %d", f.Duplicates, f.Unique(), duplicates, len(seen))
		}
		if lo, hi := f.First, f.Last; f.Lost() != hi-lo+1-uint64(len(seen)) {
			t.Fatalf("lost %d", f.Lost())
		}
	}
}

// TestFlowJump: after a gap longer than the window old numbers are late, not duplicates.
func TestFlowJump(t *testing.T) {
	var f Flow
	now := time.Unix(0, 0)
	f.Count(Packet{Seq: 0}, 1, now)
	f.Count(Packet{Seq: 3 * Window}, 1, now)
	f.Count(Packet{Seq: 1}, 1, now)
	if f.Duplicates != 0 || f.Reordered != 1 || f.Lost() != 3*Window+1-3 {
		t.Errorf("duplicates %d, reordered %d, lost %d", f.Duplicates, f.Reordered, f.Lost())
	}
}

func FuzzParse(f *testing.F) {
	f.Add(Packet{Run: 1, Seq: 2, Sent: time.Unix(3, 4), TTL: 5}.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Parse(b)
		if err != nil {
			return
		}
		again, err := Parse(p.Append(nil))
		if err != nil || again != p {
			t.Fatalf("%+v, %v; want %+v", again, err, p)
		}
	})
}

func BenchmarkCount(b *testing.B) {
	var f Flow
	now := time.Unix(0, 0)
	for i := range b.N {
		f.Count(Packet{Seq: uint64(i)}, 1, now)
	}
}
