package rib_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"sort"
	"testing"
	"time"

	"grove/internal/engine"
	"grove/internal/rib"
)

// The oracle knows all routes and interfaces as plain lists and answers each question by going through all of them.
type oracle struct {
	ifaces map[engine.IfID]engine.Interface
	routes []engine.RouteChange
	mrib   []engine.MRIBRoute
	cfg    rib.Config
}

var oracleDistances = map[string]uint32{"connected": 0, "static": 1, "kernel": 1, "bgp": 20, "ibgp": 200, "dvmrp": 0, "ospf": 110, "isis": 115, "rip": 120}

func (o *oracle) distance(origin string) uint32 {
	if d, ok := o.cfg.Distances[origin]; ok {
		return d
	}
	if d, ok := oracleDistances[origin]; ok {
		return d
	}
	return 254
}

func (o *oracle) runs(id engine.IfID) bool { return o.ifaces[id].Up && o.ifaces[id].Carrier }

// link returns the running interface with a in its longest network, the lowest number first.
func (o *oracle) link(a netip.Addr) engine.IfID {
	var best engine.IfID
	bits := -1
	for id := engine.IfID(1); id < 10; id++ {
		for _, p := range o.ifaces[id].Addrs {
			if o.runs(id) && p.Contains(a) && p.Addr() != a && p.Bits() > bits {
				best, bits = id, p.Bits()
			}
		}
	}
	return best
}

type candidate struct {
	prefix                   netip.Prefix
	origin                   string
	static                   bool
	distance, metric, source uint32
	order                    string
	hops                     []engine.NextHop
	bgp                      *engine.BGPPath
}

// path returns the answer: all candidates, usable ones only, sorted by the rules as doc.go says them.
func (o *oracle) path(a netip.Addr) engine.Path {
	for id := engine.IfID(1); id < 10; id++ {
		for _, p := range o.ifaces[id].Addrs {
			if p.Addr() == a && o.ifaces[id].Up {
				return engine.Path{Addr: a, Local: true, Prefix: netip.PrefixFrom(a, 32), Origin: "local", Hops: []engine.NextHop{{If: id, Weight: 1}}}
			}
		}
	}
	u, haveUnicast := o.unicast(a, false)
	s, haveStatic := o.multicast(a)
	own, haveOwn := o.unicast(a, true)
	onLink := u.Origin == "connected" && s.Origin != "mroute"
	notFarther := s.Distance < u.Distance || s.Distance == u.Distance && !onLink
	switch o.cfg.Mode {
	case rib.URIBOnly:
		return u
	case rib.LongerPrefix:
		if haveStatic && (!haveUnicast || s.Prefix.Bits() > u.Prefix.Bits() || s.Prefix.Bits() == u.Prefix.Bits() && notFarther) {
			return s
		}
		return u
	case rib.MRIBOnly, rib.MRIBThenURIB:
		ownFarther := s.Prefix.Bits() > own.Prefix.Bits() || s.Prefix.Bits() == own.Prefix.Bits() &&
			(s.Distance < own.Distance || s.Distance == own.Distance && s.Origin == "mroute")
		switch {
		case haveStatic && (!haveOwn || ownFarther):
			return s
		case haveOwn || o.cfg.Mode == rib.MRIBOnly:
			return own
		}
		return u
	}
	if haveStatic && (!haveUnicast || notFarther) {
		return s
	}
	return u
}

func (o *oracle) ours(a netip.Addr) bool {
	for _, i := range o.ifaces {
		if i.Up && slices.ContainsFunc(i.Addrs, func(p netip.Prefix) bool { return p.Addr() == a }) {
			return true
		}
	}
	return false
}

// resolve returns the ways to a gateway of a multicast route.
func (o *oracle) resolve(h engine.NextHop) []engine.NextHop {
	if o.ours(h.Gateway) {
		return nil
	}
	if h.If = o.link(h.Gateway); h.If != 0 {
		return []engine.NextHop{h}
	}
	p, _ := o.unicast(h.Gateway, false)
	hops := slices.Clone(p.Hops)
	for i := range hops {
		if !hops[i].Gateway.IsValid() {
			hops[i].Gateway = h.Gateway
		}
	}
	return hops
}

func (o *oracle) add(a netip.Addr, list *[]candidate, c candidate, hops []engine.NextHop, recursive bool) {
	if !c.prefix.Contains(a) {
		return
	}
	for _, h := range hops {
		if h.If == 0 && recursive {
			c.hops = append(c.hops, o.resolve(h)...)
			continue
		}
		if h.If == 0 {
			h.If = o.link(h.Gateway)
		}
		if o.runs(h.If) {
			c.hops = append(c.hops, h)
		}
	}
	if len(hops) == 0 || len(c.hops) > 0 {
		*list = append(*list, c)
	}
}

