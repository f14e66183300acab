package mfib

import (
	"slices"

	"grove/internal/engine"
	"grove/internal/ip"
)

// This file is the packets that do not leave by a row: those that a protocol forwards by hand, and those that came up whole and
// that mfib forwards for the components that do not.

// inject hands on a packet that a protocol forwards by hand, less the interfaces where a row would not send it: those
// with a boundary for the group (RFC 2365), and those whose threshold its TTL does not pass. The protocol has
// decremented the TTL; thresholds are compared with what it was before, as the kernel does. A packet of this router's own is treated
// as if it had arrived.
func (m *Machine) inject(ev engine.Inject) {
	p, err := ip.Parse(ev.Packet)
	if err != nil || !routable(p.Dst) {
		m.counts.Add("packet that cannot be injected")
		return
	}
	var from *component
	if ev.From != (engine.MachineID{}) {
		from = m.component(ev.From)
	}
	ttl := int(p.TTL) + 1
	if ev.Own {
		ttl = int(p.TTL)
	}
	out := slices.DeleteFunc(slices.Clone(ev.Out), func(id engine.IfID) bool {
		i := m.ifaces[id]
		return i == nil || i.cfg == nil || i.cfg.bounds(p.Dst) || ttl <= int(i.cfg.TTLThreshold) || !ev.Own && ttl <= 1 ||
			from != nil && !ev.Own && !m.mayUse(from, i, p.Dst)
	})
	if len(out) > 0 {
		m.emit(engine.Inject{Out: out, Packet: ev.Packet})
	}
	k := engine.SG(p.Src, p.Dst)
	if !ev.Fresh || from == nil || !m.several() || m.refuse(k) != "" {
		return
	}
	e := m.entries[k]
	if e == nil || e.idle() {
		if e = m.newFlow(k, 0, nil, from); e == nil {
			return
		}
	}
	m.hold(e, held{packet: ev.Packet, from: from, sent: ev.Out})
}

// held is a packet that did not come by the row of its (S,G). It waits until it is known who wants it.
type held struct {
	packet []byte
	from   *component    // who injected it, its TTL decremented; nil: it came up as it arrived
	in     engine.IfID   // where it came in; 0: not known
	sent   []engine.IfID // where it has gone
}

// cameUp takes a packet that the forwarding plane handed up, from the interface if that is known. If the row of its (S,G) did
// so it has gone where it shall; if it was a (*,G) or (*,*) row, it has gone where that one sends it.
func (m *Machine) cameUp(e *entry, in engine.IfID, packet []byte) {
	if !m.several() || e.negative != nil || e.row.present && e.handsUp && !e.failed {
		return
	}
	h := held{packet: packet, in: in}
	for _, key := range [...]engine.Key{engine.StarG(e.key.Group), {}} {
		proxy := m.entries[key]
		if in != 0 || proxy == nil || !proxy.row.present {
			continue // a packet on a wrong interface went nowhere
		}
		for n, ttl := range proxy.row.ttl {
			if s := &m.slots[n]; ttl != 0 && ttl != acceptOnly && !s.register && (key.Group.IsValid() || n == int(proxy.row.parent)) {
				h.sent = append(h.sent, s.iface)
			}
		}
	}
	m.hold(e, h)
}

// hold keeps a packet until the row of its entry is decided, or forwards it if it is.
func (m *Machine) hold(e *entry, h held) {
	switch {
	case !e.undecided() && len(e.held) == 0: // none overtakes another
		m.forward(e, &h)
	case m.held >= m.cfg.MaxHeld || len(e.held) >= m.cfg.MaxHeldPerEntry:
		m.counts.Add("packet dropped: too many wait for answers")
	default:
		m.held++
		odd := e.odd()
		odd.held = append(odd.held, h)
	}
}

// releaseHeld forwards what waited, once the entry is decided.
func (m *Machine) releaseHeld(e *entry) {
	if len(e.held) == 0 || e.undecided() {
		return
	}
	for n := range e.held {
		m.forward(e, &e.held[n])
	}
	m.dropHeld(e)
}

func (m *Machine) dropHeld(e *entry) {
	if len(e.held) > 0 {
		m.held -= len(e.held)
		e.oddity.held = nil
	}
}

// forward sends a packet out of the interfaces that the components want which do not forward by hand themselves, as the row of
// its entry would have.
func (m *Machine) forward(e *entry, h *held) {
	own := e.wantOf(e.owner)
	packet, ttl := h.packet, 0
	p, err := ip.Parse(packet)
	switch {
	case err != nil || e.negative != nil || len(e.wants) == 0:
		return
	case h.from != nil:
		// Rule 2: a packet out of another component's tunnel is not how the owner gets the source's packets.
		if e.owner != nil && e.owner != h.from {
			return
		}
		ttl = int(p.TTL) + 1
	default:
		if own == nil || own.negative != "" || !m.accepts(e, own, h.in) {
			m.counts.Add("whole packet that the owner does not accept")
			return
		}
		if ttl = int(p.TTL); ttl <= 1 {
			return
		}
	}
	skip := slices.Clone(h.sent)
	if own != nil {
		skip = append(skip, own.in)
	}
	for _, w := range e.wants {
		if m.forwardsItself(w, h, e.key) {
			for _, o := range w.out { // an IGMP-only link may be in several lists
				skip = append(skip, o.If)
			}
		}
	}
	var out []engine.IfID
	for _, w := range e.wants {
		if w.negative != "" || m.forwardsItself(w, h, e.key) {
			continue
		}
		for _, o := range w.out {
			if t, _, ok := m.threshold(e, w, o); ok && ttl > int(t) && !slices.Contains(skip, o.If) {
				out = append(out, o.If)
				skip = append(skip, o.If)
			}
		}
	}
	if len(out) == 0 {
		return
	}
	if h.from == nil {
		packet = slices.Clone(packet)
		ip.SetTTL(packet, uint8(ttl-1))
	}
	m.counts.Add("whole packet forwarded for a component")
	m.emit(engine.Inject{Out: out, Packet: packet})
}

// forwardsItself says whether the component of a want has forwarded the packet on its own interfaces.
func (m *Machine) forwardsItself(w *want, h *held, k engine.Key) bool {
	return w.by == h.from || h.from == nil && m.handles(w.by, k)
}

// accepts says whether the owner would take a packet that came up (rule 2). Where it came in is mostly not known: it was an
// interface that a proxy row takes packets from.
func (m *Machine) accepts(e *entry, own *want, in engine.IfID) bool {
	v, ok := m.usable(own, own.in, e.key.Group)
	if !ok || m.ifaces[own.in].cfg.bounds(e.key.Group) {
		return false
	}
	if in != 0 {
		return in == own.in
	}
	for _, key := range [...]engine.Key{engine.StarG(e.key.Group), {}} {
		if proxy := m.entries[key]; proxy != nil && proxy.row.names(int(v)) {
			return true
		}
	}
	return false
}
