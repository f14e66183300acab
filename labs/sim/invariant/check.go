package invariant

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"grove/internal/engine"
	"grove/labs/sim"
)

// Violation is an invariant that does not hold.
type Violation struct {
	Invariant string // "loop", "duplicate", "black hole", "waste", "state", "fault"
	Text      string
}

func (v Violation) String() string { return v.Invariant + ": " + v.Text }

// Rest says how much at rest a network is.
type Rest uint8

const (
	// Settled is a network in which nothing happened for longer than any timer.
	Settled Rest = iota
	// Recent is one in which what is triggered is over, and nothing vanished. On a LAN of routers a packet may still go
	// towards nobody: who lost an Assert after Joins came to it keeps their state for as long as they hold, up to 210 s,
	// since the Prunes went to the winner, and forwards again when the winner gives up (RFC 7761 section 4.6).
	Recent
)

// Delivery lets the sources send for the time window, follows each packet and says which invariants of delivery do not
// hold.
func Delivery(s *sim.Sim, sources []*sim.Source, window time.Duration, rest Rest) []Violation {
	w, first, last := observe(s, sources, window)
	w.links()
	for _, src := range sources {
		w.received(src, first[src], last[src], 0)
	}
	w.waste(rest)
	s.ForgetHops()
	return w.found
}

// observe lets the sources send for the time window with every packet followed, and returns all that was seen, and the
// numbers of the first and the last packet of each source.
func observe(s *sim.Sim, sources []*sim.Source, window time.Duration) (w *walk, first, last map[*sim.Source]uint64) {
	s.ForgetHops()
	first, last = make(map[*sim.Source]uint64), make(map[*sim.Source]uint64)
	for _, src := range sources {
		src.SetTraced(true)
		first[src] = src.Seq() + 1
	}
	s.Run(window)
	for _, src := range sources {
		src.SetTraced(false)
	}
	for _, src := range sources {
		last[src] = src.Seq()
	}
	s.Run(time.Second) // the last packets arrive
	return &walk{sim: s, hops: s.Hops()}, first, last
}

type walk struct {
	sim     *sim.Sim
	hops    []sim.Hop
	network int // not 0: the protocol does not tell apart the sources of a prefix of this length
	found   []Violation
}

func (w *walk) add(invariant, format string, args ...any) {
	w.found = append(w.found, Violation{invariant, fmt.Sprintf(format, args...)})
}

// copyID names a packet.
type copyID struct {
	key engine.Key
	seq uint64
}

func id(h *sim.Hop) copyID { return copyID{engine.SG(h.Source, h.Group), h.Seq} }

// links checks that no packet crosses a link twice, and says whether it is a loop (one crossing led to the other) or
// two branches that meet.
func (w *walk) links() {
	type crossing struct {
		copyID
		link *sim.Link
	}
	seen := make(map[crossing]int)
	for i := 1; i < len(w.hops); i++ {
		h := &w.hops[i]
		c := crossing{id(h), h.From.Link()}
		before, again := seen[c]
		if !again {
			seen[c] = i
			continue
		}
		kind := "duplicate"
		for up := h.Parent; up != 0; up = w.hops[up].Parent {
			if w.hops[up].From.Link() == c.link {
				kind = "loop"
			}
		}
		w.add(kind, "packet %d of %v crosses %s twice: %s and %s", c.seq, c.key, c.link.Name(), w.path(before), w.path(i))
	}
}

// path returns the nodes and links that a transmission came over.
func (w *walk) path(i int) string {
	text := ""
	for ; i != 0; i = w.hops[i].Parent {
		h := &w.hops[i]
		text = fmt.Sprintf(" %s-[%s]", h.From.Node().Name(), h.From.Link().Name()) + text
	}
	return "(" + text[1:] + ")"
}

// received checks that everyone who wants a source has each of its packets, and no more than so many of them twice.
func (w *walk) received(src *sim.Source, first, last uint64, doubled int) {
	type receipt struct {
		member *sim.Member
		seq    uint64
	}
	got := make(map[receipt]int)
	for _, d := range w.sim.Deliveries() {
		if h := &w.hops[d.Hop]; engine.SG(h.Source, h.Group) == src.Key() {
			got[receipt{d.Member, d.Seq}]++
		}
	}
	for _, n := range w.sim.Nodes() {
		if n.Host() == nil || n == src.Node() {
			continue
		}
		for _, m := range n.Host().Members() {
			if m.Group != src.Key().Group || !m.Wants(src.Key().Source) {
				continue
			}
			missing, twice := 0, 0
			for seq := first; seq <= last; seq++ {
				switch got[receipt{m, seq}] {
				case 0:
					missing++
				case 1:
				default:
					twice++
				}
			}
			if missing > 0 {
				w.add("black hole", "%s misses %d of %d packets of %v from %s", n.Name(), missing, last-first+1, src.Key(), src.Node().Name())
			}
			if twice > doubled {
				w.add("duplicate", "%s gets %d of %d packets of %v more than once", n.Name(), twice, last-first+1, src.Key())
			}
		}
	}
}

// useful says of each hop whether it leads to a member.
func (w *walk) useful() []bool {
	useful := make([]bool, len(w.hops))
	for _, d := range w.sim.Deliveries() {
		w.use(useful, d.Hop)
	}
	if w.network > 0 {
		for i := range w.hops[1:] {
			if w.neighborWanted(&w.hops[i+1]) {
				w.use(useful, i+1)
			}
		}
	}
	return useful
}

// neighborWanted says whether a member on a link of a router on the link wants the group of another source of the same
// network.
func (w *walk) neighborWanted(h *sim.Hop) bool {
	network := netip.PrefixFrom(h.Source, w.network).Masked()
	wants := func(m *sim.Member) bool {
		return m.Group == h.Group && m.Mode == engine.Include && slices.ContainsFunc(m.Sources, network.Contains)
	}
	for _, p := range h.From.Link().Ports() {
		if p.Node().Router() == nil {
			continue
		}
		for _, q := range p.Node().Ports() {
			if q.Link() == nil {
				continue
			}
			for _, r := range q.Link().Ports() {
				if r.Node().Host() != nil && slices.ContainsFunc(r.Node().Host().Members(), wants) {
					return true
				}
			}
		}
	}
	return false
}

// use marks a hop, and those that led to it.
func (w *walk) use(useful []bool, i int) {
	for ; i != 0 && !useful[i]; i = w.hops[i].Parent {
		useful[i] = true
	}
}

// waste checks that every crossing of a link but the first leads to a member.
func (w *walk) waste(rest Rest) {
	useful := w.useful()
	for i := range w.hops[1:] {
		if h := &w.hops[i+1]; rest == Recent && len(h.From.Link().Ports()) > 2 {
			w.use(useful, i+1)
		}
	}
	told := make(map[string]bool)
	for i := 1; i < len(w.hops); i++ {
		h := &w.hops[i]
		if useful[i] || h.Parent == 0 && h.From.Node().Host() != nil {
			continue
		}
		where := fmt.Sprintf("%v crosses %s from %s", id(h).key, h.From.Link().Name(), h.From.Node().Name())
		if !told[where] {
			told[where] = true
			w.add("waste", "packet %d of %s towards nobody: %s", h.Seq, where, w.path(i))
		}
	}
}
