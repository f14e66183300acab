package msdp_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"syscall"
	"testing"
	"time"

	"grove/internal/engine"
	"grove/msdp"
	"grove/msdp/wire"
)

func nth(base netip.Addr, n int) netip.Addr {
	b := base.As4()
	return netip.AddrFrom4([4]byte{b[0], b[1] + byte(n>>16), b[2] + byte(n>>8), b[3] + byte(n)})
}

// busy makes a world with many sources of our own and a peer.
func busy(t *testing.T, n int, peers ...string) *world {
	w := newWorld(t)
	w.nosay = true
	w.received = map[netip.Addr][]engine.Key{}
	for _, p := range peers {
		w.do([]string{"peer", p})
	}
	w.do([]string{"addr", local.String()})
	w.event(engine.Configure{Config: w.cfg})
	for i := range n {
		w.event(engine.SourceActive{Key: engine.SG(nth(addr("10.1.0.0"), i), addr("225.1.1.1")), RP: local, Active: true})
	}
	return w
}

// TestDump: the cache is sent to a new peer in parts, whatever is added and removed meanwhile, each source once; and it ends with
// the connection.
func TestDump(t *testing.T) {
	const n = 5000
	w := busy(t, n, "10.0.0.1")
	peer := addr("10.0.0.1")
	source := func(i int) engine.Key { return engine.SG(nth(addr("10.1.0.0"), i), addr("225.1.1.1")) }
	w.connect(peer)
	w.due()
	if got := len(w.received[peer]); got != 1019 && got != 1020 {
		t.Fatalf("the first part has %d sources", got)
	}
	// What would be sent next goes, and much else; something new comes.
	for i := 1000; i < 2000; i++ {
		w.event(engine.SourceActive{Key: source(i), RP: local})
	}
	w.wait(time.Second)
	if err := w.m.Check(); err != nil {
		t.Fatal(err)
	}
	times := map[engine.Key]int{}
	for _, k := range w.received[peer] {
		times[k]++
	}
	for i := range n {
		if sent := times[source(i)]; sent > 1 || (i < 1000 || i >= 2000) && sent == 0 || i >= 1020 && i < 2000 && sent > 0 {
			t.Fatalf("source %d was sent %d times", i, sent)
		}
	}
	// The connection ends in the middle.
	id := w.peers[peer]
	w.event(engine.StreamClosed{ID: id})
	delete(w.open, id)
	w.connect(peer)
	w.due()
	id = w.peers[peer]
	delete(w.open, id)
	w.event(engine.StreamClosed{ID: id, Err: "reset"})
	if err := w.m.Check(); err != nil {
		t.Fatal(err)
	}
}

// TestSpread: periodic messages are spread over SA-Advertisement-Period (RFC 3618, section 5.2), each source once in it.
func TestSpread(t *testing.T) {
	const n = 30_000
	w := busy(t, n, "10.0.0.1")
	peer := addr("10.0.0.1")
	w.connect(peer)
	w.wait(59 * time.Second)
	for round := range 3 {
		w.received[peer] = nil
		most := 0
		for range 60 {
			before := len(w.received[peer])
			w.wait(time.Second)
			most = max(most, len(w.received[peer])-before)
			w.send(peer, &wire.KeepAlive{})
		}
		times := map[engine.Key]int{}
		for _, k := range w.received[peer] {
			times[k]++
		}
		if len(times) != n || len(w.received[peer]) != n || most > n/60*2 {
			t.Fatalf("round %d: %d sources in %d entries, at most %d in a second", round, len(times), len(w.received[peer]), most)
		}
	}
}

// TestFlood: of 25,000 Source-Actives a second from one peer for a minute, those within its limits are taken; another peer's are
// all taken, and go on to the third at once, who loses none of them. The flood is that of a host that sends to all groups, or
// it is forged: the other peer's sources, in its groups and in others, by as many RPs as can be named.
func TestFlood(t *testing.T) {
	t.Run("one source in all groups", func(t *testing.T) {
		flood(t, func(n int) (rp netip.Addr, e wire.Entry) {
			return addr("10.255.0.1"), wire.Entry{Source: addr("10.66.0.1"), Group: nth(addr("225.0.0.0"), n), PrefixLen: 32}
		})
	})
	t.Run("forged", func(t *testing.T) {
		flood(t, func(n int) (rp netip.Addr, e wire.Entry) {
			e = wire.Entry{Source: nth(addr("10.2.0.0"), n/3%600), Group: addr("226.0.0.1"), PrefixLen: 32}
			if n%3 != 0 {
				e.Group = nth(addr("225.0.0.0"), n)
			}
			return nth(addr("10.254.0.0"), n/250), e
		})
	})
}

