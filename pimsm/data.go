package pimsm

import (
	"time"

	"grove/internal/engine"
	"grove/internal/ip"
)

// This file is what the forwarding plane tells of data packets, and what section 4.2 of RFC 7761 makes of it besides
// forwarding: the KeepaliveTimer, the SPTbit, the switch to the shortest-path tree, Asserts.

// arrival is a data packet that came up.
type arrival struct {
	iif       ifSet
	packet    []byte
	tapped    bool // the tap of a (*,*) or (*,G) row handed it up; the kernel does not say where it came in
	forwarded bool // the forwarding plane has sent it to where its row says, or will
}

// creation is a packet of a flow that has no entry. It is answered at Settled: by the row that follows from what the
// packet did, or by Decline.
func (m *Machine) creation(e engine.Creation) {
	if !validSource(e.Key.Source) || !ip.Forwarded(e.Key.Group) {
		m.emit(engine.Decline{Key: e.Key})
		return
	}
	s := m.makeSource(e.Key.Source, e.Key.Group)
	if s == nil {
		m.emit(engine.Decline{Key: e.Key})
		return
	}
	s.asked = true
	a := arrival{iif: m.bitOf(e.If), packet: e.Packet, tapped: e.Packet != nil, forwarded: e.Packet == nil}
	s.whenPathKnown(func() {
		if externallyReached(s) && a.iif == 0 {
			a.iif = external
		}
		s.appears(a)
	})
}

// appears is the first packet of a flow.
func (s *source) appears(a arrival) {
	m := s.m
	if a.tapped {
		a.iif = s.tappedOn()
		a.forwarded = s.tapForwards(a.iif) || externallyReached(s)
	}
	if s.interesting() {
		m.timers.Set(s.flowTimer(), m.now.Add(m.cfg.KeepalivePeriod))
	}
	s.arrives(a)
	m.touchSource(s)
	m.sayLater(s)
}

// tappedOn returns where a packet must have come in that a (*,*) or (*,G) row tapped: the kernel does not say.
// The rows take no packets from interfaces of other protocols.
func (s *source) tappedOn() ifSet {
	if directlyConnected(s) && !externallyReached(s) {
		return rpfInterface(s)
	}
	return rpfInterfaceRP(s.g)
}

// tapForwards says whether a tapped packet from an interface met the (*,G) row, which has forwarded it: it came in on
// the row's incoming interface, or (*,*) covers both. The (*,*) row itself forwards nothing.
func (s *source) tapForwards(iif ifSet) bool {
	g, starStar := s.g.said, s.m.said.out
	return g.wanted && (iif == g.in || starStar.Has(iif) && starStar.Has(g.in))
}

// interesting says whether packets of the flow are to be watched: if not, the forwarding plane can forget it.
func (s *source) interesting() bool {
	return directlyConnected(s) && !uselessHere(s) || s.up.state == Joined || s.g.up.state == Joined || iAmRP(s.g)
}

// arrives is "On receipt of data from S to G on interface iif" (section 4.2). The forwarding plane tells of some packets
// only; those in between found everything as they left it.
func (s *source) arrives(a arrival) {
	m := s.m
	if a.iif == 0 {
		return
	}
	m.arriving.s, m.arriving.packet = s, a.packet
	defer func() { m.arriving.s, m.arriving.packet = nil, nil }()
	// "First, we restart (or start) the Keepalive Timer if the source is on a directly connected subnet."
	if directlyConnected(s) && a.iif == rpfInterface(s) && !uselessHere(s) {
		s.setKeepalive(m.cfg.KeepalivePeriod)
	}
	if a.iif == rpfInterface(s) && s.up.state == Joined && inheritedOlistSG(s) != 0 {
		s.setKeepalive(m.cfg.KeepalivePeriod)
	}
	// "Second, we check to see if the SPTbit should be set because we've now switched from the RP tree to the SPT."
	if updateSPTbit(s, a.iif) {
		s.setSPTbit("data arrives on RPF_interface(S)")
	}
	switch in := incomingSG(s); {
	case a.iif == in && s.iif != in:
		s.iif = in
		m.touchSource(s)
	case a.iif != in && a.iif != decapsulation:
		s.wrong, s.wrongAt = s.wrong|a.iif, m.now.UnixNano()
	}
	v := forward(s, a.iif)
	if v.onRPTree && !externallyReached(s) && checkSwitchToSpt(s) {
		s.setKeepalive(m.cfg.KeepalivePeriod)
	}
	s.repeatAssert(a.iif, v.assert)
	s.dataAssert(a.iif, v.assert)
	if a.packet == nil {
		return
	}
	if s.registerState() == RegisterJoin && a.iif == rpfInterface(s) {
		s.registerPacket(a.packet)
	}
	if out := v.oifs &^ (registerTunnel | others); !a.forwarded && out != 0 {
		m.inject(out, a.packet, false)
	}
}

// wrongInterval is how long Linux reports no more packets of a row on wrong interfaces after one (MFC_ASSERT_THRESH).
const wrongInterval = 3 * time.Second

