package script

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Crossing is one data packet that a node put on a link.
type Crossing struct {
	At            time.Duration
	Link          string // as LinkName names it
	From          string // the node
	Source, Group netip.Addr
	Seq           uint64 // the packet's number
}

// rest in a list of links stands for all that the check does not name otherwise.
const rest = "rest"

// LinkName returns what checks call a link: "r1-r2" in the order of the topology file, or the name of a bridge, whose
// cables are one link.
func (t *Topology) LinkName(l Link) string {
	for _, end := range []string{l.A.Node, l.B.Node} {
		if t.bridge(end) {
			return end
		}
	}
	return l.A.Node + "-" + l.B.Node
}

func (t *Topology) bridge(node string) bool {
	return slices.ContainsFunc(t.Nodes, func(n Node) bool { return n.Bridge && n.Name == node })
}

// linkNames reads a list of links, "r1-r2 r3-r2 lan", into their names.
func (t *Topology) linkNames(list string) ([]string, error) {
	var names []string
	for _, word := range strings.Fields(list) {
		if t.bridge(word) {
			names = append(names, word)
			continue
		}
		l, err := t.Link(word)
		if err != nil {
			return nil, err
		}
		names = append(names, t.LinkName(l))
	}
	return names, nil
}

// allLinks returns the names of all links, in the order of the topology file.
func (t *Topology) allLinks() []string {
	var names []string
	for _, l := range t.Links {
		if name := t.LinkName(l); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// fault says what is wrong with the check itself; empty: nothing.
func (c *LinksCheck) fault(t *Topology) string {
	if !c.Group.IsMulticast() {
		return fmt.Sprintf("links: group %v: expected a multicast group", c.Group)
	}
	if c.Carried == "" && c.Silent == "" {
		return "links: expected carried, silent or both: names of links, as \"r1-r2 lan\""
	}
	if c.Carried == "" && (c.AtLeast != 0 || c.Copies != 0 || c.By != "" || c.Senders != 0) {
		return "links: at-least, copies, by and senders say something of the links in carried: name some"
	}
	silent := c.Silent
	if silent == rest {
		silent = ""
	}
	carried, err := t.linkNames(c.Carried)
	if err != nil {
		return "links: carried: " + err.Error()
	}
	quiet, err := t.linkNames(silent)
	if err != nil {
		return "links: silent: " + err.Error() + ", or the word rest"
	}
	for _, l := range quiet {
		if slices.Contains(carried, l) {
			return fmt.Sprintf("links: %s stands in carried and in silent", l)
		}
	}
	for _, by := range strings.Fields(c.By) {
		if !slices.ContainsFunc(t.Nodes, func(n Node) bool { return n.Name == by }) {
			return fmt.Sprintf("links: by: there is no node %q in the topology", by)
		}
	}
	return ""
}

// tally is what a link carried.
type tally struct {
	packets map[Crossing]int // each packet once, without At and From: how often it was put on the link
	from    map[string]int   // the nodes that put packets there, and how many
}

// tallies counts the crossings of a flow since a time, by link.
func tallies(all []Crossing, flow Flow, since time.Duration) map[string]*tally {
	found := map[string]*tally{}
	for i := len(all) - 1; i >= 0; i-- {
		c := all[i]
		if c.At < since {
			if c.At < since-time.Second {
				break // they are in order of time but for what came late from a socket
			}
			continue
		}
		if c.Group != flow.Group || flow.Source.IsValid() && c.Source != flow.Source {
			continue
		}
		t := found[c.Link]
		if t == nil {
			t = &tally{packets: map[Crossing]int{}, from: map[string]int{}}
			found[c.Link] = t
		}
		t.from[c.From]++
		c.At, c.From = 0, ""
		t.packets[c]++
	}
	return found
}

// String says what a link carried: "12 packets from r2, one of them 2 times".
func (t *tally) String() string {
	if t == nil {
		return "nothing"
	}
	most := 0
	for _, n := range t.packets {
		most = max(most, n)
	}
	var from []string
	for n := range t.from {
		from = append(from, n)
	}
	slices.Sort(from)
	s := fmt.Sprintf("%d packets from %s", len(t.packets), strings.Join(from, " and "))
	if len(t.packets) == 1 {
		s = fmt.Sprintf("1 packet from %s", strings.Join(from, " and "))
	}
	if most > 1 {
		s += fmt.Sprintf(", one of them %d times", most)
	}
	return s
}

func (e *evaluator) links(c *LinksCheck) Finding {
	now := e.engine.Now()
	since := e.since.at
	words, during := "", ""
	f := Finding{True: true}
	if c.For > 0 {
		since = now - c.For
		f.True = since >= e.since.at // only what happened in this step counts
		during = fmt.Sprintf(" for %v", c.For)
	}
	found := tallies(e.engine.Crossings(), c.Flow, since)
	carried, _ := e.topo.linkNames(c.Carried) // ReadScript has checked both
	silent := []string(nil)
	if c.Silent == rest {
		silent = slices.DeleteFunc(e.topo.allLinks(), func(l string) bool { return slices.Contains(carried, l) })
	} else {
		silent, _ = e.topo.linkNames(c.Silent)
	}
	var wrong, numbers []string
	atLeast := cmp.Or(c.AtLeast, 1)
	for _, name := range carried {
		t := found[name]
		ok := t != nil && len(t.packets) >= atLeast
		if ok && c.Copies > 0 {
			for _, n := range t.packets {
				ok = ok && n <= c.Copies
			}
		}
		if ok && c.Senders > 0 {
			ok = len(t.from) == c.Senders
		}
		if ok && c.By != "" {
			for n := range t.from {
				ok = ok && slices.Contains(strings.Fields(c.By), n)
			}
		}
		told := fmt.Sprintf("%s: %v", name, t)
		if numbers = append(numbers, told); !ok {
			wrong = append(wrong, told)
		}
	}
	for _, name := range silent {
		if t := found[name]; t != nil {
			wrong = append(wrong, fmt.Sprintf("%s: %v", name, t))
		}
	}
	f.True = f.True && len(wrong) == 0
	if len(carried) > 0 {
		words = fmt.Sprintf("%s carried %s", strings.Join(carried, " "), flowName(c.Flow))
		if atLeast > 1 {
			words += fmt.Sprintf(", %d packets or more", atLeast)
		}
		if c.Copies > 0 {
			words += fmt.Sprintf(", each packet %s at most", times(c.Copies))
		}
		if c.Senders > 0 {
			words += fmt.Sprintf(", from %d node(s)", c.Senders)
		}
		if c.By != "" {
			words += ", from " + c.By + " alone"
		}
	}
	if len(silent) > 0 {
		names := strings.Join(silent, " ")
		if c.Silent == rest {
			names = "the other links"
		}
		if words == "" {
			words = fmt.Sprintf("%s carried no %s", names, flowName(c.Flow))
		} else {
			words += "; " + names + " did not"
		}
	}
	f.Check = words + during
	f.Found = strings.Join(numbers, "; ")
	if len(wrong) > 0 {
		f.Found = strings.Join(wrong, "; ")
	} else if !f.True {
		f.Found = fmt.Sprintf("the step is not %v old", c.For)
	}
	return f
}

func times(n int) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return fmt.Sprintf("%d times", n)
}

func flowName(f Flow) string {
	if f.Source.IsValid() {
		return fmt.Sprintf("(%v,%v)", f.Source, f.Group)
	}
	return f.Group.String()
}
