package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"grove/daemon/api"
	"grove/daemon/api/apitest"
	pb "grove/daemon/api/grove/v1"
	"grove/daemon/api/grove/v1/grovev1connect"
	"grove/internal/engine"
)

// serve runs a server of r on a socket of its own and returns the socket's path.
func serve(t *testing.T, r api.Router) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sub", "grove.sock")
	l, err := api.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	s := api.Server(r)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return path
}

// TestMethods: each method answers over the socket, with the version of the schema.
func TestMethods(t *testing.T) {
	c := api.Dial(serve(t, apitest.Router()))
	ctx := t.Context()
	v6 := pb.Family_FAMILY_IPV6
	type schemaed interface{ GetSchema() string }
	for name, call := range map[string]func() (schemaed, int, error){
		"GetStatus": func() (schemaed, int, error) {
			r, err := c.GetStatus(ctx, connect.NewRequest(&pb.GetStatusRequest{}))
			return msg(r), len(msg(r).GetMachines()), err
		},
		"ListMroutes": func() (schemaed, int, error) {
			r, err := c.ListMroutes(ctx, connect.NewRequest(&pb.ListMroutesRequest{}))
			return msg(r), len(msg(r).GetMroutes()), err
		},
		"ListPIMNeighbors": func() (schemaed, int, error) {
			r, err := c.ListPIMNeighbors(ctx, connect.NewRequest(&pb.ListPIMNeighborsRequest{}))
			return msg(r), len(msg(r).GetNeighbors()), err
		},
		"ListPIMInterfaces": func() (schemaed, int, error) {
			r, err := c.ListPIMInterfaces(ctx, connect.NewRequest(&pb.ListPIMInterfacesRequest{}))
			return msg(r), len(msg(r).GetInterfaces()), err
		},
		"ListPIMJoins": func() (schemaed, int, error) {
			r, err := c.ListPIMJoins(ctx, connect.NewRequest(&pb.ListPIMJoinsRequest{}))
			return msg(r), len(msg(r).GetJoins()), err
		},
		"ListGroups": func() (schemaed, int, error) {
			r, err := c.ListGroups(ctx, connect.NewRequest(&pb.ListGroupsRequest{}))
			return msg(r), len(msg(r).GetGroups()), err
		},
		"ListGroups of IPv6": func() (schemaed, int, error) {
			r, err := c.ListGroups(ctx, connect.NewRequest(&pb.ListGroupsRequest{Family: v6}))
			return msg(r), len(msg(r).GetGroups()), err
		},
		"ListGroupInterfaces": func() (schemaed, int, error) {
			r, err := c.ListGroupInterfaces(ctx, connect.NewRequest(&pb.ListGroupInterfacesRequest{}))
			return msg(r), len(msg(r).GetInterfaces()), err
		},
		"GetRPF": func() (schemaed, int, error) {
			r, err := c.GetRPF(ctx, connect.NewRequest(&pb.GetRPFRequest{Address: "10.1.0.10"}))
			return msg(r), len(msg(r).GetPaths()), err
		},
		"ListRPs": func() (schemaed, int, error) {
			r, err := c.ListRPs(ctx, connect.NewRequest(&pb.ListRPsRequest{}))
			return msg(r), len(msg(r).GetRps()), err
		},
		"ListRPMappings": func() (schemaed, int, error) {
			r, err := c.ListRPMappings(ctx, connect.NewRequest(&pb.ListRPMappingsRequest{Group: "239.1.1.1"}))
			return msg(r), len(msg(r).GetMappings()), err
		},
		"GetBSR": func() (schemaed, int, error) {
			r, err := c.GetBSR(ctx, connect.NewRequest(&pb.GetBSRRequest{}))
			return msg(r), len(msg(r).GetZones()), err
		},
		"ListCounts": func() (schemaed, int, error) {
			r, err := c.ListCounts(ctx, connect.NewRequest(&pb.ListCountsRequest{}))
			return msg(r), len(msg(r).GetMachines()), err
		},
	} {
		t.Run(name, func(t *testing.T) {
			m, n, err := call()
			if err != nil {
				t.Fatal(err)
			}
			if m.GetSchema() != "grove/v1" || n == 0 {
				t.Errorf("schema %q, %d elements", m.GetSchema(), n)
			}
		})
	}
}

