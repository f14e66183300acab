package script

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"grove/internal/engine"
)

// Finding is a check and its outcome.
type Finding struct {
	Check string `json:"check"` // in words
	True  bool   `json:"true"`
	Found string `json:"found"` // what was there instead, or the numbers
}

// mark is the state of a run when a step began: some checks ask what is new since.
type mark struct {
	at          time.Duration
	transitions int
	received    map[hostGroup]Received
}

type hostGroup struct {
	host  string
	group netip.Addr
}

// evaluator answers the checks of one step.
type evaluator struct {
	ctx    context.Context
	engine Engine
	topo   *Topology
	script *Script
	listed string // the file that says what BGP brings the routers
	since  mark
}

// all evaluates checks in order, up to the first false one if short is set.
func (e *evaluator) all(checks []Check, short bool) ([]Finding, bool, error) {
	ok := true
	var list []Finding
	for i := range checks {
		f, err := e.check(&checks[i])
		if err != nil {
			return nil, false, err
		}
		list = append(list, f)
		if !f.True {
			ok = false
			if short {
				break
			}
		}
	}
	return list, ok, nil
}

func (e *evaluator) check(c *Check) (Finding, error) {
	switch {
	case c.Neighbors != nil:
		return e.neighbors(c.Neighbors)
	case c.Route != nil:
		return e.route(c.Route)
	case c.Entry != nil:
		return e.entry(c.Entry)
	case c.Gone != nil:
		return e.gone(c.Gone)
	case c.Tree != nil:
		return e.tree(c.Tree)
	case c.Received != nil:
		return e.received(c.Received), nil
	case c.Links != nil:
		return e.links(c.Links), nil
	case c.BGP != nil:
		return e.bgp(c.BGP)
	case c.RPF != nil:
		return e.rpfCheck(c.RPF)
	case c.MSDPPeer != nil:
		return e.msdpPeer(c.MSDPPeer)
	case c.SA != nil:
		return e.sourceActive(c.SA)
	case c.PeerRPF != nil:
		return e.peerRPF(c.PeerRPF)
	case c.RP != nil:
		return e.rp(c.RP)
	case c.BSR != nil:
		return e.bsr(c.BSR)
	case c.Warning != nil:
		return e.warning(c.Warning), nil
	default:
		return e.transition(c.Transition), nil
	}
}

func (e *evaluator) neighbors(c *NeighborsCheck) (Finding, error) {
	family := engine.IPv4
	if c.IPv6 {
		family = engine.IPv6
	}
	s, err := e.engine.Router(e.ctx, c.Node, family)
	if err != nil {
		return Finding{}, err
	}
	f := Finding{
		Check: fmt.Sprintf("%s has %d neighbors (%v)", c.Node, c.Count, family),
		True:  len(s.Neighbors) == c.Count && len(s.Down) == 0,
		Found: fmt.Sprint(len(s.Neighbors)),
	}
	if len(s.Down) > 0 {
		f.Found += ", and its protocol does not run on " + strings.Join(s.Down, ", ")
	}
	return f, nil
}

func (e *evaluator) route(c *RouteCheck) (Finding, error) {
	s, err := e.engine.Router(e.ctx, c.Node, engine.IPv4)
	if err != nil {
		return Finding{}, err
	}
	f := Finding{Check: fmt.Sprintf("%s has a DVMRP route to %v", c.Node, c.Prefix), Found: "no such route"}
	n := slices.IndexFunc(s.Routes, func(r Route) bool { return r.Prefix == c.Prefix })
	var r Route
	if n >= 0 {
		r = s.Routes[n]
		f.True = true
		f.Found = fmt.Sprintf("%s, metric %d, via %v, dependents %s", r.State, r.Metric, r.Gateway, orNone(r.Dependents))
	}
	want := func(what string, ok bool) {
		f.Check += ", " + what
		f.True = f.True && ok
	}
	if c.State != "" {
		want(c.State, r.State == c.State)
	}
	if c.Metric != 0 {
		want(fmt.Sprintf("metric %d", c.Metric), r.Metric == c.Metric)
	}
	if c.Via.IsValid() {
		want(fmt.Sprintf("via %v", c.Via), r.Gateway == c.Via)
	}
	if c.Dependents != "" {
		want("dependents "+c.Dependents, orNone(r.Dependents) == c.Dependents)
	}
	return f, nil
}

