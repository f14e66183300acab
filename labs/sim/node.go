package sim

import (
	"net/netip"
	"slices"
	"time"

	"grove/daemon/config"
	"grove/internal/engine"
)

// Node is a router or a host.
type Node struct {
	sim   *Sim
	name  string
	index int32
	ports []*Port // by IfID-1; nil: gone
	lo    *Port

	router *Router // exactly one of the two is set
	host   *Host

	started bool
	dirty   bool
	wakeAt  int64 // when the earliest evWake is due; -1: none
}

// Port is an interface of a node.
type Port struct {
	node   *Node
	id     engine.IfID
	name   string
	index  int32 // in Sim.ports
	link   *Link // nil for the loopback interface
	place  int   // index in link.ports
	up     bool  // administratively
	live   bool  // up, with carrier: kept by Link.refresh
	mtu    int
	addrs  []netip.Prefix // as configured
	linkl  netip.Prefix   // the link-local IPv6 address
	mac    [6]byte
	vif    [2]int8 // by family: the VIF of the router's plane, -1: none
	member map[netip.Addr][]*Member
	tunnel *tunnel // nil: no end of a tunnel
}

// Name returns the node's name.
func (n *Node) Name() string { return n.name }

// Router returns the router that the node is, nil if it is a host.
func (n *Node) Router() *Router { return n.router }

// Host returns the host that the node is, nil if it is a router.
func (n *Node) Host() *Host { return n.host }

// Ports returns the node's interfaces, loopback first.
func (n *Node) Ports() []*Port {
	return slices.DeleteFunc(slices.Clone(n.ports), func(p *Port) bool { return p == nil })
}

// Port returns the interface called name, nil if there is none.
func (n *Node) Port(name string) *Port {
	for _, p := range n.ports {
		if p != nil && p.name == name {
			return p
		}
	}
	return nil
}

// IfName returns the name of an interface by its number, empty if there is none.
func (n *Node) IfName(id engine.IfID) string {
	if p := n.port(id); p != nil {
		return p.name
	}
	return ""
}

func (n *Node) port(id engine.IfID) *Port {
	if id == 0 || int(id) > len(n.ports) {
		return nil
	}
	return n.ports[id-1]
}

// addNode makes a node with its loopback interface; its machines start when the simulation goes on, with the
// interfaces that it has by then.
func (s *Sim) addNode(name string) *Node {
	if s.byName[name] != nil {
		panic("sim: two nodes are called " + name)
	}
	n := &Node{sim: s, name: name, index: int32(len(s.nodes)), wakeAt: -1}
	s.nodes = append(s.nodes, n)
	s.byName[name] = n
	n.lo = n.addPort("lo", nil, 65536)
	s.After(0, n.start)
	return n
}

// addPort makes an interface. Its number is the next one; no number is used twice.
func (n *Node) addPort(name string, link *Link, mtu int) *Port {
	p := &Port{
		node: n, id: engine.IfID(len(n.ports) + 1), name: name, index: int32(len(n.sim.ports)),
		link: link, up: true, mtu: mtu, vif: [2]int8{-1, -1},
	}
	// A locally administered MAC address tells node and interface; the link-local address follows from it by EUI-64.
	p.mac = [6]byte{2, 0, byte(n.index >> 8), byte(n.index), byte(p.id >> 8), byte(p.id)}
	if link != nil {
		m := p.mac
		p.linkl = netip.PrefixFrom(netip.AddrFrom16([16]byte{
			0: 0xfe, 1: 0x80, 8: m[0] ^ 2, 9: m[1], 10: m[2], 11: 0xff, 12: 0xfe, 13: m[3], 14: m[4], 15: m[5],
		}), 64)
	}
	p.live = link == nil
	n.ports = append(n.ports, p)
	n.sim.ports = append(n.sim.ports, p)
	return p
}

// configured returns the addresses that the node's configuration gives an interface.
func (n *Node) configured(name string) []netip.Prefix {
	var c *config.Config
	if n.router != nil {
		c = n.router.config
	} else {
		c = n.host.opts.Config
	}
	if c != nil {
		for i := range c.Interfaces {
			if c.Interfaces[i].Name == name {
				return slices.Clone(c.Interfaces[i].Addresses)
			}
		}
	}
	return nil
}

// start gives the machines of a new node their configuration and interfaces.
func (n *Node) start() {
	n.started = true
	if n.router != nil {
		n.router.configure()
		n.router.tellLearned()
	}
	n.refreshTunnels()
	for _, p := range n.ports {
		if p != nil {
			n.announce(p)
		}
	}
	if n.host != nil {
		n.host.configure()
		return
	}
	n.sim.topologyChanged()
}

// announce tells the node's machines the state of an interface, and what follows for the routes.
func (n *Node) announce(p *Port) {
	if !n.started {
		return
	}
	ev := engine.InterfaceChange{Interface: p.state()}
	n.sim.tracef("%s interface %s up=%v carrier=%v %v", n.name, p.name, ev.Up, ev.Carrier, ev.Addrs)
	if n.host != nil {
		n.host.tell(ev)
		return
	}
	n.router.feed(ev)
	n.router.updateRoutes()
}

