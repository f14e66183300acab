// Package dvmrp is the Distance Vector Multicast Routing Protocol, version 3 (draft-ietf-idmr-dvmrp-v3-11), as an
// engine.Machine. It is a protocol of IPv4 alone. Package wire reads and writes its messages.
//
// # Files
//
//   - config.go: Config and its defaults; show.go, answer.go: the answers to Query; instance.go: Machine
//   - iface.go, neighbor.go: interfaces and neighbors, Probes (section 3.2)
//   - route.go: the table of source networks, hold-down, designated forwarders, dependence; report.go: Reports (section 3.4)
//   - source.go: which route a source has, and whether it is ours; group.go: what hosts want
//   - entry.go: the life of (S,G) entries and of flows, the downstream list (section 3.3), what mfib tells and is told
//   - prune.go, graft.go: sections 3.5 and 3.6
//   - mrinfo.go: Ask Neighbors (appendix B)
//   - receive.go, transmit.go: messages
//
// # How it works
//
// A Report changes what a neighbor is known to have said of a route (heard), and perhaps the way of the route. All of what
// every neighbor said is kept, with its time; who is the designated forwarder on an interface and who depends on us there are
// not stored, they follow (route.downstream). A change touches the flows of the route. Poison reverse of networks that nobody
// here reaches is kept as well (early): after a restart the neighbor downstream may tell before the one upstream. If a way is
// lost the next best of those that are known is taken at once, in hold-down (route.adoptNext).
//
// A flow is a (source network, group): what Prunes and Grafts are about. It has the entries of the hosts that send, since the
// forwarding table knows hosts. When the event is over, flow.update works out for each touched flow the downstream list,
// sends a Prune or a Graft if the list has become empty or is empty no more, and has the rows of its entries said to mfib at
// Settled. If a flow is wanted and a host of it is not, a Prune of that host alone is asked for (entry.up).
//
// The first packet of a flow comes up as a Creation and is answered by a row: from the upstream interface to the downstream
// ones. That is the broadcast, and the kernel does it. Later packets are known by the counters that mfib reads
// (Want.Activity): they keep the entry, and call for a Prune where nobody wants them. While that is so, and after a Prune as
// long as it may have been lost, the counters are read often.
//
// Routes are told in twelve parts of the Route Report Interval, full Reports if there are few; what changes goes in flash
// updates. Nothing walks the whole table but a new neighbor, an interface that ends, and a person who asks.
//
// # Several protocols on one router
//
// The routes that are learned are told to rib (engine.MRIBRoute), which has them before unicast routes; so mfib and the other
// protocols see the same way to a source as this machine. Whether a source is ours at all the MRIB decides: if its way is an
// interface of another protocol the row has no incoming interface, nothing is asked of anybody upstream, and our neighbors'
// Prunes and Grafts change only the outgoing interfaces, of which mfib tells the owner (RFC 2715). What that domain's networks
// are has to be announced by configuration (Config.Originate). For sources of ours an (S,G) alert that another protocol wants
// the packets counts like a downstream interface. As a protocol that floods this machine is a wildcard receiver; its Interest
// in a group is that there are members, or sources that it reaches.
//
// # Supported standards
//
//   - draft-ietf-idmr-dvmrp-v3-11, with appendices B and C as far as docs/conformance/dvmrp-v3.md says
//   - RFC 2715, as a component
//
// # Known gaps
//
//   - Routes are not aggregated (section 3.4.1: "may wish"); aggregates of others are taken.
//   - Where hosts want one source of a network and not another, the other is pruned alone only if the upstream neighbor takes
//     netmasks (mrouted does not); otherwise its packets come and are dropped.
//   - Neighbors are known by Probes alone, not by Reports (appendix C: "may be necessary"). The lifetime of Prunes is not made
//     shorter towards neighbors that have no generation ID.
//   - An interface needs an address: there are no unnumbered links, and DVMRP messages that a neighbor sends to the tunnel's
//     endpoint without encapsulation (mrouted before 3.9, appendix C) are not understood.
//   - The querier flag of Neighbors2 is not set: igmp does not tell who it is. The MTU of the path is not discovered: messages
//     have 576 bytes at most.
//   - A packet that comes in on a wrong interface is dropped and nobody is told, as the draft has it; mrouted prunes on tunnels.
//   - What a neighbor sends over a scope boundary of ours is dropped and not pruned (RFC 2365, section 5, has the router prune
//     it): mfib tells nobody of it. Configure boundaries at both ends of a link.
//   - Mtrace requests are not answered, though Probes say that they are understood, as section 3.2.1 has it.
//   - There is no list of allowed neighbors or routes, and no authentication (section 6).
package dvmrp
