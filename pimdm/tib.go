package pimdm

import (
	"net/netip"
	"time"

	"grove/internal/engine"
	"grove/internal/roll"
)

// This file is the Tree Information Base of RFC 3973, section 4.1: the state, and nothing that follows from it. What
// follows is computed by macros.go and forwarding.go.

// group is what is known of a group: the hosts that want it, and the roll of its (S,G) entries.
type group struct {
	m       *Machine
	addr    netip.Addr
	members []member // what hosts want, by interface
	entries roll.Roll[*entry]
	index   map[netip.Addr]*entry // of entries; nil while they are few

	// What the configuration says of the group: the interfaces where it is dense mode's, and those that are a scope
	// boundary for it.
	dense, boundary ifSet
	own             bool // this router itself takes its packets

	interest bool // engine.Interest as it was last said
	unsaid   bool // on the list of groups whose Interest is to be worked out at Settled
	gone     bool
}

// member is a membership as igmp announced it (section 4.1.2, Local Membership).
type member struct {
	iface   *iface
	mode    engine.FilterMode
	sources []netip.Addr // sorted
}

// entry is the (S,G) state (section 4.1.2).
type entry struct {
	m    *Machine
	g    *group
	addr netip.Addr // S
	rpf  *target    // the way to S
	oifs []*oif     // per-interface state where there is any, by slot

	in      ifSet // RPF_interface(S) as of the last update
	up      upstream
	origin  *origin  // nil: NotOriginator
	refresh *refresh // of State Refresh messages; nil: there were none

	// alive runs while the source is known to send, or State Refresh messages say so.
	alive   engine.Timer
	waiting []func() // packets and messages that wait for the path to S

	said   row  // what we want of the forwarding table, as last said
	placed bool // mfib has said Installed or Failed of it: we have been told what other protocols want
	asked  bool // a Creation of mfib waits for its answer

	born                    time.Time
	packets, bytes, wrongIf uint64

	touched bool // on the list of what is to be updated in this Step
	unsaid  bool // on the list of what is to be said to mfib at Settled
	gone    bool

	placeInTarget, placeInGroup int32
}

// oif is what an entry knows of one interface: the "for each interface" part of section 4.1.2. It exists while there is
// anything to know.
type oif struct {
	iface  *iface
	e      *entry
	down   *downstream  // nil: NoInfo
	assert *assertState // nil: NoInfo
	place  int32        // in iface.oifs
}

func (o *oif) empty() bool { return o.down == nil && o.assert == nil }

// on returns the entry's state of an interface; nil if there is none.
func (e *entry) on(i ifSet) *oif {
	for _, o := range e.oifs {
		if o.iface.bit == i {
			return o
		}
	}
	return nil
}

// oif returns the entry's state of an interface, made if there is none.
func (e *entry) oif(i *iface) *oif {
	if o := e.on(i.bit); o != nil {
		return o
	}
	o := &oif{iface: i, e: e}
	n := 0
	for n < len(e.oifs) && e.oifs[n].iface.slot < i.slot {
		n++
	}
	e.oifs = append(e.oifs, nil)
	copy(e.oifs[n+1:], e.oifs[n:])
	e.oifs[n] = o
	i.oifs.Add(o, placeOfOif)
	return o
}

// sweep forgets the interfaces of which nothing is known any more.
func (e *entry) sweep() {
	kept := e.oifs[:0]
	for _, o := range e.oifs {
		if o.empty() {
			o.iface.oifs.Remove(o, placeOfOif)
		} else {
			kept = append(kept, o)
		}
	}
	clear(e.oifs[len(kept):])
	e.oifs = kept
}

// where returns the interfaces on which the entry's state has a property.
func (e *entry) where(property func(*oif) bool) ifSet {
	var set ifSet
	for _, o := range e.oifs {
		if property(o) {
			set |= o.iface.bit
		}
	}
	return set
}

func (e *entry) key() engine.Key { return engine.SG(e.addr, e.g.addr) }

// Where a thing keeps its place on a roll.
func placeOfOif(o *oif) *int32      { return &o.place }
func placeOfHop(h *hop) *int32      { return &h.place }
func placeInTarget(e *entry) *int32 { return &e.placeInTarget }
func placeInGroup(e *entry) *int32  { return &e.placeInGroup }
