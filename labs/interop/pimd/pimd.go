// Package pimd runs pimd, the multicast router that came of the first implementation of PIM-SM, as a program of a lab in network
// namespaces: version 2.3.2, Debian's, unpacked by tools/install-test-needs.
package pimd

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"grove/internal/testneed"
)

// Router is a pimd on a node. It implements netns.Program.
type Router struct {
	root   string // where the package was unpacked
	net    string // commands of ip, for pimd sets no addresses and routes
	config string
	dir    string
	cmd    *exec.Cmd
	ended  chan struct{}
}

// New reads the file of a router: commands of ip, one a line, behind "!ip", and behind "!pimd" the configuration of pimd. replace
// are texts and what is there in their place, in pairs.
func New(t testing.TB, file string, replace ...string) *Router {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p := &Router{root: testneed.Peer(t, "pimd")}
	_, rest, _ := strings.Cut(strings.NewReplacer(replace...).Replace(string(text)), "!ip\n")
	p.net, p.config, _ = strings.Cut(rest, "!pimd\n")
	return p
}

// Addresses returns the IPv4 addresses of the router.
func (p *Router) Addresses() []string {
	var list []string
	for _, m := range regexp.MustCompile(`(?m)^addr add ([0-9.]+)/`).FindAllStringSubmatch(p.net, -1) {
		list = append(list, m[1])
	}
	return list
}

// Start implements netns.Program. It returns when pimd runs. pimd has its files in /run, whatever it is told: so it has a mount
// namespace where that is a folder of its own.
func (p *Router) Start(ctx context.Context, dir string) error {
	p.dir = dir
	run, config := filepath.Join(dir, "run"), filepath.Join(dir, "pimd.conf")
	if err := os.Mkdir(run, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(config, []byte(p.config), 0o644); err != nil {
		return err
	}
	ip := exec.Command("ip", "-batch", "-")
	ip.Stdin = strings.NewReader(p.net)
	if out, err := ip.CombinedOutput(); err != nil {
		return fmt.Errorf("pimd: ip: %w: %s", err, out)
	}
	log, err := os.Create(p.log())
	if err != nil {
		return err
	}
	defer log.Close()
	// What it debugs is what it prints: with these, the RP-Set and the BSR at each tick of its clock.
	p.cmd = exec.Command("unshare", "--mount", "sh", "-c", `mount --bind "$1" /run && shift && exec "$@"`, "pimd", run,
		filepath.Join(p.root, "usr/sbin/pimd"), "--foreground", "--config="+config, "--debug=pim_bootstrap,pim_cand_rp", "--loglevel=none")
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("pimd: %w", err)
	}
	p.ended = make(chan struct{})
	go func() {
		p.cmd.Wait()
		close(p.ended)
	}()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		if _, err := os.Stat(filepath.Join(run, "pimd.pid")); err == nil {
			return nil
		}
		select {
		case <-again.C:
		case <-p.ended:
			return fmt.Errorf("pimd: it ended (%v):\n%s", p.cmd.ProcessState, p.Logs())
		case <-ctx.Done():
			return fmt.Errorf("pimd: it does not run: %w\n%s", ctx.Err(), p.Logs())
		}
	}
}

// Stop implements netns.Program.
func (p *Router) Stop() error {
	if p.ended == nil {
		return nil
	}
	select {
	case <-p.ended:
		return fmt.Errorf("pimd: it ended by itself (%v):\n%s", p.cmd.ProcessState, p.Logs())
	default:
	}
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(5 * time.Second):
		p.cmd.Process.Kill()
		<-p.ended
	}
	return nil
}

func (p *Router) log() string { return filepath.Join(p.dir, "pimd.log") }

// Logs returns what it has printed.
func (p *Router) Logs() string {
	text, _ := os.ReadFile(p.log())
	return string(text)
}

// RPSet is what pimd has learned by the Bootstrap mechanism.
type RPSet struct {
	BSR string   // "0.0.0.0": none
	RPs []string // "10.0.0.1 for 224.0.0.0/4, priority 7", sorted
}

// standIn is the RP that pimd gives to SSM groups, among its others.
const standIn = "169.254.0.1"

// RPSet returns what it has printed last of the RP-Set, which is at most five seconds old.
func (p *Router) RPSet() RPSet {
	var s RPSet
	text, _ := os.ReadFile(p.log())
	const head, end = "Candidate Rendezvous-Point Set ===", "Current BSR address: "
	stop := bytes.LastIndex(text, []byte(end))
	if stop < 0 {
		return s
	}
	line, _, whole := bytes.Cut(text[stop+len(end):], []byte("\n"))
	begin := bytes.LastIndex(text[:stop], []byte(head))
	if begin < 0 || !whole {
		return s
	}
	s.BSR = string(line)
	rp := ""
	for line := range strings.Lines(string(text[begin:stop])) {
		f := strings.Fields(line)
		if strings.HasPrefix(line, " ") {
			f = append([]string{rp, ""}, f...)
		}
		if len(f) != 5 || !strings.Contains(f[2], "/") {
			continue
		}
		if rp = f[0]; rp != standIn {
			s.RPs = append(s.RPs, fmt.Sprintf("%s for %s, priority %s", rp, prefix(f[2]), f[3]))
		}
	}
	slices.Sort(s.RPs)
	return s
}

// prefix completes a prefix that pimd has shortened: 224/4 is 224.0.0.0/4.
func prefix(p string) string {
	a, bits, _ := strings.Cut(p, "/")
	return a + strings.Repeat(".0", 3-strings.Count(a, ".")) + "/" + bits
}

// RP returns the RP of a group for which it has (*,G); "" if it has none.
func (p *Router) RP(ctx context.Context, group string) (string, error) {
	text, err := p.Dump(ctx)
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) > 2 && f[0] == "INADDR_ANY" && f[1] == group {
			return f[2], nil
		}
	}
	return "", err
}

// Dump returns its interfaces and its routing table: it writes them to a file when it is asked by a signal.
func (p *Router) Dump(ctx context.Context) (string, error) {
	file := filepath.Join(p.dir, "run/pimd/pimd.dump")
	os.Remove(file)
	if err := p.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		return "", err
	}
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		if text, err := os.ReadFile(file); err == nil && bytes.Contains(text, []byte("Number of Cache MIRRORs")) {
			return string(text), nil
		}
		select {
		case <-again.C:
		case <-p.ended:
			return "", fmt.Errorf("pimd: it ended (%v):\n%s", p.cmd.ProcessState, p.Logs())
		case <-ctx.Done():
			return "", fmt.Errorf("pimd: it does not dump: %w", ctx.Err())
		}
	}
}
