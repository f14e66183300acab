package api

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "grove/daemon/api/grove/v1"
	"grove/igmp"
	"grove/internal/engine"
	"grove/internal/rib"
	"grove/mfib"
)

// addr returns the text of an address, "" for none.
func addr(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func addrs(list []netip.Addr) []string {
	var text []string
	for _, a := range list {
		text = append(text, addr(a))
	}
	return text
}

// star returns the text of a source or group of a key, "*" for any.
func star(a netip.Addr) string {
	if !a.IsValid() {
		return "*"
	}
	return a.String()
}

func prefix(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}
	return p.String()
}

func prefixes(list []netip.Prefix) []string {
	var text []string
	for _, p := range list {
		text = append(text, prefix(p))
	}
	return text
}

// left returns the time left of a timer; absent if it does not run.
func left(d time.Duration) *durationpb.Duration {
	if d <= 0 {
		return nil
	}
	return durationpb.New(d)
}

// keyText returns the source and the group of a key, both "" if it is of none.
func keyText(k engine.Key) (source, group string) {
	if k == (engine.Key{}) {
		return "", ""
	}
	return star(k.Source), star(k.Group)
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

// GroupsResponse converts what an igmp machine answers to "groups".
func GroupsResponse(groups []igmp.GroupInfo) *pb.ListGroupsResponse {
	r := &pb.ListGroupsResponse{Schema: Schema}
	for _, g := range groups {
		m := &pb.Group{
			Interface: g.Interface, Group: addr(g.Group), Mode: g.Mode.String(), Version: g.Version, Expires: left(g.Left),
			OlderHosts: left(g.OlderHosts), Static: g.Static,
		}
		for _, s := range g.Sources {
			m.Sources = append(m.Sources, &pb.GroupSource{Address: addr(s.Source), Forwarded: s.Forward, Expires: left(s.Left)})
		}
		r.Groups = append(r.Groups, m)
	}
	return r
}

// GroupInterfacesResponse converts what an igmp machine answers to "interfaces".
func GroupInterfacesResponse(interfaces []igmp.InterfaceInfo) *pb.ListGroupInterfacesResponse {
	r := &pb.ListGroupInterfacesResponse{Schema: Schema}
	for _, i := range interfaces {
		r.Interfaces = append(r.Interfaces, &pb.GroupInterface{
			Interface: i.Interface, Address: addr(i.Address), Version: i.Version, State: i.State, Querier: addr(i.Querier),
			OtherQuerierPresent: left(i.OtherQuerier), NextQuery: left(i.NextQuery), Robustness: uint32(i.Robustness),
			QueryInterval: durationpb.New(i.QueryInterval), QueryResponseInterval: durationpb.New(i.QueryResponseInterval),
			LastMemberQueryInterval: durationpb.New(i.LastMemberQueryInterval),
			GroupMembershipInterval: durationpb.New(i.GroupMembershipInterval), Groups: uint32(i.Groups),
		})
	}
	return r
}

// RPFResponse converts what a rib answers to "rpf".
func RPFResponse(paths []rib.RPF) *pb.GetRPFResponse {
	r := &pb.GetRPFResponse{Schema: Schema}
	for _, p := range paths {
		m := &pb.RPF{
			Address: addr(p.Addr), Reachable: p.Reachable, Local: p.Local, Connected: p.Connected, Prefix: prefix(p.Prefix), Origin: p.Origin,
			Distance: p.Distance, Metric: p.Metric, Hops: hops(p.Hops), Why: p.Why, Mode: p.Mode.String(), Bgp: bgpPath(p.BGP),
		}
		for _, c := range p.Considered {
			m.Considered = append(m.Considered, &pb.Route{
				Prefix: prefix(c.Prefix), Origin: c.Origin, Distance: c.Distance, Metric: c.Metric, Hops: hops(c.Hops), Usable: c.Usable,
				Note: c.Note,
			})
		}
		for _, id := range p.TrackedBy {
			m.TrackedBy = append(m.TrackedBy, id.String())
		}
		r.Paths = append(r.Paths, m)
	}
	return r
}

func hops(all []rib.Hop) []*pb.NextHop {
	var list []*pb.NextHop
	for _, h := range all {
		list = append(list, &pb.NextHop{Interface: h.Interface, Gateway: addr(h.Gateway), Running: h.Running})
	}
	return list
}

// Counts converts what a machine answers to "counts".
func Counts(machine string, value any) (*pb.MachineCounts, error) {
	m := &pb.MachineCounts{Machine: machine}
	level := func(name string, n int) { m.Counts = append(m.Counts, &pb.Count{Name: name, Count: uint64(n)}) }
	var events map[string]uint64
	switch c := value.(type) {
	case map[string]uint64:
		events = c
	case mfib.Counts:
		level("entries", c.Entries)
		level("rows", c.Rows)
		level("negative entries", c.Negative)
		level("entries that wait for answers", c.Waiting)
		level("entries to be written", c.Dirty)
		level("sources tracked", c.Sources)
		events = c.Events
	case rib.Counts:
		level("routes", c.Routes)
		level("multicast static routes", c.StaticRoutes)
		level("routes of protocols", c.MRIBRoutes)
		level("addresses tracked", c.Tracked)
		level("trackers", c.Trackers)
		events = c.Bad
	default:
		return nil, fmt.Errorf("%s answers \"counts\" with a %T", machine, value)
	}
	for name, n := range engine.Sorted(events) {
		m.Counts = append(m.Counts, &pb.Count{Name: name, Count: n})
	}
	return m, nil
}

// WatchResponse converts an event of Watch; nil if it is of no kind that is streamed.
func WatchResponse(e Event) *pb.WatchResponse {
	m := &pb.WatchResponse{Schema: Schema, Time: timestamppb.New(e.Time)}
	switch x := e.Effect.(type) {
	case engine.Transition:
		source, group := keyText(x.Key)
		m.Event = &pb.WatchResponse_Transition{Transition: &pb.Transition{
			Machine: x.From.String(), Entity: x.Entity, Interface: e.Interface, Neighbor: addr(x.Neighbor), Source: source, Group: group,
			Old: x.Old, New: x.New, Cause: x.Cause,
		}}
	case engine.Note:
		source, group := keyText(x.Key)
		m.Event = &pb.WatchResponse_Note{Note: &pb.Note{
			Machine: x.From.String(), Level: levels[x.Level], Text: x.Text, Interface: e.Interface, Neighbor: addr(x.Neighbor),
			Source: source, Group: group,
		}}
	default:
		return nil
	}
	return m
}

var levels = map[engine.Level]string{engine.Debug: "debug", engine.Info: "info", engine.Warning: "warning", engine.Error: "error"}
