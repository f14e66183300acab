package interop

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	grovev1 "grove/daemon/api/grove/v1"
	"grove/labs/interop/frr"
	"grove/labs/script"
)

const (
	source = "10.1.0.10"
	group  = "239.1.1.1"
)

// neighbors says which PIM neighbor each router of the line has on which interface.
var neighbors = map[string]map[string]string{
	"r1": {"eth2": "10.0.12.2"},
	"r2": {"eth1": "10.0.12.1", "eth2": "10.0.23.3"},
	"r3": {"eth1": "10.0.23.2", "eth2": "10.0.34.4"},
	"r4": {"eth1": "10.0.34.3"},
}

var line = []string{"r1", "r2", "r3", "r4"}

// TestLine: in a line of a first hop, an RP, a transit router and a last hop, each in turn is FRR. A member joins, a
// source sends, the member leaves: numbered packets arrive, and both makes agree on the state at every step. For
// comparison, all four are grove: then nothing is lost from the first packet on.
func TestLine(t *testing.T) {
	for _, c := range []struct{ role, peer string }{
		{"grove alone", ""}, {"FRR is the first hop", "r1"}, {"FRR is the RP", "r2"}, {"FRR is transit", "r3"}, {"FRR is the last hop", "r4"},
	} {
		t.Run(c.role, func(t *testing.T) {
			t.Parallel()
			const dir = "testdata/line"
			peers := map[string]*frr.Router{}
			if c.peer != "" {
				peers[c.peer] = frr.New(t, dir+"/"+c.peer+".frr")
			}
			l := start(t, topology(t, dir, "interop-line"+c.peer), dir, peers)
			l.playLine()
		})
	}
}

func (l *lab) playLine() {
	l.t.Helper()
	l.offloadOff("h1", "eth1") // FRR registers packets as they come, with half a checksum
	each := func(missing func(node string) string) func() string {
		return func() string {
			for _, node := range line {
				if m := missing(node); m != "" {
					return node + ": " + m
				}
			}
			return ""
		}
	}
	l.until(10*time.Second, "all are neighbors", each(func(node string) string {
		return differ(l.neighbors(node), neighbors[node])
	}))

	l.do(script.Action{Join: &script.Membership{Host: "h2", Group: addr(group)}})
	shared := map[string]*state{
		"r2": {out: []string{"eth2"}, joined: true},
		"r3": {in: "eth1", out: []string{"eth2"}, joined: true},
		"r4": {in: "eth1", out: []string{"eth2"}, joined: true},
	}
	l.until(10*time.Second, "the last hop knows the member", func() string { return differ(l.members("r4"), []string{"eth2 " + group}) })
	l.until(10*time.Second, "the shared tree is there", each(func(node string) string {
		s := l.state(node, "*")
		if node == "r2" && s != nil {
			s.in = "" // of an RP: none, or FRR's lo
		}
		return differ(s, shared[node])
	}))

	l.do(script.Action{Send: &script.Send{Host: "h1", Group: addr(group), Rate: 200, TTL: 64, Size: 200}})
	tree := map[string]*state{
		"r1": {in: "eth1", out: []string{"eth2"}, joined: true, stopped: true},
		"r2": {in: "eth1", out: []string{"eth2"}, joined: true},
		"r3": {in: "eth1", out: []string{"eth2"}, joined: true},
		"r4": {in: "eth1", out: []string{"eth2"}, joined: true},
	}
	l.until(15*time.Second, "the shortest-path tree is there, and the RP has stopped the Registers", each(func(node string) string {
		return differ(l.state(node, source), tree[node])
	}))
	received := func() script.Received { return l.Received("h2", addr(group)) }
	l.until(5*time.Second, "packets arrive natively", func() string { return fewer(received().Packets, 100) })
	begin := received()
	l.t.Logf("at the start %d lost, %d came twice", begin.Lost, begin.Duplicates)
	if len(l.frr) == 0 && (begin.Lost > 0 || begin.Duplicates > 0) {
		l.t.Errorf("at the start %d lost, %d came twice; among groves none is", begin.Lost, begin.Duplicates)
	}
	// Longer than a Join of 2 s is held: the refresh of the state is part of it, by Null-Registers, too.
	l.until(20*time.Second, "state is refreshed", func() string { return fewer(received().Packets, begin.Packets+1600) })
	if end := received(); end.Lost > begin.Lost || end.Duplicates > begin.Duplicates {
		l.t.Errorf("in the steady state %d of %d lost, %d came twice", end.Lost-begin.Lost, end.Packets-begin.Packets, end.Duplicates-begin.Duplicates)
	}
	if ttl := received().TTL; ttl != 60 {
		l.t.Errorf("TTL %d after four routers, want 60", ttl)
	}

	l.do(script.Action{Leave: &script.Membership{Host: "h2", Group: addr(group)}})
	// FRR follows its Prune(*,G) with a Join(*,G) that prunes the source off it: then the router above it keeps (*,G)
	// until the Join's 7 s are over.
	l.until(15*time.Second, "the member has left: no router forwards, no (*,G) is left", each(func(node string) string {
		if s := l.state(node, "*"); s != nil {
			return fmt.Sprintf("there is still (*,G) %+v", *s)
		}
		if s := l.state(node, source); s != nil && len(s.out) > 0 {
			return fmt.Sprintf("(S,G) still forwards: %+v", *s)
		}
		if list := l.members(node); len(list) > 0 {
			return fmt.Sprintf("there are still members: %v", list)
		}
		return ""
	}))
	l.do(script.Action{Stop: &script.Send{Host: "h1", Group: addr(group)}})
	// As first hop, FRR forgets a source no earlier than 30 s after its last packet, whatever its keepalive timer says.
	l.until(45*time.Second, "the source is silent: no (S,G) is left", each(func(node string) string {
		if s := l.state(node, source); s != nil {
			return fmt.Sprintf("there is still %+v", *s)
		}
		return ""
	}))
	for _, node := range line {
		if l.frr[node] == nil {
			if list := l.refused(node); len(list) > 0 {
				l.t.Errorf("%s has refused messages of its neighbors: %v", node, list)
			}
		}
	}
}

