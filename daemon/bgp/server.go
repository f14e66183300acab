package bgp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/server"
	"github.com/sirupsen/logrus"
	logrusslog "github.com/sirupsen/logrus/hooks/slog"

	"grove/daemon/config"
)

// Server is a speaker of BGP. Make it with New.
type Server struct {
	log     *logrus.Entry
	deliver func(News)
	gobgp   *server.BgpServer
	ctx     context.Context    // of the watching
	cancel  context.CancelFunc // ends it
	paths   paths

	mu        sync.Mutex // of what follows; never held while deliver runs
	cfg       *config.BGP
	passwords map[netip.Addr]string
	ends      map[netip.Addr]string // why the last session of a neighbor ended

	originated originated
	greeting   sync.WaitGroup // of goroutines of greeting.go
}

// New starts a speaker with a configuration. What it learns comes by deliver.
func New(cfg *config.BGP, log *logrus.Entry, deliver func(News)) (*Server, error) {
	if err := ownNamespace(); err != nil {
		return nil, err
	}
	passwords, err := readPasswords(cfg)
	if err != nil {
		return nil, err
	}
	s := &Server{log: log.WithField("protocol", "bgp"), deliver: deliver, cfg: cfg, passwords: passwords, ends: make(map[netip.Addr]string)}
	// GoBGP says at Info what is of interest to its authors; what an operator cares about is said here (feed.go).
	quieter := func(l slog.Level) logrus.Level {
		if l >= slog.LevelInfo && l < slog.LevelWarn {
			return logrus.DebugLevel
		}
		return logrusslog.SlogLevel(l).Level()
	}
	handler := logrusslog.NewHandler(log.Logger, &logrusslog.HandlerOptions{LevelMapper: quieter})
	s.gobgp = server.NewBgpServer(server.LoggerOption(slog.New(handler), &slog.LevelVar{}))
	go s.gobgp.Serve()
	if err := s.start(); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

func (s *Server) start() error {
	ctx, cancel := context.WithCancel(context.Background())
	s.ctx, s.cancel = ctx, cancel
	global := &api.Global{
		Asn: s.cfg.AS, RouterId: s.cfg.RouterID.String(), ListenPort: int32(s.cfg.Port),
		Families: []uint32{}, RouteSelectionOptions: &api.RouteSelectionOptionsConfig{},
	}
	for _, a := range s.cfg.Listen {
		global.ListenAddresses = append(global.ListenAddresses, a.String())
	}
	if err := s.gobgp.StartBgp(ctx, &api.StartBgpRequest{Global: global}); err != nil {
		return fmt.Errorf("bgp: start: %w", err)
	}
	if err := s.applyPolicies(ctx, true); err != nil {
		return err
	}
	s.paths.as = s.cfg.AS
	if err := s.watch(ctx); err != nil {
		return err
	}
	if err := s.watchAll(ctx, len(s.cfg.Neighbors)); err != nil {
		return err
	}
	s.originated.start(ctx, s)
	s.originated.configure(s.cfg)
	for i := range s.cfg.Neighbors {
		n := &s.cfg.Neighbors[i]
		if err := s.gobgp.AddPeer(ctx, &api.AddPeerRequest{Peer: s.peer(s.cfg, n, s.passwords[n.Address])}); err != nil {
			return fmt.Errorf("bgp: neighbor %v: %w", n.Address, err)
		}
	}
	return nil
}

// Stop ends all sessions, with a Cease if GoBGP comes to it, and everything else. deliver is not called any more.
func (s *Server) Stop() {
	if s.cancel != nil {
		s.cancel()
	}
	s.originated.wait()
	s.gobgp.Stop()
	s.paths.end()
	s.greeting.Wait()
}

// Restarts says whether a new configuration needs a new Server.
func (s *Server) Restarts(cfg *config.BGP) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.cfg
	return cfg.AS != was.AS || cfg.RouterID != was.RouterID || cfg.Port != was.Port || !slices.Equal(cfg.Listen, was.Listen)
}

