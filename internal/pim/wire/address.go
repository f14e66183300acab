package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"grove/internal/engine"
)

// Address families and the encoding of RFC 7761 section 4.9.1.
const (
	familyIPv4     = 1
	familyIPv6     = 2
	encodingNative = 0
)

// Bits of an encoded group and of an encoded source.
const (
	groupBidir     = 0x80
	groupZone      = 0x01
	sourceSparse   = 0x04
	sourceWildcard = 0x02
	sourceRPT      = 0x01
)

// Group is an encoded group address: a range of groups, or one group if the mask has full length.
type Group struct {
	Addr    netip.Addr
	MaskLen uint8
	Bidir   bool // the range uses bidirectional PIM; zero in sparse mode
	Zone    bool // the range is an admin scope zone; used by Bootstrap messages only
}

// GroupOf returns the encoded group address of the one group a.
func GroupOf(a netip.Addr) Group { return Group{Addr: a, MaskLen: uint8(a.BitLen())} }

// Single says whether g names exactly one group, and a multicast address.
func (g Group) Single() bool { return g.Addr.IsMulticast() && int(g.MaskLen) == g.Addr.BitLen() }

// Source is an encoded source address of a Join/Prune message. Its mask always has full length.
type Source struct {
	Addr     netip.Addr
	Sparse   bool // the S bit: set in sparse mode
	Wildcard bool // the WC bit: Addr is the RP of a (*,G) entry
	RPT      bool // the RPT bit: the entry is sent towards the RP
}

// StarG returns the source list entry of (*,G): rp is the RP of G.
func StarG(rp netip.Addr) Source { return Source{Addr: rp, Sparse: true, Wildcard: true, RPT: true} }

// SG returns the source list entry of (S,G).
func SG(s netip.Addr) Source { return Source{Addr: s, Sparse: true} }

// SGRpt returns the source list entry of (S,G,rpt).
func SGRpt(s netip.Addr) Source { return Source{Addr: s, Sparse: true, RPT: true} }

// IsStarG says that s is a (*,G) entry. There are three kinds (RFC 7761 section 4.9.5.1).
func (s Source) IsStarG() bool { return s.Wildcard }

// IsSGRpt says that s is an (S,G,rpt) entry.
func (s Source) IsSGRpt() bool { return s.RPT && !s.Wildcard }

// IsSG says that s is an (S,G) entry.
func (s Source) IsSG() bool { return !s.RPT && !s.Wildcard }

func appendFamily(b []byte, a netip.Addr) ([]byte, error) {
	switch {
	case a.Is4():
		return append(b, familyIPv4, encodingNative), nil
	case a.Is6():
		return append(b, familyIPv6, encodingNative), nil
	}
	return nil, fmt.Errorf("address %v: %w", a, ErrFamily)
}

func appendUnicast(b []byte, a netip.Addr) ([]byte, error) {
	b, err := appendFamily(b, a)
	if err != nil {
		return nil, err
	}
	return append(b, a.AsSlice()...), nil
}

func appendGroup(b []byte, g Group) ([]byte, error) {
	b, err := appendFamily(b, g.Addr)
	if err != nil {
		return nil, err
	}
	if int(g.MaskLen) > g.Addr.BitLen() {
		return nil, fmt.Errorf("group %v/%d: %w", g.Addr, g.MaskLen, ErrMaskLen)
	}
	b = append(b, flag(g.Bidir, groupBidir)|flag(g.Zone, groupZone), g.MaskLen)
	return append(b, g.Addr.AsSlice()...), nil
}

func appendSource(b []byte, s Source) ([]byte, error) {
	b, err := appendFamily(b, s.Addr)
	if err != nil {
		return nil, err
	}
	if s.Wildcard && !s.RPT {
		return nil, ErrFlags
	}
	flags := flag(s.Sparse, sourceSparse) | flag(s.Wildcard, sourceWildcard) | flag(s.RPT, sourceRPT)
	b = append(b, flags, uint8(s.Addr.BitLen()))
	return append(b, s.Addr.AsSlice()...), nil
}

func flag(set bool, bit uint8) uint8 {
	if set {
		return bit
	}
	return 0
}

// appendHoldtime appends a time in seconds, rounded up so that it never ends before it should.
func appendHoldtime(b []byte, d time.Duration) ([]byte, error) {
	secs := (d + time.Second - 1) / time.Second
	if d < 0 || d > Forever || secs*time.Second == Forever && d != Forever {
		return nil, fmt.Errorf("holdtime %v: %w", d, ErrRange)
	}
	return binary.BigEndian.AppendUint16(b, uint16(secs)), nil
}

// reader takes a message apart. The first error sticks, and from then on every field reads as zero.
type reader struct {
	b      []byte
	family engine.Family // of the IP packet
	err    error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *reader) take(n int) []byte {
	if r.err == nil && len(r.b) < n {
		r.err = ErrTruncated
	}
	if r.err != nil {
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) uint8() uint8 {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) uint32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *reader) holdtime() time.Duration { return time.Duration(r.uint16()) * time.Second }

// addr reads an address of the family and encoding that its encoded form begins with.
func (r *reader) addr(family, encoding uint8) netip.Addr {
	var n int
	switch family {
	case familyIPv4:
		n = 4
	case familyIPv6:
		n = 16
	default:
		r.fail(fmt.Errorf("family %d: %w", family, ErrFamily))
	}
	if encoding != encodingNative {
		r.fail(fmt.Errorf("encoding %d: %w", encoding, ErrEncoding))
	}
	a, _ := netip.AddrFromSlice(r.take(n))
	return a
}

func (r *reader) unicast() netip.Addr {
	family, encoding := r.uint8(), r.uint8()
	return r.addr(family, encoding)
}

func (r *reader) group() Group {
	family, encoding, flags, maskLen := r.uint8(), r.uint8(), r.uint8(), r.uint8()
	g := Group{Addr: r.addr(family, encoding), MaskLen: maskLen, Bidir: flags&groupBidir != 0, Zone: flags&groupZone != 0}
	if r.err == nil && int(maskLen) > g.Addr.BitLen() {
		r.fail(ErrMaskLen)
	}
	return g
}

func (r *reader) source() Source {
	family, encoding, flags, maskLen := r.uint8(), r.uint8(), r.uint8(), r.uint8()
	s := Source{
		Addr: r.addr(family, encoding), Sparse: flags&sourceSparse != 0, Wildcard: flags&sourceWildcard != 0,
		RPT: flags&sourceRPT != 0,
	}
	switch {
	case r.err != nil:
	case int(maskLen) != s.Addr.BitLen():
		// RFC 7761, section 4.9.1: a router SHOULD ignore any messages received with any other mask length.
		r.fail(ErrMaskLen)
	case s.Wildcard && !s.RPT:
		r.fail(ErrFlags)
	}
	return s
}

// sameFamily fails unless a has the family of the IP packet (RFC 7761 section 4.9.5 and elsewhere).
func (r *reader) sameFamily(a netip.Addr) {
	if r.err == nil && engine.FamilyOf(a) != r.family {
		r.fail(ErrFamily)
	}
}
