package wire_test

import (
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"grove/msdp/wire"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func entry(s, g string) wire.Entry {
	return wire.Entry{Source: addr(s), Group: addr(g), PrefixLen: 32}
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		panic(err)
	}
	return b
}

// packet is a UDP datagram of 10.1.0.10 to 239.1.1.1, written by hand.
const packet = `45000020 00010000 0f11 9fc7 0a01000a ef010101 04d2162e 000c0000 74657374`

// goldens are messages and their bytes, written by hand from the pictures of RFC 3618, section 12, and of its drafts.
var goldens = []struct {
	name, hex string
	msg       wire.Message
}{
	{"keepalive", `04 0003`, &wire.KeepAlive{}},
	{
		"source-active", `01 0014 01 0aff0001 00000020 ef010101 0a01000a`,
		&wire.SourceActive{RP: addr("10.255.0.1"), Entries: []wire.Entry{entry("10.1.0.10", "239.1.1.1")}},
	},
	{"source-active without an entry", `01 0008 00 0aff0001`, &wire.SourceActive{RP: addr("10.255.0.1")}},
	{
		"source-active of two", `01 0020 02 0aff0001 00000020 ef010101 0a01000a 00000020 e0020305 c0000201`,
		&wire.SourceActive{RP: addr("10.255.0.1"), Entries: []wire.Entry{
			entry("10.1.0.10", "239.1.1.1"), entry("192.0.2.1", "224.2.3.5"),
		}},
	},
	{
		"source-active with data", `01 0034 01 0aff0001 00000020 ef010101 0a01000a ` + packet,
		&wire.SourceActive{
			RP: addr("10.255.0.1"), Entries: []wire.Entry{entry("10.1.0.10", "239.1.1.1")}, Data: unhex(packet),
		},
	},
	{
		"source-active of a prefix", `01 0014 01 0aff0001 00000018 ef010101 0a010000`,
		&wire.SourceActive{RP: addr("10.255.0.1"), Entries: []wire.Entry{
			{Source: addr("10.1.0.0"), Group: addr("239.1.1.1"), PrefixLen: 24},
		}},
	},
	{"request", `02 0008 00 ef010101`, &wire.Request{Group: addr("239.1.1.1")}},
	{
		"response", `03 0014 01 0aff0001 00000020 ef010101 0a01000a`,
		&wire.SourceActive{
			Response: true, RP: addr("10.255.0.1"), Entries: []wire.Entry{entry("10.1.0.10", "239.1.1.1")},
		},
	},
	{"notification", `05 0005 87 00`, &wire.Notification{Open: true, Code: 7}},
	{"notification with data", `05 0007 03 02 abcd`, &wire.Notification{Code: 3, Subcode: 2, Data: unhex("abcd")}},
	{"traceroute", `06 0004 00`, &wire.Unknown{Of: wire.TypeTraceroute, Value: []byte{0}}},
	{"unknown", `c9 0006 010203`, &wire.Unknown{Of: 201, Value: []byte{1, 2, 3}}},
}

// TestGoldens reads and writes each message, and cuts it at every length: with the length field as it was, which says that there is
// more, and with one that says that this is all.
func TestGoldens(t *testing.T) {
	for _, g := range goldens {
		t.Run(g.name, func(t *testing.T) {
			b := unhex(g.hex)
			m, err := wire.Parse(b)
			if err != nil || !reflect.DeepEqual(m, g.msg) {
				t.Fatalf("Parse: got %+v (%v), want %+v", m, err, g.msg)
			}
			if got, err := g.msg.Append([]byte{9}); err != nil || !slices.Equal(got[1:], b) {
				t.Errorf("Append: got\n%x, want\n%x (%v)", got, b, err)
			}
			for n := range len(b) {
				if _, err := wire.Parse(b[:n]); !errors.Is(err, wire.ErrTruncated) {
					t.Errorf("the first %d bytes: %v, want ErrTruncated", n, err)
				}
			}
			fixed := map[string]int{ // where each message would be whole
				"source-active of two": 8 + 24, "source-active with data": 8 + 12, "notification with data": 5,
			}
			for n := 3; n < len(b); n++ {
				cut := slices.Clone(b[:n])
				cut[2] = byte(n)
				_, err := wire.Parse(cut)
				switch {
				case n == fixed[g.name], g.name == "unknown" && n > 3, g.name == "notification with data" && n >= 5:
					if err != nil {
						t.Errorf("a message of %d bytes: %v", n, err)
					}
				case err == nil:
					t.Errorf("a message of %d bytes is accepted", n)
				}
			}
		})
	}
}

