package sim

import (
	"encoding/binary"
	"net/netip"
	"time"

	"grove/internal/engine"
)

// probeHeader is what a test packet carries: who reads it can tell loss, duplicates and latency.
type probeHeader struct {
	seq  uint64
	sent int64 // nanoseconds since the start
	ttl  uint8 // as sent
	ok   bool
}

const (
	probeMagic = "grv1"
	probeSize  = 4 + 8 + 8 + 1
)

func (h probeHeader) append(b []byte) []byte {
	b = append(b, probeMagic...)
	b = binary.BigEndian.AppendUint64(b, h.seq)
	b = binary.BigEndian.AppendUint64(b, uint64(h.sent))
	return append(b, h.ttl)
}

func parseProbe(b []byte) (probeHeader, bool) {
	if len(b) < probeSize || string(b[:4]) != probeMagic {
		return probeHeader{}, false
	}
	return probeHeader{
		seq:  binary.BigEndian.Uint64(b[4:]),
		sent: int64(binary.BigEndian.Uint64(b[12:])),
		ttl:  b[20],
		ok:   true,
	}, true
}

// Flow is what a member received of one source: an account by sequence numbers.
type Flow struct {
	Source, Group netip.Addr
	First, Last   uint64 // lowest and highest sequence number seen
	Packets       uint64 // received, duplicates included
	Duplicates    uint64
	FirstAt       time.Duration // when the first and the last packet arrived
	LastAt        time.Duration
	MinLatency    time.Duration
	MaxLatency    time.Duration
	SumLatency    time.Duration
	Latency       time.Duration // of the last packet
	MaxGap        time.Duration // the longest time between two packets
	TTL           uint8         // of the last packet
	MinTTL        uint8
	MaxTTL        uint8

	seen []uint64 // bit i: sequence number base+i
	base uint64
}

// Unique returns the number of different packets received.
func (f *Flow) Unique() uint64 { return f.Packets - f.Duplicates }

// Lost returns the number of packets missing between the first and the last received.
func (f *Flow) Lost() uint64 { return f.Last - f.First + 1 - f.Unique() }

// MeanLatency returns the average over all packets.
func (f *Flow) MeanLatency() time.Duration {
	if f.Packets == 0 {
		return 0
	}
	return f.SumLatency / time.Duration(f.Packets)
}

// Key returns (S,G).
func (f *Flow) Key() engine.Key { return engine.SG(f.Source, f.Group) }

// Has says whether the packet with this sequence number arrived.
func (f *Flow) Has(seq uint64) bool {
	if f.Packets == 0 || seq < f.base || seq-f.base >= uint64(len(f.seen))*64 {
		return false
	}
	i := seq - f.base
	return f.seen[i/64]&(1<<(i%64)) != 0
}

// count adds a packet to the account.
func (f *Flow) count(h probeHeader, ttl uint8, now int64) {
	at, latency := time.Duration(now), time.Duration(now-h.sent)
	if f.Packets == 0 {
		f.base = h.seq &^ 63
		f.First, f.Last, f.FirstAt = h.seq, h.seq, at
		f.MinLatency, f.MaxLatency = latency, latency
		f.MinTTL, f.MaxTTL = ttl, ttl
	}
	if f.Packets > 0 {
		f.MaxGap = max(f.MaxGap, at-f.LastAt)
	}
	f.Packets++
	f.LastAt, f.TTL, f.Latency = at, ttl, latency
	f.SumLatency += latency
	f.MinLatency, f.MaxLatency = min(f.MinLatency, latency), max(f.MaxLatency, latency)
	f.MinTTL, f.MaxTTL = min(f.MinTTL, ttl), max(f.MaxTTL, ttl)
	f.First, f.Last = min(f.First, h.seq), max(f.Last, h.seq)
	if h.seq < f.base {
		// A packet older than the first one seen: make room below.
		base := h.seq &^ 63
		f.seen = append(make([]uint64, (f.base-base)/64), f.seen...)
		f.base = base
	}
	i := h.seq - f.base
	for uint64(len(f.seen)) <= i/64 {
		f.seen = append(f.seen, 0)
	}
	if f.seen[i/64]&(1<<(i%64)) != 0 {
		f.Duplicates++
	}
	f.seen[i/64] |= 1 << (i % 64)
}
