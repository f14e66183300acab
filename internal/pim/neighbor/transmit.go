package neighbor

import (
	"bytes"
	"time"

	"grove/internal/pim/wire"
)

// HelloBeforeJoin is to be called before a Join/Prune or an Assert is sent on the interface: if some neighbor may not
// have heard of us yet, a Hello goes out first (RFC 7761 section 4.3.1).
func (i *Interface) HelloBeforeJoin(now time.Time) {
	if i.running && i.cfg.speaks() && (i.said == nil || i.triggered.Running()) {
		i.sendHello(now)
	}
}

// sendHello sends what we are. It serves as a triggered Hello, too.
func (i *Interface) sendHello(now time.Time) {
	if !i.cfg.speaks() {
		return
	}
	i.env.Timers.Stop(&i.triggered)
	h := i.ownHello(i.cfg.HelloHoldtime)
	i.said = body(h)
	i.send(now, h)
	if i.env.HelloSent != nil {
		i.env.HelloSent(now)
	}
}

// sayChange sends a Hello if we have said something else before.
func (i *Interface) sayChange(now time.Time) {
	if i.said != nil && !bytes.Equal(i.said, body(i.ownHello(i.cfg.HelloHoldtime))) {
		i.sendHello(now)
	}
}

// goodbye tells the neighbors to forget us, if they have heard of us.
func (i *Interface) goodbye(now time.Time) {
	if i.said != nil {
		i.send(now, i.ownHello(0))
	}
}

func (i *Interface) send(now time.Time, h *wire.Hello) {
	i.env.Send(now, i.primary, wire.AllPIMRouters(i.env.ID.Family), h)
}

func (i *Interface) ownHello(holdtime time.Duration) *wire.Hello {
	h := &wire.Hello{Options: []wire.Option{
		wire.Holdtime(holdtime),
		wire.LANPruneDelay{
			TrackingSupport:  i.cfg.TrackingSupport,
			PropagationDelay: i.cfg.PropagationDelay,
			OverrideInterval: i.cfg.OverrideInterval,
		},
	}}
	if !i.cfg.NoDRPriority {
		h.Options = append(h.Options, wire.DRPriority(i.cfg.DRPriority))
	}
	h.Options = append(h.Options, wire.GenerationID(i.genID))
	if i.cfg.StateRefreshInterval > 0 {
		h.Options = append(h.Options, wire.StateRefreshCapable{
			Version: wire.StateRefreshVersion, Interval: i.cfg.StateRefreshInterval,
		})
	}
	if len(i.secondary) > 0 {
		h.Options = append(h.Options, wire.AddressList(i.secondary))
	}
	return h
}

// body encodes a Hello to compare it; a validated configuration and our own addresses leave nothing to fail.
func body(h *wire.Hello) []byte {
	b, err := h.Append(nil)
	if err != nil {
		return []byte{}
	}
	return b
}
