package dvmrp

import (
	"grove/dvmrp/wire"
)

// This file is Grafting, section 3.6.

// becomeGrafting takes our Prune back: a new member, a new dependent router, one that restarted or sent a Graft, an interface
// whose Prune ended before ours, a protocol on this router that wants the packets.
func (f *flow) becomeGrafting() {
	m, u := f.m, &f.up
	m.timers.Stop(&u.retransmit)
	m.timers.Stop(&u.watch)
	u.grafts, u.interval = 0, m.cfg.GraftRetransmission
	f.setUpstream(Grafting, "a downstream interface wants the packets")
	f.sendGraft()
}

// sendGraft sends a Graft (section 3.6.1), again and again until it is acknowledged: "The initial retransmission period is 5
// seconds. A binary exponential back-off policy is used on subsequent retransmissions." When the lifetime of the Prune is over
// there is nothing to take back any more.
func (f *flow) sendGraft() {
	m, u := f.m, &f.up
	if len(f.entries.all) == 0 || u.neighbor == nil {
		return
	}
	u.grafts++
	m.timers.Set(&u.graft, m.now.Add(u.interval))
	u.interval = min(2*u.interval, m.cfg.PruneLifetime)
	g := &wire.Graft{Source: f.entries.all[0].s.addr, Group: f.g.addr}
	g.HasMask, g.Bits = f.netmask()
	u.neighbor.send(g)
}

// receiveGraft handles a Graft (section 3.6.2). "All Graft messages MUST be acknowledged. This is true even if no other action
// is taken" (section 3.6.4).
func (n *neighbor) receiveGraft(g *wire.Graft) {
	m := n.m
	ack := wire.GraftAck(*g)
	n.send(&ack)
	if f := m.activeFlow(g.Source, g.Group); f != nil {
		f.endPrunes(n, "receive Graft")
	}
}

// receiveGraftAck handles a Graft Ack (section 3.6.5).
func (n *neighbor) receiveGraftAck(a *wire.GraftAck) {
	f := n.m.activeFlow(a.Source, a.Group)
	if f == nil || f.up.state != Grafting || f.up.neighbor != n {
		n.m.counts.Add("graft ack of no graft")
		return
	}
	f.becomeForwarding("receive Graft Ack")
}
