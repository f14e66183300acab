package bgp

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/apiutil"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"

	"grove/daemon/bgp/show"
	"grove/daemon/config"
)

// What Query may be asked, and the type of the answer:
//
//	"summary"    Summary
//	"neighbors"  Arg an address or empty: []Neighbor
//	"routes"     Arg a family, and a prefix or an address or nothing, as "ipv4-multicast 10.0.0.0/8": []Route. Of a prefix the
//	             routes to it, of an address those to the longest prefix that it is in.

// Query answers what is asked.
func (s *Server) Query(what, arg string) (any, error) {
	s.mu.Lock()
	cfg, ends := s.cfg, maps.Clone(s.ends)
	s.mu.Unlock()
	switch what {
	case "summary":
		list, err := s.neighbors(cfg, ends, "")
		return show.Summary{AS: cfg.AS, RouterID: cfg.RouterID, Neighbors: list}, err
	case "neighbors":
		return s.neighbors(cfg, ends, arg)
	case "routes":
		return s.routes(cfg, arg)
	}
	return nil, fmt.Errorf("bgp: no answer to %q: ask for summary, neighbors or routes", what)
}

func (s *Server) neighbors(cfg *config.BGP, ends map[netip.Addr]string, address string) ([]show.Neighbor, error) {
	configured := byAddress(cfg)
	passed := make(map[config.BGPFamily]map[netip.Addr]uint64) // by family and neighbor
	list := []show.Neighbor{}
	err := s.gobgp.ListPeer(context.Background(), &api.ListPeerRequest{Address: address, EnableAdvertised: true}, func(p *api.Peer) {
		a, err := netip.ParseAddr(p.GetConf().GetNeighborAddress())
		if c := configured[a]; err == nil && c != nil {
			list = append(list, neighbor(cfg, c, p, ends[a]))
		}
	})
	for i := range list {
		// What GoBGP takes for accepted has not been through the import policy.
		n := &list[i]
		for j := range n.Families {
			of := &n.Families[j]
			if f, ok := familyNamed(of.Name); ok && n.Import != "" && of.Received > 0 && err == nil {
				if passed[f] == nil {
					passed[f], err = s.countPassed(f)
				}
				of.Accepted = passed[f][n.Address]
			}
		}
	}
	slices.SortFunc(list, func(a, b show.Neighbor) int { return a.Address.Compare(b.Address) })
	if err == nil && address != "" && len(list) == 0 {
		err = fmt.Errorf("bgp: %s is not a neighbor", address)
	}
	return list, err
}

// countPassed counts the routes of each neighbor that are in a table.
func (s *Server) countPassed(f config.BGPFamily) (map[netip.Addr]uint64, error) {
	counts := make(map[netip.Addr]uint64)
	err := s.gobgp.ListPath(apiutil.ListPathRequest{TableType: api.TableType_TABLE_TYPE_GLOBAL, Family: families[f]},
		func(_ bgp.NLRI, paths []*apiutil.Path) {
			for _, p := range paths {
				counts[p.PeerAddress]++
			}
		})
	return counts, err
}

func neighbor(cfg *config.BGP, c *config.BGPNeighbor, p *api.Peer, end string) show.Neighbor {
	state := p.GetState()
	n := show.Neighbor{
		Address: c.Address, AS: c.AS, Internal: c.AS == cfg.AS, Description: c.Description,
		State: stateName(bgp.FSMState(max(state.GetSessionState()-1, 0))), Flaps: state.GetFlops(),
		Received: messages(state.GetMessages().GetReceived()), Sent: messages(state.GetMessages().GetSent()),
		MD5: c.Password != "" || c.PasswordFile != "", TTLSecurity: c.TTLSecurity, Multihop: c.Multihop, Passive: c.Passive,
		Import: c.Import, Export: c.Export, ReflectorOf: c.RouteReflectorClient,
		Restarting: p.GetGracefulRestart().GetPeerRestarting(), LastEnd: end,
		GracefulStart: cfg.GracefulRestart && p.GetGracefulRestart().GetPeerRestartTime() > 0,
	}
	up := n.State == stateNames[bgp.BGP_FSM_ESTABLISHED]
	if up {
		n.RouterID, _ = netip.ParseAddr(state.GetRouterId())
		n.LocalAddress, _ = netip.ParseAddr(p.GetTransport().GetLocalAddress())
		timers := p.GetTimers().GetState()
		n.HoldTime = time.Duration(timers.GetNegotiatedHoldTime()) * time.Second
		n.Keepalive = time.Duration(timers.GetKeepaliveInterval()) * time.Second
		if since := timers.GetUptime(); since.IsValid() && since.AsTime().Unix() > 0 {
			n.Uptime = time.Since(since.AsTime())
		}
	}
	for _, a := range p.GetAfiSafis() {
		f, ok := familyOf(bgp.NewFamily(uint16(a.GetConfig().GetFamily().GetAfi()), uint8(a.GetConfig().GetFamily().GetSafi())))
		if ok {
			n.Families = append(n.Families, show.Family{
				Name: f.String(), Negotiated: up && negotiated(state, families[f]), Received: a.GetState().GetReceived(),
				Accepted: a.GetState().GetAccepted(), Advertised: a.GetState().GetAdvertised(),
			})
		}
	}
	return n
}

