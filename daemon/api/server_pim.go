package api

import (
	"context"
	"slices"

	"connectrpc.com/connect"

	pb "grove/daemon/api/grove/v1"
	"grove/dvmrp"
	"grove/internal/engine"
	"grove/internal/pim/bootstrap"
	"grove/internal/pim/neighbor"
	"grove/mfib"
	"grove/pimdm"
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

// pim asks both modes of PIM for what; a machine that does not run has nothing to say, but one of the two must run.
func pim[S, D any](ctx context.Context, a *asker, f engine.Family, what string) (sparse S, dense D, err error) {
	runs := a.runs(engine.PIMDM, f)
	if a.runs(engine.PIMSM, f) || !runs {
		if sparse, err = query[S](ctx, a, engine.PIMSM, f, what, ""); err != nil {
			return sparse, dense, err
		}
	}
	if runs {
		dense, err = query[D](ctx, a, engine.PIMDM, f, what, "")
	}
	return sparse, dense, err
}

func (s *server) ListPIMNeighbors(ctx context.Context, req *connect.Request[pb.ListPIMNeighborsRequest]) (*connect.Response[pb.ListPIMNeighborsResponse], error) {
	a, f, _, err := s.asked(ctx, req.Msg.Family, "")
	if err != nil {
		return nil, err
	}
	var p PIMShow
	if p.Sparse, p.Dense, err = pim[[]neighbor.NeighborState, []neighbor.NeighborState](ctx, a, f, "neighbors"); err != nil {
		return nil, err
	}
	if a.runs(engine.PIMDM, f) {
		if p.DenseInterfaces, err = query[[]pimdm.InterfaceShow](ctx, a, engine.PIMDM, f, "interfaces", ""); err != nil {
			return nil, err
		}
	}
	response := PIMNeighborsResponse(p)
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
	var p PIMShow
	if p.Interfaces, p.DenseInterfaces, err = pim[[]neighbor.InterfaceState, []pimdm.InterfaceShow](ctx, a, f, "interfaces"); err != nil {
		return nil, err
	}
	return connect.NewResponse(PIMInterfacesResponse(p)), nil
}

func (s *server) ListPIMStateRefresh(ctx context.Context, req *connect.Request[pb.ListPIMStateRefreshRequest]) (*connect.Response[pb.ListPIMStateRefreshResponse], error) {
	a, f, group, err := s.asked(ctx, req.Msg.Family, req.Msg.Group)
	if err != nil {
		return nil, err
	}
	entries, err := query[[]pimdm.StateRefreshShow](ctx, a, engine.PIMDM, f, "state-refresh", "")
	if err != nil {
		return nil, err
	}
	response := StateRefreshResponse(entries)
	if group != "" {
		response.Entries = slices.DeleteFunc(response.Entries, func(e *pb.PIMStateRefresh) bool { return e.Group != group })
	}
	return connect.NewResponse(response), nil
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

func (s *server) ListRPMappings(ctx context.Context, req *connect.Request[pb.ListRPMappingsRequest]) (*connect.Response[pb.ListRPMappingsResponse], error) {
	a, f, group, err := s.asked(ctx, req.Msg.Family, req.Msg.Group)
	if err != nil {
		return nil, err
	}
	mappings, err := query[[]pimsm.MappingShow](ctx, a, engine.PIMSM, f, "mappings", group)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(RPMappingsResponse(mappings, group != "")), nil
}

func (s *server) GetBSR(ctx context.Context, req *connect.Request[pb.GetBSRRequest]) (*connect.Response[pb.GetBSRResponse], error) {
	a, f, _, err := s.asked(ctx, req.Msg.Family, "")
	if err != nil {
		return nil, err
	}
	show, err := query[bootstrap.Show](ctx, a, engine.PIMSM, f, "bsr", "")
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(BSRResponse(show)), nil
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
	var all Routes
	if all.Rows, err = query[[]mfib.Entry](ctx, a, engine.MFIB, f, "entries", group); err != nil {
		return nil, err
	}
	if a.runs(engine.PIMSM, f) {
		if all.Sparse, err = query[[]pimsm.EntryShow](ctx, a, engine.PIMSM, f, "entries", ""); err != nil {
			return nil, err
		}
		if all.Joins, err = query[[]pimsm.DownstreamShow](ctx, a, engine.PIMSM, f, "joins", ""); err != nil {
			return nil, err
		}
	}
	if a.runs(engine.PIMDM, f) {
		if all.Dense, err = query[[]pimdm.EntryShow](ctx, a, engine.PIMDM, f, "entries", group); err != nil {
			return nil, err
		}
	}
	if a.runs(engine.DVMRP, f) {
		if all.DVMRP, err = query[[]dvmrp.EntryShow](ctx, a, engine.DVMRP, f, "entries", group); err != nil {
			return nil, err
		}
	}
	response := MroutesResponse(all)
	response.Mroutes = slices.DeleteFunc(response.Mroutes, func(m *pb.Mroute) bool {
		return group != "" && m.Group != group || source != "" && m.Source != source
	})
	return connect.NewResponse(response), nil
}
