package igmp_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"grove/igmp"
	"grove/igmp/wire"
	"grove/internal/engine"
)

// row is a row of the tables of RFC 3376 sections 6.4.1 and 6.4.2 (RFC 3810 sections 7.4.1 and 7.4.2), as printed there.
// In the router state, x and y are the RFC's A of INCLUDE (A), or X and Y of EXCLUDE (X,Y); r is the record's sources.
type row struct {
	state  string // "INCLUDE" or "EXCLUDE"
	record wire.RecordType
	// The new router state: which of the state's and the record's sources are forwarded, and which not.
	mode         string
	forward, not string
	gmi          string // (...)=GMI
	groupTimer   string // (...)=Group Timer
	restart      bool   // Group Timer=GMI
	query        string // Send Q(G,...)
	queryGroup   bool   // Send Q(G)
}

var rows = []row{
	{state: "INCLUDE", record: wire.IsIn, mode: "INCLUDE", forward: "x+r", gmi: "r"},
	{state: "INCLUDE", record: wire.IsEx, mode: "EXCLUDE", forward: "x*r", not: "r-x", restart: true},
	{state: "EXCLUDE", record: wire.IsIn, mode: "EXCLUDE", forward: "x+r", not: "y-r", gmi: "r"},
	{state: "EXCLUDE", record: wire.IsEx, mode: "EXCLUDE", forward: "r-y", not: "y*r", gmi: "r-x-y", restart: true},

	{state: "INCLUDE", record: wire.Allow, mode: "INCLUDE", forward: "x+r", gmi: "r"},
	{state: "INCLUDE", record: wire.Block, mode: "INCLUDE", forward: "x", query: "x*r"},
	{state: "INCLUDE", record: wire.ToEx, mode: "EXCLUDE", forward: "x*r", not: "r-x", query: "x*r", restart: true},
	{state: "INCLUDE", record: wire.ToIn, mode: "INCLUDE", forward: "x+r", gmi: "r", query: "x-r"},
	{state: "EXCLUDE", record: wire.Allow, mode: "EXCLUDE", forward: "x+r", not: "y-r", gmi: "r"},
	{state: "EXCLUDE", record: wire.Block, mode: "EXCLUDE", forward: "x+(r-y)", not: "y", groupTimer: "r-x-y", query: "r-y"},
	{state: "EXCLUDE", record: wire.ToEx, mode: "EXCLUDE", forward: "r-y", not: "y*r", groupTimer: "r-x-y", query: "r-y", restart: true},
	{state: "EXCLUDE", record: wire.ToIn, mode: "EXCLUDE", forward: "x+r", not: "y-r", gmi: "r", query: "x-r", queryGroup: true},
}

// formula evaluates the RFC's notation for one source: is it in the set? x, y and r say whether it is in those.
func formula(text string, x, y, r bool) bool {
	in := map[byte]bool{'x': x, 'y': y, 'r': r}
	switch text {
	case "":
		return false
	case "x+(r-y)":
		return x || r && !y
	case "r-x-y":
		return r && !x && !y
	}
	v := in[text[0]]
	if len(text) == 3 {
		w := in[text[2]]
		switch text[1] {
		case '+':
			v = v || w
		case '-':
			v = v && !w
		case '*':
			v = v && w
		}
	}
	return v
}

// TestFilterModeTables drives a whole machine through every row of the tables, in both families, as Querier and not,
// with sources in every combination of the state's and the record's sets.
func TestFilterModeTables(t *testing.T) {
	for _, family := range []engine.Family{engine.IPv4, engine.IPv6} {
		for _, querier := range []bool{true, false} {
			for _, r := range rows {
				t.Run(fmt.Sprintf("%v/querier=%v/%s %v", family, querier, r.state, r.record), func(t *testing.T) {
					checkRow(t, family, querier, r)
				})
			}
		}
	}
}

// table is a machine with one interface, for tests that look at its state.
type table struct {
	t     *testing.T
	n     names
	now   time.Time
	m     *igmp.Machine
	calls uint64
}

