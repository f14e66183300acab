package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"grove/internal/engine"
)

// JoinPrune is a Join/Prune message (RFC 7761 section 4.9.5). All its addresses have the family of Upstream.
type JoinPrune struct {
	Upstream netip.Addr    // the primary address of the neighbor that is the target
	Holdtime time.Duration // Forever: until cancelled. On the wire it is whole seconds, rounded up
	Groups   []GroupSet    // at most 255
}

// GroupSet is what a Join/Prune message says of a group: two lists of sources, each at most 65535 long.
type GroupSet struct {
	Group  Group
	Joined []Source
	Pruned []Source
}

// Type returns TypeJoinPrune.
func (*JoinPrune) Type() Type { return TypeJoinPrune }

// Append appends the message.
func (m *JoinPrune) Append(b []byte) ([]byte, error) {
	b, err := appendUnicast(b, m.Upstream)
	if err != nil {
		return nil, fmt.Errorf("upstream neighbor: %w", err)
	}
	if len(m.Groups) > 0xff {
		return nil, fmt.Errorf("%d groups: %w", len(m.Groups), ErrRange)
	}
	b = append(b, 0, uint8(len(m.Groups)))
	if b, err = appendHoldtime(b, m.Holdtime); err != nil {
		return nil, err
	}
	for i := range m.Groups {
		if b, err = m.appendSet(b, &m.Groups[i]); err != nil {
			return nil, fmt.Errorf("group %d: %w", i+1, err)
		}
	}
	return b, nil
}

func (m *JoinPrune) appendSet(b []byte, g *GroupSet) ([]byte, error) {
	if g.Group.Addr.Is4() != m.Upstream.Is4() {
		return nil, ErrFamily
	}
	if len(g.Joined) > 0xffff || len(g.Pruned) > 0xffff {
		return nil, fmt.Errorf("%d joined, %d pruned sources: %w", len(g.Joined), len(g.Pruned), ErrRange)
	}
	b, err := appendGroup(b, g.Group)
	if err != nil {
		return nil, err
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(g.Joined)))
	b = binary.BigEndian.AppendUint16(b, uint16(len(g.Pruned)))
	n := 0
	for _, list := range [2][]Source{g.Joined, g.Pruned} {
		for _, s := range list {
			n++
			if s.Addr.Is4() != m.Upstream.Is4() {
				return nil, fmt.Errorf("source %d: %w", n, ErrFamily)
			}
			if b, err = appendSource(b, s); err != nil {
				return nil, fmt.Errorf("source %d: %w", n, err)
			}
		}
	}
	return b, nil
}

func parseJoinPrune(r *reader) (*JoinPrune, error) {
	m := &JoinPrune{Upstream: r.unicast()}
	r.sameFamily(m.Upstream)
	if r.err != nil {
		return nil, fmt.Errorf("upstream neighbor: %w", r.err)
	}
	r.uint8() // reserved
	groups := int(r.uint8())
	m.Holdtime = r.holdtime()
	if r.err != nil {
		return nil, r.err
	}
	for i := range groups {
		g, err := parseSet(r)
		if err != nil {
			return nil, fmt.Errorf("group %d: %w", i+1, err)
		}
		// RFC 7761, section 4.9.5: of a message with mixed families only the addresses that have the family of the
		// upstream neighbor are processed.
		if engine.FamilyOf(g.Group.Addr) == r.family {
			m.Groups = append(m.Groups, g)
		}
	}
	return m, nil
}

func parseSet(r *reader) (GroupSet, error) {
	g := GroupSet{Group: r.group()}
	joined, pruned := int(r.uint16()), int(r.uint16())
	if r.err != nil {
		return g, r.err
	}
	var err error
	if g.Joined, err = parseSources(r, joined, 0); err != nil {
		return g, err
	}
	g.Pruned, err = parseSources(r, pruned, joined)
	return g, err
}

// parseSources reads n sources, of which the first is the (before+1)th of its group set.
func parseSources(r *reader, n, before int) ([]Source, error) {
	const shortest = 8 // bytes of an encoded IPv4 source
	var list []Source
	if fit := min(n, len(r.b)/shortest); fit > 0 {
		list = make([]Source, 0, fit)
	}
	for i := range n {
		s := r.source()
		if r.err != nil {
			return nil, fmt.Errorf("source %d: %w", before+i+1, r.err)
		}
		if engine.FamilyOf(s.Addr) == r.family {
			list = append(list, s)
		}
	}
	if len(list) == 0 {
		return nil, nil
	}
	return list, nil
}
