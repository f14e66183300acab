package msdp

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"grove/internal/engine"
	"grove/msdp/wire"
)

// This file is peer-RPF forwarding, RFC 3618, section 10.

// rp is an RP of another domain: the originator of Source-Active messages. It is known while something of it is cached, and for
// a while after it was named.
type rp struct {
	m       *Machine
	addr    netip.Addr
	of      netip.Addr // of our own: the RP that pimsm names
	known   bool       // rib has answered
	path    engine.Path
	by      *peer // who named it first
	cached  int   // entries of the cache
	heard   time.Time
	unheard engine.Timer
	waiting []waiting
	asked   []engine.Query // wait for the path

	age    uint64 // of the choice: it is made anew if rpfAge is another
	choice choice
	from   []*fromPeer // by appearance
}

// waiting is a message that came before the path to its RP was known.
type waiting struct {
	p   *peer
	msg *wire.SourceActive
}

// fromPeer counts the entries of an RP that came from a peer.
type fromPeer struct {
	peer               netip.Addr
	accepted, rejected uint64
	cached             int // are in the cache as this peer told them
}

// Rule is what decides of the peer-RPF neighbor.
type Rule uint8

// The rules, in their order: those of section 10.1.3 and, around them, what decides without them.
const (
	NoRule          Rule = iota
	RuleSelf             // the RP is this router: nobody's message of it is taken
	RuleMeshGroup        // section 10.2 (i): from a member of a mesh group, no check
	RuleIsRP             // (i) N == R
	RuleNextHop          // (ii) N is the eBGP NEXT_HOP of the Peer-RPF route for R
	RuleAdvertiser       // (iii) N advertised the route, or is the IGP next hop
	RuleClosestAS        // (iv) N resides in the closest AS in the best path towards R
	RuleStatic           // (v) N is configured as the static RPF-peer for R
	RuleDefaultPeer      // a default peer (RFC 4611, section 2.3)
	RuleOnlyPeer         // there is no other peer (RFC 4611, section 3.2)
)

// String returns the rule in words.
func (r Rule) String() string {
	return [...]string{
		"no rule", "the RP is this router", "mesh group (10.2)", "(i) the peer is the RP", "(ii) the peer is the EBGP next hop",
		"(iii) the peer advertised the route or is the next hop", "(iv) the peer is in the closest AS", "(v) static RPF peer",
		"default peer", "only peer",
	}[r]
}

// choice is the RPF peer of an RP.
type choice struct {
	rule Rule
	peer *peer // nil: none
}

// Verdict is what peer-RPF says of an RP's messages from a peer.
type Verdict struct {
	Accepted bool
	Rule     Rule
	RPFPeer  netip.Addr // the peer-RPF neighbor; invalid: none
}

// rpfChanged says that something changed on which the RPF peers of all RPs depend.
func (m *Machine) rpfChanged() { m.rpfAge++ }

// verdict is peer-RPF for the messages of an RP from a peer. Between changes of routes, peers and configuration it is a
// comparison.
func (m *Machine) verdict(r *rp, p *peer) Verdict {
	if m.isSelf(r) {
		return Verdict{Rule: RuleSelf}
	}
	if p.cfg.MeshGroup != "" {
		return Verdict{Accepted: true, Rule: RuleMeshGroup, RPFPeer: p.cfg.Address}
	}
	if r.age != m.rpfAge {
		r.choice, r.age = m.rpfPeer(r.addr, &r.path, nil), m.rpfAge
	}
	return Verdict{Accepted: r.choice.peer == p, Rule: r.choice.rule, RPFPeer: r.choice.peer.addr()}
}

// isSelf says whether the RP's messages are our own, come back.
func (m *Machine) isSelf(r *rp) bool { return r.path.Local || r.addr == m.cfg.OriginatorID }

