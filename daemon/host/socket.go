package host

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/net/bpf"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"grove/internal/engine"
)

// ErrSend wraps what the kernel says when it refuses a packet.
var ErrSend = errors.New("host: send")

// socketKey names a raw socket: there is one for each protocol and family.
type socketKey struct {
	family engine.Family
	proto  uint8
}

// socket is a raw socket. It sends with the source, TTL, TOS and Router Alert of each packet, and never loops its own
// packets back.
//
// IP_MULTICAST_ALL stays on: with it a raw socket hears what any socket of this host joined on the interface, so that
// memberships may be spread over several sockets (groups), and MLDv1 reports, whose destination nobody joins, arrive at
// all. What comes in on other interfaces than the configured ones the machines drop.
type socket struct {
	socketKey
	conn *net.IPConn
	raw  syscall.RawConn
	oob  []byte // of send
}

// openSocket opens a raw socket in the namespace of the calling thread.
//
// The kernel hands IGMP to the multicast routing socket, where a storm of upcalls would push it out. Asking for Router
// Alert brings it here as well, what is addressed to the groups of hosts included (heardElsewhere says what is not).
func openSocket(key socketKey) (*socket, error) {
	network := "ip4:" + strconv.Itoa(int(key.proto))
	options := [][3]int{
		{unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP, 0},
		{unix.IPPROTO_IP, unix.IP_PKTINFO, 1},
		{unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT}, // a Register larger than the MTU is fragmented
	}
	if key.family == engine.IPv6 {
		network = "ip6:" + strconv.Itoa(int(key.proto))
		options = [][3]int{
			{unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_LOOP, 0},
			{unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1},
			{unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT, 1},
			{unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, 1},
			{unix.IPPROTO_IPV6, unix.IPV6_RECVHOPOPTS, 1},
			{unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_DONT},
		}
	}
	conn, err := net.ListenIP(network, nil)
	if err != nil {
		return nil, fmt.Errorf("host: open raw socket %s: %w", network, err)
	}
	s := &socket{socketKey: key, conn: conn}
	if s.raw, err = conn.SyscallConn(); err == nil {
		err = setInts(conn, options)
	}
	switch {
	case err != nil:
	case key.proto == engine.ProtoIGMP:
		err = setInts(conn, [][3]int{{unix.IPPROTO_IP, unix.IP_ROUTER_ALERT, 1}})
	case key.proto == engine.ProtoUDP:
		err = ipv4.NewPacketConn(conn).SetBPF(onlyPort(engine.PortAutoRP))
	case key.proto == engine.ProtoICMPv6:
		var mld ipv6.ICMPFilter
		mld.SetAll(true)
		for _, kind := range []ipv6.ICMPType{
			ipv6.ICMPTypeMulticastListenerQuery, ipv6.ICMPTypeMulticastListenerReport,
			ipv6.ICMPTypeMulticastListenerDone, ipv6.ICMPTypeVersion2MulticastListenerReport,
		} {
			mld.Accept(kind)
		}
		err = ipv6.NewPacketConn(conn).SetICMPFilter(&mld)
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("host: set up raw socket %s: %w", network, err)
	}
	setBuffer(conn, unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, 4<<20)
	setBuffer(conn, unix.SO_SNDBUFFORCE, unix.SO_SNDBUF, 4<<20)
	return s, nil
}

// onlyPort is a filter that lets UDP datagrams to a port pass, of all that reach the host.
func onlyPort(port uint32) []bpf.RawInstruction {
	const headerLen, destinationPort, whole = 0, 2, 1 << 16
	program, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadMemShift{Off: headerLen},
		bpf.LoadIndirect{Off: destinationPort, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: port, SkipFalse: 1},
		bpf.RetConstant{Val: whole},
		bpf.RetConstant{},
	})
	if err != nil {
		panic(err) // the program does not depend on anything
	}
	return program
}

