package wire

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// reader reads a message from its start. What is asked for beyond the end is zero, and then err is ErrTruncated.
type reader struct {
	b   []byte
	err error
}

func (r *reader) left() int { return len(r.b) }

func (r *reader) take(n int) []byte {
	if len(r.b) < n {
		r.b, r.err = nil, ErrTruncated
		return make([]byte, n)
	}
	taken := r.b[:n]
	r.b = r.b[n:]
	return taken
}

func (r *reader) byte() uint8 { return r.take(1)[0] }

func (r *reader) uint32() uint32 { return binary.BigEndian.Uint32(r.take(4)) }

func (r *reader) addr() netip.Addr { return netip.AddrFrom4([4]byte(r.take(4))) }

// maskLen returns the length of the prefix that a netmask stands for; false if its bits are not contiguous.
func maskLen(mask uint32) (int, bool) {
	n := bits.LeadingZeros32(^mask)
	return n, mask<<n == 0
}

// maskOf is the inverse of maskLen.
func maskOf(n int) uint32 { return ^uint32(0) << (32 - n) }

// mask reads the netmask at the end of a message, if there is one.
func (r *reader) mask() (has bool, n int, err error) {
	if r.left() == 0 || r.err != nil {
		return false, 0, r.err
	}
	n, ok := maskLen(r.uint32())
	switch {
	case r.err != nil:
		return false, 0, r.err
	case !ok:
		return false, 0, ErrMask
	}
	return true, n, nil
}

// appendAddr appends an IPv4 address.
func appendAddr(b []byte, a netip.Addr) ([]byte, error) {
	if !a.Is4() {
		return nil, ErrRange
	}
	return append(b, a.AsSlice()...), nil
}

// appendAddrs appends IPv4 addresses.
func appendAddrs(b []byte, list ...netip.Addr) (_ []byte, err error) {
	for _, a := range list {
		if b, err = appendAddr(b, a); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// appendMask appends the optional netmask of a Prune, Graft or Graft Ack.
func appendMask(b []byte, has bool, n int) ([]byte, error) {
	switch {
	case !has:
		return b, nil
	case n < 0 || n > 32:
		return nil, ErrRange
	}
	return binary.BigEndian.AppendUint32(b, maskOf(n)), nil
}
