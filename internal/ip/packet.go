package ip

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// Protocol numbers and header lengths.
const (
	protoHopByHop = 0
	protoTCP      = 6
	protoUDP      = 17
	protoRouting  = 43
	protoFragment = 44
	protoDestOpts = 60

	header4 = 20
	header6 = 40
)

// ErrMalformed is what every error of Parse wraps.
var ErrMalformed = errors.New("ip: malformed packet")

// Packet is an IP packet. The zero ID, TOS and flags are valid.
type Packet struct {
	Src, Dst     netip.Addr
	Proto        uint8  // of the payload
	TTL          uint8  // or hop limit
	TOS          uint8  // or traffic class
	ID           uint16 // identification, IPv4 only
	DontFragment bool   // IPv4 only
	RouterAlert  bool
	Fragment     bool   // not a whole datagram; Payload is then a part of one
	Payload      []byte // points into what was parsed
}

// Parse reads an IPv4 or IPv6 packet. What follows the packet in b is ignored. The IPv4 header's checksum is verified.
func Parse(b []byte) (Packet, error) {
	if len(b) == 0 {
		return Packet{}, fmt.Errorf("%w: empty", ErrMalformed)
	}
	switch b[0] >> 4 {
	case 4:
		return parse4(b)
	case 6:
		return parse6(b)
	}
	return Packet{}, fmt.Errorf("%w: version %d", ErrMalformed, b[0]>>4)
}

func parse4(b []byte) (Packet, error) {
	if len(b) < header4 {
		return Packet{}, fmt.Errorf("%w: IPv4 header: truncated at %d bytes", ErrMalformed, len(b))
	}
	head, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if head < header4 || total < head || total > len(b) {
		return Packet{}, fmt.Errorf("%w: IPv4 header of %d bytes in a packet of %d, total length %d", ErrMalformed, head, len(b), total)
	}
	if Checksum(b[:head]) != 0 {
		return Packet{}, fmt.Errorf("%w: IPv4 header checksum", ErrMalformed)
	}
	flags := binary.BigEndian.Uint16(b[6:])
	p := Packet{
		Src:          netip.AddrFrom4([4]byte(b[12:])),
		Dst:          netip.AddrFrom4([4]byte(b[16:])),
		Proto:        b[9],
		TTL:          b[8],
		TOS:          b[1],
		ID:           binary.BigEndian.Uint16(b[4:]),
		DontFragment: flags&0x4000 != 0,
		Fragment:     flags&0x3fff != 0,
		RouterAlert:  alert4(b[header4:head]),
		Payload:      b[head:total],
	}
	return p, nil
}

// alert4 says whether the options hold Router Alert (RFC 2113). Other options are passed over.
func alert4(options []byte) bool {
	for len(options) > 0 {
		switch options[0] {
		case 0: // end of list
			return false
		case 1: // no operation
			options = options[1:]
			continue
		}
		if len(options) < 2 || int(options[1]) < 2 || int(options[1]) > len(options) {
			return false
		}
		if options[0] == 148 {
			return true
		}
		options = options[int(options[1]):]
	}
	return false
}

func parse6(b []byte) (Packet, error) {
	if len(b) < header6 {
		return Packet{}, fmt.Errorf("%w: IPv6 header: truncated at %d bytes", ErrMalformed, len(b))
	}
	length := int(binary.BigEndian.Uint16(b[4:]))
	if header6+length > len(b) {
		return Packet{}, fmt.Errorf("%w: IPv6 packet of %d bytes, payload length %d", ErrMalformed, len(b), length)
	}
	p := Packet{
		Src:   netip.AddrFrom16([16]byte(b[8:])),
		Dst:   netip.AddrFrom16([16]byte(b[24:])),
		Proto: b[6],
		TTL:   b[7],
		TOS:   b[0]<<4 | b[1]>>4,
	}
	rest := b[header6 : header6+length]
	for {
		size := 0
		switch p.Proto {
		case protoHopByHop, protoRouting, protoDestOpts:
			if len(rest) < 8 || len(rest) < 8+int(rest[1])*8 {
				return Packet{}, fmt.Errorf("%w: IPv6 extension header %d: truncated", ErrMalformed, p.Proto)
			}
			size = 8 + int(rest[1])*8
			if p.Proto == protoHopByHop {
				p.RouterAlert = alert6(rest[2:size])
			}
		case protoFragment:
			if len(rest) < 8 {
				return Packet{}, fmt.Errorf("%w: IPv6 fragment header: truncated", ErrMalformed)
			}
			size = 8
			p.Fragment = p.Fragment || binary.BigEndian.Uint16(rest[2:])&^6 != 0
			if binary.BigEndian.Uint16(rest[2:])>>3 != 0 {
				// What follows a fragment header that is not the first is the middle of something.
				p.Proto, p.Payload = rest[0], rest[size:]
				return p, nil
			}
		default:
			p.Payload = rest
			return p, nil
		}
		p.Proto, rest = rest[0], rest[size:]
	}
}

// alert6 says whether the hop-by-hop options hold Router Alert (RFC 2711).
func alert6(options []byte) bool {
	for len(options) > 0 {
		if options[0] == 0 { // Pad1
			options = options[1:]
			continue
		}
		if len(options) < 2 || 2+int(options[1]) > len(options) {
			return false
		}
		if options[0] == 5 {
			return true
		}
		options = options[2+int(options[1]):]
	}
	return false
}

