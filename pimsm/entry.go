package pimsm

import (
	"net/netip"

	"grove/internal/engine"
	"grove/internal/ip"
)

// This file is the life of entries: how they come to be, what is worked out when something of theirs changed, and when
// they go.

func (m *Machine) group(a netip.Addr) *group { return m.groups[a] }

func (m *Machine) source(k engine.Key) *source {
	if g := m.groups[k.Group]; g != nil {
		return g.source(k.Source)
	}
	return nil
}

// fewSources is up to how many sources a group has no index of them: most have one.
const fewSources = 8

// source returns the state of a source; nil if there is none.
func (g *group) source(a netip.Addr) *source {
	if g.index != nil {
		return g.index[a]
	}
	for _, s := range g.sources.All {
		if s.addr == a {
			return s
		}
	}
	return nil
}

func (g *group) addSource(s *source) {
	g.sources.Add(s, placeInGroup)
	g.m.sources++
	switch {
	case g.index != nil:
		g.index[s.addr] = s
	case len(g.sources.All) > fewSources:
		g.index = make(map[netip.Addr]*source)
		for _, s := range g.sources.All {
			g.index[s.addr] = s
		}
	}
}

func (g *group) removeSource(s *source) {
	g.sources.Remove(s, placeInGroup)
	g.m.sources--
	delete(g.index, s.addr)
	if len(g.sources.All) <= fewSources/2 {
		g.index = nil
	}
}

// makeGroup returns the state of a group, made if there is none; nil if there is no room for more.
func (m *Machine) makeGroup(a netip.Addr) *group {
	if m.dense(a) {
		return nil
	}
	if g := m.groups[a]; g != nil {
		return g
	}
	if !m.room() {
		return nil
	}
	g := &group{addr: a, ssm: m.isSSM(a)}
	g.m = m
	m.groups[a] = g
	g.setRP(m.rpOf(a))
	m.touchGroup(g)
	return g
}

// makeSource returns the state of a source of a group, made if there is none; nil if there is no room for more. State
// of which nothing remains when the Step ends goes again.
func (m *Machine) makeSource(a, group netip.Addr) *source {
	g := m.makeGroup(group)
	if g == nil {
		return nil
	}
	if s := g.source(a); s != nil {
		return s
	}
	if !m.room() {
		return nil
	}
	if len(g.sources.All) >= m.cfg.MaxSources {
		m.counts.Add("too many sources of a group")
		return nil
	}
	s := &source{addr: a, g: g}
	s.m = m
	g.addSource(s)
	s.rpf = m.track(a)
	s.rpf.sources.Add(s, placeInTarget)
	m.touchSource(s)
	return s
}

func (m *Machine) room() bool {
	if len(m.groups)+m.sources < m.cfg.MaxEntries {
		return true
	}
	m.counts.Add("too many entries")
	return false
}

// setRP changes RP(G).
func (g *group) setRP(rp *target) {
	if g.ssm {
		rp = nil
	}
	if g.rpf == rp {
		return
	}
	old := g.rpf
	if old != nil {
		old.groups.Remove(g, placeInRP)
		old.release()
	}
	g.rpf = rp
	if rp != nil {
		rp.groups.Add(g, placeInRP)
	}
	if g.up.state == Joined {
		g.m.queueJoin(nodeOf(g), rpfNeighborStarG(g)) // the Join names the RP
	}
	g.m.touchGroup(g)
}

// isSSM says whether a group is in an SSM range (section 4.8).
func (m *Machine) isSSM(g netip.Addr) bool {
	for _, p := range m.cfg.SSM {
		if p.Contains(g) {
			return true
		}
	}
	return false
}

// rpOf returns RP(G); nil if none is known.
func (m *Machine) rpOf(g netip.Addr) *target {
	if m.dense(g) {
		return nil
	}
	if best := chooseRP(m.mappings, g); best != nil && !best.bidir {
		return m.targets[best.rp]
	}
	return nil
}

// touchGroup says that something changed from which state of the group and of its sources follows.
func (m *Machine) touchGroup(g *group) {
	if !g.touched {
		g.touched = true
		m.touchedGroups = append(m.touchedGroups, g)
	}
}

