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
	"time"

	"grove/internal/pim/autorp/wire"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		panic(err)
	}
	return b
}

func group(prefix string) wire.Group { return wire.Group{Prefix: netip.MustParsePrefix(prefix)} }

func denied(prefix string) wire.Group {
	return wire.Group{Prefix: netip.MustParsePrefix(prefix), Negative: true}
}

// goldens are messages and their bytes, written by hand from the pictures of section 4.
var goldens = []struct {
	name, hex string
	msg       wire.Message
}{
	{
		"announcement", `11 01 00b4 00000000 0aff0001 02 01 00 04 e0000000`,
		wire.Message{Type: wire.Announcement, Holdtime: 180 * time.Second, RPs: []wire.RP{
			{Address: addr("10.255.0.1"), Version: wire.PIMv2, Groups: []wire.Group{group("224.0.0.0/4")}},
		}},
	},
	{
		"announcement with a negative prefix", `11 01 ffff 00000000 0aff0001 03 03 00 04 e0000000 01 08 ef000000 00 20 ef010101`,
		wire.Message{Type: wire.Announcement, Holdtime: 65535 * time.Second, RPs: []wire.RP{
			{Address: addr("10.255.0.1"), Version: wire.PIMv1And2, Groups: []wire.Group{
				group("224.0.0.0/4"), denied("239.0.0.0/8"), group("239.1.1.1/32"),
			}},
		}},
	},
	{
		"discovery of two RPs",
		`12 02 0000 00000000 0aff0001 02 01 00 10 e0020000 c0000201 00 02 00 18 e0020200 01 10 ef000000`,
		wire.Message{Type: wire.Discovery, RPs: []wire.RP{
			{Address: addr("10.255.0.1"), Version: wire.PIMv2, Groups: []wire.Group{group("224.2.0.0/16")}},
			{Address: addr("192.0.2.1"), Groups: []wire.Group{group("224.2.2.0/24"), denied("239.0.0.0/16")}},
		}},
	},
	{
		"discovery of an RP without groups", `12 01 00b5 00000000 0aff0001 01 00`,
		wire.Message{Type: wire.Discovery, Holdtime: 181 * time.Second, RPs: []wire.RP{
			{Address: addr("10.255.0.1"), Version: wire.PIMv1},
		}},
	},
	{"discovery of nothing", `12 00 00b4 00000000`, wire.Message{Type: wire.Discovery, Holdtime: 180 * time.Second}},
}

