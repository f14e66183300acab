package sim

import (
	"container/heap"
	"fmt"
	"net/netip"
	"slices"

	"grove/internal/engine"
)

// oracle stands for a unicast routing protocol that is always right, some time after a change: it computes the
// shortest paths to every prefix from the topology itself. One computation per set of routers that have a prefix serves
// all prefixes of that set, and a router is told only what differs.
type oracle struct {
	sim     *Sim
	changes uint64 // of the topology
	seen    uint64 // changes when the routes were last computed
	started bool

	graph    [][]edge                  // by node: the neighbours when the routes were last computed
	prefixes []prefix                  // in the order of their first appearance
	index    map[netip.Prefix]int32    // into prefixes
	owner    map[netip.Addr]int32      // an address of a router -> its prefix
	trees    map[string]*tree          // by set of owners
	told     map[int32]map[int32]known // what a router (by node) was told, by prefix
}

type prefix struct {
	netip.Prefix
	owners   []int32 // routers that are on it now
	announce bool
	tree     *tree // nil until needed
}

// edge is one way from a router to a neighbour.
type edge struct {
	to    int32
	cost  int32
	port  *Port // the way out
	other *Port // the neighbour's end
}

// tree holds the shortest paths of all routers to one set of routers.
type tree struct {
	dist []int32 // by node; -1: no way
	via  []*edge // by node: the first of the best ways
}

type known struct {
	metric uint32
	hops   []engine.NextHop
}

func newOracle(s *Sim) *oracle {
	return &oracle{sim: s, index: make(map[netip.Prefix]int32), told: make(map[int32]map[int32]known)}
}

// topologyChanged lets the oracle know that an interface or an address came, went or changed.
func (s *Sim) topologyChanged() {
	o := s.oracle
	if o == nil {
		return
	}
	o.changes++
	delay := s.opts.OracleDelay
	if !o.started {
		if delay = 0; o.changes > 1 {
			return // the first computation is due, and will see this
		}
	}
	s.After(delay, o.recompute)
}

// recompute computes all routes and tells the routers the differences.
func (o *oracle) recompute() {
	if o.started && o.seen == o.changes {
		return
	}
	starting := func(n *Node) bool { return n.router != nil && !n.started }
	if !o.started && slices.ContainsFunc(o.sim.nodes, starting) {
		o.sim.After(0, o.recompute) // when all have started
		return
	}
	o.started, o.seen = true, o.changes
	o.survey()
	hops := make(map[*tree][][2][]engine.NextHop) // by node and family
	for _, n := range o.sim.nodes {
		if n.router == nil || !n.started {
			continue
		}
		told := o.told[n.index]
		if told == nil {
			told = make(map[int32]known)
			o.told[n.index] = told
		}
		for i := range o.prefixes {
			p := &o.prefixes[i]
			if !p.announce {
				continue
			}
			var now known
			if !slices.Contains(p.owners, n.index) && len(p.owners) > 0 {
				t := o.treeOf(p)
				if hops[t] == nil {
					hops[t] = make([][2][]engine.NextHop, len(o.sim.nodes))
				}
				now = known{uint32(t.dist[n.index]), o.hops(t, &hops[t][n.index], n, engine.FamilyOf(p.Addr()))}
			}
			o.tell(n, p.Prefix, told, int32(i), now)
		}
	}
}

// forget lets a router that has started anew be told all there is.
func (o *oracle) forget(n *Node) {
	delete(o.told, n.index)
	o.changes++
	o.sim.After(0, o.recompute)
}

func (o *oracle) tell(n *Node, p netip.Prefix, told map[int32]known, i int32, now known) {
	old, was := told[i]
	if len(now.hops) == 0 {
		if was {
			delete(told, i)
			n.router.feed(engine.RouteChange{Prefix: p, Metric: old.metric, Hops: old.hops, Origin: "ospf", Gone: true})
		}
		return
	}
	if was && old.metric == now.metric && slices.Equal(old.hops, now.hops) {
		return
	}
	told[i] = now
	n.router.feed(engine.RouteChange{Prefix: p, Metric: now.metric, Hops: now.hops, Origin: "ospf"})
	if was && old.metric != now.metric {
		n.router.feed(engine.RouteChange{Prefix: p, Metric: old.metric, Hops: old.hops, Origin: "ospf", Gone: true})
	}
}

// hops returns the next hops of a node on its shortest paths along t, computed once for each family.
func (o *oracle) hops(t *tree, cache *[2][]engine.NextHop, n *Node, f engine.Family) []engine.NextHop {
	d := t.dist[n.index]
	if d <= 0 {
		return nil
	}
	if c := cache[family(f)]; c != nil {
		return c
	}
	var hops []engine.NextHop
	for i := range o.graph[n.index] {
		e := &o.graph[n.index][i]
		if t.dist[e.to] < 0 || t.dist[e.to]+e.cost != d {
			continue
		}
		if gateway := e.gateway(f); gateway.IsValid() {
			hops = append(hops, engine.NextHop{If: e.port.id, Gateway: gateway, Weight: 1})
		}
	}
	slices.SortFunc(hops, func(a, b engine.NextHop) int { return b.Gateway.Compare(a.Gateway) })
	cache[family(f)] = hops
	return hops
}