// updateDataAsserts: a report of a packet on a wrong interface stands for all that come in the interval in which the
// kernel reports no more. If an Assert has become possible since, their arrival is its event.
func (s *source) updateDataAsserts() {
	if s.wrong == 0 {
		return
	}
	if time.Duration(s.m.now.UnixNano()-s.wrongAt) > wrongInterval {
		s.wrong = 0
		return
	}
	for slot := range s.wrong.Bits() {
		s.dataAssert(1<<slot, forward(s, 1<<slot).assert)
	}
}

// setKeepalive sets the KeepaliveTimer. "A register state transition or UpstreamJPState(S,G) transition may happen as a
// result of restarting KeepaliveTimer, and must be dealt with here" (section 4.2).
func (s *source) setKeepalive(d time.Duration) {
	m := s.m
	started := !s.kat.Running()
	if s.kat.Do == nil {
		s.kat.Do = func(time.Time) { s.keepaliveTimerExpires() }
	}
	m.setMax(&s.kat, d)
	if started {
		m.touchSource(s)
		m.update()
	}
}

func (s *source) flowTimer() *engine.Timer {
	if s.flow.Do == nil {
		s.flow.Do = func(time.Time) {
			s.iif = 0
			s.m.touchSource(s)
		}
	}
	return &s.flow
}

func (s *source) keepaliveTimerExpires() {
	s.listenAgain()
	s.m.touchSource(s)
}

func (s *source) setSPTbit(cause string) {
	if s.sptBit {
		return
	}
	s.sptBit = true
	s.m.emit(engine.Transition{Entity: "SPTbit", Key: s.key(), Old: "FALSE", New: "TRUE", Cause: cause})
	s.seenNatively()
	s.m.touchSource(s)
	s.m.update()
}

func (s *source) clearSPTbit(cause string) {
	if !s.sptBit {
		return
	}
	s.sptBit = false
	s.m.emit(engine.Transition{Entity: "SPTbit", Key: s.key(), Old: "TRUE", New: "FALSE", Cause: cause})
	s.m.touchSource(s)
}

// wrongInterface is a packet that came in elsewhere than on the incoming interface of its row.
func (m *Machine) wrongInterface(e engine.WrongInterface) {
	iif := m.bitOf(e.If)
	if iif == 0 || !e.Key.Source.IsValid() {
		return // of no PIM interface, or what the kernel decapsulated from a Register
	}
	s := m.source(e.Key)
	if s == nil {
		// It met the (*,G) row on an outgoing interface. Nothing has been done for it yet.
		if s = m.makeSource(e.Key.Source, e.Key.Group); s == nil {
			return
		}
		s.whenPathKnown(func() { s.appears(arrival{iif: iif, packet: e.Packet}) })
		return
	}
	s.whenPathKnown(func() {
		before := s.sptBit
		m.timers.Set(s.flowTimer(), m.now.Add(m.cfg.KeepalivePeriod))
		s.arrives(arrival{iif: iif, packet: e.Packet, forwarded: true})
		if s.sptBit != before {
			m.sayLater(s)
		}
		m.touchSource(s)
	})
}

// wholePacket is a packet that a row handed up because we asked: to register it, or to know of it. Those that come while
// the first of the flow waits for the path to the source wait behind it.
func (m *Machine) wholePacket(e engine.WholePacket) {
	if s := m.source(e.Key); s != nil {
		s.whenPathKnown(func() { s.tapped(e.Packet) })
	}
}

func (s *source) tapped(packet []byte) {
	m := s.m
	fresh := !s.flow.Running()
	m.timers.Set(s.flowTimer(), m.now.Add(m.cfg.KeepalivePeriod))
	// Until its own row is there, packets of a host come by the (*,*) or (*,G) row.
	a := arrival{iif: s.said.in, packet: packet, forwarded: s.installed || !directlyConnected(s)}
	if a.iif == 0 || !s.installed && (s.g.said.wanted || externallyReached(s)) {
		a.iif = s.tappedOn()
	}
	if externallyReached(s) {
		a.forwarded = true // by the row of (S,G), or by the (*,G) row
	}
	if s.decap != nil && a.iif == rpfInterface(s) {
		s.decap.remember(packet)
	}
	s.arrives(a)
	if fresh {
		m.touchSource(s)
	}
}

// activity says that packets came since we were last told.
func (m *Machine) activity(e engine.Activity) {
	s := m.source(e.Key)
	if s == nil || e.Packets == 0 || !s.rpf.known {
		return
	}
	s.countBytes(e.Bytes)
	fresh := !s.flow.Running()
	m.timers.Set(s.flowTimer(), m.now.Add(m.cfg.KeepalivePeriod))
	s.arrives(arrival{iif: s.said.in, forwarded: true})
	if fresh {
		m.touchSource(s)
	}
}

// inject sends a packet out of interfaces by hand, as the forwarding plane would have. If it comes out of a Register mfib sends
// it out of other protocols' interfaces as well.
func (m *Machine) inject(out ifSet, packet []byte, decapsulated bool) {
	fresh, ok := decrementTTL(packet)
	if !ok {
		m.counts.Add("data with TTL 1 not forwarded")
		return
	}
	m.counts.Add("data packets forwarded by hand")
	m.emit(engine.Inject{Out: m.ifIDs(out), Fresh: decapsulated, Packet: fresh})
}
