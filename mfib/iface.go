package mfib

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"grove/internal/engine"
)

// iface is an interface that exists.
type iface struct {
	id   engine.IfID
	name string
	cfg  *InterfaceConfig // nil: no protocol is enabled on it
	slot int              // of its VIF, -1: none
	err  string           // why it has no VIF
	rate limiter          // of Creations
}

// slot is a number of the kernel's table of VIFs.
type slot struct {
	used     bool
	register bool
	iface    engine.IfID // if not register
	leaving  bool        // the interface is gone: free when no row names the number
	rows     int         // rows in the kernel that name the number
	failed   bool        // the kernel refused it, and has not been asked again
	err      string      // what it said when it last did
}

// localScope is the smallest scope that has boundaries; every boundary is one for it (RFC 2365, section 7).
var (
	localScope  = netip.MustParsePrefix("239.255.0.0/16")
	adminScopes = netip.MustParsePrefix("239.0.0.0/8")
)

// bounds says whether a boundary of the interface forbids packets to g to cross it, in either direction (RFC 2365,
// section 5).
func (c *InterfaceConfig) bounds(g netip.Addr) bool {
	return slices.ContainsFunc(c.Boundaries, func(p netip.Prefix) bool {
		return p.Contains(g) || localScope.Contains(g) && adminScopes.Overlaps(p)
	})
}

// interfaceChange takes an interface, new, changed or gone.
func (m *Machine) interfaceChange(ev engine.InterfaceChange) {
	i := m.ifaces[ev.ID]
	switch {
	case ev.Gone && i == nil:
		return
	case ev.Gone:
		i.cfg = nil
		m.dropVIF(i)
		m.giveUp(i)
		m.touchAll()
		delete(m.ifaces, ev.ID)
		return
	case i == nil:
		i = &iface{id: ev.ID, slot: -1}
		m.ifaces[ev.ID] = i
	case i.name == ev.Name:
		return // addresses, carrier and the like are of no concern here
	}
	i.name = ev.Name
	m.configureInterface(i)
	m.touchAll()
}

// configureInterface gives an interface its configuration, and takes its VIF away if it has none.
func (m *Machine) configureInterface(i *iface) {
	i.cfg = nil
	if ic, ok := m.cfg.Interfaces[i.name]; ok {
		i.cfg = &ic
		m.vifsStale = m.vifsStale || i.slot < 0
		return
	}
	if i.slot >= 0 {
		m.dropVIF(i)
		m.giveUp(i)
	}
}

// dropVIF gives up the VIF of an interface.
func (m *Machine) dropVIF(i *iface) {
	i.err = ""
	if i.slot >= 0 {
		m.slots[i.slot].leaving = true
		i.slot = -1
	}
}

// assignVIFs gives a number to every configured interface that has none, and to the register interface if it is needed.
func (m *Machine) assignVIFs() {
	if !m.vifsStale {
		return
	}
	m.vifsStale = false
	for _, i := range engine.Sorted(m.ifaces) {
		if i.cfg == nil || i.slot >= 0 {
			continue
		}
		n := m.freeSlot(i.id)
		if n < 0 {
			m.noVIF(i, fmt.Sprintf("no VIF is free: the kernel's table has %d", engine.MaxVIFs))
			continue
		}
		i.err, i.slot = "", n
		if m.slots[n].leaving { // the same interface is back before its number was free
			m.slots[n].leaving = false
		} else {
			m.slots[n] = slot{used: true, iface: i.id}
			m.emit(engine.SetVIF{VIF: engine.VIF(n), If: i.id})
		}
		m.touchAll()
	}
	if !m.registerNeeded || m.register >= 0 {
		return
	}
	n := m.freeSlot(0)
	if n < 0 {
		if !m.registerFailed {
			m.registerFailed = true
			m.note(engine.Error, 0, fmt.Sprintf("the register interface has no VIF: the kernel's table has %d", engine.MaxVIFs))
		}
		return
	}
	m.register, m.registerFailed = n, false
	m.slots[n] = slot{used: true, register: true}
	m.emit(engine.SetVIF{VIF: engine.VIF(n), Register: true})
	m.touchAll()
}

// needRegister has the register interface get a VIF: packets are to come up.
func (m *Machine) needRegister() {
	if !m.registerNeeded {
		m.registerNeeded, m.vifsStale = true, true
	}
}

// freeSlot returns the number that is still the leaving interface's own, or the lowest free one, or -1.
func (m *Machine) freeSlot(id engine.IfID) int {
	for n, s := range m.slots {
		if s.leaving && id != 0 && s.iface == id {
			return n
		}
	}
	for n, s := range m.slots {
		if !s.used {
			return n
		}
	}
	return -1
}

// releaseVIFs frees the numbers that no row names any more. The kernel keeps the bit of a VIF that is deleted in its
// rows, and traffic would leak to the next interface with the number.
func (m *Machine) releaseVIFs() {
	for n := range m.slots {
		if s := &m.slots[n]; s.leaving && s.rows == 0 {
			m.emit(engine.SetVIF{VIF: engine.VIF(n), If: s.iface, Gone: true})
			*s = slot{}
			m.vifsStale = true
		}
	}
}

// noVIF notes why an interface has no VIF, once.
func (m *Machine) noVIF(i *iface, err string) {
	if i.err != err {
		i.err = err
		m.note(engine.Error, i.id, fmt.Sprintf("interface %s does not route multicast: %s", i.name, err))
	}
}

// vifFailed takes the kernel's refusal of a VIF. It is asked for again after a while.
func (m *Machine) vifFailed(n engine.VIF, err string) {
	if int(n) >= len(m.slots) || !m.slots[n].used || m.slots[n].leaving {
		return
	}
	s := &m.slots[n]
	s.failed = true
	if s.err != err {
		s.err = err
		if i := m.ifaces[s.iface]; i != nil {
			m.noVIF(i, err)
		} else {
			m.note(engine.Error, 0, "the register interface has no VIF: "+err)
		}
	}
	m.touchAll()
	m.timers.SetMin(&m.retryVIFs, m.now.Add(m.cfg.CheckInterval))
}

// askVIFsAgain asks for the VIFs that were refused.
func (m *Machine) askVIFsAgain(time.Time) {
	for n := range m.slots {
		s := &m.slots[n]
		if !s.failed || s.leaving {
			continue
		}
		s.failed = false
		m.emit(engine.SetVIF{VIF: engine.VIF(n), If: s.iface, Register: s.register})
		m.touchAll()
	}
}

// vif returns the number of an interface that packets can pass by.
func (m *Machine) vif(id engine.IfID) (engine.VIF, bool) {
	i := m.ifaces[id]
	if i == nil || i.slot < 0 || m.slots[i.slot].failed {
		return 0, false
	}
	return engine.VIF(i.slot), true
}

// registerVIF returns the number of the register interface.
func (m *Machine) registerVIF() (engine.VIF, bool) {
	if m.register < 0 || m.slots[m.register].failed {
		return 0, false
	}
	return engine.VIF(m.register), true
}

// limiter bounds how often something happens: UpcallRate a second, and no more than one second's worth at once. It
// holds when the next one would be due at that rate.
type limiter struct{ due time.Time }

func (l *limiter) allow(now time.Time, perSecond int) bool {
	if l.due.Before(now) {
		l.due = now
	}
	if l.due.Sub(now) >= time.Second {
		return false
	}
	l.due = l.due.Add(time.Second / time.Duration(perSecond))
	return true
}
