package wire_test

import (
	"reflect"
	"testing"

	"grove/internal/engine"
	"grove/internal/pim/wire"
)

const (
	innerIPv4 = `4500001e 00010000 1f11a0c2 0a00010a ef010101 9c409c41 000a0000 6869`
	innerIPv6 = `60000000 000a111f 20010db8000100000000000000000010 ff3e0000000000000000000000000001` +
		`9c409c41 000abeef 6869`
)

var registerGoldens = []golden{
	{
		name: "register, IPv4", src: "10.0.12.1", dst: "10.255.0.3",
		hex: `2100deff 00000000` + innerIPv4,
		msg: &wire.Register{Packet: golden{hex: innerIPv4}.bytes()},
	},
	{
		name: "register, IPv4, checksum over everything", src: "10.0.12.1", dst: "10.255.0.3", other: true,
		hex: `21003e0a 00000000` + innerIPv4,
		msg: &wire.Register{Packet: golden{hex: innerIPv4}.bytes()},
	},
	{
		name: "null-register, IPv4", src: "10.0.12.1", dst: "10.255.0.3",
		hex: `21009eff 40000000 45000014 00000000 40677f77 0a00010a ef010101`,
		msg: wire.NullRegister(addr("10.0.1.10"), addr("239.1.1.1")),
	},
	{
		name: "register, IPv6, border", src: "2001:db8:12::1", dst: "2001:db8:ff::3",
		hex: `21000209 80000000` + innerIPv6,
		msg: &wire.Register{Border: true, Packet: golden{hex: innerIPv6}.bytes()},
	},
	{
		name: "register, IPv6, checksum over everything", src: "2001:db8:12::1", dst: "2001:db8:ff::3", other: true,
		hex: `210003be 80000000` + innerIPv6,
		msg: &wire.Register{Border: true, Packet: golden{hex: innerIPv6}.bytes()},
	},
	{
		name: "null-register, IPv6", src: "2001:db8:12::1", dst: "2001:db8:ff::3",
		hex: `21004209 40000000 60000000 00046740 20010db8000100000000000000000010` +
			`ff3e0000000000000000000000000001 0000d28a`,
		msg:   wire.NullRegister(addr("2001:db8:1::10"), addr("ff3e::1")),
		whole: []int{48}, // the dummy PIM header is optional
	},
}

func TestRegister(t *testing.T) { testGoldens(t, registerGoldens) }

func FuzzRegister(f *testing.F) { fuzzBody(f, wire.TypeRegister, registerGoldens) }

func TestRegisterErrors(t *testing.T) {
	testBodyErrors(t, wire.TypeRegister, []bodyError{
		{engine.IPv4, "00000000" + innerIPv6, "pim: register: inner packet: IP version 6: wrong address family", wire.ErrFamily},
		{engine.IPv6, "00000000" + innerIPv4, "pim: register: inner packet: IP version 4: wrong address family", wire.ErrFamily},
		{
			engine.IPv4, "00000000 4400001e 00010000 1f11a0c2 0a00010a ef010101",
			"pim: register: inner packet: header length 16: bad inner packet", wire.ErrInnerPacket,
		},
		{
			engine.IPv4, "00000000 4600001e 00010000 1f11a0c2 0a00010a ef010101",
			"pim: register: inner packet: truncated", wire.ErrTruncated,
		},
		{
			engine.IPv4, "00000000 45000013 00010000 1f11a0c2 0a00010a ef010101",
			"pim: register: inner packet: total length 19: bad inner packet", wire.ErrInnerPacket,
		},
		{
			engine.IPv4, "40000000 45000014 00000000 40677f78 0a00010a ef010101",
			"pim: register: dummy header: bad checksum: bad inner packet", wire.ErrInnerPacket,
		},
		{
			engine.IPv6, "40000000 60000000 00046740 20010db8000100000000000000000010 ff3e0000000000000000000000000001 00000001",
			"pim: register: dummy PIM header: bad checksum: bad inner packet", wire.ErrInnerPacket,
		},
	})
	testNotEncoded(t, wire.ErrTruncated, &wire.Register{}, &wire.Register{Packet: []byte{0x45}})
}

// TestNullRegisterWithoutChecksum: a dummy IPv4 header whose checksum is zero is not checked at all, and neither are its
// other fields (RFC 7761 section 4.9.3).
func TestNullRegisterWithoutChecksum(t *testing.T) {
	body := golden{hex: "40000000 4500ffff 12341fff 01110000 0a00010a ef010101"}.bytes()
	b, src, dst := message(wire.TypeRegister, body, engine.IPv4)
	m, err := wire.Parse(b, src, dst)
	if err != nil {
		t.Fatal(err)
	}
	r, ok := m.(*wire.Register)
	if !ok || !r.Null {
		t.Fatalf("got %+v", m)
	}
	if s, g := r.Flow(); s != addr("10.0.1.10") || g != addr("239.1.1.1") {
		t.Errorf("got the flow (%v,%v)", s, g)
	}
}

func TestRegisterFlow(t *testing.T) {
	for _, c := range []struct{ inner, s, g string }{
		{innerIPv4, "10.0.1.10", "239.1.1.1"}, {innerIPv6, "2001:db8:1::10", "ff3e::1"},
	} {
		s, g := (&wire.Register{Packet: golden{hex: c.inner}.bytes()}).Flow()
		if s != addr(c.s) || g != addr(c.g) {
			t.Errorf("got (%v,%v), want (%s,%s)", s, g, c.s, c.g)
		}
	}
	if s, g := (&wire.Register{Packet: []byte{0x45, 0}}).Flow(); s.IsValid() || g.IsValid() {
		t.Errorf("half a header has the flow (%v,%v)", s, g)
	}
}

// TestRegisterKeepsPacket: the packet in a parsed Register is not copied, and is whole.
func TestRegisterKeepsPacket(t *testing.T) {
	g := registerGoldens[0]
	b := g.bytes()
	m, err := wire.Parse(b, addr(g.src), addr(g.dst))
	if err != nil {
		t.Fatal(err)
	}
	p := m.(*wire.Register).Packet
	if &p[0] != &b[8] || !reflect.DeepEqual(p, b[8:]) {
		t.Error("the inner packet is a copy")
	}
}
