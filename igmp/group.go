package igmp

import (
	"net/netip"
	"slices"
	"time"

	"grove/igmp/wire"
	"grove/internal/engine"
)

// group is the record of a group on an interface (RFC 3376 section 6.2). Hundreds of thousands may exist: what few groups
// need is behind a pointer.
type group struct {
	i       *iface
	addr    netip.Addr
	mode    engine.FilterMode // the router filter-mode
	changed bool              // listed in Machine.changed
	sources []*source         // sorted by address
	timer   engine.Timer      // the group timer (MLD: filter timer); runs in EXCLUDE mode alone
	older   *older            // hosts of older versions were heard
	queries *queries          // specific queries are to be sent
	said    level             // what subscribers were told
}

// source is a source record. Its timer runs if the source is to be forwarded.
type source struct {
	g       *group
	addr    netip.Addr
	timer   engine.Timer
	queries int // group-and-source-specific queries left to send
}

// older holds the Older Version Host Present timers (RFC 3376 section 7.3.2), by generation.
type older struct{ plain, withLeave engine.Timer }

// queries is the state of pending specific queries (RFC 3376 section 6.6.3).
type queries struct {
	timer engine.Timer
	group int  // group-specific queries left to send
	asked bool // one is due at Settled
}

func newGroup(i *iface, addr netip.Addr) *group {
	g := &group{i: i, addr: addr}
	g.timer.Do = g.timerExpires
	return g
}

// compatibility is the Group Compatibility Mode, as a generation (RFC 3376 section 7.3.2, RFC 3810 section 8.3.2).
func (g *group) compatibility() int {
	switch {
	case g.older == nil:
		return withSources
	case g.older.plain.Running():
		return plain
	case g.older.withLeave.Running():
		return withLeave
	}
	return withSources
}

// hearOlder notes a report of an older version.
func (g *group) hearOlder(now time.Time, generation int) {
	if g.older == nil {
		g.older = new(older)
		g.older.plain.Do = func(time.Time) {}
		g.older.withLeave.Do = func(time.Time) {}
	}
	t := &g.older.withLeave
	if generation == plain {
		t = &g.older.plain
	}
	g.i.m.timers.Set(t, now.Add(g.i.cfg.OlderHostPresent))
}

// receive applies a record, or what a message of an older version stands for.
func (g *group) receive(now time.Time, t wire.RecordType, sources set) {
	// RFC 3376 section 7.3.2: while hosts of older versions are there, which cannot say that they still want a
	// source, nothing is blocked; and while one cannot leave, nobody leaves.
	switch compatibility := g.compatibility(); {
	case compatibility < withSources && t == wire.Block, compatibility == plain && t == wire.ToIn:
		return
	case compatibility < withSources && t == wire.ToEx:
		sources = nil
	}
	m, x, y := g.i.m, g.i.m.x[:0], g.i.m.y[:0]
	for _, s := range g.sources {
		if s.timer.Running() {
			x = append(x, s.addr)
		} else {
			y = append(y, s.addr)
		}
	}
	m.x, m.y = x, y
	r := react(g.mode, x, y, t, sources)
	cause := "receive " + t.String()
	if r.mode != g.mode {
		g.mode = r.mode
		g.touch(cause)
	}
	gmi := now.Add(g.i.gmi())
	g.setSources(r.gmi, gmi, cause)
	g.setSources(r.groupTimer, g.timer.At(), cause)
	g.setSources(r.zero, time.Time{}, cause)
	g.removeSources(r.remove, cause)
	if r.restart {
		m.timers.Set(&g.timer, gmi)
	}
	g.query(now, r.querySources, r.queryGroup)
}

// setSources records sources with a timer due at at; the zero time: with none.
func (g *group) setSources(addrs set, at time.Time, cause string) {
	for _, a := range addrs {
		n, ok := g.find(a)
		if !ok {
			if len(g.sources) >= g.i.cfg.MaxSources {
				g.i.m.counts.Add("source limit")
				continue
			}
			s := &source{g: g, addr: a}
			s.timer.Do = s.timerExpires
			g.sources = slices.Insert(g.sources, n, s)
		}
		s := g.sources[n]
		if !ok || s.timer.Running() == at.IsZero() {
			g.touch(cause)
		}
		if !at.IsZero() {
			g.i.m.timers.Set(&s.timer, at)
		}
	}
}

func (g *group) removeSources(addrs set, cause string) {
	if len(addrs) == 0 {
		return
	}
	g.sources = slices.DeleteFunc(g.sources, func(s *source) bool {
		_, found := slices.BinarySearchFunc(addrs, s.addr, netip.Addr.Compare)
		if found {
			g.i.m.timers.Stop(&s.timer)
		}
		return found
	})
	g.touch(cause)
}

