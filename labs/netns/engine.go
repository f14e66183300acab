package netns

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	grovev1 "grove/daemon/api/grove/v1"
	"grove/daemon/api/grove/v1/grovev1connect"
	"grove/internal/engine"
	"grove/labs/script"
)

// Options say where things are.
type Options struct {
	Groved string // the program
	RunDir string // for sockets and configurations; default /run/grove/lab
	// Programs run in place of groved on the nodes that they are named by: another router beside ours.
	Programs map[string]Program
	// Capture is where every frame on every link goes as pcapng, from before the first program starts until the last
	// has ended; nil: nowhere.
	Capture io.Writer
}

// Engine runs one lab. It implements script.Engine.
type Engine struct {
	lab    fs.FS
	topo   *script.Topology
	dir    string
	groved string
	nodes  map[string]*node
	order  []*node
	start  time.Time
	watch  context.Context // until the engine ends
	cancel context.CancelFunc
	tasks  sync.WaitGroup

	capture *capture // nil: none
	counter *counter // nil: none

	mu          sync.Mutex
	transitions []script.Transition
	warnings    []string
	members     map[memberKey]*member
	senders     map[memberKey]*sender
}

var _ script.Engine = (*Engine)(nil)

// prefix marks the namespaces of labs.
const prefix = "grove-"

// spaceName returns the name of a node's namespace.
func spaceName(lab, node string) string { return prefix + lab + "-" + node }

