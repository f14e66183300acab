package igmp_test

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"grove/igmp"
	"grove/igmp/wire"
	"grove/internal/engine"
)

// A scenario is a script of testdata: lines of commands at the left margin, each followed by what came of it, indented.
// -update rewrites what came. One script is run for IGMP and for MLD, and both must print the same: addresses are
// written by name, and versions by generation, so v3 is IGMPv3 and MLDv2, v2 is IGMPv2 and MLDv1, v1 is IGMPv1.
//
//	only igmp|mld                        the script is for one of the two
//	router | host                        what is tested; our address is R5 (router) or H5 (host)
//	config IF [KEY=VALUE ...]            enable the protocol: version, robustness, interval, response, lmqi, lmqc, startup,
//	                                     older, groups, sources (numbers and durations), passive, static=G1 static=G1/S1
//	noconfig IF                          disable it
//	interface IF up|down|gone [ADDR ...] announce an interface, with addresses
//	subscribe                            a protocol asks for memberships
//	join IF G1 INCLUDE|EXCLUDE [S1 ...]  a host's applications want this of a group; instead of what they wanted before
//	part IF G1                           ... and nothing any more
//	in IF FROM MESSAGE [MODIFIER ...]    a packet arrives. Messages: query v3 general, query v3 G1 S1 S2, report v2 G1,
//	                                     leave G1, records IS_EX(G1) ALLOW(G1 S1 S2)
//	                                     Modifiers: S (suppress), resp=10s, qrv=2, qqi=125s, ttl=64, noalert, badsum,
//	                                     dst=ADDR, length=N (cut and sealed again)
//	batch ... end                        the commands between are one batch: Settled comes at its end
//	advance DURATION                     time passes
//	show WHAT [ARG]                      a query of show.go
var update = flag.Bool("update", false, "rewrite what came of the scenarios of testdata")

func TestScenarios(t *testing.T) {
	eachScenario(t, func(t *testing.T, file string, family engine.Family) {
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := runScenario(t, family, string(want))
		if got == string(want) {
			return
		}
		if *update && !updated[file] { // the second family has to print what the first did
			updated[file] = true
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			return
		}
		t.Errorf("%s differs (go test -update rewrites it):\n%s", file, diff(string(want), got))
	})
}

var updated = map[string]bool{}

// eachScenario calls f for each scenario and family that it is for.
func eachScenario(t *testing.T, f func(t *testing.T, file string, family engine.Family)) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scenarios", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range []engine.Family{engine.IPv4, engine.IPv6} {
			other := "\nonly mld\n"
			if family == engine.IPv6 {
				other = "\nonly igmp\n"
			}
			if !bytes.Contains(text, []byte(other)) {
				t.Run(filepath.Base(file)+"/"+family.String(), func(t *testing.T) { f(t, file, family) })
			}
		}
	}
}

