package api

import (
	"slices"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "grove/daemon/api/grove/v1"
	"grove/dvmrp"
	"grove/internal/engine"
	"grove/mfib"
	"grove/pimdm"
	"grove/pimsm"
)

// Routes is what the machines of a family say of multicast routes.
type Routes struct {
	Sparse []pimsm.EntryShow // pimsm: "entries"
	Joins  []pimsm.DownstreamShow
	Dense  []pimdm.EntryShow // pimdm: "entries"
	DVMRP  []dvmrp.EntryShow // dvmrp: "entries"
	Rows   []mfib.Entry      // mfib: "entries"
}

// MroutesResponse joins what the machines say: one Mroute for each key that any of them has. A (*,G) that PIM-SM has only to
// keep the group's sources together is none.
func MroutesResponse(routes Routes) *pb.ListMroutesResponse {
	on := make(map[place]*pimsm.DownstreamShow, len(routes.Joins))
	known := make(map[engine.Key]bool, len(routes.Joins))
	for i := range routes.Joins {
		on[place{routes.Joins[i].Key, routes.Joins[i].Interface}] = &routes.Joins[i]
		known[routes.Joins[i].Key] = true
	}
	type parts struct {
		sparse *pimsm.EntryShow
		dense  *pimdm.EntryShow
		vector *dvmrp.EntryShow
		row    *mfib.Entry
	}
	all := make(map[engine.Key]*parts, len(routes.Rows))
	of := func(k engine.Key) *parts {
		p := all[k]
		if p == nil {
			p = &parts{}
			all[k] = p
		}
		return p
	}
	for i := range routes.Sparse {
		of(routes.Sparse[i].Key).sparse = &routes.Sparse[i]
	}
	for i := range routes.Dense {
		of(routes.Dense[i].Key).dense = &routes.Dense[i]
	}
	for i := range routes.DVMRP {
		of(routes.DVMRP[i].Key).vector = &routes.DVMRP[i]
	}
	for i := range routes.Rows {
		of(routes.Rows[i].Key).row = &routes.Rows[i]
	}
	r := &pb.ListMroutesResponse{Schema: Schema}
	for key, p := range engine.SortedKeys(all) {
		e := p.sparse
		if p.row == nil && !key.Source.IsValid() && e.Upstream != "Joined" && len(e.Olist) == 0 && !known[key] {
			continue
		}
		m := &pb.Mroute{Source: star(key.Source), Group: star(key.Group), State: "not installed"}
		if p.sparse != nil {
			ofSparse(m, p.sparse, on)
		}
		if p.dense != nil {
			ofDense(m, p.dense)
		}
		if p.vector != nil {
			ofDVMRP(m, p.vector)
		}
		if p.row != nil {
			ofTable(m, p.row)
		}
		m.Dense = m.Owner == string(engine.PIMDM) || m.Owner == string(engine.DVMRP)
		r.Mroutes = append(r.Mroutes, m)
	}
	return r
}

// place is an entry's interface.
type place struct {
	key   engine.Key
	iface string
}

// ofSparse fills in what PIM-SM says of an entry.
func ofSparse(m *pb.Mroute, e *pimsm.EntryShow, on map[place]*pimsm.DownstreamShow) {
	m.Owner, m.Wanted = string(engine.PIMSM), true
	m.IncomingInterface, m.RpfNeighbor, m.RpfByAssert = e.Incoming, addr(e.RPFNeighbor), e.ByAssert
	if m.IncomingInterface == "" {
		m.IncomingInterface = e.RPFInterface
	}
	m.Upstream, m.JoinTimer = e.Upstream, left(e.JoinTimer)
	m.Rp, m.WeAreRp, m.Ssm = addr(e.RP), e.RPIsUs, e.SSM
	m.External, m.OthersWant = e.External, e.OthersWant
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

// ofDense fills in what PIM-DM says of an entry. If another protocol is the owner, there is no upstream state, and PIM-DM adds
// its own interfaces to the list.
func ofDense(m *pb.Mroute, e *pimdm.EntryShow) {
	if m.Owner == "" || !e.External {
		m.Owner, m.Wanted, m.External = string(engine.PIMDM), true, e.External
		m.IncomingInterface, m.RpfNeighbor, m.RpfByAssert = e.Incoming, addr(e.RPFNeighbor), e.ByAssert
		if m.IncomingInterface == "" {
			m.IncomingInterface = e.RPFInterface
		}
		m.Upstream, m.Connected, m.OthersWant = e.Upstream, e.Connected, e.OthersWant
		m.PruneLimit, m.GraftRetry, m.OverrideTimer, m.Keepalive = left(e.PruneLimit), left(e.GraftRetry), left(e.Override), left(e.Expires)
		m.Originator, m.SourceActive, m.StateRefresh = e.Originator == "Originator", left(e.SourceActive), left(e.StateRefresh)
		m.Uptime = durationpb.New(e.Uptime)
	}
	for _, i := range e.Interfaces {
		m.Downstream = append(m.Downstream, &pb.MrouteDownstream{
			Interface: i.Interface, Protocol: string(engine.PIMDM), Forwarding: slices.Contains(e.Olist, i.Interface),
			State: i.State, Pruned: left(i.Prune), PrunePending: left(i.PrunePending),
			Neighbors: i.Neighbors, Member: i.Member, Excluded: i.Excluded, Boundary: i.Boundary,
			Assert: i.Assert, AssertWinner: addr(i.AssertWinner), AssertMetric: i.AssertMetric, AssertExpires: left(i.AssertExpires),
		})
	}
	for _, name := range e.Olist {
		o := &pb.MrouteOutgoing{Interface: name, TtlThreshold: 1}
		if n := slices.IndexFunc(e.Interfaces, func(i pimdm.EntryInterfaceShow) bool { return i.Interface == name }); n >= 0 {
			o.Member = e.Interfaces[n].Member
		}
		addOutgoing(m, o)
	}
}

// addOutgoing adds an interface of one protocol to those of the others. A link that only IGMP runs on may be several
// protocols' (RFC 2715, section 4.6).
func addOutgoing(m *pb.Mroute, o *pb.MrouteOutgoing) {
	m.LocalMembers = m.LocalMembers || o.Member
	for _, there := range m.Outgoing {
		if there.Interface == o.Interface {
			there.Join, there.Member = there.Join || o.Join, there.Member || o.Member
			return
		}
	}
	m.Outgoing = append(m.Outgoing, o)
}

// ofTable fills in what the forwarding table says of an entry.
func ofTable(m *pb.Mroute, e *mfib.Entry) {
	m.Installed, m.State, m.Reason = e.Installed, e.State, e.Reason
	m.Uptime, m.Expires = durationpb.New(e.Age), left(e.Left)
	m.Packets, m.Bytes, m.WrongInterface = e.Packets, e.Bytes, e.WrongIf
	if len(e.Wants) > 0 && !m.Wanted {
		m.Wanted, m.Owner = true, string(e.Wants[0].By.Protocol)
	}
	if e.Owner != (engine.MachineID{}) && m.Wanted {
		m.Owner = string(e.Owner.Protocol)
	}
	for _, w := range e.Wants {
		name := string(w.By.Protocol)
		if name == m.Owner {
			m.Protocols = slices.Insert(m.Protocols, 0, name)
		} else {
			m.Protocols = append(m.Protocols, name)
		}
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
