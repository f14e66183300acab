package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

// Prune asks the upstream router for no more packets of a source network to a group (section 3.5.6).
type Prune struct {
	Source   netip.Addr // any host of the source network
	Group    netip.Addr
	Lifetime time.Duration // whole seconds, 0 to 2^32-1
	HasMask  bool          // only for those who take it: CapNetmask
	Bits     int           // of the source network's mask, 0 to 32
}

// Code returns CodePrune.
func (*Prune) Code() Code { return CodePrune }

// Append appends the message without the header. Lifetime is rounded down to whole seconds.
func (p *Prune) Append(b []byte) ([]byte, error) {
	seconds := int64(p.Lifetime / time.Second)
	if seconds < 0 || seconds > 1<<32-1 {
		return nil, fmt.Errorf("lifetime %v: %w", p.Lifetime, ErrRange)
	}
	b, err := appendAddrs(b, p.Source, p.Group)
	if err != nil {
		return nil, err
	}
	return appendMask(binary.BigEndian.AppendUint32(b, uint32(seconds)), p.HasMask, p.Bits)
}

func parsePrune(r *reader) (_ *Prune, err error) {
	p := &Prune{Source: r.addr(), Group: r.addr(), Lifetime: time.Duration(r.uint32()) * time.Second}
	p.HasMask, p.Bits, err = r.mask()
	return p, err
}
