package host

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"grove/daemon/config"
	"grove/daemon/router"
	"grove/internal/engine"
)

// Self is the protocol of the MachineID by which Query asks the host itself (the other fields are ignored). It knows
//
//	"counts"      map[string]uint64: what was received and sent, and what was dropped and why
//	"interfaces"  []Interface
//	"tunnels"     []Tunnel
const Self engine.Protocol = "host"

// Interface is an interface as the host knows it.
type Interface struct {
	engine.Interface
	Index      int  // the kernel's
	Configured bool // named in the configuration
}

// ErrClosed says that the host ended before it could answer.
var ErrClosed = errors.New("host: closed")

// Host is the real world of one router: sockets, netlink, clock and log. Make it with New and run it with Run.
type Host struct {
	log   *logrus.Entry
	space namespace
	inbox *inbox
	news  chan []any  // from the reader of netlink
	calls chan func() // what other goroutines want done in the loop
	ready chan struct{}
	done  chan struct{} // closed when Run ends

	watchers watchers
	namesMu  sync.RWMutex
	names    map[engine.IfID]string
	running  sync.WaitGroup // the reader of netlink

	// All below belongs to the loop.
	config   *config.Config
	machines map[engine.MachineID]any
	router   *router.Router
	netlink  *rtnetlink
	handle   *netlink.Handle // changes the kernel's addresses and routes
	view     *view
	keeper   keeper
	tunnels  tunnels
	drivers  drivers
	streams  streams
	bgp      bgpSpeaker
	counts   engine.Counts
	limit    limiter
	feedback []engine.Event // what effects bring about at once
	outbox   []posted       // packets of the batch in hand
	items    []item         // the batch in hand
	answers  map[uint64]chan<- engine.Answer
	lastID   uint64
	stale    stale
}

// New makes a host in the network namespace of the calling thread. All that needs privileges or may be taken is opened
// here, so that what is missing is said at once. After New call Run, or Close.
func New(cfg *config.Config, log *logrus.Entry) (*Host, error) {
	var seed [16]byte
	crand.Read(seed[:])
	rng := rand.New(rand.NewPCG(binary.NativeEndian.Uint64(seed[:]), binary.NativeEndian.Uint64(seed[8:])))
	h := &Host{
		log:      log,
		inbox:    newInbox(),
		news:     make(chan []any, 64),
		calls:    make(chan func()),
		ready:    make(chan struct{}),
		done:     make(chan struct{}),
		watchers: watchers{all: make(map[*watcher]struct{})},
		names:    make(map[engine.IfID]string),
		config:   cfg,
		machines: cfg.Machines(),
		router:   router.New(rng),
		view:     newView(),
		drivers:  newDrivers(),
		bgp:      newBGPSpeaker(),
		answers:  make(map[uint64]chan<- engine.Answer),
	}
	h.streams = newStreams(h.inbox)
	h.streams.tell = func(to engine.MachineID, ev engine.Event) { h.step(engine.Addressed{To: to, Event: ev}) }
	h.streams.warn = func(from engine.MachineID, peer netip.Addr, text string) {
		h.say(engine.Note{From: from, Level: engine.Warning, Neighbor: peer, Text: text})
	}
	h.keeper.want(cfg)
	h.tunnels.want(cfg)
	if err := h.open(); err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

func (h *Host) open() (err error) {
	if h.space, err = currentNamespace(); err != nil {
		return err
	}
	h.streams.space = h.space
	if h.netlink, err = openNetlink(); err != nil {
		return err
	}
	if h.handle, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		return fmt.Errorf("host: netlink: %w", err)
	}
	h.tunnels.add = h.handle.LinkAdd
	h.forwarding()
	if err := h.drivers.open(h.machines, h.space); err != nil {
		return err
	}
	return h.startBGP(h.config.BGP)
}

// Close releases what New opened, for a host that is not run.
func (h *Host) Close() {
	h.stopBGP()
	h.streams.end()
	h.closeTunnels()
	_ = h.drivers.close(nil)
	if h.netlink != nil {
		h.netlink.close()
	}
	if h.handle != nil {
		h.handle.Close()
	}
	_ = h.space.close()
	h.endWatching()
}

// Ready is closed when the host has read the kernel's interfaces and routes, and its machines run.
func (h *Host) Ready() <-chan struct{} { return h.ready }

// InterfaceName returns the name of an interface, also of one that is gone; empty for 0 and for a number that was never
// given.
func (h *Host) InterfaceName(id engine.IfID) string {
	h.namesMu.RLock()
	defer h.namesMu.RUnlock()
	return h.names[id]
}

