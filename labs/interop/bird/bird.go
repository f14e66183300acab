// Package bird runs BIRD 2, another router, in a network namespace: Debian's, unpacked by tools/install-test-needs.
package bird

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"grove/internal/testneed"
)

// Router is a BIRD.
type Router struct {
	root   string
	config []byte
	dir    string
	cmd    *exec.Cmd
	ended  chan struct{}
}

// New reads the configuration of a router. replace are texts and what is there in their place, in pairs.
func New(t testing.TB, file string, replace ...string) *Router {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	config := []byte(strings.NewReplacer(replace...).Replace(string(text)))
	return &Router{root: testneed.Peer(t, "bird2"), config: config}
}

// Start starts it in the namespace of the calling thread, with its files in dir. It returns when it answers. One that was killed
// can be started again.
func (b *Router) Start(dir string) error {
	b.dir = dir
	config := filepath.Join(dir, "bird.conf")
	if err := os.WriteFile(config, b.config, 0o600); err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(dir, "bird.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	b.cmd = exec.Command(filepath.Join(b.root, "usr/sbin/bird"), "-f", "-c", config, "-s", b.socket(), "-P", filepath.Join(dir, "bird.pid"))
	b.cmd.Stdout, b.cmd.Stderr = log, log
	if err := b.cmd.Start(); err != nil {
		return fmt.Errorf("bird: %w", err)
	}
	b.ended = make(chan struct{})
	go func() {
		b.cmd.Wait()
		close(b.ended)
	}()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		if _, err := b.Ask("show status"); err == nil {
			return nil
		}
		select {
		case <-again.C:
		case <-b.ended:
			return fmt.Errorf("bird: it ended (%v):\n%s", b.cmd.ProcessState, b.Log())
		}
	}
	return fmt.Errorf("bird: it does not answer:\n%s", b.Log())
}

func (b *Router) socket() string { return filepath.Join(b.dir, "bird.ctl") }

// Stop ends it.
func (b *Router) Stop() {
	b.cmd.Process.Signal(syscall.SIGTERM)
	<-b.ended
}

// Kill ends it as SIGKILL does.
func (b *Router) Kill() error {
	err := b.cmd.Process.Kill()
	<-b.ended
	return err
}

// Log returns what it has printed.
func (b *Router) Log() string {
	text, _ := os.ReadFile(filepath.Join(b.dir, "bird.log"))
	return string(text)
}

// Ask gives a command to it, as birdc does.
func (b *Router) Ask(command string) (string, error) {
	out, err := exec.Command(filepath.Join(b.root, "usr/sbin/birdcl"), "-s", b.socket(), command).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("bird: %q: %w: %s", command, err, out)
	}
	return string(out), nil
}
