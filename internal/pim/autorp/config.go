package autorp

import (
	"net/netip"
	"slices"
	"time"

	"grove/internal/pim/autorp/wire"
)

// Config is the configuration of Auto-RP, validated. daemon/config fills in the defaults; durations are already divided by the
// time scale. The zero Config does nothing.
type Config struct {
	Listen     bool // mappings are learned
	Candidates []Candidate
	Agent      Agent // with an invalid address: this router is none
	// MaxMappings bounds what is learned: ranges of groups, of each agent. MaxAnnounced bounds what the agent collects: ranges of
	// groups, of each RP. 0: 1024 each.
	MaxMappings, MaxAnnounced int
}

// Candidate says that this router is an RP, if the address is one of its own.
type Candidate struct {
	Address  netip.Addr
	Groups   []wire.Group
	Scope    uint8         // TTL of the announcements
	Interval time.Duration // between announcements: 60 s by the draft
	Holdtime time.Duration // how long one is valid; 0: without end
}

// Agent says that this router is a mapping agent, if the address is one of its own.
type Agent struct {
	Address  netip.Addr
	Scope    uint8
	Interval time.Duration
	Holdtime time.Duration
	Accept   []Filter // which announcements count; empty: all
}

// Filter accepts announcements of RPs in RP for ranges of groups within Groups.
type Filter struct{ RP, Groups netip.Prefix }

// On says whether Auto-RP runs: then its groups are dense, and its messages are to be handed up.
func (c *Config) On() bool { return c.Listen || len(c.Candidates) > 0 || c.Agent.Address.IsValid() }

// Hears lists the groups whose messages concern this router.
func (c *Config) Hears() []netip.Addr {
	var list []netip.Addr
	if c.Agent.Address.IsValid() {
		list = append(list, wire.AnnounceGroup)
	}
	if c.Listen || c.Agent.Address.IsValid() {
		list = append(list, wire.DiscoveryGroup)
	}
	return list
}

const defaultMax = 1024

func (c Config) withDefaults() Config {
	if c.MaxMappings == 0 {
		c.MaxMappings = defaultMax
	}
	if c.MaxAnnounced == 0 {
		c.MaxAnnounced = defaultMax
	}
	return c
}

func (c *Candidate) equal(o *Candidate) bool {
	return c.Address == o.Address && slices.Equal(c.Groups, o.Groups) && c.Scope == o.Scope && c.Interval == o.Interval &&
		c.Holdtime == o.Holdtime
}

func (a *Agent) accepts(rp netip.Addr, groups netip.Prefix) bool {
	for _, f := range a.Accept {
		if f.RP.Contains(rp) && within(groups, f.Groups) {
			return true
		}
	}
	return len(a.Accept) == 0
}

// within says whether all addresses of p are in o.
func within(p, o netip.Prefix) bool { return o.Bits() <= p.Bits() && o.Contains(p.Addr()) }
