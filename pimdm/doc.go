// Package pimdm is Protocol Independent Multicast - Dense Mode, RFC 3973, as an engine.Machine. It is not finished.
//
// # Files
//
//   - config.go: Config and its defaults; show.go: the types of the answers to Query; instance.go: Machine
//   - under the build tag "unfinished", which nothing sets: the Tree Information Base (tib.go, entry.go), the macros of
//     section 4.1.3 (macros.go), the state machines of sections 4.4 (upstream.go, downstream.go), 4.5 (refresh.go) and 4.6
//     (assert.go), members, data and rows (member.go, data.go, forwarding.go)
//
// # Known gaps
//
//   - The machine declines every flow and says so when it is configured: nothing is routed in dense mode.
//   - It answers every Query, but has nothing to tell: no neighbor, no entry, and its interfaces are down.
//   - Interfaces, neighbors, the MRIB, sending and receiving (iface.go, neighbor.go, target.go, transmit.go, receive.go) are
//     not written, so the files under the tag do not build yet, and have no tests. Where
//     they leave the RFC they say Departure; that becomes Deviation with a conformance map.
package pimdm
