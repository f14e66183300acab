package pimsm

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"grove/internal/engine"
	"grove/internal/ip"
	"grove/internal/pim/neighbor"
	"grove/internal/pim/wire"
)

// TestRandomWalk lets random things happen to a machine and looks, whenever a batch has settled, whether every state
// machine and every row is where the oracle says it has to be. In the end everybody leaves, and nothing may remain.
func TestRandomWalk(t *testing.T) {
	for seed := range uint64(40) {
		w := newWalk(t, seed)
		for range 250 {
			w.happen()
			w.check()
			if t.Failed() {
				t.Fatalf("seed %d, the last of what happened:\n%s", seed, strings.Join(w.story[max(0, len(w.story)-25):], "\n"))
			}
		}
		w.leave()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

type walk struct {
	wants   map[netip.Addr]bool       // SourcesWanted
	active  map[engine.Key]netip.Addr // SourceActive, and of which RP
	remote  map[engine.Key]bool       // RemoteSource
	t       *testing.T
	rng     *rand.Rand
	m       *Machine
	now     time.Time
	story   []string
	paths   map[netip.Addr]engine.Path
	links   []engine.Interface
	cfg     Config
	groups  []netip.Addr
	sources []netip.Addr
	rps     []netip.Addr
	alerts  map[engine.Key]string // the last ones: "join", "prune"
	foreign engine.Interface      // another protocol's
}

// reachedByOthers says that the way to an address is by the interface of the other protocol.
func (w *walk) reachedByOthers(a netip.Addr) bool {
	p := w.paths[a]
	return len(p.Hops) > 0 && p.Hops[0].If == w.foreign.ID
}

func newWalk(t *testing.T, seed uint64) *walk {
	w := &walk{t: t, rng: rand.New(rand.NewPCG(seed, 99)), now: time.Unix(5000, 0), paths: map[netip.Addr]engine.Path{}, alerts: map[engine.Key]string{}}
	w.foreign = engine.Interface{
		ID: 50, Name: "foreign", Up: true, Carrier: true, Multicast: true, MTU: 1500,
		Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.50.100/24")},
	}
	w.cfg.External = []string{"foreign"}
	w.m = New(engine.MachineID{Protocol: engine.PIMSM, Family: engine.IPv4}, rand.New(rand.NewPCG(seed, 1)))
	w.cfg.Interfaces = map[string]neighbor.Config{}
	for n, name := range testNames {
		w.links = append(w.links, engine.Interface{
			ID: engine.IfID(n + 1), Name: name, Up: true, Carrier: true, Multicast: true, MTU: 1500,
			Addrs: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(n), 100}), 24)},
		})
		w.cfg.Interfaces[name] = neighbor.Config{
			HelloPeriod: 30 * time.Second, HelloHoldtime: 105 * time.Second, DRPriority: 1, MaxNeighbors: 100,
			TriggeredHelloDelay: pick(w.rng, 0, 5*time.Second),
			PropagationDelay:    500 * time.Millisecond, OverrideInterval: 2500 * time.Millisecond,
		}
	}
	for _, a := range []string{"239.1.1.1", "239.1.1.2", "232.1.1.1"} {
		w.groups = append(w.groups, netip.MustParseAddr(a))
	}
	for _, a := range []string{"10.9.0.1", "10.9.0.2", "10.0.1.50"} {
		w.sources = append(w.sources, netip.MustParseAddr(a))
	}
	w.rps = []netip.Addr{netip.MustParseAddr("10.255.0.1"), netip.MustParseAddr("10.255.0.2")}
	w.cfg.RPs = []StaticRP{{Address: w.rps[0]}}
	w.cfg.MSDP = true
	w.wants, w.active, w.remote = map[netip.Addr]bool{}, map[engine.Key]netip.Addr{}, map[engine.Key]bool{}
	w.cfg.SPTSwitch = pick(w.rng, SPTImmediate, SPTImmediate, SPTNever)
	w.tell("configure", engine.Configure{Config: w.cfg})
	for _, l := range w.links {
		w.tell("interface", engine.InterfaceChange{Interface: l})
	}
	w.tell("interface", engine.InterfaceChange{Interface: w.foreign})
	return w
}

