// Package netns runs a lab on the real kernel: a network namespace per node, a veth pair per link, and a groved process
// in each namespace, as containerlab would, without Docker. It needs root.
//
// # Files
//
//   - space.go: namespaces and links
//   - node.go: a node: its namespace, its groved, its API; Program, which may run there in place of a groved
//   - engine.go: Engine, which implements script.Engine
//   - capture.go: what is on the links, as a pcapng file
//   - crossings.go: which links carry which data packets
//   - member.go: what the hosts of a lab send and receive
//   - down.go: Down
//
// While a lab runs, or after it was run with --keep, its namespaces can be entered:
//
//	ip netns exec grove-06-pim-sm-r1 env GROVE_SOCKET=/run/grove/lab/06-pim-sm/r1.sock grove show ip mroute
//
// Nothing is left behind: Close ends the processes that the engine started and deletes its namespaces, and Down does
// the same for a run that was killed or kept.
//
// # Known gaps
//
//   - Links have no delay, loss or bandwidth of their own: only the simulator has them.
//   - The clock is the machine's: on a busy one, checks may need the time that scripts give them.
package netns
