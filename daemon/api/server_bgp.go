package api

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"connectrpc.com/connect"

	pb "grove/daemon/api/grove/v1"
	"grove/daemon/bgp/show"
	"grove/internal/engine"
)

// speaker asks BGP, which is no machine: the router says so if it does not run.
func speaker[T any](ctx context.Context, s *server, what, arg string) (T, error) {
	var none T
	value, err := s.router.Query(ctx, engine.MachineID{Protocol: engine.BGP, Family: engine.IPv4}, what, arg)
	if err != nil {
		return none, connect.NewError(connect.CodeFailedPrecondition, err)
	}
	answer, ok := value.(T)
	if !ok {
		return none, connect.NewError(connect.CodeInternal, fmt.Errorf("bgp answers %q with a %T, not a %T", what, value, none))
	}
	return answer, nil
}

func (s *server) ListBGPNeighbors(ctx context.Context, req *connect.Request[pb.ListBGPNeighborsRequest]) (*connect.Response[pb.ListBGPNeighborsResponse], error) {
	a, err := address("neighbor", req.Msg.Address)
	if err != nil {
		return nil, err
	}
	summary, err := speaker[show.Summary](ctx, s, "summary", "")
	if err != nil {
		return nil, err
	}
	if a.IsValid() {
		if summary.Neighbors, err = speaker[[]show.Neighbor](ctx, s, "neighbors", a.String()); err != nil {
			return nil, err
		}
	}
	return connect.NewResponse(BGPNeighborsResponse(summary)), nil
}

func (s *server) ListBGPRoutes(ctx context.Context, req *connect.Request[pb.ListBGPRoutesRequest]) (*connect.Response[pb.ListBGPRoutesResponse], error) {
	to := req.Msg.Destination
	if _, err := netip.ParsePrefix(to); err != nil {
		if _, err := address("destination", to); err != nil {
			return nil, err
		}
	}
	list, err := speaker[[]show.Route](ctx, s, "routes", strings.TrimSpace(req.Msg.Family+" "+to))
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(BGPRoutesResponse(req.Msg.Family, list)), nil
}
