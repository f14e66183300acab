package pimsm

import (
	"net/netip"
	"slices"

	"grove/internal/engine"
	"grove/internal/roll"
)

// This file is what the MRIB says: RPF_interface(X), MRIB.next_hop(X), MRIB.pref(X), MRIB.metric(X) for every source
// and RP, kept as rib tells of it.

// target is an address that we track.
type target struct {
	m         *Machine
	addr      netip.Addr
	known     bool // rib has answered
	pinned    int  // by the configuration: an RP, or a member of an Anycast-RP set, tracked although no group has it now
	local     bool // an address of ours
	connected bool // no gateway between
	external  bool // the best way is by an interface of another protocol (border.go)
	reachable bool
	distance  uint32
	cost      uint32
	hops      []*hop // the usable ways, best first
	kept      *hop   // the way of before, see waitsForNeighbor

	iface *iface     // RPF_interface; nil: none, or PIM does not run there
	nbr   netip.Addr // the PIM neighbor behind the next hop, by its primary address; invalid: NULL

	groups  roll.Roll[*group]  // of which it is the RP
	sources roll.Roll[*source] // of which it is the source
	waiting *[]func()          // what is to be done when the path is known; nil: nothing
}

// hop is one way to a target. It hangs on its interface, so that a change there finds it.
type hop struct {
	t       *target
	iface   *iface
	gateway netip.Addr // invalid: the target itself
	place   int32
}

// preference is MRIB.pref(X), metric is MRIB.metric(X): infinite without a route.
func (t *target) preference() uint32 {
	if t == nil || !t.reachable {
		return infiniteAssertMetric.Preference
	}
	return min(t.distance, infiniteAssertMetric.Preference)
}

func (t *target) metric() uint32 {
	if t == nil || !t.reachable {
		return infiniteAssertMetric.Metric
	}
	return t.cost
}

// track returns the target of an address, which rib is asked for if it is new.
func (m *Machine) track(a netip.Addr) *target {
	t := m.targets[a]
	if t == nil {
		t = &target{m: m, addr: a}
		m.targets[a] = t
		m.emit(engine.Track{Addr: a})
	}
	return t
}

// release ends the tracking of a target that nobody needs any more.
func (t *target) release() {
	if t.pinned > 0 || len(t.groups.All) > 0 || len(t.sources.All) > 0 || t.m.targets[t.addr] != t {
		return
	}
	t.dropHops()
	t.keep(nil)
	delete(t.m.targets, t.addr)
	t.m.emit(engine.Untrack{Addr: t.addr})
}

func (t *target) dropHops() {
	for _, h := range t.hops {
		h.iface.hops.Remove(h, placeOfHop)
	}
	t.hops = nil
}

// whenPathKnown does f when the path to the source is known: now, or later in the same batch of events.
func (s *source) whenPathKnown(f func()) {
	s.rpf.whenKnown(func() {
		if !s.gone {
			f()
		}
	})
}

// whenKnown does f when the path is known: now, or later in the same batch of events.
// It says whether there is room to wait.
func (t *target) whenKnown(f func()) bool {
	if t.known {
		f()
		return true
	}
	if t.waiting == nil {
		t.waiting = new([]func())
	}
	if len(*t.waiting) >= maxWaiting {
		t.m.counts.Add("too many packets before the path is known")
		return false
	}
	*t.waiting = append(*t.waiting, f)
	return true
}

const maxWaiting = 256

// path takes over what rib tells.
func (m *Machine) path(p engine.Path) {
	t := m.targets[p.Addr]
	if t == nil {
		return
	}
	t.dropHops()
	wasRP, metric := t.local, [...]uint32{t.preference(), t.metric()}
	connected, first := t.connected, !t.known
	t.known = true
	t.local, t.connected, t.reachable = p.Local, p.Connected(), p.Reachable()
	t.distance, t.cost = p.Distance, p.Metric
	for _, nh := range p.Hops {
		if i := m.ifaces[nh.If]; i != nil {
			h := &hop{t: t, iface: i, gateway: nh.Gateway}
			t.hops = append(t.hops, h)
			i.hops.Add(h, placeOfHop)
		}
	}
	changed := t.resolve()
	if first || changed || wasRP != t.local || connected != t.connected || metric != [...]uint32{t.preference(), t.metric()} {
		t.touch()
		m.memberMoved(t)
	}
	if t.waiting != nil {
		// What the first of them does may have other flows of the source looked at: those that still wait are not idle.
		for _, f := range *t.waiting {
			f()
		}
		t.waiting = nil
		for _, s := range t.sources.All {
			m.touchSource(s)
		}
	}
	for _, s := range t.sources.All {
		if s.asked {
			m.sayLater(s)
		}
	}
}

