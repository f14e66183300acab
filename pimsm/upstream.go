package pimsm

import (
	"time"

	"grove/internal/engine"
)

// This file is the upstream state machines: what we ask of the neighbor towards the RP or the source. RFC 7761, sections
// 4.5.4 ((*,G), Figure 5) and 4.5.5 ((S,G), Figure 6). They have one form; what differs is in the macros.

// UpstreamState is a state of an upstream state machine, UpstreamJPState.
type UpstreamState uint8

// The states of Figures 5 and 6.
const (
	NotJoined UpstreamState = iota
	Joined
)

// String returns the name that the RFC gives the state.
func (s UpstreamState) String() string { return [...]string{"NotJoined", "Joined"}[s] }

// upstream is an upstream state machine.
type upstream struct {
	jt engine.Timer // Join Timer
	// rpf is the RPF' that was last used, and byAssert says that an Assert made it that.
	rpf      neighborID
	byAssert bool
	state    UpstreamState
}

// updateUpstream makes the transitions "JoinDesired -> True", "JoinDesired -> False", and "RPF' changes".
func (g *group) updateUpstream() {
	rpf := rpfNeighborStarG(g)
	byAssert := iAmAssertLoser(g.on(rpfInterfaceRP(g)))
	wasJoined := g.up.state == Joined
	g.m.updateUpstream(&g.entry, nodeOf(g), joinDesiredStarG(g), rpf, byAssert)
	if !wasJoined && g.up.state == Joined {
		g.m.emit(engine.Revisit{Key: g.key()}) // sources that nobody wanted before may have been declined
	}
}

func (s *source) updateUpstream() {
	rpf := rpfNeighborSG(s)
	byAssert := iAmAssertLoser(s.on(rpfInterface(s)))
	wasJoined := s.up.state == Joined
	s.m.updateUpstream(&s.entry, node{s.g, s}, joinDesiredSG(s), rpf, byAssert)
	if wasJoined && s.up.state == NotJoined {
		s.clearSPTbit("JoinDesired(S,G) -> False") // Figure 6
	}
}

func (m *Machine) updateUpstream(e *entry, n node, joinDesired bool, rpf neighborID, byAssert bool) {
	u := &e.up
	old := u.rpf
	oldByAssert := u.byAssert
	u.rpf, u.byAssert = rpf, byAssert
	switch {
	case u.state == NotJoined && joinDesired:
		u.state = Joined
		n.upstreamTransition(NotJoined, Joined, "JoinDesired"+n.arguments()+" -> True")
		m.queueJoin(n, rpf)
		m.setJoinTimer(n, u, m.cfg.JoinPrunePeriod)
	case u.state == Joined && !joinDesired:
		u.state = NotJoined
		n.upstreamTransition(Joined, NotJoined, "JoinDesired"+n.arguments()+" -> False")
		m.queuePrune(n, old)
		m.timers.Stop(&u.jt)
	case u.state == Joined && rpf != old:
		if (byAssert || oldByAssert) && rpf.iface == old.iface && rpf.iface != nil {
			// "RPF' changes due to an Assert": an Assert on the upstream interface began, moved or ended.
			m.decreaseJoinTimer(u, rpf.iface)
			return
		}
		// "RPF' changes not due to an Assert"
		m.queueJoin(n, rpf)
		m.queuePrune(n, old)
		m.setJoinTimer(n, u, m.cfg.JoinPrunePeriod)
	}
}

func (m *Machine) setJoinTimer(n node, u *upstream, d time.Duration) {
	if u.jt.Do == nil {
		if g, s := n.g, n.s; s == nil {
			u.jt.Do = func(time.Time) { g.m.joinTimerExpires(nodeOf(g), &g.up) }
		} else {
			u.jt.Do = func(time.Time) { s.m.joinTimerExpires(node{s.g, s}, &s.up) }
		}
	}
	m.timers.Set(&u.jt, m.now.Add(d))
}

// joinTimerExpires: "Send Join; set Join Timer to t_periodic".
//
// Deviation: the next one is due on one of 64 marks of time in a period. What is due between two marks is sent a little
// early, with the rest of it, so that 20,000 entries make a few hundred messages a minute and not 20,000.
func (m *Machine) joinTimerExpires(n node, u *upstream) {
	m.queueJoin(n, u.rpf)
	due := m.now.Add(m.cfg.JoinPrunePeriod)
	if early := due.Truncate(m.cfg.JoinPrunePeriod / 64); early.After(m.now) {
		due = early
	}
	m.timers.Set(&u.jt, due)
}

// seeJoin is "See Join(*,G) to RPF'(*,G)" and "See Join(S,G) to RPF'(S,G)" on i: "Let t_joinsuppress be the minimum of
// t_suppressed and the HoldTime from the Join/Prune message triggering this event. If the Join Timer is set to expire
// in less than t_joinsuppress seconds, reset it so that it expires after t_joinsuppress seconds."
func (m *Machine) seeJoin(u *upstream, i *iface, holdtime time.Duration) {
	if u.state == Joined {
		m.timers.SetMax(&u.jt, m.now.Add(min(i.nb.TSuppressed(m.cfg.JoinPrunePeriod), holdtime)))
	}
}

// decreaseJoinTimer is "Decrease Join Timer to t_override".
func (m *Machine) decreaseJoinTimer(u *upstream, i *iface) {
	if u.state == Joined {
		m.timers.SetMin(&u.jt, m.now.Add(i.nb.TOverride()))
	}
}

// node is an entry by what it is: (*,G), or (S,G) if s is set.
type node struct {
	g *group
	s *source
}

func nodeOf(g *group) node { return node{g: g} }

func (n node) key() engine.Key {
	if n.s != nil {
		return n.s.key()
	}
	return n.g.key()
}

func (n node) arguments() string {
	if n.s != nil {
		return "(S,G)"
	}
	return "(*,G)"
}

func (n node) upstreamTransition(old, state UpstreamState, cause string) {
	n.g.m.emit(engine.Transition{
		Entity: "upstream " + n.arguments(), Key: n.key(), Old: old.String(), New: state.String(), Cause: cause,
	})
}