// TestErrors: what is a TLV format error, and which.
func TestErrors(t *testing.T) {
	for _, c := range []struct {
		name, hex string
		want      error
	}{
		{"length below the header", `04 0002`, wire.ErrLength},
		{"keepalive with a value", `04 0004 00`, wire.ErrLength},
		{"only keepalives have no value", `c9 0003`, wire.ErrLength},
		{"more than one TLV", `04 0003 04`, wire.ErrLength},
		{"request with more", `02 0009 00 ef010101 00`, wire.ErrLength},
		{"count beyond the end", `01 0014 02 0aff0001 00000020 ef010101 0a01000a`, wire.ErrTruncated},
		{"less than an IP header", `01 0015 01 0aff0001 00000020 ef010101 0a01000a 45`, wire.ErrTruncated},
		{"data that says it is longer", `01 0034 01 0aff0001 00000020 ef010101 0a01000a 45000021` + strings.Repeat("00", 28), wire.ErrTruncated},
		{"data of IPv6", `01 0034 01 0aff0001 00000020 ef010101 0a01000a 65000020` + strings.Repeat("00", 28), wire.ErrData},
		{"data of no entry", `01 0028 00 0aff0001 ` + packet, wire.ErrData},
	} {
		m, err := wire.Parse(unhex(c.hex))
		if !errors.Is(err, c.want) || wire.Reason(err) != c.want.Error() {
			t.Errorf("%s: %+v, %v, want %v", c.name, m, err, c.want)
		}
	}
	six := netip.MustParseAddr("2001:db8::1")
	for _, m := range []wire.Message{
		&wire.SourceActive{RP: six}, &wire.SourceActive{RP: addr("1.2.3.4"), Entries: make([]wire.Entry, 256)},
		&wire.SourceActive{RP: addr("1.2.3.4"), Entries: make([]wire.Entry, 1)}, &wire.Request{}, &wire.Notification{Code: 200},
		&wire.Unknown{Of: 1, Value: []byte{1}}, &wire.Unknown{Of: 9}, &wire.Unknown{Of: 9, Value: make([]byte, 70000)},
	} {
		if b, err := m.Append(nil); !errors.Is(err, wire.ErrRange) {
			t.Errorf("%+v is written as %x (%v)", m, b, err)
		}
	}
}

// TestLongTLV: a TLV that is longer than may be sent is read (section 12), and what follows its packet is ignored.
func TestLongTLV(t *testing.T) {
	b := append(unhex(`01 ffff 01 0aff0001 00000020 ef010101 0a01000a`), unhex(packet)...)
	b = append(b, make([]byte, 0xffff-len(b))...)
	m, err := wire.Parse(b)
	if err != nil || len(m.(*wire.SourceActive).Data) != 32 {
		t.Fatalf("%v, %+v", err, m)
	}
}