func newTable(t *testing.T, family engine.Family) *table {
	tb := &table{t: t, n: namesOf(family), now: time.Unix(1000, 0)}
	tb.m = igmp.New(engine.MachineID{Protocol: engine.IGMP, Family: family}, rand.New(rand.NewPCG(1, 2)))
	tb.step(engine.InterfaceChange{Interface: upInterface(tb.n)})
	tb.step(engine.Configure{Config: igmp.Config{Interfaces: map[string]igmp.InterfaceConfig{"eth1": {Querier: true}}}})
	tb.step(engine.Subscribe{From: engine.MachineID{Protocol: engine.PIMSM, Family: family}})
	return tb
}

func upInterface(n names) engine.Interface {
	bits := 24
	if n.family == engine.IPv6 {
		bits = 64
	}
	return engine.Interface{
		ID: 1, Name: "eth1", Up: true, Carrier: true, Multicast: true, MTU: 1500,
		Addrs: []netip.Prefix{netip.PrefixFrom(n.addr("R5"), bits)},
	}
}

func (tb *table) step(ev engine.Event) []engine.Effect {
	effects := slices.Clone(tb.m.Step(tb.now, ev))
	return append(effects, tb.m.Step(tb.now, engine.Settled{})...)
}

// advance steps the machine at each of its deadlines.
func (tb *table) advance(d time.Duration) (effects []engine.Effect) {
	until := tb.now.Add(d)
	for {
		at, ok := tb.m.Deadline()
		if !ok || at.After(until) {
			tb.now = until
			return effects
		}
		tb.now = at
		effects = append(effects, tb.step(engine.Tick{})...)
	}
}

func packetOf(t testing.TB, n names, src, dst netip.Addr, m wire.Message) engine.Packet {
	b, err := m.Append(nil, wire.Ends{Src: src, Dst: dst})
	if err != nil {
		t.Fatal(err)
	}
	proto := engine.ProtoIGMP
	if n.family == engine.IPv6 {
		proto = engine.ProtoICMPv6
	}
	return engine.Packet{If: 1, Src: src, Dst: dst, Proto: proto, TTL: 1, RouterAlert: true, Payload: b}
}

func (tb *table) report(records ...wire.Record) []engine.Effect {
	return tb.step(packetOf(tb.t, tb.n, tb.n.addr("H1"), tb.n.addr("report-routers"), wire.Report{Records: records}))
}

func (tb *table) groups() []igmp.GroupInfo {
	tb.calls++
	for _, e := range tb.step(engine.Query{ID: tb.calls, What: "groups"}) {
		if a, ok := e.(engine.Answer); ok {
			return a.Value.([]igmp.GroupInfo)
		}
	}
	tb.t.Fatal("no answer")
	return nil
}

const (
	gmi  = 260 * time.Second
	lmqt = 2 * time.Second
)

