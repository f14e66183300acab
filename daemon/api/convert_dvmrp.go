package api

import (
	"cmp"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "grove/daemon/api/grove/v1"
	"grove/dvmrp"
	"grove/internal/engine"
)

// DVMRPNeighborsResponse converts what a dvmrp machine answers to "neighbors".
func DVMRPNeighborsResponse(list []dvmrp.NeighborShow) *pb.ListDVMRPNeighborsResponse {
	r := &pb.ListDVMRPNeighborsResponse{Schema: Schema}
	slices.SortStableFunc(list, func(a, b dvmrp.NeighborShow) int {
		return cmp.Or(cmp.Compare(a.Interface, b.Interface), a.Address.Compare(b.Address))
	})
	for _, n := range list {
		r.Neighbors = append(r.Neighbors, &pb.DVMRPNeighbor{
			Interface: n.Interface, Address: addr(n.Address), Version: n.Version, Capabilities: n.Capabilities, GenerationId: n.GenerationID,
			TwoWay: n.TwoWay, Uptime: durationpb.New(n.Uptime), Expires: left(n.Expires), Routes: uint32(n.Routes), Dependent: uint32(n.Dependent),
		})
	}
	return r
}

// DVMRPInterfacesResponse converts what a dvmrp machine answers to "interfaces".
func DVMRPInterfacesResponse(list []dvmrp.InterfaceShow) *pb.ListDVMRPInterfacesResponse {
	r := &pb.ListDVMRPInterfacesResponse{Schema: Schema}
	slices.SortStableFunc(list, func(a, b dvmrp.InterfaceShow) int { return cmp.Compare(a.Interface, b.Interface) })
	for _, i := range list {
		r.Interfaces = append(r.Interfaces, &pb.DVMRPInterface{
			Interface: i.Interface, Running: i.Running, Address: addr(i.Address), Metric: uint32(i.Metric), Threshold: uint32(i.Threshold),
			PointToPoint: i.PointToPoint, Tunnel: addr(i.Tunnel), Leaf: i.Leaf, GenerationId: i.GenerationID, Neighbors: uint32(i.Neighbors),
			Dependents: uint32(i.Dependents), Forwarding: uint32(i.Forwarding), NextProbe: left(i.NextProbe), Boundary: prefixes(i.Boundary),
		})
	}
	return r
}

// DVMRPRoutesResponse converts what a dvmrp machine answers to "routes".
func DVMRPRoutesResponse(list []dvmrp.RouteShow) *pb.ListDVMRPRoutesResponse {
	r := &pb.ListDVMRPRoutesResponse{Schema: Schema}
	for _, x := range list {
		m := &pb.DVMRPRoute{
			Prefix: x.Prefix.String(), State: x.State, Metric: uint32(x.Metric), Interface: x.Interface, Gateway: addr(x.Gateway),
			Uptime: durationpb.New(x.Uptime), Expires: left(x.Expires), HoldDown: left(x.HoldDown), OldMetric: uint32(x.OldMetric),
			OldGateway: addr(x.Old), Entries: uint32(x.Entries),
		}
		for _, i := range x.Interfaces {
			m.Interfaces = append(m.Interfaces, &pb.DVMRPRouteInterface{
				Interface: i.Interface, Forwarder: addr(i.Forwarder), WeAreForwarder: i.Self, Metric: uint32(i.Metric), Dependents: addrs(i.Dependents),
			})
		}
		r.Routes = append(r.Routes, m)
	}
	return r
}

// DVMRPEntriesResponse converts what a dvmrp machine answers to "entries".
func DVMRPEntriesResponse(list []dvmrp.EntryShow) *pb.ListDVMRPEntriesResponse {
	r := &pb.ListDVMRPEntriesResponse{Schema: Schema}
	for _, e := range list {
		m := &pb.DVMRPEntry{
			Source: star(e.Key.Source), Group: star(e.Key.Group), External: e.External, Upstream: e.Upstream, HostAlone: e.HostAlone, Interface: e.Interface,
			Neighbor: addr(e.Neighbor), OthersWant: e.OthersWant, Prune: left(e.Prune), PruneRetransmission: left(e.PruneRetransmit),
			GraftRetransmission: left(e.GraftRetransmit), Grafts: uint32(e.Grafts), Expires: left(e.Expires), Uptime: durationpb.New(e.Uptime),
			IncomingInterface: e.Incoming, Outgoing: e.Olist, Packets: e.Packets, Bytes: e.Bytes, WrongInterface: e.WrongIf,
		}
		if e.Route.IsValid() {
			m.Route = e.Route.String()
		}
		for _, i := range e.Interfaces {
			x := &pb.DVMRPEntryInterface{
				Interface: i.Interface, Forwarding: i.Forwarding, WeAreForwarder: i.Forwarder, Member: i.Member, Boundary: i.Boundary,
				Dependents: uint32(i.Dependents),
			}
			for _, p := range i.Prunes {
				x.Prunes = append(x.Prunes, &pb.DVMRPPrune{Neighbor: addr(p.Neighbor), Host: p.Host, Expires: left(p.Left)})
			}
			m.Interfaces = append(m.Interfaces, x)
		}
		r.Entries = append(r.Entries, m)
	}
	return r
}

// ofDVMRP fills in what DVMRP says of an entry. If another protocol is the owner, there is no upstream state, and DVMRP adds
// its own interfaces to the list.
func ofDVMRP(m *pb.Mroute, e *dvmrp.EntryShow) {
	if m.Owner == "" || !e.External {
		m.Owner, m.Wanted, m.External = string(engine.DVMRP), true, e.External
		m.IncomingInterface, m.RpfNeighbor = e.Incoming, addr(e.Neighbor)
		m.Upstream, m.OthersWant = e.Upstream, e.OthersWant
		m.Connected = !e.External && e.Incoming != "" && !e.Neighbor.IsValid()
		m.PruneLimit, m.PruneLifetime, m.GraftRetry, m.Keepalive = left(e.PruneRetransmit), left(e.Prune), left(e.GraftRetransmit), left(e.Expires)
		m.Uptime = durationpb.New(e.Uptime)
	}
	for _, i := range e.Interfaces {
		d := &pb.MrouteDownstream{
			Interface: i.Interface, Protocol: string(engine.DVMRP), Forwarding: i.Forwarding, State: "NoInfo",
			Neighbors: i.Dependents > 0 && i.Forwarder, Member: i.Member && i.Forwarder, Boundary: i.Boundary,
		}
		if soonest := firstEnd(i.Prunes); i.Dependents > 0 && !i.Forwarding && soonest > 0 {
			d.State, d.Pruned = "Pruned", left(soonest)
		}
		m.Downstream = append(m.Downstream, d)
	}
	for _, name := range e.Olist {
		o := &pb.MrouteOutgoing{Interface: name, TtlThreshold: 1}
		if n := slices.IndexFunc(e.Interfaces, func(i dvmrp.EntryInterfaceShow) bool { return i.Interface == name }); n >= 0 {
			o.Member = e.Interfaces[n].Member
		}
		addOutgoing(m, o)
	}
}

// firstEnd returns when the first of Prunes ends.
func firstEnd(list []dvmrp.PruneShow) time.Duration {
	var first time.Duration
	for _, p := range list {
		if first == 0 || p.Left < first {
			first = p.Left
		}
	}
	return first
}
