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

// lookup returns the path to a (RFC 7761, section 4.1.5: RPF_interface and MRIB.next_hop are its first hop).
func (m *Machine) lookup(a netip.Addr, s *search) (engine.Path, table) {
	if id, ok := m.local[a]; ok {
		return engine.Path{Addr: a, Local: true, Prefix: host(a), Origin: originLocal, Hops: []engine.NextHop{{If: id, Weight: 1}}}, noTable
	}
	if a.Is6() && a.IsLinkLocalUnicast() {
		return engine.Path{Addr: a}, noTable
	}
	multicast, from := engine.Path{}, noTable
	if m.cfg.Mode != URIBOnly {
		multicast, from = m.lookupMulticast(a, s)
	}
	// Our own networks are in both tables, so that a host on a link of ours is there in every mode.
	own := m.cfg.Mode == MRIBOnly || m.cfg.Mode == MRIBThenURIB
	unicast, ok := m.longest(&m.unicast, a, s, own)
	if m.cfg.Mode == MRIBThenURIB && from == noTable && !ok {
		unicast, ok = m.longest(&m.unicast, a, s, false)
	}
	switch {
	case from == noTable && !ok:
		return engine.Path{Addr: a}, noTable
	case from == noTable || ok && m.beats(&unicast, &multicast, from):
		return unicast, unicastTable
	}
	return multicast, from
}

// beats says whether a unicast route serves before a multicast route that is in the table from.
func (m *Machine) beats(unicast, multicast *engine.Path, from table) bool {
	if m.cfg.Mode != LowerDistance {
		if c := cmp.Compare(unicast.Prefix.Bits(), multicast.Prefix.Bits()); c != 0 {
			return c > 0
		}
	}
	if unicast.Distance != multicast.Distance {
		return unicast.Distance < multicast.Distance
	}
	// A host on a link of ours is there, whatever a protocol has heard of the way to a net around it: the default route
	// of a DVMRP region must not lead away from the links of the others. A static route is somebody's will.
	return from == learnedTable && unicast.Connected()
}

// lookupMulticast returns the path by the multicast static routes and those that protocols contributed: the longer prefix,
// then the least distance, then the least metric; noTable if there is none.
func (m *Machine) lookupMulticast(a netip.Addr, s *search) (engine.Path, table) {
	static, haveStatic := m.lookupStatic(a, s)
	learned, haveLearned := m.longest(&m.learned, a, s, false)
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

// longest returns the path by the longest prefix in a table that has a usable route; own: a route to a network of our own
// interfaces.
func (m *Machine) longest(table *bart.Table[*route], a netip.Addr, s *search, own bool) (engine.Path, bool) {
	resolve := table == &m.learned
	for prefix, first := range table.Supernets(host(a)) {
		var best *route
		var hops []engine.NextHop
		served := "" // the protocol whose routes follow one another, if one of them is usable
		for r := first; r != nil; r = r.next {
			if own && !r.connected {
				continue
			}
			if r.rank > 0 && served == r.origin.name && s.why == nil {
				continue // a better one of the same protocol is usable
			}
			usable, ok := m.usable(r.hops, resolve, s)
			if s.why != nil && !r.repeats(first) && (ok || !own) {
				*s.why = append(*s.why, m.showRoute(prefix, r, resolve))
			}
			if !ok || r.rank > 0 && served == r.origin.name {
				continue
			}
			if served = r.origin.name; best == nil || r.preferred(best) {
				best, hops = r, usable
			}
		}
		if best != nil {
			return engine.Path{
				Addr: a, Hops: hops, Prefix: prefix, Origin: best.origin.name, Distance: best.origin.distance, Metric: best.metric, BGP: best.bgp,
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

// usable returns the hops that lead over a running interface; false if the route is of no use. resolve: a gateway that is
// not on a link is resolved through the unicast routes.
func (m *Machine) usable(hops []engine.NextHop, resolve bool, s *search) ([]engine.NextHop, bool) {
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
		switch {
		case h.If == 0 && resolve:
			use = append(use, m.resolve(h, s)...)
			continue
		case h.If == 0:
			h.If = m.onLink(h.Gateway)
		}
		if m.running(h.If) {
			use = append(use, h)
		}
	}
	if resolve && len(use) > 1 {
		slices.SortFunc(use, compareHops)
		use = slices.Compact(use)
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
func (m *Machine) lookupStatic(a netip.Addr, s *search) (engine.Path, bool) {
	for prefix, list := range m.static.Supernets(host(a)) {
		path := engine.Path{Addr: a, Prefix: prefix, Origin: originStatic}
		for _, r := range list { // least distance first
			hops, ok := m.staticHops(r, s)
			if s.why != nil {
				*s.why = append(*s.why, m.showStatic(prefix, r))
			}
			switch {
			case !ok:
			case len(path.Hops) == 0:
				path.Distance = r.Distance
				path.Hops = append(path.Hops, hops...)
			case r.Distance == path.Distance:
				path.Hops = append(path.Hops, hops...)
			}
		}
		if len(path.Hops) > 0 {
			slices.SortFunc(path.Hops, compareHops)
			path.Hops = slices.Compact(path.Hops) // several gateways may be reached in the same way
			return path, true
		}
	}
	return engine.Path{}, false
}

// staticHops returns the ways that a multicast static route leads now; false if it is of no use.
func (m *Machine) staticHops(r StaticRoute, s *search) ([]engine.NextHop, bool) {
	hop := m.staticHop(r)
	if r.If != "" {
		return []engine.NextHop{hop}, m.running(hop.If)
	}
	return m.usable([]engine.NextHop{hop}, true, s)
}

// staticHop returns the next hop of a multicast static route as it is configured; its interface is 0 if none is, or if there
// is none of that name now.
func (m *Machine) staticHop(s StaticRoute) engine.NextHop {
	hop := engine.NextHop{Gateway: s.Gateway, Weight: 1}
	if s.If == "" {
		return hop
	}
	for id, i := range engine.Sorted(m.ifaces) {
		if i.Name == s.If {
			hop.If = id
		}
	}
	return hop
}
