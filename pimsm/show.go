package pimsm

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/bootstrap"
	"grove/internal/pim/neighbor"
)

// What a Query may ask for, and the type of the Answer:
//
//	"neighbors"   []neighbor.NeighborState
//	"interfaces"  []neighbor.InterfaceState
//	"joins"       []DownstreamShow: what is known of interfaces, per entry
//	"entries"     []EntryShow: the upstream state of every entry
//	"rp"          []RPShow: the RPs; with an address of a group in Arg, its RP
//	"mappings"    []MappingShow: the mappings of groups to RPs; with a group in Arg those that match it, with their hash values
//	"bsr"         bootstrap.Show
//	"auto-rp"     autorp.State
//	"counts"      map[string]uint64

// DownstreamShow is what an entry knows of one interface: the downstream state machines of RFC 7761, sections 4.5.1 to
// 4.5.3, the membership of hosts, and the Assert state machine of section 4.6.
type DownstreamShow struct {
	Key       engine.Key
	Interface string
	// State of (*,G) or (S,G): "NoInfo", "Join", "Prune-Pending"; the times left of its timers.
	State        string
	Expires      time.Duration // Expiry Timer
	PrunePending time.Duration // Prune-Pending Timer
	// Rpt is the state of (S,G,rpt): "NoInfo", "Prune", "Prune-Pending".
	Rpt             string
	RptExpires      time.Duration
	RptPrunePending time.Duration

	Member   bool // local_receiver_include: hosts want it
	Excluded bool // local_receiver_exclude(S,G,I): no host wants this source

	Assert        string // "NoInfo", "I am Assert Winner", "I am Assert Loser"
	AssertWinner  netip.Addr
	AssertMetric  string
	AssertExpires time.Duration
}

// EntryShow is the upstream state of a (*,G) or (S,G) entry, and of (S,G,rpt) with the latter.
type EntryShow struct {
	Key          engine.Key
	SSM          bool
	RP           netip.Addr
	RPIsUs       bool
	Upstream     string // "NotJoined", "Joined"
	RPFInterface string
	RPFNeighbor  netip.Addr    // RPF'
	ByAssert     bool          // an Assert made it the RPF'
	JoinTimer    time.Duration // time left

	Incoming string // of the row in the forwarding table; "" if there is none, or none known
	// Olist are the interfaces that packets go to: those of the row, "register" for the tunnel. Where there is no row (at
	// the RP the shared tree has none) it is immediate_olist(*,G) or inherited_olist(S,G).
	Olist []string

	// Of (S,G):
	SPTbit        bool
	Keepalive     time.Duration // time left; 0: not running
	Rpt           string        // "RPTNotJoined(G)", "Pruned(S,G,rpt)", "NotPruned(S,G,rpt)"
	OverrideTimer time.Duration
	Register      string        // "NoInfo", "Join", "Prune", "Join-Pending"
	RegisterStop  time.Duration // time left of the Register-Stop Timer
	Decapsulating bool          // the RP forwards Registers by hand
	Connected     bool          // DirectlyConnected(S)
	External      bool          // another protocol's source (RFC 2715)

	Advertised bool // msdp tells other domains of the source
	Remote     bool // msdp told us of it: it is another domain's

	OthersWant bool // other protocols want the packets: a Join alert
}

// RPShow is a Group-to-RP mapping.
type RPShow struct {
	Address      netip.Addr
	Groups       []netip.Prefix
	IsUs         bool
	Reachable    bool
	RPFInterface string
	RPFNeighbor  netip.Addr
	Entries      int      // groups that have it as their RP
	Origins      []string // of its mappings: "static", "BSR", "Auto-RP", "static, override"
}

// MappingShow is a Group-to-RP mapping (RFC 7761 section 4.7).
type MappingShow struct {
	Groups      netip.Prefix
	RP          netip.Addr
	Origin      string // "static", "BSR", "Auto-RP", "static, override"
	Bidir       bool   // BIDIR-PIM: no RP for sparse mode
	Priority    uint8  // the lowest wins; 0 if it is static
	HashMaskLen uint8
	IsUs        bool
	Reachable   bool
	// Of the mappings that match a group:
	Hash   uint32 // Value(G,M,C(i)) of section 4.7.2
	Chosen bool   // it gives RP(G)
}

