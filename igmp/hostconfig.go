package igmp

import (
	"net/netip"
	"time"

	"grove/internal/engine"
)

// HostConfig is the configuration of a Host: the whole list of what its applications listen to. A new one, at any time,
// is what applications joining and leaving looks like: the differences are reported.
type HostConfig struct {
	// Version is the newest version that the host speaks (IGMP 1 to 3, MLD 1 or 2); 0: the newest there is.
	Version int
	// Robustness is how often each change is reported, 1 to 7; 0: 2.
	Robustness int
	// UnsolicitedReportInterval bounds the random time between such reports; 0: 1 s, and 10 s in the versions without
	// source lists.
	UnsolicitedReportInterval time.Duration
	// QueryInterval is assumed of a querier whose version does not tell it; 0: 125 s.
	QueryInterval time.Duration
	// Memberships are by name of interface. An interface may be named before it exists.
	Memberships map[string][]HostMembership
}

// HostMembership is what one socket wants of a group on an interface: Sources alone (engine.Include), or all but
// Sources (engine.Exclude). Several memberships of one group are joined as RFC 3376 section 3.2 says.
type HostMembership struct {
	Group   netip.Addr
	Mode    engine.FilterMode
	Sources []netip.Addr
}
