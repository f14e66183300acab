package neighbor

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/wire"
)

// Env is what a Machine lends to an Interface. Every field but HelloSent must be set.
type Env struct {
	ID     engine.MachineID // of the Machine; its family is the family of the Hellos
	If     engine.IfID
	Rand   *rand.Rand
	Timers *engine.Timers
	Counts *engine.Counts // of what is dropped
	Emit   func(engine.Effect)
	// Send sends a message out of the interface from src to dst with TTL 1. src is not one of the interface's addresses
	// any more when it says goodbye for an old one.
	Send func(now time.Time, src, dst netip.Addr, m wire.Message)

	// NeighborUp, NeighborDown and NeighborRestarted (a new Generation ID) tell of neighbors.
	NeighborUp        func(now time.Time, n *Neighbor)
	NeighborDown      func(now time.Time, n *Neighbor)
	NeighborRestarted func(now time.Time, n *Neighbor)
	// HelloSent says that a Hello went out: all neighbors know us now. It may be nil.
	HelloSent func(now time.Time)
	// AddressesChanged says that secondary addresses moved: Neighbor(addr) may have another answer.
	AddressesChanged func(now time.Time)
	// DRChanged says who the DR was and is: an address of ours or of a neighbor; invalid while PIM does not run.
	DRChanged func(now time.Time, old, dr netip.Addr)
	// ParametersChanged says that an effective delay or the suppression changed.
	ParametersChanged func(now time.Time)
}

// Interface is PIM's neighborhood on one interface.
type Interface struct {
	env  Env
	cfg  Config
	link engine.Interface

	running   bool
	primary   netip.Addr
	secondary []netip.Addr // sorted
	genID     uint32

	hello     engine.Timer // HT(I)
	triggered engine.Timer // a Hello for a new or restarted neighbor
	said      []byte       // the last Hello, sent from primary and with genID; nil: none yet

	neighbors map[netip.Addr]*Neighbor // by primary address
	owners    map[netip.Addr]*Neighbor // by secondary address
	conflict  time.Time                // of the last warning about a secondary address

	dr     netip.Addr
	params parameters
}

// New returns an interface that does not run yet: Update starts it.
func New(env Env, cfg Config) *Interface {
	i := &Interface{
		env: env, cfg: cfg, neighbors: make(map[netip.Addr]*Neighbor), owners: make(map[netip.Addr]*Neighbor),
	}
	i.hello.Do = func(now time.Time) {
		i.sendHello(now)
		i.env.Timers.Set(&i.hello, now.Add(i.cfg.HelloPeriod))
	}
	i.triggered.Do = i.sendHello
	i.params = i.parameters()
	return i
}

// Update tells the state of the link. PIM runs while packets can pass, the link can multicast, and it has an address to
// speak from. For a link that is gone, give a state that is not running.
func (i *Interface) Update(now time.Time, link engine.Interface) {
	i.link = link
	primary := link.Primary(i.env.ID.Family)
	runs := link.Running() && link.Multicast && primary.IsValid()
	if i.running && !runs {
		i.stop(now, "interface down")
	}
	if !runs {
		return
	}
	secondary := i.secondaryOf(primary)
	switch {
	case !i.running:
		i.primary, i.secondary = primary, secondary
		i.start(now)
	case primary != i.primary:
		// RFC 7761, section 4.3.1: holdtime 0 from the old address, then a Hello from the new one.
		i.goodbye(now)
		i.primary, i.secondary, i.said = primary, secondary, nil
		i.sendHello(now)
		i.changed(now, "primary address changed", nil)
	case !slices.Equal(secondary, i.secondary):
		i.secondary = secondary
		i.sayChange(now)
	}
}

// secondaryOf returns the link's addresses of our family but the primary one.
func (i *Interface) secondaryOf(primary netip.Addr) []netip.Addr {
	var list []netip.Addr
	for _, p := range i.link.Addrs {
		if a := p.Addr(); engine.FamilyOf(a) == i.env.ID.Family && a != primary && !a.IsLoopback() {
			list = append(list, a)
		}
	}
	slices.SortFunc(list, netip.Addr.Compare)
	return slices.Compact(list)
}

