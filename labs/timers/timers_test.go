package timers

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"grove/daemon/config"
	"grove/dvmrp"
	"grove/igmp"
	"grove/internal/engine"
	"grove/internal/pim/neighbor"
	"grove/mfib"
	"grove/pimdm"
	"grove/pimsm"
)

// timer is a timer or an interval, its default, and what shows that it has it.
type timer struct {
	name    string // the RFC's
	section string // "7761 4.11"; empty: ours
	value   time.Duration
	field   string // of the configuration; empty: it follows from others
	test    func(t *testing.T, f engine.Family)
}

const (
	second      = time.Second
	millisecond = time.Millisecond
)

// timers are all timers. Each is one subtest per address family, called by its name.
var timers = []timer{
	// PIM-SM.
	{"Hello_Period", "7761 4.11", 30 * second, "neighbor.Config.HelloPeriod", helloPeriod},
	{"Hello_Holdtime", "7761 4.11", 105 * second, "neighbor.Config.HelloHoldtime", helloHoldtime},
	{"Default_Hello_Holdtime", "7761 4.11", 105 * second, "", defaultHelloHoldtime},
	{"Triggered_Hello_Delay at start", "7761 4.11", 5 * second, "neighbor.Config.TriggeredHelloDelay", firstHello},
	{"Triggered_Hello_Delay for a new neighbor", "7761 4.11", 5 * second, "neighbor.Config.TriggeredHelloDelay", triggeredHello},
	{"Propagation_Delay", "7761 4.3.3", 500 * millisecond, "neighbor.Config.PropagationDelay", lanPruneDelay},
	{"Override_Interval", "7761 4.3.3", 2500 * millisecond, "neighbor.Config.OverrideInterval", lanPruneDelay},
	{"Propagation_delay_default", "7761 4.11", 500 * millisecond, "neighbor.Config.DefaultPropagationDelay", withoutLANPruneDelay},
	{"t_override_default", "7761 4.11", 2500 * millisecond, "neighbor.Config.DefaultOverrideInterval", withoutLANPruneDelay},
	{"J/P_Override_Interval", "7761 4.11", 3 * second, "", prunePending},
	{"J/P_Override_Interval with one neighbor", "7761 4.5.1", 0, "", prunePendingAlone},
	{"t_override of a Join", "7761 4.11", 2500 * millisecond, "", overrideJoin},
	{"t_override of a Join(S,G,rpt)", "7761 4.11", 2500 * millisecond, "", overrideRpt},
	{"t_periodic", "7761 4.11", 60 * second, "pimsm.Config.JoinPrunePeriod", periodic},
	{"J/P_HoldTime", "7761 4.11", 210 * second, "", joinHoldtime},
	{"t_suppressed", "7761 4.11", 66 * second, "", suppressed},
	{"Keepalive_Period", "7761 4.11", 210 * second, "pimsm.Config.KeepalivePeriod", keepalive},
	{"RP_Keepalive_Period", "7761 4.11", 185 * second, "", rpKeepalive},
	{"Register_Suppression_Time", "7761 4.11", 60 * second, "pimsm.Config.RegisterSuppression", registerSuppression},
	{"Register_Probe_Time", "7761 4.11", 5 * second, "pimsm.Config.RegisterProbe", registerProbe},
	{"Assert_Time", "7761 4.11", 180 * second, "pimsm.Config.AssertTime", assertTime},
	{"Assert_Override_Interval", "7761 4.11", 3 * second, "pimsm.Config.AssertOverride", assertOverride},

	// PIM-DM.
	{"Prune Hold Time", "3973 4.8", 210 * second, "pimdm.Config.PruneHoldtime", pruneHoldtime},
	{"t_limit", "3973 4.8", 210 * second, "pimdm.Config.PruneLimit", pruneLimit},
	{"Graft_Retry_Period", "3973 4.8", 3 * second, "pimdm.Config.GraftRetryPeriod", graftRetry},
	{"Assert_Time in dense mode", "3973 4.8", 180 * second, "pimdm.Config.AssertTime", denseAssertTime},
	{"SourceLifetime", "3973 4.8", 210 * second, "pimdm.Config.SourceLifetime", sourceLifetime},
	{"StateRefreshInterval", "3973 4.8", 60 * second, "pimdm.Config.RefreshInterval", refreshInterval},
	{"RefreshLimitInterval", "3973 4.8", 5 * second, "pimdm.Config.RefreshLimit", refreshLimit},

	// DVMRP.
	{"Probe Interval", "draft-ietf-idmr-dvmrp-v3-11 A", 10 * second, "dvmrp.Config.ProbeInterval", ipv4(probeInterval)},
	{"Neighbor Time-out Interval", "draft-ietf-idmr-dvmrp-v3-11 A", 35 * second, "dvmrp.Config.NeighborTimeout", ipv4(neighborTimeout)},
	{"Route Report Interval", "draft-ietf-idmr-dvmrp-v3-11 A", 60 * second, "dvmrp.Config.ReportInterval", ipv4(reportInterval)},
	{"Minimum Flash Update Interval", "draft-ietf-idmr-dvmrp-v3-11 A", 5 * second, "dvmrp.Config.FlashInterval", ipv4(flashInterval)},
	{"Route Expiration Time", "draft-ietf-idmr-dvmrp-v3-11 A", 140 * second, "dvmrp.Config.RouteExpiration", ipv4(routeExpiration)},
	{"Route Hold-down", "draft-ietf-idmr-dvmrp-v3-11 A", 120 * second, "dvmrp.Config.HoldDown", ipv4(routeHoldDown)},
	{"Prune Lifetime", "draft-ietf-idmr-dvmrp-v3-11 A", 7200 * second, "dvmrp.Config.PruneLifetime", ipv4(pruneLifetime)},
	{"Prune Retransmission Time", "draft-ietf-idmr-dvmrp-v3-11 A", 3 * second, "dvmrp.Config.PruneRetransmission", ipv4(pruneRetransmission)},
	{"Graft Retransmission Time", "draft-ietf-idmr-dvmrp-v3-11 A", 5 * second, "dvmrp.Config.GraftRetransmission", ipv4(graftRetransmission)},
	{"life of a silent entry of DVMRP", "", 300 * second, "dvmrp.Config.CacheLifetime", ipv4(cacheLifetime)},

	// IGMP and MLD: the numbers of RFC 3376, section 8, are those of RFC 3810, section 9.
	{"Query Interval", "3376 8.2", 125 * second, "igmp.InterfaceConfig.QueryInterval", queryInterval},
	{"Query Response Interval", "3376 8.3", 10 * second, "igmp.InterfaceConfig.QueryResponseInterval", queryResponse},
	{"Group Membership Interval", "3376 8.4", 260 * second, "", groupMembership},
	{"Other Querier Present Interval", "3376 8.5", 255 * second, "", otherQuerierPresent},
	{"Startup Query Interval", "3376 8.6", 31250 * millisecond, "igmp.InterfaceConfig.StartupQueryInterval", startupQuery},
	{"Last Member Query Interval", "3376 8.8", second, "igmp.InterfaceConfig.LastMemberQueryInterval", lastMemberQuery},
	{"Last Member Query Time", "3376 8.10", 2 * second, "", lastMemberQueryTime},
	{"Unsolicited Report Interval", "3376 8.11", second, "igmp.HostConfig.UnsolicitedReportInterval", unsolicitedReport},
	{"Unsolicited Report Interval of the older version", "2236 8.10", 10 * second, "igmp.HostConfig.UnsolicitedReportInterval", olderUnsolicitedReport},
	{"Older Version Querier Present Timeout", "3376 8.12", 260 * second, "igmp.HostConfig.QueryInterval", olderQuerierPresent},
	{"Older Host Present Interval", "3376 8.13", 260 * second, "igmp.InterfaceConfig.OlderHostPresent", olderHostPresent},

	// The forwarding table. RFC 2715 has no numbers.
	{"life of a negative entry", "", 60 * second, "mfib.Config.NegativeLife", negativeLife},
	{"check of a row", "", 4 * second, "mfib.Config.CheckInterval", check},
}

