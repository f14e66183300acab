package rib

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/gaissmai/bart"

	"grove/internal/engine"
)

// Machine is the MRIB of one family and table.
type Machine struct {
	id  engine.MachineID
	cfg Config

	ifaces  map[engine.IfID]*engine.Interface
	origins map[string]*origin

	unicast bart.Table[*route]        // the first of a list of the routes of a prefix
	learned bart.Table[*route]        // likewise, what protocols contributed: one route of a prefix each
	static  bart.Table[[]StaticRoute] // the multicast static routes of a prefix, least distance first
	local   map[netip.Addr]engine.IfID

	tracked bart.Table[*tracked] // by the address as a prefix of full length
	dirty   []*tracked           // to be looked up at Settled

	gateways      bart.Table[*gateway] // those that a tracked address depends on, by the address as a prefix of full length
	dirtyGateways []*gateway           // to be resolved at Settled

	routes        int // of the kernel, now
	learnedRoutes int
	counts        engine.Counts
	out           []engine.Effect
}

// tracked is an address that machines want to know the path to.
type tracked struct {
	addr     netip.Addr
	path     engine.Path // as told last; To is empty
	trackers []tracker   // in the order in which they came
	dirty    bool        // in Machine.dirty
	via      []*gateway  // gateways not on a link of ours that the routes to it go through, those of no use as well
}

type tracker struct {
	id   engine.MachineID
	told bool // has been told path
}

// New returns a rib without routes. Events: InterfaceChange, RouteChange, MRIBRoute, Configure (Config), Track, Untrack,
// Settled and Query (show.go). Effects: Path, Answer.
func New(id engine.MachineID) *Machine {
	return &Machine{
		id:      id,
		ifaces:  make(map[engine.IfID]*engine.Interface),
		origins: make(map[string]*origin),
		local:   make(map[netip.Addr]engine.IfID),
	}
}

// Deadline implements engine.Machine: a rib has no timers.
func (m *Machine) Deadline() (time.Time, bool) { return time.Time{}, false }

// Step implements engine.Machine.
func (m *Machine) Step(_ time.Time, ev engine.Event) []engine.Effect {
	clear(m.out)
	m.out = m.out[:0]
	switch ev := ev.(type) {
	case engine.Track:
		m.track(ev)
	case engine.Untrack:
		m.untrack(ev)
	case engine.RouteChange:
		m.routeChange(ev)
	case engine.MRIBRoute:
		m.learn(ev)
	case engine.InterfaceChange:
		m.interfaceChange(ev)
	case engine.Configure:
		if cfg, ok := ev.Config.(Config); ok {
			m.configure(cfg)
		}
	case engine.Settled:
		m.settle()
	case engine.Query:
		m.answer(ev)
	}
	return m.out
}

func (m *Machine) emit(e engine.Effect) { m.out = append(m.out, e) }

// host returns the prefix of full length that holds a alone.
func host(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a.WithZone(""), a.BitLen()) }

func (m *Machine) track(ev engine.Track) {
	if !ev.Addr.IsValid() {
		m.counts.Add("track of no address")
		return
	}
	t, ok := m.tracked.Get(host(ev.Addr))
	if !ok {
		t = &tracked{addr: ev.Addr}
		m.tracked.Insert(host(ev.Addr), t)
	}
	if t.index(ev.From) < 0 {
		t.trackers = append(t.trackers, tracker{id: ev.From})
		m.touch(t)
	}
}

func (m *Machine) untrack(ev engine.Untrack) {
	if !ev.Addr.IsValid() {
		return
	}
	t, ok := m.tracked.Get(host(ev.Addr))
	if !ok {
		return
	}
	i := t.index(ev.From)
	if i < 0 {
		return
	}
	t.trackers = slices.Delete(t.trackers, i, i+1)
	if len(t.trackers) == 0 {
		m.tracked.Delete(host(ev.Addr))
		m.depend(t, nil)
	}
}

// index returns where id is in the trackers, or -1.
func (t *tracked) index(id engine.MachineID) int {
	return slices.IndexFunc(t.trackers, func(tr tracker) bool { return tr.id == id })
}

// touch has the path of t looked up at the next Settled.
func (m *Machine) touch(t *tracked) {
	if !t.dirty {
		t.dirty = true
		m.dirty = append(m.dirty, t)
	}
}

// touchCovered touches the tracked addresses in p.
func (m *Machine) touchCovered(p netip.Prefix) {
	for _, t := range m.tracked.Subnets(p) {
		m.touch(t)
	}
}

func (m *Machine) touchAll() {
	for _, t := range m.tracked.All() {
		m.touch(t)
	}
	for _, g := range m.gateways.All() {
		m.touchGateway(g)
	}
}

// settle looks up what was touched and tells the trackers what differs from what they were told.
func (m *Machine) settle() {
	m.settleGateways()
	slices.SortFunc(m.dirty, func(a, b *tracked) int { return a.addr.Compare(b.addr) })
	for i, t := range m.dirty {
		m.dirty[i] = nil
		t.dirty = false
		if len(t.trackers) == 0 {
			continue // nobody asks any more
		}
		var s search
		path, _ := m.lookup(t.addr, &s)
		m.depend(t, s.via)
		changed := !samePath(&path, &t.path)
		t.path = path
		for j := range t.trackers {
			if tr := &t.trackers[j]; changed || !tr.told {
				tr.told = true
				path.To = tr.id
				m.emit(path)
			}
		}
	}
	m.dirty = m.dirty[:0]
}

func samePath(a, b *engine.Path) bool {
	return a.Local == b.Local && a.Prefix == b.Prefix && a.Origin == b.Origin && a.Distance == b.Distance &&
		a.Metric == b.Metric && slices.Equal(a.Hops, b.Hops) && sameBGP(a.BGP, b.BGP)
}

func sameBGP(a, b *engine.BGPPath) bool {
	if a == nil || b == nil || a == b {
		return a == b
	}
	return a.NextHop == b.NextHop && a.Neighbor == b.Neighbor && a.Internal == b.Internal && slices.Equal(a.ASPath, b.ASPath)
}

// configure takes the multicast static routes and the distances.
func (m *Machine) configure(cfg Config) {
	m.cfg = cfg
	m.static = bart.Table[[]StaticRoute]{}
	for _, s := range cfg.Static {
		if !s.Prefix.IsValid() || engine.FamilyOf(s.Prefix.Addr()) != m.id.Family {
			continue
		}
		m.static.Modify(s.Prefix, func(list []StaticRoute, _ bool) ([]StaticRoute, bool) {
			list = append(list, s)
			slices.SortStableFunc(list, func(a, b StaticRoute) int { return cmp.Compare(a.Distance, b.Distance) })
			return list, false
		})
	}
	for _, o := range engine.Sorted(m.origins) {
		o.distance = m.distance(o.key)
	}
	m.touchAll()
}
