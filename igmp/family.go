package igmp

import (
	"bytes"
	"fmt"
	"net/netip"
	"time"

	"grove/internal/engine"
)

// family holds all that differs between IGMP and MLD. The machines speak of generations, which both have: generation 3
// has source lists (IGMPv3, MLDv2), 2 has Leave (IGMPv2, MLDv1), 1 has neither (IGMPv1).
type family struct {
	engine.Family
	name       string
	proto      uint8
	tos        uint8
	offset     int           // generation less version
	allSystems netip.Addr    // General Queries go there
	allRouters netip.Addr    // Leave and Done
	reports    netip.Addr    // reports of generation 3
	width      int           // octets of an address
	overhead   int           // octets of the IP header with Router Alert
	unit       time.Duration // of the times in queries
	query      int           // octets of a Query of the newest version, without sources
	mtu        int           // assumed of an interface that does not tell
}

var (
	// igmp: RFC 3376 section 4: TTL 1, precedence Internetwork Control, Router Alert.
	igmpFamily = family{
		Family: engine.IPv4, name: "IGMP", proto: engine.ProtoIGMP, tos: 0xc0, offset: 0,
		allSystems: netip.MustParseAddr("224.0.0.1"), allRouters: netip.MustParseAddr("224.0.0.2"),
		reports: netip.MustParseAddr("224.0.0.22"), width: 4, overhead: 24, query: 12, unit: 100 * time.Millisecond, mtu: 1500,
	}
	// mld: RFC 3810 section 5: hop limit 1, Router Alert in a Hop-by-Hop header, a link-local source.
	mldFamily = family{
		Family: engine.IPv6, name: "MLD", proto: engine.ProtoICMPv6, offset: 1,
		allSystems: netip.MustParseAddr("ff02::1"), allRouters: netip.MustParseAddr("ff02::2"),
		reports: netip.MustParseAddr("ff02::16"), width: 16, overhead: 48, query: 28, unit: time.Millisecond, mtu: 1280,
	}
)

// The generations.
const (
	plain       = 1 // IGMPv1
	withLeave   = 2 // IGMPv2, MLDv1
	withSources = 3 // IGMPv3, MLDv2
)

func familyOf(f engine.Family) *family {
	if f == engine.IPv6 {
		return &mldFamily
	}
	return &igmpFamily
}

// version returns the protocol's name for a generation: "IGMPv2", "MLDv2".
func (f *family) version(generation int) string {
	return fmt.Sprintf("%sv%d", f.name, generation-f.offset)
}

// unrouted says whether no router forwards the group, so that no state is kept of it: 224.0.0.0/24, and scopes 0 to 2
// of IPv6 (RFC 4541 section 2.1.2, RFC 4291 section 2.7).
func (f *family) unrouted(group netip.Addr) bool {
	if f.Family == engine.IPv6 {
		return group.As16()[1]&0x0f <= 2
	}
	b := group.As4()
	return b[0] == 224 && b[1] == 0 && b[2] == 0
}

// unreported says whether a host sends no message about the group: the all-systems group (RFC 3376 section 5), and
// scopes 0 and 1 of IPv6 (RFC 3810 section 6).
func (f *family) unreported(group netip.Addr) bool {
	return group == f.allSystems || f.Family == engine.IPv6 && group.As16()[1]&0x0f <= 1
}

// unspecified is the source of a host that has no address yet.
func (f *family) unspecified() netip.Addr {
	if f.Family == engine.IPv6 {
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}

// lower says whether a beats b in the querier election: by the address, of IPv6 by its last 64 bits (RFC 3376 section
// 6.6.2, RFC 3810 section 7.6.2).
func (f *family) lower(a, b netip.Addr) bool {
	if f.Family == engine.IPv6 {
		x, y := a.As16(), b.As16()
		return bytes.Compare(x[8:], y[8:]) < 0
	}
	return a.Less(b)
}

// source says whether an address can be the source of packets to a group.
func (f *family) source(a netip.Addr) bool {
	return !a.IsUnspecified() && !a.IsMulticast() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}
