package pimdm

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/wire"
)

// tosControl is the precedence of routing protocols, Internetwork Control.
const tosControl = 0xc0

// send sends a message to ALL-PIM-ROUTERS on the interface.
func (i *iface) send(msg wire.Message) { i.sendTo(wire.AllPIMRouters(i.m.id.Family), msg) }

// sendTo sends a message to a neighbor, or to all.
func (i *iface) sendTo(dst netip.Addr, msg wire.Message) {
	if !i.runs || i.nb.Passive() {
		return
	}
	// A neighbor that has not heard our Hello yet would drop it.
	i.nb.HelloBeforeJoin(i.m.now)
	i.sendFrom(i.primary, dst, msg)
}

// sendFrom sends a message: "All PIM-DM messages MUST be sent with a TTL of 1" (section 4.7), Grafts as well.
func (i *iface) sendFrom(src, dst netip.Addr, msg wire.Message) {
	m := i.m
	payload, err := wire.Encode(msg, src, dst)
	if err != nil {
		m.counts.Add("could not encode " + msg.Type().String())
		m.emit(engine.Note{Level: engine.Error, If: i.id, Text: err.Error()})
		return
	}
	m.counts.Add("sent " + msg.Type().String())
	m.emit(engine.Send{
		If: i.id, Src: src, Dst: dst, TTL: 1, TOS: tosControl, Proto: engine.ProtoPIM, Payload: payload,
	})
}

// ---- Join/Prune and Graft messages, put together at Settled ----

// item is one entry of a message that waits on an interface.
type item struct {
	e        *entry
	to       netip.Addr // the upstream neighbor, or we, in a PruneEcho
	kind     itemKind
	holdtime time.Duration // of a Prune
}

type itemKind uint8

const (
	itemJoin itemKind = iota
	itemPrune
	itemGraft
)

func (m *Machine) queueJoin(e *entry, to neighborID) {
	m.queue(e, to, itemJoin, m.cfg.PruneHoldtime)
}

func (m *Machine) queuePrune(e *entry, to neighborID, holdtime time.Duration) {
	m.queue(e, to, itemPrune, holdtime)
}

func (m *Machine) queueGraft(e *entry, to neighborID) { m.queue(e, to, itemGraft, 0) }

// queuePruneEcho: "A PruneEcho message is a Prune(S,G) message sent by the upstream router on a LAN, with its own address in
// the Upstream Neighbor Address field" (section 4.4.2). Its Holdtime is what is left of the Prune.
func (m *Machine) queuePruneEcho(o *oif) {
	holdtime := o.down.holdtime
	if o.down.pt.Running() {
		holdtime = o.down.pt.Left(m.now)
	}
	m.queue(o.e, neighborID{o.iface, o.iface.primary}, itemPrune, holdtime)
}

// queue queues an entry for a neighbor, or for ourselves (a PruneEcho). There is nothing to say to one that has gone.
func (m *Machine) queue(e *entry, to neighborID, kind itemKind, holdtime time.Duration) {
	i := to.iface
	if i != nil && i.runs && !boundary(e.g).Has(i.bit) && (i.nb.Neighbor(to.addr) != nil || to.addr == i.primary) {
		const granularity = time.Second // of Holdtimes on the wire
		holdtime = (holdtime + granularity - 1).Truncate(granularity)
		i.pending = append(i.pending, item{e, to.addr, kind, holdtime})
	}
}

// flush sends what waits, in as few messages as the MTU and different Holdtimes allow.
func (m *Machine) flush() {
	for _, i := range m.interfaces() {
		items := lastWords(i.pending)
		i.pending = nil
		for n := 0; n < len(items); {
			first := n
			for n < len(items) && items[n].together(&items[first]) == 0 {
				n++
			}
			i.sendItems(items[first:n])
		}
	}
}

// together orders items by the message that they go into: 0 for the same.
func (x *item) together(o *item) int {
	return cmp.Or(x.to.Compare(o.to), cmp.Compare(b2i(x.kind == itemGraft), b2i(o.kind == itemGraft)),
		cmp.Compare(x.holdtime, o.holdtime))
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// flow orders items by neighbor and flow: 0 for the same.
func (x *item) flow(o *item) int {
	return cmp.Or(x.to.Compare(o.to), x.e.g.addr.Compare(o.e.g.addr), x.e.addr.Compare(o.e.addr))
}

// lastWords keeps the last of what was to be said of a flow to a neighbor, and brings together what goes into one message.
func lastWords(items []item) []item {
	slices.SortStableFunc(items, func(a, b item) int { return a.flow(&b) })
	kept := items[:0]
	for n := range items {
		if n+1 == len(items) || items[n].flow(&items[n+1]) != 0 {
			kept = append(kept, items[n])
		}
	}
	slices.SortStableFunc(kept, func(a, b item) int { return a.together(&b) })
	return kept
}

// sendItems sends items for one neighbor, of one kind and holdtime, sorted by group.
func (i *iface) sendItems(items []item) {
	m, to := i.m, items[0].to
	var sets []wire.GroupSet
	for n := range items {
		x := &items[n]
		if g := x.e.g.addr; len(sets) == 0 || sets[len(sets)-1].Group.Addr != g {
			sets = append(sets, wire.GroupSet{Group: wire.GroupOf(g)})
		}
		set := &sets[len(sets)-1]
		source := wire.Source{Addr: x.e.addr} // "The Sparse Bit. Set to 0 for PIM-DM" (section 4.7.4)
		if x.kind == itemPrune {
			set.Pruned = append(set.Pruned, source)
		} else {
			set.Joined = append(set.Joined, source)
		}
	}
	const leastMTU = 576
	limit := wire.MaxMessage(max(i.link.MTU, leastMTU), to)
	var err error
	if items[0].kind == itemGraft {
		var grafts []*wire.Graft
		grafts, err = wire.PackGraft(to, sets, limit)
		for _, msg := range grafts {
			i.sendTo(to, msg)
		}
	} else {
		var messages []*wire.JoinPrune
		messages, err = wire.Pack(to, items[0].holdtime, sets, limit)
		for _, msg := range messages {
			i.send(msg)
		}
	}
	if err != nil {
		m.emit(engine.Note{Level: engine.Error, If: i.id, Text: err.Error()})
	}
}
