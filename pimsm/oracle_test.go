package pimsm

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"grove/internal/engine"
)

// The oracle: RFC 7761's formulas, written once more, literally, over sets that are maps. It shares no function with
// the machine: it is given facts and computes what macros.go and forwarding.go compute from the Tree Information Base.

// ifs is a set of interfaces by name.
type ifs map[string]bool

func plus(a, b ifs) ifs { // A (+) B
	r := ifs{}
	for i := range a {
		r[i] = true
	}
	for i := range b {
		r[i] = true
	}
	return r
}

func minus(a, b ifs) ifs { // A (-) B
	r := ifs{}
	for i := range a {
		if !b[i] {
			r[i] = true
		}
	}
	return r
}

func all(names []string, f func(i string) bool) ifs { // { all interfaces I such that ... }
	r := ifs{}
	for _, i := range names {
		if f(i) {
			r[i] = true
		}
	}
	return r
}

func (s ifs) String() string {
	var list []string
	for i := range engine.Sorted(s) {
		list = append(list, i)
	}
	return "{" + strings.Join(list, " ") + "}"
}

// assertFact is the state of an Assert machine: "NI", "W" or "L".
type assertFact struct {
	state  string
	winner string
	metric [4]uint32 // rpt, preference, metric, the address' last byte
}

// facts are all that the macros of one (S,G) depend on.
type facts struct {
	names                         []string
	ssm                           bool
	rp                            string // "none", "us", "known"
	rpfRP, rpfS                   string // interfaces; "": none
	nbrRP, nbrS                   string // neighbors; "": NULL
	connected, local              bool   // S
	dr                            ifs
	memberG, memberSG, excludeSG  ifs
	jpG, jpSG, rpt                map[string]string // "NI", "J", "PP"; "NI", "P", "PP", "P'", "PP'"
	assertG, assertSG             map[string]assertFact
	sptbit, kat                   bool
	remote                        bool   // MSDP tells of S (RFC 3618, section 3)
	register                      string // "NI", "J", "P", "JP"
	prefS, metricS, prefRP, metRP uint32

	// RFC 2715: S is reached by another protocol, and RPF_interface(S) is "external". The alerts say what others want: "",
	// "join", "prune".
	external                  bool
	alertAll, alertG, alertSG string
}

// others is { others } if the condition holds: the virtual interface of other protocols' receivers.
func (f *facts) others(condition bool) ifs {
	if condition {
		return ifs{"others": true}
	}
	return ifs{}
}

// ---- section 4.1.5 ----

func (f *facts) joinsG() ifs {
	return all(f.names, func(i string) bool { return f.jpG[i] == "J" || f.jpG[i] == "PP" })
}

func (f *facts) joinsSG() ifs {
	r := all(f.names, func(i string) bool { return f.jpSG[i] == "J" || f.jpSG[i] == "PP" })
	if f.register == "J" {
		r["VI"] = true
	}
	return r
}

func (f *facts) prunesSGrpt() ifs {
	return all(f.names, func(i string) bool { return f.rpt[i] == "P" || f.rpt[i] == "P'" })
}

func (f *facts) pimIncludeG() ifs {
	return plus(f.others(f.alertG == "join" && !f.ssm), all(f.names, func(i string) bool {
		return ((f.dr[i] && !f.lostG(i)) || f.assertG[i].state == "W") && f.memberG[i]
	}))
}

func (f *facts) pimIncludeSG() ifs {
	return plus(f.others(f.alertSG == "join" && !f.external), all(f.names, func(i string) bool {
		return ((f.dr[i] && !f.lostSG(i)) || f.assertSG[i].state == "W") && f.memberSG[i]
	}))
}

func (f *facts) pimExcludeSG() ifs {
	return plus(f.others(f.alertSG == "prune" && !f.external && !f.ssm), all(f.names, func(i string) bool {
		return ((f.dr[i] && !f.lostG(i)) || f.assertG[i].state == "W") && f.excludeSG[i]
	}))
}

func (f *facts) lostG(i string) bool { // lost_assert(*,G,I)
	if f.rpfInterfaceRP() == i {
		return false
	}
	return f.assertG[i].state == "L"
}

