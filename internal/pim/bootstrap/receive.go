package bootstrap

import (
	"net/netip"
	"slices"
	"time"

	"grove/internal/pim/wire"
)

// maxFragments bounds the fragments of a message that are kept for new neighbors.
const maxFragments = 256

const tooManyZones = "too many scope zones"

// Receive takes a Bootstrap message that came in on the interface. known says that its sender is a neighbor there, that has
// said Hello.
func (b *Instance) Receive(now time.Time, i Interface, src, dst netip.Addr, known bool, m *wire.Bootstrap) {
	scope, reason := scopeOfMessage(m)
	if reason != "" {
		b.drop(i.ID, src, reason)
		return
	}
	if reason := b.check(now, i, src, dst, known, scope, m); reason != "" {
		b.drop(i.ID, src, reason)
		return
	}
	if m.NoForward || !dst.IsMulticast() {
		f := *m
		f.NoForward = true // one that is unicast is not forwarded, either (section 3.4)
		b.accept(now, scope, &f)
		return
	}
	b.env.WhenPathKnown(m.BSR, func(neighbor netip.Addr) {
		if neighbor != src {
			// On a link with several routers this is no fault: they pass the message on to each other (section 3.4).
			b.env.Counts.Add("bootstrap message not from RPF_neighbor(BSR)")
			return
		}
		b.accept(now, scope, m)
	})
}

// scopeOfMessage returns the zone that a message is of, and why it has to be dropped if it does.
func scopeOfMessage(m *wire.Bootstrap) (netip.Prefix, string) {
	if !m.BSR.IsGlobalUnicast() {
		return netip.Prefix{}, "bootstrap message of no unicast BSR"
	}
	var scope netip.Prefix
	for i, r := range m.Ranges {
		p, ok := prefixOf(r.Group)
		if !ok {
			return netip.Prefix{}, "bootstrap message with a range of no multicast groups"
		}
		if i == 0 && r.Group.Zone {
			scope = scopeOf(p)
		}
		// "If the mask length of the first group range in a scoped IPv6 BSM is less than 16, the message MUST be dropped"
		// (section 3.1); all its ranges must be of the scope (section 3.3).
		if !contains(scope, p) {
			return netip.Prefix{}, "scoped bootstrap message with a range outside its scope"
		}
	}
	return scope, ""
}

// prefixOf returns a range of groups; false if it is not one of multicast groups.
func prefixOf(g wire.Group) (netip.Prefix, bool) {
	p, err := g.Addr.Prefix(int(g.MaskLen))
	least := 4
	if g.Addr.Is6() {
		least = 8
	}
	return p, err == nil && g.Addr.IsMulticast() && p.Bits() >= least
}

// check is the Bootstrap Message Processing Checks of section 3.1.3, but for that of the RPF neighbor.
func (b *Instance) check(now time.Time, i Interface, src, dst netip.Addr, known bool, scope netip.Prefix, m *wire.Bootstrap) string {
	z := b.zones[scope]
	// "any previous BSM for this scope has been accepted": another fragment of the same is no previous one.
	previous := z != nil && z.heard && (len(z.last) == 0 || !sameMessage(z.last[0], m))
	startup := !previous && !now.After(b.started.Add(b.cfg.Period))
	switch {
	case i.Border:
		return "bootstrap message on a border of the domain"
	case !known:
		return "bootstrap message not from a PIM neighbor"
	case dst == wire.AllPIMRouters(b.env.ID.Family):
		if m.NoForward && !startup {
			return "no-forward bootstrap message, but we have not just started"
		}
	case !b.cfg.Unicast || !b.env.Local(dst):
		return "unicast bootstrap message"
	case !startup:
		return "unicast bootstrap message, but we have not just started"
	}
	switch {
	case crosses(i.Boundaries, scope):
		return "bootstrap message on a border of its scope"
	case b.env.Local(m.BSR):
		return "bootstrap message of our own"
	case z == nil && len(b.zones) >= b.cfg.MaxZones:
		return tooManyZones
	}
	return ""
}

// accept makes the event of section 3.1.4 that a message is, and has the state machine of its zone take it.
func (b *Instance) accept(now time.Time, scope netip.Prefix, m *wire.Bootstrap) {
	z := b.zones[scope]
	switch {
	case b.stopped:
		return
	case z == nil && len(b.zones) >= b.cfg.MaxZones: // others came while the path was asked for
		b.env.Counts.Add(tooManyZones)
		return
	case z == nil:
		z = b.addZone(scope)
	}
	b.env.Counts.Add("accepted Bootstrap")
	z.receive(now, weight{m.Priority, m.BSR}, m)
	z.heard = true
	b.publish()
}

