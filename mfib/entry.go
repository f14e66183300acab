package mfib

import (
	"slices"
	"time"

	"grove/internal/engine"
)

// entry is all that is known of a key. It lives while somebody wants it, while an answer or the end of a negative entry
// is awaited, and until its row is out of the kernel. There are many: the order of the fields leaves no gaps.
type entry struct {
	key        engine.Key
	wants      []*want // sorted by protocol
	prev, next *entry  // in Machine.all
	since      int64   // UnixNano

	waiting  *waiting   // for answers to a Creation; nil: not waiting
	negative *negative  // made by this machine; nil: not
	owner    *component // of the incoming interface

	read    reading // as the kernel last counted
	*oddity         // what few entries have

	row     row  // what the kernel has
	failed  bool // it refused the row, and has not been asked again
	rewrite bool // write the row also if it is as it was
	rearm   bool // delete the row and add it again: the kernel reports wrong packets of it once in 3 s
	dirty   bool // in Machine.dirty

	ownerKnown bool // the owner has been found before
	alerted    bool // the owner (of an (S,G)) has been told by an alert what the others want: oddity.joined
	checks     int32
	arrival    engine.IfID // where the packets came in; 0: not known
}

// oddity is what few entries have. The others share one, noOddity: write to the one that odd returns.
type oddity struct {
	before   reading // what the kernel had counted when it lost the row
	err      string  // what it said when it last refused the row
	source   *source // if several protocols route
	group    *group  // likewise, of an (S,G)
	sourceAt int32   // in source.entries
	groupAt  int32   // in group.entries
	joined   bool    // what the owner of an (S,G) was told last
	handsUp  bool    // the row of an (S,G) has handed up packets since it was made
	held     []held  // packets that wait for the answers to a Creation
}

var noOddity = new(oddity)

func (e *entry) odd() *oddity {
	if e.oddity == noOddity {
		e.oddity = new(oddity)
	}
	return e.oddity
}

// want is what one component wants of an entry: engine.Want without what is known, for there are many.
type want struct {
	by        *component
	in        engine.IfID
	tap       bool
	installed bool // has been told Installed
	out       []engine.Outgoing
	wrongIf   []engine.IfID
	activity  time.Duration
	*extra    // what few wants have

	packets      uint64 // at the last Activity, in all
	wrongPackets uint64
	bytes        uint64
	reported     int64 // when the last Activity was, UnixNano
}

// extra is what few wants have. The others share one, noExtra: write to the one that own returns.
type extra struct {
	negative string // not empty: drop, for this reason
	expires  time.Duration
	accept   []engine.IfID
	encap    []engine.Encap
	fault    string        // what keeps it from being as wanted
	told     string        // the fault that the component has been told of
	timer    *engine.Timer // the end of a negative want, or Activity faster than CheckInterval
}

var noExtra = new(extra)

func (w *want) own() *extra {
	if w.extra == noExtra {
		w.extra = new(extra)
	}
	return w.extra
}

func (w *want) setFault(fault string) {
	if w.fault != fault {
		w.own().fault = fault
	}
}

// reading is what the kernel counts of a row.
type reading struct{ packets, bytes, wrongIf uint64 }

func (r reading) plus(o reading) reading {
	return reading{r.packets + o.packets, r.bytes + o.bytes, r.wrongIf + o.wrongIf}
}

// row is a row of the kernel's table, less its key.
type row struct {
	present bool
	parent  engine.VIF
	ttl     [engine.MaxVIFs]uint8
}

// names says whether the row has the bit of a VIF, or has it as parent.
func (r *row) names(n int) bool { return r.present && (int(r.parent) == n || r.ttl[n] != 0) }

// total is what was counted since the entry began, across rewrites.
func (e *entry) total() reading { return e.before.plus(e.read) }

// lost remembers what was counted, for the kernel begins anew.
func (e *entry) lost() {
	if e.read != (reading{}) {
		e.odd().before, e.read = e.before.plus(e.read), reading{}
	}
}

// wantOf returns what c wants of the entry, or nil.
func (e *entry) wantOf(c *component) *want {
	for _, w := range e.wants {
		if w.by == c {
			return w
		}
	}
	return nil
}

func (e *entry) isSG() bool { return e.key.Source.IsValid() }

