package sim

import (
	"cmp"
	"net/netip"
	"slices"

	"grove/internal/engine"
)

// atSource in place of a hop says that the sender of a control packet is where it was made, not a router on its way:
// there a unicast packet larger than the MTU is fragmented in either family.
const atSource = -1

// route is a unicast route of a router.
type route struct {
	prefix netip.Prefix
	metric uint32
	hops   []engine.NextHop
	origin string
}

func compareRoutes(a, b route) int {
	return cmp.Or(a.prefix.Addr().Compare(b.prefix.Addr()), cmp.Compare(a.prefix.Bits(), b.prefix.Bits()), cmp.Compare(a.metric, b.metric))
}

// Linux gives routes of IPv6 these metrics if nobody says otherwise (IP6_RT_PRIO_ADDRCONF, IP6_RT_PRIO_USER).
const (
	connectedMetric6 = 256
	staticMetric6    = 1024
)

// wanted returns the routes that the router has now: those of its own subnets and, without an oracle, the static ones
// of its configuration. As in Linux a route goes with its interface; as groved does, a static one comes back with it.
func (r *Router) wanted() []route {
	var routes []route
	for _, p := range r.node.ports {
		if p == nil || p.link == nil || !p.up || p.tunnel != nil && !p.live {
			continue
		}
		for _, a := range p.addrs {
			metric := uint32(0)
			if a.Addr().Is6() {
				metric = connectedMetric6
			}
			routes = append(routes, route{
				prefix: a.Masked(), metric: metric, origin: "kernel",
				hops: []engine.NextHop{{If: p.id, Weight: 1}},
			})
		}
	}
	if r.node.sim.opts.Unicast == Static {
		for i := range r.config.Routes {
			c := &r.config.Routes[i]
			rt := route{prefix: c.Prefix.Masked(), metric: c.Metric, origin: "static"}
			if rt.metric == 0 && rt.prefix.Addr().Is6() {
				rt.metric = staticMetric6
			}
			via := c.Via
			if len(via) == 0 {
				via = []netip.Addr{{}}
			}
			for _, gateway := range via {
				if p := r.towards(gateway, c.Interface); p != nil {
					rt.hops = append(rt.hops, engine.NextHop{If: p.id, Gateway: gateway, Weight: 1})
				}
			}
			if len(rt.hops) > 0 {
				routes = append(routes, rt)
			}
		}
	}
	slices.SortStableFunc(routes, compareRoutes)
	return slices.CompactFunc(routes, func(a, b route) bool { return compareRoutes(a, b) == 0 })
}

// towards returns the interface over which a gateway is reached, nil if it is not.
func (r *Router) towards(gateway netip.Addr, name string) *Port {
	for _, p := range r.node.ports {
		if p == nil || p.link == nil || !p.up || p.tunnel != nil && !p.live || name != "" && p.name != name {
			continue
		}
		if !gateway.IsValid() || p.onLink(gateway) && (name != "" || !gateway.IsLinkLocalUnicast()) {
			return p
		}
	}
	return nil
}

// updateRoutes tells the machines what changed in the routes that the router itself makes. What is new comes before
// what is gone, so that a replaced route is never missed.
func (r *Router) updateRoutes() {
	if !r.node.started {
		return
	}
	routes := r.wanted()
	same := func(a, b route) bool {
		return compareRoutes(a, b) == 0 && a.origin == b.origin && slices.Equal(a.hops, b.hops)
	}
	var gone []engine.Event
	for _, old := range r.routes {
		if _, kept := slices.BinarySearchFunc(routes, old, compareRoutes); !kept {
			gone = append(gone, engine.RouteChange{Prefix: old.prefix, Metric: old.metric, Hops: old.hops, Origin: old.origin, Gone: true})
		}
	}
	told := r.routes
	r.routes = routes
	for _, rt := range routes {
		if i, there := slices.BinarySearchFunc(told, rt, compareRoutes); !there || !same(told[i], rt) {
			r.feed(engine.RouteChange{Prefix: rt.prefix, Metric: rt.metric, Hops: rt.hops, Origin: rt.origin})
		}
	}
	for _, ev := range gone {
		r.feed(ev)
	}
}

// nextHop returns the way of a unicast packet: the interface and the neighbour to give it to.
func (r *Router) nextHop(dst netip.Addr) (*Port, netip.Addr) {
	if o := r.node.sim.oracle; o != nil {
		for _, p := range r.node.ports {
			if p != nil && p.link != nil && p.up && p.onLink(dst) {
				return p, dst
			}
		}
		return o.nextHop(r.node, dst)
	}
	best := -1
	for i := range r.routes {
		rt := &r.routes[i]
		if !rt.prefix.Contains(dst) {
			continue
		}
		// Routes of one prefix are in order of metric: the first is the best.
		if best < 0 || rt.prefix.Bits() > r.routes[best].prefix.Bits() {
			best = i
		}
	}
	if best < 0 {
		return nil, netip.Addr{}
	}
	h := r.routes[best].hops[0]
	if !h.Gateway.IsValid() {
		return r.node.port(h.If), dst
	}
	return r.node.port(h.If), h.Gateway
}

// originate sends a unicast packet made here.
func (r *Router) originate(p *packet, ttl uint8) {
	s := r.node.sim
	if own := r.node.localPort(p.Dst); own != nil {
		if !p.Src.IsValid() {
			p.Src = p.Dst
		}
		s.push(event{at: s.now, p: p, who: r.node.lo.index, kind: evArrive, ttl: ttl})
		return
	}
	out, gateway := r.nextHop(p.Dst)
	if out == nil {
		s.stats.NoRoute++
		return
	}
	if !p.Src.IsValid() {
		if p.Src = out.Addr(p.family()); !p.Src.IsValid() {
			s.stats.NoRoute++
			return
		}
		p.size = p.Len()
	}
	r.give(out, gateway, p, ttl, atSource)
}

// unicast takes a unicast packet from a link: for this router, or for others.
func (r *Router) unicast(on *Port, p *packet, ttl uint8) {
	s := r.node.sim
	if r.node.localPort(p.Dst) != nil {
		r.local(on, p, ttl)
		return
	}
	if ttl <= 1 {
		s.stats.Expired++
		return
	}
	out, gateway := r.nextHop(p.Dst)
	if out == nil {
		s.stats.NoRoute++
		return
	}
	r.give(out, gateway, p, ttl-1, 0)
}

func (r *Router) give(out *Port, gateway netip.Addr, p *packet, ttl uint8, hop int32) {
	s := r.node.sim
	if !out.live {
		s.stats.LinkDown++
		return
	}
	if out.tunnel != nil {
		s.transmit(out, nil, p, ttl, hop)
		return
	}
	to := out.link.owner(gateway, out)
	if to == nil {
		s.stats.NoRoute++
		return
	}
	s.transmit(out, to, p, ttl, hop)
}

// owner returns the interface on the link, other than not, that has address a.
func (l *Link) owner(a netip.Addr, not *Port) *Port {
	for _, p := range l.ports {
		if p != not && p.hasAddr(a) {
			return p
		}
	}
	return nil
}