func (m *Machine) touchSource(s *source) {
	if !s.touched {
		s.touched = true
		m.touchedSources = append(m.touchedSources, s)
	}
}

func (m *Machine) sayGroupLater(g *group) {
	if !g.unsaid {
		g.unsaid = true
		m.unsaidGroups = append(m.unsaidGroups, g)
	}
}

func (m *Machine) sayLater(s *source) {
	if !s.unsaid {
		s.unsaid = true
		m.unsaidSources = append(m.unsaidSources, s)
	}
}

// maxRounds bounds how often entries can touch each other: transitions come to rest after two or three.
const maxRounds = 100

// update works out what follows from what was touched, until nothing does: groups first, because their sources depend
// on them and not they on their sources.
func (m *Machine) update() {
	if m.updating {
		return
	}
	m.updating = true
	for rounds := 0; len(m.touchedGroups)+len(m.touchedSources) > 0; rounds++ {
		if rounds == maxRounds {
			m.emit(engine.Note{Level: engine.Error, Text: "state machines do not come to rest: a fault of the program"})
			break
		}
		for n := 0; n < len(m.touchedGroups); n++ {
			g := m.touchedGroups[n]
			g.touched = false
			if !g.gone {
				g.update()
			}
		}
		m.touchedGroups = m.touchedGroups[:0]
		sources := m.touchedSources
		m.touchedSources = nil
		for _, s := range sources {
			s.touched = false
			if !s.gone {
				s.update()
			}
		}
	}
	m.updating = false
}

// update makes the transitions of the group's state machines that follow from macros.
func (g *group) update() {
	g.updateAsserts()
	g.updateUpstream()
	g.sweep()
	g.updateMSDP()
	g.m.sayGroupLater(g)
	for _, s := range g.sources.All {
		g.m.touchSource(s)
	}
	if len(g.oifs) == 0 && len(g.sources.All) == 0 && g.up.state == NotJoined && !g.wanted {
		g.remove()
	}
}

// update makes the transitions of the source's state machines that follow from macros. The order matters: the Register
// tunnel is in the list that decides of the Join, and the Join decides of the SPTbit.
func (s *source) update() {
	s.updateAsserts()
	s.updateRegister()
	s.updateUpstream()
	// A flow that is known to come in on RPF_interface(S) will do so again: what its next packet sets is set.
	if !s.sptBit && s.flow.Running() && updateSPTbit(s, s.iif) {
		s.setSPTbit("data arrives on RPF_interface(S)")
	}
	s.updateDataAsserts()
	s.updateRpt()
	s.updateMSDP()
	s.sweep()
	s.m.sayLater(s)
	if s.idle() {
		s.remove()
	}
}

// idle says that no state is left but what would be so without the entry.
func (s *source) idle() bool {
	return len(s.oifs) == 0 && s.up.state == NotJoined && s.register == nil && s.decap == nil && s.msdp == nil &&
		!s.kat.Running() && !s.flow.Running() && (s.rpt.ot == nil || !s.rpt.ot.Running()) && s.rpf.known &&
		s.rpf.waiting == nil
}

func (s *source) remove() {
	m := s.m
	s.gone = true
	if s.said.wanted {
		m.want(s.key(), row{})
	}
	if s.asked {
		m.emit(engine.Decline{Key: s.key()})
	}
	if s.rpt.state == Pruned {
		s.setRpt(RPTNotJoined, "no (S,G) state is left")
	}
	s.g.removeSource(s)
	s.rpf.sources.Remove(s, placeInTarget)
	s.rpf.release()
	m.touchGroup(s.g)
}

func (g *group) remove() {
	m := g.m
	g.gone = true
	if g.said.wanted {
		m.want(g.key(), row{})
	}
	delete(m.groups, g.addr)
	if g.rpf != nil {
		g.rpf.groups.Remove(g, placeInRP)
		g.rpf.release()
	}
}

// validSource says whether an address can be the source of a multicast packet.
func validSource(a netip.Addr) bool {
	return a.IsValid() && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback() && !a.IsLinkLocalUnicast()
}

// validGroup says whether a group can have state.
func validGroup(a netip.Addr) bool { return ip.Forwarded(a) }

func unspecified(f engine.Family) netip.Addr {
	if f == engine.IPv6 {
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}
