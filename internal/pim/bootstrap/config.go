package bootstrap

import (
	"net/netip"
	"time"

	"grove/internal/engine"
)

// Config is the configuration of the mechanism, validated. Durations are divided by the time scale.
type Config struct {
	Candidate    *Candidate    // nil: this router is no Candidate-BSR
	CandidateRPs []CandidateRP // that this router advertises
	// AcceptRP are the addresses of the RPs that this router, as BSR, accepts Candidate-RP-Advertisements of. Empty: all.
	AcceptRP []netip.Prefix
	// Unicast says that Bootstrap messages to a new neighbor are unicast, too, and that those that come so are accepted
	// (section 3.5.2), for routers of RFC 2362. Default false.
	Unicast bool

	Period      time.Duration // BS_Period, default 60 s
	Timeout     time.Duration // BS_Timeout, default 130 s; larger than Period
	MinInterval time.Duration // BS_Min_Interval, default 10 s
	ZoneTimeout time.Duration // SZ_Timeout, default 1300 s; larger than Timeout
	// Borders are the interfaces, by name, on which no message of the mechanism is sent or accepted (section 6.3).
	Borders []string
	// Boundaries are the scopes whose border an interface is, by its name.
	Boundaries map[string][]netip.Prefix

	// Second is what BS_Rand_Override and C_RP_Adv_Backoff count in: one, divided by the time scale.
	Second time.Duration

	MaxZones    int // zones that are heard of, default 64
	MaxMappings int // of a zone, and candidates at the BSR; default 10,000
}

// Candidate is what this router is as a Candidate-BSR.
type Candidate struct {
	Address     netip.Addr     // of ours, that the domain reaches
	Priority    uint8          // the highest wins; default 64
	HashMaskLen uint8          // default 30 for IPv4, 126 for IPv6
	Zones       []netip.Prefix // scope zones that it is a candidate for, besides the whole domain. IPv6: ff0s::/16 of a scope s
}

// CandidateRP is a Candidate-RP of this router.
type CandidateRP struct {
	Address  netip.Addr     // of ours, that the domain reaches
	Groups   []netip.Prefix // that it is willing to serve; default all multicast
	Priority uint8          // the lowest wins; default 192
	Period   time.Duration  // C_RP_Adv_Period, default 60 s. The holdtime that is sent is 2.5 times that
}

// withDefaults fills in what the configuration leaves out.
func (c Config) withDefaults(f engine.Family) Config {
	set := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	set(&c.Period, 60*time.Second)
	set(&c.Timeout, 2*c.Period+10*time.Second)
	set(&c.MinInterval, 10*time.Second)
	set(&c.ZoneTimeout, 10*c.Timeout)
	set(&c.Second, time.Second)
	if c.MaxZones == 0 {
		c.MaxZones = 64
	}
	if c.MaxMappings == 0 {
		c.MaxMappings = 10_000
	}
	rps := make([]CandidateRP, len(c.CandidateRPs))
	for i, rp := range c.CandidateRPs {
		set(&rp.Period, 60*time.Second)
		if len(rp.Groups) == 0 {
			rp.Groups = []netip.Prefix{allMulticast(f)}
		}
		rps[i] = rp
	}
	c.CandidateRPs = rps
	return c
}

func allMulticast(f engine.Family) netip.Prefix {
	if f == engine.IPv6 {
		return netip.PrefixFrom(netip.AddrFrom16([16]byte{0xff}), 8)
	}
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{224}), 4)
}
