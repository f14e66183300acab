package api

import (
	"cmp"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "grove/daemon/api/grove/v1"
	"grove/internal/pim/bootstrap"
	"grove/internal/pim/neighbor"
	"grove/pimdm"
	"grove/pimsm"
)

// PIMShow is what the machines of PIM say of a family's links: pimsm and pimdm each to "neighbors" and "interfaces".
type PIMShow struct {
	Sparse, Dense   []neighbor.NeighborState
	Interfaces      []neighbor.InterfaceState // sparse mode's
	DenseInterfaces []pimdm.InterfaceShow
}

// denseOn returns what dense mode says of an interface; nil: it does not run there, or for the groups of Auto-RP alone.
func (p *PIMShow) denseOn(name string) *pimdm.InterfaceShow {
	i := slices.IndexFunc(p.DenseInterfaces, func(i pimdm.InterfaceShow) bool { return i.Name == name && !i.Few })
	if i < 0 {
		return nil
	}
	return &p.DenseInterfaces[i]
}

// mode returns the mode of an interface.
func (p *PIMShow) mode(name string) string {
	switch d := p.denseOn(name); {
	case d == nil:
		return "sparse"
	case d.SparseDense:
		return "sparse-dense"
	}
	return "dense"
}

// PIMNeighborsResponse lists the neighbors of both modes. On a sparse-dense interface both know the same ones, and sparse
// mode, which speaks Hello there, tells of them.
func PIMNeighborsResponse(p PIMShow) *pb.ListPIMNeighborsResponse {
	r := &pb.ListPIMNeighborsResponse{Schema: Schema}
	all := slices.Clone(p.Sparse)
	for _, n := range p.Dense {
		if p.mode(n.Interface) == "dense" {
			all = append(all, n)
		}
	}
	slices.SortStableFunc(all, func(a, b neighbor.NeighborState) int {
		return cmp.Or(cmp.Compare(a.Interface, b.Interface), a.Address.Compare(b.Address))
	})
	for _, n := range all {
		m := &pb.PIMNeighbor{
			Interface: n.Interface, Address: addr(n.Address), Uptime: durationpb.New(n.Uptime), Dr: n.DR,
			SecondaryAddresses: addrs(n.Secondary), Holdtime: durationpb.New(n.Holdtime), LanPruneDelay: n.LANPruneDelayPresent, Mode: p.mode(n.Interface),
		}
		if !n.Forever {
			m.Expires = durationpb.New(n.Expires)
		}
		if n.DRPriorityPresent {
			m.DrPriority = &n.DRPriority
		}
		if n.GenerationIDPresent {
			m.GenerationId = &n.GenerationID
		}
		if n.StateRefreshCapable {
			m.StateRefreshCapable, m.StateRefreshInterval = true, durationpb.New(n.StateRefreshInterval)
		}
		if n.LANPruneDelayPresent {
			m.TrackingSupport = n.TrackingSupport
			m.PropagationDelay, m.OverrideInterval = durationpb.New(n.PropagationDelay), durationpb.New(n.OverrideInterval)
		}
		r.Neighbors = append(r.Neighbors, m)
	}
	return r
}

// PIMInterfacesResponse lists the interfaces of both modes.
func PIMInterfacesResponse(p PIMShow) *pb.ListPIMInterfacesResponse {
	r := &pb.ListPIMInterfacesResponse{Schema: Schema}
	all := slices.Clone(p.Interfaces)
	for _, i := range p.DenseInterfaces {
		if !i.SparseDense {
			all = append(all, i.InterfaceState)
		}
	}
	slices.SortStableFunc(all, func(a, b neighbor.InterfaceState) int { return cmp.Compare(a.Name, b.Name) })
	for _, i := range all {
		m := &pb.PIMInterface{
			Interface: i.Name, Running: i.Running, Passive: i.Passive, Address: addr(i.Address), SecondaryAddresses: addrs(i.Secondary),
			Dr: addr(i.DR), WeAreDr: i.IAmDR, Neighbors: uint32(i.Neighbors), GenerationId: i.GenerationID,
			HelloPeriod: durationpb.New(i.HelloPeriod), HelloTimer: left(i.NextHello), LanDelayEnabled: i.LANDelayEnabled,
			PropagationDelay: durationpb.New(i.PropagationDelay), OverrideInterval: durationpb.New(i.OverrideInterval),
			Suppression: i.SuppressionEnabled, Mode: p.mode(i.Name),
		}
		if d := p.denseOn(i.Name); d != nil {
			m.StateRefresh, m.StateRefreshCapable, m.SparseGroups = d.StateRefresh, d.StateRefreshCapable, prefixes(d.Sparse)
		}
		if i.DRPriorityPresent {
			m.DrPriority = &i.DRPriority
		}
		r.Interfaces = append(r.Interfaces, m)
	}
	return r
}

