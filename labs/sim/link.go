package sim

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"grove/internal/engine"
)

// LinkOptions describe a link. The zero value is a link with a delay of 1 ms that loses nothing.
type LinkOptions struct {
	Delay time.Duration // one way; 0 means 1 ms, negative: none
	Loss  float64       // probability that a packet is lost on its way to one receiver, 0 to 1
	MTU   int           // default 1500
	Cost  int           // of a hop over it, for the oracle; default 1
	// Lan says that the ends are ports of a bridge: the carrier of one does not depend on the others. A link of more
	// than two ends is always one.
	Lan bool
	// Snooping makes the bridge send the packets of a group that hosts reported only to the ports of its members and
	// to ports with multicast routers, as Linux does (snoop.go).
	Snooping bool
}

// End is where a link is attached: an interface of a node.
type End struct {
	Node *Node
	If   string
	// Addrs are the addresses of the interface; none: those that the node's configuration gives it.
	Addrs []netip.Prefix
}

// Link joins two interfaces, or many (a LAN).
type Link struct {
	sim    *Sim
	name   string
	ports  []*Port
	delay  int64
	loss   float64
	mtu    int
	cost   int
	lan    bool
	rng    *rand.Rand
	epoch  uint32 // changes when an end goes down: what is under way then is lost
	bridge *bridge
	taps   []*tap
	stats  LinkStats
}

// LinkStats count transmissions over a link.
type LinkStats struct {
	Data    uint64 // of data packets
	Control uint64 // of all others, Registers included
	Lost    uint64 // packets that a receiver did not get
}

// AddLink joins the interfaces of ends, which it makes, by a new link.
func (s *Sim) AddLink(name string, o LinkOptions, ends ...End) *Link {
	if o.Delay == 0 {
		o.Delay = time.Millisecond
	}
	if o.MTU == 0 {
		o.MTU = 1500
	}
	if o.Cost == 0 {
		o.Cost = 1
	}
	l := &Link{
		sim: s, name: name, delay: max(int64(o.Delay), 0), loss: o.Loss, mtu: o.MTU, cost: o.Cost,
		lan: o.Lan || o.Snooping || len(ends) > 2, rng: s.rng("link " + name),
	}
	if o.Snooping {
		l.bridge = newBridge(l)
	}
	s.links = append(s.links, l)
	for _, e := range ends {
		l.attach(e)
	}
	l.refresh()
	for _, p := range l.ports {
		p.node.announce(p)
		p.node.refreshTunnels()
	}
	s.topologyChanged()
	return l
}

func (l *Link) attach(e End) {
	if e.Node.Port(e.If) != nil {
		panic(fmt.Sprintf("sim: %s has two interfaces %s", e.Node.name, e.If))
	}
	p := e.Node.addPort(e.If, l, l.mtu)
	p.place = len(l.ports)
	l.ports = append(l.ports, p)
	p.addrs = slices.Clone(e.Addrs)
	if len(p.addrs) == 0 {
		p.addrs = e.Node.configured(e.If)
	}
}

// Name returns the link's name.
func (l *Link) Name() string { return l.name }

// Ports returns the interfaces on the link.
func (l *Link) Ports() []*Port { return l.ports }

// Cost returns the cost of a hop over the link.
func (l *Link) Cost() int { return l.cost }

// Stats returns the counts so far.
func (l *Link) Stats() LinkStats { return l.stats }

// SetLoss changes the probability of loss.
func (l *Link) SetLoss(loss float64) { l.loss = loss }

// SetDelay changes the delay of packets sent from now on.
func (l *Link) SetDelay(d time.Duration) { l.delay = int64(d) }

// Up says whether any two ends are up.
func (l *Link) Up() bool {
	n := 0
	for _, p := range l.ports {
		if p.up {
			n++
		}
	}
	return n >= 2
}

// SetUp cuts the link, or heals it: all its ends are set down or up, as a lab does to both ends of a veth pair.
func (l *Link) SetUp(up bool) {
	var changed []*Port
	for _, p := range l.ports {
		if p.up != up {
			p.up = up
			changed = append(changed, p)
		}
	}
	if len(changed) > 0 {
		l.changed(changed...)
	}
}

// changed announces what follows when the administrative state of ports changed.
func (l *Link) changed(ports ...*Port) {
	l.epoch++
	l.refresh()
	l.sim.tracef("link %s %s up=%v", l.name, ports[0].node.name, ports[0].up)
	for _, p := range ports {
		p.node.announce(p)
	}
	if !l.lan {
		for _, p := range l.ports {
			if !slices.Contains(ports, p) {
				p.node.announce(p) // its carrier
			}
		}
	}
	l.sim.topologyChanged()
}

