package dvmrp

import (
	"net/netip"

	"grove/dvmrp/wire"
	"grove/internal/engine"
)

const (
	tosControl = 0xc0 // Internetwork Control (section 3.1)
	linkTTL    = 1    // "The IP TTL of these messages MUST be set to 1" (section 2.1, of Probes)
	farTTL     = 64   // of answers to whoever asks, from anywhere
)

// ourCapabilities are those that section 3.2.1 has us tell, and that we take netmasks.
const ourCapabilities = wire.CapPrune | wire.CapGenerationID | wire.CapMtrace | wire.CapNetmask

// sendAll sends a message to all routers on the link.
func (i *iface) sendAll(msg wire.Message) { i.transmit(wire.AllDVMRPRouters, msg) }

// send sends a message to one neighbor; "Protocol messages on point-to-point links should always use a destination IP
// address of All-DVMRP-Routers for ALL message types" (section 3.7).
func (n *neighbor) send(msg wire.Message) {
	if n.iface.pointToPoint() {
		n.iface.sendAll(msg)
		return
	}
	n.iface.transmit(n.addr, msg)
}

func (i *iface) transmit(dst netip.Addr, msg wire.Message) {
	i.m.transmit(engine.Send{If: i.id, Src: i.addr, Dst: dst, TTL: linkTTL}, msg)
}

// transmit encodes a message and sends it in the packet that head describes.
//
// Deviation: section 3.1 has the byte of the capabilities reserved in messages other than Probes. Here it is in every message,
// as mrouted has it, which takes them from Reports as well.
func (m *Machine) transmit(head engine.Send, msg wire.Message) {
	payload, err := wire.Encode(wire.Header{Version: wire.OurVersion, Capabilities: ourCapabilities}, msg)
	if err != nil {
		m.counts.Add("could not encode " + msg.Code().String())
		m.emit(engine.Note{Level: engine.Error, If: head.If, Text: err.Error()})
		return
	}
	head.Proto, head.TOS, head.Payload = engine.ProtoIGMP, tosControl, payload
	m.counts.Add("sent " + msg.Code().String())
	m.emit(head)
}

// sendProbe sends a Probe with the neighbors whose Probes were received (section 3.2.5).
func (i *iface) sendProbe() {
	p := &wire.Probe{GenerationID: i.generationID, HasGenerationID: true}
	for _, n := range i.neighbors {
		p.Neighbors = append(p.Neighbors, n.addr)
	}
	i.sendAll(p)
}

// greet sends what new neighbors are to be told at Settled: that we hear them, and then the whole table, which they take
// from those that they hear only.
func (m *Machine) greet() {
	for _, i := range m.order {
		if !i.runs {
			continue
		}
		if i.probeNow {
			i.probeNow = false
			i.sendProbe()
		}
		for _, n := range i.neighbors {
			if n.fresh {
				n.fresh = false
				n.sendTable()
			}
		}
	}
}

// maxMessage is how long a message may be on the interface: without Path MTU Discovery 576 bytes with its IP header, less that
// of the encapsulation (section 3.7).
func (i *iface) maxMessage() int {
	if i.link.TunnelRemote.IsValid() {
		return wire.MaxMessage - 20
	}
	return wire.MaxMessage
}
