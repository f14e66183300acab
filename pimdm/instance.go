package pimdm

import (
	"math/rand/v2"
	"time"

	"grove/internal/engine"
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
		m.out = append(m.out, engine.Answer{From: m.id, ID: e.ID, Err: "pimdm: unknown query " + e.What})
	}
	return m.out
}

// Deadline is engine.Machine's.
func (m *Machine) Deadline() (time.Time, bool) { return time.Time{}, false }
