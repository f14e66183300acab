// Package probe is the test packet of grove and its account: what grove send sends and grove recv counts, in
// namespaces and on real networks, and what hosts of the simulator send and count.
//
// A packet carries the number of the sender's run, a sequence number from 0, the time when it was sent and the TTL with
// which it was. From that a receiver tells loss, duplicates, disorder, latency and the number of hops.
package probe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Packet is what a test packet carries.
type Packet struct {
	Run  uint64    // a number that the sender draws at its start: another run is another flow
	Seq  uint64    // from 0
	Sent time.Time // to the nanosecond
	TTL  uint8     // or hop limit, as sent
}

// Size is the length of an encoded Packet. What follows it is padding.
const Size = 4 + 8 + 8 + 8 + 1

const magic = "grv1"

// Errors of Parse.
var (
	ErrShort   = errors.New("truncated")
	ErrForeign = errors.New("not a test packet of grove")
)

// Append appends the encoded packet to b.
func (p Packet) Append(b []byte) []byte {
	b = append(b, magic...)
	b = binary.BigEndian.AppendUint64(b, p.Run)
	b = binary.BigEndian.AppendUint64(b, p.Seq)
	b = binary.BigEndian.AppendUint64(b, uint64(p.Sent.UnixNano()))
	return append(b, p.TTL)
}

// Parse decodes the packet at the start of b, the payload of a UDP datagram.
func Parse(b []byte) (Packet, error) {
	if len(b) < Size {
		return Packet{}, fmt.Errorf("probe: %d of %d bytes: %w", len(b), Size, ErrShort)
	}
	if string(b[:len(magic)]) != magic {
		return Packet{}, fmt.Errorf("probe: %w", ErrForeign)
	}
	return Packet{
		Run:  binary.BigEndian.Uint64(b[4:]),
		Seq:  binary.BigEndian.Uint64(b[12:]),
		Sent: time.Unix(0, int64(binary.BigEndian.Uint64(b[20:]))),
		TTL:  b[28],
	}, nil
}
