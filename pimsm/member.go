package pimsm

import (
	"net/netip"
	"slices"

	"grove/internal/engine"
)

// This file is local membership: local_receiver_include and local_receiver_exclude of RFC 7761, section 4.1.5.

// membership takes over what the hosts on an interface want of a group. It is kept on every interface that PIM is
// configured on, whether we are DR there or not, as section 4.1.2 recommends.
func (m *Machine) membership(e engine.Membership) {
	i := m.ifaces[e.If]
	if i == nil || i.nb == nil || !validGroup(e.Group) || engine.FamilyOf(e.Group) != m.id.Family {
		return
	}
	none := e.Mode == engine.Include && len(e.Sources) == 0
	g := m.group(e.Group)
	if g == nil && none {
		return
	}
	if g == nil {
		if g = m.makeGroup(e.Group); g == nil {
			return
		}
	}
	// A membership in EXCLUDE mode of an SSM group is no membership (RFC 4604, section 2.2.1).
	if g.ssm && e.Mode == engine.Exclude {
		m.counts.Add("EXCLUDE membership of an SSM group")
		none = true
		e = engine.Membership{If: e.If, Group: e.Group}
	}
	o := g.oif(i)
	var old []netip.Addr
	if o.members != nil {
		old = *o.members
	}
	wasExclude := o.member
	include := e.Mode == engine.Exclude
	if o.member != include {
		o.member = include
		o.touch()
	}
	o.members = nil
	if len(e.Sources) > 0 {
		o.members = &e.Sources
	}
	for _, a := range old {
		if wasExclude != include || !slices.Contains(e.Sources, a) {
			m.setMember(g, i, a, false, false)
		}
	}
	for _, a := range e.Sources {
		m.setMember(g, i, a, !include, include)
	}
	m.touchGroup(g)
}

// setMember sets local_receiver_include(S,G,I) and local_receiver_exclude(S,G,I).
func (m *Machine) setMember(g *group, i *iface, a netip.Addr, include, exclude bool) {
	if !validSource(a) {
		return
	}
	s := m.source(engine.SG(a, g.addr))
	if s == nil {
		if !include && !exclude {
			return
		}
		if s = m.makeSource(a, g.addr); s == nil {
			return
		}
	}
	o := s.oif(i)
	if o.member != include || o.exclude != exclude {
		o.member, o.exclude = include, exclude
		o.touch()
	}
}
