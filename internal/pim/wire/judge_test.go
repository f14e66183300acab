package wire_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"grove/internal/engine"
	"grove/internal/ip"
	"grove/internal/pim/wire"
	"grove/internal/testneed"
)

// judged is a message that we write and tshark reads.
type judged struct {
	src, dst netip.Addr
	msg      wire.Message
}

// everything lists every message that a router of sparse or dense mode sends, in both families: the golden ones, and a Hello and a
// full Join/Prune as a router makes them.
func everything(t *testing.T) []judged {
	var list []judged
	for _, g := range goldens {
		src, dst := g.addrs()
		list = append(list, judged{src, dst, g.msg})
	}
	for _, f := range []struct {
		family                       engine.Family
		src, unicast, s, group, list string
	}{
		{engine.IPv4, "10.0.12.1", "10.255.0.3", "10.0.1.10", "239.1.1.1", "10.0.13.1"},
		{engine.IPv6, "fe80::1", "2001:db8:ff::3", "2001:db8:1::10", "ff3e::1", "2001:db8:12::1"},
	} {
		src, rp, s, g := addr(f.src), addr(f.unicast), addr(f.s), addr(f.group)
		all := wire.AllPIMRouters(f.family)
		sets := make([]wire.GroupSet, 100)
		for i := range sets {
			sets[i] = wire.GroupSet{
				Group: wire.GroupOf(g), Joined: []wire.Source{wire.StarG(rp), wire.SG(s)}, Pruned: []wire.Source{wire.SGRpt(s)},
			}
			g = g.Next()
		}
		messages, err := wire.Pack(src, 210*time.Second, sets, wire.MaxMessage(1500, src))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range messages {
			list = append(list, judged{src, all, m})
		}
		list = append(list,
			judged{src, all, &wire.Hello{Options: []wire.Option{
				wire.Holdtime(105 * time.Second), wire.LANPruneDelay{TrackingSupport: true, OverrideInterval: time.Second},
				wire.DRPriority(1), wire.GenerationID(7), wire.AddressList{addr(f.list)},
				wire.StateRefreshCapable{Version: wire.StateRefreshVersion, Interval: time.Minute},
			}}},
			judged{src, all, &wire.Assert{Group: wire.GroupOf(g), Source: s, RPT: true, MetricPreference: 1, Metric: 2}},
			judged{rp, s, &wire.RegisterStop{Group: wire.GroupOf(g), Source: s}},
			judged{s, rp, wire.NullRegister(s, g)},
		)
	}
	return list
}

// TestJudge: tshark finds nothing malformed in what we write, every checksum good, and the types that we meant.
func TestJudge(t *testing.T) {
	tshark := testneed.Tool(t, "tshark")
	list := everything(t)
	name := filepath.Join(t.TempDir(), "pim.pcap")
	writeCapture(t, name, list)
	cmd := exec.Command(tshark, "-r", name, "-o", "ip.check_checksum:TRUE", "-T", "fields", "-e", "frame.number", "-e", "pim.type", "-e", "pim.cksum.status", "-e", "_ws.malformed", "-e", "_ws.expert.severity")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimRight(string(out), "\n"), "\n")
	if len(lines) != len(list) {
		t.Fatalf("tshark sees %d packets of %d:\n%s", len(lines), len(list), out)
	}
	const good, severityError = "1", "8388608"
	for i, line := range lines {
		m := list[i].msg
		field := strings.Split(line, "\t")
		if len(field) != 5 {
			t.Fatalf("tshark says %q", line)
		}
		// The dummy PIM header in an IPv6 Null-Register is of version 0: tshark does not verify its checksum.
		typ, _, _ := strings.Cut(field[1], ",")
		sum, _, _ := strings.Cut(field[2], ",")
		if want := reflect.ValueOf(m.Type()).Uint(); typ != string('0'+rune(want)) || sum != good || field[3] != "" ||
			strings.Contains(field[4], severityError) {
			t.Errorf("tshark of %v %+v (number, type, checksum, malformed, severity): %q", m.Type(), m, line)
		}
	}
}

// writeCapture writes a capture file of raw IP packets.
func writeCapture(t *testing.T, name string, list []judged) {
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := pcapgo.NewWriter(f)
	if err := w.WriteFileHeader(65535, layers.LinkTypeRaw); err != nil {
		t.Fatal(err)
	}
	for _, j := range list {
		payload, err := wire.Encode(j.msg, j.src, j.dst)
		if err != nil {
			t.Fatalf("%+v: %v", j.msg, err)
		}
		packet := ip.Packet{Src: j.src, Dst: j.dst, Proto: engine.ProtoPIM, TTL: 1, TOS: 0xc0, Payload: payload}
		b := packet.Append(nil)
		info := gopacket.CaptureInfo{Timestamp: time.Unix(0, 0), CaptureLength: len(b), Length: len(b)}
		if err := w.WritePacket(info, b); err != nil {
			t.Fatal(err)
		}
	}
}

// TestJudgeSeesEverything: the list that tshark judges has every message and every Hello option that the package can
// write, in both families. What there is to write is read from the package's source.
func TestJudgeSeesEverything(t *testing.T) {
	judged := map[string]bool{}
	for _, j := range everything(t) {
		f := engine.FamilyOf(j.dst)
		judged[typeName(j.msg)+" "+f.String()] = true
		if h, ok := j.msg.(*wire.Hello); ok {
			for _, o := range h.Options {
				judged[typeName(o)] = true
			}
		}
	}
	var missing []string
	messages := receivers(t, "Append")
	for _, m := range messages {
		for _, f := range []engine.Family{engine.IPv4, engine.IPv6} {
			if what := m + " " + f.String(); !judged[what] {
				missing = append(missing, what)
			}
		}
	}
	options := receivers(t, "appendValue")
	for _, o := range options {
		if !judged[o] {
			missing = append(missing, o)
		}
	}
	if len(missing) > 0 {
		t.Errorf("tshark does not judge %v", missing)
	}
	if len(messages) != 10 || len(options) != 7 {
		t.Errorf("found the messages %v and the options %v", messages, options)
	}
}

func typeName(v any) string {
	typ := reflect.TypeOf(v)
	if typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	return typ.Name()
}

// receivers returns the types of the package that have a method.
func receivers(t *testing.T, method string) []string {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv != nil && fn.Name.Name == method {
				typ := fn.Recv.List[0].Type
				if star, ok := typ.(*ast.StarExpr); ok {
					typ = star.X
				}
				names = append(names, typ.(*ast.Ident).Name)
			}
		}
	}
	slices.Sort(names)
	return names
}
