package bgp

import (
	"time"

	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"

	"grove/daemon/config"
)

var families = map[config.BGPFamily]bgp.Family{
	config.IPv4Unicast: bgp.RF_IPv4_UC, config.IPv4Multicast: bgp.RF_IPv4_MC,
	config.IPv6Unicast: bgp.RF_IPv6_UC, config.IPv6Multicast: bgp.RF_IPv6_MC,
}

func apiFamily(f config.BGPFamily) *api.Family {
	rf := families[f]
	return &api.Family{Afi: api.Family_Afi(rf.Afi()), Safi: api.Family_Safi(rf.Safi())}
}

// familyOf returns the family of a route of GoBGP's; false: it is one that we do not speak.
func familyOf(rf bgp.Family) (config.BGPFamily, bool) {
	for f := config.IPv4Unicast; f <= config.IPv6Multicast; f++ {
		if families[f] == rf {
			return f, true
		}
	}
	return 0, false
}

func familyNamed(name string) (config.BGPFamily, bool) {
	for f := config.IPv4Unicast; f <= config.IPv6Multicast; f++ {
		if f.String() == name {
			return f, true
		}
	}
	return 0, false
}

func seconds(d time.Duration) uint64 { return uint64(d / time.Second) }

// peer returns a neighbor as GoBGP takes it.
func (s *Server) peer(cfg *config.BGP, n *config.BGPNeighbor, password string) *api.Peer {
	p := &api.Peer{
		Conf: &api.PeerConf{
			NeighborAddress: n.Address.String(), PeerAsn: n.AS, LocalAsn: cfg.AS, Description: n.Description, AuthPassword: password,
		},
		Timers: &api.Timers{Config: &api.TimersConfig{
			ConnectRetry: seconds(n.ConnectRetry), HoldTime: seconds(n.HoldTime), KeepaliveInterval: seconds(n.Keepalive),
			IdleHoldTimeAfterReset: seconds(n.ConnectRetry),
		}},
		Transport:      &api.Transport{PassiveMode: n.Passive},
		RouteReflector: &api.RouteReflector{RouteReflectorClient: n.RouteReflectorClient},
	}
	if n.LocalAddress.IsValid() {
		p.Transport.LocalAddress = n.LocalAddress.String()
	}
	if n.Multihop > 0 {
		p.EbgpMultihop = &api.EbgpMultihop{Enabled: true, MultihopTtl: uint32(n.Multihop)}
	}
	if n.TTLSecurity > 0 { // RFC 5082, section 3: packets are sent with 255, and come with 255 less the hops
		p.TtlSecurity = &api.TtlSecurity{Enabled: true, TtlMin: uint32(256 - n.TTLSecurity)}
	}
	if cfg.GracefulRestart {
		p.GracefulRestart = &api.GracefulRestart{Enabled: true, RestartTime: uint32(seconds(cfg.RestartTime)), DeferralTime: uint32(seconds(cfg.RestartTime))}
	}
	for _, f := range n.Families {
		a := &api.AfiSafi{
			Config:            &api.AfiSafiConfig{Family: apiFamily(f), Enabled: true},
			MpGracefulRestart: &api.MpGracefulRestart{Config: &api.MpGracefulRestartConfig{Enabled: cfg.GracefulRestart}},
		}
		if n.MaxPrefixes > 0 {
			a.PrefixLimits = &api.PrefixLimit{Family: apiFamily(f), MaxPrefixes: uint32(n.MaxPrefixes)}
		}
		p.AfiSafis = append(p.AfiSafis, a)
	}
	return p
}
