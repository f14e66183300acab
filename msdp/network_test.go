package msdp_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"grove/internal/engine"
	"grove/msdp"
)

// network is machines whose streams are joined: what one writes the other is handed, in pieces.
type network struct {
	t     *testing.T
	rng   *rand.Rand
	now   time.Time
	nodes []*networkNode
	byID  map[netip.Addr]*networkNode
	queue []func()
	links [][]int
}

type networkNode struct {
	n       int
	m       *msdp.Machine
	addr    netip.Addr
	streams map[engine.StreamID]end
	acc     engine.StreamID
}

// end is the far end of a stream.
type end struct {
	node *networkNode
	id   engine.StreamID
}

func (w *network) step(x *networkNode, ev engine.Event) {
	for _, e := range x.m.Step(w.now, ev) {
		switch e := e.(type) {
		case engine.Track:
			w.queue = append(w.queue, func() { w.event(x, w.path(x, e.Addr)) })
		case engine.OpenStream:
			w.queue = append(w.queue, func() { w.open(x, e) })
		case engine.WriteStream:
			far := x.streams[e.ID]
			for b := e.Data; len(b) > 0; {
				n := 1 + w.rng.IntN(len(b))
				piece := append([]byte(nil), b[:n]...)
				b = b[n:]
				w.queue = append(w.queue, func() { w.event(far.node, engine.StreamData{ID: far.id, Data: piece}) })
			}
			w.queue = append(w.queue, func() { w.event(x, engine.StreamWritten{ID: e.ID}) })
		case engine.CloseStream:
			far := x.streams[e.ID]
			delete(x.streams, e.ID)
			if far.node != nil {
				w.queue = append(w.queue, func() {
					delete(far.node.streams, far.id)
					w.event(far.node, engine.StreamClosed{ID: far.id})
				})
			}
		}
	}
}

func (w *network) event(x *networkNode, ev engine.Event) {
	w.step(x, ev)
	w.step(x, engine.Settled{})
}

func (w *network) open(x *networkNode, e engine.OpenStream) {
	y := w.byID[e.Peer.Remote]
	y.acc++
	id := 1<<63 | y.acc
	x.streams[e.ID], y.streams[id] = end{y, id}, end{x, e.ID}
	w.event(y, engine.StreamOpened{
		ID: id, Accepted: true, Local: netip.AddrPortFrom(y.addr, 639), Remote: netip.AddrPortFrom(x.addr, 40000),
	})
	w.event(x, engine.StreamOpened{ID: e.ID, Local: netip.AddrPortFrom(x.addr, 40000), Remote: netip.AddrPortFrom(y.addr, 639)})
}

// path is the shortest, by the links.
func (w *network) path(x *networkNode, to netip.Addr) engine.Path {
	p := engine.Path{Addr: to, Prefix: netip.PrefixFrom(to, 32), Origin: "ospf"}
	y := w.byID[to]
	if y == x {
		p.Local = true
		return p
	}
	// From the far end, nearest first: the node before x is x's next hop.
	seen, list := map[int]bool{y.n: true}, []int{y.n}
	for len(list) > 0 {
		at := list[0]
		list = list[1:]
		for _, next := range w.links[at] {
			if next == x.n {
				p.Hops = []engine.NextHop{{If: 1, Gateway: w.nodes[at].addr, Weight: 1}}
				return p
			}
			if !seen[next] {
				seen[next] = true
				list = append(list, next)
			}
		}
	}
	return p
}

func (w *network) run(d time.Duration) {
	until := w.now.Add(d)
	for {
		for n := 0; len(w.queue) > 0; n++ {
			if n > 200_000 {
				w.t.Fatal("messages go round in circles")
			}
			f := w.queue[0]
			w.queue = w.queue[1:]
			f()
		}
		next := until
		for _, x := range w.nodes {
			if at, ok := x.m.Deadline(); ok && at.Before(next) {
				next = at
			}
		}
		if !next.Before(until) {
			w.now = until
			return
		}
		if next.After(w.now) {
			w.now = next
		}
		for _, x := range w.nodes {
			if at, ok := x.m.Deadline(); ok && !at.After(w.now) {
				w.event(x, engine.Tick{})
			}
		}
	}
}

