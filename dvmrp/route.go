package dvmrp

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"grove/dvmrp/wire"
	"grove/internal/engine"
	"grove/internal/roll"
)

// routeKind is where a route comes from.
type routeKind uint8

const (
	learned       routeKind = iota // from a neighbor
	connected                      // the network of an interface on which DVMRP runs
	redistributed                  // a network that is announced by configuration
)

// route is a source network of the table (section 3.4).
type route struct {
	m      *Machine
	prefix netip.Prefix
	kind   routeKind
	// The way to the network. A learned route has a gateway; without one the network is not reachable, and the metric is
	// Infinity. A redistributed route has no interface: its sources are those of other protocols.
	iface   *iface
	gateway *neighbor
	metric  uint8
	since   time.Time // it has had this gateway

	expiry engine.Timer
	hold   *holdDown // nil: not in hold-down

	heard []*heard // what neighbors reported, by their seq
	flows roll.Roll[*flow]

	told    bool           // rib has been told of it
	toldHop engine.NextHop // what
	toldAs  uint8          // with which metric

	bucket         *roll.Roll[*route]
	placeInBucket  int32
	placeAtGateway int32
	changed        bool // on the list of the next flash update
	unsaid         bool // on the list of what rib is told at Settled
	gone           bool
}

// holdDown is the state of a route that was deleted (section 3.4.8).
type holdDown struct {
	timer   engine.Timer
	metric  uint8      // that it had
	gateway netip.Addr // that it had; invalid: none, the route was our own
}

// heard is what a neighbor last reported of a route: 1 to 31 that it reaches the network, 33 to 63 that it depends on whoever
// is upstream of it on the link (section 3.4.4). What was reported as unreachable is not kept.
//
// All that is told is kept, not only the designated forwarder and its metric as section 3.4.6 asks: so the next best is known
// if one goes or gets worse, or if we do.
type heard struct {
	r      *route
	n      *neighbor
	metric uint8
	at     time.Time
	place  int32 // in n.heard
}

func (h *heard) dependent() bool { return h.metric > wire.Infinity }

// forget removes what a neighbor reported. The route is to be touched.
func (h *heard) forget() {
	r := h.r
	if at, found := r.find(h.n); found {
		r.heard = slices.Delete(r.heard, at, at+1)
	}
	r.endDependence(h)
	h.n.heard.Remove(h, placeOfHeard)
}

func (r *route) find(n *neighbor) (int, bool) {
	return slices.BinarySearchFunc(r.heard, n.seq, func(h *heard, seq uint32) int { return cmp.Compare(h.n.seq, seq) })
}

// hear takes note of what a neighbor reported of the route, and when.
func (r *route) hear(n *neighbor, metric uint8, at time.Time) {
	place, found := r.find(n)
	if metric == wire.Infinity {
		if found {
			r.heard[place].forget()
			r.touch()
		}
		return
	}
	if !found {
		h := &heard{r: r, n: n}
		r.heard = slices.Insert(r.heard, place, h)
		n.heard.Add(h, placeOfHeard)
	}
	h := r.heard[place]
	h.at = at
	if h.metric != metric {
		if metric < wire.Infinity {
			r.endDependence(h)
		}
		h.metric = metric
		r.touch()
	}
}

// reachable says whether there is a way to the network.
func (r *route) reachable() bool { return r.metric < wire.Infinity }

// ours says whether the route is told by us and not learned.
func (r *route) ours() bool { return r.kind != learned }

// announced is the metric that neighbors downstream are told: "A route MUST only be advertised with an infinity metric while
// it is in hold-down" (section 3.4.8).
func (r *route) announced() uint8 {
	if r.hold != nil {
		return wire.Infinity
	}
	return r.metric
}

// advertised returns the metric of the route in a Report on an interface; false: it does not stand there. A network is not
// told on its own link.
//
// Deviation: section 3.4.8 has a route in hold-down advertised with infinity alone. Here the upstream neighbor of one that was
// learned again meanwhile hears the poison reverse: "the router MAY use this new route for delivering to local group members",
// and no packets would come without it. It says nothing of a way that anybody could use.
func (r *route) advertised(i *iface) (uint8, bool) {
	switch {
	case r.kind == connected && i.inNetwork(r.prefix):
		return 0, false
	case r.gateway != nil && r.iface == i:
		return r.metric + wire.Infinity, true // poison reverse (section 3.4.4)
	}
	return r.announced(), true
}

