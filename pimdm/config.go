package pimdm

import (
	"net/netip"
	"slices"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/neighbor"
)

// Config is the configuration of a pimdm machine, validated. daemon/config fills in the defaults; durations are already
// divided by the time scale.
type Config struct {
	Interfaces map[string]InterfaceConfig // dense mode runs on these, by name
	// Own are the groups of which this router itself takes the packets, so that they are never pruned.
	Own []netip.Addr

	PruneHoldtime      time.Duration // Hold Time of the Prunes that we send; default 210 s
	PruneLimit         time.Duration // t_limit, of the Prune Limit Timer; default 210 s
	GraftRetryPeriod   time.Duration // Graft_Retry_Period, default 3 s
	GraftRetries       int           // how often a Graft without a Graft-Ack is repeated; default 20, negative: without end
	AssertTime         time.Duration // Assert_Time, default 180 s
	SourceLifetime     time.Duration // how long a silent source is remembered; default 210 s
	NoStateRefresh     bool          // State Refresh is neither originated nor forwarded nor heard
	RefreshInterval    time.Duration // StateRefreshInterval, default 60 s, at most 255 s on the wire
	RefreshLimit       time.Duration // RefreshLimitInterval: what comes faster is dropped; default a twelfth of RefreshInterval
	RefreshTTL         uint8         // of State Refresh messages if the TTL of the data is not known; default 64
	MaxEntries         int           // (S,G) entries; default 500,000
	MaxSources         int           // (S,G) entries of one group; default 100,000
	MaxMembershipState int           // groups with local members; default 100,000
}

// InterfaceConfig is what dense mode makes configurable on an interface.
type InterfaceConfig struct {
	// Config is what both modes of PIM share. Silent is set where pimsm speaks Hello: sparse-dense interfaces.
	// StateRefreshInterval follows from the machine's Config and NoStateRefresh below: what it says here is ignored.
	neighbor.Config

	// SparseDense says that sparse mode runs here as well, and has the groups that pimsm claims (engine.GroupModes): those with an
	// RP, and SSM ranges.
	SparseDense bool
	// Sparse are groups that are not dense mode's on this interface in any case.
	Sparse []netip.Prefix
	// Dense are groups that are dense mode's although Sparse holds them: those of Auto-RP.
	Dense []netip.Prefix
	// NoStateRefresh: no State Refresh message is sent or heard here, and the Hellos do not announce the capability.
	NoStateRefresh bool
	// Boundary are the groups for which the interface is an administrative scope boundary (RFC 3973 section 5.4). mfib
	// keeps the packets from crossing it; here it keeps messages from it, and makes that nobody there is waited for.
	Boundary []netip.Prefix
	// Threshold is Threshold(I): the TTL that a State Refresh message must have to leave here, as data packets must; 0
	// means 1.
	Threshold uint8
}

// dense says whether a group is dense mode's on the interface.
func (i *iface) dense(g netip.Addr) bool {
	switch c := &i.cfg; {
	case covers(c.Dense, g):
		return true
	case covers(c.Sparse, g):
		return false
	default:
		return !c.SparseDense || !engine.SparseIn(i.m.modes, g)
	}
}

// few says that none but the groups in Dense are.
func (c *InterfaceConfig) few() bool {
	return slices.ContainsFunc(c.Sparse, func(p netip.Prefix) bool { return p == allMulticast[engine.FamilyOf(p.Addr())] })
}

// Defaults of RFC 3973, section 4.8, and of our own bounds.
const (
	defaultPruneHoldtime      = 210 * time.Second
	defaultPruneLimit         = 210 * time.Second
	defaultGraftRetryPeriod   = 3 * time.Second
	defaultGraftRetries       = 20
	defaultAssertTime         = 180 * time.Second
	defaultSourceLifetime     = 210 * time.Second
	defaultRefreshInterval    = 60 * time.Second
	defaultRefreshTTL         = 64
	defaultMaxEntries         = 500_000
	defaultMaxSources         = 100_000
	defaultMaxMembershipState = 100_000
)

// limitsPerInterval is how many State Refresh messages of an (S,G) we let pass in a RefreshInterval by default: RFC 3973
// leaves RefreshLimitInterval open, and an originator may be configured to a shorter interval than we are.
const limitsPerInterval = 12

// withDefaults fills in what the configuration leaves out, so that the zero Config is one, too.
func (c Config) withDefaults() Config {
	set(&c.PruneHoldtime, defaultPruneHoldtime)
	set(&c.PruneLimit, defaultPruneLimit)
	set(&c.GraftRetryPeriod, defaultGraftRetryPeriod)
	set(&c.GraftRetries, defaultGraftRetries)
	set(&c.AssertTime, defaultAssertTime)
	set(&c.SourceLifetime, defaultSourceLifetime)
	set(&c.RefreshInterval, defaultRefreshInterval)
	set(&c.RefreshLimit, c.RefreshInterval/limitsPerInterval)
	set(&c.RefreshTTL, defaultRefreshTTL)
	set(&c.MaxEntries, defaultMaxEntries)
	set(&c.MaxSources, defaultMaxSources)
	set(&c.MaxMembershipState, defaultMaxMembershipState)
	return c
}

// set gives a value that is left out its default.
func set[T comparable](v *T, otherwise T) {
	var zero T
	if *v == zero {
		*v = otherwise
	}
}
