package sim

import (
	"fmt"
	"net/netip"
	"slices"

	"grove/daemon/config"
	"grove/internal/engine"
	"grove/internal/ip"
	"grove/internal/ipip"
)

// This file models the IP-in-IP tunnels of configurations (RFC 2003), as daemon/host makes them with a TUN device: an
// interface whose packets are put into others, which find their way by unicast routing over the links that there are,
// with their delay, loss and MTU. The far end takes them out if it has the tunnel's other end.

// tunnel is what makes an interface the end of a tunnel. Its link has no other end.
type tunnel struct {
	ipip.Tunnel
	config config.Tunnel
	bucket ipip.Bucket
	looped bool // and said so
	drops  engine.Counts
}

// tunnelIsThere says whether the interface is there: in Linux it is made when the local address is.
func (p *Port) tunnelIsThere() bool { return p.node.localPort(p.tunnel.Local) != nil }

// makeTunnels makes the tunnels of the configuration that there are not yet, and takes away those that it does not have,
// or has otherwise.
func (r *Router) makeTunnels() {
	s, n := r.node.sim, r.node
	for _, p := range n.Ports() {
		if p.tunnel != nil {
			if c := r.config.Tunnel(p.name); c == nil || *c != p.tunnel.config {
				p.Remove()
			}
		}
	}
	for i := range r.config.Tunnels {
		c := &r.config.Tunnels[i]
		if n.Port(c.Name) != nil {
			continue
		}
		t := &tunnel{
			Tunnel: ipip.Tunnel{Local: c.Local, Remote: c.Remote, TTL: c.TTL, Discover: c.MTU == 0},
			config: *c,
		}
		if c.RateKbps > 0 {
			t.bucket = ipip.NewBucket(c.RateKbps)
		}
		mtu := c.MTU
		if mtu == 0 {
			mtu = 1500 - ipip.HeaderLen
		}
		l := &Link{sim: s, name: n.name + ":" + c.Name, mtu: mtu, cost: 1, lan: true}
		p := n.addPort(c.Name, l, mtu)
		p.tunnel, p.linkl = t, netip.Prefix{}
		p.addrs = n.configured(c.Name)
		l.ports = []*Port{p}
		l.refresh()
		if n.started {
			n.announce(p)
		}
	}
}

// refreshTunnels sees to what follows for the tunnels of a node when its addresses change.
func (n *Node) refreshTunnels() {
	for _, p := range n.ports {
		if p == nil || p.tunnel == nil {
			continue
		}
		was := p.live
		p.link.refresh()
		if p.live != was {
			n.announce(p)
		}
	}
}

// discover learns what the path to the far end takes. On a router that takes a packet which is lost (RFC 1191); here it
// is known when the first packet that it concerns is sent.
func (p *Port) discover() {
	t := p.tunnel
	if !t.Discover {
		return
	}
	path := p.node.router.pathMTU(t.Remote)
	if path == 0 {
		return
	}
	if mtu := max(path-ipip.HeaderLen, ipip.MinMTU); mtu != p.mtu {
		p.mtu, p.link.mtu = mtu, mtu
		p.node.announce(p)
	}
}

// maxHops is how far pathMTU looks.
const maxHops = 64

// pathMTU returns the smallest MTU on the way to dst, 0 if there is no way.
func (r *Router) pathMTU(dst netip.Addr) int {
	least := 0
	for range maxHops {
		if r.node.localPort(dst) != nil {
			return least
		}
		out, gateway := r.nextHop(dst)
		if out == nil {
			return 0
		}
		if least == 0 || out.mtu < least {
			least = out.mtu
		}
		if out.tunnel != nil {
			return least
		}
		next := out.link.owner(gateway, out)
		if next == nil || next.node.router == nil {
			return least
		}
		r = next.node.router
	}
	return 0
}

