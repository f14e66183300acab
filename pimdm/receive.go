package pimdm

import (
	"fmt"
	"net/netip"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/wire"
)

// receive takes a PIM packet. What is wrong is counted, noted, and changes nothing.
func (m *Machine) receive(p *engine.Packet) {
	if p.Proto != engine.ProtoPIM || engine.FamilyOf(p.Dst) != m.id.Family {
		return
	}
	i := m.ifaces[p.If]
	if i == nil || !i.runs {
		return // sparse mode's, which may run beside this machine
	}
	msg, err := wire.Parse(p.Payload, p.Src, p.Dst)
	if err != nil {
		m.drop(i, p.Src, wire.Reason(err))
		return
	}
	switch msg.(type) {
	case *wire.Register, *wire.RegisterStop, *wire.Bootstrap, *wire.CandidateRPAdv:
		return // sparse mode's
	}
	if i.link.HasAddr(p.Src) {
		return // our own, looped back
	}
	m.counts.Add("received " + msg.Type().String())
	if h, ok := msg.(*wire.Hello); ok {
		i.nb.Receive(m.now, p.Src, h)
		return
	}
	// RFC 7761, sections 4.5 and 4.6, has what RFC 3973 leaves to common sense: messages are accepted "if it comes from a
	// known PIM neighbor".
	if n := i.nb.Neighbor(p.Src); n == nil || n.Address != p.Src {
		m.drop(i, p.Src, "not from a PIM neighbor: "+msg.Type().String())
		return
	}
	switch msg := msg.(type) {
	case *wire.JoinPrune:
		m.receiveJoinPrune(i, p.Src, msg)
	case *wire.Graft:
		m.receiveGraft(i, p.Src, msg)
	case *wire.GraftAck:
		m.receiveGraftAckMessage(i, p.Src, msg)
	case *wire.Assert:
		m.receiveAssertMessage(i, p.Src, msg)
	case *wire.StateRefresh:
		m.receiveStateRefresh(i, p.Src, msg)
	}
}

// drop counts and notes what is not processed.
func (m *Machine) drop(i *iface, src netip.Addr, reason string) {
	m.counts.Add(reason)
	m.emit(engine.Note{Level: engine.Debug, If: i.id, Neighbor: src, Text: fmt.Sprintf("dropped: %s", reason)})
}

// forUs says whether the Upstream Neighbor Address field of a message means us. All zeros are accepted on point-to-point
// links, as RFC 7761 recommends for old implementations.
func (i *iface) forUs(upstream netip.Addr) bool {
	return upstream == i.primary || upstream.IsUnspecified() && i.link.PointToPoint
}

// receiveJoinPrune handles a Join/Prune message: for us it concerns the downstream machines (section 4.4.2), for another
// router on the link the upstream machines of those who take packets there (section 4.4.1).
func (m *Machine) receiveJoinPrune(i *iface, src netip.Addr, jp *wire.JoinPrune) {
	forUs := i.forUs(jp.Upstream)
	to := neighborID{i, jp.Upstream}
	for n := range jp.Groups {
		set := &jp.Groups[n]
		// Joins come first: a Prune of the same flow in the same message is the last word.
		for _, s := range set.Joined {
			if k, ok := m.flow(i, src, set.Group, s); ok {
				if e := m.entry(k); e != nil {
					e.whenPathKnown(func() { e.join(i, src, forUs, to) })
				}
			}
		}
		for _, s := range set.Pruned {
			k, ok := m.flow(i, src, set.Group, s)
			if !ok {
				continue
			}
			// Of a flow of which no packet has come yet a Prune to us is kept (section 4.4.2), and one to another router is
			// overridden if the packets are wanted (section 4.4.1, "See Prune(S,G)"): it may have come up before the packet
			// that called for it. An entry that is of no use goes again at the end of the Step.
			if e := m.makeEntry(k); e != nil {
				e.whenPathKnown(func() { e.prune(i, src, forUs, to, jp.Holdtime) })
			}
		}
	}
}

