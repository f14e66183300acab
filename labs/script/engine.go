package script

import (
	"context"
	"net/netip"
	"time"

	"grove/daemon/api/grove/v1/grovev1connect"
	"grove/internal/engine"
)

// Engine runs the nodes of a lab.
type Engine interface {
	// Name is what --engine calls it: "sim" or "netns".
	Name() string
	// Now is the time since the nodes were started: virtual, or by the clock.
	Now() time.Duration
	// Do does one action. An action is done when Do returns: a host that joins has joined.
	Do(ctx context.Context, a Action) error
	// Wait lets time pass until done says so, and asks it again after whatever happens. It returns done's last word:
	// false when within is over.
	Wait(ctx context.Context, within time.Duration, done func() bool) (bool, error)
	// Router returns what a router has now, for checks.
	Router(ctx context.Context, node string, family engine.Family) (RouterState, error)
	// Client returns the management API of a router, nil if the node is none.
	Client(node string) grovev1connect.RouterServiceClient
	// Received returns what a host has received of a group since it joined.
	Received(host string, group netip.Addr) Received
	// CountCrossings begins to note which links carry data packets; Crossings returns what was noted since, in the order of
	// time as far as the engine knows it.
	CountCrossings() error
	Crossings() []Crossing
	// Transitions returns all transitions since the start: those of one node in order, those of several as they came.
	Transitions() []Transition
	// Warnings returns what went wrong without making a check false: what the routers wrote into their logs as a
	// warning or worse, and faults that the engine saw: "1.234s NODE: text".
	Warnings() []string
	// Close ends the nodes and leaves nothing behind.
	Close() error
}

// RouterState is what checks ask of a router, for one address family.
type RouterState struct {
	Neighbors []Neighbor
	Down      []string // interfaces on which a protocol is to run and does not
	Routes    []Route  // of DVMRP
	Entries   []Entry
}

// Route is a DVMRP route as `grove show ip dvmrp route` prints it.
type Route struct {
	Prefix     netip.Prefix
	State      string
	Metric     int
	Gateway    netip.Addr
	Dependents string // the routers that depend on this one, in order
}

// Neighbor is a neighbor of PIM, or a two-way one of DVMRP.
type Neighbor struct {
	Interface string
	Address   netip.Addr
}

// Entry is a multicast routing entry as `grove show ip mroute` prints it.
type Entry struct {
	Key       engine.Key
	In        string   // incoming interface
	Out       []string // outgoing interfaces, sorted
	Upstream  string   // Joined, NotJoined
	Register  string   // state of the register tunnel; empty: none
	SPTbit    bool
	Installed bool // the forwarding plane has it
}

// Received is what a host received of a group since it last joined it.
type Received struct {
	Joins      int   // how often it has joined
	Packets    int   // different ones
	Lost       int   // numbers that are missing between the first and the last; from the first sent if the host had joined before
	Duplicates int   // packets that came again
	TTL        uint8 // of the last packet
	// First is the time from the join to the first packet, if one came.
	First time.Duration
}

// Transition is a change of state on a node.
type Transition struct {
	At        time.Duration
	Node      string
	Machine   string // "pimsm/ipv4"
	Entity    string
	Interface string
	Neighbor  netip.Addr
	Key       engine.Key
	Old, New  string
	Cause     string
}
