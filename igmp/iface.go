package igmp

import (
	"net/netip"
	"time"

	"grove/internal/engine"
)

// iface is an interface on which the protocol runs.
type iface struct {
	m          *Machine
	state      *engine.Interface
	cfg        InterfaceConfig
	generation int        // of the configured version
	addr       netip.Addr // what we send from
	stopped    bool
	querier    querier
	groups     map[netip.Addr]*group
	static     map[netip.Addr]level // memberships by configuration
}

// start runs the protocol on an interface: a router starts as Querier (RFC 2236 section 3).
func (m *Machine) start(now time.Time, state *engine.Interface, cfg InterfaceConfig) {
	i := &iface{
		m: m, state: state, cfg: cfg,
		generation: cfg.Version + m.family.offset,
		addr:       state.Primary(m.id.Family),
		groups:     make(map[netip.Addr]*group),
	}
	m.ifaces[state.ID] = i
	i.hear(true)
	i.querier.init(i)
	if cfg.Querier {
		i.becomeQuerier(now, cfg.StartupQueryCount, "start")
	}
	i.setStatic()
}

// stop ends the protocol on the interface: nobody is known to be there any more.
func (i *iface) stop(now time.Time, gone bool) {
	i.stopped = true
	delete(i.m.ifaces, i.state.ID)
	if !gone {
		i.hear(false)
	}
	i.m.timers.Stop(&i.querier.query)
	i.m.timers.Stop(&i.querier.otherPresent)
	for _, g := range engine.SortedAddrs(i.groups) {
		g.clear()
		g.touch("interface stopped")
	}
}

// hear joins or leaves the groups to which hosts address their messages. Queries go to the all-systems group, of which
// every system is a member, and to groups that the multicast routing socket receives.
func (i *iface) hear(member bool) {
	i.m.emit(engine.HostGroup{If: i.state.ID, Group: i.m.family.allRouters, Member: member})
	i.m.emit(engine.HostGroup{If: i.state.ID, Group: i.m.family.reports, Member: member})
}

// update takes over a new state and configuration of the same version.
func (i *iface) update(now time.Time, state *engine.Interface, cfg InterfaceConfig) {
	cause := "configuration"
	if addr := state.Primary(i.m.id.Family); addr != i.addr {
		i.addr, cause = addr, "own address changed"
	}
	i.state, i.cfg = state, cfg
	q := &i.querier
	switch {
	case q.elected && !cfg.Querier:
		i.resign(now, cause)
	case q.elected:
		i.m.timers.SetMin(&q.query, now.Add(cfg.QueryInterval))
	case cfg.Querier && (!q.other.IsValid() || !i.m.family.lower(q.other, i.addr)):
		// The Querier that won against our old address loses against the new one, and may not know us yet; or we may
		// ask only now.
		i.becomeQuerier(now, cfg.StartupQueryCount, cause)
	}
	i.setStatic()
}

// setStatic takes over the memberships by configuration.
func (i *iface) setStatic() {
	old := i.static
	i.static = i.cfg.static()
	for addr, l := range engine.SortedAddrs(i.static) {
		if was, ok := old[addr]; !ok || !was.equal(l) {
			i.group(addr).touch("configuration")
		}
	}
	for addr := range engine.SortedAddrs(old) {
		if _, ok := i.static[addr]; !ok {
			i.group(addr).touch("configuration")
		}
	}
}

// group returns the record of a group, a new one if there is none.
func (i *iface) group(addr netip.Addr) *group {
	g := i.groups[addr]
	if g == nil {
		g = newGroup(i, addr)
		i.groups[addr] = g
	}
	return g
}

// robustness is the Robustness Variable: the elected Querier's, or our own.
func (i *iface) robustness() time.Duration {
	if i.querier.robustness > 0 {
		return time.Duration(i.querier.robustness)
	}
	return time.Duration(i.cfg.Robustness)
}

// queryInterval is the Query Interval: the elected Querier's, or our own.
func (i *iface) queryInterval() time.Duration {
	if i.querier.interval > 0 {
		return i.querier.interval
	}
	return i.cfg.QueryInterval
}

// gmi is the Group Membership Interval (RFC 3376 section 8.4; MLD: Multicast Address Listening Interval).
func (i *iface) gmi() time.Duration {
	return i.robustness()*i.queryInterval() + i.cfg.QueryResponseInterval
}

// otherQuerierPresent is the Other Querier Present Interval (RFC 3376 section 8.5).
func (i *iface) otherQuerierPresent() time.Duration {
	return i.robustness()*i.queryInterval() + i.cfg.QueryResponseInterval/2
}

// lmqt is the Last Member Query Time (RFC 3376 section 8.10) when the Last Member Query Interval is interval.
func (i *iface) lmqt(interval time.Duration) time.Duration {
	return interval * time.Duration(i.cfg.LastMemberQueryCount)
}
