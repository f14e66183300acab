package host

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vishvananda/netlink/nl"

	"grove/daemon/router"
	"grove/internal/engine"
)

const (
	batchSize = 256 // inputs before the machines are settled
	rounds    = 16  // of effects that bring about events at once
)

// stale is what must be read again from the kernel.
type stale struct {
	links, addresses, routes bool
	after                    time.Time // not before: a reading that takes long is made rarely
}

func (s *stale) any() bool { return s.links || s.addresses || s.routes }

// Run runs the host until ctx ends, says goodbye and closes everything. It returns an error if it could not start.
func (h *Host) Run(ctx context.Context) error {
	defer close(h.done)
	defer h.Close()
	quit := make(chan struct{})
	h.running.Go(func() { h.listen(quit) })
	defer h.running.Wait()
	defer h.netlink.close()
	defer close(quit) // nobody takes what the kernel tells of the routes that are removed at the end

	h.stale = stale{links: true, addresses: true, routes: true}
	now := time.Now()
	if err := h.readAgain(now); err != nil {
		return err
	}
	h.step(engine.Configure{Config: router.Config{Machines: h.machines}})
	h.announce()
	h.settle()
	h.adoptUnicast(now)
	h.keep(now)
	h.drivers.start(h.inbox)
	close(h.ready)
	h.log.WithField("machines", len(h.machines)).Info("ready")

	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			h.shutdown()
			return nil
		case news := <-h.news:
			h.hear(news)
		case <-h.inbox.ready:
			h.items = h.inbox.take(h.items[:0], batchSize)
			for i := range h.items {
				h.input(&h.items[i])
			}
			clear(h.items)
		case n := <-h.bgp.news:
			h.hearBGP(n)
		case f := <-h.calls:
			f()
		case <-timer.C:
		}
		h.refresh()
		h.settle()
		h.redistribute()
		timer.Reset(h.wait())
	}
}

// listen reads notifications until the socket is closed, or quit is.
func (h *Host) listen(quit <-chan struct{}) {
	for {
		news, err := h.netlink.read(nil)
		if err != nil {
			return
		}
		if len(news) == 0 {
			continue
		}
		select {
		case h.news <- news:
		case <-quit:
			return
		}
	}
}

// shutdown says goodbye: a real one, nobody is to come back.
func (h *Host) shutdown() {
	h.step(engine.Shutdown{})
	h.settle()
	h.removeUnicast()
	h.log.Info("goodbye")
}

// step hands an event to the machines and carries out what follows.
func (h *Host) step(ev engine.Event) {
	now := time.Now()
	for _, eff := range h.router.Step(now, ev) {
		if out, ok := eff.(engine.Outward); ok {
			h.perform(now, &out)
		} else {
			h.counts.Add("effects without a sender")
		}
	}
}

// settle ends a batch: the machines aggregate and write. What their effects bring about at once, such as the counters
// that mfib asked for, is a batch of its own. Packets leave last.
func (h *Host) settle() {
	defer h.post()
	for range rounds {
		h.step(engine.Settled{})
		if len(h.feedback) == 0 {
			return
		}
		events := h.feedback
		h.feedback = nil
		for _, ev := range events {
			h.step(ev)
		}
	}
	h.warn(0, "effects bring about events without end")
}

// wait returns how long the loop may sleep.
func (h *Host) wait() time.Duration {
	now := time.Now()
	at, ok := h.router.Deadline()
	sooner := func(t time.Time) {
		if !ok || t.Before(at) {
			at, ok = t, true
		}
	}
	if h.stale.any() {
		sooner(h.stale.after)
	}
	if !h.keeper.retry.IsZero() {
		sooner(h.keeper.retry)
	}
	if !h.streams.retry.IsZero() {
		sooner(h.streams.retry)
	}
	if !h.bgp.sweep.IsZero() {
		sooner(h.bgp.sweep)
	}
	if !ok {
		return time.Hour
	}
	return max(at.Sub(now), 0)
}

