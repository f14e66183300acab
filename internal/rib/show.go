package rib

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/gaissmai/bart"

	"grove/internal/engine"
)

// What a Query of a rib may ask for, and the type of the answer:
//
//	"rpf"     Arg an address: RPF;  Arg empty: []RPF of all tracked addresses, in order
//	"routes"  []Route
//	"counts"  Counts

// RPF is the path to an address and why it is that one.
type RPF struct {
	Addr      netip.Addr
	Reachable bool
	Local     bool         // an address of this router itself
	Connected bool         // on a link of ours
	Prefix    netip.Prefix // of the route used
	Origin    string
	Distance  uint32
	Metric    uint32
	Hops      []Hop // the first is the RPF neighbour
	Why       string
	Mode      Mode
	BGP       *engine.BGPPath // of a route of BGP's
	// Considered are the routes that were looked at, in order. Only the answer for one address has them.
	Considered []Route
	TrackedBy  []engine.MachineID
}

// Route is a route of the rib.
type Route struct {
	Prefix   netip.Prefix
	Origin   string
	Distance uint32
	Metric   uint32
	Hops     []Hop
	Usable   bool
	Note     string // why it is not usable, or that it leads nowhere
}

// Hop is a next hop.
type Hop struct {
	If        engine.IfID
	Interface string     // the interface's name
	Gateway   netip.Addr // invalid: the destination is on the link
	Running   bool
}

// Counts say how much a rib holds.
type Counts struct {
	Routes       int // of the kernel, and connected networks
	StaticRoutes int // prefixes with multicast static routes
	MRIBRoutes   int // contributed by protocols
	Tracked      int // addresses
	Trackers     int // the sum of the machines that track each
	Bad          map[string]uint64
}

func (m *Machine) answer(q engine.Query) {
	a := engine.Answer{From: m.id, ID: q.ID}
	switch q.What {
	case "rpf":
		a.Value, a.Err = m.showRPF(q.Arg)
	case "routes":
		a.Value = m.showRoutes()
	case "counts":
		a.Value = m.showCounts()
	default:
		a.Err = fmt.Sprintf("rib: no answer to %q: ask for rpf, routes or counts", q.What)
	}
	m.emit(a)
}

func (m *Machine) showRPF(arg string) (value any, fault string) {
	if arg != "" {
		addr, err := netip.ParseAddr(arg)
		if err != nil {
			return nil, fmt.Sprintf("rib: rpf: %v", err)
		}
		if engine.FamilyOf(addr) != m.id.Family {
			return nil, fmt.Sprintf("rib: rpf: %v is not an %v address", addr, m.id.Family)
		}
		var considered []Route
		path, from := m.lookup(addr, &search{why: &considered})
		rpf := m.rpf(&path, from)
		rpf.Considered = considered
		if t, ok := m.tracked.Get(host(addr)); ok {
			rpf.TrackedBy = t.ids()
		}
		return rpf, ""
	}
	all := make([]RPF, 0, m.tracked.Size())
	for _, t := range m.tracked.AllSorted() {
		path, from := m.lookup(t.addr, &search{})
		rpf := m.rpf(&path, from)
		rpf.TrackedBy = t.ids()
		all = append(all, rpf)
	}
	return all, ""
}

func (t *tracked) ids() []engine.MachineID {
	ids := make([]engine.MachineID, len(t.trackers))
	for i, tr := range t.trackers {
		ids[i] = tr.id
	}
	return ids
}

func (m *Machine) rpf(p *engine.Path, from table) RPF {
	return RPF{
		Addr: p.Addr, Reachable: p.Reachable(), Local: p.Local, Connected: p.Connected(), Prefix: p.Prefix, Origin: p.Origin,
		Distance: p.Distance, Metric: p.Metric, Hops: m.showHops(p.Hops), Why: m.why(p, from), Mode: m.cfg.Mode, BGP: p.BGP,
	}
}

// why says in words which route serves.
func (m *Machine) why(p *engine.Path, from table) string {
	switch {
	case p.Local:
		return "an address of this router"
	case !p.Prefix.IsValid() && p.Addr.IsLinkLocalUnicast():
		return "a link-local address is not routed"
	case !p.Prefix.IsValid() && m.cfg.Mode == MRIBOnly:
		return "no usable multicast route, and no others count"
	case !p.Prefix.IsValid():
		return "no usable route"
	case len(p.Hops) == 0:
		return "the route is a blackhole"
	case from == learnedTable:
		return "a route of " + p.Origin + m.whyMulticast()
	case from == staticTable:
		return "a multicast static route" + m.whyMulticast()
	case p.Connected():
		return "on a connected network"
	case m.cfg.Mode == MRIBThenURIB:
		return "no usable multicast route; of the unicast routes the longest usable prefix, then the least distance and metric"
	}
	return "the longest usable prefix, then the least distance and metric"
}

