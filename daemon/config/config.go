package config

import (
	"fmt"
	"net/netip"
	"os"
	"time"

	"grove/dvmrp"
	"grove/igmp"
	"grove/internal/engine"
	"grove/internal/pim/autorp"
	"grove/internal/rib"
	"grove/pimsm"
)

// Config is what a valid file says, with every default filled in. Durations are as written; Machines divides those of
// the protocols by the time scale.
type Config struct {
	Hostname   string      // empty: the name of the machine
	TimeScale  float64     // protocol timers are divided by this; 1 by default
	Table      uint32      // the kernel's multicast routing table; 0 is the default table
	Interfaces []Interface // in the order of the file
	Tunnels    []Tunnel    // interfaces that groved makes
	Routes     []Route     // unicast routes that groved keeps in the kernel

	MulticastRoutes []rib.StaticRoute // of both families: RPF only
	Distances       map[string]uint32 // administrative distances, by origin of a route
	RPFLookup       rib.Mode

	PIM4, PIM6 PIM
	DVMRP      dvmrp.Config // without Interfaces
	MSDP       MSDP
	MFIB       MFIB
	BGP        *BGP // nil: it does not run

	API API
	Log Log
}

// Interface is an interface of the file. A protocol that is nil is not enabled on it.
type Interface struct {
	Name      string
	Addresses []netip.Prefix // groved adds them to the kernel, and again when they are lost; none: leave as it is
	MTU       int            // 0: leave as it is

	IGMP *igmp.InterfaceConfig
	MLD  *igmp.InterfaceConfig
	PIM  *PIMInterface // PIM for IPv4
	PIM6 *PIMInterface // PIM for IPv6
	// DVMRP is a protocol of IPv4. Threshold and Boundary stand in Multicast.
	DVMRP *dvmrp.InterfaceConfig

	Multicast Multicast
}

// Enabled says whether any protocol of family f runs on the interface.
func (i *Interface) Enabled(f engine.Family) bool {
	if f == engine.IPv4 {
		return i.IGMP != nil || i.PIM != nil || i.DVMRP != nil
	}
	return i.MLD != nil || i.PIM6 != nil
}

// Multicast is what holds for all multicast on an interface, whichever protocol.
type Multicast struct {
	TTLThreshold uint8          // packets with this TTL or less do not leave; 0: any above 1 leave
	Boundaries   []netip.Prefix // groups of both families that cross the interface in neither direction (RFC 2365)
}

// Route is a unicast route that groved adds to the kernel, and again when it is lost. Of routes with the same prefix
// and different metrics the kernel uses the one with the lowest metric whose link works.
type Route struct {
	Prefix netip.Prefix
	Via    []netip.Addr // gateways; more than one share the load. None: directly connected on Interface
	// Interface may be empty if each gateway is on a connected subnet; needed for a link-local gateway.
	Interface string
	Metric    uint32 // 0: the kernel's default
}

// PIM is what holds for PIM of one family on the whole router.
type PIM struct {
	RPs              []pimsm.StaticRP
	SSM              []netip.Prefix
	SPTSwitch        pimsm.SPTPolicy
	SPTThresholdKbps uint64

	JoinPrunePeriod     time.Duration
	KeepalivePeriod     time.Duration
	RegisterSuppression time.Duration
	RegisterProbe       time.Duration
	AssertTime          time.Duration // of both modes
	AssertOverride      time.Duration

	AcceptRegister []pimsm.RegisterFilter
	AnycastRPs     []pimsm.AnycastRP
	BSR            BSR
	AutoRP         autorp.Config // of IPv4

	MaxEntries int
	MaxSources int

	Dense PIMDense
}

// PIMDense is what holds for dense mode only.
type PIMDense struct {
	PruneHoldtime    time.Duration
	PruneLimit       time.Duration
	GraftRetryPeriod time.Duration
	GraftRetries     int // negative: without end
	SourceLifetime   time.Duration

	StateRefresh      bool
	RefreshInterval   time.Duration
	RefreshLimit      time.Duration
	RefreshTTL        uint8
	MaxEntries        int
	MaxSources        int
	MaxMemberedGroups int
}

// MFIB is what holds for the forwarding tables of both families.
type MFIB struct {
	MaxEntries      int
	MaxNegative     int
	NegativeLife    time.Duration
	CheckInterval   time.Duration
	RewriteEvery    int
	UpcallRate      int
	MaxGroups       int
	MaxHeld         int
	MaxHeldPerEntry int
}

// API is how programs reach groved.
type API struct {
	Socket string // path of the unix socket; empty: no API
}

// Log is what groved writes to its log.
type Log struct {
	Level engine.Level
}

// DefaultSocket is where groved listens if the file does not say.
const DefaultSocket = "/run/grove/grove.sock"

// Load reads and validates the file at path. The error of a faulty file is an *Error.
func Load(path string) (*Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	return Parse(path, data)
}
