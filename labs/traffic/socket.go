package traffic

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// DefaultPort is the UDP port that both ends use if they are told nothing else.
const DefaultPort = 5001

// Options of Linux sockets that package syscall does not name.
const (
	soRcvBufForce    = 33
	soTimestampNS    = 35
	soRxqOvfl        = 40
	ipMulticastAll   = 49
	ipv6MulticastAll = 29
	ipv6RecvHopLimit = 51
	ipv6HopLimit     = 52
)

// option is a socket option with an int as its value.
type option struct {
	name         string
	level, which int
	value        int
	optional     bool // the socket works without
}

// setOptions sets options on a socket before it is bound.
func setOptions(c syscall.RawConn, options []option) error {
	var err error
	controlErr := c.Control(func(fd uintptr) {
		for _, o := range options {
			if e := syscall.SetsockoptInt(int(fd), o.level, o.which, o.value); e != nil && !o.optional {
				err = fmt.Errorf("%s: %w", o.name, e)
				return
			}
		}
	})
	if controlErr != nil {
		return controlErr
	}
	return err
}

// interfaceByName returns an interface of the calling thread's namespace.
func interfaceByName(name string) (*net.Interface, error) {
	if name == "" {
		return nil, fmt.Errorf("traffic: no interface named: multicast needs one (-i)")
	}
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("traffic: there is no interface %s here", name)
	}
	return ifi, nil
}

// control is what came with a datagram.
type control struct {
	at      time.Time
	ttl     uint8
	dropped uint32 // datagrams that the socket dropped since it was opened
}

// parseControl reads the control messages of a datagram.
func parseControl(oob []byte) (control, error) {
	var c control
	messages, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return c, err
	}
	for _, m := range messages {
		switch level, kind := m.Header.Level, m.Header.Type; {
		case level == syscall.SOL_SOCKET && kind == soTimestampNS && len(m.Data) >= 16:
			c.at = time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:])))
		case level == syscall.SOL_SOCKET && kind == soRxqOvfl && len(m.Data) >= 4:
			c.dropped = binary.NativeEndian.Uint32(m.Data)
		case level == syscall.IPPROTO_IP && kind == syscall.IP_TTL && len(m.Data) >= 4,
			level == syscall.IPPROTO_IPV6 && kind == ipv6HopLimit && len(m.Data) >= 4:
			c.ttl = uint8(binary.NativeEndian.Uint32(m.Data))
		}
	}
	return c, nil
}

// network returns "udp4" or "udp6".
func network(a netip.Addr) string {
	if a.Is4() {
		return "udp4"
	}
	return "udp6"
}

// checkGroup says what is wrong with a group.
func checkGroup(g netip.Addr) error {
	if !g.IsValid() {
		return fmt.Errorf("traffic: no group named")
	}
	if !g.IsMulticast() {
		return fmt.Errorf("traffic: %s is not a multicast group: IPv4 has 224.0.0.0/4, IPv6 ff00::/8", g)
	}
	return nil
}
