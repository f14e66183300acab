package interop

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	grovev1 "grove/daemon/api/grove/v1"
	"grove/igmp/wire"
	"grove/internal/testneed"
	"grove/labs/judge"
	"grove/labs/script"
)

// TestWire: whatever grove can send is sent, in both families, and tshark sees it on the wire and finds no fault. Dense
// mode and DVMRP are on the wire in their labs (judge.Labs) and in TestMrinfo, MSDP in TestMSDPMesh.
func TestWire(t *testing.T) {
	const dir = "testdata/wire"
	l := start(t, topology(t, dir, "interop-wire"), dir, nil)
	for _, f := range []struct{ family, group, bySource, source, candidate, learned, scoped string }{
		{"ipv4", "239.1.1.1", "232.1.1.1", "10.1.0.10", "10.20.0.2", "225.1.1.1", "239.255.1.1"},
		{"ipv6", "ff1e::1", "ff3e::1", "2001:db8:1::10", "2001:db8:20::2", "ff18::1", "ff15::1"},
	} {
		l.force("h3", f.group, "0")
		l.force("h4", f.group, map[string]string{"ipv4": "2", "ipv6": "1"}[f.family])
		l.force("h5", f.group, "1")
		group := addr(f.group)
		l.until(10*time.Second, f.family+": all are neighbors", func() string {
			for node, want := range map[string]int{"r0": 2, "r1": 3, "r2": 3, "r3": 2} {
				list := ask(l, l.Client(node).ListPIMNeighbors, &grovev1.ListPIMNeighborsRequest{Family: familyOf(f.group)}).Neighbors
				if len(list) != want {
					return node
				}
			}
			return ""
		})
		for _, host := range []string{"h1", "h3", "h4", "h5"} {
			l.do(script.Action{Join: &script.Membership{Host: host, Group: group}})
		}
		l.until(10*time.Second, "r3 joins by r2, and r2 forwards to the LAN", func() string {
			return differ(outgoing(l.mroute("r2", "*", f.group)), []string{"eth2"})
		})
		l.do(script.Action{Send: &script.Send{Host: "hs", Group: group, Rate: 100, TTL: 64, Size: 100}})
		l.until(10*time.Second, "r1 and r2 assert", func() string { return l.asserts(f.group, f.source) })
		for _, host := range []string{"h1", "h3", "h4", "h5"} {
			l.until(10*time.Second, host+" receives", func() string { return fewer(l.Received(host, group).Packets, 20) })
		}
		l.until(10*time.Second, "Null-Registers are sent, and stopped", func() string {
			for _, tr := range l.Transitions() {
				if tr.Entity == "register" && tr.Old == "Join-Pending" && tr.New == "Prune" && tr.Key.Group == group {
					return ""
				}
			}
			return "no Register-Stop in Join-Pending state"
		})
		// Which of the two wins may change when the RP's SPTbit is set: then both forward for up to 3 s, the time in which
		// the kernel tells of a packet on the wrong interface once.
		begin := l.Received("h1", group)
		l.until(10*time.Second, "one of them forwards: each of 100 packets comes once", func() string {
			now := l.Received("h1", group)
			if now.Duplicates > begin.Duplicates {
				begin = now
			}
			return fewer(now.Packets, begin.Packets+100)
		})
		if lost := l.Received("h1", group).Lost; lost > begin.Lost {
			t.Errorf("h1 lost %d", lost-begin.Lost)
		}
		// r2 advertises itself to r1, the BSR of the domain and of a scope, whose messages reach r3.
		for _, group := range []string{f.learned, f.scoped} {
			l.until(15*time.Second, "r3 has learned the RP of "+group, func() string { return differ(l.rp("r3", group), f.candidate) })
		}
		// Queries of a group, by the version of each link; then of a source.
		for _, host := range []string{"h1", "h3", "h4"} {
			l.do(script.Action{Leave: &script.Membership{Host: host, Group: group}})
		}
		bySource := &script.Membership{Host: "h3", Group: addr(f.bySource), Source: addr(f.source)}
		l.do(script.Action{Join: bySource})
		l.until(5*time.Second, "h3 has joined a source", func() string {
			return differ(outgoing(l.mroute("r3", f.source, f.bySource)), []string{"eth2"})
		})
		l.do(script.Action{Leave: bySource})
		l.until(10*time.Second, "who has left is forgotten", func() string {
			return differ(append(outgoing(l.mroute("r3", f.source, f.bySource)), outgoing(l.mroute("r3", "*", f.group))...), []string{})
		})
	}
	seen := l.finish()
	elsewhere := slices.Concat(slices.Concat(slices.Collect(maps.Values(judge.Labs))...), mrinfo, mesh)
	for _, m := range sendable(t) {
		if seen[m] == 0 && !slices.Contains(elsewhere, m) {
			t.Errorf("%s was not on the wire", m)
		}
	}
}

