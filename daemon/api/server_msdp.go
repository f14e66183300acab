package api

import (
	"context"

	"connectrpc.com/connect"

	pb "grove/daemon/api/grove/v1"
	"grove/internal/engine"
	"grove/msdp"
)

// interdomain asks the msdp machine.
func interdomain[T any](ctx context.Context, s *server, what, name, text string) (value T, err error) {
	arg, err := address(name, text)
	if err != nil {
		return value, err
	}
	a, err := s.asker(ctx)
	if err != nil {
		return value, err
	}
	return query[T](ctx, a, engine.MSDP, engine.IPv4, what, addr(arg))
}

func (s *server) ListMSDPPeers(ctx context.Context, req *connect.Request[pb.ListMSDPPeersRequest]) (*connect.Response[pb.ListMSDPPeersResponse], error) {
	list, err := interdomain[[]msdp.PeerShow](ctx, s, "peers", "address", req.Msg.Address)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(MSDPPeersResponse(list)), nil
}

func (s *server) ListMSDPSourceActives(ctx context.Context, req *connect.Request[pb.ListMSDPSourceActivesRequest]) (*connect.Response[pb.ListMSDPSourceActivesResponse], error) {
	list, err := interdomain[[]msdp.SAShow](ctx, s, "sa-cache", "address", req.Msg.Address)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(MSDPSourceActivesResponse(list)), nil
}

func (s *server) GetMSDPRPF(ctx context.Context, req *connect.Request[pb.GetMSDPRPFRequest]) (*connect.Response[pb.GetMSDPRPFResponse], error) {
	r, err := interdomain[msdp.RPFShow](ctx, s, "rpf", "rp", req.Msg.Rp)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(MSDPRPFResponse(&r)), nil
}

func (s *server) GetMSDPSummary(ctx context.Context, _ *connect.Request[pb.GetMSDPSummaryRequest]) (*connect.Response[pb.GetMSDPSummaryResponse], error) {
	x, err := interdomain[msdp.SummaryShow](ctx, s, "summary", "", "")
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(MSDPSummaryResponse(&x)), nil
}