// state is what either make says of an entry.
type state struct {
	in      string
	out     []string
	joined  bool
	stopped bool // a Register-Stop holds: packets are not registered
}

// state returns the state of (S,G), or of (*,G) for the source "*"; nil if there is none.
func (l *lab) state(node, source string) *state {
	l.t.Helper()
	return l.stateOf(node, source, group)
}

// stateOf is state, of any group.
func (l *lab) stateOf(node, source, group string) *state {
	l.t.Helper()
	if l.frr[node] == nil {
		m := l.mroute(node, source, group)
		if m == nil {
			return nil
		}
		s := &state{in: m.IncomingInterface, joined: m.Upstream == "Joined", stopped: m.Register == "Prune"}
		s.out = outgoing(m)
		return s
	}
	type mroute struct {
		Iif string
		Oil map[string]any
	}
	type upstream struct{ JoinState, RegState string }
	m, has := show[map[string]map[string]mroute](l, node, "show ip mroute")[group][source]
	u, wants := show[map[string]map[string]upstream](l, node, "show ip pim upstream")[group][source]
	if !has && !wants {
		return nil
	}
	s := &state{in: m.Iif, joined: u.JoinState == "Joined", stopped: u.RegState == "RegPrune"}
	for name := range m.Oil {
		if name != "pimreg" { // FRR has it in the (*,G) of a last hop
			s.out = append(s.out, name)
		}
	}
	slices.Sort(s.out)
	return s
}

// neighbors returns the PIM neighbors of a router by interface.
func (l *lab) neighbors(node string) map[string]string {
	l.t.Helper()
	all := map[string]string{}
	if l.frr[node] == nil {
		for _, n := range ask(l, l.Client(node).ListPIMNeighbors, &grovev1.ListPIMNeighborsRequest{}).Neighbors {
			all[n.Interface] = n.Address
		}
		return all
	}
	for ifc, list := range show[map[string]map[string]any](l, node, "show ip pim neighbor") {
		for address := range list {
			all[ifc] = address
		}
	}
	return all
}

// members returns the groups that hosts have joined, as "eth2 239.1.1.1"; only of the group that we play with.
func (l *lab) members(node string) []string {
	l.t.Helper()
	var list []string
	if l.frr[node] == nil {
		if node == "r2" || node == "r3" {
			return nil // no IGMP there
		}
		for _, g := range ask(l, l.Client(node).ListGroups, &grovev1.ListGroupsRequest{Group: group}).Groups {
			list = append(list, g.Interface+" "+g.Group)
		}
		return list
	}
	for ifc, v := range show[map[string]any](l, node, "show ip igmp groups") {
		about, _ := v.(map[string]any)
		groups, _ := about["groups"].([]any)
		for _, g := range groups {
			if about, _ := g.(map[string]any); about["group"] == group {
				list = append(list, ifc+" "+group)
			}
		}
	}
	return list
}

// differ says how two things differ; "" if they do not.
func differ(got, want any) string {
	return cmp.Diff(want, got, cmp.AllowUnexported(state{}), cmpopts.EquateEmpty())
}

func fewer(have, want int) string {
	if have < want {
		return fmt.Sprintf("%d of %d packets", have, want)
	}
	return ""
}
