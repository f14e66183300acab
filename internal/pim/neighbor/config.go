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
	MaxNeighbors        int           // default 512
}
