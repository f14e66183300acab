package msdp

import (
	"net/netip"
	"time"

	"grove/internal/engine"
)

// Config is the configuration of an msdp machine, validated. daemon/config fills in the defaults; durations are already
// divided by the time scale.
type Config struct {
	Peers []PeerConfig // by different addresses

	// OriginatorID is the RP address in the Source-Active messages that we originate; invalid: the RP's own. Anycast-RPs, which
	// share that one, need it (RFC 3446, section 4).
	OriginatorID netip.Addr
	// Originate says which of our own sources we tell of; of each rule the RP is the one that the message names.
	Originate Filter
	// NoRecommendedFilters leaves out the filters for groups and sources that are local to a domain (RFC 4611, section 4.1):
	// RecommendedFilters. They hold for what we originate, and towards peers that are in no mesh group, in and out.
	NoRecommendedFilters bool
	// NoData leaves out the first packet of a source, which is encapsulated in the message that tells of it (RFC 3618, section 8).
	NoData bool

	StaticRPF []StaticRPF

	ConnectRetry  time.Duration // ConnectRetry-Period, default 30 s
	Hold          time.Duration // HoldTime-Period, default 75 s, at least 3 s
	Keepalive     time.Duration // KeepAlive-Period, default 60 s, at least 1 s and less than Hold
	Advertisement time.Duration // SA-Advertisement-Period, default 60 s, which the RFC demands
	HoldDown      time.Duration // SA-Hold-Down-Period: a cached (S,G) is sent on no more often; default 30 s
	// SGState is SG-State-Period, default 150 s, at least Advertisement + HoldDown.
	SGState time.Duration

	MaxSAs       int // cached entries, default 500,000
	MaxPerRP     int // of those that a peer told, those of one RP, default 50,000
	MaxPerSource int // of those that a peer told, those of one source address, default 1,000
	MaxPerFlow   int // RPs by which one peer tells of one (S,G), default 8
	MaxRPs       int // RPs that are known, default 20,000
	MaxRPsOfPeer int // of those, that one peer was the first to name; default 5,000
}

// PeerConfig is one peer.
type PeerConfig struct {
	Address netip.Addr
	// Local is our own address of the connection. The side with the lower address opens it (RFC 3618, section 11). It has to be
	// an address of this router.
	Local    netip.Addr
	Password string // of TCP MD5 (RFC 2385); empty: none
	MinTTL   uint8  // GTSM (RFC 5082); 0: off
	Disabled bool
	// AS is the autonomous system in which the peer resides (rule iv of peer-RPF); 0: that of BGP's route to its address.
	AS uint32

	MeshGroup string // empty: none
	// Default makes it a default peer: what no rule finds an RPF peer for is taken from the first default peer that is
	// established, in the order of the configuration. DefaultFor limits that to RPs in these prefixes.
	Default    bool
	DefaultFor []netip.Prefix

	In, Out Filter
	// Boundary are the groups for which an administrative scope boundary lies between us and the peer: nothing of them is sent or
	// taken (RFC 3618, section 7).
	Boundary []netip.Prefix
	// TTLThreshold is what the TTL of an encapsulated packet must be at least for it to be sent to the peer; 0: any.
	TTLThreshold uint8
	// Request asks the peer for the sources of a group that gets its first receivers (Source-Active Request). A peer that
	// caches, as RFC 3618 demands, has told them already.
	Request bool

	MaxSAs int // cached entries from this peer, default 100,000
	// Rate is how many entries are taken from the peer in a second, and Burst how many at once: the rest is dropped. Default
	// 10,000 and 100,000.
	Rate, Burst int
	// MaxWaiting is how many bytes may wait for the peer to read. What is over that is not sent; the cache is sent again when
	// it has read. Default 256 KiB, at least 64 KiB.
	MaxWaiting int
}

// StaticRPF names the RPF peer of RPs for which no route tells it (rule v of peer-RPF). The longest prefix decides.
type StaticRPF struct {
	RPs  netip.Prefix
	Peer netip.Addr
}

// Defaults of RFC 3618, section 5, and of our own bounds.
const (
	defaultConnectRetry  = 30 * time.Second
	defaultHold          = 75 * time.Second
	defaultKeepalive     = 60 * time.Second
	defaultAdvertisement = 60 * time.Second
	defaultHoldDown      = 30 * time.Second
	defaultSGState       = 150 * time.Second
	defaultMaxSAs        = 500_000
	defaultMaxPerRP      = 50_000
	defaultMaxPerSource  = 1_000
	defaultMaxPerFlow    = 8
	defaultMaxRPs        = 20_000
	defaultMaxRPsOfPeer  = 5_000
	defaultMaxSAsOfPeer  = 100_000
	defaultRate          = 10_000
	defaultBurst         = 100_000
	defaultMaxWaiting    = 256 << 10
	minMaxWaiting        = 64 << 10
)

