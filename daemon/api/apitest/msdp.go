package apitest

import (
	"net/netip"
	"time"

	"grove/daemon/api"
	"grove/internal/engine"
	"grove/msdp"
)

// Interdomain returns rp1, the RP of a domain with a peer in another one, two in a mesh group, and one that does not answer.
func Interdomain() *Fake {
	address := netip.MustParseAddr
	var (
		self  = engine.MachineID{Protocol: engine.MSDP, Family: engine.IPv4}
		local = address("198.51.100.1")
		other = msdp.PeerShow{
			Address: address("192.0.2.2"), Local: address("192.0.2.1"), State: "ESTABLISHED", Since: time.Hour, Active: true, AS: 65002, Protected: true,
			Default: true, Resets: 2, LastReset: "hold timer expires", Hold: 70 * time.Second, Keepalive: 31 * time.Second, Cached: 2, RPs: 1,
			MessagesIn: 80, MessagesOut: 75, SAsIn: 62, SAsOut: 60, KeepalivesIn: 20, KeepalivesOut: 15, DataIn: 2, DataOut: 1,
			RPFFailures: 7, FilteredIn: 3, OverLimit: 1,
		}
		group = address("233.252.0.1")
	)
	return &Fake{
		Events: make(chan api.Event, 16),
		Self: api.Status{
			Hostname: "rp1", Version: "v0.1.0", Uptime: time.Hour, TimeScale: 1,
			Machines: []engine.MachineID{{Protocol: engine.RIB, Family: engine.IPv4}, self},
		},
		Answers: map[string]any{
			"msdp/ipv4 peers ": []msdp.PeerShow{
				other,
				{Address: address("198.51.100.2"), Local: local, State: "ESTABLISHED", Since: 90 * time.Minute, MeshGroup: "inner", Hold: time.Minute, Cached: 1, RPs: 1},
				{Address: address("203.0.113.9"), Local: local, State: "CONNECTING", Since: 12 * time.Second, Active: true, Resets: 9,
					LastReset: "connect: connection refused", ConnectRetry: 18 * time.Second},
				{Address: address("198.51.100.3"), Local: local, State: "LISTEN", Since: 2 * time.Minute, MeshGroup: "inner"},
			},
			"msdp/ipv4 peers 192.0.2.2": []msdp.PeerShow{other},
			"msdp/ipv4 sa-cache ": []msdp.SAShow{
				{Key: engine.SG(address("198.51.100.77"), group), RP: local, Own: true, Age: time.Hour, Expires: 0, Forwarded: 20 * time.Second},
				{Key: engine.SG(address("203.0.113.5"), group), RP: address("192.0.2.2"), Peer: address("192.0.2.2"), Age: 5 * time.Minute,
					Expires: 100 * time.Second, Forwarded: 50 * time.Second, Wanted: true},
				{Key: engine.SG(address("198.51.100.78"), address("239.1.1.1")), RP: local, Own: true, Withheld: true, Age: time.Minute, Forwarded: -1},
			},
			"msdp/ipv4 rpf 192.0.2.2": msdp.RPFShow{
				RP: address("192.0.2.2"), Route: "192.0.2.0/30 connected", Rule: "the peer is the RP", RPFPeer: address("192.0.2.2"),
				Compared: []string{"rule i: peer 192.0.2.2 is the RP"},
				Peers: []msdp.RPFPeerShow{
					{Peer: address("192.0.2.2"), Established: true, Accepted: true, Rule: "the peer is the RP", AcceptedN: 62},
					{Peer: address("198.51.100.2"), Established: true, Accepted: true, Rule: "mesh group", Refused: 1},
					{Peer: address("203.0.113.9"), Rule: "not the RPF peer", Refused: 7},
				},
			},
			"msdp/ipv4 summary ": msdp.SummaryShow{
				Peers: 4, Established: 2, Cached: 1, Own: 2, Flows: 3, Groups: 2, Wanted: 1, Sources: 3, RPs: 2, OriginatorID: local,
			},
		},
	}
}
