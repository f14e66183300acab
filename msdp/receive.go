package msdp

import (
	"fmt"
	"net/netip"
	"time"

	"grove/internal/engine"
	"grove/internal/ip"
	"grove/msdp/wire"
)

// streamData takes what came on a connection. The driver hands over no more of it before this is worked off.
func (m *Machine) streamData(e engine.StreamData) {
	p := m.streams[e.ID]
	if p == nil || p.state != Established {
		return
	}
	p.in.Feed(e.Data)
	for p.state == Established && p.stream == e.ID {
		b, err := p.in.Next()
		if b == nil && err == nil {
			return
		}
		var msg wire.Message
		if err == nil {
			msg, err = wire.Parse(b)
		}
		if err != nil {
			// "If an MSDP message is received with a TLV format error, the session SHOULD be reset with that peer" (section
			// 13): E9 -> A8.
			m.counts.Add("TLV format error: " + wire.Reason(err))
			p.reset(engine.Warning, "TLV format error: "+err.Error())
			return
		}
		p.receive(msg)
	}
}

// receive handles a message. "The timer is reset to [HoldTime-Period] when any MSDP message is received" (section 5.4).
func (p *peer) receive(msg wire.Message) {
	m := p.m
	m.timers.Set(&p.hold, m.now.Add(m.cfg.Hold))
	p.stats.messagesIn++
	switch msg := msg.(type) {
	case *wire.KeepAlive:
		p.stats.keepalivesIn++
	case *wire.SourceActive:
		p.receiveSourceActive(msg)
	case *wire.Request:
		p.receiveRequest(msg)
	case *wire.Notification:
		// Reserved by RFC 3618, so discarded as any unrecognized type is; who sent it closes the connection if he wants to.
		p.stats.notifications++
		p.complain("notification of "+msg.Reason(), fmt.Sprintf("the peer notifies: %s, subcode %d", msg.Reason(), msg.Subcode))
	case *wire.Unknown:
		// "MSDP messages with other errors, such as unrecognized type code, received from MSDP peers, SHOULD be silently
		// discarded and the session SHOULD not be reset" (section 13): E10 -> A9.
		p.stats.unknown++
		m.counts.Add("unrecognized type")
	}
}

// receiveSourceActive is "Source-Active TLV received" of section 11.3. The message may have to wait for the path to its RP.
func (p *peer) receiveSourceActive(msg *wire.SourceActive) {
	m := p.m
	n := len(msg.Entries)
	p.stats.sasIn += uint64(n)
	if msg.Response {
		p.stats.responsesIn++
	}
	if len(msg.Data) > 0 {
		p.stats.dataIn++
	}
	if !p.bucket.take(m.now, n, p.cfg.Rate, p.cfg.Burst) {
		p.stats.overRate += uint64(n)
		p.limit("more Source-Actives than the rate that is configured for the peer", n)
		return
	}
	if !unicast(msg.RP) {
		m.counts.AddN("source-active of an RP that is no unicast address", uint64(n))
		return
	}
	r := m.rps[msg.RP]
	if r == nil {
		if r = p.newRP(msg.RP); r == nil {
			p.stats.overLimit += uint64(n)
			return
		}
	}
	r.heard = m.now
	if !r.known {
		if p.pathless >= maxPathless {
			p.limit("too many Source-Actives before the path to their RP is known", n)
			return
		}
		r.waiting = append(r.waiting, waiting{p, msg})
		p.pathless++
		return
	}
	p.sourceActive(r, msg)
}

// sourceActive runs the Peer-RPF Forwarding algorithm and stores what passes.
func (p *peer) sourceActive(r *rp, msg *wire.SourceActive) {
	m := p.m
	v := m.verdict(r, p)
	f := r.fromPeer(p.cfg.Address)
	if !v.Accepted {
		n := uint64(len(msg.Entries))
		f.rejected += n
		p.stats.rpfFailures += n
		m.counts.AddN("peer-RPF failure", n)
		return
	}
	f.accepted += uint64(len(msg.Entries))
	for n, e := range msg.Entries {
		var packet []byte
		if n == len(msg.Entries)-1 && len(msg.Data) > 0 {
			packet = m.encapsulated(e, msg.Data)
		}
		p.entry(r, e, packet, msg.Response)
	}
}

// encapsulated returns the packet of an entry if it is one: "it must reflect the source and destination addresses in the header
// of the encapsulated IP packet" (section 12.2.1).
func (m *Machine) encapsulated(e wire.Entry, data []byte) []byte {
	packet, err := ip.Parse(data)
	if err != nil || packet.Src != e.Source || packet.Dst != e.Group {
		m.counts.Add("encapsulated packet of another source or group, or malformed")
		return nil
	}
	return data
}

