package pimdm

import (
	"cmp"
	"net/netip"
	"slices"

	"grove/internal/engine"
	"grove/internal/pim/assert"
	"grove/internal/pim/neighbor"
)

// This file answers Queries with what show.go declares.

// answer answers a Query.
func (m *Machine) answer(q engine.Query) {
	a := engine.Answer{From: m.id, ID: q.ID}
	switch q.What {
	case "neighbors":
		list := []neighbor.NeighborState{}
		for _, i := range m.interfaces() {
			if i.nb != nil {
				list = append(list, i.nb.ShowNeighbors(m.now)...)
			}
		}
		a.Value = list
	case "interfaces":
		a.Value = m.showInterfaces()
	case "entries":
		list := []EntryShow{}
		for _, e := range m.sorted() {
			if q.Arg == "" || e.g.addr.String() == q.Arg {
				list = append(list, e.show())
			}
		}
		a.Value = list
	case "state-refresh":
		list := []StateRefreshShow{}
		for _, e := range m.sorted() {
			if e.refresh != nil || e.origin != nil {
				list = append(list, e.showRefresh())
			}
		}
		a.Value = list
	case "counts":
		a.Value = m.counts.Snapshot()
	default:
		a.Err = "pimdm: unknown query " + q.What
	}
	m.emit(a)
}

// sorted returns all entries, by group and source.
func (m *Machine) sorted() []*entry {
	var list []*entry
	for _, g := range engine.SortedAddrs(m.groups) {
		sources := slices.Clone(g.entries.All)
		slices.SortFunc(sources, func(a, b *entry) int { return a.addr.Compare(b.addr) })
		list = append(list, sources...)
	}
	return list
}

// showInterfaces returns the configured interfaces: those that exist in the order in which they appeared, then the others.
func (m *Machine) showInterfaces() []InterfaceShow {
	list := []InterfaceShow{}
	shown := map[string]bool{}
	for _, i := range m.interfaces() {
		if i.nb == nil {
			continue
		}
		shown[i.link.Name] = true
		list = append(list, InterfaceShow{
			InterfaceState: i.nb.Show(m.now), SparseDense: i.cfg.Silent,
			StateRefresh: !i.cfg.NoStateRefresh && !m.cfg.NoStateRefresh, StateRefreshCapable: i.nb.StateRefreshCapable(),
			Threshold: i.cfg.Threshold, Sparse: m.sparseOn(&i.cfg), Boundary: i.cfg.Boundary, Few: i.cfg.few(),
		})
	}
	for name, c := range engine.Sorted(m.cfg.Interfaces) {
		if !shown[name] {
			list = append(list, InterfaceShow{
				InterfaceState: neighbor.InterfaceState{Name: name, HelloPeriod: c.HelloPeriod}, SparseDense: c.Silent,
				Threshold: c.Threshold, Sparse: m.sparseOn(&c), Boundary: c.Boundary, Few: c.few(),
			})
		}
	}
	return list
}

// sparseOn returns the ranges of sparse mode on an interface.
func (m *Machine) sparseOn(c *InterfaceConfig) []netip.Prefix {
	list := slices.Clone(c.Sparse)
	if c.SparseDense {
		for _, r := range m.modes {
			if r.Sparse {
				list = append(list, r.Groups)
			}
		}
	}
	return list
}

func (e *entry) show() EntryShow {
	m, u := e.m, &e.up
	x := EntryShow{
		Key: e.key(), External: external(e), Upstream: u.state.String(), Connected: directlyConnected(e), OthersWant: u.others,
		GraftRetry: u.grt.Left(m.now), Override: u.ot.Left(m.now), PruneLimit: u.plt.Left(m.now), Expires: e.alive.Left(m.now),
		Originator: "NotOriginator", Uptime: m.now.Sub(e.born), Packets: e.packets, Bytes: e.bytes, WrongIf: e.wrongIf,
		Olist: m.names(e.said.out), RPFNeighbor: rpfNeighbor(e).addr, ByAssert: iAmAssertLoser(e.on(rpfInterface(e))),
	}
	if i := m.ifaceOf(rpfInterface(e)); i != nil {
		x.RPFInterface = i.link.Name
	}
	if i := m.ifaceOf(e.said.in); i != nil {
		x.Incoming = i.link.Name
	}
	if e.origin != nil {
		x.Originator, x.SourceActive, x.StateRefresh = "Originator", e.origin.sat.Left(m.now), e.origin.srt.Left(m.now)
	}
	for slot := range (usable(e.g) &^ rpfInterface(e)).Bits() {
		x.addInterface(e, m.slots[slot])
	}
	if o := e.on(rpfInterface(e)); o != nil {
		x.addInterface(e, o.iface) // a lost Assert there decides of RPF'(S)
	}
	slices.SortFunc(x.Interfaces, func(a, b EntryInterfaceShow) int { return cmp.Compare(a.Interface, b.Interface) })
	return x
}

// addInterface adds what an entry knows of an interface, if it knows anything.
func (x *EntryShow) addInterface(e *entry, i *iface) {
	m, o := e.m, e.on(i.bit)
	member := (pimIncludeStarG(e.g)&^pimExclude(e) | pimInclude(e)).Has(i.bit)
	s := EntryInterfaceShow{
		Interface: i.link.Name, State: NoInfo.String(), Neighbors: pimNbrs(m).Has(i.bit), Member: member,
		Excluded: pimExclude(e).Has(i.bit), Boundary: boundary(e.g).Has(i.bit), Assert: assert.NoInfo.String(),
	}
	if o == nil && !s.Neighbors && !s.Member && !s.Excluded {
		return
	}
	if o != nil {
		s.State = o.down.current().String()
		if o.down != nil {
			s.PrunePending, s.Prune = o.down.ppt.Left(m.now), o.down.pt.Left(m.now)
		}
		if a := o.assert; a != nil {
			s.Assert, s.AssertWinner, s.AssertMetric = a.state.String(), a.winner, a.metric.String()
			s.AssertExpires = a.timer.Left(m.now)
		}
	}
	x.Interfaces = append(x.Interfaces, s)
}

func (e *entry) showRefresh() StateRefreshShow {
	s := StateRefreshShow{Key: e.key(), Originating: e.origin != nil}
	if e.origin != nil {
		s.Next, s.Originator = e.origin.srt.Left(e.m.now), e.originator()
		s.Interval = e.m.cfg.RefreshInterval
		s.TTL = e.refreshTTL()
	}
	if r := e.refresh; r != nil {
		s.Originator, s.Interval, s.TTL = r.last.Originator, r.last.Interval, r.last.TTL
		s.PruneIndicator, s.Ago = r.last.PruneIndicator, e.m.now.Sub(r.at)
		s.Received, s.Limited, s.Sent = r.received, r.limited, r.sent
	}
	return s
}

// names returns the names of interfaces.
func (m *Machine) names(set ifSet) []string {
	list := []string{}
	for slot := range set.Bits() {
		if i := m.slots[slot]; i != nil {
			list = append(list, i.link.Name)
		}
	}
	return list
}
