package wire_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"grove/igmp/wire"
)

var (
	ends4 = wire.Ends{Src: addr("10.0.0.1"), Dst: addr("224.0.0.1")}
	ends6 = wire.Ends{Src: addr("fe80::1"), Dst: addr("ff02::1")}
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func addrs(list ...string) []netip.Addr {
	var out []netip.Addr
	for _, s := range list {
		out = append(out, addr(s))
	}
	return out
}

func ends(mld bool) wire.Ends {
	if mld {
		return ends6
	}
	return ends4
}

// equal compares messages; no sources and an empty list of sources are the same.
func equal(a, b wire.Message) bool {
	return cmp.Equal(a, b, cmp.Comparer(func(x, y netip.Addr) bool { return x == y }))
}

// golden is a message and its octets, written by hand from the figures of the RFCs. The checksum is written as
// "cc cc" and computed here by the definition of RFC 1071, which is not how the codec does it.
type golden struct {
	name string
	mld  bool
	hex  string
	msg  wire.Message
}

func (g golden) octets(t testing.TB) []byte {
	t.Helper()
	text := strings.Join(strings.Fields(strings.ReplaceAll(g.hex, "cc cc", "00 00")), "")
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatalf("%s: %v", g.name, err)
	}
	fixChecksum(b, ends(g.mld))
	return b
}

// fixChecksum writes the checksum by the definition: 16-bit one's complement addition, word by word.
func fixChecksum(b []byte, ends wire.Ends) {
	b[2], b[3] = 0, 0
	var words []byte
	if ends.Dst.Is6() {
		words = append(words, ends.Src.AsSlice()...)
		words = append(words, ends.Dst.AsSlice()...)
		words = append(words, 0, 0, byte(len(b)>>8), byte(len(b)), 0, 0, 0, 58)
	}
	words = append(words, b...)
	if len(words)%2 == 1 {
		words = append(words, 0)
	}
	var sum uint16
	for i := 0; i < len(words); i += 2 {
		w := uint16(words[i])<<8 | uint16(words[i+1])
		if sum += w; sum < w {
			sum++
		}
	}
	b[2], b[3] = byte(^sum>>8), byte(^sum)
}