func (f *facts) lostSG(i string) bool { // lost_assert(S,G,I)
	if f.rpfS == i {
		return false
	}
	return f.assertSG[i].state == "L" && f.better(f.assertSG[i].metric, f.sptMetric(i))
}

func (f *facts) lostSGrpt(i string) bool { // lost_assert(S,G,rpt,I)
	if f.rpfInterfaceRP() == i || (f.rpfS == i && f.sptbit) {
		return false
	}
	return f.assertSG[i].state == "L"
}

func (f *facts) rpfInterfaceRP() string {
	switch f.rp {
	case "us":
		return "decapsulation"
	case "none":
		return ""
	}
	return f.rpfRP
}

func (f *facts) immediateG() ifs {
	return minus(plus(f.joinsG(), f.pimIncludeG()), all(f.names, f.lostG))
}

func (f *facts) immediateSG() ifs {
	return minus(plus(f.joinsSG(), f.pimIncludeSG()), all(f.names, f.lostSG))
}

func (f *facts) inheritedSGrpt() ifs {
	a := minus(f.joinsG(), f.prunesSGrpt())
	b := minus(plus(f.pimIncludeG(), f.others(f.alertAll == "join" && f.rp == "us")), f.pimExcludeSG())
	c := plus(all(f.names, f.lostG), all(f.names, f.lostSGrpt))
	return minus(plus(a, b), c)
}

func (f *facts) inheritedSG() ifs {
	return minus(plus(plus(f.inheritedSGrpt(), f.joinsSG()), f.pimIncludeSG()), all(f.names, f.lostSG))
}

// ---- RPF', as "interface/neighbor"; "" is NULL ----

func at(i, n string) string {
	if i == "" || n == "" {
		return ""
	}
	return i + "/" + n
}

func (f *facts) rpfNbrG() string {
	if i := f.rpfInterfaceRP(); i != "" && f.assertG[i].state == "L" {
		return at(i, f.assertG[i].winner)
	}
	if f.rp != "known" {
		return ""
	}
	return at(f.rpfRP, f.nbrRP)
}

func (f *facts) rpfNbrSGrpt() string {
	if i := f.rpfInterfaceRP(); i != "" && f.assertSG[i].state == "L" {
		return at(i, f.assertSG[i].winner)
	}
	return f.rpfNbrG()
}

func (f *facts) rpfNbrSG() string {
	if i := f.rpfS; i != "" && f.assertSG[i].state == "L" {
		return at(i, f.assertSG[i].winner)
	}
	if f.connected || f.local || f.external {
		return ""
	}
	return at(f.rpfS, f.nbrS)
}

// ---- sections 4.4 to 4.6 ----

func (f *facts) joinDesiredG() bool { return len(f.immediateG()) > 0 }

func (f *facts) joinDesiredSG() bool {
	return len(f.immediateSG()) > 0 || (f.kat || f.remote && f.rp == "us") && len(f.inheritedSG()) > 0
}

func (f *facts) pruneDesired() bool {
	if !f.joinDesiredG() {
		return false
	}
	return len(f.inheritedSGrpt()) == 0 || (f.sptbit && f.rpfNbrG() != f.rpfNbrSG())
}

func (f *facts) couldRegister() bool {
	if f.ssm || f.rp != "known" {
		return false
	}
	return f.kat && (f.external || f.rpfS != "" && f.dr[f.rpfS] && (f.connected || f.local))
}

func (f *facts) couldAssertSG(i string) bool {
	if !f.sptbit || f.rpfS == i {
		return false
	}
	set := plus(minus(f.joinsG(), f.prunesSGrpt()), minus(f.pimIncludeG(), f.pimExcludeSG()))
	set = minus(set, all(f.names, f.lostG))
	set = plus(plus(set, f.joinsSG()), f.pimIncludeSG())
	return set[i]
}

func (f *facts) trackingSG(i string) bool {
	set := plus(minus(f.joinsG(), f.prunesSGrpt()), minus(f.pimIncludeG(), f.pimExcludeSG()))
	set = plus(minus(set, all(f.names, f.lostG)), f.joinsSG())
	return set[i] ||
		(f.memberSG[i] && (f.dr[i] || f.assertSG[i].state == "W")) ||
		(f.rpfS == i && f.joinDesiredSG()) ||
		(f.rpfInterfaceRP() == i && f.joinDesiredG() && !f.sptbit)
}

