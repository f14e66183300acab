package engine

import (
	"net/netip"
	"time"
)

// This file lists what the machines of one router tell each other. Each kind is the effect of one machine and the
// event of another; daemon/router carries them, in order, and stamps From on what a machine sends.

// ---- group membership: igmp -> whoever subscribed ----

// Subscribe asks igmp for all memberships: those that there are now, then every change.
type Subscribe struct{ From MachineID }

// FilterMode is how the sources of a membership are meant (RFC 3376 section 2).
type FilterMode uint8

// Include wants only the listed sources; Exclude wants all but the listed.
const (
	Include FilterMode = iota
	Exclude
)

// String returns "INCLUDE" or "EXCLUDE".
func (m FilterMode) String() string {
	if m == Exclude {
		return "EXCLUDE"
	}
	return "INCLUDE"
}

// Membership is what the hosts on an interface want of a group, as a level: it replaces what was said before of
// (If, Group). INCLUDE of nothing says that there is no member. Sources are sorted. In EXCLUDE mode they are the
// sources that no host wants (source timer zero, RFC 3376 section 6.2.1).
type Membership struct {
	To      MachineID
	If      IfID
	Group   netip.Addr
	Mode    FilterMode
	Sources []netip.Addr
}

// ---- reverse paths: protocols -> rib -> protocols ----

// Track asks rib for the path to Addr: now, and again whenever it changes. Tracking twice is the same as once.
type Track struct {
	From MachineID
	Addr netip.Addr
}

// Untrack ends Track.
type Untrack struct {
	From MachineID
	Addr netip.Addr
}

// Path is the way to a tracked address, for the RPF check of packets from it and for messages towards it.
type Path struct {
	To   MachineID
	Addr netip.Addr
	// Hops are the usable next hops (interface running) of the best route, best first: by the RFC's rule the
	// numerically highest gateway. Empty and not Local: unreachable.
	Hops []NextHop
	// Local says that Addr is an address of this router itself; Hops then holds the interface that has it.
	Local    bool
	Prefix   netip.Prefix
	Origin   string // "connected", "static", "mroute", "ospf" ...
	Distance uint32 // administrative distance: the metric preference of an Assert
	Metric   uint32
	BGP      *BGPPath // of a route of BGP's; never changed once told
}

// BGPPath is what BGP knows of a route: by it MSDP finds the peer-RPF neighbor (RFC 3618 section 10.1.3).
type BGPPath struct {
	NextHop  netip.Addr
	Neighbor netip.Addr // who advertised it to us; invalid: we originate it
	Internal bool       // by IBGP
	ASPath   []uint32   // nearest first; AS sets and confederations left out
}

// Reachable says whether there is a way to the address: this router itself or a next hop.
func (p *Path) Reachable() bool { return p.Local || len(p.Hops) > 0 }

// Connected says that the address is a direct neighbour on a link of ours, without a gateway between.
func (p *Path) Connected() bool { return len(p.Hops) > 0 && !p.Hops[0].Gateway.IsValid() && !p.Local }

// MRIBRoute is a route that a protocol contributes to the MRIB, new, replaced or gone: DVMRP its own, MBGP the best of
// its neighbors', with the next best ones in Others. A protocol says all that it has of a prefix at once; its name is the route's
// origin. It serves the RPF check only, and wins over unicast routes of the same or a worse distance, as a multicast static route does.
type MRIBRoute struct {
	From   MachineID
	Prefix netip.Prefix
	Hops   []NextHop
	Metric uint32
	BGP    *BGPPath // of BGP's
	Others []MRIBAlternative
	Gone   bool
}

// MRIBAlternative is another route of the protocol's to the same prefix. Each serves if none before it is usable, in the order of
// MRIBRoute.Others.
type MRIBAlternative struct {
	Hops   []NextHop
	Metric uint32
	BGP    *BGPPath
}

// ---- sources of other domains: pimsm <-> msdp ----

// SourceActive is said by a pimsm that is the RP of a group: a source of its own domain sends to it, registered or on a
// link of ours. A level: msdp originates Source-Active messages while it holds (RFC 3618 section 5).
type SourceActive struct {
	From   MachineID
	Key    Key // (S,G)
	RP     netip.Addr
	Active bool
	Packet []byte // the packet by which the source became known, whole; nil if there is none at hand
}

