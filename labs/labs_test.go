package labs

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"grove/internal/testneed"
	"grove/labs/judge"
	"grove/labs/netns"
	"grove/labs/script"
	"grove/labs/sim/lab"
)

// play runs a lab's script on an engine, fails the test if a check is false, and returns the result.
func play(t *testing.T, l *Lab, e script.Engine) *script.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var out bytes.Buffer
	p := &script.Printer{Out: &out}
	r, err := script.Run(ctx, l.Name, l.Topology, l.Script, e, p)
	if closing := e.Close(); closing != nil {
		t.Error(closing)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if r.Status() != 0 {
		p.Summary(r)
		t.Error(out.String())
	}
	return r
}

func open(t *testing.T, name string) *Lab {
	t.Helper()
	l, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func inSimulator(t *testing.T, l *Lab, seed uint64) *script.Result {
	t.Helper()
	e, err := lab.New(l.Dir, l.Topology, seed)
	if err != nil {
		t.Fatal(err)
	}
	return play(t, l, e)
}

// TestInSimulator: every check of every lab is true in the simulator, and the same seed gives the same bytes.
func TestInSimulator(t *testing.T) {
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			l := open(t, name)
			var first []byte
			for range 2 {
				b, err := json.Marshal(inSimulator(t, l, 1))
				if err != nil {
					t.Fatal(err)
				}
				if first == nil {
					first = b
				} else if !bytes.Equal(first, b) {
					t.Error("two runs with one seed differ")
				}
			}
			inSimulator(t, l, 2)
		})
	}
}

// TestOnKernel: every check of every lab is true on the real kernel, its routers go through the same states in the
// same order as those of the simulator, and tshark finds no fault with what is on its links.
func TestOnKernel(t *testing.T) {
	testneed.Root(t)
	testneed.Tool(t, "tshark")
	groved := testneed.Groved(t)
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			l := open(t, name)
			capture, err := os.Create(filepath.Join(t.TempDir(), "wire.pcapng"))
			if err != nil {
				t.Fatal(err)
			}
			defer capture.Close()
			e, err := netns.New(context.Background(), l.Dir, l.Topology, netns.Options{Groved: groved, RunDir: t.TempDir(), Capture: capture})
			if err != nil {
				t.Fatal(err)
			}
			kernel, sim := sequences(play(t, l, e), chance[name]), sequences(inSimulator(t, l, 1), chance[name])
			names := map[string]bool{}
			for k := range kernel {
				names[k] = true
			}
			for k := range sim {
				names[k] = true
			}
			for _, k := range slices.Sorted(maps.Keys(names)) {
				if a, b := strings.Join(kernel[k], ", "), strings.Join(sim[k], ", "); a != b {
					t.Errorf("%s\n  on the kernel:    %s\n  in the simulator: %s", k, a, b)
				}
			}
			seen := judge.Judge(t, capture.Name(), nil)
			for _, m := range judge.Labs[name] {
				if seen[m] == 0 {
					t.Errorf("%s was not on the wire", m)
				}
			}
		})
	}
}

// chance lists what is not the same in any two runs of a lab, by the beginning of the entity. In a flood it is chance which of
// two routers on a cross link hears the other's packet first, so who loses the Assert, whose Prune comes first, and what
// follows from that; how long a Prune of DVMRP lasts is random. An RP that is told of a source in the same moment as its receivers prune it off the shared tree may join it
// once more or not. What these labs must show of it are their checks.
var chance = map[string][]string{
	"02-dvmrp":  {"upstream", "downstream", "route"},
	"03-pim-dm": {"upstream", "downstream", "assert"},
	"13-border": {"upstream", "downstream", "route"},

	// Which of the storm's sources are the first; and whether the first-hop router sees the Register-Stop or the Join of another
	// domain first.
	"08-interdomain": {"SA", "upstream (S,G)", "SPTbit"},

	"14-anycast-rp": {"upstream (S,G)", "downstream (S,G)", "SPTbit"},

	// When the BSR speaks and when a Register-Stop Timer expires is random, and so which comes first of a new RP's tree, its
	// Register-Stop and the packets on it.
	"15-bsr": {"upstream", "downstream", "register", "SPTbit"},
}

// sequences returns what each piece of state of each router went through, in order. Which of two routers is first is
// chance, and so is who greets first: DR elections and neighbors are left out. So is how often the Register-Stop Timer, which is
// random, expires before a lab ends: a Null-Register that is stopped as the one before changes nothing (RFC 7761, Figure 1).
func sequences(r *script.Result, chance []string) map[string][]string {
	all := map[string][]string{}
	for _, step := range r.Steps {
		for _, t := range step.Transitions {
			byChance := slices.ContainsFunc(chance, func(entity string) bool { return strings.HasPrefix(t.Entity, entity) })
			if t.Key.Group.IsValid() && !byChance {
				k := strings.Join([]string{t.Node, t.Entity, t.Key.String(), t.Interface}, " ")
				all[k] = append(all[k], t.Old+" -> "+t.New)
			}
		}
	}
	const probe, stopped = "Prune -> Join-Pending", "Join-Pending -> Prune"
	for k, list := range all {
		var kept []string
		for i, t := range list {
			next := i + 1
			begins := t == probe && (next == len(list) || list[next] == stopped)
			ends := t == stopped && i > 0 && list[i-1] == probe
			if !begins && !ends {
				kept = append(kept, t)
			}
		}
		all[k] = kept
	}
	return all
}
