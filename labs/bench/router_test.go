package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"

	"grove/daemon/api"
	grovev1 "grove/daemon/api/grove/v1"
	"grove/daemon/api/grove/v1/grovev1connect"
	"grove/labs/interop/frr"
	"grove/labs/netns"
)

// router is what is measured: a program that routes, and its process.
type router interface {
	netns.Program
	pid() int
}

// groved is a groved that nobody watches: the lab's engine would stream every transition, which costs.
type groved struct {
	path, config string
	cmd          *exec.Cmd
	client       grovev1connect.RouterServiceClient
	ended        chan struct{}
}

// newGroved is groved with the configuration of a node.
func newGroved(_ *testing.B, program, dir, node string) router {
	return &groved{path: program, config: filepath.Join(dir, node+".yml")}
}

// Start implements netns.Program.
func (g *groved) Start(ctx context.Context, dir string) error {
	socket := filepath.Join(dir, "api.sock")
	g.cmd = exec.Command(g.path, "-c", g.config, "--socket", socket, "--log-level", "warning")
	g.cmd.Stderr = os.Stderr
	if err := g.cmd.Start(); err != nil {
		return err
	}
	g.ended = make(chan struct{})
	go func() {
		g.cmd.Wait()
		close(g.ended)
	}()
	g.client = api.Dial(socket)
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		if _, err := g.client.GetStatus(ctx, connect.NewRequest(&grovev1.GetStatusRequest{})); err == nil {
			return nil
		}
		select {
		case <-again.C:
		case <-g.ended:
			return fmt.Errorf("groved ended: %v", g.cmd.ProcessState)
		case <-ctx.Done():
			return fmt.Errorf("groved does not answer: %w", ctx.Err())
		}
	}
}

// Stop implements netns.Program.
func (g *groved) Stop() error {
	if g.ended == nil {
		return nil
	}
	g.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-g.ended:
		return nil
	case <-time.After(5 * time.Second):
		g.cmd.Process.Kill()
		<-g.ended
		return fmt.Errorf("groved did not end by itself")
	}
}

func (g *groved) pid() int { return g.cmd.Process.Pid }

// peer is FRR, of which pimd is measured.
type peer struct{ *frr.Router }

func newFRR(b *testing.B, _, dir, node string) router {
	return peer{frr.New(b, filepath.Join(dir, node+".frr"))}
}

func (p peer) pid() int { return p.Pid("pimd") }

// cpu returns the CPU time that a process has used, in user mode and in the kernel.
func cpu(b *testing.B, pid int) time.Duration {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), ") ") // the name may hold spaces
	fields := strings.Fields(after)
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if err1 != nil || err2 != nil {
		b.Fatalf("/proc/%d/stat: %s", pid, text)
	}
	return time.Duration(user+system) * (time.Second / 100)
}

// memory is what a process holds, in MiB.
type memory struct{ rss, peak, pss float64 }

// memoryOf reads what a process holds: all that is resident, the most there ever was, and with shared pages divided
// among those that share them.
func memoryOf(b *testing.B, pid int) memory {
	b.Helper()
	kib := func(file, key string) float64 {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
		if err != nil {
			b.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if fields := strings.Fields(line); len(fields) > 1 && fields[0] == key+":" {
				n, err := strconv.ParseFloat(fields[1], 64)
				if err != nil {
					b.Fatal(err)
				}
				return n / 1024
			}
		}
		b.Fatalf("no %s in /proc/%d/%s", key, pid, file)
		return 0
	}
	return memory{kib("status", "VmRSS"), kib("status", "VmHWM"), kib("smaps_rollup", "Pss")}
}