func (f *facts) couldAssertG(i string) bool {
	return plus(f.joinsG(), f.pimIncludeG())[i] && f.rpfInterfaceRP() != i
}

func (f *facts) trackingG(i string) bool {
	return f.couldAssertG(i) ||
		(f.memberG[i] && (f.dr[i] || f.assertG[i].state == "W")) ||
		(f.rpfInterfaceRP() == i && f.joinDesiredG())
}

func (f *facts) sptMetric(i string) [4]uint32 { return [4]uint32{0, f.prefS, f.metricS, ownByte} }
func (f *facts) rptMetric(i string) [4]uint32 { return [4]uint32{1, f.prefRP, f.metRP, ownByte} }

func (f *facts) better(a, b [4]uint32) bool {
	for n := range 3 {
		if a[n] != b[n] {
			return a[n] < b[n]
		}
	}
	return a[3] > b[3]
}

func (f *facts) myMetricSG(i string) [4]uint32 {
	if f.couldAssertSG(i) {
		return f.sptMetric(i)
	}
	if f.couldAssertG(i) {
		return f.rptMetric(i)
	}
	return [4]uint32{1, 0x7fffffff, 0xffffffff, 0}
}

// ---- section 4.2 ----

func (f *facts) updateSPTbit(iif string) bool {
	return iif != "" && iif == f.rpfS && f.joinDesiredSG() &&
		(f.connected || f.local || f.external ||
			f.rpfS != f.rpfInterfaceRP() ||
			len(f.inheritedSGrpt()) == 0 ||
			(f.rpfNbrSG() == f.rpfNbrG() && f.rpfNbrSG() != "") ||
			f.assertSG[iif].state == "L")
}

// packet is "On receipt of data from S to G on interface iif": where it goes, and which Assert is sent.
func (f *facts) packet(iif string) (ifs, string) {
	out, assert := ifs{}, ""
	switch {
	case iif == f.rpfS && f.sptbit:
		out = f.inheritedSG()
	case iif == f.rpfInterfaceRP() && !f.sptbit:
		out = f.inheritedSGrpt()
	case f.sptbit && f.inheritedSG()[iif]:
		assert = "SG"
	case !f.sptbit && f.inheritedSGrpt()[iif]:
		assert = "*G"
	}
	return minus(out, ifs{iif: true}), assert
}

func (f *facts) pruneWithJoin() bool { // section 4.5.6
	if f.sptbit {
		return f.rpfNbrG() != f.rpfNbrSG()
	}
	if len(f.inheritedSGrpt()) == 0 {
		return true
	}
	return f.rpfNbrG() != f.rpfNbrSGrpt()
}

// ---- facts, and the machine's state that says the same ----

var testNames = []string{"a", "b", "c", "d"}

// ownByte is the last byte of our own address on an interface: 10.0.n.100.
const ownByte = 100

func pick[T any](rng *rand.Rand, list ...T) T { return list[rng.IntN(len(list))] }

