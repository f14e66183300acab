package pimsm

import (
	"net/netip"
	"time"

	"grove/internal/engine"
	"grove/internal/ip"
	"grove/internal/pim/wire"
)

// This file is the RP's side of Registers, RFC 7761, section 4.4.2, and the change from packets in Registers to packets
// that come natively, which is ours (see "Source start" in doc.go).

// decap is what the RP knows of a source while Registers come.
type decap struct {
	from, rp netip.Addr // the last Register: outer.src and outer.dst
	// seen are the packets that came natively, so that the same packet in a Register is not sent again. From the first
	// one that is found there, the Registers are behind the native packets, and only repeat them.
	seen     map[uint64]struct{}
	order    []uint64 // of seen; the oldest goes
	next     int
	caughtUp bool
	// ceased runs while Registers come; after one that no Register-Stop answered, for as long as the flow may be silent,
	// so that a flow whose second packet is late is watched when that packet comes both natively and in a Register.
	ceased engine.Timer
	// stopped are the other members of an Anycast-RP set that need no copies any more.
	stopped stops
}

// maxSeen is how many packets Registers may lag behind the native ones; more are forwarded twice.
const maxSeen = 4096

// watching says whether native packets are to come up, to be remembered.
func (d *decap) watching() bool { return !d.caughtUp }

func (d *decap) remember(packet []byte) {
	if d.caughtUp {
		return
	}
	if d.seen == nil {
		d.seen = make(map[uint64]struct{})
	}
	h := packetHash(packet)
	if _, known := d.seen[h]; known {
		return
	}
	d.seen[h] = struct{}{}
	if len(d.order) < maxSeen {
		d.order = append(d.order, h)
		return
	}
	delete(d.seen, d.order[d.next])
	d.order[d.next] = h
	d.next = (d.next + 1) % maxSeen
}

// receiveRegister is packet_arrives_on_rp_tunnel( pkt ) of section 4.4.2, up to the point where (S,G) state is needed.
func (m *Machine) receiveRegister(p *engine.Packet, r *wire.Register) {
	if m.owned[p.Dst] == 0 {
		// "drop the packet silently. Note: This may be a spoofing attempt."
		m.counts.Add("register not to one of our addresses")
		return
	}
	source, group := r.Flow()
	if !validSource(source) || !ip.Forwarded(group) {
		m.drop(nil, p.Src, "register of a flow that is never forwarded")
		return
	}
	rp := m.rpOf(group)
	var set *anycastSet
	var to netip.Addr // where Registers of the group are to go
	if rp != nil {
		set, to = m.anycasts[rp.addr], rp.addr
	}
	handedOn := set.has(p.Src) // by another member of the Anycast-RP set (RFC 4610)
	if handedOn {
		to = set.self()
	}
	if m.isSSM(group) || rp == nil || !rp.local || p.Dst != to {
		m.counts.Add("register but we are not the RP")
		m.sendRegisterStop(source, group, p.Dst, p.Src)
		return
	}
	if !m.acceptsRegister(source, group) {
		m.counts.Add("register refused by the filter")
		m.sendRegisterStop(source, group, p.Dst, p.Src)
		return
	}
	s := m.makeSource(source, group)
	if s == nil {
		return
	}
	if !handedOn && set != nil && set.self().IsValid() {
		m.copyRegister(set, p, r)
	}
	src, dst, tos := p.Src, p.Dst, p.TOS
	s.whenPathKnown(func() { s.registerArrives(src, dst, tos, r) })
}

