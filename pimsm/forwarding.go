package pimsm

import (
	"time"

	"grove/internal/engine"
)

// This file is the data packet forwarding rules, RFC 7761, section 4.2: as functions that only read, and what they say
// of one packet turned into a row for all packets to come, because a kernel forwards and this machine does not.

// assertKind is the Assert that a packet on an outgoing interface calls for.
type assertKind uint8

const (
	noAssert assertKind = iota
	assertSG
	assertStarG
)

// verdict is what section 4.2 says of a packet.
type verdict struct {
	oifs     ifSet // forward it there
	onRPTree bool  // by (*,G) state: CheckSwitchToSpt(S,G)
	assert   assertKind
}

// forward is the middle part of "On receipt of data from S to G on interface iif" (section 4.2):
//
//	if( iif == RPF_interface(S) AND SPTbit(S,G) == TRUE ) {
//	   oiflist = inherited_olist(S,G)
//	} else if( iif == RPF_interface(RP(G)) AND SPTbit(S,G) == FALSE ) {
//	  oiflist = inherited_olist(S,G,rpt)
//	  CheckSwitchToSpt(S,G)
//	} else {
//	   # Note: RPF check failed.
//	   if ( SPTbit(S,G) == TRUE AND iif is in inherited_olist(S,G) ) {
//	      send Assert(S,G) on iif
//	   } else if ( SPTbit(S,G) == FALSE AND iif is in inherited_olist(S,G,rpt) ) {
//	      send Assert(*,G) on iif
//	   }
//	}
//	oiflist = oiflist (-) iif
func forward(s *source, iif ifSet) verdict {
	switch {
	case iif == 0:
		return verdict{}
	case iif == rpfInterface(s) && sptBit(s):
		return verdict{oifs: inheritedOlistSG(s) &^ iif}
	case iif == rpfInterfaceRP(s.g) && !sptBit(s):
		return verdict{oifs: inheritedOlistSGRpt(s) &^ iif, onRPTree: true}
	case sptBit(s) && inheritedOlistSG(s).Has(iif):
		return verdict{assert: assertSG}
	case !sptBit(s) && inheritedOlistSGRpt(s).Has(iif):
		return verdict{assert: assertStarG}
	}
	return verdict{}
}

// updateSPTbit is the condition of Update_SPTbit(S,G,iif), section 4.2.2:
//
//	if ( iif == RPF_interface(S)
//	      AND JoinDesired(S,G) == TRUE
//	      AND ( DirectlyConnected(S) == TRUE
//	            OR RPF_interface(S) != RPF_interface(RP(G))
//	            OR inherited_olist(S,G,rpt) == NULL
//	            OR ( ( RPF'(S,G) == RPF'(*,G) ) AND ( RPF'(S,G) != NULL ) )
//	            OR ( I_Am_Assert_Loser(S,G,iif) ) ) ) {
//	   Set SPTbit(S,G) to TRUE
//	}
func updateSPTbit(s *source, iif ifSet) bool {
	return iif != 0 && iif == rpfInterface(s) && joinDesiredSG(s) &&
		(directlyConnected(s) ||
			rpfInterface(s) != rpfInterfaceRP(s.g) ||
			inheritedOlistSGRpt(s) == 0 ||
			rpfNeighborSG(s) == rpfNeighborStarG(s.g) && rpfNeighborSG(s) != neighborID{} ||
			iAmAssertLoser(s.on(iif)))
}

// checkSwitchToSpt is the condition of CheckSwitchToSpt(S,G), section 4.2.1:
//
//	( pim_include(*,G) (-) pim_exclude(S,G) (+) pim_include(S,G) != NULL ) AND SwitchToSptDesired(S,G)
func checkSwitchToSpt(s *source) bool {
	return pimIncludeStarG(s.g)&^pimExcludeSG(s)|pimIncludeSG(s) != 0 && switchToSptDesired(s)
}

// SwitchToSptDesired(S,G), a policy function (section 4.2.1). It is asked when a packet has come, so "switch on first
// packet" is true.
func switchToSptDesired(s *source) bool {
	switch s.m.cfg.SPTSwitch {
	case SPTNever:
		return false
	case SPTThreshold:
		return s.meter != nil && s.meter.kbps > s.m.cfg.SPTThresholdKbps
	}
	return true
}