// find returns the entry for (source, group) on a node.
func (e *evaluator) find(node string, source, group netip.Addr) (Entry, bool, error) {
	s, err := e.engine.Router(e.ctx, node, engine.FamilyOf(group))
	if err != nil {
		return Entry{}, false, err
	}
	for _, entry := range s.Entries {
		if entry.Key == (engine.Key{Source: source, Group: group}) {
			return entry, true, nil
		}
	}
	return Entry{}, false, nil
}

func (e *evaluator) entry(c *EntryCheck) (Finding, error) {
	key := engine.Key{Source: c.Source, Group: c.Group}
	f := Finding{Check: fmt.Sprintf("%s has %v", c.Node, key)}
	entry, there, err := e.find(c.Node, c.Source, c.Group)
	if err != nil {
		return Finding{}, err
	}
	f.True, f.Found = there, "no such entry"
	if there {
		f.Found = describe(entry)
	}
	want := func(what string, ok bool) {
		f.Check += ", " + what
		f.True = f.True && ok
	}
	if c.In != "" {
		want("in "+c.In, entry.In == c.In)
	}
	if c.Out != nil {
		out := slices.Sorted(slices.Values(*c.Out))
		want("out "+orNone(strings.Join(out, " ")), slices.Equal(entry.Out, out))
	}
	if c.Upstream != "" {
		want("upstream "+c.Upstream, entry.Upstream == c.Upstream)
	}
	if c.Register != "" {
		want("register "+c.Register, entry.Register == c.Register)
	}
	if c.SPT != nil {
		want(fmt.Sprintf("SPTbit %v", *c.SPT), entry.SPTbit == *c.SPT)
	}
	return f, nil
}

func (e *evaluator) gone(c *EntryCheck) (Finding, error) {
	entry, there, err := e.find(c.Node, c.Source, c.Group)
	if err != nil {
		return Finding{}, err
	}
	f := Finding{Check: fmt.Sprintf("%s has no %v", c.Node, engine.Key{Source: c.Source, Group: c.Group}), True: !there, Found: "none"}
	if there {
		f.Found = describe(entry)
	}
	return f, nil
}

