package dvmrp_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"grove/dvmrp"
	"grove/dvmrp/wire"
	"grove/internal/engine"
	"grove/internal/script"
)

// TestScenarios runs testdata/*.txt. A script drives one Machine whose neighbors, hosts and forwarding plane are the script's.
// The rib is a model: an address is on the link of the interface whose network it is in, or else behind the longest route that
// the machine told; "path" says otherwise. mfib says Installed of each row that is new. Commands:
//
//	config KEY VALUE ... go                 of dvmrp.Config: probe, timeout, report, flash, expiration, holddown, prune, cache,
//	                                        second, routes, entries, prunes, queries, groups; originate connected|default|PREFIX METRIC
//	iface NAME PREFIX... [p2p] [tunnel LOCAL REMOTE] [metric N] [threshold N] [neighbors N] [nodvmrp] [boundary PREFIX]
//	down NAME | up NAME | gone NAME
//	probe IF FROM [names A...] [genid N] [version N.N] [caps HEX]    names: the neighbor list; "me" is our address
//	report IF FROM PREFIX=METRIC ...
//	prune IF FROM S G LIFETIME [mask N] | graft IF FROM S G [mask N] | ack IF FROM S G
//	ask IF FROM TO [old]                    AskNeighbors2, or AskNeighbors
//	member IF GROUP [include S... | exclude S...] | leave IF GROUP
//	path A via IF GW | path A on IF | path A none | path A auto
//	new S G IF | active S G | alert join|prune S G | owner S G PROTOCOL | delete S G | failed S G
//	wait D                                  time passes
//	show interfaces|neighbors|routes|entries|counts [ARG]
//	hide KIND... | see KIND...              KIND: probe, report, transition, rib, want
//	shutdown
func TestScenarios(t *testing.T) {
	script.Run(t, "testdata/*.txt", func(t *testing.T) func([]string) string {
		w := newWorld(t)
		return func(words []string) string {
			if err := w.do(words); err != nil {
				t.Fatalf("%v: %v", words, err)
			}
			said := strings.Join(w.log, "\n")
			w.log = nil
			return said
		}
	})
}

// world is what surrounds the machine in a script.
type world struct {
	t      testing.TB
	m      *dvmrp.Machine
	start  time.Time
	now    time.Time
	cfg    dvmrp.Config
	ifaces map[string]*engine.Interface
	names  map[engine.IfID]string
	fixed  map[netip.Addr]engine.Path
	told   map[netip.Prefix]engine.MRIBRoute
	track  map[netip.Addr]bool
	rows   map[engine.Key]bool
	fresh  []engine.Key // rows that mfib has not placed yet
	stale  bool         // what rib says may have changed
	hidden map[string]bool
	ticks  bool // print the time of what timers do
	log    []string
}

func newWorld(t testing.TB) *world {
	w := &world{
		t: t, start: time.Unix(1_000_000, 0), ifaces: map[string]*engine.Interface{}, names: map[engine.IfID]string{},
		fixed: map[netip.Addr]engine.Path{}, told: map[netip.Prefix]engine.MRIBRoute{}, track: map[netip.Addr]bool{},
		rows: map[engine.Key]bool{}, hidden: map[string]bool{"probe": true},
	}
	w.now = w.start
	w.m = dvmrp.New(engine.MachineID{Protocol: engine.DVMRP, Family: engine.IPv4}, rand.New(rand.NewPCG(1, 2)))
	w.cfg.Interfaces = map[string]dvmrp.InterfaceConfig{}
	return w
}

// event hands the machine an event and settles.
func (w *world) event(ev engine.Event) {
	w.step(ev)
	w.settle()
}

func (w *world) settle() {
	for {
		w.step(engine.Settled{})
		fresh := w.fresh
		w.fresh = nil
		for _, k := range fresh {
			w.step(engine.Installed{Key: k})
		}
		if len(fresh) == 0 && !w.stale {
			return
		}
		w.tellPaths()
	}
}

func (w *world) tellPaths() {
	w.stale = false
	for a := range engine.SortedAddrs(w.track) {
		w.step(w.path(a))
	}
}

