package traffic

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"grove/internal/probe"
)

// buffer is the receive buffer that is asked for: a second at 10,000 packets/s of 1,400 bytes, overhead included.
const buffer = 32 << 20

// RecvOptions say what to receive.
type RecvOptions struct {
	Interface string
	Group     netip.Addr
	Sources   []netip.Addr // source-specific membership; none: any source
	Port      uint16       // 0: DefaultPort
}

// Arrival is a datagram that arrived.
type Arrival struct {
	From   netip.AddrPort
	At     time.Time // by the kernel
	TTL    uint8
	Size   int
	Packet probe.Packet
	Err    error // it is no test packet
}

// Receiver is a member of one group on one interface.
type Receiver struct {
	conn    *net.UDPConn
	buf     []byte
	oob     []byte
	dropped uint32
}

// Listen joins the group. When it returns the host is a member.
func Listen(o RecvOptions) (*Receiver, error) {
	if err := checkGroup(o.Group); err != nil {
		return nil, err
	}
	for _, s := range o.Sources {
		if s.Is4() != o.Group.Is4() {
			return nil, fmt.Errorf("traffic: source %s and group %s are of different families", s, o.Group)
		}
	}
	ifi, err := interfaceByName(o.Interface)
	if err != nil {
		return nil, err
	}
	// Bound to the group, and with MULTICAST_ALL off, the socket hears nothing that others on this host have joined.
	options := []option{
		{"SO_REUSEADDR", syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1, false},
		{"SO_RCVBUF", syscall.SOL_SOCKET, syscall.SO_RCVBUF, buffer, false},
		{"SO_RCVBUFFORCE", syscall.SOL_SOCKET, soRcvBufForce, buffer, true},
		{"SO_TIMESTAMPNS", syscall.SOL_SOCKET, soTimestampNS, 1, false},
		{"SO_RXQ_OVFL", syscall.SOL_SOCKET, soRxqOvfl, 1, true},
	}
	local := netip.AddrPortFrom(o.Group, cmp.Or(o.Port, DefaultPort))
	if o.Group.Is4() {
		options = append(options, option{"IP_RECVTTL", syscall.IPPROTO_IP, syscall.IP_RECVTTL, 1, false},
			option{"IP_MULTICAST_ALL", syscall.IPPROTO_IP, ipMulticastAll, 0, true})
	} else {
		options = append(options, option{"IPV6_RECVHOPLIMIT", syscall.IPPROTO_IPV6, ipv6RecvHopLimit, 1, false},
			option{"IPV6_MULTICAST_ALL", syscall.IPPROTO_IPV6, ipv6MulticastAll, 0, true})
		if o.Group.IsLinkLocalMulticast() || o.Group.IsInterfaceLocalMulticast() {
			local = netip.AddrPortFrom(o.Group.WithZone(o.Interface), local.Port())
		}
	}
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error { return setOptions(c, options) }}
	conn, err := config.ListenPacket(context.Background(), network(o.Group), local.String())
	if err != nil {
		return nil, fmt.Errorf("traffic: %w", err)
	}
	r := &Receiver{conn: conn.(*net.UDPConn), buf: make([]byte, 65536), oob: make([]byte, 512)}
	if err := r.join(ifi, o.Group, o.Sources); err != nil {
		conn.Close()
		return nil, fmt.Errorf("traffic: join %s on %s: %w", o.Group, o.Interface, mend(err))
	}
	return r, nil
}

// joiner is what ipv4.PacketConn and ipv6.PacketConn share.
type joiner interface {
	JoinGroup(ifi *net.Interface, group net.Addr) error
	JoinSourceSpecificGroup(ifi *net.Interface, group, source net.Addr) error
}

func (r *Receiver) join(ifi *net.Interface, group netip.Addr, sources []netip.Addr) error {
	var j joiner = ipv6.NewPacketConn(r.conn)
	if group.Is4() {
		j = ipv4.NewPacketConn(r.conn)
	}
	udp := func(a netip.Addr) net.Addr { return &net.UDPAddr{IP: a.AsSlice()} }
	if len(sources) == 0 {
		return j.JoinGroup(ifi, udp(group))
	}
	for _, s := range sources {
		if err := j.JoinSourceSpecificGroup(ifi, udp(group), udp(s)); err != nil {
			return fmt.Errorf("source %s: %w", s, err)
		}
	}
	return nil
}

