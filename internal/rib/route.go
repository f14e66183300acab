package rib

import (
	"cmp"
	"math"
	"net/netip"
	"slices"

	"grove/internal/engine"
)

// route is a unicast route of a prefix. A simulation holds a million of them: keep it small.
type route struct {
	next   *route // another route of the same prefix
	origin *origin
	hops   []engine.NextHop // best gateway first
	bgp    *engine.BGPPath
	metric uint32
	rank   uint16 // among the routes of a protocol to this prefix, the best first; it serves if none before it is usable
	// connected marks the route to a network of our interfaces' own addresses; there is one at most for a prefix. It
	// is ours, and a route of the kernel with the same metric is another one.
	connected bool
}

// origin is where routes come from, with its administrative distance.
type origin struct {
	key      string // in Config.Distances
	name     string
	distance uint32
}

// The names of the origins that the rib itself gives.
const (
	originConnected = "connected"
	originLocal     = "local"
	originStatic    = "mroute"
	originIBGP      = "ibgp" // a key of distances only: the origin is BGP's name
)

// distance returns the administrative distance of an origin.
func (m *Machine) distance(name string) uint32 {
	if d, ok := m.cfg.Distances[name]; ok {
		return d
	}
	switch name {
	case originConnected, string(engine.DVMRP):
		return 0
	case "static", "kernel":
		return 1
	case string(engine.BGP):
		return 20
	case originIBGP:
		return 200
	case "ospf":
		return 110
	case "isis":
		return 115
	case "rip":
		return 120
	}
	return 254
}

// origin returns the one origin of that key.
func (m *Machine) origin(key string) *origin {
	o, ok := m.origins[key]
	if !ok {
		o = &origin{key: key, name: key, distance: m.distance(key)}
		if key == originIBGP {
			o.name = string(engine.BGP)
		}
		m.origins[key] = o
	}
	return o
}

// routeChange adds, replaces or removes a route of the kernel.
func (m *Machine) routeChange(ev engine.RouteChange) {
	switch {
	case !ev.Prefix.IsValid():
		m.counts.Add("route of no prefix")
		return
	case engine.FamilyOf(ev.Prefix.Addr()) != m.id.Family:
		return // both families' machines are told
	}
	var add *route
	if !ev.Gone {
		add = &route{origin: m.origin(ev.Origin), metric: ev.Metric, hops: sortHops(ev.Hops)}
	}
	if m.replace(ev.Prefix, ev.Metric, false, add) {
		m.touchCovered(ev.Prefix)
		for _, g := range m.gateways.Subnets(ev.Prefix) {
			m.touchGateway(g)
		}
	}
}

// replace puts add, or nothing if it is nil, in the place of the route of prefix with this metric, connected or not. It
// says whether anything changed.
func (m *Machine) replace(prefix netip.Prefix, metric uint32, connected bool, add *route) bool {
	changed := true
	m.unicast.Modify(prefix, func(first *route, _ bool) (*route, bool) {
		place := &first
		for *place != nil && ((*place).metric != metric || (*place).connected != connected) {
			place = &(*place).next
		}
		old := *place
		switch {
		case old == nil && add == nil:
			changed = false
		case add == nil:
			*place = old.next
			m.routes--
		case old == nil:
			*place = add
			m.routes++
		default:
			changed = !sameRoute(old, add)
			add.next = old.next
			*place = add
		}
		return first, first == nil
	})
	return changed
}

// learn takes the routes to a prefix that a protocol contributes, in the place of those that it contributed before.
func (m *Machine) learn(ev engine.MRIBRoute) {
	if !ev.Prefix.IsValid() || engine.FamilyOf(ev.Prefix.Addr()) != m.id.Family {
		m.counts.Add("contributed route of no prefix of the family")
		return
	}
	name := string(ev.From.Protocol)
	var add []*route
	if !ev.Gone && len(ev.Hops) > 0 {
		add = append(add, m.contribution(name, 0, ev.Hops, ev.Metric, ev.BGP))
		for _, o := range ev.Others {
			if len(o.Hops) > 0 && len(add) < math.MaxUint16 {
				add = append(add, m.contribution(name, len(add), o.Hops, o.Metric, o.BGP))
			}
		}
	}
	if m.replaceLearned(ev.Prefix, name, add) {
		m.touchCovered(ev.Prefix)
	}
}

// contribution returns a route that a protocol contributes.
func (m *Machine) contribution(protocol string, rank int, hops []engine.NextHop, metric uint32, bgp *engine.BGPPath) *route {
	key := protocol
	if bgp != nil && bgp.Internal {
		key = originIBGP
	}
	return &route{origin: m.origin(key), metric: metric, rank: uint16(rank), hops: sortHops(hops), bgp: bgp}
}

