package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// This file reads the kernel's links, addresses, unicast routes and nexthop objects. It does so by its own small
// parser: the netlink library knows no nexthop objects, and a subscription of its own for each kind would lose the
// order between them.

// link is an interface as the kernel describes it.
type link struct {
	index    int
	name     string
	hardware uint16 // ARPHRD_...
	flags    uint32 // IFF_...
	mtu      int

	tunnelLocal, tunnelRemote netip.Addr // of an ipip device
}

// address is an address of a link.
type address struct {
	index  int
	prefix netip.Prefix
	flags  uint32 // IFA_F_...
}

// routeKey names a route: the kernel tells the routes of one table apart by prefix and metric.
type routeKey struct {
	prefix netip.Prefix
	metric uint32
}

// route is a unicast route of the main table.
type route struct {
	routeKey
	kind     uint8 // RTN_...
	protocol uint8 // RTPROT_...
	hops     []hop
	nexthop  uint32 // ID of a nexthop object; then hops are what the kernel expanded, if it did
}

// hop is a next hop of a route.
type hop struct {
	index   int
	gateway netip.Addr
	weight  int
	dead    bool
}

// nexthop is a nexthop object: one hop, a blackhole, or a group of other objects with their weights.
type nexthop struct {
	id        uint32
	blackhole bool
	hop       hop
	group     []member
}

type member struct {
	id     uint32
	weight int
}

// What the reader of notifications tells the loop. A changed address, and a changed nexthop object, is only a hint:
// the loop reads all of them again, because their order, and what the kernel deletes without a word, is not in the
// notifications.
type (
	linkNews struct {
		link link
		gone bool
	}
	addressHint struct{}
	nexthopHint struct{}
	routeNews   struct {
		route    route
		gone     bool
		replaces bool // the one that was there
	}
	overflow struct{} // notifications were lost
)

var errShort = errors.New("netlink: message too short")

const (
	sizeofIfInfo = 16
	sizeofIfAddr = 8
	sizeofRtMsg  = 12
	sizeofNhMsg  = 8

	rtaNHID = 30 // RTA_NH_ID
)

// parseNotification turns a message into news; nil if it is of no interest here.
func parseNotification(kind, flags uint16, b []byte) (any, error) {
	switch kind {
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		l, ok, err := parseLink(b)
		if err != nil || !ok {
			return nil, err
		}
		return linkNews{l, kind == unix.RTM_DELLINK}, nil
	case unix.RTM_NEWADDR, unix.RTM_DELADDR:
		return addressHint{}, nil
	case unix.RTM_NEWNEXTHOP, unix.RTM_DELNEXTHOP:
		return nexthopHint{}, nil
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		r, ok, err := parseRoute(b)
		if err != nil || !ok {
			return nil, err
		}
		return routeNews{r, kind == unix.RTM_DELROUTE, flags&unix.NLM_F_REPLACE != 0}, nil
	}
	return nil, nil
}

// attributes ranges over the attributes in b. It stops at the first that does not fit.
func attributes(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= unix.SizeofRtAttr {
			n := int(binary.NativeEndian.Uint16(b))
			if n < unix.SizeofRtAttr || n > len(b) {
				return
			}
			kind := binary.NativeEndian.Uint16(b[2:]) &^ (unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)
			if !yield(kind, b[unix.SizeofRtAttr:n]) {
				return
			}
			b = b[min((n+3)&^3, len(b)):]
		}
	}
}

func number(b []byte) uint32 {
	if len(b) < 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(b)
}

func addr(b []byte) netip.Addr {
	a, _ := netip.AddrFromSlice(b)
	return a
}

// parseLink reads an ifinfomsg. Messages of a bridge about its ports, which have a family, are not about the link.
func parseLink(b []byte) (link, bool, error) {
	if len(b) < sizeofIfInfo {
		return link{}, false, errShort
	}
	if b[0] != unix.AF_UNSPEC {
		return link{}, false, nil
	}
	l := link{
		hardware: binary.NativeEndian.Uint16(b[2:]),
		index:    int(int32(binary.NativeEndian.Uint32(b[4:]))),
		flags:    binary.NativeEndian.Uint32(b[8:]),
	}
	var local, remote netip.Addr // the link-layer addresses of a tunnel are those of its outer header
	for kind, v := range attributes(b[sizeofIfInfo:]) {
		switch kind {
		case unix.IFLA_IFNAME:
			l.name = strings.TrimRight(string(v), "\x00")
		case unix.IFLA_MTU:
			l.mtu = int(number(v))
		case unix.IFLA_ADDRESS:
			local = addr(v)
		case unix.IFLA_BROADCAST:
			remote = addr(v)
		}
	}
	if l.hardware == unix.ARPHRD_TUNNEL && local.Is4() && remote.Is4() && !remote.IsUnspecified() {
		l.tunnelLocal, l.tunnelRemote = local, remote
	}
	return l, true, nil
}

