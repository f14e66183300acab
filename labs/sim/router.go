package sim

import (
	"net/netip"
	"slices"

	"grove/daemon/config"
	"grove/daemon/router"
	"grove/internal/engine"
	"grove/internal/ip"
	"grove/internal/ipip"
	"grove/labs/sim/plane"
)

// Router drives the machines of one router in virtual time: it is to them what daemon/host is on a real one.
type Router struct {
	node    *Node
	config  *config.Config
	machine engine.Machine
	fresh   func() engine.Machine // makes the machine of a new start
	table   uint32
	planes  [2]*plane.Plane
	ports   [2][engine.MaxVIFs]*Port // by family and VIF
	groups  map[hostGroup]struct{}
	routes  []route // what the machines were told, in order of prefix and metric
	learned []engine.MRIBRoute

	// Streams (stream.go).
	life      int // how often it was started
	streams   map[streamKey]*streamEnd
	listens   []listening
	accepted  uint64
	ephemeral uint16

	inbox []engine.Event // what the router is still to be told in this instant
	busy  bool           // tell is at work further up the stack

	// What the plane is forwarding at the moment.
	current    *packet
	currentHop int32
	arriving   ip.Packet
}

type hostGroup struct {
	who   engine.MachineID
	id    engine.IfID
	group netip.Addr
}

// RouterOptions change how a router is built.
type RouterOptions struct {
	// Wrap returns a machine to be driven instead of the router's: one that sees, drops or edits what goes in and out.
	// Tests plant faults by it.
	Wrap func(engine.Machine) engine.Machine
}

// AddRouter makes a router with the configuration c, as daemon/config read it. Its interfaces appear when links are
// attached to it; they have the addresses that the configuration names.
func (s *Sim) AddRouter(name string, c *config.Config, o RouterOptions) *Node {
	rng := s.rng("router " + name)
	return s.addRouter(name, c, func() engine.Machine {
		var m engine.Machine = router.New(rng)
		if o.Wrap != nil {
			m = o.Wrap(m)
		}
		return m
	})
}

func (s *Sim) addRouter(name string, c *config.Config, fresh func() engine.Machine) *Node {
	n := s.addNode(name)
	r := &Router{node: n, config: c, fresh: fresh, table: c.Table}
	r.reset()
	n.router = r
	n.lo.addrs = n.configured("lo")
	r.makeTunnels()
	return n
}

// reset gives the router new machines and empty planes.
func (r *Router) reset() {
	r.machine = r.fresh()
	r.groups = make(map[hostGroup]struct{})
	r.routes, r.inbox = nil, nil
	r.life++
	r.streams, r.listens = make(map[streamKey]*streamEnd), nil
	r.ports = [2][engine.MaxVIFs]*Port{}
	for _, p := range r.node.ports {
		if p != nil {
			p.vif = [2]int8{-1, -1}
		}
	}
	for i, f := range []engine.Family{engine.IPv4, engine.IPv6} {
		p := plane.New(f)
		p.Out = func(v engine.VIF, d *plane.Datagram) { r.out(i, v, d) }
		p.Upcall = func(u engine.Upcall) { r.inbox = append(r.inbox, engine.Addressed{To: r.id(engine.MFIB, f), Event: u}) }
		r.planes[i] = p
	}
}

// Restart ends the router's process without a goodbye and starts it anew: what it knew is gone, and with it what the
// planes forwarded.
func (r *Router) Restart() {
	r.node.sim.tracef("%s restart", r.node.name)
	r.reset()
	r.node.start()
	if o := r.node.sim.oracle; o != nil {
		o.forget(r.node)
	}
}

func (r *Router) id(p engine.Protocol, f engine.Family) engine.MachineID {
	return engine.MachineID{Protocol: p, Family: f, Table: r.table}
}

// Config returns the router's configuration.
func (r *Router) Config() *config.Config { return r.config }

// Plane returns the forwarding plane of a family.
func (r *Router) Plane(f engine.Family) *plane.Plane { return r.planes[family(f)] }

func (r *Router) configure() {
	r.feed(engine.Configure{Config: router.Config{Machines: r.config.Machines()}})
}

// Configure gives the router another configuration: addresses, routes and machines follow.
func (r *Router) Configure(c *config.Config) {
	r.config = c
	r.makeTunnels()
	for _, p := range r.node.Ports() {
		if addrs := r.node.configured(p.name); !slices.Equal(addrs, p.addrs) {
			p.SetAddrs(addrs)
		}
	}
	r.configure()
	r.tellLearned()
	r.updateRoutes()
}

