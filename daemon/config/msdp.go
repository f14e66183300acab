package config

import (
	"net/netip"
	"time"

	"grove/msdp"
)

// MSDP is what the file says of MSDP (RFC 3618), a protocol of IPv4. It runs if there are peers.
type MSDP struct {
	Peers []MSDPPeer

	// OriginatorID is the RP address of the Source-Active messages that this router originates (RFC 3618, section 3); invalid: the
	// RP's own. OriginatorInterface is the interface that it was taken from, if one stands in the file.
	OriginatorID        netip.Addr
	OriginatorInterface string

	Originate          []MSDPFilter // which sources of our own are told
	In, Out            []MSDPFilter // of each peer that has none of its own
	RecommendedFilters bool         // RFC 4611, section 4.1
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
	MaxRPsPerFlow   int
	MaxRPs          int
	MaxRPsPerPeer   int
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
	Boundary       []netip.Prefix // groups that do not cross
	MaxSAs         int            // 0: MaxSAsPerPeer
	Rate, Burst    int
	MaxWaiting     int
	Default        bool           // a default RPF peer
	DefaultFor     []netip.Prefix // of these RPs only; none: of all
	Request        bool           // it is asked for sources
	Shutdown       bool
}

// MSDPFilter says whether what it describes passes. Of several the first that fits decides; what none fits does not pass.
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

// msdp returns the configuration of MSDP.
func (c *Config) msdp() msdp.Config {
	m := &c.MSDP
	d := msdp.Config{
		OriginatorID: m.OriginatorID, Originate: msdpFilter(m.Originate), NoRecommendedFilters: !m.RecommendedFilters, NoData: !m.EncapsulateData,
		ConnectRetry: c.scaled(m.ConnectRetry), Hold: c.scaled(m.HoldTime), Keepalive: c.scaled(m.Keepalive),
		Advertisement: c.scaled(m.SAInterval), HoldDown: c.scaled(m.SAHoldDown), SGState: c.scaled(m.SAState),
		MaxSAs: m.MaxSAs, MaxPerRP: m.MaxSAsPerRP, MaxPerSource: m.MaxSAsPerSource, MaxPerFlow: m.MaxRPsPerFlow, MaxRPs: m.MaxRPs,
		MaxRPsOfPeer: m.MaxRPsPerPeer,
	}
	for _, s := range m.StaticRPF {
		d.StaticRPF = append(d.StaticRPF, msdp.StaticRPF{RPs: s.RPs, Peer: s.Peer})
	}
	for _, p := range m.Peers {
		in, out, most := p.In, p.Out, p.MaxSAs
		if len(in) == 0 {
			in = m.In
		}
		if len(out) == 0 {
			out = m.Out
		}
		if most == 0 {
			most = m.MaxSAsPerPeer
		}
		peer := msdp.PeerConfig{
			Address: p.Address, Local: p.Local, Password: p.Secret, Disabled: p.Shutdown, AS: p.RemoteAS, MeshGroup: p.MeshGroup,
			Default: p.Default, DefaultFor: p.DefaultFor, In: msdpFilter(in), Out: msdpFilter(out), Boundary: p.Boundary,
			TTLThreshold: p.TTLThreshold, Request: p.Request, MaxSAs: most, Rate: p.Rate, Burst: p.Burst, MaxWaiting: p.MaxWaiting,
		}
		if p.SecurityHops > 0 {
			peer.MinTTL = 255 - (p.SecurityHops - 1)
		}
		d.Peers = append(d.Peers, peer)
	}
	return d
}

func msdpFilter(rules []MSDPFilter) msdp.Filter {
	var f msdp.Filter
	for _, r := range rules {
		f = append(f, msdp.FilterRule{Deny: r.Deny, Source: r.Source, Group: r.Group, RP: r.RP})
	}
	return f
}