// Configure applies a new configuration, for which Restarts says no.
func (s *Server) Configure(cfg *config.BGP) error {
	passwords, err := readPasswords(cfg)
	if err != nil {
		return err
	}
	ctx := context.Background()
	s.mu.Lock()
	defer s.mu.Unlock()
	was, had := s.cfg, s.passwords
	s.cfg, s.passwords = cfg, passwords
	old := byAddress(was)
	errs := []error{s.watchAll(s.ctx, len(cfg.Neighbors))}
	for a := range old {
		if _, stays := byAddress(cfg)[a]; !stays {
			errs = append(errs, s.removePeer(ctx, was, old[a], had[a]))
		}
	}
	if policyText(was) != policyText(cfg) {
		errs = append(errs, s.applyPolicies(ctx, false))
		for a := range byAddress(cfg) {
			if _, stays := old[a]; stays {
				_ = s.gobgp.ResetPeer(ctx, &api.ResetPeerRequest{Address: a.String(), Soft: true, Direction: api.ResetPeerRequest_DIRECTION_BOTH})
			}
		}
	}
	for i := range cfg.Neighbors {
		n := &cfg.Neighbors[i]
		before, stays := old[n.Address]
		if stays && sameSession(before, n) && had[n.Address] == passwords[n.Address] &&
			was.GracefulRestart == cfg.GracefulRestart && was.RestartTime == cfg.RestartTime {
			continue
		}
		if stays {
			errs = append(errs, s.removePeer(ctx, was, before, had[n.Address]))
		}
		if err := s.gobgp.AddPeer(ctx, &api.AddPeerRequest{Peer: s.peer(cfg, n, passwords[n.Address])}); err != nil {
			errs = append(errs, fmt.Errorf("bgp: neighbor %v: %w", n.Address, err))
		}
	}
	s.originated.configure(cfg)
	return errors.Join(errs...)
}

// removePeer ends a neighbor's session and forgets it. The listening socket keeps the password of a peer that is deleted, and would
// refuse the neighbor without one; of a peer that is changed to have none it does not.
func (s *Server) removePeer(ctx context.Context, cfg *config.BGP, n *config.BGPNeighbor, password string) error {
	if password != "" {
		if _, err := s.gobgp.UpdatePeer(ctx, &api.UpdatePeerRequest{Peer: s.peer(cfg, n, "")}); err != nil {
			return fmt.Errorf("bgp: neighbor %v: remove the password: %w", n.Address, err)
		}
	}
	return s.gobgp.DeletePeer(ctx, &api.DeletePeerRequest{Address: n.Address.String()})
}

func byAddress(cfg *config.BGP) map[netip.Addr]*config.BGPNeighbor {
	m := make(map[netip.Addr]*config.BGPNeighbor)
	for i := range cfg.Neighbors {
		m[cfg.Neighbors[i].Address] = &cfg.Neighbors[i]
	}
	return m
}

// sameSession says whether two configurations of a neighbor differ in nothing but what a soft reset brings about.
func sameSession(a, b *config.BGPNeighbor) bool {
	x, y := *a, *b
	for _, n := range []*config.BGPNeighbor{&x, &y} {
		n.Import, n.Export, n.NextHopSelf, n.Password, n.PasswordFile = "", "", false, "", ""
	}
	return reflect.DeepEqual(x, y)
}

// readPasswords returns the neighbors' passwords, those in files as well.
func readPasswords(cfg *config.BGP) (map[netip.Addr]string, error) {
	m := make(map[netip.Addr]string)
	for _, n := range cfg.Neighbors {
		if n.Password != "" {
			m[n.Address] = n.Password
		}
		if n.PasswordFile == "" {
			continue
		}
		data, err := os.ReadFile(n.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("bgp: password of neighbor %v: %w", n.Address, err)
		}
		password := strings.TrimRight(string(data), "\r\n")
		if password == "" || len(password) > 80 || strings.ContainsAny(password, "\r\n") {
			return nil, fmt.Errorf("bgp: password of neighbor %v: %s: expected one line of 1 to 80 bytes", n.Address, n.PasswordFile)
		}
		m[n.Address] = password
	}
	return m, nil
}

// ownNamespace says whether the calling thread is in the network namespace of the process. GoBGP opens sockets in others.
func ownNamespace() error {
	of := func(path string) (string, error) { return os.Readlink(path) }
	process, err := of("/proc/self/ns/net")
	if err != nil {
		return fmt.Errorf("bgp: which namespace: %w", err)
	}
	thread, err := of("/proc/thread-self/ns/net")
	if err != nil {
		return fmt.Errorf("bgp: which namespace: %w", err)
	}
	if process != thread {
		return errors.New("bgp: it needs a process of its own in the router's network namespace: start groved there (ip netns exec)")
	}
	return nil
}

// neighbors returns the addresses of the neighbors, in order.
func neighbors(cfg *config.BGP) []netip.Addr {
	return slices.SortedFunc(maps.Keys(byAddress(cfg)), netip.Addr.Compare)
}