// configs are the configurations that hold timers.
var configs = []any{
	pimsm.Config{}, pimdm.Config{}, dvmrp.Config{}, neighbor.Config{}, igmp.InterfaceConfig{}, igmp.HostConfig{}, mfib.Config{}, mfib.InterfaceConfig{},
}

func TestTimers(t *testing.T) {
	for _, timer := range timers {
		t.Run(timer.name, func(t *testing.T) {
			for _, f := range []engine.Family{engine.IPv4, engine.IPv6} {
				t.Run(f.String(), func(t *testing.T) { timer.test(t, f) })
			}
		})
	}
}

// TestTableIsWhole: every duration of a configuration is in the table, and every field in the table exists.
func TestTableIsWhole(t *testing.T) {
	fields := map[string]bool{}
	for _, c := range configs {
		typ := reflect.TypeOf(c)
		for i := range typ.NumField() {
			if f := typ.Field(i); f.Type == reflect.TypeFor[time.Duration]() {
				fields[typ.String()+"."+f.Name] = false
			}
		}
	}
	for _, timer := range timers {
		if timer.field == "" {
			continue
		}
		if _, there := fields[timer.field]; !there {
			t.Errorf("%s: there is no %s", timer.name, timer.field)
		}
		fields[timer.field] = true
	}
	// What a Hello announces (RFC 3973, section 4.7.5.4) times nothing of the neighborhood.
	delete(fields, "neighbor.Config.StateRefreshInterval")
	// What a second in a message lasts follows from time-scale.
	delete(fields, "dvmrp.Config.SecondOnWire")
	for field, listed := range fields {
		if !listed {
			t.Errorf("%s is in no row of the table", field)
		}
	}
}

