// Package ip reads and writes IP packets: whole data packets as the forwarding plane hands them up, as Registers
// carry them and as the simulator's links move them, and the checksums of all protocols. It opens no socket.
//
// # Files
//
//   - packet.go: Packet, Parse, Append for IPv4 and IPv6, and which groups a router forwards
//   - checksum.go: the Internet checksum, the pseudo-headers, and the completion of what Linux left unfinished
//
// # Supported standards
//
// RFC 791 (IPv4 header), RFC 1071 (checksum), RFC 2113 and RFC 2711 (Router Alert), RFC 8200 (IPv6 header and
// extension headers).
//
// # Known gaps
//
// IPv4 options other than Router Alert, and IPv6 extension headers other than it, are skipped on reading and not
// written again. Fragments are recognized (Packet.Fragment) and not put together.
package ip
