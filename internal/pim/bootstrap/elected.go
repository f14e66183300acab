package bootstrap

import (
	"iter"
	"net/netip"
	"slices"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/wire"
)

// offerRange is what the C-RP-Set has for a range of groups.
type offerRange struct {
	groups netip.Prefix
	offers []*offer // by RP, those of BIDIR first
	// until is how long a range that has no RP any more is announced so (section 4.1.1); zero while it has one.
	until time.Time
}

// offer is a group-to-C-RP mapping of the C-RP-Set.
type offer struct {
	rp       netip.Addr
	bidir    bool
	priority uint8
	holdtime time.Duration
	// withdrawn says that it is gone; it is in the next message with a holdtime of zero, and then forgotten (section 3.2).
	withdrawn bool
	expiry    engine.Timer // CGET(M,Z)
}

func (b *Instance) sortedOffers() iter.Seq2[netip.Prefix, *offerRange] {
	return engine.SortedFunc(b.offered, comparePrefix)
}

// homeOf returns the zone of which we are the elected BSR that announces a range: the narrowest that contains it, or else the
// whole domain (section 3.3). It returns nil if we are elected for none.
func (b *Instance) homeOf(groups netip.Prefix) *zone {
	var home *zone
	for p, z := range b.sortedZones() {
		if z.state == ElectedBSR && contains(p, groups) && (home == nil || !home.scope.IsValid() || p.Bits() > home.scope.Bits()) {
			home = z
		}
	}
	return home
}

// forgetOffers forgets what C-RPs offered for a zone that we are not going to be the BSR of any more. If we are that of a larger
// one, it is not announced there instead: it would cross the border of the zone.
func (z *zone) forgetOffers() {
	for p, r := range z.b.sortedOffers() {
		if z.b.homeOf(p) == z {
			for _, o := range r.offers {
				z.b.forget(r, o)
			}
			delete(z.b.offered, p)
		}
	}
}

// forget takes an offer out of the set.
func (b *Instance) forget(r *offerRange, o *offer) {
	b.env.Timers.Stop(&o.expiry)
	r.offers = slices.DeleteFunc(slices.Clone(r.offers), func(x *offer) bool { return x == o })
	b.candidates--
}

// receiveAdv takes the ranges of an advertisement that is accepted (section 3.3).
func (b *Instance) receiveAdv(now time.Time, i engine.IfID, src netip.Addr, m *wire.CandidateRPAdv) {
	groups := m.Groups
	if len(groups) == 0 { // as routers of RFC 2362 send it
		all := allMulticast(b.env.ID.Family)
		groups = []wire.Group{{Addr: all.Addr(), MaskLen: uint8(all.Bits())}}
	}
	for _, g := range groups {
		p, ok := prefixOf(g)
		if !ok {
			b.drop(i, src, "C-RP-Adv with a range of no multicast groups")
			continue
		}
		z := b.homeOf(p)
		if z == nil {
			b.drop(i, src, "C-RP-Adv of a range that we are not the BSR of")
			continue
		}
		b.offer(now, z, p, g.Bidir, m)
	}
}

// offer takes over one range.
func (b *Instance) offer(now time.Time, z *zone, groups netip.Prefix, bidir bool, m *wire.CandidateRPAdv) {
	r := b.offered[groups]
	var o *offer
	if r != nil {
		o = r.find(m.RP, bidir)
	}
	if m.Holdtime == 0 {
		if o != nil && !o.withdrawn {
			b.withdraw(now, z, r, o, "it withdraws")
		}
		return
	}
	changed := o == nil || o.withdrawn || o.priority != m.Priority
	if o == nil {
		// Ranges without candidates are announced for a while.
		if b.candidates >= b.cfg.MaxMappings || r == nil && len(b.offered) >= b.cfg.MaxMappings {
			b.env.Counts.Add("too many candidate RPs")
			return
		}
		if r == nil {
			r = &offerRange{groups: groups}
			b.offered[groups] = r
		}
		o = &offer{rp: m.RP, bidir: bidir}
		o.expiry.Do = func(now time.Time) {
			if b.alone() {
				// It is we who cannot be reached. What others know of it is not for us to take away when we are back.
				b.forget(r, o)
				if len(r.offers) == 0 {
					delete(b.offered, groups)
				}
				return
			}
			b.withdraw(now, b.homeOf(groups), r, o, "it is silent")
			b.publish()
		}
		r.offers = append(r.offers, o)
		slices.SortFunc(r.offers, func(a, b *offer) int {
			if a.bidir != b.bidir {
				if a.bidir {
					return -1
				}
				return 1
			}
			return a.rp.Compare(b.rp)
		})
		b.candidates++
	}
	o.priority, o.holdtime, o.withdrawn, r.until = m.Priority, m.Holdtime, false, time.Time{}
	b.env.Timers.Set(&o.expiry, now.Add(m.Holdtime))
	if changed {
		b.note(engine.Info, "candidate RP %v for %v, priority %d", m.RP, groups, m.Priority)
		z.originateSoon(now)
	}
}

