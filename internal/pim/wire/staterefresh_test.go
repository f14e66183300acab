package wire_test

import (
	"testing"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/wire"
)

var stateRefreshGoldens = []golden{
	{
		name: "state refresh, IPv4, prune indicator and assert override", src: "10.0.12.1", dst: "224.0.0.13",
		hex: `290014d3 01000020 ef010101 0100 0a00010a 0100 0a000101 0000006e 00000014 18 40 a0 3c`,
		msg: &wire.StateRefresh{
			Group: wire.GroupOf(addr("239.1.1.1")), Source: addr("10.0.1.10"), Originator: addr("10.0.1.1"),
			MetricPreference: 110, Metric: 20, MaskLen: 24, TTL: 64, PruneIndicator: true, AssertOverride: true,
			Interval: time.Minute,
		},
	},
	{
		name: "state refresh, IPv6, prune now", src: "fe80::1", dst: "ff02::d",
		hex: `29007677 02000080 ff3e0000000000000000000000000001 0200 20010db8000100000000000000000010` +
			`0200 20010db8000100000000000000000001 80000000 00000001 40 01 40 ff`,
		msg: &wire.StateRefresh{
			Group: wire.GroupOf(addr("ff3e::1")), Source: addr("2001:db8:1::10"), Originator: addr("2001:db8:1::1"),
			RPT: true, Metric: 1, MaskLen: 64, TTL: 1, PruneNow: true, Interval: 255 * time.Second,
		},
	},
}

func TestStateRefresh(t *testing.T) { testGoldens(t, stateRefreshGoldens) }

func FuzzStateRefresh(f *testing.F) { fuzzBody(f, wire.TypeStateRefresh, stateRefreshGoldens) }

func TestStateRefreshErrors(t *testing.T) {
	testBodyErrors(t, wire.TypeStateRefresh, []bodyError{
		{
			engine.IPv4, "01000020 ef010101 0100 0a00010a 0201 0a000101 0000006e 00000014 18 40 a0 3c",
			"pim: state-refresh: originator: encoding 1: unknown address encoding", wire.ErrEncoding,
		},
		{
			engine.IPv4, "01000020 ef010101 0100 0a00010a 0100 0a000101 0000006e 00000014 21 40 a0 3c",
			"pim: state-refresh: mask length 33: bad mask length", wire.ErrMaskLen,
		},
		{
			engine.IPv6, "01000020 ef010101 0100 0a00010a 0100 0a000101 0000006e 00000014 18 40 a0 3c",
			"pim: state-refresh: group: wrong address family", wire.ErrFamily,
		},
	})
	of := func(change func(*wire.StateRefresh)) *wire.StateRefresh {
		m := *stateRefreshGoldens[0].msg.(*wire.StateRefresh)
		change(&m)
		return &m
	}
	testNotEncoded(t, wire.ErrRange,
		of(func(m *wire.StateRefresh) { m.Interval = 256 * time.Second }),
		of(func(m *wire.StateRefresh) { m.Interval = -1 }),
		of(func(m *wire.StateRefresh) { m.MetricPreference = 1 << 31 }))
	testNotEncoded(t, wire.ErrMaskLen, of(func(m *wire.StateRefresh) { m.MaskLen = 33 }))
}

// TestIntervalRoundsUp: an interval that time scaling made a fraction of a second is no zero on the wire.
func TestIntervalRoundsUp(t *testing.T) {
	m := *stateRefreshGoldens[0].msg.(*wire.StateRefresh)
	m.Interval = 300 * time.Millisecond
	b, err := wire.Encode(&m, addr("10.0.12.1"), addr("224.0.0.13"))
	if err != nil || b[len(b)-1] != 1 {
		t.Errorf("300 ms becomes % x (%v)", b, err)
	}
}
