package config

import (
	"net/netip"
	"time"

	"grove/igmp"
	"grove/internal/engine"
	"grove/internal/pim/neighbor"
	"grove/internal/rib"
	"grove/mfib"
	"grove/pimdm"
	"grove/pimsm"
)

// Machines returns the machines that the file asks for, each with its configuration (igmp.Config, mfib.Config,
// rib.Config, pimsm.Config, pimdm.Config, dvmrp.Config, msdp.Config), protocol timers divided by the time scale. A family has mfib and rib as soon as any
// protocol of it is enabled on any interface.
func (c *Config) Machines() map[engine.MachineID]any {
	machines := make(map[engine.MachineID]any)
	for _, f := range []engine.Family{engine.IPv4, engine.IPv6} {
		table := mfib.Config{
			Interfaces:      make(map[string]mfib.InterfaceConfig),
			MaxEntries:      c.MFIB.MaxEntries,
			MaxNegative:     c.MFIB.MaxNegative,
			NegativeLife:    c.scaled(c.MFIB.NegativeLife),
			CheckInterval:   c.MFIB.CheckInterval,
			RewriteEvery:    c.MFIB.RewriteEvery,
			UpcallRate:      c.MFIB.UpcallRate,
			MaxGroups:       c.MFIB.MaxGroups,
			MaxHeld:         c.MFIB.MaxHeld,
			MaxHeldPerEntry: c.MFIB.MaxHeldPerEntry,
		}
		members := igmp.Config{Interfaces: make(map[string]igmp.InterfaceConfig)}
		sparse, dense, vector := c.pimsm(f), c.pimdm(f), c.dvmrp()
		sparse.MSDP = f == engine.IPv4 && len(c.MSDP.Peers) > 0
		for i := range c.Interfaces {
			iface := &c.Interfaces[i]
			if !iface.Enabled(f) {
				continue
			}
			host, pim := iface.IGMP, iface.PIM
			if f == engine.IPv6 {
				host, pim = iface.MLD, iface.PIM6
			}
			entry := mfib.InterfaceConfig{
				Owner:        engine.IGMP,
				TTLThreshold: iface.Multicast.TTLThreshold,
				Boundaries:   ofFamily(iface.Multicast.Boundaries, f),
			}
			if pim != nil {
				entry.Owner = engine.PIMSM
				if pim.Mode.RunsSparse() {
					sparse.Interfaces[iface.Name] = c.sparseInterface(pim, f)
				}
				if pim.Mode.RunsDense() {
					entry.Owner = engine.PIMDM
					dense.Interfaces[iface.Name] = c.denseInterface(iface, pim, f)
				}
				if pim.Mode == SparseDense {
					entry.SparseDense, sparse.SparseDense = true, true
				}
			}
			if pim != nil {
				c.floodAutoRP(iface, pim, f, &sparse, &dense, &entry)
			}
			if iface.DVMRP != nil && f == engine.IPv4 {
				entry.Owner = engine.DVMRP
				vector.Interfaces[iface.Name] = iface.dvmrpInterface()
			}
			if _, ours := sparse.Interfaces[iface.Name]; !ours && entry.Owner != engine.IGMP {
				sparse.External = append(sparse.External, iface.Name)
			}
			if host != nil {
				members.Interfaces[iface.Name] = c.scaledIGMP(*host)
			}
			table.Interfaces[iface.Name] = entry
		}
		if len(table.Interfaces) == 0 {
			continue
		}
		machines[c.id(engine.MFIB, f)] = table
		machines[c.id(engine.RIB, f)] = c.rib(f)
		if len(members.Interfaces) > 0 {
			machines[c.id(engine.IGMP, f)] = members
		}
		if len(sparse.Interfaces) > 0 {
			machines[c.id(engine.PIMSM, f)] = sparse
		}
		if len(dense.Interfaces) > 0 {
			machines[c.id(engine.PIMDM, f)] = dense
		}
		if len(vector.Interfaces) > 0 {
			machines[c.id(engine.DVMRP, f)] = vector
		}
		if sparse.MSDP {
			machines[c.id(engine.MSDP, f)] = c.msdp()
		}
	}
	return machines
}

func (c *Config) id(p engine.Protocol, f engine.Family) engine.MachineID {
	return engine.MachineID{Protocol: p, Family: f, Table: c.Table}
}

func (c *Config) rib(f engine.Family) rib.Config {
	r := rib.Config{Distances: c.Distances, Mode: c.RPFLookup}
	for _, s := range c.MulticastRoutes {
		if engine.FamilyOf(s.Prefix.Addr()) == f {
			r.Static = append(r.Static, s)
		}
	}
	return r
}

func (c *Config) pimOf(f engine.Family) *PIM {
	if f == engine.IPv6 {
		return &c.PIM6
	}
	return &c.PIM4
}

