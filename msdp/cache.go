package msdp

import (
	"encoding/binary"
	"net/netip"
	"time"

	"grove/internal/engine"
	"grove/internal/roll"
)

// This file is the SA cache, RFC 3618, sections 4 and 5.3.

// flowKey is a source and a group, in one word: there may be hundreds of thousands.
type flowKey uint64

func keyOf(source, group netip.Addr) flowKey {
	return flowKey(number(source))<<32 | flowKey(number(group))
}

func (k flowKey) source() netip.Addr { return address(uint32(k >> 32)) }
func (k flowKey) group() netip.Addr  { return address(uint32(k)) }
func (k flowKey) key() engine.Key    { return engine.SG(k.source(), k.group()) }

// number is an IPv4 address as a number; 0 of any other.
func number(a netip.Addr) uint32 {
	if !a.Is4() {
		return 0
	}
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

func address(n uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	return netip.AddrFrom4(b)
}

// group is the roll of the sources of a group, and whether pimsm wants to know of them.
type group struct {
	number uint32
	wanted bool
	flows  roll.Roll[*flow]
}

// flow is a source and a group, whichever RPs tell of it.
type flow struct {
	m     *Machine
	key   flowKey
	g     *group
	first *sa // of those of all RPs
	told  bool
	// carried says that a packet of the flow was handed on. The message that tells of a new source may come from several peers: all
	// members of a mesh group may have it from outside. Further packets come by the tree.
	carried bool
	place   int32 // in the group
}

func placeOf(f *flow) *int32 { return &f.place }

// sa is an entry: a source and a group, as one RP tells of them.
type sa struct {
	flow      *flow
	rp        *rp
	peer      *peer        // from which it comes; nil: it is our own
	expires   engine.Timer // SA-State Timer
	born      time.Time
	forwarded time.Time // when it was last sent on

	prev, next *sa // in chain
	other      *sa // the next RP's of the flow

	domainLocal bool // the recommended filters would keep it in its domain
	withheld    bool // our own: the filter of the configuration keeps it here
	gone        bool
}

// chain is a list of entries by age, the oldest first: something to walk through in parts while it changes.
type chain struct {
	first, last *sa
	n           int
}

func (l *chain) append(s *sa) {
	s.prev, s.next = l.last, nil
	if l.last == nil {
		l.first = s
	} else {
		l.last.next = s
	}
	l.last = s
	l.n++
}

func (l *chain) remove(s *sa) {
	if s.prev == nil {
		l.first = s.next
	} else {
		s.prev.next = s.next
	}
	if s.next == nil {
		l.last = s.prev
	} else {
		s.next.prev = s.prev
	}
	l.n--
}

func (s *sa) source() netip.Addr { return s.flow.key.source() }
func (s *sa) group() netip.Addr  { return s.flow.key.group() }

// of returns what an RP tells of the flow.
func (f *flow) of(r *rp) *sa {
	if f == nil {
		return nil
	}
	for s := f.first; s != nil; s = s.other {
		if s.rp == r {
			return s
		}
	}
	return nil
}

// by returns by how many RPs a peer tells of the flow.
func (f *flow) by(p *peer) (n int) {
	if f == nil {
		return 0
	}
	for s := f.first; s != nil; s = s.other {
		if s.peer == p {
			n++
		}
	}
	return n
}

// newSA caches an entry that a peer told; nil if a limit forbids it.
func (p *peer) newSA(k flowKey, r *rp, domainLocal bool) *sa {
	m := p.m
	from := r.fromPeer(p.cfg.Address)
	what := ""
	switch {
	case m.cached.n >= m.cfg.MaxSAs:
		what = "more cached Source-Actives than are allowed in all"
	case p.cached >= p.cfg.MaxSAs:
		what = "more cached Source-Actives than are allowed of the peer"
	case from.cached >= m.cfg.MaxPerRP:
		what = "more cached Source-Actives than are allowed of one RP"
	case p.perSource[uint32(k>>32)] >= m.cfg.MaxPerSource:
		what = "more cached Source-Actives than are allowed of one source"
	case m.flows[k].by(p) >= m.cfg.MaxPerFlow:
		what = "more RPs than are allowed for one source and group"
	}
	if what != "" {
		p.limit(what, 1)
		return nil
	}
	s := &sa{rp: r, peer: p, born: m.now, domainLocal: domainLocal}
	s.expires.Do = func(time.Time) { s.remove("SG-State Timer expires") }
	r.cached++
	m.perSource[uint32(k>>32)]++
	m.cached.append(s)
	m.join(s, k)
	s.count(1)
	m.emit(engine.Transition{
		Entity: "SA", Neighbor: p.cfg.Address, Key: k.key(), Old: "NoInfo", New: "Cached", Cause: "Source-Active of RP " + r.addr.String(),
	})
	return s
}

// join puts an entry to its flow and group.
func (m *Machine) join(s *sa, k flowKey) {
	f := m.flows[k]
	if f == nil {
		f = &flow{m: m, key: k}
		m.flows[k] = f
		g := m.groups[uint32(k)]
		if g == nil {
			g = m.makeGroup(uint32(k))
		}
		f.g = g
		g.flows.Add(f, placeOf)
	}
	s.flow = f
	s.other, f.first = f.first, s
}

func (m *Machine) makeGroup(n uint32) *group {
	g := &group{number: n}
	m.groups[n] = g
	return g
}

func (m *Machine) releaseGroup(g *group) {
	if !g.wanted && len(g.flows.All) == 0 {
		delete(m.groups, g.number)
	}
}

// toldBy: another peer tells of the entry now, as the RPF peer of its RP.
func (s *sa) toldBy(p *peer) {
	m, from := p.m, s.rp.fromPeer(p.cfg.Address)
	switch {
	case s.peer == p, s.peer == nil, p.cached >= p.cfg.MaxSAs, p.perSource[uint32(s.flow.key>>32)] >= m.cfg.MaxPerSource:
		return
	case from.cached >= m.cfg.MaxPerRP && s.peer.cfg.Address != from.peer, s.flow.by(p) >= m.cfg.MaxPerFlow:
		return
	}
	s.count(-1)
	s.peer = p
	s.count(1)
}

// count counts an entry towards the limits of the peer that tells it, n being 1, or no more, n being -1.
func (s *sa) count(n int) {
	p, source := s.peer, uint32(s.flow.key>>32)
	p.cached += n
	s.rp.fromPeer(p.cfg.Address).cached += n
	if p.perSource[source] += n; p.perSource[source] == 0 {
		delete(p.perSource, source)
	}
}

// remove ends an entry.
func (s *sa) remove(cause string) {
	m := s.flow.m
	s.gone = true
	m.timers.Stop(&s.expires)
	m.passOver(s)
	f := s.flow
	k := f.key
	if s.peer == nil {
		m.own.remove(s)
	} else {
		m.cached.remove(s)
		s.count(-1)
		s.rp.cached--
		n := uint32(k >> 32)
		if m.perSource[n]--; m.perSource[n] == 0 {
			delete(m.perSource, n)
		}
	}
	for at := &f.first; *at != nil; at = &(*at).other {
		if *at == s {
			*at = s.other
			break
		}
	}
	f.tell(nil)
	if f.first == nil {
		f.g.flows.Remove(f, placeOf)
		delete(m.flows, k)
		m.releaseGroup(f.g)
	}
	old := "Cached"
	if s.peer == nil {
		old = "Originated"
	}
	m.emit(engine.Transition{Entity: "SA", Neighbor: s.peer.addr(), Key: k.key(), Old: old, New: "NoInfo", Cause: cause})
}

// passOver moves everybody who walks through the list and would come to an entry next.
func (m *Machine) passOver(s *sa) {
	for _, p := range m.order {
		if p.sending == s {
			p.sending = s.next
		}
	}
	if m.advertise.next == s {
		m.advertise.next = s.next
	}
	if m.refiltering.next == s {
		m.refiltering.next = s.next
	}
}

// ---- what pimsm is told ----

// remote returns an entry of another domain; nil if only we tell of the flow.
func (f *flow) remote() *sa {
	for s := f.first; s != nil; s = s.other {
		if s.peer != nil {
			return s
		}
	}
	return nil
}

// tell tells pimsm whether the source is active, if it differs from what it was last told, and hands it a packet.
func (f *flow) tell(packet []byte) {
	if f.carried {
		packet = nil
	}
	s := f.remote()
	active := f.g.wanted && s != nil
	if active == f.told && (packet == nil || !active) {
		return
	}
	f.told = active
	e := engine.RemoteSource{Key: f.key.key(), Active: active}
	if active {
		e.RP, e.Packet = s.rp.addr, packet
		f.carried = f.carried || packet != nil
	}
	f.m.emit(e)
}

// tells are the flows of which pimsm is to be told, a part at a time: a group may have a hundred thousand sources.
type tells struct {
	queue []*flow
	timer engine.Timer
}

const (
	tellsAtOnce = 1000
	tellPause   = 5 * time.Millisecond
)

func (m *Machine) tellAll(g *group) {
	m.tells.queue = append(m.tells.queue, g.flows.All...)
	if !m.tells.timer.Running() {
		m.tellSlice()
	}
}

func (m *Machine) tellSlice() {
	q := m.tells.queue
	n := min(len(q), tellsAtOnce)
	for _, f := range q[:n] {
		if m.flows[f.key] == f {
			f.tell(nil)
		}
	}
	if m.tells.queue = q[n:]; len(m.tells.queue) == 0 {
		m.tells.queue = nil
		return
	}
	m.timers.Set(&m.tells.timer, m.now.Add(tellPause))
}