// input makes an event of what a reader took from a socket.
func (h *Host) input(it *item) {
	switch what := it.what.(type) {
	case arrival:
		i := h.view.ifaces[what.index]
		switch {
		case i == nil:
			h.counts.Add("dropped packets: unknown interface")
			return
		case what.Dst.IsMulticast() && i.HasAddr(what.Src):
			// What this host says as a member of groups comes back to it.
			h.counts.Add("dropped packets: our own")
			return
		}
		what.If = i.ID
		h.step(engine.Addressed{To: it.to, Event: what.Packet})
	case streamOpened, streamData, streamWritten, streamClosed, streamAccepted, listenFailed:
		h.streams.hear(what)
	case pathNews:
		h.hearOfPath(time.Now(), what)
	case engine.Event:
		h.step(engine.Addressed{To: it.to, Event: what})
	}
}

// hear takes notifications of the kernel.
func (h *Host) hear(news []any) {
	for _, n := range news {
		h.counts.Add("netlink notifications")
		switch n := n.(type) {
		case linkNews:
			if n.gone {
				h.view.removeLink(n.link.index)
			} else {
				h.view.setLink(n.link)
			}
			// A link that goes down takes addresses and routes with it, some without a word.
			h.stale.addresses, h.stale.routes = true, true
		case addressHint:
			h.stale.addresses, h.stale.routes = true, true
		case nexthopHint:
			h.stale.routes = true
		case routeNews:
			if !h.view.applyRoute(n) {
				h.stale.routes = true
			}
		case overflow:
			h.counts.Add("netlink overflows: all read again")
			h.stale.links, h.stale.addresses, h.stale.routes = true, true, true
		}
	}
	h.view.news = true
}

// refresh brings machines and kernel up to date with each other, if something changed.
func (h *Host) refresh() {
	now := time.Now()
	if h.stale.any() && !now.Before(h.stale.after) {
		if err := h.readAgain(now); err != nil {
			h.warn(0, "cannot read interfaces and routes: %v", err)
			h.stale.after = now.Add(time.Second)
		}
	}
	if h.view.news {
		h.announce()
		h.keep(now)
	} else if !h.keeper.retry.IsZero() && !now.Before(h.keeper.retry) {
		h.keep(now)
	}
	h.streams.again(now)
	if !h.bgp.sweep.IsZero() && !now.Before(h.bgp.sweep) {
		h.sweepUnicast()
	}
}

// readAgain reads what is stale. The time it takes decides when it may be done again: at most a tenth of the time is
// spent reading.
func (h *Host) readAgain(now time.Time) error {
	s := &h.stale
	if s.links {
		links, err := h.netlink.links()
		if s.links, err = changing(err); err != nil {
			return fmt.Errorf("host: read links: %w", err)
		}
		h.view.setLinks(links)
	}
	if s.addresses {
		addresses, err := h.netlink.addresses()
		if s.addresses, err = changing(err); err != nil {
			return fmt.Errorf("host: read addresses: %w", err)
		}
		h.view.setAddresses(addresses)
	}
	if s.routes {
		nexthops, err := h.netlink.nexthops()
		again, err := changing(err)
		if err != nil {
			return fmt.Errorf("host: read nexthop objects: %w", err)
		}
		routes, err := h.netlink.routes()
		if s.routes, err = changing(err); err != nil {
			return fmt.Errorf("host: read routes: %w", err)
		}
		s.routes = s.routes || again
		h.view.setRoutes(routes, nexthops)
	}
	h.view.news = true
	end := time.Now()
	s.after = end.Add(9 * end.Sub(now))
	return nil
}

// changing says whether a table changed too fast to be read whole: what was read serves, and it is to be read again. Any
// other error is returned.
func changing(err error) (bool, error) {
	if errors.Is(err, nl.ErrDumpInterrupted) {
		return true, nil
	}
	return err != nil, err
}

// announce tells the machines what changed.
func (h *Host) announce() {
	h.view.news = false
	h.bgp.changed = true
	links := false
	for _, ev := range h.view.changes() {
		switch ev := ev.(type) {
		case engine.RouteChange:
			h.step(engine.Addressed{To: h.rib(ev.Prefix.Addr()), Event: ev})
		case engine.InterfaceChange:
			links = true
			if ev.Gone {
				h.step(ev)
				h.forget(ev.ID)
				h.entry(time.Now(), engine.MachineID{}, ev.ID, noAddr, engine.Key{}).Info("interface gone")
				continue
			}
			h.meet(&ev.Interface)
			h.step(ev)
		}
	}
	if links {
		h.joinAgain()
	}
}