func (c *Config) pimsm(f engine.Family) pimsm.Config {
	p := c.pimOf(f)
	return pimsm.Config{
		Interfaces:          make(map[string]neighbor.Config),
		RPs:                 p.RPs,
		SSM:                 p.SSM,
		SPTSwitch:           p.SPTSwitch,
		SPTThresholdKbps:    p.SPTThresholdKbps,
		JoinPrunePeriod:     c.scaled(p.JoinPrunePeriod),
		KeepalivePeriod:     c.scaled(p.KeepalivePeriod),
		RegisterSuppression: c.scaled(p.RegisterSuppression),
		RegisterProbe:       c.scaled(p.RegisterProbe),
		AssertTime:          c.scaled(p.AssertTime),
		AssertOverride:      c.scaled(p.AssertOverride),
		AcceptRegister:      p.AcceptRegister,
		AnycastRPs:          p.AnycastRPs,
		BSR:                 c.bsr(f),
		AutoRP:              c.autorp(f),
		MaxEntries:          p.MaxEntries,
		MaxSources:          p.MaxSources,
	}
}

func (c *Config) pimdm(f engine.Family) pimdm.Config {
	p := c.pimOf(f)
	d := &p.Dense
	return pimdm.Config{
		Interfaces:         make(map[string]pimdm.InterfaceConfig),
		PruneHoldtime:      c.scaled(d.PruneHoldtime),
		PruneLimit:         c.scaled(d.PruneLimit),
		GraftRetryPeriod:   c.scaled(d.GraftRetryPeriod),
		GraftRetries:       d.GraftRetries,
		AssertTime:         c.scaled(p.AssertTime),
		SourceLifetime:     c.scaled(d.SourceLifetime),
		NoStateRefresh:     !d.StateRefresh,
		RefreshInterval:    c.scaled(d.RefreshInterval),
		RefreshLimit:       c.scaled(d.RefreshLimit),
		RefreshTTL:         d.RefreshTTL,
		MaxEntries:         d.MaxEntries,
		MaxSources:         d.MaxSources,
		MaxMembershipState: d.MaxMemberedGroups,
	}
}

// sparseInterface returns what PIM-SM has of an interface. Where dense mode runs as well PIM-SM speaks the Hellos of both,
// with the State Refresh Capable option (RFC 3973, section 4.7.2) if dense mode says so.
func (c *Config) sparseInterface(p *PIMInterface, f engine.Family) neighbor.Config {
	n := c.scaledPIM(p.Config)
	if d := c.pimOf(f).Dense; p.Mode == SparseDense && d.StateRefresh && !p.NoStateRefresh {
		n.StateRefreshInterval = c.scaled(d.RefreshInterval)
	}
	return n
}

// denseInterface returns what PIM-DM has of an interface. Where sparse mode runs as well PIM-DM only listens to Hellos, and
// leaves sparse mode its groups.
func (c *Config) denseInterface(i *Interface, p *PIMInterface, f engine.Family) pimdm.InterfaceConfig {
	d := pimdm.InterfaceConfig{
		Config:         c.scaledPIM(p.Config),
		NoStateRefresh: p.NoStateRefresh,
		Boundary:       ofFamily(i.Multicast.Boundaries, f),
		Threshold:      i.Multicast.TTLThreshold,
	}
	if p.Mode == SparseDense {
		d.Silent = true
		d.SparseDense = true
	}
	return d
}

func (c *Config) scaledPIM(n neighbor.Config) neighbor.Config {
	for _, d := range []*time.Duration{
		&n.HelloPeriod, &n.HelloHoldtime, &n.TriggeredHelloDelay, &n.PropagationDelay, &n.OverrideInterval,
		&n.DefaultPropagationDelay, &n.DefaultOverrideInterval,
	} {
		*d = c.scaled(*d)
	}
	return n
}

func (c *Config) scaledIGMP(i igmp.InterfaceConfig) igmp.InterfaceConfig {
	for _, d := range []*time.Duration{
		&i.QueryInterval, &i.QueryResponseInterval, &i.StartupQueryInterval, &i.LastMemberQueryInterval,
		&i.OlderHostPresent,
	} {
		*d = c.scaled(*d)
	}
	return i
}

func (c *Config) scaled(d time.Duration) time.Duration {
	if c.TimeScale == 0 || c.TimeScale == 1 {
		return d
	}
	return time.Duration(float64(d) / c.TimeScale)
}

func ofFamily(prefixes []netip.Prefix, f engine.Family) []netip.Prefix {
	var of []netip.Prefix
	for _, p := range prefixes {
		if engine.FamilyOf(p.Addr()) == f {
			of = append(of, p)
		}
	}
	return of
}
