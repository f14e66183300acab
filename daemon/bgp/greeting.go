package bgp

import (
	"context"
	"net/netip"
	"time"

	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
)

// greeting is the beginning of a session. GoBGP lists the routes for the neighbor, and only then takes the session for established:
// of what changes between the two the neighbor is not told. So if anything changes meanwhile, it is told all once more.
type greeting struct {
	begin   time.Time
	end     time.Time // zero: the session is not established yet
	changed bool      // a route, meanwhile
}

// greet takes that a session is in a state since at.
func (s *Server) greet(ctx context.Context, neighbor netip.Addr, state string, at time.Time) {
	s.paths.mu.Lock()
	defer s.paths.mu.Unlock()
	if s.paths.greetings == nil {
		s.paths.greetings = make(map[netip.Addr]*greeting)
	}
	g := s.paths.greetings[neighbor]
	switch {
	case state == stateNames[bgp.BGP_FSM_OPENCONFIRM]:
		s.paths.greetings[neighbor] = &greeting{begin: at}
	case state == stateNames[bgp.BGP_FSM_ESTABLISHED] && g != nil && !s.paths.ended:
		s.greeting.Go(func() { s.awaitEstablished(ctx, neighbor, g) })
	default:
		delete(s.paths.greetings, neighbor)
	}
}

// awaitEstablished waits until GoBGP takes a session for established, which it says a moment before, or it is over.
func (s *Server) awaitEstablished(ctx context.Context, neighbor netip.Addr, g *greeting) {
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for up := false; !up; {
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
		s.paths.mu.Lock()
		over := s.paths.greetings[neighbor] != g
		s.paths.mu.Unlock()
		err := s.gobgp.ListPeer(ctx, &api.ListPeerRequest{Address: neighbor.String()}, func(p *api.Peer) {
			up = p.GetState().GetSessionState() == api.PeerState_SESSION_STATE_ESTABLISHED
		})
		if over || err != nil {
			return
		}
	}
	s.paths.mu.Lock()
	defer s.paths.mu.Unlock()
	if g.end = time.Now(); g.changed {
		s.tellAgain(ctx, neighbor)
	}
}

// changedAt takes that a best route changed. It comes later than it happened.
func (s *Server) changedAt(at time.Time) {
	s.paths.mu.Lock()
	defer s.paths.mu.Unlock()
	for neighbor, g := range s.paths.greetings {
		switch {
		case g.end.IsZero():
			g.changed = true
		case at.After(g.end):
			delete(s.paths.greetings, neighbor)
		case !s.paths.ended:
			s.tellAgain(s.ctx, neighbor)
		}
	}
}

// tellAgain tells a neighbor all routes once more.
func (s *Server) tellAgain(ctx context.Context, neighbor netip.Addr) {
	delete(s.paths.greetings, neighbor)
	s.greeting.Go(func() {
		if ctx.Err() != nil {
			return
		}
		_ = s.gobgp.ResetPeer(ctx, &api.ResetPeerRequest{Address: neighbor.String(), Soft: true, Direction: api.ResetPeerRequest_DIRECTION_OUT})
	})
}
