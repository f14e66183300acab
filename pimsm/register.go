package pimsm

import (
	"net/netip"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/wire"
)

// This file is the DR's side of Registers: the state machine per (S,G) of RFC 7761, section 4.4.1, Figure 1, and the
// encapsulation.

// RegisterState is a state of the Register state machine.
type RegisterState uint8

// The states of Figure 1.
const (
	RegisterNoInfo RegisterState = iota
	RegisterJoin
	RegisterPrune
	RegisterJoinPending
)

// String returns the name that the RFC gives the state.
func (s RegisterState) String() string {
	return [...]string{"NoInfo", "Join", "Prune", "Join-Pending"}[s]
}

// register is a Register state machine that is not in NoInfo state.
type register struct {
	state RegisterState
	rst   engine.Timer // Register-Stop Timer
	rp    *target      // where the tunnel leads: the last RP used
	// stopped are the members of an Anycast-RP set that stopped us, if we are one of it.
	stopped stops
	// tooBig is when the source was last told that its packets do not fit into the tunnel.
	tooBig time.Time
}

// tooBigPause is the least time between two Packet Too Big messages to a source (RFC 4443, section 2.4, asks for a
// limit).
const tooBigPause = time.Second

// registerState is the state of the machine. In Join state the tunnel is in joins(S,G), which is what "add reg tunnel",
// "remove reg tunnel" and "update reg tunnel" in Figure 1 come to.
func (s *source) registerState() RegisterState {
	if s.register == nil {
		return RegisterNoInfo
	}
	return s.register.state
}

// updateRegister makes the transitions "CouldRegister -> True", "CouldRegister -> False" and "RP changed".
func (s *source) updateRegister() {
	could := couldRegister(s)
	switch {
	case could && s.register == nil:
		s.register = &register{rp: s.g.rpf}
		s.register.rst.Do = func(time.Time) { s.registerStopTimerExpires() }
		s.setRegister(RegisterJoin, "CouldRegister(S,G) -> True")
	case !could && s.register != nil:
		s.m.timers.Stop(&s.register.rst)
		s.setRegister(RegisterNoInfo, "CouldRegister(S,G) -> False")
		s.register = nil
	case could && s.register.rp != s.g.rpf:
		s.register.rp = s.g.rpf
		s.m.timers.Stop(&s.register.rst)
		s.setRegister(RegisterJoin, "RP changed")
	}
}

func (s *source) setRegister(state RegisterState, cause string) {
	old := s.register.state
	s.register.state = state
	if old == state {
		return
	}
	s.m.emit(engine.Transition{
		Entity: "register", Key: s.key(), Old: old.String(), New: state.String(), Cause: cause,
	})
	s.m.touchSource(s)
}

// registerStopTimerExpires: from Prune state to Join-Pending with a Null-Register as a question, from there, if nobody
// answered, to Join.
func (s *source) registerStopTimerExpires() {
	m := s.m
	switch s.register.state {
	case RegisterPrune:
		s.setRegister(RegisterJoinPending, "Register-Stop Timer expires")
		m.timers.Set(&s.register.rst, m.now.Add(m.cfg.RegisterProbe)) // (**)
		s.register.stopped.by = nil
		s.sendRegister(wire.NullRegister(s.addr, s.g.addr), 0)
	case RegisterJoinPending:
		s.setRegister(RegisterJoin, "Register-Stop Timer expires")
	}
}

// receiveRegisterStop handles a Register-Stop. "A Register-Stop(*,G) should be treated as a Register-Stop(S,G) for all
// (S,G) Register state machines that are not in the NoInfo state."
func (m *Machine) receiveRegisterStop(p *engine.Packet, r *wire.RegisterStop) {
	g := m.group(r.Group.Addr)
	if g == nil || !r.Group.Single() {
		m.counts.Add("register-stop for an unknown flow")
		return
	}
	// A Register-Stop that the RP did not send could silence a source (section 6.1.2): its address is what there is to
	// check.
	set := m.anycast(g)
	if g.rpf == nil || p.Src != g.rpf.addr && !set.has(p.Src) {
		m.drop(nil, p.Src, "register-stop not from the RP")
		return
	}
	if r.Source.IsUnspecified() {
		for _, s := range g.sources.All {
			s.stopRegistering(set, p.Src)
		}
		return
	}
	if s := m.source(engine.SG(r.Source, r.Group.Addr)); s != nil {
		s.stopRegistering(set, p.Src)
	} else {
		m.counts.Add("register-stop for an unknown flow")
	}
}

// stopRegistering is a Register-Stop of the RP, or of another member of our Anycast-RP set.
func (s *source) stopRegistering(set *anycastSet, from netip.Addr) {
	if set.has(from) {
		s.memberStops(set, from)
	} else {
		s.receiveRegisterStop()
	}
}

func (s *source) receiveRegisterStop() {
	switch s.registerState() {
	case RegisterJoin, RegisterJoinPending:
		m := s.m
		// (*): "a random value chosen uniformly from the interval ( 0.5 * Register_Suppression_Time, 1.5 *
		// Register_Suppression_Time) minus Register_Probe_Time."
		t := m.cfg.RegisterSuppression/2 + m.upTo(m.cfg.RegisterSuppression) - m.cfg.RegisterProbe
		m.timers.Set(&s.register.rst, m.now.Add(t))
		s.setRegister(RegisterPrune, "receive Register-Stop")
	}
}

// registerPacket encapsulates a data packet in the Register tunnel. "The TTL of a forwarded data packet is decremented
// before it is encapsulated in the Register Tunnel." The DSCP and ECN bits go over to the outer header.
func (s *source) registerPacket(packet []byte) {
	m := s.m
	inner, ok := decrementTTL(packet)
	if !ok {
		m.counts.Add("data with TTL 1 not registered")
		return
	}
	rp := s.g.rpf
	if mtu := tunnelMTU(rp); s.addr.Is6() && mtu > 0 && len(inner) > mtu {
		// "In IPv6 [...] an ICMP Packet Too Big message MUST be sent by the encapsulating DR if it receives a packet
		// that will not fit in the effective MTU of the tunnel."
		m.counts.Add("data too big for the register tunnel")
		if last := s.register.tooBig; last.IsZero() || m.now.Sub(last) >= tooBigPause {
			s.register.tooBig = m.now
			m.sendPacketTooBig(s, packet, mtu)
		}
	}
	// Deviation: a packet that does not fit into the tunnel is not fragmented before the encapsulation (IPv4), and not
	// dropped (IPv6). The kernel fragments the Register, and the RP puts it together. So an IPv4 packet with the DF bit,
	// which Linux sets on all UDP, arrives, and an IPv6 source that heeds no Packet Too Big about a group is heard: once
	// its packets go natively, they fit.
	s.sendRegister(&wire.Register{Packet: inner}, trafficClass(inner))
}

// tunnelMTU is the effective MTU of the Register tunnel: what fits into the link towards the RP beside the outer header
// and that of the Register; for IPv6 never below the 1280 that every host may send (then the kernel fragments the
// Register, as section 4.4.1 asks). 0: not known.
func tunnelMTU(rp *target) int {
	if rp.iface == nil || rp.iface.link.MTU == 0 {
		return 0
	}
	return max(rp.iface.link.MTU-48, 1280)
}