// msg returns the message of a response; of none a nil one, whose getters work.
func msg[M any](r *connect.Response[M]) *M {
	if r == nil {
		return nil
	}
	return r.Msg
}

// TestMroutes: what PIM wants and what the table has are one entry; filters leave what was asked for.
func TestMroutes(t *testing.T) {
	c := api.Dial(serve(t, apitest.Router()))
	ask := func(group, source string) []*pb.Mroute {
		t.Helper()
		r, err := c.ListMroutes(t.Context(), connect.NewRequest(&pb.ListMroutesRequest{Group: group, Source: source}))
		if err != nil {
			t.Fatal(err)
		}
		return r.Msg.Mroutes
	}
	var keys []string
	for _, m := range ask("", "") {
		keys = append(keys, fmt.Sprintf("(%s,%s)%v", m.Source, m.Group, m.Wanted))
	}
	if got, want := strings.Join(keys, " "), "(*,*)true (*,239.1.1.1)true (10.1.0.10,239.1.1.1)true (10.1.0.10,239.1.1.8)true (10.1.0.11,239.1.1.9)false (10.1.0.10,239.1.1.10)true"; got != want {
		t.Errorf("entries %s, want %s", got, want)
	}
	list := ask("239.1.1.1", "10.1.0.10")
	if len(list) != 1 {
		t.Fatalf("%d entries", len(list))
	}
	m := list[0]
	if m.IncomingInterface != "eth1" || !m.Spt || !m.Installed || m.Packets != 471 || len(m.Outgoing) != 2 {
		t.Errorf("%v", m)
	}
	if o := m.Outgoing[0]; o.Interface != "eth2" || !o.Installed || !o.Inherited || o.Join {
		t.Errorf("eth2: %v", o)
	}
	if o := m.Outgoing[1]; o.Interface != "eth3" || o.Installed || !o.Join {
		t.Errorf("eth3, which a boundary closes: %v", o)
	}
	if len(ask("239.1.1.1", "*")) != 1 || len(ask("239.9.9.9", "")) != 0 {
		t.Error("filters")
	}
}

// TestErrors: errors have a code, and say what helps.
func TestErrors(t *testing.T) {
	c := api.Dial(serve(t, apitest.Router()))
	for _, test := range []struct {
		what string
		err  func() error
		code connect.Code
		text string
	}{
		{"a machine that does not run", func() error {
			_, err := c.ListPIMNeighbors(t.Context(), connect.NewRequest(&pb.ListPIMNeighborsRequest{Family: pb.Family_FAMILY_IPV6}))
			return err
		}, connect.CodeFailedPrecondition, "enable pim6"},
		{"no address", func() error {
			_, err := c.GetRPF(t.Context(), connect.NewRequest(&pb.GetRPFRequest{Address: "r1"}))
			return err
		}, connect.CodeInvalidArgument, `"r1" is not an address`},
		{"no family", func() error {
			_, err := c.ListRPs(t.Context(), connect.NewRequest(&pb.ListRPsRequest{Family: 5}))
			return err
		}, connect.CodeInvalidArgument, "family 5"},
		{"no group", func() error {
			_, err := c.ListMroutes(t.Context(), connect.NewRequest(&pb.ListMroutesRequest{Group: "x"}))
			return err
		}, connect.CodeInvalidArgument, "group"},
		{"the machine's refusal", func() error {
			_, err := c.ListRPs(t.Context(), connect.NewRequest(&pb.ListRPsRequest{Group: "232.1.1.1"}))
			return err
		}, connect.CodeUnknown, "no RP"},
	} {
		err := test.err()
		if connect.CodeOf(err) != test.code || !strings.Contains(err.Error(), test.text) {
			t.Errorf("%s: %v, want %v with %q", test.what, err, test.code, test.text)
		}
	}
}