// asserts says what is missing until on the LAN one of r1 and r2 is the winner and the other the loser of an Assert of
// the source.
func (l *lab) asserts(group, source string) string {
	l.t.Helper()
	var states []string
	for _, node := range []string{"r1", "r2"} {
		for _, j := range ask(l, l.Client(node).ListPIMJoins, &grovev1.ListPIMJoinsRequest{Family: familyOf(group), Group: group}).Joins {
			if j.Source == source && j.Interface == "eth2" {
				states = append(states, j.Assert)
			}
		}
	}
	slices.Sort(states)
	return differ(states, []string{"I am Assert Loser", "I am Assert Winner"})
}

// sendable lists what can be sent, as judge names it: from the source of the encoders, and by trying them.
func sendable(t *testing.T) []judge.Message {
	var names []judge.Message
	add := func(family, name string) { names = append(names, judge.Message(family+" "+name)) }
	families := []string{"ipv4", "ipv6"}

	types, makers := encoders(t, "internal/pim/wire")
	if len(types) != 10 || len(makers) != 1 {
		t.Errorf("PIM: messages %v, and %v", types, makers)
	}
	for _, f := range families {
		for _, name := range append(types, makers...) {
			add(f, name)
		}
	}

	types, _ = encoders(t, "dvmrp/wire")
	for _, name := range types {
		switch name {
		case "GraftAck":
			add("ipv4", "DVMRP graft-ack")
		case "AskNeighbors2":
			add("ipv4", "DVMRP ask-neighbors2")
		case "AskNeighbors": // a question of old tools, which we only answer
		default:
			add("ipv4", "DVMRP "+strings.ToLower(name))
		}
	}

	types, _ = encoders(t, "msdp/wire")
	for _, name := range types {
		switch name {
		case "SourceActive":
			add("ipv4", "MSDP Source-Active")
			add("ipv4", "MSDP Source-Active with a packet")
			add("ipv4", "MSDP Source-Active Response")
		case "Request":
			add("ipv4", "MSDP Source-Active Request")
		case "Notification", "Unknown": // written in tests only
		default:
			add("ipv4", "MSDP "+name)
		}
	}

	types, _ = encoders(t, "igmp/wire")
	for _, name := range types {
		for _, f := range families {
			switch name {
			case "Query":
				for version := 1; version < 10; version++ {
					for _, what := range queries(f, version) {
						add(f, what)
					}
				}
			case "OlderReport": // of the hosts
				for version := 1; version < 10; version++ {
					group := map[string]string{"ipv4": "239.1.1.1", "ipv6": "ff1e::1"}[f]
					if _, err := (wire.OlderReport{Version: version, Group: addr(group)}).Append(nil, ends(f)); err == nil {
						add(f, "OlderReport "+string(rune('0'+version)))
					}
				}
			default:
				add(f, name)
			}
		}
	}
	return names
}

func ends(family string) wire.Ends {
	if family == "ipv6" {
		return wire.Ends{Src: addr("fe80::1"), Dst: addr("ff02::1")}
	}
	return wire.Ends{Src: addr("10.0.0.1"), Dst: addr("224.0.0.1")}
}

// queries lists the queries that the encoder writes of a version.
func queries(family string, version int) []string {
	group, source := addr("239.1.1.1"), addr("10.0.0.1")
	if family == "ipv6" {
		group, source = addr("ff1e::1"), addr("2001:db8::1")
	}
	length := func(group netip.Addr, sources ...netip.Addr) int {
		b, err := wire.Query{Version: version, Group: group, Sources: sources, MaxResp: time.Second}.Append(nil, ends(family))
		if err != nil {
			return 0
		}
		return len(b)
	}
	if length(netip.Addr{}) == 0 {
		return nil // no such version
	}
	name := string(rune('0' + version))
	list := []string{"Query " + name + " general"}
	if family == "ipv6" || version > 1 { // IGMPv1 has no other (RFC 1112, appendix I)
		list = append(list, "Query "+name+" of a group")
	}
	if length(group, source) > length(group) {
		list = append(list, "Query "+name+" of sources")
	}
	return list
}

// encoders reads the source of a package: its types with a method Append, and its functions beside Parse that make one
// of these.
func encoders(t *testing.T, dir string) (types, makers []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(testneed.Module(t), dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var functions []*ast.FuncDecl
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok {
				functions = append(functions, fn)
			}
		}
	}
	for _, fn := range functions {
		if fn.Recv != nil && fn.Name.Name == "Append" {
			types = append(types, typeName(fn.Recv.List[0].Type))
		}
	}
	for _, fn := range functions {
		if fn.Recv == nil && fn.Name.IsExported() && fn.Type.Results != nil && fn.Type.Results.NumFields() == 1 &&
			slices.Contains(types, typeName(fn.Type.Results.List[0].Type)) {
			makers = append(makers, fn.Name.Name)
		}
	}
	slices.Sort(types)
	return types, makers
}

func typeName(e ast.Expr) string {
	if star, ok := e.(*ast.StarExpr); ok {
		e = star.X
	}
	if ident, ok := e.(*ast.Ident); ok {
		return ident.Name
	}
	return ""
}