// resolve chooses among the hops: the first of them with a PIM neighbor behind it, or else the first on an interface
// where PIM runs. rib gives them by RFC 7761's rule of ECMP, the numerically highest gateway first. It says whether
// that changed anything.
func (t *target) resolve() bool {
	var iface *iface
	var nbr netip.Addr
	for _, h := range t.hops {
		if !h.iface.runs {
			continue
		}
		gateway := h.gateway
		if !gateway.IsValid() {
			// An RP on a link of ours is the next hop to itself.
			gateway = t.addr
		}
		if n := h.iface.nb.Neighbor(gateway); n != nil {
			iface, nbr = h.iface, n.Address
			break
		}
		if iface == nil {
			iface = h.iface
		}
	}
	if t.waitsForNeighbor(iface, nbr) {
		t.keep(t.iface)
		return false
	}
	t.keep(nil)
	external := !t.local && len(t.hops) > 0 && t.hops[0].iface.foreign
	if iface == t.iface && nbr == t.nbr && external == t.external {
		return false
	}
	old := t.iface
	becomesExternal := external && !t.external
	t.iface, t.nbr, t.external = iface, nbr, external
	if old != nil && (old != iface || becomesExternal) {
		t.stopsBeingRPF(old)
	}
	t.touch()
	return true
}

// waitsForNeighbor says whether a new path is not used yet, because PIM has just started on its interface: the neighbor
// there, if it is one, has not said Hello yet, and cannot be asked for anything. The way of before serves as long as its
// neighbor is there.
//
// Deviation: RPF_interface(S) follows the MRIB at once by section 4.1.5. A link that heals would then stop the traffic
// that goes round it until the Hellos are exchanged, for up to Triggered_Hello_Delay.
func (t *target) waitsForNeighbor(iface *iface, nbr netip.Addr) bool {
	return iface != nil && iface != t.iface && !nbr.IsValid() && !t.connected && !t.local && iface.starting.Running() &&
		t.iface != nil && t.iface.runs && t.nbr.IsValid() && t.iface.nb.Neighbor(t.nbr) != nil
}

// keep has the target hang on the interface of the way of before, so that a change there finds it; nil: no more.
func (t *target) keep(i *iface) {
	if t.kept != nil {
		t.kept.iface.hops.Remove(t.kept, placeOfHop)
		t.kept = nil
	}
	if i != nil {
		t.kept = &hop{t: t, iface: i}
		i.hops.Add(t.kept, placeOfHop)
	}
}

// stopsBeingRPF is "RPF_interface(S) stops being interface I" and "RPF_interface(RP(G)) stops being I" of Figures 8
// and 9: a lost Assert there is forgotten.
func (t *target) stopsBeingRPF(i *iface) {
	for _, g := range t.groups.All {
		if o := g.on(i.bit); o != nil && o.assert.lost() {
			o.endAssert("RPF_interface(RP(G)) stops being I")
		}
	}
	for _, s := range t.sources.All {
		if o := s.on(i.bit); o != nil && o.assert.lost() {
			o.endAssert("RPF_interface(S) stops being I")
		}
	}
}

// touch says that what follows from the path is to be worked out anew.
func (t *target) touch() {
	for _, g := range t.groups.All {
		t.m.touchGroup(g)
	}
	for _, s := range t.sources.All {
		t.m.touchSource(s)
	}
}

// resolveHops works out anew which neighbors are behind the hops of an interface.
func (i *iface) resolveHops() {
	for _, h := range slices.Clone(i.hops.All) {
		h.t.resolve()
	}
}