// rpfPeer finds the peer-RPF neighbor of an RP: "chosen deterministically, using the first of the following rules that
// matches" (section 10.1.3). compared, if not nil, gets what each rule looked at.
func (m *Machine) rpfPeer(addr netip.Addr, path *engine.Path, compared *[]string) choice {
	say := func(format string, args ...any) {
		if compared != nil {
			*compared = append(*compared, fmt.Sprintf(format, args...))
		}
	}
	// try says whether an address is that of a peer that is up.
	try := func(rule, what string, a netip.Addr) *peer {
		p := m.peers[a]
		switch {
		case p == nil:
			say("%s: %s %v is no peer", rule, what, a)
		case p.state != Established:
			say("%s: %s %v is a peer in state %v", rule, what, a, p.state)
			p = nil
		default:
			say("%s: %s %v is an established peer", rule, what, a)
		}
		return p
	}
	// (i) "N == R (X has an MSDP peering with R)."
	if p := try("(i)", "the RP", addr); p != nil {
		return choice{RuleIsRP, p}
	}
	b := path.BGP
	// (ii) "N is the eBGP NEXT_HOP of the Peer-RPF route for R."
	if b != nil && !b.Internal && b.NextHop.IsValid() {
		if p := try("(ii)", "the EBGP next hop", b.NextHop); p != nil {
			return choice{RuleNextHop, p}
		}
	} else {
		say("(ii): the route to the RP (%s) is not of EBGP", describeRoute(path))
	}
	// (iii) "The Peer-RPF route for R is learned through a distance-vector or path-vector routing protocol [...] and N is the
	// neighbor that advertised the Peer-RPF route for R [...], or N is the IGP next hop for R if the route for R is learned via
	// a link-state protocol".
	//
	// Deviation: the next hop of an IBGP route serves, too, if who advertised it is no peer: "This new rule allows for peering
	// with the next hop, in addition to the Advertiser of the next hop" (RFC 4611, section 3.4). And the next hop of a static
	// route serves as that of an IGP's: it is the same word of the operator.
	switch {
	case b != nil:
		if b.Neighbor.IsValid() {
			if p := try("(iii)", "who advertised the route,", b.Neighbor); p != nil {
				return choice{RuleAdvertiser, p}
			}
		}
		if b.Internal && b.NextHop.IsValid() {
			if p := try("(iii)", "the IBGP next hop", b.NextHop); p != nil {
				return choice{RuleAdvertiser, p}
			}
		}
	case len(path.Hops) > 0 && path.Hops[0].Gateway.IsValid():
		if p := try("(iii)", "the next hop", path.Hops[0].Gateway); p != nil {
			return choice{RuleAdvertiser, p}
		}
	default:
		say("(iii): there is no next hop (%s)", describeRoute(path))
	}
	// (iv) "N resides in the closest AS in the best path towards R. If multiple MSDP peers reside in the closest AS, the peer
	// with the highest IP address is the rpf-peer."
	if b != nil && len(b.ASPath) > 0 {
		var best *peer
		for _, p := range m.order {
			if p.state == Established && p.as() == b.ASPath[0] && (best == nil || best.cfg.Address.Less(p.cfg.Address)) {
				best = p
			}
		}
		if best != nil {
			say("(iv): %v is the established peer with the highest address in AS %d", best.cfg.Address, b.ASPath[0])
			return choice{RuleClosestAS, best}
		}
		say("(iv): no established peer is in AS %d", b.ASPath[0])
	} else {
		say("(iv): the route to the RP has no AS path")
	}
	// (v) "N is configured as the static RPF-peer for R."
	var static *peer
	bits := -1
	for _, s := range m.cfg.StaticRPF {
		if s.RPs.Contains(addr) && s.RPs.Bits() > bits {
			if p := try("(v)", fmt.Sprintf("the static RPF peer of %v,", s.RPs), s.Peer); p != nil {
				static, bits = p, s.RPs.Bits()
			}
		}
	}
	if static != nil {
		return choice{RuleStatic, static}
	}
	if bits < 0 {
		say("(v): no static RPF peer that is established covers the RP")
	}
	for _, p := range m.order {
		if p.cfg.defaultFor(addr) && p.state == Established {
			say("default peer: %v is the first that is established", p.cfg.Address)
			return choice{RuleDefaultPeer, p}
		}
	}
	say("default peer: none is established for the RP")
	// Deviation: the only peer of a router needs no rule (RFC 4611, section 3.2: "By having the MSDP peer be the only MSDP
	// peer"): there is nobody else to whom its messages could go on, so nothing can loop.
	if len(m.order) == 1 && m.order[0].state == Established {
		say("only peer: %v", m.order[0].cfg.Address)
		return choice{RuleOnlyPeer, m.order[0]}
	}
	return choice{}
}

