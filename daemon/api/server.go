package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "grove/daemon/api/grove/v1"
	"grove/daemon/api/grove/v1/grovev1connect"
	"grove/igmp"
	"grove/internal/engine"
	"grove/internal/rib"
)

// New returns a handler that answers for r.
func New(r Router) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(grovev1connect.NewRouterServiceHandler(&server{router: r}))
	return mux
}

type server struct {
	router Router
}

// family returns the family of a request; unspecified is IPv4.
func family(f pb.Family) (engine.Family, error) {
	switch f {
	case pb.Family_FAMILY_UNSPECIFIED, pb.Family_FAMILY_IPV4:
		return engine.IPv4, nil
	case pb.Family_FAMILY_IPV6:
		return engine.IPv6, nil
	}
	return 0, connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("family %d: there are FAMILY_IPV4 and FAMILY_IPV6", f))
}

// address parses an address of a request; "" is none.
func address(name, text string) (netip.Addr, error) {
	if text == "" {
		return netip.Addr{}, nil
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return a, connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("%s %q is not an address", name, text))
	}
	return a, nil
}

// enableWith says which key of the configuration makes a machine run.
var enableWith = map[engine.MachineID]string{
	{Protocol: engine.PIMSM, Family: engine.IPv4}: "pim",
	{Protocol: engine.PIMSM, Family: engine.IPv6}: "pim6",
	{Protocol: engine.PIMDM, Family: engine.IPv4}: "pim: {mode: dense}",
	{Protocol: engine.PIMDM, Family: engine.IPv6}: "pim6: {mode: dense}",
	{Protocol: engine.DVMRP, Family: engine.IPv4}: "dvmrp",
	{Protocol: engine.IGMP, Family: engine.IPv4}:  "igmp",
	{Protocol: engine.IGMP, Family: engine.IPv6}:  "mld",
	{Protocol: engine.MFIB, Family: engine.IPv4}:  "igmp, pim or dvmrp",
	{Protocol: engine.MFIB, Family: engine.IPv6}:  "mld or pim6",
	{Protocol: engine.RIB, Family: engine.IPv4}:   "igmp, pim or dvmrp",
	{Protocol: engine.RIB, Family: engine.IPv6}:   "mld or pim6",
}

// asker asks the machines of a router as it was when the asker was made.
type asker struct {
	router Router
	status Status
}

func (s *server) asker(ctx context.Context) (*asker, error) {
	status, err := s.router.Status(ctx)
	if err != nil {
		return nil, connectError(err)
	}
	return &asker{s.router, status}, nil
}

// runs says whether a protocol's machine of a family runs.
func (a *asker) runs(p engine.Protocol, f engine.Family) bool {
	return slices.Contains(a.status.Machines, a.id(p, f))
}

func (a *asker) id(p engine.Protocol, f engine.Family) engine.MachineID {
	return engine.MachineID{Protocol: p, Family: f, Table: a.status.Table}
}

// query asks a protocol's machine for what, whose answer is a T. If the machine does not run, the error says how to
// make it run.
func query[T any](ctx context.Context, a *asker, p engine.Protocol, f engine.Family, what, arg string) (T, error) {
	var none T
	id := a.id(p, f)
	if !a.runs(p, f) && p == engine.MSDP {
		return none, connect.NewError(connect.CodeFailedPrecondition, fmt.Errorf("%v does not run on this router: name its peers below msdp in its configuration", id))
	}
	if !a.runs(p, f) {
		return none, connect.NewError(connect.CodeFailedPrecondition, fmt.Errorf("%v does not run on this router: enable %s on an interface in its configuration",
			id, enableWith[engine.MachineID{Protocol: p, Family: f}]))
	}
	value, err := a.router.Query(ctx, id, what, arg)
	if err != nil {
		return none, connectError(err)
	}
	answer, ok := value.(T)
	if !ok {
		return none, connect.NewError(connect.CodeInternal, fmt.Errorf("%v answers %q with a %T, not a %T", id, what, value, none))
	}
	return answer, nil
}

func connectError(err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		return connect.NewError(connect.CodeCanceled, err)
	case errors.Is(err, context.DeadlineExceeded):
		return connect.NewError(connect.CodeDeadlineExceeded, err)
	}
	return connect.NewError(connect.CodeUnknown, err)
}

func (s *server) GetStatus(ctx context.Context, _ *connect.Request[pb.GetStatusRequest]) (*connect.Response[pb.GetStatusResponse], error) {
	status, err := s.router.Status(ctx)
	if err != nil {
		return nil, connectError(err)
	}
	return connect.NewResponse(StatusResponse(status)), nil
}

