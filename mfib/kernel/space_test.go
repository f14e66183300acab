package kernel

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"grove/internal/engine"
	"grove/internal/testneed"
	"grove/mfib/cases"
)

// space is a network namespace with a thread in it. It has no name, so it goes with its last socket.
type space struct {
	t     testing.TB
	calls chan func()
	fd    int // of the namespace
}

// newSpace makes a network namespace.
func newSpace(t testing.TB) *space {
	t.Helper()
	testneed.Root(t)
	s := &space{t: t, calls: make(chan func())}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		ready <- s.enter()
		for call := range s.calls {
			call()
		}
	}()
	if err := <-ready; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		close(s.calls)
		unix.Close(s.fd)
	})
	return s
}

func (s *space) enter() error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	fd, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	s.fd = fd
	// On one CPU, packets pass the whole router in the order in which they were sent.
	var cpus unix.CPUSet
	if err := unix.SchedGetaffinity(0, &cpus); err != nil {
		return err
	}
	for cpu := range 1024 {
		if cpus.IsSet(cpu) {
			cpus.Zero()
			cpus.Set(cpu)
			break
		}
	}
	return unix.SchedSetaffinity(0, &cpus)
}

// do runs f in the namespace; f must not end the goroutine.
func (s *space) do(f func() error) {
	s.t.Helper()
	done := make(chan error)
	s.calls <- func() { done <- f() }
	if err := <-done; err != nil {
		s.t.Fatal(err)
	}
}

// sysctl sets a value below /proc/sys/net.
func sysctl(name, value string) error {
	return os.WriteFile("/proc/sys/net/"+name, []byte(value), 0o644)
}

// router is a namespace with interfaces eth1, eth2 ..., and another namespace that holds the far ends of their links.
type router struct {
	*space
	wire  *space
	links map[int]*link
}

// link is the far end of a link: raw access to what passes.
type link struct {
	wire    *space
	ifindex int // of the near end, in the router
	far     int
	mac     net.HardwareAddr // of the near end
	fd      [2]int           // packet sockets: IPv4, IPv6
	buf     []byte
}

// newRouter makes a router with interfaces 1 to n.
func newRouter(t testing.TB, n int) *router {
	t.Helper()
	r := &router{space: newSpace(t), wire: newSpace(t), links: map[int]*link{}}
	r.do(func() error {
		for name, value := range map[string]string{
			"ipv4/conf/all/rp_filter":      "0",
			"ipv4/conf/default/rp_filter":  "0",
			"ipv4/ip_forward":              "1",
			"ipv6/conf/all/forwarding":     "1",
			"ipv6/conf/default/accept_dad": "0",
		} {
			if err := sysctl(name, value); err != nil {
				return err
			}
		}
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(lo)
	})
	r.wire.do(func() error { return sysctl("ipv6/conf/default/disable_ipv6", "1") })
	for i := 1; i <= n; i++ {
		r.plug(i)
	}
	t.Cleanup(func() {
		for _, l := range r.links {
			l.close()
		}
	})
	return r
}

// plug makes interface i.
func (r *router) plug(i int) *link {
	r.t.Helper()
	near, far := fmt.Sprintf("eth%d", i), fmt.Sprintf("far%d", i)
	l := &link{wire: r.wire, buf: make([]byte, 1<<16)}
	r.do(func() error {
		veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: near, MTU: 1500}, PeerName: far, PeerNamespace: netlink.NsFd(r.wire.fd)}
		if err := netlink.LinkAdd(veth); err != nil {
			return fmt.Errorf("add %s: %w", near, err)
		}
		dev, err := netlink.LinkByName(near)
		if err != nil {
			return err
		}
		l.ifindex, l.mac = dev.Attrs().Index, dev.Attrs().HardwareAddr
		for _, f := range []engine.Family{engine.IPv4, engine.IPv6} {
			a := cases.RouterAddr(f, i)
			bits := 24
			if f == engine.IPv6 {
				bits = 64
			}
			addr := &netlink.Addr{IPNet: &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(bits, a.BitLen())}, Flags: unix.IFA_F_NODAD}
			if err := netlink.AddrAdd(dev, addr); err != nil {
				return fmt.Errorf("address %v: %w", a, err)
			}
		}
		return netlink.LinkSetUp(dev)
	})
	r.wire.do(func() error {
		dev, err := netlink.LinkByName(far)
		if err != nil {
			return err
		}
		l.far = dev.Attrs().Index
		if err := netlink.LinkSetUp(dev); err != nil {
			return err
		}
		for k, proto := range []uint16{unix.ETH_P_IP, unix.ETH_P_IPV6} {
			fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(swap(proto)))
			if err != nil {
				return err
			}
			l.fd[k] = fd
			if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: swap(proto), Ifindex: l.far}); err != nil {
				return err
			}
			if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4<<20); err != nil {
				return err
			}
		}
		return nil
	})
	r.links[i] = l
	return l
}

// unplug deletes interface i.
func (r *router) unplug(i int) {
	r.t.Helper()
	r.do(func() error {
		dev, err := netlink.LinkByName(fmt.Sprintf("eth%d", i))
		if err != nil {
			return err
		}
		return netlink.LinkDel(dev)
	})
	r.links[i].close()
	delete(r.links, i)
}

func (l *link) close() {
	unix.Close(l.fd[0])
	unix.Close(l.fd[1])
}

func swap(v uint16) uint16 { return v<<8 | v>>8 }

// send puts a packet on the link, towards the router.
func (l *link) send(packet []byte) {
	l.wire.t.Helper()
	k, proto := 0, uint16(unix.ETH_P_IP)
	if packet[0]>>4 == 6 {
		k, proto = 1, unix.ETH_P_IPV6
	}
	to := &unix.SockaddrLinklayer{Protocol: swap(proto), Ifindex: l.far, Halen: 6}
	switch {
	case packet[0]>>4 == 4 && packet[16]>>4 == 14:
		copy(to.Addr[:], []byte{1, 0, 0x5e, packet[17] & 0x7f, packet[18], packet[19]})
	case packet[0]>>4 == 6 && packet[24] == 0xff:
		copy(to.Addr[:], append([]byte{0x33, 0x33}, packet[36:40]...))
	default:
		copy(to.Addr[:], l.mac)
	}
	l.wire.do(func() error { return unix.Sendto(l.fd[k], packet, 0, to) })
}

// receive returns the next packet of a family that the router sent on the link; nil: none within the time.
func (l *link) receive(family engine.Family, within time.Duration) []byte {
	fd := l.fd[0]
	if family == engine.IPv6 {
		fd = l.fd[1]
	}
	deadline := time.Now().Add(within)
	for {
		n, _, err := unix.Recvfrom(fd, l.buf, unix.MSG_DONTWAIT)
		switch {
		case err == nil:
			return append([]byte(nil), l.buf[:n]...)
		case err != unix.EAGAIN && err != unix.EINTR && err != unix.ENETDOWN:
			l.wire.t.Fatalf("packet socket: %v", err)
		}
		left := time.Until(deadline)
		if left <= 0 {
			return nil
		}
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		unix.Poll(poll, int(left.Milliseconds())+1)
	}
}

// open opens a table of the router.
func (r *router) open(family engine.Family, table uint32) *Table {
	r.t.Helper()
	var tab *Table
	r.do(func() (err error) {
		tab, err = Open(family, table, 4<<20)
		return err
	})
	return tab
}
