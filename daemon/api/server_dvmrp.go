package api

import (
	"context"
	"net/netip"
	"slices"

	"connectrpc.com/connect"

	pb "grove/daemon/api/grove/v1"
	"grove/dvmrp"
	"grove/internal/engine"
)

// vector asks the dvmrp machine.
func vector[T any](ctx context.Context, s *server, what, arg string) (value T, err error) {
	a, err := s.asker(ctx)
	if err != nil {
		return value, err
	}
	return query[T](ctx, a, engine.DVMRP, engine.IPv4, what, arg)
}

func (s *server) ListDVMRPNeighbors(ctx context.Context, req *connect.Request[pb.ListDVMRPNeighborsRequest]) (*connect.Response[pb.ListDVMRPNeighborsResponse], error) {
	list, err := vector[[]dvmrp.NeighborShow](ctx, s, "neighbors", "")
	if err != nil {
		return nil, err
	}
	if i := req.Msg.Interface; i != "" {
		list = slices.DeleteFunc(list, func(n dvmrp.NeighborShow) bool { return n.Interface != i })
	}
	return connect.NewResponse(DVMRPNeighborsResponse(list)), nil
}

func (s *server) ListDVMRPInterfaces(ctx context.Context, _ *connect.Request[pb.ListDVMRPInterfacesRequest]) (*connect.Response[pb.ListDVMRPInterfacesResponse], error) {
	list, err := vector[[]dvmrp.InterfaceShow](ctx, s, "interfaces", "")
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(DVMRPInterfacesResponse(list)), nil
}

func (s *server) ListDVMRPRoutes(ctx context.Context, req *connect.Request[pb.ListDVMRPRoutesRequest]) (*connect.Response[pb.ListDVMRPRoutesResponse], error) {
	to := req.Msg.Destination
	if _, err := netip.ParsePrefix(to); err != nil {
		if _, err := address("destination", to); err != nil {
			return nil, err
		}
	}
	list, err := vector[[]dvmrp.RouteShow](ctx, s, "routes", to)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(DVMRPRoutesResponse(list)), nil
}

func (s *server) ListDVMRPEntries(ctx context.Context, req *connect.Request[pb.ListDVMRPEntriesRequest]) (*connect.Response[pb.ListDVMRPEntriesResponse], error) {
	g, err := address("group", req.Msg.Group)
	if err != nil {
		return nil, err
	}
	list, err := vector[[]dvmrp.EntryShow](ctx, s, "entries", addr(g))
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(DVMRPEntriesResponse(list)), nil
}