// TestDefaults: a file that overrides nothing gives the machines the defaults of the table.
func TestDefaults(t *testing.T) {
	for _, f := range []engine.Family{engine.IPv4, engine.IPv6} {
		n := &network{t: t, family: f}
		c, err := config.Parse("r1", []byte(n.config("r1", []string{"a"}, "{}")))
		if err != nil {
			t.Fatal(err)
		}
		if c.TimeScale != 0 && c.TimeScale != 1 {
			t.Fatalf("time-scale %v", c.TimeScale)
		}
		values := map[string]reflect.Value{}
		n.dense = map[string]string{}
		d, err := config.Parse("r1", []byte(n.config("r1", []string{"a"}, "{}")))
		if err != nil {
			t.Fatal(err)
		}
		values["pimdm.Config"] = reflect.ValueOf(d.Machines()[engine.MachineID{Protocol: engine.PIMDM, Family: f}])
		v, err := config.Parse("r1", []byte("interfaces: {a: {dvmrp: {}}}"))
		if err != nil {
			t.Fatal(err)
		}
		values["dvmrp.Config"] = reflect.ValueOf(v.Machines()[engine.MachineID{Protocol: engine.DVMRP, Family: engine.IPv4}])
		for id, m := range c.Machines() {
			if id.Family != f {
				continue
			}
			switch m := m.(type) {
			case pimsm.Config:
				values["pimsm.Config"] = reflect.ValueOf(m)
				values["neighbor.Config"] = reflect.ValueOf(m.Interfaces["a"])
			case igmp.Config:
				values["igmp.InterfaceConfig"] = reflect.ValueOf(m.Interfaces["a"].WithDefaults(f))
			case mfib.Config:
				values["mfib.Config"] = reflect.ValueOf(m)
			}
		}
		for _, timer := range timers {
			dot := strings.LastIndex(timer.field, ".")
			if dot < 0 || strings.HasPrefix(timer.field, "igmp.HostConfig") { // hosts have no file
				continue
			}
			value := values[timer.field[:dot]].FieldByName(timer.field[dot+1:]).Interface().(time.Duration)
			if value != timer.value {
				t.Errorf("%v: %s is %v by default, want %v", f, timer.field, value, timer.value)
			}
		}
	}
}
