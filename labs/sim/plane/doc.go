// Package plane is the simulator's model of the multicast forwarding plane of Linux (net/ipv4/ipmr.c,
// net/ipv6/ip6mr.c): the same rows, the same look-up, the same upcalls under the same conditions, in memory and in
// virtual time. It has no goroutine and no clock, and forwarding a packet allocates nothing.
//
// The model cannot drift from the kernel: the cases of mfib/cases run against both, with the same verdicts.
//
// # Files
//
//   - plane.go: Plane, its VIFs and its rows
//   - forward.go: what happens to a packet: look-up, reverse path check, outgoing list, upcalls, the unresolved queue
//   - register.go: what the kernel does with a PIM Register that reaches this router
//
// # How to drive it
//
// Set Out and Upcall once, then call SetVIF, SetRows and ReadCounters for the effects of those names. Hand every
// multicast data packet that arrives on an interface with a VIF to Forward, those that this router itself sends on one
// to Originate, and every PIM message delivered to an address of this router to Decapsulate (besides to its PIM
// machine). Out and Upcall are called from within these and must not call the plane back.
//
// # Known gaps
//
// The size of packets does not matter here: links have the MTU. Several (*,G) rows of one group with different parents
// (MRT_ADD_MFC_PROXY) are not modelled, as mfib never writes them. The bound of the unresolved queue is a number of
// entries; Linux bounds the unread upcalls by the socket's receive buffer.
package plane
