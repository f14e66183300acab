package dvmrp

import (
	"maps"
	"net/netip"
	"time"

	"grove/dvmrp/wire"
	"grove/internal/roll"
)

// This file is Route Reports: sections 3.4.2, 3.4.5, 3.4.6 and 3.4.9.

const (
	// reportParts is into how many parts the Route Report Interval is divided, so that Reports are spread over it.
	reportParts = 12
	// reportLoad is how many routes fill a Report. While there are few, they are not spread thinner than that.
	reportLoad = 100
	// flashDelay is the part of the Minimum Flash Update Interval that a flash update waits for more changes of the same
	// cause: a neighbor's table comes in many Reports.
	flashDelay = 50
)

// nextBucket returns the part of the Route Report Interval in which a new route is to be reported.
func (m *Machine) nextBucket() *roll.Roll[*route] {
	least := &m.buckets[0]
	for n := range m.buckets {
		b := &m.buckets[n]
		if len(b.All) < reportLoad {
			return b
		}
		if len(b.All) < len(least.All) {
			least = b
		}
	}
	return least
}

// reportTimerExpires reports the routes whose turn it is: "All of the active routes MUST be advertised over all interfaces
// with neighbors present each Route Report Interval" (section 3.4.5), and "routers MUST attempt to spread the routes reported
// across the whole route update interval" (section 3.4.2).
func (m *Machine) reportTimerExpires() {
	m.timers.Set(&m.reporting, m.now.Add(m.cfg.ReportInterval/reportParts))
	bucket := &m.buckets[m.turn]
	m.turn = (m.turn + 1) % reportParts
	for _, r := range bucket.All {
		r.sweep()
	}
	for _, i := range m.order {
		i.report(bucket.All)
	}
	if m.turn == 0 {
		m.sweepEarly()
	}
}

// sweep forgets what neighbors have not repeated for the Route Expiration Time.
func (r *route) sweep() {
	m := r.m
	for n := len(r.heard) - 1; n >= 0; n-- {
		if h := r.heard[n]; m.now.Sub(h.at) >= m.cfg.RouteExpiration {
			m.counts.Add("reported route not repeated")
			h.forget()
			r.touch()
		}
	}
}

// report sends routes on an interface, if somebody hears it.
func (i *iface) report(routes []*route) {
	if !i.hears() {
		return
	}
	for _, msg := range i.reports(routes) {
		i.sendAll(msg)
	}
}

// reports makes the Reports that tell routes on an interface.
func (i *iface) reports(routes []*route) []*wire.Report {
	list := make([]wire.Route, 0, len(routes))
	for _, r := range routes {
		if metric, ok := r.advertised(i); ok && !r.gone {
			list = append(list, wire.Route{Prefix: r.prefix, Metric: metric})
		}
	}
	return wire.PackReports(list, i.maxMessage())
}

// sendTable sends a neighbor the entire routing table (sections 3.2.2 and 3.4.5).
func (n *neighbor) sendTable() {
	var all []*route
	for b := range n.m.buckets {
		all = append(all, n.m.buckets[b].All...)
	}
	for _, msg := range n.iface.reports(all) {
		n.send(msg)
	}
}

// flashLater has the route told in the next flash update. "Flash updates need only contain the source networks that have
// changed." They are sent on all interfaces with neighbors: downstream the new metric, upstream the poison reverse.
func (r *route) flashLater() {
	m := r.m
	if r.changed {
		return
	}
	r.changed = true
	m.changed = append(m.changed, r)
	if m.flash.Running() {
		return
	}
	at := m.now.Add(m.cfg.FlashInterval / flashDelay)
	if earliest := m.flashed.Add(m.cfg.FlashInterval); at.Before(earliest) {
		at = earliest // "flash updates MUST NOT happen more often than the Minimum Flash Update Interval"
	}
	m.timers.Set(&m.flash, at)
}

// sendFlash sends a flash update (section 3.4.5).
func (m *Machine) sendFlash() {
	routes := m.changed
	m.changed = nil
	m.flashed = m.now
	for _, r := range routes {
		r.changed = false
	}
	for _, i := range m.order {
		i.report(routes)
	}
}

// sendFarewell advertises all routes with infinity, which cancels dependence on neighbors upstream, too (section 3.4.9).
func (i *iface) sendFarewell() {
	m := i.m
	if !i.hears() || !i.link.Running() {
		return
	}
	var list []wire.Route
	for b := range m.buckets {
		for _, r := range m.buckets[b].All {
			if _, ok := r.advertised(i); ok {
				list = append(list, wire.Route{Prefix: r.prefix, Metric: wire.Infinity})
			}
		}
	}
	for _, msg := range wire.PackReports(list, i.maxMessage()) {
		i.sendAll(msg)
	}
}

// receiveReport handles a Route Report (section 3.4.6).
func (n *neighbor) receiveReport(p *wire.Report) {
	for _, rt := range p.Routes {
		n.receiveRoute(rt)
	}
}