// alone says that there is no other router.
func (b *Instance) alone() bool {
	return !slices.ContainsFunc(b.env.Interfaces(), func(i Interface) bool { return i.Neighbors > 0 })
}

func (r *offerRange) find(rp netip.Addr, bidir bool) *offer {
	for _, o := range r.offers {
		if o.rp == rp && o.bidir == bidir {
			return o
		}
	}
	return nil
}

// withdraw has an RP announced with a holdtime of zero, and then forgotten.
func (b *Instance) withdraw(now time.Time, z *zone, r *offerRange, o *offer, why string) {
	b.env.Timers.Stop(&o.expiry)
	o.withdrawn = true
	b.note(engine.Info, "candidate RP %v for %v is gone: %s", o.rp, r.groups, why)
	if z != nil {
		z.originateSoon(now)
	}
}

// originateSoon has the next message sent at once, or BS_Min_Interval after the last.
func (z *zone) originateSoon(now time.Time) {
	at := z.originated.Add(z.b.cfg.MinInterval)
	if at.Before(now) {
		at = now
	}
	z.b.env.Timers.SetMin(&z.bst, at)
}

// originate is "Originate BSM", and sets the Bootstrap Timer to BS_Period. The RP-Set is stored here as the others store it.
func (z *zone) originate(now time.Time) {
	z.originated = now
	z.send(now, z.self.Priority)
	z.b.env.Timers.Set(&z.bst, now.Add(z.b.cfg.Period))
}

// handOver is what a BSR says that is shut down: its RP-Set with the lowest priority, so that another is elected soon (section
// 3.3).
func (z *zone) handOver(now time.Time) { z.send(now, 0) }

func (z *zone) send(now time.Time, priority uint8) {
	m := &wire.Bootstrap{
		FragmentTag: uint16(z.b.env.Rand.Uint32()), HashMaskLen: z.self.HashMaskLen, Priority: priority, BSR: z.self.Address,
		Ranges: z.announce(now),
	}
	z.heard = true
	z.last = m.Fragments(z.packetSize())
	z.forgetPartial()
	for _, f := range z.last {
		z.store(now, f)
		z.forward(f)
	}
}

// packetSize is how long a PIM message may be to pass on all links without IP fragments.
func (z *zone) packetSize() int {
	header, size := 20, 1500
	if z.self.Address.Is6() {
		header = 40
	}
	for _, i := range z.b.env.Interfaces() {
		if i.Neighbors > 0 && z.passes(i) && i.MTU > 0 {
			size = min(size, i.MTU)
		}
	}
	return size - header
}

// announce returns the ranges of a message: the RP-Set, subdivided into {group-range, RP-Count, RP-addresses} (section 3.3).
// What has gone is announced so, and forgotten.
func (z *zone) announce(now time.Time) []wire.RPRange {
	var list []wire.RPRange
	if z.scope.IsValid() {
		// "the first group range in a scoped BSM MUST have the Admin Scope Zone bit set". What C-RPs offer for it stands there.
		first := wire.RPRange{Group: groupOf(z.scope)}
		if r := z.b.offered[z.scope]; r != nil && z.b.homeOf(z.scope) == z {
			first = z.announceRange(now, r)
		}
		first.Group.Zone = true
		list = append(list, first)
	}
	for p, r := range z.b.sortedOffers() {
		if p == z.scope || z.b.homeOf(p) != z {
			continue
		}
		if !r.until.IsZero() && now.After(r.until) {
			delete(z.b.offered, p)
			continue
		}
		list = append(list, z.announceRange(now, r))
	}
	return list
}

func (z *zone) announceRange(now time.Time, r *offerRange) wire.RPRange {
	a := wire.RPRange{Group: groupOf(r.groups)}
	// "If the BSR learns of both BIDIR and PIM-SM Candidate-RPs for the same group range, the BSR MUST only include RPs for one
	// of the protocols in the BSMs. The default behavior SHOULD be to prefer BIDIR."
	for _, o := range r.offers {
		a.Group.Bidir = a.Group.Bidir || o.bidir && !o.withdrawn
	}
	for _, o := range r.offers {
		// RP Count is a byte.
		if o.bidir == a.Group.Bidir && len(a.RPs) < 0xff {
			a.RPs = append(a.RPs, wire.RPMapping{RP: o.rp, Holdtime: z.holdtime(o), Priority: o.priority})
			a.RPCount++
		}
		if o.withdrawn {
			z.b.forget(r, o)
		}
	}
	if len(r.offers) == 0 && r.until.IsZero() {
		r.until = now.Add(z.b.cfg.Timeout)
	}
	return a
}

// holdtime is RP-Holdtime: that of the C-RP, but at least 2.5 times BS_Period (section 3.3).
func (z *zone) holdtime(o *offer) time.Duration {
	if o.withdrawn {
		return 0
	}
	return max(o.holdtime, z.b.cfg.Period*5/2)
}

func groupOf(p netip.Prefix) wire.Group {
	return wire.Group{Addr: p.Addr(), MaskLen: uint8(p.Bits())}
}