// diff lists the first lines that differ.
func diff(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := 0; i < len(w) && i < len(g); i++ {
		if w[i] != g[i] {
			return fmt.Sprintf("line %d:\nwant %s\ngot  %s", i+1, strings.Join(w[i:min(i+8, len(w))], "\n     "), strings.Join(g[i:min(i+8, len(g))], "\n     "))
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(g), len(w))
}

// names are the addresses of the scripts.
type names struct {
	family engine.Family
	fixed  map[string]netip.Addr
	pool   map[string]string // the letter of a name, and the address that its number is added to
}

func namesOf(f engine.Family) names {
	if f == engine.IPv4 {
		return names{f, map[string]netip.Addr{
			"all-systems": addr("224.0.0.1"), "all-routers": addr("224.0.0.2"), "report-routers": addr("224.0.0.22"),
			"link-group": addr("224.0.0.251"), "none": addr("0.0.0.0"), "far": addr("192.0.2.1"), "unicast": addr("10.0.0.99"),
		}, map[string]string{"G": "239.1.1.", "S": "10.9.0.", "H": "10.0.0.10", "R": "10.0.0."}}
	}
	return names{f, map[string]netip.Addr{
		"all-systems": addr("ff02::1"), "all-routers": addr("ff02::2"), "report-routers": addr("ff02::16"),
		"link-group": addr("ff02::fb"), "none": addr("::"), "far": addr("2001:db8::1"), "unicast": addr("fe80::99"),
	}, map[string]string{"G": "ff3e::", "S": "2001:db8:9::", "H": "fe80::10", "R": "fe80::"}}
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// addr returns the address of a name.
func (n names) addr(name string) netip.Addr {
	if a, ok := n.fixed[name]; ok {
		return a
	}
	if base, ok := n.pool[name[:1]]; ok {
		return addr(base + name[1:])
	}
	return addr(name)
}

func (n names) addrs(list []string) (out []netip.Addr) {
	for _, s := range list {
		out = append(out, n.addr(s))
	}
	return out
}

// name returns the name of an address.
func (n names) name(a netip.Addr) string {
	if !a.IsValid() {
		return "-"
	}
	for name, fixed := range n.fixed {
		if a == fixed {
			return name
		}
	}
	for _, letter := range []string{"G", "S", "H", "R"} {
		if rest, ok := strings.CutPrefix(a.String(), n.pool[letter]); ok {
			return letter + rest
		}
	}
	return a.String()
}

func (n names) list(addrs []netip.Addr) string {
	var out []string
	for _, a := range addrs {
		out = append(out, n.name(a))
	}
	return "{" + strings.Join(out, " ") + "}"
}

// offset is generation less version.
func (n names) offset() int {
	if n.family == engine.IPv6 {
		return 1
	}
	return 0
}

// scenario is a script being run.
type scenario struct {
	t       *testing.T
	n       names
	start   time.Time
	now     time.Time
	m       engine.Machine
	host    bool
	out     strings.Builder
	batch   bool
	ifaces  map[string]engine.IfID
	config  igmp.Config
	members map[string][]igmp.HostMembership
	queries uint64
	sent    []engine.Send
}

func runScenario(t *testing.T, family engine.Family, text string) (out string, sent []engine.Send) {
	start := time.Unix(1000, 0)
	s := &scenario{
		t: t, n: namesOf(family), start: start, now: start, ifaces: map[string]engine.IfID{},
		config: igmp.Config{Interfaces: map[string]igmp.InterfaceConfig{}}, members: map[string][]igmp.HostMembership{},
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, " ") {
			continue
		}
		fmt.Fprintln(&s.out, line)
		if f := strings.Fields(line); len(f) > 0 && !strings.HasPrefix(line, "#") {
			s.command(f)
		}
	}
	return s.out.String(), s.sent
}

func (s *scenario) command(f []string) {
	switch f[0] {
	case "only":
	case "router", "host":
		id := engine.MachineID{Protocol: engine.IGMP, Family: s.n.family}
		s.host = f[0] == "host"
		if s.host {
			s.m = igmp.NewHost(id, rand.New(rand.NewPCG(1, 2)))
		} else {
			s.m = igmp.New(id, rand.New(rand.NewPCG(1, 2)))
		}
	case "config":
		if s.host {
			s.config.Interfaces[""] = s.parseConfig(f[1:])
			s.configureHost()
			return
		}
		s.config.Interfaces = maps.Clone(s.config.Interfaces)
		s.config.Interfaces[f[1]] = s.parseConfig(f[2:])
		s.step(engine.Configure{Config: s.config})
	case "noconfig":
		s.config.Interfaces = maps.Clone(s.config.Interfaces)
		delete(s.config.Interfaces, f[1])
		s.step(engine.Configure{Config: s.config})
	case "interface":
		s.announce(f[1], f[2], f[3:])
	case "subscribe":
		s.step(engine.Subscribe{From: engine.MachineID{Protocol: engine.PIMSM, Family: s.n.family}})
	case "join", "part":
		g := s.n.addr(f[2])
		s.members[f[1]] = slices.DeleteFunc(slices.Clone(s.members[f[1]]), func(m igmp.HostMembership) bool { return m.Group == g })
		if f[0] == "join" {
			m := igmp.HostMembership{Group: g, Sources: s.n.addrs(f[4:])}
			if f[3] == "EXCLUDE" {
				m.Mode = engine.Exclude
			}
			s.members[f[1]] = append(s.members[f[1]], m)
		}
		s.configureHost()
	case "in":
		s.step(s.packet(s.ifaces[f[1]], s.n.addr(f[2]), f[3:]))
	case "batch":
		s.batch = true
	case "end":
		s.batch = false
		s.step(engine.Tick{})
	case "advance":
		d, err := time.ParseDuration(f[1])
		if err != nil {
			s.t.Fatal(err)
		}
		s.advance(d)
	case "show":
		s.queries++
		q := engine.Query{ID: s.queries, What: f[1]}
		if len(f) > 2 {
			q.Arg = f[2]
			if _, err := strconv.Atoi(f[2][1:]); err == nil {
				q.Arg = s.n.addr(f[2]).String()
			}
		}
		s.step(q)
	default:
		s.t.Fatalf("unknown command %q", f[0])
	}
}

// configureHost hands the host its configuration; "config" of a host sets the version under the name "".
func (s *scenario) configureHost() {
	c := s.config.Interfaces[""]
	cfg := igmp.HostConfig{Version: c.Version, Robustness: c.Robustness, QueryInterval: c.QueryInterval, Memberships: maps.Clone(s.members)}
	s.step(engine.Configure{Config: cfg})
}

func (s *scenario) parseConfig(words []string) igmp.InterfaceConfig {
	c := igmp.InterfaceConfig{Querier: true}
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		number, _ := strconv.Atoi(value)
		duration, _ := time.ParseDuration(value)
		switch key {
		case "version":
			c.Version = number - s.n.offset()
		case "robustness":
			c.Robustness = number
		case "interval":
			c.QueryInterval = duration
		case "response":
			c.QueryResponseInterval = duration
		case "lmqi":
			c.LastMemberQueryInterval = duration
		case "lmqc":
			c.LastMemberQueryCount = number
		case "startup":
			c.StartupQueryCount = number
		case "older":
			c.OlderHostPresent = duration
		case "groups":
			c.MaxGroups = number
		case "sources":
			c.MaxSources = number
		case "passive":
			c.Querier = false
		case "static":
			g, src, withSource := strings.Cut(value, "/")
			static := igmp.StaticGroup{Group: s.n.addr(g)}
			if withSource {
				static.Source = s.n.addr(src)
			}
			c.StaticGroups = append(c.StaticGroups, static)
		default:
			s.t.Fatalf("unknown setting %q", key)
		}
	}
	return c
}

