package pimsm_test

import (
	"net/netip"
	"slices"
	"testing"

	"grove/internal/engine"
)

// TestFlowsBeforeThePath: the first packets of several flows of a source come before rib has told the way to it. Each of them is
// watched and, if its group has an RP, registered, none is declined.
func TestFlowsBeforeThePath(t *testing.T) {
	for _, groups := range [][]string{{"239.9.1.1", "239.1.1.1"}, {"239.1.1.1", "239.9.1.1"}, {"239.1.1.1", "239.1.1.2", "239.1.1.3"}} {
		w := newWorld(t, engine.IPv4)
		for _, line := range [][]string{
			{"iface", "eth1", "10.1.0.1/24"}, {"iface", "eth2", "10.0.12.1/24"}, {"path", "10.255.0.5", "via", "eth2", "10.0.12.2"},
			{"path", "10.1.0.10", "connected", "eth1"}, {"config", "rp", "10.255.0.5", "239.1.0.0/16"}, {"config", "go"},
			{"hello", "eth2", "10.0.12.2"}, {"wait", "1s"},
		} {
			if err := w.do(line); err != nil {
				t.Fatal(err)
			}
		}
		var paths []engine.Event
		wanted := map[netip.Addr]engine.Want{}
		step := func(ev engine.Event) {
			for _, e := range slices.Clone(w.m.Step(w.now, ev)) {
				switch e := e.(type) {
				case engine.Track:
					p := w.paths[e.Addr]
					p.Addr = e.Addr
					paths = append(paths, p)
				case engine.Want:
					wanted[e.Key.Group] = e
				case engine.Decline:
					t.Errorf("%v: %v is declined", groups, e.Key)
				}
			}
		}
		source := addr("10.1.0.10")
		for _, g := range groups {
			step(engine.Creation{Key: engine.SG(source, addr(g)), Packet: dataPacket(source, addr(g), nil)})
		}
		step(engine.Settled{})
		if len(paths) == 0 || len(wanted) > 0 {
			t.Fatalf("%v: %d tracked, %v wanted before the path is known", groups, len(paths), wanted)
		}
		for _, p := range paths {
			step(p)
		}
		step(engine.Settled{})
		for _, g := range groups {
			if x, ok := wanted[addr(g)]; !ok || x.In == 0 || len(x.Encap) > 0 != (g != "239.9.1.1") {
				t.Errorf("%v: of %s is wanted %+v", groups, g, x)
			}
		}
	}
}
