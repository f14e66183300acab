package bootstrap

import (
	"net/netip"
	"slices"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/wire"
)

// candidateRP is a Candidate-RP of this router (section 3.2).
type candidateRP struct {
	b      *Instance
	cfg    CandidateRP
	active bool // its address is one of ours
	// advertised has what runs per zone whose BSR is known.
	advertised map[netip.Prefix]*advert
}

// advert is the advertisement to the BSR of a zone.
type advert struct {
	timer engine.Timer // CRPT
	// again is how many follow after C_RP_Adv_Backoff instead of C_RP_Adv_Period.
	again int
	sent  netip.Addr // the BSR that the last went to
}

// configureRPs takes over the Candidate-RPs of a configuration. What is advertised no more is withdrawn.
func (b *Instance) configureRPs(now time.Time) {
	old := b.rps
	b.rps = nil
	for _, cfg := range b.cfg.CandidateRPs {
		var rp *candidateRP
		if i := slices.IndexFunc(old, func(o *candidateRP) bool { return o.cfg.Address == cfg.Address }); i >= 0 {
			rp = old[i]
			old = slices.Delete(slices.Clone(old), i, i+1)
			rp.withdraw(now, rp.cfg.Groups, cfg.Groups)
			if changed := rp.cfg.Priority != cfg.Priority || rp.cfg.Period != cfg.Period || !slices.Equal(rp.cfg.Groups, cfg.Groups); changed {
				for _, a := range engine.SortedFunc(rp.advertised, comparePrefix) {
					b.env.Timers.Set(&a.timer, now)
				}
			}
			rp.cfg = cfg
		} else {
			rp = &candidateRP{b: b, cfg: cfg, advertised: make(map[netip.Prefix]*advert)}
		}
		b.rps = append(b.rps, rp)
	}
	for _, rp := range old {
		rp.withdraw(now, rp.cfg.Groups, nil)
		rp.stop()
	}
}

// without returns the prefixes of a that are not in b.
func without(a, b []netip.Prefix) []netip.Prefix {
	var list []netip.Prefix
	for _, p := range a {
		if !slices.Contains(b, p) {
			list = append(list, p)
		}
	}
	return list
}

// update takes over whether the address is ours.
func (rp *candidateRP) update(now time.Time) {
	active := rp.b.env.Local(rp.cfg.Address)
	if active == rp.active {
		return
	}
	rp.active = active
	if !active {
		rp.b.note(engine.Info, "candidate RP %v is none: it is not an address of this router any more", rp.cfg.Address)
		rp.withdraw(now, rp.cfg.Groups, nil)
		rp.stop()
		return
	}
	for _, z := range rp.b.sortedZones() {
		if z.bsr.address.IsValid() {
			rp.newBSR(now, z)
		}
	}
}

const (
	advertisements = 3 // that a new BSR gets, each after C_RP_Adv_Backoff (section 3.2)
	backoff        = 3 // seconds at most: C_RP_Adv_Backoff (section 5)
)

// newBSR: "When a new BSR is elected, the C-RP MUST send one to three C-RP-Adv messages and wait a small randomized period
// C_RP_Adv_Backoff before sending each message."
func (rp *candidateRP) newBSR(now time.Time, z *zone) {
	if !rp.active {
		return
	}
	a := rp.advertised[z.scope]
	if a == nil {
		a = &advert{}
		scope := z.scope
		a.timer.Do = func(now time.Time) { rp.advertise(now, scope, a) }
		rp.advertised[z.scope] = a
	}
	a.again = advertisements - 1
	rp.b.env.Timers.Set(&a.timer, now.Add(rp.backoff()))
}

func (rp *candidateRP) backoff() time.Duration { return rp.b.upTo(backoff * rp.b.cfg.Second) }

