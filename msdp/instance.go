package msdp

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"grove/internal/engine"
)

// Machine is MSDP for one multicast routing table. It is an engine.Machine.
type Machine struct {
	id  engine.MachineID
	rng *rand.Rand
	cfg Config

	now    time.Time
	timers engine.Timers
	out    []engine.Effect
	counts engine.Counts

	configured bool
	stopped    bool // after Shutdown

	ifaces map[engine.IfID]engine.Interface
	owned  map[netip.Addr]int // our own addresses, and on how many interfaces

	peers      map[netip.Addr]*peer
	order      []*peer // as configured
	streams    map[engine.StreamID]*peer
	lastStream engine.StreamID
	saidListen []engine.StreamPeer
	unflushed  []*peer // with bytes to be written at Settled

	rps    map[netip.Addr]*rp // of other domains
	ownRPs map[netip.Addr]*rp // that our own messages name
	rpfAge uint64             // counts what may change an RPF peer

	flows     map[flowKey]*flow
	groups    map[uint32]*group
	perSource map[uint32]int // entries of the cache
	cached    chain          // what peers told
	own       chain          // what pimsm told
	news      []news
	tells     tells
	advertise advertising

	refiltering refiltering
}

// New returns a machine. It does nothing until it is configured. rng is for the jitter of retries.
func New(id engine.MachineID, rng *rand.Rand) *Machine {
	m := &Machine{
		id: id, rng: rng, cfg: Config{}.withDefaults(),
		ifaces: make(map[engine.IfID]engine.Interface), owned: make(map[netip.Addr]int),
		peers: make(map[netip.Addr]*peer), streams: make(map[engine.StreamID]*peer),
		rps: make(map[netip.Addr]*rp), ownRPs: make(map[netip.Addr]*rp),
		flows: make(map[flowKey]*flow), groups: make(map[uint32]*group), perSource: make(map[uint32]int),
	}
	m.advertise.timer.Do = func(time.Time) { m.advertisementTimerExpires() }
	m.refiltering.timer.Do = func(time.Time) { m.refilterSlice() }
	m.tells.timer.Do = func(time.Time) { m.tellSlice() }
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
	m.handle(ev)
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
	case engine.Path:
		m.path(e)
	case engine.StreamOpened:
		m.streamOpened(e)
	case engine.StreamData:
		m.streamData(e)
	case engine.StreamWritten:
		m.streamWritten(e)
	case engine.StreamClosed:
		m.streamClosed(e)
	case engine.SourceActive:
		m.sourceActive(e)
	case engine.SourcesWanted:
		m.sourcesWanted(e)
	case engine.Query:
		m.answer(e)
	case engine.Settled:
		m.settled()
	case engine.Shutdown:
		m.shutdown()
	}
}

// settled ends a batch of events: what was learned goes on to the peers, each peer's messages in one write.
func (m *Machine) settled() {
	if !m.configured {
		return
	}
	m.sayListen()
	m.forward()
	m.flush()
}

// interfaceChange keeps our own addresses. "Disable MSDP peering with P (e.g., when one's own address is changed)" is event E7
// of RFC 3618, section 11.1.
func (m *Machine) interfaceChange(e engine.InterfaceChange) {
	old := m.ifaces[e.ID]
	for _, a := range old.Addrs {
		if m.owned[a.Addr()]--; m.owned[a.Addr()] == 0 {
			delete(m.owned, a.Addr())
		}
	}
	delete(m.ifaces, e.ID)
	if !e.Gone {
		m.ifaces[e.ID] = e.Interface
		for _, a := range e.Addrs {
			m.owned[a.Addr()]++
		}
	}
	m.enablePeers()
}

// shutdown closes every connection. MSDP has no goodbye: the cache of a peer outlives us by SG-State-Period.
func (m *Machine) shutdown() {
	for _, p := range m.order {
		p.disable("shutdown")
	}
	if len(m.saidListen) > 0 {
		m.emit(engine.Listen{Port: port})
	}
	m.stopped = true
}

func (m *Machine) emit(e engine.Effect) { m.out = append(m.out, e) }

func (m *Machine) note(level engine.Level, neighbor netip.Addr, text string) {
	m.emit(engine.Note{Level: level, Neighbor: neighbor, Text: text})
}
