package api

import (
	"google.golang.org/protobuf/types/known/durationpb"

	pb "grove/daemon/api/grove/v1"
	"grove/msdp"
)

// MSDPPeersResponse converts what an msdp machine answers to "peers".
func MSDPPeersResponse(list []msdp.PeerShow) *pb.ListMSDPPeersResponse {
	r := &pb.ListMSDPPeersResponse{Schema: Schema}
	for _, p := range list {
		r.Peers = append(r.Peers, &pb.MSDPPeer{
			Address: addr(p.Address), Local: addr(p.Local), State: p.State, Since: durationpb.New(p.Since), Active: p.Active, As: p.AS,
			MeshGroup: p.MeshGroup, DefaultPeer: p.Default, Protected: p.Protected, Resets: uint32(p.Resets), LastReset: p.LastReset,
			ConnectRetry: left(p.ConnectRetry), Hold: left(p.Hold), Keepalive: left(p.Keepalive),
			Cached: uint32(p.Cached), Rps: uint32(p.RPs), Waiting: uint64(p.Waiting), CatchingUp: p.CatchingUp,
			MessagesIn: p.MessagesIn, MessagesOut: p.MessagesOut, SourceActivesIn: p.SAsIn, SourceActivesOut: p.SAsOut,
			KeepalivesIn: p.KeepalivesIn, KeepalivesOut: p.KeepalivesOut, RequestsIn: p.RequestsIn, RequestsOut: p.RequestsOut,
			ResponsesIn: p.ResponsesIn, ResponsesOut: p.ResponsesOut, DataIn: p.DataIn, DataOut: p.DataOut,
			Notifications: p.Notifications, Unknown: p.Unknown, RpfFailures: p.RPFFailures, FilteredIn: p.FilteredIn, FilteredOut: p.FilteredOut,
			OverLimit: p.OverLimit, OverRate: p.OverRate, NotSent: p.NotSent, CacheSent: p.CacheSent,
		})
	}
	return r
}

// MSDPSourceActivesResponse converts what an msdp machine answers to "sa-cache".
func MSDPSourceActivesResponse(list []msdp.SAShow) *pb.ListMSDPSourceActivesResponse {
	r := &pb.ListMSDPSourceActivesResponse{Schema: Schema}
	for _, s := range list {
		m := &pb.MSDPSourceActive{
			Source: star(s.Key.Source), Group: star(s.Key.Group), Rp: addr(s.RP), Peer: addr(s.Peer), Own: s.Own, Withheld: s.Withheld,
			Age: durationpb.New(s.Age), Expires: left(s.Expires), Wanted: s.Wanted,
		}
		if s.Forwarded >= 0 {
			m.Forwarded = durationpb.New(s.Forwarded)
		}
		r.SourceActives = append(r.SourceActives, m)
	}
	return r
}

// MSDPRPFResponse converts what an msdp machine answers to "rpf".
func MSDPRPFResponse(x *msdp.RPFShow) *pb.GetMSDPRPFResponse {
	r := &pb.GetMSDPRPFResponse{Schema: Schema, Rp: addr(x.RP), Route: x.Route, Rule: x.Rule, RpfPeer: addr(x.RPFPeer), Compared: x.Compared}
	for _, p := range x.Peers {
		r.Peers = append(r.Peers, &pb.MSDPRPFPeer{
			Peer: addr(p.Peer), Established: p.Established, Accepted: p.Accepted, Rule: p.Rule, AcceptedEntries: p.AcceptedN, RefusedEntries: p.Refused,
		})
	}
	return r
}

// MSDPSummaryResponse converts what an msdp machine answers to "summary".
func MSDPSummaryResponse(x *msdp.SummaryShow) *pb.GetMSDPSummaryResponse {
	return &pb.GetMSDPSummaryResponse{
		Schema: Schema, OriginatorId: addr(x.OriginatorID), Peers: uint32(x.Peers), Established: uint32(x.Established), Cached: uint32(x.Cached),
		Own: uint32(x.Own), Flows: uint32(x.Flows), Groups: uint32(x.Groups), Wanted: uint32(x.Wanted), Sources: uint32(x.Sources), Rps: uint32(x.RPs),
	}
}
