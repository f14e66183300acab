package wire_test

import (
	"fmt"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/wire"
)

func groups(prefix string) wire.Group {
	p := netip.MustParsePrefix(prefix)
	return wire.Group{Addr: p.Addr(), MaskLen: uint8(p.Bits())}
}

func zone(prefix string) wire.Group {
	g := groups(prefix)
	g.Zone = true
	return g
}

// A message of ranges ends where the packet ends: cut between two ranges, it is a shorter message.
var bootstrapGoldens = []golden{
	{
		name: "bootstrap, IPv4, two RPs of all groups and a range without", src: "10.0.12.1", dst: "224.0.0.13",
		hex: `2400f349 1234 1e 40 0100 0aff0001 01000004 e0000000 02 02 0000 0100 0aff0003 0096 c0 00 0100 0aff0004 0096 00 00` +
			`01000008 ef000000 00 00 0000`,
		whole: []int{14, 46},
		msg: &wire.Bootstrap{
			FragmentTag: 0x1234, HashMaskLen: 30, Priority: 64, BSR: addr("10.255.0.1"), Ranges: []wire.RPRange{
				{Group: groups("224.0.0.0/4"), RPCount: 2, RPs: []wire.RPMapping{
					{RP: addr("10.255.0.3"), Holdtime: 150 * time.Second, Priority: 192},
					{RP: addr("10.255.0.4"), Holdtime: 150 * time.Second},
				}},
				{Group: groups("239.0.0.0/8")},
			},
		},
	},
	{
		name: "bootstrap, IPv4, no-forward, scoped, a fragment", src: "10.0.12.1", dst: "224.0.0.13",
		hex: `24807109 0001 1e ff 0100 0aff0001 01000108 ef000000 03 01 0000 0100 0aff0003 0096 c0 00` +
			`0100800e efc00000 01 01 0000 0100 0aff0004 0000 01 00`,
		whole: []int{14, 36},
		msg: &wire.Bootstrap{
			NoForward: true, FragmentTag: 1, HashMaskLen: 30, Priority: 255, BSR: addr("10.255.0.1"), Ranges: []wire.RPRange{
				{Group: zone("239.0.0.0/8"), RPCount: 3, RPs: []wire.RPMapping{
					{RP: addr("10.255.0.3"), Holdtime: 150 * time.Second, Priority: 192},
				}},
				{
					Group:   wire.Group{Addr: addr("239.192.0.0"), MaskLen: 14, Bidir: true},
					RPCount: 1, RPs: []wire.RPMapping{{RP: addr("10.255.0.4"), Priority: 1}},
				},
			},
		},
	},
	{
		name: "bootstrap, IPv6", src: "fe80::1", dst: "ff02::d",
		hex: `24008fdb abcd 7e 00 0200 20010db800ff00000000000000000001 02000008 ff000000000000000000000000000000 01 01 0000` +
			`0200 20010db800ff00000000000000000003 0096 c0 00`,
		whole: []int{26},
		msg: &wire.Bootstrap{
			FragmentTag: 0xabcd, HashMaskLen: 126, BSR: addr("2001:db8:ff::1"), Ranges: []wire.RPRange{
				{Group: groups("ff00::/8"), RPCount: 1, RPs: []wire.RPMapping{
					{RP: addr("2001:db8:ff::3"), Holdtime: 150 * time.Second, Priority: 192},
				}},
			},
		},
	},
	{
		name: "bootstrap, IPv6, empty, unicast", src: "fe80::1", dst: "fe80::2",
		hex: `24808372 abcd 7e 00 0200 20010db800ff00000000000000000001`,
		msg: &wire.Bootstrap{NoForward: true, FragmentTag: 0xabcd, HashMaskLen: 126, BSR: addr("2001:db8:ff::1")},
	},
}

func TestBootstrap(t *testing.T) { testGoldens(t, bootstrapGoldens) }

func FuzzBootstrap(f *testing.F) { fuzzBody(f, wire.TypeBootstrap, bootstrapGoldens) }

