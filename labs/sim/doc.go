// Package sim runs whole networks of routers and hosts in virtual time. The routers are the real ones: daemon/config
// reads their files, daemon/router wires their machines, and the machines cannot tell the difference. What is modelled
// is what surrounds them: links, hosts' applications, the forwarding plane of Linux (labs/sim/plane), unicast routes.
//
// A simulation has no goroutine and no clock. There is one heap of events; time jumps from one to the next. All chance
// comes from one seed: the same calls do the same, byte for byte (Sim.SetTrace writes them).
//
//	s := sim.New(1, sim.Options{})
//	r1 := s.AddRouter("r1", config1, sim.RouterOptions{})
//	h1 := s.AddHost("h1", sim.HostOptions{Config: hostConfig})
//	s.AddLink("lan1", sim.LinkOptions{}, sim.End{Node: r1, If: "eth1"}, sim.End{Node: h1, If: "eth1"})
//	member := h1.Host().Join("eth1", group)
//	s.Run(10 * time.Second)
//
// # Files
//
//   - sim.go: Sim, its options, the loop over the heap; heap.go: the heap
//   - node.go: Node and Port: what routers and hosts have in common
//   - router.go: Router drives the machines of a router, as daemon/host does on a real one
//   - unicast.go: the unicast routes of a router, and unicast packets from hop to hop
//   - oracle.go: a unicast routing protocol that is always right, after a delay
//   - stream.go: TCP streams between routers
//   - host.go: Host, its Members that receive, and Sources that send; probe.go: the account of a flow
//   - link.go: links, their delay, loss, MTU and failures, and the tracing of packets; snoop.go: a snooping bridge
//   - tunnel.go: IP-in-IP tunnels of configurations
//   - packet.go: packets; pcap.go: captures for tshark
//   - watch.go: transitions, notes, queries, the trace
//
// # What an instant is
//
// All events of one virtual time are done first, in the order in which they were made; then every node that was told
// something gets Settled, and so on until nothing is left to be done at that time. So what reaches a router at one
// instant is one batch. Upcalls, counters and refused rows come back in the instant of their cause.
//
// # What is modelled of Linux
//
// The planes raise the upcalls of the kernel. PIM comes to its machine if it joined the group; IGMP and MLD of every
// group come in on an interface with a VIF. A Register that reaches an address of the router is decapsulated by the
// plane as well as given to PIM. A packet that a router itself sends on an interface is looped into its plane. An
// interface that is set down loses its IPv6 addresses and its routes; the far end of a link of two loses its carrier.
// A device that goes takes its VIFs along. TCP connects, refuses, times out, resets and closes as daemon/host tells it, with
// secrets, TTLs and a window; a router that was started anew answers the streams of before with resets. Every node has the interface lo.
//
// # Known gaps
//
//   - BGP is not simulated: a bgp section of a configuration is read and ignored, and the routes of BGP are those that the
//     simulation is told (Router.Learn), whatever happens on the links. The kernel engine runs the real sessions.
//   - Packets take no time to be sent: links have delay and no bandwidth.
//   - Fragments are modelled as one unit that arrives whole or not at all (Sim.transmit says which packets are
//     fragmented, dropped, or a fault).
//   - A host does not hear its own packets, and a router has no applications that receive. It hears the groups of Auto-RP that its
//     machines join, but does not report them by IGMP, as Linux does.
//   - A tunnel learns the MTU of its path without losing a packet. ICMP is not sent.
//   - Streams are not made of packets: they follow the unicast paths and their delays, but no link counts, loses or captures
//     their segments, and a window takes no longer than a byte. What is on its way when the path is cut is late by a second.
//     Several peers of one port need not have the kernel's one TTL.
//   - No ARP and no neighbor discovery: a neighbor is found at once.
package sim
