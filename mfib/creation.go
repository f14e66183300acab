package mfib

import (
	"container/list"
	"slices"
	"time"

	"grove/internal/engine"
)

// How long the answers to a Creation are waited for (RFC 2715, section 2, rule 3: the interfaces are set "before the packet
// is forwarded").
const (
	holdTime   = 50 * time.Millisecond // the row is written with what there is by then
	answerTime = time.Second           // who has not answered by then has declined
)

// waiting is the state of an entry whose Creation has not been answered by all.
type waiting struct {
	silent   []*component
	hold     bool // no row yet
	handOver bool // of the entry to a new owner: the row of before serves
	timer    engine.Timer
}

// negative is the state of an entry that this machine made negative.
type negative struct {
	reason  reason
	timer   engine.Timer
	place   *list.Element // in Machine.negatives
	atGroup int           // in Machine.byGroup
}

// reason is why an entry is negative.
type reason string

// The reasons.
const (
	declined       reason = "declined"        // all components did, or were silent
	boundary       reason = "boundary"        // the packet came in over a scope boundary
	notInstallable reason = "not installable" // what is wanted cannot be written now
)

// asked says that components were asked, so that a change of their interest matters.
func (r reason) asked() bool { return r == declined }

// newFlow takes the first packet of a flow, and asks all components but one. It returns nil if there is no entry of it.
func (m *Machine) newFlow(k engine.Key, in engine.IfID, packet []byte, but *component) *entry {
	i := m.ifaces[in]
	rate := &m.unknown
	if i != nil {
		rate = &i.rate
	}
	if !rate.allow(m.now, m.cfg.UpcallRate) {
		m.counts.Add("upcall over the rate")
		return nil
	}
	if m.entries[k] == nil && len(m.entries) >= m.cfg.MaxEntries {
		m.counts.Add("upcall with the table full")
		return nil
	}
	e := m.entry(k)
	e.arrival = in
	if i != nil && i.cfg != nil && i.cfg.bounds(k.Group) {
		m.makeNegative(e, boundary)
		return nil
	}
	m.ask(e, but, in, packet)
	return e
}

// ask alerts all components but one of a new flow, and waits for their answers.
func (m *Machine) ask(e *entry, but *component, in engine.IfID, packet []byte) {
	w := &waiting{hold: m.several()}
	for _, c := range m.speakers {
		if c != but {
			w.silent = append(w.silent, c)
			m.emit(engine.Creation{To: c.id, Key: e.key, If: in, Packet: packet})
		}
	}
	m.wait(e, w)
}

// wait waits for the components that are silent.
func (m *Machine) wait(e *entry, w *waiting) {
	e.waiting = w
	w.timer.Do = func(now time.Time) {
		if w.hold {
			w.hold, w.handOver = false, false
			m.timers.Set(&w.timer, now.Add(answerTime-holdTime))
			m.touch(e)
			return
		}
		m.counts.AddN("creation without an answer", uint64(len(w.silent)))
		w.silent = nil
		m.allAnswered(e)
	}
	switch {
	case len(w.silent) == 0:
		m.allAnswered(e)
	case w.hold:
		m.timers.Set(&w.timer, m.now.Add(holdTime))
	default:
		m.timers.Set(&w.timer, m.now.Add(answerTime))
	}
}

// answered takes note that c has answered.
func (m *Machine) answered(e *entry, c *component) {
	e.waiting.silent = slices.DeleteFunc(e.waiting.silent, func(s *component) bool { return s == c })
	if len(e.waiting.silent) == 0 {
		m.allAnswered(e)
	}
}

// allAnswered ends the waiting. If nobody wants anything the entry is negative.
func (m *Machine) allAnswered(e *entry) {
	m.timers.Stop(&e.waiting.timer)
	e.waiting = nil
	m.touch(e)
	if len(e.wants) == 0 {
		m.makeNegative(e, declined)
	}
}

// makeNegative has the packets of an entry dropped for a while. The oldest negative entries give way if there are too many.
func (m *Machine) makeNegative(e *entry, r reason) {
	for m.negatives.Len() >= m.cfg.MaxNegative {
		m.counts.Add("negative entry evicted")
		m.dropNegative(m.negatives.Front().Value.(*entry))
	}
	n := &negative{reason: r}
	n.place = m.negatives.PushBack(e)
	n.atGroup = len(m.byGroup[e.key.Group])
	m.byGroup[e.key.Group] = append(m.byGroup[e.key.Group], e)
	n.timer.Do = func(time.Time) { m.dropNegative(e) }
	m.timers.Set(&n.timer, m.now.Add(m.cfg.NegativeLife))
	e.negative = n
	m.touch(e)
}

// dropNegative ends a negative entry: the next packet is a Creation again.
func (m *Machine) dropNegative(e *entry) {
	n := e.negative
	m.timers.Stop(&n.timer)
	m.negatives.Remove(n.place)
	group := m.byGroup[e.key.Group]
	last := group[len(group)-1]
	group[n.atGroup], last.negative.atGroup = last, n.atGroup
	group[len(group)-1] = nil
	if len(group) == 1 {
		delete(m.byGroup, e.key.Group)
	} else {
		m.byGroup[e.key.Group] = group[:len(group)-1]
	}
	e.negative = nil
	m.touch(e)
}

// revisit ends the negative entries that k covers and that components had been asked for.
func (m *Machine) revisit(k engine.Key) {
	var list []*entry
	switch {
	case k.Source.IsValid():
		if e := m.entries[k]; e != nil && e.negative != nil {
			list = append(list, e)
		}
	case k.Group.IsValid():
		list = slices.Clone(m.byGroup[k.Group])
	default:
		for p := m.negatives.Front(); p != nil; p = p.Next() {
			list = append(list, p.Value.(*entry))
		}
	}
	for _, e := range list {
		if e.negative.reason.asked() {
			m.dropNegative(e)
		}
	}
}
