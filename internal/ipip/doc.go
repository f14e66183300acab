// Package ipip is what happens to a packet at the two ends of an IP-in-IP tunnel: which packets may enter and leave,
// the outer header, and the limit of what is sent. daemon/host does it for real packets where the kernel has no ipip
// device, labs/sim for those of the simulator. It opens no socket and reads no clock.
//
// # Files
//
//   - ipip.go: Tunnel, Enter, Outer, Leave, and why a packet is dropped (Reason)
//   - bucket.go: Bucket, the limit
//
// # Supported standards
//
// RFC 2003, sections 3.1 (the outer header: TOS is copied, Don't Fragment as well, TTL is the tunnel's) and 3.2 (what
// must not enter). The TTL inside is not changed: who forwards a packet into the tunnel decrements it, as for any other
// interface.
//
// Deviation: section 3.2 forbids to tunnel a packet whose source is an address of the router itself. That is meant for
// packets that come back; a router's own packets, Hellos for one, do enter. So what is refused on the way in is a packet
// that carries this tunnel's own outer header already, at whatever depth: its way to the far end leads through the
// tunnel. On the way out every packet from an address of ours is refused.
//
// # Known gaps
//
//   - IPv4 in IPv4 only: no IPv6 inside (protocol 41) and none outside.
//   - The outer header has no options, and those of an outer header that arrives are ignored.
package ipip