// Learn gives the router the multicast routes that BGP would bring it, in place of those of before. They stay whatever becomes
// of the links. From and To are filled in.
func (r *Router) Learn(routes []engine.MRIBRoute) {
	for _, old := range r.learned {
		kept := func(n engine.MRIBRoute) bool { return n.Prefix == old.Prefix }
		if old.Gone = true; !slices.ContainsFunc(routes, kept) && r.node.started {
			r.feed(engine.Addressed{To: r.id(engine.RIB, engine.FamilyOf(old.Prefix.Addr())), Event: old})
		}
	}
	r.learned = slices.Clone(routes)
	for i := range r.learned {
		r.learned[i].From = r.id(engine.BGP, engine.FamilyOf(r.learned[i].Prefix.Addr()))
	}
	r.tellLearned()
}

func (r *Router) tellLearned() {
	for _, l := range r.learned {
		if r.node.started {
			r.feed(engine.Addressed{To: r.id(engine.RIB, engine.FamilyOf(l.Prefix.Addr())), Event: l})
		}
	}
}

// Shutdown lets the router say goodbye.
func (r *Router) Shutdown() { r.feed(engine.Shutdown{}) }

// feed tells the router an event, and whatever the plane has to say in answer. The batch ends when the instant does.
func (r *Router) feed(ev engine.Event) {
	r.inbox = append(r.inbox, ev)
	r.drain()
}

func (r *Router) drain() {
	if r.busy || len(r.inbox) == 0 {
		return
	}
	r.busy = true
	r.node.mark()
	for i := 0; i < len(r.inbox); i++ {
		r.step(r.inbox[i])
	}
	clear(r.inbox)
	r.inbox = r.inbox[:0]
	r.busy = false
}

// settle ends the batch.
func (r *Router) settle() {
	r.busy = true
	r.step(engine.Settled{})
	r.busy = false
	r.drain()
	r.node.reschedule()
}

func (r *Router) step(ev engine.Event) {
	s := r.node.sim
	s.stats.Steps++
	for _, e := range r.machine.Step(s.Clock(), ev) {
		out := e.(engine.Outward)
		r.apply(out.From, out.Effect)
	}
}

// apply does what a machine asked for.
func (r *Router) apply(from engine.MachineID, eff engine.Effect) {
	s := r.node.sim
	switch e := eff.(type) {
	case engine.Send:
		r.send(&e)
	case engine.HostGroup:
		g := hostGroup{from, e.If, e.Group}
		if e.Member {
			r.groups[g] = struct{}{}
		} else {
			delete(r.groups, g)
		}
	case engine.SetVIF:
		r.setVIF(from, e)
	case engine.SetRows:
		r.current = nil
		for _, f := range r.planes[family(from.Family)].SetRows(s.Clock(), e.Rows) {
			r.inbox = append(r.inbox, engine.Addressed{To: from, Event: f})
		}
	case engine.ReadCounters:
		rows := r.planes[family(from.Family)].ReadCounters(e.Keys)
		r.inbox = append(r.inbox, engine.Addressed{To: from, Event: engine.Counters{Rows: rows}})
	case engine.Inject:
		r.inject(&e)
	case engine.Listen:
		r.listen(from, e)
	case engine.OpenStream:
		r.openStream(from, e)
	case engine.WriteStream:
		r.writeStream(from, e)
	case engine.CloseStream:
		r.closeStream(from, e)
	case engine.Answer:
		s.answers[e.ID] = e
	case engine.Transition:
		s.transition(r.node, e)
	case engine.Note:
		s.note(r.node, e)
	case engine.MRIBRoute: // for BGP, which no simulated router speaks
	default:
		s.fault(r.node, "no driver for effect %T", eff)
	}
}

func (r *Router) setVIF(from engine.MachineID, e engine.SetVIF) {
	f := family(from.Family)
	fail := func(err string) {
		r.inbox = append(r.inbox, engine.Addressed{To: from, Event: engine.RowFailed{VIF: e.VIF, OfVIF: true, Err: err}})
	}
	p := r.node.port(e.If)
	if !e.Gone && !e.Register && p == nil {
		fail("no such device")
		return
	}
	if err := r.planes[f].SetVIF(e); err != nil {
		fail(err.Error())
		return
	}
	if old := r.ports[f][e.VIF]; old != nil {
		old.vif[f] = -1
		r.ports[f][e.VIF] = nil
	}
	if !e.Gone && !e.Register {
		r.ports[f][e.VIF] = p
		p.vif[f] = int8(e.VIF)
	}
}

// portGone does what Linux does when a device goes: its VIFs go with it. Then the machines hear of it.
func (r *Router) portGone(p *Port) {
	for f, v := range p.vif {
		if v >= 0 {
			r.planes[f].SetVIF(engine.SetVIF{VIF: engine.VIF(v), Gone: true})
			r.ports[f][v] = nil
			p.vif[f] = -1
		}
	}
	r.feed(engine.InterfaceChange{Interface: p.state(), Gone: true})
	r.updateRoutes()
}

