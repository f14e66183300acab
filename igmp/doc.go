// Package igmp learns which multicast groups the hosts on a link want: IGMP for IPv4, MLD for IPv6. The two are one
// protocol with addresses of different width, so one Machine serves both over a table of what differs (family.go).
//
// Machine is the router side. On every configured interface it elects the router that asks (the Querier), asks, and keeps
// of each group what is wanted: INCLUDE some sources, or EXCLUDE some. It says so in engine.Membership to all who
// subscribed, as levels: at engine.Settled, only where a level differs from what it said before, and all of them to
// one who subscribes. Host is the host side: what an operating system does for its applications. The simulator's hosts
// are Hosts; on a router's own kernel, Linux is the host.
//
// The heart is the pure function react: the tables of RFC 3376 section 6.4, row by row. What a message of an older
// version stands for is translated to a record of the newest one before it gets there (section 7.3.2), and generations
// stand for versions: 3 is IGMPv3 and MLDv2, 2 is IGMPv2 and MLDv1, 1 is IGMPv1.
//
// # Files
//
//   - instance.go: Machine, its interfaces, configuration, subscribers, Settled
//   - iface.go: an interface on which the protocol runs, and the intervals of section 8
//   - neighbor.go: the other routers of a link: the querier election
//   - group.go: the record of a group, its timers, its older hosts, what is told of it
//   - macros.go: react (the filter-mode tables) and levels; set.go: the RFC's set signs
//   - receive.go: what is accepted of which packets, and what they do
//   - transmit.go: general and specific queries
//   - family.go: what differs between IGMP and MLD
//   - config.go, show.go: configuration, and what Query answers
//   - host.go, hostiface.go, hostgroup.go, hostconfig.go: the host side
//   - wire/: the messages
//
// # What is accepted
//
// Every packet with TTL 1 whose checksum is right, addressed as its kind of message is (or to an address of ours), from
// an address of the link. IGMP takes reports of hosts without an address; MLD takes link-local sources alone. Router
// Alert is demanded of MLD, of IGMPv3 and of queries but IGMPv1's; early hosts of IGMPv2 do not send it. The rest is
// counted under the words of receive.go. Groups that no router forwards (224.0.0.0/24, IPv6 scopes 0 to 2) are passed
// over without a word.
//
// An interface without carrier or without an address has no members: they are forgotten, and asked for when it returns.
//
// # Supported standards
//
// RFC 3376 (IGMPv3), RFC 2236 (IGMPv2) and IGMPv1's messages of RFC 1112; RFC 3810 (MLDv2), RFC 2710 (MLDv1): the router
// side and the host side of each. RFC 4541 section 2.1.1: a Query without a source address is a snooping switch's, and
// not of the election; a router drops it, a host answers it.
//
// # Known gaps
//
//   - RFC 4604: what is special about the ranges of source-specific multicast is the routing protocol's to judge; an
//     EXCLUDE membership there is told like any other.
//   - Immediate leave, explicit tracking of hosts (RFC 3376 appendix A.2), and proxying (RFC 4605) do not exist.
//   - A Host answers a General Query about all its groups in one burst of full reports, which RFC 3376 section 5.2 allows,
//     and does not spread them.
//   - A Host does not let a report of an older version suppress its own newest one (RFC 3376 section 7.2.2 leaves it open).
package igmp
