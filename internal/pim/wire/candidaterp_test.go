package wire_test

import (
	"testing"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/wire"
)

var candidateRPGoldens = []golden{
	{
		name: "candidate-rp advertisement, IPv4, two ranges", src: "10.255.0.3", dst: "10.255.0.1",
		hex: `2800f699 02 c0 0096 0100 0aff0003 01000004 e0000000 01000108 ef000000`,
		msg: &wire.CandidateRPAdv{
			Priority: 192, Holdtime: 150 * time.Second, RP: addr("10.255.0.3"),
			Groups: []wire.Group{groups("224.0.0.0/4"), zone("239.0.0.0/8")},
		},
	},
	{
		name: "candidate-rp advertisement, IPv4, a goodbye without ranges", src: "10.255.0.3", dst: "10.255.0.1",
		hex: `2800cbfd 00 00 0000 0100 0aff0003`,
		msg: &wire.CandidateRPAdv{RP: addr("10.255.0.3")},
	},
	{
		name: "candidate-rp advertisement, IPv6", src: "2001:db8:ff::3", dst: "2001:db8:ff::1",
		hex: `280045dc 01 c0 0096 0200 20010db800ff00000000000000000003 02000008 ff000000000000000000000000000000`,
		msg: &wire.CandidateRPAdv{
			Priority: 192, Holdtime: 150 * time.Second, RP: addr("2001:db8:ff::3"), Groups: []wire.Group{groups("ff00::/8")},
		},
	},
}

func TestCandidateRPAdv(t *testing.T) { testGoldens(t, candidateRPGoldens) }

func FuzzCandidateRPAdv(f *testing.F) { fuzzBody(f, wire.TypeCandidateRP, candidateRPGoldens) }

func TestCandidateRPAdvErrors(t *testing.T) {
	testBodyErrors(t, wire.TypeCandidateRP, []bodyError{
		{engine.IPv4, "01 c0 0096 0200 20010db800ff00000000000000000003", "pim: candidate-rp: rp: wrong address family", wire.ErrFamily},
		{
			engine.IPv4, "02 c0 0096 0100 0aff0003 01000004 e0000000 01000121 ef000000",
			"pim: candidate-rp: group 2: bad mask length", wire.ErrMaskLen,
		},
		{engine.IPv4, "ff c0 0096 0100 0aff0003", "pim: candidate-rp: group 1: truncated", wire.ErrTruncated},
	})
	testNotEncoded(t, wire.ErrRange,
		&wire.CandidateRPAdv{RP: addr("10.255.0.3"), Groups: make([]wire.Group, 256)},
		&wire.CandidateRPAdv{RP: addr("10.255.0.3"), Holdtime: -1})
	testNotEncoded(t, wire.ErrFamily,
		&wire.CandidateRPAdv{}, &wire.CandidateRPAdv{RP: addr("10.255.0.3"), Groups: []wire.Group{groups("ff00::/8")}})
}
