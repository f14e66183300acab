package neighbor

import (
	"fmt"
	"net/netip"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/wire"
)

// Receive handles a Hello that came in on the interface from src.
func (i *Interface) Receive(now time.Time, src netip.Addr, h *wire.Hello) {
	if reason := i.refuse(src); reason != "" {
		i.drop(src, reason)
		return
	}
	holdtime, ok := h.Holdtime()
	if !ok {
		holdtime = i.defaultHoldtime()
	}
	n := i.neighbors[src]
	if holdtime == 0 {
		// RFC 7761, section 4.9.2: a goodbye.
		if n != nil {
			i.remove(now, n, "receive Hello with holdtime 0")
		}
		return
	}
	isNew := n == nil
	if isNew {
		if len(i.neighbors) >= i.cfg.maxNeighbors() {
			i.drop(src, "too many neighbors")
			return
		}
		n = &Neighbor{Interface: i, Address: src, Since: now}
		n.liveness.Do = func(now time.Time) { i.remove(now, n, "neighbor liveness timer expires") }
		i.neighbors[src] = n
	}
	restarted := i.record(n, h) && !isNew
	n.Holdtime = holdtime
	if holdtime == wire.Forever {
		i.env.Timers.Stop(&n.liveness)
	} else {
		i.env.Timers.Set(&n.liveness, now.Add(holdtime))
	}
	moved := i.setSecondary(now, n, h.AddressList())
	if (isNew || restarted) && i.cfg.speaks() {
		// RFC 7761, section 4.3.1: so that the new neighbor learns of us soon. The Hello timer keeps its time.
		i.env.Timers.SetMin(&i.triggered, now.Add(i.upTo(i.cfg.TriggeredHelloDelay)))
	}
	i.changed(now, "receive Hello", func() {
		if isNew {
			i.up(now, n)
		}
		if restarted {
			i.restarted(now, n)
		}
		if moved {
			i.env.AddressesChanged(now)
		}
	})
}

// refuse returns why a Hello from src is not accepted, or "".
func (i *Interface) refuse(src netip.Addr) string {
	switch {
	case !i.running:
		return "hello on an interface that does not run"
	case i.cfg.Passive:
		return "hello on a passive interface"
	case !i.usable(src):
		return "hello from an unusable address"
	case src.Is6() && !src.IsLinkLocalUnicast():
		// RFC 7761, section 4.9: multicast messages come from the link-local address of the interface.
		return "hello not from a link-local address"
	case i.link.HasAddr(src):
		return "hello from our own address"
	}
	return ""
}

// defaultHoldtime is Default_Hello_Holdtime of RFC 7761 section 4.11.
func (i *Interface) defaultHoldtime() time.Duration { return i.cfg.HelloPeriod * 7 / 2 }

// record takes over the options: what a Hello does not say is forgotten. It says whether the Generation ID is a new
// one.
func (i *Interface) record(n *Neighbor, h *wire.Hello) bool {
	genID, present := h.GenerationID()
	fresh := present && (!n.GenerationIDPresent || genID != n.GenerationID)
	n.GenerationID, n.GenerationIDPresent = genID, present
	n.DRPriority, n.DRPriorityPresent = h.DRPriority()
	var delay wire.LANPruneDelay
	delay, n.LANPruneDelayPresent = h.LANPruneDelay()
	n.TrackingSupport = delay.TrackingSupport
	n.PropagationDelay, n.OverrideInterval = delay.PropagationDelay, delay.OverrideInterval
	var refresh wire.StateRefreshCapable
	refresh, n.StateRefreshCapable = h.StateRefreshCapable()
	n.StateRefreshInterval = refresh.Interval
	return fresh
}

// drop counts what is not accepted.
func (i *Interface) drop(src netip.Addr, reason string) {
	i.env.Counts.Add(reason)
	i.env.Emit(engine.Note{
		From: i.env.ID, Level: engine.Debug, If: i.env.If, Neighbor: src, Text: fmt.Sprintf("dropped: %s", reason),
	})
}