// SourcesWanted is said by a pimsm that is the RP of a group: whether it has receivers of the group, so that it wants to
// be told the sources of other domains. A level.
type SourcesWanted struct {
	From   MachineID
	Group  netip.Addr
	Wanted bool
}

// GroupModes is said by a pimsm where both modes of PIM run on an interface: which groups are sparse mode's there. It goes to mfib,
// for who owns the interface, and to pimdm. The first range that holds a group decides; a group in none is dense mode's.
type GroupModes struct {
	From   MachineID
	Ranges []GroupMode
}

// GroupMode says of a range of groups which mode of PIM has it.
type GroupMode struct {
	Groups netip.Prefix
	Sparse bool
}

// SparseIn says whether a group is sparse mode's.
func SparseIn(ranges []GroupMode, g netip.Addr) bool {
	for _, r := range ranges {
		if r.Groups.Contains(g) {
			return r.Sparse
		}
	}
	return false
}

// RemoteSource tells a pimsm of a source of another domain in a group of which it wants to know (SourcesWanted). A level:
// it is active while msdp's cache has it. The Packet that a Source-Active message carried is for the group's receivers.
type RemoteSource struct {
	To     MachineID
	Key    Key // (S,G)
	RP     netip.Addr
	Active bool
	Packet []byte // whole; nil: none
}

// ---- the forwarding table: protocols -> mfib ----

// Outgoing is an interface of an entry's outgoing list; a packet passes if its TTL is greater than Threshold
// (0 means 1). The interface's own threshold and scope boundaries are mfib's to apply.
type Outgoing struct {
	If        IfID
	Threshold uint8
}

// EncapKind is a way in which packets leave other than natively.
type EncapKind uint8

// EncapRegister sends each packet up to the owner, who wraps it in a PIM Register to Encap.To.
const EncapRegister EncapKind = 1

// Encap is an encapsulation of an entry.
type Encap struct {
	Kind EncapKind
	To   netip.Addr
}

// Want is what one component wants of the forwarding table for a key, whole: it replaces what that component wanted of
// the key before. mfib joins the wants of all components (RFC 2715) and keeps the kernel's table as wanted.
//
// In a (*,G) or (*,*) row (a "proxy" row of Linux) packets are accepted from In, and from every interface in Accept
// and Out, and go to all others of Out. In 0 with Tap: the register interface is the parent, and the packets of
// unknown flows from the interfaces in Accept come up whole (shared/notes/source-start.md).
type Want struct {
	From     MachineID
	Epoch    uint32
	Key      Key
	In       IfID          // the incoming interface; packets of (S,G) from elsewhere are wrong
	Accept   []IfID        // (*,G), (*,*): more interfaces from which packets are accepted
	Out      []Outgoing    // never holds In for (S,G)
	Encap    []Encap       // each packet comes up as WholePacket, to be encapsulated
	Tap      bool          // each packet comes up as WholePacket, to be seen
	Negative string        // not empty: drop every packet, for this reason
	Expires  time.Duration // of a negative entry: then it goes, and the next packet is a Creation again; 0: never
	WrongIf  []IfID        // report packets of this key that come in on these interfaces
	Activity time.Duration // report activity at this interval; 0: never
}

// Unwant ends a Want.
type Unwant struct {
	From MachineID
	Key  Key
}

// Decline answers a Creation: this component wants nothing of it. If all decline, mfib installs a negative entry.
type Decline struct {
	From MachineID
	Key  Key
}

// Revisit says that this component's interest in Key changed ((*,G): in every source of G): negative entries that
// mfib made because it declined go, and the next packet is a Creation again.
type Revisit struct {
	From MachineID
	Key  Key
}

// Interest says whether a component has receivers of Group among its own neighbors and hosts, so that it wants the group's
// packets from other components' sources: its line of the component-group table (RFC 2715 section 2.2). A protocol that
// wants a (*,G) row has said so by it; one that makes (S,G) entries only, as dense modes do, says it by Interest.
type Interest struct {
	From   MachineID
	Group  netip.Addr
	Wanted bool
}