// tell hands an event to the machine and settles; rib answers in between.
func (w *walk) tell(what string, ev engine.Event) {
	w.story = append(w.story, fmt.Sprintf("%v %s", w.now.Sub(time.Unix(5000, 0)), what))
	w.step(ev)
	w.step(engine.Settled{})
}

func (w *walk) step(ev engine.Event) {
	var track []netip.Addr
	var over []engine.RemoteSource
	for _, e := range w.m.Step(w.now, ev) {
		switch e := e.(type) {
		case engine.Track:
			track = append(track, e.Addr)
		case engine.SourcesWanted:
			if w.wants[e.Group] == e.Wanted {
				w.t.Errorf("said twice: %+v", e)
			}
			w.wants[e.Group] = e.Wanted
			for k := range engine.SortedKeys(w.remote) {
				if k.Group == e.Group && !e.Wanted { // msdp withdraws
					delete(w.remote, k)
					over = append(over, engine.RemoteSource{Key: k})
				}
			}
		case engine.SourceActive:
			if (w.active[e.Key] == e.RP) == e.Active || e.Packet != nil && !e.Active {
				w.t.Errorf("said twice: %+v", e)
			}
			if delete(w.active, e.Key); e.Active {
				w.active[e.Key] = e.RP
			}
		}
	}
	for _, a := range track {
		w.step(w.pathTo(a))
	}
	for _, e := range over {
		w.step(e)
	}
}

func (w *walk) randomPath(a netip.Addr) engine.Path {
	p := engine.Path{Addr: a, Distance: uint32(w.rng.IntN(3)), Metric: uint32(w.rng.IntN(3))}
	n := w.rng.IntN(len(w.links))
	switch {
	case a == w.sources[2]:
		p.Hops = []engine.NextHop{{If: w.links[1].ID}} // on the link b
	case slices.Contains(w.rps, a) && w.rng.IntN(4) == 0:
		p.Local, p.Hops = true, []engine.NextHop{{If: w.links[0].ID}}
	case w.rng.IntN(10) == 0: // unreachable
	case !slices.Contains(w.rps, a) && w.rng.IntN(4) == 0:
		p.Hops = []engine.NextHop{{If: w.foreign.ID, Gateway: netip.MustParseAddr("10.0.50.1")}}
	default:
		p.Hops = []engine.NextHop{{If: w.links[n].ID, Gateway: w.neighbor(n, 1+w.rng.IntN(3))}}
	}
	return p
}

// neighbor is the address of the kth router on a link.
func (w *walk) neighbor(link, k int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 0, byte(link), byte(k)})
}

func (w *walk) pim(link int, src netip.Addr, msg wire.Message) engine.Packet {
	dst := wire.AllPIMRouters(engine.IPv4)
	b, err := wire.Encode(msg, src, dst)
	if err != nil {
		w.t.Fatal(err)
	}
	return engine.Packet{If: w.links[link].ID, Src: src, Dst: dst, Proto: engine.ProtoPIM, TTL: 1, Payload: b}
}

