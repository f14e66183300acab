package wire_test

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"grove/dvmrp/wire"
)

// golden is a message and its bytes. The bytes were made from the draft's pictures by a separate program, not by Encode.
type golden struct {
	name   string
	hex    string // spaces are for the eye
	header wire.Header
	msg    wire.Message
	whole  []int // shorter lengths at which it is a message, too
}

func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }
func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

var (
	ours  = wire.Header{Version: wire.OurVersion}
	probe = wire.Header{
		Version: wire.OurVersion, Capabilities: wire.CapPrune | wire.CapGenerationID | wire.CapMtrace,
	}
)

var goldens = []golden{
	{
		name: "probe", hex: `1301a982 000eff03 65a1b2c3 0a000c02 0a000c03`, header: probe, whole: []int{8, 12, 16},
		msg: &wire.Probe{
			HasGenerationID: true, GenerationID: 0x65a1b2c3, Neighbors: []netip.Addr{addr("10.0.12.2"), addr("10.0.12.3")},
		},
	},
	{
		name: "probe of 3.0", hex: `1301ecfb 00000003`, header: wire.Header{Version: wire.Version{Major: 3}},
		msg: &wire.Probe{},
	},
	{
		name: "report with a poison reverse", hex: `130249e0 0000ff03 ffff00 0a0102 01 0a0103 a1`, header: ours, whole: []int{8},
		msg: &wire.Report{Routes: []wire.Route{{prefix("10.1.2.0/24"), 1}, {prefix("10.1.3.0/24"), 33}}},
	},
	{
		name: "report of all widths",
		hex: `13027281 0000ff03 000000 00 01 0a a0 ff0000 ac10 02 ac11 9f ffffff 0a000001 03 0a000002 83
			fffffe 0a000004 81`,
		header: ours, whole: []int{8, 15, 24, 37},
		msg: &wire.Report{Routes: []wire.Route{
			{prefix("0.0.0.0/0"), 1}, {prefix("10.0.0.0/8"), 32}, {prefix("172.16.0.0/16"), 2}, {prefix("172.17.0.0/16"), 31},
			{prefix("10.0.0.1/32"), 3}, {prefix("10.0.0.2/32"), 3}, {prefix("10.0.0.4/31"), 1},
		}},
	},
	{
		name: "prune", hex: `1307d7c6 0000ff03 0a01000a ef010101 00001c20`, header: ours,
		msg: &wire.Prune{Source: addr("10.1.0.10"), Group: addr("239.1.1.1"), Lifetime: 2 * time.Hour},
	},
	{
		name: "prune with a netmask", hex: `1307d8c5 0000ff03 0a01000a ef010101 00001c20 ffffff00`, header: ours, whole: []int{20},
		msg: &wire.Prune{
			Source: addr("10.1.0.10"), Group: addr("239.1.1.1"), Lifetime: 2 * time.Hour, HasMask: true, Bits: 24,
		},
	},
	{
		name: "graft", hex: `1308f3e5 0000ff03 0a01000a ef010101`, header: ours,
		msg: &wire.Graft{Source: addr("10.1.0.10"), Group: addr("239.1.1.1")},
	},
	{
		name: "graft with a host mask", hex: `1308f3e5 0000ff03 0a01000a ef010101 ffffffff`, header: ours, whole: []int{16},
		msg: &wire.Graft{Source: addr("10.1.0.10"), Group: addr("239.1.1.1"), HasMask: true, Bits: 32},
	},
	{
		name: "graft ack", hex: `1309f3e4 0000ff03 0a01000a ef010101`, header: ours,
		msg: &wire.GraftAck{Source: addr("10.1.0.10"), Group: addr("239.1.1.1")},
	},
	{
		name: "graft ack with a netmask", hex: `1309f3e4 0000ff03 0a01000a ef010101 ffff0000`, header: ours, whole: []int{16},
		msg: &wire.GraftAck{Source: addr("10.1.0.10"), Group: addr("239.1.1.1"), HasMask: true, Bits: 16},
	},
	{name: "ask neighbors2", hex: `1305edf6 0000ff03`, header: ours, msg: &wire.AskNeighbors2{}},
	{name: "ask neighbors", hex: `1303edf8 0000ff03`, header: ours, msg: &wire.AskNeighbors{}},
	{
		name: "neighbors2",
		hex: `1306d1b6 000eff03 0a000c01 01 01 40 02 0a000c02 0a000c03 0a001701 02 20 11 01 c0000201
			0a001801 01 01 80 01 00000000`,
		header: probe, whole: []int{8, 24, 36},
		msg: &wire.Neighbors2{Interfaces: []wire.Interface{
			{
				Local: addr("10.0.12.1"), Metric: 1, Threshold: 1, Flags: wire.FlagQuerier,
				Neighbors: []netip.Addr{addr("10.0.12.2"), addr("10.0.12.3")},
			},
			{
				Local: addr("10.0.23.1"), Metric: 2, Threshold: 32, Flags: wire.FlagTunnel | wire.FlagDown,
				Neighbors: []netip.Addr{addr("192.0.2.1")},
			},
			// Some tools want a neighbor where there is none (appendix C).
			{
				Local: addr("10.0.24.1"), Metric: 1, Threshold: 1, Flags: wire.FlagLeaf,
				Neighbors: []netip.Addr{netip.IPv4Unspecified()},
			},
		}},
	},
	{
		name: "neighbors", hex: `1304cda6 0000ff03 0a000c01 01 01 02 0a000c02 0a000c03 0a001801 01 01 00`, header: ours,
		whole: []int{8, 23},
		msg: &wire.Neighbors{Interfaces: []wire.Interface{
			{Local: addr("10.0.12.1"), Metric: 1, Threshold: 1, Neighbors: []netip.Addr{addr("10.0.12.2"), addr("10.0.12.3")}},
			{Local: addr("10.0.24.1"), Metric: 1, Threshold: 1},
		}},
	},
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		panic(err)
	}
	return b
}