// Len returns the length of the packet that Append makes.
func (p *Packet) Len() int {
	n := header6 + len(p.Payload)
	if p.Src.Is4() {
		n = header4 + len(p.Payload)
		if p.RouterAlert {
			n += 4
		}
	} else if p.RouterAlert {
		n += 8
	}
	return n
}

// Append writes the packet, its header checksum included. Src and Dst are of one family; the payload fits a packet.
func (p *Packet) Append(b []byte) []byte {
	if p.Src.Is4() {
		return p.append4(b)
	}
	return p.append6(b)
}

func (p *Packet) append4(b []byte) []byte {
	start, head := len(b), header4
	if p.RouterAlert {
		head += 4
	}
	src, dst := p.Src.As4(), p.Dst.As4()
	b = append(b, 4<<4|byte(head/4), p.TOS)
	b = binary.BigEndian.AppendUint16(b, uint16(head+len(p.Payload)))
	b = binary.BigEndian.AppendUint16(b, p.ID)
	var flags byte
	if p.DontFragment {
		flags = 0x40
	}
	b = append(b, flags, 0, p.TTL, p.Proto, 0, 0)
	b = append(b, src[:]...)
	b = append(b, dst[:]...)
	if p.RouterAlert {
		b = append(b, 148, 4, 0, 0)
	}
	binary.BigEndian.PutUint16(b[start+10:], Checksum(b[start:]))
	return append(b, p.Payload...)
}

func (p *Packet) append6(b []byte) []byte {
	src, dst := p.Src.As16(), p.Dst.As16()
	length, next := len(p.Payload), p.Proto
	if p.RouterAlert {
		length, next = length+8, protoHopByHop
	}
	b = append(b, 6<<4|p.TOS>>4, p.TOS<<4, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(length))
	b = append(b, next, p.TTL)
	b = append(b, src[:]...)
	b = append(b, dst[:]...)
	if p.RouterAlert {
		b = append(b, p.Proto, 0, 5, 2, 0, 0, 1, 0)
	}
	return append(b, p.Payload...)
}

// UDP returns the packet of a UDP datagram, its checksum complete.
func UDP(src, dst netip.AddrPort, ttl uint8, data []byte) Packet {
	d := make([]byte, 8, 8+len(data))
	binary.BigEndian.PutUint16(d[0:], src.Port())
	binary.BigEndian.PutUint16(d[2:], dst.Port())
	binary.BigEndian.PutUint16(d[4:], uint16(8+len(data)))
	d = append(d, data...)
	binary.BigEndian.PutUint16(d[6:], CompletedUDP(src.Addr(), dst.Addr(), d))
	return Packet{Src: src.Addr(), Dst: dst.Addr(), Proto: protoUDP, TTL: ttl, Payload: d}
}

// ParseUDP reads the UDP datagram, header included, that a packet of src to dst carries: its ports and its data, which shares memory
// with it. Bytes behind its length are ignored. The error wraps ErrMalformed.
func ParseUDP(src, dst netip.Addr, d []byte) (from, to uint16, data []byte, err error) {
	if len(d) < udpHeaderLen {
		return 0, 0, nil, fmt.Errorf("%w: UDP header", ErrMalformed)
	}
	n := int(binary.BigEndian.Uint16(d[4:]))
	if n < udpHeaderLen || n > len(d) {
		return 0, 0, nil, fmt.Errorf("%w: UDP length %d of %d", ErrMalformed, n, len(d))
	}
	d = d[:n]
	// "An all zero transmitted checksum value means that the transmitter generated no checksum" (RFC 768), in IPv4.
	if sum := binary.BigEndian.Uint16(d[6:]); (sum != 0 || dst.Is6()) && Fold(Sum(PseudoSum(src, dst, protoUDP, n), d)) != 0xffff {
		return 0, 0, nil, fmt.Errorf("%w: UDP checksum", ErrMalformed)
	}
	return binary.BigEndian.Uint16(d), binary.BigEndian.Uint16(d[2:]), d[udpHeaderLen:], nil
}

const udpHeaderLen = 8

// SetTTL changes the TTL or hop limit of the packet in b, and the IPv4 header's checksum with it. Parse accepted b.
func SetTTL(b []byte, ttl uint8) {
	if b[0]>>4 == 6 {
		b[7] = ttl
		return
	}
	head := int(b[0]&15) * 4
	b[8], b[10], b[11] = ttl, 0, 0
	binary.BigEndian.PutUint16(b[10:], Checksum(b[:head]))
}

// Forwarded says whether routers forward packets to the group: it is multicast and of more than link-local scope.
// Linux makes no entry for the others: 224.0.0.0/24 (RFC 5771, section 4), and the scopes 0, 1 and 2 of IPv6
// (RFC 4291, section 2.7).
func Forwarded(group netip.Addr) bool {
	if !group.IsMulticast() {
		return false
	}
	if group.Is4() {
		a := group.As4()
		return a[0] != 224 || a[1] != 0 || a[2] != 0
	}
	return group.As16()[1]&15 > 2
}
