package bench

import (
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/gopacket/gopacket/pcapgo"
	"golang.org/x/net/bpf"
	"golang.org/x/net/ipv4"

	"grove/igmp/wire"
	"grove/internal/engine"
)

// allRouters is where IGMPv3 reports go (RFC 3376, section 4.2.14).
var allRouters = netip.AddrFrom4([4]byte{224, 0, 0, 22})

// recordsPerReport is how many groups a report has room for on an Ethernet.
const recordsPerReport = (1500 - 24 - wire.ReportHeader) / 8

// reporter says for a host that it has joined groups, by IGMPv3 reports. The host's kernel knows nothing of it.
type reporter struct {
	conn *ipv4.RawConn
	src  netip.Addr
}

func (l *lab) reporter(host string) *reporter {
	l.b.Helper()
	var r reporter
	err := l.In(host, func() error {
		ifi, err := net.InterfaceByName("eth1")
		if err != nil {
			return err
		}
		addrs, err := ifi.Addrs()
		if err != nil {
			return err
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
				r.src = p.Addr()
			}
		}
		conn, err := net.ListenPacket("ip4:2", "0.0.0.0")
		if err != nil {
			return err
		}
		if r.conn, err = ipv4.NewRawConn(conn); err != nil {
			return err
		}
		return r.conn.SetMulticastInterface(ifi)
	})
	if err != nil {
		l.b.Fatal(err)
	}
	l.b.Cleanup(func() { r.conn.Close() })
	return &r
}

// join sends one report: any source of the groups is welcome.
func (r *reporter) join(b *testing.B, groups ...netip.Addr) {
	b.Helper()
	var m wire.Report
	for _, g := range groups {
		m.Records = append(m.Records, wire.Record{Type: wire.ToEx, Group: g})
	}
	payload, err := m.Append(nil, wire.Ends{Src: r.src, Dst: allRouters})
	if err != nil {
		b.Fatal(err)
	}
	h := &ipv4.Header{
		Version: 4, Len: 24, TotalLen: 24 + len(payload), TTL: 1, TOS: 0xc0, Protocol: int(engine.ProtoIGMP),
		Src: r.src.AsSlice(), Dst: allRouters.AsSlice(), Options: []byte{0x94, 4, 0, 0}, // Router Alert
	}
	if err := r.conn.WriteTo(h, payload, nil); err != nil {
		b.Fatal(err)
	}
}

// capture hands each IPv4 packet of a protocol on a link, with the kernel's time, to a function, until it is closed.
type capture struct {
	handle *pcapgo.EthernetHandle
	done   sync.WaitGroup
}

func (l *lab) capture(host string, protocols []byte, each func(at time.Time, packet []byte)) *capture {
	l.b.Helper()
	c := &capture{}
	program := []bpf.Instruction{
		bpf.LoadAbsolute{Off: 12, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0x0800, SkipTrue: uint8(len(protocols) + 1)},
		bpf.LoadAbsolute{Off: 23, Size: 1},
	}
	for i, p := range protocols {
		program = append(program, bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(p), SkipTrue: uint8(len(protocols) - i)})
	}
	program = append(program, bpf.RetConstant{Val: 0}, bpf.RetConstant{Val: 1 << 16})
	filter, err := bpf.Assemble(program)
	if err != nil {
		l.b.Fatal(err)
	}
	err = l.In(host, func() (err error) {
		c.handle, err = pcapgo.NewEthernetHandle("eth1")
		return err
	})
	if err == nil {
		err = c.handle.SetBPF(filter)
	}
	if err != nil {
		l.b.Fatal(err)
	}
	c.done.Go(func() {
		for {
			frame, info, err := c.handle.ZeroCopyReadPacketData()
			if err != nil {
				return
			}
			if len(frame) >= 34 {
				each(info.Timestamp, frame[14:])
			}
		}
	})
	return c
}

// close ends the capture, and fails the benchmark if the socket has lost any packet.
func (c *capture) close(b *testing.B) {
	b.Helper()
	stats, err := c.handle.Stats()
	if err != nil {
		b.Error(err)
	} else if stats.Drops > 0 {
		b.Errorf("%d of %d packets did not fit the capture's buffer", stats.Drops, stats.Packets)
	}
	c.handle.Close()
	c.done.Wait()
}

// reported returns the group of an IGMPv3 report with one record.
func reported(packet []byte) (netip.Addr, bool) {
	header := int(packet[0]&15) * 4
	if packet[9] != engine.ProtoIGMP || len(packet) < header+16 || packet[header] != 0x22 {
		return netip.Addr{}, false
	}
	return netip.AddrFrom4([4]byte(packet[header+12:])), true
}

// blaster sends single packets to many groups from a host.
type blaster struct{ conn *net.UDPConn }

func (l *lab) blaster(host string) *blaster {
	l.b.Helper()
	var s blaster
	err := l.In(host, func() error {
		ifi, err := net.InterfaceByName("eth1")
		if err != nil {
			return err
		}
		if s.conn, err = net.ListenUDP("udp4", nil); err != nil {
			return err
		}
		p := ipv4.NewPacketConn(s.conn)
		if err := p.SetMulticastInterface(ifi); err != nil {
			return err
		}
		return p.SetMulticastTTL(64)
	})
	if err != nil {
		l.b.Fatal(err)
	}
	l.b.Cleanup(func() { s.conn.Close() })
	return &s
}

// send sends a packet with a number to each of the groups, so many a second: it sleeps until a packet's time in the
// schedule, and never for an answer.
func (s *blaster) send(b *testing.B, groups []netip.Addr, number uint32, rate int) {
	b.Helper()
	begin := time.Now()
	payload := binary.BigEndian.AppendUint32(nil, number)
	for i, g := range groups {
		time.Sleep(time.Until(begin.Add(time.Duration(i) * time.Second / time.Duration(rate))))
		if _, err := s.conn.WriteToUDPAddrPort(payload, netip.AddrPortFrom(g, 5001)); err != nil {
			b.Fatal(err)
		}
	}
}
