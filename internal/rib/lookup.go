package rib

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"

	"grove/internal/engine"
)

// table is which of the rib's tables a path is from.
type table uint8

const (
	noTable table = iota
	unicastTable
	staticTable  // the multicast static routes
	learnedTable // what protocols contributed
)

// lookup returns the path to a (RFC 7761, section 4.1.5: RPF_interface and MRIB.next_hop are its first hop). If why is not
// nil it is given the routes that were looked at, in order.
func (m *Machine) lookup(a netip.Addr, why *[]Route) (engine.Path, table) {
	if id, ok := m.local[a]; ok {
		return engine.Path{Addr: a, Local: true, Prefix: host(a), Origin: originLocal, Hops: []engine.NextHop{{If: id, Weight: 1}}}, noTable
	}
	if a.Is6() && a.IsLinkLocalUnicast() {
		return engine.Path{Addr: a}, noTable
	}
	multicast, from := m.lookupMulticast(a, why)
	unicast, haveUnicast := m.longest(&m.unicast, a, why)
	switch {
	case from == noTable && !haveUnicast:
		return engine.Path{Addr: a}, noTable
	case from == noTable,
		haveUnicast && multicast.Distance > unicast.Distance,
		// A host on a link of ours is there, whatever a protocol has heard of the way to a net around it: the default route
		// of a DVMRP region must not lead away from the links of the others. A static route is somebody's will.
		haveUnicast && multicast.Distance == unicast.Distance && from == learnedTable && unicast.Connected():
		return unicast, unicastTable
	}
	return multicast, from
}

// lookupMulticast returns the path by the multicast static routes and those that protocols contributed: the longer prefix,
// then the least distance, then the least metric; noTable if there is none.
func (m *Machine) lookupMulticast(a netip.Addr, why *[]Route) (engine.Path, table) {
	static, haveStatic := m.lookupStatic(a, why)
	learned, haveLearned := m.longest(&m.learned, a, why)
	switch {
	case haveStatic && haveLearned:
		if cmp.Or(
			cmp.Compare(static.Prefix.Bits(), learned.Prefix.Bits()),
			cmp.Compare(learned.Distance, static.Distance),
			cmp.Compare(learned.Metric, static.Metric),
		) < 0 {
			return learned, learnedTable
		}
		return static, staticTable
	case haveStatic:
		return static, staticTable
	case haveLearned:
		return learned, learnedTable
	}
	return engine.Path{}, noTable
}

// longest returns the path by the longest prefix in a table that has a usable route.
func (m *Machine) longest(table *bart.Table[*route], a netip.Addr, why *[]Route) (engine.Path, bool) {
	for prefix, first := range table.Supernets(host(a)) {
		var best *route
		var hops []engine.NextHop
		for r := first; r != nil; r = r.next {
			usable, ok := m.usable(r.hops)
			if why != nil && !r.repeats(first) {
				*why = append(*why, m.showRoute(prefix, r))
			}
			if ok && (best == nil || r.preferred(best)) {
				best, hops = r, usable
			}
		}
		if best != nil {
			return engine.Path{
				Addr: a, Hops: hops, Prefix: prefix, Origin: best.origin.name, Distance: best.origin.distance, Metric: best.metric,
			}, true
		}
	}
	return engine.Path{}, false
}

// preferred says whether r serves before o, a usable route of the same prefix.
func (r *route) preferred(o *route) bool {
	if r.origin.distance != o.origin.distance {
		return r.origin.distance < o.origin.distance
	}
	if r.metric != o.metric {
		return r.metric < o.metric
	}
	if r.connected != o.connected {
		return r.connected
	}
	return r.origin.name < o.origin.name // of two protocols, so that the order in which they spoke does not matter
}

// usable returns the hops that lead over a running interface; false if the route is of no use.
func (m *Machine) usable(hops []engine.NextHop) ([]engine.NextHop, bool) {
	if len(hops) == 0 {
		return nil, true // blackhole, unreachable: it leads nowhere and hides shorter prefixes
	}
	asTheyAre := true
	for _, h := range hops {
		asTheyAre = asTheyAre && h.If != 0 && m.running(h.If)
	}
	if asTheyAre {
		return hops, true
	}
	var use []engine.NextHop
	for _, h := range hops {
		if h.If == 0 {
			h.If = m.onLink(h.Gateway)
		}
		if m.running(h.If) {
			use = append(use, h)
		}
	}
	return use, len(use) > 0
}

func (m *Machine) running(id engine.IfID) bool {
	i := m.ifaces[id]
	return i != nil && i.Running()
}

// onLink returns the running interface that has a in its longest network; 0 if there is none.
func (m *Machine) onLink(a netip.Addr) engine.IfID {
	var found engine.IfID
	bits := -1
	for id, i := range engine.Sorted(m.ifaces) {
		if !i.Running() {
			continue
		}
		for _, p := range i.Addrs {
			if p.Bits() > bits && p.Contains(a) && p.Addr() != a {
				found, bits = id, p.Bits()
			}
		}
	}
	return found
}

// lookupStatic returns the path by the multicast static routes.
func (m *Machine) lookupStatic(a netip.Addr, why *[]Route) (engine.Path, bool) {
	for prefix, list := range m.static.Supernets(host(a)) {
		path := engine.Path{Addr: a, Prefix: prefix, Origin: originStatic}
		for _, s := range list { // least distance first
			hop := m.staticHop(s)
			ok := m.running(hop.If)
			if why != nil {
				*why = append(*why, m.showStatic(prefix, s))
			}
			switch {
			case !ok:
			case len(path.Hops) == 0:
				path.Distance = s.Distance
				path.Hops = append(path.Hops, hop)
			case s.Distance == path.Distance:
				path.Hops = append(path.Hops, hop)
			}
		}
		if len(path.Hops) > 0 {
			slices.SortFunc(path.Hops, compareHops)
			return path, true
		}
	}
	return engine.Path{}, false
}

// staticHop returns the next hop of a multicast static route; its interface is 0 if it is not known now.
func (m *Machine) staticHop(s StaticRoute) engine.NextHop {
	hop := engine.NextHop{Gateway: s.Gateway, Weight: 1}
	switch {
	case s.If == "": // onLink of no gateway is 0
		hop.If = m.onLink(s.Gateway)
	default:
		for id, i := range engine.Sorted(m.ifaces) {
			if i.Name == s.If {
				hop.If = id
			}
		}
	}
	return hop
}
