// Package interop is evidence from peers that nobody here wrote. Its tests run groved on the real kernel, in network
// namespaces, beside FRR's pimd, the other pimd, the IGMP and MLD of the Linux host, and tshark; they need root and what
// tools/install-test-needs installs. Every test has tshark read what was on its links (labs/judge).
//
//   - line_test.go: FRR in each role of a line of four routers, the other three being grove
//   - hosts_test.go: Linux hosts as members, of every version of IGMP and MLD
//   - wire_test.go: every message that grove can send, on the wire, but those of dense mode and DVMRP, which their labs have
//     there
//   - mbgp_test.go: multicast routes (BGP SAFI 2), with another grove, FRR and BIRD
//   - msdp_test.go: domains of grove and FRR joined by MSDP, two of them, a mesh group of three, and RPs
//     that die and come back; an exchange with BIRD as its route server
//   - bsr_test.go: the Bootstrap mechanism beside FRR, which listens, and pimd, which is a candidate as well
//   - mrinfo_test.go: grove mrinfo, and the answers to it
//   - lab_test.go: a lab under test
//   - frr, pimd, bird: FRR, pimd and BIRD as programs of a lab, and what one asks them by
//
// # Known gaps
//
// FRR of Debian 12 is built without pim6d, so IPv6 is among groves, Linux hosts and tshark alone.
//
// FRR 8.4.4 keeps multicast routes in its MRIB and does not use them: "show ip rpf ADDRESS" answers from the unicast routes in every
// look-up mode, and pimd joins by unicast next hops. That RPF follows the multicast routes is seen of grove alone. Its MSDP takes no
// packet out of a Source-Active and puts none in, answers no request, and floods what a member of a mesh group told to the others.
package interop