// advertise is the expiry of CRPT.
func (rp *candidateRP) advertise(now time.Time, scope netip.Prefix, a *advert) {
	z := rp.b.zones[scope]
	if z == nil || !z.bsr.address.IsValid() {
		delete(rp.advertised, scope)
		return
	}
	a.sent = z.bsr.address
	next := rp.cfg.Period
	if a.again > 0 {
		a.again--
		next = rp.backoff()
	}
	rp.b.env.Timers.Set(&a.timer, now.Add(next))
	// "This field should be set to 2.5 times C_RP_Adv_Period." (section 4.2)
	rp.send(now, z, rp.b.rangesOf(rp.cfg.Groups, z), rp.cfg.Period*5/2)
}

// withdraw tells the BSRs that some groups are served no more, but for those that are kept: "the Holdtime in this C-RP-Adv message
// should be zero".
func (rp *candidateRP) withdraw(now time.Time, groups, kept []netip.Prefix) {
	for scope, a := range engine.SortedFunc(rp.advertised, comparePrefix) {
		if z := rp.b.zones[scope]; z != nil && a.sent.IsValid() && a.sent == z.bsr.address {
			rp.send(now, z, without(rp.b.rangesOf(groups, z), rp.b.rangesOf(kept, z)), 0)
		}
	}
}

func (rp *candidateRP) stop() {
	for _, a := range engine.SortedFunc(rp.advertised, comparePrefix) {
		rp.b.env.Timers.Stop(&a.timer)
	}
	clear(rp.advertised)
}

// send advertises ranges to the BSR of a zone. "A C-RP MUST NOT send a C-RP-Adv message with no group ranges in it."
func (rp *candidateRP) send(now time.Time, z *zone, groups []netip.Prefix, holdtime time.Duration) {
	border := false
	for _, i := range rp.b.env.Interfaces() {
		border = border || z.scope.IsValid() && containsScope(i.Boundaries, z.scope)
	}
	for part := range slices.Chunk(groups, 0xff) { // Prefix Count is a byte
		m := &wire.CandidateRPAdv{Priority: rp.cfg.Priority, Holdtime: holdtime, RP: rp.cfg.Address}
		for _, p := range part {
			g := groupOf(p)
			// "If the C-RP is a ZBR for an admin-scope zone, then the Admin Scope Zone bit MUST be set".
			g.Zone = border
			m.Groups = append(m.Groups, g)
		}
		if z.state == ElectedBSR {
			rp.b.receiveAdv(now, 0, rp.cfg.Address, m)
		} else {
			rp.b.env.Advertise(rp.cfg.Address, z.bsr.address, m)
		}
	}
}

// rangesOf returns the ranges that a C-RP with the given ranges advertises to the BSR of a zone (section 3.2).
func (b *Instance) rangesOf(groups []netip.Prefix, z *zone) []netip.Prefix {
	var list []netip.Prefix
	add := func(p netip.Prefix) {
		if !slices.Contains(list, p) {
			list = append(list, p)
		}
	}
	for _, p := range groups {
		switch {
		case b.smallest(p) == z:
			add(p)
		case !z.scope.IsValid():
		case z.scope.Addr().Is4() && p.Bits() < z.scope.Bits() && p.Contains(z.scope.Addr()):
			// "for each scoped BSR whose scope range is strictly contained within R"
			add(z.scope)
		case z.scope.Addr().Is6() && p.Bits() < scopeBits:
			// "each sub-range of prefix length 16 to the scoped BSR with the corresponding scope ID"
			for flags := range byte(16) {
				sub := netip.PrefixFrom(netip.AddrFrom16([16]byte{0xff, flags<<4 | scopeID(z.scope)}), scopeBits)
				if p.Contains(sub.Addr()) {
					add(sub)
				}
			}
		}
	}
	return list
}

// smallest returns the smallest known zone that contains a range. One that only a boundary of ours speaks of, and no BSR, is not
// known: a range in it would be advertised to nobody.
func (b *Instance) smallest(groups netip.Prefix) *zone {
	best := b.zones[netip.Prefix{}]
	for p, z := range b.sortedZones() {
		if p.IsValid() && z.heard && contains(p, groups) && (!best.scope.IsValid() || p.Bits() > best.scope.Bits()) {
			best = z
		}
	}
	return best
}
