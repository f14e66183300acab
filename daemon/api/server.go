package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "grove/daemon/api/grove/v1"
	"grove/daemon/api/grove/v1/grovev1connect"
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
	grovev1connect.UnimplementedRouterServiceHandler
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
	{Protocol: engine.IGMP, Family: engine.IPv4}:  "igmp",
	{Protocol: engine.IGMP, Family: engine.IPv6}:  "mld",
	{Protocol: engine.MFIB, Family: engine.IPv4}:  "igmp or pim",
	{Protocol: engine.MFIB, Family: engine.IPv6}:  "mld or pim6",
	{Protocol: engine.RIB, Family: engine.IPv4}:   "igmp or pim",
	{Protocol: engine.RIB, Family: engine.IPv6}:   "mld or pim6",
}

// machine returns the ID of a protocol's machine, or an error that says how to get it.
func (s *server) machine(p engine.Protocol, f engine.Family) (engine.MachineID, error) {
	status := s.router.Status()
	id := engine.MachineID{Protocol: p, Family: f, Table: status.Table}
	if slices.Contains(status.Machines, id) {
		return id, nil
	}
	return id, connect.NewError(connect.CodeFailedPrecondition, fmt.Errorf("%v does not run here: enable %s on an interface in the configuration",
		id, enableWith[engine.MachineID{Protocol: p, Family: f}]))
}

// query asks a protocol's machine for what, whose answer is a T.
func query[T any](ctx context.Context, s *server, p engine.Protocol, f engine.Family, what, arg string) (T, error) {
	var none T
	id, err := s.machine(p, f)
	if err != nil {
		return none, err
	}
	value, err := s.router.Query(ctx, id, what, arg)
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

func (s *server) GetStatus(context.Context, *connect.Request[pb.GetStatusRequest]) (*connect.Response[pb.GetStatusResponse], error) {
	status := s.router.Status()
	return connect.NewResponse(StatusResponse(status)), nil
}

// StatusResponse converts a Status.
func StatusResponse(s Status) *pb.GetStatusResponse {
	r := &pb.GetStatusResponse{
		Schema: Schema, Hostname: s.Hostname, Version: s.Version, Uptime: durationpb.New(s.Uptime), TimeScale: s.TimeScale, Table: s.Table,
	}
	for _, id := range s.Machines {
		r.Machines = append(r.Machines, id.String())
	}
	slices.Sort(r.Machines)
	return r
}

func (s *server) GetRPF(ctx context.Context, req *connect.Request[pb.GetRPFRequest]) (*connect.Response[pb.GetRPFResponse], error) {
	f, err := family(req.Msg.Family)
	if err != nil {
		return nil, err
	}
	addr, err := address("address", req.Msg.Address)
	if err != nil {
		return nil, err
	}
	response := &pb.GetRPFResponse{Schema: Schema}
	if addr.IsValid() {
		path, err := query[rib.RPF](ctx, s, engine.RIB, engine.FamilyOf(addr), "rpf", addr.String())
		if err != nil {
			return nil, err
		}
		response.Paths = []*pb.RPF{RPF(path)}
		return connect.NewResponse(response), nil
	}
	paths, err := query[[]rib.RPF](ctx, s, engine.RIB, f, "rpf", "")
	if err != nil {
		return nil, err
	}
	for _, p := range paths {
		response.Paths = append(response.Paths, RPF(p))
	}
	return connect.NewResponse(response), nil
}

func (s *server) Watch(ctx context.Context, req *connect.Request[pb.WatchRequest], stream *connect.ServerStream[pb.WatchResponse]) error {
	events, err := s.router.Watch(ctx)
	if err != nil {
		return connectError(err)
	}
	ready := &pb.WatchResponse{Schema: Schema, Event: &pb.WatchResponse_Ready{Ready: &pb.Ready{Hostname: s.router.Status().Hostname}}}
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
		if m := WatchResponse(e, s.router.InterfaceName); m != nil {
			if err := stream.Send(m); err != nil {
				return err
			}
		}
	}
	return nil
}