// happen makes one random thing happen.
func (w *walk) happen() {
	rng := w.rng
	link := rng.IntN(len(w.links))
	g, s := pick(rng, w.groups...), pick(rng, w.sources...)
	from := w.neighbor(link, 1+rng.IntN(2))
	id := w.links[link].ID
	switch n := rng.IntN(100); {
	case n < 12: // Hello, of some priority and Generation ID
		h := &wire.Hello{Options: []wire.Option{
			wire.Holdtime(pick(rng, 0, 100*time.Second, 1000*time.Second)), wire.DRPriority(rng.IntN(3)),
			wire.GenerationID(rng.IntN(2)), wire.LANPruneDelay{PropagationDelay: 500 * time.Millisecond},
		}}
		w.tell(fmt.Sprintf("hello %s %v %v", testNames[link], from, h.Options), w.pim(link, from, h))
	case n < 40: // Join/Prune, for us or another
		jp := &wire.JoinPrune{Upstream: w.links[link].Addrs[0].Addr(), Holdtime: 210 * time.Second}
		if rng.IntN(4) == 0 {
			jp.Upstream = w.neighbor(link, 1+rng.IntN(3))
		}
		set := wire.GroupSet{Group: wire.GroupOf(g)}
		for _, e := range []wire.Source{wire.StarG(w.cfg.RPs[0].Address), wire.SG(s), wire.SGRpt(s)} {
			switch rng.IntN(5) {
			case 0, 1:
				set.Joined = append(set.Joined, e)
			case 2:
				set.Pruned = append(set.Pruned, e)
			}
		}
		jp.Groups = []wire.GroupSet{set}
		w.tell(fmt.Sprintf("jp %s %v %+v", testNames[link], from, *jp), w.pim(link, from, jp))
	case n < 55: // Assert
		a := &wire.Assert{
			Group: wire.GroupOf(g), Source: pick(rng, s, netip.IPv4Unspecified()), RPT: rng.IntN(2) == 0,
			MetricPreference: uint32(rng.IntN(3)), Metric: uint32(rng.IntN(3)),
		}
		if a.RPT && rng.IntN(4) == 0 {
			a.MetricPreference, a.Metric = wire.InfiniteMetricPreference, wire.InfiniteMetric
		}
		w.tell(fmt.Sprintf("assert %s %v %+v", testNames[link], from, *a), w.pim(link, from, a))
	case n < 67: // hosts
		e := engine.Membership{If: id, Group: g, Mode: pick(rng, engine.Include, engine.Exclude)}
		for _, a := range w.sources {
			if rng.IntN(3) == 0 {
				e.Sources = append(e.Sources, a)
			}
		}
		w.tell(fmt.Sprintf("member %+v", e), e)
	case n < 85: // data
		k := engine.SG(s, g)
		packet := dataOf(s, g)
		events := []engine.Event{
			engine.Creation{Key: k, If: id}, engine.Creation{Key: k, If: id, Packet: packet},
			engine.WrongInterface{Key: k, If: id, Packet: packet}, engine.WholePacket{Key: k, Packet: packet},
			engine.Activity{Key: k, Packets: 3}, engine.Installed{Key: k},
		}
		ev := pick(rng, events...)
		w.tell(fmt.Sprintf("%T %v on %s", ev, k, testNames[link]), ev)
	case n < 88: // a path changes
		a := pick(rng, append(slices.Clone(w.sources), w.rps...)...)
		w.paths[a] = w.randomPath(a)
		w.tell(fmt.Sprintf("path %+v", w.paths[a]), w.paths[a])
		if w.reachedByOthers(a) {
			for _, g := range w.groups {
				w.ownerChanged(engine.SG(a, g))
			}
		}
	case n < 89 && rng.IntN(3) == 0: // an interface is replaced by another of its name
		l := &w.links[link]
		w.tell("gone "+l.Name, engine.InterfaceChange{Interface: *l, Gone: true})
		w.check()
		old := l.ID
		l.ID += 100
		w.tell(fmt.Sprintf("interface %+v", *l), engine.InterfaceChange{Interface: *l})
		for a, p := range engine.SortedAddrs(w.paths) {
			if len(p.Hops) > 0 && p.Hops[0].If == old {
				p.Hops = []engine.NextHop{{If: l.ID, Gateway: p.Hops[0].Gateway}}
				w.paths[a] = p
				w.tell(fmt.Sprintf("path %+v", p), p)
			}
		}
	case n < 90: // an interface goes down or up, gets another address
		l := &w.links[link]
		if rng.IntN(3) == 0 {
			l.Addrs = []netip.Prefix{netip.PrefixFrom(w.neighbor(link, 100+rng.IntN(2)), 24)}
		} else {
			l.Up = !l.Up
		}
		w.tell(fmt.Sprintf("interface %+v", *l), engine.InterfaceChange{Interface: *l})
	case n < 92: // Register, Register-Stop
		rp := w.cfg.RPs[0].Address
		var msg wire.Message = &wire.Register{Packet: dataOf(s, g)}
		src, dst := netip.MustParseAddr("10.8.0.1"), w.links[0].Addrs[0].Addr()
		if rng.IntN(2) == 0 {
			msg, src = &wire.RegisterStop{Group: wire.GroupOf(g), Source: s}, rp
		}
		b, _ := wire.Encode(msg, src, dst)
		w.tell(fmt.Sprintf("%v (%v,%v)", msg.Type(), s, g), engine.Packet{Src: src, Dst: dst, Proto: engine.ProtoPIM, Payload: b})
	case n < 95 && rng.IntN(2) == 0: // what other protocols want; the owner of an entry changes
		k := pick(rng, engine.Key{}, engine.StarG(g), engine.SG(s, g), engine.SG(s, g))
		switch {
		case k.Source.IsValid() && rng.IntN(4) == 0:
			w.ownerChanged(k)
		case k.Source.IsValid() && w.pathTo(s).Hops != nil && w.reachedByOthers(s): // the owner alone is told
		case rng.IntN(2) == 0:
			w.alert(k, "join", engine.JoinAlert)
		default:
			w.alert(k, "prune", engine.PruneAlert)
		}
	case n < 97 && rng.IntN(2) == 0: // msdp tells of a source of another domain
		if !w.wants[g] {
			return
		}
		e := engine.RemoteSource{Key: engine.SG(s, g), RP: w.rps[1], Active: rng.IntN(3) > 0}
		if e.Active && rng.IntN(2) == 0 {
			e.Packet = dataOf(s, g)
		}
		if delete(w.remote, e.Key); e.Active {
			w.remote[e.Key] = true
		}
		w.tell(fmt.Sprintf("remote source %+v", e), e)
	case n < 98 && rng.IntN(20) == 0: // MSDP ends, or begins
		w.cfg.MSDP = !w.cfg.MSDP
		w.tell(fmt.Sprintf("msdp %v", w.cfg.MSDP), engine.Configure{Config: w.cfg})
		clear(w.remote)
	case n < 93: // another RP, or none
		w.cfg.RPs = pick(rng, []StaticRP{{Address: w.rps[0]}}, []StaticRP{{Address: w.rps[1]}})
		w.tell(fmt.Sprintf("rp %v", w.cfg.RPs), engine.Configure{Config: w.cfg})
	default:
		w.wait(time.Duration(rng.IntN(5000)) * time.Millisecond * time.Duration(pick(rng, 1, 1, 1, 20)))
	}
}

