package pimsm

import (
	"net/netip"
	"slices"

	"grove/internal/engine"
	"grove/internal/ip"
	"grove/internal/pim/autorp"
	"grove/internal/pim/autorp/wire"
)

// This file is Auto-RP: internal/pim/autorp does it, and is lent our interfaces and addresses. Its two groups are none of sparse
// mode's: pimdm, which runs beside us, floods them.

// autorpEnv is what Auto-RP needs of us.
func (m *Machine) autorpEnv() autorp.Env {
	return autorp.Env{
		Rand: m.rng, Timers: &m.timers, Counts: &m.counts, Emit: m.emit,
		Owns:    func(a netip.Addr) bool { return m.owned[a] > 0 },
		Send:    m.sendAutoRP,
		Changed: m.learnAutoRP,
	}
}

// dense says whether a group is one of Auto-RP's, which has no RP and of which we keep no state: if the two are "supported by a
// dense-mode delivery mechanism" the question of their RP is irrelevant (section 8 of the draft).
func (m *Machine) dense(g netip.Addr) bool {
	return (g == wire.DiscoveryGroup || g == wire.AnnounceGroup) && m.cfg.AutoRP.On()
}

// learnAutoRP takes over the mappings that were learned.
func (m *Machine) learnAutoRP() {
	var list []mapping
	for _, l := range m.autorp.Mappings() {
		mp := mapping{origin: originAutoRP, groups: l.Groups, hashMaskLen: defaultHashMaskLen(l.RP)}
		if !l.Negative {
			mp.rp = l.RP
		}
		list = append(list, mp)
	}
	m.setLearned(originAutoRP, list)
}

// receiveAutoRP takes a UDP datagram.
func (m *Machine) receiveAutoRP(p *engine.Packet) {
	if i := m.ifaces[p.If]; i == nil || !i.runs || !slices.Contains(i.hears, p.Dst) {
		m.counts.Add("auto-rp: not heard on the interface")
		return
	}
	_, port, data, err := ip.ParseUDP(p.Src, p.Dst, p.Payload)
	if err != nil || port != wire.Port {
		m.counts.Add("auto-rp: bad datagram")
		return
	}
	m.autorp.Receive(m.now, p.Src, p.Dst, data)
}

// sendAutoRP sends a message of Auto-RP out of every interface where PIM runs, as a host's packet is flooded by its first router. A
// neighbor takes it where its way to src is.
func (m *Machine) sendAutoRP(src, group netip.Addr, ttl uint8, data []byte) {
	p := ip.UDP(netip.AddrPortFrom(src, wire.Port), netip.AddrPortFrom(group, wire.Port), ttl, data)
	p.TOS = tosControl
	var out []engine.IfID
	for _, i := range m.interfaces() {
		if i.runs {
			out = append(out, i.id)
		}
	}
	if len(out) > 0 {
		m.emit(engine.Inject{Out: out, Own: true, Packet: p.Append(nil)})
	}
}

// hearAutoRP joins and leaves the groups of Auto-RP as a host, so that its messages come up.
func (i *iface) hearAutoRP() {
	var hears []netip.Addr
	if i.runs {
		hears = i.m.cfg.AutoRP.Hears()
	}
	for _, g := range []netip.Addr{wire.AnnounceGroup, wire.DiscoveryGroup} {
		if member := slices.Contains(hears, g); member != slices.Contains(i.hears, g) {
			i.m.emit(engine.HostGroup{If: i.id, Group: g, Member: member})
		}
	}
	i.hears = hears
}
