package mfib

import (
	"fmt"
	"time"

	"grove/internal/engine"
)

// A big change is written in slices, so that packets are handled in between.
const (
	writeSlice = 4096
	writePause = 5 * time.Millisecond
)

func (m *Machine) emit(e engine.Effect) { m.out = append(m.out, e) }

func (m *Machine) note(l engine.Level, id engine.IfID, text string) {
	m.emit(engine.Note{From: m.id, Level: l, Text: text, If: id})
}

// settle makes the kernel's table be as wanted: first the VIFs that rows may name, then the rows, then the VIFs go that no
// row names any more.
func (m *Machine) settle() {
	m.assignVIFs()
	m.writeRows()
	m.releaseVIFs()
	m.assignVIFs()
	m.alertGroups()
	m.askQuestions()
	if len(m.dirty)+len(m.regroup)+len(m.questions) > 0 {
		m.timers.SetMin(&m.more, m.now.Add(writePause))
	}
}

// writeRows computes the rows of the entries that were touched, writes those that differ, and tells the components.
func (m *Machine) writeRows() {
	batch := m.dirty[:min(len(m.dirty), writeSlice)]
	var rows []engine.Row
	for _, e := range batch {
		e.dirty = false
		m.chooseOwner(e)
		r := m.wanted(e)
		if r == e.row && !e.rewrite && !e.rearm {
			continue
		}
		if e.rearm && e.row.present && r.present {
			m.setRow(e, row{})
			rows = append(rows, engine.Row{Key: e.key, Gone: true})
		}
		e.rewrite, e.rearm, e.failed = false, false, false
		if !e.isSG() && m.several() {
			m.touchShadowed(e)
		}
		m.setRow(e, r)
		rows = append(rows, engine.Row{Key: e.key, Parent: r.parent, TTL: r.ttl, Gone: !r.present})
	}
	if rows != nil {
		m.emit(engine.SetRows{Rows: rows})
	}
	for _, e := range batch {
		m.releaseHeld(e)
		m.alert(e)
		m.tell(e)
		if e.idle() {
			m.remove(e)
		}
	}
	rest := copy(m.dirty, m.dirty[len(batch):])
	clear(m.dirty[rest:])
	m.dirty = m.dirty[:rest]
}

// touchShadowed has the negative entries computed anew whose packets a (*,G) row forwards: it changes.
func (m *Machine) touchShadowed(e *entry) {
	for _, n := range m.byGroup[e.key.Group] {
		m.touch(n)
	}
}

// setRow takes r as what the kernel has for an entry.
func (m *Machine) setRow(e *entry, r row) {
	if e.row.present && !r.present {
		e.lost()
	}
	for n := range m.slots {
		if e.row.names(n) {
			m.slots[n].rows--
		}
		if r.names(n) {
			m.slots[n].rows++
		}
	}
	e.row = r
	if e.source != nil {
		e.oddity.handsUp = r.present && (e.handsUp || m.register >= 0 && r.ttl[m.register] != 0)
	}
}

// tell says to each component whether the kernel has what it wants.
func (m *Machine) tell(e *entry) {
	if e.undecided() {
		return
	}
	for _, w := range e.wants {
		fault := w.fault
		if fault == "" && e.err != "" { // until the counters show that the row is there
			fault = "the kernel refused the row: " + e.err
		}
		if fault != w.told {
			w.own().told = fault
			if fault != "" {
				m.emit(engine.Failed{To: w.by.id, Key: e.key, Err: fault})
			}
		}
		if fault == "" && e.row.present && !w.installed {
			w.installed = true
			m.emit(engine.Installed{To: w.by.id, Key: e.key})
		}
	}
}

// rowFailed takes the kernel's refusal of a row or a VIF. The next check of the row asks again.
func (m *Machine) rowFailed(ev engine.RowFailed) {
	if ev.OfVIF {
		m.vifFailed(ev.VIF, ev.Err)
		return
	}
	e := m.entries[ev.Key]
	if e == nil || !e.row.present {
		m.counts.Add("refusal of a row that is not wanted")
		return
	}
	if e.err != ev.Err {
		e.odd().err = ev.Err
		m.emit(engine.Note{
			From: m.id, Level: engine.Warning, Key: e.key, Text: fmt.Sprintf("the kernel refused the row: %s", ev.Err),
		})
	}
	e.failed = true
	m.touch(e) // to tell the components
}
