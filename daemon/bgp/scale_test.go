package bgp

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/sirupsen/logrus"
	"github.com/vishvananda/netlink"

	"grove/daemon/api"
	grovev1 "grove/daemon/api/grove/v1"
	"grove/daemon/api/grove/v1/grovev1connect"
	"grove/internal/engine"
	"grove/internal/rib"
	"grove/internal/testneed"
)

// mrib is a Server that feeds a rib, as in a router, and what that rib tells.
type mrib struct {
	server *Server
	mu     sync.Mutex
	rib    *rib.Machine
	routes chan int         // how many routes were told less those that went, after each piece of news
	paths  chan engine.Path // what it told who tracks addresses
}

var ribID = engine.MachineID{Protocol: engine.RIB, Family: engine.IPv4}

// oneNeighbor connects by itself.
const oneNeighbor = one + "  neighbors: [{address: 10.0.0.2, as: 65002, passive: true, families: [ipv4-multicast]}]\n"

// startMRIB starts one. Next hops of 10.0.0.0/24 are on a link.
func startMRIB(t testing.TB, section string) *mrib {
	t.Helper()
	testneed.Root(t)
	m := &mrib{rib: rib.New(ribID), routes: make(chan int, 1_000_000), paths: make(chan engine.Path, 1_000_000)}
	now := time.Unix(0, 0)
	m.rib.Step(now, engine.InterfaceChange{Interface: engine.Interface{
		ID: 1, Name: "eth1", Up: true, Carrier: true, Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")},
	}})
	have := 0
	deliver := func(n News) {
		m.do(func(machine *rib.Machine) {
			for _, r := range n.Multicast {
				r.From = engine.MachineID{Protocol: engine.BGP, Family: engine.IPv4}
				machine.Step(now, r)
				if have++; r.Gone {
					have -= 2
				}
			}
		})
		m.routes <- have
	}
	log := logrus.New()
	log.SetLevel(logrus.ErrorLevel)
	var err error
	m.server, err = New(parse(t, section), logrus.NewEntry(log), deliver)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// has waits until the rib has so many routes.
func (m *mrib) has(t testing.TB, want int) {
	t.Helper()
	end := time.NewTimer(5 * time.Minute)
	defer end.Stop()
	for {
		select {
		case got := <-m.routes:
			if got == want {
				return
			}
		case <-end.C:
			t.Fatalf("the rib does not have %d routes", want)
		}
	}
}

// do has the rib do something, and passes on what it tells.
func (m *mrib) do(f func(*rib.Machine)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(m.rib)
	for _, e := range m.rib.Step(time.Unix(0, 0), engine.Settled{}) {
		m.paths <- e.(engine.Path)
	}
}

// track has the rib track addresses, of which it tells what it knows.
func (m *mrib) track(addrs []netip.Addr) {
	m.do(func(machine *rib.Machine) {
		for _, a := range addrs {
			machine.Step(time.Unix(0, 0), engine.Track{From: engine.MachineID{Protocol: engine.PIMSM, Family: engine.IPv4}, Addr: a})
		}
	})
	for range addrs {
		<-m.paths
	}
}

func tablePrefix(i int) string { return fmt.Sprintf("%d.%d.%d.0/24", 20+i>>16, i>>8&255, i&255) }

// tableUpdates is the UPDATEs that announce so many routes, a hundred in each, of different AS paths.
func tableUpdates(t testing.TB, routes int) []byte {
	t.Helper()
	var all bytes.Buffer
	for i := 0; i < routes; i += 100 {
		o := offer{multicast: true, med: -1, path: []uint32{65002, uint32(100_000 + i), uint32(200_000 + i)}}
		for j := range min(100, routes-i) {
			o.prefixes = append(o.prefixes, tablePrefix(i+j))
		}
		b, err := o.update(t).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return all.Bytes()
}

// TestLargeTable: of a large table one route changes: rib is told that route alone, and whoever tracks addresses hears of those
// under it alone.
func TestLargeTable(t *testing.T) {
	routes := 100_000
	if testing.Short() {
		routes = 10_000
	}
	m := startMRIB(t, oneNeighbor)
	t.Cleanup(m.server.Stop)
	far := dial(t, manner{families: ipv4Families[1:]})
	if _, err := far.conn.Write(tableUpdates(t, routes)); err != nil {
		t.Fatal(err)
	}
	m.has(t, routes)
	var addrs []netip.Addr
	for i := range 1000 {
		p := netip.MustParsePrefix(tablePrefix(i * (routes / 1000)))
		addrs = append(addrs, p.Addr().Next(), p.Addr().Next().Next())
	}
	m.track(addrs)
	changed := addrs[1000:1002]
	expect := func(what, hop string) {
		t.Helper()
		for _, a := range changed {
			p := <-m.paths
			got := "none"
			if len(p.Hops) > 0 {
				got = p.Hops[0].Gateway.String()
			}
			if p.Addr != a || got != hop {
				t.Errorf("%s: told of %v by %s, want %v by %s", what, p.Addr, got, a, hop)
			}
		}
		if len(m.paths) > 0 {
			t.Errorf("%s: told of more: %v", what, <-m.paths)
		}
	}
	prefix := netip.PrefixFrom(changed[0], 24).Masked().String()
	far.announce(offer{prefixes: []string{prefix}, multicast: true, med: -1, next: "10.0.0.3"})
	m.has(t, routes+1) // one more was told
	expect("another next hop", "10.0.0.3")
	far.withdraw(offer{prefixes: []string{prefix}, multicast: true})
	m.has(t, routes)
	expect("withdrawn", "none")
}

// BenchmarkTable: a neighbor announces 100,000 multicast routes, as fast as TCP takes them, until the rib has all; then one of
// them changes, with one of 10,000 tracked addresses under it, until the rib has told the new path. If there are two neighbors, the
// second announces the same destinations after the first.
func BenchmarkTable(b *testing.B) {
	b.Run("1", func(b *testing.B) { benchmarkTable(b, oneNeighbor) })
	b.Run("2", func(b *testing.B) {
		benchmarkTable(b, oneNeighbor[:len(oneNeighbor)-2]+", {address: 10.0.0.3, as: 65003, passive: true, families: [ipv4-multicast]}]\n")
	})
}

func benchmarkTable(b *testing.B, section string) {
	const routes = 100_000
	updates := tableUpdates(b, routes)
	var load, loadCPU, again, againCPU, change time.Duration
	var heap, changes float64
	for b.Loop() {
		before := heapInUse()
		m := startMRIB(b, section)
		far := dial(b, manner{families: ipv4Families[1:]})
		begin, used := time.Now(), cpu(b, os.Getpid())
		if _, err := far.conn.Write(updates); err != nil {
			b.Fatal(err)
		}
		m.has(b, routes)
		load += time.Since(begin)
		loadCPU += cpu(b, os.Getpid()) - used
		if section != oneNeighbor {
			third := dial(b, manner{from: "10.0.0.3", as: 65003, families: ipv4Families[1:]})
			begin, used := time.Now(), cpu(b, os.Getpid())
			if _, err := third.conn.Write(updates); err != nil {
				b.Fatal(err)
			}
			m.has(b, 2*routes) // each was told once more, with another behind it
			again += time.Since(begin)
			againCPU += cpu(b, os.Getpid()) - used
		}
		heap += heapInUse() - before
		var addrs []netip.Addr
		for i := range 10_000 {
			addrs = append(addrs, netip.MustParsePrefix(tablePrefix(i*10)).Addr().Next())
		}
		m.track(addrs)
		for i := range 200 {
			begin = time.Now()
			far.announce(offer{prefixes: []string{tablePrefix(i * 10)}, multicast: true, med: -1, next: "10.0.0.77"})
			if p := <-m.paths; p.Addr != addrs[i] {
				b.Fatalf("told of %v", p.Addr)
			}
			change += time.Since(begin)
			changes++
		}
		if len(m.paths) > 0 {
			b.Fatalf("told of more: %v", <-m.paths)
		}
		m.server.Stop()
	}
	n := float64(b.N)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(load.Seconds()/n, "s/load")
	b.ReportMetric(loadCPU.Seconds()/n, "CPU-s/load")
	b.ReportMetric(again.Seconds()/n, "s/second-load")
	b.ReportMetric(againCPU.Seconds()/n, "CPU-s/second-load")
	b.ReportMetric(heap/n/routes, "B/route")
	b.ReportMetric(float64(change.Microseconds())/changes, "µs/change")
}

// BenchmarkGroved: the same with a whole groved, whose API is asked ten times a second how many routes its MRIB has.
func BenchmarkGroved(b *testing.B) {
	const routes = 100_000
	testneed.Root(b)
	program := testneed.Groved(b)
	updates := tableUpdates(b, routes)
	cable := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth1"}, PeerName: "eth2"}
	if err := netlink.LinkAdd(cable); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { netlink.LinkDel(cable) })
	var load, used, gone, idle, full float64
	for b.Loop() {
		g := startGroved(b, program, `hostname: r
interfaces: {eth1: {addresses: [192.0.2.1/24], pim: {}}}
bgp:
`+one+"  neighbors: [{address: 10.0.0.2, as: 65002, passive: true, families: [ipv4-multicast]}]\n")
		far := dial(b, manner{families: ipv4Families[1:]})
		idle += float64(rss(g.cmd.Process.Pid)) / (1 << 20)
		before, begin := cpu(b, g.cmd.Process.Pid), time.Now()
		if _, err := far.conn.Write(updates); err != nil {
			b.Fatal(err)
		}
		g.has(b, routes)
		load += time.Since(begin).Seconds()
		used += (cpu(b, g.cmd.Process.Pid) - before).Seconds()
		full += float64(rss(g.cmd.Process.Pid)) / (1 << 20)
		begin = time.Now()
		far.hangUp()
		g.has(b, 0)
		gone += time.Since(begin).Seconds()
		g.stop(b)
	}
	n := float64(b.N)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(load/n, "s/load")
	b.ReportMetric(used/n, "CPU-s/load")
	b.ReportMetric(gone/n, "s/gone")
	b.ReportMetric(idle/n, "MiB-RSS-idle")
	b.ReportMetric(full/n, "MiB-RSS")
}

// groved is a router in a process of its own.
type groved struct {
	cmd    *exec.Cmd
	client grovev1connect.RouterServiceClient
}

func startGroved(b *testing.B, program, config string) *groved {
	b.Helper()
	file, socket := filepath.Join(b.TempDir(), "grove.yml"), filepath.Join(b.TempDir(), "s")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		b.Fatal(err)
	}
	g := &groved{cmd: exec.Command(program, "-c", file, "--socket", socket, "--log-level", "warning"), client: api.Dial(socket)}
	g.cmd.Stderr = os.Stderr
	if err := g.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	g.has(b, 0)
	return g
}

