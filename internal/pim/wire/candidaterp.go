package wire

import (
	"fmt"
	"net/netip"
	"time"
)

// CandidateRPAdv is a Candidate-RP-Advertisement message (RFC 5059 section 4.2). All its addresses have the family of RP.
type CandidateRPAdv struct {
	Priority uint8         // of the RP; the lowest wins
	Holdtime time.Duration // whole seconds, rounded up; 0: the candidate goes
	RP       netip.Addr
	Groups   []Group // at most 255. Routers of RFC 2362 send none, and mean all
}

// Type returns TypeCandidateRP.
func (*CandidateRPAdv) Type() Type { return TypeCandidateRP }

// Append appends the message.
func (m *CandidateRPAdv) Append(b []byte) ([]byte, error) {
	if len(m.Groups) > 0xff {
		return nil, fmt.Errorf("%d groups: %w", len(m.Groups), ErrRange)
	}
	b, err := appendHoldtime(append(b, uint8(len(m.Groups)), m.Priority), m.Holdtime)
	if err != nil {
		return nil, err
	}
	if b, err = appendUnicast(b, m.RP); err != nil {
		return nil, fmt.Errorf("rp: %w", err)
	}
	for i, g := range m.Groups {
		if g.Addr.Is4() != m.RP.Is4() {
			return nil, fmt.Errorf("group %d: %w", i+1, ErrFamily)
		}
		if b, err = appendGroup(b, g); err != nil {
			return nil, fmt.Errorf("group %d: %w", i+1, err)
		}
	}
	return b, nil
}

func parseCandidateRPAdv(r *reader) (*CandidateRPAdv, error) {
	n := int(r.uint8())
	m := &CandidateRPAdv{Priority: r.uint8(), Holdtime: r.holdtime()}
	if r.err != nil {
		return nil, r.err
	}
	m.RP = r.unicast()
	r.sameFamily(m.RP)
	if r.err != nil {
		return nil, fmt.Errorf("rp: %w", r.err)
	}
	const shortest = 8 // bytes of an encoded IPv4 group
	if fit := min(n, len(r.b)/shortest); fit > 0 {
		m.Groups = make([]Group, 0, fit)
	}
	for i := range n {
		g := r.group()
		// Section 4.2: all addresses MUST have the family of the packet.
		r.sameFamily(g.Addr)
		if r.err != nil {
			return nil, fmt.Errorf("group %d: %w", i+1, r.err)
		}
		m.Groups = append(m.Groups, g)
	}
	return m, nil
}
