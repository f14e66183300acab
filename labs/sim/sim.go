package sim

import (
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/netip"
	"time"

	"grove/internal/engine"
)

// Unicast says where routers learn unicast routes from.
type Unicast uint8

const (
	// Oracle computes shortest paths over all links, with equal-cost multipath, and tells every router the
	// differences some time after a change, as a link-state protocol would. Static routes of configurations are not
	// used.
	Oracle Unicast = iota
	// Static uses the static routes of the configurations, under the rules of Linux and groved: those over a link that
	// is down are gone, and come back with it.
	Static
)

// Options are the settings of a whole simulation. The zero value is ready.
type Options struct {
	Start   time.Time // the virtual clock's origin; default 1 January 2000
	Unicast Unicast

	// OracleDelay is the time from a change of the topology to the new routes; default 200 ms. The first routes are
	// there at once.
	OracleDelay time.Duration
	// Announce says which prefixes the oracle tells the routers of; nil: all. Whatever it says, unicast packets find
	// their way: in a big simulation the routes to sources and RPs are enough, and save memory.
	Announce func(p netip.Prefix) bool

	// OnTransition is called for every transition, in order. Nil: they are kept, and Transitions returns them.
	OnTransition func(t Transition)
	// OnCrossing is called for every numbered data packet (AddSource) that an interface puts on its link.
	OnCrossing func(from *Port, source, group netip.Addr, seq uint64)
	// OnNote is called for every note of a machine. Nil: notes of level Error become faults, others are dropped.
	OnNote func(n Note)
}

// Sim is one simulation: nodes, links, and the heap of what is to come. It is not safe for concurrent use. Make it with
// New.
type Sim struct {
	opts Options
	seed uint64

	now  int64 // nanoseconds since opts.Start
	heap eventHeap
	seq  uint64

	nodes  []*Node // by index
	byName map[string]*Node
	ports  []*Port // by index
	links  []*Link // in the order of creation
	dirty  []*Node // routers and hosts that were told something at this instant
	spare  []*Node // room for the next dirty
	calls  []func()
	free   []int32 // unused places in calls
	srcs   []*Source
	oracle *oracle

	hops        []Hop
	deliveries  []Delivery
	transitions []Transition
	faults      []Fault
	answers     map[uint64]engine.Answer
	queries     uint64
	trace       io.Writer
	stats       Stats
}

// Stats count what happened so far.
type Stats struct {
	Events    uint64 // taken from the heap
	Steps     uint64 // of routers' and hosts' machines
	Data      uint64 // transmissions of data packets over links
	Control   uint64 // transmissions of control packets over links
	Lost      uint64 // by the loss of links
	LinkDown  uint64 // were on a link when it failed, or sent into one that was down
	TooBig    uint64 // larger than a link's MTU and not to be fragmented
	Expired   uint64 // unicast packets whose TTL ended
	NoRoute   uint64 // unicast packets without a way
	Tunnel    uint64 // packets that an end of a tunnel dropped
	Delivered uint64 // data packets given to members
}

// maxRounds is how often the batches of one instant may set each other off.
const maxRounds = 10000

