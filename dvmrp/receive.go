package dvmrp

import (
	"fmt"
	"net/netip"

	"grove/dvmrp/wire"
	"grove/internal/engine"
)

// igmpType is the IGMP type of all messages (section 3.1). The others are igmp's.
const igmpType = 0x13

// receive takes an IGMP packet. What is wrong is counted, noted, and changes nothing.
func (m *Machine) receive(p *engine.Packet) {
	if p.Proto != engine.ProtoIGMP || len(p.Payload) == 0 || p.Payload[0] != igmpType || !p.Src.Is4() || m.running == 0 {
		return
	}
	i := m.ifaces[p.If]
	h, msg, err := wire.Parse(p.Payload)
	switch {
	case err != nil:
		if i != nil && i.runs {
			m.drop(i, p.Src, wire.Reason(err))
		}
		return
	}
	switch msg.(type) {
	case *wire.AskNeighbors, *wire.AskNeighbors2: // from anywhere
		m.counts.Add("received " + msg.Code().String())
		m.receiveAsk(p, msg)
		return
	case *wire.Neighbors, *wire.Neighbors2:
		return // we ask nobody; the grove tool does, and it has a socket of its own
	}
	if i == nil || !i.runs || m.owns(p.Src) { // our own are looped back
		return
	}
	m.counts.Add("received " + msg.Code().String())
	switch {
	case p.Dst != wire.AllDVMRPRouters && !i.link.HasAddr(p.Dst):
		m.drop(i, p.Src, "not to us")
		return
	case !i.link.PointToPoint && !i.link.OnLink(p.Src), !p.Src.IsValid(), p.Src.IsUnspecified(), p.Src.IsMulticast(), p.Src.IsLoopback():
		m.drop(i, p.Src, "not from the link")
		return
	}
	if probe, ok := msg.(*wire.Probe); ok {
		i.receiveProbe(p.Src, h, probe)
		return
	}
	// Sections 3.4.6, 3.5.3, 3.6.2: from unknown neighbors nothing is taken; nor from those that do not hear us, "two-way
	// neighbor relationships are essential for proper DVMRP operation".
	n := i.neighbor(p.Src)
	if n == nil || !n.adjacent() {
		m.drop(i, p.Src, "not from a neighbor: "+msg.Code().String())
		return
	}
	switch msg := msg.(type) {
	case *wire.Report:
		n.receiveReport(msg)
	case *wire.Prune:
		n.receivePrune(msg)
	case *wire.Graft:
		n.receiveGraft(msg)
	case *wire.GraftAck:
		n.receiveGraftAck(msg)
	}
}

// owns says whether an address is one of this router's.
func (m *Machine) owns(a netip.Addr) bool {
	for _, i := range m.order {
		if i.link.HasAddr(a) {
			return true
		}
	}
	return false
}

// drop counts and notes what is not processed.
func (m *Machine) drop(i *iface, src netip.Addr, reason string) {
	m.counts.Add(reason)
	m.emit(engine.Note{Level: engine.Debug, If: i.id, Neighbor: src, Text: fmt.Sprintf("dropped: %s", reason)})
}
