package config

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// BGP is what the file says of BGP. Its timers are not divided by the time scale: BGP counts whole seconds, and its hold time
// is 3 at least.
type BGP struct {
	AS              uint32
	RouterID        netip.Addr
	Listen          []netip.Addr // none: all addresses
	Port            int
	GracefulRestart bool
	RestartTime     time.Duration
	InstallUnicast  bool // into the kernel's main table
	Neighbors       []BGPNeighbor
	Networks        []BGPNetwork
	Redistribute    []BGPRedistribution
	Policies        []BGPRule // all rules of all policies, in the order of the file
}

// BGPFamily is what routes are of, an address family and what they are for.
type BGPFamily uint8

// The families that BGP carries. Multicast (SAFI 2) is routes for the reverse-path check.
const (
	IPv4Unicast BGPFamily = iota
	IPv4Multicast
	IPv6Unicast
	IPv6Multicast
)

var bgpFamilyNames = []string{"ipv4-unicast", "ipv4-multicast", "ipv6-unicast", "ipv6-multicast"}

// String returns the name by which people know the family.
func (f BGPFamily) String() string { return bgpFamilyNames[f] }

// Multicast says whether the family's routes are for the reverse-path check.
func (f BGPFamily) Multicast() bool { return f == IPv4Multicast || f == IPv6Multicast }

// IPv6 says whether the family's routes are of IPv6.
func (f BGPFamily) IPv6() bool { return f >= IPv6Unicast }

// FamilyOfRoute returns the family of routes to a prefix.
func FamilyOfRoute(p netip.Prefix, multicast bool) BGPFamily {
	f := IPv4Unicast
	if p.Addr().Is6() {
		f = IPv6Unicast
	}
	if multicast {
		f++
	}
	return f
}

// BGPNeighbor is a neighbor of BGP.
type BGPNeighbor struct {
	Address      netip.Addr
	AS           uint32
	Description  string
	Families     []BGPFamily
	Password     string
	PasswordFile string
	LocalAddress netip.Addr // invalid: as the kernel chooses
	Passive      bool       // wait for the neighbor to connect
	Multihop     int        // TTL of an EBGP neighbor that is not on a link; 0: it is on a link
	TTLSecurity  int        // GTSM: the most hops that it may be away; 0: off
	HoldTime     time.Duration
	Keepalive    time.Duration // 0: a third of the hold time that both agree on
	ConnectRetry time.Duration

	NextHopSelf          bool
	RouteReflectorClient bool
	MaxPrefixes          int    // of each family; 0: no limit
	Import, Export       string // names of policies
}

// BGPNetwork is a network that this router originates.
type BGPNetwork struct {
	Prefix             netip.Prefix
	Unicast, Multicast bool
	MED                uint32
	Communities        []string
}

// BGPRedistribution is a kind of routes that this router originates.
type BGPRedistribution struct {
	From               string // connected, static or dvmrp
	Unicast, Multicast bool
	MED                uint32
}

// BGPRule is a line of a policy. What it does not say matches everything.
type BGPRule struct {
	Policy      string
	Families    []BGPFamily
	Prefixes    []BGPPrefix
	Communities []string // one of them
	ASPath      string   // a regular expression in which _ is the border of a number
	Action      string   // accept, reject or next

	LocalPreference   *uint32
	MED               *uint32
	AddCommunities    []string
	RemoveCommunities []string
	Prepend           int // times our AS
}

// BGPPrefix is a line of a prefix list: networks within Prefix whose length is from Min to Max.
type BGPPrefix struct {
	Prefix   netip.Prefix
	Min, Max int
}

// String returns "10.0.0.0/8 ge 16 le 24".
func (p BGPPrefix) String() string {
	text := p.Prefix.String()
	if p.Min == p.Max && p.Min == p.Prefix.Bits() {
		return text
	}
	if p.Min != p.Prefix.Bits() {
		text += fmt.Sprintf(" ge %d", p.Min)
	}
	return text + fmt.Sprintf(" le %d", p.Max)
}

// parseBGPPrefix reads what String returns.
func parseBGPPrefix(s string) (BGPPrefix, error) {
	words := strings.Fields(s)
	if len(words) == 0 || len(words)%2 == 0 {
		return BGPPrefix{}, fmt.Errorf("%q is not a line of a prefix list", s)
	}
	p, err := netip.ParsePrefix(words[0])
	if err != nil || p != p.Masked() || p.Addr().Is4In6() {
		return BGPPrefix{}, fmt.Errorf("%q is not a network", words[0])
	}
	line := BGPPrefix{p, p.Bits(), p.Bits()}
	if !slices.Contains(words, "le") && slices.Contains(words, "ge") {
		line.Max = p.Addr().BitLen()
	}
	for i := 1; i < len(words); i += 2 {
		n, err := strconv.Atoi(words[i+1])
		switch {
		case err != nil || n < p.Bits() || n > p.Addr().BitLen():
			return BGPPrefix{}, fmt.Errorf("%s %s is not a length from %d to %d", words[i], words[i+1], p.Bits(), p.Addr().BitLen())
		case words[i] == "ge":
			line.Min = n
		case words[i] == "le":
			line.Max = n
		default:
			return BGPPrefix{}, fmt.Errorf("%q is neither ge nor le", words[i])
		}
	}
	if line.Min > line.Max {
		return BGPPrefix{}, fmt.Errorf("ge %d is more than le %d", line.Min, line.Max)
	}
	return line, nil
}

var (
	standardCommunity = regexp.MustCompile(`^[0-9]{1,5}:[0-9]{1,5}$`)
	wellKnown         = []string{"internet", "no-export", "no-advertise", "no-export-subconfed", "graceful-shutdown", "blackhole"}
)

// validCommunity says whether s is a community, AS:NUMBER or a well-known name.
func validCommunity(s string) bool {
	if slices.Contains(wellKnown, s) {
		return true
	}
	if !standardCommunity.MatchString(s) {
		return false
	}
	before, after, _ := strings.Cut(s, ":")
	a, _ := strconv.Atoi(before)
	b, _ := strconv.Atoi(after)
	return a <= 65535 && b <= 65535
}
