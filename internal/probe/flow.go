package probe

import "time"

// Window is how far below the highest sequence number duplicates are told from late packets. An older packet is
// counted as late and new.
const Window = 1 << 16

// Flow is the account of one run of one sender, as a receiver saw it. The zero value is ready.
type Flow struct {
	Packets    uint64 // all, duplicates included
	Duplicates uint64
	Reordered  uint64 // came after one with a higher number; duplicates are not among them
	First      uint64 // lowest number
	Last       uint64 // highest number
	FirstAt    time.Time
	LastAt     time.Time
	MaxGap     time.Duration // the longest time between two packets that followed each other
	// Latency by the sender's clock: between machines it is as good as their clocks agree.
	MinLatency time.Duration
	MaxLatency time.Duration
	sumLatency time.Duration
	TTL        uint8 // of the last packet
	MinTTL     uint8
	MaxTTL     uint8
	Hops       int // of the last packet: TTL as sent less TTL as received

	seen [Window / 64]uint64 // bit Seq modulo Window: it came; of the numbers from Last-Window+1 to Last
}

// Count adds a packet that arrived at now with ttl. It says whether the packet was a duplicate.
func (f *Flow) Count(p Packet, ttl uint8, now time.Time) (duplicate bool) {
	latency := now.Sub(p.Sent)
	switch {
	case f.Packets == 0:
		f.First, f.Last, f.FirstAt = p.Seq, p.Seq, now
		f.MinLatency, f.MaxLatency = latency, latency
		f.MinTTL, f.MaxTTL = ttl, ttl
		f.set(p.Seq)
	case p.Seq > f.Last:
		f.advance(p.Seq)
	case f.Last-p.Seq >= Window:
		f.Reordered++
	case f.Has(p.Seq):
		duplicate = true
		f.Duplicates++
	default:
		f.Reordered++
		f.set(p.Seq)
	}
	if f.Packets > 0 {
		f.MaxGap = max(f.MaxGap, now.Sub(f.LastAt))
	}
	f.Packets++
	f.First = min(f.First, p.Seq)
	f.LastAt = now
	f.sumLatency += latency
	f.MinLatency, f.MaxLatency = min(f.MinLatency, latency), max(f.MaxLatency, latency)
	f.TTL, f.MinTTL, f.MaxTTL, f.Hops = ttl, min(f.MinTTL, ttl), max(f.MaxTTL, ttl), int(p.TTL)-int(ttl)
	return duplicate
}

// advance makes seq the highest number: those between have not come.
func (f *Flow) advance(seq uint64) {
	if seq-f.Last >= Window {
		clear(f.seen[:])
	} else {
		for s := f.Last + 1; s < seq; s++ {
			f.seen[s%Window/64] &^= 1 << (s % 64)
		}
	}
	f.Last = seq
	f.set(seq)
}

func (f *Flow) set(seq uint64) { f.seen[seq%Window/64] |= 1 << (seq % 64) }

// Has says whether the packet with this number came; false if it is below the window.
func (f *Flow) Has(seq uint64) bool {
	return f.Packets > 0 && seq <= f.Last && f.Last-seq < Window && f.seen[seq%Window/64]&(1<<(seq%64)) != 0
}

// Unique returns the number of different packets.
func (f *Flow) Unique() uint64 { return f.Packets - f.Duplicates }

// Lost returns how many packets are missing between the first and the last number that came.
func (f *Flow) Lost() uint64 { return f.LostSince(f.First) }

// LostSince returns how many packets are missing from the number first to the last that came: 0 for a receiver that
// was there before the sender began. Packets below first are not counted as lost.
func (f *Flow) LostSince(first uint64) uint64 {
	if f.Packets == 0 || first > f.Last {
		return 0
	}
	expected := f.Last - min(first, f.First) + 1
	if unique := f.Unique(); unique < expected {
		return expected - unique
	}
	return 0
}

// MeanLatency returns the average over all packets.
func (f *Flow) MeanLatency() time.Duration {
	if f.Packets == 0 {
		return 0
	}
	return f.sumLatency / time.Duration(f.Packets)
}
