package pimdm

import (
	"math/rand/v2"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/neighbor"
)

// Machine is PIM-DM for one address family and one multicast routing table. It is an engine.Machine.
type Machine struct {
	id  engine.MachineID
	rng *rand.Rand
	cfg Config

	out []engine.Effect
}

// New returns a machine. It speaks IPv4 or IPv6 as id.Family says, and does nothing until it is configured.
func New(id engine.MachineID, rng *rand.Rand) *Machine {
	return &Machine{id: id, rng: rng, cfg: Config{}.withDefaults()}
}

// Step is engine.Machine's.
func (m *Machine) Step(now time.Time, ev engine.Event) []engine.Effect {
	clear(m.out)
	m.out = m.out[:0]
	switch e := ev.(type) {
	case engine.Configure:
		if cfg, ok := e.Config.(Config); ok {
			m.cfg = cfg.withDefaults()
			if len(cfg.Interfaces) > 0 {
				m.out = append(m.out, engine.Note{
					From: m.id, Level: engine.Warning, Text: "dense mode is not finished: it routes nothing on its interfaces",
				})
			}
		}
	case engine.Creation:
		m.out = append(m.out, engine.Decline{From: m.id, Key: e.Key})
	case engine.Query:
		m.out = append(m.out, m.answer(e))
	}
	return m.out
}

// answer answers a Query. There are no entries and no neighbors: the configured interfaces are down.
func (m *Machine) answer(q engine.Query) engine.Answer {
	a := engine.Answer{From: m.id, ID: q.ID}
	switch q.What {
	case "neighbors":
		a.Value = []neighbor.NeighborState{}
	case "interfaces":
		list := []InterfaceShow{}
		for name, c := range engine.Sorted(m.cfg.Interfaces) {
			list = append(list, InterfaceShow{
				InterfaceState: neighbor.InterfaceState{Name: name, HelloPeriod: c.HelloPeriod}, SparseDense: c.Silent,
				Threshold: c.Threshold, Sparse: c.Sparse, Boundary: c.Boundary,
			})
		}
		a.Value = list
	case "entries":
		a.Value = []EntryShow{}
	case "state-refresh":
		a.Value = []StateRefreshShow{}
	case "counts":
		a.Value = map[string]uint64{}
	default:
		a.Err = "pimdm: unknown query " + q.What
	}
	return a
}

// Deadline is engine.Machine's.
func (m *Machine) Deadline() (time.Time, bool) { return time.Time{}, false }