// unicast returns the best of the unicast routes; own: of the networks of our interfaces alone.
func (o *oracle) unicast(a netip.Addr, own bool) (engine.Path, bool) {
	var list []candidate
	for _, r := range o.routes {
		if !own {
			o.add(a, &list, candidate{prefix: r.Prefix, origin: r.Origin, distance: o.distance(r.Origin), metric: r.Metric, source: 1}, r.Hops, false)
		}
	}
	for id := engine.IfID(1); id < 10; id++ {
		for _, p := range o.ifaces[id].Addrs {
			o.add(a, &list, candidate{prefix: p.Masked(), origin: "connected", distance: o.distance("connected")}, []engine.NextHop{{If: id, Weight: 1}}, false)
		}
	}
	return best(a, list)
}

// multicast returns the best of the multicast static routes and the contributed ones.
func (o *oracle) multicast(a netip.Addr) (engine.Path, bool) {
	var list []candidate
	for _, s := range o.cfg.Static {
		hop := engine.NextHop{Gateway: s.Gateway, Weight: 1}
		for id, i := range o.ifaces {
			if i.Name == s.If {
				hop.If = id
			}
		}
		if s.If != "" && hop.If == 0 {
			hop.If = 99
		}
		o.add(a, &list, candidate{prefix: s.Prefix, origin: "mroute", static: true, distance: s.Distance}, []engine.NextHop{hop}, s.If == "")
	}
	for _, r := range o.mrib {
		name := string(r.From.Protocol)
		for _, x := range append([]engine.MRIBAlternative{{Hops: r.Hops, Metric: r.Metric, BGP: r.BGP}}, r.Others...) {
			distance, before := o.distance(name), len(list)
			if x.BGP != nil && x.BGP.Internal {
				distance = o.distance("ibgp")
			}
			o.add(a, &list, candidate{
				prefix: r.Prefix, origin: name, distance: distance, metric: x.Metric, source: 1, order: name, bgp: x.BGP,
			}, x.Hops, true)
			if len(list) > before {
				break // the others serve if this one does not
			}
		}
	}
	return best(a, list)
}

// best returns the path by the best of the usable candidates, and its equals.
func best(a netip.Addr, list []candidate) (engine.Path, bool) {
	if len(list) == 0 {
		return engine.Path{Addr: a}, false
	}
	key := func(c candidate) string {
		return fmt.Sprintf("%03d %010d %010d %d %s", 128-c.prefix.Bits(), c.distance, c.metric, c.source, c.order)
	}
	sort.SliceStable(list, func(i, j int) bool { return key(list[i]) < key(list[j]) })
	p := engine.Path{
		Addr: a, Prefix: list[0].prefix, Origin: list[0].origin, Distance: list[0].distance, Metric: list[0].metric, BGP: list[0].bgp,
	}
	for _, c := range list {
		if key(c) == key(list[0]) {
			p.Hops = append(p.Hops, c.hops...)
		}
	}
	sort.SliceStable(p.Hops, func(i, j int) bool {
		if c := p.Hops[i].Gateway.Compare(p.Hops[j].Gateway); c != 0 {
			return c > 0
		}
		return p.Hops[i].If < p.Hops[j].If
	})
	p.Hops = slices.Compact(p.Hops)
	return p, true
}

// TestOracle: after every batch of random changes each tracker knows what the oracle says, and is told only what differs.
func TestOracle(t *testing.T) {
	for seed := range uint64(25) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { runOracle(t, seed) })
	}
}

