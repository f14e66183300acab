package igmp

import (
	"net/netip"
	"time"

	"grove/internal/engine"
)

// Config is the configuration of an igmp machine (IGMP for IPv4, MLD for IPv6), validated.
type Config struct {
	Interfaces map[string]InterfaceConfig // by name; others are not listened to
}

// InterfaceConfig is what RFC 3376 section 8 and RFC 3810 section 9 make configurable. daemon/config fills in the
// defaults; durations are already divided by the time scale.
type InterfaceConfig struct {
	Version                 int           // IGMP 1 to 3 (default 3), MLD 1 or 2 (default 2)
	Robustness              int           // 1 to 7, default 2
	QueryInterval           time.Duration // default 125 s
	QueryResponseInterval   time.Duration // default 10 s, less than QueryInterval
	StartupQueryInterval    time.Duration // default QueryInterval/4
	StartupQueryCount       int           // default Robustness
	LastMemberQueryInterval time.Duration // default 1 s (MLD: Last Listener Query Interval)
	LastMemberQueryCount    int           // default Robustness
	OlderHostPresent        time.Duration // default Robustness*QueryInterval + QueryResponseInterval
	Querier                 bool          // default true; false: never send queries
	MaxGroups               int           // default 65536; more are counted and ignored
	MaxSources              int           // per group, default 1024
	StaticGroups            []StaticGroup // joined by configuration, as if a host were there
}

// StaticGroup is a membership by configuration: of every source if Source is invalid.
type StaticGroup struct {
	Group  netip.Addr
	Source netip.Addr
}

// WithDefaults returns c with the defaults of family f where a number or a time is zero. Querier stays as it is. The
// times that hosts are told in queries are made no shorter than a query can say (100 ms in IGMP, 1 ms in MLD): else a
// time scale could make the router give up before the hosts have to answer.
func (c InterfaceConfig) WithDefaults(f engine.Family) InterfaceConfig {
	number := func(p *int, value int) {
		if *p == 0 {
			*p = value
		}
	}
	duration := func(p *time.Duration, value time.Duration) {
		if *p == 0 {
			*p = value
		}
	}
	number(&c.Version, withSources-familyOf(f).offset)
	number(&c.Robustness, 2)
	duration(&c.QueryInterval, 125*time.Second)
	duration(&c.QueryResponseInterval, 10*time.Second)
	duration(&c.StartupQueryInterval, c.QueryInterval/4)
	number(&c.StartupQueryCount, c.Robustness)
	duration(&c.LastMemberQueryInterval, time.Second)
	number(&c.LastMemberQueryCount, c.Robustness)
	duration(&c.OlderHostPresent, time.Duration(c.Robustness)*c.QueryInterval+c.QueryResponseInterval)
	unit := familyOf(f).unit
	c.QueryResponseInterval = max(c.QueryResponseInterval, unit)
	c.LastMemberQueryInterval = max(c.LastMemberQueryInterval, unit)
	number(&c.MaxGroups, 65536)
	number(&c.MaxSources, 1024)
	return c
}

// static joins the static groups of each group.
func (c *InterfaceConfig) static() map[netip.Addr]level {
	levels := make(map[netip.Addr]level)
	for _, s := range c.StaticGroups {
		l := level{mode: engine.Exclude}
		if s.Source.IsValid() {
			l = level{engine.Include, set{s.Source}}
		}
		if old, ok := levels[s.Group]; ok {
			l = old.join(l)
		}
		levels[s.Group] = l
	}
	return levels
}