// drop counts a packet that does not pass an end of a tunnel.
func (p *Port) drop(why ipip.Reason) {
	p.node.sim.stats.Tunnel++
	p.tunnel.drops.Add(why.String())
	p.node.sim.tracef("%s %s drop: %v", p.node.name, p.name, why)
}

// TunnelDrops returns how many packets an end of a tunnel dropped, by reason.
func (p *Port) TunnelDrops() map[string]uint64 {
	if p.tunnel == nil {
		return nil
	}
	return p.tunnel.drops.Snapshot()
}

// leadsThrough says whether the way to the far end of a tunnel leads through the tunnel itself, if only by others.
func (r *Router) leadsThrough(t *Port) bool {
	out, _ := r.nextHop(t.tunnel.Remote)
	for range r.config.Tunnels {
		if out == nil || out == t {
			return out == t
		}
		if out.tunnel == nil {
			return false
		}
		out, _ = r.nextHop(out.tunnel.Remote)
	}
	return false
}

// enter sends a packet into a tunnel. A packet that is larger than the tunnel takes goes as one unit, like all fragments
// here, if it may be fragmented.
func (s *Sim) enter(from *Port, p *packet, ttl uint8, hop int32) {
	r, t := from.node.router, from.tunnel
	looped := r.leadsThrough(from)
	if looped && !t.looped {
		s.note(from.node, engine.Note{Level: engine.Warning, If: from.id, Text: fmt.Sprintf(
			"tunnel %s: loop: the way to %v leads through the tunnel itself: nothing is sent until a route leads elsewhere", from.name, t.Remote)})
	}
	if t.looped = looped; looped {
		from.drop(ipip.Loop)
		return
	}
	if p.Dst.Is6() {
		from.drop(ipip.NotIPv4)
		return
	}
	from.discover()
	fragments := p.size > from.mtu
	if fragments && p.DontFragment {
		s.stats.TooBig++
		from.drop(ipip.TooBig)
		return
	}
	in := p.with(ttl)
	inner := in.Append(nil)
	if why := t.Enter(inner); why != ipip.Pass {
		from.drop(why)
		return
	}
	if !t.bucket.Take(s.Clock(), len(inner)+ipip.HeaderLen, ipip.Control(inner)) {
		from.drop(ipip.RateLimited)
		return
	}
	s.tracef("%s %s > %v: proto %d %v > %v ttl %d size %d", from.node.name, from.name, t.Remote, p.Proto, p.Src, p.Dst, ttl, p.size)
	if p.traced {
		s.hops = append(s.hops, Hop{Parent: int(hop), From: from, Source: p.Src, Group: p.Dst, Seq: p.probe.Seq, TTL: ttl})
		hop = int32(len(s.hops) - 1)
	}
	outer := newPacket(&ip.Packet{
		Src: t.Local, Dst: t.Remote, Proto: ipip.Protocol, TTL: t.TTL, TOS: p.TOS,
		DontFragment: p.DontFragment || t.Discover && !fragments, Payload: inner,
	})
	outer.inner, outer.innerTTL, outer.innerHop = p, ttl, hop
	r.originate(outer, t.TTL)
}

// leave takes a packet of protocol 4 for an address of this router out of the tunnel that it came by.
func (r *Router) leave(outer *packet, ttl uint8) {
	s := r.node.sim
	i := slices.IndexFunc(r.node.ports, func(p *Port) bool {
		return p != nil && p.tunnel != nil && p.live && p.tunnel.Local == outer.Dst && p.tunnel.Remote == outer.Src
	})
	if i < 0 || outer.inner == nil {
		s.stats.Tunnel++
		return
	}
	on := r.node.ports[i]
	d := outer.with(ttl)
	_, why := on.tunnel.Leave(d.Append(nil), func(a netip.Addr) bool { return r.node.localPort(a) != nil })
	if why != ipip.Pass {
		on.drop(why)
		return
	}
	r.receive(on, outer.inner, outer.innerTTL, outer.innerHop)
}
