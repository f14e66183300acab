package api_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"connectrpc.com/connect"

	"grove/daemon/api"
	pb "grove/daemon/api/grove/v1"
	"grove/daemon/config"
	"grove/daemon/router"
	"grove/internal/engine"
)

// real is the machines of a configuration, with no network below them.
type real struct {
	router *router.Router
	status api.Status
}

// newReal makes the machines of a file.
func newReal(t *testing.T, file string) *real {
	t.Helper()
	c, err := config.Parse("x", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	r := &real{router: router.New(rand.New(rand.NewPCG(1, 2))), status: api.Status{Hostname: "r", TimeScale: 1}}
	machines := c.Machines()
	for id := range machines {
		r.status.Machines = append(r.status.Machines, id)
	}
	r.router.Step(time.Unix(0, 0), engine.Configure{Config: router.Config{Machines: machines}})
	return r
}

// Query implements api.Router.
func (r *real) Query(_ context.Context, id engine.MachineID, what, arg string) (any, error) {
	for _, eff := range r.router.Step(time.Unix(1, 0), engine.Addressed{To: id, Event: engine.Query{To: id, ID: 1, What: what, Arg: arg}}) {
		if a, ok := eff.(engine.Outward).Effect.(engine.Answer); ok {
			if a.Err != "" {
				return nil, errors.New(a.Err)
			}
			return a.Value, nil
		}
	}
	return nil, errors.New("no answer")
}

// Watch implements api.Router.
func (r *real) Watch(context.Context) (<-chan api.Event, error) { return nil, errors.ErrUnsupported }

// Status implements api.Router.
func (r *real) Status(context.Context) (api.Status, error) { return r.status, nil }

// TestMachinesAnswer: what the API asks of the machines, they answer, and with the types that it expects.
func TestMachinesAnswer(t *testing.T) {
	for _, mode := range []string{"sparse", "dense", "sparse-dense"} {
		c := api.Dial(serve(t, newReal(t, "interfaces: {eth1: {igmp: {}, mld: {}, pim: {mode: "+mode+"}, pim6: {mode: "+mode+"}}}")))
		for _, f := range []pb.Family{pb.Family_FAMILY_IPV4, pb.Family_FAMILY_IPV6} {
			check := func(method string, err error) {
				t.Helper()
				if err != nil {
					t.Errorf("%s, %v: %s: %v", mode, f, method, err)
				}
			}
			_, err := c.ListCounts(t.Context(), connect.NewRequest(&pb.ListCountsRequest{}))
			check("ListCounts", err)
			_, err = c.ListMroutes(t.Context(), connect.NewRequest(&pb.ListMroutesRequest{Family: f}))
			check("ListMroutes", err)
			_, err = c.ListPIMNeighbors(t.Context(), connect.NewRequest(&pb.ListPIMNeighborsRequest{Family: f}))
			check("ListPIMNeighbors", err)
			_, err = c.ListPIMInterfaces(t.Context(), connect.NewRequest(&pb.ListPIMInterfacesRequest{Family: f}))
			check("ListPIMInterfaces", err)
			if mode != "dense" {
				_, err = c.ListPIMJoins(t.Context(), connect.NewRequest(&pb.ListPIMJoinsRequest{Family: f}))
				check("ListPIMJoins", err)
				_, err = c.ListRPs(t.Context(), connect.NewRequest(&pb.ListRPsRequest{Family: f}))
				check("ListRPs", err)
			}
			if mode != "sparse" {
				_, err = c.ListPIMStateRefresh(t.Context(), connect.NewRequest(&pb.ListPIMStateRefreshRequest{Family: f}))
				check("ListPIMStateRefresh", err)
			}
			_, err = c.ListGroups(t.Context(), connect.NewRequest(&pb.ListGroupsRequest{Family: f}))
			check("ListGroups", err)
			_, err = c.ListGroupInterfaces(t.Context(), connect.NewRequest(&pb.ListGroupInterfacesRequest{Family: f}))
			check("ListGroupInterfaces", err)
			_, err = c.GetRPF(t.Context(), connect.NewRequest(&pb.GetRPFRequest{Family: f}))
			check("GetRPF", err)
		}
	}
}

// TestDVMRPAnswers is the same for DVMRP.
func TestDVMRPAnswers(t *testing.T) {
	c := api.Dial(serve(t, newReal(t, "interfaces: {eth1: {igmp: {}, dvmrp: {}}}")))
	_, mroutes := c.ListMroutes(t.Context(), connect.NewRequest(&pb.ListMroutesRequest{}))
	_, neighbors := c.ListDVMRPNeighbors(t.Context(), connect.NewRequest(&pb.ListDVMRPNeighborsRequest{}))
	_, interfaces := c.ListDVMRPInterfaces(t.Context(), connect.NewRequest(&pb.ListDVMRPInterfacesRequest{}))
	_, routes := c.ListDVMRPRoutes(t.Context(), connect.NewRequest(&pb.ListDVMRPRoutesRequest{}))
	_, entries := c.ListDVMRPEntries(t.Context(), connect.NewRequest(&pb.ListDVMRPEntriesRequest{}))
	for _, err := range []error{mroutes, neighbors, interfaces, routes, entries} {
		if err != nil {
			t.Error(err)
		}
	}
	for _, to := range []string{"nowhere", "10.0.0.0/99"} {
		_, err := c.ListDVMRPRoutes(t.Context(), connect.NewRequest(&pb.ListDVMRPRoutesRequest{Destination: to}))
		if connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%s: %v", to, err)
		}
	}
}
