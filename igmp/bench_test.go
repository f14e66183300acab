package igmp_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"grove/igmp"
	"grove/igmp/wire"
	"grove/internal/engine"
)

const manyGroups = 20_000

// manyAddr returns the k-th of many groups.
func manyAddr(n names, k int) netip.Addr {
	a := n.addr("G1").As16()
	a[13], a[14], a[15] = byte(k>>16+1), byte(k>>8), byte(k)
	return netip.AddrFrom16(a).Unmap()
}

// manyReports are reports of joins, so many groups in each.
func manyReports(b *testing.B, n names, each int, t wire.RecordType, sources ...netip.Addr) (packets []engine.Packet) {
	for k := 0; k < manyGroups; k += each {
		var r wire.Report
		for g := k; g < k+each; g++ {
			r.Records = append(r.Records, wire.Record{Type: t, Group: manyAddr(n, g), Sources: sources})
		}
		packets = append(packets, packetOf(b, n, n.addr("H1"), n.addr("report-routers"), r))
	}
	return packets
}

// BenchmarkJoin measures a router on one interface of which hosts join 20,000 groups of IGMPv3, by reports of one group
// and by full ones, refresh them once, and leave them (each is asked for twice). It prints the CPU of the whole, and
// the memory of a group while they are joined.
func BenchmarkJoin(b *testing.B) {
	n := namesOf(engine.IPv4)
	for _, c := range []struct {
		name    string
		each    int
		sources []netip.Addr
	}{
		{"one group a report", 1, nil},
		{"full reports", 160, nil},
		{"one source each", 80, []netip.Addr{addr("10.9.0.1")}},
	} {
		b.Run(c.name, func(b *testing.B) {
			join, leave := wire.ToEx, wire.ToIn
			if c.sources != nil {
				join, leave = wire.Allow, wire.Block
			}
			joins := manyReports(b, n, c.each, join, c.sources...)
			leaves := manyReports(b, n, c.each, leave, c.sources...)
			b.ReportAllocs()
			var bytes float64
			for b.Loop() {
				m := igmp.New(engine.MachineID{Protocol: engine.IGMP, Family: engine.IPv4}, rand.New(rand.NewPCG(1, 2)))
				now := time.Unix(0, 0)
				m.Step(now, engine.InterfaceChange{Interface: upInterface(n)})
				m.Step(now, engine.Configure{Config: igmp.Config{Interfaces: map[string]igmp.InterfaceConfig{"eth1": {Querier: true}}}})
				m.Step(now, engine.Subscribe{From: engine.MachineID{Protocol: engine.PIMSM}})
				memberships := 0
				step := func(ev engine.Event) {
					m.Step(now, ev)
					for _, e := range m.Step(now, engine.Settled{}) {
						if _, ok := e.(engine.Membership); ok {
							memberships++
						}
					}
				}
				b.StopTimer()
				before := heap()
				b.StartTimer()
				for range 2 {
					for _, p := range joins {
						step(p)
					}
				}
				b.StopTimer()
				bytes = float64(heap()-before) / manyGroups
				b.StartTimer()
				for _, p := range leaves {
					step(p)
				}
				for {
					at, ok := m.Deadline()
					if !ok || at.Sub(now) > 10*time.Second {
						break
					}
					now = at
					step(engine.Tick{})
				}
				if memberships != 2*manyGroups {
					b.Fatalf("%d memberships told", memberships)
				}
				runtime.KeepAlive(m)
			}
			b.ReportMetric(bytes, "bytes/group")
		})
	}
}

func heap() uint64 {
	var s runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

// BenchmarkHost measures a host that joins 20,000 groups at once and answers a General Query about them.
func BenchmarkHost(b *testing.B) {
	n := namesOf(engine.IPv4)
	cfg := igmp.HostConfig{Memberships: map[string][]igmp.HostMembership{}}
	for k := range manyGroups {
		cfg.Memberships["eth1"] = append(cfg.Memberships["eth1"], igmp.HostMembership{Group: manyAddr(n, k), Mode: engine.Exclude})
	}
	general := packetOf(b, n, n.addr("R1"), n.addr("all-systems"), wire.Query{Version: 3, MaxResp: 10 * time.Second})
	b.ReportAllocs()
	for b.Loop() {
		h := igmp.NewHost(engine.MachineID{Protocol: engine.IGMP, Family: engine.IPv4}, rand.New(rand.NewPCG(1, 2)))
		now := time.Unix(0, 0)
		h.Step(now, engine.InterfaceChange{Interface: upInterface(n)})
		h.Step(now, engine.Configure{Config: cfg})
		h.Step(now, general)
		reports := 0
		for {
			at, ok := h.Deadline()
			if !ok {
				break
			}
			now = at
			for _, e := range h.Step(now, engine.Tick{}) {
				if _, ok := e.(engine.Send); ok {
					reports++
				}
			}
		}
		if reports < 200 { // the repetition and the answer, at most 184 records in each report
			b.Fatal(fmt.Sprint(reports, " reports"))
		}
	}
}
