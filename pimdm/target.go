package pimdm

import (
	"net/netip"
	"slices"

	"grove/internal/engine"
	"grove/internal/pim/assert"
	"grove/internal/roll"
)

// This file is what the MRIB says: RPF_interface(S), MRIB.next_hop(S), MRIB.pref(S), MRIB.metric(S) for every source, kept
// as rib tells of it.

// target is the address of a source, which we track.
type target struct {
	m         *Machine
	addr      netip.Addr
	known     bool // rib has answered
	local     bool // an address of ours
	connected bool // no gateway between
	reachable bool
	distance  uint32
	cost      uint32
	maskLen   int
	hops      []*hop // the usable ways, best first
	kept      *hop   // the way of before, see waitsForNeighbor

	iface *iface     // the interface towards it; nil: none, or dense mode does not run there
	nbr   netip.Addr // the PIM neighbor behind the next hop, by its primary address; invalid: NULL

	entries roll.Roll[*entry] // of which it is the source
}

// hop is one way to a target. It hangs on its interface, so that a change there finds it.
type hop struct {
	t       *target
	iface   *iface
	gateway netip.Addr // invalid: the target itself
	place   int32
}

// preference is MRIB.pref(S), metric is MRIB.metric(S): infinite without a route.
func (t *target) preference() uint32 {
	if !t.reachable {
		return assert.Infinite.Preference
	}
	return min(t.distance, assert.Infinite.Preference)
}

func (t *target) metric() uint32 {
	if !t.reachable {
		return assert.Infinite.Metric
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
	if len(t.entries.All) > 0 || t.m.targets[t.addr] != t {
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

func (t *target) dropHop(h *hop) {
	h.iface.hops.Remove(h, placeOfHop)
	if h == t.kept {
		t.kept = nil
	}
	if n := slices.Index(t.hops, h); n >= 0 {
		t.hops = slices.Delete(t.hops, n, n+1)
	}
	t.resolve()
}

// path takes over what rib tells.
func (m *Machine) path(p engine.Path) {
	t := m.targets[p.Addr]
	if t == nil {
		return
	}
	type said struct {
		known, local, connected, reachable bool
		distance, cost                     uint32
		maskLen                            int
	}
	state := func() said {
		return said{t.known, t.local, t.connected, t.reachable, t.distance, t.cost, t.maskLen}
	}
	old := state()
	t.dropHops()
	t.known, t.local, t.connected, t.reachable = true, p.Local, p.Connected(), p.Reachable()
	t.distance, t.cost, t.maskLen = p.Distance, p.Metric, max(0, p.Prefix.Bits())
	for _, nh := range p.Hops {
		if i := m.ifaces[nh.If]; i != nil {
			h := &hop{t: t, iface: i, gateway: nh.Gateway}
			t.hops = append(t.hops, h)
			i.hops.Add(h, placeOfHop)
		}
	}
	t.resolve()
	if state() != old {
		t.touch()
	}
	for _, e := range slices.Clone(t.entries.All) {
		e.pathKnown()
	}
}

// pathKnown does what has waited for the path to the source.
func (e *entry) pathKnown() {
	waiting := e.waiting
	e.waiting = nil
	e.updateRPF()
	for _, f := range waiting {
		if !e.gone {
			f()
		}
	}
	if len(waiting) > 0 {
		e.m.touch(e)
	}
	if e.asked {
		e.m.sayLater(e)
	}
}

// resolve chooses among the hops: the first of them with a PIM neighbor behind it, or else the first on an interface
// where dense mode runs. rib gives them by PIM's rule of ECMP, the numerically highest gateway first.
func (t *target) resolve() {
	var iface *iface
	var nbr netip.Addr
	for _, h := range t.hops {
		if !h.iface.runs {
			continue
		}
		if h.gateway.IsValid() {
			if n := h.iface.nb.Neighbor(h.gateway); n != nil {
				iface, nbr = h.iface, n.Address
				break
			}
		}
		if iface == nil {
			iface = h.iface
		}
	}
	if t.waitsForNeighbor(iface, nbr) {
		t.keep(t.iface)
		return
	}
	t.keep(nil)
	if iface != t.iface || nbr != t.nbr {
		t.iface, t.nbr = iface, nbr
		t.touch()
	}
}

// waitsForNeighbor says whether a new path is not used yet, because PIM has just started on its interface: the neighbor
// there, if it is one, has not said Hello yet, does not know of us, and floods nothing to us. The way of before serves as long
// as its neighbor is there.
//
// Deviation: RPF_interface(S) follows the MRIB at once by section 4.1.3. A link that heals would then stop the traffic
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

// touch says that what follows from the path is to be worked out anew.
func (t *target) touch() {
	for _, e := range t.entries.All {
		t.m.touch(e)
	}
}

// resolveHops works out anew which neighbors are behind the hops of an interface.
func (i *iface) resolveHops() {
	for _, h := range slices.Clone(i.hops.All) {
		h.t.resolve()
	}
}
