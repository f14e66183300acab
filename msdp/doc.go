// Package msdp is the Multicast Source Discovery Protocol, RFC 3618, as an engine.Machine over the streams of engine. RPs of
// PIM-SM domains tell each other by it which sources are active; an RP whose domain has receivers joins the source's tree.
//
// # How it works
//
// A peer is a TCP connection and the state machine of section 11. What pimsm says of its own domain's sources
// (engine.SourceActive) is originated: once at once, with the first packet, and then in every SA-Advertisement-Period, spread over
// it. What a peer says is taken if peer-RPF (section 10) lets it, is cached, goes on to the other peers, and is told to pimsm if
// that has receivers of the group (engine.SourcesWanted, engine.RemoteSource).
//
//	StreamData -> receive.go -> rpf.go -> cache.go -> Settled: transmit.go -> WriteStream
//
// An entry of the cache is an (S,G) as one RP tells of it. pimsm is told of the (S,G) while any RP tells of it.
//
// Entries go on when they come, and are not sent from the cache by a timer of ours: an originator repeats them every 60 seconds,
// and each (S,G) of an RP is sent on no more often than every SA-Hold-Down-Period (30 seconds). So no entry outlives its source by
// more than SG-State-Period, however long the chain of peers. From the cache they are sent to a peer that is new, and to one that
// was slow to read.
//
// # A peer that floods, and one that does not read
//
// No peer can take from the others. Each has a rate (a token bucket in the time of the machine) and a limit of entries and RPs;
// of what a peer tells, RPs and sources have limits of their own, so that a host that scans all groups is held where it appears,
// and a peer that forges another's sources and RPs takes nothing of their limits. The limits in all are five times (entries) and
// four times (RPs) those of a peer. An entry costs a few look-ups and a timer. Whatever is done for many entries at once (the cache
// for a new peer, a group that gets receivers, what is advertised, the cache under changed filters) is done in parts, some
// milliseconds apart.
//
// What waits for a peer to read is bounded. Over the bound entries are not sent; when the peer has read half, the whole cache is
// sent again. A peer that reads nothing for HoldTime-Period is reset, as one that sends nothing is.
//
// # Files
//
//   - instance.go: Machine; config.go: Config, its defaults, a new configuration
//   - peer.go: section 11, the connection state machine; receive.go, transmit.go: messages (wire reads and writes them)
//   - rpf.go: section 10, peer-RPF
//   - cache.go: section 4, the SA cache, and what pimsm is told; originate.go: sections 5.1 and 5.2; filter.go: section 7
//   - show.go: state for people
//
// # Supported standards
//
//   - RFC 3618: MSDP. Source-Active Request and Response, which it names only, are answered.
//   - RFC 3446: Anycast-RP by MSDP (Config.OriginatorID, mesh groups)
//   - RFC 4611, section 4.1: the recommended filters; section 4.2: limits
//
// # Known gaps
//
//   - IPv4 only, as the protocol is.
//   - A scope boundary towards a peer is configured at the peer (PeerConfig.Boundary), it does not follow from the interfaces'.
//   - There is no MSDP traceroute (types 6 and 7).
//   - A peer whose address is a loopback address is no IGP next hop (rule iii): peers that are found by IGP routes have to be
//     configured by the addresses of the link, or as static RPF or default peers.
package msdp
