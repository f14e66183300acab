package mfib

import (
	"slices"

	"grove/internal/engine"
)

// source is an address that packets come from. Who owns the entries of it depends on the way to it, so the MRIB is asked if
// there is a choice.
type source struct {
	path    engine.Path
	known   bool // the MRIB has answered
	entries []*entry
}

// rpfInterface returns the interface of the MRIB's next hop.
func (s *source) rpfInterface() engine.IfID {
	if len(s.path.Hops) == 0 {
		return 0
	}
	return s.path.Hops[0].If
}

// follow has the way to the source of an entry tracked.
func (m *Machine) follow(e *entry) {
	s := m.sources[e.key.Source]
	if s == nil {
		s = &source{}
		m.sources[e.key.Source] = s
		m.emit(engine.Track{From: m.id, Addr: e.key.Source})
	}
	odd := e.odd()
	odd.source, odd.sourceAt = s, int32(len(s.entries))
	s.entries = append(s.entries, e)
	m.enroll(e)
}

// unfollow ends follow.
func (m *Machine) unfollow(e *entry) {
	s := e.source
	if s == nil {
		return
	}
	last := s.entries[len(s.entries)-1]
	s.entries[e.sourceAt], last.oddity.sourceAt = last, e.sourceAt
	s.entries = s.entries[:len(s.entries)-1]
	e.oddity.source = nil
	m.strike(e)
	if len(s.entries) == 0 {
		delete(m.sources, e.key.Source)
		m.emit(engine.Untrack{From: m.id, Addr: e.key.Source})
	}
}

// followAll tracks all sources if several protocols route, and none if not. A protocol that is alone is told that nobody else
// wants anything.
func (m *Machine) followAll() {
	for e := range m.all.all() {
		if !m.several() && e.isSG() && e.alerted {
			if e.joined && e.owner.configured {
				m.emit(engine.Alert{To: e.owner.id, Kind: engine.PruneAlert, Key: e.key})
			}
			e.alerted, e.odd().joined = false, false
		}
		m.unfollow(e)
		switch {
		case !m.several():
		case e.isSG():
			m.follow(e)
		default:
			m.needRegister()
		}
	}
}

// path takes the MRIB's way to a source.
func (m *Machine) path(ev engine.Path) {
	s := m.sources[ev.Addr]
	if s == nil {
		return
	}
	s.path, s.known = ev, true
	for _, e := range s.entries {
		m.touch(e)
	}
}

// ownerOf returns the component that owns the incoming interface of an (S,G) entry (rule 1 and section 3.1): the protocol
// of the MRIB's next hop to S. Where that is nobody's it is the first that names an incoming interface.
func (m *Machine) ownerOf(e *entry) *component {
	if !e.isSG() {
		return nil // section 3.1: the dispatcher itself owns (*,G) and (*,*) entries
	}
	if m.several() {
		if e.source == nil || !e.source.known {
			return e.owner
		}
		if c := m.componentOf(m.ifaces[e.source.rpfInterface()], e.key.Group); c != nil {
			return c
		}
		for _, w := range e.wants {
			if w.in != 0 && m.mayUse(w.by, m.ifaces[w.in], e.key.Group) {
				return w.by
			}
		}
		return nil
	}
	for _, c := range m.speakers {
		if e.wantOf(c) != nil {
			return c
		}
	}
	if len(e.wants) > 0 {
		return e.wants[0].by
	}
	return nil
}

// chooseOwner finds the owner, and tells the former and the new one if it changed (rule 1).
func (m *Machine) chooseOwner(e *entry) {
	if !e.isSG() || e.idle() || m.several() && !e.source.known {
		return
	}
	owner := m.ownerOf(e)
	if owner == e.owner {
		return
	}
	former := e.owner
	e.owner, e.alerted = owner, false
	if !m.several() || !e.ownerKnown {
		e.ownerKnown = m.several()
		return
	}
	var id engine.MachineID
	if owner != nil {
		id = owner.id
	}
	for _, c := range []*component{former, owner} {
		if c != nil {
			m.emit(engine.OwnerChanged{To: c.id, Key: e.key, Owner: id})
		}
	}
	m.handOver(e)
}

// handOver waits for the new owner of an entry to say what the incoming interface is now, so that the row goes from the old to
// the new one in one step. The old row serves until then, if nothing that it names is gone.
func (m *Machine) handOver(e *entry) {
	own := e.wantOf(e.owner)
	switch {
	case e.owner == nil, e.waiting != nil, !e.row.present:
		return
	case own == nil && !m.othersWant(e), own != nil && (own.negative != "" || own.in != 0 && m.mayUse(own.by, m.ifaces[own.in], e.key.Group)):
		return
	}
	for n := range m.slots {
		if m.slots[n].leaving && e.row.names(n) {
			return
		}
	}
	w := &waiting{hold: true, handOver: true, silent: []*component{e.owner}}
	m.wait(e, w)
}

// alert tells the owner of an (S,G) entry what the others want of it, and every component what the others want of a
// (*,G), if that is not what it was told last (rules 4 and 5, section 3.1.1).
func (m *Machine) alert(e *entry) {
	if !m.several() || e.undecided() && !(e.waiting != nil && e.waiting.handOver) {
		return
	}
	switch {
	case e.isSG():
		m.alertOwner(e)
	case e.key.Group.IsValid(): // wildcard receivers speak of (*,*): see alertWildcards
		m.alertGroup(m.group(e.key.Group))
	}
}

// alertOwner tells the owner of an (S,G) entry what the others want.
func (m *Machine) alertOwner(e *entry) {
	if e.owner == nil {
		return
	}
	others := m.othersWant(e)
	if e.alerted && others == e.joined || !e.alerted && !others && e.wantOf(e.owner) == nil {
		return
	}
	e.alerted, e.odd().joined = true, others
	m.tellJoined(e.owner, e.key, others)
}

// othersWant says whether a component that is not the owner wants packets of an (S,G) entry to leave.
func (m *Machine) othersWant(e *entry) bool {
	return slices.ContainsFunc(e.wants, func(w *want) bool { return w.by != e.owner && m.leaves(e, w) })
}

func (m *Machine) tellJoined(c *component, k engine.Key, joined bool) {
	kind := engine.PruneAlert
	if joined {
		kind = engine.JoinAlert
	}
	m.emit(engine.Alert{To: c.id, Kind: kind, Key: k})
}

// alertWildcards tells every component whether others are wildcard receivers: then it must be one for its own sources
// (rule 6).
func (m *Machine) alertWildcards() {
	for _, c := range m.speakers {
		others := slices.ContainsFunc(m.speakers, func(o *component) bool { return o != c && len(o.wildcard) > 0 })
		if others != c.joined {
			c.joined = others
			m.tellJoined(c, engine.Key{}, others)
		}
	}
}