// entry is one (S,G) of an accepted message.
func (p *peer) entry(r *rp, e wire.Entry, packet []byte, response bool) {
	m := p.m
	switch {
	case e.PrefixLen != 32: // "This field MUST be transmitted as 32 (/32)."
		m.counts.Add("source-active with a source prefix other than /32")
		return
	case !unicast(e.Source) || !ip.Forwarded(e.Group):
		m.counts.Add("source-active of a flow that is never forwarded")
		return
	}
	k := keyOf(e.Source, e.Group)
	fl := m.flows[k]
	s := fl.of(r)
	if s == nil {
		local := domainLocal(e.Source, e.Group)
		if !p.passes(true, e.Source, e.Group, r.addr, local) {
			p.stats.filteredIn++
			m.counts.Add("source-active filtered (in)")
			return
		}
		if s = p.newSA(k, r, local); s == nil {
			p.stats.overLimit++
			return
		}
	} else {
		if !p.passes(true, e.Source, e.Group, r.addr, s.domainLocal) {
			p.stats.filteredIn++
			m.counts.Add("source-active filtered (in)")
			return
		}
		s.toldBy(p)
	}
	// "The timer is reset to [SG-State-Period] if another (S,G)-SA message is received before the (S,G)-SA-State Timer expires"
	// (section 5.3).
	m.timers.Set(&s.expires, m.now.Add(m.cfg.SGState))
	s.flow.tell(packet)
	// A Response is for who asked. Source-Actives go on to the other peers, each no more often than SA-Hold-Down-Period allows
	// (section 4: "at a period of no more than twice per SA-Advertisement-Timer interval").
	if !response && (s.forwarded.IsZero() || m.now.Sub(s.forwarded) >= m.cfg.HoldDown) {
		s.forwarded = m.now
		m.goesOn(s, packet)
	}
}

// receiveRequest answers a Source-Active Request with what the cache has of the group.
func (p *peer) receiveRequest(msg *wire.Request) {
	m := p.m
	p.stats.requestsIn++
	g := m.groups[number(msg.Group)]
	if g == nil {
		return
	}
	n := len(g.flows.All)
	if !p.bucket.take(m.now, n, p.cfg.Rate, p.cfg.Burst) {
		p.limit("more Source-Active Requests than the rate that is configured for the peer", 1)
		return
	}
	var list []*sa
	for _, f := range g.flows.All {
		for s := f.first; s != nil; s = s.other {
			if s.peer != p && p.wants(s) {
				list = append(list, s)
			}
		}
	}
	byRP(list)
	pk := packer{p: p, response: true}
	for _, s := range list {
		pk.add(s)
	}
	pk.finish()
}

// sourcesWanted: pimsm has receivers of a group, or no more. If it says again that it wants them it knows nothing any more.
func (m *Machine) sourcesWanted(e engine.SourcesWanted) {
	if !e.Group.Is4() {
		return
	}
	k := number(e.Group)
	g := m.groups[k]
	if g == nil {
		if !e.Wanted {
			return
		}
		g = m.makeGroup(k)
	}
	if g.wanted == e.Wanted {
		if e.Wanted {
			for _, f := range g.flows.All {
				f.told = false
			}
			m.tellAll(g)
		}
		return
	}
	g.wanted = e.Wanted
	m.tellAll(g)
	if !e.Wanted {
		m.releaseGroup(g)
		return
	}
	for _, p := range m.order {
		if p.state == Established && p.cfg.Request {
			p.request(e.Group)
		}
	}
}

// request asks a peer for the sources of a group, unless too much waits for it to read: it will be sent the whole cache, but of
// what it knows it told us already.
func (p *peer) request(group netip.Addr) {
	if !p.room(requestLen) {
		p.m.counts.Add("request not sent: the peer is slow to read")
		return
	}
	p.send(&wire.Request{Group: group})
	p.stats.requestsOut++
}

// requestLen is how long a Source-Active Request is.
const requestLen = 8

// unicast says whether an address can be that of a source or an RP.
func unicast(a netip.Addr) bool {
	return a.Is4() && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback() && !a.IsLinkLocalUnicast() &&
		a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// streamWritten: so many bytes wait for the peer to read.
func (m *Machine) streamWritten(e engine.StreamWritten) {
	p := m.streams[e.ID]
	if p == nil || p.state != Established {
		return
	}
	p.waiting = e.Waiting
	if p.waiting == 0 {
		m.timers.Stop(&p.reading)
	} else {
		m.timers.Set(&p.reading, m.now.Add(m.cfg.Hold))
	}
	p.caughtUp()
}

// maxPathless is how many messages of a peer wait for the path to their RP, which comes in the same batch of events.
const maxPathless = 4096

// heardFor is how long an RP of which nothing is cached stays known after it was last named.
func (m *Machine) heardFor() time.Duration { return m.cfg.SGState }
