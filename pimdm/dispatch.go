package pimdm

import "grove/internal/engine"

// This file is what mfib, the dispatcher of RFC 2715, tells of entries other than of their packets.

// alert is an (S,G) alert, a level: does another protocol on this router want the packets? Alerts of (*,G) and (*,*) mean
// nothing to a protocol that floods.
func (m *Machine) alert(a engine.Alert) {
	if e := m.entry(a.Key); e != nil {
		e.up.others = a.Kind == engine.JoinAlert
		m.touch(e)
	}
}

// ownerChanged: only the owner of an entry is told what others want.
func (m *Machine) ownerChanged(c engine.OwnerChanged) {
	if e := m.entry(c.Key); e != nil && c.Owner != m.id {
		e.up.others = false
		m.touch(e)
	}
}

// setPlaced: mfib has dealt with what we want of a flow, and has told us what others want.
func (m *Machine) setPlaced(k engine.Key) {
	if e := m.entry(k); e != nil && e.said.wanted {
		e.placed = true
		m.touch(e)
	}
}

// deletion: mfib gave up an entry. What we want of it now is said again.
func (m *Machine) deletion(k engine.Key) {
	if e := m.entry(k); e != nil {
		e.said, e.placed = row{}, false
		m.touch(e)
	}
}
