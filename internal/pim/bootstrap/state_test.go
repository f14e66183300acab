package bootstrap

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/wire"
)

// The tables of sections 3.1.1 and 3.1.2, and what the text makes of messages, written down a second time: slowly, one cell a
// line, with the names of the RFC.

const noInfo = "NoInfo"

// cell is what a table says of an event in a state.
type cell struct {
	next    string
	actions []string
}

const (
	forwardBSM      = "Forward BSM"
	storeRPSet      = "Store RP-Set"
	originateBSM    = "Originate BSM"
	refreshRPSet    = "Refresh RP-Set"
	removeBSRState  = "Remove BSR state"
	removeZoneState = "Remove scope zone state"
	bstTimeout      = "Set Bootstrap Timer to BS_Timeout"
	bstPeriod       = "Set Bootstrap Timer to BS_Period"
	bstOverride     = "Set Bootstrap Timer to BS_Rand_Override"
	sztTimeout      = "Set SZT to SZ_Timeout"
)

var tables = map[string]map[string]cell{
	"Candidate-BSR": {
		"Receive Preferred BSM":                      {"Candidate-BSR", []string{forwardBSM, storeRPSet, bstTimeout}},
		"Bootstrap Timer Expires":                    {"Pending-BSR", []string{refreshRPSet, bstOverride}}, // Refresh: section 3.1.5, "When the Bootstrap Timer expires"
		"Receive Non-preferred BSM from Elected BSR": {"Pending-BSR", []string{forwardBSM, bstOverride}},
	},
	"Pending-BSR": {
		"Receive Preferred BSM":     {"Candidate-BSR", []string{forwardBSM, storeRPSet, bstTimeout}},
		"Bootstrap Timer Expires":   {"Elected-BSR", []string{originateBSM, bstPeriod}},
		"Receive Non-preferred BSM": {"Pending-BSR", []string{forwardBSM}},
	},
	"Elected-BSR": {
		"Receive Preferred BSM":     {"Candidate-BSR", []string{forwardBSM, storeRPSet, bstTimeout}},
		"Bootstrap Timer Expires":   {"Elected-BSR", []string{originateBSM, bstPeriod}},
		"Receive Non-preferred BSM": {"Elected-BSR", []string{originateBSM, bstPeriod}},
	},
	noInfo: {
		"Receive BSM": {"Accept Preferred", []string{forwardBSM, storeRPSet, bstTimeout}},
	},
	"Accept Any": {
		"Receive BSM":                     {"Accept Preferred", []string{forwardBSM, storeRPSet, bstTimeout}},
		"Scope-Zone Expiry Timer Expires": {noInfo, []string{removeZoneState}},
	},
	"Accept Preferred": {
		"Receive Preferred BSM":     {"Accept Preferred", []string{forwardBSM, storeRPSet, bstTimeout}},
		"Bootstrap Timer Expires":   {"Accept Any", []string{refreshRPSet, removeBSRState, sztTimeout}},
		"Receive Non-preferred BSM": {"Accept Preferred", nil},
	},
}

// slowZone is the state of section 2, for one zone.
type slowZone struct {
	now        time.Time
	candidate  bool
	configured bool // no SZT, no NoInfo
	me         slowBSR
	state      string
	bsr        slowBSR
	bst, szt   time.Time // zero: not running
	last       *wire.Bootstrap
	rpSet      map[string]slowMapping // by "range RP"
	hashMask   uint8
	lastSent   time.Time // of our own
	cells      map[string]int

	forwarded, originated bool // in this step
}

type slowBSR struct {
	priority uint8
	address  netip.Addr
}

func (b slowBSR) atLeast(o slowBSR) bool {
	return slowWeight(b.priority, b.address).Cmp(slowWeight(o.priority, o.address)) >= 0
}

type slowMapping struct {
	priority uint8
	expires  time.Time
}

