package router

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"

	"grove/internal/engine"
)

// limit is the longest chain of effects, the most rounds of Settled, and the most Ticks of one machine at one instant.
// Honest chains are far shorter: a membership makes a Want, a Want makes a row.
const limit = 16

// Router is the machines of one router. Make it with New.
type Router struct {
	rng        *rand.Rand
	machines   []*slot // in the order of announcement
	interfaces map[engine.IfID]engine.Interface
	routes     map[routeKey]engine.RouteChange // those that there are

	now    time.Time
	queue  []item // what waits for delivery; queue[:next] was delivered in this Step
	next   int
	out    []engine.Effect
	faults int
}

// slot is a machine in its place.
type slot struct {
	id      engine.MachineID
	machine engine.Machine
	config  any
	dirty   bool // was told something since its last Settled
}

// item is an event on its way to a machine.
type item struct {
	to     *slot
	from   engine.MachineID // zero: the outside
	ev     engine.Event
	parent int // index in queue of the event that caused it; -1: the outside
	depth  int
}

// New returns a router without machines: Configure gives it some. Every machine gets a generator seeded from rng.
func New(rng *rand.Rand) *Router {
	return &Router{rng: rng, interfaces: make(map[engine.IfID]engine.Interface), routes: make(map[routeKey]engine.RouteChange)}
}

// Faults returns how many times the machines were cut off because they answered each other without end.
func (r *Router) Faults() int { return r.faults }

// Step implements engine.Machine. It takes Tick, Settled, Configure (with a Config of this package), Shutdown,
// InterfaceChange, and Addressed events for a single machine, Query among them. What it returns is Outward.
func (r *Router) Step(now time.Time, ev engine.Event) []engine.Effect {
	r.now = now
	r.queue, r.out = emptied(r.queue), emptied(r.out)
	r.next = 0
	r.fire()
	switch ev := ev.(type) {
	case engine.Tick:
	case engine.Settled:
		r.settle()
	case engine.Configure:
		r.configure(ev.Config.(Config))
	case engine.InterfaceChange:
		r.interfaceChange(ev)
	case engine.Addressed:
		if p, ok := ev.Event.(engine.Packet); ok {
			r.packet(ev.To, p)
		} else if s := r.find(ev.To); s != nil {
			r.post(s, engine.MachineID{}, ev.Event, -1)
		} else if q, ok := ev.Event.(engine.Query); ok {
			r.emit(ev.To, engine.Answer{From: ev.To, ID: q.ID, Err: fmt.Sprintf("%v does not run here", ev.To)})
		}
		r.drain()
	default: // RouteChange, Shutdown, and whatever else is for all
		if route, ok := ev.(engine.RouteChange); ok {
			r.remember(route)
		}
		for _, s := range r.machines {
			r.post(s, engine.MachineID{}, ev, -1)
		}
		r.drain()
	}
	return r.out
}

// routeKey is how a unicast route is known in a table.
type routeKey struct {
	prefix netip.Prefix
	metric uint32
}

// remember keeps the unicast routes for a rib that comes later: they are told once.
func (r *Router) remember(c engine.RouteChange) {
	k := routeKey{c.Prefix, c.Metric}
	if c.Gone {
		delete(r.routes, k)
		return
	}
	r.routes[k] = c
}

func compareRoutes(a, b routeKey) int {
	return cmp.Or(a.prefix.Addr().Compare(b.prefix.Addr()), cmp.Compare(a.prefix.Bits(), b.prefix.Bits()), cmp.Compare(a.metric, b.metric))
}

// Deadline implements engine.Machine.
func (r *Router) Deadline() (first time.Time, ok bool) {
	for _, s := range r.machines {
		if at, running := s.machine.Deadline(); running && (!ok || at.Before(first)) {
			first, ok = at, true
		}
	}
	return first, ok
}