func (s *scenario) announce(name, state string, addrs []string) {
	id := s.ifaces[name]
	if id == 0 {
		id = engine.IfID(len(s.ifaces) + 1)
		s.ifaces[name] = id
	}
	c := engine.InterfaceChange{
		Interface: engine.Interface{ID: id, Name: name, Up: true, Carrier: state == "up", Multicast: true, MTU: 1500},
		Gone:      state == "gone",
	}
	bits := 24
	if s.n.family == engine.IPv6 {
		bits = 64
	}
	for _, a := range addrs {
		c.Addrs = append(c.Addrs, netip.PrefixFrom(s.n.addr(a), bits))
	}
	s.step(c)
}

// advance steps the machine at each of its deadlines.
func (s *scenario) advance(d time.Duration) {
	until := s.now.Add(d)
	for {
		at, ok := s.m.Deadline()
		if !ok || at.After(until) {
			s.now = until
			return
		}
		if at.Before(s.now) {
			s.t.Fatalf("deadline %v at %v", at, s.now)
		}
		s.now = at
		s.step(engine.Tick{})
		if again, ok := s.m.Deadline(); ok && !again.After(at) {
			s.t.Fatalf("the deadline %v does not advance", at.Sub(s.start))
		}
	}
}

// step hands the machine an event, and Settled unless a batch is open, and prints the effects.
func (s *scenario) step(ev engine.Event) {
	s.print(s.m.Step(s.now, ev))
	if !s.batch {
		s.print(s.m.Step(s.now, engine.Settled{}))
	}
}

func (s *scenario) print(effects []engine.Effect) {
	for _, e := range effects {
		at := strconv.FormatFloat(s.now.Sub(s.start).Seconds(), 'f', -1, 64) + "s"
		if a, ok := e.(engine.Answer); ok {
			s.printAnswer(a)
			continue
		}
		fmt.Fprintf(&s.out, "  %s %s\n", at, s.effect(e))
	}
}

func (s *scenario) ifName(id engine.IfID) string {
	for name, n := range s.ifaces {
		if n == id {
			return name
		}
	}
	return fmt.Sprintf("if%d", id)
}

