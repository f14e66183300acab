package bootstrap

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/wire"
)

// Env is what a Machine lends to an Instance. Every field must be set.
type Env struct {
	ID     engine.MachineID
	Rand   *rand.Rand
	Timers *engine.Timers
	Counts *engine.Counts
	Emit   func(engine.Effect)
	// Interfaces are those on which PIM runs, always in the same order.
	Interfaces func() []Interface
	// Local says whether an address is one of this router's.
	Local func(netip.Addr) bool
	// Multicast sends a Bootstrap message to ALL-PIM-ROUTERS out of an interface, from our primary address there; Unicast
	// sends one to a neighbor on it.
	Multicast func(engine.IfID, *wire.Bootstrap)
	Unicast   func(i engine.IfID, to netip.Addr, m *wire.Bootstrap)
	// Advertise sends a Candidate-RP-Advertisement from an address of ours.
	Advertise func(src, bsr netip.Addr, m *wire.CandidateRPAdv)
	// Track has the path to a BSR followed, Untrack ends one Track.
	Track, Untrack func(bsr netip.Addr)
	// WhenPathKnown calls f with RPF_neighbor(bsr), by its primary address, and invalid if there is none: now, or as soon as
	// the MRIB has answered.
	WhenPathKnown func(bsr netip.Addr, f func(neighbor netip.Addr))
	// Learned is told all mappings that hold, sorted, whenever they are others than before.
	Learned func([]Mapping)
}

// Interface is an interface on which PIM runs.
type Interface struct {
	ID        engine.IfID
	MTU       int
	Neighbors int
	// Border says that no Bootstrap message is sent or accepted here (section 6.3).
	Border bool
	// Boundaries are the scopes whose border is here.
	Boundaries []netip.Prefix
}

// Mapping is a group-to-RP mapping of the RP-Set.
type Mapping struct {
	Groups      netip.Prefix
	Bidir       bool // of BIDIR-PIM: sparse mode has no RP for these groups (section 3.6)
	RP          netip.Addr
	Priority    uint8 // the lowest wins
	HashMaskLen uint8
}

func (m Mapping) compare(o Mapping) int {
	if c := comparePrefix(m.Groups, o.Groups); c != 0 {
		return c
	}
	return m.RP.Compare(o.RP)
}

func comparePrefix(a, b netip.Prefix) int {
	if c := a.Addr().Compare(b.Addr()); c != 0 {
		return c
	}
	return a.Bits() - b.Bits()
}

// Instance is the mechanism on one router.
type Instance struct {
	env     Env
	cfg     Config
	started time.Time
	stopped bool

	zones map[netip.Prefix]*zone // by scope; the zero Prefix is the whole domain
	rps   []*candidateRP         // our own Candidate-RPs
	// offered is the C-RP-Set: what C-RPs advertise to us as a BSR (section 3.3).
	offered    map[netip.Prefix]*offerRange
	candidates int // in all ranges of it

	told  []Mapping
	dirty bool // the mappings may be others than those told
}

// New starts the mechanism. Of a router that starts, too, the first BS_Period begins now (section 3.5).
func New(env Env, cfg Config, now time.Time) *Instance {
	b := &Instance{
		env: env, started: now, zones: make(map[netip.Prefix]*zone), offered: make(map[netip.Prefix]*offerRange),
	}
	b.Configure(now, cfg)
	return b
}

// Configure changes to another configuration. State that it does not touch stays.
func (b *Instance) Configure(now time.Time, cfg Config) {
	b.cfg = cfg.withDefaults(b.env.ID.Family)
	b.configureRPs(now)
	b.Update(now)
}

// Update is to be called when an interface, its border or its boundaries changed, or an address of ours.
func (b *Instance) Update(now time.Time) {
	scopes := map[netip.Prefix]bool{{}: true}
	for _, i := range b.env.Interfaces() {
		for _, p := range i.Boundaries {
			scopes[scopeOf(p)] = true
		}
	}
	if c := b.candidate(); c != nil {
		for _, p := range c.Zones {
			scopes[scopeOf(p)] = true
		}
	}
	for p := range engine.SortedFunc(scopes, comparePrefix) {
		if b.zones[p] == nil {
			b.addZone(p)
		}
	}
	for p, z := range b.sortedZones() {
		z.configure(now, scopes[p])
	}
	for _, rp := range b.rps {
		rp.update(now)
	}
	b.publish()
}

