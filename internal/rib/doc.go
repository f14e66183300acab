// Package rib is the MRIB: the machine that answers the RPF check. It is told the unicast routes of the kernel and the
// state of the interfaces, has multicast static routes by configuration, takes the routes that protocols contribute (DVMRP),
// and tells every machine that tracks an address the path to it, now and whenever it changes. Nobody polls it, and it looks nothing up that nobody tracks.
//
// # Files
//
//   - config.go: Config
//   - rib.go: Machine, and what it does with each event
//   - route.go: the tables: kernel routes, connected networks, what protocols contribute
//   - lookup.go: the path to an address, and why it is that one
//   - show.go: the answers to Query
//
// # Which route serves
//
// An address of this router itself is Local. Otherwise, of the unicast routes (the kernel's and the networks that the
// interfaces' addresses are in) the longest prefix that has a usable route; among the routes of that prefix the one of
// the least administrative distance, then of the least metric. A route is usable if one of its next hops is over a
// running interface; a route without next hops (blackhole, unreachable) is usable too and leads nowhere. Linux goes on
// using a route over an interface without carrier; the rib does not, so that a route of a worse metric or a shorter
// prefix takes over at once.
//
// Multicast static routes and the routes that protocols contribute (engine.MRIBRoute; the origin is the protocol's name) serve
// the RPF check alone. Of them the longest usable prefix, then the least distance, then the least metric (a static route has
// none). That route wins over the unicast route if its distance is the same or less, whatever the lengths of the prefixes; but
// at the same distance a contributed route does not win over a connected network, or the default route of a DVMRP region
// would lead away from the links of the other regions.
//
// The next hops of one path are sorted by gateway, highest first, and protocols use the first (RFC 6754, section 1: "One
// way is to choose the PIM neighbor with the highest IP address"; RFC 2362, section 3.5.2 and RFC 7761, section 4.6.3 break
// ties between upstream routers in the same way, so the choice and the Assert agree).
//
// # How much work a change is
//
// Tracked addresses are kept in a table of prefixes themselves, so a route change visits those that the route covers and
// no other. A change of an interface that matters (running or not, addresses) visits all tracked addresses; it is rare.
// Paths are computed at Settled, once for all changes of a batch, and told only if they differ.
//
// A route takes about 120 bytes, for a simulation holds a thousand of these tables.
//
// # Supported standards
//
// RFC 7761 sections 2.1 (MRIB) and 4.1.5 (RPF_interface, MRIB.next_hop).
//
// # Known gaps
//
//   - Linux chooses among routes of one prefix by the metric alone; here the administrative distance comes first. Set the
//     same distance for all origins to get the kernel's choice.
//   - A gateway without an interface is resolved through connected networks only, not through other routes.
//   - IPv6 link-local addresses have no zone here, so none is reachable but our own.
//   - Only the default unicast table: no policy routing, no VRF. MBGP routes come with their protocol.
//   - Equal paths are not hashed over; the weights of next hops are carried, not used.
package rib
