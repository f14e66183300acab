package pimsm

import (
	"net/netip"
	"slices"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/wire"
)

// This file is Anycast-RP by PIM, RFC 4610: several routers have the RP's address, and each hands on the Registers that reach
// it to the other members of the set, by addresses of their own.

// anycastSet is an Anycast-RP set.
type anycastSet struct{ members []*target }

// anycast returns the set of RP(G); nil if there is none, we are not the RP, or none of its members.
func (m *Machine) anycast(g *group) *anycastSet {
	if len(m.anycasts) == 0 || !iAmRP(g) {
		return nil
	}
	if a := m.anycasts[g.rpf.addr]; a != nil && a.self().IsValid() {
		return a
	}
	return nil
}

// self is the address by which the other members know us; invalid if we are none of the set.
func (a *anycastSet) self() netip.Addr {
	for _, t := range a.members {
		if t.local {
			return t.addr
		}
	}
	return netip.Addr{}
}

// has says whether an address is that of another member.
func (a *anycastSet) has(member netip.Addr) bool {
	if a == nil {
		return false
	}
	for _, t := range a.members {
		if t.addr == member {
			return !t.local
		}
	}
	return false
}

// others returns the other members that can be reached.
func (a *anycastSet) others() []*target {
	var list []*target
	if a != nil {
		for _, t := range a.members {
			if !t.local && t.reachable {
				list = append(list, t)
			}
		}
	}
	return list
}

// configureAnycast takes over the sets of a configuration. Members are tracked: what unicast does not reach is sent nothing.
func (m *Machine) configureAnycast() {
	old := m.members
	m.members, m.anycasts = nil, make(map[netip.Addr]*anycastSet)
	for _, t := range old {
		t.pinned--
	}
	for _, c := range m.cfg.AnycastRPs {
		a := &anycastSet{}
		for _, addr := range c.Members {
			t := m.track(addr)
			t.pinned++
			m.members = append(m.members, t)
			a.members = append(a.members, t)
		}
		m.anycasts[c.Address] = a
	}
	for _, t := range old {
		t.release()
	}
}

// memberMoved says that the path to a target changed: if it is a member of an Anycast-RP set, who is told of sources changes.
func (m *Machine) memberMoved(t *target) {
	if !slices.Contains(m.members, t) {
		return
	}
	for _, rp := range m.rps {
		if a := m.anycasts[rp.addr]; a != nil && slices.Contains(a.members, t) {
			rp.touch()
			for _, g := range rp.groups.All {
				for _, s := range g.sources.All {
					m.touchSource(s)
				}
			}
		}
	}
}

// copyRegister hands a Register on that did not come from a member. "An implementation MUST safeguard against inconsistently
// configured Anycast-RP sets in each RP by copying the Time to Live (TTL) from a Register message to the Register messages it
// copies" (section 4).
func (m *Machine) copyRegister(a *anycastSet, p *engine.Packet, r *wire.Register) {
	if p.TTL <= 1 {
		m.counts.Add("register with TTL 1 not handed on")
		return
	}
	for _, t := range a.others() {
		m.transmit(engine.Send{Src: a.self(), Dst: t.addr, TTL: p.TTL - 1, TOS: p.TOS}, r)
	}
}

// sendRegister sends a Register of a source that is ours to register: to the RP or, if we are that, to the other members of
// its set.
func (s *source) sendRegister(r *wire.Register, tos uint8) {
	a := s.m.anycast(s.g)
	if a == nil {
		s.m.sendRegister(s.g.rpf, r, tos)
		return
	}
	for _, t := range a.others() {
		s.m.transmit(engine.Send{Src: a.self(), Dst: t.addr, TTL: defaultTTL, TOS: tos}, r)
	}
}

// stops are the members of an Anycast-RP set that want no Registers of a source.
type stops struct {
	by    []netip.Addr
	since time.Time // the first Register since which they were asked
}

// membersAnswer is the time after which a member that has not answered a Register keeps nobody waiting.
const membersAnswer = 3 * time.Second

// all says whether all other members have stopped.
func (s *stops) all(a *anycastSet) bool {
	for _, t := range a.others() {
		if !slices.Contains(s.by, t.addr) {
			return false
		}
	}
	return true
}

// membersWait says that a Register-Stop to the DR has to wait: other members have not stopped us, so that there may be receivers
// to whom the packets come by our copies alone.
//
// Deviation: by section 3 of RFC 4610 the DR is stopped at once if we have no receivers, and those of other members are
// without packets until their RP has joined the source. A member that does not answer delays the Register-Stop by three
// seconds.
func (s *source) membersWait(from netip.Addr) bool {
	a := s.m.anycast(s.g)
	if a == nil || a.has(from) || len(a.others()) == 0 {
		return false
	}
	d := s.decap
	return d == nil || !d.stopped.all(a) && s.m.now.Sub(d.stopped.since) < membersAnswer
}

// memberStops is a Register-Stop of another member.
func (s *source) memberStops(a *anycastSet, member netip.Addr) {
	if s.register != nil {
		s.register.stopped.add(member)
		if s.register.stopped.all(a) {
			s.receiveRegisterStop()
		}
	}
	if d := s.decap; d != nil && !a.has(d.from) {
		d.stopped.add(member)
		if d.stopped.all(a) && s.nativeOrUnwanted() {
			s.stopDR()
		}
	}
}

func (s *stops) add(member netip.Addr) {
	if !slices.Contains(s.by, member) {
		s.by = append(s.by, member)
	}
}
