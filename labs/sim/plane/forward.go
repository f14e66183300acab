package plane

import (
	"math/bits"
	"time"

	"grove/internal/engine"
	"grove/internal/ip"
)

// Constants of Linux (net/ipv4/ipmr.c).
const (
	unresolvedPackets = 4                // kept for an unresolved entry
	unresolvedLife    = 10 * time.Second // of an unresolved entry
	assertInterval    = 3 * time.Second  // MFC_ASSERT_THRESH: between the wrong-interface upcalls of a row
)

// pending is an unresolved entry: the packets that wait for a row.
type pending struct {
	key      engine.Key
	deadline time.Time
	packets  [unresolvedPackets]waiting
	n        int
}

type waiting struct {
	vif engine.VIF
	d   Datagram
}

// NoVIF stands for an interface without a VIF.
const NoVIF = engine.VIF(engine.MaxVIFs)

// Forward takes a data packet that arrived on a VIF. One from an interface without a VIF (NoVIF) is nothing in IPv4;
// in IPv6 it counts as wrong if there is a row of its own for it.
func (p *Plane) Forward(now time.Time, v engine.VIF, d *Datagram) { p.input(now, v, d, false) }

// Originate takes a packet that this router itself sends on a VIF's interface (besides sending it there): the kernel
// loops it back to the forwarding plane as if it had arrived.
func (p *Plane) Originate(now time.Time, v engine.VIF, d *Datagram) { p.input(now, v, d, true) }

func (p *Plane) input(now time.Time, v engine.VIF, d *Datagram, own bool) {
	if !ip.Forwarded(d.Dst) {
		return
	}
	if !p.exists(v) {
		if r := p.rows[engine.Key{Source: d.Src, Group: d.Dst}]; r != nil && p.family == engine.IPv6 {
			p.forward(now, r, NoVIF, d, own)
		}
		return
	}
	if r := p.find(v, d); r != nil {
		p.forward(now, r, v, d, own)
		return
	}
	p.unresolve(now, v, d)
}

// find returns the row for a packet from v: the (S,G); else the (*,G) that has v among its interfaces, or whose parent
// and v are both among those of (*,*); else the (*,*) that has v (ipmr_cache_find, mr_mfc_find_any).
func (p *Plane) find(v engine.VIF, d *Datagram) *row {
	if r := p.rows[engine.Key{Source: d.Src, Group: d.Dst}]; r != nil {
		return r
	}
	if r := p.rows[engine.Key{Group: d.Dst}]; r != nil {
		if r.has(v) || p.any != nil && p.any.has(r.parent) && p.any.has(v) {
			return r
		}
	}
	if p.any != nil && p.any.has(v) {
		return p.any
	}
	return nil
}

// has says whether the VIF is among those of the row. NoVIF never is.
func (r *row) has(v engine.VIF) bool { return r.out&(1<<v) != 0 }

func (p *Plane) exists(v engine.VIF) bool { return p.present&(1<<v) != 0 }

// forward applies a row to a packet (ip_mr_forward).
func (p *Plane) forward(now time.Time, r *row, v engine.VIF, d *Datagram, own bool) {
	r.packets++
	r.bytes += uint64(d.Len())

	// A (*,G) or (*,*) row accepts what (*,*) covers: its parent and the incoming interface.
	covered := !r.key.Source.IsValid() && p.any != nil && p.any.has(r.parent) && p.any.has(v) && p.exists(v)
	if !covered && (v != r.parent || !p.exists(v)) {
		p.wrong(now, r, v, d, own)
		return
	}
	out := r.out
	switch {
	case !r.key.Group.IsValid(): // (*,*): to the parent only, and not from it
		if v == r.parent {
			return
		}
		out &= 1 << r.parent
	case !r.key.Source.IsValid(): // (*,G): not back to where it came from
		out &^= 1 << v
	}
	p.leaving = *d
	p.leaving.TTL--
	for out != 0 {
		to := engine.VIF(31 - bits.LeadingZeros32(out)) // the kernel's order: from the highest number down
		out &^= 1 << to
		if d.TTL <= r.ttl[to] || !p.exists(to) {
			continue
		}
		if p.vifs[to].register {
			p.Upcall(engine.Upcall{Kind: engine.WholePkt, VIF: to, Src: d.Src, Dst: d.Dst, Packet: d.Append(nil)})
			continue
		}
		p.Out(to, &p.leaving)
	}
	p.leaving.Payload = nil
}

// wrong handles a packet that came in elsewhere than its row says: once in three seconds the daemon hears of it.
func (p *Plane) wrong(now time.Time, r *row, v engine.VIF, d *Datagram, own bool) {
	if own && p.family == engine.IPv4 {
		return // our own packet, looped back (rt_is_output_route)
	}
	r.wrongs++
	if !p.exists(v) || !r.lastAssert.IsZero() && now.Sub(r.lastAssert) <= assertInterval {
		return
	}
	r.lastAssert = now
	p.Upcall(engine.Upcall{Kind: engine.WrongVIF, VIF: v, Src: d.Src, Dst: d.Dst})
	p.Upcall(engine.Upcall{Kind: engine.WrongVIFWhole, VIF: v, Src: d.Src, Dst: d.Dst, Packet: d.Append(nil)})
}

// unresolve keeps a packet that no row wants until there is one, and says so at the first of its flow
// (ipmr_cache_unresolved).
func (p *Plane) unresolve(now time.Time, v engine.VIF, d *Datagram) {
	p.expire(now)
	key := engine.Key{Source: d.Src, Group: d.Dst}
	u := p.unresolved[key]
	if u == nil {
		if len(p.unresolved) >= p.MaxUnresolved {
			return
		}
		u = &pending{key: key, deadline: now.Add(unresolvedLife)}
		p.unresolved[key] = u
		p.oldest = append(p.oldest, u)
		p.Upcall(engine.Upcall{Kind: engine.NoCache, VIF: v, Src: d.Src, Dst: d.Dst})
	}
	if u.n < len(u.packets) {
		u.packets[u.n] = waiting{v, *d}
		u.n++
	}
}

// resolve sends on what waited for a new row. Only an (S,G) row resolves: packets do not wait for (*,G).
func (p *Plane) resolve(now time.Time, r *row) {
	p.expire(now)
	u := p.unresolved[r.key]
	if u == nil {
		return
	}
	delete(p.unresolved, r.key)
	for i := range u.packets[:u.n] {
		p.forward(now, r, u.packets[i].vif, &u.packets[i].d, false)
	}
	u.packets, u.n = [unresolvedPackets]waiting{}, 0
}

// expire drops the unresolved entries whose time is over.
func (p *Plane) expire(now time.Time) {
	for len(p.oldest) > 0 {
		u := p.oldest[0]
		if p.unresolved[u.key] == u {
			if u.deadline.After(now) {
				return
			}
			delete(p.unresolved, u.key)
		}
		p.oldest[0] = nil
		p.oldest = p.oldest[1:]
	}
}
