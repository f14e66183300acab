package pimsm

import (
	"net/netip"
	"slices"

	"grove/internal/engine"
)

// This file is what PIM-SM is to the other protocols of a router, and they to it: RFC 2715, sections 2 and 4.4. mfib is the
// dispatcher.

// externallyReached says that a source is another protocol's: the MRIB's next hop to it is on an interface of that one (RFC
// 2715, section 3.1). What comes from it enters the domain here. "The iif should always point towards S and not towards the
// RP for G" (section 4.4).
//
// Deviation: "the Border-bit is set in all PIM Register messages for this entry". RFC 7761 has no Border bit: it is sent as 0.
func externallyReached(s *source) bool { return s.rpf.external }

// uselessHere says that there is nobody to tell of an externally reached source: its group has no RP. Whoever joins (S,G)
// makes state of his own.
func uselessHere(s *source) bool { return externallyReached(s) && s.g.rpf == nil }

// alertedStarG is local_receiver_include(*,G,I) on the virtual interface of the others: a (*,G) Join alert. "Then it sends
// a (*,G) Join/Prune message to the next-hop neighbor towards the RP for G" (section 4.4.2), and it "acts as a DR for
// externally-reached receivers in terms of being able to switch to the shortest-path tree" (section 4.4).
func alertedStarG(g *group) ifSet {
	if g.wanted && !g.ssm {
		return others
	}
	return 0
}

// alertedSG is local_receiver_include(S,G,I) there after a Join alert, and local_receiver_exclude(S,G,I) after a Prune alert:
// who is interested in the group may not want this source. An externally reached source is not ours to join.
func alertedSG(s *source, kind engine.AlertKind) ifSet {
	if s.wanted == kind && !externallyReached(s) {
		return others
	}
	return 0
}

// alertedStarStar is what RFC 4601 had as joins(*,*,RP(G)), on the virtual interface of the others: a (*,*) Join alert, at the
// RP, which hears of every source of the group by its Register.
//
// Deviation: "When a PIM-SM component receives a (*,*) Join alert, then it sends (*,*,RP) Join/Prune messages towards each RP"
// (RFC 2715, section 4.4.2). RFC 7761 has no such message. A border router that is not the RP learns of a source only as its DR, by
// a packet that comes past, or by the alert of the group.
func alertedStarStar(g *group) ifSet {
	if g.m.wildcard && iAmRP(g) {
		return others
	}
	return 0
}

// alert is a level: what the other protocols want of our sources (RFC 2715, section 2, rules 4 to 6).
func (m *Machine) alert(a engine.Alert) {
	join := a.Kind == engine.JoinAlert
	switch {
	case a.Key == engine.Key{}:
		if m.wildcard != join {
			m.wildcard = join
			for _, g := range engine.SortedAddrs(m.groups) {
				m.touchGroup(g)
			}
		}
	case !validGroup(a.Key.Group):
		m.counts.Add("alert of a group that is never forwarded")
	case !a.Key.Source.IsValid():
		m.alertStarG(a.Key.Group, join)
	case validSource(a.Key.Source):
		m.alertSG(a.Key, a.Kind)
	}
}

func (m *Machine) alertStarG(group netip.Addr, join bool) {
	g := m.group(group)
	if g == nil && join {
		g = m.makeGroup(group)
	}
	if g != nil && g.wanted != join {
		g.wanted = join
		m.touchGroup(g)
	}
}

func (m *Machine) alertSG(k engine.Key, kind engine.AlertKind) {
	s := m.source(k)
	if s == nil && kind == engine.JoinAlert {
		s = m.makeSource(k.Source, k.Group)
	}
	if s != nil && s.wanted != kind {
		s.wanted = kind
		m.touchSource(s)
	}
}

// ownerChanged: only the owner of an entry is told what others want of it (rule 1). Whether the source is ours the MRIB says.
func (m *Machine) ownerChanged(c engine.OwnerChanged) {
	if s := m.source(c.Key); s != nil && c.Owner != m.id {
		s.wanted = 0
		m.touchSource(s)
	}
}

// listenAgain is KeepaliveTimer(S,G) expires, for an externally reached source that the RP has asked us to be silent about. We
// asked for no packets then, and the other protocol may have pruned them; that none came does not say that the source is gone.
//
// Deviation: the RFC has the KeepaliveTimer end the Register state. Here the tunnel is added once more, which is a Join alert for
// the other protocol (RFC 2715, section 4.4.1: "The Register-Suppression-Timer for (S,G) expires"). If packets come the RP
// hears of the source again, and so does who joins later; if none do, it is over when the timer expires the second time.
func (s *source) listenAgain() {
	state := s.registerState()
	if !externallyReached(s) || state != RegisterPrune && state != RegisterJoinPending {
		return
	}
	s.m.timers.Stop(&s.register.rst)
	s.setKeepalive(s.m.cfg.KeepalivePeriod)
	s.setRegister(RegisterJoin, "KeepaliveTimer(S,G) expires, and nothing was asked for")
}

// sayWildcard tells mfib the groups of which we want every externally reached source: those with an RP, because "all PIM-SM
// components act as wildcard receivers for externally-reached sources" (section 4.4). A router where we are alone says
// nothing.
func (m *Machine) sayWildcard() {
	var groups []netip.Prefix
	if len(m.cfg.External) > 0 {
		groups = m.rpGroups
	}
	if !slices.Equal(groups, m.saidWildcard) {
		m.saidWildcard = groups
		m.emit(engine.Wildcard{Groups: groups})
	}
}
