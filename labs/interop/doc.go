// Package interop is evidence from peers that nobody here wrote. Its tests run groved on the real kernel, in network
// namespaces, beside FRR's pimd, the IGMP and MLD of the Linux host, and tshark; they need root and what
// tools/install-test-needs installs. Every test has tshark read what was on its links (labs/judge).
//
//   - line_test.go: FRR in each role of a line of four routers, the other three being grove
//   - hosts_test.go: Linux hosts as members, of every version of IGMP and MLD
//   - wire_test.go: every message that grove can send, on the wire, but those of dense mode and DVMRP, which their labs have
//     there
//   - mrinfo_test.go: grove mrinfo, and the answers to it
//   - lab_test.go: a lab under test
//   - frr: FRR as a program of a lab, and its vty
//
// # Known gaps
//
// FRR of Debian 12 is built without pim6d, so IPv6 is among groves, Linux hosts and tshark alone.
package interop