// mend says what helps against an error of a join.
func mend(err error) error {
	switch {
	case errors.Is(err, syscall.ENOBUFS):
		return fmt.Errorf("%w: the host has as many memberships as it may (sysctl net.ipv4.igmp_max_memberships, igmp_max_msf)", err)
	case errors.Is(err, syscall.ENODEV):
		return fmt.Errorf("%w: the interface has no address of this family, or cannot multicast", err)
	}
	return err
}

// Next waits for the next datagram. The error is os.ErrDeadlineExceeded after the deadline, net.ErrClosed after Close.
func (r *Receiver) Next() (Arrival, error) {
	n, on, _, from, err := r.conn.ReadMsgUDPAddrPort(r.buf, r.oob)
	if err != nil {
		return Arrival{}, err
	}
	c, err := parseControl(r.oob[:on])
	if err != nil {
		return Arrival{}, fmt.Errorf("traffic: control message: %w", err)
	}
	r.dropped = max(r.dropped, c.dropped)
	a := Arrival{From: netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), At: c.at, TTL: c.ttl, Size: n}
	a.Packet, a.Err = probe.Parse(r.buf[:n])
	return a, nil
}

// Dropped returns how many datagrams the socket has dropped because they were not read fast enough, as far as a later
// datagram has told.
func (r *Receiver) Dropped() uint32 { return r.dropped }

// SetDeadline makes Next return os.ErrDeadlineExceeded at t.
func (r *Receiver) SetDeadline(t time.Time) error { return r.conn.SetReadDeadline(t) }

// Close leaves the group.
func (r *Receiver) Close() error { return r.conn.Close() }

// FlowKey names a flow: a sender's address and run.
type FlowKey struct {
	Source netip.AddrPort
	Run    uint64
}

// Account is what a receiver has received, by flow. It may be used from several goroutines.
type Account struct {
	mu      sync.Mutex
	flows   map[FlowKey]*probe.Flow
	total   uint64 // different packets of all flows
	foreign uint64
}

// Count adds an arrival, and says whether it was a duplicate.
func (a *Account) Count(v Arrival) (duplicate bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if v.Err != nil {
		a.foreign++
		return false
	}
	key := FlowKey{v.From, v.Packet.Run}
	f := a.flows[key]
	if f == nil {
		if a.flows == nil {
			a.flows = make(map[FlowKey]*probe.Flow)
		}
		f = new(probe.Flow)
		a.flows[key] = f
	}
	duplicate = f.Count(v.Packet, v.TTL, v.At)
	if !duplicate {
		a.total++
	}
	return duplicate
}

// Total returns the number of different packets of all flows.
func (a *Account) Total() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.total
}

// Foreign returns the number of datagrams that were no test packets.
func (a *Account) Foreign() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.foreign
}

// NamedFlow is a flow of an Account.
type NamedFlow struct {
	FlowKey
	probe.Flow
}

// Flows returns a copy of all flows, by source and then by time of the first packet.
func (a *Account) Flows() []NamedFlow {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := make([]NamedFlow, 0, len(a.flows))
	for key, f := range a.flows {
		all = append(all, NamedFlow{key, *f})
	}
	slices.SortFunc(all, func(x, y NamedFlow) int {
		return cmp.Or(x.Source.Compare(y.Source), x.FirstAt.Compare(y.FirstAt), cmp.Compare(x.Run, y.Run))
	})
	return all
}

// Receive counts arrivals until ctx ends or count different packets have come (0: no limit); each is told to each, if
// that is not nil.
func (r *Receiver) Receive(ctx context.Context, a *Account, count uint64, each func(v Arrival, duplicate bool)) error {
	stop := context.AfterFunc(ctx, func() { r.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	for count == 0 || a.Total() < count {
		v, err := r.Next()
		if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		duplicate := a.Count(v)
		if each != nil {
			each(v, duplicate)
		}
	}
	return nil
}
