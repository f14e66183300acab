package script

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"connectrpc.com/connect"

	grovev1 "grove/daemon/api/grove/v1"
	"grove/daemon/api/grove/v1/grovev1connect"
	"grove/internal/engine"
)

// Ask returns the state of the router that answers c. Every engine answers by the management API, so that a check sees
// what a person would.
func Ask(ctx context.Context, name string, c grovev1connect.RouterServiceClient, f engine.Family) (RouterState, error) {
	family := grovev1.Family(f)
	var s RouterState
	neighbors, err := c.ListPIMNeighbors(ctx, connect.NewRequest(&grovev1.ListPIMNeighborsRequest{Family: family}))
	pim := connect.CodeOf(err) != connect.CodeFailedPrecondition // or it does not run there for this family
	if pim {
		if err != nil {
			return RouterState{}, fmt.Errorf("%s: PIM neighbors: %w", name, err)
		}
		interfaces, err := c.ListPIMInterfaces(ctx, connect.NewRequest(&grovev1.ListPIMInterfacesRequest{Family: family}))
		if err != nil {
			return RouterState{}, fmt.Errorf("%s: PIM interfaces: %w", name, err)
		}
		s.addPIM(neighbors.Msg, interfaces.Msg)
	}
	dvmrp, err := s.askDVMRP(ctx, c, f)
	if err != nil {
		return RouterState{}, fmt.Errorf("%s: DVMRP: %w", name, err)
	}
	if !pim && !dvmrp {
		return RouterState{}, nil
	}
	routes, err := c.ListMroutes(ctx, connect.NewRequest(&grovev1.ListMroutesRequest{Family: family}))
	if err != nil {
		return RouterState{}, fmt.Errorf("%s: multicast routes: %w", name, err)
	}
	s.addEntries(routes.Msg)
	return s, nil
}

func (s *RouterState) addPIM(neighbors *grovev1.ListPIMNeighborsResponse, interfaces *grovev1.ListPIMInterfacesResponse) {
	for _, i := range interfaces.Interfaces {
		if !i.Running {
			s.Down = append(s.Down, i.Interface)
		}
	}
	for _, n := range neighbors.Neighbors {
		s.Neighbors = append(s.Neighbors, Neighbor{Interface: n.Interface, Address: addr(n.Address)})
	}
}

// askDVMRP adds the routes of DVMRP, and its neighbors that hear us and that we hear; false: it does not run.
func (s *RouterState) askDVMRP(ctx context.Context, c grovev1connect.RouterServiceClient, f engine.Family) (bool, error) {
	if f != engine.IPv4 {
		return false, nil
	}
	neighbors, err := c.ListDVMRPNeighbors(ctx, connect.NewRequest(&grovev1.ListDVMRPNeighborsRequest{}))
	if connect.CodeOf(err) == connect.CodeFailedPrecondition {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	interfaces, err := c.ListDVMRPInterfaces(ctx, connect.NewRequest(&grovev1.ListDVMRPInterfacesRequest{}))
	if err != nil {
		return false, err
	}
	for _, i := range interfaces.Msg.Interfaces {
		if !i.Running {
			s.Down = append(s.Down, i.Interface)
		}
	}
	for _, n := range neighbors.Msg.Neighbors {
		if n.TwoWay {
			s.Neighbors = append(s.Neighbors, Neighbor{Interface: n.Interface, Address: addr(n.Address)})
		}
	}
	routes, err := c.ListDVMRPRoutes(ctx, connect.NewRequest(&grovev1.ListDVMRPRoutesRequest{}))
	if err != nil {
		return false, err
	}
	for _, r := range routes.Msg.Routes {
		prefix, err := netip.ParsePrefix(r.Prefix)
		if err != nil {
			return false, err
		}
		var dependents []string
		for _, i := range r.Interfaces {
			dependents = append(dependents, i.Dependents...)
		}
		slices.Sort(dependents)
		s.Routes = append(s.Routes, Route{
			Prefix: prefix, State: r.State, Metric: int(r.Metric), Gateway: addr(r.Gateway), Dependents: strings.Join(dependents, " "),
		})
	}
	return true, nil
}

func (s *RouterState) addEntries(routes *grovev1.ListMroutesResponse) {
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
}

// addr parses an address of the API: "*" and the empty text are no address.
func addr(s string) netip.Addr {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return a
}