// Stop ends the mechanism. An elected BSR hands over (section 3.3), Candidate-RPs withdraw (section 3.2), and what was
// learned is forgotten.
func (b *Instance) Stop(now time.Time) {
	b.stopped = true // a path that was asked for may still come
	for _, rp := range b.rps {
		rp.withdraw(now, rp.cfg.Groups, nil)
		rp.stop()
	}
	b.rps = nil
	for _, z := range b.sortedZones() {
		if z.self != nil {
			z.resign(now)
		}
		z.remove()
	}
	b.publish()
}

// candidate is what we are as a Candidate-BSR; nil if that is not configured, or the address is not ours.
func (b *Instance) candidate() *Candidate {
	if c := b.cfg.Candidate; c != nil && b.env.Local(c.Address) {
		return c
	}
	return nil
}

func (b *Instance) sortedZones() iter.Seq2[netip.Prefix, *zone] {
	return engine.SortedFunc(b.zones, comparePrefix)
}

// publish tells the mappings, if they changed.
func (b *Instance) publish() {
	if !b.dirty {
		return
	}
	b.dirty = false
	// A BSR includes a mapping in one of its messages only, that of the narrowest scope; where the BSRs of two zones have it, that
	// of the narrower one holds. Zones that contain a range are sorted from the largest to the smallest.
	var zones []*zone
	for _, z := range b.sortedZones() {
		zones = append(zones, z)
	}
	var list []Mapping
	for _, z := range slices.Backward(zones) {
		for p, r := range z.sortedRanges() {
			for _, m := range r.rps {
				list = append(list, Mapping{Groups: p, Bidir: r.bidir, RP: m.rp, Priority: m.priority, HashMaskLen: z.hashMaskLen})
			}
		}
	}
	slices.SortStableFunc(list, Mapping.compare)
	list = slices.CompactFunc(list, func(a, b Mapping) bool { return a.compare(b) == 0 })
	if slices.Equal(list, b.told) {
		return
	}
	b.told = list
	b.env.Learned(list)
}

// drop counts and notes a message that is not processed.
func (b *Instance) drop(i engine.IfID, src netip.Addr, reason string) {
	b.env.Counts.Add(reason)
	b.env.Emit(engine.Note{From: b.env.ID, Level: engine.Debug, If: i, Neighbor: src, Text: "dropped: " + reason})
}

func (b *Instance) note(level engine.Level, format string, args ...any) {
	b.env.Emit(engine.Note{From: b.env.ID, Level: level, Text: fmt.Sprintf(format, args...)})
}

func (b *Instance) upTo(d time.Duration) time.Duration {
	return time.Duration(b.env.Rand.Int64N(int64(max(d, 0)) + 1))
}

// scopeOf returns the scope that a range stands for: for IPv4 the range itself, for IPv6 the one that has its scope ID,
// written ff0s::/16 (section 3.1).
func scopeOf(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4() {
		return p.Masked()
	}
	return netip.PrefixFrom(netip.AddrFrom16([16]byte{0xff, scopeID(p)}), scopeBits)
}

// scopeBits are the leading bits of an IPv6 multicast address that hold its scope ID.
const scopeBits = 16

// scopeID returns the scope ID of a range; of one that holds several scopes, as ff00::/8 does, the largest.
func scopeID(p netip.Prefix) byte {
	if p.Bits() < scopeBits {
		return 0x0f
	}
	return p.Addr().As16()[1] & 0x0f
}

// contains says whether a range of groups is in a scope.
func contains(scope, groups netip.Prefix) bool {
	switch {
	case !scope.IsValid():
		return true
	case scope.Addr().Is4():
		return scope.Bits() <= groups.Bits() && scope.Contains(groups.Addr())
	}
	return groups.Bits() >= scopeBits && scopeID(scope) == scopeID(groups)
}

// crosses says whether a border of the scopes in boundaries holds up messages of a zone (section 3.4): those of the same or a
// smaller scope.
func crosses(boundaries []netip.Prefix, scope netip.Prefix) bool {
	if !scope.IsValid() {
		return false
	}
	for _, p := range boundaries {
		if scope.Addr().Is4() && contains(p, scope) || !scope.Addr().Is4() && p.Addr().Is6() && scopeID(scope) <= scopeID(p) {
			return true
		}
	}
	return false
}
