package mfib

import (
	"slices"

	"grove/internal/engine"
	"grove/internal/ip"
)

// inject hands on a packet that a protocol forwards by hand, less the interfaces where a row would not send it: those
// with a boundary for the group (RFC 2365), and those whose threshold its TTL does not pass. The protocol has
// decremented the TTL; thresholds are compared with what it was before, as the kernel does.
func (m *Machine) inject(ev engine.Inject) {
	p, err := ip.Parse(ev.Packet)
	if err != nil || !routable(p.Dst) {
		m.counts.Add("packet that cannot be injected")
		return
	}
	out := slices.DeleteFunc(slices.Clone(ev.Out), func(id engine.IfID) bool {
		i := m.ifaces[id]
		return i == nil || i.cfg == nil || i.cfg.bounds(p.Dst) || int(p.TTL)+1 <= int(max(1, i.cfg.TTLThreshold))
	})
	if len(out) > 0 {
		m.emit(engine.Inject{Out: out, Packet: ev.Packet})
	}
}