// receive takes a packet from a link.
func (r *Router) receive(on *Port, p *packet, ttl uint8, hop int32) {
	switch {
	case p.data:
		if p.autoRP() && r.member(on, p.Dst) {
			r.deliver(on, p, ttl)
		}
		if v := on.vif[family(p.family())]; v >= 0 {
			r.arriving = p.with(ttl)
			r.current, r.currentHop = p, hop
			r.planes[family(p.family())].Forward(r.node.sim.Clock(), engine.VIF(v), &r.arriving)
			r.current = nil
			r.drain()
		}
	case p.Dst.IsMulticast():
		r.control(on, p, ttl)
	default:
		r.unicast(on, p, ttl)
	}
}

// control takes a control packet to a group. PIM comes in on its socket if that is a member; on an interface with a
// VIF, IGMP and MLD come in whatever the group.
func (r *Router) control(on *Port, p *packet, ttl uint8) {
	switch p.Proto {
	case engine.ProtoPIM, engine.ProtoIGMP, engine.ProtoICMPv6:
	default:
		return
	}
	if (p.Proto == engine.ProtoPIM || on.vif[family(p.family())] < 0) && !r.member(on, p.Dst) {
		return
	}
	r.deliver(on, p, ttl)
}

// member says whether a machine joined a group on an interface.
func (r *Router) member(on *Port, group netip.Addr) bool {
	for _, p := range []engine.Protocol{engine.IGMP, engine.PIMSM, engine.PIMDM, engine.DVMRP} {
		if _, ok := r.groups[hostGroup{r.id(p, engine.FamilyOf(group)), on.id, group}]; ok {
			return true
		}
	}
	return false
}

// deliver hands a packet to the machines; daemon/router knows which of them read it.
func (r *Router) deliver(on *Port, p *packet, ttl uint8) {
	r.feed(engine.Addressed{To: r.id("", p.family()), Event: engine.Packet{
		If: on.id, Src: p.Src, Dst: p.Dst, Proto: p.Proto, TTL: ttl, TOS: p.TOS, RouterAlert: p.RouterAlert, Payload: p.Payload,
	}})
}

// local takes a unicast packet for an address of this router.
func (r *Router) local(on *Port, p *packet, ttl uint8) {
	switch p.Proto {
	case engine.ProtoPIM:
		r.planes[family(p.family())].Decapsulate(r.node.sim.Clock(), p.Src, p.Dst, p.Payload)
	case ipip.Protocol:
		r.leave(p, ttl)
		return
	case engine.ProtoIGMP:
	default:
		return
	}
	r.deliver(on, p, ttl)
}

// send sends a control packet of a machine.
func (r *Router) send(e *engine.Send) {
	s := r.node.sim
	p := newPacket(&ip.Packet{
		Src: e.Src, Dst: e.Dst, Proto: e.Proto, TTL: e.TTL, TOS: e.TOS, RouterAlert: e.RouterAlert, Payload: e.Payload,
	})
	if e.If == 0 {
		if e.Dst.IsMulticast() {
			s.fault(r.node, "send to group %v without an interface", e.Dst)
			return
		}
		r.originate(p, e.TTL)
		return
	}
	from := r.node.port(e.If)
	if from == nil || from.link == nil {
		return // gone since, or loopback: nobody hears it
	}
	if !p.Src.IsValid() {
		p.Src = from.Addr(engine.FamilyOf(e.Dst))
		if !p.Src.IsValid() {
			s.fault(r.node, "send from %s, which has no address", from.name)
			return
		}
		p.size = p.Len()
	}
	if e.Dst.IsMulticast() || from.tunnel != nil {
		s.transmit(from, nil, p, e.TTL, atSource)
		return
	}
	if to := from.link.owner(e.Dst, from); to != nil {
		s.transmit(from, to, p, e.TTL, atSource)
	}
}

// out takes a data packet that leaves the plane by a VIF.
func (r *Router) out(f int, v engine.VIF, d *plane.Datagram) {
	to := r.ports[f][v]
	if to == nil {
		return
	}
	if r.current != nil {
		r.node.sim.transmit(to, nil, r.current, d.TTL, r.currentHop)
		return
	}
	r.node.sim.transmit(to, nil, r.node.sim.newData(d), d.TTL, 0)
}

func (r *Router) inject(e *engine.Inject) {
	d, err := ip.Parse(e.Packet)
	if err != nil {
		r.node.sim.fault(r.node, "inject: %v", err)
		return
	}
	p := r.node.sim.newData(&d)
	for _, id := range e.Out {
		if to := r.node.port(id); to != nil {
			r.node.sim.transmit(to, nil, p, d.TTL, 0)
		}
	}
}

// originateData sends a data packet of this router itself: out of the interface, and into the plane as if it had
// arrived there.
func (r *Router) originateData(on *Port, p *packet, ttl uint8) {
	s := r.node.sim
	s.transmit(on, nil, p, ttl, 0)
	f := family(p.family())
	if v := on.vif[f]; v >= 0 && on.live {
		r.arriving = p.with(ttl)
		r.current, r.currentHop = p, 0
		r.planes[f].Originate(s.Clock(), engine.VIF(v), &r.arriving)
		r.current = nil
		r.drain()
	}
}
