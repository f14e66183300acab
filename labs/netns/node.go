package netns

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"connectrpc.com/connect"

	"grove/daemon/api"
	grovev1 "grove/daemon/api/grove/v1"
	"grove/daemon/api/grove/v1/grovev1connect"
	"grove/labs/script"
)

// Program is what a node may run in place of a groved.
type Program interface {
	// Start is called in the node's namespace, with its interfaces there but down. What the program keeps in files goes
	// to dir, which exists and is removed at the end. It returns as soon as the program has started; it may not wait
	// for other nodes.
	Start(ctx context.Context, dir string) error
	// Stop ends the program and waits for its end.
	Stop() error
}

// node is a router or a host: a namespace with a groved in it, or another program.
type node struct {
	script.Node
	space   *space
	program Program // nil: groved, of which the rest tells
	socket  string  // of its API
	config  string  // the file it reads
	cmd     *exec.Cmd
	log     lockedBuffer
	ended   chan struct{} // closed when groved has ended
	killed  bool          // by Kill
	client  grovev1connect.RouterServiceClient
}

// startProgram starts the program that the node runs in place of a groved.
func (n *node) startProgram(ctx context.Context, dir string) error {
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		err = n.space.do(func() error { return n.program.Start(ctx, dir) })
	}
	if err != nil {
		return fmt.Errorf("%s: %w", n.Name, err)
	}
	return nil
}

// lockedBuffer collects what a process prints.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start starts groved in the node's namespace.
func (n *node) start(groved string) error {
	n.cmd = exec.Command(groved, "-c", n.config, "--socket", n.socket)
	n.cmd.Stdout, n.cmd.Stderr = &n.log, &n.log
	if err := n.space.do(n.cmd.Start); err != nil {
		return fmt.Errorf("%s: start groved: %w", n.Name, err)
	}
	n.ended = make(chan struct{})
	go func() {
		n.cmd.Wait()
		close(n.ended)
	}()
	n.client = api.Dial(n.socket)
	return nil
}

// watch opens the stream of transitions, as soon as groved answers.
func (n *node) watch(ctx context.Context) (*connect.ServerStreamForClient[grovev1.WatchResponse], error) {
	retry := time.NewTicker(10 * time.Millisecond)
	defer retry.Stop()
	for {
		if _, err := os.Stat(n.socket); err == nil {
			stream, err := n.client.Watch(ctx, connect.NewRequest(&grovev1.WatchRequest{Notes: true}))
			if err == nil && stream.Receive() { // Ready: all that follows is streamed
				return stream, nil
			}
		}
		select {
		case <-retry.C:
		case <-n.ended:
			return nil, fmt.Errorf("%s: groved ended (%v):\n%s", n.Name, n.cmd.ProcessState, n.log.String())
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: groved does not answer: %w\n%s", n.Name, ctx.Err(), n.log.String())
		}
	}
}

// grace is how long groved may take to say goodbye.
const grace = 2 * time.Second

// stop ends what runs on the node.
func (n *node) stop() error {
	var err error
	if n.program != nil {
		if err = n.program.Stop(); err != nil {
			err = fmt.Errorf("%s: %w", n.Name, err)
		}
	}
	if n.ended != nil {
		n.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-n.ended:
		case <-time.After(grace):
			n.cmd.Process.Kill()
			<-n.ended
			err = fmt.Errorf("%s: groved did not end within %v", n.Name, grace)
		}
	}
	os.Remove(n.socket)
	return err
}
