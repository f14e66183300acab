package msdp_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"grove/internal/engine"
	"grove/msdp"
	"grove/msdp/wire"
)

func pick[T any](rng *rand.Rand, list ...T) T { return list[rng.IntN(len(list))] }

var (
	walkPeers   = []netip.Addr{addr("10.0.0.1"), addr("10.0.0.2"), addr("10.0.0.8"), addr("10.0.0.9")}
	walkRPs     = []netip.Addr{addr("10.255.0.1"), addr("10.255.0.2"), addr("10.0.0.9"), addr("10.255.0.5")}
	walkGroups  = []netip.Addr{addr("225.1.1.1"), addr("225.1.1.2"), addr("239.1.1.1"), addr("224.0.0.1")}
	walkSources = []netip.Addr{addr("10.1.0.1"), addr("10.1.0.2"), addr("192.0.2.3"), addr("10.1.0.4"), addr("0.0.0.0")}
)

// TestRandomWalk lets anything happen, in any state: connections that come and go, streams that are split anywhere and hold
// nonsense, peers that do not read, new configurations, clocks that jump. After each event the state is whole; the world
// fails if the machine writes to a stream that is not open, says a level twice, or writes what cannot be read. In the end, when
// nobody says anything any more, nothing is left.
func TestRandomWalk(t *testing.T) {
	seeds := uint64(500)
	if testing.Short() {
		seeds = 40
	}
	for seed := range seeds {
		rng := rand.New(rand.NewPCG(seed, 7))
		walkWith(t, seed, func(n int) int { return rng.IntN(n) }, 300)
	}
}

// FuzzWalk is the random walk with the fuzzer's choices.
func FuzzWalk(f *testing.F) {
	f.Add([]byte("msdp"))
	f.Fuzz(func(t *testing.T, b []byte) {
		walkWith(t, 0, func(n int) int {
			if len(b) == 0 {
				return 0
			}
			c := int(b[0])
			b = b[1:]
			return c % n
		}, min(len(b)/3, 200))
	})
}

func walkWith(t *testing.T, seed uint64, choose func(int) int, steps int) {
	w := newWorld(t)
	w.nosay = true
	rng := rand.New(rand.NewPCG(seed, 8))
	var story []string
	check := func() {
		t.Helper()
		if err := w.m.Check(); err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, strings.Join(story[max(0, len(story)-25):], "\n"))
		}
	}
	w.cfg.MaxSAs, w.cfg.MaxPerRP, w.cfg.MaxPerSource, w.cfg.MaxPerFlow, w.cfg.MaxRPsOfPeer = 14, 8, 6, 2, 3
	for n, a := range walkPeers {
		p := msdp.PeerConfig{Address: a, Local: local, MaxSAs: 10, Rate: 20, Burst: 100}
		if n%2 == 1 {
			p.MeshGroup = "a"
		}
		w.cfg.Peers = append(w.cfg.Peers, p)
	}
	config := w.cfg
	for n := range steps {
		if n == 0 {
			w.event(engine.Configure{Config: w.cfg})
			w.do([]string{"addr", local.String(), "10.255.0.5"})
		}
		story = append(story, w.happen(choose, rng, &config))
		check()
	}
	w.cfg = config
	w.event(engine.Configure{Config: w.cfg})
	for _, g := range walkGroups {
		w.event(engine.SourcesWanted{Group: g})
		for _, s := range walkSources {
			w.event(engine.SourceActive{Key: engine.SG(s, g), RP: walkRPs[3]})
		}
	}
	w.wait(1000 * time.Second)
	check()
	for k, active := range w.said {
		if active {
			t.Fatalf("seed %d: %v is still said to be active", seed, k)
		}
	}
	if n := w.m.RPs(); n > 0 {
		t.Fatalf("seed %d: %d RPs are left", seed, n)
	}
	for a := range w.track {
		if !slices.Contains(walkPeers, a) {
			t.Fatalf("seed %d: %v is still tracked", seed, a)
		}
	}
}

