package host

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"grove/internal/engine"
)

// groups holds this host's memberships of groups, link-local ones mostly, on UDP sockets that are for nothing else (and, as they are
// not bound, receive nothing). A socket holds as many as net.ipv4.igmp_max_memberships allows (20 by default), so there are as many sockets as it takes.
type groups struct {
	open    func() error // opens one more socket, in the right namespace
	family  engine.Family
	sockets []int
	joined  map[membership]int // the socket that holds it
}

type membership struct {
	index int
	group netip.Addr
}

// newGroups returns an empty set. in runs a function in the host's namespace.
func newGroups(f engine.Family, in func(func() error) error) *groups {
	g := &groups{family: f, joined: make(map[membership]int)}
	g.open = func() error {
		return in(func() error {
			domain := unix.AF_INET
			if f == engine.IPv6 {
				domain = unix.AF_INET6
			}
			fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			if err == nil {
				g.sockets = append(g.sockets, fd)
			}
			return err
		})
	}
	return g
}

// join joins a group on an interface; once is enough.
func (g *groups) join(m membership) error {
	if _, ok := g.joined[m]; ok {
		return nil
	}
	for i := len(g.sockets) - 1; ; i-- {
		if i < 0 { // all are full
			if err := g.open(); err != nil {
				return fmt.Errorf("host: open a socket for memberships: %w", err)
			}
			i = len(g.sockets) - 1
			if err := g.set(g.sockets[i], m, true); err != nil {
				return fmt.Errorf("host: join %v: %w", m.group, err)
			}
			g.joined[m] = g.sockets[i]
			return nil
		}
		err := g.set(g.sockets[i], m, true)
		if err == nil {
			g.joined[m] = g.sockets[i]
			return nil
		}
		if !errors.Is(err, syscall.ENOBUFS) && !errors.Is(err, syscall.ENOMEM) {
			return fmt.Errorf("host: join %v: %w", m.group, err)
		}
	}
}

// leave leaves a group.
func (g *groups) leave(m membership) {
	if fd, ok := g.joined[m]; ok {
		delete(g.joined, m)
		_ = g.set(fd, m, false) // fails only if the interface is gone, and the membership with it
	}
}

// forget drops the memberships of an interface that is gone.
func (g *groups) forget(index int) {
	for m := range g.joined {
		if m.index == index {
			g.leave(m)
		}
	}
}

func (g *groups) set(fd int, m membership, join bool) error {
	if g.family == engine.IPv4 {
		option := unix.IP_DROP_MEMBERSHIP
		if join {
			option = unix.IP_ADD_MEMBERSHIP
		}
		return unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, option,
			&unix.IPMreqn{Multiaddr: m.group.As4(), Ifindex: int32(m.index)})
	}
	option := unix.IPV6_LEAVE_GROUP
	if join {
		option = unix.IPV6_JOIN_GROUP
	}
	return unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, option,
		&unix.IPv6Mreq{Multiaddr: m.group.As16(), Interface: uint32(m.index)})
}

func (g *groups) close() {
	for _, fd := range g.sockets {
		unix.Close(fd)
	}
}
