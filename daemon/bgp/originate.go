package bgp

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/osrg/gobgp/v4/pkg/apiutil"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"

	"grove/daemon/config"
)

// originated is what we originate: networks of the configuration, and routes that the host tells. A goroutine keeps GoBGP's
// table as wanted, so that who tells what to redistribute never waits for GoBGP.
type originated struct {
	ready chan struct{} // holds a token when something changed
	done  sync.WaitGroup

	mu     sync.Mutex
	cfg    *config.BGP
	routes map[string][]netip.Prefix // to redistribute, by origin

	announced map[origination]announcement // belongs to the goroutine
}

// origination names a route that we originate.
type origination struct {
	family config.BGPFamily
	prefix netip.Prefix
}

// announcement is what we say of it.
type announcement struct {
	med         uint32
	communities string
	origin      uint8
}

// The origin of routes (RFC 4271, section 5.1.1).
const (
	originIGP        = 0
	originIncomplete = 2
)

func (o *originated) start(ctx context.Context, s *Server) {
	o.ready = make(chan struct{}, 1)
	o.announced = make(map[origination]announcement)
	o.done.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-o.ready:
				o.apply(s)
			}
		}
	})
}

func (o *originated) wait() { o.done.Wait() }

func (o *originated) wake() {
	select {
	case o.ready <- struct{}{}:
	default:
	}
}

func (o *originated) configure(cfg *config.BGP) {
	o.mu.Lock()
	o.cfg = cfg
	o.mu.Unlock()
	o.wake()
}

// Redistribute tells the routes of an origin, whole: connected, static or dvmrp. What the configuration wants of them is
// originated.
func (s *Server) Redistribute(from string, routes []netip.Prefix) {
	o := &s.originated
	o.mu.Lock()
	if o.routes == nil {
		o.routes = make(map[string][]netip.Prefix)
	}
	o.routes[from] = routes
	o.mu.Unlock()
	o.wake()
}

// wanted returns all that is to be originated now. A network of the configuration comes before a redistributed route.
func (o *originated) wanted() map[origination]announcement {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := make(map[origination]announcement)
	add := func(p netip.Prefix, unicast, multicast bool, a announcement) {
		for _, m := range []bool{false, true} {
			k := origination{config.FamilyOfRoute(p, m), p}
			if _, there := all[k]; !there && (m && multicast || !m && unicast) {
				all[k] = a
			}
		}
	}
	for _, n := range o.cfg.Networks {
		add(n.Prefix, n.Unicast, n.Multicast, announcement{n.MED, strings.Join(n.Communities, " "), originIGP})
	}
	for _, r := range o.cfg.Redistribute {
		for _, p := range o.routes[r.From] {
			add(p, r.Unicast, r.Multicast, announcement{r.MED, "", originIncomplete})
		}
	}
	return all
}

// apply originates and withdraws what differs.
func (o *originated) apply(s *Server) {
	wanted := o.wanted()
	var add, remove []*apiutil.Path
	compare := func(a, b origination) int {
		return cmp.Or(cmp.Compare(a.family, b.family), a.prefix.Addr().Compare(b.prefix.Addr()), cmp.Compare(a.prefix.Bits(), b.prefix.Bits()))
	}
	for _, k := range slices.SortedFunc(maps.Keys(o.announced), compare) {
		if _, stays := wanted[k]; !stays {
			remove = append(remove, path(k, o.announced[k]))
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(wanted), compare) {
		if was, there := o.announced[k]; !there || was != wanted[k] {
			add = append(add, path(k, wanted[k]))
		}
	}
	if len(remove) > 0 {
		if err := s.gobgp.DeletePath(apiutil.DeletePathRequest{Paths: remove}); err != nil {
			s.log.Warnf("cannot withdraw networks: %v", err)
		}
	}
	if len(add) > 0 {
		if _, err := s.gobgp.AddPath(apiutil.AddPathRequest{Paths: add}); err != nil {
			s.log.Warnf("cannot originate networks: %v", err)
		}
	}
	o.announced = wanted
}

// path is a route of ours as GoBGP takes it. The unspecified next hop is replaced by our own address towards each neighbor.
func path(k origination, a announcement) *apiutil.Path {
	next := netip.IPv4Unspecified()
	if k.prefix.Addr().Is6() {
		next = netip.IPv6Unspecified()
	}
	nlri, err := bgp.NewIPAddrPrefix(k.prefix)
	if err != nil {
		panic(err) // prefixes of the configuration and the kernel are valid
	}
	reach, err := bgp.NewPathAttributeMpReachNLRI(families[k.family], []bgp.PathNLRI{{NLRI: nlri}}, next)
	if err != nil {
		panic(err)
	}
	attrs := []bgp.PathAttributeInterface{bgp.NewPathAttributeOrigin(a.origin), reach}
	if a.med != 0 {
		attrs = append(attrs, bgp.NewPathAttributeMultiExitDisc(a.med))
	}
	if a.communities != "" {
		var values []uint32
		for _, c := range strings.Fields(a.communities) {
			values = append(values, community(c))
		}
		attrs = append(attrs, bgp.NewPathAttributeCommunities(values))
	}
	return &apiutil.Path{Family: families[k.family], Nlri: nlri, Attrs: attrs, Age: time.Now().Unix()}
}

// wellKnown are the communities that have names (RFC 1997, 7999, 8326).
var wellKnown = map[string]uint32{
	"internet": 0, "graceful-shutdown": 0xffff0000, "blackhole": 0xffff029a, "no-export": 0xffffff01, "no-advertise": 0xffffff02,
	"no-export-subconfed": 0xffffff03,
}

// community returns the number of a valid community.
func community(s string) uint32 {
	if c, ok := wellKnown[s]; ok {
		return c
	}
	high, low, _ := strings.Cut(s, ":")
	h, _ := strconv.ParseUint(high, 10, 16)
	l, _ := strconv.ParseUint(low, 10, 16)
	return uint32(h<<16 | l)
}

func communityText(c uint32) string {
	for name, value := range wellKnown {
		if value == c && c != 0 {
			return name
		}
	}
	return fmt.Sprintf("%d:%d", c>>16, c&0xffff)
}

// communityTexts writes communities as numbers, as GoBGP's policies take them.
func communityTexts(list []string) []string {
	texts := make([]string, len(list))
	for i, s := range list {
		c := community(s)
		texts[i] = fmt.Sprintf("%d:%d", c>>16, c&0xffff)
	}
	return texts
}
