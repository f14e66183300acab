package api

import (
	"slices"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "grove/daemon/api/grove/v1"
	"grove/internal/engine"
	"grove/internal/pim/neighbor"
	"grove/mfib"
	"grove/pimsm"
)

// PIMNeighborsResponse converts what a pimsm machine answers to "neighbors".
func PIMNeighborsResponse(neighbors []neighbor.NeighborState) *pb.ListPIMNeighborsResponse {
	r := &pb.ListPIMNeighborsResponse{Schema: Schema}
	for _, n := range neighbors {
		m := &pb.PIMNeighbor{
			Interface: n.Interface, Address: addr(n.Address), Uptime: durationpb.New(n.Uptime), Dr: n.DR,
			SecondaryAddresses: addrs(n.Secondary), Holdtime: durationpb.New(n.Holdtime), LanPruneDelay: n.LANPruneDelayPresent,
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
		if n.LANPruneDelayPresent {
			m.TrackingSupport = n.TrackingSupport
			m.PropagationDelay, m.OverrideInterval = durationpb.New(n.PropagationDelay), durationpb.New(n.OverrideInterval)
		}
		r.Neighbors = append(r.Neighbors, m)
	}
	return r
}

// PIMInterfacesResponse converts what a pimsm machine answers to "interfaces".
func PIMInterfacesResponse(interfaces []neighbor.InterfaceState) *pb.ListPIMInterfacesResponse {
	r := &pb.ListPIMInterfacesResponse{Schema: Schema}
	for _, i := range interfaces {
		m := &pb.PIMInterface{
			Interface: i.Name, Running: i.Running, Passive: i.Passive, Address: addr(i.Address), SecondaryAddresses: addrs(i.Secondary),
			Dr: addr(i.DR), WeAreDr: i.IAmDR, Neighbors: uint32(i.Neighbors), GenerationId: i.GenerationID,
			HelloPeriod: durationpb.New(i.HelloPeriod), HelloTimer: left(i.NextHello), LanDelayEnabled: i.LANDelayEnabled,
			PropagationDelay: durationpb.New(i.PropagationDelay), OverrideInterval: durationpb.New(i.OverrideInterval),
			Suppression: i.SuppressionEnabled,
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
			Address: addr(rp.Address), Origin: "static", WeAreRp: rp.IsUs, Reachable: rp.Reachable, Interface: rp.RPFInterface,
			RpfNeighbor: addr(rp.RPFNeighbor), ActiveGroups: uint32(rp.Entries),
		}
		for _, g := range rp.Groups {
			m.Groups = append(m.Groups, prefix(g))
		}
		r.Rps = append(r.Rps, m)
	}
	return r
}

// MroutesResponse joins what a pimsm machine answers to "entries" and "joins" with what mfib answers to "entries": one
// Mroute for each key that either has. A (*,G) that PIM has only to keep the group's sources together is none.
func MroutesResponse(entries []pimsm.EntryShow, joins []pimsm.DownstreamShow, rows []mfib.Entry) *pb.ListMroutesResponse {
	on := make(map[place]*pimsm.DownstreamShow, len(joins))
	known := make(map[engine.Key]bool, len(joins))
	for i := range joins {
		on[place{joins[i].Key, joins[i].Interface}] = &joins[i]
		known[joins[i].Key] = true
	}
	type pair struct {
		key   engine.Key
		entry *pimsm.EntryShow
		row   *mfib.Entry
	}
	index := make(map[engine.Key]int, len(entries))
	pairs := make([]pair, 0, len(entries))
	for i := range entries {
		index[entries[i].Key] = i
		pairs = append(pairs, pair{key: entries[i].Key, entry: &entries[i]})
	}
	for i := range rows {
		if n, there := index[rows[i].Key]; there {
			pairs[n].row = &rows[i]
		} else {
			pairs = append(pairs, pair{key: rows[i].Key, row: &rows[i]})
		}
	}
	pairs = slices.DeleteFunc(pairs, func(p pair) bool {
		return p.row == nil && !p.key.Source.IsValid() && p.entry.Upstream != "Joined" && len(p.entry.Olist) == 0 && !known[p.key]
	})
	slices.SortFunc(pairs, func(a, b pair) int { return a.key.Compare(b.key) })
	r := &pb.ListMroutesResponse{Schema: Schema}
	for _, p := range pairs {
		m := &pb.Mroute{Source: star(p.key.Source), Group: star(p.key.Group), State: "not installed"}
		if p.entry != nil {
			ofProtocol(m, p.entry, on)
		}
		if p.row != nil {
			ofTable(m, p.row)
		}
		r.Mroutes = append(r.Mroutes, m)
	}
	return r
}

// place is an entry's interface.
type place struct {
	key   engine.Key
	iface string
}

// ofProtocol fills in what the protocol says of an entry.
func ofProtocol(m *pb.Mroute, e *pimsm.EntryShow, on map[place]*pimsm.DownstreamShow) {
	m.Owner, m.Wanted = string(engine.PIMSM), true
	m.IncomingInterface, m.RpfNeighbor, m.RpfByAssert = e.Incoming, addr(e.RPFNeighbor), e.ByAssert
	if m.IncomingInterface == "" {
		m.IncomingInterface = e.RPFInterface
	}
	m.Upstream, m.JoinTimer = e.Upstream, left(e.JoinTimer)
	m.Rp, m.WeAreRp, m.Ssm = addr(e.RP), e.RPIsUs, e.SSM
	if e.Key.Source.IsValid() {
		m.Spt, m.Keepalive, m.Connected = e.SPTbit, left(e.Keepalive), e.Connected
		m.Rpt, m.OverrideTimer = e.Rpt, left(e.OverrideTimer)
		m.RegisterStop, m.Decapsulating = left(e.RegisterStop), e.Decapsulating
		if e.Register != "NoInfo" {
			m.Register = e.Register
		}
	}
	for _, name := range e.Olist {
		o := &pb.MrouteOutgoing{Interface: name, TtlThreshold: 1}
		if d := on[place{e.Key, name}]; d != nil {
			o.Join, o.Member, o.Expires = d.State != "NoInfo", d.Member, left(d.Expires)
		}
		if d := on[place{engine.StarG(e.Key.Group), name}]; d != nil && e.Key.Source.IsValid() {
			o.Inherited = d.State != "NoInfo" || d.Member
		}
		m.LocalMembers = m.LocalMembers || o.Member
		m.Outgoing = append(m.Outgoing, o)
	}
}

// ofTable fills in what the forwarding table says of an entry.
func ofTable(m *pb.Mroute, e *mfib.Entry) {
	m.Installed, m.State, m.Reason = e.Installed, e.State, e.Reason
	m.Uptime, m.Expires = durationpb.New(e.Age), left(e.Left)
	m.Packets, m.Bytes, m.WrongInterface = e.Packets, e.Bytes, e.WrongIf
	if len(e.Wants) > 0 && !m.Wanted {
		m.Wanted, m.Owner = true, string(e.Wants[0].By.Protocol)
	}
	if m.IncomingInterface == "" {
		m.IncomingInterface = e.In.Name
	}
	for _, out := range e.Out {
		i := slices.IndexFunc(m.Outgoing, func(o *pb.MrouteOutgoing) bool { return o.Interface == out.Name })
		if i < 0 {
			m.Outgoing = append(m.Outgoing, &pb.MrouteOutgoing{Interface: out.Name})
			i = len(m.Outgoing) - 1
		}
		m.Outgoing[i].Installed, m.Outgoing[i].TtlThreshold = true, uint32(out.Threshold)
	}
	for _, o := range m.Outgoing {
		// The register tunnel: packets come up to be encapsulated.
		o.Installed = o.Installed || e.Register && o.Interface == "register"
	}
}
