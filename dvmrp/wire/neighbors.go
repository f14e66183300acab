package wire

import (
	"fmt"
	"net/netip"
)

// AskNeighbors asks for Neighbors. It is obsolete (appendix B).
type AskNeighbors struct{}

// Code returns CodeAskNeighbors.
func (*AskNeighbors) Code() Code { return CodeAskNeighbors }

// Append appends the message without the header, which is nothing.
func (*AskNeighbors) Append(b []byte) ([]byte, error) { return b, nil }

// AskNeighbors2 asks a router, from anywhere, for Neighbors2 (section 11.1).
type AskNeighbors2 struct{}

// Code returns CodeAskNeighbors2.
func (*AskNeighbors2) Code() Code { return CodeAskNeighbors2 }

// Append appends the message without the header, which is nothing.
func (*AskNeighbors2) Append(b []byte) ([]byte, error) { return b, nil }

// InterfaceFlags say how an interface is (section 11.2, table 5).
type InterfaceFlags uint8

// The flags. The draft has no meaning for PIM any more; mrinfo shows it.
const (
	FlagTunnel      InterfaceFlags = 1 << 0
	FlagSourceRoute InterfaceFlags = 1 << 1
	FlagPIM         InterfaceFlags = 1 << 2
	FlagDown        InterfaceFlags = 1 << 4
	FlagDisabled    InterfaceFlags = 1 << 5
	FlagQuerier     InterfaceFlags = 1 << 6
	FlagLeaf        InterfaceFlags = 1 << 7
)

// Interface is an interface of a router with those whom it hears there.
type Interface struct {
	Local             netip.Addr
	Metric, Threshold uint8
	Flags             InterfaceFlags // not in Neighbors
	Neighbors         []netip.Addr   // 255 at most
}

// Neighbors2 answers AskNeighbors2 (section 11.2). A router with many interfaces sends several.
type Neighbors2 struct{ Interfaces []Interface }

// Code returns CodeNeighbors2.
func (*Neighbors2) Code() Code { return CodeNeighbors2 }

// Append appends the message without the header.
func (p *Neighbors2) Append(b []byte) ([]byte, error) { return appendInterfaces(b, p.Interfaces, true) }

// Neighbors answers AskNeighbors: as Neighbors2, without flags.
type Neighbors struct{ Interfaces []Interface }

// Code returns CodeNeighbors.
func (*Neighbors) Code() Code { return CodeNeighbors }

// Append appends the message without the header.
func (p *Neighbors) Append(b []byte) ([]byte, error) { return appendInterfaces(b, p.Interfaces, false) }

func appendInterfaces(b []byte, list []Interface, flags bool) (_ []byte, err error) {
	for i, f := range list {
		if len(f.Neighbors) > 0xff || !flags && f.Flags != 0 {
			return nil, fmt.Errorf("interface %d: %w", i, ErrRange)
		}
		if b, err = appendAddr(b, f.Local); err != nil {
			return nil, fmt.Errorf("interface %d: %w", i, err)
		}
		b = append(b, f.Metric, f.Threshold)
		if flags {
			b = append(b, byte(f.Flags))
		}
		if b, err = appendAddrs(append(b, byte(len(f.Neighbors))), f.Neighbors...); err != nil {
			return nil, fmt.Errorf("interface %d: neighbor: %w", i, err)
		}
	}
	return b, nil
}

func parseInterfaces(r *reader, flags bool) ([]Interface, error) {
	var list []Interface
	for r.left() > 0 {
		f := Interface{Local: r.addr(), Metric: r.byte(), Threshold: r.byte()}
		if flags {
			f.Flags = InterfaceFlags(r.byte())
		}
		for range r.byte() {
			if r.err != nil {
				break
			}
			f.Neighbors = append(f.Neighbors, r.addr())
		}
		if r.err != nil {
			return nil, fmt.Errorf("interface %d: %w", len(list), r.err)
		}
		list = append(list, f)
	}
	return list, nil
}

// PackNeighbors2 makes Neighbors2 messages, each of at most limit bytes (see MaxMessage), that tell all interfaces. An
// interface whose neighbors do not fit into one message stands in several.
func PackNeighbors2(list []Interface, limit int) []*Neighbors2 {
	const perInterface = 8
	var messages []*Neighbors2
	left := 0
	for _, f := range list {
		for rest := f.Neighbors; ; {
			if need := perInterface + 4*min(1, len(rest)); len(messages) == 0 || left < need {
				messages = append(messages, &Neighbors2{})
				left = limit - headerLen
			}
			n := min(len(rest), (left-perInterface)/4, 0xff)
			f.Neighbors, rest = rest[:n:n], rest[n:]
			m := messages[len(messages)-1]
			m.Interfaces = append(m.Interfaces, f)
			left -= perInterface + 4*n
			if len(rest) == 0 {
				break
			}
		}
	}
	return messages
}
