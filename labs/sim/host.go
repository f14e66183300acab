package sim

import (
	"math"
	"net/netip"
	"slices"
	"time"

	"grove/daemon/config"
	"grove/igmp"
	"grove/internal/engine"
	"grove/internal/ip"
	"grove/internal/probe"
)

// Host is an end system: it joins groups by IGMP and MLD as an operating system does, receives, and sends.
type Host struct {
	node     *Node
	opts     HostOptions
	machines [2]engine.Machine
	groups   [2]map[linkGroup]struct{} // what the machines asked to hear, by family
	members  []*Member
	unwanted uint64
}

type linkGroup struct {
	id    engine.IfID
	group netip.Addr
}

// HostOptions describe a host.
type HostOptions struct {
	Config      *config.Config // the addresses of its interfaces; nil: those of End.Addrs
	IGMPVersion int            // the newest version that it speaks; 0: 3
	MLDVersion  int            // 0: 2
}

// AddHost makes a host. Its interfaces appear when links are attached to it.
func (s *Sim) AddHost(name string, o HostOptions) *Node {
	n := s.addNode(name)
	h := &Host{node: n, opts: o}
	for i, f := range []engine.Family{engine.IPv4, engine.IPv6} {
		id := engine.MachineID{Protocol: engine.IGMP, Family: f}
		h.machines[i] = igmp.NewHost(id, s.rng("host "+name+" "+f.String()))
		h.groups[i] = make(map[linkGroup]struct{})
	}
	n.host = h
	return n
}

// Member is one application on a host that listens to a group on an interface, and its account of what came.
type Member struct {
	host    *Host
	port    *Port
	Group   netip.Addr
	Mode    engine.FilterMode
	Sources []netip.Addr
	Since   time.Duration // when it joined
	Until   time.Duration // when it left; 0: it did not

	flows []*Flow
}

// Join makes an application on the host listen to a group on an interface: to all sources, or to the given ones alone.
func (h *Host) Join(ifname string, group netip.Addr, sources ...netip.Addr) *Member {
	mode := engine.Exclude
	if len(sources) > 0 {
		mode = engine.Include
	}
	return h.JoinFilter(ifname, group, mode, sources)
}

// JoinFilter is Join with a filter mode.
func (h *Host) JoinFilter(ifname string, group netip.Addr, mode engine.FilterMode, sources []netip.Addr) *Member {
	p := h.node.Port(ifname)
	if p == nil {
		panic("sim: " + h.node.name + " has no interface " + ifname)
	}
	m := &Member{
		host: h, port: p, Group: group, Mode: mode, Sources: slices.Clone(sources), Since: h.node.sim.Now(),
	}
	h.members = append(h.members, m)
	if p.member == nil {
		p.member = make(map[netip.Addr][]*Member)
	}
	p.member[group] = append(p.member[group], m)
	h.node.sim.tracef("%s join %s %v %v %v", h.node.name, ifname, group, mode, sources)
	h.configureFamily(engine.FamilyOf(group))
	return m
}

// Leave ends the membership. The account stays.
func (m *Member) Leave() {
	h := m.host
	i := slices.Index(h.members, m)
	if i < 0 {
		return
	}
	h.members = slices.Delete(h.members, i, i+1)
	here := m.port.member[m.Group]
	if here = slices.DeleteFunc(here, func(o *Member) bool { return o == m }); len(here) == 0 {
		delete(m.port.member, m.Group)
	} else {
		m.port.member[m.Group] = here
	}
	m.Until = h.node.sim.Now()
	h.node.sim.tracef("%s leave %s %v", h.node.name, m.port.name, m.Group)
	h.configureFamily(engine.FamilyOf(m.Group))
}

// Members returns the memberships that there are now, in the order of joining.
func (h *Host) Members() []*Member { return h.members }

// Unwanted returns how many data packets of groups reached the host that nobody on it wants.
func (h *Host) Unwanted() uint64 { return h.unwanted }

// Node returns the host's node.
func (h *Host) Node() *Node { return h.node }

// Host returns the host that the member is on.
func (m *Member) Host() *Host { return m.host }

// Port returns the interface that the member listens on.
func (m *Member) Port() *Port { return m.port }

// Flows returns the account of every source heard, in the order of their first packets.
func (m *Member) Flows() []*Flow { return m.flows }

// Flow returns the account of one source, nil if nothing came.
func (m *Member) Flow(source netip.Addr) *Flow {
	for _, f := range m.flows {
		if f.Source == source {
			return f
		}
	}
	return nil
}

// Forget empties the account.
func (m *Member) Forget() { m.flows = nil }

// Wants says whether the member's filter lets a source pass.
func (m *Member) Wants(source netip.Addr) bool {
	return slices.Contains(m.Sources, source) == (m.Mode == engine.Include)
}

