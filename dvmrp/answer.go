package dvmrp

import (
	"cmp"
	"net/netip"
	"slices"

	"grove/internal/engine"
)

// This file answers Queries with what show.go declares.

// answer answers a Query.
func (m *Machine) answer(q engine.Query) {
	a := engine.Answer{From: m.id, ID: q.ID}
	switch q.What {
	case "neighbors":
		list := []NeighborShow{}
		for _, i := range m.order {
			for _, n := range i.neighbors {
				list = append(list, n.show())
			}
		}
		a.Value = list
	case "interfaces":
		a.Value = m.showInterfaces()
	case "routes":
		a.Value, a.Err = m.showRoutes(q.Arg)
	case "entries":
		a.Value = m.showEntries(q.Arg)
	case "counts":
		a.Value = m.counts.Snapshot()
	default:
		a.Err = "dvmrp: unknown query " + q.What
	}
	m.emit(a)
}

func (n *neighbor) show() NeighborShow {
	m := n.m
	x := NeighborShow{
		Interface: n.iface.link.Name, Address: n.addr, Version: n.version.String(), Capabilities: n.capabilityText(),
		GenerationID: n.generationID, TwoWay: n.twoWay, Uptime: m.now.Sub(n.born), Expires: n.expiry.Left(m.now),
		Routes: len(n.routes.All),
	}
	for _, h := range n.heard.All {
		if h.r.dependent(n) {
			x.Dependent++
		}
	}
	return x
}

// showInterfaces returns the configured interfaces: those that exist in the order in which they appeared, then the others.
func (m *Machine) showInterfaces() []InterfaceShow {
	list := []InterfaceShow{}
	shown := map[string]bool{}
	forwarding := map[int]int{}
	for b := range m.buckets {
		for _, r := range m.buckets[b].All {
			if r.reachable() && r.hold == nil {
				forwards, _ := r.downstream()
				for slot := range forwards.Bits() {
					forwarding[slot]++
				}
			}
		}
	}
	for _, i := range m.order {
		if !i.configured {
			continue
		}
		shown[i.link.Name] = true
		x := InterfaceShow{
			Interface: i.link.Name, Running: i.runs, Address: i.addr, Metric: i.cfg.Metric, Threshold: max(1, i.cfg.Threshold),
			PointToPoint: i.pointToPoint(), Tunnel: i.link.TunnelRemote, Leaf: len(i.neighbors) == 0,
			GenerationID: i.generationID, Neighbors: len(i.neighbors), NextProbe: i.probing.Left(m.now), Boundary: i.cfg.Boundary,
		}
		if i.runs {
			x.Forwarding = forwarding[i.slot]
		}
		for _, n := range i.neighbors {
			x.Dependents += n.show().Dependent
		}
		list = append(list, x)
	}
	for name, c := range engine.Sorted(m.cfg.Interfaces) {
		if !shown[name] {
			list = append(list, InterfaceShow{
				Interface: name, Metric: max(1, c.Metric), Threshold: max(1, c.Threshold), Leaf: true, Boundary: c.Boundary,
			})
		}
	}
	return list
}

// showRoutes returns all routes, one, or the best to an address.
func (m *Machine) showRoutes(arg string) ([]RouteShow, string) {
	list := []RouteShow{}
	if arg != "" {
		if p, err := netip.ParsePrefix(arg); err == nil {
			if r, ok := m.table.Get(p.Masked()); ok {
				return append(list, r.show()), ""
			}
			return nil, "dvmrp: no route of " + arg
		}
		a, err := netip.ParseAddr(arg)
		if err != nil || !a.Is4() {
			return nil, "dvmrp: not an IPv4 address or prefix: " + arg
		}
		if r := m.bestMatch(a); r != nil {
			return append(list, r.show()), ""
		}
		return nil, "dvmrp: no route to " + arg
	}
	for b := range m.buckets {
		for _, r := range m.buckets[b].All {
			list = append(list, r.show())
		}
	}
	slices.SortFunc(list, func(a, b RouteShow) int { return a.Prefix.Compare(b.Prefix) })
	return list, ""
}

