// Package wire is the codec of IGMPv1 to IGMPv3 and of MLDv1 and MLDv2: one set of types for both, since the messages
// say the same things with addresses of different width. A message that is Appended and Parsed again is the same,
// except that times are rounded down to what their codes can tell.
//
// The contract: Parse never panics, verifies the checksum, and allocates nothing by a length that it has not checked.
// Its error wraps one of the sentinels of message.go and says where. Append fails only on a value that the format cannot
// carry. Neither judges whether a group is multicast or a source unicast, nor the IP header around the message: that
// is the receiver's to judge.
//
// # Files
//
//   - message.go: Message, Ends, Parse, the checksum, the errors
//   - query.go: Query of every version
//   - older.go: OlderReport (IGMPv1, IGMPv2, MLDv1)
//   - leave.go: Leave (IGMPv2 Leave Group, MLDv1 Done)
//   - report.go: Report with its Records (IGMPv3, MLDv2)
//   - code.go: the floating-point codes of times
//
// # Supported standards
//
// RFC 2236, RFC 3376, RFC 2710, RFC 3810; of RFC 1112, version 1 of IGMP.
//
// # Known gaps
//
// Octets beyond the last field of a message are covered by the checksum and otherwise ignored, as RFC 3376 sections
// 4.1.10 and 4.2.11 demand: they are not kept. Reserved fields are sent as zero.
package wire
