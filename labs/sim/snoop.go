package sim

import (
	"net/netip"
	"time"

	"grove/igmp/wire"
	"grove/internal/engine"
	"grove/internal/ip"
)

// bridge is a LAN that looks into IGMP and MLD (RFC 4541), by the rules of the Linux bridge: once a querier was heard,
// packets of a group that somebody reported go to the ports of its members and to those with multicast routers only.
// Packets of groups that nobody reported, and of link-local groups, go everywhere. Reports go to routers only, so that
// hosts do not suppress each other's.
//
// Known gap: a Leave ends the port's membership unless a member answers within two seconds, with the RFC's default
// Last Member Query Interval and Robustness whatever the querier's.
type bridge struct {
	link    *Link
	routers map[*Port]int64 // when the port ceases to be one with a router
	querier [2]int64        // by family: when the querier is forgotten
	members map[netip.Addr]map[*Port]int64
}

// RFC 3376 section 8: the defaults that Linux bridges use.
const (
	routerLife = 255 * time.Second
	memberLife = 260 * time.Second
	leaveTime  = 2 * time.Second
)

func newBridge(l *Link) *bridge {
	return &bridge{link: l, routers: make(map[*Port]int64), members: make(map[netip.Addr]map[*Port]int64)}
}

// forward takes a packet from a port to the ports that it goes to.
func (b *bridge) forward(from *Port, p *packet, ttl uint8, hop int32) {
	s := b.link.sim
	routersOnly := b.look(from, p)
	snooped := p.data && ip.Forwarded(p.Dst) && b.querier[family(p.family())] > s.now
	here := b.members[p.Dst]
	for _, q := range b.link.ports {
		if q == from {
			continue
		}
		router := b.routers[q] > s.now
		switch {
		case routersOnly && !router:
			continue
		case snooped && b.known(here) && !router && here[q] <= s.now:
			continue
		}
		s.carry(b.link, q, p, ttl, hop)
	}
}

// known says whether the group has any member.
func (b *bridge) known(here map[*Port]int64) bool {
	for _, q := range b.link.ports {
		if here[q] > b.link.sim.now {
			return true
		}
	}
	return false
}

// look learns from a control packet; it says whether the packet is for routers only.
func (b *bridge) look(from *Port, p *packet) (routersOnly bool) {
	now := b.link.sim.now
	switch p.Proto {
	case engine.ProtoPIM:
		b.routers[from] = now + int64(routerLife)
		return false
	case engine.ProtoIGMP, engine.ProtoICMPv6:
	default:
		return false
	}
	m, err := wire.Parse(p.Payload, wire.Ends{Src: p.Src, Dst: p.Dst})
	if err != nil {
		return false
	}
	switch m := m.(type) {
	case wire.Query:
		b.querier[family(p.family())] = now + int64(routerLife)
		b.routers[from] = now + int64(routerLife)
		return false
	case wire.OlderReport:
		b.report(from, m.Group)
	case wire.Leave:
		b.leave(from, m.Group)
	case wire.Report:
		for _, r := range m.Records {
			if (r.Type == wire.ToIn || r.Type == wire.IsIn) && len(r.Sources) == 0 {
				b.leave(from, r.Group)
			} else if r.Type != wire.Block {
				b.report(from, r.Group)
			}
		}
	}
	// With no router known the report goes everywhere: else it could reach nobody.
	return b.querier[family(p.family())] > now
}

func (b *bridge) report(from *Port, group netip.Addr) {
	if b.members[group] == nil {
		b.members[group] = make(map[*Port]int64)
	}
	b.members[group][from] = b.link.sim.now + int64(memberLife)
}

func (b *bridge) leave(from *Port, group netip.Addr) {
	until := b.link.sim.now + int64(leaveTime)
	if here := b.members[group]; here[from] > until {
		here[from] = until
	}
}
