package pimsm

import (
	"cmp"
	"net/netip"
	"slices"

	"grove/internal/engine"
	"grove/internal/pim/wire"
)

// tosControl is the precedence of routing protocols, Internetwork Control.
const tosControl = 0xc0

// send sends a message of section 4.9 to ALL-PIM-ROUTERS on the interface.
func (i *iface) send(msg wire.Message) {
	if !i.runs || i.nb.Passive() {
		return
	}
	// Section 4.3.1: a neighbor that has not heard our Hello yet would drop it.
	i.nb.HelloBeforeJoin(i.m.now)
	i.sendFrom(i.primary, wire.AllPIMRouters(i.m.id.Family), msg)
}

func (i *iface) sendFrom(src, dst netip.Addr, msg wire.Message) {
	i.m.transmit(engine.Send{If: i.id, Src: src, Dst: dst, TTL: 1, TOS: tosControl}, msg)
}

// transmit encodes a message and sends it in the packet that head describes.
func (m *Machine) transmit(head engine.Send, msg wire.Message) {
	payload, err := wire.Encode(msg, head.Src, head.Dst)
	if err != nil {
		m.counts.Add("could not encode " + msg.Type().String())
		m.emit(engine.Note{Level: engine.Error, If: head.If, Text: err.Error()})
		return
	}
	head.Proto, head.Payload = engine.ProtoPIM, payload
	m.counts.Add("sent " + msg.Type().String())
	m.emit(head)
}

// ---- Join/Prune messages, put together at Settled ----

// item is one entry of a Join/Prune message that waits.
type item struct {
	g    *group
	s    *source    // nil: (*,G)
	rp   netip.Addr // of (*,G)
	rpt  bool       // (S,G,rpt)
	join bool
	seq  uint32
}

// bundle is what waits for one upstream neighbor of an interface.
type bundle struct {
	to    netip.Addr
	items []item
}

type bundles struct {
	list []bundle
	seq  uint32
}

func (b *bundles) add(to netip.Addr, x item) {
	b.seq++
	x.seq = b.seq
	for n := range b.list {
		if b.list[n].to == to {
			b.list[n].items = append(b.list[n].items, x)
			return
		}
	}
	b.list = append(b.list, bundle{to: to, items: []item{x}})
}

// queueJoin queues a Join(*,G) or Join(S,G) to an upstream neighbor, if there is one.
func (m *Machine) queueJoin(n node, to neighborID) { m.queueNode(n, to, true) }

// queuePrune queues a Prune(*,G) or Prune(S,G).
func (m *Machine) queuePrune(n node, to neighborID) { m.queueNode(n, to, false) }

func (m *Machine) queueNode(n node, to neighborID, join bool) {
	x := item{g: n.g, s: n.s, join: join}
	if n.s == nil {
		if n.g.ssm {
			return // section 4.8.1: "MUST NOT send a (*,G) Join/Prune message for any reason"
		}
		// Section 4.5.4: the new RP in the Prune(*,G), "or all zeros if RP(G) becomes unknown".
		x.rp = unspecified(m.id.Family)
		if n.g.rpf != nil {
			x.rp = n.g.rpf.addr
		}
	}
	m.queue(to, x)
}

// queueRpt queues a Join(S,G,rpt) or Prune(S,G,rpt).
func (m *Machine) queueRpt(s *source, to neighborID, join bool) {
	if !s.g.ssm {
		m.queue(to, item{g: s.g, s: s, rpt: true, join: join})
	}
}

// queuePruneEcho: "A PruneEcho(*,G) is simply a Prune(*,G) message sent by the upstream router on a LAN with its own
// address in the Upstream Neighbor Address field" (section 4.5.1).
func (m *Machine) queuePruneEcho(o *oif) {
	m.queuePrune(node{o.g, o.s}, neighborID{o.iface, o.iface.primary})
}

// queue queues an entry for a neighbor, or for ourselves (a PruneEcho). One that has gone needs no Prune.
func (m *Machine) queue(to neighborID, x item) {
	i := to.iface
	if i != nil && i.runs && (i.nb.Neighbor(to.addr) != nil || to.addr == i.primary) {
		i.pending.add(to.addr, x)
	}
}

// flush sends what waits, in as few messages as the MTU allows: first all that joins, on every interface, then what only
// prunes. So a flow that moves from one neighbor to another is asked of the new one before the old one is told.
func (m *Machine) flush() {
	type batch struct {
		i    *iface
		to   netip.Addr
		sets []wire.GroupSet
	}
	var joins, prunes []batch
	for _, i := range m.interfaces() {
		for _, b := range i.pending.list {
			j, p := groupSets(b.items)
			joins = append(joins, batch{i, b.to, j})
			prunes = append(prunes, batch{i, b.to, p})
		}
		i.pending = bundles{}
	}
	for _, b := range append(joins, prunes...) {
		if len(b.sets) == 0 {
			continue
		}
		limit := wire.MaxMessage(max(b.i.link.MTU, 576), b.to)
		messages, err := wire.Pack(b.to, m.cfg.JoinPrunePeriod*7/2, b.sets, limit)
		if err != nil {
			m.emit(engine.Note{Level: engine.Error, If: b.i.id, Text: err.Error()})
			continue
		}
		for _, msg := range messages {
			b.i.send(msg)
		}
	}
}

