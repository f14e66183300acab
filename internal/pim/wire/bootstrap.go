package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

// Bootstrap is a Bootstrap message, or a semantic fragment of one (RFC 5059 sections 4.1 and 4.1.1). All its addresses have
// the family of BSR.
type Bootstrap struct {
	NoForward   bool   // N: not to be forwarded (section 3.5.1)
	FragmentTag uint16 // the same in all fragments of a message
	HashMaskLen uint8
	Priority    uint8 // of the BSR; the highest wins
	BSR         netip.Addr
	Ranges      []RPRange
}

// RPRange is what a Bootstrap message says of a range of groups.
type RPRange struct {
	Group   Group
	RPCount uint8       // of the whole message: more than there are here, if the range is carried over several fragments
	RPs     []RPMapping // at most 255
}

// RPMapping is an RP of a range of groups.
type RPMapping struct {
	RP       netip.Addr
	Holdtime time.Duration // whole seconds, rounded up; 0: the mapping is gone
	Priority uint8         // the lowest wins
}

// bootstrapNoForward is the N bit, in the byte that is reserved in the header of other messages.
const bootstrapNoForward = 0x80

// Type returns TypeBootstrap.
func (*Bootstrap) Type() Type { return TypeBootstrap }

// Append appends the message.
func (m *Bootstrap) Append(b []byte) ([]byte, error) {
	b = append(binary.BigEndian.AppendUint16(b, m.FragmentTag), m.HashMaskLen, m.Priority)
	b, err := appendUnicast(b, m.BSR)
	if err != nil {
		return nil, fmt.Errorf("bsr: %w", err)
	}
	for i := range m.Ranges {
		if b, err = m.appendRange(b, &m.Ranges[i]); err != nil {
			return nil, fmt.Errorf("group %d: %w", i+1, err)
		}
	}
	return b, nil
}

func (m *Bootstrap) appendRange(b []byte, r *RPRange) ([]byte, error) {
	if r.Group.Addr.Is4() != m.BSR.Is4() {
		return nil, ErrFamily
	}
	if len(r.RPs) > 0xff {
		return nil, fmt.Errorf("%d rps: %w", len(r.RPs), ErrRange)
	}
	b, err := appendGroup(b, r.Group)
	if err != nil {
		return nil, err
	}
	b = append(b, r.RPCount, uint8(len(r.RPs)), 0, 0)
	for i, rp := range r.RPs {
		if rp.RP.Is4() != m.BSR.Is4() {
			return nil, fmt.Errorf("rp %d: %w", i+1, ErrFamily)
		}
		if b, err = appendUnicast(b, rp.RP); err != nil {
			return nil, fmt.Errorf("rp %d: %w", i+1, err)
		}
		if b, err = appendHoldtime(b, rp.Holdtime); err != nil {
			return nil, fmt.Errorf("rp %d: %w", i+1, err)
		}
		b = append(b, rp.Priority, 0)
	}
	return b, nil
}

// parseBootstrap reads a message; flags is the byte of its header behind the type. There is no count of the ranges: the
// message ends with the packet.
func parseBootstrap(r *reader, flags uint8) (*Bootstrap, error) {
	m := &Bootstrap{NoForward: flags&bootstrapNoForward != 0, FragmentTag: r.uint16()}
	m.HashMaskLen, m.Priority = r.uint8(), r.uint8()
	if r.err != nil {
		return nil, r.err
	}
	m.BSR = r.unicast()
	r.sameFamily(m.BSR)
	if r.err != nil {
		return nil, fmt.Errorf("bsr: %w", r.err)
	}
	for len(r.b) > 0 {
		g, err := parseRange(r)
		if err != nil {
			return nil, fmt.Errorf("group %d: %w", len(m.Ranges)+1, err)
		}
		m.Ranges = append(m.Ranges, g)
	}
	return m, nil
}

func parseRange(r *reader) (RPRange, error) {
	g := RPRange{Group: r.group()}
	// Section 4.1: all addresses MUST have the family of the packet.
	r.sameFamily(g.Group.Addr)
	g.RPCount = r.uint8()
	n := int(r.uint8())
	r.uint16() // reserved
	if r.err != nil {
		return g, r.err
	}
	const shortest = 10 // bytes of an IPv4 RP
	if fit := min(n, len(r.b)/shortest); fit > 0 {
		g.RPs = make([]RPMapping, 0, fit)
	}
	for i := range n {
		rp := RPMapping{RP: r.unicast()}
		r.sameFamily(rp.RP)
		rp.Holdtime, rp.Priority = r.holdtime(), r.uint8()
		r.uint8() // reserved
		if r.err != nil {
			return g, fmt.Errorf("rp %d: %w", i+1, r.err)
		}
		g.RPs = append(g.RPs, rp)
	}
	return g, nil
}

// Fragments splits a Bootstrap message into as few semantic fragments as fit into limit bytes each, headers of PIM
// included (section 4.1.1). A range whose RPs fit into a fragment is not divided. Each fragment of a scoped message, whose
// first range has the Zone bit, begins with that range: it identifies the scope.
func (m *Bootstrap) Fragments(limit int) []*Bootstrap {
	bits := 4
	if m.BSR.Is6() {
		bits = 16
	}
	unicast, rangeLen := 2+bits, 4+bits+4
	rpLen := unicast + 4
	head := headerLen + 4 + unicast
	var list []*Bootstrap
	var last *Bootstrap
	var room int
	var empty bool // no range has been put into the last fragment, but that which identifies the scope
	begin := func() {
		f := *m
		f.Ranges = nil
		last, room, empty = &f, limit-head, true
		if len(list) > 0 && m.Ranges[0].Group.Zone {
			f.Ranges = []RPRange{{Group: m.Ranges[0].Group, RPCount: m.Ranges[0].RPCount}}
			room -= rangeLen
		}
		list = append(list, last)
	}
	put := func(part RPRange) {
		if empty && len(last.Ranges) == 1 && last.Ranges[0].Group == part.Group {
			last.Ranges[0] = part // more of the range that identifies the scope
		} else {
			last.Ranges = append(last.Ranges, part)
			room -= rangeLen
		}
		room -= len(part.RPs) * rpLen
		empty = false
	}
	begin()
	for _, r := range m.Ranges {
		if room < rangeLen+len(r.RPs)*rpLen && !empty {
			begin()
		}
		for rps := r.RPs; ; begin() {
			// One RP is sent however small the limit is: IP fragments the message.
			n := min(len(rps), max((room-rangeLen)/rpLen, 1))
			put(RPRange{Group: r.Group, RPCount: r.RPCount, RPs: rps[:n:n]})
			if rps = rps[n:]; len(rps) == 0 {
				break
			}
		}
	}
	return list
}
