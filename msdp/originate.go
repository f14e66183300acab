package msdp

import (
	"net/netip"
	"time"

	"grove/internal/engine"
	"grove/internal/ip"
)

// This file is the origination of Source-Active messages for the sources of our own domain, RFC 3618, sections 3 and 5.1. Which
// these are pimsm says: those "which would register to it" (section 6).

// sourceActive: pimsm tells of a source of its domain. "An originating RP SHOULD trigger the transmission of an SA message as
// soon as it receives data from an internal source for the first time" (section 5.1).
func (m *Machine) sourceActive(e engine.SourceActive) {
	if !unicast(e.Key.Source) || !ip.Forwarded(e.Key.Group) || !e.Key.Group.Is4() {
		return
	}
	k := keyOf(e.Key.Source, e.Key.Group)
	s := m.flows[k].own()
	switch {
	case !e.Active:
		if s != nil {
			s.remove("the source is no longer active")
		}
	case s == nil:
		s = &sa{born: m.now, domainLocal: domainLocal(e.Key.Source, e.Key.Group)}
		m.own.append(s)
		m.join(s, k)
		s.originate(e.RP)
		m.emit(engine.Transition{Entity: "SA", Key: e.Key, Old: "NoInfo", New: "Originated", Cause: "the source is active"})
		m.announce(s, e.Packet)
	case s.rp.of != e.RP:
		s.originate(e.RP)
		m.announce(s, nil)
	}
}

// own returns our own entry of the flow.
func (f *flow) own() *sa {
	if f == nil {
		return nil
	}
	for s := f.first; s != nil; s = s.other {
		if s.peer == nil {
			return s
		}
	}
	return nil
}

// originator is the address that our messages name as the RP's.
func (m *Machine) originator(rp netip.Addr) netip.Addr {
	if m.cfg.OriginatorID.IsValid() {
		return m.cfg.OriginatorID
	}
	return rp
}

// originate sets what our message of the source says, and whether there is one. of is the RP that pimsm names.
func (s *sa) originate(of netip.Addr) {
	m := s.flow.m
	named := m.originator(of)
	r := m.ownRPs[of]
	if r == nil || r.addr != named {
		r = &rp{m: m, addr: named, of: of}
		m.ownRPs[of] = r
	}
	s.rp = r
	s.withheld = !unicast(named) || !m.cfg.Originate.permits(s.source(), s.group(), named)
}

// announce sends what is new of our own. The first packet goes with it if there is one: "an implementation SHOULD encapsulate at
// least the first packet to provide service to bursty sources", and only that one, for it "MUST bound the time during which
// packets are encapsulated" (section 8).
func (m *Machine) announce(s *sa, packet []byte) {
	if s.withheld {
		m.counts.Add("source of ours withheld by the filter")
		return
	}
	if m.cfg.NoData || !fits(s, packet) {
		packet = nil
	}
	s.forwarded = m.now
	m.goesOn(s, packet)
}

// refilter applies a new configuration to our own sources; refilterSlice does to what peers told.
func (m *Machine) refilter() {
	for s := m.own.first; s != nil; s = s.next {
		withheld, named := s.withheld, s.rp.addr
		s.originate(s.rp.of)
		if withheld && !s.withheld || named != s.rp.addr {
			m.announce(s, nil)
		}
	}
}

// ---- section 5.2 ----

// advertising is the SA-Advertisement-Timer, and where the walk through our own sources has come to.
type advertising struct {
	timer engine.Timer
	begun time.Time // of this period
	next  *sa
	parts int // of this period that are still to come
}

const (
	// advertiseParts are the marks in a period at which messages are sent: "An RP MUST spread the generation of periodic SA
	// messages [...] over its reporting interval".
	advertiseParts = 60
	// advertiseAtOnce is how many sources are told of at each mark, however few there are: one full message.
	advertiseAtOnce = 255
)

func (m *Machine) startAdvertising() {
	a := &m.advertise
	a.next, a.parts = nil, 0
	a.begun = m.now
	m.timers.Set(&a.timer, m.now.Add(m.cfg.Advertisement))
}

// advertisementTimerExpires: "An RP packs its active sources into an SA message until the largest MSDP packet that can be sent
// is built or there are no more sources, and then sends the message. This process is repeated periodically within the
// SA-Advertisement-Period in such a way that all of the RP's sources are advertised."
func (m *Machine) advertisementTimerExpires() {
	a := &m.advertise
	if a.parts == 0 {
		a.begun, a.next, a.parts = m.now, m.own.first, advertiseParts
	}
	n := max(advertiseAtOnce, (m.own.n+advertiseParts-1)/advertiseParts)
	if a.parts == 1 {
		n = m.own.n // whatever has come since
	}
	a.parts--
	for ; n > 0 && a.next != nil; n-- {
		s := a.next
		a.next = s.next
		// A source that became active in this period has been told of.
		if !s.withheld && s.born.Before(a.begun) {
			s.forwarded = m.now
			m.goesOn(s, nil)
		}
	}
	if a.next == nil {
		a.parts = 0
		m.timers.Set(&a.timer, a.begun.Add(m.cfg.Advertisement))
		return
	}
	m.timers.Set(&a.timer, a.begun.Add(m.cfg.Advertisement*time.Duration(advertiseParts-a.parts)/advertiseParts))
}
