package api

import (
	"net/netip"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "grove/daemon/api/grove/v1"
	"grove/internal/engine"
	"grove/internal/rib"
)

// Names gives the name of an interface by its number.
type Names func(engine.IfID) string

// addr returns the text of an address, "" for none.
func addr(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
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

// RPF converts the path to an address.
func RPF(p rib.RPF) *pb.RPF {
	m := &pb.RPF{
		Address: addr(p.Addr), Reachable: p.Reachable, Local: p.Local, Connected: p.Connected, Prefix: prefix(p.Prefix), Origin: p.Origin,
		Distance: p.Distance, Metric: p.Metric, Hops: hops(p.Hops), Why: p.Why,
	}
	for _, r := range p.Considered {
		m.Considered = append(m.Considered, Route(r))
	}
	for _, id := range p.TrackedBy {
		m.TrackedBy = append(m.TrackedBy, id.String())
	}
	return m
}

// Route converts a unicast route, or a multicast static one.
func Route(r rib.Route) *pb.Route {
	return &pb.Route{
		Prefix: prefix(r.Prefix), Origin: r.Origin, Distance: r.Distance, Metric: r.Metric, Hops: hops(r.Hops), Usable: r.Usable, Note: r.Note,
	}
}

func hops(all []rib.Hop) []*pb.NextHop {
	var list []*pb.NextHop
	for _, h := range all {
		list = append(list, &pb.NextHop{Interface: h.Interface, Gateway: addr(h.Gateway), Running: h.Running})
	}
	return list
}

// WatchResponse converts an event of Watch; nil if it is of no kind that is streamed.
func WatchResponse(e Event, name Names) *pb.WatchResponse {
	m := &pb.WatchResponse{Schema: Schema, Time: timestamppb.New(e.Time)}
	switch x := e.Effect.(type) {
	case engine.Transition:
		source, group := keyText(x.Key)
		m.Event = &pb.WatchResponse_Transition{Transition: &pb.Transition{
			Machine: x.From.String(), Entity: x.Entity, Interface: name(x.If), Neighbor: addr(x.Neighbor), Source: source, Group: group,
			Old: x.Old, New: x.New, Cause: x.Cause,
		}}
	case engine.Note:
		source, group := keyText(x.Key)
		m.Event = &pb.WatchResponse_Note{Note: &pb.Note{
			Machine: x.From.String(), Level: levels[x.Level], Text: x.Text, Interface: name(x.If), Neighbor: addr(x.Neighbor),
			Source: source, Group: group,
		}}
	default:
		return nil
	}
	return m
}

var levels = map[engine.Level]string{engine.Debug: "debug", engine.Info: "info", engine.Warning: "warning", engine.Error: "error"}
