package invariant

import (
	"maps"
	"slices"
	"time"

	"grove/daemon/router"
	"grove/internal/engine"
	"grove/internal/pim/bootstrap"
	"grove/internal/pim/wire"
	"grove/pimsm"
)

// misreadBSR is misread for the Bootstrap mechanism.
type misreadBSR struct {
	engine.Machine
	edit func(*bootstrap.Config)
}

func (m *misreadBSR) Step(now time.Time, ev engine.Event) []engine.Effect {
	if c, ok := ev.(engine.Configure); ok {
		machines := maps.Clone(c.Config.(router.Config).Machines)
		for id, mc := range engine.SortedFunc(machines, compareIDs) {
			if pc, ok := mc.(pimsm.Config); ok && pc.BSR != nil {
				b := *pc.BSR
				m.edit(&b)
				pc.BSR = &b
				machines[id] = pc
			}
		}
		ev = engine.Configure{To: c.To, Config: router.Config{Machines: machines}}
	}
	return m.Machine.Step(now, ev)
}

func misreadingBSR(edit func(*bootstrap.Config)) func(engine.Machine) engine.Machine {
	return func(m engine.Machine) engine.Machine { return &misreadBSR{m, edit} }
}

// sayBootstrap returns a wrapper whose routers edit Bootstrap messages before they say them, their own and others'.
func sayBootstrap(edit func(*wire.Bootstrap)) func(engine.Machine) engine.Machine {
	return sayPIM(func(m wire.Message) bool {
		if b, ok := m.(*wire.Bootstrap); ok {
			edit(b)
		}
		return true
	})
}

var bsrBugs = []bug{
	{name: "does not forward Bootstrap messages", want: "agree", wrap: func(m engine.Machine) engine.Machine {
		t := &tamper{Machine: m}
		heard := make(map[uint16]bool) // fragment tags of others' messages
		t.in = func(ev engine.Event) bool {
			if a, ok := ev.(engine.Addressed); ok {
				if p, ok := a.Event.(engine.Packet); ok && ofType(p.Proto, p.Payload, wire.TypeBootstrap) {
					if msg, err := wire.Parse(p.Payload, p.Src, p.Dst); err == nil {
						heard[msg.(*wire.Bootstrap).FragmentTag] = true
					}
				}
			}
			return true
		}
		t.out = editPIM(func(m wire.Message) bool {
			b, ok := m.(*wire.Bootstrap)
			return !ok || !heard[b.FragmentTag]
		})
		return t
	}},
	{name: "a BSR that is gone is not given up", want: "agree", wrap: misreadingBSR(func(c *bootstrap.Config) { c.Timeout = 10000 * time.Hour })},
	{name: "the BSR's own priority is not minded", want: "agree", wrap: misreadingBSR(func(c *bootstrap.Config) {
		if c.Candidate != nil {
			b := *c.Candidate
			b.Priority = 64
			c.Candidate = &b
		}
	})},
	{name: "RPs that are gone stay", want: "agree", wrap: sayPIM(func(m wire.Message) bool {
		a, ok := m.(*wire.CandidateRPAdv)
		if !ok {
			return true
		}
		gone := a.Holdtime == 0
		a.Holdtime = 65535 * time.Second
		return !gone
	})},
	{name: "an RP is lost on the way", want: "agree", wrap: sayBootstrap(func(b *wire.Bootstrap) {
		for i := range b.Ranges {
			if r := &b.Ranges[i]; len(r.RPs) > 1 {
				r.RPs, r.RPCount = slices.Clone(r.RPs[1:]), r.RPCount-1
			}
		}
	})},
	{name: "a narrow range is lost on the way", want: "agree", wrap: sayBootstrap(func(b *wire.Bootstrap) {
		b.Ranges = slices.DeleteFunc(slices.Clone(b.Ranges), func(r wire.RPRange) bool { return r.Group.MaskLen > 12 })
	})},
	{name: "hash mask not forwarded", want: "agree", wrap: sayBootstrap(func(b *wire.Bootstrap) { b.HashMaskLen /= 2 })},
	{name: "priority of RPs not forwarded", want: "agree", wrap: sayBootstrap(func(b *wire.Bootstrap) {
		for i := range b.Ranges {
			b.Ranges[i].RPs = slices.Clone(b.Ranges[i].RPs)
			for k := range b.Ranges[i].RPs {
				b.Ranges[i].RPs[k].Priority = 192
			}
		}
	})},
}
