package pimdm

import (
	"net/netip"
	"slices"
	"time"

	"grove/internal/engine"
	"grove/internal/ip"
	"grove/internal/pim/assert"
	"grove/internal/pim/wire"
)

// This file is the life of entries: how they come to be, what is worked out when something of theirs changed, and when
// they go.

func (m *Machine) group(a netip.Addr) *group { return m.groups[a] }

// entry returns the (S,G) state of a key; nil if there is none.
func (m *Machine) entry(k engine.Key) *entry {
	if g := m.groups[k.Group]; g != nil {
		return g.entry(k.Source)
	}
	return nil
}

// fewSources is up to how many sources a group has no index of them: most have one.
const fewSources = 8

func (g *group) entry(s netip.Addr) *entry {
	if g.index != nil {
		return g.index[s]
	}
	for _, e := range g.entries.All {
		if e.addr == s {
			return e
		}
	}
	return nil
}

func (g *group) add(e *entry) {
	g.entries.Add(e, placeInGroup)
	g.m.entries++
	switch {
	case g.index != nil:
		g.index[e.addr] = e
	case len(g.entries.All) > fewSources:
		g.index = make(map[netip.Addr]*entry)
		for _, e := range g.entries.All {
			g.index[e.addr] = e
		}
	}
}

func (g *group) drop(e *entry) {
	g.entries.Remove(e, placeInGroup)
	g.m.entries--
	delete(g.index, e.addr)
	if len(g.entries.All) <= fewSources/2 {
		g.index = nil
	}
}

// makeGroup returns the state of a group, made if there is none.
func (m *Machine) makeGroup(a netip.Addr) *group {
	if g := m.groups[a]; g != nil {
		return g
	}
	g := &group{m: m, addr: a}
	g.configure()
	m.groups[a] = g
	return g
}

// configureGroups works out anew what the configuration says of groups.
func (m *Machine) configureGroups() {
	for _, g := range engine.SortedAddrs(m.groups) {
		g.configure()
	}
}

// configure works out what the configuration says of the group.
func (g *group) configure() {
	dense, boundary := ifSet(0), ifSet(0)
	for _, i := range g.m.interfaces() {
		if i.nb == nil {
			continue
		}
		if i.dense(g.addr) {
			dense |= i.bit
		}
		if covers(i.cfg.Boundary, g.addr) {
			boundary |= i.bit
		}
	}
	own := slices.Contains(g.m.cfg.Own, g.addr)
	if dense != g.dense || boundary != g.boundary || own != g.own {
		g.dense, g.boundary, g.own = dense, boundary, own
		g.touch()
		g.sayInterestLater()
	}
}

