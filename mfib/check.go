package mfib

import (
	"time"

	"grove/internal/engine"
)

// checkSlice is the number of rows that are asked for at once.
const checkSlice = 512

// startChecks has the rows checked, once there are any.
func (m *Machine) startChecks() {
	if !m.checks.Running() {
		m.timers.Set(&m.checks, m.now.Add(m.cfg.CheckInterval))
	}
}

// check asks for the counters of the next slice of rows, so that each is asked for once in CheckInterval. What the kernel
// refused is asked for again instead.
func (m *Machine) check(now time.Time) {
	n := m.all.Len()
	if n == 0 {
		return
	}
	slices := (n + checkSlice - 1) / checkSlice
	for range (n + slices - 1) / slices {
		p := m.all.Front()
		m.all.MoveToBack(p)
		e := p.Value.(*entry)
		switch {
		case !e.row.present:
			continue
		case e.failed:
			e.failed, e.rewrite = false, true
			m.touch(e)
			continue
		}
		if e.checks++; m.cfg.RewriteEvery > 0 && e.checks%m.cfg.RewriteEvery == 0 {
			e.rewrite = true
			m.touch(e)
		}
		m.toRead = append(m.toRead, e.key)
	}
	m.timers.Set(&m.checks, now.Add(m.cfg.CheckInterval/time.Duration(slices)))
}

// readCounters asks for the counters of the rows that the Step found due.
func (m *Machine) readCounters() {
	if len(m.toRead) > 0 {
		m.emit(engine.ReadCounters{Keys: m.toRead})
		m.toRead = nil
	}
}

// counters takes the kernel's counters, writes again what it does not have, and tells of activity.
func (m *Machine) counters(ev engine.Counters) {
	for _, c := range ev.Rows {
		e := m.entries[c.Key]
		switch {
		case e == nil || !e.row.present || e.failed:
			continue // asked for before it went
		case c.Missing:
			m.counts.Add("row missing")
			m.setRow(e, row{})
			m.touch(e)
			continue
		case c.Packets < e.read.packets:
			e.lost() // somebody deleted the row and wrote it anew
		}
		e.read = reading{c.Packets, c.Bytes, c.WrongIf}
		if e.err != "" {
			e.err = ""
			m.touch(e) // to tell the components
		}
		for _, w := range e.wants {
			m.activity(e, w)
		}
	}
}

// activity tells a component how much came since it was last told, if its interval is over.
func (m *Machine) activity(e *entry, w *want) {
	// The kernel's answers do not come at perfect intervals.
	slack := min(w.Activity, m.cfg.CheckInterval) / 8
	if w.Activity <= 0 || m.now.Sub(w.reportAt)+slack < w.Activity {
		return
	}
	total := e.total()
	packets := total.packets - w.reported.packets
	wrong := total.wrongIf - w.reported.wrongIf
	w.reported, w.reportAt = total, m.now
	if packets > 0 {
		m.emit(engine.Activity{To: w.by.id, Key: e.key, Packets: packets - wrong, WrongIf: wrong})
	}
}