// PIMJoinsResponse converts what a pimsm machine answers to "joins".
func PIMJoinsResponse(joins []pimsm.DownstreamShow) *pb.ListPIMJoinsResponse {
	r := &pb.ListPIMJoinsResponse{Schema: Schema}
	for _, j := range joins {
		r.Joins = append(r.Joins, &pb.PIMJoin{
			Interface: j.Interface, Source: star(j.Key.Source), Group: star(j.Key.Group),
			State: j.State, Expires: left(j.Expires), PrunePending: left(j.PrunePending),
			Rpt: j.Rpt, RptExpires: left(j.RptExpires), RptPrunePending: left(j.RptPrunePending),
			Member: j.Member, Excluded: j.Excluded,
			Assert: j.Assert, AssertWinner: addr(j.AssertWinner), AssertMetric: j.AssertMetric, AssertExpires: left(j.AssertExpires),
		})
	}
	return r
}

// RPsResponse converts what a pimsm machine answers to "rp".
func RPsResponse(rps []pimsm.RPShow) *pb.ListRPsResponse {
	r := &pb.ListRPsResponse{Schema: Schema}
	for _, rp := range rps {
		m := &pb.RP{
			Address: addr(rp.Address), Origin: strings.Join(rp.Origins, ", "), WeAreRp: rp.IsUs, Reachable: rp.Reachable, Interface: rp.RPFInterface,
			RpfNeighbor: addr(rp.RPFNeighbor), ActiveGroups: uint32(rp.Entries),
		}
		m.Groups = prefixes(rp.Groups)
		r.Rps = append(r.Rps, m)
	}
	return r
}

// RPMappingsResponse converts what a pimsm machine answers to "mappings"; ofGroup says that it was asked for those of a group.
func RPMappingsResponse(mappings []pimsm.MappingShow, ofGroup bool) *pb.ListRPMappingsResponse {
	r := &pb.ListRPMappingsResponse{Schema: Schema}
	for _, m := range mappings {
		x := &pb.RPMapping{
			Groups: m.Groups.String(), Rp: addr(m.RP), Origin: m.Origin, Bidir: m.Bidir, Priority: uint32(m.Priority),
			HashMaskLength: uint32(m.HashMaskLen), WeAreRp: m.IsUs, Reachable: m.Reachable, Chosen: m.Chosen,
		}
		if ofGroup {
			x.Hash = &m.Hash
		}
		r.Mappings = append(r.Mappings, x)
	}
	return r
}

// BSRResponse converts what a pimsm machine answers to "bsr".
func BSRResponse(s bootstrap.Show) *pb.GetBSRResponse {
	r := &pb.GetBSRResponse{Schema: Schema}
	for _, z := range s.Zones {
		x := &pb.BSRZone{
			State: z.State, Bsr: addr(z.BSR), Priority: uint32(z.Priority), HashMaskLength: uint32(z.HashMaskLen), Uptime: left(z.Uptime),
			Expires: left(z.Expires), Fragments: uint32(z.Fragments), Mappings: uint32(z.Mappings), Candidate: addr(z.Candidate),
			CandidatePriority: uint32(z.CandidatePriority),
		}
		if z.Scope.IsValid() {
			x.Scope = z.Scope.String()
		}
		r.Zones = append(r.Zones, x)
	}
	for _, o := range s.Candidates {
		r.Candidates = append(r.Candidates, &pb.BSRCandidateRP{
			Groups: o.Groups.String(), Bidir: o.Bidir, Rp: addr(o.RP), Priority: uint32(o.Priority), Holdtime: durationpb.New(o.Holdtime),
			Expires: left(o.Expires),
		})
	}
	for _, c := range s.Own {
		r.Own = append(r.Own, &pb.OwnCandidateRP{
			Address: addr(c.Address), Groups: prefixes(c.Groups), Priority: uint32(c.Priority), Active: c.Active, Next: left(c.Next),
		})
	}
	return r
}

// StateRefreshResponse converts what a pimdm machine answers to "state-refresh".
func StateRefreshResponse(entries []pimdm.StateRefreshShow) *pb.ListPIMStateRefreshResponse {
	r := &pb.ListPIMStateRefreshResponse{Schema: Schema}
	for _, e := range entries {
		r.Entries = append(r.Entries, &pb.PIMStateRefresh{
			Source: star(e.Key.Source), Group: star(e.Key.Group), Originating: e.Originating, Originator: addr(e.Originator),
			Interval: left(e.Interval), Ttl: uint32(e.TTL), PruneIndicator: e.PruneIndicator, Next: left(e.Next), Ago: left(e.Ago),
			Received: e.Received, Limited: e.Limited, Sent: e.Sent,
		})
	}
	return r
}
