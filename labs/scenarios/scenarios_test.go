// Package scenarios holds small networks in which PIM-SM, or DVMRP, has to do something particular: one file each, with the
// topology, the configurations and the script of a lab, and the RFC's section. Each is run in the simulator and on the
// kernel, in IPv4 as it is written and in IPv6 as toIPv6 tells it.
package scenarios

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"grove/internal/testneed"
	"grove/labs/netns"
	"grove/labs/script"
	"grove/labs/sim/lab"
)

// ipv4Only are scenarios that have no counterpart in IPv6, with the reason.
var ipv4Only = map[string]string{
	"msdp":                "MSDP is a protocol of IPv4",
	"autorp":              "Auto-RP is a protocol of IPv4",
	"autorp-sparse-dense": "Auto-RP is a protocol of IPv4",
	"msdp-peer-rpf":       "MSDP is a protocol of IPv4",
	"dvmrp":               "DVMRP is a protocol of IPv4",
	"owner-changes":       "DVMRP is a protocol of IPv4",
	"border-dvmrp-dense":  "DVMRP is a protocol of IPv4",
	"dvmrp-boundary":      "DVMRP is a protocol of IPv4",
	"dense-threshold":     "Linux has no TTL thresholds in IPv6",
	"address-changed":     "IPv6 neighbors know each other by link-local addresses, which stay",
	"bsr-zones":           "a scope of IPv6 is no prefix of groups: bsr-zones-ipv6",
	"bsr-zones-ipv6":      "it is written in IPv6",
	"tunnel":              "tunnels carry IPv4",
	"register-mtu":        "in IPv6 the DR tells the source to send smaller packets (section 4.4.1), and the host loses some by that",
}

// toIPv6 is how a scenario is told in IPv6: the same network, with an address of the same shape for each.
var toIPv6 = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`10\.(\d+)\.(\d+)\.0/24`), `"fd00:$1:$2::/64"`},
	{regexp.MustCompile(`10\.(\d+)\.(\d+)\.(\d+)/24`), `"fd00:$1:$2::$3/64"`},
	{regexp.MustCompile(`10\.(\d+)\.(\d+)\.(\d+)/32`), `"fd00:$1:$2::$3/128"`},
	{regexp.MustCompile(`10\.(\d+)\.(\d+)\.(\d+)`), `"fd00:$1:$2::$3"`},
	{regexp.MustCompile(`0\.0\.0\.0/0`), `"::/0"`},
	{regexp.MustCompile(`239\.1\.1\.0/24`), `"ff1e::/112"`},
	{regexp.MustCompile(`239\.1\.2\.0/24`), `"ff15::/112"`},
	{regexp.MustCompile(`239\.1\.1\.(\d+)`), `"ff1e::$1"`},
	{regexp.MustCompile(`239\.1\.2\.(\d+)`), `"ff15::$1"`},
	{regexp.MustCompile(`(?m)^pim: \{ipv4:`), `pim: {ipv6:`},
	{regexp.MustCompile(`\bpim: \{(\}|dr-|mode:)`), `pim6: {$1`},
	{regexp.MustCompile(`\bigmp: `), `mld: `},
	{regexp.MustCompile(`(neighbors: \{node: \w+, count: \d+)`), `$1, ipv6: true`},
	{regexp.MustCompile(`net\.ipv4\.ip_forward: "1"`), `net.ipv6.conf.all.forwarding: "1", net.ipv6.conf.default.accept_dad: "0"`},
}

// each runs every scenario in both families on the engine that start makes.
func each(t *testing.T, start func(t *testing.T, dir fs.FS, topo *script.Topology) script.Engine) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("scenarios: %v, %v", files, err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		told, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name+"/ipv4", func(t *testing.T) { play(t, told, start) })
		if ipv4Only[name] != "" {
			continue
		}
		for _, r := range toIPv6 {
			told = r.pattern.ReplaceAll(told, []byte(r.with))
		}
		t.Run(name+"/ipv6", func(t *testing.T) { play(t, told, start) })
	}
}

// play runs one scenario.
func play(t *testing.T, told []byte, start func(t *testing.T, dir fs.FS, topo *script.Topology) script.Engine) {
	dir, err := txtar.FS(txtar.Parse(told))
	if err != nil {
		t.Fatal(err)
	}
	topo, err := script.ReadTopology(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := script.ReadScript(dir, topo)
	if err != nil {
		t.Fatal(err)
	}
	e := start(t, dir, topo)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var out bytes.Buffer
	p := &script.Printer{Out: &out}
	r, err := script.Run(ctx, topo.Name, topo, s, e, p)
	if closing := e.Close(); closing != nil {
		t.Error(closing)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if r.Status() != 0 {
		p.Summary(r)
		t.Error(out.String())
	}
}

func TestInSimulator(t *testing.T) {
	each(t, func(t *testing.T, dir fs.FS, topo *script.Topology) script.Engine {
		e, err := lab.New(dir, topo, 1)
		if err != nil {
			t.Fatal(err)
		}
		return e
	})
}

func TestOnKernel(t *testing.T) {
	testneed.Root(t)
	groved := testneed.Groved(t)
	each(t, func(t *testing.T, dir fs.FS, topo *script.Topology) script.Engine {
		e, err := netns.New(context.Background(), dir, topo, netns.Options{Groved: groved, RunDir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		return e
	})
}
