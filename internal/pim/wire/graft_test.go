package wire_test

import (
	"testing"

	"grove/internal/engine"
	"grove/internal/pim/wire"
)

var graftGoldens = []golden{
	{
		name: "graft, IPv4, two sources", src: "10.0.12.1", dst: "10.0.12.2",
		hex: `2600b982 01000a000c02 00 01 0000 01000020 ef010101 0002 0000 01000020 0a00010a 01000020 0a00010b`,
		msg: &wire.Graft{Upstream: addr("10.0.12.2"), Groups: []wire.GroupSet{{
			Group:  wire.GroupOf(addr("239.1.1.1")),
			Joined: []wire.Source{{Addr: addr("10.0.1.10")}, {Addr: addr("10.0.1.11")}},
		}}},
	},
	{
		name: "graft, IPv6", src: "fe80::1", dst: "fe80::2",
		hex: `2600a9be 0200 fe800000000000000000000000000002 00 01 0000` +
			`02000080 ff3e0000000000000000000000000001 0001 0000 02000080 20010db8000100000000000000000010`,
		msg: &wire.Graft{Upstream: addr("fe80::2"), Groups: []wire.GroupSet{{
			Group: wire.GroupOf(addr("ff3e::1")), Joined: []wire.Source{{Addr: addr("2001:db8:1::10")}},
		}}},
	},
}

var graftAckGoldens = []golden{
	{
		name: "graft-ack, IPv4", src: "10.0.12.2", dst: "10.0.12.1",
		hex: `2700c4af 01000a000c01 00 01 0000 01000020 ef010101 0001 0000 01000020 0a00010a`,
		msg: &wire.GraftAck{Upstream: addr("10.0.12.1"), Groups: []wire.GroupSet{{
			Group: wire.GroupOf(addr("239.1.1.1")), Joined: []wire.Source{{Addr: addr("10.0.1.10")}},
		}}},
	},
	{
		name: "graft-ack, IPv6", src: "fe80::2", dst: "fe80::1",
		hex: `2700a8bf 0200 fe800000000000000000000000000001 00 01 0000` +
			`02000080 ff3e0000000000000000000000000001 0001 0000 02000080 20010db8000100000000000000000010`,
		msg: &wire.GraftAck{Upstream: addr("fe80::1"), Groups: []wire.GroupSet{{
			Group: wire.GroupOf(addr("ff3e::1")), Joined: []wire.Source{{Addr: addr("2001:db8:1::10")}},
		}}},
	},
}

func TestGraft(t *testing.T) {
	testGoldens(t, graftGoldens)
	testGoldens(t, graftAckGoldens)
}

func FuzzGraft(f *testing.F) { fuzzBody(f, wire.TypeGraft, graftGoldens) }

func FuzzGraftAck(f *testing.F) { fuzzBody(f, wire.TypeGraftAck, graftAckGoldens) }

func TestGraftErrors(t *testing.T) {
	testBodyErrors(t, wire.TypeGraft, []bodyError{
		{engine.IPv4, "01000a000c02 00 01 0000 01000020 ef01", "pim: graft: group 1: truncated", wire.ErrTruncated},
	})
	testBodyErrors(t, wire.TypeGraftAck, []bodyError{
		{
			engine.IPv4, "01000a000c02 00 01 0000 01000020 ef010101 0001 0000 01000018 0a00010a",
			"pim: graft-ack: group 1: source 1: bad mask length", wire.ErrMaskLen,
		},
	})
}

// TestPackGraft: a hundred sources of a group go into as many Grafts as the MTU asks for.
func TestPackGraft(t *testing.T) {
	set := wire.GroupSet{Group: wire.GroupOf(addr("239.1.1.1"))}
	s := addr("10.0.1.1")
	for range 100 {
		set.Joined = append(set.Joined, wire.Source{Addr: s})
		s = s.Next()
	}
	messages, err := wire.PackGraft(addr("10.0.12.2"), []wire.GroupSet{set}, wire.MaxMessage(576, s))
	if err != nil {
		t.Fatal(err)
	}
	sources := 0
	for _, m := range messages {
		b, err := wire.Encode(m, addr("10.0.12.1"), addr("10.0.12.2"))
		if err != nil || len(b) > 556 || m.Holdtime != 0 {
			t.Errorf("a Graft of %d bytes, holdtime %v (%v)", len(b), m.Holdtime, err)
		}
		sources += len(m.Groups[0].Joined)
	}
	if len(messages) != 2 || sources != 100 {
		t.Errorf("%d messages with %d sources", len(messages), sources)
	}
}
