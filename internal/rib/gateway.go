package rib

import (
	"net/netip"
	"slices"

	"grove/internal/engine"
)

// gateway is a next hop of multicast routes that a tracked address depends on and that is not on a link of ours, as BGP's
// are within a domain. The unicast routes say how it is reached, and it is resolved again when they change.
type gateway struct {
	addr  netip.Addr
	hops  []engine.NextHop // as resolved last
	users int              // tracked addresses
	dirty bool             // in Machine.dirtyGateways

	changed bool // within settleGateways
}

// search is what a lookup gathers on its way.
type search struct {
	why *[]Route     // if not nil: the routes that were looked at, in order
	via []netip.Addr // the gateways that were resolved through unicast routes
}

// resolve returns the ways to a next hop that a multicast route names without an interface: it is on a link of ours, or
// the unicast routes lead there. The RPF neighbor is then the unicast route's gateway, which is the PIM neighbor on the way
// (RFC 7761, section 4.1.5 with RFC 4271, section 5.1.3: the next hop of BGP is resolved recursively).
func (m *Machine) resolve(h engine.NextHop, s *search) []engine.NextHop {
	if _, ours := m.local[h.Gateway]; ours || !h.Gateway.IsValid() {
		return nil
	}
	if id := m.onLink(h.Gateway); id != 0 {
		h.If = id
		return []engine.NextHop{h}
	}
	s.via = append(s.via, h.Gateway)
	g, ok := m.gateways.Get(host(h.Gateway))
	var hops []engine.NextHop
	if ok && !g.dirty {
		hops = g.hops
	} else {
		hops = m.resolveGateway(h.Gateway)
	}
	if h.Weight > 1 {
		hops = slices.Clone(hops)
		for i := range hops {
			hops[i].Weight = h.Weight
		}
	}
	return hops
}

func (m *Machine) resolveGateway(a netip.Addr) []engine.NextHop {
	if _, ours := m.local[a]; ours {
		return nil
	}
	path, _ := m.longest(&m.unicast, a, &search{}, false)
	if !path.Connected() {
		return path.Hops
	}
	// A route over a link without a gateway (a point-to-point link, say): the next hop is taken to be there.
	hops := slices.Clone(path.Hops)
	for i := range hops {
		if !hops[i].Gateway.IsValid() {
			hops[i].Gateway = a
		}
	}
	return hops
}

func (m *Machine) touchGateway(g *gateway) {
	if !g.dirty {
		g.dirty = true
		m.dirtyGateways = append(m.dirtyGateways, g)
	}
}

// settleGateways resolves what was touched, and touches the tracked addresses that depend on what changed.
func (m *Machine) settleGateways() {
	any := false
	for _, g := range m.dirtyGateways {
		hops := m.resolveGateway(g.addr)
		g.changed = !slices.Equal(hops, g.hops)
		g.hops, g.dirty = hops, false
		any = any || g.changed
	}
	if any {
		for _, t := range m.tracked.All() {
			if slices.ContainsFunc(t.via, func(g *gateway) bool { return g.changed }) {
				m.touch(t)
			}
		}
	}
	for i, g := range m.dirtyGateways {
		g.changed = false
		m.dirtyGateways[i] = nil
	}
	m.dirtyGateways = m.dirtyGateways[:0]
}

// depend has t depend on these gateways and no others.
func (m *Machine) depend(t *tracked, via []netip.Addr) {
	if len(via) == 0 && len(t.via) == 0 {
		return
	}
	old := t.via
	t.via = nil
	slices.SortFunc(via, netip.Addr.Compare)
	for _, a := range slices.Compact(via) {
		g, ok := m.gateways.Get(host(a))
		if !ok {
			g = &gateway{addr: a, hops: m.resolveGateway(a)}
			m.gateways.Insert(host(a), g)
		}
		g.users++
		t.via = append(t.via, g)
	}
	for _, g := range old {
		if g.users--; g.users == 0 {
			m.gateways.Delete(host(g.addr))
		}
	}
}
