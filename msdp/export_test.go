package msdp

import (
	"fmt"
	"net/netip"
)

// Check says what is wrong with the machine's state: everything that is counted or indexed is counted anew.
func (m *Machine) Check() error {
	type ofPeer struct {
		p      *peer
		rp     *rp // and the peer's address: what a peer told is its own when it has been configured anew
		addr   netip.Addr
		source uint32
		flow   *flow
	}
	peers, rps, sources, flows := map[*peer]int{}, map[*rp]int{}, map[uint32]int{}, map[*flow]int{}
	limited := map[ofPeer]int{} // of a peer and one of the others
	for _, l := range []*chain{&m.own, &m.cached} {
		n := 0
		var prev *sa
		for s := l.first; s != nil; s = s.next {
			n++
			flows[s.flow]++
			switch {
			case s.prev != prev, s.gone, m.flows[s.flow.key] != s.flow, (s.peer == nil) != (l == &m.own):
				return fmt.Errorf("%v is not well in its list", s.flow.key.key())
			case s.peer != nil && m.refiltering.next == nil && !s.peer.passes(true, s.source(), s.group(), s.rp.addr, s.domainLocal):
				return fmt.Errorf("%v is not let in by the filters", s.flow.key.key())
			case s.peer != nil && !s.expires.Running(), s.peer == nil && s.expires.Running():
				return fmt.Errorf("%v: the SA-State timer", s.flow.key.key())
			}
			if prev = s; s.peer != nil {
				peers[s.peer]++
				rps[s.rp]++
				sources[uint32(s.flow.key>>32)]++
				limited[ofPeer{rp: s.rp, addr: s.peer.cfg.Address}]++
				limited[ofPeer{p: s.peer, source: uint32(s.flow.key >> 32)}]++
				limited[ofPeer{p: s.peer, flow: s.flow}]++
				if m.rps[s.rp.addr] != s.rp {
					return fmt.Errorf("%v: the RP is not known", s.flow.key.key())
				}
			}
		}
		if l.last != prev || l.n != n {
			return fmt.Errorf("a list of %d counts %d", n, l.n)
		}
	}
	if len(m.flows) != len(flows) || len(m.perSource) != len(sources) {
		return fmt.Errorf("%d flows, %d are indexed; %d sources, %d are", len(flows), len(m.flows), len(sources), len(m.perSource))
	}
	inGroups := 0
	for k, g := range m.groups {
		inGroups += len(g.flows.All)
		if g.number != k || !g.wanted && len(g.flows.All) == 0 {
			return fmt.Errorf("group %v is left", address(k))
		}
	}
	for f, n := range flows {
		of := 0
		for s := f.first; s != nil; s = s.other {
			of++
		}
		if of != n || m.groups[uint32(f.key)] != f.g {
			return fmt.Errorf("%v: %d entries, %d in the flow", f.key.key(), n, of)
		}
		if len(m.tells.queue) == 0 && f.told != (f.g.wanted && f.remote() != nil) {
			return fmt.Errorf("%v: told %v, wanted %v", f.key.key(), f.told, f.g.wanted)
		}
	}
	if inGroups != len(flows) {
		return fmt.Errorf("%d flows, %d are in groups", len(flows), inGroups)
	}
	for n, k := range sources {
		if m.perSource[n] != k {
			return fmt.Errorf("source %v has %d entries, counted %d", address(n), k, m.perSource[n])
		}
	}
	for of, n := range limited {
		switch {
		case of.rp != nil && (of.rp.fromPeer(of.addr).cached != n || n > m.cfg.MaxPerRP):
			return fmt.Errorf("RP %v has %d entries by peer %v, counted %d", of.rp.addr, n, of.addr, of.rp.fromPeer(of.addr).cached)
		case of.source != 0 && (of.p.perSource[of.source] != n || n > m.cfg.MaxPerSource):
			return fmt.Errorf("source %v has %d entries by peer %v, counted %d", address(of.source), n, of.p.cfg.Address, of.p.perSource[of.source])
		case of.flow != nil && n > m.cfg.MaxPerFlow:
			return fmt.Errorf("%v has %d entries by peer %v", of.flow.key.key(), n, of.p.cfg.Address)
		}
	}
	pathless, named := map[*peer]int{}, map[*peer]int{}
	for a, r := range m.rps {
		for _, w := range r.waiting {
			pathless[w.p]++
		}
		if r.by != nil {
			named[r.by]++
		}
		if r.cached != rps[r] || r.addr != a || !r.unheard.Running() {
			return fmt.Errorf("RP %v has %d entries, counted %d", a, rps[r], r.cached)
		}
	}
	if m.cached.n > m.cfg.MaxSAs {
		return fmt.Errorf("%d entries", m.cached.n)
	}
	if len(m.order) != len(m.peers) {
		return fmt.Errorf("%d peers, %d in order", len(m.peers), len(m.order))
	}
	streams := 0
	for _, p := range m.order {
		if p.stream != 0 {
			streams++
		}
		wantStream := p.state == Established || p.state == Connecting && p.lastReset == ""
		switch {
		case m.peers[p.cfg.Address] != p, p.cached != peers[p], p.rps != named[p], p.cached > p.cfg.MaxSAs:
			return fmt.Errorf("peer %v: %d entries, counted %d; %d RPs, counted %d", p.cfg.Address, peers[p], p.cached, named[p], p.rps)
		case p.pathless != pathless[p] || p.pathless > maxPathless:
			return fmt.Errorf("peer %v: %d messages wait, counted %d", p.cfg.Address, pathless[p], p.pathless)
		case wantStream && p.stream == 0, p.stream != 0 && (m.streams[p.stream] != p || p.state != Established && p.state != Connecting):
			return fmt.Errorf("peer %v in state %v has stream %d", p.cfg.Address, p.state, p.stream)
		case (p.state == Established) != p.hold.Running(), (p.state == Established) != p.alive.Running():
			return fmt.Errorf("peer %v in state %v: hold %v, keepalive %v", p.cfg.Address, p.state, p.hold.Running(), p.alive.Running())
		case (p.state == Connecting || p.state == Inactive) != p.retry.Running():
			return fmt.Errorf("peer %v in state %v: ConnectRetry %v", p.cfg.Address, p.state, p.retry.Running())
		case p.state != Established && (p.slice.Running() || p.reading.Running() || p.dumping != dumpNothing || len(p.out) > 0):
			return fmt.Errorf("peer %v in state %v goes on sending", p.cfg.Address, p.state)
		case p.waiting > p.cfg.MaxWaiting+1024:
			return fmt.Errorf("%d bytes wait for peer %v", p.waiting, p.cfg.Address)
		}
	}
	if streams != len(m.streams) {
		return fmt.Errorf("%d streams, %d are known", streams, len(m.streams))
	}
	if len(m.news) > 0 || len(m.unflushed) > 0 {
		return fmt.Errorf("something is left to be sent")
	}
	return nil
}

// RPs returns how many RPs are known.
func (m *Machine) RPs() int { return len(m.rps) }
