package dvmrp

import (
	"net/netip"
	"slices"

	"grove/internal/engine"
	"grove/internal/ip"
	"grove/internal/roll"
)

var allMulticast = netip.MustParsePrefix("224.0.0.0/4")

// group is what is known of a group: the hosts that want it ("the IGMP local group database", section 2.5.1), and its flows.
type group struct {
	m        *Machine
	addr     netip.Addr
	members  []member
	flows    roll.Roll[*flow]
	boundary ifSet // the interfaces that are an administrative scope boundary for it

	interest bool // engine.Interest as it was last said
	unsaid   bool // on the list of groups whose Interest is to be worked out at Settled
	gone     bool
}

// member is a membership as igmp announced it.
type member struct {
	iface   *iface
	mode    engine.FilterMode
	sources []netip.Addr // sorted
}

// group returns the state of a group, made if there is none.
func (m *Machine) group(a netip.Addr) *group {
	g := m.groups[a]
	if g == nil {
		g = &group{m: m, addr: a}
		g.configure()
		m.groups[a] = g
	}
	return g
}

// configureGroups works out anew what the configuration says of groups.
func (m *Machine) configureGroups() {
	for _, g := range engine.SortedAddrs(m.groups) {
		g.configure()
	}
}

func (g *group) configure() {
	var boundary ifSet
	for _, i := range g.m.order {
		if i.configured && slices.ContainsFunc(i.cfg.Boundary, func(p netip.Prefix) bool { return p.Contains(g.addr) }) {
			boundary |= i.bit
		}
	}
	if boundary != g.boundary {
		g.boundary = boundary
		g.touch()
	}
}

func (g *group) touch() {
	for _, f := range g.flows.All {
		g.m.touch(f)
	}
}

// membership takes over what the hosts on an interface want of a group, as a level. It is kept whether we are designated
// forwarder there or not.
func (m *Machine) membership(ev engine.Membership) {
	i := m.ifaces[ev.If]
	if i == nil || !i.configured || !ev.Group.Is4() || !ip.Forwarded(ev.Group) {
		return
	}
	none := ev.Mode == engine.Include && len(ev.Sources) == 0
	g := m.groups[ev.Group]
	if g == nil {
		if none {
			return
		}
		if len(m.groups) >= m.cfg.MaxGroups+m.cfg.MaxEntries {
			m.counts.Add("too many groups with members")
			return
		}
		g = m.group(ev.Group)
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

// wanting returns the interfaces on which hosts want packets of a source.
func (g *group) wanting(s netip.Addr) ifSet {
	var set ifSet
	for n := range g.members {
		mb := &g.members[n]
		if _, listed := slices.BinarySearchFunc(mb.sources, s, netip.Addr.Compare); listed == (mb.mode == engine.Include) {
			set |= mb.iface.set()
		}
	}
	return set
}

// interested says whether packets of the group from other protocols' sources are wanted: there are members on our
// interfaces, or sources that we reach, which RFC 2715 takes for members of the group ("members are senders").
func (g *group) interested() bool {
	for n := range g.members {
		if g.members[n].iface.runs {
			return true
		}
	}
	for _, f := range g.flows.All {
		if slices.ContainsFunc(f.entries.All, func(e *entry) bool { return e.s.upstream() != 0 }) {
			return true
		}
	}
	return false
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
			m.emit(engine.Interest{From: m.id, Group: g.addr, Wanted: interested})
		}
		g.release()
	}
	if running := m.running != 0; running != m.wildcard {
		m.wildcard = running
		w := engine.Wildcard{From: m.id}
		if running {
			w.Groups = append(w.Groups, allMulticast)
		}
		m.emit(w)
	}
	if m.revisit {
		m.revisit = false
		m.emit(engine.Revisit{From: m.id})
	}
}

// release forgets a group of which nothing is known.
func (g *group) release() {
	if len(g.flows.All) == 0 && len(g.members) == 0 && !g.interest && !g.gone {
		g.gone = true
		delete(g.m.groups, g.addr)
	}
}
