package traffic

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"grove/internal/probe"
)

// SendOptions say what to send where.
type SendOptions struct {
	Interface  string
	Group      netip.Addr
	Port       uint16     // 0: DefaultPort
	Source     netip.Addr // invalid: the interface's address
	SourcePort uint16     // 0: any
	Count      uint64     // 0: until the context ends
	Rate       float64    // packets per second
	Size       int        // of the UDP payload; at least probe.Size
	TTL        uint8
}

// Sent is the account of a sender.
type Sent struct {
	Run    uint64
	Source netip.AddrPort
	Tried  uint64 // sequence numbers used
	Failed uint64 // of those, refused by the kernel
	Err    error  // why, the last time
	Took   time.Duration
}

// Sender sends test packets to one group.
type Sender struct {
	conn *net.UDPConn
	o    SendOptions
	run  uint64
	to   netip.AddrPort
}

// NewSender opens a sender.
func NewSender(o SendOptions) (*Sender, error) {
	if err := checkGroup(o.Group); err != nil {
		return nil, err
	}
	if o.Size < probe.Size || o.Size > 65507 {
		return nil, fmt.Errorf("traffic: size %d: a test packet has %d to 65507 bytes", o.Size, probe.Size)
	}
	if !(o.Rate > 0 && o.Rate <= 1e9) {
		return nil, fmt.Errorf("traffic: rate %g: a packet needs a positive number of packets per second", o.Rate)
	}
	if o.TTL == 0 {
		return nil, fmt.Errorf("traffic: TTL 0: no packet would leave; routers forward 2 and more")
	}
	if o.Source.IsValid() && o.Source.Is4() != o.Group.Is4() {
		return nil, fmt.Errorf("traffic: source %s and group %s are of different families", o.Source, o.Group)
	}
	ifi, err := interfaceByName(o.Interface)
	if err != nil {
		return nil, err
	}
	if o.Port == 0 {
		o.Port = DefaultPort
	}
	local := netip.IPv4Unspecified()
	if o.Group.Is6() {
		local = netip.IPv6Unspecified()
	}
	if o.Source.IsValid() {
		local = o.Source
	}
	conn, err := net.ListenUDP(network(o.Group), net.UDPAddrFromAddrPort(netip.AddrPortFrom(local, o.SourcePort)))
	if err != nil {
		return nil, fmt.Errorf("traffic: %w", err)
	}
	s := &Sender{conn: conn, o: o, run: rand.Uint64(), to: netip.AddrPortFrom(o.Group, o.Port)}
	if err := s.configure(ifi); err != nil {
		conn.Close()
		return nil, fmt.Errorf("traffic: %s: %w", o.Interface, err)
	}
	return s, nil
}

func (s *Sender) configure(ifi *net.Interface) error {
	if s.o.Group.Is4() {
		p := ipv4.NewPacketConn(s.conn)
		return errors.Join(p.SetMulticastInterface(ifi), p.SetMulticastTTL(int(s.o.TTL)))
	}
	p := ipv6.NewPacketConn(s.conn)
	return errors.Join(p.SetMulticastInterface(ifi), p.SetMulticastHopLimit(int(s.o.TTL)))
}

// Run sends at an even rate until all packets are sent or ctx ends, and says what it did. A packet that the kernel
// refuses (the link is down) uses its number: receivers count it as lost.
func (s *Sender) Run(ctx context.Context) Sent {
	local := s.conn.LocalAddr().(*net.UDPAddr).AddrPort()
	sent := Sent{Run: s.run, Source: netip.AddrPortFrom(local.Addr().Unmap(), local.Port())}
	buf := make([]byte, s.o.Size)
	start := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for s.o.Count == 0 || sent.Tried < s.o.Count {
		due := start.Add(time.Duration(float64(sent.Tried) / s.o.Rate * float64(time.Second)))
		if wait := time.Until(due); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			break
		}
		probe.Packet{Run: s.run, Seq: sent.Tried, Sent: time.Now(), TTL: s.o.TTL}.Append(buf[:0])
		sent.Tried++
		if _, err := s.conn.WriteToUDPAddrPort(buf, s.to); err != nil {
			sent.Failed++
			sent.Err = err
			if errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.EMSGSIZE) {
				break
			}
		}
	}
	sent.Took = time.Since(start)
	return sent
}

// Close closes the sender.
func (s *Sender) Close() error { return s.conn.Close() }
