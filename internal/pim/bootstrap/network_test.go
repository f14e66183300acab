package bootstrap

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/wire"
)

// network is several routers, each with an Instance, that are joined by links, with a clock by hand. What PIM does for the
// mechanism is done here in the simplest way: who is on a link is a neighbor at once, and the DR is the highest of them; paths
// are the shortest. Messages are encoded and parsed, so that nobody has another's memory.
type network struct {
	t       reporter
	family  engine.Family
	rng     *rand.Rand
	start   time.Time
	now     time.Time
	routers []*router
	links   []*link
	events  []event // by time
	order   int
	// slow has answers of the MRIB come later.
	slow bool
	// tamper changes what a router of the network does: see TestPlantedFaults.
	tamper    func(*Env)
	heard     func(*wire.Bootstrap) // edits what a router hears
	first     map[uint8]netip.Addr
	small     bool // links are so narrow that ranges are divided
	noForward bool // the message that is being received may not be handed on
	// noBorders says that nobody minds boundaries.
	noBorders bool
	// lastSource is where the message came from that is being received.
	lastSource netip.Addr
	maxEvents  int // that may wait; more are messages without end
	// deny says that a message does not arrive; nil: all do.
	deny func(from, to *router, m wire.Message) bool
}

// reporter is what a network tells of faults: a test, or one that looks whether planted faults are found.
type reporter interface {
	Helper()
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

type event struct {
	at    time.Time
	order int
	do    func()
}

// link joins routers; one that is down joins none. Its ID on all routers is its number + 1.
type link struct {
	id      engine.IfID
	mtu     int
	up      bool
	loss    float64
	routers []*router
	// boundaries are of the interfaces of all routers here; border, of those of some.
	boundaries []netip.Prefix
	border     map[*router]bool
}

type router struct {
	n       *network
	number  int
	address netip.Addr // that the domain reaches
	others  []netip.Addr
	cfg     Config
	up      bool

	b       *Instance
	timers  *engine.Timers
	counts  *engine.Counts
	told    []Mapping // by Learned
	tracked map[netip.Addr]int
	notes   []engine.Note
	moves   []engine.Transition
	sent    []sending // Bootstrap messages
	advs    []advSent
}

type sending struct {
	at time.Time
	i  engine.IfID
	to netip.Addr // of a unicast one
	m  *wire.Bootstrap
}

type advSent struct {
	at       time.Time
	src, bsr netip.Addr
	m        *wire.CandidateRPAdv
}

func newNetwork(t reporter, f engine.Family, seed uint64) *network {
	start := time.Unix(1_000_000, 0)
	return &network{t: t, family: f, rng: rand.New(rand.NewPCG(seed, 5059)), start: start, now: start, maxEvents: 100_000}
}

// addRouter adds a router that is not started yet.
func (n *network) addRouter(address string, cfg Config) *router {
	r := &router{n: n, number: len(n.routers), address: netip.MustParseAddr(address), cfg: cfg}
	n.routers = append(n.routers, r)
	return r
}

func (n *network) addLink(routers ...*router) *link {
	l := &link{id: engine.IfID(len(n.links) + 1), mtu: 1500, up: true, routers: routers, border: make(map[*router]bool)}
	n.links = append(n.links, l)
	return l
}

// on is the address of a router on a link.
func (l *link) on(r *router) netip.Addr {
	if r.n.family == engine.IPv6 {
		return netip.MustParseAddr(fmt.Sprintf("fe80::%x:%x", int(l.id), r.number+1))
	}
	return netip.MustParseAddr(fmt.Sprintf("10.0.%d.%d", l.id, r.number+1))
}

// reached are the other routers on a link that are up.
func (l *link) reached(r *router) []*router {
	if !l.up || !r.up {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(l.routers), func(o *router) bool { return o == r || !o.up })
}

// after has something done after a time.
func (n *network) after(d time.Duration, do func()) {
	n.order++
	e := event{n.now.Add(d), n.order, do}
	i, _ := slices.BinarySearchFunc(n.events, e, func(a, b event) int {
		if c := a.at.Compare(b.at); c != 0 {
			return c
		}
		return a.order - b.order
	})
	n.events = slices.Insert(n.events, i, e)
}

// run lets time pass.
func (n *network) run(d time.Duration) {
	until := n.now.Add(d)
	for steps := 0; ; steps++ {
		if steps > 1_000_000 {
			n.t.Fatal("messages without end")
		}
		next, found := until, false
		if len(n.events) > 0 && !n.events[0].at.After(next) {
			next, found = n.events[0].at, true
		}
		var due *router
		for _, r := range n.routers {
			if at, ok := r.deadline(); ok && (at.Before(next) || at.Equal(next) && !found) && !at.After(until) {
				next, found, due = at, true, r
			}
		}
		if !found {
			break
		}
		n.now = next
		if due != nil {
			due.timers.Fire(n.now)
			continue
		}
		if len(n.events) > n.maxEvents {
			n.t.Fatal("messages without end")
		}
		e := n.events[0]
		n.events = n.events[1:]
		e.do()
	}
	n.now = until
}

func (r *router) deadline() (time.Time, bool) {
	if !r.up {
		return time.Time{}, false
	}
	return r.timers.Deadline()
}

// delay is how long a message takes.
func (n *network) delay() time.Duration { return time.Duration(1+n.rng.IntN(20)) * time.Millisecond }

// startRouter starts a router, or restarts it: it has forgotten everything.
func (n *network) startRouter(r *router) {
	r.up = true
	r.timers, r.counts = new(engine.Timers), new(engine.Counts)
	r.told, r.tracked = nil, make(map[netip.Addr]int)
	env := r.env()
	if n.tamper != nil {
		n.tamper(&env)
	}
	r.b = New(env, r.cfg, n.now)
	n.changed()
	for _, l := range n.links {
		if slices.Contains(l.routers, r) {
			n.prime(l, r)
		}
	}
}

func (n *network) startAll() {
	for _, r := range n.routers {
		n.startRouter(r)
	}
}

// crash ends a router without a word.
func (n *network) crash(r *router) {
	r.up = false
	n.changed()
}

func (n *network) setUp(l *link, up bool) {
	if l.up == up {
		return
	}
	l.up = up
	n.changed()
	if up {
		for _, r := range l.routers {
			if r.up {
				n.prime(l, r)
			}
		}
	}
}

// changed is that neighbors or interfaces are others.
func (n *network) changed() {
	for _, r := range n.routers {
		if r.up {
			r.b.Update(n.now)
		}
	}
}

// prime has the DR of a link hand the RP-Set to a router that is new there (section 3.5).
func (n *network) prime(l *link, fresh *router) {
	var dr *router
	for _, r := range l.reached(fresh) {
		if dr == nil || l.on(dr).Less(l.on(r)) {
			dr = r
		}
	}
	if dr == nil {
		return
	}
	b := dr.b
	n.after(n.delay(), func() {
		if dr.up && dr.b == b && l.up {
			b.Prime(dr.iface(l), []netip.Addr{l.on(fresh)})
		}
	})
}

func (r *router) iface(l *link) Interface {
	mtu := l.mtu
	if n := r.n; n.small {
		mtu = 100
	}
	i := Interface{ID: l.id, MTU: mtu, Neighbors: len(l.reached(r)), Border: l.border[r], Boundaries: l.boundaries}
	if r.n.noBorders {
		i.Boundaries = nil
	}
	return i
}

func (r *router) local(a netip.Addr) bool {
	if a == r.address || slices.Contains(r.others, a) {
		return true
	}
	return slices.ContainsFunc(r.n.links, func(l *link) bool { return slices.Contains(l.routers, r) && l.on(r) == a })
}

func (r *router) env() Env {
	n, timers, counts := r.n, r.timers, r.counts
	alive := func() bool { return r.up && r.timers == timers }
	return Env{
		ID: engine.MachineID{Protocol: engine.PIMSM, Family: n.family}, Rand: n.rng, Timers: timers, Counts: counts,
		Emit: func(e engine.Effect) {
			switch e := e.(type) {
			case engine.Note:
				r.notes = append(r.notes, e)
			case engine.Transition:
				r.moves = append(r.moves, e)
			}
		},
		Interfaces: func() (list []Interface) {
			for _, l := range n.links {
				if slices.Contains(l.routers, r) && l.up {
					list = append(list, r.iface(l))
				}
			}
			return list
		},
		Local: r.local,
		Multicast: func(i engine.IfID, m *wire.Bootstrap) {
			if n.noForward {
				n.t.Errorf("%v hands on a no-forward message: %+v", r, m)
			}
			r.sent = append(r.sent, sending{at: n.now, i: i, m: m})
			l := n.links[i-1]
			for _, o := range l.reached(r) {
				n.deliver(l, r, o, wire.AllPIMRouters(n.family), m)
			}
		},
		Unicast: func(i engine.IfID, to netip.Addr, m *wire.Bootstrap) {
			r.sent = append(r.sent, sending{at: n.now, i: i, to: to, m: m})
			l := n.links[i-1]
			for _, o := range l.reached(r) {
				if l.on(o) == to {
					n.deliver(l, r, o, to, m)
				}
			}
		},
		Advertise: func(src, bsr netip.Addr, m *wire.CandidateRPAdv) {
			r.advs = append(r.advs, advSent{n.now, src, bsr, m})
			n.advertise(r, src, bsr, m)
		},
		Track: func(a netip.Addr) { r.tracked[a]++ },
		Untrack: func(a netip.Addr) {
			if r.tracked[a]--; r.tracked[a] < 0 {
				n.t.Errorf("%v is untracked more often than tracked", a)
			}
			if r.tracked[a] == 0 {
				delete(r.tracked, a)
			}
		},
		WhenPathKnown: func(bsr netip.Addr, f func(netip.Addr)) {
			if n.slow && n.rng.IntN(2) == 0 {
				n.after(n.delay(), func() {
					if alive() {
						f(n.rpfNeighbor(r, bsr))
					}
				})
				return
			}
			f(n.rpfNeighbor(r, bsr))
		},
		Learned: func(list []Mapping) { r.told = slices.Clone(list) },
	}
}

// encoded returns the octets of a message.
func (n *network) encoded(m wire.Message, src, dst netip.Addr) []byte {
	n.t.Helper()
	b, err := wire.Encode(m, src, dst)
	if err != nil {
		n.t.Fatalf("%+v: %v", m, err)
	}
	return b
}

func (n *network) lost(from, to *router, m wire.Message, loss float64) bool {
	return n.rng.Float64() < loss || n.deny != nil && n.deny(from, to, m)
}

func (n *network) deliver(l *link, from, to *router, dst netip.Addr, m *wire.Bootstrap) {
	if n.lost(from, to, m, l.loss) {
		return
	}
	src := l.on(from)
	payload := n.encoded(m, src, dst)
	b := to.b
	n.after(n.delay(), func() {
		if !to.up || to.b != b || !l.up {
			return
		}
		parsed, err := wire.Parse(payload, src, dst)
		if err != nil {
			n.t.Fatal(err)
		}
		m := parsed.(*wire.Bootstrap)
		n.noForward = m.NoForward
		defer func() { n.noForward = false }()
		if n.heard != nil {
			n.heard(m)
		}
		n.lastSource = src
		to.b.Receive(n.now, to.iface(l), src, dst, slices.Contains(l.reached(to), from), m)
	})
}

func (n *network) advertise(from *router, src, bsr netip.Addr, m *wire.CandidateRPAdv) {
	payload := n.encoded(m, src, bsr)
	n.after(n.delay(), func() {
		to := n.owner(bsr)
		if to == nil || !n.component(from, nil)[to] || n.lost(from, to, m, 0) {
			return
		}
		parsed, err := wire.Parse(payload, src, bsr)
		if err != nil {
			n.t.Fatal(err)
		}
		to.b.ReceiveAdv(n.now, Interface{}, src, parsed.(*wire.CandidateRPAdv))
	})
}

// owner is the router that has an address that the domain reaches.
func (n *network) owner(a netip.Addr) *router {
	for _, r := range n.routers {
		if r.up && (r.address == a || slices.Contains(r.others, a)) {
			return r
		}
	}
	return nil
}

// component are the routers that one reaches, itself included, over links that pass.
func (n *network) component(from *router, passes func(*link) bool) map[*router]bool {
	seen := map[*router]bool{from: true}
	for todo := []*router{from}; len(todo) > 0; todo = todo[1:] {
		for _, l := range n.links {
			if slices.Contains(l.routers, todo[0]) && (passes == nil || passes(l)) {
				for _, o := range l.reached(todo[0]) {
					if !seen[o] {
						seen[o] = true
						todo = append(todo, o)
					}
				}
			}
		}
	}
	return seen
}

// rpfNeighbor is RPF_neighbor(a) by the shortest path, by its address on the link.
func (n *network) rpfNeighbor(r *router, a netip.Addr) netip.Addr {
	to := n.owner(a)
	if to == nil || to == r {
		return netip.Addr{}
	}
	// Distances from the owner; the next hop is the first neighbor that is nearer.
	far := map[*router]int{to: 1}
	for todo := []*router{to}; len(todo) > 0; todo = todo[1:] {
		for _, l := range n.links {
			if slices.Contains(l.routers, todo[0]) {
				for _, o := range l.reached(todo[0]) {
					if far[o] == 0 {
						far[o] = far[todo[0]] + 1
						todo = append(todo, o)
					}
				}
			}
		}
	}
	for _, l := range n.links {
		if slices.Contains(l.routers, r) {
			for _, o := range l.reached(r) {
				if far[o] > 0 && far[o] < far[r] {
					return l.on(o)
				}
			}
		}
	}
	return netip.Addr{}
}

func (r *router) String() string { return fmt.Sprintf("r%d(%v)", r.number, r.address) }
