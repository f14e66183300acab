package config

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/goccy/go-yaml/ast"

	"grove/dvmrp"
	"grove/internal/engine"
)

var (
	dvmrpKeys          []key[dvmrp.Config]
	originateKeys      []key[dvmrp.Originate]
	dvmrpInterfaceKeys []key[dvmrp.InterfaceConfig]
)

func defaultDVMRPInterface() *dvmrp.InterfaceConfig {
	return &dvmrp.InterfaceConfig{Metric: 1, MaxNeighbors: 512}
}

func defaultDVMRP() dvmrp.Config {
	return dvmrp.Config{
		ProbeInterval: 10 * time.Second, NeighborTimeout: 35 * time.Second, ReportInterval: 60 * time.Second,
		FlashInterval: 5 * time.Second, RouteExpiration: 140 * time.Second, HoldDown: 120 * time.Second,
		PruneLifetime: 7200 * time.Second, PruneRetransmission: 3 * time.Second, GraftRetransmission: 5 * time.Second,
		CacheLifetime: 300 * time.Second, Originate: dvmrp.Originate{ConnectedMetric: 1, DefaultMetric: 1},
		MaxRoutes: 20_000, MaxGroups: 100_000, MaxEntries: 500_000, MaxPrunes: 2_000_000, QueryLimit: 10,
	}
}

// initDVMRPInterfaceKeys makes the keys below dvmrp of an interface. TTL thresholds and boundaries stand below multicast: they
// hold for all protocols.
func initDVMRPInterfaceKeys() {
	type conf = dvmrp.InterfaceConfig
	dvmrpInterfaceKeys = []key[conf]{
		also(number("metric", func(v *conf) *uint8 { return &v.Metric }, 1, 31, "1",
			"What a route that comes in here is farther away for it. Of a tunnel, tell both ends the same."), "cost"),
		number("max-neighbors", func(v *conf) *int { return &v.MaxNeighbors }, 1, 100_000, "512",
			"Neighbours on the interface; Probes of more are counted and ignored."),
	}
}

// initDVMRPKeys makes the keys below dvmrp of the router.
func initDVMRPKeys() {
	type conf = dvmrp.Config
	type from = dvmrp.Originate
	network := []key[dvmrp.Network]{
		prefixKey("prefix", []string{"to", "network"}, engine.IPv4, func(v *dvmrp.Network) *netip.Prefix { return &v.Prefix }, "The network of the sources."),
		{
			name: "metric", takes: "a whole number from 1 to 31", def: "1", doc: "The metric that it is announced with.",
			read: func(r *reader, n ast.Node, v *dvmrp.Network) {
				if x, ok := readNumber[uint8](r, n, "metric", 1, 31, "a whole number from 1 to 31"); ok {
					v.Metric = x
				}
			},
			print: func(v *dvmrp.Network) string { return fmt.Sprint(v.Metric) },
		},
	}
	originateKeys = []key[from]{
		boolean("connected", func(v *from) *bool { return &v.Connected }, "false",
			"The networks of the interfaces that do not run DVMRP."),
		number("connected-metric", func(v *from) *uint8 { return &v.ConnectedMetric }, 1, 31, "1", "The metric of these."),
		boolean("default", func(v *from) *bool { return &v.Default }, "false", "The default route, 0.0.0.0/0."),
		number("default-metric", func(v *from) *uint8 { return &v.DefaultMetric }, 1, 31, "1", "Its metric."),
		list("networks", "Networks one by one.", network, func(v *from) *[]dvmrp.Network { return &v.Networks }, (*reader).checkNetwork),
	}
	dvmrpKeys = []key[conf]{
		also(duration("probe-interval", func(v *conf) *time.Duration { return &v.ProbeInterval }, time.Second, time.Hour, "10s",
			"Time between Probes. draft-ietf-idmr-dvmrp-v3-11, appendix A."), "probe"),
		also(duration("neighbor-timeout", func(v *conf) *time.Duration { return &v.NeighborTimeout }, time.Second, 10*time.Hour,
			"3.5 * probe-interval", "How long a neighbour is kept without a Probe. Neighbours must use the same."), "neighbour-timeout"),
		also(duration("report-interval", func(v *conf) *time.Duration { return &v.ReportInterval }, time.Second, time.Hour, "60s",
			"Route Report Interval: in this time every route is told once."), "route-report-interval"),
		also(duration("flash-interval", func(v *conf) *time.Duration { return &v.FlashInterval }, 100*time.Millisecond, time.Hour, "5s",
			"Minimum Flash Update Interval: what changes is told at once, but not more often."), "minimum-flash-update-interval"),
		also(duration("route-expiration", func(v *conf) *time.Duration { return &v.RouteExpiration }, time.Second, 10*time.Hour,
			"2 * report-interval + 20s", "How long a route is kept that nobody repeats."), "route-expiration-time"),
		also(duration("hold-down", func(v *conf) *time.Duration { return &v.HoldDown }, time.Second, 10*time.Hour, "2 * report-interval",
			"How long a route that is lost is told as unreachable, before another way may be told."), "holddown", "route-hold-down"),
		duration("prune-lifetime", func(v *conf) *time.Duration { return &v.PruneLifetime }, time.Second, 24*time.Hour, "7200s",
			"The longest lifetime of our Prunes, after which packets are flooded again. It is shortened at random by up to a quarter."),
		also(duration("prune-retransmission", func(v *conf) *time.Duration { return &v.PruneRetransmission }, 100*time.Millisecond, time.Hour, "3s",
			"If packets still come so long after a Prune it is sent again; then the time doubles."), "prune-retransmission-time"),
		also(duration("graft-retransmission", func(v *conf) *time.Duration { return &v.GraftRetransmission }, 100*time.Millisecond, time.Hour, "5s",
			"If no Graft Ack has come so long after a Graft it is sent again; then the time doubles."), "graft-retransmission-time"),
		also(duration("cache-lifetime", func(v *conf) *time.Duration { return &v.CacheLifetime }, time.Second, 24*time.Hour, "300s",
			"How long a source is remembered that sends nothing and for which nothing is pruned."), "cache-life"),
		section("originate", "Networks of other routing domains that this router is the way in from. A region of DVMRP knows no others.",
			originateKeys, func(v *conf) *from { return &v.Originate }, nil),
		number("max-routes", func(v *conf) *int { return &v.MaxRoutes }, 1, 10_000_000, "20000",
			"Routes in the table; more are counted and ignored."),
		number("max-entries", func(v *conf) *int { return &v.MaxEntries }, 1, 100_000_000, "500000",
			"(S,G) entries; packets of more are counted and dropped."),
		number("max-prunes", func(v *conf) *int { return &v.MaxPrunes }, 1, 100_000_000, "2000000",
			"Prunes of neighbours that are remembered, of all entries together."),
		number("max-groups", func(v *conf) *int { return &v.MaxGroups }, 1, 100_000_000, "100000",
			"Groups that have members on our links; members of more are counted and ignored."),
		number("query-limit", func(v *conf) *int { return &v.QueryLimit }, 1, 1_000_000, "10",
			"How many requests for our neighbours (mrinfo) are answered in a second."),
	}
}

