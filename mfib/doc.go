// Package mfib is the shared forwarding table of a router and its arbiter: the only writer of the kernel's multicast
// table, and the alert dispatcher of RFC 2715. The protocols say what they want (engine.Want); this machine joins their
// wants, turns them into rows of the kernel's table, keeps the table as wanted, and tells each protocol what concerns it.
// What a row is in Linux, and the code that writes it, is in mfib/kernel; labs/sim has a model with the same behaviour.
//
// # Files
//
//   - config.go: Config
//   - instance.go: Machine, Step, what happens at Settled
//   - component.go: the protocols, and whose interface is whose
//   - iface.go: the interfaces and their VIF numbers
//   - entry.go: the entries: what is wanted of a key, what the kernel has; ring.go: the list of them
//   - macros.go: the row of an entry, as pure functions of the wants
//   - receive.go: what protocols and the kernel say
//   - creation.go: a packet of a new flow, and who has to answer; negative entries
//   - alerts.go: the owner of an entry (rule 1), Join and Prune alerts (rules 4 and 5)
//   - groups.go: the component-group table (section 2.2), and who is asked again
//   - check.go: counters, activity, repair
//   - transmit.go: writing the table
//   - inject.go: packets that a protocol forwards by hand, and those that are forwarded for the others
//   - show.go: the answers to Query
//
// # The rules of RFC 2715 here
//
// An interface belongs to the protocol that Config names, and a protocol may use its own interfaces only. It may belong to
// another one for some groups, as in PIM's sparse-dense mode, where pimsm says which are its own (engine.GroupModes); a (*,*) row may have it if it is the protocol's for any. An interface
// that belongs to igmp or to nobody is an IGMP-only link (section 4.6). The RFC gives each such link a component of its own;
// here any protocol may list it among its outgoing interfaces, since all of them hear of the members there, and
// may take packets from it.
//
// The owner of an (S,G) entry is the protocol of the MRIB's next hop to S (section 3.1). With one protocol it is that
// one, and the MRIB is not asked. If S is behind an IGMP-only link or not reachable it is the first protocol, by
// name, that names an incoming interface. Only the owner says what the incoming interface is and whether packets are
// accepted (rule 2); if it does not, or wants the entry negative, the row drops everything.
//
// If the owner changes both are told. The row of before serves until the new owner has said where the packets come in now, for
// 50 ms at most.
//
// A packet of a new flow is a Creation to all protocols (rule 3). The entry is written when all have answered, or after
// 50 ms with what there is by then. After a second a silent protocol has declined. If all decline, a negative row stops
// the upcalls, for NegativeLife, or until a protocol that declined says that its interest changed (Revisit, or a new Want
// of (*,G)). The negative entry has no row while a (*,G) row of the group forwards: it only keeps us from asking again.
//
// Alerts tell the owner what the other protocols want (rules 4 and 5): Join when the first of them has an outgoing
// interface or encapsulation, Prune when the last one has none. The RFC has the combined list decide, which the
// owner's own interfaces are part of; the owner knows those, and what it has to know is whether it may prune. (*,G) entries
// and wildcard receivers work the same way for each protocol, which is what section 3.1.1 asks of the Interop dispatcher.
//
// # From wants to rows
//
// A row has the incoming interface of the owner as parent, and as outgoing interfaces the union of what each protocol
// wants on its interfaces, less the parent (for (S,G)), less the interfaces with a boundary for the group (RFC 2365), each
// with the higher of the TTL thresholds of the want and of the interface; if two protocols send to an IGMP-only link, the
// lower of theirs. A proxy row has a bit for each interface that packets are accepted from; where they are not to be sent
// to its threshold is 254. A boundary of any scope is one for the local
// scope 239.255.0.0/16, too (RFC 2365, section 7). A packet that comes in over a boundary makes a negative entry. The row
// has the register interface if the packets shall come up (Encap, Tap).
//
// Rows are written at Settled, those that differ. Nothing is dumped: the counters of every row are read once per
// CheckInterval, in slices, and a row that the kernel does not have is written again, and so is one that it refused. A big
// change is written in slices, too.
//
// A VIF belongs to a configured interface that exists. The number of one that goes is free when no row names it any
// more, for the kernel keeps the bit. An entry whose incoming interface goes is given up, and its protocol is told.
//
// # What comes up
//
// A WrongInterface, and a WholePacket, have the (S,G) of the packet as key, also when it is a (*,G) or (*,*)
// row that the packet met. A WholePacket goes to the owner, and to every other protocol that has an Encap or Tap
// for it; while a Creation is not answered, to those who have not answered. The kernel does not say where such a packet
// came in: If is the incoming interface of the owner's (S,G), else of the (*,G), else 0. If nobody wants such a flow its
// negative row has the register interface as parent, until the first upcall of a wrong interface tells the right one.
//
// New flows are bounded per interface (UpcallRate). What is beyond is counted and not answered: the kernel bounds what
// waits for an answer by itself, and a written row costs more than what it would save.
//
// # Supported standards
//
// RFC 2715 sections 2 and 3.1, 4.6 as said above. RFC 2365 boundaries. RFC 4291 section 2.7: interface-local and
// link-local groups, and 224.0.0.0/24, never have an entry.
//
// # Known gaps
//
//   - A row that somebody changes (not deletes) is repaired only if RewriteEvery is set: it is then written again, as it
//     is, at every so many checks.
//   - Linux has no TTL thresholds in IPv6: there each acts as 1 (mfib/cases/testdata/arbiter.txt). So an interface that a
//     (*,G) row only accepts packets from is sent those of the others, where a (*,*) row lets the row take them.
//   - Several protocols that want the same (*,G) or (*,*) row with different incoming interfaces share one row with the
//     incoming interface of the first by name; Linux has one parent per row.
//   - Wildcard receivers of some groups, not all, are alerted about as (*,*).
//   - Epochs are not compared: a restarted protocol's old wants are not marked stale.
//   - A boundary is not applied to a (*,*) row, which has no group. Each flow that comes up by it is checked.
//   - IPv6 scopes do not nest: list every scope that a boundary is for.
package mfib
