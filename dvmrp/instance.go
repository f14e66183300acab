package dvmrp

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/gaissmai/bart"

	"grove/internal/engine"
	"grove/internal/ifset"
	"grove/internal/roll"
)

// Machine is DVMRP for one multicast routing table. It is an engine.Machine.
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
	freed   []int  // slots that are free from the next Settled on
	running ifSet  // where DVMRP runs
	seq     uint32 // of neighbors

	table      bart.Table[*route]
	routes     int
	early      int                     // what neighbors told of networks of which there is no route, over all of them
	local      map[netip.Prefix]*route // those that are not learned
	localStale bool                    // what is local is to be worked out anew
	buckets    []roll.Roll[*route]     // the routes by the part of the Route Report Interval in which they are reported
	turn       int                     // the bucket that is reported next
	reporting  engine.Timer
	flash      engine.Timer
	flashed    time.Time // when the last flash update was
	changed    []*route  // for the next flash update
	unsaid     []*route  // rib is to be told of these at Settled

	groups  map[netip.Addr]*group
	entries map[engine.Key]*entry
	flows   map[flowKey]*flow
	sources bart.Table[*source]
	prunes  int // that are remembered, of all flows

	touched       []*flow
	updating      bool
	unsaidEntries []*entry
	unsaidGroups  []*group
	wildcard      bool // we said that we are a wildcard receiver
	revisit       bool // flows that were declined before may be wanted now

	asked   int       // Ask Neighbors messages that were answered since askedAt
	askedAt time.Time // the second in which they are counted
}

// New returns a machine. It does nothing until it is configured.
func New(id engine.MachineID, rng *rand.Rand) *Machine {
	m := &Machine{
		id: id, rng: rng, cfg: Config{}.withDefaults(),
		ifaces: make(map[engine.IfID]*iface), local: make(map[netip.Prefix]*route),
		buckets: make([]roll.Roll[*route], reportParts),
		groups:  make(map[netip.Addr]*group), entries: make(map[engine.Key]*entry), flows: make(map[flowKey]*flow),
	}
	m.reporting.Do = func(time.Time) { m.reportTimerExpires() }
	m.flash.Do = func(time.Time) { m.sendFlash() }
	return m
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
	m.update()
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
	case engine.Activity:
		m.activity(e)
	case engine.Alert:
		m.alert(e)
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
	m.cfg = c.withDefaults()
	if !m.configured {
		m.configured, m.subscribe = true, true
		m.timers.Set(&m.reporting, m.now.Add(m.cfg.ReportInterval/reportParts))
	}
	for _, i := range m.order {
		m.configureInterface(i)
	}
	for _, g := range engine.SortedAddrs(m.groups) {
		g.configure()
	}
	m.localStale, m.revisit = true, true
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
	m.greet()
	m.sayRoutes()
	m.sayInterest()
	m.sayRows()
	for _, slot := range m.freed {
		m.slots[slot] = nil
	}
	m.freed = nil
}

// shutdown tells the neighbors that nothing is reached by us any more (section 3.4.9).
func (m *Machine) shutdown() {
	for _, i := range m.order {
		i.sendFarewell()
	}
	m.stopped = true
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
	case engine.MRIBRoute:
		t.From = m.id
		e = t
	}
	m.out = append(m.out, e)
}

// upTo returns a random duration of at most d.
func (m *Machine) upTo(d time.Duration) time.Duration {
	return time.Duration(m.rng.Int64N(int64(max(d, 0)) + 1))
}
