package mfib

import (
	"fmt"
	"net/netip"
	"slices"

	"grove/internal/engine"
)

// routable says whether packets to g may be forwarded at all: not those to interface-local and link-local groups
// (RFC 4291, section 2.7: ff01::, ff02:: and, as flags may be set, ffx1:: and ffx2::; scope 0 is reserved and dropped), nor
// to 224.0.0.0/24 (RFC 2365, section 6.3).
func routable(g netip.Addr) bool {
	if !g.IsMulticast() || g.IsInterfaceLocalMulticast() || g.IsLinkLocalMulticast() {
		return false
	}
	return g.Is4() || g.As16()[1]&0x0f != 0
}

// acceptOnly is the threshold of an interface from which a proxy row accepts packets but does not send them to: the kernel
// wants a bit for the one and knows no other way to forbid the other. A packet with TTL 255 still leaves.
const acceptOnly = 254

// wanted returns the row that an entry shall have in the kernel, and leaves in each want what is wrong with it.
func (m *Machine) wanted(e *entry) row {
	for _, w := range e.wants {
		w.setFault("")
	}
	var r row
	switch {
	case e.idle():
		return row{}
	case e.undecided():
		return e.row
	case len(e.wants) == 0:
	case e.isSG():
		r = m.wantedSG(e)
	default:
		r = m.wantedProxy(e)
	}
	if !r.present && e.negative != nil {
		if g := m.shadow(e); g == nil {
			r = m.drop(e.arrival)
		} else if m.several() {
			r = m.wantedShadow(e, g)
		}
	}
	return r
}

// undecided says that it is too early for a row: the components have not set what they want (rule 3), or the MRIB has not
// said whose the entry is.
func (e *entry) undecided() bool {
	return e.waiting != nil && e.waiting.hold || e.source != nil && !e.source.known
}

// shadow returns the (*,G) entry whose row forwards the packets of a negative entry, which nobody wanted an entry of its own
// for; nil if there is none. A negative row would stop them.
func (m *Machine) shadow(e *entry) *entry {
	g := m.entries[engine.StarG(e.key.Group)]
	if !e.negative.reason.asked() || g == nil || len(g.wants) == 0 {
		return nil
	}
	return g
}

// takes says whether a (*,G) row takes packets from an interface: from its parent, and from every other that it names where the
// (*,*) row has the same parent and names it, too (mfib/cases/testdata/wildcard.txt).
func (m *Machine) takes(g *entry, v engine.VIF) bool {
	if v == g.row.parent {
		return true
	}
	all := m.entries[engine.Key{}]
	return g.row.names(int(v)) && all != nil && all.row.parent == g.row.parent && all.row.names(int(v))
}

// wantedShadow returns the row of an entry that is negative, but whose packets the (*,G) row g forwards. With several
// protocols that row hands up every packet, lest it hide new flows; this row forwards them in the same way and does not,
// unless somebody wants to see them.
func (m *Machine) wantedShadow(e, g *entry) row {
	if slices.ContainsFunc(g.wants, func(w *want) bool { return w.tap || len(w.encap) > 0 }) || !g.row.present {
		return row{}
	}
	r := g.row
	in := e.arrival
	if in == 0 {
		in = e.source.rpfInterface() // most likely; an upcall would tell otherwise
	}
	if v, ok := m.vif(in); ok && m.takes(g, v) {
		r.parent = v
	} else if e.arrival != 0 {
		return m.drop(in) // the (*,G) row does not take it from there
	}
	for n := range r.ttl {
		if r.ttl[n] == acceptOnly || n == m.register || n == int(r.parent) {
			r.ttl[n] = 0
		}
	}
	return r
}

// drop returns the row that drops everything. Its parent is where the packets come in, so that they are not wrong there. If
// that is not known (the kernel does not say where a whole packet came in) it is the register interface; then the
// packets are wrong, and the upcall tells: see learnArrival.
func (m *Machine) drop(in engine.IfID) row {
	v, ok := m.vif(in)
	if in == 0 {
		v, ok = m.registerVIF()
	}
	return row{present: ok, parent: v}
}

// wantedSG returns the row of an (S,G) entry: the incoming interface of the owner, the outgoing interfaces of all.
func (m *Machine) wantedSG(e *entry) row {
	own := e.wantOf(e.owner)
	switch {
	case own == nil && m.several():
		return m.drop(e.source.rpfInterface()) // rule 2: the owner does not accept the packets, so nobody gets them
	case own == nil:
		return row{}
	}
	if own.in == 0 && own.negative != "" {
		return m.drop(e.arrival)
	}
	parent, ok := m.incoming(own, own.in, e.key.Group)
	if !ok {
		return row{}
	}
	r := row{present: true, parent: parent}
	if own.negative != "" {
		return r
	}
	if i := m.ifaces[own.in]; i.cfg.bounds(e.key.Group) {
		own.setFault(fmt.Sprintf("incoming interface %s is a boundary for %v", i.name, e.key.Group))
		return r
	}
	m.addOutgoing(&r, e)
	r.ttl[parent] = 0 // the kernel would forward to where the packet came from
	return r
}

