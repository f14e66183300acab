// Package wire reads and writes the messages of Auto-RP: announcements of RPs, and the mappings that a mapping agent makes of
// them, as data of UDP datagrams to Port.
//
// Parse never panics and never allocates by a length that it has not checked. What Parse returns shares no memory with its
// input, and Append writes it again.
//
// # Files
//
//   - wire.go: Message, Parse, Append
//   - pack.go: Pack, which makes messages of RPs, none too long
//   - errors.go: what can be wrong
//
// # Supported standards
//
//   - "Auto-RP: Automatic discovery of Group-to-RP mappings for IP multicast", Farinacci and Wei, 1998, section 4: version 1+,
//     which has negative prefixes
package wire
