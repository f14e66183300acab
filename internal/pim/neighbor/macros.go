package neighbor

import (
	"net/netip"
	"slices"
	"time"
)

// parameters are what RFC 7761 section 4.3.3 derives from the LAN Prune Delay options.
type parameters struct {
	propagationDelay time.Duration // Effective_Propagation_Delay(I)
	overrideInterval time.Duration // Effective_Override_Interval(I)
	suppression      bool          // Suppression_Enabled(I)
}

// DR is the macro DR(I) of RFC 7761 section 4.3.2: the Designated Router's primary address; invalid while PIM does not
// run.
func (i *Interface) DR() netip.Addr { return i.dr }

// IAmDR is the macro I_am_DR(I).
func (i *Interface) IAmDR() bool { return i.running && i.dr == i.primary }

// EffectivePropagationDelay is Effective_Propagation_Delay(I).
func (i *Interface) EffectivePropagationDelay() time.Duration { return i.params.propagationDelay }

// EffectiveOverrideInterval is Effective_Override_Interval(I).
func (i *Interface) EffectiveOverrideInterval() time.Duration { return i.params.overrideInterval }

// SuppressionEnabled is Suppression_Enabled(I).
func (i *Interface) SuppressionEnabled() bool { return i.params.suppression }

// JPOverrideInterval is J/P_Override_Interval(I) of RFC 7761 section 4.11: how long a prune is pending.
func (i *Interface) JPOverrideInterval() time.Duration {
	return i.params.propagationDelay + i.params.overrideInterval
}

// TOverride draws a t_override (section 4.11): how long to wait before overriding somebody else's prune.
func (i *Interface) TOverride() time.Duration { return i.upTo(i.params.overrideInterval) }

// TSuppressed draws a t_suppressed (section 4.11) for a Join/Prune period: how long somebody else's Join suppresses ours;
// 0 if suppression is disabled.
func (i *Interface) TSuppressed(periodic time.Duration) time.Duration {
	if !i.params.suppression {
		return 0
	}
	return periodic*11/10 + i.upTo(periodic*3/10)
}

// candidate is one router in the election of the DR.
type candidate struct {
	address  netip.Addr
	priority uint32
}

func (i *Interface) electDR() netip.Addr {
	if !i.running {
		return netip.Addr{}
	}
	return i.electDRWithout(nil)
}

// IAmDRWithout says whether we would be the DR if some neighbors, by their primary addresses, were excluded from the election
// (RFC 5059 section 3.5).
func (i *Interface) IAmDRWithout(excluded []netip.Addr) bool {
	return i.running && i.electDRWithout(excluded) == i.primary
}

func (i *Interface) electDRWithout(excluded []netip.Addr) netip.Addr {
	// Deviation: dr_is_better asks whether a neighbor does not send the option; here we count, too, if we are configured
	// not to send it. The others then go by address, and would elect another router than we.
	usePriority := !i.cfg.NoDRPriority
	neighbors := i.Neighbors()
	neighbors = slices.DeleteFunc(neighbors, func(n *Neighbor) bool { return slices.Contains(excluded, n.Address) })
	for _, n := range neighbors {
		usePriority = usePriority && n.DRPriorityPresent
	}
	dr := candidate{i.primary, i.cfg.DRPriority}
	for _, n := range neighbors {
		if c := (candidate{n.Address, n.DRPriority}); drIsBetter(c, dr, usePriority) {
			dr = c
		}
	}
	return dr.address
}

// drIsBetter is dr_is_better(a,b,I) of RFC 7761 section 4.3.2.
func drIsBetter(a, b candidate, usePriority bool) bool {
	if usePriority && a.priority != b.priority {
		return a.priority > b.priority
	}
	return b.address.Less(a.address)
}

// lanDelayEnabled is lan_delay_enabled(I) of RFC 7761 section 4.3.3.
func (i *Interface) lanDelayEnabled() bool {
	for _, n := range i.Neighbors() {
		if !n.LANPruneDelayPresent {
			return false
		}
	}
	return true
}

// parameters works out the functions of RFC 7761 section 4.3.3.
func (i *Interface) parameters() parameters {
	if !i.lanDelayEnabled() {
		return parameters{i.cfg.defaultPropagationDelay(), i.cfg.defaultOverrideInterval(), true}
	}
	p := parameters{i.cfg.PropagationDelay, i.cfg.OverrideInterval, false}
	for _, n := range i.Neighbors() {
		p.propagationDelay = max(p.propagationDelay, n.PropagationDelay)
		p.overrideInterval = max(p.overrideInterval, n.OverrideInterval)
		p.suppression = p.suppression || !n.TrackingSupport
	}
	return p
}
