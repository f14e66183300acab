package dvmrp

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"grove/dvmrp/wire"
	"grove/internal/engine"
)

// walk is one machine to which anything happens: three interfaces, neighbors that say what they like, hosts, a plane.
type walk struct {
	t     testing.TB
	m     *Machine
	rng   *rand.Rand
	now   time.Time
	links []engine.Interface
	wants map[engine.Key]engine.Want
	rib   map[netip.Prefix]engine.MRIBRoute
	track map[netip.Addr]bool
	last  string
	hosts int // entries seen for which something was asked for the host alone
}

var walkCfg = Config{
	Interfaces: map[string]InterfaceConfig{
		"eth0": {}, "eth1": {Metric: 2}, "eth2": {Boundary: []netip.Prefix{netip.MustParsePrefix("239.1.1.2/32")}},
	},
	MaxRoutes: 12, MaxEntries: 20, MaxPrunes: 12,
}

func newWalk(t testing.TB, seed uint64) *walk {
	w := &walk{
		t: t, rng: rand.New(rand.NewPCG(seed, 1075)), now: time.Unix(1_000_000, 0), wants: map[engine.Key]engine.Want{},
		rib: map[netip.Prefix]engine.MRIBRoute{}, track: map[netip.Addr]bool{},
	}
	w.m = New(engine.MachineID{Protocol: engine.DVMRP, Family: engine.IPv4}, rand.New(rand.NewPCG(seed, 3)))
	w.tell("configure", engine.Configure{Config: walkCfg})
	for n := range 3 {
		w.links = append(w.links, engine.Interface{
			ID: engine.IfID(n + 1), Name: fmt.Sprintf("eth%d", n), Up: true, Carrier: true, Multicast: true, MTU: 1500,
			PointToPoint: n == 2, Addrs: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(n), 2}), 24)},
		})
		w.tell("interface", engine.InterfaceChange{Interface: w.links[n]})
	}
	return w
}

func (w *walk) pick(n int) int { return w.rng.IntN(n) }

// neighbor is an address on a link: below, ours, and above it.
func (w *walk) neighbor(link, n int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 0, byte(link), []byte{1, 3, 4}[n]})
}

func (w *walk) source() netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(w.pick(5)), byte(w.pick(2)), byte(10 + w.pick(2))})
}

func (w *walk) group() netip.Addr {
	return netip.AddrFrom4([4]byte{239, 1, 1, byte(1 + w.pick(2))})
}

