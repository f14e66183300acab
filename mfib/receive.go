package mfib

import (
	"slices"

	"grove/internal/engine"
)

// want takes what a component wants of a key.
func (m *Machine) want(ev engine.Want) {
	c := m.component(ev.From)
	if c == nil {
		return
	}
	e := m.entries[ev.Key]
	fault := m.refuse(ev.Key)
	if fault == "" && e == nil && len(m.entries) >= m.cfg.MaxEntries {
		fault = "the table is full"
	}
	if fault != "" {
		m.counts.Add("want refused: " + fault)
		m.emit(engine.Failed{To: ev.From, Key: ev.Key, Err: fault})
		return
	}
	fresh := e == nil || e.idle()
	e = m.entry(ev.Key)
	w := e.wantOf(c)
	begins := w == nil || !m.leaves(e, w)
	m.setWant(e, c, &ev)
	if e.negative != nil {
		m.dropNegative(e)
	}
	switch {
	case !e.isSG():
		m.revisit(ev.Key) // the interest in the group changed
		if begins && m.leaves(e, e.wantOf(c)) {
			m.askAgain(c, ev.Key)
		}
	case fresh && m.several():
		m.ask(e, c, ev.In, nil)
	case e.waiting != nil:
		m.answered(e, c)
	}
}

// refuse says why there can be no entry for a key, in fixed words.
func (m *Machine) refuse(k engine.Key) string {
	g, s := k.Group, k.Source
	switch {
	case !g.IsValid() && s.IsValid():
		return "a source without a group"
	case g.IsValid() && engine.FamilyOf(g) != m.id.Family || s.IsValid() && engine.FamilyOf(s) != m.id.Family:
		return "the other address family"
	case g.IsValid() && !routable(g):
		return "the group is never forwarded"
	case s.IsValid() && (s.IsMulticast() || s.IsUnspecified() || s.IsLoopback() || s.IsLinkLocalUnicast()):
		return "the source is no routable unicast address"
	}
	return ""
}

// unwant ends what a component wants of a key.
func (m *Machine) unwant(ev engine.Unwant) {
	e, c := m.entries[ev.Key], m.component(ev.From)
	if e == nil || c == nil {
		return
	}
	if w := e.wantOf(c); w != nil {
		m.dropWant(e, w)
	}
	if e.waiting != nil {
		m.answered(e, c)
	}
}

// decline takes the answer of a component that wants nothing of a new flow.
func (m *Machine) decline(ev engine.Decline) { m.unwant(engine.Unwant(ev)) }

// wildcard takes the groups for which a component wants everything (rule 6).
func (m *Machine) wildcard(ev engine.Wildcard) {
	c := m.component(ev.From)
	if c == nil {
		return
	}
	begins := len(c.wildcard) == 0 && len(ev.Groups) > 0
	c.wildcard = ev.Groups
	if begins {
		m.revisit(engine.Key{})
		m.askAgain(c, engine.Key{})
	}
	m.alertWildcards()
	m.regroupAll()
}

// upcall takes a message of the kernel about a packet.
func (m *Machine) upcall(ev engine.Upcall) {
	k := engine.SG(ev.Src, ev.Dst)
	if int(ev.VIF) >= len(m.slots) || !m.slots[ev.VIF].used {
		m.counts.Add("upcall of an unknown VIF")
		return
	}
	if !k.Group.IsValid() || !k.Source.IsValid() || m.refuse(k) != "" {
		m.counts.Add("upcall of a flow that is never forwarded")
		return
	}
	in := m.slots[ev.VIF].iface // 0: the register interface
	switch ev.Kind {
	case engine.NoCache:
		m.noCache(k, in, ev.Packet)
	case engine.WholePkt:
		m.wholePacket(k, ev.Packet)
	case engine.WrongVIF, engine.WrongVIFWhole:
		m.wrongInterface(k, in, ev.Packet)
	default:
		m.counts.Add("upcall of an unknown kind")
	}
}

// noCache takes a packet that no row fits; the kernel holds it.
func (m *Machine) noCache(k engine.Key, in engine.IfID, packet []byte) {
	if in == 0 {
		// The kernel decapsulated a Register. The protocol has the Register itself, and the row that it wants for the flow
		// has the way to the source as incoming interface. A negative row would hide the source's native packets.
		m.counts.Add("upcall of a decapsulated Register")
		return
	}
	e := m.entries[k]
	if e != nil {
		m.setRow(e, row{}) // whatever we thought
		m.touch(e)
	}
	switch {
	case e == nil || e.idle():
		m.newFlow(k, in, packet, nil)
		return
	case e.waiting != nil:
		m.counts.Add("upcall while an answer is awaited")
		return
	}
	// The kernel has lost the row, or it could not be written. Every upcall is answered.
	m.counts.Add("upcall of a flow with an entry")
	e.arrival = in
	if !m.wanted(e).present && e.negative == nil {
		m.makeNegative(e, notInstallable)
	}
}

