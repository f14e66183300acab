// Package frr runs FRR, another router, as a program of a lab in network namespaces: its zebra, staticd and pimd, and
// bgpd if it is configured, in the foreground, as Debian builds them, unpacked by tools/install-test-needs.
package frr

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
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

// Router is FRR 8.4.4 on a node. It implements netns.Program.
type Router struct {
	root   string            // where the package was unpacked
	config map[string][]byte // by daemon
	dir    string
	group  string // an /etc/group with the group that FRR was built to want
	run    []*daemon
}

type daemon struct {
	name  string
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
}

// New reads the file of a router: the configurations of its daemons one after the other, each behind a line of
// "!daemon NAME". replace are texts and what is there in their place, in pairs.
func New(t testing.TB, file string, replace ...string) *Router {
	t.Helper()
	f := &Router{root: testneed.Peer(t, "frr"), config: map[string][]byte{}}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text = []byte(strings.NewReplacer(replace...).Replace(string(text)))
	for _, part := range bytes.Split(text, []byte("!daemon "))[1:] {
		name, config, _ := bytes.Cut(part, []byte("\n"))
		f.config[string(name)] = config
	}
	return f
}

// Addresses returns the IPv4 addresses of the router.
func (f *Router) Addresses() []string {
	var list []string
	for _, m := range regexp.MustCompile(`(?m)^ ip address ([0-9.]+)/`).FindAllSubmatch(f.config["zebra"], -1) {
		list = append(list, string(m[1]))
	}
	return list
}

// Start implements netns.Program. Daemons that come first are needed by those that follow.
func (f *Router) Start(ctx context.Context, dir string) error {
	f.dir = dir
	links, err := net.Interfaces()
	if err != nil {
		return err
	}
	for _, link := range links {
		if out, err := exec.Command("ip", "link", "set", link.Name, "up").CombinedOutput(); err != nil {
			return fmt.Errorf("frr: %w: %s", err, out)
		}
	}
	// FRR of Debian wants to be root with a group of its own, which an unpacked package has not made.
	groups, err := os.ReadFile("/etc/group")
	if err != nil {
		return err
	}
	f.group = filepath.Join(dir, "group")
	if err := os.WriteFile(f.group, append(groups, "frrvty:x:64999:root\n"...), 0o644); err != nil {
		return err
	}
	for _, name := range []string{"zebra", "staticd", "pimd", "bgpd"} {
		if _, wanted := f.config[name]; name == "bgpd" && !wanted {
			continue
		}
		if err := f.startDaemon(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// startDaemon starts a daemon, in a mount namespace of its own where /etc/group is ours, and waits until it answers.
func (f *Router) startDaemon(ctx context.Context, name string) error {
	config := filepath.Join(f.dir, name+".conf")
	if err := os.WriteFile(config, f.config[name], 0o644); err != nil {
		return err
	}
	d := &daemon{name: name, log: filepath.Join(f.dir, name+".log"), ended: make(chan struct{})}
	log, err := os.OpenFile(d.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	d.cmd = exec.Command("unshare", "--mount", "sh", "-c", `mount --bind "$1" /etc/group && shift && exec "$@"`, "frr", f.group,
		filepath.Join(f.root, "usr/lib/frr", name),
		"-f", config, "-z", filepath.Join(f.dir, "zserv.api"), "--vty_socket", f.dir, "-i", filepath.Join(f.dir, name+".pid"),
		"-u", "root", "-g", "root", "-A", "127.0.0.1", "-P", "0", "--log", "stdout")
	d.cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+filepath.Join(f.root, "usr/lib/x86_64-linux-gnu/frr"))
	d.cmd.Stdout, d.cmd.Stderr = log, log
	if err := d.cmd.Start(); err != nil {
		return fmt.Errorf("frr: %w", err)
	}
	f.run = append(f.run, d)
	go func() {
		d.cmd.Wait()
		close(d.ended)
	}()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		if _, err := f.VTY(name, "show version"); err == nil {
			return nil
		}
		select {
		case <-again.C:
		case <-d.ended:
			return fmt.Errorf("frr: %s ended (%v):\n%s", name, d.cmd.ProcessState, f.Logs())
		case <-ctx.Done():
			return fmt.Errorf("frr: %s does not answer: %w\n%s", name, ctx.Err(), f.Logs())
		}
	}
}

// Kill ends a daemon as SIGKILL does.
func (f *Router) Kill(daemon string) error {
	for i, d := range f.run {
		if d.name == daemon {
			f.run = slices.Delete(f.run, i, i+1)
			err := d.cmd.Process.Kill()
			<-d.ended
			return err
		}
	}
	return fmt.Errorf("frr: %s does not run", daemon)
}

// Restart starts a daemon again that was killed, in the namespace of the calling thread. It returns when it answers.
func (f *Router) Restart(ctx context.Context, daemon string) error { return f.startDaemon(ctx, daemon) }

// Stop implements netns.Program.
func (f *Router) Stop() error {
	var errs []error
	for _, d := range f.run {
		select {
		case <-d.ended:
			errs = append(errs, fmt.Errorf("frr: %s ended by itself (%v):\n%s", d.name, d.cmd.ProcessState, f.Logs()))
			continue
		default:
		}
		d.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-d.ended:
		case <-time.After(5 * time.Second):
			d.cmd.Process.Kill()
			<-d.ended
		}
	}
	return errors.Join(errs...)
}

// Pid returns the process of a daemon that was started.
func (f *Router) Pid(daemon string) int {
	for _, d := range f.run {
		if d.name == daemon {
			return d.cmd.Process.Pid
		}
	}
	return 0
}

// Logs returns what the daemons have printed.
func (f *Router) Logs() string {
	var b strings.Builder
	for _, d := range f.run {
		text, _ := os.ReadFile(d.log)
		fmt.Fprintf(&b, "---- %s ----\n%s", d.name, text)
	}
	return b.String()
}

// VTY gives a daemon one command, as vtysh does: the command ends with a zero octet, the answer with three and its
// status.
func (f *Router) VTY(daemon, command string) (string, error) {
	c, err := net.DialTimeout("unix", filepath.Join(f.dir, daemon+".vty"), time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(2 * time.Second))
	r := bufio.NewReader(c)
	var answer string
	for _, line := range []string{"enable", command} {
		if _, err := c.Write(append([]byte(line), 0)); err != nil {
			return "", err
		}
		if answer, err = r.ReadString(0); err != nil {
			return "", err
		}
		var end [3]byte
		if _, err := r.Read(end[:]); err != nil {
			return "", err
		}
		if end[2] != 0 {
			return "", fmt.Errorf("frr: %s: %q: status %d: %s", daemon, line, end[2], answer)
		}
	}
	return strings.TrimSuffix(answer, "\x00"), nil
}
