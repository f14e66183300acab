package mfib

import (
	"cmp"
	"net/netip"
	"time"

	"grove/internal/engine"
)

// Config is the configuration of an mfib machine, validated. daemon/config fills in the defaults.
type Config struct {
	Interfaces map[string]InterfaceConfig // every interface with a protocol enabled; no other gets a VIF
	MaxEntries int                        // wanted entries, negative ones included; default 1,000,000
	// MaxNegative bounds the negative entries that mfib makes itself when all decline; default 100,000.
	MaxNegative int
	// NegativeLife is how long such an entry stays; default 60 s, divided by the time scale.
	NegativeLife time.Duration
	// CheckInterval is the time in which every row's counters are read once; default 4 s: a row that someone deleted
	// is back by then.
	CheckInterval time.Duration
	// RewriteEvery has each row written again, as it is, at every so many checks, which repairs a row that someone
	// changed; default 0: never.
	RewriteEvery int
	// UpcallRate bounds the Creations per second of an interface; default 5,000.
	UpcallRate int
	// MaxGroups bounds the groups that components say their interest in; default 100,000.
	MaxGroups int
	// MaxHeld and MaxHeldPerEntry bound the packets that wait until the components have answered: in all, and of one entry;
	// default 4096 and 32.
	MaxHeld, MaxHeldPerEntry int
}

// InterfaceConfig is what mfib enforces on an interface.
type InterfaceConfig struct {
	Owner engine.Protocol // the protocol that the interface belongs to (RFC 2715); igmp: none but IGMP (section 4.6)
	// Groups are those that another protocol owns the interface for. The first prefix that holds a group decides.
	Groups []GroupOwner
	// SparseDense says that both modes of PIM run here: of the other groups those are pimsm's that it claims
	// (engine.GroupModes).
	SparseDense  bool
	TTLThreshold uint8 // packets with this TTL or less do not leave; 0: any above 1 leave
	// Boundaries are group prefixes that cross the interface in neither direction (RFC 2365).
	Boundaries []netip.Prefix
}

// GroupOwner says to which protocol an interface belongs for the groups of a prefix.
type GroupOwner struct {
	Groups netip.Prefix
	Owner  engine.Protocol
}

// withDefaults returns c with the defaults for what is zero.
func (c Config) withDefaults() Config {
	c.MaxEntries = cmp.Or(c.MaxEntries, 1_000_000)
	c.MaxNegative = cmp.Or(c.MaxNegative, 100_000)
	c.NegativeLife = cmp.Or(c.NegativeLife, 60*time.Second)
	c.CheckInterval = cmp.Or(c.CheckInterval, 4*time.Second)
	c.UpcallRate = cmp.Or(c.UpcallRate, 5000)
	c.MaxGroups = cmp.Or(c.MaxGroups, 100_000)
	c.MaxHeld = cmp.Or(c.MaxHeld, 4096)
	c.MaxHeldPerEntry = cmp.Or(c.MaxHeldPerEntry, 32)
	return c
}
