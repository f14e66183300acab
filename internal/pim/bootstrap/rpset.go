package bootstrap

import (
	"iter"
	"net/netip"
	"slices"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/wire"
)

// groupRange is a range of groups with the RPs that the RP-Set has for it.
type groupRange struct {
	groups netip.Prefix
	bidir  bool
	rps    []*mapping // by address
}

// mapping is a group-to-RP mapping of the RP-Set.
type mapping struct {
	rp       netip.Addr
	priority uint8
	expiry   engine.Timer // GET(M,Z)
}

// partial is a range whose RPs come in several fragments (section 4.1.1).
type partial struct {
	count uint8 // RP Count
	rps   []wire.RPMapping
}

// store is "Store RP-Set" for a message, or for a fragment of one (sections 3.1.5 and 3.6).
func (z *zone) store(now time.Time, m *wire.Bootstrap) {
	// "This action is skipped for an empty BSM": one that says nothing, or only which scope it is of.
	if len(m.Ranges) == 0 || len(m.Ranges) == 1 && m.Ranges[0].Group.Zone && m.Ranges[0].RPCount == 0 {
		return
	}
	// "All RP mappings associated with the scope zone of the BSM are updated with the new hash mask length".
	z.hashMaskLen = m.HashMaskLen
	z.b.dirty = true
	for i := range m.Ranges {
		r := &m.Ranges[i]
		groups, ok := prefixOf(r.Group)
		if !ok {
			continue
		}
		if rps, complete := z.assemble(groups, r); complete {
			z.storeRange(now, groups, r.Group.Bidir, rps)
		}
	}
}

// assemble returns the RPs of a range when all of them are there: "a router receiving BSMFs from the same BSM must wait until
// BSMFs providing RP Count RPs for that group range have been received" (section 4.1.1). Those of another message are
// forgotten when its successor begins.
func (z *zone) assemble(groups netip.Prefix, r *wire.RPRange) ([]wire.RPMapping, bool) {
	if len(r.RPs) >= int(r.RPCount) {
		return r.RPs, true
	}
	p := z.partial[groups]
	if p == nil || p.count != r.RPCount {
		if len(z.partial) >= z.b.cfg.MaxMappings {
			z.b.env.Counts.Add(tooManyPartial)
			return nil, false
		}
		if p != nil {
			z.partialRPs -= len(p.rps)
		}
		p = &partial{count: r.RPCount}
		z.partial[groups] = p
	}
	for _, rp := range r.RPs {
		if p.has(rp.RP) {
			continue
		}
		if z.partialRPs >= z.b.cfg.MaxMappings {
			z.b.env.Counts.Add(tooManyPartial)
			return nil, false
		}
		p.rps = append(p.rps, rp)
		z.partialRPs++
	}
	if len(p.rps) < int(p.count) {
		return nil, false
	}
	delete(z.partial, groups)
	z.partialRPs -= len(p.rps)
	return p.rps, true
}

const tooManyPartial = "too many fragmented ranges of a bootstrap message"

// forgetPartial forgets what has come of ranges that are not whole.
func (z *zone) forgetPartial() {
	clear(z.partial)
	z.partialRPs = 0
}

func (p *partial) has(rp netip.Addr) bool {
	for _, x := range p.rps {
		if x.RP == rp {
			return true
		}
	}
	return false
}

// storeRange puts the RPs of a range in the place of those that it had: "Mappings for a group range are also to be immediately
// removed if they are not present in the received group range." One with a holdtime of zero is removed as well.
func (z *zone) storeRange(now time.Time, groups netip.Prefix, bidir bool, rps []wire.RPMapping) {
	r := z.ranges[groups]
	if r == nil {
		r = &groupRange{groups: groups}
		z.ranges[groups] = r
	}
	r.bidir = bidir
	old := r.rps
	r.rps = nil
	for _, m := range old {
		if !slices.ContainsFunc(rps, func(rp wire.RPMapping) bool { return rp.RP == m.rp && rp.Holdtime > 0 }) {
			z.b.env.Timers.Stop(&m.expiry)
			z.mappings--
		}
	}
	for _, rp := range rps {
		switch {
		case !rp.RP.IsGlobalUnicast():
			z.b.env.Counts.Add("bootstrap message with an RP of no unicast address")
			continue
		case rp.Holdtime == 0 || find(r.rps, rp.RP) != nil:
			continue
		}
		m := find(old, rp.RP)
		if m == nil {
			if z.mappings >= z.b.cfg.MaxMappings {
				z.b.env.Counts.Add("too many mappings of a zone")
				continue
			}
			m = &mapping{rp: rp.RP}
			m.expiry.Do = func(time.Time) { z.expire(groups, m) }
			z.mappings++
		}
		m.priority = rp.Priority
		r.rps = append(r.rps, m)
		z.b.env.Timers.Set(&m.expiry, now.Add(rp.Holdtime))
	}
	slices.SortFunc(r.rps, func(a, b *mapping) int { return a.rp.Compare(b.rp) })
	z.tidy(r)
}

func find(list []*mapping, rp netip.Addr) *mapping {
	for _, m := range list {
		if m.rp == rp {
			return m
		}
	}
	return nil
}

// expire is the expiry of GET(M,Z).
func (z *zone) expire(groups netip.Prefix, m *mapping) {
	r := z.ranges[groups]
	r.rps = slices.DeleteFunc(r.rps, func(o *mapping) bool { return o == m })
	z.mappings--
	z.tidy(r)
	z.b.dirty = true
	z.b.publish()
}

// tidy forgets a range without RPs.
func (z *zone) tidy(r *groupRange) {
	if len(r.rps) == 0 {
		delete(z.ranges, r.groups)
	}
}

// forgetRPSet forgets all mappings.
func (z *zone) forgetRPSet() {
	for _, r := range z.sortedRanges() {
		for _, m := range r.rps {
			z.b.env.Timers.Stop(&m.expiry)
		}
	}
	clear(z.ranges)
	z.mappings, z.b.dirty = 0, true
}

func (z *zone) sortedRanges() iter.Seq2[netip.Prefix, *groupRange] {
	return engine.SortedFunc(z.ranges, comparePrefix)
}
