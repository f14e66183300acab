package api

import (
	"google.golang.org/protobuf/types/known/durationpb"

	pb "grove/daemon/api/grove/v1"
	"grove/daemon/bgp/show"
	"grove/internal/engine"
)

func bgpPath(p *engine.BGPPath) *pb.BGPPath {
	if p == nil {
		return nil
	}
	return &pb.BGPPath{NextHop: addr(p.NextHop), Neighbor: addr(p.Neighbor), Internal: p.Internal, AsPath: p.ASPath}
}

// BGPNeighborsResponse converts what BGP answers to "summary", with these neighbors.
func BGPNeighborsResponse(s show.Summary) *pb.ListBGPNeighborsResponse {
	r := &pb.ListBGPNeighborsResponse{Schema: Schema, As: s.AS, RouterId: addr(s.RouterID)}
	for _, n := range s.Neighbors {
		m := &pb.BGPNeighbor{
			Address: addr(n.Address), As: n.AS, Internal: n.Internal, Description: n.Description, State: n.State, Uptime: left(n.Uptime),
			RouterId: addr(n.RouterID), LocalAddress: addr(n.LocalAddress), HoldTime: left(n.HoldTime), Keepalive: left(n.Keepalive),
			Received: bgpMessages(n.Received), Sent: bgpMessages(n.Sent), Flaps: n.Flaps, LastEnd: n.LastEnd, Md5: n.MD5,
			TtlSecurity: uint32(n.TTLSecurity), EbgpMultihop: uint32(n.Multihop), Passive: n.Passive, Restarting: n.Restarting,
			GracefulRestart: n.GracefulStart, Import: n.Import, Export: n.Export, RouteReflectorClient: n.ReflectorOf,
		}
		for _, f := range n.Families {
			m.Families = append(m.Families, &pb.BGPFamily{
				Name: f.Name, Negotiated: f.Negotiated, Received: f.Received, Accepted: f.Accepted, Advertised: f.Advertised,
			})
		}
		r.Neighbors = append(r.Neighbors, m)
	}
	return r
}

func bgpMessages(m show.Messages) *pb.BGPMessages {
	return &pb.BGPMessages{Total: m.Total, Updates: m.Updates, Notifications: m.Notifications, Keepalives: m.Keepalives}
}

// BGPRoutesResponse converts what BGP answers to "routes" of a family.
func BGPRoutesResponse(family string, list []show.Route) *pb.ListBGPRoutesResponse {
	r := &pb.ListBGPRoutesResponse{Schema: Schema, Family: family}
	for _, x := range list {
		r.Routes = append(r.Routes, &pb.BGPRoute{
			Prefix: prefix(x.Prefix), Best: x.Best, Ours: x.Ours, Internal: x.Internal, Stale: x.Stale, NextHop: addr(x.NextHop), Neighbor: addr(x.Neighbor),
			AsPath: x.ASPath, LocalPreference: x.LocalPreference, Med: x.MED, Origin: x.Origin, Communities: x.Communities, Age: durationpb.New(x.Age),
		})
	}
	return r
}
