package pimsm_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"grove/internal/engine"
	"grove/internal/ip"
	"grove/internal/pim/bootstrap"
	"grove/internal/pim/neighbor"
	"grove/internal/pim/wire"
	"grove/pimsm"
)

var update = flag.Bool("update", false, "rewrite the golden files of the scenario scripts")

// TestScenarios runs testdata/*.txt. A script drives one Machine whose neighbors, hosts, rib and forwarding plane are
// the script's; under each command stands, indented, what the machine then did. Commands:
//
//	family 4|6                          before anything else
//	config rp A [PREFIX] | anycast A MEMBER... | spt never | spt threshold KBPS | ssm PREFIX | accept SOURCES GROUPS | msdp on|off |
//	       autorp off|listen|candidate A PREFIX...|agent A | go
//	config bsr on|off | bsr candidate A [prio N] [hash N] [zones PREFIX,...] | bsr rp A [PREFIX,...] | bsr unicast | bsr border IF |
//	config bsr boundary IF PREFIX | bsr accept PREFIX       RFC 5059; see bootstrap_test.go
//	iface NAME PREFIX... [p2p] [mtu N] [nopim] [other] [prio N] [delay D]   a new or changed interface; delay:
//	                                    Triggered_Hello_Delay; other: it is another protocol's
//	down NAME | gone NAME
//	path A via IF GW[,IF GW...] [metric N] [distance N] | path A connected IF | path A local IF | path A none
//	hello IF FROM [genid N] [prio N] [hold D] [also A,...]
//	jp IF FROM to A [hold D] GROUP +ENTRY -ENTRY ...      ENTRY: *RP, S, S/rpt
//	assert IF FROM GROUP S|* rpt|spt PREF METRIC | assert IF FROM GROUP S|* cancel
//	member IF GROUP | member IF GROUP include S... | member IF GROUP exclude S... | leave IF GROUP
//	new S G IF [whole] [ttl N] [id N]     a Creation; whole: with the packet
//	wrong S G IF [ttl N]                  a packet on a wrong interface, with the packet
//	whole S G [ttl N] [id N] [len N]      a packet handed up
//	active S G                            packets are counted
//	register FROM TO S G [null] [ttl N] [id N]
//	stop FROM S|* G                       a Register-Stop
//	installed S G
//	bsm IF FROM BSR [prio N] [hash N] [tag N] [nofwd] [to A] RANGE RP... RANGE RP...     a Bootstrap message
//	adv FROM TO RP [prio N] [hold D] RANGE...               a Candidate-RP-Advertisement
//	alert join|prune [[S] G]              what other protocols want; without a group: of (*,*)
//	owner pimsm|pimdm S G                 the owner of an entry changed
//	remote S G RP [ttl N] [id N] | noremote S G RP     msdp tells of a source of another domain, with a packet
//	autorp announce|discover IF FROM RP PREFIX... [port N] [damaged]    a message of Auto-RP
//	wait D                                time passes
//	show entries|joins|rp|bsr|counts|neighbors|interfaces [ARG]
//	mappings [G]                          the Group-to-RP mappings, in short
//	quiet on|off                          print no transitions
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("scripts: %v, %v", files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			golden, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := run(t, string(golden))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(golden) {
				t.Errorf("%s: the machine does otherwise (-update rewrites):\n%s", file, firstDifference(string(golden), got))
			}
		})
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for n := range min(len(w), len(g)) {
		if w[n] != g[n] {
			from := max(0, n-5)
			return fmt.Sprintf("line %d\n%s\nwant %s\ngot  %s\n...\n%s", n+1, strings.Join(g[from:n], "\n"), w[n], g[n],
				strings.Join(g[n:min(len(g), n+8)], "\n"))
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(g), len(w))
}

