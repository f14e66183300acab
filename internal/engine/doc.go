// Package engine is the whole vocabulary of grove: what a protocol is told (Event), what it asks for (Effect), and
// the one shape that every protocol has (Machine).
//
// A protocol is a Machine: it is handed the current time and one event, changes its own state, and returns effects. It
// has no goroutine, lock, channel, socket, clock, logger or unseeded random number; a test in internal/archtest reads
// the syntax trees of every protocol package and of every package of ours that it imports, and fails if it finds one.
// The same machine therefore runs on a router (daemon/host), in virtual time (labs/sim), and from a recording.
//
// # Files
//
//   - machine.go: Machine, Event, Effect, the names of machines and interfaces
//   - outside.go: what crosses the edge of a router: packets, interfaces, routes, the kernel's multicast table
//   - inside.go: what the machines of one router tell each other: membership, paths, wanted entries, alerts
//   - timer.go: Timer and Timers, the one heap of a machine
//   - sorted.go: the only way to range over a map where effects may follow
//   - count.go: named counters for what was dropped
//
// # Rules that the types do not show
//
//   - Step fires due timers first, by deadline and then by the order in which they were set, then handles the event.
//   - Settled ends a batch of inputs. Aggregated messages and table writes are made there, not before.
//   - Effects are levels, not edges: emit only what differs from what was last said.
//   - The slice that Step returns may be reused at the next Step. What an effect points at never changes: a machine
//     that emits a slice gives it away. The same holds for what an event points at.
//   - Interface numbers are ours, never an ifindex. 0 is no interface.
//   - A machine never looks up a path: it tracks an address (Track), is told its Path, and told again when it changes.
//   - Every Creation is answered with Want or Decline.
package engine
