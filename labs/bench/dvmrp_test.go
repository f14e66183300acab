package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	grovev1 "grove/daemon/api/grove/v1"
	"grove/labs/script"
)

// BenchmarkDVMRP measures three routers of DVMRP in a triangle, one of which announces many networks: how long the others
// take to learn them, and, when the link that one of these has them by is cut, to have them by the third router, with the
// timers' defaults. Each second a router is asked for its routes; the CPU time that its answers take is left out.
func BenchmarkDVMRP(b *testing.B) {
	for _, networks := range []int{5_000, 15_000} {
		b.Run(fmt.Sprint(networks), func(b *testing.B) {
			for b.Loop() {
				dvmrpTriangle(b, networks)
			}
		})
	}
}

func dvmrpTriangle(b *testing.B, networks int) {
	dir := b.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/triangle")); err != nil {
		b.Fatal(err)
	}
	var config strings.Builder
	config.WriteString("dvmrp:\n  originate:\n    networks:\n")
	for n := range networks {
		fmt.Fprintf(&config, "      - {prefix: 20.%d.%d.0/24}\n", n>>8, n&0xff)
	}
	file, err := os.OpenFile(filepath.Join(dir, "r1.yml"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := file.WriteString(config.String()); err != nil {
		b.Fatal(err)
	}
	file.Close()

	l := start(b, dir, newGroved, "r1", "r2", "r3")
	r2 := l.routers["r2"].(*groved)
	var answering time.Duration
	// by counts the routes that r2 has learned by a neighbor, and that are not held down.
	by := func(gateway string) (n int) {
		before := cpu(b, r2.pid())
		defer func() { answering += cpu(b, r2.pid()) - before }()
		answer, err := r2.client.ListDVMRPRoutes(b.Context(), connect.NewRequest(&grovev1.ListDVMRPRoutesRequest{}))
		if err != nil {
			b.Fatal(err)
		}
		for _, r := range answer.Msg.Routes {
			if r.State == "learned" && r.Gateway == gateway && strings.HasPrefix(r.Prefix, "20.") {
				n++
			}
		}
		return n
	}
	learn := func(gateway string) time.Duration {
		began := time.Now()
		again := time.NewTicker(time.Second)
		defer again.Stop()
		for by(gateway) < networks {
			if time.Since(began) > 5*time.Minute {
				b.Fatalf("%d of %d routes by %s after five minutes", by(gateway), networks, gateway)
			}
			<-again.C
		}
		return time.Since(began)
	}
	b.ReportMetric(learn("10.0.12.1").Seconds(), "s-to-learn")
	answering = 0
	before := cpu(b, r2.pid())
	l.do(script.Action{Cut: "r1-r2"})
	b.ReportMetric(learn("10.0.23.3").Seconds(), "s-to-converge")
	b.ReportMetric((cpu(b, r2.pid()) - before - answering).Seconds(), "CPU-s")
	b.ReportMetric(memoryOf(b, r2.pid()).rss, "MiB-RSS")
}