func (w *network) cache(x *networkNode) (list []msdp.SAShow) {
	for _, e := range x.m.Step(w.now, engine.Query{What: "sa-cache"}) {
		if a, ok := e.(engine.Answer); ok {
			list = append(list, a.Value.([]msdp.SAShow)...)
		}
	}
	return list
}

// TestNetwork: in random networks of peers every router knows every source once after quiescence, no message goes round, an entry is
// accepted at most once each time that it is told, and when a source ends nobody knows of it after SG-State-Period.
func TestNetwork(t *testing.T) {
	for seed := range uint64(25) {
		rng := rand.New(rand.NewPCG(seed, 4))
		w := &network{t: t, rng: rng, now: time.Unix(1_000_000, 0), byID: map[netip.Addr]*networkNode{}}
		n := 2 + rng.IntN(8)
		w.links = make([][]int, n)
		mesh := seed%3 == 0 // all in one mesh group
		linked := map[[2]int]bool{}
		link := func(a, b int) {
			if a, b = min(a, b), max(a, b); a != b && !linked[[2]int{a, b}] {
				linked[[2]int{a, b}] = true
				w.links[a], w.links[b] = append(w.links[a], b), append(w.links[b], a)
			}
		}
		for i := range n {
			x := &networkNode{n: i, addr: addr(fmt.Sprintf("10.0.0.%d", 1+i)), streams: map[engine.StreamID]end{}}
			x.m = msdp.New(engine.MachineID{Protocol: engine.MSDP, Family: engine.IPv4}, rand.New(rand.NewPCG(seed, uint64(i))))
			w.nodes = append(w.nodes, x)
			w.byID[x.addr] = x
			link(i, rng.IntN(max(i, 1)))
			for j := range i {
				if mesh || rng.IntN(5) == 0 {
					link(i, j)
				}
			}
		}
		for i, x := range w.nodes {
			cfg := msdp.Config{NoRecommendedFilters: true}
			for _, j := range w.links[i] {
				p := msdp.PeerConfig{Address: w.nodes[j].addr, Local: x.addr}
				if mesh {
					p.MeshGroup = "all"
				}
				cfg.Peers = append(cfg.Peers, p)
			}
			w.event(x, engine.InterfaceChange{Interface: engine.Interface{ID: 1, Up: true, Carrier: true, Addrs: []netip.Prefix{netip.PrefixFrom(x.addr, 32)}}})
			w.event(x, engine.Configure{Config: cfg})
		}
		source := func(x *networkNode, active bool) {
			k := engine.SG(addr(fmt.Sprintf("10.%d.0.1", 1+x.n)), addr("225.1.1.1"))
			w.event(x, engine.SourceActive{Key: k, RP: x.addr, Active: active})
		}
		for i, x := range w.nodes { // some before the connections come about, some after
			if i%2 == 0 {
				source(x, true)
			}
		}
		w.run(35 * time.Second)
		for i, x := range w.nodes {
			if i%2 == 1 {
				source(x, true)
			}
		}
		w.run(300 * time.Second)
		for _, x := range w.nodes {
			list := w.cache(x)
			if len(list) != n {
				t.Fatalf("seed %d: node %d of %d knows of %d sources: %+v", seed, x.n, n, len(list), list)
			}
			for _, s := range list {
				if !s.Own && s.Expires < 85*time.Second { // told every 60 s of 150
					t.Fatalf("seed %d: node %d: %v expires in %v", seed, x.n, s.Key, s.Expires)
				}
			}
			if err := x.m.Check(); err != nil {
				t.Fatalf("seed %d: node %d: %v", seed, x.n, err)
			}
			for _, r := range w.nodes {
				if r == x {
					continue
				}
				accepted := uint64(0)
				for _, e := range x.m.Step(w.now, engine.Query{What: "rpf", Arg: r.addr.String()}) {
					for _, p := range e.(engine.Answer).Value.(msdp.RPFShow).Peers {
						accepted += p.AcceptedN
					}
				}
				if accepted > 12 { // told about 6 times, and with the cache of a new connection
					t.Fatalf("seed %d: node %d accepted %d entries of RP %v", seed, x.n, accepted, r.addr)
				}
			}
		}
		source(w.nodes[0], false)
		w.run(200 * time.Second)
		for _, x := range w.nodes {
			if list := w.cache(x); len(list) != n-1 {
				t.Fatalf("seed %d: node %d still knows of %d sources", seed, x.n, len(list))
			}
		}
	}
}