// receive is the receipt of a message in the state machines of sections 3.1.1 and 3.1.2.
func (z *zone) receive(now time.Time, from weight, m *wire.Bootstrap) {
	switch z.state {
	case AcceptAny:
		z.prefer(now, from, m, AcceptPreferred)
	case AcceptPreferred:
		// "A Bootstrap message is also preferred if it is from the current BSR with a lower weight".
		if !from.less(z.bsr) || from.address == z.bsr.address {
			z.prefer(now, from, m, AcceptPreferred)
		}
	case CandidateBSR:
		switch elected := from.address == z.bsr.address; {
		case !elected && !from.less(z.bsr), elected && !from.less(z.own()):
			z.prefer(now, from, m, CandidateBSR)
		case elected: // "Receive Non-preferred BSM from Elected BSR"
			// BS_Rand_Override is that of the priority which the BSR has now.
			z.setBSR(from, now)
			z.pend(now, "receive non-preferred BSM from elected BSR")
			z.forward(m)
		}
	case PendingBSR:
		if !from.less(z.own()) {
			z.prefer(now, from, m, CandidateBSR)
		} else {
			z.forward(m)
		}
	case ElectedBSR:
		if !from.less(z.own()) {
			z.prefer(now, from, m, CandidateBSR)
		} else {
			z.originateSoon(now)
		}
	}
}

// prefer is what the state machines do with a preferred message: Forward BSM; Store RP-Set; set the Bootstrap Timer to
// BS_Timeout.
func (z *zone) prefer(now time.Time, from weight, m *wire.Bootstrap, to State) {
	z.become(to, "receive preferred BSM")
	if len(z.last) == 0 || !sameMessage(z.last[0], m) {
		z.last = nil
		z.forgetPartial()
	}
	z.keep(m)
	z.setBSR(from, now)
	z.forward(m)
	z.store(now, m)
	z.b.env.Timers.Stop(&z.szt)
	z.b.env.Timers.Set(&z.bst, now.Add(z.b.cfg.Timeout))
}

// keep is "the entire BSM is stored" (section 3.1.5), fragment by fragment. One that comes twice is stored once; so is one of a BSR
// whose messages all have the same tag.
func (z *zone) keep(m *wire.Bootstrap) {
	if i := slices.IndexFunc(z.last, func(old *wire.Bootstrap) bool { return supersedes(m, old) }); i >= 0 {
		z.last = slices.Delete(z.last, i, i+1)
	}
	if len(z.last) < maxFragments {
		z.last = append(z.last, m)
	}
}

// supersedes says whether a fragment stands for another: it is of the same ranges and has all RPs of them, or the same RPs.
func supersedes(m, old *wire.Bootstrap) bool {
	return slices.EqualFunc(m.Ranges, old.Ranges, func(a, b wire.RPRange) bool {
		return a.Group == b.Group && (len(a.RPs) >= int(a.RPCount) || slices.EqualFunc(a.RPs, b.RPs, func(x, y wire.RPMapping) bool { return x.RP == y.RP }))
	})
}

// sameMessage says whether two are fragments of one message (section 4.1.1).
func sameMessage(a, b *wire.Bootstrap) bool {
	return a.BSR == b.BSR && a.FragmentTag == b.FragmentTag && a.Priority == b.Priority && a.HashMaskLen == b.HashMaskLen
}

// forward is "Forward BSM": out of all interfaces with PIM neighbors, that on which it came included, except across a border
// (section 3.4). Messages that may not be forwarded are those for routers that have just started.
func (z *zone) forward(m *wire.Bootstrap) {
	if m.NoForward {
		return
	}
	for _, i := range z.b.env.Interfaces() {
		if i.Neighbors > 0 && z.passes(i) {
			z.b.env.Multicast(i.ID, m)
		}
	}
}

// passes says whether messages of the zone may leave by an interface.
func (z *zone) passes(i Interface) bool { return !i.Border && !crosses(i.Boundaries, z.scope) }

// Prime sends the last message of each zone to new and rebooted neighbors on an interface, so that they need not wait for the
// next (section 3.5). It is for the router of the link that is its DR, or would be without them, to be called after it has
// sent a triggered Hello.
func (b *Instance) Prime(i Interface, neighbors []netip.Addr) {
	for _, z := range b.sortedZones() {
		if !z.passes(i) {
			continue
		}
		for _, m := range z.last {
			f := *m
			f.NoForward = true
			b.env.Multicast(i.ID, &f)
			if b.cfg.Unicast {
				f.NoForward = false
				for _, n := range neighbors {
					b.env.Unicast(i.ID, n, &f)
				}
			}
		}
	}
}

// ReceiveAdv takes a Candidate-RP-Advertisement that was sent to us (section 3.3).
func (b *Instance) ReceiveAdv(now time.Time, i Interface, src netip.Addr, m *wire.CandidateRPAdv) {
	switch {
	case i.Border:
		b.drop(i.ID, src, "C-RP-Adv on a border of the domain") // section 6.4.1
	case !m.RP.IsGlobalUnicast():
		b.drop(i.ID, src, "C-RP-Adv of no unicast RP")
	case len(b.cfg.AcceptRP) > 0 && !slices.ContainsFunc(b.cfg.AcceptRP, func(p netip.Prefix) bool { return p.Contains(m.RP) }):
		b.drop(i.ID, src, "C-RP-Adv of an RP that is not accepted")
	default:
		b.receiveAdv(now, i.ID, src, m)
		b.publish()
	}
}
