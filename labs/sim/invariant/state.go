package invariant

import (
	"fmt"

	"grove/igmp"
	"grove/internal/engine"
	"grove/labs/sim"
	"grove/mfib"
	"grove/pimsm"
)

// NoState says which routers remember members or sources. Wildcard rows, which wait for the first packet of any
// source, are not state.
func NoState(s *sim.Sim) []Violation {
	w := walk{sim: s}
	for _, n := range s.Nodes() {
		r := n.Router()
		if r == nil {
			continue
		}
		for id := range engine.SortedFunc(r.Config().Machines(), compareIDs) {
			w.state(n, id)
		}
	}
	return w.found
}

func (w *walk) state(n *sim.Node, id engine.MachineID) {
	ask := func(what string) any {
		v, err := w.sim.Query(n, id, what, "")
		if err != nil {
			w.add("fault", "%s: %v", n.Name(), err)
		}
		return v
	}
	switch id.Protocol {
	case engine.PIMSM:
		entries, _ := ask("entries").([]pimsm.EntryShow)
		for _, e := range entries {
			w.add("state", "%s: %v has %v %s keepalive %v register %s", n.Name(), id, e.Key, e.Upstream, e.Keepalive, e.Register)
		}
		joins, _ := ask("joins").([]pimsm.DownstreamShow)
		for _, j := range joins {
			w.add("state", "%s: %v has %v on %s: %s, rpt %s, assert %s, member %v", n.Name(), id, j.Key, j.Interface, j.State, j.Rpt, j.Assert, j.Member)
		}
	case engine.IGMP:
		groups, _ := ask("groups").([]igmp.GroupInfo)
		for _, g := range groups {
			w.add("state", "%s: %v has %v on %s, left %v", n.Name(), id, g.Group, g.Interface, g.Left)
		}
	case engine.MFIB:
		entries, _ := ask("entries").([]mfib.Entry)
		rows := 0
		for _, e := range entries {
			if e.Key == (engine.Key{}) {
				rows++
				continue
			}
			w.add("state", "%s: %v has %v %s", n.Name(), id, e.Key, e.State)
		}
		if have := n.Router().Plane(id.Family).Rows(); have > rows {
			w.add("state", "%s: the plane has %d rows, of which mfib knows %d", n.Name(), have, rows)
		}
	}
}

func compareIDs(a, b engine.MachineID) int {
	if a.String() < b.String() {
		return -1
	}
	return 1
}

// String prints all that a network is, for a person who looks for a fault.
func (n *Network) String() string {
	text := ""
	for _, l := range n.Links() {
		text += l.Name() + ":"
		for _, p := range l.Ports() {
			text += fmt.Sprintf(" %s(%v", p.Node().Name(), p.Addr(n.Family))
			if !p.Up() {
				text += " down"
			}
			text += ")"
		}
		text += "\n"
	}
	for _, m := range n.members() {
		text += fmt.Sprintf("%s wants %v %v %v\n", m.Host().Node().Name(), m.Group, m.Mode, m.Sources)
	}
	for _, s := range n.Sources {
		text += fmt.Sprintf("%s sends %v running=%v\n", s.Node().Name(), s.Key(), s.Running())
	}
	return text
}