func (r *reader) checkNetwork(at places, v *dvmrp.Network, before []dvmrp.Network) {
	v.Metric = max(1, v.Metric)
	if !v.Prefix.IsValid() {
		r.fault(at.whole, "a network without a prefix", "prefix: PREFIX", "")
		return
	}
	first := v.Prefix.Addr().As4()[0]
	switch bits := v.Prefix.Bits(); {
	case bits == 0:
		r.fault(at.of("prefix"), "network 0.0.0.0/0 is the default route", "a network", "write default: true beside networks")
	case bits < 8:
		r.fault(at.of("prefix"), fmt.Sprintf("network %s is too large for a DVMRP Report", v.Prefix), "a prefix of 8 bits or more", "announce its parts")
	case first == 0 || first == 127 || first >= 224:
		r.fault(at.of("prefix"), fmt.Sprintf("network %s has no sources of multicast", v.Prefix), "a network of hosts", "")
	}
	for _, b := range before {
		if b.Prefix == v.Prefix {
			r.fault(at.of("prefix"), fmt.Sprintf("network %s stands here a second time", v.Prefix), "each network once", "remove one")
		}
	}
}

func (r *reader) checkDVMRP(at places, v *dvmrp.Config) {
	const probe, timeout, report, flash, expiration, hold = "probe-interval", "neighbor-timeout", "report-interval", "flash-interval",
		"route-expiration", "hold-down"
	if !at.has(timeout) {
		v.NeighborTimeout = v.ProbeInterval * 7 / 2
	}
	if !at.has(expiration) {
		v.RouteExpiration = 2*v.ReportInterval + 20*time.Second
	}
	if !at.has(hold) {
		v.HoldDown = 2 * v.ReportInterval
	}
	for _, c := range []struct {
		less, more   string
		low, high    time.Duration
		strict, mend string
	}{
		{probe, timeout, v.ProbeInterval, v.NeighborTimeout, "more than probe-interval, better 3.5 times it", "leave it out"},
		{report, expiration, v.ReportInterval, v.RouteExpiration, "more than report-interval, better twice it and 20s", "leave it out"},
		{flash, report, v.FlashInterval, v.ReportInterval, "more than flash-interval", ""},
	} {
		if at.good(c.less, c.more) && c.high <= c.low {
			r.fault(at.latest(c.less, c.more), fmt.Sprintf("%s %s is not more than %s %s", c.more, printDuration(c.high), c.less, printDuration(c.low)),
				c.strict, c.mend)
		}
	}
	r.later = append(r.later, func(c *Config) {
		// SecondOnWire scales what messages say, so a Prune can say any lifetime that the file can.
		r.checkScaled(c, at, scaled{"flash-interval", v.FlashInterval, 10 * time.Millisecond})
	})
}

// dvmrp returns the configuration of DVMRP, without interfaces.
func (c *Config) dvmrp() dvmrp.Config {
	d := c.DVMRP
	for _, v := range []*time.Duration{
		&d.ProbeInterval, &d.NeighborTimeout, &d.ReportInterval, &d.FlashInterval, &d.RouteExpiration, &d.HoldDown,
		&d.PruneLifetime, &d.PruneRetransmission, &d.GraftRetransmission, &d.CacheLifetime,
	} {
		*v = c.scaled(*v)
	}
	d.SecondOnWire = c.scaled(time.Second)
	d.Interfaces = make(map[string]dvmrp.InterfaceConfig)
	return d
}

// dvmrpInterface returns what DVMRP has of an interface.
func (i *Interface) dvmrpInterface() dvmrp.InterfaceConfig {
	d := *i.DVMRP
	d.Threshold = i.Multicast.TTLThreshold
	d.Boundary = ofFamily(i.Multicast.Boundaries, engine.IPv4)
	return d
}
