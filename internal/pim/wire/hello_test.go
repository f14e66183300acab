package wire_test

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/wire"
)

var helloGoldens = []golden{
	{
		name: "hello, IPv4, all options", src: "10.0.12.1", dst: "224.0.0.13",
		hex: `20007783 00010002 0069 00020004 01f409c4 00130004 00000001 00140004 12345678` +
			`0018000c 01000a000d01 01000a000e01 fde90003 616263`,
		msg: &wire.Hello{Options: []wire.Option{
			wire.Holdtime(105 * time.Second),
			wire.LANPruneDelay{PropagationDelay: 500 * time.Millisecond, OverrideInterval: 2500 * time.Millisecond},
			wire.DRPriority(1),
			wire.GenerationID(0x12345678),
			wire.AddressList{addr("10.0.13.1"), addr("10.0.14.1")},
			wire.UnknownOption{OptionType: 65001, Value: []byte("abc")},
		}},
		whole: []int{4, 10, 18, 26, 34, 50},
	},
	{
		name: "hello, IPv6, never expires", src: "fe80::1", dst: "ff02::d",
		hex: `20006712 00140004 cafef00d 00010002 ffff 00020004 83e80bb8` +
			`00180012 0200 20010db8001200000000000000000001`,
		msg: &wire.Hello{Options: []wire.Option{
			wire.GenerationID(0xcafef00d),
			wire.Holdtime(wire.Forever),
			wire.LANPruneDelay{
				TrackingSupport: true, PropagationDelay: time.Second, OverrideInterval: 3 * time.Second,
			},
			wire.AddressList{addr("2001:db8:12::1")},
		}},
		whole: []int{4, 12, 18, 26},
	},
	{
		name: "hello, dense mode", src: "10.0.12.1", dst: "224.0.0.13",
		hex: `2000de1f 00010002 0069 00150004 013c0000 00140004 00000007`,
		msg: &wire.Hello{Options: []wire.Option{
			wire.Holdtime(105 * time.Second), wire.StateRefreshCapable{Version: 1, Interval: time.Minute}, wire.GenerationID(7),
		}},
		whole: []int{4, 10, 18},
	},
	{
		name: "hello, goodbye", src: "10.0.12.1", dst: "224.0.0.13",
		hex:   `2000dffc 00010002 0000`,
		msg:   &wire.Hello{Options: []wire.Option{wire.Holdtime(0)}},
		whole: []int{4},
	},
}

func TestHello(t *testing.T) { testGoldens(t, helloGoldens) }

func FuzzHello(f *testing.F) { fuzzBody(f, wire.TypeHello, helloGoldens) }

func TestHelloErrors(t *testing.T) {
	testBodyErrors(t, wire.TypeHello, []bodyError{
		{engine.IPv4, "00010002 0069 0001", "pim: hello: option 2: truncated", wire.ErrTruncated},
		{engine.IPv4, "00010003 006900", "pim: hello: option 1: type 1: 3 bytes: bad option length", wire.ErrOptionLength},
		{engine.IPv4, "00020002 01f4", "pim: hello: option 1: type 2: 2 bytes: bad option length", wire.ErrOptionLength},
		{
			engine.IPv4, "0018000c 01000a000d01 01000a000e", "pim: hello: option 1: truncated", wire.ErrTruncated,
		},
		{
			engine.IPv4, "0018000b 01000a000d01 01000a000e", "pim: hello: option 1: type 24: address 2: truncated",
			wire.ErrTruncated,
		},
		{
			engine.IPv6, "00180018 01000a000d01 0200 20010db8001200000000000000000001",
			"pim: hello: option 1: type 24: address 2: wrong address family", wire.ErrFamily,
		},
		{
			engine.IPv4, "00180006 03000a000d01", "pim: hello: option 1: type 24: address 1: family 3: wrong address family",
			wire.ErrFamily,
		},
		{
			engine.IPv4, "00180006 01070a000d01",
			"pim: hello: option 1: type 24: address 1: encoding 7: unknown address encoding", wire.ErrEncoding,
		},
	})
	testNotEncoded(t, wire.ErrRange,
		&wire.Hello{Options: []wire.Option{wire.Holdtime(-1)}},
		&wire.Hello{Options: []wire.Option{wire.Holdtime(wire.Forever + 1)}},
		&wire.Hello{Options: []wire.Option{wire.Holdtime(wire.Forever - 1)}},
		&wire.Hello{Options: []wire.Option{wire.LANPruneDelay{PropagationDelay: 32768 * time.Millisecond}}},
		&wire.Hello{Options: []wire.Option{wire.LANPruneDelay{OverrideInterval: -1}}},
		&wire.Hello{Options: []wire.Option{wire.UnknownOption{OptionType: 65001, Value: make([]byte, 65536)}}},
	)
	testNotEncoded(t, wire.ErrFamily,
		&wire.Hello{Options: []wire.Option{wire.AddressList{addr("10.0.0.1"), addr("2001:db8::1")}}},
		&wire.Hello{Options: []wire.Option{wire.AddressList{netip.Addr{}}}},
	)
}