// set gives a value that is left out its default.
func set[T comparable](v *T, otherwise T) {
	var zero T
	if *v == zero {
		*v = otherwise
	}
}

// withDefaults fills in what the configuration leaves out, so that the zero Config is one, too.
func (c Config) withDefaults() Config {
	set(&c.ConnectRetry, defaultConnectRetry)
	set(&c.Hold, defaultHold)
	set(&c.Keepalive, defaultKeepalive)
	set(&c.Advertisement, defaultAdvertisement)
	set(&c.HoldDown, defaultHoldDown)
	set(&c.SGState, defaultSGState)
	set(&c.MaxSAs, defaultMaxSAs)
	set(&c.MaxPerRP, defaultMaxPerRP)
	set(&c.MaxPerSource, defaultMaxPerSource)
	set(&c.MaxPerFlow, defaultMaxPerFlow)
	set(&c.MaxRPs, defaultMaxRPs)
	set(&c.MaxRPsOfPeer, defaultMaxRPsOfPeer)
	peers := make([]PeerConfig, 0, len(c.Peers))
	for _, p := range c.Peers {
		set(&p.MaxSAs, defaultMaxSAsOfPeer)
		set(&p.Rate, defaultRate)
		set(&p.Burst, defaultBurst)
		set(&p.MaxWaiting, defaultMaxWaiting)
		p.MaxWaiting = max(p.MaxWaiting, minMaxWaiting)
		peers = append(peers, p)
	}
	c.Peers = peers
	return c
}

// transport is what of a peer's configuration a connection is made with.
func (c *PeerConfig) transport() engine.StreamPeer {
	return engine.StreamPeer{Local: c.Local, Remote: c.Address, Secret: c.Password, MinTTL: c.MinTTL}
}

// configure changes to a new configuration. A peer whose connection would be made otherwise is reset; all else is changed
// under it.
func (m *Machine) configure(c Config) {
	advertisement, spoke, noRecommended := m.cfg.Advertisement, len(m.cfg.Peers) > 0, m.cfg.NoRecommendedFilters
	m.cfg = c.withDefaults()
	// "An RP starts the SA-Advertisement-Timer when the MSDP process is configured", and "the timer is deleted when the MSDP process
	// is de-configured" (section 5.2).
	if speaks := len(m.cfg.Peers) > 0; !speaks {
		m.timers.Stop(&m.advertise.timer)
	} else if !spoke || advertisement != m.cfg.Advertisement {
		m.startAdvertising()
	}
	m.configured = true
	m.rpfChanged()
	wanted := make(map[netip.Addr]*PeerConfig, len(m.cfg.Peers))
	for n := range m.cfg.Peers {
		wanted[m.cfg.Peers[n].Address] = &m.cfg.Peers[n]
	}
	for a, p := range engine.SortedAddrs(m.peers) {
		if wanted[a] == nil {
			p.remove()
		}
	}
	m.order = m.order[:0]
	in, out := noRecommended && !m.cfg.NoRecommendedFilters, !noRecommended && m.cfg.NoRecommendedFilters
	for n := range m.cfg.Peers {
		pc := &m.cfg.Peers[n]
		p := m.peers[pc.Address]
		if p == nil {
			p = m.newPeer(pc)
		} else {
			in = in || !sameIn(&p.cfg, pc)
			more := out && pc.MeshGroup == "" || !sameOut(&p.cfg, pc)
			if p.reconfigure(pc); more && p.state == Established {
				p.startDump() // there may be more that it is told from now on
			}
		}
		m.order = append(m.order, p)
	}
	m.refilter()
	if in {
		m.refiltering.next = m.cached.first
		m.refilterSlice()
	}
	m.enablePeers()
	if len(m.cfg.Peers) == 0 {
		m.forget()
	}
}

// forget ends all that peers told, when there are none any more.
func (m *Machine) forget() {
	for m.cached.first != nil {
		m.cached.first.remove("there are no peers any more")
	}
	for _, r := range engine.SortedAddrs(m.rps) {
		r.forget()
	}
}