func covers(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// makeEntry returns the state of a key, made if there is none; nil if there can be none or there is no room for more.
// State of which nothing remains when the Step ends goes again.
func (m *Machine) makeEntry(k engine.Key) *entry {
	if e := m.entry(k); e != nil {
		return e
	}
	if !validKey(k) || engine.FamilyOf(k.Group) != m.id.Family || engine.FamilyOf(k.Source) != m.id.Family {
		return nil
	}
	if m.entries >= m.cfg.MaxEntries {
		m.counts.Add("too many entries")
		return nil
	}
	g := m.makeGroup(k.Group)
	switch {
	case usable(g) == 0:
		g.release() // sparse mode's everywhere
		return nil
	case len(g.entries.All) >= m.cfg.MaxSources:
		m.counts.Add("too many sources of a group")
		return nil
	}
	e := &entry{m: m, g: g, addr: k.Source, born: m.now}
	e.alive.Do = func(time.Time) { m.touch(e) }
	e.initUpstream()
	g.add(e)
	g.sayInterestLater()
	e.rpf = m.track(k.Source)
	e.rpf.entries.Add(e, placeInTarget)
	m.touch(e)
	return e
}

// entryOf returns the entry that a message is about, made if there is none; nil if the message is of nothing that we
// have to do with on the interface.
func (m *Machine) entryOf(i *iface, src netip.Addr, g wire.Group, source netip.Addr, what string) *entry {
	k := engine.SG(source, g.Addr)
	if !g.Single() || !validKey(k) {
		m.drop(i, src, what+" of no single routable flow")
		return nil
	}
	if !i.dense(g.Addr) {
		return nil // sparse mode's
	}
	return m.makeEntry(k)
}

// whenPathKnown does f when the path to the source is known: now, or later in the same batch of events.
func (e *entry) whenPathKnown(f func()) {
	if e.rpf.known {
		e.updateRPF() // of a new entry
		f()
		return
	}
	if len(e.waiting) >= maxWaiting {
		e.m.counts.Add("too many packets before the path is known")
		return
	}
	e.waiting = append(e.waiting, f)
}

const maxWaiting = 64

// touch says that something changed from which state of the entry follows.
func (m *Machine) touch(e *entry) {
	if !e.touched {
		e.touched = true
		m.touched = append(m.touched, e)
	}
}

func (g *group) touch() {
	for _, e := range g.entries.All {
		g.m.touch(e)
	}
}

func (m *Machine) sayLater(e *entry) {
	if !e.unsaid {
		e.unsaid = true
		m.unsaid = append(m.unsaid, e)
	}
}

// maxRounds bounds how often entries can be touched in a Step: transitions come to rest after two or three.
const maxRounds = 100

// update works out what follows from what was touched, until nothing does.
func (m *Machine) update() {
	if m.updating {
		return
	}
	m.updating = true
	for rounds := 0; len(m.touched) > 0; rounds++ {
		if rounds == maxRounds {
			m.emit(engine.Note{Level: engine.Error, Text: "state machines do not come to rest: a fault of the program"})
			break
		}
		touched := m.touched
		m.touched = nil
		for _, e := range touched {
			e.touched = false
			if !e.gone {
				e.update()
			}
		}
	}
	m.updating = false
}

// update makes the transitions of the entry's state machines that follow from macros.
func (e *entry) update() {
	if !e.rpf.known {
		return
	}
	e.updateRPF()
	e.updateAsserts()
	e.updateUpstream()
	e.updateOrigin()
	e.sweep()
	e.m.sayLater(e)
	if e.idle() || usable(e.g) == 0 {
		e.remove()
	}
}

// updateRPF makes the transitions that follow from another RPF_interface(S): "RPF_Interface(S) becomes I" of Figure 2, and
// "CouldAssert -> FALSE" and "-> TRUE" of Figure 4.
func (e *entry) updateRPF() {
	in := rpfInterface(e)
	if in == e.in {
		return
	}
	old := e.in
	e.in = in
	e.g.sayInterestLater()
	if i := e.m.ifaceOf(in); i != nil && e.assertOn(i) == assert.NoInfo {
		e.cancelRefreshes(i)
	}
	if o := e.on(in); o != nil {
		o.endPrune("RPF_Interface(S) becomes I")
		if o.assert.lost() {
			o.endAssert("CouldAssert(S,G,I) -> FALSE")
		} else if o.assert != nil {
			o.cancelAssert("CouldAssert(S,G,I) -> FALSE")
		}
	}
	if o := e.on(old); o != nil {
		o.endAssert("CouldAssert(S,G,I) -> TRUE")
	}
}

// idle says that no timer of the entry runs, and nothing is known that would not be so without it: "When no timer
// associated with an (S,G) entry is active, all information concerning that (S,G) route may be discarded" (section 4.1).
func (e *entry) idle() bool {
	u := &e.up
	return !e.alive.Running() && !u.grt.Running() && !u.ot.Running() && !u.plt.Running() && !u.others && e.origin == nil &&
		len(e.oifs) == 0 && len(e.waiting) == 0
}

func (e *entry) remove() {
	m := e.m
	e.gone = true
	e.stop()
	for _, o := range e.oifs {
		o.endPrune("the entry goes")
		o.endAssert("the entry goes")
	}
	e.sweep()
	if e.said.wanted {
		m.emit(engine.Unwant{Key: e.key()})
	}
	if e.asked {
		m.emit(engine.Decline{Key: e.key()})
	}
	if e.up.state != UpstreamNoInfo {
		e.setUpstream(UpstreamNoInfo, "no timer of the entry runs")
	}
	e.g.drop(e)
	e.rpf.entries.Remove(e, placeInTarget)
	e.rpf.release()
	e.g.sayInterestLater()
}

// stop stops what runs for the entry.
func (e *entry) stop() {
	e.m.timers.Stop(&e.alive)
	e.stopUpstream()
	if e.origin != nil {
		e.m.timers.Stop(&e.origin.sat)
		e.m.timers.Stop(&e.origin.srt)
	}
}

// release forgets a group of which nothing is known.
func (g *group) release() {
	if len(g.entries.All) == 0 && len(g.members) == 0 && !g.interest && !g.gone {
		g.gone = true
		delete(g.m.groups, g.addr)
	}
}

// validSource says whether an address can be the source of a multicast packet.
func validSource(a netip.Addr) bool {
	return a.IsValid() && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback() && !a.IsLinkLocalUnicast()
}

// validGroup says whether a group can have state.
func validGroup(a netip.Addr) bool { return ip.Forwarded(a) }
