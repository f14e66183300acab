package config

import (
	"net/netip"
	"time"
)

// MSDP is what the file says of MSDP (RFC 3618), a protocol of IPv4. It runs if there are peers.
type MSDP struct {
	Peers []MSDPPeer

	// OriginatorID is the RP address of the Source-Active messages that this router originates (RFC 3618, section 3); invalid: the
	// RP's own. OriginatorInterface is the interface that it was taken from, if one stands in the file.
	OriginatorID        netip.Addr
	OriginatorInterface string

	Originate          []MSDPFilter // which sources of our own are told
	In, Out            []MSDPFilter // of every peer, before the peer's own
	RecommendedFilters bool         // RFC 4611, section 3
	EncapsulateData    bool
	StaticRPF          []MSDPStaticRPF

	Keepalive    time.Duration
	HoldTime     time.Duration
	ConnectRetry time.Duration
	SAInterval   time.Duration
	SAHoldDown   time.Duration
	SAState      time.Duration

	MaxSAs          int
	MaxSAsPerPeer   int // unless the peer says otherwise
	MaxSAsPerSource int
	MaxSAsPerRP     int
}

// MSDPPeer is a peer. The file may take its address of ours from an interface, and its secret from a file.
type MSDPPeer struct {
	Address        netip.Addr
	Local          netip.Addr
	LocalInterface string // where Local was taken from, if the file does not say it
	RemoteAS       uint32 // 0: not known
	Description    string
	MeshGroup      string // empty: none
	Secret         string // of TCP MD5; empty: none
	SecretFile     string // where Secret was read
	SecurityHops   uint8  // routers may be so far away (RFC 5082); 0: any
	TTLThreshold   uint8  // data packets with a smaller TTL are not encapsulated for it
	In, Out        []MSDPFilter
	MaxSAs         int
	Default        bool // a default RPF peer
	Requests       bool // its SA-Requests are answered
	Shutdown       bool
}

// MSDPFilter says whether what it describes passes. Of several the first that fits decides; what none fits passes.
type MSDPFilter struct {
	Deny          bool
	Source, Group netip.Prefix
	RP            netip.Prefix
}

// MSDPStaticRPF makes a peer the peer-RPF neighbor of RPs (RFC 3618, section 10.1.3).
type MSDPStaticRPF struct {
	RPs  netip.Prefix
	Peer netip.Addr
}