func flood(t *testing.T, forge func(n int) (netip.Addr, wire.Entry)) {
	w := newWorld(t)
	w.nosay = true
	w.received = map[netip.Addr][]engine.Key{}
	w.do([]string{"peer", "10.0.0.1", "max", "20000", "rate", "1000", "burst", "5000", "default"})
	w.do([]string{"peer", "10.0.0.2"})
	w.do([]string{"peer", "10.0.0.3"})
	w.do([]string{"addr", local.String()})
	w.do([]string{"path", "10.255.0.1", "via", "10.0.0.1"})
	w.do([]string{"path", "10.255.0.2", "via", "10.0.0.2"})
	w.cfg.MaxPerSource, w.cfg.MaxSAs = 100_000, 21_000
	w.event(engine.Configure{Config: w.cfg})
	for _, p := range []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"} {
		w.connect(addr(p))
	}
	sent, good := 0, 0
	for tick := range 600 { // of 100 ms
		for range 10 {
			m := &wire.SourceActive{}
			for range 250 {
				rp, e := forge(sent)
				m.RP, m.Entries = rp, append(m.Entries, e)
				sent++
			}
			w.send(addr("10.0.0.1"), m)
		}
		source := nth(addr("10.2.0.0"), good)
		good++
		w.send(addr("10.0.0.2"), &wire.SourceActive{
			RP: addr("10.255.0.2"), Entries: []wire.Entry{{Source: source, Group: addr("226.0.0.1"), PrefixLen: 32}},
		})
		list := w.received[addr("10.0.0.3")]
		if last := list[len(list)-1]; last.Source != source {
			t.Fatalf("tick %d: the good peer's source did not go on", tick)
		}
		w.wait(100 * time.Millisecond)
		if tick%100 == 0 {
			w.send(addr("10.0.0.3"), &wire.KeepAlive{})
		}
	}
	var peers []msdp.PeerShow
	for _, e := range w.m.Step(w.now, engine.Query{What: "peers"}) {
		peers = e.(engine.Answer).Value.([]msdp.PeerShow)
	}
	bad, other := peers[0], peers[1]
	if bad.Cached < 18_000 || bad.Cached > 20_000 || bad.OverRate < 1_400_000 || bad.State != "ESTABLISHED" {
		t.Errorf("the flooding peer: %+v", bad)
	}
	if other.Cached != good || other.OverRate+other.OverLimit > 0 || other.State != "ESTABLISHED" {
		t.Errorf("the other: %+v", other)
	}
	if err := w.m.Check(); err != nil {
		t.Error(err)
	}
}

// BenchmarkCache: 200,000 entries from 20 peers are learned, sent on and renewed once; it prints time, CPU
// time (with the collector's) and memory.
func BenchmarkCache(b *testing.B) {
	const peers, each = 20, 10_000
	for range b.N {
		m := msdp.New(engine.MachineID{Protocol: engine.MSDP, Family: engine.IPv4}, rand.New(rand.NewPCG(1, 2)))
		now := time.Unix(1_000_000, 0)
		written := 0
		var step func(ev engine.Event)
		step = func(ev engine.Event) {
			var track []netip.Addr
			var read []engine.StreamID
			for _, e := range m.Step(now, ev) {
				switch e := e.(type) {
				case engine.Track:
					track = append(track, e.Addr)
				case engine.WriteStream:
					written += len(e.Data)
					read = append(read, e.ID)
				}
			}
			for _, a := range track {
				step(engine.Path{Addr: a})
			}
			for _, id := range read {
				step(engine.StreamWritten{ID: id})
			}
		}
		cfg := msdp.Config{NoRecommendedFilters: true}
		for p := range peers {
			cfg.Peers = append(cfg.Peers, msdp.PeerConfig{Address: nth(addr("10.0.0.100"), p), Local: local})
		}
		cfg.Peers = cfg.Peers[:peers]
		step(engine.InterfaceChange{Interface: engine.Interface{ID: 1, Up: true, Carrier: true, Addrs: []netip.Prefix{netip.PrefixFrom(local, 32)}}})
		step(engine.Configure{Config: cfg})
		for p := range peers {
			step(engine.StreamOpened{ID: engine.StreamID(p + 1), Remote: netip.AddrPortFrom(cfg.Peers[p].Address, 639)})
		}
		step(engine.Settled{})
		pass := func() {
			for p := range peers {
				for from := 0; from < each; from += 250 {
					msg := &wire.SourceActive{RP: cfg.Peers[p].Address}
					for i := from; i < from+250; i++ {
						msg.Entries = append(msg.Entries, wire.Entry{
							Source: nth(addr("10.1.0.0"), p<<14|i), Group: nth(addr("225.0.0.0"), i%1000), PrefixLen: 32,
						})
					}
					data, err := msg.Append(nil)
					if err != nil {
						b.Fatal(err)
					}
					step(engine.StreamData{ID: engine.StreamID(p + 1), Data: data})
					step(engine.Settled{})
				}
			}
		}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		start, startCPU := time.Now(), cpu(b)
		pass()
		learned, learnedCPU := time.Since(start), cpu(b)-startCPU
		runtime.GC()
		runtime.ReadMemStats(&after)
		now = now.Add(60 * time.Second)
		start, startCPU = time.Now(), cpu(b)
		pass()
		renewed, renewedCPU := time.Since(start), cpu(b)-startCPU
		var sum msdp.SummaryShow
		for _, e := range m.Step(now, engine.Query{What: "summary"}) {
			if a, ok := e.(engine.Answer); ok {
				sum = a.Value.(msdp.SummaryShow)
			}
		}
		if sum.Cached != peers*each {
			b.Fatalf("%+v", sum)
		}
		b.ReportMetric(learned.Seconds()*1e9/peers/each, "ns/learned")
		b.ReportMetric(renewed.Seconds()*1e9/peers/each, "ns/renewed")
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/peers/each, "B/entry")
		b.ReportMetric(learnedCPU.Seconds()*1e9/peers/each, "CPU-ns/learned")
		b.ReportMetric(renewedCPU.Seconds()*1e9/peers/each, "CPU-ns/renewed")
		fmt.Printf("%d entries of %d peers: learned in %v (CPU %v), renewed in %v (CPU %v), %d MiB, %d MiB written to the other peers\n",
			sum.Cached, peers, learned.Round(time.Millisecond), learnedCPU.Round(time.Millisecond), renewed.Round(time.Millisecond),
			renewedCPU.Round(time.Millisecond), (after.HeapAlloc-before.HeapAlloc)>>20, written>>20)
	}
}

// cpu is the CPU time that the process has used.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
