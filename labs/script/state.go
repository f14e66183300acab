package script

import (
	"net/netip"
	"slices"

	grovev1 "grove/daemon/api/grove/v1"
	"grove/internal/engine"
)

// StateOf returns what the management API says of a router as checks see it: every engine answers by the API's types.
func StateOf(neighbors *grovev1.ListPIMNeighborsResponse, routes *grovev1.ListMroutesResponse) RouterState {
	var s RouterState
	for _, n := range neighbors.Neighbors {
		s.Neighbors = append(s.Neighbors, Neighbor{Interface: n.Interface, Address: addr(n.Address)})
	}
	for _, r := range routes.Mroutes {
		if !r.Wanted {
			continue
		}
		e := Entry{
			Key: engine.Key{Source: addr(r.Source), Group: addr(r.Group)}, In: r.IncomingInterface,
			Upstream: r.Upstream, Register: r.Register, SPTbit: r.Spt, Installed: r.Installed,
		}
		for _, o := range r.Outgoing {
			e.Out = append(e.Out, o.Interface)
		}
		slices.Sort(e.Out)
		s.Entries = append(s.Entries, e)
	}
	return s
}

// addr parses an address of the API: "*" and the empty text are no address.
func addr(s string) netip.Addr {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return a
}
