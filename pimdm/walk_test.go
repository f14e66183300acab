package pimdm_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"grove/internal/engine"
	"grove/pimdm"
)

// TestRandomWalk drives one machine through random events and compares, after each, what it wants of the forwarding table
// with an oracle: the formulas of RFC 3973, worked out from what the script did and from the states that the machine shows. In
// the end all is taken back, and nothing may be left.
func TestRandomWalk(t *testing.T) {
	seeds := 60
	if testing.Short() {
		seeds = 10
	}
	for seed := range seeds {
		for _, f := range []engine.Family{engine.IPv4, engine.IPv6} {
			w := &walk{world: newWorld(t, f), rng: rand.New(rand.NewPCG(uint64(seed), uint64(f)))}
			w.begin()
			for range 250 {
				w.event()
				if w.check(); t.Failed() {
					t.Fatalf("seed %d, %v:\n%s", seed, f, strings.Join(w.history, "\n"))
				}
			}
			w.end()
			if t.Failed() {
				t.Fatalf("seed %d, %v:\n%s", seed, f, strings.Join(w.history, "\n"))
			}
		}
	}
}

// walk is a world and what the script did to it.
type walk struct {
	*world
	rng     *rand.Rand
	history []string

	running map[string]bool
	nbrs    map[string]map[string]bool
	members map[string]map[string]string // by interface and group: "exclude", "exclude S", "include S"
	via     map[string]string            // by source: the interface of its path; "": none
	others  map[engine.Key]bool
	want    map[engine.Key]engine.Want
}

var (
	walkIfaces  = []string{"a", "b", "c", "d"}
	walkGroups  = []int{1, 2, 3} // 1 has a boundary on c, 2 is sparse on d
	walkSources = []int{10, 11}
)

// on returns an address on interface n, of host h; we are host 5.
func (w *walk) on(n, h int) string {
	if w.family == engine.IPv6 {
		return fmt.Sprintf("fe80::%d:%d", n+1, h)
	}
	return fmt.Sprintf("10.0.%d.%d", n+1, h)
}

func (w *walk) source(n int) string {
	if w.family == engine.IPv6 {
		return fmt.Sprintf("2001:db8:9::%d", n)
	}
	return fmt.Sprintf("10.9.0.%d", n)
}

func (w *walk) group(n int) string {
	if w.family == engine.IPv6 {
		return fmt.Sprintf("ff1e::%d", n)
	}
	return fmt.Sprintf("239.%d.0.1", n)
}

func (w *walk) run(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	w.history = append(w.history, line)
	w.all = nil
	if err := w.do(strings.Fields(line)); err != nil {
		w.t.Fatalf("%s: %v", line, err)
	}
	for _, l := range w.log {
		w.history = append(w.history, "    "+l)
	}
	w.log = nil
	for _, e := range w.all {
		switch e := e.(type) {
		case engine.Want:
			w.want[e.Key] = e
		case engine.Unwant:
			delete(w.want, e.Key)
		case engine.Note:
			if e.Level >= engine.Error {
				w.t.Errorf("%s", e.Text)
			}
		}
	}
}

func (w *walk) begin() {
	w.running, w.nbrs, w.members = map[string]bool{}, map[string]map[string]bool{}, map[string]map[string]string{}
	w.via, w.others, w.want = map[string]string{}, map[engine.Key]bool{}, map[engine.Key]engine.Want{}
	for n := range walkIfaces {
		w.start(n)
	}
	for _, s := range walkSources {
		w.path(s)
	}
}

func (w *walk) start(n int) {
	name := walkIfaces[n]
	options := map[string]string{"c": " boundary " + w.group(1) + "/32", "d": " sparse " + w.group(2) + "/32"}[name]
	prefix := w.on(n, 5) + "/24"
	if w.family == engine.IPv6 {
		options = strings.ReplaceAll(options, "/32", "/128")
		prefix = w.on(n, 5) + "/64"
	}
	w.run("iface %s %s%s", name, prefix, options)
	w.running[name], w.nbrs[name], w.members[name] = true, map[string]bool{}, map[string]string{}
	if n%2 == 0 {
		w.hello(n, 2)
	}
}

func (w *walk) hello(n, h int) {
	name := walkIfaces[n]
	w.run("hello %s %s capable 60s genid %d hold 10h", name, w.on(n, h), w.rng.IntN(3)+1)
	w.nbrs[name][w.on(n, h)] = w.running[name]
}

