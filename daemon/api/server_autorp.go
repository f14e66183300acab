package api

import (
	"context"

	"connectrpc.com/connect"

	pb "grove/daemon/api/grove/v1"
	"grove/internal/engine"
	"grove/internal/pim/autorp"
)

func (s *server) GetAutoRP(ctx context.Context, _ *connect.Request[pb.GetAutoRPRequest]) (*connect.Response[pb.GetAutoRPResponse], error) {
	a, err := s.asker(ctx)
	if err != nil {
		return nil, err
	}
	state, err := query[autorp.State](ctx, a, engine.PIMSM, engine.IPv4, "auto-rp", "")
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(AutoRPResponse(&state)), nil
}
