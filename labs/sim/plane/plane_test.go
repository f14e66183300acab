package plane_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"grove/internal/engine"
	"grove/internal/ip"
	"grove/labs/sim/plane"
)

var families = []engine.Family{engine.IPv4, engine.IPv6}

// flow returns the n-th (S,G) of a family.
func flow(family engine.Family, n int) engine.Key {
	if family == engine.IPv4 {
		return engine.SG(netip.AddrFrom4([4]byte{10, 9, byte(n >> 8), byte(n)}), netip.AddrFrom4([4]byte{239, 1, byte(n >> 8), byte(n)}))
	}
	return engine.SG(netip.MustParseAddr(fmt.Sprintf("fd00:9::%x", n+1)), netip.MustParseAddr(fmt.Sprintf("ff0e::1:%x", n)))
}

// forwarder returns a plane with VIFs 1 to 3 and n rows from VIF 1 to the others, and a packet of each.
func forwarder(t testing.TB, family engine.Family, n int) (*plane.Plane, []plane.Datagram) {
	p := plane.New(family)
	for v := range engine.VIF(4) {
		if err := p.SetVIF(engine.SetVIF{VIF: v, If: engine.IfID(v + 1)}); err != nil {
			t.Fatal(err)
		}
	}
	rows := make([]engine.Row, n)
	packets := make([]plane.Datagram, n)
	for i := range rows {
		k := flow(family, i)
		rows[i] = engine.Row{Key: k, Parent: 1}
		rows[i].TTL[2], rows[i].TTL[3] = 1, 1
		packets[i] = ip.UDP(netip.AddrPortFrom(k.Source, 1), netip.AddrPortFrom(k.Group, 1), 64, make([]byte, 100))
	}
	if failed := p.SetRows(time.Unix(0, 0), rows); len(failed) > 0 {
		t.Fatal(failed)
	}
	return p, packets
}

// TestForwardAllocatesNothing: a simulated hour of a thousand routers pushes tens of millions of packets.
func TestForwardAllocatesNothing(t *testing.T) {
	for _, family := range families {
		p, packets := forwarder(t, family, 10)
		sent := 0
		p.Out = func(engine.VIF, *plane.Datagram) { sent++ }
		now := time.Unix(0, 0)
		if n := testing.AllocsPerRun(100, func() { p.Forward(now, 1, &packets[3]) }); n != 0 {
			t.Errorf("%v: %v allocations for a packet", family, n)
		}
		if sent != 2*101 {
			t.Errorf("%v: %d packets sent", family, sent)
		}
	}
}

// TestMaxUnresolved: the unresolved entries are bounded, and the bound is free again when they are answered or expire.
func TestMaxUnresolved(t *testing.T) {
	p, _ := forwarder(t, engine.IPv4, 0)
	p.MaxUnresolved = 2
	upcalls := 0
	p.Upcall = func(engine.Upcall) { upcalls++ }
	now := time.Unix(0, 0)
	arrive := func(n, want int) {
		t.Helper()
		k := flow(engine.IPv4, n)
		d := plane.Datagram{Src: k.Source, Dst: k.Group, TTL: 9}
		before := upcalls
		p.Forward(now, 1, &d)
		if upcalls-before != want {
			t.Errorf("flow %d: %d upcalls, want %d", n, upcalls-before, want)
		}
	}
	arrive(1, 1)
	arrive(2, 1)
	arrive(3, 0)
	p.SetRows(now, []engine.Row{{Key: flow(engine.IPv4, 1), Parent: 1}})
	arrive(3, 1)
	arrive(4, 0)
	now = now.Add(9 * time.Second)
	arrive(4, 0)
	now = now.Add(time.Second)
	arrive(4, 1)
	arrive(2, 1)
	arrive(3, 0)
}

// BenchmarkForward pushes packets of 100 flows through a plane that sends each to two interfaces.
func BenchmarkForward(b *testing.B) {
	for _, family := range families {
		b.Run(family.String(), func(b *testing.B) {
			p, packets := forwarder(b, family, 100)
			now := time.Unix(0, 0)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				p.Forward(now, 1, &packets[i%len(packets)])
			}
		})
	}
}
