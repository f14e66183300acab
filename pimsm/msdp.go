package pimsm

import (
	"net/netip"
	"time"

	"grove/internal/engine"
)

// This file is what MSDP asks of an RP (RFC 3618): which sources of its own domain are active, for which groups it wants those of
// other domains, and what follows from them. The machine msdp does the rest.

// interdomain is what a source has to do with other domains.
type interdomain struct {
	// registered runs while the source's DR registers it with us, by Null-Registers, too.
	registered engine.Timer
	said       netip.Addr // the RP by which msdp was told that the source is active; invalid: it was not
	remote     bool       // msdp tells of the source: it is another domain's, and active
}

// announced says that MSDP tells of the source: KeepaliveTimer(S,G) of another domain, so to speak.
func announced(s *source) bool { return s.msdp != nil && s.msdp.remote && iAmRP(s.g) }

// ofOurDomain says whether the source is one of ours to tell of: "an RP MUST only originate an SA for a source which would
// register to it" (RFC 3618, section 6). Of a source on a link of ours "an RP that isn't a DR on a shared network SHOULD NOT
// originate SA's", but "only originate in response to receiving Register messages from the DR" (section 3).
func ofOurDomain(s *source) bool {
	return s.msdp != nil && s.msdp.registered.Running() || directlyConnected(s) && iAmDRTowards(s) && s.kat.Running()
}

func (s *source) interdomain() *interdomain {
	if s.msdp == nil {
		s.msdp = &interdomain{}
		s.msdp.registered.Do = func(time.Time) { s.m.touchSource(s) }
	}
	return s.msdp
}

// registersWithUs: a Register came from the source's DR. It is followed by Null-Registers at least every
// Register_Suppression_Time and a half while the source is active.
func (s *source) registersWithUs(packet []byte) {
	m := s.m
	if !m.cfg.MSDP {
		return
	}
	m.timers.Set(&s.interdomain().registered, m.now.Add(max(m.cfg.KeepalivePeriod, m.rpKeepalivePeriod())))
	s.sayActive(packet)
	m.touchSource(s)
}

// updateMSDP says whether the source is active, and forgets what is over.
func (s *source) updateMSDP() {
	m := s.m
	var packet []byte
	if m.arriving.s == s && len(m.arriving.packet) > 0 {
		packet, _ = decrementTTL(m.arriving.packet) // as the DR does before a packet goes into a Register
	}
	s.sayActive(packet)
	if d := s.msdp; d != nil && !d.said.IsValid() && !d.remote && !d.registered.Running() {
		s.msdp = nil
	}
}

func (s *source) sayActive(packet []byte) {
	m := s.m
	var rp netip.Addr
	if m.cfg.MSDP && iAmRP(s.g) && ofOurDomain(s) {
		rp = s.g.rpf.addr
	}
	if s.msdp == nil && !rp.IsValid() || s.msdp != nil && s.msdp.said == rp {
		return
	}
	d := s.interdomain()
	e := engine.SourceActive{Key: s.key(), RP: rp, Active: rp.IsValid(), Packet: packet}
	if !e.Active {
		e.RP, e.Packet = d.said, nil
	}
	d.said = rp
	m.emit(e)
}

// updateMSDP says whether there are receivers of the group: "the RP checks for a (*,G) entry with a non-empty outgoing interface
// list" (RFC 3618, section 3).
func (g *group) updateMSDP() {
	m := g.m
	wanted := m.cfg.MSDP && iAmRP(g) && joinDesiredStarG(g)
	if wanted != g.saidWanted {
		g.saidWanted = wanted
		m.emit(engine.SourcesWanted{Group: g.addr, Wanted: wanted})
	}
}

// remoteSource: msdp tells of a source of another domain. "The RP triggers a (S,G) join event towards the data source as if a
// Join/Prune message was received addressed to the RP itself" (RFC 3618, section 3): JoinDesired(S,G) sees to it.
func (m *Machine) remoteSource(e engine.RemoteSource) {
	if !validSource(e.Key.Source) || !validGroup(e.Key.Group) || m.isSSM(e.Key.Group) {
		m.counts.Add("source of another domain that is never forwarded")
		return
	}
	if !e.Active {
		if s := m.source(e.Key); s != nil && s.msdp != nil {
			s.msdp.remote = false
			m.touchSource(s)
		}
		return
	}
	if !m.cfg.MSDP {
		return
	}
	s := m.makeSource(e.Key.Source, e.Key.Group)
	if s == nil {
		return
	}
	s.interdomain().remote = true
	m.touchSource(s)
	if packet := e.Packet; len(packet) > 0 {
		s.whenPathKnown(func() { s.remotePacket(packet) })
	}
}

// remotePacket is a packet that a Source-Active message carried. It "SHOULD be forwarded as if a PIM register encapsulated packet
// was received. That is, if packets are already arriving over the interface toward the source, then the packet is dropped.
// Otherwise, if the outgoing interface list is non-null, the packet is forwarded appropriately" (RFC 3618, section 8).
func (s *source) remotePacket(packet []byte) {
	m := s.m
	if !iAmRP(s.g) || s.sptBit {
		m.counts.Add("packet of a source-active not forwarded")
		return
	}
	if out := inheritedOlistSGRpt(s) &^ registerTunnel; out != 0 {
		m.inject(out, packet, true)
	}
}

// configureMSDP: if MSDP begins or ends everything is said anew, and what it told ends with it.
func (m *Machine) configureMSDP(was bool) {
	if was == m.cfg.MSDP {
		return
	}
	for _, g := range engine.SortedAddrs(m.groups) {
		m.touchGroup(g)
		for _, s := range g.sources.All {
			if s.msdp != nil {
				s.msdp.remote = false
			}
			m.touchSource(s)
		}
	}
}
