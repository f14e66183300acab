package sim

import (
	"errors"
	"fmt"
	"io"
	"time"

	"grove/internal/engine"
)

// Transition is a change of state somewhere, with its virtual time.
type Transition struct {
	At   time.Duration
	Node *Node
	engine.Transition
}

// String returns the transition on one line, with interfaces by name.
func (t Transition) String() string {
	text := fmt.Sprintf("%v %s %v %s", t.At, t.Node.name, t.From, t.Entity)
	if t.If != 0 {
		text += " on " + t.Node.IfName(t.If)
	}
	if t.Neighbor.IsValid() {
		text += " " + t.Neighbor.String()
	}
	if t.Key != (engine.Key{}) {
		text += " " + t.Key.String()
	}
	return text + fmt.Sprintf(": %s -> %s (%s)", t.Old, t.New, t.Cause)
}

// Note is a machine's line for the log, with its virtual time.
type Note struct {
	At   time.Duration
	Node *Node
	engine.Note
}

// Transitions returns all transitions so far, in order, unless Options.OnTransition takes them.
func (s *Sim) Transitions() []Transition { return s.transitions }

func (s *Sim) transition(n *Node, t engine.Transition) {
	at := Transition{At: s.Now(), Node: n, Transition: t}
	if s.trace != nil {
		fmt.Fprintln(s.trace, at)
	}
	if s.opts.OnTransition != nil {
		s.opts.OnTransition(at)
		return
	}
	s.transitions = append(s.transitions, at)
}

func (s *Sim) note(n *Node, e engine.Note) {
	if s.opts.OnNote != nil {
		s.opts.OnNote(Note{At: s.Now(), Node: n, Note: e})
	}
	if e.Level == engine.Error {
		s.fault(n, "%s", e.Text)
		return
	}
	s.tracef("%s %v note %s", n.name, e.From, e.Text)
}

// SetTrace writes all that happens to w, one line each: packets on links, transitions, notes, joins, changes of the
// topology. The same seed writes the same bytes. Nil ends it.
func (s *Sim) SetTrace(w io.Writer) { s.trace = w }

// ErrQuery is what a machine answers to a Query that it cannot answer; the text says why.
var ErrQuery = errors.New("sim: query")

// Query asks a machine of a router for its state: what and arg as its package's show.go lists them, the value of the
// type that it names. It is answered at the present instant.
func (s *Sim) Query(n *Node, machine engine.MachineID, what, arg string) (any, error) {
	if n.router == nil {
		return nil, fmt.Errorf("%w: %s is a host", ErrQuery, n.name)
	}
	s.instant() // all that is due now comes first
	s.queries++
	id := s.queries
	n.router.feed(engine.Addressed{To: machine, Event: engine.Query{To: machine, ID: id, What: what, Arg: arg}})
	s.instant()
	a, ok := s.answers[id]
	delete(s.answers, id)
	switch {
	case !ok:
		return nil, fmt.Errorf("%w: %s: %v does not answer %q", ErrQuery, n.name, machine, what)
	case a.Err != "":
		return nil, fmt.Errorf("%w: %s: %v: %s", ErrQuery, n.name, machine, a.Err)
	}
	return a.Value, nil
}

// Query is Sim.Query for a machine of this router in its own table.
func (r *Router) Query(p engine.Protocol, f engine.Family, what, arg string) (any, error) {
	return r.node.sim.Query(r.node, r.id(p, f), what, arg)
}
