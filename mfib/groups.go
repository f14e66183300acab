package mfib

import (
	"net/netip"
	"slices"

	"grove/internal/engine"
)

// group is a line of the component-group table (RFC 2715, section 2.2), and the roll of the group's (S,G) entries. It exists
// while somebody is interested in the group, was told so, or has an entry, and several protocols route.
type group struct {
	addr     netip.Addr
	interest uint32   // who has said so by Interest, a bit by index of component
	joined   uint32   // who has been told that others are interested
	entries  []*entry // (S,G)
	dirty    bool     // in Machine.regroup
}

// group returns the line of a group, new if need be.
func (m *Machine) group(a netip.Addr) *group {
	g := m.groups[a]
	if g == nil {
		g = &group{addr: a}
		m.groups[a] = g
	}
	return g
}

// enroll puts an (S,G) entry on the roll of its group.
func (m *Machine) enroll(e *entry) {
	g, odd := m.group(e.key.Group), e.odd()
	odd.group, odd.groupAt = g, int32(len(g.entries))
	g.entries = append(g.entries, e)
}

// strike takes it off.
func (m *Machine) strike(e *entry) {
	g := e.group
	last := g.entries[len(g.entries)-1]
	g.entries[e.groupAt], last.oddity.groupAt = last, e.groupAt
	g.entries[len(g.entries)-1] = nil
	g.entries = g.entries[:len(g.entries)-1]
	e.oddity.group = nil
	m.sweep(g)
}

// sweep forgets a line of which nothing is left.
func (m *Machine) sweep(g *group) {
	if g.interest == 0 && g.joined == 0 && len(g.entries) == 0 && !g.dirty {
		delete(m.groups, g.addr)
	}
}

// interest takes what a component says of its interest in a group.
func (m *Machine) interest(ev engine.Interest) {
	c := m.component(ev.From)
	if c == nil || !routable(ev.Group) || engine.FamilyOf(ev.Group) != m.id.Family {
		m.counts.Add("interest in what is never forwarded")
		return
	}
	if m.groups[ev.Group] == nil && (!ev.Wanted || len(m.groups) >= m.cfg.MaxGroups) {
		if ev.Wanted {
			m.counts.Add("interest refused: too many groups")
		}
		return
	}
	g := m.group(ev.Group)
	before := g.interest
	g.interest &^= 1 << c.index
	if ev.Wanted {
		g.interest |= 1 << c.index
	}
	if g.interest == before {
		return
	}
	m.touchGroup(g)
	if ev.Wanted {
		m.revisit(engine.StarG(ev.Group))
		m.askAgain(c, engine.StarG(ev.Group))
	}
}

// forgetInterest ends the interest of a component that owns no interface any more.
func (m *Machine) forgetInterest(c *component) {
	c.wildcard, c.joined = nil, false
	for _, g := range engine.SortedAddrs(m.groups) {
		g.interest &^= 1 << c.index
		g.joined &^= 1 << c.index
		m.touchGroup(g)
	}
}

// touchGroup has the alerts of a group worked out at Settled.
func (m *Machine) touchGroup(g *group) {
	if !g.dirty {
		g.dirty = true
		m.regroup = append(m.regroup, g)
	}
}

// regroupAll has the alerts of all groups worked out: who the components are has changed.
func (m *Machine) regroupAll() {
	for _, g := range engine.SortedAddrs(m.groups) {
		m.touchGroup(g)
	}
	for e := range m.all.all() {
		if m.several() && !e.isSG() && e.key.Group.IsValid() {
			m.touchGroup(m.group(e.key.Group))
		}
	}
}

// interested says whether c wants data for the group from other components' sources: by its (*,G) want, by Interest, or as a
// wildcard receiver of a part of all groups. Those of all groups are spoken of as (*,*).
func (m *Machine) interested(g *group, c *component) bool {
	if g.interest&(1<<c.index) != 0 {
		return true
	}
	if e := m.entries[engine.StarG(g.addr)]; e != nil {
		if w := e.wantOf(c); w != nil && m.leaves(e, w) {
			return true
		}
	}
	return slices.ContainsFunc(c.wildcard, func(p netip.Prefix) bool { return p.Contains(g.addr) && !allMulticast(p) })
}

func allMulticast(p netip.Prefix) bool {
	return p.Addr().Is4() && p.Bits() <= 4 || p.Addr().Is6() && p.Bits() <= 8
}

// alertGroup tells every component what the others want of a group, if that is not what it was told last (section 3.1.1).
func (m *Machine) alertGroup(g *group) {
	for _, c := range m.speakers {
		others := m.several() && slices.ContainsFunc(m.speakers, func(o *component) bool { return o != c && m.interested(g, o) })
		if bit := uint32(1) << c.index; others != (g.joined&bit != 0) {
			g.joined ^= bit
			m.tellJoined(c, engine.StarG(g.addr), others)
		}
	}
	m.sweep(g)
}

// alertGroups works out the alerts of a slice of the groups that were touched.
func (m *Machine) alertGroups() {
	batch := m.regroup[:min(len(m.regroup), writeSlice)]
	for _, g := range batch {
		g.dirty = false
		m.alertGroup(g)
	}
	m.regroup = append(m.regroup[:0:0], m.regroup[len(batch):]...)
}

// question is a component that is to be asked again about a key.
type question struct {
	c *component
	k engine.Key
}

// askAgain has a component whose interest in what k covers has begun asked about the entries that it declined and others keep.
// So a PIM-SM member that joins late gets a source of a dense region.
func (m *Machine) askAgain(c *component, k engine.Key) {
	if c == nil || !c.configured || !m.several() {
		return
	}
	ask := func(e *entry) {
		if e.isSG() && e.negative == nil && e.wantOf(c) == nil {
			m.questions = append(m.questions, question{c, e.key})
		}
	}
	switch g := m.groups[k.Group]; {
	case k.Source.IsValid():
		if e := m.entries[k]; e != nil {
			ask(e)
		}
	case g != nil:
		for _, e := range g.entries {
			ask(e)
		}
	case !k.Group.IsValid():
		for e := range m.all.all() {
			ask(e)
		}
	}
}

// askQuestions asks a slice of the questions, where they have not answered themselves.
func (m *Machine) askQuestions() {
	batch := m.questions[:min(len(m.questions), writeSlice)]
	for _, q := range batch {
		e := m.entries[q.k]
		if e == nil || e.idle() || e.negative != nil || e.wantOf(q.c) != nil || !q.c.configured {
			continue
		}
		if e.waiting != nil {
			if slices.Contains(e.waiting.silent, q.c) {
				continue
			}
			e.waiting.silent = append(e.waiting.silent, q.c)
		} else {
			m.wait(e, &waiting{silent: []*component{q.c}})
		}
		m.emit(engine.Creation{To: q.c.id, Key: q.k, If: m.arrivalOf(e, q.k)})
	}
	m.questions = append(m.questions[:0:0], m.questions[len(batch):]...)
}
