package api

import (
	"context"
	"slices"

	"connectrpc.com/connect"

	pb "grove/daemon/api/grove/v1"
	"grove/internal/engine"
	"grove/internal/pim/neighbor"
	"grove/mfib"
	"grove/pimsm"
)

// asked reads what most requests have: a family and perhaps a group.
func (s *server) asked(ctx context.Context, f pb.Family, group string) (*asker, engine.Family, string, error) {
	of, err := family(f)
	if err != nil {
		return nil, 0, "", err
	}
	g, err := address("group", group)
	if err != nil {
		return nil, 0, "", err
	}
	a, err := s.asker(ctx)
	return a, of, addr(g), err
}

func (s *server) ListPIMNeighbors(ctx context.Context, req *connect.Request[pb.ListPIMNeighborsRequest]) (*connect.Response[pb.ListPIMNeighborsResponse], error) {
	a, f, _, err := s.asked(ctx, req.Msg.Family, "")
	if err != nil {
		return nil, err
	}
	neighbors, err := query[[]neighbor.NeighborState](ctx, a, engine.PIMSM, f, "neighbors", "")
	if err != nil {
		return nil, err
	}
	response := PIMNeighborsResponse(neighbors)
	if i := req.Msg.Interface; i != "" {
		response.Neighbors = slices.DeleteFunc(response.Neighbors, func(n *pb.PIMNeighbor) bool { return n.Interface != i })
	}
	return connect.NewResponse(response), nil
}

func (s *server) ListPIMInterfaces(ctx context.Context, req *connect.Request[pb.ListPIMInterfacesRequest]) (*connect.Response[pb.ListPIMInterfacesResponse], error) {
	a, f, _, err := s.asked(ctx, req.Msg.Family, "")
	if err != nil {
		return nil, err
	}
	interfaces, err := query[[]neighbor.InterfaceState](ctx, a, engine.PIMSM, f, "interfaces", "")
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(PIMInterfacesResponse(interfaces)), nil
}

func (s *server) ListPIMJoins(ctx context.Context, req *connect.Request[pb.ListPIMJoinsRequest]) (*connect.Response[pb.ListPIMJoinsResponse], error) {
	a, f, group, err := s.asked(ctx, req.Msg.Family, req.Msg.Group)
	if err != nil {
		return nil, err
	}
	joins, err := query[[]pimsm.DownstreamShow](ctx, a, engine.PIMSM, f, "joins", "")
	if err != nil {
		return nil, err
	}
	response := PIMJoinsResponse(joins)
	if group != "" {
		response.Joins = slices.DeleteFunc(response.Joins, func(j *pb.PIMJoin) bool { return j.Group != group })
	}
	return connect.NewResponse(response), nil
}

func (s *server) ListRPs(ctx context.Context, req *connect.Request[pb.ListRPsRequest]) (*connect.Response[pb.ListRPsResponse], error) {
	a, f, group, err := s.asked(ctx, req.Msg.Family, req.Msg.Group)
	if err != nil {
		return nil, err
	}
	rps, err := query[[]pimsm.RPShow](ctx, a, engine.PIMSM, f, "rp", group)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(RPsResponse(rps)), nil
}

func (s *server) ListMroutes(ctx context.Context, req *connect.Request[pb.ListMroutesRequest]) (*connect.Response[pb.ListMroutesResponse], error) {
	a, f, group, err := s.asked(ctx, req.Msg.Family, req.Msg.Group)
	if err != nil {
		return nil, err
	}
	source := req.Msg.Source
	if source != "*" {
		from, err := address("source", source)
		if err != nil {
			return nil, err
		}
		source = addr(from)
	}
	rows, err := query[[]mfib.Entry](ctx, a, engine.MFIB, f, "entries", group)
	if err != nil {
		return nil, err
	}
	var entries []pimsm.EntryShow
	var joins []pimsm.DownstreamShow
	if a.runs(engine.PIMSM, f) {
		if entries, err = query[[]pimsm.EntryShow](ctx, a, engine.PIMSM, f, "entries", ""); err != nil {
			return nil, err
		}
		if joins, err = query[[]pimsm.DownstreamShow](ctx, a, engine.PIMSM, f, "joins", ""); err != nil {
			return nil, err
		}
	}
	response := MroutesResponse(entries, joins, rows)
	response.Mroutes = slices.DeleteFunc(response.Mroutes, func(m *pb.Mroute) bool {
		return group != "" && m.Group != group || source != "" && m.Source != source
	})
	return connect.NewResponse(response), nil
}