// setChecksum writes the checksum of a whole message into it, by RFC 1071, if there is room for it.
func setChecksum(b []byte) {
	if len(b) < 4 {
		return
	}
	b[2], b[3] = 0, 0
	data := slices.Clone(b)
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

// TestGoldens reads and writes each message, cuts it at every length, and flips every bit.
func TestGoldens(t *testing.T) {
	for _, g := range goldens {
		t.Run(g.name, func(t *testing.T) {
			b := unhex(g.hex)
			h, m, err := wire.Parse(b)
			if err != nil {
				t.Fatalf("Parse: %v", err)
			}
			if h != g.header || !reflect.DeepEqual(m, g.msg) {
				t.Errorf("Parse: got %+v %+v, want %+v %+v", h, m, g.header, g.msg)
			}
			if got, err := wire.Encode(g.header, g.msg); err != nil || !slices.Equal(got, b) {
				t.Errorf("Encode: got\n%x, want\n%x (%v)", got, b, err)
			}
			for n := range len(b) {
				cut := slices.Clone(b[:n])
				setChecksum(cut)
				_, _, err := wire.Parse(cut)
				if slices.Contains(g.whole, n) {
					if err != nil {
						t.Errorf("the first %d bytes: %v", n, err)
					}
				} else if !errors.Is(err, wire.ErrTruncated) {
					t.Errorf("the first %d bytes: %v, want an ErrTruncated", n, err)
				}
			}
			for bit := range len(b) * 8 {
				wrong := slices.Clone(b)
				wrong[bit/8] ^= 0x80 >> (bit % 8)
				if _, _, err := wire.Parse(wrong); err == nil {
					t.Errorf("a message with bit %d wrong is accepted", bit)
				}
			}
		})
	}
}

// TestVersions: which versions have a Generation ID in their Probes (appendix C).
func TestVersions(t *testing.T) {
	for v, has := range map[wire.Version]bool{
		{Major: 1, Minor: 255}: false, {Major: 2}: false, {Major: 3}: false, {Major: 3, Minor: 2}: false,
		{Major: 3, Minor: 3}: true, {Major: 3, Minor: 255}: true, {Major: 11}: true, {Major: 12, Minor: 4}: true,
	} {
		b := append([]byte{0x13, 1, 0, 0, 0, 0, v.Minor, v.Major}, 0, 0, 0, 7, 10, 0, 0, 1)
		setChecksum(b)
		h, m, err := wire.Parse(b)
		want := &wire.Probe{}
		if has {
			want = &wire.Probe{HasGenerationID: true, GenerationID: 7, Neighbors: []netip.Addr{addr("10.0.0.1")}}
		}
		if err != nil || h.Version != v || !reflect.DeepEqual(m, want) {
			t.Errorf("version %v: %+v (%v), want %+v", v, m, err, want)
		}
	}
}

// TestErrors: what is wrong, where, and under which words it is counted.
func TestErrors(t *testing.T) {
	for _, c := range []struct {
		hex, want, reason string
		sum               bool // give it a good checksum
	}{
		{"", "dvmrp: header: truncated", "truncated", false},
		{"1301", "dvmrp: header: truncated", "truncated", false},
		{"1600", "dvmrp: type 0x16: not DVMRP", "not DVMRP", false},
		{"13010000 0000ff03", "dvmrp: probe: bad checksum", "bad checksum", false},
		{"130a0000 0000ff03", "dvmrp: code 10: unknown code", "unknown code", true},
		{"13000000 0000ff03", "dvmrp: code 0: unknown code", "unknown code", true},
		{"13020000 0000ff03 ff00ff 0a0102 81", "dvmrp: report: route 0: bad netmask", "bad netmask", true},
		{"13020000 0000ff03 ffff00 0a0102 01 0a0103", "dvmrp: report: route 1: truncated", "truncated", true},
		{"13070000 0000ff03 0a01000a ef010101 00001c20 ff00ff00", "dvmrp: prune: bad netmask", "bad netmask", true},
		{"13080000 0000ff03 0a01000a ef010101 00ffffff", "dvmrp: graft: bad netmask", "bad netmask", true},
		{"13060000 000eff03 0a000c01 01 01 40 02 0a000c02", "dvmrp: neighbors2: interface 0: truncated", "truncated", true},
	} {
		b := unhex(c.hex)
		if c.sum {
			setChecksum(b)
		}
		_, m, err := wire.Parse(b)
		if err == nil {
			t.Errorf("%s: accepted as %+v", c.hex, m)
			continue
		}
		if err.Error() != c.want || wire.Reason(err) != c.reason {
			t.Errorf("%s: got %q (%q), want %q (%q)", c.hex, err, wire.Reason(err), c.want, c.reason)
		}
	}
}

// TestNotEncoded gives Encode what no message can say.
func TestNotEncoded(t *testing.T) {
	six := addr("2001:db8::1")
	for _, m := range []wire.Message{
		&wire.Probe{Neighbors: []netip.Addr{addr("10.0.0.1")}},
		&wire.Probe{HasGenerationID: true, Neighbors: []netip.Addr{six}},
		&wire.Report{Routes: []wire.Route{{prefix("8.0.0.0/7"), 1}}},
		&wire.Report{Routes: []wire.Route{{prefix("0.0.0.0/8"), 1}}},
		&wire.Report{Routes: []wire.Route{{prefix("2001:db8::/32"), 1}}},
		&wire.Report{Routes: []wire.Route{{prefix("10.0.0.0/8"), 128}}},
		&wire.Report{Routes: []wire.Route{{netip.Prefix{}, 1}}},
		&wire.Prune{Source: six, Group: addr("239.1.1.1")},
		&wire.Prune{Source: addr("10.0.0.1"), Group: addr("239.1.1.1"), Lifetime: -time.Second},
		&wire.Prune{Source: addr("10.0.0.1"), Group: addr("239.1.1.1"), Lifetime: 1 << 32 * time.Second},
		&wire.Prune{Source: addr("10.0.0.1"), Group: addr("239.1.1.1"), HasMask: true, Bits: 33},
		&wire.Graft{Source: addr("10.0.0.1")},
		&wire.Neighbors2{Interfaces: []wire.Interface{{Local: addr("10.0.0.1"), Neighbors: make([]netip.Addr, 256)}}},
		&wire.Neighbors{Interfaces: []wire.Interface{{Local: addr("10.0.0.1"), Flags: wire.FlagLeaf}}},
	} {
		if b, err := wire.Encode(ours, m); b != nil || !errors.Is(err, wire.ErrRange) {
			t.Errorf("%+v: %x, %v, want ErrRange", m, b, err)
		}
	}
}

// TestPackReports: every route is told once, no report is too long, and none could have taken the first of the next.
func TestPackReports(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		want := map[wire.Route]bool{}
		for range rng.IntN(1000) {
			bits := []int{0, 8, 9, 15, 16, 17, 24, 25, 32}[rng.IntN(9)]
			a := netip.AddrFrom4([4]byte{byte(1 + rng.IntN(223)), byte(rng.IntN(256)), byte(rng.IntN(256)), byte(rng.IntN(256))})
			want[wire.Route{Prefix: netip.PrefixFrom(a, bits).Masked(), Metric: uint8(1 + rng.IntN(63))}] = true
		}
		var routes []wire.Route
		for rt := range want {
			routes = append(routes, rt)
		}
		reports := wire.PackReports(routes, wire.MaxMessage)
		for i, p := range reports {
			b, err := wire.Encode(ours, p)
			if err != nil || len(b) > wire.MaxMessage {
				t.Fatalf("report %d: %d bytes (%v)", i, len(b), err)
			}
			if i > 0 {
				more := &wire.Report{Routes: append(slices.Clone(reports[i-1].Routes), p.Routes[0])}
				if b, err := wire.Encode(ours, more); err != nil || len(b) <= wire.MaxMessage {
					t.Fatalf("report %d has room for another route: %d bytes (%v)", i-1, len(b), err)
				}
			}
			_, m, err := wire.Parse(b)
			if err != nil {
				t.Fatal(err)
			}
			for _, rt := range m.(*wire.Report).Routes {
				if !want[rt] {
					t.Fatalf("%v is told twice, or was never asked for", rt)
				}
				delete(want, rt)
			}
		}
		if len(want) > 0 {
			t.Fatalf("%d routes are not told", len(want))
		}
	}
}