// wholePacket takes a packet that a row sent to the register interface: by the tap or the encapsulation of its own
// entry, or by a (*,G) or (*,*) row, and then it may be the first of a flow.
func (m *Machine) wholePacket(k engine.Key, packet []byte) {
	e := m.entries[k]
	in := m.arrivalOf(e, k)
	switch {
	case e == nil || e.idle():
		if e = m.newFlow(k, in, packet, nil); e != nil {
			m.cameUp(e, 0, packet)
		}
		return
	case len(e.wants) == 0 && e.negative != nil:
		m.counts.Add("whole packet of a negative entry")
		return
	}
	owner := m.ownerOf(e)
	for _, w := range e.wants {
		if w.by == owner && !m.several() || m.handles(w.by, k) {
			m.emit(engine.WholePacket{To: w.by.id, Key: k, If: in, Packet: packet})
		}
	}
	if e.waiting != nil {
		for _, c := range e.waiting.silent {
			if !m.several() || m.handles(c, k) && e.wantOf(c) == nil {
				m.emit(engine.WholePacket{To: c.id, Key: k, If: in, Packet: packet})
			}
		}
	}
	m.cameUp(e, 0, packet)
}

// handles says whether a component forwards on its own interfaces what comes up of a flow: one that taps does, as PIM-SM. For
// the others mfib does it (inject.go).
func (m *Machine) handles(c *component, k engine.Key) bool {
	for _, key := range [...]engine.Key{k, engine.StarG(k.Group), {}} {
		if e := m.entries[key]; e != nil {
			if w := e.wantOf(c); w != nil && (w.tap || len(w.encap) > 0) {
				return true
			}
		}
	}
	return false
}

// arrivalOf guesses where a packet that the kernel handed up came in, since it does not say.
func (m *Machine) arrivalOf(e *entry, k engine.Key) engine.IfID {
	if e != nil {
		if w := e.wantOf(m.ownerOf(e)); w != nil && w.in != 0 {
			return w.in
		}
	}
	if g := m.entries[engine.StarG(k.Group)]; g != nil && len(g.wants) > 0 {
		return g.wants[0].in
	}
	return 0
}

// wrongInterface takes a packet that came in elsewhere than its row says. The protocol of the interface where it came in is
// alerted if it asked for it (rule 2).
func (m *Machine) wrongInterface(k engine.Key, in engine.IfID, packet []byte) {
	if in == 0 {
		m.counts.Add("wrong interface: a decapsulated Register")
		return
	}
	for _, key := range [...]engine.Key{k, engine.StarG(k.Group), {}} {
		e := m.entries[key]
		if e == nil || !e.row.present {
			continue
		}
		m.learnArrival(e, in)
		var alerted *component
		for _, w := range e.wants {
			if slices.Contains(w.wrongIf, in) && m.mayUse(w.by, m.ifaces[in], k.Group) {
				m.emit(engine.WrongInterface{To: w.by.id, Key: k, If: in, Packet: packet})
				alerted = w.by
			}
		}
		if !key.Source.IsValid() && m.several() && packet != nil {
			m.newcomer(k, in, packet, alerted)
		}
		if !key.Source.IsValid() && slices.ContainsFunc(e.wants, func(w *want) bool { return slices.Contains(w.wrongIf, in) }) {
			// A new source met the (*,G) row on an outgoing interface. The kernel would drop the first packets of the next
			// one in silence for 3 s; a row that is deleted and added reports at once (a replaced one does not).
			e.rearm = true
			m.touch(e)
		}
		return
	}
	m.counts.Add("wrong interface: no entry")
}

// newcomer takes the whole packet of a flow that met a proxy row on the wrong interface. The component that was alerted deals
// with it; for the others it may be the first of the flow.
func (m *Machine) newcomer(k engine.Key, in engine.IfID, packet []byte, alerted *component) {
	e := m.entries[k]
	if e == nil || e.idle() {
		e = m.newFlow(k, in, nil, alerted)
	}
	if e != nil && e.negative == nil {
		m.cameUp(e, in, packet)
	}
}

// learnArrival takes note of where the packets of a negative entry come in, if that was not known: then its row is
// written with that parent, and there are no more upcalls.
func (m *Machine) learnArrival(e *entry, in engine.IfID) {
	if e.isSG() && e.arrival == 0 && e.row.ttl == (row{}).ttl {
		e.arrival = in
		m.touch(e)
	}
}
