package rib_test

import (
	"net/netip"
	"runtime"
	"testing"
	"time"

	"grove/internal/engine"
	"grove/internal/rib"
)

// bgpRoutes is how many multicast routes a large MBGP table has.
const bgpRoutes = 100_000

func bgpPrefix(i int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{20 + byte(i>>16), byte(i >> 8), byte(i), 0}), 24)
}

// fillBGP gives a rib the multicast routes of BGP: 100,000 of IBGP by 20 next hops, each reached through a unicast route, and
// of 5,000 AS paths.
func fillBGP(m *rib.Machine) {
	now := time.Unix(0, 0)
	fill(m, 0)
	for i := range 20 {
		m.Step(now, engine.RouteChange{
			Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 1, 0, byte(i)}), 32), Metric: 10, Origin: "ospf",
			Hops: []engine.NextHop{{If: 1, Gateway: netip.AddrFrom4([4]byte{10, 255, 0, 2}), Weight: 1}},
		})
	}
	var path *engine.BGPPath
	var hops []engine.NextHop
	for i := range bgpRoutes {
		if i%20 == 0 { // routes of one UPDATE share its attributes
			next := netip.AddrFrom4([4]byte{10, 1, 0, byte(i / 20 % 20)})
			path = &engine.BGPPath{NextHop: next, Neighbor: next, Internal: true, ASPath: []uint32{65000, 65001, uint32(i)}}
			hops = []engine.NextHop{{Gateway: next, Weight: 1}}
		}
		m.Step(now, engine.MRIBRoute{From: who("bgp", engine.IPv4), Prefix: bgpPrefix(i), Hops: hops, BGP: path})
	}
	m.Step(now, engine.Settled{})
}

// TestBGPTable: a table of 100,000 routes fits, and of 10,000 tracked addresses a change touches those under it, and no
// others: a multicast route one, the way to a next hop a twentieth.
func TestBGPTable(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	m := rib.New(engine.MachineID{Protocol: engine.RIB, Family: engine.IPv4})
	begin := time.Now()
	fillBGP(m)
	loaded := time.Since(begin)
	runtime.GC()
	runtime.ReadMemStats(&after)
	perRoute := (after.HeapAlloc - before.HeapAlloc) / bgpRoutes
	now := time.Unix(0, 0)
	const tracked = 10_000
	for i := range tracked {
		m.Step(now, engine.Track{From: who("pimsm", engine.IPv4), Addr: bgpPrefix(i * (bgpRoutes / tracked)).Addr().Next()})
	}
	if told := len(m.Step(now, engine.Settled{})); told != tracked {
		t.Fatalf("%d of %d told", told, tracked)
	}
	begin = time.Now()
	m.Step(now, engine.MRIBRoute{From: who("bgp", engine.IPv4), Prefix: bgpPrefix(0), Gone: true})
	if told := len(m.Step(now, engine.Settled{})); told != 1 {
		t.Errorf("a route was withdrawn: %d told, want 1", told)
	}
	one := time.Since(begin)
	begin = time.Now()
	m.Step(now, engine.RouteChange{
		Prefix: netip.MustParsePrefix("10.1.0.7/32"), Metric: 10, Origin: "ospf",
		Hops: []engine.NextHop{{If: 1, Gateway: netip.AddrFrom4([4]byte{10, 255, 0, 3}), Weight: 1}},
	})
	if told := len(m.Step(now, engine.Settled{})); told != tracked/20 {
		t.Errorf("the way to a next hop changed: %d told, want %d", told, tracked/20)
	}
	t.Logf("%d routes in %v, %d bytes each; one withdrawn %v; a next hop of %d tracked addresses moved %v",
		bgpRoutes, loaded, perRoute, one, tracked/20, time.Since(begin))
	if perRoute > 200 {
		t.Errorf("a route takes %d bytes, more than 200", perRoute)
	}
	runtime.KeepAlive(m)
}

// BenchmarkBGPLoad: 100,000 multicast routes of BGP are told.
func BenchmarkBGPLoad(b *testing.B) {
	b.ReportAllocs()
	for range b.N {
		fillBGP(rib.New(engine.MachineID{Protocol: engine.RIB, Family: engine.IPv4}))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/bgpRoutes, "ns/route")
}

// BenchmarkBGPChange: of 100,000 multicast routes one changes, with one of 10,000 tracked addresses under it.
func BenchmarkBGPChange(b *testing.B) {
	m := rib.New(engine.MachineID{Protocol: engine.RIB, Family: engine.IPv4})
	fillBGP(m)
	now := time.Unix(0, 0)
	for i := range 10_000 {
		m.Step(now, engine.Track{From: who("pimsm", engine.IPv4), Addr: bgpPrefix(i * 10).Addr().Next()})
	}
	m.Step(now, engine.Settled{})
	hops := []engine.NextHop{{Gateway: netip.AddrFrom4([4]byte{10, 1, 0, 1}), Weight: 1}}
	for i := 0; b.Loop(); i++ {
		m.Step(now, engine.MRIBRoute{From: who("bgp", engine.IPv4), Prefix: bgpPrefix(50), Hops: hops, Metric: uint32(i)})
		if told := len(m.Step(now, engine.Settled{})); told != 1 {
			b.Fatalf("%d told, want 1", told)
		}
	}
}
