package invariant

import (
	"fmt"

	"grove/dvmrp"
	"grove/igmp"
	"grove/internal/engine"
	"grove/labs/sim"
	"grove/mfib"
	"grove/msdp"
	"grove/pimdm"
	"grove/pimsm"
)

// NoState says which routers remember members or sources. Wildcard rows, which wait for the first packet of any
// source, are not state.
func NoState(s *sim.Sim) []Violation {
	w := walk{sim: s}
	w.machines(w.state)
	return w.found
}

// NoJoins says which routers think that someone wants a group: what must be over in seconds when nobody does, while
// what is known of sources lasts.
func NoJoins(s *sim.Sim) []Violation {
	w := walk{sim: s}
	w.machines(func(n *sim.Node, id engine.MachineID) {
		switch id.Protocol {
		case engine.PIMSM:
			w.joins(n, id)
		case engine.PIMDM:
			w.denseJoins(n, id)
		case engine.DVMRP:
			w.dvmrpJoins(n, id)
		case engine.IGMP:
			w.groups(n, id)
		case engine.MSDP:
			if v, _ := w.ask(n, id, "summary").(msdp.SummaryShow); v.Wanted > 0 {
				w.add("state", "%s: %v thinks that sources of %d groups are wanted", n.Name(), id, v.Wanted)
			}
		}
	})
	return w.found
}

// machines calls f for every machine of every router.
func (w *walk) machines(f func(*sim.Node, engine.MachineID)) {
	for _, n := range w.sim.Nodes() {
		if r := n.Router(); r != nil {
			for id := range engine.SortedFunc(r.Config().Machines(), compareIDs) {
				f(n, id)
			}
		}
	}
}

func (w *walk) ask(n *sim.Node, id engine.MachineID, what string) any {
	v, err := w.sim.Query(n, id, what, "")
	if err != nil {
		w.add("fault", "%s: %v", n.Name(), err)
	}
	return v
}

func (w *walk) joins(n *sim.Node, id engine.MachineID) {
	joins, _ := w.ask(n, id, "joins").([]pimsm.DownstreamShow)
	for _, j := range joins {
		if j.State != "NoInfo" || j.Member {
			w.add("state", "%s: %v has %v on %s: %s, member %v", n.Name(), id, j.Key, j.Interface, j.State, j.Member)
		}
	}
	entries, _ := w.ask(n, id, "entries").([]pimsm.EntryShow)
	for _, e := range entries {
		// The DR of a source goes on registering if the RP does not say stop, as one without a wish for the SPT must
		// not (RFC 7761 section 4.4.2); the Register tunnel is an outgoing interface.
		if e.Upstream == "Joined" && e.Register != "Join" {
			w.add("state", "%s: %v is Joined to %v", n.Name(), id, e.Key)
		}
	}
}

// denseJoins: a router may flood again, but not to hosts.
func (w *walk) denseJoins(n *sim.Node, id engine.MachineID) {
	entries, _ := w.ask(n, id, "entries").([]pimdm.EntryShow)
	for _, e := range entries {
		for _, i := range e.Interfaces {
			if i.Member || i.Excluded {
				w.add("state", "%s: %v has members of %v on %s", n.Name(), id, e.Key, i.Interface)
			}
		}
	}
}

// dvmrpJoins is denseJoins for DVMRP.
func (w *walk) dvmrpJoins(n *sim.Node, id engine.MachineID) {
	entries, _ := w.ask(n, id, "entries").([]dvmrp.EntryShow)
	for _, e := range entries {
		for _, i := range e.Interfaces {
			if i.Member {
				w.add("state", "%s: %v has members of %v on %s", n.Name(), id, e.Key, i.Interface)
			}
		}
	}
}

func (w *walk) groups(n *sim.Node, id engine.MachineID) {
	groups, _ := w.ask(n, id, "groups").([]igmp.GroupInfo)
	for _, g := range groups {
		w.add("state", "%s: %v has %v on %s, left %v", n.Name(), id, g.Group, g.Interface, g.Left)
	}
}

func (w *walk) state(n *sim.Node, id engine.MachineID) {
	switch id.Protocol {
	case engine.PIMSM:
		entries, _ := w.ask(n, id, "entries").([]pimsm.EntryShow)
		for _, e := range entries {
			w.add("state", "%s: %v has %v %s keepalive %v register %s", n.Name(), id, e.Key, e.Upstream, e.Keepalive, e.Register)
		}
		joins, _ := w.ask(n, id, "joins").([]pimsm.DownstreamShow)
		for _, j := range joins {
			w.add("state", "%s: %v has %v on %s: %s, rpt %s, assert %s, member %v", n.Name(), id, j.Key, j.Interface, j.State, j.Rpt, j.Assert, j.Member)
		}
	case engine.PIMDM:
		entries, _ := w.ask(n, id, "entries").([]pimdm.EntryShow)
		for _, e := range entries {
			w.add("state", "%s: %v has %v %s, originator %s, expires in %v", n.Name(), id, e.Key, e.Upstream, e.Originator, e.Expires)
		}
	case engine.DVMRP:
		entries, _ := w.ask(n, id, "entries").([]dvmrp.EntryShow)
		for _, e := range entries {
			w.add("state", "%s: %v has %v %s, expires in %v", n.Name(), id, e.Key, e.Upstream, e.Expires)
		}
	case engine.IGMP:
		w.groups(n, id)
	case engine.MSDP:
		entries, _ := w.ask(n, id, "sa-cache").([]msdp.SAShow)
		for _, e := range entries {
			w.add("state", "%s: %v has %v of RP %v, own=%v, expires in %v", n.Name(), id, e.Key, e.RP, e.Own, e.Expires)
		}
		if v, _ := w.ask(n, id, "summary").(msdp.SummaryShow); len(entries) == 0 && v.Flows+v.Groups+v.Sources+v.RPs > 0 {
			w.add("state", "%s: %v has %+v", n.Name(), id, v)
		}
	case engine.MFIB:
		entries, _ := w.ask(n, id, "entries").([]mfib.Entry)
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