func (s *server) ListGroups(ctx context.Context, req *connect.Request[pb.ListGroupsRequest]) (*connect.Response[pb.ListGroupsResponse], error) {
	f, err := family(req.Msg.Family)
	if err != nil {
		return nil, err
	}
	group, err := address("group", req.Msg.Group)
	if err != nil {
		return nil, err
	}
	a, err := s.asker(ctx)
	if err != nil {
		return nil, err
	}
	groups, err := query[[]igmp.GroupInfo](ctx, a, engine.IGMP, f, "groups", addr(group))
	if err != nil {
		return nil, err
	}
	response := GroupsResponse(groups)
	if i := req.Msg.Interface; i != "" {
		response.Groups = slices.DeleteFunc(response.Groups, func(g *pb.Group) bool { return g.Interface != i })
	}
	return connect.NewResponse(response), nil
}

func (s *server) ListGroupInterfaces(ctx context.Context, req *connect.Request[pb.ListGroupInterfacesRequest]) (*connect.Response[pb.ListGroupInterfacesResponse], error) {
	f, err := family(req.Msg.Family)
	if err != nil {
		return nil, err
	}
	a, err := s.asker(ctx)
	if err != nil {
		return nil, err
	}
	interfaces, err := query[[]igmp.InterfaceInfo](ctx, a, engine.IGMP, f, "interfaces", "")
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(GroupInterfacesResponse(interfaces)), nil
}

func (s *server) GetRPF(ctx context.Context, req *connect.Request[pb.GetRPFRequest]) (*connect.Response[pb.GetRPFResponse], error) {
	f, err := family(req.Msg.Family)
	if err != nil {
		return nil, err
	}
	to, err := address("address", req.Msg.Address)
	if err != nil {
		return nil, err
	}
	a, err := s.asker(ctx)
	if err != nil {
		return nil, err
	}
	if to.IsValid() {
		path, err := query[rib.RPF](ctx, a, engine.RIB, engine.FamilyOf(to), "rpf", to.String())
		if err != nil {
			return nil, err
		}
		return connect.NewResponse(RPFResponse([]rib.RPF{path})), nil
	}
	paths, err := query[[]rib.RPF](ctx, a, engine.RIB, f, "rpf", "")
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(RPFResponse(paths)), nil
}

func (s *server) ListCounts(ctx context.Context, _ *connect.Request[pb.ListCountsRequest]) (*connect.Response[pb.ListCountsResponse], error) {
	a, err := s.asker(ctx)
	if err != nil {
		return nil, err
	}
	response := &pb.ListCountsResponse{Schema: Schema}
	for _, id := range a.status.Machines {
		value, err := s.router.Query(ctx, id, "counts", "")
		if err != nil {
			return nil, connectError(err)
		}
		counts, err := Counts(id.String(), value)
		if err != nil {
			return nil, connect.NewError(connect.CodeInternal, err)
		}
		response.Machines = append(response.Machines, counts)
	}
	if len(a.status.Counts) > 0 {
		counts, err := Counts("host", a.status.Counts)
		if err != nil {
			return nil, connect.NewError(connect.CodeInternal, err)
		}
		response.Machines = append(response.Machines, counts)
	}
	return connect.NewResponse(response), nil
}

func (s *server) Watch(ctx context.Context, req *connect.Request[pb.WatchRequest], stream *connect.ServerStream[pb.WatchResponse]) error {
	events, err := s.router.Watch(ctx)
	if err != nil {
		return connectError(err)
	}
	status, err := s.router.Status(ctx)
	if err != nil {
		return connectError(err)
	}
	ready := &pb.WatchResponse{Schema: Schema, Event: &pb.WatchResponse_Ready{Ready: &pb.Ready{Hostname: status.Hostname}}}
	if err := stream.Send(ready); err != nil {
		return err
	}
	for e := range events {
		if e.Lost > 0 {
			lost := &pb.WatchResponse{Schema: Schema, Time: timestamppb.New(e.Time), Event: &pb.WatchResponse_Lost{Lost: &pb.Lost{Events: e.Lost}}}
			if err := stream.Send(lost); err != nil {
				return err
			}
		}
		if _, note := e.Effect.(engine.Note); note && !req.Msg.Notes {
			continue
		}
		if m := WatchResponse(e); m != nil {
			if err := stream.Send(m); err != nil {
				return err
			}
		}
	}
	return nil
}
