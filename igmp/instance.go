package igmp

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"grove/internal/engine"
)

// Machine is the router side of IGMP (IPv4) or MLD (IPv6) on all interfaces of a router.
type Machine struct {
	id     engine.MachineID
	family *family
	cfg    Config
	timers engine.Timers
	counts engine.Counts
	out    []engine.Effect

	interfaces  map[engine.IfID]*engine.Interface // all that were announced
	ifaces      map[engine.IfID]*iface            // those on which the protocol runs
	subscribers []engine.MachineID

	changed []change // groups to tell of at Settled, in the order of their change
	asked   []*group // groups with a specific query to send at Settled
	x, y    set      // scratch of group.receive
}

// change is a group whose level may differ from what subscribers were told, and why.
type change struct {
	group *group
	cause string
}

// New returns a machine without interfaces. The family of id decides between IGMP and MLD. A router leaves nothing to
// chance in these protocols; the generator is taken because every machine takes one.
func New(id engine.MachineID, _ *rand.Rand) *Machine {
	return &Machine{
		id:         id,
		family:     familyOf(id.Family),
		interfaces: make(map[engine.IfID]*engine.Interface),
		ifaces:     make(map[engine.IfID]*iface),
	}
}

// Step is engine.Machine's.
func (m *Machine) Step(now time.Time, ev engine.Event) []engine.Effect {
	clear(m.out)
	m.out = m.out[:0]
	m.timers.Fire(now)
	switch ev := ev.(type) {
	case engine.Packet:
		m.receive(now, ev)
	case engine.Settled:
		m.settle(now)
	case engine.InterfaceChange:
		if ev.Gone {
			delete(m.interfaces, ev.ID)
			if i := m.ifaces[ev.ID]; i != nil {
				i.stop(now, true)
			}
		} else {
			m.interfaces[ev.ID] = &ev.Interface
			m.adjust(now, ev.ID)
		}
	case engine.Configure:
		m.configure(now, ev)
	case engine.Subscribe:
		m.subscribe(ev.From)
	case engine.Query:
		m.answer(now, ev)
	}
	return m.out
}

// Deadline is engine.Machine's.
func (m *Machine) Deadline() (time.Time, bool) { return m.timers.Deadline() }

func (m *Machine) emit(e engine.Effect) { m.out = append(m.out, e) }

func (m *Machine) configure(now time.Time, ev engine.Configure) {
	cfg, ok := ev.Config.(Config)
	if !ok {
		m.emit(engine.Note{From: m.id, Level: engine.Error, Text: fmt.Sprintf("configuration of type %T ignored", ev.Config)})
		return
	}
	m.cfg = cfg
	for id := range engine.Sorted(m.interfaces) {
		m.adjust(now, id)
	}
}

// adjust starts, changes or stops the protocol on an interface, as its state and the configuration want it. It runs
// where it is configured, while packets can pass and we have an address to send from.
func (m *Machine) adjust(now time.Time, id engine.IfID) {
	state, i := m.interfaces[id], m.ifaces[id]
	cfg, wanted := m.cfg.Interfaces[state.Name]
	cfg = cfg.WithDefaults(m.id.Family)
	wanted = wanted && state.Running() && state.Primary(m.id.Family).IsValid()
	if i != nil && (!wanted || i.cfg.Version != cfg.Version || i.state.Name != state.Name) {
		i.stop(now, false)
		i = nil
	}
	switch {
	case !wanted:
	case i == nil:
		m.start(now, state, cfg)
	default:
		i.update(now, state, cfg)
	}
}

// subscribe replays all memberships that were told to others, and from now on tells From, too.
func (m *Machine) subscribe(from engine.MachineID) {
	if !slices.Contains(m.subscribers, from) {
		m.subscribers = append(m.subscribers, from)
	}
	for id, i := range engine.Sorted(m.ifaces) {
		for addr, g := range engine.SortedAddrs(i.groups) {
			if !g.said.none() {
				m.emit(engine.Membership{To: from, If: id, Group: addr, Mode: g.said.mode, Sources: g.said.sources})
			}
		}
	}
}

// settle ends a batch: it sends the specific queries that the batch asked for, and tells the memberships that differ
// from what was told.
func (m *Machine) settle(now time.Time) {
	for _, g := range m.asked {
		g.sendSpecific(now)
	}
	clear(m.asked)
	m.asked = m.asked[:0]
	for _, c := range m.changed {
		c.group.tell(c.cause)
	}
	clear(m.changed)
	m.changed = m.changed[:0]
}
