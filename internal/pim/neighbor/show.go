package neighbor

import (
	"net/netip"
	"time"

	"grove/internal/pim/wire"
)

// InterfaceState is an Interface for people: the row of "show pim interface".
type InterfaceState struct {
	Name               string
	Running            bool
	Passive            bool
	Address            netip.Addr
	Secondary          []netip.Addr
	Neighbors          int
	DR                 netip.Addr
	IAmDR              bool
	DRPriority         uint32
	DRPriorityPresent  bool // we send the option
	GenerationID       uint32
	HelloPeriod        time.Duration
	NextHello          time.Duration // time left of the Hello timer
	LANDelayEnabled    bool
	PropagationDelay   time.Duration // effective
	OverrideInterval   time.Duration // effective
	SuppressionEnabled bool

	Silent               bool          // another machine of the router speaks Hello here
	StateRefreshInterval time.Duration // in the option that we send; 0: we do not
}

// NeighborState is a Neighbor for people: the row of "show pim neighbor".
type NeighborState struct {
	Interface            string
	Address              netip.Addr
	Secondary            []netip.Addr
	Uptime               time.Duration
	Holdtime             time.Duration
	Forever              bool          // the neighbor never expires
	Expires              time.Duration // time left of the neighbor liveness timer
	DR                   bool
	DRPriorityPresent    bool
	DRPriority           uint32
	GenerationIDPresent  bool
	GenerationID         uint32
	LANPruneDelayPresent bool
	TrackingSupport      bool
	PropagationDelay     time.Duration
	OverrideInterval     time.Duration
	StateRefreshCapable  bool
	StateRefreshInterval time.Duration
}

// Show returns the state of the interface.
func (i *Interface) Show(now time.Time) InterfaceState {
	s := InterfaceState{
		Name: i.link.Name, Running: i.running, Passive: i.cfg.Passive, Address: i.Primary(), Neighbors: len(i.neighbors),
		DR: i.dr, IAmDR: i.IAmDR(), DRPriority: i.cfg.DRPriority, DRPriorityPresent: !i.cfg.NoDRPriority,
		GenerationID: i.genID, HelloPeriod: i.cfg.HelloPeriod, NextHello: i.hello.Left(now),
		LANDelayEnabled: i.lanDelayEnabled(), PropagationDelay: i.params.propagationDelay,
		OverrideInterval: i.params.overrideInterval, SuppressionEnabled: i.params.suppression,
		Silent: i.cfg.Silent, StateRefreshInterval: i.cfg.StateRefreshInterval,
	}
	if i.running {
		s.Secondary = append(s.Secondary, i.secondary...)
	}
	return s
}

// ShowNeighbors returns the state of the neighbors, by address.
func (i *Interface) ShowNeighbors(now time.Time) []NeighborState {
	var list []NeighborState
	for _, n := range i.Neighbors() {
		list = append(list, NeighborState{
			Interface: i.link.Name, Address: n.Address, Secondary: n.Secondary(), Uptime: now.Sub(n.Since),
			Holdtime: n.Holdtime, Forever: n.Holdtime == wire.Forever, Expires: n.liveness.Left(now),
			DR: i.dr == n.Address, DRPriorityPresent: n.DRPriorityPresent, DRPriority: n.DRPriority,
			GenerationIDPresent: n.GenerationIDPresent, GenerationID: n.GenerationID,
			LANPruneDelayPresent: n.LANPruneDelayPresent, TrackingSupport: n.TrackingSupport,
			PropagationDelay: n.PropagationDelay, OverrideInterval: n.OverrideInterval,
			StateRefreshCapable: n.StateRefreshCapable, StateRefreshInterval: n.StateRefreshInterval,
		})
	}
	return list
}