// happen lets one thing happen, and says what.
func (w *world) happen(choose func(int) int, rng *rand.Rand, whole *msdp.Config) string {
	peer := walkPeers[choose(len(walkPeers))]
	id := w.peers[peer]
	g, s := walkGroups[choose(len(walkGroups))], walkSources[choose(len(walkSources))]
	rp := walkRPs[choose(len(walkRPs))]
	switch what := choose(20); what {
	case 0, 1, 2:
		if w.dial[id] || !w.open[id] && w.listens(peer) {
			w.connect(peer)
		}
	case 3:
		if w.open[id] || w.dial[id] {
			delete(w.open, id)
			delete(w.dial, id)
			w.event(engine.StreamClosed{ID: id, Err: pick(rng, "", "reset")})
		}
	case 4: // the peer opens another connection
		if w.listens(peer) {
			old := id
			w.acc++
			w.connected(peer, 1<<63|w.acc, true)
			if w.open[old] {
				w.t.Fatalf("the old connection of %v is still open", peer)
			}
		}
	case 5, 6, 7, 8, 9: // messages, split anywhere
		if !w.open[id] {
			break
		}
		m := &wire.SourceActive{RP: rp, Response: choose(8) == 0}
		for range 1 + choose(6) {
			m.Entries = append(m.Entries, wire.Entry{Source: s, Group: g, PrefixLen: 32})
			g, s = walkGroups[choose(len(walkGroups))], walkSources[choose(len(walkSources))]
		}
		if choose(3) == 0 {
			last := m.Entries[len(m.Entries)-1]
			m.Data = dataPacket(last.Source, last.Group, 9)
		}
		b, err := m.Append(nil)
		if err != nil {
			w.t.Fatal(err)
		}
		b, _ = (&wire.KeepAlive{}).Append(b)
		for len(b) > 0 && w.open[id] {
			n := 1 + choose(len(b))
			w.event(engine.StreamData{ID: id, Data: slices.Clone(b[:n])})
			b = b[n:]
		}
	case 10: // nonsense
		if !w.open[id] {
			break
		}
		b := []byte{byte(choose(9)), 0, byte(choose(30)), byte(choose(4))}
		for range choose(30) {
			b = append(b, byte(choose(256)))
		}
		w.event(engine.StreamData{ID: id, Data: b})
		return fmt.Sprintf("nonsense from %v: %x", peer, b)
	case 11:
		w.slow[peer] = choose(2) == 0
	case 12:
		if w.open[id] {
			w.event(engine.StreamWritten{ID: id, Waiting: choose(3) * 30000})
		}
	case 13, 14:
		w.event(engine.SourceActive{Key: engine.SG(s, g), RP: walkRPs[3], Active: choose(3) > 0})
	case 15:
		wanted := choose(2) == 0
		if wanted {
			for k := range w.said {
				w.said[k] = w.said[k] && k.Group != g
			}
		}
		w.event(engine.SourcesWanted{Group: g, Wanted: wanted})
	case 16: // a path
		p := engine.Path{Addr: rp, Prefix: netip.PrefixFrom(rp, 32), Origin: "ospf"}
		switch choose(4) {
		case 0:
			p.Hops = []engine.NextHop{{If: 2, Gateway: peer, Weight: 1}}
		case 1:
			p.BGP = &engine.BGPPath{NextHop: peer, Neighbor: peer, Internal: choose(2) == 0, ASPath: []uint32{65001}}
		case 2:
			p.Local = true
		}
		w.paths[rp] = p
		if w.track[rp] {
			w.event(p)
		}
	case 17: // the configuration, or our address
		if choose(2) == 0 {
			w.do([]string{pick(rng, "addr", "addr", "noaddr"), local.String()})
			break
		}
		w.cfg.Peers = slices.Clone(whole.Peers)
		n := choose(len(w.cfg.Peers))
		switch choose(7) {
		case 0:
			w.cfg.Peers = slices.Delete(w.cfg.Peers, n, n+1)
		case 1:
			w.cfg.Peers[n].Disabled = true
		case 2:
			w.cfg.Peers[n].Password = "secret"
		case 3:
			w.cfg.Peers[n].In = msdp.Filter{{Deny: true, Source: netip.PrefixFrom(s, 32)}, {}}
		case 4:
			w.cfg.Peers[n].Boundary = []netip.Prefix{netip.PrefixFrom(g, 32)}
		case 5:
			w.cfg.NoRecommendedFilters = !w.cfg.NoRecommendedFilters
		}
		w.cfg.OriginatorID = pick(rng, netip.Addr{}, addr("10.99.0.1"))
		w.event(engine.Configure{Config: w.cfg})
	default: // time, in steps that a keepalive bridges, or in a jump of the clock
		d := time.Duration(1+choose(40)) * time.Second
		switch choose(12) {
		case 0:
			w.now = w.now.Add(10 * d)
			w.event(engine.Tick{})
			w.due()
		default:
			w.wait(d)
		}
		return fmt.Sprintf("%v passes", d)
	}
	return fmt.Sprintf("%v peer %v (%v,%v) rp %v", w.now.Sub(w.start), peer, s, g, rp)
}

func (w *world) listens(peer netip.Addr) bool {
	return slices.ContainsFunc(w.listen, func(p engine.StreamPeer) bool { return p.Remote == peer })
}
