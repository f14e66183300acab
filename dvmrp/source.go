package dvmrp

import (
	"net/netip"

	"grove/internal/engine"
	"grove/internal/roll"
)

// source is an address that packets come from: its route, and whose entries of it are.
type source struct {
	m       *Machine
	addr    netip.Addr
	route   *route // the best match in the table; nil: none
	entries roll.Roll[*entry]

	// What the MRIB says (engine.Path). The way to the source is that of the route. The MRIB decides whether it is ours at all:
	// the next hop may be on an interface of another protocol, as mfib has it (RFC 2715, section 3.1).
	known bool
	via   engine.IfID // the interface of the next hop; 0: there is none
}

func hostPrefix(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

// source returns the source with an address, new if need be.
func (m *Machine) source(a netip.Addr) *source {
	if s, ok := m.sources.Get(hostPrefix(a)); ok {
		return s
	}
	s := &source{m: m, addr: a, route: m.bestMatch(a)}
	m.sources.Insert(hostPrefix(a), s)
	m.emit(engine.Track{From: m.id, Addr: a})
	return s
}

// release forgets a source without entries.
func (s *source) release() {
	if len(s.entries.All) == 0 {
		s.m.sources.Delete(hostPrefix(s.addr))
		s.m.emit(engine.Untrack{From: s.m.id, Addr: s.addr})
	}
}

// bestMatch returns the route of the longest prefix that is reachable; nil if there is none.
func (m *Machine) bestMatch(a netip.Addr) *route {
	for _, r := range m.table.Supernets(hostPrefix(a)) {
		if r.reachable() {
			return r
		}
	}
	return nil
}

// resolveCovered finds the routes of the sources in a prefix anew.
func (m *Machine) resolveCovered(p netip.Prefix) {
	var list []*source
	for _, s := range m.sources.Subnets(p) {
		list = append(list, s)
	}
	for _, s := range list {
		if r := m.bestMatch(s.addr); r != s.route {
			s.route = r
			for _, e := range s.entries.All {
				e.enroll()
			}
		}
	}
}

// path takes over what rib tells.
func (m *Machine) path(p engine.Path) {
	s, ok := m.sources.Get(hostPrefix(p.Addr))
	if !ok {
		return
	}
	s.known, s.via = true, 0
	if len(p.Hops) > 0 {
		s.via = p.Hops[0].If
	}
	for _, e := range s.entries.All {
		m.touch(e.f)
		e.g.sayInterestLater()
	}
}

// external says that the source is one of another protocol on this router: there is no upstream state for it (RFC 2715).
func (s *source) external() bool { return s.via != 0 && s.m.bitOf(s.via) == 0 }

// upstream returns the interface where packets of the source come in; none if they are not ours to take in.
func (s *source) upstream() ifSet {
	if s.external() || s.route == nil {
		return 0
	}
	return s.route.iface.set()
}