// inNetwork says whether a prefix is that of an address of the interface.
func (i *iface) inNetwork(p netip.Prefix) bool {
	return slices.ContainsFunc(i.link.Addrs, func(a netip.Prefix) bool { return a.Masked() == p })
}

// forwarder returns whether we are the designated forwarder for the network on an interface, and who is if we are not
// (section 3.3.1): of those who reach it, he with the lowest metric, and among equals the one with the lowest address.
//
// Deviation: section 3.3.1 compares the metric that was received and adjusted with the one that we advertise; section 2.4 and
// section 3.4.6 the metrics as they are advertised. Only the latter makes both routers choose the same one.
func (r *route) forwarder(i *iface) (self bool, best *heard) {
	for _, h := range r.heard {
		if h.n.iface != i || h.dependent() {
			continue
		}
		if best == nil || h.better(best.metric, best.n.addr) {
			best = h
		}
	}
	return best == nil || !best.better(r.announced(), i.addr), best
}

func (h *heard) better(metric uint8, addr netip.Addr) bool {
	return h.metric < metric || h.metric == metric && h.n.addr.Less(addr)
}

// downstream returns the interfaces on which we are the designated forwarder for the network, and those of them with
// neighbors that depend on us.
//
// In hold-down nobody downstream takes us for upstream; hosts may be served (section 3.4.8).
func (r *route) downstream() (forwards, dependents ifSet) {
	forwards = r.m.running
	for _, h := range r.heard {
		i := h.n.iface
		switch {
		case h.dependent():
			dependents |= i.set()
		case h.better(r.announced(), i.addr):
			forwards &^= i.set()
		}
	}
	if r.gateway != nil || r.kind == connected {
		forwards &^= r.iface.set()
	}
	return forwards, dependents & forwards
}

// ---- what happens to routes ----

// makeRoute returns the new route of a prefix; nil if there is no room.
func (m *Machine) makeRoute(p netip.Prefix) *route {
	if m.routes >= m.cfg.MaxRoutes {
		m.counts.Add("too many routes")
		return nil
	}
	r := &route{m: m, prefix: p, metric: wire.Infinity}
	r.expiry.Do = func(time.Time) { r.lose("Route Expiration Time") }
	m.table.Insert(p, r)
	m.routes++
	r.bucket = m.nextBucket()
	r.bucket.Add(r, placeInBucket)
	r.recallEarly()
	return r
}

// remove forgets a route.
func (r *route) remove() {
	m := r.m
	r.gone = true
	for len(r.heard) > 0 {
		r.heard[0].forget()
	}
	m.timers.Stop(&r.expiry)
	if r.hold != nil {
		m.timers.Stop(&r.hold.timer)
	}
	m.table.Delete(r.prefix)
	m.routes--
	r.bucket.Remove(r, placeInBucket)
}

// adopt makes a neighbor the upstream neighbor of the route.
func (r *route) adopt(n *neighbor, metric uint8, cause string) {
	m, was, old := r.m, r.reachable(), r.words()
	if r.gateway != nil {
		r.gateway.routes.Remove(r, placeAtGateway)
	}
	if r.gateway != n {
		r.since = m.now
	}
	r.gateway, r.iface, r.metric = n, n.iface, metric
	n.routes.Add(r, placeAtGateway)
	r.refresh()
	// "it is permissible to prematurely take a route out of hold-down ONLY if the route is re-learned from the SAME router
	// with the SAME metric" (section 3.4.8).
	if r.hold != nil && r.hold.gateway == n.addr && r.hold.metric == metric {
		r.endHold()
	}
	r.follow(old, cause, !was)
}

// refresh puts off the end of a route.
func (r *route) refresh() { r.m.timers.Set(&r.expiry, r.m.now.Add(r.m.cfg.RouteExpiration)) }

