package mfib

import (
	"time"

	"grove/internal/engine"
)

// checkSlice is the number of rows that are asked for at once.
const checkSlice = 512

// pace returns how many rows are asked for at once, and how long after that the next, so that each is asked for once in
// CheckInterval.
func (m *Machine) pace() (rows int, pause time.Duration) {
	n := m.all.len
	slices := max(1, (n+checkSlice-1)/checkSlice)
	return (n + slices - 1) / slices, m.cfg.CheckInterval / time.Duration(slices)
}

// startChecks has the rows checked, now that there is one more.
func (m *Machine) startChecks() {
	_, pause := m.pace()
	m.timers.SetMin(&m.checks, m.now.Add(pause))
}

// check asks for the counters of the next slice of rows, and writes again what the kernel had refused.
func (m *Machine) check(now time.Time) {
	rows, pause := m.pace()
	if rows == 0 {
		return
	}
	for range rows {
		e := m.all.front
		m.all.remove(e)
		m.all.pushBack(e)
		m.checkRow(e)
	}
	m.timers.Set(&m.checks, now.Add(pause))
}

func (m *Machine) checkRow(e *entry) {
	if !e.row.present {
		return
	}
	if e.failed {
		e.failed, e.rewrite = false, true
		m.touch(e)
		return
	}
	if e.checks++; m.cfg.RewriteEvery > 0 && int(e.checks)%m.cfg.RewriteEvery == 0 {
		e.rewrite = true
		m.touch(e)
	}
	m.toRead = append(m.toRead, e.key)
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
			e.odd().err = ""
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
	slack := min(w.activity, m.cfg.CheckInterval) / 8
	if w.activity <= 0 || m.age(w.reported)+slack < w.activity {
		return
	}
	total := e.total()
	packets := total.packets - w.packets
	wrong := total.wrongIf - w.wrongPackets
	bytes := total.bytes - w.bytes
	w.packets, w.wrongPackets, w.bytes, w.reported = total.packets, total.wrongIf, total.bytes, m.now.UnixNano()
	if packets > 0 {
		m.emit(engine.Activity{To: w.by.id, Key: e.key, Packets: packets - wrong, Bytes: bytes, WrongIf: wrong})
	}
}