// TestGoldens reads and writes each message, and cuts it at every length.
func TestGoldens(t *testing.T) {
	for _, g := range goldens {
		t.Run(g.name, func(t *testing.T) {
			b := unhex(g.hex)
			m, err := wire.Parse(b)
			if err != nil || !reflect.DeepEqual(*m, g.msg) {
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
			if m, err := wire.Parse(append(slices.Clone(b), 1, 2, 3)); err != nil || !reflect.DeepEqual(*m, g.msg) {
				t.Errorf("with bytes behind it: %+v, %v", m, err)
			}
		})
	}
}

// TestIgnored: reserved bits, and address bits beyond the mask, mean nothing.
func TestIgnored(t *testing.T) {
	m, err := wire.Parse(unhex(`11 01 00b4 ffffffff 0aff0001 fe 01 ff 08 efffffff`))
	want := wire.Message{Type: wire.Announcement, Holdtime: 180 * time.Second, RPs: []wire.RP{
		{Address: addr("10.255.0.1"), Version: wire.PIMv2, Groups: []wire.Group{denied("239.0.0.0/8")}},
	}}
	if err != nil || !reflect.DeepEqual(*m, want) {
		t.Errorf("got %+v (%v), want %+v", m, err, want)
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		name, hex string
		want      error
	}{
		{"version 2", `21 00 00b4 00000000`, wire.ErrVersion},
		{"type 0", `10 00 00b4 00000000`, wire.ErrType},
		{"type 3", `13 00 00b4 00000000`, wire.ErrType},
		{"mask of 33 bits", `11 01 00b4 00000000 0aff0001 02 01 00 21 e0000000`, wire.ErrMaskLen},
		{"one RP of two", `11 02 00b4 00000000 0aff0001 02 00`, wire.ErrTruncated},
		{"one group of 255", `11 01 00b4 00000000 0aff0001 02 ff 00 04 e0000000`, wire.ErrTruncated},
	} {
		m, err := wire.Parse(unhex(c.hex))
		if !errors.Is(err, c.want) || wire.Reason(err) != c.want.Error() {
			t.Errorf("%s: %+v, %v, want %v", c.name, m, err, c.want)
		}
	}
	rp := func(rp wire.RP) wire.Message {
		return wire.Message{Type: wire.Announcement, RPs: []wire.RP{rp}}
	}
	one := addr("10.0.0.1")
	for i, m := range []wire.Message{
		{}, {Type: 3}, {Type: wire.Discovery, Holdtime: -time.Second}, {Type: wire.Discovery, Holdtime: 65536 * time.Second},
		{Type: wire.Discovery, Holdtime: time.Millisecond}, {Type: wire.Discovery, RPs: make([]wire.RP, 256)},
		rp(wire.RP{}), rp(wire.RP{Address: addr("2001:db8::1")}), rp(wire.RP{Address: one, Version: 4}),
		rp(wire.RP{Address: one, Groups: make([]wire.Group, 1)}), rp(wire.RP{Address: one, Groups: make([]wire.Group, 256)}),
		rp(wire.RP{Address: one, Groups: []wire.Group{group("ff00::/8")}}),
		rp(wire.RP{Address: one, Groups: []wire.Group{group("239.1.1.1/8")}}),
	} {
		if b, err := m.Append(nil); !errors.Is(err, wire.ErrRange) {
			t.Errorf("%d: %+v is written: %x, %v", i, m, b, err)
		}
	}
}

// random returns some RPs with some groups.
func random(rng *rand.Rand) []wire.RP {
	var rps []wire.RP
	for range rng.IntN(4) * rng.IntN(100) {
		rp := wire.RP{Address: netip.AddrFrom4([4]byte{10, 0, byte(len(rps) >> 8), byte(len(rps))}), Version: wire.PIMVersion(rng.IntN(4))}
		for range rng.IntN(2) * rng.IntN(3) * rng.IntN(300) {
			p, _ := netip.AddrFrom4([4]byte{239, byte(rng.IntN(256)), byte(len(rp.Groups) >> 8), byte(len(rp.Groups))}).Prefix(8 + rng.IntN(25))
			rp.Groups = append(rp.Groups, wire.Group{Prefix: p, Negative: rng.IntN(2) == 0})
		}
		rps = append(rps, rp)
	}
	return rps
}

// TestPack: what is packed says all that it was given, in order, in messages that are not too long; each but the last is so full
// that what follows begins with something that had no room.
func TestPack(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		rps := random(rng)
		var got []wire.RP
		var room int
		for n, m := range wire.Pack(wire.Discovery, time.Minute, rps) {
			b, err := m.Append(nil)
			if err != nil || len(b) > wire.MaxLen || m.Type != wire.Discovery || m.Holdtime != time.Minute || len(m.RPs) == 0 {
				t.Fatalf("seed %d: message %d of %d bytes (%v): %+v", seed, n, len(b), err, m)
			}
			if need := 6 + 6*min(1, len(m.RPs[0].Groups)); n > 0 && room >= need {
				t.Errorf("seed %d: message %d is not full: %d bytes left", seed, n-1, room)
			}
			room = wire.MaxLen - len(b)
			for _, rp := range m.RPs {
				if last := len(got) - 1; last >= 0 && got[last].Address == rp.Address {
					got[last].Groups = append(slices.Clone(got[last].Groups), rp.Groups...)
				} else {
					got = append(got, rp)
				}
			}
		}
		if len(got) != len(rps) {
			t.Fatalf("seed %d: %d RPs packed, of %d", seed, len(got), len(rps))
		}
		for i := range got {
			if got[i].Address != rps[i].Address || got[i].Version != rps[i].Version || !slices.Equal(got[i].Groups, rps[i].Groups) {
				t.Errorf("seed %d: packed %+v of %+v", seed, got[i], rps[i])
			}
		}
	}
}

// FuzzParse: no input makes the parser panic, and what it accepts is written and read again as the same.
func FuzzParse(f *testing.F) {
	for _, g := range goldens {
		f.Add(unhex(g.hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := wire.Parse(b)
		if err != nil {
			if wire.Reason(err) == "malformed" {
				t.Fatalf("no sentinel: %v", err)
			}
			return
		}
		again, err := m.Append(nil)
		if err != nil {
			t.Fatalf("%+v is read and not written: %v", m, err)
		}
		if second, err := wire.Parse(again); err != nil || !reflect.DeepEqual(m, second) {
			t.Fatalf("read %+v, and again %+v (%v)", m, second, err)
		}
	})
}