func (r *route) show() RouteShow {
	m := r.m
	x := RouteShow{Prefix: r.prefix, State: r.state(), Metric: r.metric, Uptime: m.now.Sub(r.since), Expires: r.expiry.Left(m.now)}
	if !r.reachable() && r.hold == nil {
		x.State = "unreachable"
	}
	if r.iface != nil {
		x.Interface = r.iface.link.Name
	}
	if r.gateway != nil {
		x.Gateway = r.gateway.addr
	}
	if r.hold != nil {
		x.HoldDown, x.OldMetric, x.Old = r.hold.timer.Left(m.now), r.hold.metric, r.hold.gateway
	}
	for _, f := range r.flows.All {
		x.Entries += len(f.entries.All)
	}
	for _, i := range m.order {
		if !i.runs || i == r.iface {
			continue
		}
		self, best := r.forwarder(i)
		y := RouteInterfaceShow{Interface: i.link.Name, Forwarder: i.addr, Self: self, Metric: r.announced()}
		if !self {
			y.Forwarder, y.Metric = best.n.addr, best.metric
		}
		for _, h := range r.heard {
			if h.n.iface == i && h.dependent() {
				y.Dependents = append(y.Dependents, h.n.addr)
			}
		}
		slices.SortFunc(y.Dependents, netip.Addr.Compare)
		x.Interfaces = append(x.Interfaces, y)
	}
	return x
}

// showEntries returns the entries of a group, or all, by group and source.
func (m *Machine) showEntries(arg string) []EntryShow {
	list := []EntryShow{}
	for k, e := range engine.SortedKeys(m.entries) {
		if arg == "" || k.Group.String() == arg {
			list = append(list, e.show())
		}
	}
	return list
}

func (e *entry) show() EntryShow {
	m, f, u := e.m, e.f, &e.f.up
	if e.up != nil && u.state == Forwarding {
		u = e.up
	}
	x := EntryShow{
		Key: e.key(), External: e.s.external(), HostAlone: u.e != nil, Upstream: u.state.String(), OthersWant: e.others, Prune: u.life.Left(m.now),
		PruneRetransmit: u.retransmit.Left(m.now), GraftRetransmit: u.graft.Left(m.now), Grafts: u.grafts,
		Expires: e.alive.Left(m.now), Uptime: m.now.Sub(e.born), Olist: m.names(e.said.out),
		Packets: e.packets, Bytes: e.bytes, WrongIf: e.wrongIf,
	}
	if x.External {
		x.Upstream = "NoInfo"
	}
	if f.r != nil {
		x.Route = f.r.prefix
		if f.r.iface != nil {
			x.Interface = f.r.iface.link.Name
		}
	}
	if u.neighbor != nil {
		x.Neighbor = u.neighbor.addr
	}
	for _, name := range m.names(e.said.in) {
		x.Incoming = name
	}
	for _, i := range m.order {
		if i.runs && !e.s.upstream().Has(i.bit) {
			x.addInterface(e, i)
		}
	}
	slices.SortFunc(x.Interfaces, func(a, b EntryInterfaceShow) int { return cmp.Compare(a.Interface, b.Interface) })
	return x
}

// addInterface adds what an entry knows of an interface, if it knows anything.
func (x *EntryShow) addInterface(e *entry, i *iface) {
	f := e.f
	s := EntryInterfaceShow{
		Interface: i.link.Name, Forwarding: e.said.out.Has(i.bit), Forwarder: f.list.forwards.Has(i.bit),
		Member: e.g.wanting(e.s.addr).Has(i.bit), Boundary: e.g.boundary.Has(i.bit),
	}
	if f.r != nil {
		s.Forwarder, _ = f.r.forwarder(i)
		for _, h := range f.r.heard {
			if h.n.iface != i || !h.dependent() {
				continue
			}
			s.Dependents++
			for _, p := range []*prune{f.pruneOf(h.n), e.pruneOf(h.n)} {
				if p != nil {
					s.Prunes = append(s.Prunes, PruneShow{Neighbor: h.n.addr, Host: p.e != nil, Left: p.life.Left(e.m.now)})
				}
			}
		}
	}
	if s.Member || s.Dependents > 0 || s.Boundary {
		x.Interfaces = append(x.Interfaces, s)
	}
}
