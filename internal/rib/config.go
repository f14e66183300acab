package rib

import (
	"net/netip"
	"slices"
)

// Config is the configuration of a rib machine, validated.
type Config struct {
	// Static are multicast routes by configuration (IOS: ip mroute): they serve the RPF check only, and win over
	// unicast routes of the same or a worse distance, whatever the prefix length (a longer prefix wins among them).
	Static []StaticRoute
	// Distances are administrative distances by a route's origin; defaults: connected 0, static 1, ospf 110, isis 115,
	// rip 120, bgp 20, kernel 1, dvmrp 0, others 254; ibgp 200, for the multicast routes of BGP that IBGP brought.
	Distances map[string]uint32
	Mode      Mode // which of multicast and unicast routes serves; default LowerDistance
}

// Mode says which of the multicast route and the unicast route to an address serves the RPF check, if there are both. The
// names are those of FRR's rpf-lookup-mode.
type Mode uint8

// The modes. Networks that our own interfaces are in belong to both tables.
const (
	// LowerDistance: the multicast route, if its administrative distance is not worse than the unicast route's.
	LowerDistance Mode = iota
	// LongerPrefix: the multicast route, if its prefix is longer; of equally long ones the one of the lower distance.
	LongerPrefix
	// MRIBThenURIB: the multicast route; the unicast route if there is none (as IOS with its multicast topology).
	MRIBThenURIB
	// MRIBOnly: the multicast route, or nothing (as Junos with an RPF table group of inet.2 alone).
	MRIBOnly
	// URIBOnly: the unicast route, or nothing.
	URIBOnly
)

var modeNames = []string{"lower-distance", "longer-prefix", "mrib-then-urib", "mrib-only", "urib-only"}

// String returns the name by which people know the mode.
func (m Mode) String() string { return modeNames[m] }

// ParseMode returns the mode of a name.
func ParseMode(name string) (Mode, bool) {
	i := slices.Index(modeNames, name)
	return Mode(max(i, 0)), i >= 0
}

// ModeNames returns the names of all modes, the default first.
func ModeNames() []string { return slices.Clone(modeNames) }

// StaticRoute is a multicast static route.
type StaticRoute struct {
	Prefix   netip.Prefix
	If       string     // interface name; may be empty if Gateway is on a connected subnet
	Gateway  netip.Addr // the RPF neighbour; invalid: directly connected on If
	Distance uint32     // default 0
}
