package dvmrp

import (
	"net/netip"
	"time"

	"grove/internal/engine"
)

// What a Query may ask for, and the type of the Answer:
//
//	"neighbors"   []NeighborShow
//	"interfaces"  []InterfaceShow
//	"routes"      []RouteShow, by prefix; with a prefix in Arg, that one; with an address in Arg, the best route to it
//	"entries"     []EntryShow, by group and source; with the address of a group in Arg, those of that group
//	"counts"      map[string]uint64

// NeighborShow is a DVMRP neighbor.
type NeighborShow struct {
	Interface    string
	Address      netip.Addr
	Version      string // "3.255"
	Capabilities string // "prune genid mtrace netmask"; of an old version, what it implies
	GenerationID uint32
	TwoWay       bool // our address is in its Probes
	Uptime       time.Duration
	Expires      time.Duration
	Routes       int // for which it is the upstream neighbor
	Dependent    int // routes for which it depends on us
}

// InterfaceShow is an interface on which DVMRP is configured.
type InterfaceShow struct {
	Interface    string
	Running      bool
	Address      netip.Addr
	Metric       uint8
	Threshold    uint8
	PointToPoint bool       // all messages go to 224.0.0.4
	Tunnel       netip.Addr // the remote end; invalid: no tunnel
	Leaf         bool       // no neighbors
	GenerationID uint32
	Neighbors    int
	Dependents   int           // (route, neighbor) pairs
	Forwarding   int           // routes for which we are the designated forwarder here
	NextProbe    time.Duration // time left
	Boundary     []netip.Prefix
}

// RouteShow is a route of the table.
type RouteShow struct {
	Prefix    netip.Prefix
	State     string // "connected", "redistributed", "learned", "hold-down", "unreachable"
	Metric    uint8  // adjusted; 32 if it is not reachable
	Interface string // upstream
	Gateway   netip.Addr
	Uptime    time.Duration // since it has had this gateway
	Expires   time.Duration // of a learned route
	HoldDown  time.Duration // left: the route is advertised as unreachable until then
	OldMetric uint8         // in hold-down: what it was before, from Old
	Old       netip.Addr
	Entries   int // (S,G) entries of its sources

	Interfaces []RouteInterfaceShow
}

// RouteInterfaceShow is what a route knows of an interface other than the upstream one.
type RouteInterfaceShow struct {
	Interface  string
	Forwarder  netip.Addr // the designated forwarder
	Self       bool       // that is we
	Metric     uint8      // which it advertises
	Dependents []netip.Addr
}

// EntryShow is an (S,G) entry. Durations are times left.
type EntryShow struct {
	Key       engine.Key
	External  bool         // a source of another protocol (RFC 2715): there is no upstream state
	Route     netip.Prefix // of the source; invalid: none
	Upstream  string       // "NoInfo", "Forwarding", "Pruned", "Grafting"
	Interface string       // upstream
	Neighbor  netip.Addr   // upstream; invalid: the source is directly connected

	HostAlone       bool          // Upstream and the times below are what was asked for this host of its network alone
	OthersWant      bool          // another protocol on this router wants the packets
	Prune           time.Duration // of the Prune that we sent, its lifetime
	PruneRetransmit time.Duration // until it may be sent again
	GraftRetransmit time.Duration // until the Graft is sent again
	Grafts          int           // sent without an answer
	Expires         time.Duration // of the silence after which the entry goes

	Uptime   time.Duration
	Incoming string   // of the row in the forwarding table; "": none
	Olist    []string // of the row
	Packets  uint64
	Bytes    uint64
	WrongIf  uint64

	Interfaces []EntryInterfaceShow // downstream
}

// EntryInterfaceShow is what an entry knows of a downstream interface.
type EntryInterfaceShow struct {
	Interface  string
	Forwarding bool
	Forwarder  bool // we are the designated forwarder for the source network
	Member     bool
	Boundary   bool
	Dependents int
	Prunes     []PruneShow
}

// PruneShow is a Prune that a neighbor sent.
type PruneShow struct {
	Neighbor netip.Addr
	Host     bool // for this source alone, by its netmask
	Left     time.Duration
}