// whyMulticast says why a multicast route serves and not the unicast route.
func (m *Machine) whyMulticast() string {
	switch m.cfg.Mode {
	case LongerPrefix:
		return ", whose prefix is not shorter than the unicast route's"
	case MRIBThenURIB:
		return ": multicast routes come before unicast routes"
	case MRIBOnly:
		return ": only multicast routes count"
	}
	return ", not farther than the unicast route"
}

func (m *Machine) showRoutes() []Route {
	all := make([]Route, 0, m.routes+m.learnedRoutes)
	for prefix, list := range m.static.AllSorted() {
		for _, s := range list {
			all = append(all, m.showStatic(prefix, s))
		}
	}
	for _, table := range []*bart.Table[*route]{&m.learned, &m.unicast} {
		resolve := table == &m.learned
		for prefix, first := range table.AllSorted() {
			for r := first; r != nil; r = r.next {
				if !r.repeats(first) {
					all = append(all, m.showRoute(prefix, r, resolve))
				}
			}
		}
	}
	return all
}

// repeats says whether r is the kernel's own route to a network of our interfaces, which first, the list of its prefix, has by
// their addresses as well. People are shown it once.
func (r *route) repeats(first *route) bool {
	if r.connected || r.origin.name != originConnected {
		return false
	}
	for o := first; o != nil; o = o.next {
		if o.connected {
			return !slices.ContainsFunc(r.hops, func(h engine.NextHop) bool {
				return !slices.Contains(o.hops, engine.NextHop{If: h.If, Weight: 1})
			})
		}
	}
	return false
}

func (m *Machine) showRoute(prefix netip.Prefix, r *route, resolve bool) Route {
	hops, ok := m.usable(r.hops, resolve, &search{})
	shown := Route{
		Prefix: prefix, Origin: r.origin.name, Distance: r.origin.distance, Metric: r.metric,
		Hops: m.showHops(r.hops), Usable: ok, Note: note(len(r.hops), ok),
	}
	if resolve && ok && len(r.hops) == 1 && !slices.Contains(gatewaysOf(hops), r.hops[0].Gateway) {
		shown.Note = "by way of " + hops[0].Gateway.String()
	}
	if r.rank > 0 {
		shown.Note = strings.TrimSuffix("if those before it are of no use, "+shown.Note, ", ")
	}
	return shown
}

func gatewaysOf(hops []engine.NextHop) []netip.Addr {
	list := make([]netip.Addr, len(hops))
	for i, h := range hops {
		list[i] = h.Gateway
	}
	return list
}

func (m *Machine) showStatic(prefix netip.Prefix, s StaticRoute) Route {
	hop := m.staticHop(s)
	shown := m.showHops([]engine.NextHop{hop})
	shown[0].Interface = cmp.Or(shown[0].Interface, s.If)
	hops, ok := m.staticHops(s, &search{})
	route := Route{Prefix: prefix, Origin: originStatic, Distance: s.Distance, Hops: shown, Usable: ok, Note: note(1, ok)}
	if ok && hops[0].Gateway != s.Gateway {
		route.Note = "by way of " + hops[0].Gateway.String()
	}
	return route
}

func note(hops int, usable bool) string {
	switch {
	case !usable:
		return "no next hop over a running interface"
	case hops == 0:
		return "leads nowhere"
	}
	return ""
}

func (m *Machine) showHops(hops []engine.NextHop) []Hop {
	shown := make([]Hop, len(hops))
	for i, h := range hops {
		id := h.If
		if id == 0 {
			id = m.onLink(h.Gateway)
		}
		shown[i] = Hop{If: id, Gateway: h.Gateway, Running: m.running(id)}
		if iface := m.ifaces[id]; iface != nil {
			shown[i].Interface = iface.Name
		}
	}
	return shown
}

func (m *Machine) showCounts() Counts {
	c := Counts{Routes: m.routes, StaticRoutes: m.static.Size(), MRIBRoutes: m.learnedRoutes, Tracked: m.tracked.Size(), Bad: m.counts.Snapshot()}
	for _, t := range m.tracked.All() {
		c.Trackers += len(t.trackers)
	}
	return c
}