// wantedProxy returns the row of a (*,G) or (*,*) entry: packets are accepted from every interface that has a bit in it.
func (m *Machine) wantedProxy(e *entry) row {
	first := e.wants[0]
	for _, w := range e.wants {
		if w.negative == "" {
			first = w
			break
		}
	}
	var parent engine.VIF
	var ok bool
	if first.in == 0 {
		parent, ok = m.registerVIF()
		if !ok {
			first.setFault("the register interface has no VIF")
		}
	} else {
		parent, ok = m.incoming(first, first.in, e.key.Group)
	}
	if !ok {
		return row{}
	}
	r := row{present: true, parent: parent}
	if first.negative != "" {
		return r
	}
	m.addOutgoing(&r, e)
	for _, w := range e.wants {
		if w.negative != "" {
			continue
		}
		for _, id := range w.accept {
			m.accept(&r, e, w, id)
		}
		if e.key.Group.IsValid() {
			m.accept(&r, e, w, w.in)
		} else if t, v, ok := m.threshold(e, w, engine.Outgoing{If: w.in}); ok {
			r.ttl[v] = t // the kernel forwards by a (*,*) row to the parent alone
		}
	}
	if first.in == 0 {
		r.ttl[parent] = 1
	}
	return r
}

// addOutgoing adds the outgoing interfaces that each component wants, and the register interface if somebody wants the
// packets to come up.
func (m *Machine) addOutgoing(r *row, e *entry) {
	for _, w := range e.wants {
		if w.negative != "" {
			continue
		}
		for _, o := range w.out {
			if t, v, ok := m.threshold(e, w, o); ok && (r.ttl[v] == 0 || t < r.ttl[v]) {
				r.ttl[v] = t
			}
		}
		// With several protocols a proxy row must not hide new flows from the others (rule 3).
		if w.tap || len(w.encap) > 0 || m.several() && !e.isSG() {
			if v, ok := m.registerVIF(); ok {
				r.ttl[v] = 1
			} else {
				w.setFault("the register interface has no VIF")
			}
		}
	}
}

// accept lets a proxy row accept packets from an interface.
func (m *Machine) accept(r *row, e *entry, w *want, id engine.IfID) {
	if _, v, ok := m.threshold(e, w, engine.Outgoing{If: id}); ok && r.ttl[v] == 0 {
		r.ttl[v] = acceptOnly
	}
}

// threshold returns the TTL threshold and the VIF of an interface that w names: the higher of the want's and the
// interface's. It is false if the interface cannot be used, or if a boundary forbids the group there.
func (m *Machine) threshold(e *entry, w *want, o engine.Outgoing) (ttl uint8, v engine.VIF, ok bool) {
	if o.If == 0 {
		return 0, 0, false
	}
	v, ok = m.usable(w, o.If, e.key.Group)
	if !ok {
		return 0, 0, false
	}
	cfg := m.ifaces[o.If].cfg
	if e.key.Group.IsValid() && cfg.bounds(e.key.Group) {
		return 0, 0, false
	}
	return max(1, o.Threshold, cfg.TTLThreshold), v, true
}

// incoming returns the VIF of an incoming interface.
func (m *Machine) incoming(w *want, id engine.IfID, g netip.Addr) (engine.VIF, bool) {
	if id == 0 {
		w.setFault("no incoming interface")
		return 0, false
	}
	return m.usable(w, id, g)
}

// usable returns the VIF of an interface that w names for a group; false, with the fault noted, if it has none or is not the
// component's to use.
func (m *Machine) usable(w *want, id engine.IfID, g netip.Addr) (engine.VIF, bool) {
	i := m.ifaces[id]
	v, ok := m.vif(id)
	switch {
	case i == nil:
		w.setFault(fmt.Sprintf("interface %d does not exist", id))
	case i.cfg == nil:
		w.setFault(fmt.Sprintf("interface %s has no multicast protocol", i.name))
	case !m.mayUse(w.by, i, g):
		w.setFault(fmt.Sprintf("interface %s belongs to %s", i.name, m.ownerOn(i.cfg, g)))
		return 0, false
	case !ok:
		w.setFault(fmt.Sprintf("interface %s has no VIF", i.name))
	}
	return v, ok
}

// leaves says whether w wants packets of the entry to leave, by an interface or encapsulated (rules 4 and 5; a tap is no
// outgoing interface).
func (m *Machine) leaves(e *entry, w *want) bool {
	if w.negative != "" {
		return false
	}
	return len(w.encap) > 0 || slices.ContainsFunc(w.out, func(o engine.Outgoing) bool {
		_, _, ok := m.threshold(e, w, o)
		return ok
	})
}
