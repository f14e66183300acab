package mfib

import (
	"container/list"
	"net/netip"
	"time"

	"grove/internal/engine"
)

// Machine is the forwarding table of one family and kernel table.
type Machine struct {
	id     engine.MachineID
	cfg    Config
	now    time.Time
	timers engine.Timers
	out    []engine.Effect
	counts engine.Counts

	components []*component
	speakers   []*component // those that own interfaces, by name

	modes []engine.GroupMode // which groups are pimsm's on sparse-dense interfaces

	ifaces         map[engine.IfID]*iface
	slots          [engine.MaxVIFs]slot
	register       int  // slot of the register interface, -1: none
	registerNeeded bool // somebody wants packets to come up
	registerFailed bool // no number was free for it
	vifsStale      bool // some interface may need a number
	retryVIFs      engine.Timer
	unknown        limiter // of Creations that came in nobody knows where

	entries   map[engine.Key]*entry
	all       ring                    // the same
	dirty     []*entry                // to be computed at Settled
	negatives list.List               // of *entry that are negative by our own doing, oldest first
	byGroup   map[netip.Addr][]*entry // the same
	sources   map[netip.Addr]*source  // if several protocols route
	groups    map[netip.Addr]*group   // the component-group table
	regroup   []*group                // whose alerts may have changed
	questions []question              // to be asked at Settled
	held      int                     // packets that wait, of all entries
	toRead    []engine.Key            // to be asked for at the end of this Step
	checks    engine.Timer            // the next slice of all
	more      engine.Timer            // the rest of dirty
}

// New returns an empty table. Events: InterfaceChange, Configure (Config), Want, Unwant, Decline, Revisit, Wildcard,
// Interest, Inject, Path, Upcall, Counters, RowFailed, Settled and Query (show.go). Effects: SetVIF, SetRows, ReadCounters,
// Inject; Creation, WholePacket,
// WrongInterface, Activity, Alert, Deletion, OwnerChanged, Installed, Failed; Track, Untrack; Answer, Note.
func New(id engine.MachineID) *Machine {
	m := &Machine{
		id:       id,
		cfg:      Config{}.withDefaults(),
		register: -1,
		ifaces:   make(map[engine.IfID]*iface),
		entries:  make(map[engine.Key]*entry),
		byGroup:  make(map[netip.Addr][]*entry),
		sources:  make(map[netip.Addr]*source),
		groups:   make(map[netip.Addr]*group),
	}
	m.checks.Do = m.check
	m.retryVIFs.Do = m.askVIFsAgain
	m.more.Do = func(time.Time) {} // Settled follows
	return m
}

// Deadline implements engine.Machine.
func (m *Machine) Deadline() (time.Time, bool) { return m.timers.Deadline() }

// Step implements engine.Machine.
func (m *Machine) Step(now time.Time, ev engine.Event) []engine.Effect {
	clear(m.out)
	m.out = m.out[:0]
	m.now = now
	m.timers.Fire(now)
	switch ev := ev.(type) {
	case engine.Want:
		m.want(ev)
	case engine.Unwant:
		m.unwant(ev)
	case engine.Decline:
		m.decline(ev)
	case engine.Revisit:
		m.revisit(ev.Key)
		m.askAgain(m.component(ev.From), ev.Key)
	case engine.Inject:
		m.inject(ev)
	case engine.Wildcard:
		m.wildcard(ev)
	case engine.Interest:
		m.interest(ev)
	case engine.GroupModes:
		m.groupModes(ev)
	case engine.Path:
		m.path(ev)
	case engine.Upcall:
		m.upcall(ev)
	case engine.Counters:
		m.counters(ev)
	case engine.RowFailed:
		m.rowFailed(ev)
	case engine.InterfaceChange:
		m.interfaceChange(ev)
	case engine.Configure:
		if cfg, ok := ev.Config.(Config); ok {
			m.configure(cfg)
		}
	case engine.Settled:
		m.settle()
	case engine.Query:
		m.answer(ev)
	}
	m.readCounters()
	return m.out
}

// configure takes a new configuration.
func (m *Machine) configure(cfg Config) {
	before := m.several()
	m.cfg = cfg.withDefaults()
	m.configureComponents()
	for _, i := range engine.Sorted(m.ifaces) {
		m.configureInterface(i)
	}
	if m.several() != before {
		m.followAll()
	}
	m.alertWildcards()
	m.regroupAll()
	m.touchAll()
}