// entry returns the entry of a key, new if need be.
func (m *Machine) entry(k engine.Key) *entry {
	e := m.entries[k]
	if e == nil {
		e = &entry{key: k, since: m.now.UnixNano(), oddity: noOddity}
		m.all.pushBack(e)
		m.entries[k] = e
		m.startChecks()
		if e.isSG() && m.several() {
			m.follow(e)
		}
	}
	return e
}

// touch has the row of an entry computed at Settled.
func (m *Machine) touch(e *entry) {
	if !e.dirty {
		e.dirty = true
		m.dirty = append(m.dirty, e)
	}
}

func (m *Machine) touchAll() {
	for e := range m.all.all() {
		m.touch(e)
	}
}

// setWant takes what c wants of an entry, in the place of what it wanted before.
func (m *Machine) setWant(e *entry, c *component, ev *engine.Want) {
	w := e.wantOf(c)
	if w == nil {
		total := e.total()
		w = &want{by: c, reported: m.now.UnixNano(), packets: total.packets, wrongPackets: total.wrongIf,
			bytes: total.bytes, extra: noExtra}
		if c == e.owner {
			e.alerted = false // it may have forgotten what it was told
		}
		e.wants = append(e.wants, w)
		slices.SortFunc(e.wants, func(a, b *want) int { return compareComponents(a.by, b.by) })
	}
	w.in, w.out, w.tap, w.wrongIf, w.activity = ev.In, ev.Out, ev.Tap, ev.WrongIf, ev.Activity
	if w.extra != noExtra || ev.Negative != "" || len(ev.Accept) > 0 || len(ev.Encap) > 0 {
		x := w.own()
		x.negative, x.expires, x.accept, x.encap = ev.Negative, ev.Expires, ev.Accept, ev.Encap
	}
	if len(ev.Encap) > 0 || ev.Tap || !e.isSG() && (ev.In == 0 || m.several()) {
		m.needRegister()
	}
	m.setTimer(e, w)
	m.touch(e)
}

// setTimer times what a want asks for: the end of a negative entry, or Activity at an interval that the checks of all
// rows are too slow for.
func (m *Machine) setTimer(e *entry, w *want) {
	var after time.Duration
	var do func(time.Time)
	switch {
	case w.negative != "" && w.expires > 0:
		after, do = w.expires, func(time.Time) { m.expire(e, w) }
	case w.activity > 0 && w.activity < m.cfg.CheckInterval:
		after, do = w.activity, func(now time.Time) {
			m.toRead = append(m.toRead, e.key)
			m.timers.Set(w.timer, now.Add(w.activity))
		}
		if w.timer != nil && w.timer.Running() {
			after = min(after, w.timer.Left(m.now)) // wanting it anew does not put it off
		}
	default:
		if w.timer != nil {
			m.timers.Stop(w.timer)
		}
		return
	}
	if w.timer == nil {
		w.own().timer = new(engine.Timer)
	}
	w.timer.Do = do
	m.timers.Set(w.timer, m.now.Add(after))
}

// dropWant ends what a component wants of an entry.
func (m *Machine) dropWant(e *entry, w *want) {
	if w.timer != nil {
		m.timers.Stop(w.timer)
	}
	e.wants = slices.DeleteFunc(e.wants, func(o *want) bool { return o == w })
	m.touch(e)
}

// expire ends a negative want whose time is over.
func (m *Machine) expire(e *entry, w *want) {
	m.dropWant(e, w)
	m.emit(engine.Deletion{To: w.by.id, Key: e.key, Cause: "the negative entry expired"})
}

// giveUp ends all that came in by an interface that is gone. It is deleted, never defaulted to another.
func (m *Machine) giveUp(i *iface) {
	for e := range m.all.all() {
		for _, w := range slices.Clone(e.wants) {
			if w.in == i.id {
				m.dropWant(e, w)
				m.emit(engine.Deletion{To: w.by.id, Key: e.key, Cause: "the incoming interface " + i.name + " is gone"})
			}
		}
		if e.arrival == i.id {
			e.arrival = 0
			m.touch(e)
		}
	}
}

// idle says that nothing keeps the entry but its row.
func (e *entry) idle() bool { return len(e.wants) == 0 && e.waiting == nil && e.negative == nil }

// remove forgets an entry that is idle and out of the kernel.
func (m *Machine) remove(e *entry) {
	m.dropHeld(e)
	m.unfollow(e)
	m.all.remove(e)
	delete(m.entries, e.key)
}

// age returns how long ago a time in UnixNano was.
func (m *Machine) age(since int64) time.Duration { return time.Duration(m.now.UnixNano() - since) }
