package host

import (
	"cmp"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"grove/internal/engine"
)

// view is the kernel's links, addresses and unicast routes as last heard, and what of them was announced. It is plain
// data: the loop feeds it, and asks changes for the events that follow.
type view struct {
	links     map[int]link
	addresses map[int][]address
	routes    map[routeKey][]route // several of one key: appended routes, or IPv6 routes on several links
	nexthops  map[uint32]nexthop
	tunnels   map[int]tunnelEnds // by ifindex: devices that the host made
	buried    map[int]bool       // by ifindex: devices that the host removed and of whose end the kernel has not told yet

	lastID    engine.IfID
	ifaces    map[int]*iface         // announced, by ifindex
	byID      map[engine.IfID]*iface // those as well whose end has been announced, until forget
	gone      []*iface               // no longer there, not yet announced
	announced map[routeKey]engine.RouteChange
	touched   map[routeKey]bool // routes to compare with what was announced
	recheck   bool              // all of them
	news      bool              // something came in since changes was called
}

// iface is an interface as announced.
type iface struct {
	engine.Interface
	index int
}

func newView() *view {
	return &view{
		links:     make(map[int]link),
		addresses: make(map[int][]address),
		routes:    make(map[routeKey][]route),
		nexthops:  make(map[uint32]nexthop),
		tunnels:   make(map[int]tunnelEnds),
		buried:    make(map[int]bool),
		ifaces:    make(map[int]*iface),
		byID:      make(map[engine.IfID]*iface),
		announced: make(map[routeKey]engine.RouteChange),
		touched:   make(map[routeKey]bool),
	}
}

// setLinks replaces all links.
func (v *view) setLinks(links []link) {
	there := make(map[int]bool, len(links))
	for _, l := range links {
		there[l.index] = true
	}
	for index := range engine.Sorted(v.links) {
		if !there[index] {
			v.removeLink(index)
		}
	}
	for _, l := range links {
		v.setLink(l)
	}
}

// setLink adds or replaces a link. One with another name is another interface: configuration goes by names. The
// devices of the register interface are the kernel's affair.
func (v *view) setLink(l link) {
	if l.hardware == unix.ARPHRD_PIMREG || v.buried[l.index] {
		return
	}
	if old, ok := v.links[l.index]; ok && old.name != l.name {
		v.removeLink(l.index)
	}
	v.links[l.index] = l
}

func (v *view) removeLink(index int) {
	delete(v.links, index)
	if i := v.ifaces[index]; i != nil {
		delete(v.ifaces, index)
		v.gone = append(v.gone, i)
	}
	v.recheck = true
	delete(v.buried, index)
}

// bury forgets a link that the host removed. What the kernel said of it before is ignored when it comes.
func (v *view) bury(index int) {
	v.removeLink(index)
	v.buried[index] = true
}

// setAddresses replaces the addresses of all links. The order is the kernel's.
func (v *view) setAddresses(addresses []address) {
	clear(v.addresses)
	for _, a := range addresses {
		v.addresses[a.index] = append(v.addresses[a.index], a)
	}
}

// setRoutes replaces all routes and nexthop objects.
func (v *view) setRoutes(routes []route, nexthops []nexthop) {
	clear(v.routes)
	clear(v.nexthops)
	for _, r := range routes {
		v.routes[r.routeKey] = append(v.routes[r.routeKey], r)
	}
	for _, n := range nexthops {
		v.nexthops[n.id] = n
	}
	v.recheck = true
}

// applyRoute applies a notification and says whether it was enough. It is not if the kernel has, or had, several
// routes of the key: which of them was meant, and in which order they are now, only a new reading tells.
func (v *view) applyRoute(news routeNews) bool {
	r, gone := news.route, news.gone
	old := v.routes[r.routeKey]
	v.touched[r.routeKey] = true
	switch {
	case len(old) == 0 && !gone, len(old) == 1 && news.replaces && !gone:
		v.routes[r.routeKey] = []route{r}
		return true
	case len(old) == 1 && gone && sameRoute(old[0], r):
		delete(v.routes, r.routeKey)
		return true
	case len(old) == 1 && !gone && sameRoute(old[0], r):
		return true
	}
	return false
}

func sameRoute(a, b route) bool {
	return a.kind == b.kind && a.protocol == b.protocol && a.nexthop == b.nexthop && slices.Equal(a.hops, b.hops)
}

// changes returns what is to be announced: lost interfaces, then new and changed ones (a renamed one is both), then
// routes.
func (v *view) changes() (events []engine.Event) {
	for _, i := range v.gone {
		events = append(events, engine.InterfaceChange{Interface: i.Interface, Gone: true})
	}
	v.gone = v.gone[:0]
	for index, l := range engine.Sorted(v.links) {
		now := engine.Interface{
			Name:         l.name,
			Up:           l.flags&unix.IFF_UP != 0,
			Carrier:      l.carrier(),
			Loopback:     l.flags&unix.IFF_LOOPBACK != 0,
			Multicast:    l.flags&unix.IFF_MULTICAST != 0,
			PointToPoint: l.flags&unix.IFF_POINTOPOINT != 0,
			MTU:          l.mtu,
			Addrs:        usable(v.addresses[index]),
			TunnelLocal:  l.tunnelLocal,
			TunnelRemote: l.tunnelRemote,
		}
		if t, made := v.tunnels[index]; made {
			now.TunnelLocal, now.TunnelRemote = t.local, t.remote
		}
		i := v.ifaces[index]
		if i == nil {
			v.lastID++
			i = &iface{index: index}
			i.ID = v.lastID
			v.ifaces[index], v.byID[i.ID] = i, i
			v.recheck = true
		} else {
			now.ID = i.ID
			if same(&i.Interface, &now) {
				continue
			}
		}
		now.ID = i.ID
		i.Interface = now
		events = append(events, engine.InterfaceChange{Interface: now})
	}
	return v.routeChanges(events)
}

