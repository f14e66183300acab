package bench

import (
	"testing"
	"time"

	"connectrpc.com/connect"

	grovev1 "grove/daemon/api/grove/v1"
)

// BenchmarkIdle measures the memory of a router with nothing to do: PIM, IGMP and MLD on four interfaces, a neighbor
// on each.
func BenchmarkIdle(b *testing.B) {
	for b.Loop() {
		l := start(b, "testdata/idle", newGroved, "r1", "r2")
		r := l.routers["r1"].(*groved)
		l.until(20*time.Second, "four neighbors of each family", func() bool {
			for _, f := range []grovev1.Family{grovev1.Family_FAMILY_IPV4, grovev1.Family_FAMILY_IPV6} {
				answer, err := r.client.ListPIMNeighbors(b.Context(), connect.NewRequest(&grovev1.ListPIMNeighborsRequest{Family: f}))
				if err != nil {
					b.Fatal(err)
				}
				if len(answer.Msg.Neighbors) < 4 {
					return false
				}
			}
			return true
		})
		l.wait(5*time.Second, func() bool { return false })
		before := cpu(b, r.pid())
		l.wait(10*time.Second, func() bool { return false })
		m := memoryOf(b, r.pid())
		b.ReportMetric(m.rss, "MiB-RSS")
		b.ReportMetric(m.pss, "MiB-PSS")
		b.ReportMetric(m.peak, "MiB-peak")
		b.ReportMetric((cpu(b, r.pid())-before).Seconds()/10*100, "%-CPU")
	}
}
