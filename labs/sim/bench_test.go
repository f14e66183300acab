package sim

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"grove/daemon/config"
)

// big is a random network of PIM-SM routers: every router has links to about four others, a host hangs off each, the
// first router is the RP of all groups.
type big struct {
	*Sim
	hosts   []*Node
	members []*Member
	sources []*Source
}

func newBig(tb testing.TB, seed uint64, trace io.Writer, routers, groups, members int) *big {
	// The oracle announces the RP and the sources' networks: what a router needs to know.
	wanted := map[netip.Prefix]bool{netip.MustParsePrefix("10.255.0.0/32"): true}
	rng := rand.New(rand.NewPCG(1, 1))
	senders := rng.Perm(routers)[:groups]
	for _, i := range senders {
		wanted[hostNet(i)] = true
	}
	n := &big{Sim: New(seed, Options{
		Announce:     func(p netip.Prefix) bool { return wanted[p] },
		OnTransition: func(Transition) {},
	})}
	n.SetTrace(trace)
	type pair struct{ a, b int }
	var links []pair
	for i := 1; i < routers; i++ {
		links = append(links, pair{rng.IntN(i), i})
	}
	for len(links) < 2*routers {
		if p := rng.Perm(routers)[:2]; p[0] != p[1] {
			links = append(links, pair{p[0], p[1]})
		}
	}
	texts := make([]strings.Builder, routers)
	for i := range texts {
		fmt.Fprintf(&texts[i], "interfaces:\n  lo: {addresses: [10.255.%d.%d/32]}\n", i>>8, i&255)
		fmt.Fprintf(&texts[i], "  host: {addresses: [%v], igmp: {}, pim: {}}\n", at(hostNet(i), 1))
	}
	for k, l := range links {
		for j, r := range []int{l.a, l.b} {
			fmt.Fprintf(&texts[r], "  l%d: {addresses: [172.%d.%d.%d/30], pim: {}}\n", k, 16+k>>14, k>>6&255, k<<2&255+1+j)
		}
	}
	var nodes []*Node
	for i := range texts {
		text := texts[i].String() + "pim: {ipv4: {rp: [{address: 10.255.0.0}]}}\n"
		c, err := config.Parse("big", []byte(text))
		if err != nil {
			tb.Fatal(err)
		}
		nodes = append(nodes, n.AddRouter(fmt.Sprintf("r%d", i), c, RouterOptions{}))
	}
	for k, l := range links {
		n.AddLink(fmt.Sprintf("l%d", k), LinkOptions{Delay: time.Duration(1+rng.IntN(10)) * time.Millisecond},
			End{Node: nodes[l.a], If: fmt.Sprintf("l%d", k)}, End{Node: nodes[l.b], If: fmt.Sprintf("l%d", k)})
	}
	for i := range routers {
		h := n.AddHost(fmt.Sprintf("h%d", i), HostOptions{})
		n.AddLink(fmt.Sprintf("lan%d", i), LinkOptions{}, End{Node: nodes[i], If: "host"},
			End{h, "eth0", []netip.Prefix{at(hostNet(i), 2)}})
		n.hosts = append(n.hosts, h)
	}
	n.Run(40 * time.Second)
	for g := range groups {
		group := netip.AddrFrom4([4]byte{239, 1, byte(g >> 8), byte(g)})
		for _, i := range rng.Perm(routers)[:members+1] {
			if i != senders[g] && len(n.members) < (g+1)*members {
				n.members = append(n.members, n.hosts[i].Host().Join("eth0", group))
			}
		}
		n.sources = append(n.sources, n.hosts[senders[g]].AddSource(SourceOptions{If: "eth0", Group: group}))
		n.Run(10 * time.Millisecond)
	}
	return n
}

func hostNet(i int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0}), 24)
}

func at(p netip.Prefix, i byte) netip.Prefix {
	a := p.Addr().As4()
	a[3] = i
	return netip.PrefixFrom(netip.AddrFrom4(a), p.Bits())
}

var hour = flag.Duration("hour", time.Hour, "the virtual time of BenchmarkThousandRouters")

// BenchmarkThousandRouters is the size that a simulation is meant for: 1,000 routers of PIM-SM, 100 groups of one source
// and 20 members, a packet a second, for one hour.
func BenchmarkThousandRouters(b *testing.B) {
	for b.Loop() {
		began := time.Now()
		n := newBig(b, 1, nil, 1000, 100, 20)
		n.RunUntil(*hour)
		took := time.Since(began)
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		var packets, lost, dups uint64
		for _, x := range n.members {
			for _, f := range x.Flows() {
				packets += f.Packets
				lost += f.Lost()
				dups += f.Duplicates
			}
		}
		s := n.Stats()
		b.ReportMetric(took.Seconds(), "s/hour")
		b.ReportMetric(float64(s.Events), "events")
		b.ReportMetric(float64(s.Events)/took.Seconds(), "events/s")
		b.ReportMetric(float64(m.HeapInuse)/(1<<20), "MiB-heap")
		b.ReportMetric(float64(m.Sys)/(1<<20), "MiB-total")
		b.Logf("%d events, %d steps, %d data and %d control transmissions, %d packets delivered, %d lost, %d duplicates, %d faults",
			s.Events, s.Steps, s.Data, s.Control, packets, lost, dups, len(n.Faults()))
	}
}

// TestSameSeedSameBytes: the same calls with the same seed write the same trace; another seed another.
func TestSameSeedSameBytes(t *testing.T) {
	run := func(seed uint64) string {
		var trace strings.Builder
		n := newBig(t, seed, &trace, 20, 4, 5)
		n.Run(5 * time.Minute)
		return trace.String()
	}
	a, b, c := run(1), run(1), run(2)
	if a != b {
		t.Error("two runs of the same seed differ")
	}
	if a == c {
		t.Error("runs of two seeds are the same")
	}
	for _, want := range []string{" proto 103 ", " proto 2 ", " proto 17 ", "pimsm/ipv4"} {
		if !strings.Contains(a, want) {
			t.Errorf("nothing of %q in a trace of %d bytes", want, len(a))
		}
	}
}

// BenchmarkHop is one packet over one router: what a big simulation mostly does.
func BenchmarkHop(b *testing.B) {
	const routers = 100
	n := newBig(b, 1, nil, routers, 1, routers-1)
	n.sources[0].Stop()
	n.Run(time.Minute)
	src := n.sources[0]
	before := n.Stats()
	b.ReportAllocs()
	for b.Loop() {
		src.Start()
		n.Run(50 * time.Microsecond)
		src.Stop()
		n.Run(100 * time.Millisecond)
	}
	hops := n.Stats().Data - before.Data
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(hops), "ns/hop")
	b.ReportMetric(float64(hops)/float64(b.N), "hops/op")
}