// parseAddress reads an ifaddrmsg.
func parseAddress(b []byte) (address, bool, error) {
	if len(b) < sizeofIfAddr {
		return address{}, false, errShort
	}
	a := address{index: int(binary.NativeEndian.Uint32(b[4:])), flags: uint32(b[2])}
	var local, peer netip.Addr
	for kind, v := range attributes(b[sizeofIfAddr:]) {
		switch kind {
		case unix.IFA_LOCAL:
			local = addr(v)
		case unix.IFA_ADDRESS:
			peer = addr(v)
		case unix.IFA_FLAGS:
			a.flags = number(v)
		}
	}
	if !local.IsValid() { // IPv6 without a peer
		local = peer
	}
	a.prefix = netip.PrefixFrom(local, int(b[1]))
	return a, a.prefix.IsValid(), nil
}

// parseRoute reads an rtmsg; false for what is not a unicast route of the main table.
func parseRoute(b []byte) (route, bool, error) {
	if len(b) < sizeofRtMsg {
		return route{}, false, errShort
	}
	family, bits, srcBits, tos, table := b[0], int(b[1]), b[2], b[3], uint32(b[4])
	r := route{protocol: b[5], kind: b[7]}
	flags := binary.NativeEndian.Uint32(b[8:])
	if flags&unix.RTM_F_CLONED != 0 || srcBits != 0 || tos != 0 {
		return route{}, false, nil
	}
	var dst netip.Addr
	switch family {
	case unix.AF_INET:
		dst = netip.IPv4Unspecified()
	case unix.AF_INET6:
		dst = netip.IPv6Unspecified()
	default:
		return route{}, false, nil
	}
	switch r.kind {
	case unix.RTN_UNICAST, unix.RTN_BLACKHOLE, unix.RTN_UNREACHABLE, unix.RTN_PROHIBIT:
	default:
		return route{}, false, nil
	}
	var multipath []byte
	single := hop{weight: 1, dead: flags&unix.RTNH_F_DEAD != 0}
	for kind, v := range attributes(b[sizeofRtMsg:]) {
		switch kind {
		case unix.RTA_TABLE:
			table = number(v)
		case unix.RTA_DST:
			dst = addr(v)
		case unix.RTA_PRIORITY:
			r.metric = number(v)
		case unix.RTA_OIF:
			single.index = int(number(v))
		case unix.RTA_GATEWAY:
			single.gateway = addr(v)
		case unix.RTA_VIA:
			single.gateway = via(v)
		case unix.RTA_MULTIPATH:
			multipath = v
		case rtaNHID:
			r.nexthop = number(v)
		}
	}
	r.prefix = netip.PrefixFrom(dst, bits).Masked()
	if table != unix.RT_TABLE_MAIN || !r.prefix.IsValid() {
		return route{}, false, nil
	}
	if r.kind != unix.RTN_UNICAST {
		return r, true, nil
	}
	if multipath != nil {
		r.hops = parseMultipath(multipath)
	} else if single.index != 0 {
		r.hops = []hop{single}
	}
	return r, true, nil
}

// parseMultipath reads a list of rtnexthop.
func parseMultipath(b []byte) (hops []hop) {
	for len(b) >= unix.SizeofRtNexthop {
		n := int(binary.NativeEndian.Uint16(b))
		if n < unix.SizeofRtNexthop || n > len(b) {
			return hops
		}
		h := hop{
			dead:   b[2]&unix.RTNH_F_DEAD != 0,
			weight: int(b[3]) + 1,
			index:  int(int32(binary.NativeEndian.Uint32(b[4:]))),
		}
		for kind, v := range attributes(b[unix.SizeofRtNexthop:n]) {
			switch kind {
			case unix.RTA_GATEWAY:
				h.gateway = addr(v)
			case unix.RTA_VIA:
				h.gateway = via(v)
			}
		}
		hops = append(hops, h)
		b = b[min((n+3)&^3, len(b)):]
	}
	return hops
}

// via reads a gateway of another family than the route's (an IPv4 route by an IPv6 neighbour).
func via(b []byte) netip.Addr {
	if len(b) < 2 {
		return netip.Addr{}
	}
	return addr(b[2:])
}