// fire ticks every machine that is due.
func (r *Router) fire() {
	for _, s := range r.machines {
		for n := 0; due(s.machine, r.now); n++ {
			if n == limit {
				r.fault(fmt.Sprintf("%v: the deadline does not advance", s.id), -1)
				break
			}
			r.post(s, engine.MachineID{}, engine.Tick{}, -1)
			r.drain()
		}
	}
}

func due(m engine.Machine, now time.Time) bool {
	at, ok := m.Deadline()
	return ok && !at.After(now)
}

// settle sends Settled to every machine that was told something, until none was.
func (r *Router) settle() {
	for round := 0; ; round++ {
		again := false
		for _, s := range r.machines {
			if !s.dirty {
				continue
			}
			if round == limit {
				r.fault(fmt.Sprintf("%v: not settled after %d rounds", s.id, limit), r.next-1)
				s.dirty = false
				continue
			}
			again = true
			s.dirty = false
			r.deliver(item{to: s, ev: engine.Settled{}, parent: -1}, -1)
		}
		r.drain()
		if !again {
			return
		}
	}
}

// packet hands a packet to every machine of the family and table that speaks its protocol: PIM is read by sparse and dense
// mode, IGMP by igmp and DVMRP. Each takes what is its own.
func (r *Router) packet(to engine.MachineID, p engine.Packet) {
	for _, s := range r.machines {
		if s.id.Family == to.Family && s.id.Table == to.Table && speaks(s.id, p.Proto) {
			r.post(s, engine.MachineID{}, p, -1)
		}
	}
}

// interfaceChange announces an interface to all machines: in order if it is there, in reverse if it is gone.
func (r *Router) interfaceChange(ev engine.InterfaceChange) {
	if !ev.Gone {
		r.interfaces[ev.ID] = ev.Interface
		for _, s := range r.machines {
			r.post(s, engine.MachineID{}, ev, -1)
			r.drain()
		}
		return
	}
	delete(r.interfaces, ev.ID)
	for i := len(r.machines) - 1; i >= 0; i-- {
		r.post(r.machines[i], engine.MachineID{}, ev, -1)
		r.drain()
	}
}

// post puts an event into the queue. parent is the index of the event that caused it.
func (r *Router) post(to *slot, from engine.MachineID, ev engine.Event, parent int) {
	depth := 0
	if parent >= 0 {
		depth = r.queue[parent].depth + 1
	}
	if depth > limit {
		r.fault(fmt.Sprintf("chain longer than %d, dropped %T for %v", limit, ev, to.id), parent)
		return
	}
	r.queue = append(r.queue, item{to: to, from: from, ev: ev, parent: parent, depth: depth})
}

// drain delivers what waits, first in, first out.
func (r *Router) drain() {
	for r.next < len(r.queue) {
		i := r.next
		r.next++
		it := r.queue[i]
		it.to.dirty = true
		r.deliver(it, i)
	}
}

// deliver steps one machine and routes its effects. index is the item's place in the queue, -1 for Settled.
func (r *Router) deliver(it item, index int) {
	for _, eff := range it.to.machine.Step(r.now, it.ev) {
		r.route(it.to, eff, index)
	}
}

// emit hands an effect to the outside.
func (r *Router) emit(from engine.MachineID, eff engine.Effect) {
	r.out = append(r.out, engine.Outward{From: from, Effect: eff})
}

// fault counts and prints what went round in circles.
func (r *Router) fault(what string, index int) {
	r.faults++
	var chain []string
	for i := index; i >= 0; i = r.queue[i].parent {
		it := r.queue[i]
		chain = append(chain, fmt.Sprintf("%v -> %v: %T", it.from, it.to.id, it.ev))
	}
	text := "fault: " + what
	if len(chain) > 0 {
		text += "; last first: " + strings.Join(chain, "; ")
	}
	r.emit(engine.MachineID{}, engine.Note{Level: engine.Error, Text: text})
}

// emptied returns the slice without elements, so that nothing of the last Step is kept alive; a big one is given up.
func emptied[T any](s []T) []T {
	if cap(s) > 4096 {
		return nil
	}
	clear(s)
	return s[:0]
}
