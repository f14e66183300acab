package wire_test

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"grove/internal/engine"
	"grove/internal/pim/wire"
)

// golden is a message and its bytes. The bytes were made from the RFC's pictures by a separate program, not by Encode.
type golden struct {
	name     string
	src, dst string
	hex      string // spaces are for the eye
	msg      wire.Message
	whole    []int // shorter lengths at which it is a message, too
	other    bool  // Encode writes other bytes: what this sender may do, we do not
}

var goldens = slices.Concat(helloGoldens, registerGoldens, registerStopGoldens, joinPruneGoldens, assertGoldens,
	graftGoldens, graftAckGoldens, stateRefreshGoldens, bootstrapGoldens, candidateRPGoldens)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func (g golden) addrs() (src, dst netip.Addr) { return addr(g.src), addr(g.dst) }

func (g golden) bytes() []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(g.hex, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// testGoldens reads and writes each message, cuts it at every length, and flips every bit that the checksum covers.
func testGoldens(t *testing.T, list []golden) {
	for _, g := range list {
		t.Run(g.name, func(t *testing.T) {
			src, dst := g.addrs()
			b := g.bytes()
			m, err := wire.Parse(b, src, dst)
			if err != nil {
				t.Fatalf("Parse: %v", err)
			}
			if !reflect.DeepEqual(m, g.msg) {
				t.Errorf("Parse: got %+v, want %+v", m, g.msg)
			}
			if !g.other {
				got, err := wire.Encode(g.msg, src, dst)
				if err != nil || hex.EncodeToString(got) != hex.EncodeToString(b) {
					t.Errorf("Encode: got\n%x, want\n%x (%v)", got, b, err)
				}
			}
			testTruncations(t, g)
			testBitErrors(t, g)
		})
	}
}

func testTruncations(t *testing.T, g golden) {
	src, dst := g.addrs()
	for n := range len(g.bytes()) {
		b := g.bytes()[:n]
		setChecksum(b, src, dst)
		_, err := wire.Parse(b, src, dst)
		if slices.Contains(g.whole, n) {
			if err != nil {
				t.Errorf("the first %d bytes: %v", n, err)
			}
		} else if !errors.Is(err, wire.ErrTruncated) {
			t.Errorf("the first %d bytes: %v, want an ErrTruncated", n, err)
		}
	}
}

func testBitErrors(t *testing.T, g golden) {
	src, dst := g.addrs()
	covered := len(g.bytes())
	if g.msg.Type() == wire.TypeRegister {
		covered = 8
	}
	for bit := range covered * 8 {
		b := g.bytes()
		b[bit/8] ^= 0x80 >> (bit % 8)
		if _, err := wire.Parse(b, src, dst); err == nil {
			t.Errorf("a message with bit %d wrong is accepted", bit)
		}
	}
}

// setChecksum writes the checksum of a whole message into it, by RFC 1071, if there is room for it.
func setChecksum(b []byte, src, dst netip.Addr) {
	if len(b) < 4 {
		return
	}
	b[2], b[3] = 0, 0
	data := slices.Clone(b)
	if dst.Is6() {
		data = binary.BigEndian.AppendUint32(slices.Concat(src.AsSlice(), dst.AsSlice()), uint32(len(b)))
		data = append(append(data, 0, 0, 0, 103), b...)
	}
	if len(data)%2 == 1 {
		data = append(data, 0)
	}
	var sum uint32
	for i := 0; i < len(data); i += 2 {
		sum += uint32(data[i])<<8 | uint32(data[i+1])
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(b[2:], ^uint16(sum))
}

// message returns a message of a type with a body and a good checksum, with the addresses of a packet that befit it.
func message(typ wire.Type, body []byte, f engine.Family) (b []byte, src, dst netip.Addr) {
	src, dst = addr("10.0.12.1"), addr("10.0.12.2")
	if f == engine.IPv6 {
		src, dst = addr("fe80::1"), addr("fe80::2")
	}
	switch typ {
	case wire.TypeRegister, wire.TypeRegisterStop, wire.TypeGraft, wire.TypeGraftAck, wire.TypeCandidateRP:
	default:
		dst = wire.AllPIMRouters(f)
	}
	b = append([]byte{0x20 | byte(typ), 0, 0, 0}, body...)
	setChecksum(b, src, dst)
	return b, src, dst
}

// fuzzBody fuzzes what follows the header of a message of one type: what can be parsed can be appended and parsed again
// to the same, what cannot has a reason.
func fuzzBody(f *testing.F, typ wire.Type, seeds []golden) {
	for _, g := range seeds {
		f.Add(g.bytes()[4:], addr(g.dst).Is6())
	}
	for _, c := range seedCaptures(f) {
		if len(c.payload) >= 4 && wire.Type(c.payload[0]&0xf) == typ {
			f.Add(c.payload[4:], c.dst.Is6())
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, six bool) {
		family := engine.IPv4
		if six {
			family = engine.IPv6
		}
		b, src, dst := message(typ, body, family)
		stable(t, b, src, dst)
	})
}

func stable(t *testing.T, b []byte, src, dst netip.Addr) {
	m, err := wire.Parse(b, src, dst)
	if err != nil {
		if wire.Reason(err) == "malformed" {
			t.Errorf("no reason for %v", err)
		}
		return
	}
	again, err := wire.Encode(m, src, dst)
	if err != nil {
		t.Fatalf("Encode(%+v): %v", m, err)
	}
	m2, err := wire.Parse(again, src, dst)
	if err != nil || !reflect.DeepEqual(m, m2) {
		t.Fatalf("%+v becomes %+v (%v)", m, m2, err)
	}
}

// FuzzParse fuzzes whole messages, checksums and types included.
func FuzzParse(f *testing.F) {
	for _, g := range goldens {
		f.Add(g.bytes(), addr(g.dst).Is6())
	}
	for _, c := range seedCaptures(f) {
		f.Add(c.payload, c.dst.Is6())
	}
	f.Fuzz(func(t *testing.T, b []byte, six bool) {
		for _, pair := range [][2]string{{"10.0.12.1", "224.0.0.13"}, {"10.0.12.1", "10.0.12.2"}} {
			if six {
				pair = map[string][2]string{
					"224.0.0.13": {"fe80::1", "ff02::d"}, "10.0.12.2": {"2001:db8::1", "2001:db8::2"},
				}[pair[1]]
			}
			stable(t, b, addr(pair[0]), addr(pair[1]))
		}
	})
}

// TestErrors: what is wrong, where, and under which words it is counted.
func TestErrors(t *testing.T) {
	register, toRP := "10.0.12.1", "10.255.0.3"
	for _, c := range []struct {
		src, dst, hex, want, reason string
		sum                         bool // give it a good checksum
	}{
		{"10.0.12.1", "224.0.0.13", "2000", "pim: header: truncated", "truncated", false},
		{"10.0.12.1", "224.0.0.13", "1000efff", "pim: header: version 1: unknown version", "unknown version", false},
		{"10.0.12.1", "224.0.0.13", "20000000", "pim: hello: bad checksum", "bad checksum", false},
		{"fe80::1", "224.0.0.13", "2000dfff", "pim: from fe80::1 to 224.0.0.13: wrong address family", "wrong address family", false},
		{"10.0.12.1", "ff02::d", "2000dfff", "pim: from 10.0.12.1 to ff02::d: wrong address family", "wrong address family", false},
		{
			"10.0.12.1", "224.0.0.13", "2a0000000000", "pim: df-election: unsupported type", "unsupported type: df-election",
			true,
		},
		{
			"10.0.12.1", "224.0.0.2", "240000000000", "pim: bootstrap: to 224.0.0.2: wrong destination for the type",
			"wrong destination for the type", true,
		},
		{
			"10.0.12.1", "224.0.0.13", "280000000000", "pim: candidate-rp: to 224.0.0.13: wrong destination for the type",
			"wrong destination for the type", true,
		},
		{"10.0.12.1", "10.0.12.2", "2e000000", "pim: type 14: unsupported type", "unsupported type: type 14", true},
		{
			"10.0.12.1", "10.0.12.2", "20000000", "pim: hello: to 10.0.12.2: wrong destination for the type",
			"wrong destination for the type", true,
		},
		{
			register, "224.0.0.13", "2100000000000000 4500", "pim: register: to 224.0.0.13: wrong destination for the type",
			"wrong destination for the type", true,
		},
		{
			"10.0.12.1", "224.0.0.13", "27000000", "pim: graft-ack: to 224.0.0.13: wrong destination for the type",
			"wrong destination for the type", true,
		},
		{
			"10.0.12.1", "224.0.0.2", "26000000", "pim: graft: to 224.0.0.2: wrong destination for the type",
			"wrong destination for the type", true,
		},
		{
			"10.0.12.1", "10.0.12.2", "29000000", "pim: state-refresh: to 10.0.12.2: wrong destination for the type",
			"wrong destination for the type", true,
		},
		{register, toRP, "210000000000", "pim: register: truncated", "truncated", true},
		{register, toRP, "2100000000000000", "pim: register: inner packet: truncated", "truncated", true},
	} {
		b := golden{hex: c.hex}.bytes()
		if c.sum {
			setChecksum(b, addr(c.src), addr(c.dst))
		}
		m, err := wire.Parse(b, addr(c.src), addr(c.dst))
		if err == nil {
			t.Errorf("%s: accepted as %+v", c.hex, m)
			continue
		}
		if err.Error() != c.want || wire.Reason(err) != c.reason {
			t.Errorf("%s: got %q (%q), want %q (%q)", c.hex, err, wire.Reason(err), c.want, c.reason)
		}
	}
	if !errors.Is(&wire.TypeError{Type: wire.TypeDFElection}, wire.ErrUnsupportedType) {
		t.Error("a TypeError is no ErrUnsupportedType")
	}
}

// bodyError is a message that is wrong behind the header.
type bodyError struct {
	family engine.Family
	hex    string // of the body
	want   string
	is     error
}

func testBodyErrors(t *testing.T, typ wire.Type, list []bodyError) {
	for _, c := range list {
		b, src, dst := message(typ, golden{hex: c.hex}.bytes(), c.family)
		m, err := wire.Parse(b, src, dst)
		if err == nil {
			t.Errorf("%s: accepted as %+v", c.hex, m)
			continue
		}
		if err.Error() != c.want || !errors.Is(err, c.is) || wire.Reason(err) != c.is.Error() {
			t.Errorf("%s: got %q, want %q", c.hex, err, c.want)
		}
	}
}

// testNotEncoded gives Encode what no message can say.
func testNotEncoded(t *testing.T, want error, list ...wire.Message) {
	t.Helper()
	for _, m := range list {
		b, err := wire.Encode(m, addr("10.0.12.1"), addr("224.0.0.13"))
		if b != nil || !errors.Is(err, want) {
			t.Errorf("Encode(%+v) = %x, %v, want an error %q", m, b, err, want)
		}
	}
}

// TestEncodeWithoutSource: the kernel chooses the source of an IPv4 packet; the checksum of IPv6 needs it.
func TestEncodeWithoutSource(t *testing.T) {
	h := &wire.Hello{Options: []wire.Option{wire.Holdtime(0)}}
	if _, err := wire.Encode(h, netip.Addr{}, addr("224.0.0.13")); err != nil {
		t.Error(err)
	}
	if _, err := wire.Encode(h, netip.Addr{}, addr("ff02::d")); !errors.Is(err, wire.ErrFamily) {
		t.Errorf("an IPv6 message without a source: %v", err)
	}
}