func (w *walk) path(s int) {
	n := w.rng.IntN(len(walkIfaces))
	switch w.rng.IntN(8) {
	case 0:
		w.run("path %s none", w.source(s))
		w.via[w.source(s)] = ""
	case 1:
		w.run("path %s connected %s", w.source(s), walkIfaces[n])
		w.via[w.source(s)] = walkIfaces[n]
	default:
		w.run("path %s via %s %s metric %d", w.source(s), walkIfaces[n], w.on(n, w.rng.IntN(2)+2), w.rng.IntN(3)+9)
		w.via[w.source(s)] = walkIfaces[n]
	}
}

// event does something.
func (w *walk) event() {
	pick := func(list []int) int { return list[w.rng.IntN(len(list))] }
	n, h := w.rng.IntN(len(walkIfaces)), w.rng.IntN(3)+2
	name, g, s := walkIfaces[n], w.group(pick(walkGroups)), w.source(pick(walkSources))
	k := engine.SG(addr(s), addr(g))
	us, them := w.on(n, 5), w.on(n, h)
	to := them
	if w.rng.IntN(2) == 0 {
		to = us
	}
	switch w.rng.IntN(22) {
	case 0, 1:
		w.hello(n, h)
	case 2:
		w.run("hello %s %s hold 0s", name, them)
		delete(w.nbrs[name], them)
	case 3:
		if w.rng.IntN(3) == 0 && w.running[name] {
			w.run("down %s", name)
			w.running[name], w.nbrs[name] = false, map[string]bool{}
		} else if !w.running[name] {
			members := w.members[name]
			w.start(n)
			w.members[name] = members
		}
	case 4:
		w.path(pick(walkSources))
	case 5, 6:
		kind := []string{"", " exclude " + s, " include " + s}[w.rng.IntN(3)]
		w.run("member %s %s%s", name, g, kind)
		w.members[name][g] = cmpOr(strings.TrimSpace(kind), "exclude")
	case 7:
		w.run("leave %s %s", name, g)
		delete(w.members[name], g)
	case 8, 9, 10:
		w.run("new %s %s %s whole", s, g, name)
	case 11:
		w.run("wrong %s %s %s", s, g, name)
	case 12:
		w.run("active %s %s", s, g)
	case 13, 14:
		sign := []string{"+", "-", "-"}[w.rng.IntN(3)]
		w.run("jp %s %s to %s hold=%ds %s %s%s", name, them, to, w.rng.IntN(300)+1, g, sign, s)
	case 15:
		w.run("graft %s %s to %s %s +%s", name, them, us, g, s)
	case 16:
		w.run("ack %s %s to %s %s +%s", name, them, us, g, s)
	case 17:
		if w.rng.IntN(4) == 0 {
			w.run("assert %s %s %s %s cancel", name, them, g, s)
		} else {
			w.run("assert %s %s %s %s 110 %d", name, them, g, s, w.rng.IntN(5)+8)
		}
	case 18:
		p := []string{"", " prune"}[w.rng.IntN(2)]
		w.run("refresh %s %s %s %s 110 %d%s", name, them, g, s, w.rng.IntN(5)+8, p)
	case 19:
		if _, ok := w.want[k]; !ok {
			return
		}
		kind := []string{"join", "prune"}[w.rng.IntN(2)]
		w.run("alert %s %s %s", kind, s, g)
		w.others[k] = kind == "join"
	case 20:
		w.run("wait %ds", []int{0, 1, 4, 70}[w.rng.IntN(4)])
	case 21:
		if _, ok := w.want[k]; ok {
			w.run("delete %s %s", s, g)
		}
	}
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func (w *walk) entries() []pimdm.EntryShow {
	for _, e := range w.m.Step(w.now, engine.Query{ID: 1, What: "entries"}) {
		if a, ok := e.(engine.Answer); ok {
			return a.Value.([]pimdm.EntryShow)
		}
	}
	w.t.Fatal("no answer")
	return nil
}

// check compares what the machine wants with what it should.
func (w *walk) check() {
	entries := w.entries()
	if len(entries) != len(w.want) {
		w.t.Errorf("%d entries, %d rows", len(entries), len(w.want))
	}
	for k := range w.others {
		if _, ok := w.want[k]; !ok {
			delete(w.others, k)
		}
	}
	for i := range entries {
		x := &entries[i]
		for _, fault := range w.faults(x) {
			w.t.Errorf("%v: %s: %+v", x.Key, fault, x)
		}
	}
}

// faults says what is wrong with an entry.
func (w *walk) faults(x *pimdm.EntryShow) (list []string) {
	fault := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	s, g := x.Key.Source.String(), x.Key.Group.String()
	usable := func(i string) bool { return w.running[i] && (i != "d" || g != w.group(2)) }

	rpf := w.via[s]
	if rpf != "" && !usable(rpf) {
		rpf = ""
	}
	if x.RPFInterface != rpf || x.External != (rpf == "") {
		fault("RPF_interface is %q, not %q", x.RPFInterface, rpf)
	}

	states := map[string]*pimdm.EntryInterfaceShow{}
	for n := range x.Interfaces {
		states[x.Interfaces[n].Interface] = &x.Interfaces[n]
	}
	var olist []string
	for _, i := range walkIfaces {
		st := states[i]
		pruned := st != nil && st.State == "Pruned"
		loser := st != nil && st.Assert == "I am Assert Loser"
		includeAll := strings.HasPrefix(w.members[i][g], "exclude")
		excluded, included := w.members[i][g] == "exclude "+s, w.members[i][g] == "include "+s
		in := len(w.nbrs[i]) > 0 && !pruned || includeAll && !excluded || included
		if in && !loser && i != rpf && usable(i) && (i != "c" || g != w.group(1)) {
			olist = append(olist, i)
		}
		if st == nil {
			continue
		}
		switch {
		case st.State == "PrunePending" && st.PrunePending <= 0, st.State == "Pruned" && st.Prune <= 0:
			fault("%s is %s without a timer", i, st.State)
		case i == rpf && st.State != "NoInfo":
			fault("the RPF interface %s is %s", i, st.State)
		case i == rpf && st.Assert == "I am Assert Winner":
			fault("winner on the RPF interface %s", i)
		case loser && !w.nbrs[i][st.AssertWinner.String()]:
			fault("the winner on %s is no neighbor", i)
		case st.Assert != "NoInfo" && st.AssertExpires <= 0:
			fault("an Assert on %s without a timer", i)
		}
	}

	row := w.want[x.Key]
	var out []string
	for _, o := range row.Out {
		out = append(out, w.names[o.If])
	}
	slices.Sort(out)
	expected := olist
	if x.Upstream == "Pruned" || w.via[s] == "" {
		expected = nil
	}
	if !slices.Equal(out, expected) {
		fault("the row goes to %v, not to %v", out, expected)
	}
	if w.names[row.In] != rpf {
		fault("the row comes from %q, not from %q", w.names[row.In], rpf)
	}
	if (row.Negative != "") != (w.via[s] == "") {
		fault("the row is negative: %q", row.Negative)
	}

	wanted := len(olist) > 0 || x.OthersWant
	switch {
	case x.OthersWant != w.others[x.Key]:
		fault("others want %v", w.others[x.Key])
	case x.External != (x.Upstream == "NoInfo"):
		fault("upstream state")
	case x.Upstream == "Pruned" && wanted:
		fault("pruned, though packets are wanted")
	case x.Upstream == "AckPending" && (!wanted || !x.RPFNeighbor.IsValid()):
		fault("a Graft for nobody, or to nobody")
	case x.GraftRetry > 0 && x.Upstream != "AckPending", x.PruneLimit > 0 && x.Upstream != "Pruned",
		x.Override > 0 && (x.Upstream == "Pruned" || x.Upstream == "NoInfo"):
		fault("a timer of another state runs")
	case x.RPFNeighbor.IsValid() && !w.nbrs[rpf][x.RPFNeighbor.String()]:
		fault("RPF' is no neighbor")
	case x.Originator == "Originator" && !x.Connected:
		fault("originator of a source that is not connected")
	}
	return list
}

// end takes everything back.
func (w *walk) end() {
	for _, i := range walkIfaces {
		for g := range engine.Sorted(w.members[i]) {
			w.run("leave %s %s", i, g)
		}
		w.members[i] = map[string]string{}
	}
	for k := range w.want {
		w.run("alert prune %v %v", k.Source, k.Group)
	}
	w.others = map[engine.Key]bool{}
	w.run("wait 30m")
	w.check()
	if len(w.want) > 0 || len(w.track) > 0 {
		w.t.Errorf("left: rows %v, tracked %v", w.want, w.track)
	}
	if at, ok := w.m.Deadline(); ok && at.Sub(w.now) > 30*time.Second {
		w.t.Errorf("a timer of %v runs", at.Sub(w.now))
	}
}
