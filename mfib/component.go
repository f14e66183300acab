package mfib

import (
	"cmp"
	"net/netip"
	"slices"

	"grove/internal/engine"
)

// component is a protocol that uses the table (RFC 2715: a multicast routing component).
type component struct {
	id    engine.MachineID
	index int // in Machine.components; small
	// configured: it owns an interface, so it hears of every new flow. Others may want entries, and hear of theirs.
	configured bool
	wildcard   []netip.Prefix // rule 6
	joined     bool           // has been told that others are wildcard receivers
}

// maxComponents bounds the protocols of a table; there are not that many.
const maxComponents = 32

// component returns the component with this name, new if need be; nil if there are too many.
func (m *Machine) component(id engine.MachineID) *component {
	for _, c := range m.components {
		if c.id == id {
			return c
		}
	}
	if len(m.components) == maxComponents {
		m.counts.Add("too many components")
		return nil
	}
	c := &component{id: id, index: len(m.components)}
	m.components = append(m.components, c)
	return c
}

// configureComponents takes the owners of the interfaces as components that hear of new flows.
func (m *Machine) configureComponents() {
	owns := make(map[engine.Protocol]bool)
	for _, ic := range engine.Sorted(m.cfg.Interfaces) {
		owns[ic.Owner] = true
		for _, g := range ic.Groups {
			owns[g.Owner] = true
		}
		if ic.SparseDense {
			owns[engine.PIMSM] = true
		}
	}
	for _, c := range m.components {
		if c.configured && !owns[c.id.Protocol] {
			m.forgetInterest(c)
		}
		c.configured = owns[c.id.Protocol]
	}
	for p := range engine.Sorted(owns) {
		if p == "" || p == engine.IGMP {
			continue // section 4.6: an IGMP-only link is in no routing domain
		}
		if c := m.component(engine.MachineID{Protocol: p, Family: m.id.Family, Table: m.id.Table}); c != nil {
			c.configured = true
		}
	}
	m.speakers = m.speakers[:0]
	for _, c := range m.components {
		if c.configured {
			m.speakers = append(m.speakers, c)
		}
	}
	slices.SortFunc(m.speakers, compareComponents)
}

func compareComponents(a, b *component) int { return cmp.Compare(a.id.Protocol, b.id.Protocol) }

// several says that more than one protocol routes: only then are there owners to choose and others to alert.
func (m *Machine) several() bool { return len(m.speakers) > 1 }

// ownerOn returns the protocol that an interface belongs to for a group; for none, the one that has most.
func (m *Machine) ownerOn(ic *InterfaceConfig, g netip.Addr) engine.Protocol {
	if !g.IsValid() {
		return ic.Owner
	}
	for _, o := range ic.Groups {
		if o.Groups.Contains(g) {
			return o.Owner
		}
	}
	if ic.SparseDense && engine.SparseIn(m.modes, g) {
		return engine.PIMSM
	}
	return ic.Owner
}

// groupModes takes over which groups are sparse mode's where both modes run.
func (m *Machine) groupModes(ev engine.GroupModes) {
	m.modes = ev.Ranges
	m.regroupAll()
	m.touchAll()
}

// componentOf returns the component of the protocol that an interface belongs to for a group; nil for an IGMP-only link, and
// for one that is not configured.
func (m *Machine) componentOf(i *iface, g netip.Addr) *component {
	if i == nil || i.cfg == nil {
		return nil
	}
	return m.speaker(m.ownerOn(i.cfg, g))
}

// speaker returns the component of a protocol that owns interfaces; nil if it owns none.
func (m *Machine) speaker(p engine.Protocol) *component {
	for _, c := range m.speakers {
		if c.id.Protocol == p {
			return c
		}
	}
	return nil
}

// mayUse says whether an interface is one that c may use for a group: its own or an IGMP-only link. A (*,*) row, for which g is
// invalid, may have it if it is c's for some groups.
func (m *Machine) mayUse(c *component, i *iface, g netip.Addr) bool {
	if owner := m.componentOf(i, g); owner == nil || owner == c {
		return true
	}
	if !g.IsValid() && i.cfg.SparseDense && c.id.Protocol == engine.PIMSM {
		return true
	}
	return !g.IsValid() && slices.ContainsFunc(i.cfg.Groups, func(o GroupOwner) bool { return o.Owner == c.id.Protocol })
}