// send sends a packet out of the interface index, or by the unicast route if that is 0. It does not wait: a packet for
// which the kernel has no room is lost, as on any link.
func (s *socket) send(index int, m *engine.Send) error {
	payload := m.Payload
	oob := s.oob[:0]
	if s.family == engine.IPv4 {
		oob = appendControl(oob, unix.IPPROTO_IP, unix.IP_PKTINFO, pktinfo4(index, m.Src))
		if m.TTL > 0 {
			oob = appendControlInt(oob, unix.IPPROTO_IP, unix.IP_TTL, int(m.TTL))
		}
		oob = appendControlInt(oob, unix.IPPROTO_IP, unix.IP_TOS, int(m.TOS))
		if m.RouterAlert {
			oob = appendControl(oob, unix.IPPROTO_IP, unix.IP_RETOPTS, routerAlert4)
		}
	} else {
		oob = appendControl(oob, unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, pktinfo6(index, m.Src))
		oob = appendControlInt(oob, unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT, int(m.TTL))
		oob = appendControlInt(oob, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, int(m.TOS))
		if m.RouterAlert {
			oob = appendControl(oob, unix.IPPROTO_IPV6, unix.IPV6_HOPOPTS, routerAlert6)
		}
		if s.proto == engine.ProtoICMPv6 && len(payload) >= 4 {
			// Linux sums ICMPv6 itself, the checksum field included, and puts the result there.
			payload = slices.Clone(payload)
			payload[2], payload[3] = 0, 0
		}
	}
	s.oob = oob
	var failed error
	err := s.raw.Control(func(fd uintptr) {
		_, failed = unix.SendmsgN(int(fd), payload, oob, sockaddr(m.Dst, index), unix.MSG_DONTWAIT)
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSend, err)
	}
	return nil
}

// batch is how many packets one read takes at most. Each has a buffer of 64 KiB.
const batch = 4

// receive reads packets until the socket is closed, and hands each batch to deliver.
func (s *socket) receive(deliver func([]arrival)) {
	messages := make([]ipv4.Message, batch)
	for i := range messages {
		messages[i].Buffers = [][]byte{make([]byte, 1<<16)}
		messages[i].OOB = make([]byte, 512)
	}
	read := ipv4.NewPacketConn(s.conn).ReadBatch
	if s.family == engine.IPv6 {
		read = ipv6.NewPacketConn(s.conn).ReadBatch
	}
	arrivals := make([]arrival, 0, batch)
	for {
		n, err := read(messages, 0)
		if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP error that some packet of ours met
		}
		arrivals = arrivals[:0]
		for i := range messages[:n] {
			m := &messages[i]
			var a arrival
			ok := false
			if s.family == engine.IPv4 {
				a, ok = arrival4(m.Buffers[0][:m.N], m.OOB[:m.NN])
			} else if from, is := m.Addr.(*net.IPAddr); is {
				src, _ := netip.AddrFromSlice(from.IP)
				a, ok = arrival6(src, m.Buffers[0][:m.N], m.OOB[:m.NN])
			}
			if ok {
				a.Proto = s.proto
				arrivals = append(arrivals, a)
			}
		}
		deliver(arrivals)
	}
}

// heardElsewhere says that an IGMP packet from the multicast routing socket came to the raw IGMP socket as well. What
// did not is from hosts that send reports to a group without Router Alert: IGMPv1, and some of IGMPv2.
func heardElsewhere(p *engine.Packet) bool {
	return p.RouterAlert || p.Dst.IsLinkLocalMulticast() || !p.Dst.IsMulticast()
}

// arrival is a packet and the kernel's index of the interface where it came in.
type arrival struct {
	engine.Packet
	index int
}

// arrival4 takes an IPv4 packet apart. The buffer is not kept.
func arrival4(b, oob []byte) (a arrival, ok bool) {
	if len(b) < 20 || b[0]>>4 != 4 {
		return a, false
	}
	header := int(b[0]&15) * 4
	total := int(b[2])<<8 | int(b[3])
	if header < 20 || header > total || total > len(b) {
		return a, false
	}
	a.index = parseControl(oob).index
	a.Src, a.Dst = netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:]))
	a.TOS, a.TTL, a.Proto = b[1], b[8], b[9]
	a.RouterAlert = hasRouterAlert4(b[20:header])
	a.Payload = slices.Clone(b[header:total])
	return a, true
}

// arrival6 makes an arrival of an IPv6 payload: the kernel keeps the header to itself.
func arrival6(src netip.Addr, payload, oob []byte) (a arrival, ok bool) {
	r := parseControl(oob)
	a.index = r.index
	a.Src, a.Dst = src.WithZone(""), r.dst
	a.TOS, a.TTL, a.RouterAlert = r.class, r.hopLimit, r.routerAlert
	a.Payload = slices.Clone(payload)
	return a, a.Src.Is6() && a.Dst.Is6()
}