// negotiated says whether the neighbor has a family, too.
func negotiated(state *api.PeerState, rf bgp.Family) bool {
	list, err := apiutil.UnmarshalCapabilities(state.GetRemoteCap())
	if err != nil {
		return false
	}
	return slices.ContainsFunc(list, func(c bgp.ParameterCapabilityInterface) bool {
		m, ok := c.(*bgp.CapMultiProtocol)
		return ok && m.CapValue == rf
	})
}

func messages(m *api.Message) show.Messages {
	return show.Messages{Total: m.GetTotal(), Updates: m.GetUpdate(), Notifications: m.GetNotification(), Keepalives: m.GetKeepalive()}
}

func reasonName(r api.PeerState_DisconnectReason) string {
	return strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(r.String(), "DISCONNECT_REASON_"), "_", " "))
}

// routes lists a table. GoBGP refuses to look one prefix up in a table of multicast routes, so this looks at all.
func (s *Server) routes(cfg *config.BGP, arg string) ([]show.Route, error) {
	words := strings.Fields(arg)
	if len(words) == 0 || len(words) > 2 {
		return nil, fmt.Errorf("bgp: routes of %q: expected a family, and a prefix or an address or nothing", arg)
	}
	f, ok := familyNamed(words[0])
	if !ok {
		return nil, fmt.Errorf("bgp: %q is not a family", words[0])
	}
	var exact netip.Prefix
	var inside netip.Addr
	if len(words) == 2 {
		var err error
		if strings.Contains(words[1], "/") {
			exact, err = netip.ParsePrefix(words[1])
		} else {
			inside, err = netip.ParseAddr(words[1])
		}
		if err != nil {
			return nil, fmt.Errorf("bgp: %q is neither a prefix nor an address", words[1])
		}
	}
	list := []show.Route{}
	longest := -1
	err := s.gobgp.ListPath(apiutil.ListPathRequest{TableType: api.TableType_TABLE_TYPE_GLOBAL, Family: families[f]},
		func(nlri bgp.NLRI, paths []*apiutil.Path) {
			prefix, ok := prefixOf(nlri)
			switch {
			case !ok, exact.IsValid() && prefix != exact, inside.IsValid() && (!prefix.Contains(inside) || prefix.Bits() < longest):
				return
			case inside.IsValid() && prefix.Bits() > longest:
				longest, list = prefix.Bits(), list[:0]
			}
			for _, p := range paths {
				list = append(list, route(cfg, prefix, p))
			}
		})
	slices.SortStableFunc(list, func(a, b show.Route) int {
		return cmp.Or(a.Prefix.Addr().Compare(b.Prefix.Addr()), cmp.Compare(a.Prefix.Bits(), b.Prefix.Bits()))
	})
	return list, err
}

func route(cfg *config.BGP, prefix netip.Prefix, p *apiutil.Path) show.Route {
	a := attributesOf(p)
	r := show.Route{
		Prefix: prefix, Best: p.Best, Ours: p.PeerASN == 0 || !p.PeerAddress.IsValid(), Stale: p.Stale, NextHop: a.nextHop, ASPath: a.asPathText,
		Origin: a.origin, Communities: a.communities, Age: max(0, time.Since(time.Unix(p.Age, 0))),
	}
	if !r.Ours {
		r.Neighbor, r.Internal = p.PeerAddress, p.PeerASN == cfg.AS
	}
	if a.havePref {
		r.LocalPreference = &a.localPref
	}
	if a.haveMED {
		r.MED = &a.med
	}
	return r
}
