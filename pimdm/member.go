package pimdm

import (
	"net/netip"
	"slices"

	"grove/internal/engine"
)

var allMulticast = map[engine.Family]netip.Prefix{
	engine.IPv4: netip.MustParsePrefix("224.0.0.0/4"),
	engine.IPv6: netip.MustParsePrefix("ff00::/8"),
}

// This file is local membership: local_receiver_include and local_receiver_exclude of RFC 3973, section 4.1.3.

// membership takes over what the hosts on an interface want of a group, as a level.
func (m *Machine) membership(ev engine.Membership) {
	i := m.ifaces[ev.If]
	if i == nil || i.nb == nil || !validGroup(ev.Group) || engine.FamilyOf(ev.Group) != m.id.Family {
		return
	}
	none := ev.Mode == engine.Include && len(ev.Sources) == 0
	g := m.group(ev.Group)
	if g == nil {
		if none {
			return
		}
		if len(m.groups) >= m.cfg.MaxMembershipState+m.cfg.MaxEntries {
			m.counts.Add("too many groups with members")
			return
		}
		g = m.makeGroup(ev.Group)
	}
	n := slices.IndexFunc(g.members, func(mb member) bool { return mb.iface == i })
	switch {
	case none && n < 0:
		return
	case none:
		g.members = slices.Delete(g.members, n, n+1)
	case n < 0:
		g.members = append(g.members, member{i, ev.Mode, ev.Sources})
	default:
		g.members[n] = member{i, ev.Mode, ev.Sources}
	}
	g.touch()
	g.sayInterestLater()
}

// forgetMembers forgets the members on an interface.
func (m *Machine) forgetMembers(i *iface) {
	for _, g := range engine.SortedAddrs(m.groups) {
		if n := slices.IndexFunc(g.members, func(mb member) bool { return mb.iface == i }); n >= 0 {
			g.members = slices.Delete(g.members, n, n+1)
			g.touch()
			g.sayInterestLater()
		}
	}
}

// interested says whether packets of the group from other protocols' sources are wanted: there are members on our
// interfaces, or sources that we reach, which RFC 2715 takes for members of the group ("members are senders").
func (g *group) interested() bool {
	for n := range g.members {
		if usable(g).Has(g.members[n].iface.bit) {
			return true
		}
	}
	return slices.ContainsFunc(g.entries.All, func(e *entry) bool { return e.in != 0 })
}

// floodsAll says whether dense mode floods on any interface whatever sparse mode has not taken there. One that has but a few groups
// needs no wildcard receiver: what comes from their sources floods anyway.
func (m *Machine) floodsAll() bool {
	return slices.ContainsFunc(m.order, func(i *iface) bool { return i.runs && !i.cfg.few() })
}

func (g *group) sayInterestLater() {
	if !g.unsaid {
		g.unsaid = true
		g.m.unsaidGroups = append(g.m.unsaidGroups, g)
	}
}

// sayInterest tells mfib what differs from what it was last told.
func (m *Machine) sayInterest() {
	groups := m.unsaidGroups
	m.unsaidGroups = nil
	for _, g := range groups {
		g.unsaid = false
		if interested := g.interested(); interested != g.interest && !g.gone {
			g.interest = interested
			m.emit(engine.Interest{Group: g.addr, Wanted: interested})
		}
		g.release()
	}
	if wildcard := m.floodsAll(); wildcard != m.wildcard {
		m.wildcard = wildcard
		w := engine.Wildcard{}
		if wildcard {
			w.Groups = append(w.Groups, allMulticast[m.id.Family])
		}
		m.emit(w)
	}
	if m.revisit {
		m.revisit = false
		m.emit(engine.Revisit{})
	}
}