// Configure changes what differs in cfg.
func (i *Interface) Configure(now time.Time, cfg Config) {
	old := i.cfg
	if !i.running {
		i.cfg = cfg
		return
	}
	if cfg.Passive != old.Passive || cfg.Silent != old.Silent {
		i.stop(now, "configuration changed")
		i.cfg = cfg
		i.start(now)
		return
	}
	i.cfg = cfg
	if cfg.HelloPeriod != old.HelloPeriod && i.hello.Running() {
		i.env.Timers.SetMin(&i.hello, now.Add(cfg.HelloPeriod))
	}
	i.sayChange(now)
	i.changed(now, "configuration changed", nil)
}

// Stop ends PIM on the interface: it says goodbye if it can, and every neighbor is down. Update starts it again.
func (i *Interface) Stop(now time.Time) {
	if i.running {
		i.stop(now, "PIM stopped")
	}
}

func (i *Interface) start(now time.Time) {
	i.running = true
	// RFC 7761, section 4.3.1: a new Generation ID each time that PIM is started on the interface.
	for old := i.genID; i.genID == old; {
		i.genID = i.env.Rand.Uint32()
	}
	if i.cfg.speaks() {
		i.joinAllRouters(true)
		i.env.Timers.Set(&i.hello, now.Add(i.upTo(i.cfg.TriggeredHelloDelay)))
	}
	i.changed(now, "PIM started", nil)
}

func (i *Interface) stop(now time.Time, cause string) {
	if i.link.Running() {
		i.goodbye(now)
	}
	i.running, i.said = false, nil
	i.env.Timers.Stop(&i.hello)
	i.env.Timers.Stop(&i.triggered)
	if i.cfg.speaks() {
		i.joinAllRouters(false)
	}
	gone := i.Neighbors()
	for _, n := range gone {
		i.forget(n)
	}
	i.changed(now, cause, func() {
		for _, n := range gone {
			i.down(now, n, cause)
		}
	})
}

func (i *Interface) joinAllRouters(member bool) {
	i.env.Emit(engine.HostGroup{If: i.env.If, Group: wire.AllPIMRouters(i.env.ID.Family), Member: member})
}

// changed works out what follows from the neighbors and our own settings, calls tell if there is one, then tells of
// the DR and of the parameters if they changed.
func (i *Interface) changed(now time.Time, cause string, tell func()) {
	oldDR, oldParams := i.dr, i.params
	i.dr, i.params = i.electDR(), i.parameters()
	dr, params := i.dr, i.params
	if tell != nil {
		tell()
	}
	if dr != oldDR {
		i.env.Emit(engine.Transition{
			From: i.env.ID, Entity: "DR", If: i.env.If, Old: name(oldDR), New: name(dr), Cause: cause,
		})
		i.env.DRChanged(now, oldDR, dr)
	}
	if params != oldParams {
		i.env.ParametersChanged(now)
	}
}

func name(a netip.Addr) string {
	if !a.IsValid() {
		return "none"
	}
	return a.String()
}

// Running says whether PIM runs on the interface.
func (i *Interface) Running() bool { return i.running }

// Passive says whether the interface is configured to neither send nor accept Hellos.
func (i *Interface) Passive() bool { return i.cfg.Passive }

// Count returns the number of neighbors.
func (i *Interface) Count() int { return len(i.neighbors) }

// Primary returns the address that we speak from on the interface, while PIM runs.
func (i *Interface) Primary() netip.Addr {
	if !i.running {
		return netip.Addr{}
	}
	return i.primary
}

// StateRefreshCapable is the macro StateRefreshCapable(I) of RFC 3973 section 4.5.1: we and all neighbors use the option.
func (i *Interface) StateRefreshCapable() bool {
	if !i.running || i.cfg.StateRefreshInterval == 0 {
		return false
	}
	for _, n := range i.Neighbors() {
		if !n.StateRefreshCapable {
			return false
		}
	}
	return true
}

// GenerationID returns our own Generation ID on the interface.
func (i *Interface) GenerationID() uint32 { return i.genID }

// upTo returns a random duration of at most d.
func (i *Interface) upTo(d time.Duration) time.Duration {
	return time.Duration(i.env.Rand.Int64N(int64(max(d, 0)) + 1))
}
