package neighbor

import "time"

// Config is what RFC 7761 section 4.3 makes configurable on an interface, validated. daemon/config fills in the
// defaults; durations are already divided by the time scale.
type Config struct {
	HelloPeriod         time.Duration // default 30 s
	HelloHoldtime       time.Duration // default 3.5 * HelloPeriod
	TriggeredHelloDelay time.Duration // default 5 s
	DRPriority          uint32        // default 1
	NoDRPriority        bool          // do not send the option: elections fall back to the address (section 4.3.2)
	PropagationDelay    time.Duration // J/P_Propagation_Delay, default 500 ms
	OverrideInterval    time.Duration // J/P_Override_Interval, default 2500 ms
	TrackingSupport     bool          // the T bit; default false
	Passive             bool          // no Hello is sent and none accepted: we are the DR of a stub
	MaxNeighbors        int           // 0 means 512
	// Silent: another machine of the router speaks Hello here, for both (sparse-dense interfaces). This one listens, and
	// sends none; DRPriority and the delays must be what the other says.
	Silent bool
	// StateRefreshInterval is the interval in the State Refresh Capable option (RFC 3973 section 4.7.5.4), at most 255 s;
	// 0: the option is not sent.
	StateRefreshInterval time.Duration

	// What a link falls back to if a neighbor does not send the LAN Prune Delay option: the RFC's
	// Propagation_delay_default and t_override_default. 0 means 500 ms and 2500 ms.
	DefaultPropagationDelay time.Duration
	DefaultOverrideInterval time.Duration

	MaxSecondaryAddresses int // of one neighbor; 0 means 256
}

// speaks says whether we send Hellos.
func (c *Config) speaks() bool { return !c.Passive && !c.Silent }

func (c *Config) defaultPropagationDelay() time.Duration {
	return orElse(c.DefaultPropagationDelay, 500*time.Millisecond)
}

func (c *Config) defaultOverrideInterval() time.Duration {
	return orElse(c.DefaultOverrideInterval, 2500*time.Millisecond)
}

func (c *Config) maxNeighbors() int { return orElse(c.MaxNeighbors, 512) }

func (c *Config) maxSecondaryAddresses() int { return orElse(c.MaxSecondaryAddresses, 256) }

func orElse[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
