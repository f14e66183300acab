package pimsm

import (
	"net/netip"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/autorp"
	"grove/internal/pim/bootstrap"
	"grove/internal/pim/neighbor"
)

// Config is the configuration of a pimsm machine, validated. daemon/config fills in the defaults; durations are already
// divided by the time scale.
type Config struct {
	Interfaces map[string]neighbor.Config // PIM runs on these, by name
	// External are the interfaces of the other protocols of this router: a source that is reached through one of them is
	// theirs (RFC 2715).
	External []string
	RPs      []StaticRP
	// AnycastRPs are the Anycast-RP sets whose members hand each other Registers on (RFC 4610).
	AnycastRPs []AnycastRP
	// AutoRP is Auto-RP, of IPv4. While it is on its two groups are dense mode's.
	AutoRP autorp.Config
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

	// SparseDense says that dense mode runs on some of the interfaces as well: others are told which groups are ours there
	// (engine.GroupModes).
	SparseDense bool

	// BSR is the Bootstrap mechanism (RFC 5059); nil: it does not run, its messages are counted and dropped.
	BSR *bootstrap.Config

	// MSDP says that there is an msdp machine: as an RP we tell it our active sources and the groups that have receivers, and
	// are told the sources of other domains. When it turns true everything is said anew.
	MSDP bool

	MaxEntries int // (*,G), (S,G) and (S,G,rpt) entries; default 500,000
	MaxSources int // (S,G) entries of one group, default 100,000
}

// StaticRP is a Group-to-RP mapping by configuration (RFC 7761 section 4.7.1).
type StaticRP struct {
	Address netip.Addr
	Groups  []netip.Prefix // default all multicast
	// Override says that it wins over all mappings that are learned. Without it one that is learned wins over it for the same
	// range of groups.
	Override bool
}

// AnycastRP is an Anycast-RP set: routers that have one RP address.
type AnycastRP struct {
	Address netip.Addr   // of the RP
	Members []netip.Addr // those by which the members know each other, ours among them
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

// Defaults of RFC 7761, section 4.11, and of our own bounds.
const (
	defaultJoinPrunePeriod     = 60 * time.Second
	defaultKeepalivePeriod     = 210 * time.Second
	defaultRegisterSuppression = 60 * time.Second
	defaultRegisterProbe       = 5 * time.Second
	defaultAssertTime          = 180 * time.Second
	defaultAssertOverride      = 3 * time.Second
	defaultMaxEntries          = 500_000
	defaultMaxSources          = 100_000
)

var (
	allMulticast = map[engine.Family]netip.Prefix{
		engine.IPv4: netip.MustParsePrefix("224.0.0.0/4"),
		engine.IPv6: netip.MustParsePrefix("ff00::/8"),
	}
	defaultSSM = map[engine.Family][]netip.Prefix{
		engine.IPv4: {netip.MustParsePrefix("232.0.0.0/8")},
		engine.IPv6: ssm6(),
	}
)

// ssm6 returns ff3x::/32 for every scope x (RFC 4607, section 1).
func ssm6() []netip.Prefix {
	var list []netip.Prefix
	for scope := range byte(16) {
		list = append(list, netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0xff, 1: 0x30 | scope}), 32))
	}
	return list
}

// withDefaults fills in what the configuration leaves out, so that the zero Config is one, too.
func (c Config) withDefaults(f engine.Family) Config {
	set := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	set(&c.JoinPrunePeriod, defaultJoinPrunePeriod)
	set(&c.KeepalivePeriod, defaultKeepalivePeriod)
	set(&c.RegisterSuppression, defaultRegisterSuppression)
	set(&c.RegisterProbe, defaultRegisterProbe)
	set(&c.AssertTime, defaultAssertTime)
	set(&c.AssertOverride, defaultAssertOverride)
	if c.MaxEntries == 0 {
		c.MaxEntries = defaultMaxEntries
	}
	if c.MaxSources == 0 {
		c.MaxSources = defaultMaxSources
	}
	if c.SSM == nil {
		c.SSM = defaultSSM[f]
	}
	rps := make([]StaticRP, 0, len(c.RPs))
	for _, rp := range c.RPs {
		if len(rp.Groups) == 0 {
			rp.Groups = []netip.Prefix{allMulticast[f]}
		}
		rps = append(rps, rp)
	}
	c.RPs = rps
	return c
}

// configure changes to a new configuration.
func (m *Machine) configure(c Config) {
	msdp := m.cfg.MSDP
	m.cfg = c.withDefaults(m.id.Family)
	if !m.configured {
		m.configured, m.subscribe = true, true
	}
	m.configureAnycast()
	m.autorp.Configure(m.now, m.cfg.AutoRP)
	for _, g := range engine.SortedAddrs(m.groups) {
		if ssm := m.isSSM(g.addr); ssm != g.ssm {
			g.ssm = ssm
			m.touchGroup(g)
		}
	}
	m.mappingsChanged()
	m.saidModes = nil // a machine that is new has not heard it
	m.configureMSDP(msdp)
	for _, i := range m.interfaces() {
		m.configureInterface(i)
	}
	m.configureBSR()
}