func describe(e Entry) string {
	s := fmt.Sprintf("in %s, out %s", orNone(e.In), orNone(strings.Join(e.Out, " ")))
	if e.Upstream != "" {
		s += ", upstream " + e.Upstream
	}
	if e.Register != "" {
		s += ", register " + e.Register
	}
	if e.Key.Source.IsValid() {
		s += fmt.Sprintf(", SPTbit %v", e.SPTbit)
	}
	return s
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// edge is a hop of a tree, from node to node.
type edge struct{ from, to string }

// parseEdges reads "r1>r3>r5 r5>h3".
func parseEdges(s string) ([]edge, error) {
	var list []edge
	for _, chain := range strings.Fields(s) {
		nodes := strings.Split(chain, ">")
		if len(nodes) < 2 {
			return nil, fmt.Errorf("tree: %q: expected NODE>NODE", chain)
		}
		for i := 1; i < len(nodes); i++ {
			list = append(list, edge{nodes[i-1], nodes[i]})
		}
	}
	slices.SortFunc(list, compareEdges)
	return slices.Compact(list), nil
}

func compareEdges(a, b edge) int { return strings.Compare(a.from+">"+a.to, b.from+">"+b.to) }

func printEdges(list []edge) string {
	var b strings.Builder
	for i, e := range list {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(e.from + ">" + e.to)
	}
	return b.String()
}

// Edges returns the tree of a flow as the routers have it: an edge for every outgoing interface of every entry.
func (e *evaluator) edges(flow Flow) ([]edge, error) {
	var list []edge
	for _, n := range e.topo.Nodes {
		entry, there, err := e.find(n.Name, flow.Source, flow.Group)
		if err != nil {
			return nil, err
		}
		if !there {
			continue
		}
		for _, out := range entry.Out {
			if peer, ok := e.topo.Peer(Endpoint{n.Name, out}); ok {
				list = append(list, edge{n.Name, peer.Node})
			}
		}
	}
	slices.SortFunc(list, compareEdges)
	return slices.Compact(list), nil
}

func (e *evaluator) tree(c *TreeCheck) (Finding, error) {
	want, err := parseEdges(c.Is)
	if err != nil {
		return Finding{}, err
	}
	got, err := e.edges(c.Flow)
	if err != nil {
		return Finding{}, err
	}
	key := engine.Key{Source: c.Source, Group: c.Group}
	return Finding{
		Check: fmt.Sprintf("the tree of %v is %s", key, orNone(printEdges(want))),
		True:  slices.Equal(want, got),
		Found: orNone(printEdges(got)),
	}, nil
}

func (e *evaluator) received(c *ReceivedCheck) Finding {
	r := e.engine.Received(c.Host, c.Group)
	before := e.since.received[hostGroup{c.Host, c.Group}]
	if before.Joins != r.Joins {
		before = Received{} // of a membership that is over
	}
	fresh := r.Packets - before.Packets
	f := Finding{
		True:  r.Packets >= c.AtLeast && fresh >= c.New,
		Found: fmt.Sprintf("%d received, %d of them new, %d lost, %d duplicates", r.Packets, fresh, r.Lost, r.Duplicates),
	}
	var words []string
	if c.AtLeast > 0 {
		words = append(words, fmt.Sprintf("has received %d packets of %v", c.AtLeast, c.Group))
	}
	if c.AtMost != nil {
		f.True = f.True && r.Packets <= *c.AtMost
		words = append(words, fmt.Sprintf("has received at most %d packets of %v", *c.AtMost, c.Group))
	}
	if c.New > 0 {
		words = append(words, fmt.Sprintf("receives %v", c.Group))
	}
	if c.Lost != nil {
		f.True = f.True && r.Lost <= *c.Lost
		words = append(words, fmt.Sprintf("lost at most %d", *c.Lost))
	}
	if c.Duplicates != nil {
		f.True = f.True && r.Duplicates <= *c.Duplicates
		words = append(words, fmt.Sprintf("at most %d duplicates", *c.Duplicates))
	}
	if c.NewLost != nil {
		f.True = f.True && r.Lost-before.Lost <= *c.NewLost
		words = append(words, fmt.Sprintf("lost at most %d more", *c.NewLost))
	}
	if c.NewDuplicates != nil {
		f.True = f.True && r.Duplicates-before.Duplicates <= *c.NewDuplicates
		words = append(words, fmt.Sprintf("at most %d new duplicates", *c.NewDuplicates))
	}
	if c.FirstWithin > 0 {
		f.True = f.True && r.Packets > 0 && r.First <= c.FirstWithin
		words = append(words, fmt.Sprintf("has the first packet of %v within %v of its join", c.Group, c.FirstWithin))
		if r.Packets > 0 {
			f.Found += fmt.Sprintf(", the first after %v", r.First.Round(10*time.Microsecond))
		}
	}
	f.Check = c.Host + " " + strings.Join(words, ", ")
	return f
}

func (e *evaluator) warning(c *WarningCheck) Finding {
	f := Finding{Check: fmt.Sprintf("%s warns: %s", c.Node, c.Text), Found: "it did not"}
	for _, w := range e.engine.Warnings() {
		if c.matches(w) {
			f.True, f.Found = true, w
			break
		}
	}
	return f
}

// matches says whether a warning, as an engine words it, is the one.
func (c *WarningCheck) matches(w string) bool {
	_, said, _ := strings.Cut(w, " "+c.Node+": ")
	return strings.Contains(said, c.Text)
}

func (e *evaluator) transition(c *TransitionCheck) Finding {
	words := []string{c.Node, c.Entity}
	if c.Source.IsValid() || c.Group.IsValid() {
		words = append(words, engine.Key{Source: c.Source, Group: c.Group}.String())
	}
	if c.Old != "" {
		words = append(words, "from", c.Old)
	}
	if c.New != "" {
		words = append(words, "to", c.New)
	}
	f := Finding{Check: strings.Join(words, " "), Found: "did not happen"}
	for _, t := range e.engine.Transitions()[e.since.transitions:] {
		if c.matches(&t) {
			f.True, f.Found = true, t.Cause
			break
		}
	}
	if c.Never {
		f.Check, f.True = "never: "+f.Check, !f.True
	}
	return f
}

func (c *TransitionCheck) matches(t *Transition) bool {
	return (c.Node == "" || c.Node == t.Node) &&
		(c.Entity == "" || c.Entity == t.Entity || strings.HasPrefix(t.Entity, c.Entity+" (")) &&
		(!c.Source.IsValid() || c.Source == t.Key.Source) &&
		(!c.Group.IsValid() || c.Group == t.Key.Group) &&
		(c.Old == "" || c.Old == t.Old) &&
		(c.New == "" || c.New == t.New)
}
