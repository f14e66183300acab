package api_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"grove/daemon/api"
	pb "grove/daemon/api/grove/v1"
	"grove/daemon/config"
	"grove/daemon/router"
	"grove/internal/engine"
	"grove/msdp"
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
	for _, ev := range []engine.Event{engine.Addressed{To: id, Event: engine.Query{To: id, ID: 1, What: what, Arg: arg}}, engine.Settled{}} {
		for _, eff := range r.router.Step(time.Unix(1, 0), ev) {
			if a, ok := eff.(engine.Outward).Effect.(engine.Answer); ok {
				if a.Err != "" {
					return nil, errors.New(a.Err)
				}
				return a.Value, nil
			}
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
				_, err = c.ListRPMappings(t.Context(), connect.NewRequest(&pb.ListRPMappingsRequest{Family: f}))
				check("ListRPMappings", err)
				_, err = c.GetBSR(t.Context(), connect.NewRequest(&pb.GetBSRRequest{Family: f}))
				check("GetBSR", err)
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

// TestAutoRPAnswers is the same for Auto-RP. That dense mode floods its groups makes a sparse interface no other.
func TestAutoRPAnswers(t *testing.T) {
	router := newReal(t, `
interfaces: {eth1: {addresses: [10.0.0.5/24], pim: {}}, eth2: {addresses: [10.0.1.5/24], pim: {mode: sparse-dense}}}
pim: {ipv4: {auto-rp: {candidates: [{address: 10.0.0.5, deny: [239.1.0.0/16], scope: 3, holdtime: forever}], agent: {address: 10.0.0.6}}}}
`)
	for id, name := range map[engine.IfID]string{1: "eth1", 2: "eth2"} {
		router.router.Step(time.Unix(0, 0), engine.InterfaceChange{Interface: engine.Interface{ID: id, Name: name, Up: true, Carrier: true}})
	}
	c := api.Dial(serve(t, router))
	r, err := c.GetAutoRP(t.Context(), connect.NewRequest(&pb.GetAutoRPRequest{}))
	if err != nil {
		t.Fatal(err)
	}
	m := msg(r)
	if len(m.Candidates) != 1 || m.Agent == nil {
		t.Fatalf("%v", m)
	}
	if x := m.Candidates[0]; x.Address != "10.0.0.5" || !slices.Equal(x.Groups, []string{"224.0.0.0/4"}) || !slices.Equal(x.Denied, []string{"239.1.0.0/16"}) ||
		x.Scope != 3 || x.Interval.AsDuration() != time.Minute || x.Holdtime != nil {
		t.Errorf("candidate: %v", x)
	}
	if a := m.Agent; !m.Listening || m.Schema != "grove/v1" || a.Address != "10.0.0.6" || a.Status != "inactive" || a.Scope != 31 ||
		a.Interval.AsDuration() != time.Minute || a.Holdtime.AsDuration() != 3*time.Minute {
		t.Errorf("listening %v, agent: %v", m.Listening, a)
	}
	interfaces, err := c.ListPIMInterfaces(t.Context(), connect.NewRequest(&pb.ListPIMInterfacesRequest{}))
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range msg(interfaces).Interfaces {
		if want := map[string]string{"eth1": "sparse", "eth2": "sparse-dense"}[i.Interface]; i.Mode != want {
			t.Errorf("%s is %s, want %s", i.Interface, i.Mode, want)
		}
	}
	if len(msg(interfaces).Interfaces) == 0 {
		t.Error("no interfaces")
	}
	// A router without Auto-RP has nothing to tell, one without PIM says so.
	r, err = api.Dial(serve(t, newReal(t, "interfaces: {eth1: {pim: {}}}"))).GetAutoRP(t.Context(), connect.NewRequest(&pb.GetAutoRPRequest{}))
	if err != nil || msg(r).Listening || msg(r).Agent != nil || len(msg(r).Candidates) != 0 {
		t.Errorf("without Auto-RP: %v, %v", r, err)
	}
	if _, err := api.Dial(serve(t, newReal(t, "interfaces: {eth1: {igmp: {}}}"))).GetAutoRP(t.Context(), connect.NewRequest(&pb.GetAutoRPRequest{})); err == nil {
		t.Error("a router without PIM tells of Auto-RP")
	}
}

// TestMSDPAnswers is the same for MSDP, with what its machine says before it has a connection; and an address that is none is
// refused before the machine is asked.
func TestMSDPAnswers(t *testing.T) {
	c := api.Dial(serve(t, newReal(t, `
interfaces: {eth1: {addresses: [10.0.0.5/24], pim: {}}}
msdp:
  peers:
    - {address: 10.0.0.1, connect-source: 10.0.0.5, mesh-group: inside, password: secret, remote-as: 65001}
    - {address: 10.0.0.9, connect-source: 10.0.0.5, default-peer: true}
  static-rpf: [{rp: 10.9.0.0/16, peer: 10.0.0.9}]
`)))
	peers, err := c.ListMSDPPeers(t.Context(), connect.NewRequest(&pb.ListMSDPPeersRequest{}))
	if err != nil {
		t.Fatal(err)
	}
	if list := msg(peers).Peers; len(list) != 2 || list[0].Address != "10.0.0.1" || list[0].MeshGroup != "inside" || !list[0].Protected ||
		list[0].As != 65001 || list[0].State != "DISABLED" || list[0].DefaultPeer || !list[1].DefaultPeer || list[1].Protected ||
		msg(peers).Schema != "grove/v1" {
		t.Errorf("peers: %v", list)
	}
	one, err := c.ListMSDPPeers(t.Context(), connect.NewRequest(&pb.ListMSDPPeersRequest{Address: "10.0.0.9"}))
	if err != nil || len(msg(one).GetPeers()) != 1 || msg(one).Peers[0].Address != "10.0.0.9" {
		t.Errorf("one peer: %v, %v", one, err)
	}
	sas, err := c.ListMSDPSourceActives(t.Context(), connect.NewRequest(&pb.ListMSDPSourceActivesRequest{}))
	if err != nil || len(msg(sas).GetSourceActives()) != 0 {
		t.Errorf("sources: %v, %v", sas, err)
	}
	rpf, err := c.GetMSDPRPF(t.Context(), connect.NewRequest(&pb.GetMSDPRPFRequest{Rp: "10.9.0.1"}))
	if err != nil || msg(rpf).Rp != "10.9.0.1" || msg(rpf).Rule != "no rule" || msg(rpf).RpfPeer != "" || len(msg(rpf).Peers) != 2 ||
		!strings.Contains(strings.Join(msg(rpf).Compared, "\n"), "the static RPF peer of 10.9.0.0/16, 10.0.0.9 is a peer in state DISABLED") {
		t.Errorf("RPF: %v, %v", rpf, err)
	}
	sum, err := c.GetMSDPSummary(t.Context(), connect.NewRequest(&pb.GetMSDPSummaryRequest{}))
	if err != nil || msg(sum).Peers != 2 || msg(sum).Established != 0 || msg(sum).Schema != "grove/v1" {
		t.Errorf("summary: %v, %v", sum, err)
	}

	_, peerErr := c.ListMSDPPeers(t.Context(), connect.NewRequest(&pb.ListMSDPPeersRequest{Address: "nowhere"}))
	_, saErr := c.ListMSDPSourceActives(t.Context(), connect.NewRequest(&pb.ListMSDPSourceActivesRequest{Address: "10.0.0.0/8"}))
	_, rpfErr := c.GetMSDPRPF(t.Context(), connect.NewRequest(&pb.GetMSDPRPFRequest{Rp: "nowhere"}))
	for _, err := range []error{peerErr, saErr, rpfErr} {
		if connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("what is no address: %v", err)
		}
	}
	// A router without MSDP says so.
	none := api.Dial(serve(t, newReal(t, "interfaces: {eth1: {pim: {}}}")))
	if _, err := none.GetMSDPSummary(t.Context(), connect.NewRequest(&pb.GetMSDPSummaryRequest{})); err == nil {
		t.Error("a router without MSDP has a summary of it")
	}
}

// TestMSDPConversion: what a machine says of peers, sources and peer-RPF is what the messages say, field by field.
func TestMSDPConversion(t *testing.T) {
	a := netip.MustParseAddr
	peer := msdp.PeerShow{
		Address: a("10.0.0.1"), Local: a("10.0.0.5"), State: "ESTABLISHED", Since: time.Minute, Active: true, AS: 65001, MeshGroup: "inside",
		Default: true, Protected: true, Resets: 3, LastReset: "Hold Timer expired", ConnectRetry: 1 * time.Second, Hold: 2 * time.Second,
		Keepalive: 3 * time.Second, Cached: 4, RPs: 5, Waiting: 6, CatchingUp: true, MessagesIn: 7, MessagesOut: 8, SAsIn: 9, SAsOut: 10,
		KeepalivesIn: 11, KeepalivesOut: 12, RequestsIn: 13, RequestsOut: 14, ResponsesIn: 15, ResponsesOut: 16, DataIn: 17, DataOut: 18,
		Notifications: 19, Unknown: 20, RPFFailures: 21, FilteredIn: 22, FilteredOut: 23, OverLimit: 24, OverRate: 25, NotSent: 26, CacheSent: 27,
	}
	p := api.MSDPPeersResponse([]msdp.PeerShow{peer}).Peers[0]
	if p.Address != "10.0.0.1" || p.Local != "10.0.0.5" || p.State != "ESTABLISHED" || p.Since.AsDuration() != time.Minute || !p.Active ||
		p.As != 65001 || p.MeshGroup != "inside" || !p.DefaultPeer || !p.Protected || p.LastReset != "Hold Timer expired" || !p.CatchingUp ||
		p.ConnectRetry.AsDuration() != 1*time.Second || p.Hold.AsDuration() != 2*time.Second || p.Keepalive.AsDuration() != 3*time.Second {
		t.Errorf("peer: %v", p)
	}
	numbers := []uint64{
		uint64(p.Resets), uint64(p.Cached), uint64(p.Rps), p.Waiting, p.MessagesIn, p.MessagesOut, p.SourceActivesIn, p.SourceActivesOut,
		p.KeepalivesIn, p.KeepalivesOut, p.RequestsIn, p.RequestsOut, p.ResponsesIn, p.ResponsesOut, p.DataIn, p.DataOut,
		p.Notifications, p.Unknown, p.RpfFailures, p.FilteredIn, p.FilteredOut, p.OverLimit, p.OverRate, p.NotSent, p.CacheSent,
	}
	for n, got := range numbers {
		if got != uint64(n+3) {
			t.Errorf("number %d of the peer is %d: %v", n+3, got, p)
		}
	}

	list := api.MSDPSourceActivesResponse([]msdp.SAShow{
		{
			Key: engine.SG(a("10.1.0.1"), a("225.1.1.1")), RP: a("10.255.0.1"), Peer: a("10.0.0.1"), Age: time.Minute, Expires: 90 * time.Second,
			Forwarded: 5 * time.Second, Wanted: true,
		},
		{Key: engine.SG(a("10.1.0.2"), a("225.1.1.1")), RP: a("10.255.0.5"), Own: true, Withheld: true, Forwarded: -1},
	}).SourceActives
	if s := list[0]; s.Source != "10.1.0.1" || s.Group != "225.1.1.1" || s.Rp != "10.255.0.1" || s.Peer != "10.0.0.1" || s.Own || s.Withheld ||
		s.Age.AsDuration() != time.Minute || s.Expires.AsDuration() != 90*time.Second || s.Forwarded.AsDuration() != 5*time.Second || !s.Wanted {
		t.Errorf("source: %v", s)
	}
	if s := list[1]; s.Peer != "" || !s.Own || !s.Withheld || s.Forwarded != nil || s.Wanted {
		t.Errorf("source of our own: %v", s)
	}

	r := api.MSDPRPFResponse(&msdp.RPFShow{
		RP: a("10.255.0.1"), Route: "10.255.0.0/24, EBGP", Rule: "(ii)", RPFPeer: a("10.0.0.1"), Compared: []string{"x", "y"},
		Peers: []msdp.RPFPeerShow{{Peer: a("10.0.0.1"), Established: true, Accepted: true, Rule: "(ii)", AcceptedN: 7, Refused: 8}},
	})
	if r.Rp != "10.255.0.1" || r.Route != "10.255.0.0/24, EBGP" || r.Rule != "(ii)" || r.RpfPeer != "10.0.0.1" || len(r.Compared) != 2 ||
		len(r.Peers) != 1 {
		t.Fatalf("RPF: %v", r)
	}
	if p := r.Peers[0]; p.Peer != "10.0.0.1" || !p.Established || !p.Accepted || p.Rule != "(ii)" || p.AcceptedEntries != 7 || p.RefusedEntries != 8 {
		t.Errorf("RPF of a peer: %v", p)
	}

	x := api.MSDPSummaryResponse(&msdp.SummaryShow{
		Peers: 1, Established: 2, Cached: 3, Own: 4, Flows: 5, Groups: 6, Wanted: 7, Sources: 8, RPs: 9, OriginatorID: a("10.99.0.1"),
	})
	if got := []uint32{x.Peers, x.Established, x.Cached, x.Own, x.Flows, x.Groups, x.Wanted, x.Sources, x.Rps}; x.OriginatorId != "10.99.0.1" ||
		!slices.Equal(got, []uint32{1, 2, 3, 4, 5, 6, 7, 8, 9}) {
		t.Errorf("summary: %v", x)
	}
}
