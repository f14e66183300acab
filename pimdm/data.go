package pimdm

import (
	"grove/internal/engine"
	"grove/internal/ip"
)

// This file is what the forwarding plane tells of data packets, and what section 4.2 of RFC 3973 makes of it besides
// forwarding: a prune process where the list is empty, an assert process where the RPF check fails. No packet is forwarded
// by hand.

// creation is a packet of a flow that has no entry. It is answered at Settled: by the row that follows, or by Decline.
func (m *Machine) creation(e engine.Creation) {
	s := m.makeEntry(e.Key)
	if s == nil || !m.configured {
		m.emit(engine.Decline{Key: e.Key})
		return
	}
	s.asked = true
	s.live()
	s.arrive(m.bitOf(e.If), ttlOf(e.Packet))
	m.sayLater(s)
}

// wrongInterface is a packet that came in elsewhere than on the incoming interface of its row.
func (m *Machine) wrongInterface(e engine.WrongInterface) {
	if s := m.entry(e.Key); s != nil {
		s.live()
		s.arrive(m.bitOf(e.If), 0)
	}
}

// activity says what came since we were last told.
func (m *Machine) activity(e engine.Activity) {
	s := m.entry(e.Key)
	if s == nil {
		return
	}
	s.packets += e.Packets
	s.bytes += e.Bytes
	s.wrongIf += e.WrongIf
	if e.Packets > 0 {
		s.live()
		s.arrive(s.said.in, 0)
	}
}

// live says that the source sends.
func (e *entry) live() { e.m.timers.Set(&e.alive, e.m.now.Add(e.m.cfg.SourceLifetime)) }

// arrive is a data packet on an interface. Before the path to the source is known it is only noted.
func (e *entry) arrive(iif ifSet, ttl uint8) {
	if iif == 0 {
		return
	}
	e.whenPathKnown(func() { e.arrives(iif, ttl) })
	e.m.touch(e)
}

// arrives is "Upon receipt of a data packet from S addressed to G on interface iif" (section 4.2).
func (e *entry) arrives(iif ifSet, ttl uint8) {
	m := e.m
	switch i := m.ifaceOf(iif); {
	case i == nil || !i.runs || !usable(e.g).Has(iif):
	case iif == rpfInterface(e):
		e.up.data = true
		if directlyConnected(e) {
			e.receiveDirectly(ttl)
		}
	case pimNbrs(m).Has(iif) && !boundary(e.g).Has(iif) && e.rpf.reachable:
		// Packets that fail the RPF check: "the router will conduct an assert process". Without a neighbor there is
		// nobody to conduct it with.
		e.dataAssert(i)
	}
	m.touch(e)
}

// Byte offsets in IP headers.
const (
	v4HeaderLen = 20
	v6HeaderLen = 40
	v4TTL       = 8
	v6HopLimit  = 7
)

// ttlOf returns the TTL, or hop limit, of a packet; 0 if there is none to see.
func ttlOf(packet []byte) uint8 {
	switch {
	case len(packet) >= v4HeaderLen && packet[0]>>4 == 4:
		return packet[v4TTL]
	case len(packet) >= v6HeaderLen && packet[0]>>4 == 6:
		return packet[v6HopLimit]
	}
	return 0
}

func validKey(k engine.Key) bool { return validSource(k.Source) && ip.Forwarded(k.Group) }
