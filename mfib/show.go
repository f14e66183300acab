package mfib

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"grove/internal/engine"
)

// What a Query of an mfib may ask for, and the type of the answer:
//
//	"entries"     []Entry, by group and then source; Arg empty or an address: only those with it as group or source
//	"interfaces"  Interfaces
//	"counts"      Counts

// Entry is an entry of the forwarding table.
type Entry struct {
	Key       engine.Key
	State     string           // "forwarding", "negative", "waiting" (for answers), "not installed"
	Reason    string           // why it is negative or not installed
	Owner     engine.MachineID // of the incoming interface; zero for (*,G) and (*,*)
	Wants     []Wanted         // of each component
	Installed bool             // the kernel has a row
	In        Interface        // the parent of the row
	Out       []Out            // sorted by VIF; never the register interface
	Accept    []Interface      // further interfaces from which a (*,G) or (*,*) row takes packets
	Register  bool             // packets come up, for an encapsulation or a tap
	Packets   uint64
	Bytes     uint64
	WrongIf   uint64 // of Packets: on a wrong interface
	Age       time.Duration
	Left      time.Duration // until a negative entry ends or an answer is awaited no longer; 0: for good
}

// Interface names an interface that has a VIF.
type Interface struct {
	ID       engine.IfID
	Name     string
	VIF      int
	Register bool // the register interface
}

// Out is an outgoing interface of an entry.
type Out struct {
	Interface
	Threshold uint8
}

// Wanted is what a component wants of an entry.
type Wanted struct {
	By       engine.MachineID
	Negative string // not empty: drop, and why
	Tap      bool
	Encap    []netip.Addr // where the packets are sent encapsulated
	Fault    string       // why it is not as wanted
	Left     time.Duration
}

// Interfaces are the interfaces that mfib knows of.
type Interfaces struct {
	VIFs     int // in use, the register interface included
	MaxVIFs  int
	Register int // its VIF, or -1
	List     []InterfaceState
}

// InterfaceState is an interface with a protocol enabled.
type InterfaceState struct {
	ID           engine.IfID
	Name         string
	VIF          int // -1: none
	Err          string
	Owner        engine.Protocol
	Groups       []GroupOwner // those that another protocol owns it for
	SparseDense  bool         // both modes of PIM run here
	TTLThreshold uint8
	Boundaries   []netip.Prefix
	Rows         int // rows of the table that name the VIF
}

// Counts say how much the table holds and what was dropped.
type Counts struct {
	Entries    int
	Rows       int // in the kernel
	Negative   int // made by mfib when nobody wants the packets
	Waiting    int // for the answers of components
	Held       int // packets that wait for them
	Dirty      int // to be written yet
	Sources    int // tracked in the MRIB
	Groups     int // in the component-group table
	Components []engine.MachineID
	Events     map[string]uint64
}

func (m *Machine) answer(q engine.Query) {
	a := engine.Answer{From: m.id, ID: q.ID}
	switch q.What {
	case "entries":
		a.Value, a.Err = m.showEntries(q.Arg)
	case "interfaces":
		a.Value = m.showInterfaces()
	case "counts":
		a.Value = m.showCounts()
	default:
		a.Err = fmt.Sprintf("mfib: no answer to %q: ask for entries, interfaces or counts", q.What)
	}
	m.emit(a)
}

func (m *Machine) showEntries(arg string) (value any, fault string) {
	var only netip.Addr
	if arg != "" {
		var err error
		if only, err = netip.ParseAddr(arg); err != nil {
			return nil, fmt.Sprintf("mfib: entries: %v", err)
		}
	}
	all := make([]Entry, 0, len(m.entries))
	for k, e := range engine.SortedKeys(m.entries) {
		if !only.IsValid() || only == k.Group || only == k.Source {
			all = append(all, m.showEntry(e))
		}
	}
	return all, ""
}

