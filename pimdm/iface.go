package pimdm

import (
	"net/netip"
	"time"

	"grove/internal/engine"
	"grove/internal/ifset"
	"grove/internal/pim/neighbor"
	"grove/internal/pim/wire"
	"grove/internal/roll"
)

// iface is an interface of the router. Dense mode is configured on it if nb is set, and runs there if runs is.
type iface struct {
	m    *Machine
	id   engine.IfID
	link engine.Interface
	cfg  InterfaceConfig
	nb   *neighbor.Interface // nil: dense mode is not configured here
	slot int                 // of bit
	bit  ifSet

	runs    bool
	started time.Time  // when it last began to run
	primary netip.Addr // the address that we speak from
	// starting runs until whoever is on the link must have said Hello: he within Triggered_Hello_Delay of the start, or
	// of the Hello that we say within it.
	starting engine.Timer

	oifs roll.Roll[*oif] // all per-interface state of entries
	hops roll.Roll[*hop] // of the targets beyond

	pending []item // entries of messages to be sent at Settled
}

// set is the interface as a set of one; nil is the empty set.
func (i *iface) set() ifSet {
	if i == nil {
		return 0
	}
	return i.bit
}

// interfaceChange takes over the state of an interface.
func (m *Machine) interfaceChange(e engine.InterfaceChange) {
	i := m.ifaces[e.ID]
	if i == nil {
		if e.Gone {
			return
		}
		i = &iface{m: m, id: e.ID}
		i.starting.Do = func(time.Time) { i.resolveHops() }
		m.ifaces[e.ID] = i
		m.order = append(m.order, i)
	}
	i.link = e.Interface
	if e.Gone {
		i.link = engine.Interface{ID: e.ID, Name: i.link.Name}
	}
	had := i.nb != nil
	m.configureInterface(i)
	if e.Gone {
		m.removeInterface(i)
	}
	if had != (i.nb != nil) {
		m.configureGroups()
	}
}

// configureInterface starts, changes or ends dense mode on an interface as the configuration and the link ask.
func (m *Machine) configureInterface(i *iface) {
	cfg, wanted := m.cfg.Interfaces[i.link.Name]
	if !wanted {
		m.endInterface(i)
		return
	}
	i.cfg = cfg
	if cfg.NoStateRefresh || m.cfg.NoStateRefresh {
		cfg.StateRefreshInterval = 0
	} else {
		cfg.StateRefreshInterval = m.cfg.RefreshInterval
	}
	if i.nb == nil {
		if !m.giveSlot(i) {
			return
		}
		i.nb = neighbor.New(i.env(), cfg.Config)
		m.subscribe = true // memberships on it may have been told before
	} else {
		i.nb.Configure(m.now, cfg.Config)
	}
	i.nb.Update(m.now, i.link)
	i.follow()
}

// endInterface ends dense mode on an interface.
func (m *Machine) endInterface(i *iface) {
	if i.nb == nil {
		return
	}
	i.nb.Stop(m.now)
	i.follow()
	m.forgetMembers(i)
	m.update() // what still is on the interface leaves it
	i.nb, i.cfg = nil, InterfaceConfig{}
	m.freed = append(m.freed, i.slot) // rows that name it are said again before another interface may have it
}

// removeInterface ends an interface.
func (m *Machine) removeInterface(i *iface) {
	m.endInterface(i)
	for len(i.hops.All) > 0 {
		i.hops.All[0].t.dropHop(i.hops.All[0])
	}
	delete(m.ifaces, i.id)
	for n, o := range m.order {
		if o == i {
			m.order = append(m.order[:n:n], m.order[n+1:]...)
			break
		}
	}
}

// follow takes over what the neighborhood says of itself: whether PIM runs, our address, whether there are neighbors.
func (i *iface) follow() {
	m := i.m
	runs, primary := i.nb.Running(), i.nb.Primary()
	if runs != i.runs {
		i.runs = runs
		m.timers.Stop(&i.starting)
		if runs {
			i.started = m.now
			m.running |= i.bit
			m.revisit = true
			m.timers.Set(&i.starting, m.now.Add(2*i.cfg.TriggeredHelloDelay))
		} else {
			m.running &^= i.bit
			i.lose("PIM stops on the interface")
		}
		m.touchAll()
		i.resolveHops()
	}
	if primary != i.primary {
		i.primary = primary
		// my_addr(I) is part of our Assert metric, and what neighbors address us by.
		for _, o := range i.oifs.All {
			m.touch(o.e)
		}
	}
	nbrs := m.nbrs &^ i.bit
	if runs && i.nb.Count() > 0 {
		nbrs |= i.bit
	}
	if nbrs != m.nbrs {
		m.nbrs = nbrs
		m.touchAll()
	}
}

