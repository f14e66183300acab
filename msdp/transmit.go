package msdp

import (
	"cmp"
	"slices"
	"time"

	"grove/internal/engine"
	"grove/msdp/wire"
)

// This file is what is sent: new and renewed entries at Settled, and the whole cache to a peer that has none of it.

// news is an entry that goes on to the other peers, with the packet that came with it.
type news struct {
	s      *sa
	packet []byte
}

// goesOn sends an entry on at Settled.
func (m *Machine) goesOn(s *sa, packet []byte) {
	m.news = append(m.news, news{s, packet})
}

// forward sends what is new to every peer: "forwards the message to all its MSDP peers (except the one from which it received
// the SA message)" (RFC 3618, section 3).
func (m *Machine) forward() {
	if len(m.news) == 0 {
		return
	}
	slices.SortStableFunc(m.news, func(a, b news) int { return cmp.Compare(number(a.s.rp.addr), number(b.s.rp.addr)) })
	for _, p := range m.order {
		if p.state != Established {
			continue
		}
		pk := packer{p: p}
		for _, n := range m.news {
			switch {
			case n.s.gone || !p.wants(n.s):
			case n.packet != nil && n.packet[ttlByte] >= p.cfg.TTLThreshold:
				// In a message of its own: "only the last entry may have encapsulated data" (section 12.2.1).
				alone := packer{p: p, data: n.packet}
				alone.add(n.s)
				alone.finish()
			default:
				pk.add(n.s)
			}
		}
		pk.finish()
	}
	clear(m.news)
	m.news = m.news[:0]
	if cap(m.news) > 65536 {
		m.news = nil
	}
}

// wants says whether an entry is for the peer: it did not tell it, it is in another mesh group than who told it ("R MUST NOT
// forward the SA message to other members of mesh-group M", section 10.2), and no filter forbids it.
func (p *peer) wants(s *sa) bool {
	switch {
	case s.withheld, s.peer == p:
		return false
	case s.peer != nil && s.peer.cfg.MeshGroup != "" && s.peer.cfg.MeshGroup == p.cfg.MeshGroup:
		return false
	case !p.passes(false, s.source(), s.group(), s.rp.addr, s.domainLocal):
		p.stats.filteredOut++
		return false
	}
	return true
}

// fits says whether a packet can be encapsulated with the entry.
func fits(s *sa, packet []byte) bool {
	if len(packet) == 0 || len(packet) > wire.MaxData {
		return false
	}
	e := wire.Entry{Source: s.source(), Group: s.group()}
	return s.flow.m.encapsulated(e, packet) != nil
}

// ttlByte is where the TTL is in an IPv4 header.
const ttlByte = 8

// packer packs entries of one RP into messages.
type packer struct {
	p        *peer
	response bool
	rp       *rp
	entries  []wire.Entry
	data     []byte
}

func (k *packer) add(s *sa) {
	if k.rp != s.rp || len(k.entries) == wire.MaxEntries {
		k.finish()
	}
	k.rp = s.rp
	k.entries = append(k.entries, wire.Entry{Source: s.source(), Group: s.group(), PrefixLen: 32})
}

// finish sends what is packed, unless too much waits for the peer to read.
func (k *packer) finish() {
	n := len(k.entries)
	if n == 0 {
		return
	}
	p := k.p
	size := 8 + 12*n + len(k.data)
	if p.missed && !k.response && p.dumping == dumpNothing || !p.room(size) {
		p.missed = p.missed || !k.response
		p.stats.notSent += uint64(n)
	} else {
		p.send(&wire.SourceActive{Response: k.response, RP: k.rp.addr, Entries: k.entries, Data: k.data})
		p.stats.sasOut += uint64(n)
		if k.response {
			p.stats.responsesOut++
		}
		if k.data != nil {
			p.stats.dataOut++
		}
	}
	k.entries = k.entries[:0]
}

// room says whether n more bytes may wait for the peer.
func (p *peer) room(n int) bool { return p.waiting+len(p.out)+n <= p.cfg.MaxWaiting }

// send writes a message at Settled. "The timer is reset to [KeepAlive-Period] each time an MSDP message is sent to the peer"
// (section 5.5).
func (p *peer) send(msg wire.Message) {
	m := p.m
	b, err := msg.Append(p.out)
	if err != nil {
		m.note(engine.Error, p.cfg.Address, err.Error())
		return
	}
	p.out = b
	p.stats.messagesOut++
	m.timers.Set(&p.alive, m.now.Add(m.cfg.Keepalive))
	if !p.flushing {
		p.flushing = true
		m.unflushed = append(m.unflushed, p)
	}
}

// sendKeepAlive is "KeepAlive timer expired" of section 11.3. It goes to a peer that is slow to read, too: what it reads at
// last tells it that we are there.
func (p *peer) sendKeepAlive() {
	p.stats.keepalivesOut++
	p.send(&wire.KeepAlive{})
}

// flush writes. A peer has HoldTime-Period to read some of what waits.
func (m *Machine) flush() {
	for _, p := range m.unflushed {
		p.flushing = false
		if p.stream == 0 || len(p.out) == 0 {
			p.out = nil
			continue
		}
		p.waiting += len(p.out)
		m.emit(engine.WriteStream{ID: p.stream, Data: p.out})
		p.out = nil
		if !p.reading.Running() {
			m.timers.Set(&p.reading, m.now.Add(m.cfg.Hold))
		}
	}
	m.unflushed = m.unflushed[:0]
}

// ---- the whole cache ----

// dump is which list is sent.
type dump uint8

const (
	dumpNothing dump = iota
	dumpOwn
	dumpCache
)

const (
	dumpAtOnce = 1020 // entries: four full messages
	dumpPause  = 20 * time.Millisecond
	// dumpRoom is the least room for a part: the worst is a message for each entry.
	dumpRoom = dumpAtOnce * 20
)

// startDump begins to send everything: our own sources, then what peers told.
func (p *peer) startDump() {
	m := p.m
	p.missed = false
	p.dumping, p.sending = dumpOwn, m.own.first
	m.timers.Set(&p.slice, m.now)
}

// sendSlice sends the next part, and the next but one a little later. If too much waits, the peer's reading goes on with it.
func (p *peer) sendSlice() {
	m := p.m
	if p.waiting+len(p.out) > 0 && !p.room(dumpRoom) {
		return
	}
	var part []*sa
	for n := 0; n < dumpAtOnce; n++ {
		if p.sending == nil {
			if p.dumping != dumpOwn {
				break
			}
			p.dumping, p.sending = dumpCache, m.cached.first
			continue
		}
		s := p.sending
		p.sending = s.next
		if p.wants(s) {
			part = append(part, s)
		}
	}
	byRP(part)
	pk := packer{p: p}
	for _, s := range part {
		pk.add(s)
	}
	pk.finish()
	if p.sending == nil && p.dumping == dumpCache {
		p.dumping = dumpNothing
		p.stats.dumps++
		p.caughtUp()
		return
	}
	m.timers.Set(&p.slice, m.now.Add(dumpPause))
}

// caughtUp goes on with the cache after the peer has read, and begins anew if entries could not be sent.
func (p *peer) caughtUp() {
	m := p.m
	switch {
	case p.dumping != dumpNothing:
		if !p.slice.Running() && (p.waiting+len(p.out) == 0 || p.room(dumpRoom)) {
			m.timers.Set(&p.slice, m.now)
		}
	case p.missed && p.waiting+len(p.out) <= p.cfg.MaxWaiting/2:
		p.startDump()
	}
}
