package wire_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"grove/igmp/wire"
	"grove/internal/engine"
	"grove/internal/ip"
	"grove/internal/testneed"
)

// messageTypes reads from the package's source the types that its encoders can write: 0x11 ... for IGMP, 130 ... for
// MLD.
func messageTypes(t *testing.T) map[string]int {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "message.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]int{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 || !strings.HasPrefix(spec.Names[0].Name, "igmp") && !strings.HasPrefix(spec.Names[0].Name, "mld") {
			return true
		}
		if lit, ok := spec.Values[0].(*ast.BasicLit); ok {
			v, err := strconv.ParseInt(lit.Value, 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			types[spec.Names[0].Name] = int(v)
		}
		return true
	})
	if len(types) != 9 {
		t.Fatalf("found %d message types in the source: %v", len(types), types)
	}
	return types
}

// TestJudge: tshark reads every golden message, which are of every type that an encoder writes, finds nothing malformed
// and every checksum good, and reads the values that we meant.
func TestJudge(t *testing.T) {
	tshark := testneed.Tool(t, "tshark")
	var list []golden
	for _, l := range [][]golden{goldenQueries, goldenOlderReports, goldenLeaves, goldenReports} {
		list = append(list, l...)
	}
	name := filepath.Join(t.TempDir(), "igmp.pcap")
	writeCapture(t, name, list)
	fields := []string{
		"_ws.malformed", "_ws.expert.severity", "igmp.checksum.status", "icmpv6.checksum.status", "igmp.type", "icmpv6.type",
		"igmp.maddr", "igmp.saddr", "igmp.max_resp", "igmp.s", "igmp.qrv", "igmp.qqic", "igmp.record_type", "igmp.aux_data_len",
		"icmpv6.mld.multicast_address", "icmpv6.mldr.mar.multicast_address", "icmpv6.mld.source_address", "icmpv6.mldr.mar.source_address",
		"icmpv6.mld.maximum_response_delay", "icmpv6.mld.maximum_response_code", "icmpv6.mld.flag.s", "icmpv6.mld.flag.qrv", "icmpv6.mld.qqi",
		"icmpv6.mldr.mar.record_type",
	}
	args := []string{"-r", name, "-o", "ip.check_checksum:TRUE", "-T", "fields"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	out, err := exec.Command(tshark, args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(lines) != len(list) {
		t.Fatalf("tshark sees %d packets of %d:\n%s", len(lines), len(list), out)
	}
	seen := map[int]bool{}
	for i, line := range lines {
		g, got := list[i], map[string]string{}
		for n, value := range strings.Split(line, "\t") {
			got[fields[n]] = value
		}
		kind, sum := got["igmp.type"], got["igmp.checksum.status"]
		if g.mld {
			kind, sum = got["icmpv6.type"], got["icmpv6.checksum.status"]
		}
		v, err := strconv.ParseInt(kind, 0, 0)
		if err != nil {
			t.Errorf("%s: tshark says type %q", g.name, kind)
		}
		seen[int(v)] = true
		const severityError = "8388608"
		if got["_ws.malformed"] != "" || strings.Contains(got["_ws.expert.severity"], severityError) || sum != "1" {
			t.Errorf("%s: malformed %q, severity %q, checksum %q", g.name, got["_ws.malformed"], got["_ws.expert.severity"], sum)
		}
		for name, want := range meant(g) {
			if got[name] != want {
				t.Errorf("%s: tshark reads %s as %q, we meant %q", g.name, name, got[name], want)
			}
		}
	}
	for name, kind := range messageTypes(t) {
		if !seen[kind] {
			t.Errorf("no packet of type %s (%d) was judged", name, kind)
		}
	}
}

// meant says what tshark should read of a message.
func meant(g golden) map[string]string {
	want := map[string]string{}
	join := func(list []netip.Addr) string {
		var s []string
		for _, a := range list {
			s = append(s, a.String())
		}
		return strings.Join(s, ",")
	}
	boolean := map[bool]string{true: "1", false: "0"}
	group := "igmp.maddr"
	if g.mld {
		group = "icmpv6.mld.multicast_address"
	}
	switch m := g.msg.(type) {
	case wire.Query:
		want[group] = m.Group.String()
		if m.General() && g.mld {
			want[group] = "::"
		} else if m.General() {
			want[group] = "0.0.0.0"
		}
		if g.mld {
			// tshark shows the code of MLDv2 as a delay, and as it is.
			if m.MaxResp <= 32767*time.Millisecond || m.Version == 1 {
				want["icmpv6.mld.maximum_response_"+map[int]string{1: "delay", 2: "code"}[m.Version]] = fmt.Sprint(m.MaxResp.Milliseconds())
			}
			if m.Version == 2 {
				want["icmpv6.mld.flag.s"], want["icmpv6.mld.flag.qrv"] = boolean[m.Suppress], fmt.Sprint(m.Robustness)
				want["icmpv6.mld.source_address"] = join(m.Sources)
			}
		} else if m.Version == 3 {
			want["igmp.s"], want["igmp.qrv"] = boolean[m.Suppress], fmt.Sprint(m.Robustness)
			want["igmp.saddr"] = join(m.Sources)
			want["igmp.max_resp"] = fmt.Sprint(m.MaxResp.Milliseconds() / 100)
			if m.QueryInterval < 128*time.Second {
				want["igmp.qqic"] = fmt.Sprint(int(m.QueryInterval.Seconds()))
			}
		} else if m.Version == 2 {
			want["igmp.max_resp"] = fmt.Sprint(m.MaxResp.Milliseconds() / 100)
		}
	case wire.OlderReport:
		want[group] = m.Group.String()
	case wire.Leave:
		want[group] = m.Group.String()
	case wire.Report:
		var groups, sources []netip.Addr
		var types []string
		for _, r := range m.Records {
			groups, sources = append(groups, r.Group), append(sources, r.Sources...)
			types = append(types, fmt.Sprint(uint8(r.Type)))
		}
		prefix := "igmp."
		if g.mld {
			prefix = "icmpv6.mldr.mar."
			want[prefix+"multicast_address"], want[prefix+"source_address"] = join(groups), join(sources)
		} else {
			want["igmp.maddr"], want["igmp.saddr"] = join(groups), join(sources)
		}
		want[prefix+"record_type"] = strings.Join(types, ",")
	}
	return want
}

// writeCapture writes messages as raw IP packets with Router Alert.
func writeCapture(t *testing.T, name string, list []golden) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := pcapgo.NewWriter(f)
	if err := w.WriteFileHeader(65535, layers.LinkTypeRaw); err != nil {
		t.Fatal(err)
	}
	for _, g := range list {
		e := ends(g.mld)
		payload, err := g.msg.Append(nil, e)
		if err != nil {
			t.Fatal(err)
		}
		p := ip.Packet{Src: e.Src, Dst: e.Dst, Proto: engine.ProtoIGMP, TTL: 1, TOS: 0xc0, RouterAlert: true, Payload: payload}
		if g.mld {
			p.Proto = engine.ProtoICMPv6
		}
		b := p.Append(nil)
		if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: time.Unix(0, 0), CaptureLength: len(b), Length: len(b)}, b); err != nil {
			t.Fatal(err)
		}
	}
}
