package ip_test

import (
	"encoding/hex"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"grove/internal/ip"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// golden are packets and their bytes, which tshark accepts with their checksums verified.
var golden = []struct {
	name   string
	packet ip.Packet
	bytes  string
}{
	{
		"IPv4 with Router Alert",
		ip.Packet{Src: addr("10.0.0.1"), Dst: addr("224.0.0.22"), Proto: 2, TTL: 1, TOS: 0xc0, DontFragment: true, RouterAlert: true, Payload: []byte{0x22, 0, 0xf9, 0xfd, 0, 0, 0, 0}},
		"46c00020 00004000 0102fa00 0a000001 e0000016 94040000 2200f9fd 00000000",
	},
	{
		"IPv4 UDP",
		ip.Packet{Src: addr("10.9.0.1"), Dst: addr("239.1.1.1"), Proto: 17, TTL: 9, ID: 1, Payload: []byte{3, 0xe8, 0x13, 0x88, 0, 10, 0, 0, 'h', 'i'}},
		"4500001e 00010000 0911b7c2 0a090001 ef010101 03e81388 000a0000 6869",
	},
	{
		"IPv6 with Router Alert",
		ip.Packet{Src: addr("fe80::1"), Dst: addr("ff02::16"), Proto: 58, TTL: 1, RouterAlert: true, Payload: []byte{0x8f, 0, 0, 0, 0, 0, 0, 0}},
		"60000000 00100001 fe800000000000000000000000000001 ff020000000000000000000000000016 3a00050200000100 8f00000000000000",
	},
	{
		"IPv6 UDP",
		ip.Packet{Src: addr("fd00::1"), Dst: addr("ff0e::1"), Proto: 17, TTL: 64, TOS: 0xb8, Payload: []byte{3, 0xe8, 0x13, 0x88, 0, 8, 0, 0}},
		"6b800000 00081140 fd000000000000000000000000000001 ff0e0000000000000000000000000001 03e8138800080000",
	},
}

func TestGolden(t *testing.T) {
	for _, g := range golden {
		want := unhex(t, g.bytes)
		if got := g.packet.Append(nil); !slices.Equal(got, want) {
			t.Errorf("%s: appended\n%x, want\n%x", g.name, got, want)
		}
		if g.packet.Len() != len(want) {
			t.Errorf("%s: length %d, want %d", g.name, g.packet.Len(), len(want))
		}
		got, err := ip.Parse(append(slices.Clone(want), "behind the packet"...))
		if diff := cmp.Diff(g.packet, got, cmpopts.EquateComparable(netip.Addr{})); err != nil || diff != "" {
			t.Errorf("%s: parsed: %v\n%s", g.name, err, diff)
		}
		for n := range want {
			if _, err := ip.Parse(want[:n]); !errors.Is(err, ip.ErrMalformed) {
				t.Errorf("%s cut at %d: %v", g.name, n, err)
			}
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"version 5":                    "5500001e 00010000 0911b7c2 0a090001 ef010101 03e81388 000a0000 6869",
		"a header of 16 bytes":         "4400001e 00010000 0911a8c5 0a090001 ef010101 03e81388 000a0000 6869",
		"a wrong header checksum":      "4500001e 00010000 0911b7c3 0a090001 ef010101 03e81388 000a0000 6869",
		"a total length below header":  "45000013 00010000 0911b7cd 0a090001 ef010101 03e81388 000a0000 6869",
		"an extension header too long": "60000000 00080001 fe800000000000000000000000000001 ff020000000000000000000000000016 3a010502 00000100",
		"half a fragment header":       "60000000 00042c01 fe800000000000000000000000000001 ff020000000000000000000000000016 3a010502",
	} {
		if p, err := ip.Parse(unhex(t, text)); !errors.Is(err, ip.ErrMalformed) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

func TestFragments(t *testing.T) {
	head6 := "60000000 00102c01 fd000000000000000000000000000001 ff0e0000000000000000000000000001"
	for name, c := range map[string]struct {
		text     string
		fragment bool
	}{
		"IPv6 first":           {head6 + "11000001 00000001 03e8138800080000", true},
		"IPv6 middle":          {head6 + "11000009 00000001 03e8138800080000", true},
		"IPv6 last":            {head6 + "11000008 00000001 03e8138800080000", true},
		"IPv6 atomic fragment": {head6 + "11000000 00000001 03e8138800080000", false},
		"IPv4 first":           {"4500001e 00012000 091197c2 0a090001 ef010101 03e81388 000a0000 6869", true},
		"IPv4 last":            {"4500001e 00010001 0911b7c1 0a090001 ef010101 03e81388 000a0000 6869", true},
	} {
		p, err := ip.Parse(unhex(t, c.text))
		if err != nil || p.Fragment != c.fragment || p.Proto != 17 {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

// valid says whether the checksum of a UDP or TCP packet is right.
func valid(t *testing.T, packet []byte) bool {
	t.Helper()
	p, err := ip.Parse(packet)
	if err != nil {
		t.Fatal(err)
	}
	return ip.Fold(ip.Sum(ip.PseudoSum(p.Src, p.Dst, p.Proto, len(p.Payload)), p.Payload)) == 0xffff
}

func TestCompleteChecksum(t *testing.T) {
	for _, hosts := range [][2]string{{"10.0.0.1", "239.1.1.1"}, {"fd00::1", "ff0e::1"}} {
		src, dst := addr(hosts[0]), addr(hosts[1])
		for _, data := range []string{"", "a", "ab", "abc", strings.Repeat("x", 1001)} {
			whole := ip.UDP(netip.AddrPortFrom(src, 7), netip.AddrPortFrom(dst, 9), 3, []byte(data))
			packet := whole.Append(nil)
			if !valid(t, packet) {
				t.Fatalf("%v: UDP makes a wrong checksum", dst)
			}
			// A complete one stays, a wrong one stays wrong.
			same := slices.Clone(packet)
			ip.CompleteChecksum(same)
			if !slices.Equal(same, packet) {
				t.Errorf("%v: a right checksum was changed", dst)
			}
			at := len(packet) - len(whole.Payload) + 6
			wrong := slices.Clone(packet)
			wrong[at] ^= 0x55
			damaged := slices.Clone(wrong)
			ip.CompleteChecksum(wrong)
			if !slices.Equal(wrong, damaged) {
				t.Errorf("%v: a wrong checksum was changed", dst)
			}
			// As Linux leaves it to a device: the sum of the pseudo-header.
			partial := slices.Clone(packet)
			sum := ip.Fold(ip.PseudoSum(src, dst, 17, len(whole.Payload)))
			partial[at], partial[at+1] = byte(sum>>8), byte(sum)
			ip.CompleteChecksum(partial)
			if !slices.Equal(partial, packet) {
				t.Errorf("%v, %d bytes: completed to %x, want %x", dst, len(data), partial[at:at+2], packet[at:at+2])
			}
		}
		// TCP has its field elsewhere.
		segment := ip.Packet{Src: src, Dst: dst, Proto: 6, TTL: 3, Payload: make([]byte, 23)}
		segment.Payload[22] = 9
		sum := ip.Fold(ip.PseudoSum(src, dst, 6, 23))
		segment.Payload[16], segment.Payload[17] = byte(sum>>8), byte(sum)
		packet := segment.Append(nil)
		ip.CompleteChecksum(packet)
		if !valid(t, packet) {
			t.Errorf("%v: TCP checksum not completed", dst)
		}
	}
}

func TestParseUDP(t *testing.T) {
	for _, hosts := range [][2]string{{"10.0.0.1", "239.1.1.1"}, {"fd00::1", "ff0e::1"}} {
		src, dst := addr(hosts[0]), addr(hosts[1])
		d := ip.UDP(netip.AddrPortFrom(src, 7), netip.AddrPortFrom(dst, 496), 3, []byte("data")).Payload
		from, to, data, err := ip.ParseUDP(src, dst, append(slices.Clone(d), "more"...))
		if err != nil || from != 7 || to != 496 || string(data) != "data" {
			t.Errorf("%v: %d %d %q %v", dst, from, to, data, err)
		}
		for n := range d {
			if _, _, _, err := ip.ParseUDP(src, dst, d[:n]); !errors.Is(err, ip.ErrMalformed) {
				t.Errorf("%v, cut at %d: %v", dst, n, err)
			}
		}
		for n := range d { // every bit counts, but for those that say that there is no checksum
			wrong := slices.Clone(d)
			wrong[n] ^= 0x10
			if _, _, _, err := ip.ParseUDP(src, dst, wrong); !errors.Is(err, ip.ErrMalformed) {
				t.Errorf("%v, byte %d changed: %v", dst, n, err)
			}
		}
		none := slices.Clone(d)
		none[6], none[7] = 0, 0
		if _, _, _, err := ip.ParseUDP(src, dst, none); (err == nil) != dst.Is4() {
			t.Errorf("%v, without a checksum: %v", dst, err)
		}
		short := slices.Clone(d)
		short[5] = 7
		if _, _, _, err := ip.ParseUDP(src, dst, short); !errors.Is(err, ip.ErrMalformed) {
			t.Errorf("%v, of 7 bytes: %v", dst, err)
		}
	}
}

func TestSetTTL(t *testing.T) {
	for _, g := range golden {
		b := unhex(t, g.bytes)
		ip.SetTTL(b, 77)
		p, err := ip.Parse(b)
		if err != nil || p.TTL != 77 {
			t.Errorf("%s: %+v, %v", g.name, p, err)
		}
	}
}

func TestForwarded(t *testing.T) {
	for group, want := range map[string]bool{
		"224.0.0.1": false, "224.0.0.255": false, "224.0.1.1": true, "239.255.0.1": true, "232.1.1.1": true, "10.0.0.1": false,
		"ff00::1": false, "ff01::1": false, "ff02::1": false, "ff12::1": false, "ff32::1": false, "ff03::1": true, "ff05::1": true,
		"ff0e::1": true, "ff3e::1": true, "fe80::1": false,
	} {
		if got := ip.Forwarded(addr(group)); got != want {
			t.Errorf("%s: %v", group, got)
		}
	}
}

// FuzzParse: no input makes the parser panic, and what it accepts keeps its meaning when written and read again.
func FuzzParse(f *testing.F) {
	for _, g := range golden {
		f.Add(unhex(f, g.bytes))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		ip.CompleteChecksum(slices.Clone(b))
		p, err := ip.Parse(b)
		if err != nil || p.Fragment {
			return
		}
		again, err := ip.Parse(p.Append(nil))
		if diff := cmp.Diff(p, again, cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Fatalf("%v\n%s", err, diff)
		}
	})
}
