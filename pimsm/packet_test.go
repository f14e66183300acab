package pimsm

import (
	"net/netip"
	"testing"

	"grove/internal/ip"
)

func flowPackets(t *testing.T) map[string]ip.Packet {
	t.Helper()
	v4 := ip.UDP(netip.MustParseAddrPort("10.1.1.1:5"), netip.MustParseAddrPort("239.1.1.1:5"), 16, []byte("hello"))
	v4.ID = 7
	v6 := ip.UDP(netip.MustParseAddrPort("[2001:db8::1]:5"), netip.MustParseAddrPort("[ff1e::1]:5"), 16, []byte("hello"))
	return map[string]ip.Packet{"ipv4": v4, "ipv6": v6}
}

// TestDecrementTTL: the copy has one less and a good checksum, the packet itself is as it was; 1 and 0 do not go on.
func TestDecrementTTL(t *testing.T) {
	for name, p := range flowPackets(t) {
		b := p.Append(nil)
		out, ok := decrementTTL(b)
		q, err := ip.Parse(out)
		if !ok || err != nil || q.TTL != 15 {
			t.Errorf("%s: %v, %v, %+v", name, ok, err, q)
		}
		if q, _ := ip.Parse(b); q.TTL != 16 {
			t.Errorf("%s: the packet was changed", name)
		}
		for _, ttl := range []uint8{0, 1} {
			p.TTL = ttl
			if _, ok := decrementTTL(p.Append(nil)); ok {
				t.Errorf("%s: TTL %d goes on", name, ttl)
			}
		}
	}
	for _, b := range [][]byte{nil, {0x45}, {0x60}, make([]byte, 60)} {
		if _, ok := decrementTTL(b); ok {
			t.Errorf("%x goes on", b)
		}
	}
}

// TestCongestion: a Congestion Experienced mark of the outer header goes over to the inner one, nothing else does
// (RFC 7761, section 4.4.2).
func TestCongestion(t *testing.T) {
	for name, p := range flowPackets(t) {
		for inner := range uint8(4) {
			for outer := range uint8(4) {
				p.TOS = 0xb8 | inner // Expedited Forwarding
				got, err := ip.Parse(withCongestion(p.Append(nil), 0x20|outer))
				want := p.TOS
				if outer == 3 {
					want = 0xbb
				}
				if err != nil || got.TOS != want {
					t.Errorf("%s: inner %d, outer %d: %#x, %v, want %#x", name, inner, outer, got.TOS, err, want)
				}
				if c := trafficClass(p.Append(nil)); c != p.TOS {
					t.Errorf("%s: trafficClass is %#x, want %#x", name, c, p.TOS)
				}
			}
		}
	}
}

// TestPacketHash: what changes on the way does not change the hash; the identification and every byte of data do.
func TestPacketHash(t *testing.T) {
	for name, p := range flowPackets(t) {
		was := packetHash(p.Append(nil))
		same := p
		same.TTL, same.TOS = 3, 0x03
		if packetHash(same.Append(nil)) != was {
			t.Errorf("%s: another hash with another TTL and TOS", name)
		}
		b := p.Append(nil)
		b[len(b)-1] ^= 1
		if packetHash(b) == was {
			t.Errorf("%s: the same hash with other data", name)
		}
	}
	p := flowPackets(t)["ipv4"]
	was := packetHash(p.Append(nil))
	p.ID++
	if packetHash(p.Append(nil)) == was {
		t.Error("the same hash with another identification")
	}
}

// TestSeenIsBounded: the memory of native packets forgets the oldest.
func TestSeenIsBounded(t *testing.T) {
	d := &decap{}
	p := flowPackets(t)["ipv4"]
	for n := range 2 * maxSeen {
		p.ID = uint16(n)
		d.remember(p.Append(nil))
	}
	if len(d.seen) != maxSeen {
		t.Errorf("%d remembered, want %d", len(d.seen), maxSeen)
	}
	p.ID = 0
	if _, ok := d.seen[packetHash(p.Append(nil))]; ok {
		t.Error("the oldest is remembered")
	}
	p.ID = 2*maxSeen - 1
	if _, ok := d.seen[packetHash(p.Append(nil))]; !ok {
		t.Error("the newest is not")
	}
}