func (g *group) find(a netip.Addr) (int, bool) {
	return slices.BinarySearchFunc(g.sources, a, func(s *source, a netip.Addr) int { return s.addr.Compare(a) })
}

// timerExpires switches back to INCLUDE mode with the sources that someone wants (RFC 3376 section 6.5).
func (g *group) timerExpires(time.Time) {
	g.mode = engine.Include
	g.sources = slices.DeleteFunc(g.sources, func(s *source) bool { return !s.timer.Running() })
	g.touch("group timer expires")
}

// timerExpires ends the interest in a source: in INCLUDE mode the record goes, in EXCLUDE mode it stays, as one that is
// not to be forwarded (RFC 3376 section 6.3).
func (s *source) timerExpires(time.Time) {
	g := s.g
	if g.mode == engine.Include {
		if n, ok := g.find(s.addr); ok {
			g.sources = slices.Delete(g.sources, n, n+1)
		}
	}
	g.touch("source timer expires")
}

// lower lowers the timers that a specific query asks about (RFC 3376 section 6.6.1).
func (g *group) lower(sources set, due time.Time) {
	if len(sources) == 0 && g.timer.Running() {
		g.i.m.timers.SetMin(&g.timer, due)
	}
	for _, a := range sources {
		if n, ok := g.find(a); ok && g.sources[n].timer.Running() {
			g.i.m.timers.SetMin(&g.sources[n].timer, due)
		}
	}
}

// query asks who still wants the sources, or the group. Only the Querier does (RFC 3376 section 6.6.3).
func (g *group) query(now time.Time, sources set, wholeGroup bool) {
	i := g.i
	if !i.querier.elected {
		return
	}
	due := now.Add(i.lmqt(i.cfg.LastMemberQueryInterval))
	asked := false
	for _, a := range sources {
		n, ok := g.find(a)
		if !ok || !g.sources[n].timer.Running() || !g.sources[n].timer.At().After(due) {
			continue
		}
		g.sources[n].queries = i.cfg.LastMemberQueryCount
		i.m.timers.Set(&g.sources[n].timer, due)
		asked = true
	}
	if wholeGroup {
		i.m.timers.SetMin(&g.timer, due)
		asked = true
	}
	if !asked {
		return
	}
	if g.queries == nil {
		g.queries = new(queries)
		g.queries.timer.Do = g.sendSpecific
	}
	if wholeGroup {
		g.queries.group = i.cfg.LastMemberQueryCount
	}
	if !g.queries.asked {
		g.queries.asked = true
		i.m.asked = append(i.m.asked, g)
	}
}

// touch lists the group, so that its level is compared with what was told at Settled.
func (g *group) touch(cause string) {
	if !g.changed {
		g.changed = true
		g.i.m.changed = append(g.i.m.changed, change{g, cause})
	}
}

// clear forgets all that hosts said.
func (g *group) clear() {
	timers := &g.i.m.timers
	for _, s := range g.sources {
		timers.Stop(&s.timer)
	}
	timers.Stop(&g.timer)
	if g.older != nil {
		timers.Stop(&g.older.plain)
		timers.Stop(&g.older.withLeave)
	}
	if g.queries != nil {
		timers.Stop(&g.queries.timer)
	}
	g.mode, g.sources, g.older, g.queries = engine.Include, nil, nil, nil
}

// level is the membership: what hosts want and what the configuration wants.
func (g *group) level() level {
	if g.i.stopped {
		return level{}
	}
	l := level{mode: g.mode}
	for _, s := range g.sources {
		// In EXCLUDE mode the sources without a timer are those that nobody wants.
		if s.timer.Running() == (g.mode == engine.Include) {
			l.sources = append(l.sources, s.addr)
		}
	}
	if len(g.i.static) > 0 {
		l = l.join(g.i.static[g.addr])
	}
	return l
}

// tell emits the level if it is not what was told, and drops a record that says nothing.
func (g *group) tell(cause string) {
	m, l := g.i.m, g.level()
	g.changed = false
	if !l.equal(g.said) {
		for _, to := range m.subscribers {
			m.emit(engine.Membership{To: to, If: g.i.state.ID, Group: g.addr, Mode: l.mode, Sources: l.sources})
		}
		if old, now := g.said.state(), l.state(); old != now {
			m.emit(engine.Transition{
				From: m.id, Entity: "group", If: g.i.state.ID, Key: engine.StarG(g.addr), Old: old, New: now, Cause: cause,
			})
		}
		g.said = l
	}
	if l.none() {
		g.clear()
		delete(g.i.groups, g.addr)
	}
}
