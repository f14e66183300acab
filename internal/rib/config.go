package rib

import "net/netip"

// Config is the configuration of a rib machine, validated.
type Config struct {
	// Static are multicast routes by configuration (IOS: ip mroute): they serve the RPF check only, and win over
	// unicast routes of the same or a worse distance, whatever the prefix length (a longer prefix wins among them).
	Static []StaticRoute
	// Distances are administrative distances by a route's origin; defaults: connected 0, static 1, ospf 110, isis 115,
	// rip 120, bgp 20, kernel 1, dvmrp 0, others 254.
	Distances map[string]uint32
}

// StaticRoute is a multicast static route.
type StaticRoute struct {
	Prefix   netip.Prefix
	If       string     // interface name; may be empty if Gateway is on a connected subnet
	Gateway  netip.Addr // the RPF neighbour; invalid: directly connected on If
	Distance uint32     // default 0
}