// checkGolden proves both directions of each message and that every truncation is refused.
func checkGolden(t *testing.T, list []golden) {
	for _, g := range list {
		t.Run(g.name, func(t *testing.T) {
			want, e := g.octets(t), ends(g.mld)
			got, err := g.msg.Append([]byte("before"), e)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got[6:], want) {
				t.Errorf("append:\n got %x\nwant %x", got[6:], want)
			}
			msg, err := wire.Parse(want, e)
			if err != nil {
				t.Fatal(err)
			}
			if !equal(msg, g.msg) {
				t.Errorf("parse:\n got %+v\nwant %+v", msg, g.msg)
			}
			for n := range want {
				cut := bytes.Clone(want[:n])
				if n >= 4 {
					fixChecksum(cut, e)
				}
				m, err := wire.Parse(cut, e)
				// A Query cut to the length of an older version is that version's (RFC 3376 section 7.1).
				if q, ok := m.(wire.Query); ok && q.Version < g.msg.(wire.Query).Version && (n == 8 && !g.mld || n == 24 && g.mld) {
					continue
				}
				if !errors.Is(err, wire.ErrTruncated) && !errors.Is(err, wire.ErrLength) {
					t.Errorf("cut to %d octets: message %+v, error %v", n, m, err)
				}
			}
			// Octets beyond the message are part of the checksum and ignored, except where they make a Query of
			// another version.
			if _, ok := g.msg.(wire.Query); !ok {
				long := append(bytes.Clone(want), 1, 2, 3, 4)
				fixChecksum(long, e)
				if msg, err := wire.Parse(long, e); err != nil || !equal(msg, g.msg) {
					t.Errorf("with more octets: %+v, %v", msg, err)
				}
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		mld  bool
		hex  string
		want error
		text string
	}{
		{"empty", false, "", wire.ErrTruncated, "igmp: header: truncated"},
		{"three octets", true, "820000", wire.ErrTruncated, "mld: header: truncated"},
		{"DVMRP", false, "13 01 cc cc 00 00 00 00", wire.ErrType, "igmp: type 19: unknown message type"},
		{"neighbour solicitation", true, "87 00 cc cc 00000000 00000000 00000000 00000000 00000000", wire.ErrType, "mld: type 135: unknown message type"},
		{"IGMP query of 10 octets", false, "11 64 cc cc 00000000 0000", wire.ErrLength, "igmp: query of 10 octets: length of no version"},
		{"MLD query of 26 octets", true, "82 00 cc cc 2710 0000 00000000 00000000 00000000 00000000 0000", wire.ErrLength, "mld: query of 26 octets: length of no version"},
		{"source missing", false, "11 64 cc cc e8010101 02 7d 0002 0a000001", wire.ErrTruncated, "igmp: query: source 1: truncated"},
		{"65535 sources announced", false, "11 64 cc cc e8010101 02 7d ffff", wire.ErrTruncated, "igmp: query: source 0: truncated"},
		{"third record missing", false, "22 00 cc cc 0000 0003 04000000 e8010101 04000000 e8010102", wire.ErrTruncated, "igmp: report: record 2: type: truncated"},
		{"source of a record missing", false, "22 00 cc cc 0000 0001 01000002 e8010101 0a000001", wire.ErrTruncated, "igmp: report: record 0: source 1: truncated"},
		{"auxiliary data missing", false, "22 00 cc cc 0000 0001 01020000 e8010101 00000000", wire.ErrTruncated, "igmp: report: record 0: auxiliary data: truncated"},
		{"65535 records announced", true, "8f 00 cc cc 0000 ffff", wire.ErrTruncated, "mld: report: record 0: type: truncated"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, err := hex.DecodeString(strings.ReplaceAll(strings.ReplaceAll(c.hex, "cc", "00"), " ", ""))
			if err != nil {
				t.Fatal(err)
			}
			if len(b) >= 4 {
				fixChecksum(b, ends(c.mld))
			}
			m, err := wire.Parse(b, ends(c.mld))
			if !errors.Is(err, c.want) || err.Error() != c.text || m != nil {
				t.Errorf("got %v, %v; want %s", m, err, c.text)
			}
		})
	}
}

func TestChecksumIsVerified(t *testing.T) {
	for _, mld := range []bool{false, true} {
		group := addr("239.1.1.1")
		if mld {
			group = addr("ff3e::1")
		}
		good, err := wire.OlderReport{Version: 1, Group: group}.Append(nil, ends(mld))
		if err != nil {
			t.Fatal(err)
		}
		for i := range good {
			for bit := range 8 {
				bad := bytes.Clone(good)
				bad[i] ^= 1 << bit
				if _, err := wire.Parse(bad, ends(mld)); !errors.Is(err, wire.ErrChecksum) {
					t.Fatalf("octet %d, bit %d flipped: %v", i, bit, err)
				}
			}
		}
		if mld { // the pseudo-header counts
			if _, err := wire.Parse(good, wire.Ends{Src: addr("fe80::2"), Dst: ends6.Dst}); !errors.Is(err, wire.ErrChecksum) {
				t.Errorf("other source: %v", err)
			}
		}
	}
}

func TestAppendRefuses(t *testing.T) {
	many := make([]netip.Addr, 65536)
	for i := range many {
		many[i] = addr("10.0.0.1")
	}
	for _, c := range []struct {
		name string
		msg  wire.Message
		ends wire.Ends
	}{
		{"IGMP query of version 0", wire.Query{}, ends4},
		{"IGMP query of version 4", wire.Query{Version: 4}, ends4},
		{"MLD query of version 3", wire.Query{Version: 3}, ends6},
		{"robustness 8", wire.Query{Version: 3, Robustness: 8}, ends4},
		{"65536 sources asked", wire.Query{Version: 3, Group: addr("232.1.1.1"), Sources: many}, ends4},
		{"group of the other family", wire.Query{Version: 2, Group: addr("ff3e::1")}, ends4},
		{"source of the other family", wire.Query{Version: 3, Group: addr("232.1.1.1"), Sources: addrs("::1")}, ends4},
		{"older report of version 3", wire.OlderReport{Version: 3, Group: addr("239.1.1.1")}, ends4},
		{"MLD report of version 2", wire.OlderReport{Version: 2, Group: addr("ff3e::1")}, ends6},
		{"older report of the other family", wire.OlderReport{Version: 1, Group: addr("239.1.1.1")}, ends6},
		{"leave of the other family", wire.Leave{Group: addr("ff3e::1")}, ends4},
		{"65536 records", wire.Report{Records: make([]wire.Record, 65536)}, ends4},
		{"65536 sources", wire.Report{Records: []wire.Record{{Type: wire.Allow, Group: addr("232.1.1.1"), Sources: many}}}, ends4},
		{"auxiliary data of 3 octets", wire.Report{Records: []wire.Record{{Type: wire.Allow, Group: addr("232.1.1.1"), Aux: []byte{1, 2, 3}}}}, ends4},
		{"auxiliary data of 1024 octets", wire.Report{Records: []wire.Record{{Type: wire.Allow, Group: addr("232.1.1.1"), Aux: make([]byte, 1024)}}}, ends4},
		{"record's group of the other family", wire.Report{Records: []wire.Record{{Type: wire.Allow, Group: addr("232.1.1.1")}}}, ends6},
		{"record's source of the other family", wire.Report{Records: []wire.Record{{Type: wire.Allow, Group: addr("ff3e::1"), Sources: addrs("10.0.0.1")}}}, ends6},
	} {
		if b, err := c.msg.Append(nil, c.ends); !errors.Is(err, wire.ErrValue) || b != nil {
			t.Errorf("%s: %x, %v", c.name, b, err)
		}
	}
}
