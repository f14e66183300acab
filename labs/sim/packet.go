package sim

import (
	"encoding/binary"

	"grove/internal/engine"
	"grove/internal/ip"
	"grove/internal/probe"
)

// packet is an IP packet on its way. It is made once and shared by all its copies, and not changed; what differs among
// copies, the TTL, travels in the event.
type packet struct {
	ip.Packet
	size   int  // bytes, IP header included
	data   bool // multicast data: forwarded by planes, counted by members
	traced bool // every transmission is noted in Sim.hops
	probe  probe.Packet
	probed bool // probe is set

	// Of an outer packet of a tunnel: the one inside, as Payload has it too, and what travels with it.
	inner    *packet
	innerTTL uint8
	innerHop int32
}

func newPacket(d *ip.Packet) *packet {
	p := &packet{Packet: *d, size: d.Len()}
	p.data = d.Proto == engine.ProtoUDP && d.Dst.IsMulticast()
	return p
}

// newData returns a data packet that does not come from a source: what a machine injected or a plane held back. It is
// traced if it was when its source sent it, from here on anew: its path up to here went through a machine.
func (s *Sim) newData(d *ip.Packet) *packet {
	p := newPacket(d)
	p.data = d.Dst.IsMulticast()
	if d.Proto == engine.ProtoUDP && len(d.Payload) > udpHeader {
		h, err := probe.Parse(d.Payload[udpHeader:])
		p.probe, p.probed = h, err == nil
		if p.probed && h.Run < uint64(len(s.srcs)) {
			p.traced = s.srcs[h.Run].traces(h.Seq)
		}
	}
	return p
}

const udpHeader = 8

// autoRP says whether a packet is to the port whose datagrams come up to the machines.
func (p *packet) autoRP() bool {
	return p.Proto == engine.ProtoUDP && len(p.Payload) >= udpHeader && binary.BigEndian.Uint16(p.Payload[2:]) == engine.PortAutoRP
}

// with returns the packet as it is with a TTL.
func (p *packet) with(ttl uint8) ip.Packet {
	d := p.Packet
	d.TTL = ttl
	return d
}

func (p *packet) family() engine.Family { return engine.FamilyOf(p.Dst) }