// New returns an empty simulation. All chance comes from seed: the same calls with the same seed do the same, byte for
// byte.
func New(seed uint64, opts Options) *Sim {
	if opts.Start.IsZero() {
		opts.Start = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	if opts.OracleDelay == 0 {
		opts.OracleDelay = 200 * time.Millisecond
	}
	s := &Sim{
		opts:    opts,
		seed:    seed,
		byName:  make(map[string]*Node),
		answers: make(map[uint64]engine.Answer),
		hops:    make([]Hop, 1), // 0 is no hop
	}
	if opts.Unicast == Oracle {
		s.oracle = newOracle(s)
	}
	return s
}

// rng returns a generator of its own for name, so that one node's throws do not depend on another's.
func (s *Sim) rng(name string) *rand.Rand {
	h := fnv.New64a()
	io.WriteString(h, name)
	return rand.New(rand.NewPCG(s.seed, h.Sum64()))
}

// Now returns the virtual time since the start.
func (s *Sim) Now() time.Duration { return time.Duration(s.now) }

// Clock returns the virtual time as the machines see it.
func (s *Sim) Clock() time.Time { return s.opts.Start.Add(time.Duration(s.now)) }

// Stats returns the counts so far.
func (s *Sim) Stats() Stats { return s.stats }

// Run lets the virtual time d pass.
func (s *Sim) Run(d time.Duration) { s.RunUntil(s.Now() + d) }

// RunUntil runs all that is due by t, that instant included.
func (s *Sim) RunUntil(t time.Duration) {
	end := int64(t)
	s.instant()
	for len(s.heap) > 0 && s.heap[0].at <= end {
		s.now = s.heap[0].at
		s.instant()
	}
	s.now = max(s.now, end)
}

// RunWhile runs until cond is false, checking after every instant, or until the time limit; it says whether cond
// became false.
func (s *Sim) RunWhile(cond func() bool, limit time.Duration) bool {
	end := s.now + int64(limit)
	s.instant()
	for cond() {
		if len(s.heap) == 0 || s.heap[0].at > end {
			s.now = max(s.now, end)
			return false
		}
		s.now = s.heap[0].at
		s.instant()
	}
	return true
}

// instant does all that is due now: first every event, then the end of the batch of every node that was told
// something, and so on until nothing is left at this time.
func (s *Sim) instant() {
	for round := 0; ; round++ {
		for len(s.heap) > 0 && s.heap[0].at <= s.now {
			s.do(s.heap.pop())
		}
		if len(s.dirty) == 0 {
			return
		}
		if round == maxRounds {
			s.fault(nil, "the batches of one instant set each other off without end")
			s.dirty = s.dirty[:0]
			return
		}
		batch := s.dirty
		s.dirty = s.spare[:0]
		for _, n := range batch {
			n.dirty = false
			n.settle()
		}
		s.spare = batch
	}
}

func (s *Sim) do(e event) {
	s.stats.Events++
	switch e.kind {
	case evArrive:
		s.arrive(s.ports[e.who], &e)
	case evWake:
		s.nodes[e.who].wake()
	case evSource:
		s.srcs[e.who].send(e.aux)
	case evCall:
		f := s.calls[e.who]
		s.calls[e.who] = nil
		s.free = append(s.free, e.who)
		f()
	}
}

func (s *Sim) push(e event) {
	s.seq++
	e.seq = s.seq
	s.heap.push(e)
}

// At calls f at virtual time t, or now if that is past.
func (s *Sim) At(t time.Duration, f func()) {
	var i int32
	if n := len(s.free); n > 0 {
		i, s.free = s.free[n-1], s.free[:n-1]
		s.calls[i] = f
	} else {
		i = int32(len(s.calls))
		s.calls = append(s.calls, f)
	}
	s.push(event{at: max(int64(t), s.now), who: i, kind: evCall})
}

// After calls f when d has passed.
func (s *Sim) After(d time.Duration, f func()) { s.At(s.Now()+d, f) }

// Node returns the node called name, nil if there is none.
func (s *Sim) Node(name string) *Node { return s.byName[name] }

// Nodes returns all nodes in the order of their creation.
func (s *Sim) Nodes() []*Node { return s.nodes }

// Links returns all links in the order of their creation.
func (s *Sim) Links() []*Link { return s.links }

// Link returns the link called name, nil if there is none.
func (s *Sim) Link(name string) *Link {
	for _, l := range s.links {
		if l.name == name {
			return l
		}
	}
	return nil
}

// Fault is something that must not happen in a correct simulation.
type Fault struct {
	At   time.Duration
	Node string // empty: no node in particular
	Text string
}

func (f Fault) String() string { return fmt.Sprintf("%v %s: %s", f.At, f.Node, f.Text) }

// Faults returns what went wrong so far: control packets larger than a link's MTU, sends from interfaces that do not
// exist, machines that answer each other without end.
func (s *Sim) Faults() []Fault { return s.faults }

func (s *Sim) fault(n *Node, format string, args ...any) {
	f := Fault{At: s.Now(), Text: fmt.Sprintf(format, args...)}
	if n != nil {
		f.Node = n.name
	}
	s.faults = append(s.faults, f)
	s.tracef("%s fault %s", f.Node, f.Text)
}

func (s *Sim) tracef(format string, args ...any) {
	if s.trace != nil {
		fmt.Fprintf(s.trace, "%v ", s.Now())
		fmt.Fprintf(s.trace, format, args...)
		io.WriteString(s.trace, "\n")
	}
}