func randomFacts(rng *rand.Rand) *facts {
	f := &facts{
		names: testNames, ssm: rng.IntN(8) == 0, rp: pick(rng, "none", "us", "known", "known", "known"),
		rpfRP: pick(rng, "", "a", "a", "b", "b"), rpfS: pick(rng, "", "a", "a", "b", "c"),
		nbrRP: pick(rng, "", "1", "1", "2"), nbrS: pick(rng, "", "1", "1", "2"),
		connected: rng.IntN(4) == 0, local: rng.IntN(10) == 0,
		dr: ifs{}, memberG: ifs{}, memberSG: ifs{}, excludeSG: ifs{},
		jpG: map[string]string{}, jpSG: map[string]string{}, rpt: map[string]string{},
		assertG: map[string]assertFact{}, assertSG: map[string]assertFact{},
		sptbit: rng.IntN(2) == 0, kat: rng.IntN(2) == 0, register: pick(rng, "NI", "NI", "NI", "J", "P", "JP"),
		prefS: uint32(rng.IntN(3)), metricS: uint32(rng.IntN(3)), prefRP: uint32(rng.IntN(3)), metRP: uint32(rng.IntN(3)),
	}
	f.remote = rng.IntN(4) == 0
	if f.local {
		f.connected = false
	}
	f.alertAll, f.alertG, f.alertSG = pick(rng, "", "prune", "join"), pick(rng, "", "", "join"), pick(rng, "", "", "join", "prune")
	if !f.local && rng.IntN(5) == 0 {
		f.external, f.connected, f.rpfS = true, false, "external"
	}
	if f.rp == "none" {
		f.prefRP, f.metRP = 0x7fffffff, 0xffffffff // no route
	}
	sparse := rng.IntN(3) // how little there is
	set := func(m ifs, i string) {
		if rng.IntN(3+sparse) == 0 {
			m[i] = true
		}
	}
	for _, i := range f.names {
		if rng.IntN(2) == 0 {
			f.dr[i] = true
		}
		set(f.memberG, i)
		set(f.memberSG, i)
		set(f.excludeSG, i)
		f.jpG[i], f.jpSG[i] = "NI", "NI"
		f.rpt[i] = "NI"
		if rng.IntN(2+sparse) == 0 {
			f.jpG[i] = pick(rng, "J", "PP")
		}
		if rng.IntN(3+sparse) == 0 {
			f.jpSG[i] = pick(rng, "J", "PP")
		}
		if rng.IntN(3+sparse) == 0 {
			f.rpt[i] = pick(rng, "P", "PP", "P'", "PP'")
		}
		for _, m := range []map[string]assertFact{f.assertG, f.assertSG} {
			switch rng.IntN(4 + sparse) {
			case 0:
				m[i] = assertFact{state: "W", winner: "me"}
			case 1:
				w := pick(rng, "1", "2")
				m[i] = assertFact{state: "L", winner: w, metric: [4]uint32{
					uint32(rng.IntN(2)), uint32(rng.IntN(3)), uint32(rng.IntN(3)), uint32(w[0] - '0'),
				}}
			default:
				m[i] = assertFact{state: "NI"}
			}
		}
	}
	return f
}

// normal returns the facts as the macros of an SSM group see them (section 4.8).
func (f *facts) normal() *facts {
	if !f.ssm {
		return f
	}
	n := *f
	n.rp, n.memberG, n.excludeSG = "none", ifs{}, ifs{}
	n.jpG, n.rpt, n.assertG = map[string]string{}, map[string]string{}, map[string]assertFact{}
	n.sptbit, n.kat, n.remote = true, true, false
	return &n
}

