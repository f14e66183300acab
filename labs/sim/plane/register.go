package plane

import (
	"net/netip"
	"time"

	"grove/internal/engine"
	"grove/internal/ip"
)

const (
	pimProtocol   = 103
	pimHeader     = 8    // of a Register: PIM header and the bits
	registerType  = 0x21 // version 2, type 1
	nullRegister  = 0x40 // the N bit, in the first byte after the PIM header
	registerFlags = 4
)

// Decapsulate takes a PIM message that was delivered to this router. If it is a Register and there is a register VIF,
// the packet within arrives on that VIF (pim_rcv, pim6_rcv); false: it does not.
func (p *Plane) Decapsulate(now time.Time, src, dst netip.Addr, message []byte) bool {
	if p.register < 0 || len(message) <= pimHeader || message[0] != registerType || message[registerFlags]&nullRegister != 0 {
		return false
	}
	// The checksum of a Register covers its first eight bytes; Linux accepts one over the whole as well.
	sum := uint32(0)
	if p.family == engine.IPv6 {
		sum = ip.PseudoSum(src, dst, pimProtocol, pimHeader)
	}
	if ip.Fold(ip.Sum(sum, message[:pimHeader])) != 0xffff && ip.Checksum(message) != 0 {
		return false
	}
	inner, err := ip.Parse(message[pimHeader:])
	if err != nil || engine.FamilyOf(inner.Src) != p.family || !inner.Dst.IsMulticast() || p.family == engine.IPv6 && len(inner.Payload) == 0 {
		return false
	}
	p.Forward(now, engine.VIF(p.register), &inner)
	return true
}