// configure tells both machines the whole list of memberships.
func (h *Host) configure() {
	h.configureFamily(engine.IPv4)
	h.configureFamily(engine.IPv6)
}

func (h *Host) configureFamily(f engine.Family) {
	if !h.node.started {
		return
	}
	c := igmp.HostConfig{Version: h.opts.IGMPVersion, Memberships: make(map[string][]igmp.HostMembership)}
	if f == engine.IPv6 {
		c.Version = h.opts.MLDVersion
	}
	for _, m := range h.members {
		if engine.FamilyOf(m.Group) == f {
			c.Memberships[m.port.name] = append(c.Memberships[m.port.name], igmp.HostMembership{
				Group: m.Group, Mode: m.Mode, Sources: slices.Clone(m.Sources),
			})
		}
	}
	h.feed(family(f), engine.Configure{Config: c})
}

// tell gives both machines an event.
func (h *Host) tell(ev engine.Event) {
	h.feed(0, ev)
	h.feed(1, ev)
}

func (h *Host) feed(f int, ev engine.Event) {
	h.node.mark()
	h.step(f, ev)
}

func (h *Host) step(f int, ev engine.Event) {
	s := h.node.sim
	s.stats.Steps++
	for _, e := range h.machines[f].Step(s.Clock(), ev) {
		h.apply(f, e)
	}
}

func (h *Host) tick() { h.tell(engine.Tick{}) }

// settle ends the batch.
func (h *Host) settle() {
	h.step(0, engine.Settled{})
	h.step(1, engine.Settled{})
	h.node.reschedule()
}

func (h *Host) deadline() (time.Time, bool) {
	a, okA := h.machines[0].Deadline()
	b, okB := h.machines[1].Deadline()
	if okA && (!okB || a.Before(b)) {
		return a, true
	}
	return b, okB
}

func (h *Host) apply(f int, eff engine.Effect) {
	s := h.node.sim
	switch e := eff.(type) {
	case engine.Send:
		from := h.node.port(e.If)
		if from == nil || from.link == nil {
			return
		}
		p := newPacket(&ip.Packet{
			Src: e.Src, Dst: e.Dst, Proto: e.Proto, TTL: e.TTL, TOS: e.TOS, RouterAlert: e.RouterAlert, Payload: e.Payload,
		})
		if !p.Src.IsValid() {
			// A host without an address reports from 0.0.0.0 (RFC 3376 section 4.2.13).
			if p.Src = from.Addr(engine.FamilyOf(e.Dst)); !p.Src.IsValid() {
				p.Src = netip.IPv4Unspecified()
			}
			p.size = p.Len()
		}
		s.transmit(from, nil, p, e.TTL, atSource)
	case engine.HostGroup:
		if e.Member {
			h.groups[f][linkGroup{e.If, e.Group}] = struct{}{}
		} else {
			delete(h.groups[f], linkGroup{e.If, e.Group})
		}
	case engine.Transition:
		s.transition(h.node, e)
	case engine.Note:
		s.note(h.node, e)
	case engine.Answer:
		s.answers[e.ID] = e
	default:
		s.fault(h.node, "no driver for effect %T", eff)
	}
}

var (
	allHosts4 = netip.AddrFrom4([4]byte{224, 0, 0, 1})
	allHosts6 = netip.AddrFrom16([16]byte{0: 0xff, 1: 2, 15: 1})
)

// receive takes a packet from a link.
func (h *Host) receive(on *Port, p *packet, ttl uint8, hop int32) {
	if p.data {
		h.data(on, p, ttl, hop)
		return
	}
	if p.Proto != engine.ProtoIGMP && p.Proto != engine.ProtoICMPv6 {
		return
	}
	f := family(p.family())
	_, asked := h.groups[f][linkGroup{on.id, p.Dst}]
	if !asked && p.Dst != allHosts4 && p.Dst != allHosts6 && on.member[p.Dst] == nil && !on.hasAddr(p.Dst) {
		return
	}
	h.feed(f, engine.Packet{
		If: on.id, Src: p.Src, Dst: p.Dst, Proto: p.Proto, TTL: ttl, TOS: p.TOS, RouterAlert: p.RouterAlert, Payload: p.Payload,
	})
}

func (h *Host) data(on *Port, p *packet, ttl uint8, hop int32) {
	s := h.node.sim
	wanted := false
	for _, m := range on.member[p.Dst] {
		if !m.Wants(p.Src) {
			continue
		}
		wanted = true
		s.stats.Delivered++
		if p.probed {
			m.flow(p.Src).Count(p.probe, ttl, s.Clock())
		}
		if p.traced {
			s.deliveries = append(s.deliveries, Delivery{Hop: int(hop), Member: m, Seq: p.probe.Seq})
		}
	}
	if !wanted {
		h.unwanted++
	}
}

