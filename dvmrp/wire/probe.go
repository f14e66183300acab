package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// Probe tells that a router is there, and whom it hears on the interface (section 3.2.5).
type Probe struct {
	GenerationID    uint32
	HasGenerationID bool // not in versions before 3.3, whose Probes say nothing at all (appendix C)
	Neighbors       []netip.Addr
}

// Code returns CodeProbe.
func (*Probe) Code() Code { return CodeProbe }

// Append appends the message without the header.
func (p *Probe) Append(b []byte) ([]byte, error) {
	if !p.HasGenerationID {
		if len(p.Neighbors) > 0 || p.GenerationID != 0 {
			return nil, fmt.Errorf("neighbors without a generation ID: %w", ErrRange)
		}
		return b, nil
	}
	return appendAddrs(binary.BigEndian.AppendUint32(b, p.GenerationID), p.Neighbors...)
}

// Size returns the length of the encoded message, the header included.
func (p *Probe) Size() int { return headerLen + 4 + 4*len(p.Neighbors) }

func parseProbe(r *reader, v Version) (*Probe, error) {
	p := &Probe{}
	if !v.hasGenerationID() || r.left() == 0 {
		return p, nil
	}
	p.HasGenerationID, p.GenerationID = true, r.uint32()
	for r.left() > 0 {
		p.Neighbors = append(p.Neighbors, r.addr())
	}
	return p, r.err
}
