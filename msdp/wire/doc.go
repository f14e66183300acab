// Package wire reads and writes the messages of the Multicast Source Discovery Protocol, RFC 3618, section 12: TLVs on a TCP
// connection.
//
// Parse never panics and never allocates by a length that it has not checked. What Parse returns Append writes again; what
// the RFC says is ignored on receipt is not kept.
//
// # Files
//
//   - wire.go: Type, Message, Parse
//   - sourceactive.go: Source-Active and Source-Active Response
//   - others.go: Source-Active Request, KeepAlive, Notification, and TLVs that are passed over
//   - reader.go: Reader, which finds the TLVs in a stream of bytes
//   - errors.go: what can be wrong
//
// # Supported standards
//
//   - RFC 3618, section 12. It names the Source-Active Request and Response without describing them, and Notification as what
//     it was before: their formats are those of the drafts that came before it, which other routers speak.
//
// # Known gaps
//
// MSDP traceroute (types 6 and 7) is passed over, as any unknown type is: RFC 3618 does not describe it.
package wire