// early is the poison reverse of a neighbor for a network to which there is no route yet.
type early struct {
	metric uint8
	at     time.Time
}

// hearEarly takes note of what a neighbor reports of a network that nobody here reaches. After a restart of ours the Reports of
// neighbors downstream may come before those of the one upstream: who depends on us has said so already, and says it again
// only in a Route Report Interval, without packets until then. Seen with mrouted.
func (n *neighbor) hearEarly(p netip.Prefix, metric uint8) {
	m := n.m
	_, found := n.early[p]
	switch {
	case metric <= wire.Infinity && found:
		delete(n.early, p)
		m.early--
	case metric <= wire.Infinity:
	case !found && m.early >= m.cfg.MaxRoutes:
		m.counts.Add("too many routes")
	default:
		if n.early == nil {
			n.early = make(map[netip.Prefix]early)
		}
		if !found {
			m.early++
		}
		n.early[p] = early{metric, m.now}
	}
}

// sweepEarly forgets what neighbors have not repeated of networks that still nobody here reaches.
func (m *Machine) sweepEarly() {
	for _, i := range m.order {
		for _, n := range i.neighbors {
			before := len(n.early)
			maps.DeleteFunc(n.early, func(_ netip.Prefix, e early) bool { return m.now.Sub(e.at) >= m.cfg.RouteExpiration })
			m.early -= before - len(n.early)
		}
	}
}

// recallEarly gives a new route what neighbors told before there was one.
func (r *route) recallEarly() {
	m := r.m
	if m.early == 0 {
		return
	}
	for _, i := range m.order {
		for _, n := range i.neighbors {
			e, found := n.early[r.prefix]
			if !found {
				continue
			}
			delete(n.early, r.prefix)
			m.early--
			if m.now.Sub(e.at) < m.cfg.RouteExpiration && !i.inNetwork(r.prefix) {
				r.hear(n, e.metric, e.at)
			}
		}
	}
}

// receiveRoute handles a route of a Report. "Metric" and "Adjusted Metric" are the words of section 3.4.6.
func (n *neighbor) receiveRoute(rt wire.Route) {
	m, i := n.m, n.iface
	metric, adjusted := rt.Metric, rt.Metric
	if metric < wire.Infinity {
		adjusted = min(metric+i.cfg.Metric, wire.Infinity)
	}
	switch {
	case rt.Prefix.Masked() != rt.Prefix || !tellable(rt.Prefix):
		m.counts.Add("report of no source network")
		return
	case metric == 0 || metric >= 2*wire.Infinity:
		m.counts.Add("report of an illegal metric") // rule 4
		return
	}
	r, exists := m.table.Get(rt.Prefix)
	if !exists {
		// Rule A. "If the route is new and the Adjusted Metric is less than infinity, the route should be added."
		if adjusted >= wire.Infinity {
			n.hearEarly(rt.Prefix, metric)
			return
		}
		if r = m.makeRoute(rt.Prefix); r == nil {
			return
		}
	}
	if r.kind == connected && i.inNetwork(r.prefix) {
		return // the network of the link itself
	}
	// What makes a designated forwarder, a dependent router or neither follows from what was heard: r.downstream.
	r.hear(n, metric, m.now)
	switch {
	case r.ours():
	case metric < wire.Infinity:
		r.receiveReachable(n, adjusted)
	case r.gateway == n:
		// Rule 2.a: the next hop does not reach the network any more. Rule 3.b: the neighbor on our upstream interface
		// takes another one on the link, or us, for upstream: "treated as if an infinity metric was received".
		r.lose("receive infinity")
	}
}

// receiveReachable is rule B.1, of a route that we did not tell ourselves.
func (r *route) receiveReachable(n *neighbor, adjusted uint8) {
	same := r.gateway == n
	switch {
	case adjusted > r.metric && !same, adjusted >= wire.Infinity && r.gateway == nil:
	case adjusted >= wire.Infinity && same:
		r.lose("the metric reaches infinity")
	case adjusted == r.metric && same:
		r.refresh()
		if r.hold != nil && r.hold.gateway == n.addr && r.hold.metric == adjusted {
			old := r.words()
			r.endHold()
			r.follow(old, "receive the metric of before", false)
		}
	case adjusted > r.metric:
		r.adopt(n, adjusted, "the upstream neighbor's metric is worse")
	case adjusted < r.metric && same:
		r.adopt(n, adjusted, "the upstream neighbor's metric is better")
	case adjusted < r.metric && r.gateway != nil:
		r.adopt(n, adjusted, "another neighbor's metric is better")
	case adjusted < r.metric:
		r.adopt(n, adjusted, "receive Report")
	case n.addr.Less(r.gateway.addr):
		r.adopt(n, adjusted, "equal metric of a lower address")
	}
}