// flow returns the flow of a source in a message; false if it is none that dense mode lists, or not dense mode's.
func (m *Machine) flow(i *iface, src netip.Addr, g wire.Group, s wire.Source) (engine.Key, bool) {
	k := engine.SG(s.Addr, g.Addr)
	switch {
	case !i.dense(g.Addr):
		return k, false // sparse mode's
	case !s.IsSG():
		m.drop(i, src, "join/prune of (*,G) or (S,G,rpt) in dense mode")
		return k, false
	case !g.Single() || !validKey(k):
		m.drop(i, src, "join/prune of no single routable flow")
		return k, false
	}
	return k, true
}

// join is a Join(S,G) to us, or to another router on RPF_interface(S).
func (e *entry) join(i *iface, src netip.Addr, forUs bool, to neighborID) {
	switch {
	case forUs:
		e.receiveJoin(i, src, "receive Join(S,G)")
	case i.bit == rpfInterface(e):
		e.seeJoin(to)
	}
}

// prune is a Prune(S,G) to us, or to another router on RPF_interface(S).
func (e *entry) prune(i *iface, src netip.Addr, forUs bool, to neighborID, holdtime time.Duration) {
	switch {
	case forUs:
		e.receivePrune(i, src, holdtime)
	case i.bit == rpfInterface(e):
		e.updateUpstream() // of a new entry
		e.seePrune(to, holdtime)
		e.m.touch(e)
	}
}

// receiveJoin is "Receive Join(S,G)" and "Receive Graft(S,G)" of the downstream machine, and "Receive Join or Graft" of the
// Assert machine's loser.
func (e *entry) receiveJoin(i *iface, src netip.Addr, cause string) {
	o := e.on(i.bit)
	if o == nil || i.bit == rpfInterface(e) {
		return // on RPF_interface(S) there is no downstream machine
	}
	o.downstreamAsksLoser(src)
	o.endPrune(cause)
}

// receivePrune is "Receive Prune(S,G)".
func (e *entry) receivePrune(i *iface, src netip.Addr, holdtime time.Duration) {
	if i.bit == rpfInterface(e) || !usable(e.g).Has(i.bit) {
		return
	}
	o := e.oif(i)
	o.downstreamAsksLoser(src)
	o.receivePrune(holdtime)
	e.m.touch(e)
}

// receiveGraft handles a Graft message: "the router MUST unicast a Graft Ack message to the originator of the Graft" (section
// 4.4.2), with the flows for which we are upstream.
func (m *Machine) receiveGraft(i *iface, src netip.Addr, msg *wire.Graft) {
	if !i.forUs(msg.Upstream) {
		m.drop(i, src, "graft to another router")
		return
	}
	ack := &wire.GraftAck{Upstream: src}
	for n := range msg.Groups {
		set := &msg.Groups[n]
		acked := wire.GroupSet{Group: set.Group}
		for _, s := range set.Joined {
			k, ok := m.flow(i, src, set.Group, s)
			if !ok {
				continue
			}
			if e := m.entry(k); e != nil {
				if e.rpf.known && i.bit == rpfInterface(e) {
					// The neighbor and we take each other for upstream: it is to try again when the routes are settled.
					continue
				}
				e.whenPathKnown(func() { e.receiveJoin(i, src, "receive Graft(S,G)") })
			}
			acked.Joined = append(acked.Joined, s)
		}
		if len(acked.Joined) > 0 {
			ack.Groups = append(ack.Groups, acked)
		}
	}
	if len(ack.Groups) > 0 {
		i.sendTo(src, ack)
	}
}

// receiveGraftAckMessage handles a Graft-Ack message.
func (m *Machine) receiveGraftAckMessage(i *iface, src netip.Addr, msg *wire.GraftAck) {
	for n := range msg.Groups {
		set := &msg.Groups[n]
		for _, s := range set.Joined {
			if k, ok := m.flow(i, src, set.Group, s); ok {
				if e := m.entry(k); e != nil {
					e.receiveGraftAck(neighborID{i, src})
				}
			}
		}
	}
}
