// Package cases is the one table of cases that defines how a forwarding plane behaves: run against the Linux kernel
// (mfib/kernel) and against its model (labs/sim/plane), for IPv4 and IPv6, with the same verdicts. It is for tests.
//
// The cases are scripts in testdata: commands, and under each, indented, what follows from it. The kernel is the
// reference: `go test ./mfib/kernel -run TestCases -update` rewrites what follows. Commit a rewrite only if every
// changed line can be explained.
//
// # Files
//
//   - cases.go: the scripts, and the Bench that runs them
//   - script.go: the command language
//
// # Commands
//
//	== TITLE [ipv4|ipv6]     starts a case on an empty table; with a family, it is for that one only
//	# TEXT                   a comment
//	vif N [on I]             adds VIF N on interface I (N if it is not said)
//	register N               adds the register VIF
//	novif N                  deletes a VIF
//	unplug I                 interface I disappears
//	row S G from N [to N[:T] ...]   adds or replaces a row: parent VIF, outgoing VIFs with TTL thresholds (1)
//	norow S G                deletes a row
//	packet I S G ttl T [xN]  a packet (N of them) arrives on interface I
//	register-in I S G ttl T [null|damaged]  the same in a PIM Register to this router
//	own I G ttl T            this router sends a packet out of interface I
//	wait D                   time passes
//	counters S G             reads the counters of a row
//
// S is s1, s2 ... (sources), r1 (this router's address on interface 1) or *; G is g1, g2 ... (groups), link1 (a
// link-local group), site1 (a group of site-local scope) or *.
//
// # What follows
//
// "vif N: #P ttl T": packet number P leaves by the interface of VIF N. "NOCACHE vif N S G" and so on: an upcall;
// "#P ttl T" after it is the whole packet in it. "altered" says that a packet is not what was sent but for its TTL.
package cases