// carrier says whether packets can pass. IFF_RUNNING would say the same, up to a second later: the kernel limits how
// often it updates that.
func (l *link) carrier() bool {
	return l.flags&unix.IFF_LOWER_UP != 0 && l.flags&unix.IFF_DORMANT == 0
}

// forget ends an interface whose end the machines know of.
func (v *view) forget(id engine.IfID) { delete(v.byID, id) }

func same(a, b *engine.Interface) bool {
	return a.ID == b.ID && a.Name == b.Name && a.Up == b.Up && a.Carrier == b.Carrier && a.Loopback == b.Loopback &&
		a.Multicast == b.Multicast && a.PointToPoint == b.PointToPoint && a.MTU == b.MTU &&
		a.TunnelLocal == b.TunnelLocal && a.TunnelRemote == b.TunnelRemote && slices.Equal(a.Addrs, b.Addrs)
}

// usable returns the addresses that packets can be sent from: not those whose uniqueness is still in doubt.
func usable(all []address) (prefixes []netip.Prefix) {
	for _, a := range all {
		if a.flags&unix.IFA_F_DADFAILED != 0 || a.flags&unix.IFA_F_TENTATIVE != 0 && a.flags&unix.IFA_F_OPTIMISTIC == 0 {
			continue
		}
		prefixes = append(prefixes, a.prefix)
	}
	return prefixes
}

func (v *view) routeChanges(events []engine.Event) []engine.Event {
	keys := v.touched
	if v.recheck {
		for key := range v.routes {
			keys[key] = true
		}
		for key := range v.announced {
			keys[key] = true
		}
	}
	for key := range engine.SortedFunc(keys, compareKeys) {
		old, was := v.announced[key]
		now, is := v.routeChange(key)
		switch {
		case is && (!was || now.Origin != old.Origin || !slices.Equal(now.Hops, old.Hops)):
			v.announced[key] = now
			events = append(events, now)
		case was && !is:
			delete(v.announced, key)
			old.Gone = true
			events = append(events, old)
		}
	}
	clear(v.touched)
	v.recheck = false
	return events
}

func compareKeys(a, b routeKey) int {
	return cmp.Or(a.prefix.Addr().Compare(b.prefix.Addr()), cmp.Compare(a.prefix.Bits(), b.prefix.Bits()),
		cmp.Compare(a.metric, b.metric))
}

// routeChange returns the route to announce for a key; false if there is none that is alive. Routes to link-local
// prefixes are not announced: they are on every link and lead nowhere.
func (v *view) routeChange(key routeKey) (engine.RouteChange, bool) {
	if key.prefix.Addr().IsLinkLocalUnicast() {
		return engine.RouteChange{}, false
	}
	change := engine.RouteChange{Prefix: key.prefix, Metric: key.metric}
	blackhole := false
	for _, r := range v.routes[key] {
		if r.kind != unix.RTN_UNICAST {
			blackhole = true
			change.Origin = cmp.Or(change.Origin, origin(r.protocol, true))
			continue
		}
		hops, drops := v.resolve(r)
		if drops {
			blackhole = true
		}
		gateways := false
		for _, h := range hops {
			i := v.ifaces[h.index]
			if i == nil || h.dead {
				continue
			}
			gateways = gateways || h.gateway.IsValid()
			change.Hops = append(change.Hops, engine.NextHop{If: i.ID, Gateway: h.gateway, Weight: h.weight})
		}
		change.Origin = cmp.Or(change.Origin, origin(r.protocol, gateways))
	}
	return change, blackhole || len(change.Hops) > 0
}

// resolve returns the hops of a route, those of its nexthop object if it has one; drops says that the object is a
// blackhole.
func (v *view) resolve(r route) (hops []hop, drops bool) {
	n, ok := v.nexthops[r.nexthop]
	if r.nexthop == 0 || !ok {
		return r.hops, false
	}
	if n.group == nil {
		return []hop{n.hop}, n.blackhole
	}
	for _, m := range n.group {
		one, ok := v.nexthops[m.id]
		if !ok {
			continue
		}
		if one.blackhole {
			drops = true
			continue
		}
		h := one.hop
		h.weight = m.weight
		hops = append(hops, h)
	}
	return hops, drops
}

// origin names a route's protocol as rib's distances do.
func origin(protocol uint8, gateway bool) string {
	switch protocol {
	case unix.RTPROT_KERNEL:
		if gateway {
			return "kernel"
		}
		return "connected"
	case unix.RTPROT_BOOT, unix.RTPROT_STATIC, rtprotZStatic:
		return "static" // ip route add says boot
	case unix.RTPROT_OSPF:
		return "ospf"
	case unix.RTPROT_ISIS:
		return "isis"
	case unix.RTPROT_RIP, rtprotRIPng:
		return "rip"
	case unix.RTPROT_BGP:
		return "bgp"
	case unix.RTPROT_EIGRP:
		return "eigrp"
	case unix.RTPROT_BABEL:
		return "babel"
	case unix.RTPROT_RA:
		return "ra"
	case unix.RTPROT_DHCP:
		return "dhcp"
	case unix.RTPROT_BIRD:
		return "bird"
	case unix.RTPROT_ZEBRA:
		return "zebra"
	case unix.RTPROT_REDIRECT:
		return "redirect"
	}
	return "other"
}

// FRR's numbers that the kernel's headers do not list.
const (
	rtprotRIPng   = 190
	rtprotZStatic = 196
)