func (s *scenario) effect(e engine.Effect) string {
	switch e := e.(type) {
	case engine.Send:
		s.sent = append(s.sent, e)
		proto := engine.ProtoIGMP
		if s.n.family == engine.IPv6 {
			proto = engine.ProtoICMPv6
		}
		if e.TTL != 1 || !e.RouterAlert || e.Proto != proto {
			s.t.Errorf("IP header of %+v", e)
		}
		m, err := wire.Parse(e.Payload, wire.Ends{Src: e.Src, Dst: e.Dst})
		if err != nil {
			s.t.Errorf("sent what cannot be parsed: %v", err)
		}
		return fmt.Sprintf("%s send from %s to %s: %s", s.ifName(e.If), s.n.name(e.Src), s.n.name(e.Dst), s.message(m))
	case engine.HostGroup:
		return fmt.Sprintf("%s host group %s %v", s.ifName(e.If), s.n.name(e.Group), e.Member)
	case engine.Membership:
		return fmt.Sprintf("%s membership %s %v %s", s.ifName(e.If), s.n.name(e.Group), e.Mode, s.n.list(e.Sources))
	case engine.Transition:
		who := s.n.name(e.Neighbor)
		if e.Key.Group.IsValid() {
			who = s.n.name(e.Key.Group)
		}
		return fmt.Sprintf("%s %s %s: %s -> %s (%s)", s.ifName(e.If), e.Entity, who, e.Old, e.New, e.Cause)
	case engine.Note:
		return fmt.Sprintf("%s note %d from %s: %s", s.ifName(e.If), e.Level, s.n.name(e.Neighbor), s.renamed(e.Text))
	}
	s.t.Errorf("unexpected effect %T", e)
	return fmt.Sprintf("%T", e)
}

// renamed writes a text with the names of addresses and generations.
func (s *scenario) renamed(text string) string {
	words := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" ,()", r) })
	for _, w := range words {
		if a, err := netip.ParseAddr(strings.TrimSuffix(w, ":")); err == nil {
			text = strings.ReplaceAll(text, a.String(), s.n.name(a))
		}
	}
	text = strings.ReplaceAll(text, "igmp: ", "")
	text = strings.ReplaceAll(text, "mld: ", "")
	return regexp.MustCompile(`(IGMP|MLD)v(\d)`).ReplaceAllStringFunc(text, func(v string) string {
		n, _ := strconv.Atoi(v[len(v)-1:])
		return fmt.Sprintf("v%d", n+s.n.offset())
	})
}

func (s *scenario) message(m wire.Message) string {
	switch m := m.(type) {
	case wire.Query:
		what := "general"
		if !m.General() {
			what = s.n.name(m.Group)
			for _, a := range m.Sources {
				what += " " + s.n.name(a)
			}
		}
		if m.Suppress {
			what += " S"
		}
		text := fmt.Sprintf("query v%d %s resp=%v", m.Version+s.n.offset(), what, m.MaxResp)
		if m.Version+s.n.offset() == 3 {
			text += fmt.Sprintf(" qrv=%d qqi=%v", m.Robustness, m.QueryInterval)
		}
		return text
	case wire.OlderReport:
		return fmt.Sprintf("report v%d %s", m.Version+s.n.offset(), s.n.name(m.Group))
	case wire.Leave:
		return "leave " + s.n.name(m.Group)
	case wire.Report:
		var recs []string
		for _, r := range m.Records {
			recs = append(recs, strings.TrimSpace(fmt.Sprintf("%v(%s", r.Type, strings.Join(append([]string{s.n.name(r.Group)}, s.nameAll(r.Sources)...), " ")))+")")
		}
		return "records " + strings.Join(recs, " ")
	}
	return fmt.Sprintf("%T", m)
}

func (s *scenario) nameAll(addrs []netip.Addr) (out []string) {
	for _, a := range addrs {
		out = append(out, s.n.name(a))
	}
	return out
}

