package pimdm

import (
	"net/netip"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/neighbor"
)

// What a Query may ask for, and the type of the Answer:
//
//	"neighbors"      []neighbor.NeighborState
//	"interfaces"     []InterfaceShow
//	"entries"        []EntryShow: every (S,G); with the address of a group in Arg, those of that group
//	"state-refresh"  []StateRefreshShow: the (S,G) of which State Refresh messages are sent or were received
//	"counts"         map[string]uint64

// InterfaceShow is an interface on which dense mode is configured.
type InterfaceShow struct {
	neighbor.InterfaceState
	SparseDense         bool // pimsm speaks here, too: some groups are not dense mode's
	Few                 bool // none but those of Auto-RP are
	StateRefresh        bool // we send and hear State Refresh messages here
	StateRefreshCapable bool // StateRefreshCapable(I): and so do all neighbors
	Threshold           uint8
	Sparse              []netip.Prefix
	Boundary            []netip.Prefix
}

// EntryShow is an (S,G) entry: the upstream state machine of RFC 3973, section 4.4.1, the originator of section 4.5.2, the
// row of the forwarding table, and what is known of each interface. Durations are times left; 0: the timer is stopped.
type EntryShow struct {
	Key          engine.Key
	External     bool   // another protocol's source (RFC 2715): there is no upstream state
	Upstream     string // "NoInfo", "Forwarding", "Pruned", "AckPending"
	RPFInterface string
	RPFNeighbor  netip.Addr // RPF'(S)
	ByAssert     bool       // an Assert made it the RPF'
	Connected    bool       // S is directly connected
	OthersWant   bool       // another protocol on this router wants the packets

	GraftRetry time.Duration // GRT
	Override   time.Duration // OT
	PruneLimit time.Duration // PLT
	Expires    time.Duration // of the silence after which the entry goes, if no other timer runs

	Originator   string        // "NotOriginator", "Originator"
	SourceActive time.Duration // SAT
	StateRefresh time.Duration // SRT

	Uptime   time.Duration
	Incoming string   // of the row in the forwarding table; "": none
	Olist    []string // of the row
	Packets  uint64   // on the incoming interface, as far as they were counted
	Bytes    uint64
	WrongIf  uint64

	Interfaces []EntryInterfaceShow // those of which there is anything to tell
}

// EntryInterfaceShow is what an entry knows of one interface: the downstream state machine of RFC 3973, section 4.4.2, the
// membership of hosts, and the Assert state machine of section 4.6.
type EntryInterfaceShow struct {
	Interface    string
	State        string        // "NoInfo", "PrunePending", "Pruned"
	PrunePending time.Duration // PPT
	Prune        time.Duration // PT; 0 in Pruned state: until a Join or Graft
	Neighbors    bool          // pim_nbrs: some PIM neighbor is there
	Member       bool          // hosts want the packets
	Excluded     bool          // hosts want the group, but not this source
	Boundary     bool          // the interface is a scope boundary for the group

	Assert        string // "NoInfo", "I am Assert Winner", "I am Assert Loser"
	AssertWinner  netip.Addr
	AssertMetric  string
	AssertExpires time.Duration
}

// StateRefreshShow is what is known of the State Refresh messages of an (S,G).
type StateRefreshShow struct {
	Key            engine.Key
	Originating    bool          // we are the first hop
	Originator     netip.Addr    // the first hop's address
	Interval       time.Duration // as it says
	TTL            uint8         // of the last message, as it came or went
	PruneIndicator bool          // of the last that came
	Next           time.Duration // Originating: until we send the next
	Ago            time.Duration // since the last one came, or went
	Received       uint64        // from RPF'(S)
	Limited        uint64        // dropped by StateRefreshRateLimit(S,G)
	Sent           uint64        // over all interfaces
}
