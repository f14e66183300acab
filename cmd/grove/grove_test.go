package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"grove/daemon/api"
	"grove/daemon/api/apitest"
	"grove/internal/engine"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares got with a file below testdata, or rewrites the file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got); -update rewrites it:\n%s", path, diff)
	}
}

// serve runs the management API of r and returns its socket.
func serve(t *testing.T, r api.Router) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "grove.sock")
	l, err := api.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	s := api.Server(r)
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return path
}

// lines is a buffer that may be read while it is written.
type lines struct {
	mu   sync.Mutex
	b    bytes.Buffer
	more chan struct{} // closed at the next write
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.more != nil {
		close(l.more)
		l.more = nil
	}
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// wait waits until text has been written.
func (l *lines) wait(ctx context.Context, text string) error {
	for {
		l.mu.Lock()
		there := strings.Contains(l.b.String(), text)
		if l.more == nil {
			l.more = make(chan struct{})
		}
		more := l.more
		l.mu.Unlock()
		if there {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return fmt.Errorf("no %q: %w", text, ctx.Err())
		}
	}
}

// grove runs a command line and returns what it printed and its exit status.
func grove(ctx context.Context, args ...string) (out, errs string, status int) {
	var stdout, stderr lines
	status = groveTo(ctx, &stdout, &stderr, args...)
	return stdout.String(), stderr.String(), status
}

func groveTo(ctx context.Context, stdout, stderr *lines, args ...string) int {
	root := command()
	root.SetOut(stdout)
	root.SetErr(stderr)
	return run(ctx, root, args)
}

// TestTables: each show prints its table, and with -j the message of the schema.
func TestTables(t *testing.T) {
	showAll(t, apitest.Router(), map[string]string{
		"status":         "status",
		"mroute":         "ip mroute",
		"mroute-group":   "ip mroute 10.1.0.10 239.1.1.1",
		"mroute-count":   "ip mroute count",
		"pim-neighbor":   "ip pim neighbor",
		"pim-interface":  "ip pim interface",
		"pim-join":       "ip pim join",
		"pim-upstream":   "ip pim upstream",
		"igmp-groups":    "ip igmp groups",
		"igmp-interface": "ip igmp interface",
		"mld-groups":     "ipv6 mld groups",
		"rpf":            "ip rpf 10.1.0.10",
		"rpf-all":        "ip rpf",
		"rp":             "ip rp",
		"rp-mapping":     "ip pim rp mapping",
		"rp-hash":        "ip pim rp mapping 239.1.1.1",
		"bsr":            "ip pim bsr",
		"counts":         "counts",
	})
}

// TestBorderTables: a router on which several protocols meet shows each with its own.
func TestBorderTables(t *testing.T) {
	showAll(t, apitest.Border(), map[string]string{
		"border-mroute":        "ip mroute",
		"border-neighbor":      "ip pim neighbor",
		"border-interface":     "ip pim interface",
		"border-upstream":      "ip pim upstream",
		"border-state-refresh": "ip pim state-refresh",
		"border-neighbor-ipv6": "ipv6 pim neighbor",
	})
}

// TestDVMRPTables: a router of a DVMRP region.
func TestDVMRPTables(t *testing.T) {
	showAll(t, apitest.Vector(), map[string]string{
		"dvmrp-neighbor":  "ip dvmrp neighbor",
		"dvmrp-interface": "ip dvmrp interface",
		"dvmrp-route":     "ip dvmrp route",
		"dvmrp-entry":     "ip dvmrp entry",
		"dvmrp-prune":     "ip dvmrp prune",
		"dvmrp-mroute":    "ip mroute",
	})
}

// TestMSDPTables: an RP with peers in its own domain and in others.
func TestMSDPTables(t *testing.T) {
	showAll(t, apitest.Interdomain(), map[string]string{
		"msdp-peer":       "ip msdp peer",
		"msdp-peer-one":   "ip msdp neighbors 192.0.2.2",
		"msdp-sa-cache":   "ip msdp sa-cache",
		"msdp-mesh-group": "ip msdp mesh-group",
		"msdp-rpf":        "ip msdp rpf 192.0.2.2",
		"msdp-summary":    "ip msdp summary",
	})
}

// TestAutoRPTables: a router that listens, is a candidate and a mapping agent.
func TestAutoRPTables(t *testing.T) {
	showAll(t, apitest.Discovered(), map[string]string{"autorp": "ip pim autorp", "autorp-mapping": "ip pim rp mapping"})
}

// TestBGPTables: a router between two domains, with a route of BGP that serves the RPF check.
func TestBGPTables(t *testing.T) {
	showAll(t, apitest.Speaker(), map[string]string{
		"bgp-summary":        "bgp summary",
		"bgp-neighbors":      "bgp neighbors",
		"bgp-ipv4-multicast": "bgp ipv4 multicast",
		"bgp-ipv4-unicast":   "ip bgp",
		"bgp-rpf":            "ip rpf 10.2.0.9",
	})
}

// showAll runs show commands, by the names of their golden files.
func showAll(t *testing.T, r *apitest.Fake, commands map[string]string) {
	socket := serve(t, r)
	for name, line := range commands {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"show", "-s", socket}, strings.Fields(line)...)
			out, errs, status := grove(t.Context(), args...)
			if status != exitOK || errs != "" {
				t.Fatalf("status %d: %s", status, errs)
			}
			golden(t, name+".txt", out)
			out, errs, status = grove(t.Context(), append(args, "-j")...)
			if status != exitOK || errs != "" {
				t.Fatalf("status %d: %s", status, errs)
			}
			golden(t, name+".json", out)
		})
	}
}