// ownerChanged: another protocol owns an entry. It may be told again what others want when it is ours again.
func (w *walk) ownerChanged(k engine.Key) {
	delete(w.alerts, k)
	w.tell(fmt.Sprintf("owner of %v", k), engine.OwnerChanged{Key: k, Owner: engine.MachineID{Protocol: engine.PIMDM, Family: engine.IPv4}})
}

// pathTo returns the way to an address, chosen if need be.
func (w *walk) pathTo(a netip.Addr) engine.Path {
	if _, known := w.paths[a]; !known {
		w.paths[a] = w.randomPath(a)
	}
	return w.paths[a]
}

func (w *walk) alert(k engine.Key, what string, kind engine.AlertKind) {
	w.alerts[k] = what
	w.tell(fmt.Sprintf("alert %s %v", what, k), engine.Alert{Kind: kind, Key: k})
}

func dataOf(s, g netip.Addr) []byte {
	p := ip.UDP(netip.AddrPortFrom(s, 1), netip.AddrPortFrom(g, 1), 9, []byte("x"))
	return p.Append(nil)
}

func (w *walk) wait(d time.Duration) {
	until := w.now.Add(d)
	for {
		at, ok := w.m.Deadline()
		if !ok || at.After(until) {
			break
		}
		w.now = at
		w.tell("tick", engine.Tick{})
		w.check()
	}
	w.now = until
}

