// Package bench measures grove on the real kernel: what docs/benchmarks.md records and make bench prints. It has only
// benchmarks, needs root, and asserts no number. The labs under measurement are in testdata; timers are the protocols'
// defaults.
//
// # Files
//
//   - join_test.go: from a host's report to the first packet
//   - start_test.go: what is lost, and what comes twice, when a source starts
//   - scale_test.go: many groups, then a source for each: CPU time, memory, loss
//   - dvmrp_test.go: thousands of DVMRP routes, learned, and again when a link is cut
//   - msdp_test.go: many Source-Actives of many peers, and a flood of one
//   - idle_test.go: the memory of a router with nothing to do
//   - makes_test.go: the routers that are compared
//   - line_test.go: the line of four routers that they are compared in
//   - router_test.go: groved as a program of a lab, and what a process has used
//   - wire_test.go: reports, packets to many groups, and a capture with the kernel's times
package bench