// packet builds the packet of an "in" command.
func (s *scenario) packet(in engine.IfID, src netip.Addr, f []string) engine.Packet {
	p := engine.Packet{If: in, Src: src, Proto: engine.ProtoIGMP, TTL: 1, RouterAlert: true}
	if s.n.family == engine.IPv6 {
		p.Proto = engine.ProtoICMPv6
	}
	q := wire.Query{Robustness: 2, QueryInterval: 125 * time.Second, MaxResp: 10 * time.Second}
	badsum, length := false, -1
	var words []string
	for _, w := range f {
		key, value, is := strings.Cut(w, "=")
		number, _ := strconv.Atoi(value)
		duration, _ := time.ParseDuration(value)
		switch {
		case w == "S":
			q.Suppress = true
		case w == "noalert":
			p.RouterAlert = false
		case w == "badsum":
			badsum = true
		case !is:
			words = append(words, w)
		case key == "ttl":
			p.TTL = uint8(number)
		case key == "dst":
			p.Dst = s.n.addr(value)
		case key == "proto":
			p.Proto = uint8(number)
		case key == "length":
			length = number
		case key == "resp":
			q.MaxResp = duration
		case key == "qrv":
			q.Robustness = uint8(number)
		case key == "qqi":
			q.QueryInterval = duration
		}
	}
	var m wire.Message
	var dst netip.Addr
	switch words[0] {
	case "query":
		q.Version, _ = strconv.Atoi(words[1][1:])
		q.Version -= s.n.offset()
		dst = s.n.addr("all-systems")
		if words[2] != "general" {
			q.Group = s.n.addr(words[2])
			dst = q.Group
		}
		q.Sources = s.n.addrs(words[3:])
		m = q
	case "report":
		version, _ := strconv.Atoi(words[1][1:])
		dst = s.n.addr(words[2])
		m = wire.OlderReport{Version: version - s.n.offset(), Group: dst}
	case "leave":
		dst = s.n.addr("all-routers")
		m = wire.Leave{Group: s.n.addr(words[1])}
	case "records":
		dst = s.n.addr("report-routers")
		var r wire.Report
		for _, text := range regexp.MustCompile(`(\w+)\(([^)]*)\)`).FindAllStringSubmatch(strings.Join(words[1:], " "), -1) {
			a := s.n.addrs(strings.Fields(text[2]))
			r.Records = append(r.Records, wire.Record{Type: recordType(text[1]), Group: a[0], Sources: a[1:]})
		}
		m = r
	default:
		s.t.Fatalf("unknown message %q", words[0])
	}
	if !p.Dst.IsValid() {
		p.Dst = dst
	}
	b, err := m.Append(nil, wire.Ends{Src: p.Src, Dst: p.Dst})
	if err != nil {
		s.t.Fatal(err)
	}
	if length >= 0 {
		b = reseal(append(b, make([]byte, 64)...)[:length], p)
	}
	if badsum {
		b[2] ^= 0x55
	}
	p.Payload = b
	return p
}

// reseal makes the checksum of a message right again.
func reseal(b []byte, p engine.Packet) []byte {
	b[2], b[3] = 0, 0
	all := b
	if p.Dst.Is6() {
		all = slices.Concat(p.Src.AsSlice(), p.Dst.AsSlice(), []byte{0, 0, 0, byte(len(b)), 0, 0, 0, 58}, b)
	}
	var sum uint32
	for i := 0; i+1 < len(all); i += 2 {
		sum += uint32(all[i])<<8 | uint32(all[i+1])
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	b[2], b[3] = byte(^sum>>8), byte(^sum)
	return b
}

func recordType(name string) wire.RecordType {
	for t := wire.IsIn; t <= wire.Block; t++ {
		if t.String() == name {
			return t
		}
	}
	return 99
}

func (s *scenario) printAnswer(a engine.Answer) {
	line := func(format string, args ...any) { fmt.Fprintf(&s.out, "  "+format+"\n", args...) }
	switch v := a.Value.(type) {
	case nil:
		line("error: %s", strings.ReplaceAll(a.Err, s.n.family.String(), "IP"))
	case []igmp.GroupInfo:
		for _, g := range v {
			text := fmt.Sprintf("%s %s %v left=%v %s", g.Interface, s.n.name(g.Group), g.Mode, g.Left, s.renamed(g.Version))
			if g.OlderHosts > 0 {
				text += fmt.Sprintf(" older hosts=%v", g.OlderHosts)
			}
			if g.Static {
				text += " static"
			}
			for _, src := range g.Sources {
				text += fmt.Sprintf(" %s:%v:%v", s.n.name(src.Source), src.Forward, src.Left)
			}
			line("%s", text)
		}
	case []igmp.InterfaceInfo:
		for _, i := range v {
			line("%s %s %s %s querier=%s next=%v other=%v robustness=%d interval=%v membership=%v groups=%d",
				i.Interface, s.n.name(i.Address), s.renamed(i.Version), i.State, s.n.name(i.Querier), i.NextQuery, i.OtherQuerier,
				i.Robustness, i.QueryInterval, i.GroupMembershipInterval, i.Groups)
		}
	case []igmp.HostGroupInfo:
		for _, g := range v {
			line("%s %s %v %s %s answer=%v", g.Interface, s.n.name(g.Group), g.Mode, s.n.list(g.Sources), s.renamed(g.Version), g.Answer)
		}
	case map[string]uint64:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			line("%s: %d", k, v[k])
		}
	default:
		s.t.Errorf("unexpected answer %T", v)
	}
}