// factsOf reads the oracle's facts from the machine's Tree Information Base.
func (w *walk) factsOf(g *group, s *source) *facts {
	f := &facts{
		names: testNames, ssm: g.ssm, rp: "none", dr: ifs{}, memberG: ifs{}, memberSG: ifs{}, excludeSG: ifs{},
		jpG: map[string]string{}, jpSG: map[string]string{}, rpt: map[string]string{},
		assertG: map[string]assertFact{}, assertSG: map[string]assertFact{},
		sptbit: s.sptBit, kat: s.kat.Running(), remote: w.remote[s.key()], register: "NI", prefRP: 0x7fffffff, metRP: 0xffffffff,
		prefS: 0x7fffffff, metricS: 0xffffffff,
	}
	name := func(i *iface) string {
		if i == nil {
			return ""
		}
		return i.link.Name
	}
	if t := g.rpf; t != nil {
		f.rp, f.rpfRP = "known", name(t.iface)
		if t.local {
			f.rp = "us"
		}
		if t.nbr.IsValid() {
			f.nbrRP = lastByte(t.nbr)
		}
		if t.reachable {
			f.prefRP, f.metRP = t.distance, t.cost
		}
	}
	f.rpfS, f.connected, f.local = name(s.rpf.iface), s.rpf.connected, s.rpf.local
	if w.reachedByOthers(s.addr) {
		f.external, f.connected, f.rpfS = true, false, "external"
	}
	f.alertAll, f.alertG, f.alertSG = w.alerts[engine.Key{}], w.alerts[engine.StarG(g.addr)], ""
	switch s.wanted { // it ends with the state
	case engine.JoinAlert:
		f.alertSG = "join"
	case engine.PruneAlert:
		f.alertSG = "prune"
	}
	if f.alertSG == "join" && w.alerts[s.key()] != "join" || f.alertSG != "join" && w.alerts[s.key()] == "join" {
		w.t.Errorf("%v: the alert is %q, and taken for %q", s.key(), w.alerts[s.key()], f.alertSG)
	}
	if s.rpf.nbr.IsValid() {
		f.nbrS = lastByte(s.rpf.nbr)
	}
	if s.rpf.reachable {
		f.prefS, f.metricS = s.rpf.distance, s.rpf.cost
	}
	if s.register != nil {
		f.register = map[RegisterState]string{RegisterJoin: "J", RegisterPrune: "P", RegisterJoinPending: "JP"}[s.register.state]
	}
	down := func(d *downstream) string {
		if d == nil {
			return "NI"
		}
		return map[DownstreamState]string{Join: "J", PrunePending: "PP", Prune: "P"}[d.state]
	}
	won := func(a *assertState) assertFact {
		switch {
		case a == nil:
			return assertFact{state: "NI"}
		case a.state == AssertWinner:
			return assertFact{state: "W"}
		}
		r := assertFact{state: "L", winner: lastByte(a.winner), metric: [4]uint32{
			0, a.metric.Preference, a.metric.Metric, uint32(a.metric.Address.As4()[3]),
		}}
		if a.metric.RPT {
			r.metric[0] = 1
		}
		return r
	}
	for _, n := range testNames {
		f.dr[n] = byLinkName(w.m, n) != nil && byLinkName(w.m, n).dr
		f.assertG[n], f.assertSG[n] = assertFact{state: "NI"}, assertFact{state: "NI"}
	}
	for _, o := range g.oifs {
		n := o.iface.link.Name
		f.memberG[n], f.jpG[n], f.assertG[n] = o.member, down(o.jp), won(o.assert)
	}
	for _, o := range s.oifs {
		n := o.iface.link.Name
		f.memberSG[n], f.excludeSG[n], f.jpSG[n], f.rpt[n], f.assertSG[n] = o.member, o.exclude, down(o.jp), down(o.rpt), won(o.assert)
	}
	for _, m := range []ifs{f.dr, f.memberG, f.memberSG, f.excludeSG} {
		for k, v := range m {
			if !v {
				delete(m, k)
			}
		}
	}
	return f
}

func lastByte(a netip.Addr) string { return fmt.Sprint(a.As4()[3]) }