// lose deletes a route: there is no way to the network any more, and it is held down (section 3.4.8).
func (r *route) lose(cause string) {
	m, old := r.m, r.words()
	if !r.reachable() {
		return
	}
	h := r.hold
	if h == nil {
		h = &holdDown{metric: r.metric}
		h.timer.Do = func(time.Time) { r.holdDownEnds() }
		m.timers.Set(&h.timer, m.now.Add(m.cfg.HoldDown))
		if r.gateway != nil {
			h.gateway = r.gateway.addr
		}
	}
	if r.gateway != nil {
		r.gateway.routes.Remove(r, placeAtGateway)
	}
	m.timers.Stop(&r.expiry)
	r.hold, r.kind, r.gateway, r.iface, r.metric = h, learned, nil, nil, wire.Infinity
	r.follow(old, cause, true)
	r.adoptNext()
}

// adoptNext takes the next best way of those that neighbors told, as their next Reports would have it taken. It is still
// hold-down (section 3.4.8): to others the network is as unreachable as before, members of ours need not wait.
func (r *route) adoptNext() {
	m := r.m
	var next *neighbor
	var metric uint8 = wire.Infinity
	for _, h := range r.heard {
		if h.dependent() || !h.n.iface.runs || !h.n.adjacent() || m.now.Sub(h.at) >= m.cfg.RouteExpiration {
			continue
		}
		adjusted := min(h.metric+h.n.iface.cfg.Metric, wire.Infinity)
		if adjusted < metric || adjusted == metric && next != nil && h.n.addr.Less(next.addr) {
			next, metric = h.n, adjusted
		}
	}
	if next != nil {
		r.adopt(next, metric, "the next best that was heard")
	}
}

func (r *route) endHold() {
	r.m.timers.Stop(&r.hold.timer)
	r.hold = nil
}

// holdDownEnds advertises what was learned in hold-down, or forgets the route.
func (r *route) holdDownEnds() {
	old := r.words()
	r.hold = nil
	if r.reachable() {
		r.follow(old, "hold-down ends", false)
		return
	}
	r.transition(old, "none", "hold-down ends")
	r.remove()
}

// follow does what follows from a change of the route: neighbors and rib are told, sources may have another route now, flows
// another way.
func (r *route) follow(old, cause string, reach bool) {
	r.transition(old, r.words(), cause)
	r.flashLater()
	r.sayLater()
	if reach {
		r.m.resolveCovered(r.prefix)
	}
	r.touch()
}

// touch says that something of the route changed on which its flows may depend.
func (r *route) touch() {
	for _, f := range r.flows.All {
		r.m.touch(f)
	}
}

func (r *route) transition(old, now, cause string) {
	if old == now {
		return
	}
	t := engine.Transition{Entity: "route " + r.prefix.String(), Old: old, New: now, Cause: cause}
	if r.iface != nil {
		t.If = r.iface.id
	}
	if r.gateway != nil {
		t.Neighbor = r.gateway.addr
	}
	r.m.emit(t)
}

// state names the state of the route.
func (r *route) state() string {
	switch {
	case r.hold != nil:
		return "hold-down"
	case r.kind == connected:
		return "connected"
	case r.kind == redistributed:
		return "redistributed"
	case r.reachable():
		return "learned"
	}
	return "none"
}

// words tells the state of the route and its way.
func (r *route) words() string {
	s := r.state()
	if r.gateway != nil {
		s += " by " + r.gateway.addr.String()
	}
	if r.reachable() {
		s += " metric " + metricWords[r.metric]
	}
	return s
}

// metricWords are the metrics as text: a table of thousands changes at once.
var metricWords = func() (words [wire.Infinity + 1]string) {
	for n := range words {
		if n >= 10 {
			words[n] = string(rune('0' + n/10))
		}
		words[n] += string(rune('0' + n%10))
	}
	return words
}()

// ---- the routes that are not learned ----

// localRoute is a network that we announce ourselves.
type localRoute struct {
	kind   routeKind
	iface  *iface
	metric uint8
}

