package bench

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"

	grovev1 "grove/daemon/api/grove/v1"
	"grove/internal/engine"
	"grove/labs/script"
	"grove/msdp/wire"
)

// The lab in testdata/msdp has a router with so many peers, all of them on one host.
const msdpPeers = 20

// msdpEach is how many sources each has in BenchmarkMSDP.
const msdpEach = 10_000

// msdpPeer is a peer that says what a benchmark has it say, and counts what it is told.
type msdpPeer struct {
	conn  *net.TCPConn
	rp    netip.Addr
	ended chan struct{}
	round atomic.Int64
	last  [msdpPeers * msdpEach]byte // the last round in which it was told of a source
	heard atomic.Int64               // different sources in this round
	first sync.Map                   // of each source that is watched, a chan that gets the time of its first entry
}

// connectPeers connects peers to r1, the first n.
func (l *lab) connectPeers(n int) (list []*msdpPeer) {
	l.b.Helper()
	for i := range n {
		p := &msdpPeer{rp: netip.AddrFrom4([4]byte{10, 1, 0, byte(i + 1)}), ended: make(chan struct{})}
		err := l.In("h1", func() error {
			d := net.Dialer{Timeout: 10 * time.Second, LocalAddr: &net.TCPAddr{IP: p.rp.AsSlice()}}
			c, err := d.Dial("tcp4", fmt.Sprintf("10.1.0.254:%d", wire.Port))
			if err == nil {
				p.conn = c.(*net.TCPConn)
			}
			return err
		})
		if err != nil {
			l.b.Fatal(err)
		}
		go p.read()
		go p.keepAlive()
		l.b.Cleanup(func() { p.conn.Close(); <-p.ended })
		list = append(list, p)
	}
	return list
}

// read counts entries without parsing them into anything: twenty peers in one process must not be what is measured.
func (p *msdpPeer) read() {
	defer close(p.ended)
	var r wire.Reader
	for b := make([]byte, 1<<18); ; {
		n, err := p.conn.Read(b)
		if err != nil {
			return
		}
		now := time.Now()
		r.Feed(b[:n])
		for {
			tlv, err := r.Next()
			if err != nil || tlv == nil {
				break
			}
			if wire.Type(tlv[0]) != wire.TypeSourceActive {
				continue
			}
			round := byte(p.round.Load())
			for e := tlv[8:]; len(e) >= 12; e = e[12:] {
				i := (int(e[8])-21)*msdpEach + int(e[9])<<16 + int(binary.BigEndian.Uint16(e[10:]))
				if i >= 0 && i < len(p.last) && p.last[i] != round {
					p.last[i] = round
					p.heard.Add(1)
				}
				if c, ok := p.first.LoadAndDelete(binary.BigEndian.Uint32(e[8:])); ok {
					c.(chan time.Time) <- now
				}
			}
		}
	}
}

func (p *msdpPeer) keepAlive() {
	for tick := time.NewTicker(20 * time.Second); ; {
		select {
		case <-tick.C:
			_, _ = p.conn.Write([]byte{byte(wire.TypeKeepAlive), 0, 3})
		case <-p.ended:
			tick.Stop()
			return
		}
	}
}