// call has the loop call f, and returns when it has.
func (h *Host) call(ctx context.Context, f func()) error {
	called := make(chan struct{})
	select {
	case h.calls <- func() { defer close(called); f() }:
		<-called
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-h.done:
		return ErrClosed
	}
}

// Query asks a machine for its state, as engine.Query does, or the host itself (Self). The value is of the type that
// the machine's show.go gives for what.
func (h *Host) Query(ctx context.Context, id engine.MachineID, what, arg string) (value any, err error) {
	if id.Protocol == engine.BGP {
		if server := h.bgp.server.Load(); server != nil {
			return server.Query(what, arg)
		}
		return nil, errors.New("BGP does not run on this router: it runs if its configuration has bgp")
	}
	answer := make(chan engine.Answer, 1)
	failed := h.call(ctx, func() {
		if id.Protocol == Self {
			value, err = h.self(what)
			return
		}
		h.lastID++
		h.answers[h.lastID] = answer
		h.step(engine.Addressed{To: id, Event: engine.Query{To: id, ID: h.lastID, What: what, Arg: arg}})
		if len(answer) == 0 {
			h.settle() // the machine had to ask another one, such as rib for a path, which answers when it settles
		}
		delete(h.answers, h.lastID)
		select {
		case a := <-answer:
			value = a.Value
			if a.Err != "" {
				value, err = nil, fmt.Errorf("%v: %s", id, a.Err)
			}
		default:
			err = fmt.Errorf("%v: %s: no answer", id, what)
		}
	})
	if failed != nil {
		return nil, failed
	}
	return value, err
}

// self answers a query to the host.
func (h *Host) self(what string) (any, error) {
	switch what {
	case "counts":
		c := engine.Counts{}
		for name, n := range engine.Sorted(h.counts.Snapshot()) {
			c.AddN(name, n)
		}
		h.inbox.count(&c)
		h.countTunnels(&c)
		h.streams.count(&c)
		return c.Snapshot(), nil
	case "interfaces":
		var all []Interface
		for index, i := range engine.Sorted(h.view.ifaces) {
			all = append(all, Interface{i.Interface, index, h.keeper.configured[i.Name] != nil})
		}
		return all, nil
	case "tunnels":
		return h.tunnelStates(), nil
	}
	return nil, fmt.Errorf("host: nothing is called %q", what)
}

// Reload applies a new configuration: addresses and routes, the multicast table, and each machine whose configuration
// differs. If it cannot be applied (a table that another daemon owns), the old one stays.
func (h *Host) Reload(ctx context.Context, cfg *config.Config) (err error) {
	failed := h.call(ctx, func() {
		if cfg.Table != h.config.Table {
			err = errors.New("host: the multicast table cannot change while groved runs: restart it")
			return
		}
		machines := cfg.Machines()
		if err = h.drivers.open(machines, h.space); err != nil {
			_ = h.drivers.close(h.machines)
			return
		}
		had := h.machines
		h.config, h.machines = cfg, machines
		h.forwarding()
		h.drivers.start(h.inbox)
		h.step(engine.Configure{Config: router.Config{Machines: machines}})
		h.settle()
		_ = h.drivers.close(machines)
		h.streams.keep(machines)
		h.tellRoutes(had)
		h.tellBGP(had)
		old := h.keeper
		h.keeper.want(cfg)
		h.tunnels.want(cfg)
		h.keeper.remove(h, &old)
		h.keep(time.Now())
		h.log.Info("configuration reloaded")
	})
	if err = errors.Join(failed, err); err != nil {
		return err
	}
	return h.reloadBGP(ctx, cfg.BGP)
}

// tellRoutes sends all routes to the rib machines that were not there before.
func (h *Host) tellRoutes(had map[engine.MachineID]any) {
	for id := range engine.SortedFunc(h.machines, compareIDs) {
		if _, old := had[id]; old || id.Protocol != engine.RIB {
			continue
		}
		for _, r := range engine.SortedFunc(h.view.announced, compareKeys) {
			if engine.FamilyOf(r.Prefix.Addr()) == id.Family {
				h.step(engine.Addressed{To: id, Event: r})
			}
		}
	}
}

// rib returns the machine that hears of routes to a.
func (h *Host) rib(a netip.Addr) engine.MachineID {
	return engine.MachineID{Protocol: engine.RIB, Family: engine.FamilyOf(a), Table: h.config.Table}
}
