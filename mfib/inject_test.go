package mfib_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"grove/internal/engine"
	"grove/internal/ip"
	"grove/mfib"
)

// TestInject: a packet that a protocol forwards by hand leaves by the interfaces that a row would send it to.
func TestInject(t *testing.T) {
	m := mfib.New(engine.MachineID{Protocol: engine.MFIB, Family: engine.IPv4})
	cfg := mfib.Config{Interfaces: map[string]mfib.InterfaceConfig{
		"plain":    {Owner: engine.PIMSM},
		"far":      {Owner: engine.PIMSM, TTLThreshold: 16},
		"boundary": {Owner: engine.PIMSM, Boundaries: []netip.Prefix{netip.MustParsePrefix("239.1.0.0/16")}},
	}}
	now := time.Unix(1000, 0)
	m.Step(now, engine.Configure{Config: cfg})
	for n, name := range []string{"plain", "far", "boundary", "foreign"} {
		m.Step(now, engine.InterfaceChange{Interface: engine.Interface{
			ID: engine.IfID(n + 1), Name: name, Up: true, Carrier: true, Multicast: true,
		}})
	}
	m.Step(now, engine.Settled{})
	for _, c := range []struct {
		group string
		ttl   uint8 // after it was decremented
		want  []engine.IfID
	}{
		{"239.2.1.1", 64, []engine.IfID{1, 2, 3}},
		{"239.1.1.1", 64, []engine.IfID{1, 2}},
		{"239.255.1.1", 64, []engine.IfID{1, 2}}, // every boundary is one for the local scope
		{"239.2.1.1", 16, []engine.IfID{1, 2, 3}},
		{"239.2.1.1", 15, []engine.IfID{1, 3}},
		{"224.0.0.5", 64, nil},
	} {
		p := ip.UDP(netip.MustParseAddrPort("10.1.1.1:5"), netip.AddrPortFrom(netip.MustParseAddr(c.group), 5), c.ttl, []byte("x"))
		var got []engine.IfID
		for _, e := range m.Step(now, engine.Inject{Out: []engine.IfID{1, 2, 3, 4, 5}, Packet: p.Append(nil)}) {
			if j, ok := e.(engine.Inject); ok {
				got = append(got, j.Out...)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s with TTL %d leaves by %v, want %v", c.group, c.ttl, got, c.want)
		}
	}
	if e := m.Step(now, engine.Inject{Out: []engine.IfID{1}, Packet: []byte("nonsense")}); len(e) > 0 {
		t.Errorf("nonsense brings %v", e)
	}
}
