package pimdm_test

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
	"grove/internal/pim/neighbor"
	"grove/internal/pim/wire"
	"grove/pimdm"
)

var update = flag.Bool("update", false, "rewrite the golden files of the scenario scripts")

// TestScenarios runs testdata/*.txt. A script drives one Machine whose neighbors, hosts, rib and forwarding plane are
// the script's; under each command stands, indented, what the machine then did. mfib says Installed of each row that is new.
// Commands:
//
//	family 4|6                          before anything else
//	config refresh on|off|INTERVAL | retries N | entries N | sources N | members N | own GROUP | go
//	iface NAME PREFIX... [p2p] [mtu N] [nopim] [silent] [delay D] [sparse PREFIX] [dense PREFIX] [boundary PREFIX] [threshold N] [norefresh]
//	                                    a new or changed interface; delay: Triggered_Hello_Delay
//	down NAME | gone NAME
//	path A via IF GW[,IF GW...] [metric N] [distance N] | path A connected IF | path A local IF | path A none
//	hello IF FROM [genid N] [hold D] [capable D]            capable: State Refresh Capable, with an interval
//	jp IF FROM to A [hold=D] GROUP +S -S ...
//	graft IF FROM to A GROUP +S ... | ack IF FROM to A GROUP +S ...
//	assert IF FROM GROUP S PREF METRIC | assert IF FROM GROUP S cancel
//	refresh IF FROM GROUP S PREF METRIC [ttl N] [every D] [prune]
//	member IF GROUP | member IF GROUP include S... | member IF GROUP exclude S... | leave IF GROUP
//	new S G IF [whole] [ttl N]            a Creation; whole: with the packet
//	wrong S G IF                          a packet on a wrong interface
//	active S G                            packets are counted
//	alert join|prune S G | owner S G PROTOCOL | delete S G | failed S G
//	wait D                                time passes
//	show entries|interfaces|state-refresh|counts|neighbors [ARG]
//	quiet on|off                          print no transitions
//	shutdown
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
	m      *pimdm.Machine
	start  time.Time
	now    time.Time
	cfg    pimdm.Config
	ifaces map[string]*engine.Interface
	names  map[engine.IfID]string
	paths  map[netip.Addr]engine.Path
	track  map[netip.Addr]bool
	rows   map[engine.Key]bool
	fresh  []engine.Key // rows that mfib has not placed yet
	quiet  bool
	ticks  bool // print the time of what timers do
	log    []string
	all    []engine.Effect // of the last command, for Go tests
}

func newWorld(t *testing.T, f engine.Family) *world {
	w := &world{
		t: t, start: time.Unix(1_000_000, 0), ifaces: map[string]*engine.Interface{},
		names: map[engine.IfID]string{}, paths: map[netip.Addr]engine.Path{}, track: map[netip.Addr]bool{}, rows: map[engine.Key]bool{},
	}
	w.now = w.start
	w.setFamily(f)
	w.cfg.Interfaces = map[string]pimdm.InterfaceConfig{}
	return w
}

func (w *world) setFamily(f engine.Family) {
	w.family = f
	w.m = pimdm.New(engine.MachineID{Protocol: engine.PIMDM, Family: f}, rand.New(rand.NewPCG(1, 2)))
}

func (w *world) step(ev engine.Event) {
	w.effects(slices.Clone(w.m.Step(w.now, ev)))
}

