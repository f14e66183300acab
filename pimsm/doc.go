// Package pimsm is Protocol Independent Multicast - Sparse Mode, RFC 7761, for IPv4 and IPv6, as an engine.Machine. It
// is written to be read beside the RFC: names are the RFC's, every macro is one function under its formula, every state
// machine is one file.
//
// # How it works
//
// The machine keeps the state that messages, hosts and packets put into it (the Tree Information Base, section 4.1 of
// the RFC), and derives everything else. An event changes some of that state and touches the entry that holds it; when
// the event is done, update works out, for every entry that was touched, what the macros are now, and makes the
// transitions that follow: JoinDesired -> True, CouldAssert -> FALSE, CouldRegister -> True. Nobody adds an interface to
// an outgoing list: the list is what the macro says, and what was last said to mfib or to a neighbor is compared with
// it.
//
//	tib.go      what is known             macros.go      what follows        entry.go      update
//	receive.go, member.go, target.go, data.go: events    transmit.go, forwarding.go: what is said at Settled
//
// # Files
//
//   - instance.go: Machine; entry.go: the life of entries, update
//   - config.go: Config, its defaults, a new configuration
//   - tib.go: the types of the Tree Information Base; ifset.go: its sets of interfaces
//   - macros.go: the state summarization macros (4.1.5) and those of the state machines
//   - downstream.go: sections 4.5.1 to 4.5.3; upstream.go: 4.5.4 and 4.5.5; rpt.go: 4.5.6 and 4.5.7
//   - register.go: the DR's side of Registers (4.4.1); rendezvous.go: the RP's (4.4.2); anycast.go: several
//     RPs with one address (RFC 4610)
//   - assert.go: section 4.6
//   - msdp.go: sources of other domains (RFC 3618)
//   - border.go: other protocols on this router (RFC 2715): their sources, and what they want of ours
//   - forwarding.go: the rules of section 4.2, and the rows of the forwarding table; data.go: packets that come up
//   - mapping.go: Group-to-RP mappings and the hash function (4.7); autorp.go: those of Auto-RP (internal/pim/autorp does it)
//   - target.go: the MRIB: sources and RPs, their paths, NBR(I,A)
//   - iface.go, neighbor.go: interfaces and neighbors (internal/pim/neighbor does Hello); member.go: hosts
//   - receive.go, transmit.go: messages (internal/pim/wire reads and writes them); packet.go: data packets in Registers
//   - show.go: state for people
//
// # From rules for packets to rows of a table
//
// Section 4.2 says what to do with a packet. A kernel forwards by rows and hands up few packets, so forwarding.go turns
// the rules into rows, and asks for those packets whose arrival changes state:
//
//   - A flow of which nothing is known is tapped: its first packet comes up. It starts the KeepaliveTimer, may set the
//     SPTbit, may be registered; then the tap goes. Further packets are counted, and the counters keep the
//     KeepaliveTimer (engine.Activity).
//   - A row anticipates what its next packet would change, where no packet from elsewhere could come first
//     (anticipateSPT).
//   - Where the SPTbit has to wait for a packet on RPF_interface(S), that packet is one on a wrong interface, and is
//     reported. So is one on an outgoing interface: the event of the Assert machines.
//
// # Source start
//
// No packet of a new source is to be lost, and none sent twice.
//
//   - First hop: the (*,*) row hands up packets of unknown flows from interfaces where we are DR. The packet is
//     registered; an (S,G) row does it from then on. Where the group has members, the (*,G) row has sent it to them.
//   - Transit and last hop: the (*,G) row has sent the packet on when its tap hands it up.
//   - RP: at the first Register the row of (S,G) is made for native packets, and a Join(S,G) sent. Registers are
//     forwarded by hand (engine.Inject). The first native packet is forwarded by the kernel, sets the SPTbit through the
//     tap, and brings the Register-Stop; Registers still on their way are forwarded until one is seen whose packet came
//     natively. That departs from section 4.4.2 and is marked there.
//
// # Other protocols on the router
//
// Where another protocol runs on other interfaces this machine is a component of RFC 2715, whose dispatcher is mfib. Two
// virtual interfaces stand for the others in the macros. External is RPF_interface(S) of a source that is reached through
// one of theirs: it counts as directly connected and we as its DR, so that it is registered. On others are their receivers,
// as alerts tell of them: an alert of (*,G) or (S,G) is a membership there.
//
// # Supported standards
//
//   - RFC 7761: PIM-SM (revised)
//   - RFC 2715, section 4.4, as far as RFC 7761 has what it asks for
//   - RFC 3618, sections 3, 6 and 8: what the RP does for MSDP (Config.MSDP; the machine msdp speaks it)
//   - RFC 4610: Anycast-RP by copies of Registers
//   - RFC 5059: BSR (bsr.go; internal/pim/bootstrap does it)
//   - Auto-RP, version 1+ (Farinacci and Wei, 1998)
//   - RFC 4607, section 7, and RFC 7761, section 4.8: SSM ranges
//
// # Known gaps
//
//   - There is no Embedded-RP (RFC 3956).
//   - Auto-RP's messages of our own leave by the interfaces of sparse mode only, not by those where dense mode is alone.
//   - MSDP tells of sources of other domains for groups with receivers of ours: another protocol that is a wildcard receiver gets
//     those of no other group.
//   - A member in another domain gets the first packet of a new source in the message that tells of it, and the next one that is sent
//     after the Join from there has reached the source's DR. What is sent between is lost: the RP has nobody for it, and has
//     stopped the Registers. That is the way of the message to the other RP, and of the Join back: three packets to twelve at
//     1,000 a second within one machine (labs/sim TestFirstPacketsOfAnotherDomain). RFC 3618, section 8, would have an RP send more
//     packets to all its peers; whoever has members or not would get them.
//   - A source is told to other domains for up to RP_Keepalive_Period after its last Register or Null-Register.
//   - A member of an Anycast-RP set that unicast reaches and that does not answer (its PIM is down) is sent the packets of
//     sources on our links without end, as a DR does with its RP.
//   - PIM messages are not authenticated (section 6.3).
//   - There is no (*,*,RP) in RFC 7761: see alertedStarStar. Nor is there a Border bit. A source in the domain reaches
//     another protocol's receivers through a border router only if that protocol says which groups they are in, if the
//     router is the RP or the DR of the source, or if its packets come past.
//   - IPv6: where a source and members of its group share a LAN, its first packet is on a wrong interface and comes up in
//     a report; what follows is dropped until the row of (S,G) is written. (The next source is reported at once: mfib
//     re-arms the (*,G) row.)
//   - IPv4: the first packets of a flow whose hosts send with TTL 255 may go up the shared tree as well as in a Register,
//     if the group has members here: mfib's threshold for that interface is 254.
//   - Where the DR of a source is the DR of members on its own way to the RP, the row of (*,G) does not go out there, and they have
//     the first packet by the RP; if the Prune(S,G,rpt) overtakes the Register they miss it, on the kernel as in the simulator
//     (labs/sim/invariant, MSDP, seed 771). Sent by hand it came twice on the kernel, where the RP had the Register first.
//   - A Register that overtakes the native copy of its packet is forwarded, so that packet comes twice. Where the way by
//     the RP and the shortest path differ in delay, the switch between them loses or doubles what is on the way.
//   - Packets that we send ourselves are routed only if their source is the address of the interface they leave by.
//   - The MTU of the Register tunnel is that of the link towards the RP, without Path MTU Discovery (section 4.4.1): where
//     the path is narrower further on, the kernel fragments the Register.
//   - The KeepaliveTimer is restarted by counters, read every sixth of Keepalive_Period: of a flow that stops it expires up
//     to 40 s late.
//   - IPv6: a source that another protocol of this router reaches is sent no Packet Too Big.
//   - There is no list of allowed neighbors (section 6.2).
package pimsm