// touchAll says that something changed that every entry may depend on.
func (m *Machine) touchAll() {
	for _, g := range engine.SortedAddrs(m.groups) {
		g.touch()
		g.sayInterestLater()
	}
}

// lose forgets what neighbors on the interface told us: it does not run any more. What hosts told us is igmp's to take
// back.
func (i *iface) lose(cause string) {
	for _, o := range i.oifs.All {
		o.endPrune(cause)
		o.endAssert(cause)
	}
	i.pending = nil
}

// ifSet is a set of interfaces. Every interface that the protocol is configured on has a bit of its own (iface.bit).
type ifSet = ifset.Set

// giveSlot gives an interface a bit in ifSet.
func (m *Machine) giveSlot(i *iface) bool {
	for slot := range ifset.Slots {
		if m.slots[slot] == nil {
			m.slots[slot] = i
			i.slot, i.bit = slot, 1<<slot
			return true
		}
	}
	m.emit(engine.Note{Level: engine.Error, If: i.id, Text: "too many interfaces: dense mode does not run on this one"})
	return false
}

// ifaceOf returns the interface of a set of one; nil if it is none of ours.
func (m *Machine) ifaceOf(i ifSet) *iface {
	for slot := range i.Bits() {
		return m.slots[slot]
	}
	return nil
}

func (m *Machine) bitOf(id engine.IfID) ifSet {
	if i := m.ifaces[id]; i != nil && i.nb != nil {
		return i.bit
	}
	return 0
}

func (m *Machine) ifID(i ifSet) engine.IfID {
	if i := m.ifaceOf(i); i != nil {
		return i.id
	}
	return 0
}

func (m *Machine) ifIDs(set ifSet) []engine.IfID {
	var list []engine.IfID
	for slot := range set.Bits() {
		if i := m.slots[slot]; i != nil {
			list = append(list, i.id)
		}
	}
	return list
}

func (m *Machine) outgoing(set ifSet) []engine.Outgoing {
	var list []engine.Outgoing
	for slot := range set.Bits() {
		if i := m.slots[slot]; i != nil {
			list = append(list, engine.Outgoing{If: i.id})
		}
	}
	return list
}

// interfaces returns the interfaces in the order in which they appeared.
func (m *Machine) interfaces() []*iface { return m.order }

// reachableAddr returns an address of the interface that routers of the domain can reach: the first global one, or else
// the one that we speak from.
func (i *iface) reachableAddr() netip.Addr {
	for _, p := range i.link.Addrs {
		a := p.Addr()
		if engine.FamilyOf(a) == i.m.id.Family && !a.IsLinkLocalUnicast() && !a.IsLoopback() {
			return a
		}
	}
	return i.primary
}

// env is what the neighborhood of the interface needs of us.
func (i *iface) env() neighbor.Env {
	m := i.m
	return neighbor.Env{
		ID: m.id, If: i.id, Rand: m.rng, Timers: &m.timers, Counts: &m.counts, Emit: m.emit,
		Send:              func(_ time.Time, src, dst netip.Addr, msg wire.Message) { i.sendFrom(src, dst, msg) },
		NeighborUp:        func(_ time.Time, n *neighbor.Neighbor) { i.neighborUp(n.Address) },
		NeighborDown:      func(_ time.Time, n *neighbor.Neighbor) { i.neighborDown(n.Address) },
		NeighborRestarted: func(_ time.Time, n *neighbor.Neighbor) { i.neighborRestarted(n.Address) },
		AddressesChanged:  func(time.Time) { i.resolveHops() },
		DRChanged:         func(time.Time, netip.Addr, netip.Addr) {},
		ParametersChanged: func(time.Time) {},
	}
}
