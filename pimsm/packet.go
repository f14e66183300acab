package pimsm

import (
	"hash/fnv"
	"slices"

	"grove/internal/engine"
	"grove/internal/ip"
)

// This file is what PIM-SM does to data packets that pass through it: those in Registers.

// Byte offsets in IP headers.
const (
	v4HeaderLen = 20
	v6HeaderLen = 40
	v4TTL       = 8
	v4Checksum  = 10
	v6HopLimit  = 7
)

func isIPv4(p []byte) bool { return len(p) >= v4HeaderLen && p[0]>>4 == 4 }
func isIPv6(p []byte) bool { return len(p) >= v6HeaderLen && p[0]>>4 == 6 }

// decrementTTL returns a copy of a packet with its TTL, or hop limit, one less; false if it may not go on.
func decrementTTL(packet []byte) ([]byte, bool) {
	var ttl uint8
	switch {
	case isIPv4(packet):
		ttl = packet[v4TTL]
	case isIPv6(packet):
		ttl = packet[v6HopLimit]
	}
	if ttl <= 1 {
		return nil, false
	}
	p := slices.Clone(packet)
	ip.SetTTL(p, ttl-1)
	return p, true
}

// trafficClass returns the byte of a packet's header that holds DSCP and ECN.
func trafficClass(p []byte) uint8 {
	if isIPv4(p) {
		return p[1]
	}
	return p[0]<<4 | p[1]>>4
}

const ecnMask, ecnCongestion = 3, 3

// withCongestion returns the inner packet of a Register whose outer header has the given DSCP and ECN bits. "The IP ECN
// bits should be copied from the IP header of the Register packet to the decapsulated packet" (section 4.4.2): as they
// were copied from it at the DR, only a mark of congestion can be new. "The RP MAY retain the DSCP of the inner packet".
func withCongestion(inner []byte, outer uint8) []byte {
	if outer&ecnMask != ecnCongestion || trafficClass(inner)&ecnMask == ecnCongestion {
		return inner
	}
	p := slices.Clone(inner)
	if isIPv6(p) {
		p[1] |= ecnCongestion << 4
		return p
	}
	p[1] |= ecnCongestion
	ip.SetTTL(p, p[v4TTL]) // makes the checksum good
	return p
}

// packetHash tells packets apart by all that does not change on the way: not the TTL, the DSCP and ECN bits, and the
// header checksum over them.
func packetHash(packet []byte) uint64 {
	h := fnv.New64a()
	if isIPv4(packet) {
		var head [v4HeaderLen]byte
		copy(head[:], packet)
		head[1], head[v4TTL], head[v4Checksum], head[v4Checksum+1] = 0, 0, 0, 0
		h.Write(head[:])
		h.Write(packet[v4HeaderLen:])
	} else if isIPv6(packet) {
		var head [v6HeaderLen]byte
		copy(head[:], packet)
		head[0], head[1], head[v6HopLimit] = head[0]&0xf0, head[1]&0x0f, 0
		h.Write(head[:])
		h.Write(packet[v6HeaderLen:])
	}
	return h.Sum64()
}

// sendPacketTooBig sends an ICMPv6 Packet Too Big to the source of a packet that does not fit into the Register tunnel
// (RFC 4443, section 3.2): as much of the packet as fits into 1280 bytes goes with it.
func (m *Machine) sendPacketTooBig(s *source, packet []byte, mtu int) {
	if s.rpf.iface == nil {
		return
	}
	src := reachableAddr(s.rpf.iface, engine.IPv6)
	if !src.IsValid() {
		src = s.rpf.iface.primary
	}
	const typePacketTooBig, headerLen, most = 2, 8, 1280
	b := []byte{typePacketTooBig, 0, 0, 0, byte(mtu >> 24), byte(mtu >> 16), byte(mtu >> 8), byte(mtu)}
	b = append(b, packet[:min(len(packet), most-v6HeaderLen-headerLen)]...)
	sum := ^ip.Fold(ip.Sum(ip.PseudoSum(src, s.addr, engine.ProtoICMPv6, len(b)), b))
	b[2], b[3] = byte(sum>>8), byte(sum)
	m.emit(engine.Send{
		If: s.rpf.iface.id, Src: src, Dst: s.addr, Proto: engine.ProtoICMPv6, TTL: defaultTTL, Payload: b,
	})
}
