package invariant

import (
	"net/netip"
	"testing"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/wire"
)

// tamper is a router's machine with a fault: it drops or edits what goes in and out. The router itself does not know,
// so that no code of it has a switch for a test.
type tamper struct {
	engine.Machine
	in  func(engine.Event) bool // false: the machine does not hear of it
	out func(engine.Effect) (engine.Effect, bool)
}

func (t *tamper) Step(now time.Time, ev engine.Event) []engine.Effect {
	if t.in != nil && !t.in(ev) {
		ev = engine.Tick{}
	}
	effects := t.Machine.Step(now, ev)
	if t.out == nil {
		return effects
	}
	kept := effects[:0]
	for _, e := range effects {
		o := e.(engine.Outward)
		if eff, ok := t.out(o.Effect); ok {
			kept = append(kept, engine.Outward{From: o.From, Effect: eff})
		}
	}
	return kept
}

// editPIM returns an out of tamper that edits PIM messages; false: the message is not sent.
func editPIM(edit func(wire.Message) bool) func(engine.Effect) (engine.Effect, bool) {
	return func(eff engine.Effect) (engine.Effect, bool) {
		s, ok := eff.(engine.Send)
		if !ok || s.Proto != engine.ProtoPIM {
			return eff, true
		}
		m, err := wire.Parse(s.Payload, s.Src, s.Dst)
		if err != nil {
			panic(err)
		}
		if !edit(m) {
			return nil, false
		}
		if s.Payload, err = wire.Encode(m, s.Src, s.Dst); err != nil {
			panic(err)
		}
		return s, true
	}
}

// withoutPrunes takes some of the prunes out of Join/Prunes.
func withoutPrunes(drop func(wire.Source) bool) func(engine.Effect) (engine.Effect, bool) {
	return editPIM(func(m wire.Message) bool {
		jp, ok := m.(*wire.JoinPrune)
		if !ok {
			return true
		}
		var groups []wire.GroupSet
		for _, g := range jp.Groups {
			var pruned []wire.Source
			for _, s := range g.Pruned {
				if !drop(s) {
					pruned = append(pruned, s)
				}
			}
			if g.Pruned = pruned; len(g.Joined)+len(pruned) > 0 {
				groups = append(groups, g)
			}
		}
		jp.Groups = groups
		return len(groups) > 0
	})
}

// The faults, each as a wrapper around every router of a network.
var bugs = []struct {
	name string
	wrap func(engine.Machine) engine.Machine
}{
	{"lost prune", func(m engine.Machine) engine.Machine {
		return &tamper{Machine: m, out: withoutPrunes(func(s wire.Source) bool { return !s.IsSGRpt() })}
	}},
	{"missed RPF change", func(m engine.Machine) engine.Machine {
		told := make(map[netip.Prefix]bool)
		return &tamper{Machine: m, in: func(ev engine.Event) bool {
			r, ok := ev.(engine.RouteChange)
			if !ok || r.Origin != "ospf" {
				return true
			}
			first := !told[r.Prefix]
			told[r.Prefix] = true
			return first
		}}
	}},
	{"no Assert", func(m engine.Machine) engine.Machine {
		return &tamper{Machine: m, out: editPIM(func(m wire.Message) bool { return m.Type() != wire.TypeAssert })}
	}},
	{"stale outgoing interface", func(m engine.Machine) engine.Machine {
		rows := make(map[engine.Key]engine.Row)
		return &tamper{Machine: m, out: func(eff engine.Effect) (engine.Effect, bool) {
			set, ok := eff.(engine.SetRows)
			if !ok {
				return eff, true
			}
			var edited []engine.Row
			for _, r := range set.Rows {
				if r.Gone {
					delete(rows, r.Key)
				} else {
					old := rows[r.Key]
					for v := range r.TTL {
						if engine.VIF(v) != r.Parent {
							r.TTL[v] = max(r.TTL[v], old.TTL[v])
						}
					}
					rows[r.Key] = r
				}
				edited = append(edited, r)
			}
			return engine.SetRows{Rows: edited}, true
		}}
	}},
	{"no RP-bit prune", func(m engine.Machine) engine.Machine {
		return &tamper{Machine: m, out: withoutPrunes(wire.Source.IsSGRpt)}
	}},
}

// TestBugs: each planted fault breaks an invariant on some of the networks on which a faultless router breaks none, and
// not that of waste alone, which is the most easily broken.
func TestBugs(t *testing.T) {
	for _, bug := range bugs {
		t.Run(bug.name, func(t *testing.T) {
			t.Parallel()
			invariants := make(map[string]int) // in how many networks each broke
			broken, played, beyondWaste := 0, 0, false
			for ; played < *seedsFlag && !beyondWaste; played++ {
				n, err := Random(uint64(played), Options{Wrap: bug.wrap})
				if err != nil {
					t.Fatal(err)
				}
				here := make(map[string]bool)
				for _, m := range n.Play(true) {
					for _, v := range m.Found {
						if broken == 0 && len(here) == 0 {
							t.Logf("seed %d, %s: %v", played, m.Name, v)
						}
						if !here[v.Invariant] {
							here[v.Invariant] = true
							invariants[v.Invariant]++
							beyondWaste = beyondWaste || v.Invariant != "waste" && v.Invariant != "fault"
						}
					}
				}
				if len(here) > 0 {
					broken++
				}
			}
			if !beyondWaste {
				t.Errorf("no invariant breaks in %d networks but %v", played, invariants)
			}
			t.Logf("%d of %d networks: %v", broken, played, invariants)
		})
	}
}