// build makes a machine with one group and one source whose state is as the facts say.
func build(f *facts) (*group, *source) {
	m := New(engine.MachineID{Protocol: engine.PIMSM, Family: engine.IPv4}, rand.New(rand.NewPCG(1, 1)))
	m.now = time.Unix(1000, 0)
	byName := map[string]*iface{"": nil}
	for n, name := range f.names {
		i := &iface{m: m, id: engine.IfID(n + 1), slot: firstSlot + n, bit: 1 << (firstSlot + n), runs: true}
		i.link.Name, i.primary, i.dr = name, netip.AddrFrom4([4]byte{10, 0, byte(n), 100}), f.dr[name]
		m.slots[i.slot], m.ifaces[i.id] = i, i
		byName[name] = i
	}
	address := func(i, n string) netip.Addr {
		if n == "" || byName[i] == nil {
			return netip.Addr{}
		}
		return netip.AddrFrom4([4]byte{10, 0, byte(byName[i].slot - firstSlot), n[0] - '0'})
	}
	g := &group{addr: netip.MustParseAddr("239.1.1.1"), ssm: f.ssm, wanted: f.alertG == "join"}
	g.m = m
	m.wildcard = f.alertAll == "join"
	if f.rp != "none" && !f.ssm {
		g.rpf = &target{
			m: m, addr: netip.MustParseAddr("10.255.0.3"), known: true, reachable: true, local: f.rp == "us",
			distance: f.prefRP, cost: f.metRP, iface: byName[f.rpfRP], nbr: address(f.rpfRP, f.nbrRP),
		}
	}
	s := &source{addr: netip.MustParseAddr("10.9.0.9"), g: g, sptBit: f.sptbit}
	s.m = m
	s.wanted = map[string]engine.AlertKind{"join": engine.JoinAlert, "prune": engine.PruneAlert}[f.alertSG]
	s.rpf = &target{
		m: m, addr: s.addr, known: true, reachable: true, local: f.local, connected: f.connected, external: f.external,
		distance: f.prefS, cost: f.metricS, iface: byName[f.rpfS], nbr: address(f.rpfS, f.nbrS),
	}
	if f.kat {
		s.kat.Do = func(time.Time) {}
		m.timers.Set(&s.kat, m.now.Add(time.Second))
	}
	if f.remote {
		s.msdp = &interdomain{remote: true}
	}
	if f.register != "NI" {
		s.register = &register{state: map[string]RegisterState{
			"J": RegisterJoin, "P": RegisterPrune, "JP": RegisterJoinPending,
		}[f.register]}
	}
	states := map[string]DownstreamState{
		"J": Join, "PP": PrunePending, "P": Prune, "P'": PruneTmp, "PP'": PrunePendingTmp,
	}
	for _, name := range f.names {
		i := byName[name]
		og, os := &oif{iface: i, g: g}, &oif{iface: i, g: g, s: s}
		og.member, os.member, os.exclude = f.memberG[name], f.memberSG[name], f.excludeSG[name]
		down := func(state string) *downstream {
			if state == "NI" {
				return nil
			}
			return &downstream{state: states[state]}
		}
		og.jp, os.jp, os.rpt = down(f.jpG[name]), down(f.jpSG[name]), down(f.rpt[name])
		won := func(a assertFact) *assertState {
			switch a.state {
			case "W":
				return &assertState{state: AssertWinner, winner: i.primary}
			case "L":
				return &assertState{state: AssertLoser, winner: address(name, a.winner), metric: assertMetric{
					RPT: a.metric[0] == 1, Preference: a.metric[1], Metric: a.metric[2], Address: address(name, a.winner),
				}}
			}
			return nil
		}
		og.assert, os.assert = won(f.assertG[name]), won(f.assertSG[name])
		if !og.empty() {
			g.oifs = append(g.oifs, og)
		}
		if !os.empty() {
			s.oifs = append(s.oifs, os)
		}
	}
	return g, s
}

// setOf is a set of the machine in the oracle's words.
func setOf(m *Machine, set ifSet) ifs {
	r := ifs{}
	for slot := range set.Bits() {
		switch {
		case ifSet(1)<<slot == registerTunnel:
			r["VI"] = true
		case ifSet(1)<<slot == decapsulation:
			r["decapsulation"] = true
		case ifSet(1)<<slot == external:
			r["external"] = true
		case ifSet(1)<<slot == others:
			r["others"] = true
		default:
			r[m.slots[slot].link.Name] = true
		}
	}
	return r
}

func neighborOf(n neighborID) string {
	if n.iface == nil {
		return ""
	}
	return fmt.Sprintf("%s/%d", n.iface.link.Name, n.addr.As4()[3])
}

