package dvmrp

import (
	"net/netip"
	"time"

	"grove/dvmrp/wire"
	"grove/internal/engine"
)

// receiveAsk answers whoever asks for our interfaces and neighbors (section 11, appendix B), at most QueryLimit times in a
// second.
func (m *Machine) receiveAsk(p *engine.Packet, ask wire.Message) {
	if !m.owns(p.Dst) || !p.Src.Is4() || p.Src.IsUnspecified() || p.Src.IsMulticast() {
		m.counts.Add("not to us")
		return
	}
	if m.now.Sub(m.askedAt) >= time.Second {
		m.asked, m.askedAt = 0, m.now
	}
	if m.asked++; m.asked > m.cfg.QueryLimit {
		m.counts.Add("ask-neighbors over the limit")
		return
	}
	var list []wire.Interface
	for _, i := range m.order {
		if i.configured {
			list = append(list, i.described())
		}
	}
	head := engine.Send{Src: p.Dst, Dst: p.Src, TTL: farTTL}
	for _, n2 := range wire.PackNeighbors2(list, wire.MaxMessage) {
		if _, old := ask.(*wire.AskNeighbors); old {
			m.transmit(head, oldNeighbors(n2))
		} else {
			m.transmit(head, n2)
		}
	}
}

// described returns the interface as Neighbors2 tells it (section 11.2): "If the interface is down or disabled, list a single
// neighbor with an address of 0.0.0.0 for physical interfaces or the remote tunnel endpoint address for tunnel
// pseudo-interfaces." Tools want a neighbor 0.0.0.0 where there is none, too.
func (i *iface) described() wire.Interface {
	d := wire.Interface{Local: i.link.Primary(engine.IPv4), Metric: i.cfg.Metric, Threshold: max(1, i.cfg.Threshold)}
	if !d.Local.IsValid() {
		d.Local = netip.IPv4Unspecified()
	}
	tunnel := i.link.TunnelRemote.IsValid()
	if tunnel {
		d.Flags |= wire.FlagTunnel
	}
	switch {
	case !i.link.Up:
		d.Flags |= wire.FlagDisabled
	case !i.runs:
		d.Flags |= wire.FlagDown
	case len(i.neighbors) == 0:
		d.Flags |= wire.FlagLeaf
	}
	for _, n := range i.neighbors {
		d.Neighbors = append(d.Neighbors, n.addr)
	}
	switch {
	case len(d.Neighbors) > 0:
	case tunnel && !i.runs:
		d.Neighbors = []netip.Addr{i.link.TunnelRemote}
	default:
		d.Neighbors = []netip.Addr{netip.IPv4Unspecified()}
	}
	return d
}

// oldNeighbors is the answer to the obsolete question. It has no flags; what is down is left out.
func oldNeighbors(n2 *wire.Neighbors2) *wire.Neighbors {
	n := &wire.Neighbors{}
	for _, d := range n2.Interfaces {
		if d.Flags&(wire.FlagDown|wire.FlagDisabled) == 0 {
			d.Flags = 0
			n.Interfaces = append(n.Interfaces, d)
		}
	}
	return n
}