// eventOf is section 3.1.4.
func (z *slowZone) eventOf(from slowBSR) string {
	switch z.state {
	case noInfo, "Accept Any":
		return "Receive BSM"
	case "Pending-BSR", "Elected-BSR": // of an Elected-BSR the current BSR is itself
		if from.atLeast(z.me) {
			return "Receive Preferred BSM"
		}
		return "Receive Non-preferred BSM"
	}
	fromCurrent := from.address == z.bsr.address
	switch {
	case from.atLeast(z.bsr):
		return "Receive Preferred BSM"
	case fromCurrent && (!z.candidate || from.atLeast(z.me)):
		return "Receive Preferred BSM"
	case fromCurrent:
		return "Receive Non-preferred BSM from Elected BSR"
	}
	return "Receive Non-preferred BSM"
}

func (z *slowZone) event(name string, from slowBSR, m *wire.Bootstrap) {
	c, ok := tables[z.state][name]
	if !ok {
		// "Receive Non-preferred BSM" in C-BSR state has no column.
		if z.state == "Candidate-BSR" && name == "Receive Non-preferred BSM" {
			z.cells[z.state+": "+name]++
			return
		}
		panic(z.state + ": " + name)
	}
	z.cells[z.state+": "+name]++
	for _, a := range c.actions {
		switch a {
		case forwardBSM:
			z.forwarded = !m.NoForward
		case storeRPSet:
			z.store(m)
			z.last, z.bsr = m, from
		case refreshRPSet:
			if z.last != nil {
				z.store(z.last)
			}
		case originateBSM:
			z.bsr = z.me
			if wait := z.lastSent.Add(10 * time.Second).Sub(z.now); name == "Receive Non-preferred BSM" && wait > 0 {
				// "There MUST however be a minimum of BS_Min_Interval between each time a BSM is sent" (section 3.3).
				if at := z.now.Add(wait); at.Before(z.bst) {
					z.bst = at
				}
				return
			}
			z.originated, z.lastSent = true, z.now
		case removeBSRState:
			z.bsr, z.last, z.bst = slowBSR{}, nil, time.Time{}
		case removeZoneState:
			cells := z.cells
			*z = slowZone{now: z.now, me: z.me, cells: cells, rpSet: map[string]slowMapping{}}
		case bstTimeout:
			z.bst, z.szt = z.now.Add(130*time.Second), time.Time{}
		case bstPeriod:
			z.bst = z.now.Add(60 * time.Second)
		case bstOverride:
			stored := z.bsr
			if name == "Receive Non-preferred BSM from Elected BSR" {
				stored = from
			}
			z.bst, z.bsr, z.last = z.now.Add(slowOverride(z.me, stored)), slowBSR{}, nil
		case sztTimeout:
			if !z.configured {
				z.szt = z.now.Add(1300 * time.Second)
			}
		}
	}
	z.state = c.next
	if c.next != noInfo && c.next == "Accept Any" && z.configured {
		z.szt = time.Time{}
	}
}

// store is "Store RP-Set" of a message that is whole.
func (z *slowZone) store(m *wire.Bootstrap) {
	if len(m.Ranges) == 0 || len(m.Ranges) == 1 && m.Ranges[0].Group.Zone && m.Ranges[0].RPCount == 0 {
		return // "This action is skipped for an empty BSM."
	}
	for _, r := range m.Ranges {
		p := netip.PrefixFrom(r.Group.Addr, int(r.Group.MaskLen)).String() + " "
		there := map[string]bool{}
		for _, rp := range r.RPs {
			key := p + rp.RP.String()
			there[key] = true
			z.rpSet[key] = slowMapping{rp.Priority, z.now.Add(rp.Holdtime)}
			if rp.Holdtime == 0 {
				delete(z.rpSet, key)
			}
		}
		for key := range z.rpSet {
			if len(key) > len(p) && key[:len(p)] == p && !there[key] {
				delete(z.rpSet, key)
			}
		}
	}
	z.hashMask = m.HashMaskLen
}

// pass lets time pass.
func (z *slowZone) pass(now time.Time) {
	for {
		// What is due first.
		due, name := now.Add(1), ""
		if !z.bst.IsZero() && z.bst.Before(due) {
			due, name = z.bst, "Bootstrap Timer Expires"
		}
		if !z.szt.IsZero() && z.szt.Before(due) {
			due, name = z.szt, "Scope-Zone Expiry Timer Expires"
		}
		for key, m := range z.rpSet {
			if !m.expires.After(now) && m.expires.Before(due) {
				delete(z.rpSet, key)
			}
		}
		if name == "" {
			break
		}
		z.now = due
		z.event(name, slowBSR{}, nil)
	}
	z.now = now
}

