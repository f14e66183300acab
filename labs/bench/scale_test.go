package bench

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"grove/internal/engine"
)

// BenchmarkGroups has a host join many groups, 182 in a report, and then a source send to all of them. It reports the
// CPU time that the last hop and the RP use until the RP has every (*,G), and their memory when every group has its
// (S,G).
func BenchmarkGroups(b *testing.B) {
	for _, m := range makes {
		for _, n := range m.groups {
			b.Run(fmt.Sprintf("%s/%d", m.name, n), func(b *testing.B) {
				for b.Loop() {
					l := startLine(b, m.build, engine.IPv4)
					l.scale(n)
				}
			})
		}
	}
}

// measured are the routers whose use is reported, and what they are.
var measured = []struct{ node, role string }{{"r4", "last-hop"}, {"r2", "RP"}}

// use is what the routers have used.
func (l *lab) use() map[string]time.Duration {
	used := map[string]time.Duration{}
	for _, m := range measured {
		used[m.node] = cpu(l.b, l.routers[m.node].pid())
	}
	return used
}

func (l *lab) scale(n int) {
	b := l.b
	groups := addresses(3, n)
	r, s := l.reporter("h2"), l.blaster("h1")
	report := func(name string, before map[string]time.Duration) {
		after := l.use()
		for _, m := range measured {
			b.ReportMetric((after[m.node] - before[m.node]).Seconds(), name+"-s/"+m.role)
		}
	}

	before, began := l.use(), time.Now()
	for part := range slices.Chunk(groups, recordsPerReport) {
		r.join(b, part...)
		// 100 reports a second are the load, the same for each router: FRR's socket has room for some dozens.
		time.Sleep(10 * time.Millisecond)
	}
	l.until(2*time.Minute, "every (*,G) at the RP", func() bool {
		// until asks again after 10 ms, and the question costs the router that is measured: so s-joining is exact to 0.2 s.
		time.Sleep(200 * time.Millisecond)
		return l.groups("r2") >= n
	})
	b.ReportMetric(time.Since(began).Seconds(), "s-joining")
	report("join", before)
	for _, m := range measured {
		b.ReportMetric(memoryOf(b, l.routers[m.node].pid()).rss, "joined-MiB/"+m.role)
	}

	// Two rounds: the first packet makes the (S,G), the second finds it.
	var mu sync.Mutex
	came := map[netip.Addr][2]int{}
	var packets, unique [2]int
	c := l.capture("h2", []byte{engine.ProtoUDP}, func(_ time.Time, packet []byte) {
		header := int(packet[0]&15) * 4
		if len(packet) < header+12 {
			return
		}
		g, round := netip.AddrFrom4([4]byte(packet[16:])), binary.BigEndian.Uint32(packet[header+8:])
		if g.As4()[1] != 3 || round > 1 {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		times := came[g]
		if times[round]++; times[round] == 1 {
			unique[round]++
		}
		packets[round]++
		came[g] = times
	})
	before = l.use()
	for round := range 2 {
		s.send(b, groups, uint32(round), 2000)
		l.wait(5*time.Second, func() bool {
			mu.Lock()
			defer mu.Unlock()
			return unique[round] == n
		})
	}
	report("sources", before)
	c.close(b)
	for round, name := range []string{"first", "second"} {
		b.ReportMetric(float64(n-unique[round]), "lost-"+name)
		b.ReportMetric(float64(packets[round]-unique[round]), "dup-"+name)
	}
	for _, m := range measured {
		sg := 0
		for k := range l.rows(m.node, engine.IPv4) {
			if k.Source.IsValid() {
				sg++
			}
		}
		if sg < n {
			b.Errorf("%s has %d of %d (S,G)", m.role, sg, n)
		}
		used := memoryOf(b, l.routers[m.node].pid())
		b.ReportMetric(used.rss, "MiB/"+m.role)
		b.ReportMetric(used.peak, "peak-MiB/"+m.role)
	}
}