// TestSpellings: other spellings and abbreviations mean the same.
func TestSpellings(t *testing.T) {
	sameAnswers(t, apitest.Router(), [][]string{
		{"show ip pim neighbor", "show ip pim neighbors", "sh ip pi n", "show ip pim neighbour eth1 | eth3"},
		{"show ip mroute", "show ip mr", "sh ip mroutes", "show ip multicast"},
		{"show ip mroute count", "sh ip mr count 239.1.1.1 | 239.1.1.9"},
		{"show ip mroute 239.1.1.1 10.1.0.10", "show ip mroute 10.1.0.10 239.1.1.1"},
		{"show ip igmp groups", "show igmp groups", "show ip igmp group", "sh ig g", "show ip igmp sources"},
		{"show ipv6 mld groups", "show mld groups", "sh ipv6 ml g"},
		{"show ip rp", "show ip pim rp", "show ip pim rp-info"},
		{"show ip pim rp mapping", "show ip rp mapping", "show ip pim rp-mapping"},
		{"show ip pim rp mapping 239.1.1.1", "show ip pim rp-hash 239.1.1.1", "show ip pim rp-mapping 239.1.1.1"},
		{"show ip pim bsr", "show ip pim bsr-router"},
		{"show ip mroute -j", "show ip mroute json", "show -j ip mroute", "show ip mroute --json"},
		{"show counts", "show ip counts", "show counters"},
		{"show status", "show version"},
	})
	sameAnswers(t, apitest.Speaker(), [][]string{
		{"show bgp summary", "show ip bgp summary", "sh bgp su", "show bgp ipv4 multicast summary", "show bgp ipv4 unicast summary", "show ipv6 bgp summary"},
		{"show bgp neighbors", "show ip bgp neighbors", "show bgp neighbor", "show bgp neighbours", "sh ip bgp n", "show bgp ipv4 multicast neighbors"},
		{"show bgp ipv4 multicast", "show ip bgp ipv4 multicast", "sh bgp ipv4 m", "show ip mbgp"},
		{"show bgp ipv4 multicast 10.2.0.0/16", "show ip bgp ipv4 multicast 10.2.0.0/16", "show ip mbgp 10.2.0.0/16"},
		{"show ip bgp", "show bgp ipv4 unicast", "show bgp ipv4", "show ip bgp ipv4 unicast"},
		{"show bgp ipv6 multicast", "show ipv6 bgp ipv6 multicast"},
		{"show bgp ipv6 unicast", "show bgp ipv6", "show ipv6 bgp"},
		{"show bgp summary -j", "show bgp summary json"},
	})
}

// sameAnswers runs show commands that mean the same, in lists.
func sameAnswers(t *testing.T, r *apitest.Fake, lists [][]string) {
	t.Helper()
	t.Setenv("GROVE_SOCKET", serve(t, r))
	for _, same := range lists {
		want, errs, status := grove(t.Context(), strings.Fields(same[0])...)
		if status != exitOK {
			t.Errorf("%s: %d %s", same[0], status, errs)
		}
		for _, line := range same[1:] {
			line, _, part := strings.Cut(line, "|") // with a filter it is part of the whole
			got, errs, status := grove(t.Context(), strings.Fields(line)...)
			if status != exitOK || !part && got != want || part && (got == "" || len(got) >= len(want)) {
				t.Errorf("%s: status %d %s\n%s\nwant as %s:\n%s", line, status, errs, got, same[0], want)
			}
		}
	}
}

