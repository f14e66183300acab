package autorp

import (
	"net/netip"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/autorp/wire"
)

// This file is the RP-mapping agent, section 3.2 of the draft.

// agent is the mapping agent of this router. Its send timer runs while it speaks: its address is ours, and it has heard of no agent
// with a higher one.
type agent struct {
	a      *AutoRP
	cfg    Agent
	send   engine.Timer
	silent engine.Timer // until then another agent speaks
	other  netip.Addr   // that one
	cache  map[saying]*announced
}

// announced is a range of groups that an RP announced.
type announced struct {
	negative bool
	version  wire.PIMVersion
	expires  engine.Timer // does not run: never
}

func (g *agent) init(a *AutoRP) {
	g.a = a
	g.cache = make(map[saying]*announced)
	g.send.Do = g.discover
	g.silent.Do = func(now time.Time) {
		g.become("silent", "sending", "nothing more is heard of "+g.other.String())
		g.other = netip.Addr{}
		g.discover(now)
	}
}

// configure takes over a new configuration. What was announced is kept as far as it is still accepted.
func (g *agent) configure(now time.Time) {
	g.cfg = g.a.cfg.Agent
	timers := g.a.env.Timers
	changed := false
	for k, e := range engine.SortedFunc(g.cache, compareSayings) {
		if !g.cfg.Address.IsValid() || !g.cfg.accepts(k.by, k.groups) {
			timers.Stop(&e.expires)
			delete(g.cache, k)
			changed = true
		}
	}
	if !g.cfg.Address.IsValid() || g.cfg.Address.Compare(g.other) >= 0 {
		timers.Stop(&g.silent)
		g.other = netip.Addr{}
	}
	if g.send.Running() {
		if changed {
			g.changed(now)
		} else {
			timers.SetMin(&g.send, now.Add(g.cfg.Interval))
		}
	}
}

// follow starts or stops the agent as its address comes and goes.
func (g *agent) follow(now time.Time) {
	switch here := g.cfg.Address.IsValid() && g.a.env.Owns(g.cfg.Address); {
	case !here:
		g.a.env.Timers.Stop(&g.send)
		g.a.env.Timers.Stop(&g.silent)
		g.other = netip.Addr{}
	case !g.send.Running() && !g.silent.Running():
		g.a.env.Timers.Set(&g.send, g.a.soon(now, g.cfg.Interval))
	}
}

// announced takes what RPs announce.
func (g *agent) announced(now time.Time, src netip.Addr, m *wire.Message) {
	if !g.cfg.Address.IsValid() {
		return
	}
	changed := false
	for _, rp := range m.RPs {
		for _, group := range rp.Groups {
			if g.a.usable(rp.Address, group) && g.take(now, rp, group, m.Holdtime) {
				changed = true
			}
		}
	}
	if changed {
		g.changed(now)
	}
}

// take takes one range of groups of an RP, and says whether anything changed.
func (g *agent) take(now time.Time, rp wire.RP, group wire.Group, holdtime time.Duration) bool {
	k := saying{rp.Address, group.Prefix}
	if !g.cfg.accepts(rp.Address, group.Prefix) {
		g.a.count("announcement not accepted")
		return false
	}
	e := g.cache[k]
	fresh := e == nil
	if fresh {
		if len(g.cache) >= g.a.cfg.MaxAnnounced {
			g.a.count("announcement refused: too many")
			return false
		}
		e = &announced{}
		e.expires.Do = func(now time.Time) {
			delete(g.cache, k)
			g.changed(now)
		}
		g.cache[k] = e
	}
	g.a.setExpiry(&e.expires, now, holdtime)
	changed := fresh || e.negative != group.Negative || e.version != rp.Version
	e.negative, e.version = group.Negative, rp.Version
	return changed
}

// setExpiry has what was said time out after a holdtime: "When this value is set to 0, it means this RP should never be timed out".
func (a *AutoRP) setExpiry(t *engine.Timer, now time.Time, holdtime time.Duration) {
	if holdtime == 0 {
		a.env.Timers.Stop(t)
	} else {
		a.env.Timers.Set(t, now.Add(holdtime))
	}
}

