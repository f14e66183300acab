package wire_test

import (
	"net/netip"
	"testing"

	"grove/internal/engine"
	"grove/internal/pim/wire"
)

var assertGoldens = []golden{
	{
		name: "assert (S,G), IPv4", src: "10.0.12.1", dst: "224.0.0.13",
		hex: `2500dd50 01000020 ef010101 0100 0a00010a 0000006e 00000014`,
		msg: &wire.Assert{
			Group: wire.GroupOf(addr("239.1.1.1")), Source: addr("10.0.1.10"), MetricPreference: 110, Metric: 20,
		},
	},
	{
		name: "assert cancel (*,G), IPv6", src: "fe80::1", dst: "ff02::d",
		hex: `2500d914 02000080 ff3e0000000000000000000000000001 0200 00000000000000000000000000000000 ffffffff ffffffff`,
		msg: &wire.Assert{
			Group: wire.GroupOf(addr("ff3e::1")), Source: netip.IPv6Unspecified(), RPT: true,
			MetricPreference: wire.InfiniteMetricPreference, Metric: wire.InfiniteMetric,
		},
	},
}

func TestAssert(t *testing.T) { testGoldens(t, assertGoldens) }

func FuzzAssert(f *testing.F) { fuzzBody(f, wire.TypeAssert, assertGoldens) }

func TestAssertErrors(t *testing.T) {
	testBodyErrors(t, wire.TypeAssert, []bodyError{
		{
			engine.IPv6, "01000020 ef010101 0100 0a00010a 0000006e 00000014",
			"pim: assert: group: wrong address family", wire.ErrFamily,
		},
		{
			engine.IPv4, "01000020 ef010101 0101 0a00010a 0000006e 00000014",
			"pim: assert: source: encoding 1: unknown address encoding", wire.ErrEncoding,
		},
		{engine.IPv4, "01000020 ef010101 0100 0a00010a 000000", "pim: assert: truncated", wire.ErrTruncated},
	})
	testNotEncoded(t, wire.ErrRange, &wire.Assert{
		Group: wire.GroupOf(addr("239.1.1.1")), Source: addr("10.0.1.10"), MetricPreference: 1 << 31,
	})
}
