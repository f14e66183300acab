package dvmrp

import (
	"grove/dvmrp/wire"
	"grove/internal/engine"
)

// This file is Grafting, section 3.6.

// becomeGrafting takes our Prune back: a new member, a new dependent router, one that restarted or sent a Graft, an interface
// whose Prune ended before ours, a protocol on this router that wants the packets.
func (u *upstream) becomeGrafting() {
	m := u.f.m
	m.timers.Stop(&u.retransmit)
	m.timers.Stop(&u.watch)
	u.grafts, u.interval = 0, m.cfg.GraftRetransmission
	u.set(Grafting, "a downstream interface wants the packets")
	u.sendGraft()
}

// sendGraft sends a Graft (section 3.6.1), again and again until it is acknowledged: "The initial retransmission period is 5
// seconds. A binary exponential back-off policy is used on subsequent retransmissions." When the lifetime of the Prune is over
// there is nothing to take back any more.
func (u *upstream) sendGraft() {
	m, e := u.f.m, u.host()
	if e == nil || u.neighbor == nil {
		return
	}
	u.grafts++
	m.timers.Set(&u.graft, m.now.Add(u.interval))
	u.interval = min(2*u.interval, m.cfg.PruneLifetime)
	g := &wire.Graft{Source: e.s.addr, Group: u.f.g.addr}
	g.HasMask, g.Bits = u.netmask()
	u.neighbor.send(g)
	if u.e != nil {
		return
	}
	// The Graft takes back the Prunes of single hosts, too. Those that are not wanted are pruned again.
	for _, e := range u.f.entries.All {
		if e.up != nil && e.up.state == Pruned && !e.others && e.olist(u.f.list) == 0 {
			e.up.becomeForwarding("the Graft of its network takes the Prune back")
		}
	}
}

// receiveGraft handles a Graft (section 3.6.2). "All Graft messages MUST be acknowledged. This is true even if no other action
// is taken" (section 3.6.4).
func (n *neighbor) receiveGraft(g *wire.Graft) {
	m := n.m
	ack := wire.GraftAck(*g)
	n.send(&ack)
	f := m.activeFlow(g.Source, g.Group)
	switch {
	case f == nil || f.r == nil:
	case g.HasMask && g.Bits == 32 && f.r.prefix.Bits() != 32:
		// Of one host: what the neighbor pruned of others stays, but not a Prune of them all.
		e := m.entries[engine.SG(g.Source, g.Group)]
		for _, p := range []*prune{f.pruneOf(n), e.pruneOf(n)} {
			if p != nil {
				p.end("receive Graft")
			}
		}
	default:
		f.endPrunes(n, "receive Graft")
	}
}

// receiveGraftAck handles a Graft Ack (section 3.6.5).
func (n *neighbor) receiveGraftAck(a *wire.GraftAck) {
	f := n.m.activeFlow(a.Source, a.Group)
	var u *upstream
	if f != nil {
		u = &f.up
		if e := n.m.entries[engine.SG(a.Source, a.Group)]; e != nil && e.up != nil && a.HasMask && a.Bits == 32 {
			u = e.up
		}
	}
	if u == nil || u.state != Grafting || u.neighbor != n {
		n.m.counts.Add("graft ack of no graft")
		return
	}
	u.becomeForwarding("receive Graft Ack")
}
