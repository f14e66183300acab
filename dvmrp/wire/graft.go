package wire

import "net/netip"

// Graft takes a Prune back (section 3.6.3).
type Graft struct {
	Source  netip.Addr // any host of the source network
	Group   netip.Addr
	HasMask bool // only for those who take it: CapNetmask
	Bits    int  // of the source network's mask, 0 to 32
}

// Code returns CodeGraft.
func (*Graft) Code() Code { return CodeGraft }

// Append appends the message without the header.
func (g *Graft) Append(b []byte) ([]byte, error) {
	b, err := appendAddrs(b, g.Source, g.Group)
	if err != nil {
		return nil, err
	}
	return appendMask(b, g.HasMask, g.Bits)
}

func parseGraft(r *reader) (_ *Graft, err error) {
	g := &Graft{Source: r.addr(), Group: r.addr()}
	g.HasMask, g.Bits, err = r.mask()
	return g, err
}

// GraftAck answers a Graft: it says the same (section 3.6.6).
type GraftAck Graft

// Code returns CodeGraftAck.
func (*GraftAck) Code() Code { return CodeGraftAck }

// Append appends the message without the header.
func (g *GraftAck) Append(b []byte) ([]byte, error) { return (*Graft)(g).Append(b) }