// New builds the lab in the folder lab: namespaces, cables, and a groved in each. It returns when all of them answer.
func New(ctx context.Context, lab fs.FS, topo *script.Topology, opts Options) (*Engine, error) {
	if opts.RunDir == "" {
		opts.RunDir = "/run/grove/lab"
	}
	e := &Engine{
		lab:     lab,
		topo:    topo,
		dir:     filepath.Join(opts.RunDir, topo.Name),
		groved:  opts.Groved,
		nodes:   map[string]*node{},
		members: map[memberKey]*member{},
		senders: map[memberKey]*sender{},
	}
	if err := e.build(ctx, &opts); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

func (e *Engine) build(ctx context.Context, opts *Options) error {
	if err := os.MkdirAll(e.dir, 0o755); err != nil {
		return err
	}
	for _, n := range e.topo.Nodes {
		s, err := newSpace(spaceName(e.topo.Name, n.Name))
		if err != nil {
			return err
		}
		nd := &node{
			Node: n, space: s, program: opts.Programs[n.Name],
			socket: filepath.Join(e.dir, n.Name+".sock"), config: filepath.Join(e.dir, n.Name+".yml"),
		}
		e.nodes[n.Name] = nd
		e.order = append(e.order, nd)
		if n.Bridge {
			err = s.bridge(n.Snooping)
		} else {
			err = s.sysctl(n.Sysctls)
		}
		if err != nil {
			return err
		}
	}
	for _, l := range e.topo.Links {
		if err := e.nodes[l.A.Node].space.cable(l.A.Interface, e.nodes[l.B.Node].space, l.B.Interface); err != nil {
			return err
		}
		for _, end := range []script.Endpoint{l.A, l.B} {
			if n := e.nodes[end.Node]; n.Bridge {
				if err := n.space.addPort(end.Interface); err != nil {
					return err
				}
			}
		}
	}
	if opts.Capture != nil {
		var err error
		if e.capture, err = e.newCapture(opts.Capture); err != nil {
			return err
		}
	}
	e.watch, e.cancel = context.WithCancel(context.Background())
	e.start = time.Now()
	ready, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	for _, n := range e.order {
		if n.program != nil {
			if err := n.startProgram(ready, filepath.Join(e.dir, n.Name)); err != nil {
				return err
			}
		}
	}
	for _, n := range e.groveds() {
		data, err := fs.ReadFile(e.lab, n.Config)
		if err != nil {
			return fmt.Errorf("%s: %w", n.Name, err)
		}
		if err := os.WriteFile(n.config, data, 0o644); err != nil {
			return err
		}
		if err := n.start(e.groved); err != nil {
			return err
		}
	}
	for _, n := range e.groveds() {
		if err := e.follow(ready, n); err != nil {
			return err
		}
	}
	return nil
}

// groveds returns the nodes that run a groved: neither a bridge nor another program, nor one that was killed.
func (e *Engine) groveds() []*node {
	var list []*node
	for _, n := range e.order {
		if !n.Bridge && n.program == nil && !n.killed {
			list = append(list, n)
		}
	}
	return list
}

// Kill ends the groved of a node as SIGKILL does: it says no goodbye, and its addresses and routes stay.
func (e *Engine) Kill(node string) error {
	n := e.nodes[node]
	if n.ended == nil || n.killed {
		return fmt.Errorf("%s: no groved runs there", node)
	}
	n.killed = true
	err := n.cmd.Process.Kill()
	<-n.ended
	return errors.Join(err, os.Remove(n.socket))
}

// Restart starts the groved of a node again that was killed. It returns when it answers.
func (e *Engine) Restart(ctx context.Context, node string) error {
	n := e.nodes[node]
	if !n.killed {
		return fmt.Errorf("%s: no groved was killed there", node)
	}
	if err := n.start(e.groved); err != nil {
		return err
	}
	n.killed = false
	return e.follow(ctx, n)
}

// follow collects the transitions of a node until the engine ends.
func (e *Engine) follow(ready context.Context, n *node) error {
	opening, opened := context.WithCancel(e.watch)
	undo := context.AfterFunc(ready, opened)
	stream, err := n.watch(opening)
	if !undo() && err == nil {
		err = ready.Err()
	}
	if err != nil {
		opened()
		return err
	}
	e.tasks.Add(1)
	go func() {
		defer e.tasks.Done()
		defer opened()
		for stream.Receive() {
			at := stream.Msg().GetTime().AsTime().Sub(e.start)
			if t := stream.Msg().GetTransition(); t != nil {
				e.note(transition(n.Name, at, t))
			}
			if note := stream.Msg().GetNote(); note != nil && (note.Level == "warning" || note.Level == "error") {
				e.mu.Lock()
				e.warnings = append(e.warnings, fmt.Sprintf("%.3fs %s: %s", at.Seconds(), n.Name, note.Text))
				e.mu.Unlock()
			}
		}
	}()
	return nil
}

func transition(name string, at time.Duration, t *grovev1.Transition) script.Transition {
	return script.Transition{
		At: at, Node: name, Machine: t.Machine, Entity: t.Entity, Interface: t.Interface,
		Neighbor: address(t.Neighbor), Key: engine.Key{Source: address(t.Source), Group: address(t.Group)},
		Old: t.Old, New: t.New, Cause: t.Cause,
	}
}

// address parses what the API prints: empty and "*" are no address.
func address(s string) netip.Addr {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return a
}

// note keeps a transition, in order of arrival.
func (e *Engine) note(t script.Transition) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.transitions = append(e.transitions, t)
}

// Name implements script.Engine.
func (e *Engine) Name() string { return "netns" }

// Now implements script.Engine.
func (e *Engine) Now() time.Duration { return time.Since(e.start) }

// Wait implements script.Engine. Counters and the kernel's tables change without an event that we see, so the question
// is asked again every few milliseconds.
func (e *Engine) Wait(ctx context.Context, within time.Duration, done func() bool) (bool, error) {
	end := time.NewTimer(within)
	defer end.Stop()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		if done() {
			return true, nil
		}
		select {
		case <-again.C:
		case <-end.C:
			return done(), nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
		for _, n := range e.groveds() {
			select {
			case <-n.ended:
				return false, fmt.Errorf("%s: groved ended:\n%s", n.Name, n.log.String())
			default:
			}
		}
	}
}