// run runs a script and returns it with what happened.
func run(t *testing.T, script string) string {
	w := newWorld(t, engine.IPv4)
	var out strings.Builder
	for _, line := range strings.Split(strings.TrimRight(script, "\n"), "\n") {
		if strings.HasPrefix(line, "  ") {
			continue // what happened the last time
		}
		fmt.Fprintln(&out, line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := w.do(strings.Fields(line)); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		for _, l := range w.log {
			fmt.Fprintf(&out, "  %s\n", l)
		}
		w.log = nil
	}
	return out.String()
}

// world is what surrounds the machine in a script.
type world struct {
	t      *testing.T
	family engine.Family
	m      *pimsm.Machine
	start  time.Time
	now    time.Time
	cfg    pimsm.Config
	ifaces map[string]*engine.Interface
	names  map[engine.IfID]string
	paths  map[netip.Addr]engine.Path
	track  map[netip.Addr]bool
	quiet  bool
	tag    int  // of the next Bootstrap message
	ticks  bool // print the time of what timers do
	log    []string
	all    []engine.Effect // of the last command, for Go tests
}

func newWorld(t *testing.T, f engine.Family) *world {
	w := &world{
		t: t, start: time.Unix(1_000_000, 0), ifaces: map[string]*engine.Interface{},
		names: map[engine.IfID]string{}, paths: map[netip.Addr]engine.Path{}, track: map[netip.Addr]bool{},
	}
	w.now = w.start
	w.setFamily(f)
	w.cfg.Interfaces = map[string]neighbor.Config{}
	return w
}

func (w *world) setFamily(f engine.Family) {
	w.family = f
	w.m = pimsm.New(engine.MachineID{Protocol: engine.PIMSM, Family: f}, rand.New(rand.NewPCG(1, 2)))
}

func (w *world) step(ev engine.Event) {
	w.effects(slices.Clone(w.m.Step(w.now, ev)))
}

// settle ends a batch. rib answers what the machine tracks.
func (w *world) settle() { w.step(engine.Settled{}) }

func (w *world) event(ev engine.Event) {
	w.all = nil
	w.step(ev)
	w.settle()
}

func (w *world) effects(list []engine.Effect) {
	w.all = append(w.all, list...)
	var paths []engine.Path
	for _, e := range list {
		switch e := e.(type) {
		case engine.Track:
			w.track[e.Addr] = true
			p := w.paths[e.Addr]
			p.Addr = e.Addr
			paths = append(paths, p)
		case engine.Untrack:
			delete(w.track, e.Addr)
		default:
			if s := w.describe(e); s != "" {
				w.say(s)
			}
		}
	}
	for _, p := range paths {
		w.step(p)
	}
}

func (w *world) say(s string) {
	if w.ticks {
		s = fmt.Sprintf("%v %s", w.now.Sub(w.start).Round(time.Millisecond), s)
	}
	w.log = append(w.log, s)
}

// wait lets time pass.
func (w *world) wait(d time.Duration) {
	w.all = nil
	until := w.now.Add(d)
	w.ticks = true
	for {
		at, ok := w.m.Deadline()
		if !ok || at.After(until) {
			break
		}
		w.now = at
		w.step(engine.Tick{})
		w.settle()
	}
	w.ticks = false
	w.now = until
}

func (w *world) do(f []string) error {
	switch cmd, args := f[0], f[1:]; cmd {
	case "family":
		n, err := strconv.Atoi(args[0])
		w.setFamily(engine.Family(n))
		return err
	case "quiet":
		w.quiet = args[0] == "on"
	case "config":
		return w.configure(args)
	case "iface":
		return w.iface(args)
	case "down":
		i := w.ifaces[args[0]]
		i.Up, i.Carrier = false, false
		w.event(engine.InterfaceChange{Interface: *i})
	case "gone":
		i := w.ifaces[args[0]]
		delete(w.ifaces, args[0])
		w.event(engine.InterfaceChange{Interface: *i, Gone: true})
	case "path":
		return w.path(args)
	case "hello":
		return w.hello(args)
	case "jp":
		return w.joinPrune(args)
	case "assert":
		return w.assert(args)
	case "member", "leave":
		return w.member(cmd, args)
	case "new", "wrong", "whole", "active", "installed":
		return w.data(cmd, args)
	case "alert":
		a := engine.Alert{Kind: map[string]engine.AlertKind{"join": engine.JoinAlert, "prune": engine.PruneAlert}[args[0]]}
		switch len(args) {
		case 2:
			a.Key = engine.StarG(addr(args[1]))
		case 3:
			a.Key = engine.SG(addr(args[1]), addr(args[2]))
		}
		w.event(a)
	case "owner":
		id := engine.MachineID{Protocol: engine.Protocol(args[0]), Family: w.family}
		w.event(engine.OwnerChanged{Key: engine.SG(addr(args[1]), addr(args[2])), Owner: id})
	case "register":
		return w.register(args)
	case "stop":
		return w.stop(args)
	case "remote", "noremote":
		e := engine.RemoteSource{Key: engine.SG(addr(args[0]), addr(args[1])), RP: addr(args[2]), Active: cmd == "remote"}
		if len(args) > 3 {
			e.Packet = dataPacket(e.Key.Source, e.Key.Group, args[3:])
		}
		w.event(e)
	case "autorp":
		return w.autorp(args)
	case "mappings":
		w.showMappings(args)
	case "bsm":
		return w.bootstrap(args)
	case "adv":
		return w.advertisement(args)
	case "wait":
		d, err := time.ParseDuration(args[0])
		w.wait(d)
		return err
	case "show":
		arg := ""
		if len(args) > 1 {
			arg = args[1]
		}
		w.event(engine.Query{ID: 1, What: args[0], Arg: arg})
	case "shutdown":
		w.event(engine.Shutdown{})
	default:
		return fmt.Errorf("unknown command %q", cmd)
	}
	return nil
}

func (w *world) configure(f []string) error {
	switch f[0] {
	case "rp":
		rp := pimsm.StaticRP{Address: addr(f[1])}
		for _, p := range f[2:] {
			rp.Groups = append(rp.Groups, netip.MustParsePrefix(p))
		}
		w.cfg.RPs = append(slices.Clone(w.cfg.RPs), rp)
	case "anycast":
		set := pimsm.AnycastRP{Address: addr(f[1])}
		for _, a := range f[2:] {
			set.Members = append(set.Members, addr(a))
		}
		w.cfg.AnycastRPs = append(slices.Clone(w.cfg.AnycastRPs), set)
	case "norp":
		w.cfg.RPs = nil
	case "spt":
		switch f[1] {
		case "never":
			w.cfg.SPTSwitch = pimsm.SPTNever
		case "threshold":
			n, err := strconv.Atoi(f[2])
			w.cfg.SPTSwitch, w.cfg.SPTThresholdKbps = pimsm.SPTThreshold, uint64(n)
			return err
		}
	case "autorp":
		return w.configAutoRP(f[1:])
	case "bsr":
		return w.configureBSR(f[1:])
	case "msdp":
		w.cfg.MSDP = f[1] == "on"
	case "ssm":
		w.cfg.SSM = append(w.cfg.SSM, netip.MustParsePrefix(f[1]))
	case "accept":
		w.cfg.AcceptRegister = append(w.cfg.AcceptRegister,
			pimsm.RegisterFilter{Source: netip.MustParsePrefix(f[1]), Group: netip.MustParsePrefix(f[2])})
	case "go":
		w.event(engine.Configure{Config: w.cfg})
	}
	return nil
}

func (w *world) iface(f []string) error {
	name := f[0]
	i := w.ifaces[name]
	if i == nil {
		i = &engine.Interface{ID: engine.IfID(len(w.names) + 1), Name: name, MTU: 1500}
		w.ifaces[name] = i
		w.names[i.ID] = name
	}
	i.Up, i.Carrier, i.Multicast, i.Addrs = true, true, true, nil
	// Most scripts look at joins and data: Hellos come rarely and soon there.
	nc := neighbor.Config{
		HelloPeriod: 30 * time.Second, HelloHoldtime: 105 * time.Second, DRPriority: 1,
		PropagationDelay: 500 * time.Millisecond, OverrideInterval: 2500 * time.Millisecond, MaxNeighbors: 512,
	}
	pim := name != "lo"
	w.cfg.External = slices.DeleteFunc(slices.Clone(w.cfg.External), func(n string) bool { return n == name })
	for n := 1; n < len(f); n++ {
		switch f[n] {
		case "p2p":
			i.PointToPoint = true
		case "nopim":
			pim = false
		case "other":
			pim = false
			w.cfg.External = append(w.cfg.External, name)
		case "mtu":
			i.MTU, _ = strconv.Atoi(f[n+1])
			n++
		case "prio":
			p, _ := strconv.Atoi(f[n+1])
			nc.DRPriority = uint32(p)
			n++
		case "delay":
			nc.TriggeredHelloDelay, _ = time.ParseDuration(f[n+1])
			n++
		default:
			p, err := netip.ParsePrefix(f[n])
			if err != nil {
				return err
			}
			i.Addrs = append(i.Addrs, p)
		}
	}
	if w.family == engine.IPv6 && !slices.ContainsFunc(i.Addrs, func(p netip.Prefix) bool { return p.Addr().IsLinkLocalUnicast() }) {
		i.Addrs = append(i.Addrs, netip.MustParsePrefix(fmt.Sprintf("fe80::%d:1/64", i.ID)))
	}
	cfg := w.cfg.Interfaces
	w.cfg.Interfaces = map[string]neighbor.Config{}
	for k, v := range cfg {
		w.cfg.Interfaces[k] = v
	}
	delete(w.cfg.Interfaces, name)
	if pim {
		w.cfg.Interfaces[name] = nc
	}
	w.event(engine.Configure{Config: w.cfg})
	c := *i
	c.Addrs = slices.Clone(i.Addrs)
	w.event(engine.InterfaceChange{Interface: c})
	return nil
}

func (w *world) path(f []string) error {
	p := engine.Path{Addr: addr(f[0]), Distance: 110, Metric: 10, Origin: "ospf"}
	for n := 1; n < len(f); n++ {
		switch f[n] {
		case "none":
		case "connected", "local":
			p.Local = f[n] == "local"
			p.Distance, p.Metric, p.Origin = 0, 0, "connected"
			p.Hops = append(p.Hops, engine.NextHop{If: w.ifaces[f[n+1]].ID, Weight: 1})
			n++
		case "via":
			p.Hops = append(p.Hops, engine.NextHop{If: w.ifaces[f[n+1]].ID, Gateway: addr(f[n+2]), Weight: 1})
			n += 2
		case "metric":
			v, _ := strconv.Atoi(f[n+1])
			p.Metric = uint32(v)
			n++
		case "distance":
			v, _ := strconv.Atoi(f[n+1])
			p.Distance = uint32(v)
			n++
		default:
			return fmt.Errorf("what is %q", f[n])
		}
	}
	w.paths[p.Addr] = p
	if w.track[p.Addr] {
		w.event(p)
	}
	return nil
}

// packet hands a PIM message to the machine.
func (w *world) packet(name string, src, dst netip.Addr, msg wire.Message) error {
	payload, err := wire.Encode(msg, src, dst)
	if err != nil {
		return err
	}
	var id engine.IfID
	ttl := uint8(60) // of what comes from far away
	if i := w.ifaces[name]; i != nil {
		id, ttl = i.ID, 1
	}
	w.event(engine.Packet{If: id, Src: src, Dst: dst, Proto: engine.ProtoPIM, TTL: ttl, Payload: payload})
	return nil
}

func (w *world) all_() netip.Addr { return wire.AllPIMRouters(w.family) }

func (w *world) hello(f []string) error {
	hold, prio, genid := 10*time.Hour, 1, 1
	var also wire.AddressList
	for n := 2; n+1 < len(f); n += 2 {
		switch f[n] {
		case "hold":
			hold, _ = time.ParseDuration(f[n+1])
		case "prio":
			prio, _ = strconv.Atoi(f[n+1])
		case "genid":
			genid, _ = strconv.Atoi(f[n+1])
		case "also":
			for _, a := range strings.Split(f[n+1], ",") {
				also = append(also, addr(a))
			}
		}
	}
	h := &wire.Hello{Options: []wire.Option{
		wire.Holdtime(hold), wire.DRPriority(prio), wire.GenerationID(genid),
		wire.LANPruneDelay{PropagationDelay: 500 * time.Millisecond, OverrideInterval: 2500 * time.Millisecond},
	}}
	if also != nil {
		h.Options = append(h.Options, also)
	}
	return w.packet(f[0], addr(f[1]), w.all_(), h)
}

func (w *world) joinPrune(f []string) error {
	jp := &wire.JoinPrune{Upstream: addr(f[3]), Holdtime: 210 * time.Second}
	for _, x := range fieldsAfter(f, 4) {
		switch {
		case strings.HasPrefix(x, "hold="):
			jp.Holdtime, _ = time.ParseDuration(x[5:])
		case x[0] == '+' || x[0] == '-':
			set := &jp.Groups[len(jp.Groups)-1]
			e := entryOf(x[1:])
			if x[0] == '+' {
				set.Joined = append(set.Joined, e)
			} else {
				set.Pruned = append(set.Pruned, e)
			}
		default:
			jp.Groups = append(jp.Groups, wire.GroupSet{Group: wire.GroupOf(addr(x))})
		}
	}
	return w.packet(f[0], addr(f[1]), w.all_(), jp)
}

func fieldsAfter(f []string, n int) []string { return f[n:] }

func entryOf(s string) wire.Source {
	if rp, ok := strings.CutPrefix(s, "*"); ok {
		return wire.StarG(addr(rp))
	}
	if a, ok := strings.CutSuffix(s, "/rpt"); ok {
		return wire.SGRpt(addr(a))
	}
	return wire.SG(addr(s))
}

func (w *world) assert(f []string) error {
	a := &wire.Assert{Group: wire.GroupOf(addr(f[2])), Source: netip.IPv4Unspecified()}
	if w.family == engine.IPv6 {
		a.Source = netip.IPv6Unspecified()
	}
	if f[3] != "*" {
		a.Source = addr(f[3])
	}
	switch f[4] {
	case "cancel":
		a.RPT, a.MetricPreference, a.Metric = true, wire.InfiniteMetricPreference, wire.InfiniteMetric
	default:
		a.RPT = f[4] == "rpt"
		p, _ := strconv.Atoi(f[5])
		m, _ := strconv.Atoi(f[6])
		a.MetricPreference, a.Metric = uint32(p), uint32(m)
	}
	return w.packet(f[0], addr(f[1]), w.all_(), a)
}

func (w *world) member(cmd string, f []string) error {
	e := engine.Membership{If: w.ifaces[f[0]].ID, Group: addr(f[1])}
	if cmd == "member" {
		e.Mode = engine.Exclude
		if len(f) > 2 {
			if f[2] == "include" {
				e.Mode = engine.Include
			}
			for _, a := range f[3:] {
				e.Sources = append(e.Sources, addr(a))
			}
		}
	}
	w.event(e)
	return nil
}

// dataPacket makes a UDP packet of a flow.
func dataPacket(s, g netip.Addr, f []string) []byte {
	ttl, id, length := 16, 1, 20
	for n, x := range f {
		if n+1 < len(f) {
			v, _ := strconv.Atoi(f[n+1])
			switch x {
			case "ttl":
				ttl = v
			case "id":
				id = v
			case "len":
				length = v
			}
		}
	}
	data := make([]byte, length)
	data[0] = byte(id)
	p := ip.UDP(netip.AddrPortFrom(s, 5000), netip.AddrPortFrom(g, 5000), uint8(ttl), data)
	p.ID = uint16(id)
	return p.Append(nil)
}

func (w *world) data(cmd string, f []string) error {
	s, g := addr(f[0]), addr(f[1])
	k := engine.SG(s, g)
	var id engine.IfID
	if len(f) > 2 && w.ifaces[f[2]] != nil {
		id = w.ifaces[f[2]].ID
	}
	p := dataPacket(s, g, f[2:])
	switch cmd {
	case "new":
		e := engine.Creation{Key: k, If: id}
		if slices.Contains(f, "whole") {
			e.Packet = p
		}
		w.event(e)
	case "wrong":
		w.event(engine.WrongInterface{Key: k, If: id, Packet: p})
	case "whole":
		w.event(engine.WholePacket{Key: k, Packet: p})
	case "active":
		e := engine.Activity{Key: k, Packets: 10, Bytes: 1000}
		if len(f) > 2 {
			n, err := strconv.Atoi(f[2])
			if err != nil {
				return err
			}
			e.Bytes = uint64(n)
		}
		w.event(e)
	case "installed":
		w.event(engine.Installed{Key: k})
	}
	return nil
}

func (w *world) register(f []string) error {
	s, g := addr(f[2]), addr(f[3])
	r := &wire.Register{Packet: dataPacket(s, g, f[4:])}
	if slices.Contains(f, "null") {
		r = wire.NullRegister(s, g)
	}
	return w.packet("", addr(f[0]), addr(f[1]), r)
}

func (w *world) stop(f []string) error {
	src := netip.IPv4Unspecified()
	if f[1] != "*" {
		src = addr(f[1])
	}
	// To any address of ours.
	return w.packet("", addr(f[0]), addr("10.0.0.1"), &wire.RegisterStop{Group: wire.GroupOf(addr(f[2])), Source: src})
}

func splitFields(s string) []string { return strings.Fields(s) }

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// ---- what the machine did, in words ----

func (w *world) describe(e engine.Effect) string {
	switch e := e.(type) {
	case engine.Send:
		return w.describeSend(e)
	case engine.Transition:
		if w.quiet || e.Entity == "neighbor" || e.Entity == "DR" {
			return ""
		}
		s := e.Entity
		if e.If != 0 {
			s += " " + w.names[e.If]
		}
		s += fmt.Sprintf(" %v: %s -> %s", e.Key, e.Old, e.New)
		if e.Neighbor.IsValid() {
			s += " by " + e.Neighbor.String()
		}
		return s + " (" + e.Cause + ")"
	case engine.Want:
		return w.describeWant(e)
	case engine.Unwant:
		return "unwant " + e.Key.String()
	case engine.Decline:
		return "decline " + e.Key.String()
	case engine.Revisit:
		return "revisit " + e.Key.String()
	case engine.HostGroup:
		if wire.AllPIMRouters(w.family) == e.Group {
			return ""
		}
		return fmt.Sprintf("member of %v on %s: %v", e.Group, w.name(e.If), e.Member)
	case engine.Inject:
		p, err := ip.Parse(e.Packet)
		if err != nil {
			return "inject " + err.Error()
		}
		s := fmt.Sprintf("inject %v > %v ttl %d id %d out %s", p.Src, p.Dst, p.TTL, p.ID, w.list(e.Out))
		if e.Own {
			s += describeAutoRP(&p)
		}
		if e.Fresh && w.cfg.External != nil {
			s += " and to other protocols"
		}
		return s
	case engine.SourceActive:
		s := fmt.Sprintf("source-active %v of %v: %v", e.Key, e.RP, e.Active)
		if e.Packet != nil {
			p, err := ip.Parse(e.Packet)
			s += fmt.Sprintf(" packet ttl %d id %d", p.TTL, p.ID)
			if err != nil {
				s += " " + err.Error()
			}
		}
		return s
	case engine.SourcesWanted:
		return fmt.Sprintf("sources wanted of %v: %v", e.Group, e.Wanted)
	case engine.Wildcard:
		return fmt.Sprintf("wildcard %v", e.Groups)
	case engine.Note:
		if e.Level == engine.Debug {
			return "note " + e.Text
		}
		return "NOTE " + e.Text
	case engine.Answer:
		return w.describeAnswer(e)
	}
	return ""
}

func (w *world) describeWant(e engine.Want) string {
	s := fmt.Sprintf("want %v in %s", e.Key, w.name(e.In))
	if e.Accept != nil {
		s += " accept " + w.list(e.Accept)
	}
	var out []engine.IfID
	for _, o := range e.Out {
		out = append(out, o.If)
	}
	s += " out " + w.list(out)
	for _, c := range e.Encap {
		s += " register to " + c.To.String()
	}
	if e.Tap {
		s += " tap"
	}
	if e.Negative != "" {
		s += " negative: " + e.Negative
	}
	return s
}

func (w *world) name(id engine.IfID) string {
	if id == 0 {
		return "none"
	}
	return w.names[id]
}

func (w *world) list(ids []engine.IfID) string {
	names := []string{}
	for _, id := range ids {
		names = append(names, w.names[id])
	}
	return "[" + strings.Join(names, " ") + "]"
}

func (w *world) describeSend(e engine.Send) string {
	head := fmt.Sprintf("send %s %v > %v", w.name(e.If), e.Src, e.Dst)
	if e.If == 0 {
		head = fmt.Sprintf("send %v > %v", e.Src, e.Dst)
	}
	if e.Proto != engine.ProtoPIM {
		return fmt.Sprintf("%s protocol %d type %d", head, e.Proto, e.Payload[0])
	}
	msg, err := wire.Parse(e.Payload, e.Src, e.Dst)
	if err != nil {
		return head + " " + err.Error()
	}
	switch m := msg.(type) {
	case *wire.Hello:
		return ""
	case *wire.JoinPrune:
		s := fmt.Sprintf("send %s Join/Prune to %v hold %v", w.name(e.If), m.Upstream, m.Holdtime)
		for _, g := range m.Groups {
			s += " " + g.Group.Addr.String()
			for _, x := range g.Joined {
				s += " +" + entryName(x)
			}
			for _, x := range g.Pruned {
				s += " -" + entryName(x)
			}
		}
		return s
	case *wire.Assert:
		source := m.Source.String()
		if m.Source.IsUnspecified() {
			source = "*"
		}
		metric := fmt.Sprintf("%d/%d", m.MetricPreference, m.Metric)
		if m.Metric == wire.InfiniteMetric {
			metric = "infinite"
		}
		tree := "spt"
		if m.RPT {
			tree = "rpt"
		}
		return fmt.Sprintf("send %s Assert (%s,%v) %s %s", w.name(e.If), source, m.Group.Addr, tree, metric)
	case *wire.Register:
		s, g := m.Flow()
		if m.Null {
			return fmt.Sprintf("%s Null-Register (%v,%v)", head, s, g)
		}
		p, err := ip.Parse(m.Packet)
		if err != nil {
			return head + " Register " + err.Error()
		}
		return fmt.Sprintf("%s Register (%v,%v) ttl %d id %d len %d", head, s, g, p.TTL, p.ID, len(m.Packet))
	case *wire.Bootstrap:
		return head + " " + bootstrapWords(m)
	case *wire.CandidateRPAdv:
		return head + " " + advertisementWords(m)
	case *wire.RegisterStop:
		return fmt.Sprintf("%s Register-Stop (%v,%v)", head, m.Source, m.Group.Addr)
	}
	return head
}

func entryName(s wire.Source) string {
	switch {
	case s.IsStarG():
		return "*" + s.Addr.String()
	case s.IsSGRpt():
		return s.Addr.String() + "/rpt"
	}
	return s.Addr.String()
}

func (w *world) describeAnswer(e engine.Answer) string {
	if e.Err != "" {
		return "error " + e.Err
	}
	var lines []string
	switch v := e.Value.(type) {
	case []pimsm.EntryShow:
		for _, x := range v {
			s := fmt.Sprintf("%v %s rpf %s %v in %s olist %v jt %v", x.Key, x.Upstream, x.RPFInterface, x.RPFNeighbor,
				x.Incoming, x.Olist, x.JoinTimer)
			if x.Key.Source.IsValid() {
				s += fmt.Sprintf(" spt %v kat %v %s register %s", x.SPTbit, x.Keepalive, x.Rpt, x.Register)
			}
			if x.Advertised {
				s += " advertised"
			}
			if x.Remote {
				s += " remote"
			}
			lines = append(lines, s)
		}
	case []pimsm.DownstreamShow:
		for _, x := range v {
			s := fmt.Sprintf("%v %s %s et %v ppt %v", x.Key, x.Interface, x.State, x.Expires, x.PrunePending)
			if x.Key.Source.IsValid() {
				s += fmt.Sprintf(" rpt %s et %v ppt %v", x.Rpt, x.RptExpires, x.RptPrunePending)
			}
			if x.Member {
				s += " member"
			}
			if x.Excluded {
				s += " excluded"
			}
			if x.AssertWinner.IsValid() {
				s += fmt.Sprintf(" %s %v at %v", x.Assert, x.AssertMetric, x.AssertExpires)
			}
			lines = append(lines, s)
		}
	case bootstrap.Show:
		lines = bsrWords(v)
	case map[string]uint64:
		for k, n := range engine.Sorted(v) {
			lines = append(lines, fmt.Sprintf("%s: %d", k, n))
		}
	default:
		lines = append(lines, fmt.Sprintf("%+v", v))
	}
	return strings.Join(lines, "\n  ")
}
