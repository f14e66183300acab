// Package lab runs a lab's folder in the simulator: the same files, the same machines, the same questions as on the
// kernel, in virtual time and without privileges. The same seed gives the same run, to the byte.
package lab

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"time"

	"connectrpc.com/connect"

	"grove/daemon/api"
	"grove/daemon/api/grove/v1/grovev1connect"
	"grove/daemon/config"
	"grove/internal/engine"
	"grove/labs/script"
	"grove/labs/sim"
)

// Engine implements script.Engine in virtual time.
type Engine struct {
	lab     fs.FS
	topo    *script.Topology
	sim     *sim.Sim
	apis    map[string]grovev1connect.RouterServiceClient
	members map[key]*sim.Member
	joins   map[key]int // of the members
	sources map[key]*source
	seen    []script.Transition // of sim's, as far as they were translated

	warnings  []string
	counting  bool
	crossings []script.Crossing
}

var _ script.Engine = (*Engine)(nil)

// key is a host and a group: what a script's sends and joins are known by.
type key struct {
	host  string
	group netip.Addr
}

// source is a sender, and when it began.
type source struct {
	*sim.Source
	began time.Duration
}

// linkDelay is that of every link: near what a veth pair and a groved take together.
const linkDelay = 100 * time.Microsecond

// slice is how often Wait asks: virtual time is cheap, questions are not.
const slice = 5 * time.Millisecond

// New builds the lab.
func New(dir fs.FS, topo *script.Topology, seed uint64) (*Engine, error) {
	e := &Engine{
		lab: dir, topo: topo,
		apis:    map[string]grovev1connect.RouterServiceClient{},
		members: map[key]*sim.Member{},
		joins:   map[key]int{},
		sources: map[key]*source{},
	}
	e.sim = sim.New(seed, sim.Options{Unicast: sim.Static, OnCrossing: e.crossing, OnNote: func(n sim.Note) {
		if n.Level >= engine.Warning {
			e.warnings = append(e.warnings, fmt.Sprintf("%.3fs %s: %s", n.At.Seconds(), n.Node.Name(), n.Text))
		}
	}})
	learned, err := script.ReadBGP(dir, topo)
	if err != nil {
		return nil, err
	}
	bridges := map[string]*script.Node{}
	for i := range topo.Nodes {
		n := &topo.Nodes[i]
		if n.Bridge {
			bridges[n.Name] = n
			continue
		}
		c, err := e.config(n.Config)
		if err != nil {
			return nil, err
		}
		if isHost(c) {
			e.sim.AddHost(n.Name, sim.HostOptions{Config: c})
			continue
		}
		node := e.sim.AddRouter(n.Name, c, sim.RouterOptions{})
		if c.BGP != nil {
			node.Router().Learn(mribRoutes(learned[n.Name]))
		}
		e.apis[n.Name] = client(&view{e.sim, node, c})
	}
	e.cable(bridges)
	e.sim.Run(0)
	return e, nil
}

func mribRoutes(list []script.BGPRoute) []engine.MRIBRoute {
	var routes []engine.MRIBRoute
	for i := range list {
		routes = append(routes, list[i].MRIBRoute())
	}
	return routes
}

// isHost says whether a node without protocols is a host. One on several links is a router that knows no multicast.
func isHost(c *config.Config) bool {
	links := 0
	for i := range c.Interfaces {
		if c.Interfaces[i].Name != "lo" {
			links++
		}
	}
	return len(c.Machines()) == 0 && links <= 1
}

func (e *Engine) config(file string) (*config.Config, error) {
	data, err := fs.ReadFile(e.lab, file)
	if err != nil {
		return nil, err
	}
	return config.Parse(file, data)
}

// cable makes the links: those to a bridge are one LAN.
func (e *Engine) cable(bridges map[string]*script.Node) {
	lans := map[string][]sim.End{}
	end := func(p script.Endpoint) sim.End { return sim.End{Node: e.sim.Node(p.Node), If: p.Interface} }
	for _, l := range e.topo.Links {
		switch {
		case bridges[l.A.Node] != nil:
			lans[l.A.Node] = append(lans[l.A.Node], end(l.B))
		case bridges[l.B.Node] != nil:
			lans[l.B.Node] = append(lans[l.B.Node], end(l.A))
		default:
			e.sim.AddLink(l.A.Node+"-"+l.B.Node, sim.LinkOptions{Delay: linkDelay}, end(l.A), end(l.B))
		}
	}
	for _, n := range e.topo.Nodes {
		if n.Bridge {
			e.sim.AddLink(n.Name, sim.LinkOptions{Delay: linkDelay, Lan: true, Snooping: n.Snooping}, lans[n.Name]...)
		}
	}
}

