package wire

import (
	"fmt"
	"net/netip"
)

// RegisterStop is a Register-Stop message (RFC 7761 section 4.9.4).
type RegisterStop struct {
	Group  Group
	Source netip.Addr // unspecified (all zeros): any source
}

// Type returns TypeRegisterStop.
func (*RegisterStop) Type() Type { return TypeRegisterStop }

// Append appends the message.
func (m *RegisterStop) Append(b []byte) ([]byte, error) { return appendFlow(b, m.Group, m.Source) }

func parseRegisterStop(r *reader) (*RegisterStop, error) {
	m := &RegisterStop{}
	m.Group, m.Source = r.flow()
	if r.err != nil {
		return nil, r.err
	}
	return m, nil
}

// appendFlow appends the encoded group and the encoded unicast source with which Register-Stop and Assert begin.
func appendFlow(b []byte, g Group, s netip.Addr) ([]byte, error) {
	if g.Addr.Is4() != s.Is4() {
		return nil, fmt.Errorf("group %v, source %v: %w", g.Addr, s, ErrFamily)
	}
	b, err := appendGroup(b, g)
	if err != nil {
		return nil, err
	}
	return appendUnicast(b, s)
}

// flow reads what appendFlow wrote. Both addresses have the family of the packet.
func (r *reader) flow() (g Group, s netip.Addr) {
	g = r.group()
	r.sameFamily(g.Addr)
	if r.err != nil {
		r.err = fmt.Errorf("group: %w", r.err)
		return g, s
	}
	s = r.unicast()
	r.sameFamily(s)
	if r.err != nil {
		r.err = fmt.Errorf("source: %w", r.err)
	}
	return g, s
}
