package script

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"
)

// Printer is the Watcher of a terminal.
type Printer struct {
	Out io.Writer
	// Quiet leaves the transitions out.
	Quiet bool

	silent bool // for this step
}

// Step implements Watcher.
func (p *Printer) Step(number, of int, step *Step) {
	p.silent = p.Quiet || step.Quiet
	fmt.Fprintf(p.Out, "\n[%d/%d] %s\n", number, of, step.Name)
	for _, a := range step.Do {
		fmt.Fprintf(p.Out, "  > %s\n", a)
	}
}

// Transition implements Watcher.
func (p *Printer) Transition(t Transition) {
	if p.silent {
		return
	}
	fmt.Fprintf(p.Out, "  %s\n", t)
}

// Tree implements Watcher.
func (p *Printer) Tree(flow Flow, lines []string) {
	name := "the shared tree (*," + flow.Group.String() + ")"
	if flow.Source.IsValid() {
		name = fmt.Sprintf("the tree of (%v,%v)", flow.Source, flow.Group)
	}
	fmt.Fprintf(p.Out, "\n  %s as the routers forward it:\n", name)
	if len(lines) == 0 {
		fmt.Fprintln(p.Out, "    (none)")
	}
	for _, l := range lines {
		fmt.Fprintf(p.Out, "    %s\n", l)
	}
}

// StepDone implements Watcher.
func (p *Printer) StepDone(r *StepResult) {
	for _, f := range r.Findings {
		mark := "ok  "
		if !f.True {
			mark = "FAIL"
		}
		fmt.Fprintf(p.Out, "  %s %s\n", mark, f.Check)
		if !f.True {
			fmt.Fprintf(p.Out, "       found: %s\n", f.Found)
		}
	}
}

// Summary prints the table of checks at the end.
func (p *Printer) Summary(r *Result) {
	fmt.Fprintf(p.Out, "\n%-4s  %-88s %9s  %s\n", "step", "what must be true", "after", "")
	checks, failed := 0, 0
	for i, s := range r.Steps {
		for j, f := range s.Findings {
			number, after, verdict := "", "", "true"
			if j == 0 {
				number = fmt.Sprint(i + 1)
				after = s.Took.Round(100 * time.Microsecond).String()
			}
			checks++
			if !f.True {
				failed++
				verdict = "FALSE: " + f.Found
			}
			fmt.Fprintf(p.Out, "%-4s  %-88s %9s  %s\n", number, f.Check, after, verdict)
		}
	}
	for _, w := range r.Warnings {
		fmt.Fprintf(p.Out, "warning: %s\n", w)
	}
	fmt.Fprintf(p.Out, "\n%d checks, %d failed (engine %s)\n", checks, failed, r.Engine)
}

// String says an action in words.
func (a Action) String() string {
	switch {
	case a.Join != nil:
		return a.Join.Host + " joins " + channel(a.Join)
	case a.Leave != nil:
		return a.Leave.Host + " leaves " + channel(a.Leave)
	case a.Send != nil:
		return fmt.Sprintf("%s sends to %s, %d packets a second", a.Send.Host, a.Send.groups(), a.Send.Rate)
	case a.Stop != nil:
		return fmt.Sprintf("%s stops sending to %s", a.Stop.Host, a.Stop.groups())
	case a.Cut != "":
		return "the link " + a.Cut + " fails"
	case a.Reload != nil:
		return fmt.Sprintf("%s gets the configuration %s", a.Reload.Node, a.Reload.Config)
	case a.BGPRoutes != "":
		return "BGP brings the routes in " + a.BGPRoutes
	default:
		return "the link " + a.Heal + " heals"
	}
}

func (s *Send) groups() string {
	if s.Groups > 1 {
		return fmt.Sprintf("%d groups from %v on", s.Groups, s.Group)
	}
	return s.Group.String()
}

func channel(m *Membership) string {
	if m.Source.IsValid() {
		return fmt.Sprintf("%v from %v", m.Group, m.Source)
	}
	return m.Group.String()
}

// MarshalJSON writes a transition as one flat object; fields that do not apply are left out.
func (t Transition) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		At        time.Duration `json:"at_ns"`
		Node      string        `json:"node"`
		Machine   string        `json:"machine"`
		Entity    string        `json:"entity"`
		Interface string        `json:"interface,omitempty"`
		Neighbor  netip.Addr    `json:"neighbor,omitzero"`
		Source    netip.Addr    `json:"source,omitzero"`
		Group     netip.Addr    `json:"group,omitzero"`
		Old       string        `json:"old"`
		New       string        `json:"new"`
		Cause     string        `json:"cause,omitempty"`
	}{t.At, t.Node, t.Machine, t.Entity, t.Interface, t.Neighbor, t.Key.Source, t.Key.Group, t.Old, t.New, t.Cause})
}

// String prints a transition on one line.
func (t Transition) String() string {
	what := []string{t.Entity}
	if t.Key.Group.IsValid() {
		what = append(what, t.Key.String())
	}
	if t.Interface != "" {
		what = append(what, "on "+t.Interface)
	}
	if t.Neighbor.IsValid() {
		what = append(what, t.Neighbor.String())
	}
	s := fmt.Sprintf("%9.3fs  %-4s %-58s %s -> %s", t.At.Seconds(), t.Node, strings.Join(what, " "), t.Old, t.New)
	if t.Cause != "" {
		s += "   (" + t.Cause + ")"
	}
	return s
}

// drawTree draws edges as an indented tree, from every node that none leads to.
func drawTree(edges []edge) []string {
	children := map[string][]string{}
	below := map[string]bool{}
	for _, e := range edges {
		children[e.from] = append(children[e.from], e.to)
		below[e.to] = true
	}
	var lines []string
	drawn := map[string]bool{}
	var draw func(node, lead, indent string)
	draw = func(node, lead, indent string) {
		if drawn[node] {
			lines = append(lines, lead+node+" (again)")
			return
		}
		drawn[node] = true
		lines = append(lines, lead+node)
		for _, c := range children[node] {
			draw(c, indent+"└─ ", indent+"   ")
		}
	}
	for _, e := range edges { // edges are sorted
		if !below[e.from] && !drawn[e.from] {
			draw(e.from, "", "")
		}
	}
	for _, e := range edges { // what is left goes round in a circle
		if !drawn[e.from] {
			draw(e.from, "", "")
		}
	}
	return lines
}
