package autorp

import (
	"slices"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/autorp/wire"
)

// This file is what an RP does, section 3.1 of the draft.

// candidate is an address of this router that announces itself as an RP. Its timer runs while the address is ours.
type candidate struct {
	a    *AutoRP
	cfg  Candidate
	send engine.Timer
}

// configureCandidates takes over those of the configuration. One that does not change goes on as it is.
func (a *AutoRP) configureCandidates() {
	old := a.candidates
	a.candidates = nil
	for _, cfg := range a.cfg.Candidates {
		at := slices.IndexFunc(old, func(c *candidate) bool { return c.cfg.equal(&cfg) })
		if at >= 0 {
			a.candidates = append(a.candidates, old[at])
			old = slices.Delete(slices.Clone(old), at, at+1)
			continue
		}
		c := &candidate{a: a, cfg: cfg}
		c.send.Do = c.announce
		a.candidates = append(a.candidates, c)
	}
	for _, c := range old {
		a.env.Timers.Stop(&c.send)
	}
}

// follow starts or stops the announcements as the address comes and goes.
func (c *candidate) follow(now time.Time) {
	switch owned := c.a.env.Owns(c.cfg.Address); {
	case owned && !c.send.Running():
		c.a.env.Timers.Set(&c.send, c.a.soon(now, c.cfg.Interval))
	case !owned:
		c.a.env.Timers.Stop(&c.send)
	}
}

// announce sends the announcement: "Each RP, once configured to announce the range of group addresses it intends to serve, will
// periodically send G-RP mapping announcement packets to the well-known RP announcement group address".
func (c *candidate) announce(now time.Time) {
	rp := wire.RP{Address: c.cfg.Address, Version: wire.PIMv2, Groups: c.cfg.Groups}
	for _, m := range wire.Pack(wire.Announcement, wholeSeconds(c.cfg.Holdtime), []wire.RP{rp}) {
		c.a.say(now, c.cfg.Address, wire.AnnounceGroup, c.cfg.Scope, m)
	}
	c.a.env.Timers.Set(&c.send, now.Add(c.cfg.Interval))
}
