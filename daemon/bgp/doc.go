// Package bgp embeds GoBGP: neighbors of BGP-4, with unicast and multicast routes of both families (RFC 4760; SAFI 2 is the
// routes for the reverse-path check). The best multicast routes go to rib as engine.MRIBRoute, with what MSDP's peer-RPF rules
// need to know of them; the best unicast routes can go into the kernel.
//
// # Files
//
//   - server.go: Server, what it is made of, a new configuration
//   - peer.go: a neighbor as GoBGP has it
//   - policy.go: the rules of policies
//   - originate.go: networks and redistributed routes
//   - feed.go: what GoBGP tells, as the host wants it
//   - choice.go: the routes behind the best
//   - greeting.go: what changes while a session begins
//   - show.go: the answers to Query
//
// # How it meets the rest
//
// GoBGP has goroutines, sockets and clocks of its own; so has this package (it and daemon/host alone). It opens its sockets in
// whatever thread its goroutines run, so they are in the network namespace of the process: New refuses to work for a Host
// that was made in another. The listening socket exists if there is a bgp section and no longer.
//
// What GoBGP tells comes by deliver, in its order, from one goroutine at a time; deliver may block. What the host tells (the
// routes to redistribute) is a level and returns at once: a goroutine of the Server compares it with what was originated
// before. So neither waits for the other.
//
// GoBGP has policies for each neighbor only for the clients of a route server. Here all rules stand in one import and one export
// policy, each rule as often as there are neighbors whose policy it is in, with the neighbor as a condition.
//
// # A new configuration
//
// Neighbors that are as before keep their sessions. Those that differ lose them, and with them goes a change of our AS, router
// ID, port or addresses, for which everything starts again. Policies are replaced as a whole, and routes are looked at again
// without a new session (a soft reset), in and out, if anything of the policies changed.
//
// # Supported standards
//
// RFC 4271 (BGP-4), 4760 (multiprotocol), 6793 (four-octet AS), 2918 (route refresh), 4456 (route reflection), 1997
// (communities), 2385 (TCP MD5), 5082 (GTSM), 4724 (graceful restart, as the neighbor of one that restarts), as GoBGP has them.
//
// # Known gaps
//
//   - GoBGP does not know how a next hop is reached: it takes every one as reachable and none as nearer (RFC 4271, section
//     9.1.2.1 and 9.1.2.2 e), and tells neighbors the best route even if its next hop is not reached. The rib does know: it passes over
//     such a route for the second best of BGP, and only then for a shorter prefix or the unicast route; so does who puts unicast routes
//     into the kernel.
//   - At the end a session may close without the Cease.
//   - Of equally good routes one is used: no multipath.
//   - After our own restart the Restart State bit is not set, and routes are announced before all neighbors have told theirs
//     (RFC 4724, section 4.1).
//   - A groved that is killed leaves its unicast routes in the kernel. The next one takes over those that it learns again and removes
//     the others, after the restart time with graceful restart, at once without. It knows them by protocol bgp and metric 20: with
//     install-unicast no other daemon may have such routes in the main table.
//   - No link-local neighbors, no peer groups, dynamic neighbors, confederations, BFD, RPKI, add-path, extended or large
//     communities in policies.
//   - GoBGP keeps the options of route selection in a variable of the package: one Server in a process.
package bgp
