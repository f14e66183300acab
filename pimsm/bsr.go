package pimsm

import (
	"net/netip"
	"slices"

	"grove/internal/engine"
	"grove/internal/pim/bootstrap"
	"grove/internal/pim/wire"
)

// This file is what the Bootstrap mechanism, RFC 5059, has of this machine. internal/pim/bootstrap is the mechanism.

// configureBSR starts, changes or ends it as the configuration asks.
func (m *Machine) configureBSR() {
	switch {
	case m.cfg.BSR == nil && m.bsr != nil:
		m.bsr.Stop(m.now)
		m.bsr = nil
	case m.cfg.BSR == nil:
	case m.bsr == nil:
		m.bsr = bootstrap.New(m.bsrEnv(), *m.cfg.BSR, m.now)
	default:
		m.bsr.Configure(m.now, *m.cfg.BSR)
	}
}

func (m *Machine) bsrEnv() bootstrap.Env {
	return bootstrap.Env{
		ID: m.id, Rand: m.rng, Timers: &m.timers, Counts: &m.counts, Emit: m.emit,
		Interfaces: m.bsrInterfaces,
		Local:      func(a netip.Addr) bool { return m.owned[a] > 0 },
		Multicast: func(id engine.IfID, msg *wire.Bootstrap) {
			if i := m.ifaces[id]; i != nil && i.nb != nil {
				i.send(msg)
			}
		},
		Unicast: func(id engine.IfID, to netip.Addr, msg *wire.Bootstrap) {
			if i := m.ifaces[id]; i != nil && i.runs {
				i.sendFrom(i.primary, to, msg)
			}
		},
		Advertise: func(src, bsr netip.Addr, msg *wire.CandidateRPAdv) {
			m.transmit(engine.Send{Src: src, Dst: bsr, TTL: defaultTTL, TOS: tosControl}, msg)
		},
		Track: func(a netip.Addr) { m.track(a).pinned++ },
		Untrack: func(a netip.Addr) {
			t := m.track(a)
			t.pinned--
			t.release()
		},
		WhenPathKnown: func(a netip.Addr, f func(netip.Addr)) {
			t := m.track(a)
			t.pinned++
			done := func() {
				t.pinned--
				t.release()
			}
			if !t.whenKnown(func() { f(t.nbr); done() }) {
				done()
			}
		},
		Learned: func(list []bootstrap.Mapping) {
			learned := make([]mapping, len(list))
			for i, x := range list {
				learned[i] = mapping{
					origin: originBSR, groups: x.Groups, bidir: x.Bidir, rp: x.RP, priority: x.Priority, hashMaskLen: x.HashMaskLen,
				}
			}
			m.setLearned(originBSR, learned)
		},
	}
}

// bsrInterfaces returns the interfaces on which PIM runs.
func (m *Machine) bsrInterfaces() []bootstrap.Interface {
	var list []bootstrap.Interface
	for _, i := range m.interfaces() {
		if i.runs {
			list = append(list, i.bootstrap())
		}
	}
	return list
}

// bootstrap is the interface as the Bootstrap mechanism has it.
func (i *iface) bootstrap() bootstrap.Interface {
	if i == nil {
		return bootstrap.Interface{}
	}
	b := bootstrap.Interface{ID: i.id, MTU: i.link.MTU, Neighbors: i.neighbors()}
	if cfg := i.m.cfg.BSR; cfg != nil {
		b.Border, b.Boundaries = slices.Contains(cfg.Borders, i.link.Name), cfg.Boundaries[i.link.Name]
	}
	return b
}

// receiveBootstrap takes a Bootstrap message from another router.
func (m *Machine) receiveBootstrap(i *iface, p *engine.Packet, msg *wire.Bootstrap) {
	n := i.nb.Neighbor(p.Src)
	m.bsr.Receive(m.now, i.bootstrap(), p.Src, p.Dst, n != nil && n.Address == p.Src, msg)
}

// toPrime says that a neighbor has just come or come back: it may need the RP-Set (RFC 5059, section 3.5).
func (i *iface) toPrime(neighbor netip.Addr) {
	if i.m.bsr != nil && !slices.Contains(i.unprimed, neighbor) {
		i.unprimed = append(i.unprimed, neighbor)
	}
}

// prime hands the RP-Set to those that have just come. "The router that does this is the Designated Router (DR) on the LAN, or,
// if the new or rebooting router is the DR, the router that would be the DR if the new or rebooting router were excluded". They
// know us now: "the router must wait until it has sent a triggered Hello message on this interface".
func (i *iface) prime() {
	fresh := i.unprimed
	i.unprimed = nil
	if len(fresh) > 0 && i.m.bsr != nil && i.nb.IAmDRWithout(fresh) {
		i.m.bsr.Prime(i.bootstrap(), fresh)
	}
}