// meter measures the rate of a flow from what is counted now and then.
type meter struct {
	since time.Time
	bytes uint64
	kbps  uint64 // over the last whole interval
}

// countBytes measures the source if a threshold is configured.
func (s *source) countBytes(bytes uint64) {
	if s.m.cfg.SPTSwitch != SPTThreshold {
		return
	}
	if s.meter == nil {
		s.meter = &meter{since: s.m.now}
	}
	s.meter.count(s.m.now, bytes)
}

func (r *meter) count(now time.Time, bytes uint64) {
	r.bytes += bytes
	if d := now.Sub(r.since); d >= time.Second {
		r.kbps = r.bytes * 8 / uint64(d.Milliseconds())
		r.since, r.bytes = now, 0
	}
}

// ---- a row for the packets to come ----

// row is what we want of the forwarding table for a key: an engine.Want without what follows from the configuration.
// The zero value is no row.
type row struct {
	in       ifSet
	out      ifSet
	wrong    ifSet   // packets that come in here are reported
	register *target // encapsulate to this RP; nil: do not
	wanted   bool
	tap      bool
}

// wantStarG is the row of (*,G): what forward says of a source of which nothing else is known. The tap tells of the
// source at its first packet, which the row has forwarded by then (see the essay in doc.go).
//
// There is none at the RP: packets on the shared tree come to it in Registers only.
func wantStarG(g *group) row {
	in := rpfInterfaceRP(g)
	if g.up.state != Joined || in == 0 || in == decapsulation {
		return row{}
	}
	out := immediateOlistStarG(g) &^ in &^ others
	return row{wanted: true, in: in, out: out, wrong: out, tap: true}
}

// wantSG is the row of (S,G): what forward says of the next packets, with the SPTbit as the first of them sets it.
func wantSG(s *source) row {
	if s.up.state != Joined && s.g.up.state != Joined && !s.kat.Running() && !s.flow.Running() {
		return row{}
	}
	r := row{wanted: true, in: incomingSG(s)}
	switch {
	case r.in == 0:
	case usesSPT(s):
		r.out = inheritedOlistSG(s) &^ r.in
	case r.in == rpfInterfaceRP(s.g):
		r.out = inheritedOlistSGRpt(s) &^ r.in
	}
	// Until the flow is known to come in there its packets come up: the first one starts the KeepaliveTimer, is
	// registered, sets the SPTbit.
	r.tap = r.in != 0 && !s.g.ssm && (!s.flow.Running() || s.iif != r.in) || s.decap != nil && s.decap.watching()
	if r.out.Has(registerTunnel) {
		r.register = s.g.rpf
	}
	r.out &^= registerTunnel | others
	// Packets on RPF_interface(S) set the SPTbit, those on an outgoing interface are the event of an Assert.
	r.wrong = (r.out | rpfInterface(s)) &^ r.in
	return r
}

// incomingSG is where the packets of (S,G) are taken from: RPF_interface(S) with the SPTbit, RPF_interface(RP(G)) without.
// A source on a link of ours is watched there even if nothing of it is forwarded, for the DR may have to register it; so
// is any source by the RP, to which the shared tree brings Registers only.
func incomingSG(s *source) ifSet {
	if usesSPT(s) || directlyConnected(s) || iAmRP(s.g) {
		return rpfInterface(s)
	}
	return rpfInterfaceRP(s.g)
}

// usesSPT says whether the next packet on RPF_interface(S) is forwarded by (S,G) state.
func usesSPT(s *source) bool { return sptBit(s) || anticipateSPT(s) }

// anticipateSPT says whether the next packet on RPF_interface(S) would set the SPTbit, and no packet would be accepted
// from elsewhere before it. Then a row may have RPF_interface(S) as its incoming interface now: packets fare the same,
// and the first one is not lost to a row that has to be changed.
//
// At the RP itself the packets from elsewhere are those in Registers, which no row forwards.
func anticipateSPT(s *source) bool {
	if directlyConnected(s) {
		// The packet restarts the KeepaliveTimer before anything else, which makes JoinDesired(S,G) true. It is on the
		// link before any copy of it can come down the shared tree.
		return rpfInterface(s) != 0 && inheritedOlistSG(s) != 0
	}
	return updateSPTbit(s, rpfInterface(s)) &&
		(iAmRP(s.g) || inheritedOlistSGRpt(s) == 0 || rpfInterfaceRP(s.g) == rpfInterface(s))
}