// TestReader: however a stream is split, the same TLVs come out of it, and nothing is kept but the beginning of one.
func TestReader(t *testing.T) {
	var stream []byte
	for _, g := range goldens {
		stream = append(stream, unhex(g.hex)...)
	}
	read := func(pieces [][]byte) (list []wire.Message) {
		var r wire.Reader
		for _, p := range pieces {
			mine := slices.Clone(p)
			r.Feed(mine)
			for {
				b, err := r.Next()
				if err != nil {
					t.Fatal(err)
				}
				if b == nil {
					break
				}
				m, err := wire.Parse(b)
				if err != nil {
					t.Fatal(err)
				}
				list = append(list, m)
			}
			clear(mine) // the next piece may come in the same memory
			if r.Waiting() > 0xffff {
				t.Fatalf("%d bytes are kept", r.Waiting())
			}
		}
		if r.Waiting() != 0 {
			t.Fatalf("%d bytes are left", r.Waiting())
		}
		return list
	}
	check := func(pieces [][]byte) {
		t.Helper()
		list := read(pieces)
		if len(list) != len(goldens) {
			t.Fatalf("%d messages of %d", len(list), len(goldens))
		}
		for n, m := range list {
			if !reflect.DeepEqual(m, goldens[n].msg) {
				t.Fatalf("message %d: %+v, want %+v", n, m, goldens[n].msg)
			}
		}
	}
	for n := range len(stream) + 1 {
		check([][]byte{stream[:n], stream[n:]})
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var pieces [][]byte
		for rest := stream; len(rest) > 0; {
			n := 1 + rng.IntN(min(len(rest), 1+rng.IntN(40)))
			pieces = append(pieces, rest[:n])
			rest = rest[n:]
		}
		check(pieces)
	}
	// Whatever a peer says of its length, a TLV that comes an octet at a time makes no work that grows with what has come.
	long := wire.Reader{}
	long.Feed([]byte{200, 0xff, 0xff})
	if b, err := long.Next(); b != nil || err != nil {
		t.Fatalf("%x, %v", b, err)
	}
	one := []byte{7}
	if n := testing.AllocsPerRun(0xffff-4, func() { // and once before
		long.Feed(one)
		if b, err := long.Next(); (b == nil) != (long.Waiting() > 0) || err != nil {
			t.Fatalf("%d octets, %v, %d wait", len(b), err, long.Waiting())
		}
	}); n >= 1 || long.Waiting() != 0 {
		t.Errorf("%v allocations an octet, %d octets wait", n, long.Waiting())
	}
	var r wire.Reader
	r.Feed([]byte{4, 0, 3, 1, 0, 1, 9})
	if b, err := r.Next(); len(b) != 3 || err != nil {
		t.Fatalf("%x, %v", b, err)
	}
	if b, err := r.Next(); !errors.Is(err, wire.ErrLength) {
		t.Fatalf("a length of 1: %x, %v", b, err)
	}
}

// FuzzParse: no input makes the parser panic, and what it accepts keeps its meaning when written and read again.
func FuzzParse(f *testing.F) {
	for _, g := range goldens {
		f.Add(unhex(g.hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := wire.Parse(b)
		if err != nil {
			if wire.Reason(err) == "malformed" {
				t.Fatalf("%v wraps no error of the package", err)
			}
			return
		}
		again, err := m.Append(nil)
		if err != nil {
			t.Fatalf("%+v cannot be written: %v", m, err)
		}
		if back, err := wire.Parse(again); err != nil || !reflect.DeepEqual(back, m) {
			t.Fatalf("%+v comes back as %+v (%v)", m, back, err)
		}
	})
}

// FuzzReader: no stream makes the reader panic, and it is read the same in one piece and byte by byte.
func FuzzReader(f *testing.F) {
	f.Add(unhex("040003 c90004ff 0400"))
	f.Fuzz(func(t *testing.T, b []byte) {
		read := func(step int) (n int, failed bool) {
			var r wire.Reader
			for at := 0; at < len(b); at += step {
				r.Feed(slices.Clone(b[at:min(len(b), at+step)]))
				for {
					tlv, err := r.Next()
					if err != nil {
						return n, true
					}
					if tlv == nil {
						break
					}
					n += len(tlv)
				}
			}
			return n, false
		}
		n1, f1 := read(max(len(b), 1))
		if n2, f2 := read(1); n1 != n2 || f1 != f2 {
			t.Fatalf("%d, %v in one piece; %d, %v byte by byte", n1, f1, n2, f2)
		}
	})
}