// tell sends entries of the peer's RP, from one number to another.
func (p *msdpPeer) tell(from, to int) error {
	a := p.rp.As4()
	for n := from; n < to; n += 250 {
		m := &wire.SourceActive{RP: p.rp}
		for i := n; i < min(n+250, to); i++ {
			m.Entries = append(m.Entries, wire.Entry{
				Source: netip.AddrFrom4([4]byte{20 + a[3], byte(i >> 16), byte(i >> 8), byte(i)}), PrefixLen: 32,
				Group: netip.AddrFrom4([4]byte{225, a[3], byte(i % 1000 >> 8), byte(i % 1000)}),
			})
		}
		b, err := m.Append(nil)
		if err != nil {
			return err
		}
		if _, err := p.conn.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// msdpSummary is what r1 says of its cache.
func (l *lab) msdpSummary() *grovev1.GetMSDPSummaryResponse {
	l.b.Helper()
	answer, err := l.routers["r1"].(*groved).client.GetMSDPSummary(l.b.Context(), connect.NewRequest(&grovev1.GetMSDPSummaryRequest{}))
	if err != nil {
		l.b.Fatal(err)
	}
	return answer.Msg
}

// entriesRead is how many entries r1 has read of all peers.
func (l *lab) entriesRead() (n uint64) {
	l.b.Helper()
	answer, err := l.routers["r1"].(*groved).client.ListMSDPPeers(l.b.Context(), connect.NewRequest(&grovev1.ListMSDPPeersRequest{}))
	if err != nil {
		l.b.Fatal(err)
	}
	for _, p := range answer.Msg.Peers {
		n += p.SourceActivesIn
	}
	return n
}

// BenchmarkMSDP has twenty peers tell a router of 10,000 sources each, as fast as they can, and again when the router may send
// them on again. It reports the time until each peer has all sources of the others, the CPU time of the router for that and for
// the second round, and its memory.
func BenchmarkMSDP(b *testing.B) {
	for b.Loop() {
		l := start(b, "testdata/msdp", newGroved, "r1")
		pid := l.routers["r1"].pid()
		peers := l.connectPeers(msdpPeers)
		l.until(10*time.Second, "the peers are established", func() bool { return l.msdpSummary().Established == msdpPeers })
		idle := memoryOf(b, pid).rss
		round := func(n int64, name string) {
			var telling sync.WaitGroup
			for _, p := range peers {
				p.round.Store(n)
				p.heard.Store(0)
			}
			before, began := cpu(b, pid), time.Now()
			for _, p := range peers {
				telling.Go(func() {
					if err := p.tell(0, msdpEach); err != nil {
						b.Error(err)
					}
				})
			}
			l.until(2*time.Minute, "each peer has all sources of the others", func() bool {
				for _, p := range peers {
					if p.heard.Load() < msdpEach*(msdpPeers-1) {
						return false
					}
				}
				return true
			})
			telling.Wait()
			b.ReportMetric(time.Since(began).Seconds(), "s-"+name)
			b.ReportMetric((cpu(b, pid) - before).Seconds(), "CPU-s-"+name)
		}
		round(1, "learned")
		if s := l.msdpSummary(); s.Cached != msdpPeers*msdpEach {
			b.Fatalf("%d entries are cached", s.Cached)
		}
		m := memoryOf(b, pid)
		b.ReportMetric(m.rss, "MiB-RSS")
		b.ReportMetric(m.peak, "MiB-peak")
		b.ReportMetric(m.rss-idle, "MiB-more")
		l.wait(31*time.Second, func() bool { return false }) // SA-Hold-Down-Period
		round(2, "renewed")
		fmt.Printf("%d entries of %d peers: resident %.0f MiB, %.0f before; peak %.0f\n", msdpPeers*msdpEach, msdpPeers, m.rss, idle, m.peak)
	}
}

// BenchmarkMSDPFlood has one peer tell of 25,000 new sources a second for twenty seconds, with the router's limits at their
// defaults. It reports how long a source of another peer takes to a third one meanwhile, and without the flood; how many packets
// of a flow are lost; and the CPU time.
func BenchmarkMSDPFlood(b *testing.B) {
	const (
		seconds = 20
		every   = 20 * time.Millisecond
	)
	for b.Loop() {
		l := start(b, "testdata/msdp", newGroved, "r1")
		pid := l.routers["r1"].pid()
		peers := l.connectPeers(3)
		bad, good, other := peers[0], peers[1], peers[2]
		g := group(engine.IPv4, 0, 1)
		l.do(script.Action{Join: &script.Membership{Host: "h2", Group: g}})
		l.do(script.Action{Send: &script.Send{Host: "h1", Group: g, Rate: 1000, TTL: 64, Size: 100}})
		l.until(20*time.Second, "packets pass", func() bool { return l.Received("h2", g).Packets > 100 })
		told := 0
		measure := func(name string) {
			var delays []time.Duration
			received, before := l.Received("h2", g), cpu(b, pid)
			tick := time.NewTicker(every)
			defer tick.Stop()
			for range seconds * int(time.Second/every) {
				<-tick.C
				came := make(chan time.Time, 1)
				other.first.Store(uint32(20+good.rp.As4()[3])<<24|uint32(told), came)
				sent := time.Now()
				if err := good.tell(told, told+1); err != nil {
					b.Fatal(err)
				}
				told++
				select {
				case at := <-came:
					delays = append(delays, at.Sub(sent))
				case <-time.After(10 * time.Second):
					b.Fatalf("%s: source %d does not come", name, told)
				}
			}
			slices.Sort(delays)
			now := l.Received("h2", g)
			b.ReportMetric(float64(delays[len(delays)/2].Microseconds())/1000, "ms-median-"+name)
			b.ReportMetric(float64(delays[len(delays)-1].Microseconds())/1000, "ms-longest-"+name)
			b.ReportMetric((cpu(b, pid)-before).Seconds()/seconds*100, "%-CPU-"+name)
			b.ReportMetric(float64(now.Lost-received.Lost), "lost-"+name)
			fmt.Printf("%s: %d sources, median %v, longest %v; of %d packets %d lost, %d twice\n", name, len(delays), delays[len(delays)/2],
				delays[len(delays)-1], now.Packets-received.Packets, now.Lost-received.Lost, now.Duplicates-received.Duplicates)
		}
		measure("quiet")
		failed := make(chan error, 1)
		go func() {
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for n := 0; n < seconds*25_000; n += 250 {
				<-tick.C
				if err := bad.tell(n, n+250); err != nil {
					failed <- err
					return
				}
			}
			failed <- nil
		}()
		measure("flood")
		if err := <-failed; err != nil {
			b.Fatal(err)
		}
		l.until(20*time.Second, "the flood is read", func() bool { return l.entriesRead() >= seconds*25_000+uint64(told) })
		b.ReportMetric(float64(l.msdpSummary().Cached), "cached")
		b.ReportMetric(memoryOf(b, pid).rss, "MiB-RSS")
	}
}