// sayRows tells mfib what differs from what it was last told. It runs at Settled.
func (m *Machine) sayRows() {
	groups, sources := m.unsaidGroups, m.unsaidSources
	m.unsaidGroups, m.unsaidSources = nil, nil
	for _, g := range groups {
		g.unsaid = false
		if !g.gone {
			g.say()
		}
	}
	for _, s := range sources {
		s.unsaid = false
		if !s.gone {
			s.say()
		}
	}
	m.sayStarStar()
}

func (g *group) say() {
	r := wantStarG(g)
	if r == g.said {
		return
	}
	g.m.want(g.key(), r)
	g.said = r
}

func (s *source) say() {
	if s.rpf == nil || !s.rpf.known {
		return // the path comes in this batch, and then there is something to say
	}
	r := wantSG(s)
	if r != s.said {
		s.m.want(s.key(), r)
		s.said = r
		s.installed = s.installed && r.wanted
	} else if s.asked && !r.wanted {
		s.m.emit(engine.Decline{Key: s.key()})
	} else if s.asked {
		s.m.want(s.key(), r) // mfib has no row although we said so: say it again
	}
	s.asked = false
}

// want says a row, or that there is none any more.
func (m *Machine) want(k engine.Key, r row) {
	if !r.wanted {
		m.emit(engine.Unwant{Key: k})
		return
	}
	w := engine.Want{Key: k, In: m.ifID(r.in), Out: m.outgoing(r.out), Tap: r.tap, WrongIf: m.ifIDs(r.wrong)}
	if r.register != nil {
		w.Encap = []engine.Encap{{Kind: engine.EncapRegister, To: r.register.addr}}
	}
	if w.In == 0 && r.in != external {
		w.Negative = "no RPF interface"
	}
	if k.Source.IsValid() {
		w.Activity = m.activityInterval()
	}
	m.emit(w)
}

// activityInterval is how often mfib tells whether packets come: often enough for the KeepaliveTimer, and for a rate if
// one is to be measured.
func (m *Machine) activityInterval() time.Duration {
	if m.cfg.SPTSwitch == SPTThreshold {
		return min(time.Second, m.cfg.KeepalivePeriod/6)
	}
	return m.cfg.KeepalivePeriod / 6
}

// sayStarStar keeps the (*,*) row: packets of unknown flows from the interfaces whose hosts we register for come up
// whole, and what the kernel decapsulates from Registers goes nowhere.
//
// It is the rule of Linux for bidirectional trees that where (*,*) covers the incoming interface of a (*,G) row and the
// interface that a packet comes from, the row takes the packet. For IPv4 the interfaces towards the RPs are in (*,*) for
// that reason: a source on a LAN that has members is not on a wrong interface then, and the tap tells of it. Rows of IPv6
// have no TTL thresholds, by which mfib keeps such a packet from going up the shared tree, so there these interfaces
// stay out even if we are DR on them.
func (m *Machine) sayStarStar() {
	var accept, towardsRPs ifSet
	for _, i := range m.interfaces() {
		if i.dr {
			accept |= i.bit
		}
	}
	for _, rp := range m.rps {
		if !rp.local {
			towardsRPs |= rp.iface.set()
		}
	}
	switch {
	case m.id.Family == engine.IPv6:
		accept &^= towardsRPs
	case accept != 0:
		accept |= towardsRPs
	}
	r := row{wanted: len(m.rps) > 0, out: accept, tap: true}
	if !r.wanted {
		r = row{}
	}
	if r == m.said {
		return
	}
	m.said = r
	if !r.wanted {
		m.emit(engine.Unwant{})
		return
	}
	m.emit(engine.Want{Accept: m.ifIDs(accept), Tap: true})
}
