package main

import (
	"context"
	"errors"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"

	"grove/daemon/api"
	"grove/daemon/config"
	"grove/daemon/host"
	"grove/internal/engine"
)

// run runs the router until ctx ends.
func (o *options) run(ctx context.Context, cfg *config.Config) error {
	logger := logrus.New()
	logger.SetLevel(logrusLevels[cfg.Log.Level])
	log := logger.WithField("host", cfg.Hostname)
	log.Infof("groved %s", version())
	if cfg.TimeScale != 1 {
		log.Infof("protocol timers are divided by %v", cfg.TimeScale)
	}

	h, err := host.New(cfg, log)
	if err != nil {
		return err
	}
	r := &served{Host: h, started: time.Now()}
	r.config.Store(cfg)
	if cfg.API.Socket != "" {
		listener, err := api.Listen(cfg.API.Socket)
		if err != nil {
			h.Close()
			return err
		}
		server := api.Server(r)
		defer server.Close()
		go func() {
			if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				log.Errorf("management API: %v", err)
			}
		}()
	}

	var reloads sync.WaitGroup
	defer reloads.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	reloads.Go(func() { o.reload(ctx, r, log) })
	return h.Run(ctx)
}

// reload reads the file again at each SIGHUP.
func (o *options) reload(ctx context.Context, r *served, log *logrus.Entry) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
		}
		cfg, err := o.load()
		if err == nil {
			err = r.Reload(ctx, cfg)
		}
		if err != nil {
			log.Errorf("configuration not reloaded, the old one stays: %v", err)
			continue
		}
		if cfg.API.Socket != r.config.Load().API.Socket {
			log.Warn("the socket of the management API changes at the next start")
		}
		log.Logger.SetLevel(logrusLevels[cfg.Log.Level])
		r.config.Store(cfg)
	}
}

// served is the host as the management API sees it.
type served struct {
	*host.Host
	started time.Time
	config  atomic.Pointer[config.Config]
}

// Watch implements api.Router.
func (s *served) Watch(ctx context.Context) (<-chan api.Event, error) {
	from, to := s.Host.Watch(ctx), make(chan api.Event)
	go func() {
		defer close(to)
		for e := range from {
			select {
			case to <- api.Event{Time: e.Time, Interface: e.Interface, Effect: e.Effect, Lost: e.Lost}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return to, nil
}

// Status implements api.Router.
func (s *served) Status(ctx context.Context) (api.Status, error) {
	cfg := s.config.Load()
	counts, err := s.Query(ctx, engine.MachineID{Protocol: host.Self}, "counts", "")
	if err != nil {
		return api.Status{}, err
	}
	status := api.Status{
		Hostname:  cfg.Hostname,
		Version:   version(),
		Uptime:    time.Since(s.started),
		TimeScale: cfg.TimeScale,
		Table:     cfg.Table,
		Counts:    counts.(map[string]uint64),
	}
	for id := range engine.SortedFunc(cfg.Machines(), compareIDs) {
		status.Machines = append(status.Machines, id)
	}
	return status, nil
}

func compareIDs(a, b engine.MachineID) int { return strings.Compare(a.String(), b.String()) }
