package igmp

import (
	"math/rand/v2"
	"time"

	"grove/internal/engine"
)

// Machine is the router side of IGMP (IPv4) or MLD (IPv6) on all interfaces of a router.
type Machine struct {
	id     engine.MachineID
	timers engine.Timers
	out    []engine.Effect
}

// New returns a machine without interfaces. The family of id decides between IGMP and MLD. A router leaves nothing to
// chance in these protocols; the generator is taken because every machine takes one.
func New(id engine.MachineID, _ *rand.Rand) *Machine { return &Machine{id: id} }

// Step is engine.Machine's.
func (m *Machine) Step(now time.Time, ev engine.Event) []engine.Effect {
	m.out = m.out[:0]
	m.timers.Fire(now)
	return m.out
}

// Deadline is engine.Machine's.
func (m *Machine) Deadline() (time.Time, bool) { return m.timers.Deadline() }