// Sim returns the simulation, for captures and faults.
func (e *Engine) Sim() *sim.Sim { return e.sim }

// Name implements script.Engine.
func (e *Engine) Name() string { return "sim" }

// Now implements script.Engine.
func (e *Engine) Now() time.Duration { return e.sim.Now() }

// Wait implements script.Engine.
func (e *Engine) Wait(ctx context.Context, within time.Duration, done func() bool) (bool, error) {
	for end := e.sim.Now() + within; ; e.sim.Run(min(slice, end-e.sim.Now())) {
		if done() {
			return true, nil
		}
		if e.sim.Now() >= end {
			return false, nil
		}
		if err := ctx.Err(); err != nil {
			return false, err
		}
	}
}

// Do implements script.Engine.
func (e *Engine) Do(_ context.Context, a script.Action) error {
	switch {
	case a.Join != nil:
		host, ifc, err := e.host(a.Join.Host)
		if err != nil {
			return err
		}
		var sources []netip.Addr
		if a.Join.Source.IsValid() {
			sources = append(sources, a.Join.Source)
		}
		k := key{a.Join.Host, a.Join.Group}
		e.members[k] = host.Join(ifc, a.Join.Group, sources...)
		e.joins[k]++
	case a.Leave != nil:
		if m := e.members[key{a.Leave.Host, a.Leave.Group}]; m != nil {
			m.Leave()
		}
	case a.Send != nil:
		k := key{a.Send.Host, a.Send.Group}
		if s := e.sources[k]; s != nil {
			s.Start()
			return nil
		}
		node := e.sim.Node(a.Send.Host)
		e.sources[k] = &source{began: e.sim.Now(), Source: node.AddSource(sim.SourceOptions{
			If: hostInterface, Group: a.Send.Group, Interval: time.Second / time.Duration(a.Send.Rate),
			TTL: uint8(a.Send.TTL), Size: a.Send.Size - headers(a.Send.Group),
		})}
	case a.Stop != nil:
		if s := e.sources[key{a.Stop.Host, a.Stop.Group}]; s != nil {
			s.Stop()
		}
	case a.Cut != "", a.Heal != "":
		link, err := e.topo.Link(a.Cut + a.Heal)
		if err != nil {
			return err
		}
		for _, end := range []script.Endpoint{link.A, link.B} {
			if n := e.sim.Node(end.Node); n != nil {
				n.Port(end.Interface).SetUp(a.Heal != "")
			}
		}
	case a.Reload != nil:
		c, err := e.config(a.Reload.Config)
		if err != nil {
			return err
		}
		e.sim.Node(a.Reload.Node).Router().Configure(c)
	case a.BGPRoutes != "":
		routes, err := script.ReadBGPFile(e.lab, a.BGPRoutes, e.topo)
		if err != nil {
			return err
		}
		for _, n := range e.topo.Nodes {
			if node := e.sim.Node(n.Name); node != nil && node.Router() != nil && node.Router().Config().BGP != nil {
				node.Router().Learn(mribRoutes(routes[n.Name]))
			}
		}
	}
	return nil
}

// hostInterface is the interface of a host that its applications use, as in containerlab: eth0 is for management.
const hostInterface = "eth1"

// headers is how much of an IP packet to group is not the application's: IP and UDP.
func headers(group netip.Addr) int {
	if group.Is4() {
		return 20 + 8
	}
	return 40 + 8
}

func (e *Engine) host(name string) (*sim.Host, string, error) {
	n := e.sim.Node(name)
	if n == nil || n.Host() == nil {
		return nil, "", fmt.Errorf("%s is not a host: only hosts join groups", name)
	}
	return n.Host(), hostInterface, nil
}