// TestPackNeighbors2: every interface and neighbor is told once, no message is too long.
func TestPackNeighbors2(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		var list []wire.Interface
		told, want := 0, 0
		for i := range rng.IntN(40) {
			f := wire.Interface{Local: netip.AddrFrom4([4]byte{10, 0, byte(i), 1})}
			for j := range rng.IntN(300) {
				f.Neighbors = append(f.Neighbors, netip.AddrFrom4([4]byte{10, byte(j / 250), byte(i), byte(j%250 + 2)}))
			}
			want += len(f.Neighbors)
			list = append(list, f)
		}
		seen := map[netip.Addr]bool{}
		for _, m := range wire.PackNeighbors2(list, wire.MaxMessage) {
			b, err := wire.Encode(probe, m)
			if err != nil || len(b) > wire.MaxMessage {
				t.Fatalf("%d bytes (%v)", len(b), err)
			}
			for _, f := range m.Interfaces {
				seen[f.Local] = true
				told += len(f.Neighbors)
			}
		}
		if told != want || len(seen) != len(list) {
			t.Fatalf("%d neighbors on %d interfaces, want %d on %d", told, len(seen), want, len(list))
		}
	}
}

// FuzzParse: what can be parsed can be encoded and parsed again to the same, what cannot has a reason.
func FuzzParse(f *testing.F) {
	for _, g := range goldens {
		f.Add(unhex(g.hex))
	}
	for _, b := range seedCaptures(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 0 {
			b = slices.Clone(b)
			b[0] = 0x13
			setChecksum(b)
		}
		h, m, err := wire.Parse(b)
		if err != nil {
			if wire.Reason(err) == "malformed" {
				t.Errorf("no reason for %v", err)
			}
			return
		}
		again, err := wire.Encode(h, m)
		if err != nil {
			t.Fatalf("Encode(%+v): %v", m, err)
		}
		h2, m2, err := wire.Parse(again)
		if err != nil || h2 != h || !reflect.DeepEqual(m, m2) {
			t.Fatalf("%+v becomes %+v (%v)", m, m2, err)
		}
	})
}
