package wire_test

import (
	"net/netip"
	"testing"

	"grove/internal/engine"
	"grove/internal/pim/wire"
)

var registerStopGoldens = []golden{
	{
		name: "register-stop, IPv4", src: "10.255.0.3", dst: "10.0.12.1",
		hex: `2200e0d2 01000020 ef010101 0100 0a00010a`,
		msg: &wire.RegisterStop{Group: wire.GroupOf(addr("239.1.1.1")), Source: addr("10.0.1.10")},
	},
	{
		name: "register-stop, IPv6, any source", src: "2001:db8:ff::3", dst: "2001:db8:12::1",
		hex: `22007d27 02000080 ff3e0000000000000000000000000001 0200 00000000000000000000000000000000`,
		msg: &wire.RegisterStop{Group: wire.GroupOf(addr("ff3e::1")), Source: netip.IPv6Unspecified()},
	},
}

func TestRegisterStop(t *testing.T) { testGoldens(t, registerStopGoldens) }

func FuzzRegisterStop(f *testing.F) { fuzzBody(f, wire.TypeRegisterStop, registerStopGoldens) }

func TestRegisterStopErrors(t *testing.T) {
	testBodyErrors(t, wire.TypeRegisterStop, []bodyError{
		{
			engine.IPv4, "01000021 ef010101 0100 0a00010a", "pim: register-stop: group: bad mask length", wire.ErrMaskLen,
		},
		{
			engine.IPv6, "01000020 ef010101 0100 0a00010a", "pim: register-stop: group: wrong address family", wire.ErrFamily,
		},
		{
			engine.IPv4, "01000020 ef010101 0200 20010db8000100000000000000000010",
			"pim: register-stop: source: wrong address family", wire.ErrFamily,
		},
	})
	testNotEncoded(t, wire.ErrFamily,
		&wire.RegisterStop{Group: wire.GroupOf(addr("239.1.1.1")), Source: addr("2001:db8::1")},
		&wire.RegisterStop{Group: wire.GroupOf(addr("239.1.1.1"))},
	)
	testNotEncoded(t, wire.ErrMaskLen,
		&wire.RegisterStop{Group: wire.Group{Addr: addr("239.1.1.1"), MaskLen: 33}, Source: addr("10.0.0.1")})
}
