package bgp

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/apiutil"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
	"github.com/osrg/gobgp/v4/pkg/server"

	"grove/daemon/config"
	"grove/internal/engine"
)

// News is what a Server has learned. To must and From of what it holds are the receiver's to fill in.
type News struct {
	Multicast   []engine.MRIBRoute // the best multicast routes that changed; not those that we originate
	Unicast     []engine.MRIBRoute // likewise the unicast routes
	Transitions []engine.Transition
}

// paths is what was learned of routes, under one lock, which deliver runs under, too.
type paths struct {
	mu     sync.Mutex
	as     uint32                     // ours
	shared map[string]*engine.BGPPath // the routes of one UPDATE have one BGPPath
	ended  bool

	greetings map[netip.Addr]*greeting // of sessions that have just begun

	// If there are several neighbors: the routes of each destination.
	destinations map[destination]*choice
}

// maxShared is how many different paths are shared; then sharing begins anew.
const maxShared = 50_000

func (p *paths) share(b *engine.BGPPath) *engine.BGPPath {
	key := fmt.Sprint(b.NextHop, b.Neighbor, b.Internal, b.ASPath)
	if same, ok := p.shared[key]; ok {
		return same
	}
	if p.shared == nil || len(p.shared) >= maxShared {
		p.shared = make(map[string]*engine.BGPPath)
	}
	p.shared[key] = b
	return b
}

// end waits until deliver has returned, and sees to it that it is not called again.
func (p *paths) end() {
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
}

// watch has GoBGP tell the best routes and the states of neighbors.
func (s *Server) watch(ctx context.Context) error {
	states := make(map[netip.Addr]string)
	callbacks := server.WatchEventMessageCallbacks{
		OnBestPath: func(list []*apiutil.Path, at time.Time) {
			s.changedAt(at)
			s.say(ctx, func() News { return s.news(list) })
		},
		OnPeerUpdate: func(e *apiutil.WatchEventMessage_PeerEvent, at time.Time) {
			if e.Type != apiutil.PEER_EVENT_STATE {
				return
			}
			peer := e.Peer.State
			state := stateName(peer.SessionState)
			if old := states[peer.NeighborAddress]; old != state {
				states[peer.NeighborAddress] = state
				s.greet(ctx, peer.NeighborAddress, state, at)
				cause := peer.DisconnectMessage
				if cause == "" && peer.DisconnectReason != api.PeerState_DISCONNECT_REASON_UNSPECIFIED {
					cause = reasonName(peer.DisconnectReason)
				}
				if old == "Established" {
					s.mu.Lock()
					s.ends[peer.NeighborAddress] = cause
					s.mu.Unlock()
				}
				news := News{Transitions: []engine.Transition{{
					Entity: entity(state, old), Neighbor: peer.NeighborAddress, Old: cmp.Or(old, "Idle"), New: state, Cause: cause,
				}}}
				s.say(ctx, func() News { return news })
			}
		},
	}
	if err := s.gobgp.WatchEvent(ctx, callbacks, server.WatchBestPath(true), server.WatchPeer()); err != nil {
		return fmt.Errorf("bgp: watch: %w", err)
	}
	return nil
}

// say delivers what there is to say, unless the Server has ended.
func (s *Server) say(ctx context.Context, what func() News) {
	s.paths.mu.Lock()
	defer s.paths.mu.Unlock()
	if s.paths.ended || ctx.Err() != nil {
		return
	}
	if n := what(); len(n.Multicast)+len(n.Unicast)+len(n.Transitions) > 0 {
		s.deliver(n)
	}
}

// entity names a neighbor's session in a Transition: that it comes and goes is what an operator cares about.
func entity(state, old string) string {
	if state == "Established" || old == "Established" {
		return "neighbor"
	}
	return "session"
}

var stateNames = []string{"Idle", "Connect", "Active", "OpenSent", "OpenConfirm", "Established"}

// stateName returns the name of a state as RFC 4271, section 8.2.2 writes it.
func stateName(s bgp.FSMState) string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return s.String()
}

// news makes of GoBGP's best routes what the host wants to know. A route that is ours is as if there were none: whoever
// originates a network reaches it in another way.
func (s *Server) news(list []*apiutil.Path) (n News) {
	for _, p := range list {
		f, ok := familyOf(p.Family)
		prefix, valid := prefixOf(p.Nlri)
		if !ok || !valid {
			continue
		}
		best := s.paths.candidate(p)
		n.add(f, routeTo(prefix, &best, s.paths.chosen(destination{f, prefix}, best)))
	}
	return n
}

func (n *News) add(f config.BGPFamily, r engine.MRIBRoute) {
	if f.Multicast() {
		n.Multicast = append(n.Multicast, r)
	} else {
		n.Unicast = append(n.Unicast, r)
	}
}

func prefixOf(nlri bgp.NLRI) (netip.Prefix, bool) {
	switch n := nlri.(type) {
	case *bgp.IPAddrPrefix:
		return n.Prefix.Masked(), n.Prefix.IsValid()
	}
	return netip.Prefix{}, false
}

// attributes are what we want to know of a route's.
type attributes struct {
	nextHop     netip.Addr
	asPath      []uint32 // sequences only
	asPathText  string
	asPathLen   int // RFC 4271, section 9.1.2.2 a: a set counts as one
	med         uint32
	haveMED     bool
	localPref   uint32
	havePref    bool
	origin      string
	originCode  uint8
	communities []string
}

var originNames = []string{"IGP", "EGP", "incomplete"}

func attributesOf(p *apiutil.Path) (a attributes) {
	for _, attr := range p.Attrs {
		switch v := attr.(type) {
		case *bgp.PathAttributeNextHop:
			a.nextHop = v.Value
		case *bgp.PathAttributeMpReachNLRI:
			a.nextHop = v.Nexthop
		case *bgp.PathAttributeAsPath:
			a.asPathText = bgp.AsPathString(v)
			for _, segment := range v.Value {
				switch segment.GetType() {
				case bgp.BGP_ASPATH_ATTR_TYPE_SEQ:
					a.asPath = append(a.asPath, segment.GetAS()...)
					a.asPathLen += len(segment.GetAS())
				case bgp.BGP_ASPATH_ATTR_TYPE_SET:
					a.asPathLen++
				}
			}
		case *bgp.PathAttributeMultiExitDisc:
			a.med, a.haveMED = v.Value, true
		case *bgp.PathAttributeLocalPref:
			a.localPref, a.havePref = v.Value, true
		case *bgp.PathAttributeOrigin:
			a.originCode = v.Value
			a.origin = originNames[min(int(v.Value), len(originNames)-1)]
		case *bgp.PathAttributeCommunities:
			for _, c := range v.Value {
				a.communities = append(a.communities, communityText(c))
			}
		}
	}
	if a.nextHop.Is4In6() {
		a.nextHop = a.nextHop.Unmap()
	}
	a.asPath = slices.Clip(a.asPath)
	return a
}
