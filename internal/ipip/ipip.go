package ipip

import (
	"encoding/binary"
	"net/netip"

	"grove/internal/ip"
)

const (
	// Protocol is the number of IP in IP.
	Protocol uint8 = 4
	// HeaderLen is how much the outer header adds to a packet.
	HeaderLen = 20
	// MinMTU is the smallest MTU of an interface with IPv4 (RFC 791).
	MinMTU = 68
)

// Reason is why a packet is dropped at an end of a tunnel. The zero value is: it is not.
type Reason uint8

// The reasons.
const (
	Pass        Reason = iota
	NotIPv4            // the packet inside is of another version
	Malformed          // a header is too short, a length does not fit, a checksum is wrong
	NoTTL              // the TTL inside is 0 (RFC 2003 section 3.1)
	Loop               // our own outer header inside: the way to the far end leads through this tunnel (section 3.2)
	FromFarEnd         // would go back to where it comes from (section 3.2)
	OwnSource          // left the tunnel with an address of ours as its source: it went round
	BadSource          // the source inside is no unicast address
	Nested             // encapsulated for this very tunnel a second time
	RateLimited        // more than the rate limit
	TooBig             // larger than the tunnel takes, and not to be fragmented
	NotSent            // the kernel refused it for another reason
	Reasons
)

var reasons = [Reasons]string{
	NotIPv4: "not IPv4", Malformed: "malformed", NoTTL: "TTL 0", Loop: "loop: the way to the remote end leads through the tunnel",
	FromFarEnd: "from the remote end itself", OwnSource: "loop: from an address of ours", BadSource: "bad source",
	Nested: "encapsulated twice for this tunnel", RateLimited: "rate limit", TooBig: "too big", NotSent: "not sent",
}

// String says the reason in words.
func (r Reason) String() string { return reasons[r] }

// Tunnel is one end of a tunnel.
type Tunnel struct {
	Local, Remote netip.Addr
	TTL           uint8
	// Discover says that the path's MTU is discovered: every outer header forbids fragmentation (RFC 2003 section 5.1).
	// Otherwise it does if the header inside does.
	Discover bool
}

// header is what matters of an IPv4 header.
type header struct {
	head, total int
	tos, ttl    uint8
	proto       uint8
	fragment    uint16 // flags and offset
	src, dst    netip.Addr
}

const dontFragment = 0x4000

func parse(b []byte) (h header, why Reason) {
	if len(b) == 0 {
		return h, Malformed
	}
	if b[0]>>4 != 4 {
		return h, NotIPv4
	}
	if len(b) < 20 {
		return h, Malformed
	}
	h = header{
		head: int(b[0]&15) * 4, total: int(binary.BigEndian.Uint16(b[2:])), tos: b[1], ttl: b[8], proto: b[9],
		fragment: binary.BigEndian.Uint16(b[6:]),
		src:      netip.AddrFrom4([4]byte(b[12:])), dst: netip.AddrFrom4([4]byte(b[16:])),
	}
	if h.head < 20 || h.total < h.head || h.total > len(b) || ip.Checksum(b[:h.head]) != 0 {
		return h, Malformed
	}
	return h, Pass
}

// maxNesting is how many outer headers a packet may carry: a tunnel may lead through another, but not for ever.
const maxNesting = 4

// nested says whether an outer header from src to dst is in the packet, below whatever other outer headers, or more of them
// than any sensible packet has. Without this a packet whose way to the far end leads through the tunnel would go round
// and grow.
func nested(b []byte, src, dst netip.Addr) bool {
	for range maxNesting {
		h, why := parse(b)
		if why != Pass || h.proto != Protocol {
			return false
		}
		if h.src == src && h.dst == dst {
			return true
		}
		if h.fragment&^dontFragment != 0 {
			return false // what is inside cannot be told
		}
		b = b[h.head:h.total]
	}
	return true
}

// Enter says whether a packet may enter the tunnel.
func (t *Tunnel) Enter(inner []byte) Reason {
	h, why := parse(inner)
	switch {
	case why != Pass:
		return why
	case h.ttl == 0: // RFC 2003 section 3.1: MUST NOT
		return NoTTL
	case nested(inner, t.Local, t.Remote):
		return Loop
	case h.src == t.Remote: // section 3.2: MUST NOT
		return FromFarEnd
	}
	return Pass
}

// Control says whether a packet is of the protocols between neighbors: to a group that never leaves a link.
func Control(inner []byte) bool {
	return len(inner) >= 20 && inner[16] == 224 && inner[17] == 0 && inner[18] == 0
}

// DontFragment says whether the packet inside forbids its fragmentation.
func DontFragment(inner []byte) bool {
	return len(inner) >= 20 && binary.BigEndian.Uint16(inner[6:])&dontFragment != 0
}

// Outer writes the outer header into b[:HeaderLen]; behind it stands the packet inside, which Enter accepted. The
// checksum is complete. The identification is left to the kernel.
func (t *Tunnel) Outer(b []byte) {
	inner := b[HeaderLen:]
	local, remote := t.Local.As4(), t.Remote.As4()
	fragment := binary.BigEndian.Uint16(inner[6:]) & dontFragment // RFC 2003 section 3.1: MUST be copied
	if t.Discover {
		fragment = dontFragment
	}
	b[0], b[1] = 0x45, inner[1]
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	binary.BigEndian.PutUint16(b[4:], 0)
	binary.BigEndian.PutUint16(b[6:], fragment)
	b[8], b[9] = t.TTL, Protocol
	b[10], b[11] = 0, 0
	copy(b[12:16], local[:])
	copy(b[16:20], remote[:])
	binary.BigEndian.PutUint16(b[10:], ip.Checksum(b[:HeaderLen]))
}

// Ends returns source and destination of the outer header of a packet of protocol 4; false if it is none, or not whole.
func Ends(outer []byte) (src, dst netip.Addr, ok bool) {
	if len(outer) < 20 || outer[0]>>4 != 4 || outer[9] != Protocol {
		return src, dst, false
	}
	return netip.AddrFrom4([4]byte(outer[12:])), netip.AddrFrom4([4]byte(outer[16:])), true
}

// Leave takes the packet out of an outer packet that is for this tunnel by its addresses. It points into outer.
func (t *Tunnel) Leave(outer []byte, own func(netip.Addr) bool) ([]byte, Reason) {
	o, why := parse(outer)
	if why != Pass || o.proto != Protocol || o.src != t.Remote || o.dst != t.Local || o.fragment&^dontFragment != 0 {
		return nil, Malformed
	}
	inner := outer[o.head:o.total]
	h, why := parse(inner)
	if why != Pass {
		return nil, why
	}
	switch {
	case h.ttl == 0: // RFC 2003 section 3.1: MUST be discarded
		return nil, NoTTL
	case nested(inner, t.Remote, t.Local):
		return nil, Nested
	case own(h.src):
		return nil, OwnSource
	case h.src.IsMulticast(), h.src.IsLoopback(), h.src.As4()[0] >= 240:
		return nil, BadSource
	case h.src.As4()[0] == 0 && !h.dst.IsLinkLocalMulticast(): // a host without an address may report so (RFC 3376 section 4.2.13)
		return nil, BadSource
	}
	return inner[:h.total], Pass
}