// TestErrors: what goes wrong is said in words that help, with the exit status that the documentation names.
func TestErrors(t *testing.T) {
	socket := serve(t, apitest.Router())
	stale := filepath.Join(t.TempDir(), "stale.sock")
	l, err := api.Listen(stale)
	if err != nil {
		t.Fatal(err)
	}
	l.(interface{ SetUnlinkOnClose(bool) }).SetUnlinkOnClose(false)
	l.Close()
	for _, c := range []struct {
		line   string
		status int
		text   string
	}{
		{"show -s /nowhere/grove.sock ip mroute", exitUnreachable, "Is groved running?"},
		{"show -s " + stale + " ip mroute", exitUnreachable, "nobody listens"},
		{"watch -s /nowhere/grove.sock", exitUnreachable, "Is groved running?"},
		{"show -s " + socket + " ipv6 pim neighbor", exitFailed, "enable pim6 on an interface"},
		{"show -s " + socket + " ip rpf r1", exitUsage, `"r1" is not an address`},
		{"show -s " + socket + " ip mroute a b", exitUsage, "neither a group nor a source"},
		{"show ip pim neighbor a b", exitUsage, "grove show ip pim neighbor"},
		{"show ip", exitOK, ""},
		{"show i", exitUsage, "can be igmp or ip or ipv6"},
		{"show ip pim nothing", exitUsage, "there are autorp, bsr, interface, join, neighbor"},
		{"nothing", exitUsage, "there are"},
		{"show --nothing", exitUsage, "--help"},
		{"config check testdata/absent.yml", exitFailed, "no such file"},
		{"config check testdata/faulty.yml", exitFailed, "testdata/faulty.yml:3:11"},
		{"send -i lo", exitUsage, "to which group"},
		{"send -i lo -g 10.0.0.1", exitFailed, "is not a multicast group"},
		{"send -i lo -g r1", exitUsage, "invalid argument"},
		{"recv -i lo", exitUsage, "which group"},
		{"recv -i lo 239.1.1.1 --source x", exitUsage, "not an address"},
		{"recv -i absent0 239.1.1.1", exitFailed, "no interface absent0"},
	} {
		_, errs, status := grove(t.Context(), strings.Fields(c.line)...)
		if status != c.status || !strings.Contains(errs, c.text) {
			t.Errorf("%s: status %d, %q; want %d, %q", c.line, status, errs, c.status, c.text)
		}
	}
}

// TestConfig: valid files are said to be; print writes everything out.
func TestConfig(t *testing.T) {
	const file = "../../daemon/config/testdata/router.yml"
	out, errs, status := grove(t.Context(), "config", "check", file)
	if status != exitOK || out != file+": valid\n" {
		t.Errorf("status %d, %q %q", status, out, errs)
	}
	out, errs, status = grove(t.Context(), "config", "print", file)
	if status != exitOK || !strings.Contains(out, "triggered-hello-delay: 5s") {
		t.Errorf("status %d, %q %q", status, out, errs)
	}
}

// TestWatch: each change is a line, until the router ends or the person stops.
func TestWatch(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 89e6, time.UTC)
	zone := time.Local
	time.Local = time.UTC
	defer func() { time.Local = zone }()
	events := []api.Event{
		{Time: at, Interface: "eth1", Effect: engine.Transition{From: engine.MachineID{Protocol: engine.PIMSM, Family: engine.IPv4}, Entity: "neighbor",
			Neighbor: netip.MustParseAddr("10.0.12.2"), New: "up", Cause: "receive Hello"}},
		{Time: at.Add(time.Second), Lost: 7, Effect: engine.Transition{From: engine.MachineID{Protocol: engine.PIMSM, Family: engine.IPv4},
			Entity: "upstream (*,G)", Key: engine.StarG(netip.MustParseAddr("239.1.1.1")), Old: "NotJoined", New: "Joined"}},
		{Time: at.Add(2 * time.Second), Effect: engine.Note{From: engine.MachineID{Protocol: engine.IGMP, Family: engine.IPv6}, Level: engine.Warning,
			Text: "too many groups"}},
	}
	for name, args := range map[string][]string{"watch.txt": {"--notes"}, "watch.json": {"-j"}} {
		r := apitest.Router()
		for _, e := range events {
			r.Events <- e
		}
		close(r.Events)
		out, errs, status := grove(t.Context(), append([]string{"watch", "-s", serve(t, r)}, args...)...)
		if status != exitUnreachable || !strings.Contains(errs, "the router has ended") {
			t.Errorf("status %d, %q", status, errs)
		}
		golden(t, name, out)
	}

	r := apitest.Router()
	r.Events <- events[0]
	if out, errs, status := grove(t.Context(), "watch", "-s", serve(t, r), "--count", "1"); status != exitOK || strings.Count(out, "\n") != 1 {
		t.Errorf("--count 1: status %d, %q %q", status, out, errs)
	}

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stdout, stderr lines
	ended := make(chan int)
	socket := serve(t, apitest.Router())
	go func() { ended <- groveTo(ctx, &stdout, &stderr, "watch", "-s", socket) }()
	if err := stderr.wait(t.Context(), "watching r1"); err != nil {
		t.Fatal(err)
	}
	cancel()
	if status := <-ended; status != exitOK {
		t.Errorf("stopped by the person: status %d, %q", status, stderr.String())
	}
}
