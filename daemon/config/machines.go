package config

import (
	"net/netip"
	"time"

	"grove/igmp"
	"grove/internal/engine"
	"grove/internal/pim/neighbor"
	"grove/internal/rib"
	"grove/mfib"
	"grove/pimsm"
)

// Machines returns the machines that the file asks for, each with its configuration (igmp.Config, mfib.Config,
// rib.Config, pimsm.Config), protocol timers divided by the time scale. A family has mfib and rib as soon as any
// protocol of it is enabled on any interface.
func (c *Config) Machines() map[engine.MachineID]any {
	machines := make(map[engine.MachineID]any)
	for _, f := range []engine.Family{engine.IPv4, engine.IPv6} {
		table := mfib.Config{
			Interfaces:    make(map[string]mfib.InterfaceConfig),
			MaxEntries:    c.MFIB.MaxEntries,
			MaxNegative:   c.MFIB.MaxNegative,
			NegativeLife:  c.scaled(c.MFIB.NegativeLife),
			CheckInterval: c.MFIB.CheckInterval,
			RewriteEvery:  c.MFIB.RewriteEvery,
			UpcallRate:    c.MFIB.UpcallRate,
		}
		members := igmp.Config{Interfaces: make(map[string]igmp.InterfaceConfig)}
		sparse := c.pimsm(f)
		for i := range c.Interfaces {
			iface := &c.Interfaces[i]
			if !iface.Enabled(f) {
				continue
			}
			host, pim := iface.IGMP, iface.PIM
			if f == engine.IPv6 {
				host, pim = iface.MLD, iface.PIM6
			}
			owner := engine.IGMP
			if pim != nil {
				owner = engine.PIMSM
				sparse.Interfaces[iface.Name] = c.scaledPIM(*pim)
			}
			if host != nil {
				members.Interfaces[iface.Name] = c.scaledIGMP(*host)
			}
			table.Interfaces[iface.Name] = mfib.InterfaceConfig{
				Owner:        owner,
				TTLThreshold: iface.Multicast.TTLThreshold,
				Boundaries:   ofFamily(iface.Multicast.Boundaries, f),
			}
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
	}
	return machines
}

func (c *Config) id(p engine.Protocol, f engine.Family) engine.MachineID {
	return engine.MachineID{Protocol: p, Family: f, Table: c.Table}
}

func (c *Config) rib(f engine.Family) rib.Config {
	r := rib.Config{Distances: c.Distances}
	for _, s := range c.MulticastRoutes {
		if engine.FamilyOf(s.Prefix.Addr()) == f {
			r.Static = append(r.Static, s)
		}
	}
	return r
}

func (c *Config) pimsm(f engine.Family) pimsm.Config {
	p := &c.PIM4
	if f == engine.IPv6 {
		p = &c.PIM6
	}
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
		MaxEntries:          p.MaxEntries,
		MaxSources:          p.MaxSources,
	}
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
