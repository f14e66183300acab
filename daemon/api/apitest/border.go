package apitest

import (
	"net/netip"
	"time"

	"grove/daemon/api"
	"grove/internal/engine"
	"grove/internal/pim/neighbor"
	"grove/mfib"
	"grove/pimdm"
	"grove/pimsm"
)

// Border returns r2, on which several protocols meet: PIM sparse mode on eth1, dense mode on eth2 and eth5, both on eth3. The
// source 10.1.0.10 is dense mode's, 10.2.0.10 is sparse mode's.
func Border() *Fake {
	var (
		inside, outside = netip.MustParseAddr("10.1.0.10"), netip.MustParseAddr("10.2.0.10")
		group           = netip.MustParseAddr("239.1.1.1")
		up, down        = netip.MustParseAddr("10.0.25.5"), netip.MustParseAddr("10.0.23.3")
		sparse          = engine.MachineID{Protocol: engine.PIMSM, Family: engine.IPv4}
		dense           = engine.MachineID{Protocol: engine.PIMDM, Family: engine.IPv4}
		dense6          = engine.MachineID{Protocol: engine.PIMDM, Family: engine.IPv6}
		eth             = func(n int) mfib.Interface {
			return mfib.Interface{ID: engine.IfID(n), Name: "eth" + string(rune('0'+n)), VIF: n}
		}
		in, out = engine.SG(inside, group), engine.SG(outside, group)
		pruned  = engine.SG(inside, netip.MustParseAddr("239.1.1.2"))
	)
	hello := func(name, address string, dr bool) neighbor.InterfaceState {
		a := netip.MustParseAddr(address)
		i := neighbor.InterfaceState{Name: name, Running: true, Address: a, DR: a, IAmDR: dr, DRPriorityPresent: true, DRPriority: 1, Neighbors: 1,
			HelloPeriod: 30 * time.Second, NextHello: 12 * time.Second, PropagationDelay: 500 * time.Millisecond, OverrideInterval: 2500 * time.Millisecond}
		if !dr {
			i.DR = a.Next()
		}
		return i
	}
	near := func(name, address string) neighbor.NeighborState {
		return neighbor.NeighborState{StateRefreshCapable: name == "eth2", StateRefreshInterval: time.Minute, Interface: name, Address: netip.MustParseAddr(address), Uptime: time.Hour, Holdtime: 105 * time.Second,
			Expires: 80 * time.Second, GenerationIDPresent: true, GenerationID: 0xcafe}
	}
	return &Fake{
		Events: make(chan api.Event, 16),
		Self: api.Status{
			Hostname: "r2", Version: "v0.1.0", Uptime: time.Hour, TimeScale: 1,
			Machines: []engine.MachineID{
				{Protocol: engine.MFIB, Family: engine.IPv4}, {Protocol: engine.MFIB, Family: engine.IPv6}, dense, dense6, sparse,
			},
		},
		Answers: map[string]any{
			"pimsm/ipv4 neighbors ":  []neighbor.NeighborState{near("eth1", "10.0.12.1"), near("eth3", "10.0.23.3")},
			"pimsm/ipv4 interfaces ": []neighbor.InterfaceState{hello("eth1", "10.0.12.2", true), hello("eth3", "10.0.23.2", false)},
			"pimsm/ipv4 entries ": []pimsm.EntryShow{
				{Key: out, Upstream: "Joined", RPFInterface: "eth1", RPFNeighbor: netip.MustParseAddr("10.0.12.1"), JoinTimer: 30 * time.Second,
					Incoming: "eth1", SPTbit: true, Keepalive: 200 * time.Second, Rpt: "RPTNotJoined(G)", Register: "NoInfo"},
			},
			"pimsm/ipv4 joins ":      []pimsm.DownstreamShow{},
			"pimdm/ipv4 neighbors ":  []neighbor.NeighborState{near("eth2", "10.0.24.4"), near("eth3", "10.0.23.3"), near("eth5", "10.0.25.5")},
			"pimdm/ipv6 neighbors ":  []neighbor.NeighborState{near("eth2", "fe80::4")},
			"pimdm/ipv6 interfaces ": []pimdm.InterfaceShow{{InterfaceState: hello("eth2", "fe80::2", true)}},
			"pimdm/ipv4 interfaces ": []pimdm.InterfaceShow{
				{InterfaceState: hello("eth2", "10.0.24.2", false), StateRefresh: true, StateRefreshCapable: true},
				{InterfaceState: hello("eth3", "10.0.23.2", false), SparseDense: true, StateRefresh: true,
					Sparse: []netip.Prefix{netip.MustParsePrefix("232.0.0.0/8")}},
				{InterfaceState: hello("eth5", "10.0.25.2", false)},
			},
			"pimdm/ipv4 entries ": []pimdm.EntryShow{
				{Key: in, Upstream: "Forwarding", RPFInterface: "eth5", RPFNeighbor: up, Uptime: 4 * time.Minute, Incoming: "eth5",
					Olist: []string{"eth2"}, OthersWant: true, Originator: "NotOriginator",
					Interfaces: []pimdm.EntryInterfaceShow{
						{Interface: "eth2", State: "NoInfo", Neighbors: true, Member: true, Assert: "I am Assert Winner",
							AssertWinner: netip.MustParseAddr("10.0.24.2"), AssertMetric: "110/20", AssertExpires: 100 * time.Second},
						{Interface: "eth3", State: "Pruned", Prune: 150 * time.Second, Neighbors: true, Assert: "NoInfo"},
					}},
				{Key: pruned, Upstream: "Pruned", RPFInterface: "eth5", RPFNeighbor: up, ByAssert: true, PruneLimit: 200 * time.Second, Uptime: time.Minute,
					Incoming: "eth5", Originator: "NotOriginator", Interfaces: []pimdm.EntryInterfaceShow{
						{Interface: "eth2", State: "NoInfo", Neighbors: true, Assert: "I am Assert Loser", AssertWinner: netip.MustParseAddr("10.0.24.4"),
							AssertMetric: "110/10", AssertExpires: 170 * time.Second},
						{Interface: "eth3", State: "NoInfo", Boundary: true, Assert: "NoInfo"},
					}},
				{Key: out, External: true, Upstream: "NoInfo", Uptime: 2 * time.Minute, Incoming: "eth1", Olist: []string{"eth2"}, Originator: "Originator",
					SourceActive: 180 * time.Second, StateRefresh: 20 * time.Second, Interfaces: []pimdm.EntryInterfaceShow{
						{Interface: "eth2", State: "PrunePending", PrunePending: 2 * time.Second, Neighbors: true, Assert: "NoInfo"},
					}},
			},
			"pimdm/ipv4 state-refresh ": []pimdm.StateRefreshShow{
				{Key: out, Originating: true, Originator: netip.MustParseAddr("10.0.12.2"), Interval: time.Minute, TTL: 30, Next: 20 * time.Second,
					Ago: 40 * time.Second, Sent: 6},
				{Key: in, Originator: netip.MustParseAddr("10.1.0.1"), Interval: time.Minute, TTL: 62, PruneIndicator: true, Ago: 3 * time.Second,
					Received: 4, Limited: 1, Sent: 8},
			},
			"mfib/ipv4 entries ": []mfib.Entry{
				{Key: in, State: "forwarding", Owner: dense, Wants: []mfib.Wanted{{By: dense}, {By: sparse, Encap: []netip.Addr{down}}}, Installed: true,
					In: eth(5), Out: []mfib.Out{{Interface: eth(2), Threshold: 1}}, Register: true, Packets: 240, Bytes: 24000, WrongIf: 1, Age: 4 * time.Minute},
				{Key: pruned, State: "negative", Owner: dense, Wants: []mfib.Wanted{{By: dense}}, Installed: true, In: eth(5), Packets: 3, Age: time.Minute},
				{Key: out, State: "forwarding", Owner: sparse, Wants: []mfib.Wanted{{By: dense}, {By: sparse}}, Installed: true, In: eth(1),
					Out: []mfib.Out{{Interface: eth(2), Threshold: 1}}, Packets: 120, Bytes: 12000, Age: 2 * time.Minute},
			},
			"mfib/ipv6 entries ": []mfib.Entry{},
		},
	}
}
