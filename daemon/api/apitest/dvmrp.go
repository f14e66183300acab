package apitest

import (
	"net/netip"
	"time"

	"grove/daemon/api"
	"grove/dvmrp"
	"grove/internal/engine"
	"grove/mfib"
)

// Vector returns r2, a router of a DVMRP region: a source behind r1 (eth1), routers on eth2 and at the end of a tunnel, hosts
// on eth3. It announces 10.90.0.0/16, which is another protocol's.
func Vector() *Fake {
	var (
		address = netip.MustParseAddr
		group   = address("239.1.1.1")
		self    = engine.MachineID{Protocol: engine.DVMRP, Family: engine.IPv4}
		network = netip.MustParsePrefix("10.1.0.0/24")
		eth     = func(n int) mfib.Interface {
			return mfib.Interface{ID: engine.IfID(n), Name: "eth" + string(rune('0'+n)), VIF: n}
		}
		flood  = engine.SG(address("10.1.0.10"), group)
		pruned = engine.SG(address("10.1.0.10"), address("239.1.1.2"))
		graft  = engine.SG(address("10.1.0.11"), address("239.1.1.3"))
		beyond = engine.SG(address("10.90.0.7"), group)
	)
	return &Fake{
		Events: make(chan api.Event, 16),
		Self: api.Status{
			Hostname: "r2", Version: "v0.1.0", Uptime: time.Hour, TimeScale: 1,
			Machines: []engine.MachineID{{Protocol: engine.MFIB, Family: engine.IPv4}, self},
		},
		Answers: map[string]any{
			"dvmrp/ipv4 neighbors ": []dvmrp.NeighborShow{
				{Interface: "eth2", Address: address("10.0.2.3"), Version: "3.255", Capabilities: "prune genid mtrace netmask", GenerationID: 0xcafe,
					TwoWay: true, Uptime: time.Hour, Expires: 30 * time.Second, Dependent: 2},
				{Interface: "eth1", Address: address("10.0.1.1"), Version: "3.255", Capabilities: "prune genid mtrace", GenerationID: 0xbeef,
					TwoWay: true, Uptime: time.Hour, Expires: 28 * time.Second, Routes: 2},
				{Interface: "tun1", Address: address("10.99.0.2"), Version: "2.0", Uptime: 4 * time.Second, Expires: 31 * time.Second},
			},
			"dvmrp/ipv4 interfaces ": []dvmrp.InterfaceShow{
				{Interface: "eth1", Running: true, Address: address("10.0.1.2"), Metric: 1, Threshold: 1, GenerationID: 77, Neighbors: 1,
					Forwarding: 1, NextProbe: 4 * time.Second},
				{Interface: "tun1", Running: true, Address: address("10.99.0.1"), Metric: 3, Threshold: 32, PointToPoint: true,
					Tunnel: address("198.51.100.2"), GenerationID: 77, Neighbors: 1, NextProbe: 4 * time.Second,
					Boundary: []netip.Prefix{netip.MustParsePrefix("239.192.0.0/14")}},
				{Interface: "eth2", Running: true, Address: address("10.0.2.2"), Metric: 1, Threshold: 1, GenerationID: 78, Neighbors: 1,
					Dependents: 2, Forwarding: 3, NextProbe: 5 * time.Second},
				{Interface: "eth9", Metric: 1, Threshold: 1, Leaf: true},
			},
			"dvmrp/ipv4 routes ": []dvmrp.RouteShow{
				{Prefix: network, State: "learned", Metric: 2, Interface: "eth1", Gateway: address("10.0.1.1"), Uptime: time.Hour,
					Expires: 110 * time.Second, Entries: 3, Interfaces: []dvmrp.RouteInterfaceShow{
						{Interface: "eth2", Forwarder: address("10.0.2.2"), Self: true, Metric: 2, Dependents: []netip.Addr{address("10.0.2.3")}},
						{Interface: "eth3", Forwarder: address("10.3.0.1"), Self: true, Metric: 2},
						{Interface: "tun1", Forwarder: address("10.99.0.2"), Metric: 1},
					}},
				{Prefix: netip.MustParsePrefix("10.2.0.0/24"), State: "hold-down", Metric: 32, Uptime: time.Minute, HoldDown: 80 * time.Second,
					OldMetric: 3, Old: address("10.0.1.1")},
				{Prefix: netip.MustParsePrefix("10.3.0.0/24"), State: "connected", Metric: 1, Interface: "eth3", Uptime: time.Hour},
				{Prefix: netip.MustParsePrefix("10.90.0.0/16"), State: "redistributed", Metric: 1, Uptime: time.Hour, Entries: 1},
			},
			"dvmrp/ipv4 entries ": []dvmrp.EntryShow{
				{Key: flood, Route: network, Upstream: "Forwarding", Interface: "eth1", Neighbor: address("10.0.1.1"), Expires: 290 * time.Second,
					Uptime: 4 * time.Minute, Incoming: "eth1", Olist: []string{"eth2", "eth3"}, Packets: 240, Bytes: 24000,
					Interfaces: []dvmrp.EntryInterfaceShow{
						{Interface: "eth2", Forwarding: true, Forwarder: true, Dependents: 1},
						{Interface: "eth3", Forwarding: true, Forwarder: true, Member: true},
						{Interface: "tun1", Boundary: true},
					}},
				{Key: beyond, External: true, Route: netip.MustParsePrefix("10.90.0.0/16"), Upstream: "NoInfo", Uptime: time.Minute, Olist: []string{"eth3"},
					Interfaces: []dvmrp.EntryInterfaceShow{{Interface: "eth3", Forwarding: true, Forwarder: true, Member: true}}},
				{Key: pruned, Route: network, Upstream: "Pruned", Interface: "eth1", Neighbor: address("10.0.1.1"), Prune: 6900 * time.Second,
					PruneRetransmit: 5 * time.Second, Uptime: time.Minute, Incoming: "eth1", Packets: 3, Bytes: 300,
					Interfaces: []dvmrp.EntryInterfaceShow{
						{Interface: "eth2", Forwarder: true, Dependents: 1, Prunes: []dvmrp.PruneShow{{Neighbor: address("10.0.2.3"), Left: 6901 * time.Second}}},
					}},
				{Key: graft, Route: network, Upstream: "Grafting", Interface: "eth1", Neighbor: address("10.0.1.1"), Prune: 5000 * time.Second,
					GraftRetransmit: 4 * time.Second, Grafts: 2, Uptime: time.Hour, Incoming: "eth1", Olist: []string{"eth3"}, OthersWant: true,
					Interfaces: []dvmrp.EntryInterfaceShow{
						{Interface: "eth2", Forwarder: true, Dependents: 2, Prunes: []dvmrp.PruneShow{
							{Neighbor: address("10.0.2.3"), Host: true, Left: 60 * time.Second}, {Neighbor: address("10.0.2.4"), Left: 90 * time.Second}}},
						{Interface: "eth3", Forwarding: true, Forwarder: true, Member: true},
					}},
			},
			"mfib/ipv4 entries ": []mfib.Entry{
				{Key: flood, State: "forwarding", Owner: self, Wants: []mfib.Wanted{{By: self}}, Installed: true, In: eth(1),
					Out: []mfib.Out{{Interface: eth(2), Threshold: 1}, {Interface: eth(3), Threshold: 1}}, Packets: 240, Bytes: 24000, Age: 4 * time.Minute},
				{Key: pruned, State: "forwarding", Owner: self, Wants: []mfib.Wanted{{By: self}}, Installed: true, In: eth(1), Packets: 3, Age: time.Minute},
				{Key: graft, State: "forwarding", Owner: self, Wants: []mfib.Wanted{{By: self}}, Installed: true, In: eth(1),
					Out: []mfib.Out{{Interface: eth(3), Threshold: 1}}, Age: time.Hour},
			},
		},
	}
}
