package bootstrap

import (
	"math"
	"math/big"
	"net/netip"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/wire"
)

// State is that of the state machine of a scope zone: the first two of a router that is no Candidate-BSR for it (section
// 3.1.2), the others of one that is (section 3.1.1). NoInfo is a zone that does not exist.
type State uint8

// The states.
const (
	AcceptAny State = iota
	AcceptPreferred
	CandidateBSR
	PendingBSR
	ElectedBSR
)

// String returns the name in the RFC.
func (s State) String() string {
	return [...]string{"Accept Any", "Accept Preferred", "Candidate-BSR", "Pending-BSR", "Elected-BSR"}[s]
}

// weight is what is compared in the election: "the BSR Priority taking the most-significant bits and the IP address taking the
// least-significant bits" (section 3.1).
type weight struct {
	priority uint8
	address  netip.Addr
}

func (w weight) less(o weight) bool {
	if w.priority != o.priority {
		return w.priority < o.priority
	}
	return w.address.Less(o.address)
}

// zone is the state of a scope zone (section 2).
type zone struct {
	b     *Instance
	scope netip.Prefix // invalid: the whole domain
	// configured says that there is no Scope-Zone Expiry Timer: the zone is the whole domain, or one whose border or candidate
	// we are.
	configured bool

	state State
	self  *Candidate // what we are a candidate as; nil if we are none for this zone
	bsr   weight     // the current BSR; its address is invalid if there is none
	since time.Time  // of the current BSR
	last  []*wire.Bootstrap
	heard bool // a Bootstrap message of this scope was accepted
	bst   engine.Timer
	szt   engine.Timer

	hashMaskLen uint8
	ranges      map[netip.Prefix]*groupRange // of the RP-Set
	mappings    int                          // in all ranges
	partial     map[netip.Prefix]*partial    // ranges that are not whole yet
	partialRPs  int                          // in all of these

	originated time.Time // of our last own message
}

// addZone makes the state of a zone, which is that of a router that has heard nothing.
func (b *Instance) addZone(scope netip.Prefix) *zone {
	z := &zone{b: b, scope: scope, ranges: make(map[netip.Prefix]*groupRange), partial: make(map[netip.Prefix]*partial)}
	z.bst.Do = z.bootstrapTimerExpires
	z.szt.Do = func(time.Time) { z.scopeZoneExpires() }
	b.zones[scope] = z
	return z
}

// remove is "Remove scope zone state".
func (z *zone) remove() {
	z.setBSR(weight{}, time.Time{})
	z.stopTimers()
	z.forgetRPSet()
	delete(z.b.zones, z.scope)
}

func (z *zone) stopTimers() {
	z.b.env.Timers.Stop(&z.bst)
	z.b.env.Timers.Stop(&z.szt)
}

// configure takes over whether the zone is a configured one, and whether we are a candidate for it.
func (z *zone) configure(now time.Time, configured bool) {
	old, c := z.self, z.b.candidate()
	if c != nil && z.scope.IsValid() && !containsScope(c.Zones, z.scope) {
		c = nil
	}
	switch {
	case c == nil && old == nil:
	case c == nil:
		z.resign(now)
	case old == nil || old.Address != c.Address || z.state == PendingBSR && old.Priority != c.Priority:
		// "The initial state for this configured scope zone is "Pending-BSR"; the Bootstrap Timer is initialized to
		// BS_Rand_Override. This is the case both if the router is a Candidate-BSR at startup, and if it is reconfigured to
		// become one later." (section 3.1.1)
		if z.state == ElectedBSR {
			z.handOver(now) // the one with the old address
		}
		z.self = c
		z.pend(now, "configured as a candidate")
	default:
		// Another priority takes effect with the next message, ours or that of the BSR.
		z.self = c
		if z.state == ElectedBSR && (old.Priority != c.Priority || old.HashMaskLen != c.HashMaskLen) {
			z.setBSR(z.own(), now)
			z.originateSoon(now)
		}
	}
	if configured != z.configured {
		z.configured = configured
		if configured {
			z.b.env.Timers.Stop(&z.szt)
		} else if z.state == AcceptAny {
			z.b.env.Timers.Set(&z.szt, now.Add(z.b.cfg.ZoneTimeout))
		}
	}
}

