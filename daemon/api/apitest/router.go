// Package apitest has a router that answers from fixed values, for tests of the management API and of those who read it.
package apitest

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"grove/daemon/api"
	"grove/igmp"
	"grove/internal/engine"
	"grove/internal/pim/bootstrap"
	"grove/internal/pim/neighbor"
	"grove/internal/rib"
	"grove/mfib"
	"grove/pimsm"
)

// Fake is a router of fixed values. It implements api.Router.
type Fake struct {
	Answers map[string]any // by "MACHINE WHAT ARG"
	Self    api.Status
	Events  chan api.Event
	Block   chan struct{} // if not nil, queries wait until it is closed
}

// Query implements api.Router.
func (f *Fake) Query(ctx context.Context, id engine.MachineID, what, arg string) (any, error) {
	if f.Block != nil {
		select {
		case <-f.Block:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if what == "entries" {
		arg = "" // a filter, which the API applies itself as well
	}
	answer, ok := f.Answers[fmt.Sprintf("%v %s %s", id, what, arg)]
	if !ok {
		return nil, fmt.Errorf("%v: no RP and no other answer to %q of %q", id, what, arg)
	}
	return answer, nil
}

// Watch implements api.Router: whoever asks reads Events.
func (f *Fake) Watch(context.Context) (<-chan api.Event, error) { return f.Events, nil }

// Status implements api.Router.
func (f *Fake) Status(context.Context) (api.Status, error) { return f.Self, nil }

// Router returns r1, a last hop of (10.1.0.10,239.1.1.1): a neighbor on eth1, members on eth2, a neighbor that joined on
// eth3, which a boundary closes to the group; MLD, but no PIM, for IPv6.
func Router() *Fake {
	var (
		source, other = netip.MustParseAddr("10.1.0.10"), netip.MustParseAddr("10.1.0.11")
		group         = netip.MustParseAddr("239.1.1.1")
		rp            = netip.MustParseAddr("10.255.0.3")
		up            = netip.MustParseAddr("10.0.12.2")
		starG, sg     = engine.StarG(group), engine.SG(source, group)
		pim           = engine.MachineID{Protocol: engine.PIMSM, Family: engine.IPv4}
		hop           = []rib.Hop{{If: 1, Interface: "eth1", Gateway: up, Running: true}}
		eth1          = mfib.Interface{ID: 1, Name: "eth1", VIF: 1}
		eth2          = mfib.Interface{ID: 2, Name: "eth2", VIF: 2}
	)
	path := rib.RPF{
		Addr: source, Reachable: true, Prefix: netip.MustParsePrefix("10.1.0.0/24"), Origin: "ospf", Distance: 110, Metric: 20, Hops: hop,
		Why: "the longest usable prefix, then the least distance and metric", TrackedBy: []engine.MachineID{pim},
	}
	detail := path
	detail.Considered = []rib.Route{
		{Prefix: path.Prefix, Origin: "ospf", Distance: 110, Metric: 20, Hops: hop, Usable: true},
		{Prefix: netip.MustParsePrefix("10.0.0.0/8"), Origin: "static", Distance: 1, Metric: 10,
			Hops: []rib.Hop{{If: 4, Interface: "eth4", Gateway: netip.MustParseAddr("10.0.14.4")}}, Note: "no next hop over a running interface"},
	}
	return &Fake{
		Events: make(chan api.Event, 16),
		Self: api.Status{
			Hostname: "r1", Version: "v0.1.0", Uptime: 26*time.Hour + 3*time.Minute, TimeScale: 10,
			Machines: []engine.MachineID{
				{Protocol: engine.IGMP, Family: engine.IPv4}, {Protocol: engine.IGMP, Family: engine.IPv6},
				{Protocol: engine.MFIB, Family: engine.IPv4}, {Protocol: engine.MFIB, Family: engine.IPv6}, pim,
				{Protocol: engine.RIB, Family: engine.IPv4}, {Protocol: engine.RIB, Family: engine.IPv6},
			},
			Counts: map[string]uint64{"packets received": 12, "upcalls lost": 0},
		},
		Answers: map[string]any{
			"pimsm/ipv4 neighbors ": []neighbor.NeighborState{
				{Interface: "eth1", Address: up, Uptime: 3*time.Minute + 4*time.Second, Holdtime: 105 * time.Second, Expires: 91 * time.Second,
					DR: true, DRPriorityPresent: true, DRPriority: 1, GenerationIDPresent: true, GenerationID: 0xdeadbeef, LANPruneDelayPresent: true,
					PropagationDelay: 500 * time.Millisecond, OverrideInterval: 2500 * time.Millisecond,
					Secondary: []netip.Addr{netip.MustParseAddr("10.0.12.22")}},
				{Interface: "eth3", Address: netip.MustParseAddr("10.0.13.3"), Uptime: 49 * time.Hour, Forever: true},
			},
			"pimsm/ipv4 interfaces ": []neighbor.InterfaceState{
				{Name: "eth1", Running: true, Address: netip.MustParseAddr("10.0.12.1"), Neighbors: 1, DR: up, DRPriority: 1, DRPriorityPresent: true,
					GenerationID: 7, HelloPeriod: 3 * time.Second, NextHello: 1500 * time.Millisecond, LANDelayEnabled: true,
					PropagationDelay: 500 * time.Millisecond, OverrideInterval: 2500 * time.Millisecond, SuppressionEnabled: true},
				{Name: "eth2", Running: true, Passive: true, Address: netip.MustParseAddr("10.2.0.1"), DR: netip.MustParseAddr("10.2.0.1"), IAmDR: true,
					HelloPeriod: 3 * time.Second, PropagationDelay: 500 * time.Millisecond, OverrideInterval: 2500 * time.Millisecond},
				{Name: "eth3", Address: netip.MustParseAddr("10.0.13.1"), HelloPeriod: 3 * time.Second},
			},
			"pimsm/ipv4 entries ": []pimsm.EntryShow{
				{Key: starG, RP: rp, Upstream: "Joined", RPFInterface: "eth1", RPFNeighbor: up, JoinTimer: 12 * time.Second, Incoming: "eth1",
					Olist: []string{"eth2"}},
				{Key: sg, RP: rp, Upstream: "Joined", RPFInterface: "eth1", RPFNeighbor: up, ByAssert: true, JoinTimer: 30 * time.Second, Incoming: "eth1",
					Olist: []string{"eth2", "eth3"}, SPTbit: true, Keepalive: 200 * time.Second, Rpt: "NotPruned(S,G,rpt)", Register: "NoInfo"},
				{Key: engine.StarG(netip.MustParseAddr("239.1.1.8")), RP: rp, Upstream: "NotJoined"}, // keeps sources together
				{Key: engine.SG(source, netip.MustParseAddr("239.1.1.8")), RP: rp, Upstream: "NotJoined", RPFInterface: "eth1", Register: "Prune",
					RegisterStop: 41 * time.Second, Rpt: "RPTNotJoined(G)"},
				{Key: engine.SG(source, netip.MustParseAddr("239.1.1.10")), RP: rp, Upstream: "NotJoined", RPFInterface: "eth1", Incoming: "eth1",
					Olist: []string{"register"}, Keepalive: 210 * time.Second, Register: "Join", Rpt: "RPTNotJoined(G)", Connected: true},
			},
			"pimsm/ipv4 joins ": []pimsm.DownstreamShow{
				{Key: starG, Interface: "eth2", State: "NoInfo", Rpt: "NoInfo", Member: true, Assert: "NoInfo"},
				{Key: sg, Interface: "eth3", State: "Join", Expires: 151 * time.Second, Rpt: "NoInfo", Assert: "I am Assert Winner",
					AssertWinner: netip.MustParseAddr("10.0.13.1"), AssertExpires: 177 * time.Second},
			},
			"pimsm/ipv4 rp ": []pimsm.RPShow{
				{Address: rp, Groups: []netip.Prefix{netip.MustParsePrefix("224.0.0.0/4")}, Reachable: true, RPFInterface: "eth1", RPFNeighbor: up, Entries: 1,
					Origins: []string{"static", "BSR"}},
			},
			"pimsm/ipv4 mappings ": []pimsm.MappingShow{
				{Groups: netip.MustParsePrefix("224.0.0.0/4"), RP: rp, Origin: "BSR", Priority: 192, HashMaskLen: 30, Reachable: true},
				{Groups: netip.MustParsePrefix("224.0.0.0/4"), RP: up, Origin: "BSR", Priority: 192, HashMaskLen: 30, IsUs: true},
				{Groups: netip.MustParsePrefix("224.0.0.0/4"), RP: rp, Origin: "static", HashMaskLen: 30, Reachable: true},
				{Groups: netip.MustParsePrefix("239.128.0.0/16"), RP: other, Origin: "BSR", Bidir: true, Priority: 10, HashMaskLen: 30},
			},
			"pimsm/ipv4 mappings 239.1.1.1": []pimsm.MappingShow{
				{Groups: netip.MustParsePrefix("224.0.0.0/4"), RP: rp, Origin: "BSR", Priority: 192, HashMaskLen: 30, Reachable: true, Hash: 1897476369, Chosen: true},
				{Groups: netip.MustParsePrefix("224.0.0.0/4"), RP: up, Origin: "BSR", Priority: 192, HashMaskLen: 30, IsUs: true, Hash: 913054808},
			},
			"pimsm/ipv4 bsr ": bootstrap.Show{
				Zones: []bootstrap.ZoneShow{
					{State: "Elected-BSR", BSR: up, Priority: 64, Uptime: 90 * time.Second, Expires: 31 * time.Second, Fragments: 1, Mappings: 2,
						Candidate: up, CandidatePriority: 64, HashMaskLen: 30},
					{Scope: netip.MustParsePrefix("239.128.0.0/16"), State: "Accept Preferred", BSR: rp, Priority: 100, Uptime: time.Hour,
						Expires: 100 * time.Second, Fragments: 1, Mappings: 1, HashMaskLen: 30},
					{Scope: netip.MustParsePrefix("239.192.0.0/14"), State: "Accept Any"},
				},
				Candidates: []bootstrap.OfferShow{
					{Groups: netip.MustParsePrefix("224.0.0.0/4"), RP: rp, Priority: 192, Holdtime: 150 * time.Second, Expires: 140 * time.Second},
					{Groups: netip.MustParsePrefix("239.128.0.0/16"), Bidir: true, RP: other, Priority: 10, Holdtime: 150 * time.Second, Expires: 20 * time.Second},
				},
				Own: []bootstrap.CandidateShow{
					{Address: up, Groups: []netip.Prefix{netip.MustParsePrefix("224.0.0.0/4")}, Priority: 192, Active: true, Next: 12 * time.Second},
					{Address: other, Groups: []netip.Prefix{netip.MustParsePrefix("224.0.0.0/4")}, Priority: 192},
				},
			},
			"pimsm/ipv4 counts ": map[string]uint64{"hello received": 9, "drop: bad checksum": 2},
			"mfib/ipv4 entries ": []mfib.Entry{
				{State: "forwarding", Wants: []mfib.Wanted{{By: pim, Tap: true}}, Installed: true, In: mfib.Interface{Name: "register", Register: true}},
				{Key: starG, State: "forwarding", Wants: []mfib.Wanted{{By: pim}}, Installed: true, In: eth1, Out: []mfib.Out{{Interface: eth2, Threshold: 1}},
					Packets: 3, Bytes: 300, Age: 90 * time.Second},
				{Key: sg, State: "forwarding", Owner: pim, Wants: []mfib.Wanted{{By: pim}}, Installed: true, In: eth1,
					Out: []mfib.Out{{Interface: eth2, Threshold: 1}}, Packets: 471, Bytes: 47100, WrongIf: 2, Age: 80 * time.Second},
				{Key: engine.SG(source, netip.MustParseAddr("239.1.1.10")), State: "forwarding", Owner: pim,
					Wants: []mfib.Wanted{{By: pim, Encap: []netip.Addr{rp}}}, Installed: true, In: eth1, Register: true, Packets: 7, Age: time.Second},
				{Key: engine.SG(other, netip.MustParseAddr("239.1.1.9")), State: "negative", Reason: "nobody wants it", Installed: true, In: eth1,
					Packets: 40, Bytes: 4000, Age: 5 * time.Second, Left: 55 * time.Second},
			},
			"mfib/ipv4 counts ":      mfib.Counts{Entries: 3, Rows: 3, Negative: 1, Events: map[string]uint64{"upcall no cache": 2}},
			"mfib/ipv6 counts ":      mfib.Counts{},
			"rib/ipv4 rpf 10.1.0.10": detail,
			"rib/ipv4 rpf ":          []rib.RPF{path, {Addr: rp, Why: "no usable route"}},
			"rib/ipv4 counts ":       rib.Counts{Routes: 12, Tracked: 2, Trackers: 2, Bad: map[string]uint64{"bad route": 1}},
			"rib/ipv6 counts ":       rib.Counts{},
			"igmp/ipv4 groups ": []igmp.GroupInfo{
				{Interface: "eth2", Group: group, Mode: engine.Exclude, Left: 151 * time.Second, Version: "IGMPv3",
					Sources: []igmp.SourceInfo{{Source: other}, {Source: source, Forward: true, Left: 9 * time.Second}}},
				{Interface: "eth2", Group: netip.MustParseAddr("239.7.7.7"), Mode: engine.Exclude, Left: 200 * time.Second, Version: "IGMPv2", Static: true},
			},
			"igmp/ipv4 interfaces ": []igmp.InterfaceInfo{
				{Interface: "eth2", Address: netip.MustParseAddr("10.2.0.1"), Version: "IGMPv3", State: "Querier", Querier: netip.MustParseAddr("10.2.0.1"),
					NextQuery: 7 * time.Second, Robustness: 2, QueryInterval: 12500 * time.Millisecond, QueryResponseInterval: time.Second,
					LastMemberQueryInterval: 100 * time.Millisecond, GroupMembershipInterval: 26 * time.Second, Groups: 2},
			},
			"igmp/ipv4 counts ": map[string]uint64{"report received": 4},
			"igmp/ipv6 groups ": []igmp.GroupInfo{
				{Interface: "eth2", Group: netip.MustParseAddr("ff3e::1"), Mode: engine.Include, Version: "MLDv2",
					Sources: []igmp.SourceInfo{{Source: netip.MustParseAddr("2001:db8:1::10"), Forward: true, Left: 20 * time.Second}}},
			},
			"igmp/ipv6 counts ": map[string]uint64{},
		},
	}
}