// walker drives one router and the slow reading with the same random messages and times.
type walker struct {
	t     *testing.T
	n     *network
	r     *router
	link  *link
	peer  *router
	scope netip.Prefix
	slow  *slowZone
	log   []string
}

// peerBSRs are those whose messages come: two below our address, two above.
var peerBSRs = []string{"10.255.0.1", "10.255.0.2", "10.255.0.8", "10.255.0.9"}

func newWalker(t *testing.T, seed uint64, cells map[string]int) *walker {
	n := newNetwork(t, engine.IPv4, seed)
	w := &walker{t: t, n: n, r: n.addRouter("10.255.0.5", Config{}), peer: n.addRouter("10.255.0.1", Config{})}
	for _, a := range peerBSRs[1:] {
		w.peer.others = append(w.peer.others, netip.MustParseAddr(a))
	}
	w.link = n.addLink(w.r, w.peer)
	candidate, scoped := n.rng.IntN(2) == 0, n.rng.IntN(2) == 0
	configured := !scoped || n.rng.IntN(2) == 0
	if scoped {
		w.scope = netip.MustParsePrefix("239.0.0.0/8")
		if configured {
			// The border is elsewhere.
			other := n.addLink(w.r)
			other.boundaries = []netip.Prefix{w.scope}
		}
	}
	me := slowBSR{100, w.r.address}
	if candidate {
		c := &Candidate{Address: w.r.address, Priority: me.priority, HashMaskLen: 30}
		if scoped {
			c.Zones = []netip.Prefix{w.scope}
			configured = true
		}
		w.r.cfg.Candidate = c
	}
	w.slow = &slowZone{
		now: n.now, candidate: candidate, configured: configured, me: me, state: noInfo, rpSet: map[string]slowMapping{}, cells: cells,
	}
	n.deny = func(_, _ *router, _ wire.Message) bool { return true } // the peer says only what the walk has it say
	n.startAll()
	n.run(time.Second) // whoever is new is primed
	w.slow.now = n.now
	switch {
	case candidate:
		w.slow.state, w.slow.bst = "Pending-BSR", n.start.Add(slowOverride(me, slowBSR{}))
	case configured:
		w.slow.state = "Accept Any"
	}
	return w
}

// message makes a message of a random BSR.
func (w *walker) message() *wire.Bootstrap {
	rng := w.n.rng
	m := &wire.Bootstrap{
		FragmentTag: uint16(rng.Uint32()), HashMaskLen: uint8(rng.IntN(33)), Priority: uint8(99 + rng.IntN(3)),
		BSR: netip.MustParseAddr(peerBSRs[rng.IntN(len(peerBSRs))]),
	}
	if w.scope.IsValid() {
		m.Ranges = append(m.Ranges, wire.RPRange{Group: wire.Group{Addr: w.scope.Addr(), MaskLen: uint8(w.scope.Bits()), Zone: true}})
	}
	for k := range rng.IntN(3) {
		m.Ranges = append(m.Ranges, wire.RPRange{Group: wire.Group{Addr: netip.AddrFrom4([4]byte{239, byte(k)}), MaskLen: 16}})
	}
	for i := range m.Ranges {
		r := &m.Ranges[i]
		for k := range byte(3) {
			if rng.IntN(2) == 0 {
				r.RPs = append(r.RPs, wire.RPMapping{
					RP: netip.AddrFrom4([4]byte{10, 254, 0, k}), Holdtime: time.Duration(rng.IntN(4)*100) * time.Second, Priority: uint8(rng.IntN(3)),
				})
			}
		}
		r.RPCount = uint8(len(r.RPs))
	}
	return m
}