// answer answers a Query.
func (m *Machine) answer(q engine.Query) {
	a := engine.Answer{From: m.id, ID: q.ID}
	switch q.What {
	case "neighbors":
		list := []neighbor.NeighborState{}
		for _, i := range m.interfaces() {
			if i.nb != nil {
				list = append(list, i.nb.ShowNeighbors(m.now)...)
			}
		}
		a.Value = list
	case "interfaces":
		list := []neighbor.InterfaceState{}
		for _, i := range m.interfaces() {
			if i.nb != nil {
				list = append(list, i.nb.Show(m.now))
			}
		}
		a.Value = list
	case "joins":
		a.Value = m.showJoins()
	case "entries":
		a.Value = m.showEntries()
	case "rp":
		list, err := m.showRPs(q.Arg)
		a.Value, a.Err = list, err
	case "mappings":
		list, err := m.showMappings(q.Arg)
		a.Value, a.Err = list, err
	case "bsr":
		if m.bsr == nil {
			a.Value = bootstrap.Show{}
		} else {
			a.Value = m.bsr.Show(m.now)
		}
	case "auto-rp":
		a.Value = m.autorp.Show(m.now)
	case "counts":
		a.Value = m.counts.Snapshot()
	default:
		a.Err = "pimsm: unknown query " + q.What
	}
	m.emit(a)
}

func (m *Machine) showJoins() []DownstreamShow {
	list := []DownstreamShow{}
	for _, n := range m.nodes() {
		for _, o := range n.entry().oifs {
			list = append(list, o.show(m.now))
		}
	}
	return list
}

func (o *oif) show(now time.Time) DownstreamShow {
	d := DownstreamShow{
		Key: o.key(), Interface: o.iface.link.Name, State: o.jp.current().String(), Rpt: o.rpt.current().String(),
		Member: o.member, Excluded: o.exclude, Assert: AssertNoInfo.String(),
	}
	if o.jp != nil {
		d.Expires, d.PrunePending = o.jp.et.Left(now), o.jp.ppt.Left(now)
	}
	if o.rpt != nil {
		d.RptExpires, d.RptPrunePending = o.rpt.et.Left(now), o.rpt.ppt.Left(now)
	}
	if a := o.assert; a != nil {
		d.Assert, d.AssertWinner, d.AssertMetric = a.state.String(), a.winner, a.metric.String()
		d.AssertExpires = a.timer.Left(now)
	}
	return d
}

func (m *Machine) showEntries() []EntryShow {
	list := []EntryShow{}
	for _, n := range m.nodes() {
		e := n.entry()
		if n.s == nil && len(e.oifs) == 0 && e.up.state == NotJoined {
			continue // no (*,G) state: the group is there for its sources
		}
		x := EntryShow{
			Key: n.key(), SSM: n.g.ssm, Upstream: e.up.state.String(), RPFNeighbor: e.up.rpf.addr,
			ByAssert: e.up.byAssert, JoinTimer: e.up.jt.Left(m.now), Incoming: m.names(e.said.in),
		}
		if n.g.rpf != nil {
			x.RP, x.RPIsUs = n.g.rpf.addr, n.g.rpf.local
		}
		if e.rpf != nil && e.rpf.iface != nil {
			x.RPFInterface = e.rpf.iface.link.Name
		}
		if s := n.s; s == nil {
			x.Olist = m.nameList(e.said.olist(immediateOlistStarG(n.g)))
			x.OthersWant = n.g.wanted
		} else {
			x.Olist = m.nameList(e.said.olist(inheritedOlistSG(s)))
			x.SPTbit, x.Keepalive, x.Connected = sptBit(s), s.kat.Left(m.now), directlyConnected(s)
			x.Rpt, x.Register = s.rpt.state.String(), s.registerState().String()
			x.Decapsulating = s.decap != nil
			if s.msdp != nil {
				x.Advertised, x.Remote = s.msdp.said.IsValid(), s.msdp.remote
			}
			x.External, x.OthersWant = externallyReached(s), s.wanted == engine.JoinAlert
			if s.rpt.ot != nil {
				x.OverrideTimer = s.rpt.ot.Left(m.now)
			}
			if s.register != nil {
				x.RegisterStop = s.register.rst.Left(m.now)
			}
		}
		list = append(list, x)
	}
	return list
}

