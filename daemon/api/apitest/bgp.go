package apitest

import (
	"net/netip"
	"time"

	"grove/daemon/api"
	"grove/daemon/bgp/show"
	"grove/internal/engine"
	"grove/internal/rib"
)

// Speaker returns a router that speaks BGP with a router of another domain, which is up, and with one of its own, which is not.
func Speaker() *Fake {
	var (
		address = netip.MustParseAddr
		network = netip.MustParsePrefix
		other   = address("10.0.12.2")
		med     = uint32(7)
		pref    = uint32(200)
		up      = show.Neighbor{
			Address: other, AS: 65002, Description: "the other domain", State: "Established", Uptime: time.Hour, RouterID: address("10.255.0.2"),
			LocalAddress: address("10.0.12.1"), HoldTime: 90 * time.Second, Keepalive: 30 * time.Second,
			Received: show.Messages{Total: 130, Updates: 8, Keepalives: 121}, Sent: show.Messages{Total: 128, Updates: 6, Keepalives: 121}, Flaps: 1,
			LastEnd: "hold timer expired", MD5: true, TTLSecurity: 1, GracefulStart: true, Import: "from-others",
			Families: []show.Family{{Name: "ipv4-unicast"}, {Name: "ipv4-multicast", Negotiated: true, Received: 3, Accepted: 2, Advertised: 4}},
		}
		down = show.Neighbor{Address: address("2001:db8::3"), AS: 65001, Internal: true, State: "Active", Families: []show.Family{{Name: "ipv6-multicast"}}}
		path = &engine.BGPPath{NextHop: other, Neighbor: other, ASPath: []uint32{65002, 65003}}
		hop  = []rib.Hop{{If: 1, Interface: "eth1", Gateway: other, Running: true}}
	)
	routes := []show.Route{
		{Prefix: network("10.1.0.0/16"), Best: true, Ours: true, MED: &med, Origin: "IGP", Communities: []string{"65001:5"}, Age: time.Hour},
		{Prefix: network("10.2.0.0/16"), Best: true, NextHop: other, Neighbor: other, ASPath: "65002 65003", LocalPreference: &pref, Origin: "IGP", Age: time.Minute},
		{Prefix: network("10.2.0.0/16"), Internal: true, Stale: true, NextHop: address("10.0.13.3"), Neighbor: address("10.255.0.3"),
			ASPath: "65004 65005 65003", Origin: "incomplete", Age: time.Hour},
	}
	six := func(prefix string) []show.Route {
		return []show.Route{{Prefix: network(prefix), Best: true, NextHop: address("2001:db8:12::2"), Neighbor: address("2001:db8:12::2"), ASPath: "65002", Origin: "IGP"}}
	}
	return &Fake{
		Events: make(chan api.Event, 16),
		Self: api.Status{
			Hostname: "r1", Version: "v0.1.0", Uptime: time.Hour, TimeScale: 1, Machines: []engine.MachineID{{Protocol: engine.RIB, Family: engine.IPv4}},
		},
		Answers: map[string]any{
			"bgp/ipv4 summary ":                          show.Summary{AS: 65001, RouterID: address("10.255.0.1"), Neighbors: []show.Neighbor{up, down}},
			"bgp/ipv4 routes ipv4-multicast":             routes,
			"bgp/ipv4 routes ipv4-multicast 10.2.0.0/16": routes[1:],
			"bgp/ipv4 routes ipv4-unicast":               routes[:1],
			"bgp/ipv4 routes ipv6-multicast":             six("2001:db8:2::/48"),
			"bgp/ipv4 routes ipv6-unicast":               six("2001:db8:3::/48"),
			"rib/ipv4 rpf 10.2.0.9": rib.RPF{
				Addr: address("10.2.0.9"), Reachable: true, Prefix: network("10.2.0.0/16"), Origin: "bgp", Distance: 20, Hops: hop,
				Why: "a route of bgp: multicast routes come before unicast routes", Mode: rib.MRIBThenURIB, BGP: path,
				Considered: []rib.Route{{Prefix: network("10.2.0.0/16"), Origin: "bgp", Distance: 20, Hops: hop, Usable: true}},
			},
		},
	}
}
