package router

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"

	"grove/dvmrp"
	"grove/igmp"
	"grove/internal/engine"
	"grove/internal/pim/autorp"
	"grove/internal/rib"
	"grove/mfib"
	"grove/msdp"
	"grove/pimdm"
	"grove/pimsm"
)

// Config says which machines run, each with the Config of its package.
type Config struct {
	Machines map[engine.MachineID]any
}

// compareIDs orders machines as interfaces are announced to them: mfib, igmp, rib, then the protocols.
func compareIDs(a, b engine.MachineID) int {
	return cmp.Or(
		cmp.Compare(rank(a.Protocol), rank(b.Protocol)),
		cmp.Compare(a.Protocol, b.Protocol),
		cmp.Compare(a.Family, b.Family),
		cmp.Compare(a.Table, b.Table),
	)
}

func rank(p engine.Protocol) int {
	switch p {
	case engine.MFIB:
		return 0
	case engine.IGMP:
		return 1
	case engine.RIB:
		return 2
	}
	return 3
}

// speaks says whether a machine reads the packets of a protocol of the Internet header.
func speaks(id engine.MachineID, proto uint8) bool {
	switch proto {
	case engine.ProtoIGMP:
		return id.Protocol == engine.IGMP || id.Protocol == engine.DVMRP
	case engine.ProtoICMPv6:
		return id.Protocol == engine.IGMP
	case engine.ProtoPIM:
		return id.Protocol == engine.PIMSM || id.Protocol == engine.PIMDM
	case engine.ProtoUDP: // Auto-RP
		return id.Protocol == engine.PIMSM
	}
	return false
}

// newMachine returns a new machine for id.
func newMachine(id engine.MachineID, rng *rand.Rand) engine.Machine {
	switch id.Protocol {
	case engine.MFIB:
		return mfib.New(id)
	case engine.IGMP:
		return igmp.New(id, rng)
	case engine.RIB:
		return rib.New(id)
	case engine.PIMSM:
		return pimsm.New(id, rng)
	case engine.PIMDM:
		return pimdm.New(id, rng)
	case engine.DVMRP:
		return dvmrp.New(id, rng)
	case engine.MSDP:
		return msdp.New(id, rng)
	}
	panic(fmt.Sprintf("router: no machine speaks %q", id.Protocol))
}

// withoutInterfaces returns a configuration in which the machine has nothing to do: given it, a machine leaves in
// peace, with its goodbyes said and its wants taken back.
func withoutInterfaces(config any) any {
	switch c := config.(type) {
	case mfib.Config:
		c.Interfaces = nil
		return c
	case igmp.Config:
		c.Interfaces = nil
		return c
	case pimsm.Config:
		c.Interfaces, c.RPs, c.AutoRP = nil, nil, autorp.Config{}
		return c
	case pimdm.Config:
		c.Interfaces = nil
		return c
	case dvmrp.Config:
		c.Interfaces = nil
		return c
	case msdp.Config:
		c.Peers = nil
		return c
	}
	return config
}

func (r *Router) find(id engine.MachineID) *slot {
	for _, s := range r.machines {
		if s.id == id {
			return s
		}
	}
	return nil
}

// configure makes the machines be those of c. A machine that stays gets its new configuration, one that comes the
// interfaces as well; one that goes is first left with nothing to do, and settled.
func (r *Router) configure(c Config) {
	for i := len(r.machines) - 1; i >= 0; i-- {
		s := r.machines[i]
		if _, stays := c.Machines[s.id]; !stays {
			r.post(s, engine.MachineID{}, engine.Configure{To: s.id, Config: withoutInterfaces(s.config)}, -1)
			r.drain()
		}
	}
	r.settle()
	r.machines = slices.DeleteFunc(r.machines, func(s *slot) bool { _, stays := c.Machines[s.id]; return !stays })

	for id, config := range engine.SortedFunc(c.Machines, compareIDs) {
		s := r.find(id)
		fresh := s == nil
		if fresh {
			rng := rand.New(rand.NewPCG(r.rng.Uint64(), r.rng.Uint64()))
			s = &slot{id: id, machine: newMachine(id, rng)}
			at, _ := slices.BinarySearchFunc(r.machines, id, func(s *slot, id engine.MachineID) int { return compareIDs(s.id, id) })
			r.machines = slices.Insert(r.machines, at, s)
		}
		s.config = config
		r.post(s, engine.MachineID{}, engine.Configure{To: id, Config: config}, -1)
		if fresh {
			for _, ifc := range engine.Sorted(r.interfaces) {
				r.post(s, engine.MachineID{}, engine.InterfaceChange{Interface: ifc}, -1)
			}
			if id.Protocol == engine.RIB {
				for _, route := range engine.SortedFunc(r.routes, compareRoutes) {
					r.post(s, engine.MachineID{}, route, -1)
				}
			}
		}
	}
	r.drain()
}
