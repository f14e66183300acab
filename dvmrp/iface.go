package dvmrp

import (
	"net/netip"
	"slices"
	"time"

	"grove/dvmrp/wire"
	"grove/internal/engine"
	"grove/internal/ifset"
)

// iface is an interface of the router. DVMRP is configured on it if configured is set, and runs there if runs is. A tunnel
// is an interface like any other: its driver encapsulates what is sent there, our messages included (section 1.3).
type iface struct {
	m          *Machine
	id         engine.IfID
	link       engine.Interface
	cfg        InterfaceConfig
	configured bool
	slot       int // of bit
	bit        ifSet

	runs         bool
	addr         netip.Addr // that we speak from
	generationID uint32
	probing      engine.Timer
	probeNow     bool        // a Probe goes at Settled
	neighbors    []*neighbor // by address
}

// interfaceChange takes over the state of an interface.
func (m *Machine) interfaceChange(e engine.InterfaceChange) {
	i := m.ifaces[e.ID]
	if i == nil {
		if e.Gone {
			return
		}
		i = &iface{m: m, id: e.ID}
		i.probing.Do = func(time.Time) { i.probeTimerExpires() }
		m.ifaces[e.ID] = i
		m.order = append(m.order, i)
	}
	i.link = e.Interface
	if e.Gone {
		i.link = engine.Interface{ID: e.ID, Name: i.link.Name}
	}
	m.localStale = true
	m.configureInterface(i)
	if e.Gone {
		m.endInterface(i)
		delete(m.ifaces, i.id)
		m.order = slices.DeleteFunc(m.order, func(o *iface) bool { return o == i })
	}
}

// configureInterface starts, changes or ends DVMRP on an interface as the configuration and the link ask.
func (m *Machine) configureInterface(i *iface) {
	cfg, wanted := m.cfg.Interfaces[i.link.Name]
	if !wanted {
		m.endInterface(i)
		return
	}
	set(&cfg.Metric, defaultMetric)
	set(&cfg.MaxNeighbors, defaultMaxNeighbors)
	i.cfg = cfg
	if !i.configured {
		if !m.giveSlot(i) {
			return
		}
		i.configured = true
		m.subscribe = true // memberships on it may have been told before
		m.configureGroups()
	}
	addr := i.link.Primary(engine.IPv4)
	runs := i.link.Running() && !i.link.Loopback && addr.IsValid()
	if i.runs && (!runs || addr != i.addr) {
		i.stop("the interface is down")
	}
	if runs && !i.runs {
		i.start(addr)
	}
}

// endInterface ends DVMRP on an interface.
func (m *Machine) endInterface(i *iface) {
	if !i.configured {
		return
	}
	if i.runs {
		i.sendFarewell()
		i.stop("DVMRP ends on the interface")
	}
	m.forgetMembers(i)
	m.update() // what still is on the interface leaves it
	i.configured, i.cfg = false, InterfaceConfig{}
	m.freed = append(m.freed, i.slot) // rows that name it are said again before another interface may have it
	m.configureGroups()
}

// start begins DVMRP on an interface that runs now. "When an interface transitions to the up state, the generation ID of
// that interface should be updated" (section 3.7.1). "A time of day clock provides a good source" (section 3.2.2).
func (i *iface) start(addr netip.Addr) {
	m := i.m
	i.runs, i.addr = true, addr
	i.generationID = max(uint32(m.now.Unix()), i.generationID+1)
	m.running |= i.bit
	m.revisit, m.localStale = true, true
	m.emit(engine.HostGroup{If: i.id, Group: wire.AllDVMRPRouters, Member: true})
	i.probeNow = true
	m.timers.Set(&i.probing, m.now.Add(m.cfg.ProbeInterval))
	m.touchAll()
}

// stop ends DVMRP on an interface. "When an interface transitions to the down state, all neighbors on that interface should
// be expired" (section 3.7.1).
func (i *iface) stop(cause string) {
	m := i.m
	for len(i.neighbors) > 0 {
		i.neighbors[0].expire(cause)
	}
	m.timers.Stop(&i.probing)
	i.runs, i.probeNow = false, false
	m.running &^= i.bit
	m.localStale = true
	m.emit(engine.HostGroup{If: i.id, Group: wire.AllDVMRPRouters, Member: false})
	m.touchAll()
}

// probeTimerExpires sends the periodic Probe (section 3.2).
func (i *iface) probeTimerExpires() {
	i.m.timers.Set(&i.probing, i.m.now.Add(i.m.cfg.ProbeInterval))
	i.sendProbe()
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
	m.emit(engine.Note{Level: engine.Error, If: i.id, Text: "too many interfaces: DVMRP does not run on this one"})
	return false
}

// hears says whether somebody on the interface takes Reports from us.
func (i *iface) hears() bool {
	return i.runs && slices.ContainsFunc(i.neighbors, (*neighbor).adjacent)
}

// pointToPoint says that all messages go to 224.0.0.4 (section 3.7).
func (i *iface) pointToPoint() bool { return i.link.PointToPoint || i.link.TunnelRemote.IsValid() }

// set is the interface as a set of one; nil is the empty set.
func (i *iface) set() ifSet {
	if i == nil || !i.runs {
		return 0
	}
	return i.bit
}

func (m *Machine) bitOf(id engine.IfID) ifSet { return m.ifaces[id].set() }

func (m *Machine) ifID(set ifSet) engine.IfID {
	for slot := range set.Bits() {
		return m.slots[slot].id
	}
	return 0
}

func (m *Machine) outgoing(set ifSet) []engine.Outgoing {
	var list []engine.Outgoing
	for slot := range set.Bits() {
		list = append(list, engine.Outgoing{If: m.slots[slot].id})
	}
	return list
}

// names returns the names of interfaces.
func (m *Machine) names(set ifSet) []string {
	list := []string{}
	for slot := range set.Bits() {
		list = append(list, m.slots[slot].link.Name)
	}
	return list
}
