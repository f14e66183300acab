package pimsm

import (
	"net/netip"
	"time"

	"grove/internal/pim/neighbor"
)

// Config is the configuration of a pimsm machine, validated. daemon/config fills in the defaults; durations are already
// divided by the time scale.
type Config struct {
	Interfaces map[string]neighbor.Config // PIM runs on these, by name
	RPs        []StaticRP
	// SSM are the source-specific ranges: no (*,G) state, no Register (RFC 4607). Default 232.0.0.0/8, ff30::/12's
	// ff3x::/32.
	SSM []netip.Prefix
	// SPTSwitch is SwitchToSptDesired (RFC 7761 section 4.2.1) for last hops and RPs: SPTImmediate (default), SPTNever,
	// or SPTThreshold with a rate.
	SPTSwitch        SPTPolicy
	SPTThresholdKbps uint64

	JoinPrunePeriod     time.Duration // t_periodic, default 60 s; sent holdtime is 3.5 times that
	KeepalivePeriod     time.Duration // default 210 s
	RegisterSuppression time.Duration // Register_Suppression_Time, default 60 s
	RegisterProbe       time.Duration // Register_Probe_Time, default 5 s
	AssertTime          time.Duration // default 180 s
	AssertOverride      time.Duration // Assert_Override_Interval, default 3 s

	// AcceptRegister limits the sources and groups for which this RP accepts Registers; empty: all.
	AcceptRegister []RegisterFilter

	MaxEntries int // (*,G), (S,G) and (S,G,rpt) entries; default 500,000
	MaxSources int // (S,G) entries of one group, default 100,000
}

// StaticRP is a Group-to-RP mapping by configuration (RFC 7761 section 4.7.1).
type StaticRP struct {
	Address netip.Addr
	Groups  []netip.Prefix // default all multicast
}

// SPTPolicy says when a last hop switches to the shortest-path tree.
type SPTPolicy uint8

// The policies.
const (
	SPTImmediate SPTPolicy = iota
	SPTNever
	SPTThreshold
)

// RegisterFilter accepts Registers of sources in Source to groups in Group.
type RegisterFilter struct{ Source, Group netip.Prefix }