// Do implements script.Engine.
func (e *Engine) Do(ctx context.Context, a script.Action) error {
	switch {
	case a.Join != nil:
		return e.join(a.Join)
	case a.Leave != nil:
		return e.leave(a.Leave)
	case a.Send != nil:
		return e.send(a.Send)
	case a.Stop != nil:
		return e.stopSending(a.Stop)
	case a.Cut != "":
		return e.setLink(a.Cut, false)
	case a.Reload != nil:
		return e.reload(ctx, a.Reload)
	case a.BGPRoutes != "":
		return nil // the routers' sessions bring them
	default:
		return e.setLink(a.Heal, true)
	}
}

// reload gives a groved another configuration and asks it to read it.
func (e *Engine) reload(ctx context.Context, r *script.Reload) error {
	data, err := fs.ReadFile(e.lab, r.Config)
	if err != nil {
		return err
	}
	n := e.nodes[r.Node]
	if err := os.WriteFile(n.config, data, 0o644); err != nil {
		return err
	}
	const done, refused = "configuration reloaded", "configuration not reloaded"
	before := len(n.log.String())
	if err := n.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		return err
	}
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for {
		switch said := n.log.String()[before:]; {
		case strings.Contains(said, refused):
			return fmt.Errorf("%s: %s:\n%s", n.Name, refused, said)
		case strings.Contains(said, done):
			return nil
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return fmt.Errorf("%s: reload: %w", n.Name, ctx.Err())
		}
	}
}

// setLink sets both ends of a link: a cut cable is seen on both sides.
func (e *Engine) setLink(name string, up bool) error {
	l, err := e.topo.Link(name)
	if err != nil {
		return err
	}
	for _, end := range []script.Endpoint{l.A, l.B} {
		if err := e.nodes[end.Node].space.setLink(end.Interface, up); err != nil {
			return err
		}
	}
	return nil
}

// Router implements script.Engine.
func (e *Engine) Router(ctx context.Context, name string, family engine.Family) (script.RouterState, error) {
	n := e.nodes[name]
	if n.Bridge || n.program != nil {
		return script.RouterState{}, nil
	}
	return script.Ask(ctx, name, n.client, family)
}

// Client implements script.Engine: nil if no groved runs on the node.
func (e *Engine) Client(node string) grovev1connect.RouterServiceClient { return e.nodes[node].client }

// In runs f in the namespace of a node: sockets and processes that f makes belong to it.
func (e *Engine) In(node string, f func() error) error { return e.nodes[node].space.do(f) }

// Transitions implements script.Engine.
func (e *Engine) Transitions() []script.Transition {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.transitions)
}

// Warnings implements script.Engine.
func (e *Engine) Warnings() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.warnings)
}

// leaveNodes ends what this process does in the lab: hosts send and receive no more, and nobody watches.
func (e *Engine) leaveNodes() {
	e.mu.Lock()
	for _, s := range e.senders {
		s.stop()
	}
	for _, m := range e.members {
		m.stop()
	}
	e.mu.Unlock()
	if e.cancel != nil {
		e.cancel()
	}
}

// Keep ends the engine and leaves the nodes running, for a person to look at. Down removes them.
func (e *Engine) Keep() {
	e.leaveNodes()
	e.tasks.Wait()
}

// Enter returns the command line that runs a command in a node.
func (e *Engine) Enter(node string) string {
	return fmt.Sprintf("ip netns exec %s env GROVE_SOCKET=%s", spaceName(e.topo.Name, node), e.nodes[node].socket)
}

// Close implements script.Engine.
func (e *Engine) Close() error {
	e.leaveNodes()
	var errs []error
	for _, n := range e.order {
		errs = append(errs, n.stop())
	}
	if e.capture != nil {
		errs = append(errs, e.capture.close())
	}
	if e.counter != nil {
		errs = append(errs, e.counter.close())
	}
	for _, n := range e.order {
		errs = append(errs, n.space.close())
	}
	e.tasks.Wait()
	errs = append(errs, os.RemoveAll(e.dir))
	return errors.Join(errs...)
}
