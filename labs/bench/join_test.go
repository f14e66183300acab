package bench

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"grove/internal/engine"
	"grove/labs/script"
)

const (
	joins    = 50
	joinRate = 2000 // packets a second: the next one is half a millisecond away on average
)

// BenchmarkJoin measures, on the last link, the time from a host's IGMPv3 report to the first packet of a source that
// is three routers away and sends already: in the first case natively as far as the RP, for a member there; in the
// second only the RP knows of it, and has to join first.
func BenchmarkJoin(b *testing.B) {
	for _, m := range makes {
		for _, c := range []struct {
			name string
			atRP bool
		}{{"native at the RP", true}, {"known to the RP", false}} {
			b.Run(m.name+"/"+c.name, func(b *testing.B) {
				for b.Loop() {
					l := startLine(b, m.build, engine.IPv4)
					latencies := l.joins(c.atRP)
					slices.Sort(latencies)
					ms := func(d time.Duration) float64 { return d.Seconds() * 1000 }
					b.ReportMetric(ms(latencies[len(latencies)/2]), "ms-median")
					b.ReportMetric(ms(latencies[len(latencies)-1]), "ms-max")
					b.ReportMetric(float64(len(latencies)), "joins")
				}
			})
		}
	}
}

func (l *lab) joins(atRP bool) []time.Duration {
	l.b.Helper()
	var mu sync.Mutex
	asked, came := map[netip.Addr]time.Time{}, map[netip.Addr]time.Time{}
	first := func(m map[netip.Addr]time.Time, g netip.Addr, at time.Time) {
		if m[g].IsZero() {
			m[g] = at
		}
	}
	c := l.capture("h2", []byte{engine.ProtoIGMP, engine.ProtoUDP}, func(at time.Time, packet []byte) {
		mu.Lock()
		defer mu.Unlock()
		if g, ok := reported(packet); ok {
			first(asked, g, at)
		} else if packet[9] == engine.ProtoUDP {
			first(came, netip.AddrFrom4([4]byte(packet[16:])), at)
		}
	})
	r := l.reporter("h2")
	var all []time.Duration
	for i := range joins {
		g := group(engine.IPv4, 1, i)
		if atRP {
			l.do(script.Action{Join: &script.Membership{Host: "h3", Group: g}})
		}
		l.do(script.Action{Send: &script.Send{Host: "h1", Group: g, Rate: joinRate, TTL: 64, Size: 100}})
		if atRP {
			l.until(10*time.Second, "packets at the RP", func() bool { return l.Received("h3", g).Packets > joinRate/2 })
		} else {
			l.until(10*time.Second, "the first hop's entry", func() bool {
				return l.rows("r1", engine.IPv4)[engine.SG(netip.MustParseAddr("10.1.0.10"), g)]
			})
			l.wait(joinRate/2*time.Second/joinRate, func() bool { return false })
		}
		r.join(l.b, g)
		l.until(10*time.Second, fmt.Sprintf("a packet to %v", g), func() bool {
			mu.Lock()
			defer mu.Unlock()
			return !asked[g].IsZero() && !came[g].IsZero()
		})
		mu.Lock()
		if d := came[g].Sub(asked[g]); d > 0 {
			all = append(all, d)
		} else {
			l.b.Errorf("%v: a packet came %v before the report", g, -d)
		}
		mu.Unlock()
		l.do(script.Action{Stop: &script.Send{Host: "h1", Group: g}})
	}
	c.close(l.b)
	return all
}