func (m *Member) flow(source netip.Addr) *Flow {
	if f := m.Flow(source); f != nil {
		return f
	}
	f := &Flow{Source: source, Group: m.Group}
	m.flows = append(m.flows, f)
	return f
}

// SourceOptions describe a source of test packets.
type SourceOptions struct {
	If       string
	Group    netip.Addr
	Addr     netip.Addr    // the source address; default: the interface's
	Interval time.Duration // default 1 s
	Count    uint64        // 0: until Stop
	Size     int           // bytes of UDP payload; default 64
	TTL      uint8         // default 64
	Traced   bool          // note every transmission (Sim.Hops)
	DontFrag bool
}

// Source sends numbered packets to a group at a steady rate.
type Source struct {
	node *Node
	port *Port
	opts SourceOptions
	gen  uint32
	on   bool
	n    int32 // in Sim.srcs
	sent uint64
	seq  uint64

	// Packets with these numbers are traced.
	tracedFrom, tracedTo uint64
}

const probePort = 5001

// AddSource starts a source on a node, a host or a router; its first packet leaves at once, numbered 1.
func (n *Node) AddSource(o SourceOptions) *Source {
	p := n.Port(o.If)
	if p == nil {
		panic("sim: " + n.name + " has no interface " + o.If)
	}
	if o.Interval == 0 {
		o.Interval = time.Second
	}
	if o.TTL == 0 {
		o.TTL = 64
	}
	o.Size = max(o.Size, probe.Size)
	src := &Source{node: n, port: p, opts: o, n: int32(len(n.sim.srcs))}
	n.sim.srcs = append(n.sim.srcs, src)
	src.SetTraced(o.Traced)
	src.Start()
	return src
}

// Start sends on, after Stop.
func (s *Source) Start() {
	if s.on {
		return
	}
	s.on = true
	s.gen++
	s.node.sim.push(event{at: s.node.sim.now, who: s.n, aux: s.gen, kind: evSource})
}

// Stop ends the sending.
func (s *Source) Stop() { s.on = false }

// Sent returns how many packets were sent.
func (s *Source) Sent() uint64 { return s.sent }

// Seq returns the number of the last packet sent; 0: none.
func (s *Source) Seq() uint64 { return s.seq }

// Running says whether the source sends.
func (s *Source) Running() bool { return s.on }

// Key returns the (S,G) of the packets.
func (s *Source) Key() engine.Key { return engine.SG(s.addr(), s.opts.Group) }

// Node returns the node that sends.
func (s *Source) Node() *Node { return s.node }

// Port returns the interface that it sends from.
func (s *Source) Port() *Port { return s.port }

// SetTraced turns the tracing of packets on or off.
func (s *Source) SetTraced(on bool) {
	switch {
	case !on:
		s.tracedTo = min(s.tracedTo, s.seq)
	case s.tracedTo < math.MaxUint64:
		s.tracedFrom, s.tracedTo = s.seq+1, math.MaxUint64
	}
}

func (s *Source) traces(seq uint64) bool { return s.tracedFrom <= seq && seq <= s.tracedTo }

func (s *Source) addr() netip.Addr {
	if s.opts.Addr.IsValid() {
		return s.opts.Addr
	}
	return s.port.Addr(engine.FamilyOf(s.opts.Group))
}

// send sends the next packet, and sees to the one after it.
func (s *Source) send(gen uint32) {
	if !s.on || gen != s.gen {
		return
	}
	sim := s.node.sim
	s.seq++
	s.sent++
	if s.opts.Count > 0 && s.sent >= s.opts.Count {
		s.on = false
	} else {
		sim.push(event{at: sim.now + int64(s.opts.Interval), who: s.n, aux: gen, kind: evSource})
	}
	from := s.addr()
	if !from.IsValid() {
		return
	}
	h := probe.Packet{Run: uint64(s.n), Seq: s.seq, Sent: sim.Clock(), TTL: s.opts.TTL}
	body := h.Append(make([]byte, 0, s.opts.Size))[:s.opts.Size]
	d := ip.UDP(netip.AddrPortFrom(from, probePort), netip.AddrPortFrom(s.opts.Group, probePort), s.opts.TTL, body)
	d.ID, d.DontFragment = uint16(s.seq), s.opts.DontFrag
	p := newPacket(&d)
	p.traced, p.probe, p.probed = s.traces(s.seq), h, true
	if r := s.node.router; r != nil {
		r.originateData(s.port, p, s.opts.TTL)
		return
	}
	sim.transmit(s.port, nil, p, s.opts.TTL, 0)
}
