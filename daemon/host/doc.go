// Package host is the real world of a router: sockets, netlink, clock and log. It owns a daemon/router, hands it what
// comes from outside, and carries out the effects that leave it. It knows no protocol; it only knows by which socket
// each kind of machine speaks.
//
// # Goroutines
//
// One, the loop (Run), owns the router and all state. It takes a batch of inputs, steps the machines with each, settles
// them, carries out the effects, and sets one timer to the machines' deadline. The others only read: one per raw
// socket, one per multicast routing socket, one for netlink. What they read goes through an inbox with a bound for each
// kind of input; a storm of upcalls fills its own bound and drops no protocol packet. Packets that the machines send leave
// at the end of a batch, after the tables are written.
//
// Tunnels for which we encapsulate have a goroutine each for what is sent, and share one for what arrives: those packets
// never enter the loop.
//
// A stream has a goroutine that connects and reads, and one that writes; a port that machines listen on has one that accepts.
// A reader gives the loop one chunk and reads the next when the machine was handed it, so that a stream which floods is
// slowed down by TCP and takes turns with the others.
//
// # Files
//
//   - host.go: Host, New, Query, Reload
//   - loop.go: the loop
//   - effects.go: carrying out effects
//   - inbox.go: the queue between the readers and the loop
//   - drivers.go: which sockets and tables the machines need
//   - socket.go, sockopt.go: raw sockets, one per protocol and family, with control messages
//   - groups.go: memberships of the groups that machines listen to
//   - plane.go: the kernel's multicast tables (mfib/kernel) and the reader of their sockets
//   - netlink.go: reading links, addresses, unicast routes and nexthop objects
//   - view.go: what was read, and what of it was announced
//   - keep.go: addresses and static routes of the configuration, kept in the kernel
//   - tunnel.go: the devices of tunnels, and their ways; tunnel_user.go: encapsulation by us, behind a TUN device
//   - stream.go: TCP streams and ports of machines; stream_conn.go, stream_listen.go: their goroutines; stream_sockopt.go:
//     MD5 signatures, GTSM
//   - sysctl.go: forwarding and rp_filter
//   - namespace.go: opening sockets later in the namespace where the host began
//   - log.go, watch.go: Transitions and Notes, printed and streamed
//
// # How it treats the system
//
//   - Interfaces are known by number (engine.IfID); one that is deleted and made again, or renamed, is another one.
//     All are announced, so that routes over them are understood, but only those that the configuration names carry
//     multicast: never the management interface of a container unless asked.
//   - A configured interface is set up when it is first seen, and not again: an operator may set it down. Its addresses
//     and the static routes come back whenever the kernel loses them.
//   - When groved ends, addresses, routes and sysctls stay; VIFs, multicast rows and memberships go with their sockets.
//     A reload removes what the former configuration wanted and the new one does not.
//   - Tunnels (RFC 2003) are there while their local address is, and come back when somebody deletes them. The kernel's
//     ipip device serves if RTM_NEWLINK makes one, else (mode auto, user) a TUN device, for which goroutines of ours
//     encapsulate; the configuration is the same. When groved ends both kinds go: a TUN device with its descriptor,
//     however groved ends, the kernel's because we delete it, after the goodbyes. A groved that was killed leaves the
//     kernel's behind, and the next one replaces it if its ends are those of the configuration.
//   - The MTU of a tunnel is the path's less 20 bytes: the kernel is asked for the way and its MTU (RTM_GETROUTE) when
//     routes change, when a router on the way complains, and every ten seconds. So packets that are too large are
//     fragmented by the kernel before they enter (RFC 2003 section 5.1 prefers that: the far end need not put them
//     together), or answered with Datagram Too Big if they forbid it and are unicast; multicast is dropped by the kernel
//     without an answer (RFC 1122 section 3.2.2) and counted as FragFails. With mtu in the configuration nothing is
//     discovered, and the path may fragment outer packets, which the kernel of the far end puts together.
//   - A way that leads through the tunnel itself, or through others and back, is said, and nothing is sent; packets that
//     carry their own outer header are dropped in any case.
//   - A port is open on all addresses; who is not among the peers is reset, who has not the secret of TCP MD5 is not
//     answered. With GTSM (RFC 5082) the first segment, too, must be from as near as the peer is said to be. A port that
//     another process has is said once, and tried again every five seconds.
//   - What was written to a stream before it was closed has five seconds to leave, one when groved ends; then the stream is
//     reset.
//   - UDP is heard on a raw socket with a filter that lets Auto-RP's port pass, and only if Auto-RP is configured. Its groups are not
//     link-local: the kernel reports them by IGMP like a host's.
//   - Only the main table is read: rules (ip rule) for other tables are not followed.
//   - Forwarding is turned on for the families that protocols run for, and rp_filter off on the interfaces that
//     multicast is routed on (the multicast table makes its own check). Where /proc/sys is read-only a warning says
//     what to set.
//
// # Known gaps
//
//   - All machines run in this one process; the seam for several is in engine (addressed events and outward effects).
//   - A reading of the routes stops the loop for its time, about a second for a million routes; it is made at most a
//     tenth of the time, after link changes and whenever a notification does not say enough.
//   - Policy routing, VRFs and routes by type of service are not seen.
//   - What routers on the way of a tunnel say is counted and logged, not relayed to the senders of unicast packets (RFC 2003
//     section 4), Datagram Too Big excepted.
//   - Tunnels carry IPv4 in IPv4 only. In the kernel's, the rate limit treats control packets as all others, and queues a
//     tenth of a second; in ours they always pass, and nothing is queued.
//   - Peers of one port that are the same address have one secret; a reset that the kernel sends by itself has the usual
//     TTL, so that a peer with GTSM learns of it late.
//   - The multicast table's number cannot be changed by a reload.
package host