func checkRow(t *testing.T, family engine.Family, querier bool, r row) {
	tb := newTable(t, family)
	group := tb.n.addr("G1")
	if !querier {
		tb.step(packetOf(t, tb.n, tb.n.addr("R1"), tb.n.addr("all-systems"), wire.Query{Version: 3 - tb.n.offset(), MaxResp: time.Second}))
	}
	// Source k is in x, y, r by the bits of k; in INCLUDE mode nothing is in y.
	type source struct {
		addr    netip.Addr
		x, y, r bool
	}
	var sources []source
	var x, y, rec []netip.Addr
	for k := range 8 {
		s := source{tb.n.addr(fmt.Sprintf("S%d", k+1)), k&1 != 0, k&2 != 0, k&4 != 0}
		if s.x && s.y || s.y && r.state == "INCLUDE" || !s.x && !s.y && !s.r {
			continue
		}
		sources = append(sources, s)
		if s.x {
			x = append(x, s.addr)
		}
		if s.y {
			y = append(y, s.addr)
		}
		if s.r {
			rec = append(rec, s.addr)
		}
	}
	if r.state == "INCLUDE" {
		tb.report(wire.Record{Type: wire.IsIn, Group: group, Sources: x})
	} else {
		tb.report(wire.Record{Type: wire.IsEx, Group: group, Sources: y})
		tb.report(wire.Record{Type: wire.Allow, Group: group, Sources: x})
	}
	tb.advance(10 * time.Second) // so that timers that are set anew differ from those that are not
	effects := tb.report(wire.Record{Type: r.record, Group: group, Sources: rec})

	// What the table asks for.
	want := igmp.GroupInfo{Interface: "eth1", Group: group, Version: versionName(tb.n), Sources: []igmp.SourceInfo{}}
	if r.mode == "EXCLUDE" {
		want.Mode = engine.Exclude
		want.Left = gmi - 10*time.Second
	}
	if r.restart {
		want.Left = gmi
	}
	if r.queryGroup && querier {
		want.Left = lmqt
	}
	for _, s := range sources {
		forward := formula(r.forward, s.x, s.y, s.r)
		not := formula(r.not, s.x, s.y, s.r)
		if forward && not {
			t.Fatalf("the row forwards %v and does not", s)
		}
		if !forward && !not {
			continue
		}
		info := igmp.SourceInfo{Source: s.addr, Forward: forward}
		switch {
		case !forward:
		case formula(r.query, s.x, s.y, s.r) && querier:
			info.Left = lmqt
		case formula(r.gmi, s.x, s.y, s.r):
			info.Left = gmi
		default: // its own timer goes on, or the group timer is inherited: set 10 s ago, both
			info.Left = gmi - 10*time.Second
		}
		want.Sources = append(want.Sources, info)
	}
	got := tb.groups()
	if len(got) != 1 || fmt.Sprintf("%+v", got[0]) != fmt.Sprintf("%+v", want) {
		t.Errorf("state:\n got %+v\nwant %+v", got, want)
	}

	// The queries: Q(G), then Q(G,...), without the S flag since all that is asked for was lowered.
	var asked []string
	for _, s := range sources {
		if formula(r.query, s.x, s.y, s.r) && querier {
			asked = append(asked, tb.n.name(s.addr))
		}
	}
	var wantQueries, gotQueries []string
	if r.queryGroup && querier {
		wantQueries = append(wantQueries, "")
	}
	if len(asked) > 0 {
		wantQueries = append(wantQueries, strings.Join(asked, " "))
	}
	for _, e := range effects {
		if s, ok := e.(engine.Send); ok {
			m, err := wire.Parse(s.Payload, wire.Ends{Src: s.Src, Dst: s.Dst})
			q, isQuery := m.(wire.Query)
			if err != nil || !isQuery || q.Group != group || q.Suppress || s.Dst != group || q.MaxResp != time.Second {
				t.Errorf("sent %+v, %v", m, err)
			}
			gotQueries = append(gotQueries, strings.Trim(tb.n.list(q.Sources), "{}"))
		}
	}
	if !slices.Equal(gotQueries, wantQueries) {
		t.Errorf("asked %q, want %q", gotQueries, wantQueries)
	}

	// The membership is what the state says: INCLUDE the forwarded, or EXCLUDE the others.
	if len(effects) > 0 {
		for _, e := range effects {
			if m, ok := e.(engine.Membership); ok {
				var level []netip.Addr
				for _, s := range want.Sources {
					if s.Forward == (want.Mode == engine.Include) {
						level = append(level, s.Source)
					}
				}
				if m.Mode != want.Mode || !slices.Equal(m.Sources, level) {
					t.Errorf("membership %v %v, want %v %v", m.Mode, m.Sources, want.Mode, level)
				}
			}
		}
	}
}

func versionName(n names) string {
	if n.family == engine.IPv6 {
		return "MLDv2"
	}
	return "IGMPv3"
}

