package pimsm

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"grove/internal/engine"
	"grove/internal/ip"
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
	slots  [slots]*iface
	freed  []int // slots that are free from the next Settled on
	owned  map[netip.Addr]int

	groups  map[netip.Addr]*group
	sources map[engine.Key]*source
	targets map[netip.Addr]*target
	rps     []*target // those of the configuration

	touchedGroups  []*group
	touchedSources []*source
	updating       bool

	unsaidGroups  []*group
	unsaidSources []*source
	said          row // of (*,*)
}

// New returns a machine. It speaks IPv4 or IPv6 as id.Family says, and does nothing until it is configured.
func New(id engine.MachineID, rng *rand.Rand) *Machine {
	return &Machine{
		id: id, rng: rng, cfg: Config{}.withDefaults(id.Family),
		ifaces: make(map[engine.IfID]*iface), owned: make(map[netip.Addr]int),
		groups: make(map[netip.Addr]*group), sources: make(map[engine.Key]*source),
		targets: make(map[netip.Addr]*target),
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
	m.sayRows()
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
	for _, g := range engine.SortedAddrs(m.groups) {
		if g.up.state == Joined {
			m.queuePrune(nodeOf(g), g.up.rpf)
		}
	}
	for _, s := range engine.SortedKeys(m.sources) {
		if s.up.state == Joined {
			m.queuePrune(node{s.g, s}, s.up.rpf)
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

// ---- entries ----

func (m *Machine) group(a netip.Addr) *group   { return m.groups[a] }
func (m *Machine) source(k engine.Key) *source { return m.sources[k] }

// makeGroup returns the state of a group, made if there is none; nil if there is no room for more.
func (m *Machine) makeGroup(a netip.Addr) *group {
	if g := m.groups[a]; g != nil {
		return g
	}
	if !m.room() {
		return nil
	}
	g := &group{addr: a, ssm: m.isSSM(a)}
	g.m = m
	m.groups[a] = g
	g.setRP(m.rpOf(a))
	m.touchGroup(g)
	return g
}

// makeSource returns the state of a source of a group, made if there is none; nil if there is no room for more. State
// of which nothing remains when the Step ends goes again.
func (m *Machine) makeSource(a, group netip.Addr) *source {
	if s := m.sources[engine.SG(a, group)]; s != nil {
		return s
	}
	g := m.makeGroup(group)
	if g == nil || !m.room() {
		return nil
	}
	if len(g.sources.all) >= m.cfg.MaxSources {
		m.counts.Add("too many sources of a group")
		return nil
	}
	s := &source{addr: a, g: g}
	s.m = m
	m.sources[s.key()] = s
	g.sources.add(s, placeInGroup)
	s.rpf = m.track(a)
	s.rpf.sources.add(s, placeInTarget)
	m.touchSource(s)
	return s
}

func (m *Machine) room() bool {
	if len(m.groups)+len(m.sources) < m.cfg.MaxEntries {
		return true
	}
	m.counts.Add("too many entries")
	return false
}

// setRP changes RP(G).
func (g *group) setRP(rp *target) {
	if g.ssm {
		rp = nil
	}
	if g.rpf == rp {
		return
	}
	old := g.rpf
	if old != nil {
		old.groups.remove(g, placeInRP)
		old.release()
	}
	g.rpf = rp
	if rp != nil {
		rp.groups.add(g, placeInRP)
	}
	if g.up.state == Joined {
		g.m.queueJoin(nodeOf(g), rpfNeighborStarG(g)) // the Join names the RP
	}
	g.m.touchGroup(g)
}

// isSSM says whether a group is in an SSM range (section 4.8).
func (m *Machine) isSSM(g netip.Addr) bool {
	for _, p := range m.cfg.SSM {
		if p.Contains(g) {
			return true
		}
	}
	return false
}

// rpOf returns RP(G) by the longest matching prefix (section 4.7.1); nil if none is known. Among equals the highest
// address serves: static mappings have no priority.
func (m *Machine) rpOf(g netip.Addr) *target {
	var best *target
	bits := -1
	for _, rp := range m.cfg.RPs {
		for _, p := range rp.Groups {
			if p.Contains(g) && (p.Bits() > bits || p.Bits() == bits && best.addr.Less(rp.Address)) {
				best, bits = m.targets[rp.Address], p.Bits()
			}
		}
	}
	return best
}

// touchGroup says that something changed from which state of the group and of its sources follows.
func (m *Machine) touchGroup(g *group) {
	if !g.touched {
		g.touched = true
		m.touchedGroups = append(m.touchedGroups, g)
	}
}

func (m *Machine) touchSource(s *source) {
	if !s.touched {
		s.touched = true
		m.touchedSources = append(m.touchedSources, s)
	}
}

func (m *Machine) sayGroupLater(g *group) {
	if !g.unsaid {
		g.unsaid = true
		m.unsaidGroups = append(m.unsaidGroups, g)
	}
}

func (m *Machine) sayLater(s *source) {
	if !s.unsaid {
		s.unsaid = true
		m.unsaidSources = append(m.unsaidSources, s)
	}
}

// update works out what follows from what was touched, until nothing does: groups first, because their sources depend
// on them and not they on their sources.
func (m *Machine) update() {
	if m.updating {
		return
	}
	m.updating = true
	for len(m.touchedGroups)+len(m.touchedSources) > 0 {
		for n := 0; n < len(m.touchedGroups); n++ {
			g := m.touchedGroups[n]
			g.touched = false
			if !g.gone {
				g.update()
			}
		}
		m.touchedGroups = m.touchedGroups[:0]
		sources := m.touchedSources
		m.touchedSources = nil
		for _, s := range sources {
			s.touched = false
			if !s.gone {
				s.update()
			}
		}
	}
	m.updating = false
}

// update makes the transitions of the group's state machines that follow from macros.
func (g *group) update() {
	g.updateAsserts()
	g.updateUpstream()
	g.sweep()
	g.m.sayGroupLater(g)
	for _, s := range g.sources.all {
		g.m.touchSource(s)
	}
	if len(g.oifs) == 0 && len(g.sources.all) == 0 && g.up.state == NotJoined {
		g.remove()
	}
}

// update makes the transitions of the source's state machines that follow from macros. The order matters: the Register
// tunnel is in the list that decides of the Join, and the Join decides of the SPTbit.
func (s *source) update() {
	s.updateAsserts()
	s.updateRegister()
	s.updateUpstream()
	// A flow that is known to come in on RPF_interface(S) will do so again: what its next packet sets is set.
	if !s.sptBit && s.flow.Running() && updateSPTbit(s, s.iif) {
		s.setSPTbit("data arrives on RPF_interface(S)")
	}
	s.updateDataAsserts()
	s.updateRpt()
	s.sweep()
	s.m.sayLater(s)
	if s.idle() {
		s.remove()
	}
}

// idle says that no state is left but what would be so without the entry.
func (s *source) idle() bool {
	return len(s.oifs) == 0 && s.up.state == NotJoined && s.register == nil && s.decap == nil &&
		!s.kat.Running() && !s.flow.Running() && (s.rpt.ot == nil || !s.rpt.ot.Running()) && s.rpf.known
}

func (s *source) remove() {
	m := s.m
	s.gone = true
	if s.said.wanted {
		m.want(s.key(), row{})
	}
	if s.asked {
		m.emit(engine.Decline{Key: s.key()})
	}
	if s.rpt.state == Pruned {
		s.setRpt(RPTNotJoined, "no (S,G) state is left")
	}
	delete(m.sources, s.key())
	s.g.sources.remove(s, placeInGroup)
	s.rpf.sources.remove(s, placeInTarget)
	s.rpf.release()
	m.touchGroup(s.g)
}

func (g *group) remove() {
	m := g.m
	g.gone = true
	if g.said.wanted {
		m.want(g.key(), row{})
	}
	delete(m.groups, g.addr)
	if g.rpf != nil {
		g.rpf.groups.remove(g, placeInRP)
		g.rpf.release()
	}
}

// validSource says whether an address can be the source of a multicast packet.
func validSource(a netip.Addr) bool {
	return a.IsValid() && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback() && !a.IsLinkLocalUnicast()
}

// validGroup says whether a group can have state.
func validGroup(a netip.Addr) bool { return ip.Forwarded(a) }

func unspecified(f engine.Family) netip.Addr {
	if f == engine.IPv6 {
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}