// Wildcard lists the group prefixes for which a component wants all traffic of other components' sources (RFC 2715
// section 2, rule 6), whole.
type Wildcard struct {
	From   MachineID
	Groups []netip.Prefix
}

// ---- the forwarding table: mfib -> protocols ----

// Creation is a packet of a flow that has no entry (RFC 2715 section 2, rule 3). Answer with Want or Decline of
// Key, an (S,G); after a second mfib answers itself.
type Creation struct {
	To     MachineID
	Key    Key
	If     IfID   // where it came in; 0: unknown
	Packet []byte // the whole packet if the plane handed it up (TTL not decremented), else nil: the plane still holds it
}

// WrongInterface is a packet of an entry that came in elsewhere (rule 2), told to the protocol of that interface.
type WrongInterface struct {
	To     MachineID
	Key    Key
	If     IfID
	Packet []byte // whole, or nil
}

// WholePacket is a packet that an Encap or a Tap sent up, TTL not decremented, checksums complete.
type WholePacket struct {
	To     MachineID
	Key    Key // (S,G)
	If     IfID
	Packet []byte
}

// Activity says how much came for an entry since the last Activity. Silence says that nothing came.
type Activity struct {
	To      MachineID
	Key     Key
	Packets uint64 // on the right interface
	Bytes   uint64 // of all packets
	WrongIf uint64
}

// AlertKind is Join or Prune.
type AlertKind uint8

// The alerts of RFC 2715 section 2, rules 4 and 5: the combined outgoing list became non-empty, or empty.
const (
	JoinAlert AlertKind = iota + 1
	PruneAlert
)

// Alert tells a component what the others want, as a level. (S,G): the owner of the incoming interface alone is told
// whether another component has an outgoing interface or encapsulation; it may prune or must join and graft. (*,G): whether
// another component is interested in G. (*,*): whether another component is a wildcard receiver.
type Alert struct {
	To   MachineID
	Kind AlertKind
	Key  Key
}

// Deletion says that mfib gave up an entry: its incoming interface went, or its time is over.
type Deletion struct {
	To    MachineID
	Key   Key
	Cause string
}

// OwnerChanged tells the former and the new owner of an entry's incoming interface (rule 1).
type OwnerChanged struct {
	To    MachineID
	Key   Key
	Owner MachineID
}

// Installed says that an entry is in the forwarding plane as wanted, for the first time since it was wanted.
type Installed struct {
	To  MachineID
	Key Key
}

// Failed says that an entry could not be installed.
type Failed struct {
	To  MachineID
	Key Key
	Err string
}

func (Subscribe) event()      {}
func (Membership) event()     {}
func (Track) event()          {}
func (Untrack) event()        {}
func (Path) event()           {}
func (Want) event()           {}
func (Unwant) event()         {}
func (Decline) event()        {}
func (Revisit) event()        {}
func (Wildcard) event()       {}
func (Interest) event()       {}
func (MRIBRoute) event()      {}
func (SourceActive) event()   {}
func (SourcesWanted) event()  {}
func (GroupModes) event()     {}
func (RemoteSource) event()   {}
func (Creation) event()       {}
func (WrongInterface) event() {}
func (WholePacket) event()    {}
func (Activity) event()       {}
func (Alert) event()          {}
func (Deletion) event()       {}
func (OwnerChanged) event()   {}
func (Installed) event()      {}
func (Failed) event()         {}

func (Subscribe) effect()      {}
func (Membership) effect()     {}
func (Track) effect()          {}
func (Untrack) effect()        {}
func (Path) effect()           {}
func (Want) effect()           {}
func (Unwant) effect()         {}
func (Decline) effect()        {}
func (Revisit) effect()        {}
func (Wildcard) effect()       {}
func (Interest) effect()       {}
func (MRIBRoute) effect()      {}
func (SourceActive) effect()   {}
func (SourcesWanted) effect()  {}
func (GroupModes) effect()     {}
func (RemoteSource) effect()   {}
func (Creation) effect()       {}
func (WrongInterface) effect() {}
func (WholePacket) effect()    {}
func (Activity) effect()       {}
func (Alert) effect()          {}
func (Deletion) effect()       {}
func (OwnerChanged) effect()   {}
func (Installed) effect()      {}
func (Failed) effect()         {}