// TestExpiryTable: RFC 3376 section 6.3's table of what becomes of sources and groups when timers expire.
func TestExpiryTable(t *testing.T) {
	for _, family := range []engine.Family{engine.IPv4, engine.IPv6} {
		for _, c := range []struct {
			name    string
			records func(n names) [][]wire.Record // one batch every 100 s
			after   time.Duration                 // from the last batch
			want    string
		}{
			{"INCLUDE, one source expires", func(n names) [][]wire.Record {
				return [][]wire.Record{{{Type: wire.IsIn, Group: n.addr("G1"), Sources: n.addrs([]string{"S1"})}}, {{Type: wire.IsIn, Group: n.addr("G1"), Sources: n.addrs([]string{"S2"})}}}
			}, 160 * time.Second, "INCLUDE S2:true"},
			{"INCLUDE, the last source expires", func(n names) [][]wire.Record {
				return [][]wire.Record{{{Type: wire.IsIn, Group: n.addr("G1"), Sources: n.addrs([]string{"S1"})}}}
			}, gmi, ""},
			{"EXCLUDE, a source expires", func(n names) [][]wire.Record {
				return [][]wire.Record{{{Type: wire.IsIn, Group: n.addr("G1"), Sources: n.addrs([]string{"S1"})}}, {{Type: wire.IsEx, Group: n.addr("G1"), Sources: n.addrs([]string{"S1", "S2"})}}}
			}, 160 * time.Second, "EXCLUDE S1:false S2:false"},
			{"EXCLUDE, the group timer expires with sources", func(n names) [][]wire.Record {
				return [][]wire.Record{{{Type: wire.IsEx, Group: n.addr("G1"), Sources: n.addrs([]string{"S1", "S2"})}}, {{Type: wire.IsIn, Group: n.addr("G1"), Sources: n.addrs([]string{"S1"})}}}
			}, 160 * time.Second, "INCLUDE S1:true"},
			{"EXCLUDE, the group timer expires without", func(n names) [][]wire.Record {
				return [][]wire.Record{{{Type: wire.IsEx, Group: n.addr("G1"), Sources: n.addrs([]string{"S1", "S2"})}}}
			}, gmi, ""},
		} {
			t.Run(fmt.Sprintf("%v/%s", family, c.name), func(t *testing.T) {
				tb := newTable(t, family)
				for n, batch := range c.records(tb.n) {
					if n > 0 {
						tb.advance(100 * time.Second)
					}
					tb.report(batch...)
				}
				tb.advance(c.after)
				got := ""
				for _, g := range tb.groups() {
					got = g.Mode.String()
					for _, s := range g.Sources {
						got += fmt.Sprintf(" %s:%v", tb.n.name(s.Source), s.Forward)
					}
				}
				if got != c.want {
					t.Errorf("got %q, want %q", got, c.want)
				}
			})
		}
	}
}

// TestLongQueriesAreSplit: what does not fit the MTU is asked for in several queries (RFC 3376 section 4.1.8: 366 sources
// in 1500 octets; RFC 3810 section 5.1.10: 89).
func TestLongQueriesAreSplit(t *testing.T) {
	for family, most := range map[engine.Family]int{engine.IPv4: 366, engine.IPv6: 89} {
		tb := newTable(t, family)
		var list []netip.Addr
		for k := range 900 {
			a := tb.n.addr("S1").As16()
			a[14], a[15] = byte(1+k/250), byte(k%250)
			list = append(list, netip.AddrFrom16(a).Unmap())
		}
		tb.report(wire.Record{Type: wire.IsIn, Group: tb.n.addr("G1"), Sources: list})
		var sizes []int
		for _, e := range tb.report(wire.Record{Type: wire.Block, Group: tb.n.addr("G1"), Sources: list}) {
			if s, ok := e.(engine.Send); ok {
				m, err := wire.Parse(s.Payload, wire.Ends{Src: s.Src, Dst: s.Dst})
				if err != nil {
					t.Fatal(err)
				}
				sizes = append(sizes, len(m.(wire.Query).Sources))
			}
		}
		total := 0
		for n, size := range sizes {
			total += size
			if n < len(sizes)-1 && size != most || size > most {
				t.Errorf("%v: query of %d sources, want %d", family, size, most)
			}
		}
		if total != 900 {
			t.Errorf("%v: %d sources asked for", family, total)
		}
	}
}
