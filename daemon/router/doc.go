// Package router wires the machines of one router: the effect of one is the event of another. It is a Machine itself:
// events of the outside go in, effects for the outside come out as engine.Outward, and the drivers (daemon/host,
// labs/sim) know no protocol.
//
// # Files
//
//   - router.go: Router, what is delivered when
//   - route.go: which effect goes to which machine; the stamps
//   - machines.go: which machines there are; a new configuration
//
// # Order
//
// Delivery is first in, first out: what a machine says first arrives first, and never at the sender. A new interface
// is announced to mfib, igmp, rib and then to the protocols, a lost one in reverse. Settled goes round until no
// machine has been told anything since its last one.
//
// # Faults
//
// Machines that answer each other without end are a fault of the code. A chain of more than 16 effects, more than 16
// rounds of Settled, or a deadline that does not advance is cut off, counted (Faults) and printed with its chain as a
// Note of level Error.
//
// # Known gaps
//
// All machines run in one process. The seam is here: an effect that is routed by type and addressee is what will travel
// over a socket when each protocol has a process of its own.
package router
