package pimsm

import (
	"fmt"
	"net/netip"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/wire"
)

// receive takes a PIM packet. What is wrong is counted, noted, and changes nothing.
func (m *Machine) receive(p *engine.Packet) {
	if p.Proto == engine.ProtoUDP {
		m.receiveAutoRP(p)
		return
	}
	if p.Proto != engine.ProtoPIM || engine.FamilyOf(p.Dst) != m.id.Family {
		return
	}
	i := m.ifaces[p.If]
	msg, err := wire.Parse(p.Payload, p.Src, p.Dst)
	if err != nil {
		m.drop(i, p.Src, wire.Reason(err))
		return
	}
	switch msg.(type) {
	case *wire.Graft, *wire.GraftAck, *wire.StateRefresh:
		return // dense mode's, which may run beside this machine
	case *wire.Bootstrap, *wire.CandidateRPAdv:
		if m.bsr == nil {
			m.drop(i, p.Src, wire.Reason(&wire.TypeError{Type: msg.Type()}))
			return
		}
	}
	m.counts.Add("received " + msg.Type().String())
	switch msg := msg.(type) {
	case *wire.Register:
		m.receiveRegister(p, msg)
		return
	case *wire.RegisterStop:
		m.receiveRegisterStop(p, msg)
		return
	case *wire.CandidateRPAdv:
		if p.Dst.IsMulticast() {
			m.drop(i, p.Src, "multicast C-RP-Adv")
			return
		}
		m.bsr.ReceiveAdv(m.now, i.bootstrap(), p.Src, msg)
		return
	}
	if i == nil || !i.runs {
		m.drop(i, p.Src, "pim does not run on the interface")
		return
	}
	if i.link.HasAddr(p.Src) {
		return // our own, looped back
	}
	if h, ok := msg.(*wire.Hello); ok {
		i.nb.Receive(m.now, p.Src, h)
		return
	}
	if b, ok := msg.(*wire.Bootstrap); ok {
		m.receiveBootstrap(i, p, b)
		return
	}
	// Sections 4.5 and 4.6: a Join/Prune or Assert "should only be accepted for processing if it comes from a known PIM
	// neighbor".
	if n := i.nb.Neighbor(p.Src); n == nil || n.Address != p.Src {
		m.drop(i, p.Src, "not from a PIM neighbor: "+msg.Type().String())
		return
	}
	switch msg := msg.(type) {
	case *wire.JoinPrune:
		m.receiveJoinPrune(i, p.Src, msg)
	case *wire.Assert:
		m.receiveAssert(i, p.Src, msg)
	}
}

// drop counts and notes what is not processed.
func (m *Machine) drop(i *iface, src netip.Addr, reason string) {
	m.counts.Add(reason)
	n := engine.Note{Level: engine.Debug, Neighbor: src, Text: fmt.Sprintf("dropped: %s", reason)}
	if i != nil {
		n.If = i.id
	}
	m.emit(n)
}

// receiveJoinPrune handles a Join/Prune message: for us it concerns the downstream machines, for another router on the
// link the upstream machines that depend on it (section 4.5).
func (m *Machine) receiveJoinPrune(i *iface, src netip.Addr, jp *wire.JoinPrune) {
	// "It is RECOMMENDED that for backwards compatibility PIM Join/Prune messages with an upstream neighbor address
	// field of all zeros also be accepted" on point-to-point links.
	forUs := jp.Upstream == i.primary || jp.Upstream.IsUnspecified() && i.link.PointToPoint
	for n := range jp.Groups {
		set := &jp.Groups[n]
		if !set.Group.Single() || !validGroup(set.Group.Addr) {
			m.drop(i, src, "join/prune of no single routable group")
			continue
		}
		if m.dense(set.Group.Addr) {
			continue
		}
		if forUs {
			m.receiveGroupSet(i, src, set, jp.Holdtime)
		} else {
			m.seeGroupSet(i, neighborID{i, jp.Upstream}, set, jp.Holdtime)
		}
	}
}

// receiveGroupSet hands the entries for one group to the downstream machines. The joins come first, so a (*,G) Join is
// known before the (S,G,rpt) prunes beside it.
func (m *Machine) receiveGroupSet(i *iface, src netip.Addr, set *wire.GroupSet, holdtime time.Duration) {
	addr := set.Group.Addr
	joinedStarG := false
	for _, e := range set.Joined {
		switch {
		case e.IsStarG():
			joinedStarG = m.receiveJoinStarG(i, src, addr, e.Addr, holdtime) || joinedStarG
		case !validSource(e.Addr):
			m.drop(i, src, "join/prune of a bad source")
		case e.IsSG():
			if s := m.makeSource(e.Addr, addr); s != nil {
				s.oif(i).receiveJoin(holdtime)
			}
		default:
			if s := m.source(engine.SG(e.Addr, addr)); s != nil && !s.g.ssm {
				if o := s.on(i.bit); o != nil {
					o.receiveJoinRpt()
				}
			}
		}
	}
	for _, e := range set.Pruned {
		switch {
		case e.IsStarG():
			// "Received Prune(*,G) messages are processed even if the RP in the message does not match RP(G)."
			if g := m.group(addr); g != nil {
				if o := g.on(i.bit); o != nil {
					o.receivePrune()
				}
			}
		case !validSource(e.Addr):
			m.drop(i, src, "join/prune of a bad source")
		case e.IsSG():
			if s := m.source(engine.SG(e.Addr, addr)); s != nil {
				if o := s.on(i.bit); o != nil {
					o.receivePrune()
				}
			}
		default:
			if m.isSSM(addr) {
				m.drop(i, src, "(S,G,rpt) of an SSM group")
			} else if s := m.makeSource(e.Addr, addr); s != nil {
				s.oif(i).receivePruneRpt(holdtime)
			}
		}
	}
	if joinedStarG {
		m.group(addr).endOfJoinStarG(i)
	}
}