// replaceLearned puts add in the place of what a protocol contributed to a prefix. It says whether anything changed.
func (m *Machine) replaceLearned(prefix netip.Prefix, protocol string, add []*route) bool {
	changed := true
	m.learned.Modify(prefix, func(first *route, _ bool) (*route, bool) {
		place := &first
		for *place != nil && (*place).origin.name != protocol {
			place = &(*place).next
		}
		var old []*route // they follow one another
		for r := *place; r != nil && r.origin.name == protocol; r = r.next {
			old = append(old, r)
			*place = r.next
		}
		if changed = !slices.EqualFunc(old, add, sameRoute); !changed {
			add = old
		}
		m.learnedRoutes += len(add) - len(old)
		for _, r := range slices.Backward(add) {
			r.next, *place = *place, r
		}
		return first, first == nil
	})
	return changed
}

// sameRoute says whether two routes of one place in the list of a prefix lead the same way, for the same reasons.
func sameRoute(a, b *route) bool {
	return a.origin == b.origin && a.metric == b.metric && slices.Equal(a.hops, b.hops) && sameBGP(a.bgp, b.bgp)
}

// sortHops returns the hops, best first: the highest gateway, then the lowest interface (see doc.go). It leaves the
// given slice alone.
func sortHops(hops []engine.NextHop) []engine.NextHop {
	if !slices.IsSortedFunc(hops, compareHops) {
		hops = slices.Clone(hops)
		slices.SortFunc(hops, compareHops)
	}
	return hops
}

func compareHops(a, b engine.NextHop) int {
	return cmp.Or(b.Gateway.Compare(a.Gateway), cmp.Compare(a.If, b.If), cmp.Compare(b.Weight, a.Weight))
}

// interfaceChange takes the state of an interface, and derives the networks and the addresses that are ours by it.
func (m *Machine) interfaceChange(ev engine.InterfaceChange) {
	old := m.ifaces[ev.ID]
	if ev.Gone {
		if old == nil {
			return
		}
		delete(m.ifaces, ev.ID)
		m.forget(ev.ID)
	} else {
		m.ifaces[ev.ID] = &ev.Interface
		if old != nil && old.Name == ev.Name && old.Up == ev.Up && old.Running() == ev.Running() &&
			slices.Equal(old.Addrs, ev.Addrs) {
			return
		}
	}
	if old != nil {
		m.deriveConnected(old.Addrs)
	}
	if !ev.Gone {
		m.deriveConnected(ev.Addrs)
	}
	m.deriveLocal()
	m.touchAll()
}

// deriveConnected makes anew the connected routes of the networks that the addresses are in. Several interfaces may be
// in one network.
func (m *Machine) deriveConnected(addrs []netip.Prefix) {
	for _, p := range addrs {
		if engine.FamilyOf(p.Addr()) != m.id.Family || p.Addr().IsLinkLocalUnicast() && p.Addr().Is6() {
			continue
		}
		p = p.Masked()
		var hops []engine.NextHop
		for id, i := range engine.Sorted(m.ifaces) {
			if slices.ContainsFunc(i.Addrs, func(a netip.Prefix) bool { return a.Masked() == p }) {
				hops = append(hops, engine.NextHop{If: id, Weight: 1})
			}
		}
		if hops == nil {
			m.replace(p, 0, true, nil)
		} else {
			m.replace(p, 0, true, &route{origin: m.origin(originConnected), hops: hops, connected: true})
		}
	}
}

// deriveLocal makes anew the table of our own addresses. An address counts while its interface is administratively up,
// carrier or not, as in Linux; on several interfaces, the first has it.
func (m *Machine) deriveLocal() {
	clear(m.local)
	for id, i := range engine.Sorted(m.ifaces) {
		if !i.Up {
			continue
		}
		for _, p := range i.Addrs {
			if _, ok := m.local[p.Addr()]; !ok && engine.FamilyOf(p.Addr()) == m.id.Family {
				m.local[p.Addr()] = id
			}
		}
	}
}

// forget removes the routes of the kernel that lead over an interface that is gone, and over no other: its number
// never comes back, and the kernel does not tell of each.
func (m *Machine) forget(id engine.IfID) {
	type gone struct {
		prefix netip.Prefix
		metric uint32
	}
	var list []gone
	for p, r := range m.unicast.All() {
		for ; r != nil; r = r.next {
			elsewhere := func(h engine.NextHop) bool { return h.If != id }
			if !r.connected && len(r.hops) > 0 && !slices.ContainsFunc(r.hops, elsewhere) {
				list = append(list, gone{p, r.metric})
			}
		}
	}
	for _, g := range list {
		m.replace(g.prefix, g.metric, false, nil)
	}
}