// parseNexthop reads an nhmsg.
func parseNexthop(b []byte) (nexthop, error) {
	if len(b) < sizeofNhMsg {
		return nexthop{}, errShort
	}
	flags := binary.NativeEndian.Uint32(b[4:])
	n := nexthop{hop: hop{weight: 1, dead: flags&unix.RTNH_F_DEAD != 0}}
	for kind, v := range attributes(b[sizeofNhMsg:]) {
		switch kind {
		case unix.NHA_ID:
			n.id = number(v)
		case unix.NHA_BLACKHOLE:
			n.blackhole = true
		case unix.NHA_OIF:
			n.hop.index = int(number(v))
		case unix.NHA_GATEWAY:
			n.hop.gateway = addr(v)
		case unix.NHA_GROUP:
			for ; len(v) >= 8; v = v[8:] { // struct nexthop_grp: id, weight - 1
				n.group = append(n.group, member{id: number(v), weight: int(v[4]) + 1})
			}
		}
	}
	return n, nil
}

// rtnetlink is what the host reads from the kernel. All sockets belong to the namespace in which it was opened.
type rtnetlink struct {
	news    *nl.NetlinkSocket // notifications
	request map[int]*nl.SocketHandle
}

// openNetlink subscribes before anything is read, so that nothing is missed between.
func openNetlink() (*rtnetlink, error) {
	news, err := nl.Subscribe(unix.NETLINK_ROUTE,
		unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR,
		unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_NEXTHOP)
	if err != nil {
		return nil, fmt.Errorf("host: subscribe to links and routes: %w", err)
	}
	// A burst of route changes must fit while the loop is busy; without CAP_NET_ADMIN the kernel's limit holds.
	if err := news.SetReceiveBufferSize(4<<20, true); err != nil {
		_ = news.SetReceiveBufferSize(4<<20, false)
	}
	request, err := nl.Subscribe(unix.NETLINK_ROUTE)
	if err != nil {
		news.Close()
		return nil, fmt.Errorf("host: netlink: %w", err)
	}
	return &rtnetlink{news: news, request: map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: {Socket: request}}}, nil
}

func (n *rtnetlink) close() {
	n.news.Close()
	n.request[unix.NETLINK_ROUTE].Close()
}

// read waits for notifications and appends them to into. It fails when the socket is closed.
func (n *rtnetlink) read(into []any) ([]any, error) {
	messages, _, err := n.news.Receive()
	if errors.Is(err, syscall.ENOBUFS) {
		return append(into, overflow{}), nil
	}
	if err != nil {
		return into, err
	}
	for _, m := range messages {
		switch news, err := parseNotification(m.Header.Type, m.Header.Flags, m.Data); {
		case err != nil:
			into = append(into, overflow{}) // not understood: read it all
		case news != nil:
			into = append(into, news)
		}
	}
	return into, nil
}

// dump reads a whole table. The kernel says if the table changed meanwhile; then it is read again.
func dump[T any](n *rtnetlink, get, answer uint16, header []byte, parse func([]byte) (T, bool, error)) (all []T, err error) {
	for range 5 {
		req := nl.NewNetlinkRequest(int(get), unix.NLM_F_DUMP)
		req.Sockets = n.request
		req.AddRawData(header)
		var bad error
		all = all[:0]
		err = req.ExecuteIter(unix.NETLINK_ROUTE, answer, func(b []byte) bool {
			v, ok, err := parse(b)
			if err != nil {
				bad = err
			} else if ok {
				all = append(all, v)
			}
			return true
		})
		if bad != nil {
			return nil, bad
		}
		if !errors.Is(err, nl.ErrDumpInterrupted) {
			break
		}
	}
	return all, err
}

func (n *rtnetlink) links() ([]link, error) {
	return dump(n, unix.RTM_GETLINK, unix.RTM_NEWLINK, make([]byte, sizeofIfInfo), parseLink)
}

func (n *rtnetlink) addresses() ([]address, error) {
	return dump(n, unix.RTM_GETADDR, unix.RTM_NEWADDR, make([]byte, sizeofIfAddr), parseAddress)
}

func (n *rtnetlink) routes() (routes []route, err error) {
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		header := make([]byte, sizeofRtMsg)
		header[0] = family
		some, failed := dump(n, unix.RTM_GETROUTE, unix.RTM_NEWROUTE, header, parseRoute)
		if failed != nil && !errors.Is(failed, syscall.EAFNOSUPPORT) {
			err = failed
		}
		routes = append(routes, some...)
	}
	return routes, err
}

// nexthops reads the nexthop objects; a kernel before 5.3 has none.
func (n *rtnetlink) nexthops() ([]nexthop, error) {
	all, err := dump(n, unix.RTM_GETNEXTHOP, unix.RTM_NEWNEXTHOP, make([]byte, sizeofNhMsg),
		func(b []byte) (nexthop, bool, error) {
			nh, err := parseNexthop(b)
			return nh, true, err
		})
	if errors.Is(err, syscall.EOPNOTSUPP) {
		return nil, nil
	}
	return all, err
}
