package pimsm

import (
	"net/netip"

	"grove/internal/engine"
	"grove/internal/roll"
)

// This file is the Tree Information Base of RFC 7761, section 4.1: the state, and nothing that follows from it. What
// follows is computed by macros.go and forwarding.go.

// group is the (*,G) state (RFC 7761, section 4.1.2) and the roll of the group's sources. There is one for every group
// of which anything is known, SSM groups included, whose (*,G) state stays empty.
type group struct {
	entry
	addr    netip.Addr
	ssm     bool                   // the group is in an SSM range (section 4.8)
	sources roll.Roll[*source]     // all (S,G) and (S,G,rpt) state of the group
	index   map[netip.Addr]*source // of sources; nil while they are few
	wanted  bool                   // other protocols have receivers of the group: a (*,G) Join alert
	// saidWanted is what msdp was last told: that there are receivers of the group.
	saidWanted bool

	placeInRP int32
}

// source is the (S,G) state (RFC 7761, section 4.1.3) and the (S,G,rpt) state (section 4.1.4) of one source and group.
type source struct {
	entry
	addr netip.Addr
	g    *group

	kat engine.Timer // KeepaliveTimer(S,G); read it by keepaliveRunning(s)

	// flow runs while packets of the flow are known to come, whatever they do to the KeepaliveTimer: for as long there is
	// a row in the forwarding table, so that they come up no more. iif is where they are known to come in and be
	// accepted; 0: not known. wrong is where packets came in that failed the RPF check, and wrongAt when the last did.
	flow    engine.Timer
	iif     ifSet
	wrong   ifSet
	wrongAt int64 // UnixNano

	rpt      rptUpstream
	register *register // nil: NoInfo, and no Register-Stop Timer
	decap    *decap    // at the RP, while Registers come
	meter    *meter    // for SPTThreshold
	msdp     *interdomain

	sptBit bool // SPTbit(S,G); read it by sptBit(s)
	asked  bool // a Creation of mfib waits for its answer
	// wanted is the last (S,G) alert: whether other protocols want the packets of a source that is ours.
	wanted engine.AlertKind

	placeInGroup  int32
	placeInTarget int32
}

// entry is what (*,G) and (S,G) state have in common.
type entry struct {
	m    *Machine
	rpf  *target // RP(G), or S; nil: no RP known
	oifs []*oif  // per-interface state where there is any, by slot
	up   upstream

	said      row  // what we want of the forwarding table for the key, as last said
	installed bool // the forwarding plane has a row for what we said

	touched bool // on the list of what is to be updated in this Step
	unsaid  bool // on the list of what is to be said to mfib at Settled
	gone    bool // deleted
}

// oif is what an entry knows of one interface: the "for each interface" part of sections 4.1.2 to 4.1.4. It exists
// while there is anything to know.
type oif struct {
	iface *iface
	g     *group
	s     *source // nil: of (*,G)

	jp     *downstream  // DownstreamJPState(*,G,I), or (S,G,I); nil: NoInfo
	rpt    *downstream  // DownstreamJPState(S,G,rpt,I); nil: NoInfo
	assert *assertState // nil: NoInfo

	place int32 // in iface.oifs
	// member is local_receiver_include(*,G,I), or local_receiver_include(S,G,I); exclude is
	// local_receiver_exclude(S,G,I).
	member, exclude bool

	// members are the sources of the membership that igmp last announced for (I,G), if it had any: kept in the (*,G)
	// state, to see what a new one changes.
	members *[]netip.Addr
}

func (o *oif) empty() bool {
	return !o.member && !o.exclude && o.jp == nil && o.rpt == nil && o.assert == nil && o.members == nil
}

// on returns the entry's state of an interface; nil if there is none.
func (e *entry) on(i ifSet) *oif {
	for _, o := range e.oifs {
		if o.iface.bit == i {
			return o
		}
	}
	return nil
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

func (g *group) key() engine.Key  { return engine.StarG(g.addr) }
func (s *source) key() engine.Key { return engine.SG(s.addr, s.g.addr) }

func (o *oif) key() engine.Key {
	if o.s != nil {
		return o.s.key()
	}
	return o.g.key()
}

// Where a thing keeps its place on a roll.
func placeOfOif(o *oif) *int32       { return &o.place }
func placeOfHop(h *hop) *int32       { return &h.place }
func placeInRP(g *group) *int32      { return &g.placeInRP }
func placeInTarget(s *source) *int32 { return &s.placeInTarget }
func placeInGroup(s *source) *int32  { return &s.placeInGroup }