// registerArrives is the middle part:
//
//	sentRegisterStop = FALSE;
//	if ( SPTbit(S,G) OR ( SwitchToSptDesired(S,G) AND ( inherited_olist(S,G) == NULL ))) {
//	  send Register-Stop(S,G) to outer.src
//	  sentRegisterStop = TRUE;
//	}
//	if ( SPTbit(S,G) OR SwitchToSptDesired(S,G) ) {
//	     if ( sentRegisterStop == TRUE ) {
//	          set KeepaliveTimer(S,G) to RP_Keepalive_Period;
//	     } else {
//	          set KeepaliveTimer(S,G) to Keepalive_Period;
//	     }
//	}
//	if( !SPTbit(S,G) AND ! pkt.NullRegisterBit ) {
//	     decapsulate and forward the inner packet to inherited_olist(S,G,rpt) # Note (+)
//	}
func (s *source) registerArrives(src, dst netip.Addr, tos uint8, r *wire.Register) {
	m := s.m
	if !iAmRP(s.g) {
		m.touchSource(s)
		m.sendRegisterStop(s.addr, s.g.addr, dst, src)
		return
	}
	if r.Null {
		s.registersWithUs(nil)
	} else {
		s.registersWithUs(r.Packet)
	}
	s.countBytes(uint64(len(r.Packet)))
	sentRegisterStop := false
	if s.nativeOrUnwanted() && (r.Null || !s.membersWait(src)) {
		m.sendRegisterStop(s.addr, s.g.addr, dst, src)
		sentRegisterStop = true
	}
	if sptBit(s) || switchToSptDesired(s) {
		if sentRegisterStop {
			s.setKeepalive(max(m.cfg.KeepalivePeriod, m.rpKeepalivePeriod()))
		} else {
			s.setKeepalive(m.cfg.KeepalivePeriod)
		}
	}
	if r.Null || sentRegisterStop && s.decap == nil {
		// Nobody wants it, or it has come natively for a while.
		m.touchSource(s)
		return
	}
	s.registersCome(src, dst, sentRegisterStop)
	// Deviation: section 4.4.2, note (+), would have the packet rejoin the normal forwarding path, from the
	// decapsulation interface. It is forwarded by hand instead, because the row of (S,G) has RPF_interface(S) as its
	// incoming interface from the first Register on: the moment the first native packet arrives it is forwarded, and
	// none is lost to a row that has to be changed first. For the same reason Registers are still forwarded when the
	// SPTbit is set, until they are seen to repeat native packets: those in flight are older than the first native one.
	if s.sptBit && s.decap.caughtUp {
		return
	}
	if _, repeated := s.decap.seen[packetHash(r.Packet)]; repeated {
		s.decap.caughtUp = true
		s.decap.seen, s.decap.order = nil, nil
		m.touchSource(s)
		return
	}
	out := inheritedOlistSGRpt(s)
	if s.sptBit {
		out = inheritedOlistSG(s)
	} else {
		m.timers.Set(s.flowTimer(), m.now.Add(m.cfg.KeepalivePeriod))
		s.arrives(arrival{iif: decapsulation, forwarded: true})
	}
	if out &^= registerTunnel; out != 0 {
		m.inject(out, withCongestion(r.Packet, tos), true)
	}
}

// nativeOrUnwanted is the condition of a Register-Stop: the packets come natively, or nobody wants them.
func (s *source) nativeOrUnwanted() bool {
	return sptBit(s) || switchToSptDesired(s) && inheritedOlistSG(s) == 0
}

// registersCome keeps the state of the decapsulation while Registers come, stopped says that they will not for long.
func (s *source) registersCome(src, dst netip.Addr, stopped bool) {
	m := s.m
	if s.decap == nil {
		s.decap = &decap{stopped: stops{since: m.now}}
		s.decap.ceased.Do = func(time.Time) {
			s.decap = nil
			m.touchSource(s)
		}
		m.touchSource(s)
	}
	s.decap.from, s.decap.rp = src, dst
	wait := m.cfg.KeepalivePeriod
	if stopped {
		wait = stopReaches
	}
	m.timers.Set(&s.decap.ceased, m.now.Add(wait))
}

// stopReaches is the time after which a DR has surely heard a Register-Stop, and its last Register has come.
const stopReaches = time.Second

// seenNatively: the SPTbit is set. The DR is told to stop at once, and not at its next Register.
func (s *source) seenNatively() {
	if s.decap != nil && iAmRP(s.g) && !s.membersWait(s.decap.from) {
		s.stopDR()
	}
}

// stopDR sends whoever sends Registers a Register-Stop.
func (s *source) stopDR() {
	m := s.m
	m.sendRegisterStop(s.addr, s.g.addr, s.decap.rp, s.decap.from)
	m.timers.Set(&s.decap.ceased, m.now.Add(stopReaches))
}

// rpKeepalivePeriod is RP_Keepalive_Period of section 4.11: ( 3 * Register_Suppression_Time ) + Register_Probe_Time.
func (m *Machine) rpKeepalivePeriod() time.Duration {
	return 3*m.cfg.RegisterSuppression + m.cfg.RegisterProbe
}

func (m *Machine) acceptsRegister(source, group netip.Addr) bool {
	for _, f := range m.cfg.AcceptRegister {
		if f.Source.Contains(source) && f.Group.Contains(group) {
			return true
		}
	}
	return len(m.cfg.AcceptRegister) == 0
}
