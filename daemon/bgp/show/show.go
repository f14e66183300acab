// Package show has the types of what package bgp answers, so that who prints them needs no GoBGP.
package show

import (
	"net/netip"
	"time"
)

// Summary is what there is of BGP at a glance.
type Summary struct {
	AS        uint32
	RouterID  netip.Addr
	Neighbors []Neighbor
}

// Neighbor is a neighbor and its session.
type Neighbor struct {
	Address       netip.Addr
	AS            uint32
	Internal      bool
	Description   string
	State         string // as RFC 4271, section 8.2.2 names it
	Uptime        time.Duration
	RouterID      netip.Addr // the neighbor's
	LocalAddress  netip.Addr
	HoldTime      time.Duration // as agreed
	Keepalive     time.Duration
	Received      Messages
	Sent          Messages
	Families      []Family
	Flaps         uint32 // how often the session ended
	LastEnd       string // why it ended last
	MD5           bool
	TTLSecurity   int
	Multihop      int
	Passive       bool
	Restarting    bool // its routes are kept for a graceful restart
	Import        string
	Export        string
	ReflectorOf   bool // it is a client of ours
	GracefulStart bool // both sides can restart gracefully
}

// Messages count what went over a session.
type Messages struct{ Total, Updates, Notifications, Keepalives uint64 }

// Family is what is exchanged of a family. Accepted are those received that the import policy lets pass.
type Family struct {
	Name                           string
	Negotiated                     bool
	Received, Accepted, Advertised uint64
}

// Route is a route of BGP's tables.
type Route struct {
	Prefix          netip.Prefix
	Best            bool
	Ours            bool // we originate it
	Internal        bool
	Stale           bool // kept for a neighbor that restarts
	NextHop         netip.Addr
	Neighbor        netip.Addr
	ASPath          string
	LocalPreference *uint32
	MED             *uint32
	Origin          string
	Communities     []string
	Age             time.Duration
}
