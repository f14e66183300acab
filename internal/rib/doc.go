// Package rib is the MRIB: the machine that answers the RPF check. It is told the unicast routes of the kernel and the
// state of the interfaces, has multicast static routes by configuration, takes the routes that protocols contribute (DVMRP, BGP),
// and tells every machine that tracks an address the path to it, now and whenever it changes. Nobody polls it, and it looks nothing up that nobody tracks.
//
// # Files
//
//   - config.go: Config
//   - rib.go: Machine, and what it does with each event
//   - route.go: the tables: kernel routes, connected networks, what protocols contribute
//   - gateway.go: next hops that are not on a link of ours
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
// none). A protocol may have several routes to a prefix, in an order: the first that is usable counts, and the others do not.
// Routes of BGP have the distance of "bgp", or of "ibgp" if IBGP brought them. What is found so is the multicast route;
// if there is a unicast route as well, Config.Mode says which one serves:
//
//   - lower-distance, the default: the multicast route if its distance is the same or less, whatever the lengths of the
//     prefixes; but at the same distance a contributed route does not win over a connected network, or the default route of a
//     DVMRP region would lead away from the links of the other regions.
//   - longer-prefix: the longer prefix; at the same length the rule of lower-distance.
//   - mrib-then-urib: the multicast route; the unicast route only if there is none.
//   - mrib-only: the multicast route or nothing.
//   - urib-only: the unicast route or nothing.
//
// In mrib-then-urib and mrib-only the networks that our interfaces are in count as multicast routes, too; the longer prefix
// serves first, and at the same length the rule of lower-distance decides.
//
// # Next hops that are not on a link
//
// The next hop of a route of BGP may be far away, at the other end of our domain. The unicast routes say how it is reached, and
// the RPF neighbor is the gateway on that way. The rib knows which tracked addresses depend on which of these next hops: when
// the way to one changes they are looked up again, and those that changed are told.
//
// The next hops of one path are sorted by gateway, highest first, and protocols use the first (RFC 6754, section 1: "One
// way is to choose the PIM neighbor with the highest IP address"; RFC 2362, section 3.5.2 and RFC 7761, section 4.6.3 break
// ties between upstream routers in the same way, so the choice and the Assert agree).
//
// # How much work a change is
//
// Tracked addresses are kept in a table of prefixes themselves, so a route change visits those that the route covers and
// no other. A change of an interface that matters (running or not, addresses) visits all tracked addresses; it is rare.
// So does, when it changes, the way to a next hop that is not on a link; the addresses that do not depend on it are passed over.
// Paths are computed at Settled, once for all changes of a batch, and told only if they differ.
//
// A route takes about 130 bytes, for a simulation holds a thousand of these tables.
//
// # Supported standards
//
// RFC 7761 sections 2.1 (MRIB) and 4.1.5 (RPF_interface, MRIB.next_hop).
//
// # Known gaps
//
//   - Linux chooses among routes of one prefix by the metric alone; here the administrative distance comes first. Set the
//     same distance for all origins to get the kernel's choice.
//   - A gateway without an interface of a unicast route is resolved through connected networks only; of a multicast route
//     through unicast routes, the default route included, but not through multicast routes.
//   - IPv6 link-local addresses have no zone here, so none is reachable but our own.
//   - Only the default unicast table: no policy routing, no VRF. One mode for all sources and groups.
//   - Equal paths are not hashed over; the weights of next hops are carried, not used.
package rib