// path is the answer of the rib.
func (w *world) path(a netip.Addr) engine.Path {
	if p, ok := w.fixed[a]; ok {
		return p
	}
	for _, i := range engine.Sorted(w.ifaces) {
		if i.Up && i.OnLink(a) {
			return engine.Path{Addr: a, Origin: "connected", Hops: []engine.NextHop{{If: i.ID}}}
		}
	}
	best := -1
	p := engine.Path{Addr: a, Origin: "dvmrp"}
	for prefix, r := range w.told {
		if prefix.Contains(a) && prefix.Bits() > best {
			best, p.Hops, p.Metric = prefix.Bits(), r.Hops, r.Metric
		}
	}
	return p
}

func (w *world) step(ev engine.Event) {
	var paths []netip.Addr
	for _, e := range slices.Clone(w.m.Step(w.now, ev)) {
		switch e := e.(type) {
		case engine.Track:
			w.track[e.Addr] = true
			paths = append(paths, e.Addr)
		case engine.Untrack:
			delete(w.track, e.Addr)
		case engine.MRIBRoute:
			w.stale = true
			if w.told[e.Prefix] = e; e.Gone {
				delete(w.told, e.Prefix)
			}
		case engine.Want:
			if !w.rows[e.Key] {
				w.rows[e.Key] = true
				w.fresh = append(w.fresh, e.Key)
			}
		case engine.Unwant:
			delete(w.rows, e.Key)
		}
		if s := w.describe(e); s != "" {
			if w.ticks {
				s = fmt.Sprintf("%v %s", w.now.Sub(w.start).Round(time.Millisecond), s)
			}
			w.log = append(w.log, s)
		}
	}
	for _, a := range paths {
		w.step(w.path(a))
	}
}

// wait lets time pass.
func (w *world) wait(d time.Duration) {
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
	case "config":
		return w.configure(args)
	case "iface":
		return w.iface(args)
	case "down", "up":
		i := w.ifaces[args[0]]
		i.Up, i.Carrier = cmd == "up", cmd == "up"
		w.event(engine.InterfaceChange{Interface: *i})
	case "gone":
		i := w.ifaces[args[0]]
		delete(w.ifaces, args[0])
		w.event(engine.InterfaceChange{Interface: *i, Gone: true})
	case "probe":
		return w.probe(args)
	case "report":
		return w.report(args)
	case "prune", "graft", "ack":
		return w.prune(cmd, args)
	case "ask":
		var msg wire.Message = &wire.AskNeighbors2{}
		if len(args) > 3 {
			msg = &wire.AskNeighbors{}
		}
		return w.packet(args[0], addr(args[1]), addr(args[2]), wire.Header{Version: wire.OurVersion}, msg)
	case "member", "leave":
		w.member(cmd, args)
	case "path":
		return w.setPath(args)
	case "new", "active", "alert", "owner", "delete", "failed":
		w.data(cmd, args)
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
	case "hide", "see":
		for _, kind := range args {
			w.hidden[kind] = cmd == "hide"
		}
	case "shutdown":
		w.event(engine.Shutdown{})
	default:
		return fmt.Errorf("unknown command %q", cmd)
	}
	return nil
}

