package pimsm

import (
	"net/netip"
	"slices"
	"time"

	"grove/internal/engine"
	"grove/internal/ifset"
	"grove/internal/pim/neighbor"
	"grove/internal/pim/wire"
	"grove/internal/roll"
)

// iface is an interface of the router. PIM is configured on it if nb is set, and runs there if runs is.
type iface struct {
	m    *Machine
	id   engine.IfID
	link engine.Interface
	nb   *neighbor.Interface // nil: PIM is not configured here
	slot int                 // of bit; 0: none
	bit  ifSet
	// foreign says that the interface is another protocol's.
	foreign bool

	runs    bool
	primary netip.Addr // the address that we speak from
	dr      bool       // I_am_DR(I)
	// starting runs until whoever is on the link must have said Hello: he within Triggered_Hello_Delay of the start, or
	// of the Hello that we say within it.
	starting engine.Timer

	oifs roll.Roll[*oif] // all per-interface state of entries
	hops roll.Roll[*hop] // of the targets beyond

	unprimed []netip.Addr // neighbors that have just come or come back (bsr.go)

	pending bundles // Join/Prune messages to be sent at Settled

	hears []netip.Addr // groups of Auto-RP that we said we are a member of
}

// set is the interface as a set of one; nil is the empty set.
func (i *iface) set() ifSet {
	if i == nil {
		return 0
	}
	return i.bit
}

func (i *iface) neighbors() int {
	if i.nb == nil {
		return 0
	}
	return len(i.nb.Neighbors())
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
	m.own(i.link.Addrs, -1)
	i.link = e.Interface
	if e.Gone {
		i.link = engine.Interface{ID: e.ID, Name: i.link.Name}
	}
	m.own(i.link.Addrs, +1)
	m.autorp.AddressesChanged(m.now)
	m.configureInterface(i)
	if e.Gone {
		m.removeInterface(i)
	}
	if m.bsr != nil {
		m.bsr.Update(m.now)
	}
}

// own counts addresses of ours: one may be on several interfaces.
func (m *Machine) own(list []netip.Prefix, n int) {
	for _, p := range list {
		a := p.Addr()
		if m.owned[a] += n; m.owned[a] == 0 {
			delete(m.owned, a)
		}
	}
}

// configureInterface starts, changes or ends PIM on an interface as the configuration and the link ask.
func (m *Machine) configureInterface(i *iface) {
	m.configurePIM(i)
	if foreign := i.nb == nil && slices.Contains(m.cfg.External, i.link.Name); foreign != i.foreign {
		i.foreign = foreign
		i.resolveHops()
	}
}

func (m *Machine) configurePIM(i *iface) {
	cfg, wanted := m.cfg.Interfaces[i.link.Name]
	switch {
	case wanted && i.nb == nil:
		if !m.giveSlot(i) {
			return
		}
		i.nb = neighbor.New(i.env(), cfg)
		m.subscribe = true // memberships on it may have been told before
	case wanted:
		i.nb.Configure(m.now, cfg)
	case i.nb != nil:
		i.nb.Stop(m.now)
		i.follow()
		i.forget()
		i.nb = nil
		m.freeSlot(i)
		return
	}
	if i.nb != nil {
		i.nb.Update(m.now, i.link)
		i.follow()
	}
}

// follow takes over what the neighborhood says of itself: whether PIM runs, our address, whether we are DR.
func (i *iface) follow() {
	runs, primary, dr := i.nb.Running(), i.nb.Primary(), i.nb.IAmDR()
	if runs != i.runs {
		i.runs = runs
		i.m.timers.Stop(&i.starting)
		if runs {
			delay := i.m.cfg.Interfaces[i.link.Name].TriggeredHelloDelay
			i.m.timers.Set(&i.starting, i.m.now.Add(2*delay))
		}
		if !runs {
			i.lose("PIM stops on the interface")
		}
		i.resolveHops()
	}
	if primary != i.primary {
		i.primary = primary
		// my_ip_address(I) is part of our Assert metric, and what neighbors address us by.
		for _, o := range i.oifs.All {
			o.touch()
		}
	}
	if dr != i.dr {
		i.dr = dr
		i.drChanged()
	}
	i.hearAutoRP()
}

// drChanged: pim_include and CouldRegister depend on I_am_DR(I).
func (i *iface) drChanged() {
	for _, o := range i.oifs.All {
		o.touch()
	}
	for _, h := range i.hops.All {
		for _, s := range h.t.sources.All {
			i.m.touchSource(s)
		}
	}
}

// lose forgets what neighbors on the interface told us: it does not run any more. What hosts told us is igmp's to take
// back.
func (i *iface) lose(cause string) {
	for _, o := range i.oifs.All {
		o.endJoin(cause)
		o.endPruneRpt(cause)
		o.endAssert(cause)
	}
	i.pending = bundles{}
	i.unprimed = nil
}

// forget removes all per-interface state: PIM ends here.
func (i *iface) forget() {
	i.lose("PIM ends on the interface")
	for _, o := range i.oifs.All {
		o.member, o.exclude, o.members = false, false, nil
		o.touch()
	}
	i.m.update()
}

// removeInterface ends an interface.
func (m *Machine) removeInterface(i *iface) {
	if i.nb != nil {
		i.nb.Stop(m.now)
		i.follow()
		i.forget()
		i.nb = nil
		m.freeSlot(i)
	}
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

func (t *target) dropHop(h *hop) {
	h.iface.hops.Remove(h, placeOfHop)
	if h == t.kept {
		t.kept = nil
	}
	for n, o := range t.hops {
		if o == h {
			t.hops = append(t.hops[:n:n], t.hops[n+1:]...)
			break
		}
	}
	t.resolve()
}

// giveSlot gives an interface a bit in ifSet.
func (m *Machine) giveSlot(i *iface) bool {
	for slot := firstSlot; slot < ifset.Slots; slot++ {
		if m.slots[slot] == nil {
			m.slots[slot] = i
			i.slot, i.bit = slot, 1<<slot
			return true
		}
	}
	m.emit(engine.Note{Level: engine.Error, If: i.id, Text: "too many interfaces: PIM does not run on this one"})
	return false
}

// freeSlot takes the bit back. Rows that name it are said again before another interface may have it.
func (m *Machine) freeSlot(i *iface) {
	m.freed = append(m.freed, i.slot)
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

// env is what the neighborhood of the interface needs of us.
func (i *iface) env() neighbor.Env {
	m := i.m
	return neighbor.Env{
		ID: m.id, If: i.id, Rand: m.rng, Timers: &m.timers, Counts: &m.counts, Emit: m.emit,
		Send: func(_ time.Time, src, dst netip.Addr, msg wire.Message) { i.sendFrom(src, dst, msg) },
		NeighborUp: func(_ time.Time, n *neighbor.Neighbor) {
			i.resolveHops()
			i.toPrime(n.Address)
			m.autorp.NeighborUp(m.now)
		},
		NeighborDown: func(_ time.Time, n *neighbor.Neighbor) {
			i.winnerLost(n.Address, "current winner's NLT expires")
			i.resolveHops()
		},
		NeighborRestarted: func(_ time.Time, n *neighbor.Neighbor) {
			i.neighborRestarted(n.Address)
			i.toPrime(n.Address)
		},
		HelloSent:        func(time.Time) { i.prime() },
		AddressesChanged: func(time.Time) { i.resolveHops() },
		DRChanged: func(time.Time, netip.Addr, netip.Addr) {
			if i.nb != nil {
				i.follow()
			}
		},
		ParametersChanged: func(time.Time) {},
	}
}
