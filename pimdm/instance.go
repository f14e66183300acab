package pimdm

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"grove/internal/engine"
	"grove/internal/ifset"
)

// Machine is PIM-DM for one address family and one multicast routing table. It is an engine.Machine.
type Machine struct {
	id  engine.MachineID
	rng *rand.Rand
	cfg Config

	now    time.Time
	timers engine.Timers
	out    []engine.Effect
	counts engine.Counts

	configured bool
	subscribe  bool // igmp is to be asked for all memberships
	stopped    bool // after Shutdown

	ifaces  map[engine.IfID]*iface
	order   []*iface // by appearance
	slots   [ifset.Slots]*iface
	freed   []int // slots that are free from the next Settled on
	nbrs    ifSet // pim_nbrs
	running ifSet // where PIM runs

	modes   []engine.GroupMode // which groups are sparse mode's on sparse-dense interfaces
	groups  map[netip.Addr]*group
	entries int // in all groups
	targets map[netip.Addr]*target

	touched  []*entry
	updating bool

	unsaid       []*entry
	unsaidGroups []*group
	wildcard     bool // we said that we are a wildcard receiver
	revisit      bool // flows that were declined before may be wanted now
}

// New returns a machine. It speaks IPv4 or IPv6 as id.Family says, and does nothing until it is configured.
func New(id engine.MachineID, rng *rand.Rand) *Machine {
	return &Machine{
		id: id, rng: rng, cfg: Config{}.withDefaults(),
		ifaces: make(map[engine.IfID]*iface), groups: make(map[netip.Addr]*group), targets: make(map[netip.Addr]*target),
	}
}

// Step is engine.Machine's.
func (m *Machine) Step(now time.Time, ev engine.Event) []engine.Effect {
	clear(m.out)
	m.out = m.out[:0]
	m.now = now
	if m.stopped {
		return m.out
	}
	m.timers.Fire(now)
	m.update()
	m.handle(ev)
	if !m.stopped { // after Shutdown rows stay as they are
		m.update()
	}
	return m.out
}

// Deadline is engine.Machine's.
func (m *Machine) Deadline() (time.Time, bool) {
	if m.stopped {
		return time.Time{}, false
	}
	return m.timers.Deadline()
}

func (m *Machine) handle(ev engine.Event) {
	switch e := ev.(type) {
	case engine.Configure:
		if cfg, ok := e.Config.(Config); ok {
			m.configure(cfg)
		}
	case engine.InterfaceChange:
		m.interfaceChange(e)
	case engine.Membership:
		m.membership(e)
	case engine.Path:
		m.path(e)
	case engine.Packet:
		m.receive(&e)
	case engine.Creation:
		m.creation(e)
	case engine.WrongInterface:
		m.wrongInterface(e)
	case engine.Activity:
		m.activity(e)
	case engine.Alert:
		m.alert(e)
	case engine.GroupModes:
		m.modes = e.Ranges
		m.configureGroups()
		m.revisit = true
	case engine.OwnerChanged:
		m.ownerChanged(e)
	case engine.Installed:
		m.setPlaced(e.Key)
	case engine.Failed:
		m.setPlaced(e.Key)
	case engine.Deletion:
		m.deletion(e.Key)
	case engine.Query:
		m.answer(e)
	case engine.Settled:
		m.settled()
	case engine.Shutdown:
		m.shutdown()
	}
}

// configure changes to a new configuration.
func (m *Machine) configure(c Config) {
	old := m.cfg
	m.cfg = c.withDefaults()
	if !m.configured {
		m.configured, m.subscribe = true, true
	}
	for _, i := range m.interfaces() {
		m.configureInterface(i)
	}
	m.configureGroups()
	if old.NoStateRefresh != m.cfg.NoStateRefresh {
		m.touchAll()
	}
	m.revisit = true
}

// settled ends a batch of events: messages and rows that were put off go out.
func (m *Machine) settled() {
	if !m.configured {
		return
	}
	if m.subscribe {
		m.subscribe = false
		m.emit(engine.Subscribe{})
	}
	m.sayInterest()
	m.sayRows()
	m.flush()
	for _, slot := range m.freed {
		m.slots[slot] = nil
	}
	m.freed = nil
}

// shutdown says goodbye on every interface: neighbors then need not wait for anything that they asked of us.
func (m *Machine) shutdown() {
	m.stopped = true
	for _, i := range m.interfaces() {
		if i.nb != nil {
			i.nb.Stop(m.now)
		}
	}
}

// emit puts an effect into the outbox.
func (m *Machine) emit(e engine.Effect) {
	switch t := e.(type) {
	case engine.Transition:
		t.From = m.id
		e = t
	case engine.Note:
		t.From = m.id
		e = t
	}
	m.out = append(m.out, e)
}
