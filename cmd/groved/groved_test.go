package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"

	"grove/daemon/api"
	grovev1 "grove/daemon/api/grove/v1"
	"grove/daemon/nstest"
)

// TestMain lets the test binary be groved itself, so that the tests start processes without building one.
func TestMain(m *testing.M) {
	if os.Getenv("GROVED_TEST_RUN") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// output collects what a process says, and waits for it.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// within waits until the output matches.
func (o *output) within(t *testing.T, pattern string) {
	t.Helper()
	re := regexp.MustCompile(pattern)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); !re.MatchString(o.String()); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("no %q in:\n%s", pattern, o)
		}
	}
}

func groved(args ...string) (*exec.Cmd, *output) {
	c := exec.Command(os.Args[0], args...)
	c.Env = append(os.Environ(), "GROVED_TEST_RUN=1")
	o := &output{}
	c.Stdout, c.Stderr = o, o
	return c, o
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// -n says all faults at once and exits with 1; a file without faults is silence, or the whole configuration.
func TestCheck(t *testing.T) {
	file := filepath.Join(t.TempDir(), "r1.yaml")
	write(t, file, "hostname: r1\ninterfaces:\n  eth1: {adresses: [10.0.0.1/24]}\n  eth2: {addresses: [10.0.0.300/24], pim: {hello-period: 5 parsecs}}\n")
	c, out := groved("-n", "-c", file)
	if err := c.Run(); err == nil || c.ProcessState.ExitCode() != 1 {
		t.Errorf("exit: %v", err)
	}
	for _, want := range []string{file + ":3:", file + ":4:", "adresses", "10.0.0.300/24", "parsecs"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	write(t, file, "hostname: r1\ninterfaces:\n  eth1: {addresses: [10.0.0.1/24], igmp: {}}\n")
	c, out = groved("-n", "-c", file)
	if err := c.Run(); err != nil || out.String() != "" {
		t.Errorf("%v: %s", err, out)
	}
	c, out = groved("-n", "-v", "-c", file)
	if err := c.Run(); err != nil || !strings.Contains(out.String(), "query-interval: 125s") {
		t.Errorf("%v: %s", err, out)
	}
	c, out = groved("--version")
	if err := c.Run(); err != nil || !strings.HasPrefix(out.String(), "groved ") {
		t.Errorf("%v: %s", err, out)
	}
	c, out = groved("-n", "-c", file, "--log-level", "loud")
	if err := c.Run(); err == nil || !strings.Contains(out.String(), `"loud"`) {
		t.Errorf("%v: %s", err, out)
	}
}

// A groved from start to end: it answers, reads its file again at SIGHUP (and refuses a faulty one), and says goodbye
// at SIGTERM. A second one on the same table says who is in the way.
func TestLife(t *testing.T) {
	s, far := nstest.New(t, "groved"), nstest.New(t, "far")
	nstest.Veth(s, "eth1", far, "eth1")
	dir := t.TempDir()
	file, socket := filepath.Join(dir, "r1.yaml"), filepath.Join(dir, "run", "r1.sock")
	write(t, file, "hostname: r1\ninterfaces:\n  eth1: {addresses: [10.0.0.1/24], igmp: {}, pim: {}}\n")
	c, out := groved("-c", file, "--socket", socket)
	var err error
	s.Do(func() { err = c.Start() })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill() })
	out.within(t, "ready")
	if !s.HasAddr("eth1", "10.0.0.1/24") {
		t.Error("no address")
	}
	client := api.Dial(socket)
	status, err := client.GetStatus(context.Background(), connect.NewRequest(&grovev1.GetStatusRequest{}))
	if err != nil {
		t.Fatal(err)
	}
	if got := status.Msg.GetHostname(); got != "r1" {
		t.Errorf("hostname %q", got)
	}

	second, said := groved("-c", file, "--socket", filepath.Join(dir, "second.sock"))
	s.Do(func() { err = second.Run() })
	if err == nil || !strings.Contains(said.String(), "another multicast routing daemon owns the table") {
		t.Errorf("a second groved: %v: %s", err, said)
	}
	second, said = groved("-c", file, "--socket", socket)
	far.Do(func() { err = second.Run() })
	if err == nil || !strings.Contains(said.String(), "another groved listens there") {
		t.Errorf("a second groved on the socket: %v: %s", err, said)
	}

	write(t, file, "hostname: r1\ninterfaces: {eth1: {adresses: [10.0.0.2/24]}}\n")
	c.Process.Signal(syscall.SIGHUP)
	out.within(t, "not reloaded.*adresses")
	write(t, file, "hostname: r1\ninterfaces:\n  eth1: {addresses: [10.0.0.2/24], igmp: {}, pim: {}}\n")
	c.Process.Signal(syscall.SIGHUP)
	out.within(t, "configuration reloaded")
	if s.HasAddr("eth1", "10.0.0.1/24") {
		t.Error("the old address is there")
	}

	c.Process.Signal(syscall.SIGTERM)
	if err := c.Wait(); err != nil {
		t.Errorf("end: %v", err)
	}
	out.within(t, "goodbye")
	if _, err := os.Stat(socket); !os.IsNotExist(err) {
		t.Errorf("the socket is there: %v", err)
	}
	if !s.HasAddr("eth1", "10.0.0.2/24") {
		t.Error("the address went with groved")
	}
}