func (w *walk) prefix() netip.Prefix {
	p := netip.PrefixFrom(w.source(), []int{0, 8, 16, 24, 24, 24, 32}[w.pick(7)]).Masked()
	if p.Bits() == 0 {
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	return p
}

// tell hands the machine an event, settles, and checks.
func (w *walk) tell(what string, ev engine.Event) {
	w.last = fmt.Sprintf("%s %+v", what, ev)
	w.step(ev)
	for range 3 { // mfib answers to rows, and rib to routes
		w.step(engine.Settled{})
	}
}

func (w *walk) step(ev engine.Event) {
	var follow []engine.Event
	for _, e := range slices.Clone(w.m.Step(w.now, ev)) {
		switch e := e.(type) {
		case engine.Want:
			if _, there := w.wants[e.Key]; !there {
				follow = append(follow, engine.Installed{Key: e.Key})
			}
			w.wants[e.Key] = e
		case engine.Unwant:
			delete(w.wants, e.Key)
		case engine.MRIBRoute:
			if w.rib[e.Prefix] = e; e.Gone {
				delete(w.rib, e.Prefix)
			}
		case engine.Track:
			w.track[e.Addr] = true
			follow = append(follow, w.path(e.Addr))
		case engine.Untrack:
			delete(w.track, e.Addr)
		case engine.Note:
			if e.Level >= engine.Error {
				w.t.Fatalf("%s: %s", w.last, e.Text)
			}
		case engine.Send:
			if _, _, err := wire.Parse(e.Payload); err != nil || len(e.Payload) > wire.MaxMessage {
				w.t.Fatalf("%s: sent %d bytes: %v", w.last, len(e.Payload), err)
			}
		}
	}
	for _, f := range follow {
		w.step(f)
	}
}

// path is a rib that has the same routes as the machine, and sometimes a mind of its own.
func (w *walk) path(a netip.Addr) engine.Path {
	p := engine.Path{Addr: a}
	switch w.pick(8) {
	case 0:
		p.Hops = []engine.NextHop{{If: 9}}
	case 1:
	default:
		p.Hops = []engine.NextHop{{If: engine.IfID(1 + w.pick(3))}}
	}
	return p
}

func (w *walk) packet(link int, src netip.Addr, h wire.Header, msg wire.Message) {
	payload, err := wire.Encode(h, msg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.tell(fmt.Sprintf("%v %+v", msg.Code(), msg), engine.Packet{
		If: w.links[link].ID, Src: src, Dst: w.links[link].Addrs[0].Addr(), Proto: engine.ProtoIGMP, TTL: 1, Payload: payload,
	})
}

// happen lets something happen.
func (w *walk) happen() {
	link := w.pick(3)
	src := w.neighbor(link, w.pick(3))
	ours := wire.Header{Version: wire.OurVersion, Capabilities: wire.CapPrune}
	mask, bits := w.pick(4) == 0, []int{24, 32, 16}[w.pick(3)]
	switch w.pick(16) {
	case 0, 1:
		p := &wire.Probe{HasGenerationID: true, GenerationID: uint32(1 + w.pick(20)/19)}
		if w.pick(8) > 0 {
			p.Neighbors = []netip.Addr{w.links[link].Addrs[0].Addr()}
		}
		if src == w.neighbor(link, 1) != (w.pick(20) == 0) {
			ours.Capabilities |= wire.CapNetmask
		}
		w.packet(link, src, ours, p)
	case 2, 3, 4:
		r := &wire.Report{}
		for range 1 + w.pick(6) {
			r.Routes = append(r.Routes, wire.Route{Prefix: w.prefix(), Metric: []uint8{1, 2, 3, 30, 31, 32, 33, 34, 35, 63, 64}[w.pick(11)]})
		}
		w.packet(link, src, ours, r)
	case 5, 6:
		if w.pick(3) > 0 && w.pruneSomething() {
			break
		}
		w.packet(link, src, ours, &wire.Prune{
			Source: w.source(), Group: w.group(), Lifetime: time.Duration(w.pick(300)) * time.Second, HasMask: mask, Bits: bits,
		})
	case 7:
		w.packet(link, src, ours, &wire.Graft{Source: w.source(), Group: w.group(), HasMask: mask, Bits: bits})
	case 8:
		w.packet(link, src, ours, &wire.GraftAck{Source: w.source(), Group: w.group(), HasMask: mask, Bits: bits})
	case 9:
		k := engine.SG(w.source(), w.group())
		w.tell("creation", engine.Creation{Key: k, If: w.links[link].ID})
	case 10:
		w.tell("activity", engine.Activity{Key: engine.SG(w.source(), w.group()), Packets: 3})
	case 11:
		mb := engine.Membership{If: w.links[link].ID, Group: w.group(), Mode: engine.FilterMode(w.pick(2))}
		if w.pick(3) == 0 {
			mb.Sources = []netip.Addr{w.source()}
		}
		w.tell("membership", mb)
	case 12:
		w.tell("alert", engine.Alert{Kind: engine.AlertKind(1 + w.pick(2)), Key: engine.SG(w.source(), w.group())})
	case 13:
		for a := range engine.SortedAddrs(w.track) {
			if w.pick(3) == 0 {
				w.tell("path", w.path(a))
			}
		}
	case 14:
		if w.pick(6) == 0 {
			w.links[link].Up = !w.links[link].Up
			w.tell("interface", engine.InterfaceChange{Interface: w.links[link]})
		} else if w.pick(10) == 0 {
			cfg := walkCfg
			cfg.Originate = Originate{Default: w.pick(2) == 0, Networks: []Network{{Prefix: netip.MustParsePrefix("10.3.0.0/24")}}}
			w.tell("configure", engine.Configure{Config: cfg})
		}
	case 15:
		w.wait(time.Duration(w.pick(40)) * time.Second)
	}
	w.check()
}

// pruneSomething has a router that depends on us prune what there is.
func (w *walk) pruneSomething() bool {
	for k, e := range engine.SortedKeys(w.m.entries) {
		if e.f.r == nil || w.pick(2) == 0 {
			continue
		}
		for _, h := range e.f.r.heard {
			if h.dependent() && w.pick(2) == 0 {
				p := &wire.Prune{Source: k.Source, Group: k.Group, Lifetime: time.Duration(w.pick(900)) * time.Second}
				if w.pick(4) == 0 {
					p.HasMask, p.Bits = true, 32
				}
				w.packet(int(h.n.iface.id)-1, h.n.addr, wire.Header{Version: wire.OurVersion}, p)
				return true
			}
		}
	}
	return false
}

func (w *walk) wait(d time.Duration) {
	until := w.now.Add(d)
	for {
		at, ok := w.m.Deadline()
		if !ok || at.After(until) {
			break
		}
		if at.Before(w.now) {
			w.t.Fatalf("%s: a deadline in the past", w.last)
		}
		w.now = at
		w.tell("time", engine.Tick{})
	}
	w.now = until
}

// check compares the state with what it has to be, worked out in the plainest way.
func (w *walk) check() {
	m := w.m
	fail := func(format string, args ...any) {
		w.t.Helper()
		w.t.Fatalf("after %s: %s", w.last, fmt.Sprintf(format, args...))
	}
	routes := 0
	heardBy := map[*neighbor]int{}
	upOf := map[*neighbor]int{}
	for b := range m.buckets {
		for _, r := range m.buckets[b].All {
			routes++
			if got, ok := m.table.Get(r.prefix); !ok || got != r {
				fail("route %v is in no table", r.prefix)
			}
			if r.reachable() != (r.gateway != nil || r.ours()) || r.gateway != nil && (r.iface != r.gateway.iface || !r.gateway.iface.runs) {
				fail("route %v: metric %d, gateway %v, kind %d", r.prefix, r.metric, r.gateway, r.kind)
			}
			if !r.reachable() && r.hold == nil {
				fail("route %v is neither reachable nor in hold-down", r.prefix)
			}
			if r.gateway != nil {
				upOf[r.gateway]++
				if !r.expiry.Running() {
					fail("route %v never expires", r.prefix)
				}
			}
			for _, h := range r.heard {
				heardBy[h.n]++
				if h.n.iface.neighbor(h.n.addr) != h.n || !h.n.adjacent() {
					fail("route %v was heard of %v, who is no neighbor", r.prefix, h.n.addr)
				}
			}
			told, there := w.rib[r.prefix]
			if there != (r.gateway != nil) || there && (told.Hops[0].Gateway != r.gateway.addr || told.Metric != uint32(r.metric)) {
				fail("rib has %+v of %v by %v", told, r.prefix, r.gateway)
			}
		}
	}
	if routes != m.routes || routes > m.cfg.MaxRoutes || m.table.Size() != routes {
		fail("%d routes, counted %d, table %d", routes, m.routes, m.table.Size())
	}
	prunes, early := 0, 0
	for _, i := range m.order {
		for _, n := range i.neighbors {
			prunes += len(n.prunes.All)
			early += len(n.early)
			for p := range n.early {
				if _, ok := m.table.Get(p); ok {
					fail("%v told of %v early, and there is a route", n.addr, p)
				}
			}
			if len(n.heard.All) != heardBy[n] || len(n.routes.All) != upOf[n] {
				fail("%v: %d heard, %d routes", n.addr, len(n.heard.All), len(n.routes.All))
			}
		}
	}
	if early != m.early || early > m.cfg.MaxRoutes {
		fail("%d told early, counted %d", early, m.early)
	}
	held := 0
	for _, f := range m.flows {
		held += len(f.prunes)
		for _, e := range f.entries.All {
			held += len(e.prunes)
			if e.f != f || e.s.route != f.r || e.g != f.g || e.s.route != m.bestMatch(e.s.addr) {
				fail("%v is in the wrong flow", e.key())
			}
		}
		w.checkUpstream(f, fail)
	}
	if prunes != m.prunes || held != m.prunes || m.prunes > m.cfg.MaxPrunes {
		fail("%d prunes of neighbors, %d of flows, counted %d", prunes, held, m.prunes)
	}
	if len(w.wants) != len(m.entries) {
		fail("%d wants, %d entries", len(w.wants), len(m.entries))
	}
	for k, e := range m.entries {
		w.checkRow(k, e, fail)
	}
}

// checkUpstream: a Prune is in force only while nobody wants the packets, a Graft only where one was.
func (w *walk) checkUpstream(f *flow, fail func(string, ...any)) {
	u := &f.up
	if u.state == Pruned && w.wanted(f) {
		fail("%v of %v is pruned and wanted", f.g.addr, f.r)
	}
	for _, e := range f.entries.All {
		if e.up == nil {
			continue
		}
		w.hosts++
		if e.up.f != f || e.up.e != e || e.up.neighbor != u.neighbor || u.neighbor.capabilities&wire.CapNetmask == 0 {
			fail("%v: of %+v is asked for a host", e.key(), e.up.neighbor)
		}
		if e.up.state == Pruned && (e.others || w.oifs(e, true) != 0) {
			fail("%v is pruned and wanted", e.key())
		}
		if (e.up.state == Grafting) != e.up.graft.Running() || e.up.state != Forwarding && !e.up.life.Running() {
			fail("%v: %v, Graft timer %v", e.key(), e.up.state, e.up.graft.Running())
		}
	}
	if u.state != Forwarding && (u.neighbor == nil || !u.life.Running() || f.r == nil || f.r.gateway != u.neighbor) {
		fail("%v: %v without a neighbor or a lifetime", f.g.addr, u.state)
	}
	if (u.state == Grafting) != u.graft.Running() {
		fail("%v: %v, Graft timer %v", f.g.addr, u.state, u.graft.Running())
	}
}

func (w *walk) wanted(f *flow) bool {
	for _, e := range f.entries.All {
		in := e.s.upstream()
		if in != 0 && !f.g.boundary.Has(in) && (e.others || w.oifs(e, false) != 0) {
			return true
		}
	}
	return false
}

// oifs is section 3.3.3 said otherwise: an interface has the packets if we forward there and somebody wants them.
func (w *walk) oifs(e *entry, hosts bool) ifSet {
	var set ifSet
	m, r, in := w.m, e.f.r, e.s.upstream()
	for _, i := range m.order {
		if !i.runs || i.bit == in || e.g.boundary.Has(i.bit) || e.g.boundary.Has(in) {
			continue
		}
		wants := e.g.wanting(e.s.addr).Has(i.bit)
		if r != nil {
			if (r.gateway != nil || r.kind == connected) && r.iface == i {
				continue
			}
			if self, _ := r.forwarder(i); !self {
				continue
			}
			for _, n := range i.neighbors {
				if r.dependent(n) && f(e, n) == nil && (!hosts || e.pruneOf(n) == nil) {
					wants = true
				}
			}
		}
		if wants {
			set |= i.bit
		}
	}
	return set
}

func f(e *entry, n *neighbor) *prune { return e.f.pruneOf(n) }

func (w *walk) checkRow(k engine.Key, e *entry, fail func(string, ...any)) {
	want := w.wants[k]
	var out ifSet
	for _, o := range want.Out {
		out |= w.m.bitOf(o.If)
	}
	expect := w.oifs(e, true)
	if want.Negative != "" {
		expect = 0
		if e.s.upstream() != 0 || e.s.external() {
			fail("%v is negative, and has a way", k)
		}
	}
	if out != expect || w.m.bitOf(want.In) != e.s.upstream() {
		fail("%v goes from %d to %v, want %v", k, want.In, w.m.names(out), w.m.names(expect))
	}
}

// TestRandomWalk: whatever happens, the state is consistent, and the rows are what section 3.3.3 says, worked out another way.
// When all is over, nothing is left.
func TestRandomWalk(t *testing.T) {
	steps := 1500
	if testing.Short() {
		steps = 300
	}
	entries, prunes, hosts, grafts := 0, 0, 0, uint64(0)
	for seed := range uint64(60) {
		w := newWalk(t, seed)
		for range steps {
			w.happen()
			entries, prunes = max(entries, len(w.m.entries)), max(prunes, w.m.prunes)
		}
		grafts += w.m.counts.Get("sent graft")
		hosts += w.hosts
		for n := range w.links {
			w.tell("gone", engine.InterfaceChange{Interface: w.links[n], Gone: true})
		}
		w.wait(3 * time.Hour)
		m := w.m
		if len(m.entries)+len(m.flows)+m.prunes+m.routes+m.sources.Size()+len(w.rib)+len(w.wants)+len(w.track) != 0 {
			t.Fatalf("seed %d: %d entries, %d flows, %d prunes, %d routes, %d sources, %d in rib, %d wants, %d tracked", seed, len(m.entries),
				len(m.flows), m.prunes, m.routes, m.sources.Size(), len(w.rib), len(w.wants), len(w.track))
		}
	}
	if !testing.Short() && (entries < 10 || prunes < 4 || hosts < 20 || grafts < 20) {
		t.Errorf("too little happened: %d entries, %d prunes, %d of hosts, %d grafts", entries, prunes, hosts, grafts)
	}
}

// FuzzReceive hands any bytes as an IGMP packet from a neighbor to a machine with state. It may not panic, the state stays
// consistent, and a packet that does not parse changes nothing but a count.
func FuzzReceive(f *testing.F) {
	s, g := netip.MustParseAddr("10.1.0.10"), netip.MustParseAddr("239.1.1.1")
	for _, msg := range []wire.Message{
		&wire.Probe{HasGenerationID: true, GenerationID: 9, Neighbors: []netip.Addr{netip.MustParseAddr("10.0.0.2")}},
		&wire.Report{Routes: []wire.Route{{Prefix: netip.MustParsePrefix("10.1.0.0/24"), Metric: 34}, {Prefix: netip.MustParsePrefix("10.2.0.0/16"), Metric: 3}}},
		&wire.Prune{Source: s, Group: g, Lifetime: time.Minute, HasMask: true, Bits: 24},
		&wire.Graft{Source: s, Group: g}, &wire.GraftAck{Source: s, Group: g}, &wire.AskNeighbors2{}, &wire.AskNeighbors{},
	} {
		b, err := wire.Encode(wire.Header{Version: wire.OurVersion, Capabilities: wire.CapPrune}, msg)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, uint64(1))
	}
	f.Fuzz(func(t *testing.T, payload []byte, seed uint64) {
		w := newWalk(t, seed)
		for range 60 {
			w.happen()
		}
		w.tell("time", engine.Tick{})
		before := w.m.showEntries("")
		p := engine.Packet{
			If: w.links[0].ID, Src: w.neighbor(0, 1), Dst: wire.AllDVMRPRouters, Proto: engine.ProtoIGMP, TTL: 1, Payload: payload,
		}
		w.tell("fuzz", p)
		w.check()
		if _, _, err := wire.Parse(payload); err != nil && !reflect.DeepEqual(before, w.m.showEntries("")) {
			t.Errorf("%v, yet state changed:\n%+v\n%+v", err, before, w.m.showEntries(""))
		}
		w.wait(5 * time.Minute)
		w.check()
	})
}
