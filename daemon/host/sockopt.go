package host

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Control messages of raw sockets, both ways, for both families. The packages of x/net build and read them too, but
// not the ones for TOS and IP options on the way out, nor the hop-by-hop options on the way in.

// appendControl appends a control message.
func appendControl(b []byte, level, kind int, data []byte) []byte {
	at := len(b)
	b = append(b, make([]byte, unix.CmsgSpace(len(data)))...)
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[at]))
	h.Level, h.Type = int32(level), int32(kind)
	h.SetLen(unix.CmsgLen(len(data)))
	copy(b[at+unix.CmsgLen(0):], data)
	return b
}

func appendControlInt(b []byte, level, kind, value int) []byte {
	return appendControl(b, level, kind, binary.NativeEndian.AppendUint32(nil, uint32(value)))
}

// pktinfo4 is a struct in_pktinfo: leave by index (0: by the route), from src (invalid: the kernel chooses).
func pktinfo4(index int, src netip.Addr) []byte {
	b := make([]byte, 12)
	binary.NativeEndian.PutUint32(b, uint32(index))
	if src.Is4() {
		a := src.As4()
		copy(b[4:], a[:])
	}
	return b
}

// pktinfo6 is a struct in6_pktinfo.
func pktinfo6(index int, src netip.Addr) []byte {
	b := make([]byte, 20)
	if src.Is6() {
		a := src.As16()
		copy(b, a[:])
	}
	binary.NativeEndian.PutUint32(b[16:], uint32(index))
	return b
}

// Router Alert as an IPv4 option (RFC 2113), and as hop-by-hop options header with padding (RFC 2711): value 0, MLD,
// which is also what RFC 3810 section 5 asks for.
var (
	routerAlert4 = []byte{0x94, 4, 0, 0}
	routerAlert6 = []byte{0, 0, 5, 2, 0, 0, 1, 0}
)

// hasRouterAlert4 looks for the option among those of an IPv4 header.
func hasRouterAlert4(options []byte) bool {
	for len(options) > 0 {
		switch options[0] {
		case 0: // end
			return false
		case 1: // no operation
			options = options[1:]
			continue
		case routerAlert4[0]:
			return true
		}
		if len(options) < 2 || options[1] < 2 || int(options[1]) > len(options) {
			return false
		}
		options = options[options[1]:]
	}
	return false
}

// hasRouterAlert6 looks for the option in a hop-by-hop options header.
func hasRouterAlert6(header []byte) bool {
	if len(header) < 2 {
		return false
	}
	for b := header[2:]; len(b) >= 2; {
		if b[0] == 0 { // Pad1
			b = b[1:]
			continue
		}
		if b[0] == 5 {
			return true
		}
		n := 2 + int(b[1])
		if n > len(b) {
			return false
		}
		b = b[n:]
	}
	return false
}

// received is what the control messages of a packet say.
type received struct {
	index       int // where it came in
	dst         netip.Addr
	hopLimit    uint8
	class       uint8
	routerAlert bool
}

func parseControl(oob []byte) (r received) {
	for len(oob) >= unix.SizeofCmsghdr {
		header, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			return r
		}
		level, kind := int(header.Level), int(header.Type)
		switch {
		case level == unix.IPPROTO_IP && kind == unix.IP_PKTINFO && len(data) >= 12:
			r.index = int(binary.NativeEndian.Uint32(data))
			r.dst = netip.AddrFrom4([4]byte(data[8:]))
		case level == unix.IPPROTO_IPV6 && kind == unix.IPV6_PKTINFO && len(data) >= 20:
			r.dst = netip.AddrFrom16([16]byte(data))
			r.index = int(binary.NativeEndian.Uint32(data[16:]))
		case level == unix.IPPROTO_IPV6 && kind == unix.IPV6_HOPLIMIT && len(data) >= 4:
			r.hopLimit = uint8(number(data))
		case level == unix.IPPROTO_IPV6 && kind == unix.IPV6_TCLASS && len(data) >= 4:
			r.class = uint8(number(data))
		case level == unix.IPPROTO_IPV6 && kind == unix.IPV6_HOPOPTS:
			r.routerAlert = hasRouterAlert6(data)
		}
		oob = rest
	}
	return r
}

func sockaddr(a netip.Addr, index int) unix.Sockaddr {
	if a.Is4() {
		return &unix.SockaddrInet4{Addr: a.As4()}
	}
	to := &unix.SockaddrInet6{Addr: a.As16()}
	if a.IsLinkLocalUnicast() || a.IsLinkLocalMulticast() || a.IsInterfaceLocalMulticast() {
		to.ZoneId = uint32(index)
	}
	return to
}

// setInts sets socket options, in order.
func setInts(c syscall.Conn, options [][3]int) error {
	rc, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = rc.Control(func(fd uintptr) {
		for _, o := range options {
			if failed = unix.SetsockoptInt(int(fd), o[0], o[1], o[2]); failed != nil {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	return failed
}

// setBuffer sets the receive or send buffer: beyond the system's limit if we may, else as far as it goes.
func setBuffer(c syscall.Conn, force, plain, size int) {
	if setInts(c, [][3]int{{unix.SOL_SOCKET, force, size}}) != nil {
		_ = setInts(c, [][3]int{{unix.SOL_SOCKET, plain, size}})
	}
}
