package ip

import (
	"encoding/binary"
	"net/netip"
)

// Sum adds b to the one's complement sum, unfolded (RFC 1071). Only the last part of a whole may have an odd length.
func Sum(sum uint32, b []byte) uint32 {
	s := uint64(sum)
	for len(b) >= 4 {
		s += uint64(binary.BigEndian.Uint32(b))
		b = b[4:]
	}
	if len(b) >= 2 {
		s += uint64(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		s += uint64(b[0]) << 8
	}
	for s>>32 != 0 {
		s = s&0xffffffff + s>>32
	}
	return uint32(s)
}

// Fold brings a sum to 16 bits. The sum over data with a right checksum in it folds to 0xffff.
func Fold(sum uint32) uint16 {
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return uint16(sum)
}

// Checksum returns the Internet checksum of b.
func Checksum(b []byte) uint16 { return ^Fold(Sum(0, b)) }

// PseudoSum returns the sum over the pseudo-header of src and dst, IPv4 (RFC 768) or IPv6 (RFC 8200, section 8.1).
func PseudoSum(src, dst netip.Addr, proto uint8, length int) uint32 {
	var sum uint32
	if src.Is4() {
		s, d := src.As4(), dst.As4()
		sum = Sum(Sum(0, s[:]), d[:])
	} else {
		s, d := src.As16(), dst.As16()
		sum = Sum(Sum(0, s[:]), d[:])
	}
	var tail [8]byte
	binary.BigEndian.PutUint32(tail[:], uint32(length))
	tail[7] = proto
	return Sum(sum, tail[:])
}

// CompleteChecksum finishes the UDP or TCP checksum of the packet, in place, if the sender's kernel left that to a
// device (CHECKSUM_PARTIAL): then the field holds the sum of the pseudo-header. On a veth link no device ever does it,
// and a packet that is sent on from user space, in a Register for one, would die at its receiver. Any other field is
// left as it is: a right one is right, a wrong one must stay wrong.
func CompleteChecksum(packet []byte) {
	p, err := Parse(packet)
	if err != nil || p.Fragment {
		return
	}
	var field int
	switch p.Proto {
	case protoUDP:
		field = 6
	case protoTCP:
		field = 16
	default:
		return
	}
	segment := p.Payload
	if len(segment) < field+2 {
		return
	}
	pseudo := Fold(PseudoSum(p.Src, p.Dst, p.Proto, len(segment)))
	if binary.BigEndian.Uint16(segment[field:]) != pseudo {
		return
	}
	sum := Checksum(segment) // the pseudo-header is in the field already
	if sum == 0 && p.Proto == protoUDP {
		sum = 0xffff // 0 would say that there is no checksum (RFC 768)
	}
	binary.BigEndian.PutUint16(segment[field:], sum)
}

// CompletedUDP returns the checksum field for a UDP datagram from src to dst whose own field is zero.
func CompletedUDP(src, dst netip.Addr, datagram []byte) uint16 {
	sum := ^Fold(Sum(PseudoSum(src, dst, protoUDP, len(datagram)), datagram))
	if sum == 0 {
		return 0xffff
	}
	return sum
}