func (m *Machine) showRPs(arg string) ([]RPShow, string) {
	var only *target
	if arg != "" {
		g, err := netip.ParseAddr(arg)
		if err != nil {
			return nil, "pimsm: not an address: " + arg
		}
		only = m.rpOf(g)
		if m.isSSM(g) || only == nil {
			return nil, "pimsm: no RP for " + arg
		}
	}
	list := []RPShow{}
	for _, t := range m.rps {
		if only != nil && t != only {
			continue
		}
		x := RPShow{
			Address: t.addr, IsUs: t.local, Reachable: t.reachable, RPFNeighbor: t.nbr, Entries: len(t.groups.All),
		}
		if t.iface != nil {
			x.RPFInterface = t.iface.link.Name
		}
		for _, mp := range m.mappings {
			if mp.rp != t.addr || mp.bidir {
				continue
			}
			if !slices.Contains(x.Groups, mp.groups) {
				x.Groups = append(x.Groups, mp.groups)
			}
			if o := mp.origin.String(); !slices.Contains(x.Origins, o) {
				x.Origins = append(x.Origins, o)
			}
		}
		list = append(list, x)
	}
	return list, ""
}

// showMappings returns the mappings, those of a group in the order in which they are preferred.
func (m *Machine) showMappings(arg string) ([]MappingShow, string) {
	var group netip.Addr
	if arg != "" {
		g, err := netip.ParseAddr(arg)
		if err != nil || !g.IsMulticast() || engine.FamilyOf(g) != m.id.Family {
			return nil, "pimsm: not a group: " + arg
		}
		group = g
	}
	list := []MappingShow{}
	sorted := make([]*mapping, 0, len(m.mappings))
	for i := range m.mappings {
		if mp := &m.mappings[i]; !group.IsValid() || mp.groups.Contains(group) && !m.isSSM(group) {
			sorted = append(sorted, mp)
		}
	}
	slices.SortStableFunc(sorted, func(a, b *mapping) int {
		if group.IsValid() {
			switch {
			case a.betterThan(b, group):
				return -1
			case b.betterThan(a, group):
				return 1
			}
			return 0
		}
		return cmp.Or(a.groups.Addr().Compare(b.groups.Addr()), cmp.Compare(a.groups.Bits(), b.groups.Bits()),
			cmp.Compare(b.origin, a.origin), a.rp.Compare(b.rp))
	})
	for i, mp := range sorted {
		x := MappingShow{
			Groups: mp.groups, RP: mp.rp, Origin: mp.origin.String(), Bidir: mp.bidir, Priority: mp.priority, HashMaskLen: mp.hashMaskLen,
		}
		if t := m.targets[mp.rp]; t != nil {
			x.IsUs, x.Reachable = t.local, t.reachable
		}
		if group.IsValid() {
			x.Hash, x.Chosen = hashValue(group, mp.hashMaskLen, mp.rp), i == 0 && !mp.bidir && mp.rp.IsValid()
		}
		list = append(list, x)
	}
	return list, ""
}

// olist returns where packets go by a row, or otherwise if there is none.
func (r *row) olist(otherwise ifSet) ifSet {
	if !r.wanted {
		return otherwise
	}
	if r.register != nil {
		return r.out | registerTunnel
	}
	return r.out
}

// nodes returns all entries: by group, (*,G) first.
func (m *Machine) nodes() []node {
	var list []node
	for _, g := range engine.SortedAddrs(m.groups) {
		list = append(list, nodeOf(g))
		sources := slices.Clone(g.sources.All)
		slices.SortFunc(sources, func(a, b *source) int { return a.addr.Compare(b.addr) })
		for _, s := range sources {
			list = append(list, node{g, s})
		}
	}
	return list
}

func (n node) entry() *entry {
	if n.s != nil {
		return &n.s.entry
	}
	return &n.g.entry
}

func (m *Machine) nameList(set ifSet) []string {
	list := []string{}
	for slot := range set.Bits() {
		switch i := m.slots[slot]; {
		case i != nil:
			list = append(list, i.link.Name)
		case ifSet(1)<<slot == registerTunnel:
			list = append(list, "register")
		}
	}
	return list
}

// names is nameList for a set of one.
func (m *Machine) names(set ifSet) string {
	for _, name := range m.nameList(set) {
		return name
	}
	return ""
}