// deriveLocal works out anew which routes are not learned: the networks of our interfaces, and those of the configuration. An
// interface on which DVMRP runs has the network before others, and what is configured one by one before the default.
func (m *Machine) deriveLocal() {
	m.localStale = false
	want := make(map[netip.Prefix]localRoute)
	add := func(p netip.Prefix, l localRoute) {
		if p = p.Masked(); !tellable(p) {
			m.counts.Add("network that no Report can tell")
		} else if _, ok := want[p]; !ok {
			want[p] = l
		}
	}
	for _, i := range m.order {
		for _, p := range i.link.Addrs {
			if i.runs && p.Addr().Is4() {
				add(p, localRoute{connected, i, i.cfg.Metric})
			}
		}
	}
	if m.running != 0 {
		o := m.cfg.Originate
		for _, n := range o.Networks {
			add(n.Prefix, localRoute{redistributed, nil, max(n.Metric, 1)})
		}
		for _, i := range m.order {
			for _, p := range i.link.Addrs {
				if o.Connected && !i.runs && i.link.Running() && p.Addr().Is4() && !p.Addr().IsLoopback() {
					add(p, localRoute{redistributed, nil, o.ConnectedMetric})
				}
			}
		}
		if o.Default {
			add(netip.PrefixFrom(netip.IPv4Unspecified(), 0), localRoute{redistributed, nil, o.DefaultMetric})
		}
	}
	for p, r := range engine.SortedFunc(m.local, netip.Prefix.Compare) {
		if _, ok := want[p]; !ok {
			delete(m.local, p)
			r.lose("the network is ours no more")
		}
	}
	for p, l := range engine.SortedFunc(want, netip.Prefix.Compare) {
		m.setLocal(p, l)
	}
}

// setLocal makes the route of a network one of ours.
func (m *Machine) setLocal(p netip.Prefix, l localRoute) {
	r, found := m.table.Get(p)
	if !found {
		if r = m.makeRoute(p); r == nil {
			return
		}
	}
	m.local[p] = r
	if r.kind == l.kind && r.iface == l.iface && r.metric == l.metric {
		return
	}
	was, old := r.reachable(), r.words()
	if r.gateway != nil {
		r.gateway.routes.Remove(r, placeAtGateway)
		r.gateway = nil
	}
	m.timers.Stop(&r.expiry)
	if r.hold != nil && !r.hold.gateway.IsValid() && r.hold.metric == l.metric {
		r.endHold() // learned again from the same router, which is this one
	}
	r.kind, r.iface, r.metric, r.since = l.kind, l.iface, l.metric, m.now
	r.follow(old, "the network is ours", !was)
}

// tellable says whether a Report can name a network (section 3.4.2): there is no mask of fewer than 8 bits but that of the
// default route, which net 0 would be read as.
func tellable(p netip.Prefix) bool {
	if !p.IsValid() || !p.Addr().Is4() {
		return false
	}
	first := p.Addr().As4()[0]
	return p.Bits() == 0 && first == 0 || p.Bits() >= 8 && first != 0 && first != 127 && first < 224
}

// ---- what rib is told ----

func (r *route) sayLater() {
	if !r.unsaid {
		r.unsaid = true
		r.m.unsaid = append(r.m.unsaid, r)
	}
}

// sayRoutes tells rib what differs from what it was last told. It runs at Settled. Connected networks rib knows itself, and
// what is redistributed has its way by another protocol.
func (m *Machine) sayRoutes() {
	routes := m.unsaid
	m.unsaid = nil
	for _, r := range routes {
		r.unsaid = false
		var hop engine.NextHop
		told := r.gateway != nil && !r.gone
		if told {
			hop = engine.NextHop{If: r.iface.id, Gateway: r.gateway.addr, Weight: 1}
		}
		if told == r.told && (!told || hop == r.toldHop && r.metric == r.toldAs) {
			continue
		}
		r.told, r.toldHop, r.toldAs = told, hop, r.metric
		ev := engine.MRIBRoute{Prefix: r.prefix, Gone: !told}
		if told {
			ev.Hops, ev.Metric = []engine.NextHop{hop}, uint32(r.metric)
		}
		m.emit(ev)
	}
}
