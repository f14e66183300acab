package kernel

import (
	"flag"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"grove/internal/engine"
	"grove/internal/ip"
	"grove/mfib/cases"
)

var update = flag.Bool("update", false, "rewrite what follows from the commands in ../cases/testdata")

// TestCases runs the case table on the real kernel, with real packets.
func TestCases(t *testing.T) {
	for _, family := range []engine.Family{engine.IPv4, engine.IPv6} {
		t.Run(family.String(), func(t *testing.T) {
			if !*update {
				t.Parallel()
			}
			r := newRouter(t, cases.Interfaces+2)
			cases.Run(t, family, *update, func(t *testing.T) cases.Bench { return newBench(t, family, r) })
		})
	}
}

// The barrier is a flow of its own through the router, from and to interfaces that no case uses. Packets pass the
// router in order, so when a barrier packet is through, all that was sent before has had its effect.
const (
	barrierIn, barrierOut   = cases.Interfaces + 1, cases.Interfaces + 2
	barrierVIF1, barrierVIF = 30, 31
)

// bench is the kernel as a cases.Bench.
type bench struct {
	t         *testing.T
	family    engine.Family
	r         *router
	table     *Table
	own       map[int]int // sockets of this router's own sender, by interface
	barrier   []byte
	unplugged []int
}

func newBench(t *testing.T, family engine.Family, r *router) *bench {
	r.t, r.wire.t = t, t
	b := &bench{t: t, family: family, r: r, table: r.open(family, 0), own: map[int]int{}}
	source, group := "10.250.0.1", "239.250.0.1"
	if family == engine.IPv6 {
		source, group = "fd00:250::1", "ff0e::250:1"
	}
	key := engine.SG(netip.MustParseAddr(source), netip.MustParseAddr(group))
	p := ip.UDP(netip.AddrPortFrom(key.Source, 1), netip.AddrPortFrom(key.Group, 1), 9, []byte("barrier"))
	b.barrier = p.Append(nil)
	for v, i := range map[engine.VIF]int{barrierVIF1: barrierIn, barrierVIF: barrierOut} {
		if err := b.table.SetVIF(engine.SetVIF{VIF: v, If: engine.IfID(i)}, r.links[i].ifindex); err != nil {
			t.Fatal(err)
		}
	}
	row := engine.Row{Key: key, Parent: barrierVIF1}
	row.TTL[barrierVIF] = 1
	if failed := b.table.SetRows([]engine.Row{row}); len(failed) > 0 {
		t.Fatal(failed)
	}
	b.Seen() // what was on the way before
	return b
}

func (b *bench) Close() {
	for _, fd := range b.own {
		unix.Close(fd)
	}
	if err := b.table.Close(); err != nil {
		b.t.Error(err)
	}
	for _, i := range b.unplugged {
		b.r.plug(i)
	}
}

func (b *bench) SetVIF(s engine.SetVIF) error {
	ifindex := 0
	if !s.Gone && !s.Register {
		ifindex = b.r.links[int(s.If)].ifindex
	}
	return b.table.SetVIF(s, ifindex)
}

func (b *bench) Unplug(i int) {
	b.r.unplug(i)
	b.unplugged = append(b.unplugged, i)
}

func (b *bench) SetRows(rows []engine.Row) []engine.RowFailed { return b.table.SetRows(rows) }

func (b *bench) ReadCounters(keys []engine.Key) []engine.RowCounters {
	return b.table.ReadCounters(keys)
}

func (b *bench) Arrive(i int, packet []byte) { b.r.links[i].send(packet) }

func (b *bench) Originate(i int, group netip.Addr, ttl uint8, data []byte) {
	b.r.do(func() error {
		fd, ok := b.own[i]
		if !ok {
			var err error
			if fd, err = b.ownSocket(i); err != nil {
				return err
			}
			b.own[i] = fd
		}
		if b.family == engine.IPv4 {
			if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, int(ttl)); err != nil {
				return err
			}
			return unix.Sendto(fd, data, 0, &unix.SockaddrInet4{Addr: group.As4(), Port: 5000})
		}
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, int(ttl)); err != nil {
			return err
		}
		return unix.Sendto(fd, data, 0, &unix.SockaddrInet6{Addr: group.As16(), Port: 5000})
	})
}

// ownSocket opens a UDP socket that sends out of interface i from this router's address there.
func (b *bench) ownSocket(i int) (int, error) {
	a, ifindex := cases.RouterAddr(b.family, i), b.r.links[i].ifindex
	if b.family == engine.IPv4 {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return -1, err
		}
		if err := unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, &unix.IPMreqn{Ifindex: int32(ifindex)}); err != nil {
			return -1, err
		}
		return fd, unix.Bind(fd, &unix.SockaddrInet4{Addr: a.As4()})
	}
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, ifindex); err != nil {
		return -1, err
	}
	return fd, unix.Bind(fd, &unix.SockaddrInet6{Addr: a.As16()})
}

// Wait sleeps: what the scripts wait for is the kernel's own clock, and half of it is that nothing happens before its
// time (no upcall at 9 of the 10 s that a packet waits, at 2 of the 3 s between two WRONGVIF). That has no event.
func (b *bench) Wait(d time.Duration) { time.Sleep(d) }

func (b *bench) Seen() []cases.Seen {
	// Twice, as what is looped back or decapsulated passes the router's input queue a second time.
	for range 2 {
		b.pass()
	}
	var seen []cases.Seen
	for i := 1; i <= cases.Interfaces; i++ {
		l := b.r.links[i]
		if l == nil {
			continue
		}
		for packet := l.receive(b.family, 0); packet != nil; packet = l.receive(b.family, 0) {
			if p, err := ip.Parse(packet); err == nil && p.Proto == engine.ProtoUDP {
				seen = append(seen, cases.Seen{If: i, Packet: packet})
			}
		}
	}
	for {
		event, _, err := b.table.TryRead()
		if err == ErrEmpty {
			return seen
		}
		if err != nil {
			b.t.Fatal(err)
		}
		if u, ok := event.(engine.Upcall); ok {
			seen = append(seen, cases.Seen{Upcall: u})
		}
	}
}

// pass sends a barrier packet and waits until it is through.
func (b *bench) pass() {
	b.r.links[barrierIn].send(b.barrier)
	for {
		packet := b.r.links[barrierOut].receive(b.family, 5*time.Second)
		if packet == nil {
			b.t.Fatal("the barrier packet is lost")
		}
		if p, err := ip.Parse(packet); err == nil && len(p.Payload) > 8 && string(p.Payload[8:]) == "barrier" {
			return
		}
	}
}
