package bgp

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/apiutil"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
	"github.com/osrg/gobgp/v4/pkg/server"

	"grove/daemon/config"
	"grove/internal/engine"
)

// destination is where routes lead, in one of the tables.
type destination struct {
	family config.BGPFamily
	prefix netip.Prefix
}

// choice is the routes to a destination that neighbors announced and the import policy lets pass.
type choice struct {
	best candidate   // as GoBGP chose; without a path: none, or one that is ours
	all  []candidate // the best among them, in the order of preference
}

// candidate is a route of a neighbor's, with what decides among several. There are many: it is kept small.
type candidate struct {
	path    *engine.BGPPath // nil: none
	med     uint32
	pref    uint32
	id      uint32 // the neighbor's BGP identifier
	asPaths uint16 // the length of the AS path
	origin  uint8
}

// candidate makes one of a route of GoBGP's: of one that is withdrawn, or ours, it has no path.
func (p *paths) candidate(r *apiutil.Path) candidate {
	if r.Withdrawal || !r.PeerAddress.IsValid() || r.PeerASN == 0 {
		return candidate{}
	}
	a := attributesOf(r)
	if !a.nextHop.IsValid() {
		return candidate{}
	}
	c := candidate{med: a.med, pref: 100, asPaths: uint16(min(a.asPathLen, 1<<16-1)), origin: a.originCode}
	if a.havePref {
		c.pref = a.localPref
	}
	if r.PeerID.Is4() {
		id := r.PeerID.As4()
		c.id = binary.BigEndian.Uint32(id[:])
	}
	c.path = p.share(&engine.BGPPath{NextHop: a.nextHop, Neighbor: r.PeerAddress, Internal: r.PeerASN == p.as, ASPath: a.asPath})
	return c
}

// preferred compares two routes as RFC 4271, section 9.1.2.2 says: negative if a serves before b.
func preferred(a, b candidate) int {
	med := 0
	if first(a.path) == first(b.path) { // of one neighboring AS, or both from within ours
		med = cmp.Compare(a.med, b.med)
	}
	return cmp.Or(
		cmp.Compare(b.pref, a.pref), cmp.Compare(a.asPaths, b.asPaths), cmp.Compare(a.origin, b.origin), med,
		compareBool(a.path.Internal, b.path.Internal), cmp.Compare(a.id, b.id), a.path.Neighbor.Compare(b.path.Neighbor),
	)
}

func first(p *engine.BGPPath) uint32 {
	if len(p.ASPath) == 0 {
		return 0
	}
	return p.ASPath[0]
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// chosen takes which route to a destination is the best, and returns the others.
func (p *paths) chosen(d destination, best candidate) []engine.MRIBAlternative {
	if p.destinations == nil {
		return nil
	}
	c := p.destinations[d]
	switch {
	case c == nil && best.path == nil:
		return nil
	case c == nil:
		c = &choice{}
		p.destinations[d] = c
	case best.path == nil && len(c.all) == 0:
		delete(p.destinations, d)
	}
	c.best = best
	return c.others()
}

// put replaces what the neighbor announced, or removes it if c has no path.
func (all *choice) put(neighbor netip.Addr, c candidate) {
	all.all = slices.DeleteFunc(all.all, func(x candidate) bool { return x.path.Neighbor == neighbor })
	if c.path != nil {
		i, _ := slices.BinarySearchFunc(all.all, c, preferred)
		all.all = slices.Insert(all.all, i, c)
	}
}

// others returns the routes behind the best.
func (all *choice) others() (list []engine.MRIBAlternative) {
	if all.best.path == nil {
		return nil
	}
	for _, c := range all.all {
		if c.path.Neighbor != all.best.path.Neighbor {
			list = append(list, engine.MRIBAlternative{Hops: c.hops(), Metric: c.med, BGP: c.path})
		}
	}
	return list
}

func (c *candidate) hops() []engine.NextHop {
	return []engine.NextHop{{Gateway: c.path.NextHop, Weight: 1}}
}

// routeTo is what the host is told of a destination.
func routeTo(prefix netip.Prefix, best *candidate, others []engine.MRIBAlternative) engine.MRIBRoute {
	if best.path == nil {
		return engine.MRIBRoute{Prefix: prefix, Gone: true}
	}
	return engine.MRIBRoute{Prefix: prefix, Hops: best.hops(), Metric: best.med, BGP: best.path, Others: others}
}

// watchAll has GoBGP tell all routes that the import policy lets pass, not only the best, if there are several neighbors. It costs
// as much again as the best ones do.
func (s *Server) watchAll(ctx context.Context, neighbors int) error {
	s.paths.mu.Lock()
	defer s.paths.mu.Unlock()
	if neighbors < 2 || s.paths.destinations != nil {
		return nil
	}
	s.paths.destinations = make(map[destination]*choice)
	callbacks := server.WatchEventMessageCallbacks{OnPathUpdate: func(list []*apiutil.Path, _ time.Time) {
		s.say(ctx, func() News { return s.allNews(list) })
	}}
	if err := s.gobgp.WatchEvent(ctx, callbacks, server.WatchPostUpdate(true, "", "")); err != nil {
		return fmt.Errorf("bgp: watch: %w", err)
	}
	// Which are the best now. News of others before is still on its way, and comes after this in any case.
	for f, rf := range families {
		err := s.gobgp.ListPath(apiutil.ListPathRequest{TableType: api.TableType_TABLE_TYPE_GLOBAL, Family: rf},
			func(nlri bgp.NLRI, paths []*apiutil.Path) {
				if prefix, ok := prefixOf(nlri); ok && len(paths) > 0 {
					s.paths.chosen(destination{f, prefix}, s.paths.candidate(paths[0]))
				}
			})
		if err != nil {
			return fmt.Errorf("bgp: list routes: %w", err)
		}
	}
	return nil
}

// allNews takes routes that changed, the best or not. Only what is behind the best is news: of the best one news tells.
func (s *Server) allNews(list []*apiutil.Path) (n News) {
	for _, p := range list {
		f, ok := familyOf(p.Family)
		prefix, valid := prefixOf(p.Nlri)
		if !ok || !valid || !p.PeerAddress.IsValid() {
			continue
		}
		d := destination{f, prefix}
		c := s.paths.destinations[d]
		if c == nil {
			c = &choice{}
			s.paths.destinations[d] = c
		}
		c.put(p.PeerAddress, s.paths.candidate(p))
		switch {
		case c.best.path == nil && len(c.all) == 0:
			delete(s.paths.destinations, d)
		case c.best.path != nil && c.best.path.Neighbor != p.PeerAddress:
			n.add(f, routeTo(prefix, &c.best, c.others()))
		}
	}
	return n
}