// groupSets makes group sets of items: of several for the same state the last counts. Sets with a join and sets without
// come apart.
func groupSets(items []item) (joins, prunes []wire.GroupSet) {
	slices.SortFunc(items, func(a, b item) int {
		return cmp.Or(a.g.addr.Compare(b.g.addr), cmp.Compare(a.kind(), b.kind()),
			a.source().Compare(b.source()), cmp.Compare(a.seq, b.seq))
	})
	for n := 0; n < len(items); {
		set := wire.GroupSet{Group: wire.GroupOf(items[n].g.addr)}
		g := items[n].g
		joinsStarG := false
		for ; n < len(items) && items[n].g.addr == g.addr; n++ {
			x := items[n]
			if next := n + 1; next < len(items) && items[next].same(x) {
				continue // said otherwise since
			}
			if x.rpt && joinsStarG {
				continue // the Join(*,G) in the same set says it, by what comes with it
			}
			if x.join {
				set.Joined = append(set.Joined, x.wire())
			} else {
				set.Pruned = append(set.Pruned, x.wire())
			}
			if x.s == nil && x.join {
				joinsStarG = true
				set.Pruned = append(set.Pruned, prunesWithJoin(x.g)...)
			}
		}
		if len(set.Joined) > 0 {
			joins = append(joins, set)
		} else {
			prunes = append(prunes, set)
		}
	}
	return joins, prunes
}

// prunesWithJoin returns the Prune(S,G,rpt) entries that go with a Join(*,G) (section 4.5.6).
func prunesWithJoin(g *group) []wire.Source {
	var list []wire.Source
	for _, s := range g.sources.All {
		if pruneWithJoin(s) {
			list = append(list, wire.SGRpt(s.addr))
		}
	}
	slices.SortFunc(list, func(a, b wire.Source) int { return a.Addr.Compare(b.Addr) })
	return list
}

// kind orders the items of a group: (*,G), (S,G,rpt), (S,G).
func (x *item) kind() int {
	switch {
	case x.s == nil:
		return 0
	case x.rpt:
		return 1
	}
	return 2
}

func (x *item) source() netip.Addr {
	if x.s == nil {
		return netip.Addr{}
	}
	return x.s.addr
}

func (x *item) same(o item) bool {
	return x.g.addr == o.g.addr && x.kind() == o.kind() && x.source() == o.source()
}

func (x *item) wire() wire.Source {
	switch x.kind() {
	case 0:
		return wire.StarG(x.rp)
	case 1:
		return wire.SGRpt(x.s.addr)
	}
	return wire.SG(x.s.addr)
}

// ---- unicast ----

// defaultTTL is "the system's normal unicast TTL" (section 4.9.3).
const defaultTTL = 64

// sendRegister sends a Register to an RP. The packet goes wherever the unicast route leads.
func (m *Machine) sendRegister(rp *target, r *wire.Register, tos uint8) {
	src := m.sourceAddress(rp)
	if !src.IsValid() {
		m.counts.Add("no address to send registers from")
		return
	}
	m.transmit(engine.Send{Src: src, Dst: rp.addr, TTL: defaultTTL, TOS: tos}, r)
}

// sendRegisterStop answers a Register: "The IP source address is the address to which the register was addressed"
// (section 4.9.4).
func (m *Machine) sendRegisterStop(s, g, from, to netip.Addr) {
	m.transmit(engine.Send{Src: from, Dst: to, TTL: defaultTTL, TOS: tosControl},
		&wire.RegisterStop{Group: wire.GroupOf(g), Source: s})
}

// sourceAddress returns "a domain-wide reachable address" of ours (section 4.9) to speak to a target from: one of the
// interface towards it, or else of any.
func (m *Machine) sourceAddress(t *target) netip.Addr {
	if t.iface != nil {
		if a := reachableAddr(t.iface, m.id.Family); a.IsValid() {
			return a
		}
	}
	for _, i := range m.interfaces() {
		if a := reachableAddr(i, m.id.Family); a.IsValid() && i.link.Up {
			return a
		}
	}
	return netip.Addr{}
}

func reachableAddr(i *iface, f engine.Family) netip.Addr {
	for _, p := range i.link.Addrs {
		if a := p.Addr(); engine.FamilyOf(a) == f && !a.IsLinkLocalUnicast() && !a.IsLoopback() {
			return a
		}
	}
	return netip.Addr{}
}
