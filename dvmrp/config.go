package dvmrp

import (
	"net/netip"
	"time"
)

// Config is the configuration of a dvmrp machine, validated. daemon/config fills in the defaults; durations are already
// divided by the time scale.
type Config struct {
	Interfaces map[string]InterfaceConfig // DVMRP runs on these, by name

	ProbeInterval       time.Duration // default 10 s
	NeighborTimeout     time.Duration // default 35 s
	ReportInterval      time.Duration // Route Report Interval, default 60 s
	FlashInterval       time.Duration // Minimum Flash Update Interval, default 5 s
	RouteExpiration     time.Duration // default 140 s
	HoldDown            time.Duration // default 120 s
	PruneLifetime       time.Duration // of the Prunes that we send, if no received one ends earlier; default 7200 s
	PruneRetransmission time.Duration // the first interval; it doubles; default 3 s
	GraftRetransmission time.Duration // the first interval; it doubles; default 5 s
	// CacheLifetime is how long an (S,G) of which no packet comes is remembered, if nothing is pruned for it; default 300 s.
	CacheLifetime time.Duration
	// SecondOnWire is what a second of a duration in a message lasts here: 1 s divided by the time scale; default 1 s.
	SecondOnWire time.Duration

	Originate Originate

	MaxRoutes int // of all kinds; default 20,000
	MaxGroups int // groups with local members; default 100,000
	// MaxEntries bounds the (S,G) entries; default 500,000.
	MaxEntries int
	// MaxPrunes bounds the Prunes that are remembered, over all entries; default 2,000,000.
	MaxPrunes int
	// QueryLimit is how many Ask Neighbors messages are answered in a second, from whomever they come; default 10.
	QueryLimit int
}

// InterfaceConfig is what is configurable on an interface.
type InterfaceConfig struct {
	Metric       uint8 // what the interface adds to the metric of a route that is received on it: 1 (default) to 31
	Threshold    uint8 // shown to mrinfo; mfib applies it; 0 means 1
	MaxNeighbors int   // default 512
	// Boundary are the groups for which the interface is an administrative scope boundary. mfib keeps the packets from
	// crossing it; here nobody behind it is waited for.
	Boundary []netip.Prefix
}

// Originate says which networks are announced besides those of the interfaces on which DVMRP runs: sources of other
// protocols' domains, for which this router is the way in.
type Originate struct {
	Connected       bool  // the networks of all other interfaces
	ConnectedMetric uint8 // default 1
	Networks        []Network
	Default         bool  // 0.0.0.0/0
	DefaultMetric   uint8 // default 1
}

// Network is a network that is announced by configuration.
type Network struct {
	Prefix netip.Prefix
	Metric uint8 // 1 to 31; 0 means 1
}

// Defaults of the draft, appendix A, and of our own bounds.
const (
	defaultProbeInterval       = 10 * time.Second
	defaultNeighborTimeout     = 35 * time.Second
	defaultReportInterval      = 60 * time.Second
	defaultFlashInterval       = 5 * time.Second
	defaultRouteExpiration     = 140 * time.Second
	defaultHoldDown            = 120 * time.Second
	defaultPruneLifetime       = 7200 * time.Second
	defaultPruneRetransmission = 3 * time.Second
	defaultGraftRetransmission = 5 * time.Second
	defaultCacheLifetime       = 300 * time.Second
	defaultMaxRoutes           = 20_000
	defaultMaxGroups           = 100_000
	defaultMaxEntries          = 500_000
	defaultMaxPrunes           = 2_000_000
	defaultQueryLimit          = 10
	defaultMetric              = 1
	defaultMaxNeighbors        = 512
)

// withDefaults fills in what the configuration leaves out, so that the zero Config is one, too.
func (c Config) withDefaults() Config {
	set(&c.ProbeInterval, defaultProbeInterval)
	set(&c.NeighborTimeout, defaultNeighborTimeout)
	set(&c.ReportInterval, defaultReportInterval)
	set(&c.FlashInterval, defaultFlashInterval)
	set(&c.RouteExpiration, defaultRouteExpiration)
	set(&c.HoldDown, defaultHoldDown)
	set(&c.PruneLifetime, defaultPruneLifetime)
	set(&c.PruneRetransmission, defaultPruneRetransmission)
	set(&c.GraftRetransmission, defaultGraftRetransmission)
	set(&c.CacheLifetime, defaultCacheLifetime)
	set(&c.SecondOnWire, time.Second)
	set(&c.Originate.ConnectedMetric, defaultMetric)
	set(&c.Originate.DefaultMetric, defaultMetric)
	set(&c.MaxRoutes, defaultMaxRoutes)
	set(&c.MaxGroups, defaultMaxGroups)
	set(&c.MaxEntries, defaultMaxEntries)
	set(&c.MaxPrunes, defaultMaxPrunes)
	set(&c.QueryLimit, defaultQueryLimit)
	return c
}

// set gives a value that is left out its default.
func set[T comparable](v *T, otherwise T) {
	var zero T
	if *v == zero {
		*v = otherwise
	}
}
