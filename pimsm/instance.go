package pimsm

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"grove/internal/engine"
	"grove/internal/ifset"
	"grove/internal/pim/autorp"
	"grove/internal/pim/bootstrap"
)

// Machine is PIM-SM for one address family and one multicast routing table. It is an engine.Machine.
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

	ifaces map[engine.IfID]*iface
	order  []*iface // by appearance
	slots  [ifset.Slots]*iface
	freed  []int // slots that are free from the next Settled on
	owned  map[netip.Addr]int

	groups   map[netip.Addr]*group
	sources  int // in all groups
	targets  map[netip.Addr]*target
	rps      []*target      // those of the mappings, each once
	rpGroups []netip.Prefix // ranges of the mappings, each once
	mappings []mapping      // of groups to RPs: those of the configuration and those learned
	learned  [origins][]mapping
	// saidModes is which groups are sparse mode's, as last said; nil: say it again.
	saidModes    []engine.GroupMode
	modesChanged bool                       // the mappings may say otherwise
	members      []*target                  // of Anycast-RP sets
	anycasts     map[netip.Addr]*anycastSet // by the RP's address
	autorp       *autorp.AutoRP
	bsr          *bootstrap.Instance // nil: not configured

	touchedGroups  []*group
	touchedSources []*source
	updating       bool

	// arriving is the packet that is being handled, for msdp if it is the first of its source.
	arriving struct {
		s      *source
		packet []byte
	}

	unsaidGroups  []*group
	unsaidSources []*source
	said          row // of (*,*)

	wildcard     bool           // other protocols are wildcard receivers: a (*,*) Join alert
	saidWildcard []netip.Prefix // what we are a wildcard receiver for, as last said
}

// New returns a machine. It speaks IPv4 or IPv6 as id.Family says, and does nothing until it is configured.
func New(id engine.MachineID, rng *rand.Rand) *Machine {
	m := &Machine{
		id: id, rng: rng, cfg: Config{}.withDefaults(id.Family),
		ifaces: make(map[engine.IfID]*iface), owned: make(map[netip.Addr]int),
		groups: make(map[netip.Addr]*group), targets: make(map[netip.Addr]*target),
	}
	m.autorp = autorp.New(m.autorpEnv())
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
	case engine.WrongInterface:
		m.wrongInterface(e)
	case engine.WholePacket:
		m.wholePacket(e)
	case engine.Activity:
		m.activity(e)
	case engine.Installed:
		m.setInstalled(e.Key)
	case engine.Deletion:
		m.deletion(e.Key)
	case engine.Alert:
		m.alert(e)
	case engine.RemoteSource:
		m.remoteSource(e)
	case engine.OwnerChanged:
		m.ownerChanged(e)
	case engine.Query:
		m.answer(e)
	case engine.Settled:
		m.settled()
	case engine.Shutdown:
		m.shutdown()
	}
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
	m.sayModes()
	m.sayRows()
	m.sayWildcard()
	m.flush()
	for _, slot := range m.freed {
		m.slots[slot] = nil
	}
	m.freed = nil
}

func (m *Machine) setInstalled(k engine.Key) {
	if s := m.source(k); s != nil && s.said.wanted {
		s.installed = true
	}
}

// deletion: mfib gave up an entry. What we want of it now is said again.
func (m *Machine) deletion(k engine.Key) {
	if g := m.group(k.Group); g != nil && !k.Source.IsValid() {
		g.said = row{}
		m.sayGroupLater(g)
	} else if s := m.source(k); s != nil {
		s.said, s.installed = row{}, false
		m.sayLater(s)
	} else if k == (engine.Key{}) {
		m.said = row{}
	}
}

// shutdown prunes what we joined and says goodbye on every interface, so that nobody has to wait for a timer.
func (m *Machine) shutdown() {
	if m.bsr != nil {
		m.bsr.Stop(m.now)
		m.update()
	}
	for _, g := range engine.SortedAddrs(m.groups) {
		if g.up.state == Joined {
			m.queuePrune(nodeOf(g), g.up.rpf)
		}
		for _, s := range g.sources.All {
			if s.up.state == Joined {
				m.queuePrune(node{g, s}, s.up.rpf)
			}
		}
	}
	m.flush()
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

// setMax starts a timer, or puts it off.
func (m *Machine) setMax(t *engine.Timer, d time.Duration) { m.timers.SetMax(t, m.now.Add(d)) }

// upTo returns a random duration of at most d.
func (m *Machine) upTo(d time.Duration) time.Duration {
	return time.Duration(m.rng.Int64N(int64(max(d, 0)) + 1))
}