func (w *world) configure(f []string) error {
	c := &w.cfg
	durations := map[string]*time.Duration{
		"probe": &c.ProbeInterval, "timeout": &c.NeighborTimeout, "report": &c.ReportInterval, "flash": &c.FlashInterval,
		"expiration": &c.RouteExpiration, "holddown": &c.HoldDown, "prune": &c.PruneLifetime, "cache": &c.CacheLifetime,
		"second": &c.SecondOnWire,
	}
	numbers := map[string]*int{
		"routes": &c.MaxRoutes, "entries": &c.MaxEntries, "prunes": &c.MaxPrunes, "queries": &c.QueryLimit, "groups": &c.MaxGroups,
	}
	for n := 0; n < len(f); n++ {
		switch key := f[n]; {
		case key == "go":
			w.event(engine.Configure{Config: *c})
			return nil
		case durations[key] != nil:
			n++
			*durations[key], _ = time.ParseDuration(f[n])
		case numbers[key] != nil:
			n++
			*numbers[key], _ = strconv.Atoi(f[n])
		case key == "originate":
			metric, err := strconv.Atoi(f[n+2])
			if err != nil {
				return err
			}
			switch f[n+1] {
			case "connected":
				c.Originate.Connected, c.Originate.ConnectedMetric = metric > 0, uint8(metric)
			case "default":
				c.Originate.Default, c.Originate.DefaultMetric = metric > 0, uint8(metric)
			default:
				c.Originate.Networks = append(slices.Clone(c.Originate.Networks),
					dvmrp.Network{Prefix: netip.MustParsePrefix(f[n+1]), Metric: uint8(metric)})
			}
			n += 2
		default:
			return fmt.Errorf("what is %q", key)
		}
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
	i.Up, i.Carrier, i.Multicast, i.Loopback, i.Addrs = true, true, true, name == "lo", nil
	nc, runs := dvmrp.InterfaceConfig{}, name != "lo"
	for n := 1; n < len(f); n++ {
		number := func() int {
			n++
			v, _ := strconv.Atoi(f[n])
			return v
		}
		switch f[n] {
		case "p2p":
			i.PointToPoint = true
		case "tunnel":
			i.PointToPoint, i.TunnelLocal, i.TunnelRemote = true, addr(f[n+1]), addr(f[n+2])
			n += 2
		case "nodvmrp":
			runs = false
		case "metric":
			nc.Metric = uint8(number())
		case "threshold":
			nc.Threshold = uint8(number())
		case "neighbors":
			nc.MaxNeighbors = number()
		case "boundary":
			n++
			nc.Boundary = append(nc.Boundary, netip.MustParsePrefix(f[n]))
		default:
			p, err := netip.ParsePrefix(f[n])
			if err != nil {
				return err
			}
			i.Addrs = append(i.Addrs, p)
		}
	}
	cfg := w.cfg.Interfaces
	w.cfg.Interfaces = map[string]dvmrp.InterfaceConfig{}
	for k, v := range cfg {
		w.cfg.Interfaces[k] = v
	}
	delete(w.cfg.Interfaces, name)
	if runs {
		w.cfg.Interfaces[name] = nc
	}
	w.event(engine.Configure{Config: w.cfg})
	w.event(engine.InterfaceChange{Interface: *i})
	return nil
}

func (w *world) packet(name string, src, dst netip.Addr, h wire.Header, msg wire.Message) error {
	payload, err := wire.Encode(h, msg)
	if err != nil {
		return err
	}
	var id engine.IfID
	if i := w.ifaces[name]; i != nil {
		id = i.ID
	}
	w.event(engine.Packet{If: id, Src: src, Dst: dst, Proto: engine.ProtoIGMP, TTL: 1, Payload: payload})
	return nil
}

func (w *world) probe(f []string) error {
	h := wire.Header{Version: wire.OurVersion, Capabilities: wire.CapPrune | wire.CapGenerationID | wire.CapMtrace}
	p := &wire.Probe{GenerationID: 1, HasGenerationID: true}
	for n := 2; n < len(f); n++ {
		switch f[n] {
		case "names":
			for n+1 < len(f) && (f[n+1] == "me" || strings.Contains(f[n+1], ".")) {
				n++
				if f[n] == "me" {
					p.Neighbors = append(p.Neighbors, w.ifaces[f[0]].Primary(engine.IPv4))
				} else {
					p.Neighbors = append(p.Neighbors, addr(f[n]))
				}
			}
		case "genid":
			n++
			v, _ := strconv.Atoi(f[n])
			p.GenerationID = uint32(v)
		case "caps":
			n++
			v, _ := strconv.ParseUint(f[n], 16, 8)
			h.Capabilities = wire.Capabilities(v)
		case "version":
			n++
			if _, err := fmt.Sscanf(f[n], "%d.%d", &h.Version.Major, &h.Version.Minor); err != nil {
				return err
			}
			if h.Version.Major < 3 || h.Version.Major == 3 && h.Version.Minor < 3 {
				p = &wire.Probe{}
			}
		default:
			return fmt.Errorf("what is %q", f[n])
		}
	}
	return w.packet(f[0], addr(f[1]), wire.AllDVMRPRouters, h, p)
}

var ordinary = wire.Header{Version: wire.OurVersion}

func (w *world) report(f []string) error {
	r := &wire.Report{}
	for _, s := range f[2:] {
		p, metric, _ := strings.Cut(s, "=")
		prefix, err := netip.ParsePrefix(p)
		if err != nil {
			return err
		}
		v, _ := strconv.Atoi(metric)
		r.Routes = append(r.Routes, wire.Route{Prefix: prefix, Metric: uint8(v)})
	}
	return w.packet(f[0], addr(f[1]), wire.AllDVMRPRouters, ordinary, r)
}

func (w *world) prune(cmd string, f []string) error {
	s, g := addr(f[2]), addr(f[3])
	mask, bits := false, 0
	if n := slices.Index(f, "mask"); n > 0 {
		mask = true
		bits, _ = strconv.Atoi(f[n+1])
	}
	var msg wire.Message
	switch cmd {
	case "prune":
		life, err := time.ParseDuration(f[4])
		if err != nil {
			return err
		}
		msg = &wire.Prune{Source: s, Group: g, Lifetime: life, HasMask: mask, Bits: bits}
	case "graft":
		msg = &wire.Graft{Source: s, Group: g, HasMask: mask, Bits: bits}
	case "ack":
		msg = &wire.GraftAck{Source: s, Group: g, HasMask: mask, Bits: bits}
	}
	return w.packet(f[0], addr(f[1]), w.ifaces[f[0]].Primary(engine.IPv4), ordinary, msg)
}

func (w *world) member(cmd string, f []string) {
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
}

func (w *world) setPath(f []string) error {
	a := addr(f[0])
	p := engine.Path{Addr: a, Origin: "static"}
	switch f[1] {
	case "via":
		p.Hops = []engine.NextHop{{If: w.ifaces[f[2]].ID, Gateway: addr(f[3])}}
	case "on":
		p.Hops = []engine.NextHop{{If: w.ifaces[f[2]].ID}}
	case "none":
	case "auto":
		delete(w.fixed, a)
		w.tellPaths()
		w.settle()
		return nil
	default:
		return fmt.Errorf("what is %q", f[1])
	}
	w.fixed[a] = p
	if w.track[a] {
		w.event(p)
	}
	return nil
}

func (w *world) data(cmd string, f []string) {
	if cmd == "alert" {
		kind := map[string]engine.AlertKind{"join": engine.JoinAlert, "prune": engine.PruneAlert}[f[0]]
		w.event(engine.Alert{Kind: kind, Key: engine.SG(addr(f[1]), addr(f[2]))})
		return
	}
	k := engine.SG(addr(f[0]), addr(f[1]))
	switch cmd {
	case "new":
		e := engine.Creation{Key: k}
		if len(f) > 2 {
			e.If = w.ifaces[f[2]].ID
		}
		w.event(e)
	case "active":
		w.event(engine.Activity{Key: k, Packets: 10, Bytes: 1000})
	case "owner":
		w.event(engine.OwnerChanged{Key: k, Owner: engine.MachineID{Protocol: engine.Protocol(f[2]), Family: engine.IPv4}})
	case "delete":
		delete(w.rows, k)
		w.event(engine.Deletion{Key: k})
	case "failed":
		w.event(engine.Failed{Key: k, Err: "no room"})
	}
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// ---- what the machine did, in words ----

func (w *world) describe(e engine.Effect) string {
	kind, s := "", ""
	switch e := e.(type) {
	case engine.Send:
		kind, s = w.describeSend(e)
	case engine.Transition:
		kind, s = "transition", e.Entity
		if e.If != 0 {
			s += " " + w.names[e.If]
		}
		if e.Key != (engine.Key{}) {
			s += " " + e.Key.String()
		}
		if e.Neighbor.IsValid() {
			s += " " + e.Neighbor.String()
		}
		s += fmt.Sprintf(": %s -> %s (%s)", e.Old, e.New, e.Cause)
	case engine.Want:
		kind, s = "want", w.describeWant(e)
	case engine.Unwant:
		kind, s = "want", "unwant "+e.Key.String()
	case engine.Decline:
		s = "decline " + e.Key.String()
	case engine.Interest:
		s = fmt.Sprintf("interest %v %v", e.Group, e.Wanted)
	case engine.Wildcard:
		s = fmt.Sprintf("wildcard %v", e.Groups)
	case engine.HostGroup:
		s = fmt.Sprintf("host group %s %v %v", w.names[e.If], e.Group, e.Member)
	case engine.MRIBRoute:
		kind = "rib"
		if s = fmt.Sprintf("rib %v gone", e.Prefix); !e.Gone {
			s = fmt.Sprintf("rib %v via %s %v metric %d", e.Prefix, w.names[e.Hops[0].If], e.Hops[0].Gateway, e.Metric)
		}
	case engine.Note:
		s = "note " + e.Text
		if e.Level != engine.Debug {
			s = "NOTE " + e.Text
		}
	case engine.Answer:
		s = w.describeAnswer(e)
	}
	if w.hidden[kind] {
		return ""
	}
	return s
}

func (w *world) describeWant(e engine.Want) string {
	var out []string
	for _, o := range e.Out {
		out = append(out, w.names[o.If])
	}
	in := "none"
	if e.In != 0 {
		in = w.names[e.In]
	}
	s := fmt.Sprintf("want %v in %s out %v", e.Key, in, out)
	if e.Activity <= time.Second {
		s += " fast"
	}
	if e.Negative != "" {
		s += " negative: " + e.Negative
	}
	return s
}

func (w *world) describeSend(e engine.Send) (kind, s string) {
	head := "send"
	if e.If != 0 {
		head += " " + w.names[e.If]
	}
	if e.Dst != wire.AllDVMRPRouters {
		head += " > " + e.Dst.String()
	}
	if e.Proto != engine.ProtoIGMP || e.TOS != 0xc0 || e.If != 0 && e.TTL != 1 {
		return "", fmt.Sprintf("%s protocol %d TTL %d TOS %#x", head, e.Proto, e.TTL, e.TOS)
	}
	_, msg, err := wire.Parse(e.Payload)
	if err != nil {
		return "", head + " " + err.Error()
	}
	mask := func(has bool, bits int) string {
		if !has {
			return ""
		}
		return fmt.Sprintf(" mask %d", bits)
	}
	switch m := msg.(type) {
	case *wire.Probe:
		return "probe", fmt.Sprintf("%s Probe %d %v", head, m.GenerationID, m.Neighbors)
	case *wire.Report:
		s := head + " Report"
		for n, r := range m.Routes {
			if n == 8 {
				s += fmt.Sprintf(" and %d more", len(m.Routes)-n)
				break
			}
			s += fmt.Sprintf(" %v=%d", r.Prefix, r.Metric)
		}
		return "report", s
	case *wire.Prune:
		return "prune", fmt.Sprintf("%s Prune (%v,%v) %v%s", head, m.Source, m.Group, m.Lifetime, mask(m.HasMask, m.Bits))
	case *wire.Graft:
		return "graft", fmt.Sprintf("%s Graft (%v,%v)%s", head, m.Source, m.Group, mask(m.HasMask, m.Bits))
	case *wire.GraftAck:
		return "graft", fmt.Sprintf("%s Graft Ack (%v,%v)%s", head, m.Source, m.Group, mask(m.HasMask, m.Bits))
	case *wire.Neighbors2:
		return "", head + " Neighbors2" + interfaceList(m.Interfaces)
	case *wire.Neighbors:
		return "", head + " Neighbors" + interfaceList(m.Interfaces)
	}
	return "", head + " " + msg.Code().String()
}

func interfaceList(list []wire.Interface) string {
	s := ""
	for _, i := range list {
		s += fmt.Sprintf("\n  %v metric %d threshold %d flags %#02x neighbors %v", i.Local, i.Metric, i.Threshold, uint8(i.Flags), i.Neighbors)
	}
	return s
}

func (w *world) describeAnswer(e engine.Answer) string {
	if e.Err != "" {
		return "error " + e.Err
	}
	var lines []string
	switch v := e.Value.(type) {
	case []dvmrp.EntryShow:
		for _, x := range v {
			lines = append(lines, strings.ReplaceAll(fmt.Sprintf("%+v", x), " Interfaces:[", "\n  "))
		}
	case []dvmrp.RouteShow:
		for _, x := range v {
			lines = append(lines, strings.ReplaceAll(fmt.Sprintf("%+v", x), " Interfaces:[", "\n  "))
		}
	case []dvmrp.NeighborShow:
		for _, x := range v {
			lines = append(lines, fmt.Sprintf("%+v", x))
		}
	case []dvmrp.InterfaceShow:
		for _, x := range v {
			lines = append(lines, fmt.Sprintf("%+v", x))
		}
	case map[string]uint64:
		for k, n := range engine.Sorted(v) {
			lines = append(lines, fmt.Sprintf("%s: %d", k, n))
		}
	}
	return strings.Join(lines, "\n")
}
