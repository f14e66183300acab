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

	now   time.Time
	after []engine.Event   // what the machine is told next
	more  []engine.Outward // what goes out besides
}

func (t *tamper) Step(now time.Time, ev engine.Event) []engine.Effect {
	t.now = now
	if t.in != nil && !t.in(ev) {
		ev = engine.Tick{}
	}
	kept := t.filter(nil, t.Machine.Step(now, ev))
	for len(t.after) > 0 {
		ev, t.after = t.after[0], t.after[1:]
		kept = t.filter(kept, t.Machine.Step(now, ev))
	}
	for _, o := range t.more {
		kept = append(kept, o)
	}
	t.more = nil
	return kept
}

func (t *tamper) filter(kept, effects []engine.Effect) []engine.Effect {
	for _, e := range effects {
		o := e.(engine.Outward)
		eff, ok := o.Effect, true
		if t.out != nil {
			eff, ok = t.out(o.Effect)
		}
		if ok {
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

// missRPFChanges has a router keep the first route that it has for each prefix.
func missRPFChanges(m engine.Machine) engine.Machine {
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
}

// bug is a fault as a wrapper around every router of a network.
type bug struct {
	name string
	wrap func(engine.Machine) engine.Machine
	// want is the invariant that breaks; "": one that is not that of waste alone, which is the most easily broken.
	want string
}

var bugs = map[engine.Protocol][]bug{
	engine.PIMSM: sparseBugs, engine.PIMDM: pimdmBugs, engine.DVMRP: dvmrpBugs, engine.MSDP: msdpBugs, BSR: bsrBugs,
}

var sparseBugs = []bug{
	{name: "lost prune", wrap: func(m engine.Machine) engine.Machine {
		return &tamper{Machine: m, out: withoutPrunes(func(s wire.Source) bool { return !s.IsSGRpt() })}
	}},
	{name: "missed RPF change", wrap: missRPFChanges},
	{name: "no Assert", wrap: func(m engine.Machine) engine.Machine {
		return &tamper{Machine: m, out: editPIM(func(m wire.Message) bool { return m.Type() != wire.TypeAssert })}
	}},
	{name: "stale outgoing interface", wrap: func(m engine.Machine) engine.Machine {
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
	{name: "no RP-bit prune", wrap: func(m engine.Machine) engine.Machine {
		return &tamper{Machine: m, out: withoutPrunes(wire.Source.IsSGRpt)}
	}},
}

// TestBugs: each planted fault breaks an invariant on some of the networks on which a faultless router breaks none.
func TestBugs(t *testing.T) {
	for _, protocol := range protocols {
		for _, bug := range bugs[protocol] {
			t.Run(string(protocol)+"/"+bug.name, func(t *testing.T) {
				t.Parallel()
				bug.hunt(t, protocol)
			})
		}
	}
}

func (b bug) hunt(t *testing.T, protocol engine.Protocol) {
	invariants := make(map[string]int) // in how many networks each broke
	broken, played, found := 0, 0, false
	for ; played < *seedsFlag && !found; played++ {
		n, err := Random(uint64(played), Options{Protocol: protocol, Wrap: b.wrap})
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
					found = found || v.Invariant == b.want || b.want == "" && v.Invariant != "waste" && v.Invariant != "fault"
				}
			}
		}
		if len(here) > 0 {
			broken++
		}
	}
	if !found {
		t.Errorf("no invariant breaks in %d networks but %v", played, invariants)
	}
	t.Logf("%d of %d networks: %v", broken, played, invariants)
}
