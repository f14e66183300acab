package igmp

import (
	"net/netip"
	"time"

	"grove/igmp/wire"
	"grove/internal/engine"
)

// query is a Query of our version with what it tells of us (RFC 3376 section 4.1).
func (i *iface) query(group netip.Addr, maxResp time.Duration) wire.Query {
	return wire.Query{
		Version: i.cfg.Version, Group: group, MaxResp: maxResp,
		Robustness: uint8(i.cfg.Robustness), QueryInterval: i.cfg.QueryInterval,
	}
}

// sendGeneral asks for all groups.
func (i *iface) sendGeneral() {
	i.send(i.m.family.allSystems, i.query(netip.Addr{}, i.cfg.QueryResponseInterval), "general query sent")
}

// sendSpecific sends the specific queries of a group that are due, and sets the timer for those left (RFC 3376 section
// 6.6.3). It goes on when the router is no longer Querier: whoever began asking ends it (RFC 2236 section 3).
func (g *group) sendSpecific(now time.Time) {
	i, p := g.i, g.queries
	if p == nil {
		return // cleared since it was asked for
	}
	p.asked = false
	lmqt := i.lmqt(i.cfg.LastMemberQueryInterval)
	// RFC 3376 section 6.6.3.2: sources that someone asked for since are asked about with the S flag, so that no
	// router lowers their timers.
	var suppressed, plain set
	left := 0
	for _, s := range g.sources {
		if s.queries == 0 {
			continue
		}
		s.queries--
		left += s.queries
		if s.timer.Left(now) > lmqt {
			suppressed = append(suppressed, s.addr)
		} else {
			plain = append(plain, s.addr)
		}
	}
	if p.group > 0 {
		p.group--
		left += p.group
		q := i.query(g.addr, i.cfg.LastMemberQueryInterval)
		q.Suppress = g.timer.Left(now) > lmqt
		i.send(g.addr, q, "group query sent")
		suppressed = nil // the Note of that section: the query of the group makes it needless
	}
	i.sendSources(g.addr, suppressed, true)
	i.sendSources(g.addr, plain, false)
	if left == 0 {
		g.queries = nil
		i.m.timers.Stop(&p.timer)
		return
	}
	i.m.timers.Set(&p.timer, now.Add(i.cfg.LastMemberQueryInterval))
}

// sendSources asks for sources of a group, in as many queries as the MTU makes of it (RFC 3376 section 4.1.8).
func (i *iface) sendSources(group netip.Addr, sources set, suppress bool) {
	f := i.m.family
	limit := max(1, (i.mtu()-f.overhead-f.query)/f.width)
	for len(sources) > 0 {
		n := min(limit, len(sources))
		q := i.query(group, i.cfg.LastMemberQueryInterval)
		q.Suppress, q.Sources = suppress, sources[:n]
		i.send(group, q, "source query sent")
		sources = sources[n:]
	}
}

func (i *iface) mtu() int {
	if i.state.MTU > 0 {
		return i.state.MTU
	}
	return i.m.family.mtu
}

// send sends a message of ours.
func (i *iface) send(dst netip.Addr, msg wire.Message, count string) {
	p, err := i.m.family.packet(i.state.ID, i.addr, dst, msg)
	if err != nil {
		// Only a configuration that was not validated comes here.
		i.m.emit(engine.Note{From: i.m.id, Level: engine.Error, If: i.state.ID, Text: err.Error()})
		return
	}
	i.m.counts.Add(count)
	i.m.emit(p)
}

// packet is a message with the IP header of RFC 3376 section 4 and RFC 3810 section 5.
func (f *family) packet(out engine.IfID, src, dst netip.Addr, msg wire.Message) (engine.Send, error) {
	payload, err := msg.Append(nil, wire.Ends{Src: src, Dst: dst})
	return engine.Send{
		If: out, Src: src, Dst: dst, Proto: f.proto, TTL: 1, TOS: f.tos, RouterAlert: true, Payload: payload,
	}, err
}