// Router implements script.Engine.
func (e *Engine) Router(ctx context.Context, name string, family engine.Family) (script.RouterState, error) {
	c := e.apis[name]
	if c == nil {
		return script.RouterState{}, nil // a host or a bridge has no entries
	}
	return script.Ask(ctx, name, c, family)
}

// Client implements script.Engine.
func (e *Engine) Client(node string) grovev1connect.RouterServiceClient { return e.apis[node] }

// Received implements script.Engine.
func (e *Engine) Received(host string, group netip.Addr) script.Received {
	m := e.members[key{host, group}]
	if m == nil {
		return script.Received{}
	}
	r := script.Received{Joins: e.joins[key{host, group}]}
	for _, f := range m.Flows() {
		r.Packets += int(f.Unique())
		r.Lost += int(f.Lost())
		r.Duplicates += int(f.Duplicates)
		r.TTL = f.TTL
		if first := f.FirstAt.Sub(e.sim.Clock()) + e.sim.Now() - m.Since; r.First == 0 || first < r.First {
			r.First = first
		}
		for _, s := range e.sources {
			if s.Key() == f.Key() && m.Since <= s.began {
				r.Lost += int(f.First - 1) // the member was there before packet 1
			}
		}
	}
	return r
}

// CountCrossings implements script.Engine.
func (e *Engine) CountCrossings() error {
	e.counting = true
	return nil
}

// Crossings implements script.Engine.
func (e *Engine) Crossings() []script.Crossing { return e.crossings }

func (e *Engine) crossing(from *sim.Port, source, group netip.Addr, seq uint64) {
	if e.counting {
		e.crossings = append(e.crossings, script.Crossing{
			At: e.sim.Now(), Link: from.Link().Name(), From: from.Node().Name(), Source: source, Group: group, Seq: seq,
		})
	}
}

// Transitions implements script.Engine.
func (e *Engine) Transitions() []script.Transition {
	all := e.sim.Transitions()
	for _, t := range all[len(e.seen):] {
		e.seen = append(e.seen, script.Transition{
			At: t.At, Node: t.Node.Name(), Machine: t.From.String(), Entity: t.Entity, Interface: t.Node.IfName(t.If),
			Neighbor: t.Neighbor, Key: t.Key, Old: t.Old, New: t.New, Cause: t.Cause,
		})
	}
	return e.seen
}

// Warnings implements script.Engine.
func (e *Engine) Warnings() []string { return e.warnings }

// Close implements script.Engine.
func (e *Engine) Close() error { return nil }

// view is a simulated router as the management API sees one.
type view struct {
	sim    *sim.Sim
	node   *sim.Node
	config *config.Config
}

// Query implements api.Router.
func (v *view) Query(_ context.Context, id engine.MachineID, what, arg string) (any, error) {
	return v.sim.Query(v.node, id, what, arg)
}

// Watch implements api.Router: in virtual time transitions are kept (Transitions), not streamed.
func (v *view) Watch(context.Context) (<-chan api.Event, error) {
	return nil, fmt.Errorf("%s: a simulated router has no stream", v.node.Name())
}

// InterfaceName implements api.Router.
func (v *view) InterfaceName(id engine.IfID) string { return v.node.IfName(id) }

// Status implements api.Router.
func (v *view) Status(context.Context) (api.Status, error) {
	s := api.Status{Hostname: v.node.Name(), Uptime: v.sim.Now(), TimeScale: v.config.TimeScale, Table: v.config.Table}
	for id := range engine.SortedFunc(v.config.Machines(), compareIDs) {
		s.Machines = append(s.Machines, id)
	}
	return s, nil
}

func compareIDs(a, b engine.MachineID) int {
	switch x, y := a.String(), b.String(); {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// client returns a client that calls the API of r without a network, and has nothing compressed.
func client(r api.Router) grovev1connect.RouterServiceClient {
	return grovev1connect.NewRouterServiceClient(inMemory{api.New(r)}, "http://sim", connect.WithAcceptCompression("gzip", nil, nil))
}

// inMemory answers requests by calling a handler.
type inMemory struct{ handler http.Handler }

// Do implements connect.HTTPClient.
func (m inMemory) Do(req *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	m.handler.ServeHTTP(rec, req)
	return rec.Result(), nil
}