// settle ends a batch. rib answers what the machine tracks.
func (w *world) settle() {
	w.step(engine.Settled{})
	fresh := w.fresh
	w.fresh = nil
	for _, k := range fresh {
		w.step(engine.Installed{Key: k})
	}
	if fresh != nil {
		w.step(engine.Settled{})
	}
}

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
			switch e := e.(type) {
			case engine.Want:
				if !w.rows[e.Key] {
					w.rows[e.Key] = true
					w.fresh = append(w.fresh, e.Key)
				}
			case engine.Unwant:
				delete(w.rows, e.Key)
			}
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
	case "new", "wrong", "active", "alert", "owner", "delete", "failed":
		return w.data(cmd, args)
	case "graft", "ack":
		return w.graft(cmd, args)
	case "refresh":
		return w.refresh(args)
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
	number := func(v *int) (err error) {
		*v, err = strconv.Atoi(f[1])
		return err
	}
	switch f[0] {
	case "refresh":
		w.cfg.NoStateRefresh = f[1] == "off"
		if d, err := time.ParseDuration(f[1]); err == nil {
			w.cfg.RefreshInterval = d
		}
	case "retries":
		return number(&w.cfg.GraftRetries)
	case "entries":
		return number(&w.cfg.MaxEntries)
	case "sources":
		return number(&w.cfg.MaxSources)
	case "own":
		w.cfg.Own = append(slices.Clone(w.cfg.Own), addr(f[1]))
	case "members":
		return number(&w.cfg.MaxMembershipState)
	case "go":
		w.event(engine.Configure{Config: w.cfg})
	default:
		return fmt.Errorf("what is %q", f[0])
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
	nc := pimdm.InterfaceConfig{Config: neighbor.Config{
		HelloPeriod: 30 * time.Second, HelloHoldtime: 105 * time.Second, DRPriority: 1,
		PropagationDelay: 500 * time.Millisecond, OverrideInterval: 2500 * time.Millisecond, MaxNeighbors: 512,
	}}
	pim := name != "lo"
	for n := 1; n < len(f); n++ {
		switch f[n] {
		case "p2p":
			i.PointToPoint = true
		case "nopim":
			pim = false
		case "mtu":
			i.MTU, _ = strconv.Atoi(f[n+1])
			n++
		case "silent":
			nc.Silent = true
		case "norefresh":
			nc.NoStateRefresh = true
		case "sparse":
			nc.Sparse = append(nc.Sparse, netip.MustParsePrefix(f[n+1]))
			n++
		case "dense":
			nc.Dense = append(nc.Dense, netip.MustParsePrefix(f[n+1]))
			n++
		case "boundary":
			nc.Boundary = append(nc.Boundary, netip.MustParsePrefix(f[n+1]))
			n++
		case "threshold":
			v, _ := strconv.Atoi(f[n+1])
			nc.Threshold = uint8(v)
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
	w.cfg.Interfaces = map[string]pimdm.InterfaceConfig{}
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
	p.Prefix, _ = p.Addr.Prefix(p.Addr.BitLen() * 3 / 4)
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
	if i := w.ifaces[name]; i != nil {
		id = i.ID
	}
	w.event(engine.Packet{If: id, Src: src, Dst: dst, Proto: engine.ProtoPIM, TTL: 1, Payload: payload})
	return nil
}

func (w *world) all_() netip.Addr { return wire.AllPIMRouters(w.family) }

func (w *world) hello(f []string) error {
	hold, genid := 10*time.Hour, 1
	var capable time.Duration
	for n := 2; n+1 < len(f); n += 2 {
		switch f[n] {
		case "hold":
			hold, _ = time.ParseDuration(f[n+1])
		case "genid":
			genid, _ = strconv.Atoi(f[n+1])
		case "capable":
			capable, _ = time.ParseDuration(f[n+1])
		}
	}
	h := &wire.Hello{Options: []wire.Option{
		wire.Holdtime(hold), wire.GenerationID(genid),
		wire.LANPruneDelay{PropagationDelay: 500 * time.Millisecond, OverrideInterval: 2500 * time.Millisecond},
	}}
	if capable > 0 {
		h.Options = append(h.Options, wire.StateRefreshCapable{Version: wire.StateRefreshVersion, Interval: capable})
	}
	return w.packet(f[0], addr(f[1]), w.all_(), h)
}

// sets reads what a message says of flows.
func sets(f []string) (list []wire.GroupSet, holdtime time.Duration) {
	holdtime = 210 * time.Second
	for _, x := range f {
		switch {
		case strings.HasPrefix(x, "hold="):
			holdtime, _ = time.ParseDuration(x[5:])
		case x[0] == '+' || x[0] == '-':
			set, e := &list[len(list)-1], sourceOf(x[1:])
			if x[0] == '+' {
				set.Joined = append(set.Joined, e)
			} else {
				set.Pruned = append(set.Pruned, e)
			}
		default:
			list = append(list, wire.GroupSet{Group: wire.GroupOf(addr(x))})
		}
	}
	return list, holdtime
}

func sourceOf(s string) wire.Source {
	if rp, ok := strings.CutPrefix(s, "*"); ok {
		return wire.StarG(addr(rp))
	}
	return wire.Source{Addr: addr(s)}
}

func (w *world) joinPrune(f []string) error {
	jp := &wire.JoinPrune{Upstream: addr(f[3])}
	jp.Groups, jp.Holdtime = sets(f[4:])
	return w.packet(f[0], addr(f[1]), w.all_(), jp)
}

// graft hands a Graft or Graft-Ack to the machine, which is at the first address of the interface.
func (w *world) graft(cmd string, f []string) error {
	list, _ := sets(f[4:])
	to := w.ifaces[f[0]].Primary(w.family)
	if cmd == "ack" {
		return w.packet(f[0], addr(f[1]), to, &wire.GraftAck{Upstream: addr(f[3]), Groups: list})
	}
	return w.packet(f[0], addr(f[1]), to, &wire.Graft{Upstream: addr(f[3]), Groups: list})
}

func (w *world) assert(f []string) error {
	a := &wire.Assert{Group: wire.GroupOf(addr(f[2])), Source: addr(f[3])}
	if f[4] == "cancel" {
		a.MetricPreference, a.Metric = wire.InfiniteMetricPreference, wire.InfiniteMetric
	} else {
		a.MetricPreference, a.Metric = metric(f[4:])
	}
	return w.packet(f[0], addr(f[1]), w.all_(), a)
}

func metric(f []string) (preference, metric uint32) {
	p, _ := strconv.Atoi(f[0])
	m, _ := strconv.Atoi(f[1])
	return uint32(p), uint32(m)
}

func (w *world) refresh(f []string) error {
	s := addr(f[3])
	sr := &wire.StateRefresh{
		Group: wire.GroupOf(addr(f[2])), Source: s, Originator: s.Prev(), MaskLen: 24, TTL: 16, Interval: 60 * time.Second,
		PruneIndicator: slices.Contains(f, "prune"),
	}
	sr.MetricPreference, sr.Metric = metric(f[4:])
	for n := 6; n+1 < len(f); n++ {
		switch f[n] {
		case "ttl":
			v, _ := strconv.Atoi(f[n+1])
			sr.TTL = uint8(v)
		case "every":
			sr.Interval, _ = time.ParseDuration(f[n+1])
		}
	}
	return w.packet(f[0], addr(f[1]), w.all_(), sr)
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

func (w *world) data(cmd string, f []string) error {
	if cmd == "alert" {
		kind := map[string]engine.AlertKind{"join": engine.JoinAlert, "prune": engine.PruneAlert}[f[0]]
		w.event(engine.Alert{Kind: kind, Key: engine.SG(addr(f[1]), addr(f[2]))})
		return nil
	}
	s, g := addr(f[0]), addr(f[1])
	k := engine.SG(s, g)
	var id engine.IfID
	if len(f) > 2 && w.ifaces[f[2]] != nil {
		id = w.ifaces[f[2]].ID
	}
	switch cmd {
	case "new":
		e := engine.Creation{Key: k, If: id}
		if slices.Contains(f, "whole") {
			ttl := 16
			if n := slices.Index(f, "ttl"); n > 0 {
				ttl, _ = strconv.Atoi(f[n+1])
			}
			p := ip.UDP(netip.AddrPortFrom(s, 5000), netip.AddrPortFrom(g, 5000), uint8(ttl), make([]byte, 20))
			e.Packet = p.Append(nil)
		}
		w.event(e)
	case "wrong":
		w.event(engine.WrongInterface{Key: k, If: id})
	case "active":
		w.event(engine.Activity{Key: k, Packets: 10, Bytes: 1000})
	case "owner":
		w.event(engine.OwnerChanged{Key: k, Owner: engine.MachineID{Protocol: engine.Protocol(f[2]), Family: w.family}})
	case "delete":
		delete(w.rows, k)
		w.event(engine.Deletion{Key: k})
	case "failed":
		w.event(engine.Failed{Key: k, Err: "no room"})
	}
	return nil
}

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
		return "" // with every configuration
	case engine.Interest:
		return fmt.Sprintf("interest %v %v", e.Group, e.Wanted)
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
	var out []engine.IfID
	for _, o := range e.Out {
		out = append(out, o.If)
	}
	s := fmt.Sprintf("want %v in %s out %s", e.Key, w.name(e.In), w.list(out))
	if e.WrongIf != nil {
		s += " wrong " + w.list(e.WrongIf)
	}
	if e.Activity <= time.Second {
		s += " fast"
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
	head := "send " + w.name(e.If)
	if !e.Dst.IsMulticast() {
		head += " > " + e.Dst.String()
	}
	if e.Proto != engine.ProtoPIM || e.TTL != 1 {
		return fmt.Sprintf("%s protocol %d TTL %d", head, e.Proto, e.TTL)
	}
	msg, err := wire.Parse(e.Payload, e.Src, e.Dst)
	if err != nil {
		return head + " " + err.Error()
	}
	switch m := msg.(type) {
	case *wire.Hello:
		if hold, _ := m.Holdtime(); hold == 0 && !w.quiet {
			return head + " Hello hold 0s"
		}
		return ""
	case *wire.JoinPrune:
		return fmt.Sprintf("%s Join/Prune to %v hold %v%s", head, m.Upstream, m.Holdtime, setNames(m.Groups))
	case *wire.Graft:
		return fmt.Sprintf("%s Graft to %v%s", head, m.Upstream, setNames(m.Groups))
	case *wire.GraftAck:
		return fmt.Sprintf("%s Graft-Ack to %v%s", head, m.Upstream, setNames(m.Groups))
	case *wire.Assert:
		metric := fmt.Sprintf("%d/%d", m.MetricPreference, m.Metric)
		if m.Metric == wire.InfiniteMetric {
			metric = "infinite"
		}
		return fmt.Sprintf("%s Assert (%v,%v) %s", head, m.Source, m.Group.Addr, metric)
	case *wire.StateRefresh:
		s := fmt.Sprintf("%s State Refresh (%v,%v) of %v %d/%d mask %d TTL %d every %v", head, m.Source, m.Group.Addr, m.Originator,
			m.MetricPreference, m.Metric, m.MaskLen, m.TTL, m.Interval)
		for _, flag := range []struct {
			set  bool
			name string
		}{{m.PruneIndicator, " P"}, {m.PruneNow, " N"}, {m.AssertOverride, " O"}} {
			if flag.set {
				s += flag.name
			}
		}
		return s
	}
	return head
}

func setNames(sets []wire.GroupSet) string {
	s := ""
	for _, g := range sets {
		s += " " + g.Group.Addr.String()
		for _, x := range g.Joined {
			s += " +" + sourceName(x)
		}
		for _, x := range g.Pruned {
			s += " -" + sourceName(x)
		}
	}
	return s
}

func sourceName(s wire.Source) string {
	if s.Sparse || s.RPT || s.Wildcard {
		return s.Addr.String() + "/sparse"
	}
	return s.Addr.String()
}

func (w *world) describeAnswer(e engine.Answer) string {
	if e.Err != "" {
		return "error " + e.Err
	}
	var lines []string
	switch v := e.Value.(type) {
	case []pimdm.EntryShow:
		for _, x := range v {
			lines = append(lines, strings.ReplaceAll(strings.TrimPrefix(fmt.Sprintf("%+v", x), "{"), " Interfaces:[{", "\n    {"))
		}
	case map[string]uint64:
		for k, n := range engine.Sorted(v) {
			lines = append(lines, fmt.Sprintf("%s: %d", k, n))
		}
	default:
		lines = append(lines, fmt.Sprintf("%+v", v))
	}
	return strings.Join(lines, "\n  ")
}
