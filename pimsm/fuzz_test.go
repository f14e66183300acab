package pimsm

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/wire"
)

// FuzzReceive hands any bytes as a PIM packet from a neighbor to a machine with state. It may not panic, every state
// machine must be where the oracle says it has to be, and a packet that does not parse changes nothing but a count.
func FuzzReceive(f *testing.F) {
	src, dst := netip.MustParseAddr("10.0.0.1"), wire.AllPIMRouters(engine.IPv4)
	g, s, rp := netip.MustParseAddr("239.1.1.1"), netip.MustParseAddr("10.9.0.1"), netip.MustParseAddr("10.255.0.1")
	for _, m := range []wire.Message{
		&wire.Hello{Options: []wire.Option{wire.Holdtime(time.Minute), wire.GenerationID(7)}},
		&wire.JoinPrune{Upstream: netip.MustParseAddr("10.0.0.100"), Holdtime: time.Minute, Groups: []wire.GroupSet{{
			Group: wire.GroupOf(g), Joined: []wire.Source{wire.StarG(rp), wire.SG(s)}, Pruned: []wire.Source{wire.SGRpt(s)},
		}}},
		&wire.Assert{Group: wire.GroupOf(g), Source: s, MetricPreference: 1, Metric: 2},
	} {
		b, err := wire.Encode(m, src, dst)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, false)
	}
	for _, m := range []wire.Message{&wire.Register{Packet: dataOf(s, g)}, &wire.RegisterStop{Group: wire.GroupOf(g), Source: s}} {
		b, err := wire.Encode(m, rp, src)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, true)
	}
	f.Fuzz(func(t *testing.T, payload []byte, unicast bool) {
		w := newWalk(t, 1)
		for range 40 {
			w.happen()
		}
		p := engine.Packet{If: w.links[0].ID, Src: w.neighbor(0, 1), Dst: dst, Proto: engine.ProtoPIM, TTL: 1, Payload: payload}
		if unicast {
			p.Dst = w.links[0].Addrs[0].Addr()
		}
		before := w.m.showEntries()
		w.tell("fuzz", p)
		w.check()
		if _, err := wire.Parse(payload, p.Src, p.Dst); err != nil && !reflect.DeepEqual(before, w.m.showEntries()) {
			t.Errorf("%v, yet state changed", err)
		}
	})
}
