package wire_test

import (
	"reflect"
	"runtime"
	"testing"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/wire"
)

var joinPruneGoldens = []golden{
	{
		name: "join/prune, IPv4, every kind of source", src: "10.0.12.1", dst: "224.0.0.13",
		hex: `23009d3f 01000a000c02 00 02 00d2` +
			`01000020 ef010101 0002 0001 01000720 0aff0003 01000420 0a00010a 01000520 0a000909` +
			`01000020 e8010101 0000 0001 01000420 0a00010b`,
		msg: &wire.JoinPrune{Upstream: addr("10.0.12.2"), Holdtime: 210 * time.Second, Groups: []wire.GroupSet{
			{
				Group:  wire.GroupOf(addr("239.1.1.1")),
				Joined: []wire.Source{wire.StarG(addr("10.255.0.3")), wire.SG(addr("10.0.1.10"))},
				Pruned: []wire.Source{wire.SGRpt(addr("10.0.9.9"))},
			},
			{Group: wire.GroupOf(addr("232.1.1.1")), Pruned: []wire.Source{wire.SG(addr("10.0.1.11"))}},
		}},
	},
	{
		name: "join/prune, IPv6, holds forever", src: "fe80::1", dst: "ff02::d",
		hex: `2300a831 0200 fe800000000000000000000000000002 00 01 ffff` +
			`02000080 ff3e0000000000000000000000000001 0001 0000 02000480 20010db8000100000000000000000010`,
		msg: &wire.JoinPrune{Upstream: addr("fe80::2"), Holdtime: wire.Forever, Groups: []wire.GroupSet{
			{Group: wire.GroupOf(addr("ff3e::1")), Joined: []wire.Source{wire.SG(addr("2001:db8:1::10"))}},
		}},
	},
	{
		name: "join/prune, IPv4, dense mode's source, a range of groups", src: "10.0.12.1", dst: "224.0.0.13",
		hex: `23005718 01000a000c02 00 01 00b4 01008104 e0000000 0000 0001 01000020 0a00010a`,
		msg: &wire.JoinPrune{Upstream: addr("10.0.12.2"), Holdtime: 180 * time.Second, Groups: []wire.GroupSet{
			{
				Group:  wire.Group{Addr: addr("224.0.0.0"), MaskLen: 4, Bidir: true, Zone: true},
				Pruned: []wire.Source{{Addr: addr("10.0.1.10")}},
			},
		}},
	},
	{
		name: "join/prune, mixed families: the others are left out", src: "10.0.12.1", dst: "224.0.0.13", other: true,
		hex: `23005985 01000a000c02 00 02 00d2` +
			`02000080 ff3e0000000000000000000000000001 0001 0000 02000480 20010db8000100000000000000000010` +
			`01000020 ef010101 0002 0000 02000480 20010db8000100000000000000000010 01000420 0a00010a`,
		msg: &wire.JoinPrune{Upstream: addr("10.0.12.2"), Holdtime: 210 * time.Second, Groups: []wire.GroupSet{
			{Group: wire.GroupOf(addr("239.1.1.1")), Joined: []wire.Source{wire.SG(addr("10.0.1.10"))}},
		}},
	},
}

func TestJoinPrune(t *testing.T) { testGoldens(t, joinPruneGoldens) }

func FuzzJoinPrune(f *testing.F) { fuzzBody(f, wire.TypeJoinPrune, joinPruneGoldens) }

func TestJoinPruneErrors(t *testing.T) {
	header := "01000a000c02 00 02 00d2"
	testBodyErrors(t, wire.TypeJoinPrune, []bodyError{
		{
			engine.IPv6, header, "pim: join/prune: upstream neighbor: wrong address family", wire.ErrFamily,
		},
		{
			engine.IPv4, header + "01000020 ef010101 0000 0000 01000020 ef010101 0001 0002" +
				"01000720 0aff0003 01000520 0a000909 01000520 0a0009",
			"pim: join/prune: group 2: source 3: truncated", wire.ErrTruncated,
		},
		{
			engine.IPv4, header + "01000021 ef010101 0000 0000", "pim: join/prune: group 1: bad mask length",
			wire.ErrMaskLen,
		},
		{
			engine.IPv4, header + "01000020 ef010101 0001 0000 0100071f 0aff0003",
			"pim: join/prune: group 1: source 1: bad mask length", wire.ErrMaskLen,
		},
		{
			engine.IPv4, header + "01000020 ef010101 0001 0000 01000620 0aff0003",
			"pim: join/prune: group 1: source 1: wildcard bit without RPT bit", wire.ErrFlags,
		},
		{
			engine.IPv4, header + "01000020 ef010101 0001 0000 01010420 0aff0003",
			"pim: join/prune: group 1: source 1: encoding 1: unknown address encoding", wire.ErrEncoding,
		},
	})
	up, group := addr("10.0.12.2"), wire.GroupOf(addr("239.1.1.1"))
	set := func(s ...wire.Source) *wire.JoinPrune {
		return &wire.JoinPrune{Upstream: up, Groups: []wire.GroupSet{{Group: group, Joined: s}}}
	}
	testNotEncoded(t, wire.ErrFamily,
		&wire.JoinPrune{},
		&wire.JoinPrune{Upstream: addr("fe80::2"), Groups: []wire.GroupSet{{Group: group}}},
		set(wire.SG(addr("2001:db8::1"))),
	)
	testNotEncoded(t, wire.ErrRange,
		&wire.JoinPrune{Upstream: up, Holdtime: -time.Second},
		&wire.JoinPrune{Upstream: up, Groups: make([]wire.GroupSet, 256)},
		set(make([]wire.Source, 65536)...),
	)
	testNotEncoded(t, wire.ErrFlags, set(wire.Source{Addr: addr("10.255.0.3"), Wildcard: true}))
}

// TestSourceKinds: the three kinds of entry by their flags (RFC 7761 section 4.9.5.1).
func TestSourceKinds(t *testing.T) {
	a := addr("10.0.0.1")
	for _, c := range []struct {
		s                  wire.Source
		starG, sgRpt, isSG bool
	}{
		{wire.StarG(a), true, false, false}, {wire.SGRpt(a), false, true, false}, {wire.SG(a), false, false, true},
		{wire.Source{Addr: a}, false, false, true},
	} {
		got := []bool{c.s.IsStarG(), c.s.IsSGRpt(), c.s.IsSG()}
		if want := []bool{c.starG, c.sgRpt, c.isSG}; !reflect.DeepEqual(got, want) {
			t.Errorf("%+v: got %v, want %v", c.s, got, want)
		}
	}
	if !wire.GroupOf(addr("239.1.1.1")).Single() || wire.GroupOf(a).Single() {
		t.Error("Single is wrong about an address with a full mask")
	}
	if (wire.Group{Addr: addr("239.1.1.0"), MaskLen: 24}).Single() {
		t.Error("a range of groups is single")
	}
}

// TestJoinPruneClaims: a message that claims 255 groups of 131,070 sources and has none makes no room for them.
func TestJoinPruneClaims(t *testing.T) {
	body := golden{hex: "01000a000c02 00 ff 00d2 01000020 ef010101 ffff ffff 01000420 0a00010a"}.bytes()
	b, src, dst := message(wire.TypeJoinPrune, body, engine.IPv4)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100 {
		if _, err := wire.Parse(b, src, dst); err == nil {
			t.Fatal("accepted")
		}
	}
	runtime.ReadMemStats(&after)
	if per := (after.TotalAlloc - before.TotalAlloc) / 100; per > 4096 {
		t.Errorf("%d bytes for one refused message", per)
	}
}
