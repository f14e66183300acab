package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"grove/internal/engine"
	"grove/internal/ip"
)

// Register is a Register message (RFC 7761 section 4.9.3).
type Register struct {
	Border bool   // deprecated: ignored on receipt, false on transmission
	Null   bool   // the Null-Register bit: Packet is a dummy header
	Packet []byte // the multicast data packet, IP header first, of the family of the message
}

const (
	registerBorder = 0x80
	registerNull   = 0x40
)

const (
	ipv4HeaderLen = 20
	ipv6HeaderLen = 40
)

// NullRegister returns the Null-Register of (s,g): a dummy IPv4 header, or a dummy IPv6 header and a dummy PIM header.
func NullRegister(s, g netip.Addr) *Register {
	var p []byte
	if s.Is4() {
		p = make([]byte, ipv4HeaderLen)
		p[0], p[3], p[8], p[9] = 0x45, ipv4HeaderLen, 64, engine.ProtoPIM
		copy(p[12:], s.AsSlice())
		copy(p[16:], g.AsSlice())
		binary.BigEndian.PutUint16(p[10:], ip.Checksum(p))
	} else {
		p = make([]byte, ipv6HeaderLen+headerLen)
		p[0], p[5], p[6], p[7] = 0x60, headerLen, engine.ProtoPIM, 64
		copy(p[8:], s.AsSlice())
		copy(p[24:], g.AsSlice())
		binary.BigEndian.PutUint16(p[ipv6HeaderLen+2:], ^ip.Fold(ip.Sum(pseudoSum(headerLen, s, g), p[ipv6HeaderLen:])))
	}
	return &Register{Null: true, Packet: p}
}

// Flow returns the source and the destination of the inner packet. They are invalid if there is no whole IP header,
// which Parse excludes.
func (m *Register) Flow() (s, g netip.Addr) {
	switch p := m.Packet; {
	case len(p) >= ipv4HeaderLen && p[0]>>4 == 4:
		s, _ = netip.AddrFromSlice(p[12:16])
		g, _ = netip.AddrFromSlice(p[16:20])
	case len(p) >= ipv6HeaderLen && p[0]>>4 == 6:
		s, _ = netip.AddrFromSlice(p[8:24])
		g, _ = netip.AddrFromSlice(p[24:40])
	}
	return s, g
}

// Type returns TypeRegister.
func (*Register) Type() Type { return TypeRegister }

// Append appends the message.
func (m *Register) Append(b []byte) ([]byte, error) {
	var f engine.Family
	if len(m.Packet) > 0 {
		f = engine.Family(m.Packet[0] >> 4)
	}
	if err := m.check(f); err != nil {
		return nil, err
	}
	b = append(b, flag(m.Border, registerBorder)|flag(m.Null, registerNull), 0, 0, 0)
	return append(b, m.Packet...), nil
}

func parseRegister(r *reader) (*Register, error) {
	flags := r.take(4)
	if r.err != nil {
		return nil, r.err
	}
	m := &Register{Border: flags[0]&registerBorder != 0, Null: flags[0]&registerNull != 0, Packet: r.b}
	if err := m.check(r.family); err != nil {
		return nil, err
	}
	return m, nil
}

// check says what is wrong with the inner packet of a message of family f.
func (m *Register) check(f engine.Family) error {
	p := m.Packet
	if len(p) == 0 {
		return fmt.Errorf("inner packet: %w", ErrTruncated)
	}
	switch v := engine.Family(p[0] >> 4); {
	case v == f && f == engine.IPv4:
		return m.checkIPv4()
	case v == f && f == engine.IPv6:
		return m.checkIPv6()
	default:
		return fmt.Errorf("inner packet: IP version %d: %w", uint8(v), ErrFamily)
	}
}

func (m *Register) checkIPv4() error {
	p := m.Packet
	if len(p) < ipv4HeaderLen {
		return fmt.Errorf("inner packet: %w", ErrTruncated)
	}
	header := int(p[0]&0xf) * 4
	if header < ipv4HeaderLen {
		return fmt.Errorf("inner packet: header length %d: %w", header, ErrInnerPacket)
	}
	if len(p) < header {
		return fmt.Errorf("inner packet: %w", ErrTruncated)
	}
	if m.Null {
		// RFC 7761, section 4.9.3: the checksum is all that is checked of a dummy header, and only if it is not zero.
		if binary.BigEndian.Uint16(p[10:]) != 0 && ip.Checksum(p[:header]) != 0 {
			return fmt.Errorf("dummy header: bad checksum: %w", ErrInnerPacket)
		}
		return nil
	}
	total := int(binary.BigEndian.Uint16(p[2:]))
	if total < header {
		return fmt.Errorf("inner packet: total length %d: %w", total, ErrInnerPacket)
	}
	if total > len(p) {
		return fmt.Errorf("inner packet: %w", ErrTruncated)
	}
	return nil
}

func (m *Register) checkIPv6() error {
	p := m.Packet
	if len(p) < ipv6HeaderLen {
		return fmt.Errorf("inner packet: %w", ErrTruncated)
	}
	if m.Null {
		// RFC 7761, section 4.9.3: the checksum is checked if the dummy PIM header is present.
		if len(p) == ipv6HeaderLen {
			return nil
		}
		if len(p) < ipv6HeaderLen+headerLen {
			return fmt.Errorf("dummy PIM header: %w", ErrTruncated)
		}
		s, g := m.Flow()
		if ip.Fold(ip.Sum(pseudoSum(headerLen, s, g), p[ipv6HeaderLen:ipv6HeaderLen+headerLen])) != 0xffff {
			return fmt.Errorf("dummy PIM header: bad checksum: %w", ErrInnerPacket)
		}
		return nil
	}
	if int(binary.BigEndian.Uint16(p[4:])) > len(p)-ipv6HeaderLen {
		return fmt.Errorf("inner packet: %w", ErrTruncated)
	}
	return nil
}
