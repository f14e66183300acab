// Package wire reads and writes the messages of DVMRP version 3 (draft-ietf-idmr-dvmrp-v3-11), which travel as IGMP type
// 0x13.
//
// Parse verifies the checksum, never panics and never allocates by a length that it has not checked; what it returns is
// fully decoded. Encode writes the same bytes again, with two exceptions: reserved bytes are zero, and routes of a Report
// that follow one another with the same mask share one mask.
//
// # Files
//
//   - wire.go: the header, Message, Parse and Encode; errors.go: what can be wrong
//   - probe.go, report.go, prune.go, graft.go, neighbors.go: the messages
//   - reader.go: reading without a check at every byte
//
// # Supported standards
//
//   - draft-ietf-idmr-dvmrp-v3-11: all messages, those of appendix B included, with the differences of appendix C
//
// # Known gaps
//
//   - Messages of version 1 (RFC 1075), which have the same IGMP type, are read as version 3 would read them: they have
//     no version where version 3 has it.
package wire
