package igmp

import (
	"math/rand/v2"
	"time"

	"grove/internal/engine"
)

// Host is the host side of IGMP or MLD as a Machine: what an operating system does for its applications (RFC 3376
// section 5, RFC 3810 section 6, and RFC 2236 and 2710 towards older routers). Its configuration is a HostConfig.
type Host struct {
	id     engine.MachineID
	rng    *rand.Rand
	timers engine.Timers
	out    []engine.Effect
}

// NewHost returns a host that is a member of nothing. The family of id decides between IGMP and MLD.
func NewHost(id engine.MachineID, rng *rand.Rand) *Host { return &Host{id: id, rng: rng} }

// Step is engine.Machine's.
func (h *Host) Step(now time.Time, ev engine.Event) []engine.Effect {
	h.out = h.out[:0]
	h.timers.Fire(now)
	return h.out
}

// Deadline is engine.Machine's.
func (h *Host) Deadline() (time.Time, bool) { return h.timers.Deadline() }