func describeRoute(path *engine.Path) string {
	switch {
	case path.Local:
		return "an address of this router"
	case !path.Reachable():
		return "there is none"
	case path.BGP != nil && path.BGP.Internal:
		return fmt.Sprintf("%v, IBGP", path.Prefix)
	case path.BGP != nil:
		return fmt.Sprintf("%v, EBGP", path.Prefix)
	}
	return fmt.Sprintf("%v, %s", path.Prefix, path.Origin)
}

func (c *PeerConfig) defaultFor(rp netip.Addr) bool {
	if !c.Default {
		return false
	}
	for _, p := range c.DefaultFor {
		if p.Contains(rp) {
			return true
		}
	}
	return len(c.DefaultFor) == 0
}

// as is the AS in which the peer resides: as configured, or where BGP's route to its address was originated; 0: not known, or
// our own.
func (p *peer) as() uint32 {
	if p.cfg.AS != 0 {
		return p.cfg.AS
	}
	if b := p.path.BGP; b != nil && len(b.ASPath) > 0 {
		return b.ASPath[len(b.ASPath)-1]
	}
	return 0
}

// ---- which RPs are known ----

// newRP asks for the path to an RP that a peer names; nil if there are too many.
func (p *peer) newRP(addr netip.Addr) *rp {
	m := p.m
	switch {
	case len(m.rps) >= m.cfg.MaxRPs:
		p.limit("more RPs than are allowed in all", 1)
		return nil
	case p.rps >= m.cfg.MaxRPsOfPeer:
		p.limit("more RPs than are allowed of one peer", 1)
		return nil
	}
	p.rps++
	r := m.trackRP(addr)
	r.by = p
	return r
}

func (m *Machine) trackRP(addr netip.Addr) *rp {
	r := &rp{m: m, addr: addr, heard: m.now}
	r.unheard.Do = func(time.Time) { r.unheardTimerExpires() }
	m.rps[addr] = r
	if p := m.peers[addr]; p != nil && p.path.Addr.IsValid() {
		r.known, r.path = true, p.path // tracked already, and answered
	} else if p == nil {
		m.emit(engine.Track{Addr: addr})
	}
	m.timers.Set(&r.unheard, m.now.Add(m.heardFor()))
	return r
}

func (r *rp) unheardTimerExpires() {
	m := r.m
	if left := r.heard.Add(m.heardFor()).Sub(m.now); r.cached > 0 || left > 0 {
		m.timers.Set(&r.unheard, m.now.Add(max(left, m.heardFor()/4)))
		return
	}
	r.forget()
}

func (r *rp) forget() {
	m := r.m
	if r.by != nil {
		r.by.rps--
	}
	for _, w := range r.waiting {
		w.p.pathless--
	}
	m.timers.Stop(&r.unheard)
	for _, q := range r.asked {
		m.emit(engine.Answer{From: m.id, ID: q.ID, Err: "msdp: the path to " + q.Arg + " is not known"})
	}
	delete(m.rps, r.addr)
	if m.peers[r.addr] == nil {
		m.emit(engine.Untrack{Addr: r.addr})
	}
}

// path takes over what rib tells of an RP, or of a peer.
func (m *Machine) path(e engine.Path) {
	if p := m.peers[e.Addr]; p != nil {
		as := p.as()
		p.path = e
		if as != p.as() {
			m.rpfChanged()
		}
	}
	r := m.rps[e.Addr]
	if r == nil {
		return
	}
	r.path, r.known, r.age = e, true, 0
	list, asked := r.waiting, r.asked
	r.waiting, r.asked = nil, nil
	for _, w := range list {
		w.p.pathless--
		if w.p.state == Established {
			w.p.sourceActive(r, w.msg)
		}
	}
	for _, q := range asked {
		m.answer(q)
	}
}

// fromPeer returns what is counted of the RP and the peer.
func (r *rp) fromPeer(peer netip.Addr) *fromPeer {
	for _, f := range r.from {
		if f.peer == peer {
			return f
		}
	}
	f := &fromPeer{peer: peer}
	r.from = append(r.from, f)
	return f
}

// byRP sorts entries by their RP, and leaves their order otherwise.
func byRP(list []*sa) {
	slices.SortStableFunc(list, func(a, b *sa) int { return cmp.Compare(number(a.rp.addr), number(b.rp.addr)) })
}