// refresh works out which ends can send and receive.
func (l *Link) refresh() {
	for _, p := range l.ports {
		p.live = p.up && p.carrier()
	}
}

// carrier says whether the lower layer of the interface works.
func (p *Port) carrier() bool {
	if p.link == nil {
		return true
	}
	if p.tunnel != nil {
		return p.up && p.tunnelIsThere()
	}
	if p.link.lan {
		return p.up
	}
	for _, q := range p.link.ports {
		if !q.up {
			return false
		}
	}
	return len(p.link.ports) > 1
}

// transmit sends a packet from an interface: to one other interface, or, if to is nil, to all others on the link.
// Packets larger than the MTU: control packets to a group are a fault of the machine that sent them. Others are
// fragmented in IPv4 unless they forbid it; the fragments are modelled as one unit that arrives or is lost as a whole.
// In IPv6 they are dropped, as they are by a router. Senders of unicast packets fragment before (unicast.go).
func (s *Sim) transmit(from *Port, to *Port, p *packet, ttl uint8, hop int32) {
	l := from.link
	if l == nil {
		return
	}
	if !from.live {
		s.stats.LinkDown++
		return
	}
	if from.tunnel != nil {
		s.enter(from, p, ttl, hop)
		return
	}
	if p.size > l.mtu {
		switch {
		case !p.data && p.Dst.IsMulticast():
			s.fault(from.node, "control packet of %d bytes to %v from %s: the MTU is %d", p.size, p.Dst, from.name, l.mtu)
			return
		case (p.data || p.inner != nil) && (p.Dst.Is6() || p.DontFragment), !p.data && p.Dst.Is6() && hop != atSource:
			s.stats.TooBig++
			return
		}
	}
	if p.data {
		s.stats.Data++
		l.stats.Data++
		if s.opts.OnCrossing != nil && p.probed {
			s.opts.OnCrossing(from, p.Src, p.Dst, p.probe.Seq)
		}
	} else {
		s.stats.Control++
		l.stats.Control++
		hop = 0
	}
	if s.trace != nil {
		s.tracef("%s %s > %s proto %d %v > %v ttl %d size %d", l.name, from.node.name, from.name, p.Proto, p.Src, p.Dst, ttl, p.size)
	}
	for _, t := range l.taps {
		t.write(from, to, p, ttl)
	}
	if p.traced {
		s.hops = append(s.hops, Hop{Parent: int(hop), From: from, Source: p.Src, Group: p.Dst, Seq: p.probe.Seq, TTL: ttl})
		hop = int32(len(s.hops) - 1)
	}
	if to != nil {
		s.carry(l, to, p, ttl, hop)
		return
	}
	if l.bridge != nil {
		l.bridge.forward(from, p, ttl, hop)
		return
	}
	for _, q := range l.ports {
		if q != from {
			s.carry(l, q, p, ttl, hop)
		}
	}
}

// carry takes a packet over the link to one receiver.
func (s *Sim) carry(l *Link, to *Port, p *packet, ttl uint8, hop int32) {
	if l.loss > 0 && l.rng.Float64() < l.loss {
		s.stats.Lost++
		l.stats.Lost++
		return
	}
	s.push(event{at: s.now + l.delay, p: p, who: to.index, hop: hop, aux: l.epoch, kind: evArrive, ttl: ttl})
}

// arrive gives a packet to the node of the interface that it reached.
func (s *Sim) arrive(to *Port, e *event) {
	if to.link == nil { // locally delivered
		to.node.router.local(to, e.p, e.ttl)
		return
	}
	if e.aux != to.link.epoch && !to.link.lan || !to.live {
		s.stats.LinkDown++
		return
	}
	if h := to.node.host; h != nil {
		h.receive(to, e.p, e.ttl, e.hop)
		return
	}
	to.node.router.receive(to, e.p, e.ttl, e.hop)
}

// Hop is one transmission of a traced packet over a link.
type Hop struct {
	Parent        int // index in Hops of the transmission that brought it to the sender; 0: sent or injected there
	From          *Port
	Source, Group netip.Addr
	Seq           uint64
	TTL           uint8
}

// Delivery is a traced packet that reached a member.
type Delivery struct {
	Hop    int // index in Hops
	Member *Member
	Seq    uint64
}

// Hops returns the transmissions of traced packets (SourceOptions.Traced) so far; index 0 is none.
func (s *Sim) Hops() []Hop { return s.hops }

// Deliveries returns the deliveries of traced packets so far.
func (s *Sim) Deliveries() []Delivery { return s.deliveries }

// ForgetHops empties Hops and Deliveries.
func (s *Sim) ForgetHops() { s.hops, s.deliveries = s.hops[:1:1], nil }

// family returns the index of a family in arrays of two.
func family(f engine.Family) int {
	if f == engine.IPv4 {
		return 0
	}
	return 1
}