// resign ends our candidacy.
func (z *zone) resign(now time.Time) {
	switch z.state {
	case CandidateBSR:
		z.become(AcceptPreferred, "no longer a candidate")
	case ElectedBSR, PendingBSR:
		if z.state == ElectedBSR {
			z.handOver(now)
		}
		z.b.env.Timers.Stop(&z.bst)
		z.last = nil
		z.setBSR(weight{}, now)
		z.become(AcceptAny, "no longer a candidate")
	}
	z.self = nil
}

func containsScope(list []netip.Prefix, scope netip.Prefix) bool {
	for _, p := range list {
		if scopeOf(p) == scope {
			return true
		}
	}
	return false
}

// become makes the transition to a state.
func (z *zone) become(s State, cause string) {
	if s == z.state {
		return
	}
	old := z.state
	if old == ElectedBSR {
		z.forgetOffers()
	}
	z.state = s
	t := engine.Transition{From: z.b.env.ID, Entity: "bsr", Old: old.String(), New: s.String(), Cause: cause}
	if z.scope.IsValid() {
		t.Entity = "bsr of " + z.scope.String()
	}
	z.b.env.Emit(t)
}

// setBSR changes the current BSR.
func (z *zone) setBSR(w weight, now time.Time) {
	if old := z.bsr.address; old != w.address {
		if w.address.IsValid() {
			z.b.env.Track(w.address)
		}
		if old.IsValid() {
			z.b.env.Untrack(old)
		}
		z.since = now
		z.bsr = w
		if w.address.IsValid() {
			for _, rp := range z.b.rps {
				rp.newBSR(now, z)
			}
		}
	}
	z.bsr = w
}

// pend enters Pending-BSR with BS_Rand_Override.
func (z *zone) pend(now time.Time, cause string) {
	override := z.randOverride()
	z.setBSR(weight{}, now)
	z.last = nil
	z.become(PendingBSR, cause)
	z.b.env.Timers.Set(&z.bst, now.Add(override))
}

// own is our weight as a candidate. In the states Pending-BSR and Elected-BSR it is that of the current BSR (section 3.1.4).
func (z *zone) own() weight { return weight{z.self.Priority, z.self.Address} }

// bootstrapTimerExpires is that event of all states.
func (z *zone) bootstrapTimerExpires(now time.Time) {
	switch z.state {
	case AcceptPreferred:
		z.refresh(now)
		z.setBSR(weight{}, now)
		z.last = nil
		z.become(AcceptAny, "Bootstrap Timer expires")
		if !z.configured {
			z.b.env.Timers.Set(&z.szt, now.Add(z.b.cfg.ZoneTimeout))
		}
	case CandidateBSR:
		z.refresh(now)
		z.pend(now, "Bootstrap Timer expires")
	case PendingBSR:
		z.become(ElectedBSR, "Bootstrap Timer expires")
		z.setBSR(z.own(), now)
		z.originate(now)
	case ElectedBSR:
		z.originate(now)
	}
	z.b.publish()
}

// refresh is "Refresh RP-Set".
func (z *zone) refresh(now time.Time) {
	z.forgetPartial()
	for _, m := range z.last {
		z.store(now, m)
	}
}

// scopeZoneExpires is "Scope-Zone Expiry Timer Expires".
func (z *zone) scopeZoneExpires() {
	z.b.note(engine.Info, "no Bootstrap messages of the scope zone %v any more: it is forgotten", z.scope)
	z.remove()
	z.b.publish()
}

// randOverride is BS_Rand_Override (section 5): from 5 to 23 seconds, the smaller the higher our weight is.
func (z *zone) randOverride() time.Duration {
	me, stored := z.own(), z.bsr
	bestPriority, bestAddr := me.priority, me.address
	if stored.address.IsValid() {
		bestPriority = max(bestPriority, stored.priority)
		if bestAddr.Less(stored.address) {
			bestAddr = stored.address
		}
	}
	bits := float64(me.address.BitLen())
	priorityDelay := 2 * math.Log2(1+float64(bestPriority-me.priority))
	var addrDelay float64
	if bestPriority == me.priority {
		addrDelay = math.Log2(1+float(new(big.Int).Sub(number(bestAddr), number(me.address)))) / (bits / 2)
	} else {
		addrDelay = 2 - float(number(me.address))/math.Exp2(bits-1)
	}
	return time.Duration((5 + priorityDelay + addrDelay) * float64(z.b.cfg.Second))
}

// number is an address as a number.
func number(a netip.Addr) *big.Int { return new(big.Int).SetBytes(a.AsSlice()) }

func float(n *big.Int) float64 {
	f, _ := n.Float64()
	return f
}