// has waits until the MRIB has so many routes of BGP.
func (g *groved) has(b *testing.B, want uint64) {
	b.Helper()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for begin := time.Now(); time.Since(begin) < 5*time.Minute; <-again.C {
		answer, err := g.client.ListCounts(b.Context(), connect.NewRequest(&grovev1.ListCountsRequest{}))
		if err != nil {
			continue // it has not started yet
		}
		for _, m := range answer.Msg.Machines {
			for _, c := range m.Counts {
				if c.Name == "routes of protocols" && strings.Contains(m.Machine, "ipv4") && c.Count == want {
					return
				}
			}
		}
	}
	b.Fatalf("groved does not have %d routes", want)
}

func (g *groved) stop(b *testing.B) {
	g.cmd.Process.Signal(syscall.SIGTERM)
	if err := g.cmd.Wait(); err != nil {
		b.Error(err)
	}
}

// cpu is the CPU time that a process has used.
func cpu(b *testing.B, pid int) time.Duration {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), ") ") // the name may hold spaces
	fields := strings.Fields(after)
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if err1 != nil || err2 != nil {
		b.Fatalf("/proc/%d/stat: %s", pid, text)
	}
	return time.Duration(user+system) * (time.Second / 100)
}

func heapInUse() float64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return float64(s.HeapAlloc)
}

// rss is the resident memory of a process, in bytes.
func rss(pid int) (n int) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	var size int
	fmt.Sscan(string(data), &size, &n)
	return n * os.Getpagesize()
}