func runOracle(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 7))
	m := rib.New(engine.MachineID{Protocol: engine.RIB, Family: engine.IPv4})
	o := &oracle{ifaces: make(map[engine.IfID]engine.Interface)}
	addr := func() netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(rng.IntN(4)), byte(rng.IntN(6))}) }
	prefix := func() netip.Prefix {
		p, _ := addr().Prefix([]int{0, 8, 22, 23, 24, 30, 31, 32}[rng.IntN(8)])
		return p
	}
	trackers := []engine.MachineID{who("pimsm", engine.IPv4), who("mfib", engine.IPv4)}
	type subject struct {
		who  engine.MachineID
		addr netip.Addr
	}
	known := make(map[subject]*engine.Path) // nil: tracked, not told yet
	step := func(ev engine.Event) []engine.Effect { return m.Step(time.Unix(0, 0), ev) }
	for range 150 {
		for range 1 + rng.IntN(4) {
			switch rng.IntN(8) {
			case 0:
				i := engine.Interface{ID: engine.IfID(1 + rng.IntN(4)), Up: rng.IntN(5) > 0, Carrier: rng.IntN(4) > 0}
				i.Name = fmt.Sprint("eth", i.ID)
				for range rng.IntN(3) {
					i.Addrs = append(i.Addrs, netip.PrefixFrom(addr(), 24+rng.IntN(9)))
				}
				// An address twice on one interface is nothing that a kernel has.
				slices.SortFunc(i.Addrs, func(a, b netip.Prefix) int { return a.Masked().Compare(b.Masked()) })
				i.Addrs = slices.CompactFunc(i.Addrs, func(a, b netip.Prefix) bool { return a.Masked() == b.Masked() })
				o.ifaces[i.ID] = i
				step(engine.InterfaceChange{Interface: i})
			case 1, 2:
				r := engine.RouteChange{
					Prefix: prefix(), Metric: uint32(rng.IntN(3)), Gone: rng.IntN(3) == 0,
					Origin: []string{"static", "ospf", "bgp", "odd"}[rng.IntN(4)],
				}
				for h := range rng.IntN(4) {
					// Gateways differ within a route, or the order of its hops would be free.
					r.Hops = append(r.Hops, engine.NextHop{If: engine.IfID(rng.IntN(5)), Gateway: netip.AddrFrom4([4]byte{10, 0, byte(h), byte(rng.IntN(6))}), Weight: 1})
				}
				o.routes = slices.DeleteFunc(o.routes, func(x engine.RouteChange) bool { return x.Prefix == r.Prefix && x.Metric == r.Metric })
				if !r.Gone {
					o.routes = append(o.routes, r)
				}
				step(r)
			case 3:
				if rng.IntN(4) > 0 {
					break
				}
				o.cfg = rib.Config{Mode: rib.Mode(rng.IntN(5)), Distances: map[string]uint32{
					"ospf": uint32(rng.IntN(3)), "connected": uint32(rng.IntN(2)), "bgp": uint32(rng.IntN(2)), "ibgp": uint32(rng.IntN(3)),
				}}
				for n := range rng.IntN(4) {
					s := rib.StaticRoute{Prefix: prefix(), Distance: uint32(rng.IntN(3)), Gateway: netip.AddrFrom4([4]byte{10, 0, byte(n), 5})}
					if rng.IntN(2) == 0 {
						s.If = fmt.Sprint("eth", 1+rng.IntN(5))
					}
					o.cfg.Static = append(o.cfg.Static, s)
				}
				step(engine.Configure{Config: o.cfg})
			case 4, 5:
				s := subject{trackers[rng.IntN(2)], addr()}
				if _, ok := known[s]; !ok {
					known[s] = nil
				}
				step(engine.Track{From: s.who, Addr: s.addr})
			case 6:
				s := subject{trackers[rng.IntN(2)], addr()}
				delete(known, s)
				step(engine.Untrack{From: s.who, Addr: s.addr})
			case 7:
				r := engine.MRIBRoute{
					From: who([]string{"dvmrp", "bgp"}[rng.IntN(2)], engine.IPv4), Prefix: prefix(), Metric: uint32(rng.IntN(3)), Gone: rng.IntN(3) == 0,
				}
				path := func() (p *engine.BGPPath) {
					if r.From.Protocol == engine.BGP {
						p = &engine.BGPPath{Internal: rng.IntN(2) == 0, ASPath: []uint32{65000 + rng.Uint32N(3)}}
					}
					return p
				}
				hops := func(n int) (list []engine.NextHop) {
					for h := range n {
						list = append(list, engine.NextHop{If: engine.IfID(rng.IntN(6)), Gateway: netip.AddrFrom4([4]byte{10, 0, byte(h), byte(rng.IntN(6))}), Weight: 1})
					}
					return list
				}
				r.Hops, r.BGP = hops(rng.IntN(3)), path()
				for range rng.IntN(3) {
					r.Others = append(r.Others, engine.MRIBAlternative{Hops: hops(1 + rng.IntN(2)), Metric: uint32(rng.IntN(3)), BGP: path()})
				}
				o.mrib = slices.DeleteFunc(o.mrib, func(x engine.MRIBRoute) bool { return x.Prefix == r.Prefix && x.From == r.From })
				if !r.Gone && len(r.Hops) > 0 {
					o.mrib = append(o.mrib, r)
				}
				step(r)
			}
		}
		for _, e := range step(engine.Settled{}) {
			p := e.(engine.Path)
			s := subject{p.To, p.Addr}
			old, ok := known[s]
			if !ok {
				t.Fatalf("told %v, which does not track %v", p.To, p.Addr)
			}
			if old != nil && text(*old) == text(p) {
				t.Fatalf("told again what it knew: %s", text(p))
			}
			known[s] = &p
		}
		for s, p := range known {
			want := o.path(s.addr)
			if p == nil {
				t.Fatalf("%v was not told of %v", s.who, s.addr)
			}
			if text(*p) != text(want) {
				t.Fatalf("path to %v\ngot  %s\nwant %s", s.addr, text(*p), text(want))
			}
		}
	}
}

