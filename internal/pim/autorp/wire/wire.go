package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"grove/internal/engine"
)

// Port is the UDP port that messages are sent to (PIM-RP-DISC, section 5).
const Port = engine.PortAutoRP

// The groups of section 5.
var (
	AnnounceGroup  = netip.AddrFrom4([4]byte{224, 0, 1, 39}) // CISCO-RP-ANNOUNCE
	DiscoveryGroup = netip.AddrFrom4([4]byte{224, 0, 1, 40}) // CISCO-RP-DISCOVERY
)

// Version is that of the messages.
const Version = 1

// Type is the type of a message.
type Type uint8

// The types of section 4.
const (
	Announcement Type = 1
	Discovery    Type = 2 // "RP mapping message"
)

// String returns the name of the type.
func (t Type) String() string {
	switch t {
	case Announcement:
		return "announcement"
	case Discovery:
		return "discovery"
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// PIMVersion is the highest version of PIM that an RP speaks.
type PIMVersion uint8

// The versions of section 4.
const (
	PIMUnknown PIMVersion = iota
	PIMv1
	PIMv2
	PIMv1And2
)

// String returns the version in words.
func (v PIMVersion) String() string {
	return [...]string{"unknown", "v1", "v2", "v1 and v2"}[v&pimVersionMask]
}

// Message is a message of Auto-RP.
type Message struct {
	Type     Type
	Holdtime time.Duration // whole seconds; 0: what it says never times out
	RPs      []RP
}

// RP is a router and what it serves as RP.
type RP struct {
	Address netip.Addr
	Version PIMVersion
	Groups  []Group
}

// Group is a range of groups.
type Group struct {
	Prefix   netip.Prefix // of multicast or not: that is for the receiver to judge; no bits beyond the mask
	Negative bool         // the range has no RP: it is dense
}

// MaxHoldtime is the longest holdtime that a message can have.
const MaxHoldtime = 0xffff * time.Second

const (
	headerLen = 8 // version, type, RP count, holdtime, reserved
	rpLen     = 6 // address, version, group count
	groupLen  = 6 // flags, mask length, address

	maxCount       = 255
	pimVersionMask = 3
	negative       = 1
	addrBits       = 32
)

// Parse reads a message. Bytes behind the RPs that it counts are ignored, as reserved fields are.
func Parse(b []byte) (*Message, error) {
	if len(b) < headerLen {
		return nil, fmt.Errorf("auto-rp: header: %w", ErrTruncated)
	}
	if v := b[0] >> 4; v != Version {
		return nil, fmt.Errorf("auto-rp: version %d: %w", v, ErrVersion)
	}
	m := &Message{Type: Type(b[0] & 15), Holdtime: time.Duration(binary.BigEndian.Uint16(b[2:])) * time.Second}
	if m.Type != Announcement && m.Type != Discovery {
		return nil, fmt.Errorf("auto-rp: %v: %w", m.Type, ErrType)
	}
	n := int(b[1])
	b = b[headerLen:]
	for i := range n {
		rp, rest, err := parseRP(b)
		if err != nil {
			return nil, fmt.Errorf("auto-rp: %v: RP %d of %d: %w", m.Type, i+1, n, err)
		}
		m.RPs, b = append(m.RPs, rp), rest
	}
	return m, nil
}

func parseRP(b []byte) (rp RP, rest []byte, err error) {
	if len(b) < rpLen {
		return rp, nil, ErrTruncated
	}
	rp = RP{Address: netip.AddrFrom4([4]byte(b)), Version: PIMVersion(b[4] & pimVersionMask)}
	n := int(b[5])
	b = b[rpLen:]
	if len(b) < n*groupLen {
		return rp, nil, fmt.Errorf("group %d of %d: %w", len(b)/groupLen+1, n, ErrTruncated)
	}
	for i := range n {
		p, err := netip.AddrFrom4([4]byte(b[2:])).Prefix(int(b[1]))
		if err != nil {
			return rp, nil, fmt.Errorf("group %d of %d: %d bits: %w", i+1, n, b[1], ErrMaskLen)
		}
		rp.Groups = append(rp.Groups, Group{Prefix: p, Negative: b[0]&negative != 0})
		b = b[groupLen:]
	}
	return rp, b, nil
}

// Append appends the message to b.
func (m *Message) Append(b []byte) ([]byte, error) {
	holdtime := m.Holdtime / time.Second
	switch {
	case m.Type != Announcement && m.Type != Discovery:
		return nil, fmt.Errorf("auto-rp: %v: %w", m.Type, ErrRange)
	case len(m.RPs) > maxCount:
		return nil, fmt.Errorf("auto-rp: %v: %d RPs: %w", m.Type, len(m.RPs), ErrRange)
	case m.Holdtime < 0 || m.Holdtime > MaxHoldtime || m.Holdtime%time.Second != 0:
		return nil, fmt.Errorf("auto-rp: %v: holdtime %v: %w", m.Type, m.Holdtime, ErrRange)
	}
	b = append(b, Version<<4|byte(m.Type), byte(len(m.RPs)), byte(holdtime>>8), byte(holdtime), 0, 0, 0, 0)
	for i := range m.RPs {
		var err error
		if b, err = m.RPs[i].append(b); err != nil {
			return nil, fmt.Errorf("auto-rp: %v: RP %d: %w", m.Type, i+1, err)
		}
	}
	return b, nil
}

func (rp *RP) append(b []byte) ([]byte, error) {
	switch {
	case !rp.Address.Is4():
		return nil, fmt.Errorf("address %v: %w", rp.Address, ErrRange)
	case rp.Version > pimVersionMask:
		return nil, fmt.Errorf("PIM version %d: %w", uint8(rp.Version), ErrRange)
	case len(rp.Groups) > maxCount:
		return nil, fmt.Errorf("%d groups: %w", len(rp.Groups), ErrRange)
	}
	a := rp.Address.As4()
	b = append(append(b, a[:]...), byte(rp.Version), byte(len(rp.Groups)))
	for i, g := range rp.Groups {
		if !g.Prefix.IsValid() || g.Prefix.Addr().BitLen() != addrBits || g.Prefix != g.Prefix.Masked() {
			return nil, fmt.Errorf("group %d: %v: %w", i+1, g.Prefix, ErrRange)
		}
		flags := byte(0)
		if g.Negative {
			flags = negative
		}
		a := g.Prefix.Addr().As4()
		b = append(append(b, flags, byte(g.Prefix.Bits())), a[:]...)
	}
	return b, nil
}
