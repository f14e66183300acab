package kernel

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"grove/internal/engine"
	"grove/internal/ip"
)

// openInject opens the socket that takes packets with their headers. What it sends is not looped back: neither to this
// host's own members nor to the forwarding plane.
func (t *Table) openInject() error {
	domain, level, loop := unix.AF_INET, unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP
	if t.family == engine.IPv6 {
		domain, level, loop = unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_LOOP
	}
	// IPPROTO_RAW implies that the header is included, in both families.
	fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_RAW)
	if err != nil {
		return err
	}
	t.inject = fd
	return unix.SetsockoptInt(fd, level, loop, 0)
}

// Inject sends a whole IP packet, as it is, out of interfaces, to the group in its header. It tries all interfaces and
// returns what went wrong.
func (t *Table) Inject(ifindexes []int, packet []byte) error {
	p, err := ip.Parse(packet)
	if err != nil {
		return fmt.Errorf("kernel: inject: %w", err)
	}
	if engine.FamilyOf(p.Dst) != t.family || !p.Dst.IsMulticast() {
		return fmt.Errorf("kernel: inject a packet to %v: %w", p.Dst, unix.EAFNOSUPPORT)
	}
	var errs []error
	for _, ifindex := range ifindexes {
		if err := t.injectInto(ifindex, &p, packet); err != nil {
			errs = append(errs, fmt.Errorf("kernel: inject %d bytes to %v out of ifindex %d: %w", len(packet), p.Dst, ifindex, err))
		}
	}
	return errors.Join(errs...)
}

func (t *Table) injectInto(ifindex int, p *ip.Packet, packet []byte) error {
	if t.family == engine.IPv4 {
		info := unix.PktInfo4(&unix.Inet4Pktinfo{Ifindex: int32(ifindex)})
		_, err := unix.SendmsgN(t.inject, packet, info, &unix.SockaddrInet4{Addr: p.Dst.As4()}, 0)
		return err
	}
	info := unix.PktInfo6(&unix.Inet6Pktinfo{Ifindex: uint32(ifindex)})
	_, err := unix.SendmsgN(t.inject, packet, info, &unix.SockaddrInet6{Addr: p.Dst.As16()}, 0)
	return err
}