// gateway returns the address by which the neighbour is reached.
func (e *edge) gateway(f engine.Family) netip.Addr {
	if f == engine.IPv6 {
		return e.other.linkl.Addr()
	}
	for _, a := range e.other.addrs {
		if a.Addr().Is4() && e.port.onLink(a.Addr()) {
			return a.Addr()
		}
	}
	return netip.Addr{}
}

// survey takes the topology down: who neighbours whom, and who is on which prefix.
func (o *oracle) survey() {
	s := o.sim
	o.graph = make([][]edge, len(s.nodes))
	o.trees = make(map[string]*tree)
	o.owner = make(map[netip.Addr]int32)
	for i := range o.prefixes {
		o.prefixes[i].owners, o.prefixes[i].tree = nil, nil
	}
	for _, n := range s.nodes {
		if n.router == nil || !n.started {
			continue
		}
		for _, p := range n.ports {
			if p == nil || !p.live {
				continue
			}
			for _, a := range p.addrs {
				o.owns(n.index, a)
			}
			if p.link == nil {
				continue
			}
			for _, q := range p.link.ports {
				if q != p && q.live && q.node.router != nil && q.node.started {
					o.graph[n.index] = append(o.graph[n.index], edge{to: q.node.index, cost: int32(p.link.cost), port: p, other: q})
				}
			}
		}
	}
}

func (o *oracle) owns(node int32, a netip.Prefix) {
	masked := a.Masked()
	i, ok := o.index[masked]
	if !ok {
		i = int32(len(o.prefixes))
		o.index[masked] = i
		o.prefixes = append(o.prefixes, prefix{Prefix: masked, announce: o.sim.opts.Announce == nil || o.sim.opts.Announce(masked)})
	}
	o.owner[a.Addr()] = i
	if p := &o.prefixes[i]; !slices.Contains(p.owners, node) {
		p.owners = append(p.owners, node)
	}
}

// nextHop returns the first of the best ways to an address of a router, as of the last computation.
func (o *oracle) nextHop(n *Node, dst netip.Addr) (*Port, netip.Addr) {
	i, ok := o.owner[dst]
	if !ok || int(n.index) >= len(o.graph) {
		return nil, netip.Addr{}
	}
	t := o.treeOf(&o.prefixes[i])
	if e := t.via[n.index]; e != nil {
		return e.port, e.gateway(engine.FamilyOf(dst))
	}
	return nil, netip.Addr{}
}

func (o *oracle) treeOf(p *prefix) *tree {
	if p.tree == nil {
		key := fmt.Sprint(p.owners)
		if o.trees[key] == nil {
			o.trees[key] = o.shortest(p.owners)
		}
		p.tree = o.trees[key]
	}
	return p.tree
}

// shortest is Dijkstra's algorithm from all owners at once. Costs are the same in both directions.
func (o *oracle) shortest(owners []int32) *tree {
	t := &tree{dist: make([]int32, len(o.graph)), via: make([]*edge, len(o.graph))}
	for i := range t.dist {
		t.dist[i] = -1
	}
	var todo distances
	for _, n := range owners {
		t.dist[n] = 0
		todo = append(todo, distance{0, n})
	}
	heap.Init(&todo)
	for len(todo) > 0 {
		at := heap.Pop(&todo).(distance)
		if at.dist != t.dist[at.node] {
			continue
		}
		for i := range o.graph[at.node] {
			e := &o.graph[at.node][i]
			if d := at.dist + e.cost; t.dist[e.to] < 0 || d < t.dist[e.to] {
				t.dist[e.to] = d
				heap.Push(&todo, distance{d, e.to})
			}
		}
	}
	for n := range t.via {
		for i := range o.graph[n] {
			e := &o.graph[n][i]
			if t.dist[n] > 0 && t.dist[e.to] >= 0 && t.dist[e.to]+e.cost == t.dist[n] {
				t.via[n] = e
				break
			}
		}
	}
	return t
}

type distance struct{ dist, node int32 }

// distances is a heap of routers still to be visited.
type distances []distance

func (d distances) Len() int { return len(d) }
func (d distances) Less(i, j int) bool {
	return d[i].dist < d[j].dist || d[i].dist == d[j].dist && d[i].node < d[j].node
}
func (d distances) Swap(i, j int) { d[i], d[j] = d[j], d[i] }
func (d *distances) Push(x any)   { *d = append(*d, x.(distance)) }
func (d *distances) Pop() any {
	old := *d
	x := old[len(old)-1]
	*d = old[:len(old)-1]
	return x
}
