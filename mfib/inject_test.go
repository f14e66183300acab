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

// TestInjectOwn: a packet of this router's own leaves also by interfaces that are another protocol's, but where a packet that came in
// with its TTL would not leave, it does not.
func TestInjectOwn(t *testing.T) {
	m := mfib.New(engine.MachineID{Protocol: engine.MFIB, Family: engine.IPv4})
	group := netip.MustParsePrefix("224.0.1.40/32")
	cfg := mfib.Config{Interfaces: map[string]mfib.InterfaceConfig{
		"dense":    {Owner: engine.PIMSM, Groups: []mfib.GroupOwner{{Groups: group, Owner: engine.PIMDM}}},
		"far":      {Owner: engine.PIMSM, TTLThreshold: 16},
		"boundary": {Owner: engine.PIMSM, Boundaries: []netip.Prefix{group}},
	}}
	now := time.Unix(1000, 0)
	m.Step(now, engine.Configure{Config: cfg})
	for n, name := range []string{"dense", "far", "boundary", "foreign"} {
		m.Step(now, engine.InterfaceChange{Interface: engine.Interface{
			ID: engine.IfID(n + 1), Name: name, Up: true, Carrier: true, Multicast: true,
		}})
	}
	m.Step(now, engine.Settled{})
	for _, c := range []struct {
		own  bool
		ttl  uint8
		want []engine.IfID
	}{
		{true, 17, []engine.IfID{1, 2}},
		{true, 16, []engine.IfID{1}},
		{true, 1, []engine.IfID{1}},
		{false, 17, []engine.IfID{2}}, // forwarded by a protocol that does not own the group there
	} {
		p := ip.UDP(netip.MustParseAddrPort("10.1.1.1:496"), netip.AddrPortFrom(group.Addr(), 496), c.ttl, []byte("x"))
		ev := engine.Inject{
			From: engine.MachineID{Protocol: engine.PIMSM, Family: engine.IPv4}, Out: []engine.IfID{1, 2, 3, 4, 5}, Own: c.own, Packet: p.Append(nil),
		}
		var got []engine.IfID
		for _, e := range m.Step(now, ev) {
			if j, ok := e.(engine.Inject); ok {
				got = append(got, j.Out...)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("own %v with TTL %d leaves by %v, want %v", c.own, c.ttl, got, c.want)
		}
	}
}