func text(p engine.Path) string {
	bgp := ""
	if p.BGP != nil {
		bgp = fmt.Sprintf("%+v", *p.BGP)
	}
	return fmt.Sprintf("%v local=%v %v %s %d/%d %v %s", p.Addr, p.Local, p.Prefix, p.Origin, p.Distance, p.Metric, p.Hops, bgp)
}

// fill puts n routes of one hop each into a rib, as a simulation's oracle does: routers share few next hops.
func fill(m *rib.Machine, n int) {
	m.Step(time.Unix(0, 0), engine.InterfaceChange{Interface: engine.Interface{
		ID: 1, Name: "eth1", Up: true, Carrier: true, Addrs: []netip.Prefix{netip.MustParsePrefix("10.255.0.1/24")},
	}})
	for i := range n {
		m.Step(time.Unix(0, 0), engine.RouteChange{
			Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 12), byte(i >> 4), byte(i << 4)}), 28), Metric: 10, Origin: "ospf",
			Hops: []engine.NextHop{{If: 1, Gateway: netip.AddrFrom4([4]byte{10, 255, 0, 2}), Weight: 1}},
		})
	}
}

// TestMemory: a thousand ribs of a thousand routes fit a simulation's memory.
func TestMemory(t *testing.T) {
	const ribs, routes = 50, 1000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	all := make([]*rib.Machine, ribs)
	for i := range all {
		all[i] = rib.New(engine.MachineID{Protocol: engine.RIB, Family: engine.IPv4})
		fill(all[i], routes)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	perRoute := (after.HeapAlloc - before.HeapAlloc) / (ribs * routes)
	t.Logf("%d bytes per route", perRoute)
	if perRoute > 150 {
		t.Errorf("a route takes %d bytes, more than 150", perRoute)
	}
	runtime.KeepAlive(all)
}

// TestBatch: a protocol replaces 5,000 routes in one batch. Each tracked address is looked up once, and told once.
func TestBatch(t *testing.T) {
	const routes = 5000
	m := rib.New(engine.MachineID{Protocol: engine.RIB, Family: engine.IPv4})
	fill(m, 0)
	say := func(metric uint32) (told int) {
		for i := range routes {
			m.Step(time.Unix(0, 0), engine.MRIBRoute{
				From: who("dvmrp", engine.IPv4), Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0}), 24), Metric: metric,
				Hops: []engine.NextHop{{If: 1, Gateway: netip.AddrFrom4([4]byte{10, 255, 0, 2}), Weight: 1}},
			})
		}
		return len(m.Step(time.Unix(0, 0), engine.Settled{}))
	}
	for i := range routes {
		m.Step(time.Unix(0, 0), engine.Track{From: who("pimsm", engine.IPv4), Addr: netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 9})})
	}
	for metric, want := range []int{routes, routes, routes} {
		if told := say(uint32(metric)); told != want {
			t.Errorf("metric %d: %d told, want %d", metric, told, want)
		}
	}
	if told := say(2); told != 0 {
		t.Errorf("the same again: %d told", told)
	}
}

// BenchmarkRouteChange: a route that covers one tracked address of 10,000 changes.
func BenchmarkRouteChange(b *testing.B) {
	m := rib.New(engine.MachineID{Protocol: engine.RIB, Family: engine.IPv4})
	fill(m, 20000)
	for i := range 10000 {
		m.Step(time.Unix(0, 0), engine.Track{From: who("pimsm", engine.IPv4), Addr: netip.AddrFrom4([4]byte{10, byte(i >> 12), byte(i >> 4), byte(i<<4) + 1})})
	}
	m.Step(time.Unix(0, 0), engine.Settled{})
	for i := range b.N {
		m.Step(time.Unix(0, 0), engine.RouteChange{
			Prefix: netip.MustParsePrefix("10.0.1.0/28"), Metric: 5, Origin: "ospf", Gone: i%2 == 1,
			Hops: []engine.NextHop{{If: 1, Gateway: netip.MustParseAddr("10.255.0.3"), Weight: 1}},
		})
		if n := len(m.Step(time.Unix(0, 0), engine.Settled{})); n != 1 {
			b.Fatalf("%d effects", n)
		}
	}
}