// compare returns what the macros say otherwise than the oracle.
func compare(f *facts, g *group, s *source) []string {
	m := s.m
	var wrong []string
	check := func(name string, got, want any) {
		if fmt.Sprint(got) != fmt.Sprint(want) {
			wrong = append(wrong, fmt.Sprintf("%s is %v, the oracle says %v", name, got, want))
		}
	}
	check("joins(*,G)", setOf(m, joinsStarG(g)), f.joinsG())
	check("joins(S,G)", setOf(m, joinsSG(s)), f.joinsSG())
	check("prunes(S,G,rpt)", setOf(m, prunesSGRpt(s)), f.prunesSGrpt())
	check("pim_include(*,G)", setOf(m, pimIncludeStarG(g)), f.pimIncludeG())
	check("pim_include(S,G)", setOf(m, pimIncludeSG(s)), f.pimIncludeSG())
	check("pim_exclude(S,G)", setOf(m, pimExcludeSG(s)), f.pimExcludeSG())
	check("lost_assert(*,G)", setOf(m, lostAssertStarG(g)), all(f.names, f.lostG))
	check("lost_assert(S,G)", setOf(m, lostAssertSG(s)), all(f.names, f.lostSG))
	if !f.ssm {
		check("lost_assert(S,G,rpt)", setOf(m, lostAssertSGRpt(s)), all(f.names, f.lostSGrpt))
	}
	check("immediate_olist(*,G)", setOf(m, immediateOlistStarG(g)), f.immediateG())
	check("immediate_olist(S,G)", setOf(m, immediateOlistSG(s)), f.immediateSG())
	check("inherited_olist(S,G,rpt)", setOf(m, inheritedOlistSGRpt(s)), f.inheritedSGrpt())
	check("inherited_olist(S,G)", setOf(m, inheritedOlistSG(s)), f.inheritedSG())
	check("RPF_interface(S)", setOf(m, rpfInterface(s)), all([]string{f.rpfS}, func(i string) bool { return i != "" }))
	check("Update_SPTbit on RPF_interface(S)", updateSPTbit(s, rpfInterface(s)), f.updateSPTbit(f.rpfS))
	if f.external {
		out, _ := f.packet(f.rpfS)
		check("a packet of the other protocol goes to", setOf(m, forward(s, rpfInterface(s)).oifs), out)
	}
	check("RPF'(*,G)", neighborOf(rpfNeighborStarG(g)), f.rpfNbrG())
	check("RPF'(S,G,rpt)", neighborOf(rpfNeighborSGRpt(s)), f.rpfNbrSGrpt())
	check("RPF'(S,G)", neighborOf(rpfNeighborSG(s)), f.rpfNbrSG())
	check("JoinDesired(*,G)", joinDesiredStarG(g), f.joinDesiredG())
	check("JoinDesired(S,G)", joinDesiredSG(s), f.joinDesiredSG())
	check("PruneDesired(S,G,rpt)", pruneDesiredSGRpt(s), f.pruneDesired())
	check("CouldRegister(S,G)", couldRegister(s), f.couldRegister())
	check("prune with Join(*,G)", pruneWithJoin(s), f.pruneWithJoin())
	for _, name := range f.names {
		i := byLinkName(m, name)
		check("CouldAssert(S,G,"+name+")", couldAssertSG(s, i.bit), f.couldAssertSG(name))
		check("CouldAssert(*,G,"+name+")", couldAssertStarG(g, i.bit), f.couldAssertG(name))
		check("AssertTrackingDesired(S,G,"+name+")", assertTrackingDesiredSG(s, i.bit), f.trackingSG(name))
		check("AssertTrackingDesired(*,G,"+name+")", assertTrackingDesiredStarG(g, i.bit), f.trackingG(name))
		mine := myAssertMetricSG(s, i)
		metric := [4]uint32{0, mine.Preference, mine.Metric, 0}
		if mine.RPT {
			metric[0] = 1
		}
		if mine.Address.IsValid() {
			metric[3] = uint32(mine.Address.As4()[3])
		}
		check("my_assert_metric(S,G,"+name+")", metric, f.myMetricSG(name))
		check("Update_SPTbit("+name+")", updateSPTbit(s, i.bit), f.updateSPTbit(name))
		v := forward(s, i.bit)
		out, assert := f.packet(name)
		check("a packet on "+name+" goes to", setOf(m, v.oifs), out)
		check("a packet on "+name+" brings an Assert", [...]string{"", "SG", "*G"}[v.assert], assert)
	}
	return wrong
}

func byLinkName(m *Machine, name string) *iface {
	for _, i := range m.slots {
		if i != nil && i.link.Name == name {
			return i
		}
	}
	return nil
}

// TestMacrosAgainstOracle: on random state every macro and every forwarding rule says what the RFC's formulas say.
func TestMacrosAgainstOracle(t *testing.T) {
	for seed := range uint64(10_000) {
		f := randomFacts(rand.New(rand.NewPCG(seed, 7761)))
		g, s := build(f)
		if wrong := compare(f.normal(), g, s); wrong != nil {
			t.Fatalf("seed %d, %+v:\n%s", seed, *f, strings.Join(wrong, "\n"))
		}
	}
}