func (m *Machine) showEntry(e *entry) Entry {
	total := e.total()
	s := Entry{
		Key: e.key, Packets: total.packets, Bytes: total.bytes, WrongIf: total.wrongIf, Age: m.age(e.since),
		Installed: e.row.present && !e.failed,
	}
	if e.owner != nil {
		s.Owner = e.owner.id
	}
	for _, w := range e.wants {
		s.Wants = append(s.Wants, m.showWant(w))
	}
	m.showRow(&s, &e.row)
	s.State, s.Reason = e.state()
	switch {
	case e.waiting != nil:
		s.Left = e.waiting.timer.Left(m.now)
	case e.negative != nil:
		s.Left = e.negative.timer.Left(m.now)
	}
	return s
}

func (m *Machine) showWant(w *want) Wanted {
	s := Wanted{By: w.by.id, Negative: w.negative, Tap: w.tap, Fault: w.told}
	for _, e := range w.encap {
		s.Encap = append(s.Encap, e.To)
	}
	if w.timer != nil && w.negative != "" {
		s.Left = w.timer.Left(m.now)
	}
	return s
}

// showRow fills in what a row says.
func (m *Machine) showRow(s *Entry, r *row) {
	if !r.present {
		return
	}
	s.In = m.showVIF(int(r.parent))
	for n, ttl := range r.ttl {
		switch v := m.showVIF(n); {
		case ttl == 0:
		case v.Register:
			s.Register = true
		case ttl == acceptOnly:
			if n != int(r.parent) {
				s.Accept = append(s.Accept, v)
			}
		default:
			s.Out = append(s.Out, Out{Interface: v, Threshold: ttl})
		}
	}
}

func (m *Machine) showVIF(n int) Interface {
	v := Interface{VIF: n, ID: m.slots[n].iface, Register: m.slots[n].register}
	if i := m.ifaces[v.ID]; i != nil {
		v.Name = i.name
	} else if v.Register {
		v.Name = "register"
	}
	return v
}

// state says in words how an entry stands.
func (e *entry) state() (state, reason string) {
	for _, w := range e.wants {
		switch {
		case w.told != "":
			reason = w.told
		case w.negative != "" && reason == "":
			reason = w.negative
		}
	}
	if e.negative != nil && reason == "" {
		reason = string(e.negative.reason)
	}
	switch {
	case e.waiting != nil && (e.waiting.hold || !e.row.present) && !e.waiting.handOver:
		return "waiting", reason
	case !e.row.present || e.failed:
		return "not installed", reason
	case e.row.ttl == (row{}).ttl:
		return "negative", reason
	}
	return "forwarding", reason
}

func (m *Machine) showInterfaces() Interfaces {
	s := Interfaces{MaxVIFs: engine.MaxVIFs, Register: m.register}
	for _, slot := range m.slots {
		if slot.used {
			s.VIFs++
		}
	}
	for _, i := range engine.Sorted(m.ifaces) {
		if i.cfg == nil {
			continue
		}
		is := InterfaceState{
			ID: i.id, Name: i.name, VIF: i.slot, Err: i.err, Owner: i.cfg.Owner, Groups: slices.Clone(i.cfg.Groups), SparseDense: i.cfg.SparseDense,
			TTLThreshold: i.cfg.TTLThreshold, Boundaries: slices.Clone(i.cfg.Boundaries),
		}
		if i.slot >= 0 {
			is.Rows = m.slots[i.slot].rows
			if m.slots[i.slot].failed {
				is.Err = m.slots[i.slot].err
			}
		}
		s.List = append(s.List, is)
	}
	return s
}

func (m *Machine) showCounts() Counts {
	c := Counts{
		Entries: len(m.entries), Negative: m.negatives.Len(), Held: m.held, Dirty: len(m.dirty), Sources: len(m.sources),
		Groups: len(m.groups), Events: m.counts.Snapshot(),
	}
	for e := range m.all.all() {
		if e.row.present {
			c.Rows++
		}
		if e.waiting != nil {
			c.Waiting++
		}
	}
	for _, k := range m.components {
		c.Components = append(c.Components, k.id)
	}
	return c
}