func TestBootstrapErrors(t *testing.T) {
	testBodyErrors(t, wire.TypeBootstrap, []bodyError{
		{engine.IPv4, "1234 1e", "pim: bootstrap: truncated", wire.ErrTruncated},
		{engine.IPv6, "1234 1e 40 0100 0aff0001", "pim: bootstrap: bsr: wrong address family", wire.ErrFamily},
		{
			engine.IPv4, "1234 1e 40 0100 0aff0001 01000021 e0000000 00 00 0000",
			"pim: bootstrap: group 1: bad mask length", wire.ErrMaskLen,
		},
		{
			engine.IPv4, "1234 1e 40 0100 0aff0001 02000008 ff000000000000000000000000000000 00 00 0000",
			"pim: bootstrap: group 1: wrong address family", wire.ErrFamily,
		},
		{
			engine.IPv4, "1234 1e 40 0100 0aff0001 01000004 e0000000 01 01 0000 0200 20010db8000100000000000000000010 0096 c0 00",
			"pim: bootstrap: group 1: rp 1: wrong address family", wire.ErrFamily,
		},
		{
			engine.IPv4, "1234 1e 40 0100 0aff0001 01000004 e0000000 ff ff 0000 0100 0aff0003 0096 c0 00",
			"pim: bootstrap: group 1: rp 2: truncated", wire.ErrTruncated,
		},
	})
	of := func(r wire.RPRange) *wire.Bootstrap {
		return &wire.Bootstrap{BSR: addr("10.255.0.1"), Ranges: []wire.RPRange{r}}
	}
	testNotEncoded(t, wire.ErrRange, of(wire.RPRange{Group: groups("224.0.0.0/4"), RPs: make([]wire.RPMapping, 256)}))
	testNotEncoded(t, wire.ErrFamily, &wire.Bootstrap{}, of(wire.RPRange{Group: groups("ff00::/8")}),
		of(wire.RPRange{Group: groups("224.0.0.0/4"), RPs: []wire.RPMapping{{RP: addr("2001:db8::1")}}}))
}

// TestFragments: the fragments of a message fit, say the same of it and, put together, all of it; a range that fits into one
// fragment is in one; of a scoped message each begins with the range of the scope.
func TestFragments(t *testing.T) {
	for _, c := range []struct {
		first  wire.Group
		rp     netip.Addr
		limit  int
		counts []int // RPs of each range
		most   int   // fragments
	}{
		{groups("224.0.0.0/4"), addr("10.0.0.1"), 1480, []int{2}, 1},
		{groups("224.0.0.0/4"), addr("10.0.0.1"), 100, []int{2, 3, 2, 0, 4}, 3},
		{groups("224.0.0.0/4"), addr("10.0.0.1"), 100, []int{200, 1}, 29},
		{zone("239.0.0.0/8"), addr("10.0.0.1"), 100, []int{0, 3, 3, 3}, 3},
		{zone("239.0.0.0/8"), addr("10.0.0.1"), 100, []int{20, 3, 1}, 5},
		{zone("ff05::/16"), addr("2001:db8::1"), 200, []int{9, 2, 3}, 5},
		{groups("ff00::/8"), addr("2001:db8::1"), 10, []int{2, 1}, 3},
		{groups("ff00::/8"), addr("2001:db8::1"), 1280, nil, 1},
	} {
		m := &wire.Bootstrap{FragmentTag: 7, HashMaskLen: 30, Priority: 3, BSR: c.rp}
		for i, n := range c.counts {
			r := wire.RPRange{Group: c.first, RPCount: uint8(n)}
			if i > 0 {
				r.Group.Zone = false
				r.Group.MaskLen += uint8(i)
			}
			for a := c.rp; n > 0; n-- {
				r.RPs = append(r.RPs, wire.RPMapping{RP: a, Holdtime: time.Minute})
				a = a.Next()
			}
			m.Ranges = append(m.Ranges, r)
		}
		list := m.Fragments(c.limit)
		name := fmt.Sprintf("%v in %d bytes", c.counts, c.limit)
		if len(list) > c.most {
			t.Errorf("%s: %d fragments", name, len(list))
		}
		got := map[wire.Group][]wire.RPMapping{}
		in := map[wire.Group]int{}
		for _, f := range list {
			b, err := f.Append(make([]byte, 4))
			if err != nil || len(b) > c.limit && len(f.Ranges) > 1 {
				t.Errorf("%s: a fragment of %d bytes: %+v (%v)", name, len(b), f, err)
			}
			if len(f.Ranges) > 0 && c.first.Zone && f.Ranges[0].Group != c.first {
				t.Errorf("%s: a fragment begins with %v", name, f.Ranges[0].Group)
			}
			for _, r := range f.Ranges {
				got[r.Group] = append(got[r.Group], r.RPs...)
				if len(r.RPs) > 0 {
					in[r.Group]++
				}
			}
			head := *f
			head.Ranges = m.Ranges
			if !reflect.DeepEqual(&head, m) {
				t.Errorf("%s: a fragment of another message: %+v", name, f)
			}
		}
		for _, r := range m.Ranges {
			if !reflect.DeepEqual(got[r.Group], r.RPs) {
				t.Errorf("%s: of %v there are the RPs %v", name, r.Group, got[r.Group])
			}
			if _, there := got[r.Group]; !there {
				t.Errorf("%s: %v is missing", name, r.Group)
			}
			if len(r.RPs)*10+40 <= c.limit && c.rp.Is4() && in[r.Group] > 1 {
				t.Errorf("%s: %v is divided", name, r.Group)
			}
		}
	}
}
