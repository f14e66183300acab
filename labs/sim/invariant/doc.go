// Package invariant says what must be true of a network of multicast routers once it has come to rest, whatever
// happened before, and tries it on random networks.
//
//   - loop: the path of a packet does not come back to a link
//   - duplicate: a packet crosses a link once, and a member gets it once
//   - black hole: a member gets every packet of every source that it wants
//   - waste: no packet crosses a link towards nobody
//   - state: when all members have left and all sources are silent, no router remembers them
//
// and of MSDP between domains (msdp.go):
//
//   - unknown: every router that speaks MSDP knows of every active source once, three seconds after its first packet and on
//   - flood: no message comes more often than it is sent, or from two peers; loop: none goes round
//   - first packet: members in other domains get the first packet of a new source, once
//
// and of the Bootstrap Router mechanism (bsr.go):
//
//   - agree: all routers know the one BSR, all RPs that there are and no others, and the same RP for a group
//
// # Files
//
//   - check.go: Delivery: the invariants of packets, on any simulation
//   - state.go: NoState and NoJoins: what routers may not remember
//   - network.go: Network, a random topology of routers of one protocol, with hosts
//   - play.go: what happens to it, and when the invariants are checked
//   - dense.go: the invariants of protocols that flood and prune, and what happens to their networks
//   - domains.go: networks of several domains, and who speaks MSDP with whom; msdp.go: the invariants of MSDP
//   - bsr.go: networks whose BSRs and RPs come and go, and their invariant
//   - bugs_test.go, densebugs_test.go, msdpbugs_test.go, bsrbugs_test.go: faults, each of which breaks an invariant
//
// There are networks of PIM-SM and PIM-DM (both in IPv4 and IPv6) and DVMRP, and two kinds more of PIM-SM:
//
//   - two to five domains, some of which have two RPs of one address, with MSDP: the RPs are a mesh group, or joined anyhow, with
//     static RPF peers, default peers and routes as of BGP, or every router speaks MSDP with its neighbors and the IGP decides
//   - one domain with up to three Candidate-BSRs and four Candidate-RPs, in IPv4 and IPv6
//
// Another protocol needs a case in Network.config and in state.go, and if it floods, what Dense says of it.
//
// # When a network is at rest
//
// Most changes are over in seconds: reports, Joins, Prunes and Asserts are triggered. What a router that vanished from
// a LAN left behind on the others there goes only with their timers: the neighbor's Holdtime (105 s), the Assert (180 s),
// the Join (210 s). So after failures on LANs Play waits for the longest of them, and it checks waste and state only
// then or where nothing vanished.
//
// # Known gaps
//
//   - The kernel tells of a packet on a wrong interface once in three seconds for an (S,G), whatever the interface. Where two
//     interfaces get packets that are the other router's to forward, and always in the same order, as those of a source that
//     sends once in a second, the first takes every report, and the Assert on the second does not come before the first is
//     silent. Such waste is seen in one network of a thousand (PIM-DM, seed 867), and is not excused. Nor is that of a PIM-SM router
//     that stays on the shared tree since the packet from the source's direction is never the one that is reported (BSR, seed
//     1803, before candidates went without a goodbye).
//   - A DVMRP router whose route to a source is gone for a moment forgets the Prunes for it. On a LAN where another router wants
//     the packets, one that does not repeats its Prune only as its retransmission backs off (after a quarter of an hour, say);
//     if the other leaves meanwhile packets come for that long (seed 1492).
//   - Networks of MSDP have no filters, limits or scope boundaries, no mesh group besides others but that of two Anycast-RPs,
//     and nobody who breaks the protocol.
//   - Networks with a BSR have no scope zones, and no RPs of the configuration or of Auto-RP beside those of the BSR.
//   - No network has routers of several protocols, sparse-dense interfaces, tunnels or scope boundaries.
package invariant
