// Package wire reads and writes the messages of PIM version 2 that sparse and dense mode need, for IPv4 and IPv6.
//
// A message is a Go value with every field decoded: addresses are netip.Addr, times are time.Duration. Parse turns the
// payload of an IP packet into a Message, Encode turns a Message into such a payload. What Parse returns shares no
// memory with its input, except Register.Packet. Parse never panics and never allocates by a length that it has not
// checked against the bytes that are there.
//
// Every error wraps one of the sentinels of errors.go and says where: "pim: join/prune: group 3: source 12: truncated".
// Reason gives the fixed word under which a receiver counts it.
//
// # Files
//
//   - wire.go: Type, Message, Parse, Encode, the checksum
//   - errors.go: the sentinels, Reason
//   - address.go: the encoded unicast, group and source addresses of section 4.9.1
//   - hello.go, register.go, registerstop.go, joinprune.go, assert.go, staterefresh.go: one message each;
//     graft.go: Graft and Graft-Ack; bootstrap.go: Bootstrap messages and their semantic fragments;
//     candidaterp.go: Candidate-RP-Advertisement
//   - pack.go: Pack, which fits group sets into as few Join/Prune messages as an MTU allows (section 4.9.5.2)
//
// # Supported standards
//
//   - RFC 7761 section 4.9: packet formats of PIM-SM
//   - RFC 3973 section 4.7: packet formats of PIM-DM
//   - RFC 5059 section 4: packet formats of BSR
//
// # Known gaps
//
//   - DF election is known by name only: Parse answers ErrUnsupportedType.
//   - Join attributes (RFC 5384) and every other encoding type than the native one are refused with ErrEncoding.
package wire