// state returns the interface as its node sees it.
func (p *Port) state() engine.Interface {
	i := engine.Interface{
		ID: p.id, Name: p.name, Up: p.up, Carrier: p.carrier(), MTU: p.mtu,
		Loopback: p.link == nil, Multicast: p.link != nil,
	}
	if p.tunnel != nil {
		i.PointToPoint, i.TunnelLocal, i.TunnelRemote = true, p.tunnel.Local, p.tunnel.Remote
	}
	for _, a := range p.addrs {
		if a.Addr().Is4() {
			i.Addrs = append(i.Addrs, a)
		}
	}
	if p.up { // Linux removes the IPv6 addresses of an interface that is set down
		if p.linkl.IsValid() {
			i.Addrs = append(i.Addrs, p.linkl)
		}
		for _, a := range p.addrs {
			if a.Addr().Is6() {
				i.Addrs = append(i.Addrs, a)
			}
		}
	}
	return i
}

// Name returns the interface's name.
func (p *Port) Name() string { return p.name }

// ID returns the interface's number.
func (p *Port) ID() engine.IfID { return p.id }

// Node returns the node that has the interface.
func (p *Port) Node() *Node { return p.node }

// Link returns the link that the interface is on, nil for loopback.
func (p *Port) Link() *Link { return p.link }

// Up says whether the interface is administratively up.
func (p *Port) Up() bool { return p.up }

// Addrs returns the interface's addresses, the link-local one included.
func (p *Port) Addrs() []netip.Prefix { return p.state().Addrs }

// Addr returns the first address of a family: for IPv6 a global one if there is one.
func (p *Port) Addr(f engine.Family) netip.Addr {
	for _, a := range p.addrs {
		if engine.FamilyOf(a.Addr()) == f {
			return a.Addr()
		}
	}
	if f == engine.IPv6 && p.linkl.IsValid() {
		return p.linkl.Addr()
	}
	return netip.Addr{}
}

// hasAddr says whether a is an address of the interface. IPv4 addresses stay when it is down, IPv6 addresses do not.
func (p *Port) hasAddr(a netip.Addr) bool {
	if a.Is6() && !p.up {
		return false
	}
	if p.linkl.IsValid() && p.linkl.Addr() == a {
		return true
	}
	for _, own := range p.addrs {
		if own.Addr() == a {
			return true
		}
	}
	return false
}

// onLink says whether a is in a subnet of the interface.
func (p *Port) onLink(a netip.Addr) bool {
	for _, own := range p.addrs {
		if own.Contains(a) {
			return true
		}
	}
	return p.linkl.IsValid() && p.linkl.Contains(a)
}

// SetUp sets the interface administratively up or down. On a link of two ends the other end's carrier follows, as with
// a veth pair.
func (p *Port) SetUp(up bool) {
	if p.up == up || p.link == nil {
		return
	}
	p.up = up
	p.link.changed(p)
}

// SetAddrs replaces the interface's addresses, the link-local one excepted.
func (p *Port) SetAddrs(addrs []netip.Prefix) {
	p.addrs = slices.Clone(addrs)
	p.node.announce(p)
	p.node.refreshTunnels()
	p.node.sim.topologyChanged()
}

// Remove takes the interface away from its node, and its end from the link.
func (p *Port) Remove() {
	p.up = false
	l := p.link
	l.changed(p)
	p.node.ports[p.id-1] = nil
	if p.node.host != nil {
		p.node.host.tell(engine.InterfaceChange{Interface: p.state(), Gone: true})
	} else {
		p.node.router.portGone(p)
	}
	p.node.refreshTunnels()
}

// localPort returns the interface that has address a, nil if a is not an address of the node.
func (n *Node) localPort(a netip.Addr) *Port {
	for _, p := range n.ports {
		if p != nil && p.hasAddr(a) {
			return p
		}
	}
	return nil
}

// mark puts the node among those whose batch ends at this instant.
func (n *Node) mark() {
	if !n.dirty {
		n.dirty = true
		n.sim.dirty = append(n.sim.dirty, n)
	}
}

// settle ends a batch.
func (n *Node) settle() {
	if n.router != nil {
		n.router.settle()
	} else {
		n.host.settle()
	}
}

// wake is called when the node asked for it: its deadline may have moved on since.
func (n *Node) wake() {
	if n.wakeAt <= n.sim.now {
		n.wakeAt = -1
	}
	at, ok := n.deadline()
	if !ok {
		return
	}
	if at.After(n.sim.Clock()) {
		n.schedule(at)
		return
	}
	if n.router != nil {
		n.router.feed(engine.Tick{})
	} else {
		n.host.tick()
	}
}

func (n *Node) deadline() (time.Time, bool) {
	if n.router != nil {
		return n.router.machine.Deadline()
	}
	return n.host.deadline()
}

// reschedule sees to it that wake is called by the node's deadline.
func (n *Node) reschedule() {
	if at, ok := n.deadline(); ok {
		n.schedule(at)
	}
}

func (n *Node) schedule(at time.Time) {
	t := max(int64(at.Sub(n.sim.opts.Start)), n.sim.now)
	// A deadline that moved on needs no event of its own: wake looks again when the earlier one comes.
	if n.wakeAt >= 0 && n.wakeAt <= t {
		return
	}
	n.wakeAt = t
	n.sim.push(event{at: t, who: n.index, kind: evWake})
}