// changed: what there is to say is another.
func (g *agent) changed(now time.Time) {
	if g.send.Running() {
		g.a.env.Timers.SetMin(&g.send, g.a.soon(now, g.cfg.Interval))
	}
}

// choice is the RP of a range of groups.
type choice struct {
	rp       netip.Addr
	version  wire.PIMVersion
	negative bool
}

// choose resolves the conflicts by the rules of section 3.2, and rule 2 of section 6.
func (g *agent) choose() map[netip.Prefix]choice {
	chosen := make(map[netip.Prefix]choice)
	for k, e := range engine.SortedFunc(g.cache, compareSayings) {
		// "For announcements for identical group prefixes from two different RPs, the one from the RP with the higher IP address is
		// accepted." Addresses come in ascending order.
		// "If the same group prefix is advertised from two different RPs, one positive, one negative, the RP-mapping agent will
		// always cache the negative prefix."
		if c, ok := chosen[k.groups]; ok && c.negative && !e.negative {
			continue
		}
		chosen[k.groups] = choice{k.by, e.version, e.negative}
	}
	return chosen
}

// repeated says that a choice says nothing new: the next wider range has the same RP. "No duplicates are sent" (rule 3).
func repeated(chosen map[netip.Prefix]choice, p netip.Prefix) bool {
	for bits := p.Bits() - 1; bits >= allGroups.Bits(); bits-- {
		wider, err := p.Addr().Prefix(bits)
		if err != nil {
			return false
		}
		if c, ok := chosen[wider]; ok {
			return c.rp == chosen[p].rp && c.negative == chosen[p].negative
		}
	}
	return false
}

// mappings returns what the agent says: RPs in the order of their addresses, with their ranges of groups.
func (g *agent) mappings() []wire.RP {
	chosen := g.choose()
	byRP := make(map[netip.Addr]*wire.RP)
	for p, c := range engine.SortedFunc(chosen, comparePrefixes) {
		if repeated(chosen, p) {
			continue
		}
		rp := byRP[c.rp]
		if rp == nil {
			rp = &wire.RP{Address: c.rp, Version: c.version}
			byRP[c.rp] = rp
		}
		rp.Groups = append(rp.Groups, wire.Group{Prefix: p, Negative: c.negative})
	}
	var list []wire.RP
	for _, rp := range engine.SortedAddrs(byRP) {
		sortGroups(rp.Groups)
		list = append(list, *rp)
	}
	return list
}

// discover sends the mappings: "The RP-mapping agent periodically sends out RP-mapping packets". An agent that knows of no RP says
// nothing.
func (g *agent) discover(now time.Time) {
	g.a.env.Timers.Set(&g.send, now.Add(g.cfg.Interval))
	for _, m := range wire.Pack(wire.Discovery, wholeSeconds(g.cfg.Holdtime), g.mappings()) {
		g.a.say(now, g.cfg.Address, wire.DiscoveryGroup, g.cfg.Scope, m)
	}
}

// hear takes what another agent says: an agent "suppresses the sending of its own RP-mapping packets if it hears RP-mapping packets
// originated from another RP-mapping agent with a higher IP address". The draft does not say for how long: for five sixths of the time
// that the other's are valid (if they are without end, of three intervals). So two of them may get lost, and if the other is gone
// what it said is replaced before it is forgotten.
func (g *agent) hear(now time.Time, src netip.Addr, m *wire.Message) {
	if !g.send.Running() && !g.silent.Running() || !g.cfg.Address.Less(src) {
		return
	}
	wait := m.Holdtime
	if wait == 0 {
		wait = 3 * g.cfg.Interval
	}
	wait -= wait / 6
	if g.send.Running() {
		g.a.env.Timers.Stop(&g.send)
		g.become("sending", "silent", "hear of the mapping agent "+src.String())
	}
	g.other = src
	g.a.env.Timers.Set(&g.silent, now.Add(wait))
}

func (g *agent) become(from, to, cause string) {
	g.a.env.Emit(engine.Transition{Entity: "auto-rp mapping agent", Neighbor: g.cfg.Address, Old: from, New: to, Cause: cause})
}