// TestWatch: after Ready every event is streamed, in order, notes if asked for; the stream ends with the router's.
func TestWatch(t *testing.T) {
	for _, notes := range []bool{false, true} {
		r := apitest.Router()
		c := api.Dial(serve(t, r))
		stream, err := c.Watch(t.Context(), connect.NewRequest(&pb.WatchRequest{Notes: notes}))
		if err != nil {
			t.Fatal(err)
		}
		if !stream.Receive() || stream.Msg().GetReady().GetHostname() != "r1" {
			t.Fatalf("first message %v, %v", stream.Msg(), stream.Err())
		}
		at := time.Unix(1_000_000, 0)
		r.Events <- api.Event{Time: at, Interface: "eth1", Effect: engine.Transition{
			From: engine.MachineID{Protocol: engine.PIMSM, Family: engine.IPv4}, Entity: "neighbor", Neighbor: netip.MustParseAddr("10.0.12.2"), New: "up",
		}}
		r.Events <- api.Event{Time: at, Effect: engine.Note{Level: engine.Warning, Text: "hot"}}
		r.Events <- api.Event{Time: at, Lost: 3, Effect: engine.Transition{Entity: "upstream", Key: engine.StarG(netip.MustParseAddr("239.1.1.1")), Old: "NotJoined", New: "Joined"}}
		close(r.Events)
		var got []string
		for stream.Receive() {
			m := stream.Msg()
			switch {
			case m.Schema != api.Schema || !m.Time.AsTime().Equal(at):
				t.Errorf("%v", m)
			case m.GetTransition() != nil:
				x := m.GetTransition()
				got = append(got, fmt.Sprintf("%s %s %s (%s,%s) %s", x.Entity, x.Interface, x.Neighbor, x.Source, x.Group, x.New))
			case m.GetNote() != nil:
				got = append(got, m.GetNote().Level+" "+m.GetNote().Text)
			case m.GetLost() != nil:
				got = append(got, fmt.Sprint("lost ", m.GetLost().Events))
			}
		}
		want := "neighbor eth1 10.0.12.2 (,) up; lost 3; upstream   (*,239.1.1.1) Joined"
		if notes {
			want = "neighbor eth1 10.0.12.2 (,) up; warning hot; lost 3; upstream   (*,239.1.1.1) Joined"
		}
		if strings.Join(got, "; ") != want || stream.Err() != nil {
			t.Errorf("notes %v: got %q, %v; want %q", notes, strings.Join(got, "; "), stream.Err(), want)
		}
	}
}

// TestPlainJSON: the API answers a plain POST of JSON, as curl sends it.
func TestPlainJSON(t *testing.T) {
	path := serve(t, apitest.Router())
	client := &http.Client{Transport: &http.Transport{DialContext: api.Dialer(path)}}
	resp, err := client.Post("http://grove/grove.v1.RouterService/GetStatus", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 || !strings.Contains(string(body), `"schema":"grove/v1"`) {
		t.Errorf("%d %s %v", resp.StatusCode, body, err)
	}
}

// TestGRPC: a client of gRPC is served on the same socket.
func TestGRPC(t *testing.T) {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	transport := &http.Transport{DialContext: api.Dialer(serve(t, apitest.Router())), Protocols: p}
	c := grovev1connect.NewRouterServiceClient(&http.Client{Transport: transport}, "http://grove", connect.WithGRPC())
	r, err := c.ListRPs(t.Context(), connect.NewRequest(&pb.ListRPsRequest{}))
	if err != nil || len(r.Msg.Rps) != 1 {
		t.Errorf("%v, %v", r, err)
	}
}

// TestListen: the socket is for owner and group; a living one is not taken, a dead one is replaced, a file is kept.
func TestListen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b", "grove.sock")
	l, err := api.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := api.Listen(path); !errors.Is(err, api.ErrInUse) {
		t.Errorf("a second one: %v", err)
	}
	type keeper interface{ SetUnlinkOnClose(bool) }
	l.(keeper).SetUnlinkOnClose(false) // as if the process had died
	l.Close()
	if _, err := os.Stat(path); err != nil {
		t.Fatal("no stale socket to replace", err)
	}
	l, err = api.Listen(path)
	if err != nil {
		t.Fatalf("a stale one was not replaced: %v", err)
	}
	l.Close()
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := api.Listen(path); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("on a file: %v", err)
	}
	if data, _ := os.ReadFile(path); string(data) != "precious" {
		t.Error("the file is gone")
	}
}

// TestSlowQuery: a router that does not answer is waited for as long as the client does.
func TestSlowQuery(t *testing.T) {
	r := apitest.Router()
	r.Block = make(chan struct{})
	c := api.Dial(serve(t, r))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.ListCounts(ctx, connect.NewRequest(&pb.ListCountsRequest{})); connect.CodeOf(err) != connect.CodeDeadlineExceeded {
		t.Errorf("%v", err)
	}
}
