// Package pimdm is Protocol Independent Multicast - Dense Mode, RFC 3973, as an engine.Machine, for IPv4 and IPv6.
//
// # Files
//
//   - config.go: Config and its defaults; show.go, answer.go: the answers to Query; instance.go: Machine
//   - iface.go, neighbor.go: interfaces, and what the coming and going of neighbors means to entries
//   - target.go: what the MRIB says of sources; member.go: what hosts want
//   - tib.go: the Tree Information Base of section 4.1; entry.go: the life of entries
//   - macros.go: the macros of section 4.1.3 and of the state machines, as pure functions
//   - upstream.go, downstream.go: the state machines of section 4.4, Prune, Join and Graft
//   - refresh.go: State Refresh, section 4.5; assert.go: section 4.6
//   - data.go: what the forwarding plane tells of packets; forwarding.go: section 4.2 as rows; dispatch.go: what mfib tells
//     otherwise (RFC 2715)
//   - receive.go, transmit.go: messages
//
// # How it works
//
// A packet of a new flow comes up as a Creation. The machine makes an entry, asks rib for the path to the source, and answers
// with a row: from RPF_interface(S) to every interface where there are PIM neighbors or members. That is the flood, and the
// kernel does it. Packets after the first come up only where something is to be learned of them: on interfaces where an Assert
// may be due (Want.WrongIf), and by the counters that mfib reads (Want.Activity). The counters stand for "data packet arrives on
// RPF_Interface(S)": they keep the entry alive, and they send a Prune when the olist is empty and the Prune Limit Timer does
// not run. While that is so they are read every second.
//
// An event changes the state that it concerns, and touches entries. When it is over, everything that follows from macros
// is worked out for the touched entries (entry.update): the RPF interface, Asserts, the upstream machine, the originator, the row.
// Messages and rows go out at Settled: of several things to be said of a flow to a neighbor in one batch the last is
// said, and all flows of a neighbor share messages.
//
// # Several protocols on one router
//
// By RFC 2715 a dense protocol is a wildcard receiver: it is asked of every flow. Where the way to the source is an
// interface of another protocol the entry has no upstream machine ("NoInfo"): the row has no incoming interface of ours, and
// Prunes and Grafts of our neighbors change only its outgoing ones, of which mfib tells the owner. Where the way is ours,
// mfib tells by an (S,G) alert whether another protocol wants the packets; that counts like an interface in olist(S,G). What
// the group's members are to other protocols is said by engine.Interest; a source that we reach counts as one ("members are
// senders").
//
// On a sparse-dense interface pimsm says Hello for both (InterfaceConfig.Silent), and the groups with an RP are not this
// machine's (InterfaceConfig.SparseDense; pimsm tells which these are by engine.GroupModes). Where Auto-RP runs its two groups
// are, on sparse interfaces too (InterfaceConfig.Dense), and what this router itself listens to it never prunes (Config.Own).
//
// # Known gaps
//
//   - The State Refresh Interval of a time-scaled router is rounded up to a second on the wire.
//   - What a neighbor sends over a scope boundary of ours is dropped and not pruned (RFC 2365, section 5, has the router prune
//     it): mfib tells nobody of it. Configure boundaries at both ends of a link.
//   - IGMPv1 has no querier of its own: RFC 3973 leaves that to PIM's DR; see igmp.
package pimdm