// receiveJoinStarG handles a Join(*,G): the (*,G) machine, and the first half of what it means to (S,G,rpt) machines.
// It says whether the Join was accepted.
func (m *Machine) receiveJoinStarG(i *iface, src, addr, rp netip.Addr, holdtime time.Duration) bool {
	if m.isSSM(addr) {
		m.drop(i, src, "(*,G) of an SSM group")
		return false
	}
	// "If the RP in the message does not match RP(G), the Join(*,G) should be silently dropped."
	if t := m.rpOf(addr); t == nil || t.addr != rp {
		m.counts.Add("join(*,G) with another RP")
		return false
	}
	g := m.makeGroup(addr)
	if g == nil {
		return false
	}
	g.oif(i).receiveJoin(holdtime)
	for _, s := range g.sources.All {
		if o := s.on(i.bit); o != nil {
			o.receiveJoinStarG()
		}
	}
	return true
}

// endOfJoinStarG is the end of a group set with a Join(*,G): prunes that were not repeated are over, and so are (S,G)
// Asserts that we lost, unless a Prune(S,G,rpt) came with the Join (section 4.6.5, rule 7).
func (g *group) endOfJoinStarG(i *iface) {
	for _, s := range g.sources.All {
		o := s.on(i.bit)
		if o == nil {
			continue
		}
		o.endOfMessage()
		if o.assert.lost() && o.rpt == nil {
			o.endAssert("receive Join(*,G) without Prune(S,G,rpt)")
		}
	}
}

// seeGroupSet is what another router on the link asked of its upstream neighbor, to: our own Join may be spared, or may
// have to override a Prune (sections 4.5.4, 4.5.5 and 4.5.7).
func (m *Machine) seeGroupSet(i *iface, to neighborID, set *wire.GroupSet, holdtime time.Duration) {
	g := m.group(set.Group.Addr)
	if g == nil {
		return
	}
	for _, e := range set.Joined {
		if e.IsStarG() {
			if g.up.rpf == to {
				m.seeJoin(&g.up, i, holdtime)
			}
			continue
		}
		s := m.source(engine.SG(e.Addr, g.addr))
		switch {
		case s == nil:
		case e.IsSG() && s.up.rpf == to:
			m.seeJoin(&s.up, i, holdtime)
		case e.IsSGRpt() && rpfNeighborSGRpt(s) == to:
			// "See Join(S,G,rpt) to RPF'(S,G,rpt): Cancel OT"
			s.cancelOverride()
			m.touchSource(s)
		}
	}
	for _, e := range set.Pruned {
		if e.IsStarG() {
			m.seePruneStarG(g, i, to)
			continue
		}
		if !validSource(e.Addr) {
			continue
		}
		s := m.source(engine.SG(e.Addr, g.addr))
		if s == nil && g.up.state == Joined && rpfNeighborStarG(g) == to {
			// We get the source by the shared tree without any state of it. The machine of section 4.5.7 is in
			// NotPruned state for every source of a group that we joined.
			if s = m.makeSource(e.Addr, g.addr); s != nil {
				s.updateRpt()
			}
		}
		if s == nil {
			continue
		}
		// "See Prune(S,G) to RPF'(S,G)", "See Prune(S,G,rpt) to RPF'(S,G)"
		if s.up.rpf == to {
			m.decreaseJoinTimer(&s.up, i)
		}
		// "See Prune(S,G,rpt) to RPF'(S,G,rpt)", "See Prune(S,G) to RPF'(S,G,rpt)"
		if rpfNeighborSGRpt(s) == to {
			s.override(i)
		}
	}
}

// seePruneStarG is "See Prune(*,G) to RPF'(*,G)" and, for routers of RFC 2362, "See Prune(*,G) to RPF'(S,G)".
func (m *Machine) seePruneStarG(g *group, i *iface, to neighborID) {
	if g.up.rpf == to {
		m.decreaseJoinTimer(&g.up, i)
	}
	for _, s := range g.sources.All {
		if s.up.rpf == to {
			m.decreaseJoinTimer(&s.up, i)
		}
	}
}