func (w *walker) step() {
	rng := w.n.rng
	w.slow.forwarded, w.slow.originated = false, false
	w.r.sent = nil
	if rng.IntN(3) > 0 {
		m := w.message()
		from := slowBSR{m.Priority, m.BSR}
		event := w.slow.eventOf(from)
		w.log = append(w.log, fmt.Sprintf("%v %s: %s from %d/%v %v", w.n.now.Sub(w.n.start), w.slow.state, event, m.Priority, m.BSR, m.Ranges))
		w.slow.event(event, from, m)
		w.r.b.Receive(w.n.now, w.r.iface(w.link), w.link.on(w.peer), wire.AllPIMRouters(engine.IPv4), true, m)
		w.n.run(0)
	} else {
		d := []time.Duration{time.Second, 4 * time.Second, 9 * time.Second, 50 * time.Second, 131 * time.Second, 1300 * time.Second}[rng.IntN(6)]
		w.log = append(w.log, fmt.Sprintf("%v passes", d))
		w.n.run(d)
		w.slow.pass(w.n.now)
	}
	w.compare()
}

func (w *walker) compare() {
	t, s := w.t, w.slow
	fail := func(format string, args ...any) {
		t.Helper()
		t.Errorf(format, args...)
	}
	z := w.r.b.zones[w.scope]
	if z == nil {
		if s.state != noInfo || len(s.rpSet) > 0 {
			fail("there is no zone, want %s", s.state)
		}
		return
	}
	near := func(timer *engine.Timer, want time.Time) bool {
		if want.IsZero() {
			return !timer.Running()
		}
		return timer.Running() && timer.At().Sub(want).Abs() < time.Millisecond
	}
	if z.state.String() != s.state {
		fail("state %v, want %v", z.state, s.state)
	}
	if (slowBSR{z.bsr.priority, z.bsr.address}) != s.bsr {
		fail("BSR %v, want %v", z.bsr, s.bsr)
	}
	if !near(&z.bst, s.bst) {
		fail("Bootstrap Timer at %v, want %v", z.bst.At().Sub(w.n.start), s.bst.Sub(w.n.start))
	}
	if !near(&z.szt, s.szt) {
		fail("Scope-Zone Expiry Timer at %v, want %v", z.szt.At().Sub(w.n.start), s.szt.Sub(w.n.start))
	}
	forwarded, originated := false, false
	for _, x := range w.r.sent {
		if scoped := len(x.m.Ranges) > 0 && x.m.Ranges[0].Group.Zone; x.i != w.link.id || scoped != w.scope.IsValid() {
			continue
		}
		if x.m.BSR == w.r.address {
			originated = true
		} else {
			forwarded = true
		}
	}
	if forwarded != s.forwarded || originated != s.originated {
		fail("forwarded %v, originated %v, want %v, %v", forwarded, originated, s.forwarded, s.originated)
	}
	var have, want []string
	for p, r := range z.ranges {
		for _, m := range r.rps {
			have = append(have, fmt.Sprintf("%v %v %d %v", p, m.rp, m.priority, m.expiry.At().Sub(w.n.start)))
		}
	}
	for key, m := range s.rpSet {
		want = append(want, fmt.Sprintf("%s %d %v", key, m.priority, m.expires.Sub(w.n.start)))
	}
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		fail("RP-Set\n%v\nwant\n%v", have, want)
	}
	for _, m := range w.r.told {
		if m.HashMaskLen != s.hashMask {
			fail("hash mask %d, want %d", m.HashMaskLen, s.hashMask)
			break
		}
	}
	w.r.checkInvariants(t)
}

// TestStateMachines walks through the tables of sections 3.1.1 and 3.1.2, cell by cell: random messages and times, the state, the
// BSR, both timers, the RP-Set and what is sent compared after each with the slow reading above. Every cell is met.
func TestStateMachines(t *testing.T) {
	cells := map[string]int{}
	for seed := range uint64(200) {
		w := newWalker(t, seed, cells)
		w.compare()
		for range 150 {
			w.step()
			if t.Failed() {
				t.Fatalf("seed %d, candidate %v, zone %v, configured %v:\n%s", seed, w.slow.candidate, w.scope, w.slow.configured,
					fmt.Sprint(w.log[max(0, len(w.log)-6):]))
			}
		}
	}
	for state, events := range tables {
		for event := range events {
			if cells[state+": "+event] < 20 {
				t.Errorf("%s: %s: met %d times", state, event, cells[state+": "+event])
			}
		}
	}
}