// check compares every entry with the oracle.
func (w *walk) check() {
	for _, n := range w.m.nodes() {
		g, s := n.g, n.s
		if s == nil {
			continue
		}
		f := w.factsOf(g, s).normal()
		wrong := func(format string, args ...any) {
			w.t.Helper()
			w.t.Errorf("%v: %s\nfacts %+v", s.key(), fmt.Sprintf(format, args...), *f)
		}
		if !s.rpf.known || s.gone || s.touched || g.touched {
			wrong("left behind: %+v", s)
			return
		}
		if (g.up.state == Joined) != f.joinDesiredG() || (s.up.state == Joined) != f.joinDesiredSG() {
			wrong("upstream is %v, %v", g.up.state, s.up.state)
		}
		if wanted := w.cfg.MSDP && f.rp == "us" && f.joinDesiredG(); wanted != w.wants[g.addr] {
			wrong("sources are wanted: %v", !wanted)
		}
		ours := s.msdp != nil && s.msdp.registered.Running() ||
			f.kat && (f.external || f.rpfS != "" && f.dr[f.rpfS] && (f.connected || f.local))
		if active := w.cfg.MSDP && f.rp == "us" && ours; active != w.active[s.key()].IsValid() {
			wrong("msdp was told of it: %v", !active)
		}
		if (s.register != nil) != f.couldRegister() {
			wrong("register is %v", s.registerState())
		}
		if !g.ssm {
			want := NotPruned
			if !f.joinDesiredG() {
				want = RPTNotJoined
			} else if f.pruneDesired() {
				want = Pruned
			}
			if s.rpt.state != want {
				wrong("upstream (S,G,rpt) is %v, want %v", s.rpt.state, want)
			}
		}
		if s.sptBit && s.up.state != Joined {
			wrong("the SPTbit is set without a Join")
		}
		for _, n := range f.names {
			if f.assertSG[n].state == "W" && !f.couldAssertSG(n) || f.assertG[n].state == "W" && !f.couldAssertG(n) {
				wrong("winner on %s without CouldAssert", n)
			}
			if f.assertSG[n].state == "L" && !f.trackingSG(n) || f.assertG[n].state == "L" && !f.trackingG(n) {
				wrong("loser on %s without AssertTrackingDesired", n)
			}
		}
		w.checkRow(s, f, wrong)
	}
}

// checkRow: the row of (S,G) does with a packet on any interface what section 4.2 says, or reports it.
func (w *walk) checkRow(s *source, f *facts, wrong func(string, ...any)) {
	if !s.said.wanted {
		if s.up.state == Joined || f.kat && !f.ssm {
			wrong("there is no row")
		}
		return
	}
	for _, iif := range append(slices.Clone(f.names), "external") {
		p := *f // as the packet finds it, and as section 4.2 changes it
		if iif == p.rpfS && (p.connected || p.local || p.external && f.rp != "none") {
			p.kat = true
		}
		if p.updateSPTbit(iif) {
			p.sptbit = true
		}
		out, _ := p.packet(iif)
		delete(out, "others") // no row is needed for them
		bit := external
		if i := byLinkName(w.m, iif); i != nil {
			bit = i.bit
		} else if iif != "external" {
			continue
		}
		if bit == s.said.in {
			got := setOf(w.m, s.said.out)
			if s.said.register != nil {
				got["VI"] = true
			}
			if fmt.Sprint(got) != fmt.Sprint(out) {
				wrong("a packet on %s goes to %v by the row, and to %v by section 4.2", iif, got, out)
			}
		} else if delete(out, "VI"); len(out) > 0 && !s.said.wrong.Has(bit) && !(p.connected || p.local || p.external) {
			wrong("a packet on %s goes to %v by section 4.2; the row takes it from elsewhere and reports it not", iif, out)
		}
	}
}

// leave makes everybody leave. Nothing may remain but what the configuration asks for.
func (w *walk) leave() {
	for k := range engine.SortedKeys(w.alerts) {
		w.alert(k, "prune", engine.PruneAlert)
	}
	for n := range w.links {
		w.links[n].Up = true
		w.tell("up", engine.InterfaceChange{Interface: w.links[n]})
		for _, g := range w.groups {
			w.tell("leave", engine.Membership{If: w.links[n].ID, Group: g})
		}
	}
	w.wait(2000 * time.Second)
	if len(w.active) > 0 || len(w.remote) > 0 {
		w.t.Errorf("msdp was told of %v, and told of %v", w.active, w.remote)
	}
	if len(w.m.groups)+w.m.sources > 0 {
		for _, n := range w.m.nodes() {
			w.t.Errorf("%v is left: %+v", n.key(), *n.entry())
		}
	}
	if len(w.m.targets) != len(w.m.rps) {
		w.t.Errorf("%d targets are left", len(w.m.targets))
	}
	for _, i := range w.m.interfaces() {
		if len(i.oifs.All) > 0 {
			w.t.Errorf("%s has state of %v", i.link.Name, i.oifs.All[0].key())
		}
	}
	if n := w.m.timers.Len(); n > 2*len(w.links) {
		w.t.Errorf("%d timers are left", n)
	}
}
