package igmp

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"grove/internal/engine"
)

// Host is the host side of IGMP or MLD as a Machine: what an operating system does for its applications (RFC 3376
// section 5, RFC 3810 section 6, and RFC 2236 and 2710 towards older routers). Its configuration is a HostConfig.
// It reports a change at once; it does not wait for Settled, since a configuration is a batch already.
type Host struct {
	id     engine.MachineID
	family *family
	rng    *rand.Rand
	cfg    HostConfig
	timers engine.Timers
	counts engine.Counts
	out    []engine.Effect
	ifaces map[engine.IfID]*hostIface
}

// NewHost returns a host that is a member of nothing. The family of id decides between IGMP and MLD.
func NewHost(id engine.MachineID, rng *rand.Rand) *Host {
	f := familyOf(id.Family)
	return &Host{id: id, family: f, rng: rng, cfg: HostConfig{}.withDefaults(f), ifaces: make(map[engine.IfID]*hostIface)}
}

// Step is engine.Machine's.
func (h *Host) Step(now time.Time, ev engine.Event) []engine.Effect {
	clear(h.out)
	h.out = h.out[:0]
	h.timers.Fire(now)
	switch ev := ev.(type) {
	case engine.Packet:
		h.receive(now, ev)
	case engine.InterfaceChange:
		i := h.ifaces[ev.ID]
		switch {
		case ev.Gone && i != nil:
			i.cancel()
			h.timers.Stop(&i.plainQuerier)
			h.timers.Stop(&i.withLeaveQuerier)
			delete(h.ifaces, ev.ID)
		case !ev.Gone:
			if i == nil {
				i = newHostIface(h)
				h.ifaces[ev.ID] = i
			}
			i.update(now, ev.Interface)
			i.want(now, h.cfg.wanted(ev.Name))
		}
	case engine.Configure:
		cfg, ok := ev.Config.(HostConfig)
		if !ok {
			h.emit(engine.Note{From: h.id, Level: engine.Error, Text: fmt.Sprintf("configuration of type %T ignored", ev.Config)})
			break
		}
		h.cfg = cfg.withDefaults(h.family)
		for _, i := range engine.Sorted(h.ifaces) {
			i.setGeneration(now)
			i.want(now, h.cfg.wanted(i.state.Name))
		}
	case engine.Query:
		h.answer(now, ev)
	}
	return h.out
}

// Deadline is engine.Machine's.
func (h *Host) Deadline() (time.Time, bool) { return h.timers.Deadline() }

func (h *Host) emit(e engine.Effect) { h.out = append(h.out, e) }

// random chooses a time from (0, limit]; it is not shorter than a host's clock can tell.
func (h *Host) random(limit time.Duration) time.Duration {
	const granularity = time.Millisecond
	if limit <= granularity {
		return granularity
	}
	return time.Duration(h.rng.Int64N(int64(limit))) + 1
}

func (c HostConfig) withDefaults(f *family) HostConfig {
	if c.Version == 0 {
		c.Version = withSources - f.offset
	}
	if c.Robustness == 0 {
		c.Robustness = 2
	}
	if c.QueryInterval == 0 {
		c.QueryInterval = 125 * time.Second
	}
	return c
}

// unsolicited is the Unsolicited Report Interval (RFC 3376 section 8.11, RFC 2236 section 8.10).
func (c *HostConfig) unsolicited(generation int) time.Duration {
	switch {
	case c.UnsolicitedReportInterval != 0:
		return c.UnsolicitedReportInterval
	case generation == withSources:
		return time.Second
	}
	return 10 * time.Second
}

// wanted joins the memberships of an interface into what the interface wants of each group (RFC 3376 section 3.2).
func (c *HostConfig) wanted(name string) map[netip.Addr]level {
	levels := make(map[netip.Addr]level)
	for _, m := range c.Memberships[name] {
		l := level{m.Mode, setOf(m.Sources)}
		if old, ok := levels[m.Group]; ok {
			l = old.join(l)
		}
		levels[m.Group] = l
	}
	return levels
}
