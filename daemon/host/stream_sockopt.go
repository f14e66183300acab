package host

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"grove/internal/engine"
)

// Options of TCP sockets: TCP MD5 signatures (RFC 2385), GTSM (RFC 5082). The package net has no word for them, and makes
// sockets of Multipath TCP, which has no signatures; so sockets are made here.

// errSecretLength says that a secret is longer than Linux takes (TCP_MD5SIG_MAXKEYLEN).
var errSecretLength = errors.New("the secret of TCP MD5 is longer than 80 bytes")

const internetControl = 0xc0 // the type of service of routing protocols (RFC 4594: CS6)

func domain(f engine.Family) int {
	if f == engine.IPv6 {
		return unix.AF_INET6
	}
	return unix.AF_INET
}

// tcpSocket makes a socket with what all have in common.
func tcpSocket(f engine.Family) (int, error) {
	fd, err := unix.Socket(domain(f), unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	tos := [3]int{unix.IPPROTO_IP, unix.IP_TOS, internetControl}
	if f == engine.IPv6 {
		tos = [3]int{unix.IPPROTO_IPV6, unix.IPV6_TCLASS, internetControl}
	}
	options := [][3]int{
		tos,
		{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
		// What does not leave stays with us, where StreamWritten counts it, and not in the kernel's buffer of megabytes.
		{unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, chunk},
	}
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o[0], o[1], o[2]); err != nil {
			_ = unix.Close(fd)
			return -1, os.NewSyscallError("setsockopt", err)
		}
	}
	return fd, nil
}

// dial begins to connect to a peer, in the namespace of the calling thread.
func dial(p engine.StreamPeer, port uint16) (fd int, err error) {
	if fd, err = tcpSocket(engine.FamilyOf(p.Remote)); err != nil {
		return -1, err
	}
	defer func() {
		if err != nil {
			_ = unix.Close(fd)
			fd = -1
		}
	}()
	if err := setSecret(fd, p.Remote, p.Secret); err != nil {
		return fd, err
	}
	if err := protect(fd, p); err != nil {
		return fd, err
	}
	if p.Local.IsValid() {
		// The port is chosen when the peer is known too, so that one may serve for streams to several peers.
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		if err := unix.Bind(fd, tcpAddr(p.Local, 0)); err != nil {
			return fd, fmt.Errorf("connect from %v: %w", p.Local, err)
		}
	}
	if err := unix.Connect(fd, tcpAddr(p.Remote, port)); err != nil && err != unix.EINPROGRESS {
		return fd, os.NewSyscallError("connect", err)
	}
	return fd, nil
}

// listenOn opens a port, in the namespace of the calling thread.
func listenOn(f engine.Family, port uint16) (fd int, err error) {
	if fd, err = tcpSocket(f); err != nil {
		return -1, err
	}
	defer func() {
		if err != nil {
			_ = unix.Close(fd)
			fd = -1
			err = fmt.Errorf("port %d: %w", port, err)
		}
	}()
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return fd, os.NewSyscallError("setsockopt", err)
	}
	// firstTTL asks for it; without it GTSM begins with the second segment.
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_SAVE_SYN, 1)
	all := netip.IPv4Unspecified()
	if f == engine.IPv6 {
		all = netip.IPv6Unspecified()
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return fd, os.NewSyscallError("setsockopt", err)
		}
	}
	if err := unix.Bind(fd, tcpAddr(all, port)); err != nil {
		return fd, os.NewSyscallError("bind", err)
	}
	return fd, os.NewSyscallError("listen", unix.Listen(fd, 128))
}

// protect makes a stream's socket ask of the peer's segments what the peer's entry says.
func protect(fd int, p engine.StreamPeer) error {
	return setTTLs(fd, engine.FamilyOf(p.Remote), p.MinTTL > 0, p.MinTTL)
}

// setTTLs sets the TTL of segments that leave, 255 if the peers are near, else as usual, and the least of those that come.
func setTTLs(fd int, f engine.Family, near bool, least uint8) error {
	leave := -1
	if near {
		leave = 255
	}
	level, ttl, minimum := unix.IPPROTO_IP, unix.IP_TTL, unix.IP_MINTTL
	if f == engine.IPv6 {
		level, ttl, minimum = unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, unix.IPV6_MINHOPCOUNT
	}
	if err := unix.SetsockoptInt(fd, level, ttl, leave); err != nil {
		return os.NewSyscallError("set the TTL", err)
	}
	return os.NewSyscallError("set the least TTL", unix.SetsockoptInt(fd, level, minimum, int(least)))
}

// setSecret sets the secret of TCP MD5 for a peer; empty: none.
func setSecret(fd int, peer netip.Addr, secret string) error {
	key := unix.TCPMD5Sig{Keylen: uint16(len(secret))}
	if len(secret) > len(key.Key) {
		return fmt.Errorf("peer %v: %w", peer, errSecretLength)
	}
	copy(key.Key[:], secret)
	key.Addr.Family = uint16(domain(engine.FamilyOf(peer)))
	if peer.Is4() {
		a := peer.As4()
		copy(key.Addr.Data[2:], a[:]) // behind the port
	} else {
		a := peer.As16()
		copy(key.Addr.Data[6:], a[:]) // behind port and flow
	}
	err := unix.SetsockoptTCPMD5Sig(fd, unix.IPPROTO_TCP, unix.TCP_MD5SIG, &key)
	if err != nil && secret == "" {
		return nil // there was none
	}
	if err != nil {
		return fmt.Errorf("peer %v: set the secret of TCP MD5: %w", peer, err)
	}
	return nil
}

// firstTTL returns the TTL of the segment by which a stream that was accepted began; false: the kernel did not keep it,
// as in a storm that makes it answer without keeping anything (SYN cookies).
func firstTTL(fd int, f engine.Family) (uint8, bool) {
	var header [128]byte
	size := uint32(len(header))
	_, _, errno := syscall.Syscall6(syscall.SYS_GETSOCKOPT, uintptr(fd), unix.IPPROTO_TCP, unix.TCP_SAVED_SYN,
		uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 || size < 20 {
		return 0, false
	}
	if f == engine.IPv6 {
		return header[7], true
	}
	return header[8], true
}

func tcpAddr(a netip.Addr, port uint16) unix.Sockaddr {
	if a.Is4() {
		return &unix.SockaddrInet4{Addr: a.As4(), Port: int(port)}
	}
	return &unix.SockaddrInet6{Addr: a.As16(), Port: int(port)}
}

func addrPort(a unix.Sockaddr) netip.AddrPort {
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port))
	}
	return netip.AddrPort{}
}