// TestHelloAccessors: the last option of a type counts, all address lists do, and what is not there is not there.
func TestHelloAccessors(t *testing.T) {
	h := &wire.Hello{Options: []wire.Option{
		wire.Holdtime(time.Second), wire.Holdtime(2 * time.Second), wire.DRPriority(7), wire.GenerationID(9),
		wire.LANPruneDelay{TrackingSupport: true},
		wire.AddressList{addr("10.0.0.1")}, wire.AddressList{addr("10.0.0.2")},
		wire.StateRefreshCapable{Version: 1, Interval: time.Minute},
	}}
	if o, ok := h.StateRefreshCapable(); o.Version != 1 || o.Interval != time.Minute || !ok {
		t.Errorf("StateRefreshCapable: %v, %v", o, ok)
	}
	if d, ok := h.Holdtime(); d != 2*time.Second || !ok {
		t.Errorf("Holdtime: %v, %v", d, ok)
	}
	if p, ok := h.DRPriority(); p != 7 || !ok {
		t.Errorf("DRPriority: %v, %v", p, ok)
	}
	if g, ok := h.GenerationID(); g != 9 || !ok {
		t.Errorf("GenerationID: %v, %v", g, ok)
	}
	if l, ok := h.LANPruneDelay(); !l.TrackingSupport || !ok {
		t.Errorf("LANPruneDelay: %v, %v", l, ok)
	}
	if a := h.AddressList(); !reflect.DeepEqual(a, []netip.Addr{addr("10.0.0.1"), addr("10.0.0.2")}) {
		t.Errorf("AddressList: %v", a)
	}
	empty := &wire.Hello{}
	_, holdtime := empty.Holdtime()
	_, priority := empty.DRPriority()
	_, genID := empty.GenerationID()
	_, delay := empty.LANPruneDelay()
	_, refresh := empty.StateRefreshCapable()
	if holdtime || priority || genID || delay || refresh || empty.AddressList() != nil {
		t.Error("an empty Hello has options")
	}
}

// TestHelloRounds: times of a scaled lab that are no whole seconds or milliseconds are rounded up, never down to a
// goodbye.
func TestHelloRounds(t *testing.T) {
	h := &wire.Hello{Options: []wire.Option{
		wire.Holdtime(105 * time.Millisecond),
		wire.LANPruneDelay{PropagationDelay: 500 * time.Microsecond, OverrideInterval: 2500 * time.Microsecond},
	}}
	b, err := wire.Encode(h, addr("10.0.12.1"), addr("224.0.0.13"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := wire.Parse(b, addr("10.0.12.1"), addr("224.0.0.13"))
	want := &wire.Hello{Options: []wire.Option{
		wire.Holdtime(time.Second),
		wire.LANPruneDelay{PropagationDelay: time.Millisecond, OverrideInterval: 3 * time.Millisecond},
	}}
	if err != nil || !reflect.DeepEqual(m, want) {
		t.Errorf("got %+v (%v), want %+v", m, err, want)
	}
}
