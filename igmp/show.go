package igmp

import (
	"fmt"
	"net/netip"
	"time"

	"grove/internal/engine"
)

// What a Machine answers to an engine.Query: "groups" with []GroupInfo (Arg: a group address, or empty for all),
// "interfaces" with []InterfaceInfo, "counts" with map[string]uint64.

// GroupInfo is a group that has members on an interface.
type GroupInfo struct {
	Interface string
	Group     netip.Addr
	// Mode is the router filter mode: INCLUDE wants only the Sources that are forwarded, EXCLUDE all but those that
	// are not.
	Mode engine.FilterMode
	// Left is the time left of the group timer, which runs in EXCLUDE mode.
	Left time.Duration
	// Version is the Group Compatibility Mode: "IGMPv1" ... "MLDv2".
	Version string
	// OlderHosts is the time left until hosts of an older version are forgotten; 0: there are none.
	OlderHosts time.Duration
	Sources    []SourceInfo
	// Static says that the configuration joined the group, or some of its sources.
	Static bool
}

// SourceInfo is a source record.
type SourceInfo struct {
	Source netip.Addr
	// Forward says that the source is wanted: its timer runs, or the configuration wants it.
	Forward bool
	Left    time.Duration
}

// InterfaceInfo is an interface on which the protocol runs.
type InterfaceInfo struct {
	Interface string
	Address   netip.Addr // what we send from
	Version   string     // "IGMPv3" ...
	// State is "Querier" or "Non-Querier".
	State string
	// Querier is the address of the link's Querier, our own if we are; invalid if none is known.
	Querier netip.Addr
	// NextQuery is the time left until our next General Query, OtherQuerier until the other Querier counts as gone.
	NextQuery    time.Duration
	OtherQuerier time.Duration
	// Robustness and QueryInterval are those in force: the elected Querier's, or our own.
	Robustness              int
	QueryInterval           time.Duration
	QueryResponseInterval   time.Duration
	LastMemberQueryInterval time.Duration
	// GroupMembershipInterval is how long a report counts.
	GroupMembershipInterval time.Duration
	Groups                  int
}

func (m *Machine) answer(now time.Time, q engine.Query) {
	a := engine.Answer{From: m.id, ID: q.ID}
	switch q.What {
	case "groups":
		var only netip.Addr
		if q.Arg != "" {
			addr, err := netip.ParseAddr(q.Arg)
			if err != nil {
				a.Err = fmt.Sprintf("groups: %q is not an address", q.Arg)
				break
			}
			only = addr
		}
		a.Value = m.showGroups(now, only)
	case "interfaces":
		a.Value = m.showInterfaces(now)
	case "counts":
		a.Value = m.counts.Snapshot()
	default:
		a.Err = fmt.Sprintf("%v does not know %q", m.id, q.What)
	}
	m.emit(a)
}

func (m *Machine) showGroups(now time.Time, only netip.Addr) []GroupInfo {
	list := []GroupInfo{}
	for _, i := range engine.Sorted(m.ifaces) {
		if only.IsValid() {
			if g := i.groups[only]; g != nil {
				list = append(list, g.show(now))
			}
			continue
		}
		for _, g := range engine.SortedAddrs(i.groups) {
			list = append(list, g.show(now))
		}
	}
	return list
}

func (g *group) show(now time.Time) GroupInfo {
	static, isStatic := g.i.static[g.addr]
	info := GroupInfo{
		Interface: g.i.state.Name, Group: g.addr, Mode: g.level().mode, Left: g.timer.Left(now),
		Version: g.i.m.family.version(min(g.compatibility(), g.i.generation)),
		Sources: []SourceInfo{}, Static: isStatic,
	}
	if g.older != nil {
		info.OlderHosts = max(g.older.plain.Left(now), g.older.withLeave.Left(now))
	}
	for _, s := range g.sources {
		info.Sources = append(info.Sources, SourceInfo{Source: s.addr, Forward: s.timer.Running(), Left: s.timer.Left(now)})
	}
	if isStatic && static.mode == engine.Include && info.Mode == engine.Include {
		for _, s := range static.sources {
			if _, ok := g.find(s); !ok {
				info.Sources = append(info.Sources, SourceInfo{Source: s, Forward: true})
			}
		}
	}
	return info
}

func (m *Machine) showInterfaces(now time.Time) []InterfaceInfo {
	list := []InterfaceInfo{}
	for _, i := range engine.Sorted(m.ifaces) {
		q := &i.querier
		who := q.other
		if q.elected {
			who = i.addr
		}
		list = append(list, InterfaceInfo{
			Interface: i.state.Name, Address: i.addr, Version: m.family.version(i.generation), State: q.state(), Querier: who,
			NextQuery: q.query.Left(now), OtherQuerier: q.otherPresent.Left(now),
			Robustness: int(i.robustness()), QueryInterval: i.queryInterval(),
			QueryResponseInterval:   i.cfg.QueryResponseInterval,
			LastMemberQueryInterval: i.cfg.LastMemberQueryInterval,
			GroupMembershipInterval: i.gmi(),
			Groups:                  len(i.groups),
		})
	}
	return list
}

// What a Host answers to an engine.Query: "memberships" with []HostGroupInfo, "counts" with map[string]uint64.

// HostGroupInfo is a group that a host's interface listens to.
type HostGroupInfo struct {
	Interface string
	Group     netip.Addr
	Mode      engine.FilterMode
	Sources   []netip.Addr
	// Version is the Host Compatibility Mode of the interface: "IGMPv1" ... "MLDv2".
	Version string
	// Answer is the time left until the answer to a query about the group; 0: none is due.
	Answer time.Duration
}

func (h *Host) answer(now time.Time, q engine.Query) {
	a := engine.Answer{From: h.id, ID: q.ID}
	switch q.What {
	case "memberships":
		list := []HostGroupInfo{}
		for _, i := range engine.Sorted(h.ifaces) {
			for _, g := range engine.SortedAddrs(i.groups) {
				if !g.want.none() {
					list = append(list, HostGroupInfo{
						Interface: i.state.Name, Group: g.addr, Mode: g.want.mode, Sources: g.want.sources,
						Version: h.family.version(i.generation), Answer: g.delay.Left(now),
					})
				}
			}
		}
		a.Value = list
	case "counts":
		a.Value = h.counts.Snapshot()
	default:
		a.Err = fmt.Sprintf("the host of %v does not know %q", h.id, q.What)
	}
	h.emit(a)
}
