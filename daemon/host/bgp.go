package host

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"grove/daemon/bgp"
	"grove/daemon/config"
	"grove/internal/engine"
)

// bgpSpeaker is BGP beside the loop: its best multicast routes are told to rib, its best unicast routes can go into the kernel, and
// it is told what there is to redistribute.
type bgpSpeaker struct {
	server atomic.Pointer[bgp.Server] // nil: it does not run
	news   chan bgp.News
	quit   chan struct{} // closed before the server is stopped, so that it does not wait for the loop

	// All below belongs to the loop.
	multicast map[netip.Prefix]engine.MRIBRoute // as told to rib
	unicast   map[netip.Prefix]engine.MRIBRoute
	installed map[netip.Prefix]netlink.Route // of the unicast routes, in the kernel
	left      map[netip.Prefix]bool          // in the kernel since before we started, and not learned yet
	sweep     time.Time                      // when those go; zero: there are none

	dvmrp   map[netip.Prefix]bool     // the routes that DVMRP has
	changed bool                      // what may be redistributed
	told    map[string][]netip.Prefix // by origin, what the server was told last
}

func newBGPSpeaker() bgpSpeaker {
	return bgpSpeaker{
		news:      make(chan bgp.News, 16),
		multicast: make(map[netip.Prefix]engine.MRIBRoute),
		unicast:   make(map[netip.Prefix]engine.MRIBRoute),
		installed: make(map[netip.Prefix]netlink.Route),
		left:      make(map[netip.Prefix]bool),
		dvmrp:     make(map[netip.Prefix]bool),
		told:      make(map[string][]netip.Prefix),
	}
}

// startBGP starts BGP if the configuration has it.
func (h *Host) startBGP(cfg *config.BGP) error {
	if cfg == nil {
		return nil
	}
	quit := make(chan struct{})
	server, err := bgp.New(cfg, h.log, func(n bgp.News) {
		select {
		case h.bgp.news <- n:
		case <-quit:
		}
	})
	if err != nil {
		return err
	}
	h.bgp.quit = quit
	h.bgp.server.Store(server)
	return nil
}

func (h *Host) stopBGP() {
	if server := h.bgp.server.Swap(nil); server != nil {
		close(h.bgp.quit)
		server.Stop()
	}
}

// reloadBGP applies a new configuration. It is called outside of the loop, which goes on to take news.
func (h *Host) reloadBGP(ctx context.Context, cfg *config.BGP) error {
	server := h.bgp.server.Load()
	if server != nil && cfg != nil && !server.Restarts(cfg) {
		err := server.Configure(cfg)
		return errors.Join(err, h.call(ctx, func() { h.bgp.changed = true; h.keepUnicast(time.Now()) }))
	}
	h.stopBGP()
	if err := h.call(ctx, h.forgetBGP); err != nil {
		return err
	}
	return h.startBGP(cfg)
}

// forgetBGP takes back all that BGP said: it does not run any more.
func (h *Host) forgetBGP() {
	for len(h.bgp.news) > 0 {
		<-h.bgp.news
	}
	for _, r := range h.bgp.multicast {
		r.Gone = true
		h.step(engine.Addressed{To: h.rib(r.Prefix.Addr()), Event: r})
	}
	clear(h.bgp.multicast)
	clear(h.bgp.unicast)
	clear(h.bgp.told)
	h.bgp.changed = true
	h.keepUnicast(time.Now())
}

// hearBGP takes what BGP has learned.
func (h *Host) hearBGP(n bgp.News) {
	now := time.Now()
	for _, r := range n.Multicast {
		r.From = engine.MachineID{Protocol: engine.BGP, Family: engine.FamilyOf(r.Prefix.Addr()), Table: h.config.Table}
		if r.Gone {
			delete(h.bgp.multicast, r.Prefix)
		} else {
			h.bgp.multicast[r.Prefix] = r
		}
		h.step(engine.Addressed{To: h.rib(r.Prefix.Addr()), Event: r})
	}
	ways := make(map[netip.Addr]hop)
	for _, r := range n.Unicast {
		if r.Gone {
			delete(h.bgp.unicast, r.Prefix)
		} else {
			h.bgp.unicast[r.Prefix] = r
		}
		h.keepUnicastRoute(now, r.Prefix, ways)
	}
	for _, t := range n.Transitions {
		t.From = engine.MachineID{Protocol: engine.BGP, Family: engine.FamilyOf(t.Neighbor)}
		h.transition(now, &t)
		h.publish(Event{Time: now, Effect: t})
	}
}

// tellBGP sends BGP's multicast routes to the rib machines that were not there before.
func (h *Host) tellBGP(had map[engine.MachineID]any) {
	for _, r := range h.bgp.multicast {
		to := h.rib(r.Prefix.Addr())
		if _, old := had[to]; !old {
			h.step(engine.Addressed{To: to, Event: r})
		}
	}
}

// contributed takes a route that a protocol contributes to the MRIB: BGP may redistribute it.
func (h *Host) contributed(r *engine.MRIBRoute) {
	if r.From.Protocol != engine.DVMRP {
		return
	}
	if r.Gone || len(r.Hops) == 0 {
		delete(h.bgp.dvmrp, r.Prefix)
	} else {
		h.bgp.dvmrp[r.Prefix] = true
	}
	h.bgp.changed = true
}

// redistribute tells BGP what there is to redistribute, if it changed.
func (h *Host) redistribute() {
	server := h.bgp.server.Load()
	if !h.bgp.changed || server == nil {
		return
	}
	h.bgp.changed = false
	for from, routes := range map[string][]netip.Prefix{"connected": h.connectedNetworks(), "static": h.staticNetworks(), "dvmrp": sorted(h.bgp.dvmrp)} {
		if !slices.Equal(routes, h.bgp.told[from]) {
			h.bgp.told[from] = routes
			server.Redistribute(from, routes)
		}
	}
}

func sorted(set map[netip.Prefix]bool) []netip.Prefix {
	list := make([]netip.Prefix, 0, len(set))
	for p := range set {
		list = append(list, p)
	}
	slices.SortFunc(list, netip.Prefix.Compare)
	return list
}

// connectedNetworks are the networks of the interfaces of the configuration that are up.
func (h *Host) connectedNetworks() []netip.Prefix {
	set := make(map[netip.Prefix]bool)
	for index, l := range h.view.links {
		if l.flags&unix.IFF_UP == 0 || h.keeper.configured[l.name] == nil {
			continue
		}
		for _, a := range h.view.addresses[index] {
			if addr := a.prefix.Addr(); !addr.IsLoopback() && !addr.IsLinkLocalUnicast() {
				set[a.prefix.Masked()] = true
			}
		}
	}
	return sorted(set)
}

// staticNetworks are the destinations of the kernel's static routes, the default route left out.
func (h *Host) staticNetworks() []netip.Prefix {
	set := make(map[netip.Prefix]bool)
	for key, r := range h.view.announced {
		if r.Origin == "static" && key.prefix.Bits() > 0 {
			set[key.prefix] = true
		}
	}
	return sorted(set)
}

// bgpMetric is the metric of BGP's routes in the kernel.
const bgpMetric = 20

// adoptUnicast looks for unicast routes that a groved left in the kernel which was killed. With graceful restart they serve until they
// are learned again, for the restart time at most (RFC 4724, section 4.1); without it they go at once, as the neighbors' routes to
// us did.
func (h *Host) adoptUnicast(now time.Time) {
	cfg := h.config.BGP
	if cfg == nil || !cfg.InstallUnicast {
		return
	}
	for key, routes := range h.view.routes {
		if key.metric == bgpMetric && slices.ContainsFunc(routes, func(r route) bool { return r.protocol == unix.RTPROT_BGP }) {
			h.bgp.left[key.prefix] = true
		}
	}
	if len(h.bgp.left) == 0 {
		return
	}
	h.bgp.sweep = now
	if cfg.GracefulRestart {
		h.bgp.sweep = now.Add(cfg.RestartTime)
		h.log.Infof("%d routes of BGP are in the kernel from before: those that are not learned within %v are removed", len(h.bgp.left), cfg.RestartTime)
	}
}

// sweepUnicast removes the routes that were left and that nobody has announced again.
func (h *Host) sweepUnicast() {
	h.bgp.sweep = time.Time{}
	for _, p := range sorted(h.bgp.left) {
		err := h.handle.RouteDel(&netlink.Route{Dst: ipNet(p), Priority: bgpMetric, Protocol: unix.RTPROT_BGP, Table: unix.RT_TABLE_MAIN})
		if !errors.Is(err, syscall.ESRCH) { // it went with its link
			h.log.Infof("route %v of BGP, left from before, removed%s", p, because(err))
		}
	}
	clear(h.bgp.left)
}

// keepUnicast compares the kernel with the unicast routes that BGP wants in it.
func (h *Host) keepUnicast(now time.Time) {
	if len(h.bgp.left) > 0 && (h.config.BGP == nil || !h.config.BGP.InstallUnicast) {
		h.sweepUnicast() // a new configuration wants none
	}
	ways := make(map[netip.Addr]hop)
	for p := range h.bgp.installed {
		if _, wanted := h.bgp.unicast[p]; !wanted || h.config.BGP == nil || !h.config.BGP.InstallUnicast {
			h.keepUnicastRoute(now, p, ways)
		}
	}
	if h.config.BGP != nil && h.config.BGP.InstallUnicast {
		for p := range h.bgp.unicast {
			h.keepUnicastRoute(now, p, ways)
		}
	}
}

// keepUnicastRoute adds, replaces or removes the route to one destination. ways are those to next hops, as far as they were looked up.
func (h *Host) keepUnicastRoute(now time.Time, p netip.Prefix, ways map[netip.Addr]hop) {
	r, wanted := h.bgp.unicast[p]
	had, installed := h.bgp.installed[p]
	var to hop
	if wanted = wanted && h.config.BGP != nil && h.config.BGP.InstallUnicast; wanted {
		to = h.firstWay(&r, ways)
		wanted = to.index != 0
	}
	if !wanted {
		if installed {
			delete(h.bgp.installed, p)
			if err := h.handle.RouteDel(&had); err != nil && !errors.Is(err, syscall.ESRCH) {
				h.log.Warnf("cannot remove route %v of BGP: %v", p, err)
			}
		}
		return
	}
	entry := netlink.Route{
		Dst: ipNet(p), Priority: bgpMetric, Protocol: unix.RTPROT_BGP, LinkIndex: to.index, Gw: gateway(to), Table: unix.RT_TABLE_MAIN,
	}
	there := slices.ContainsFunc(h.view.routes[routeKey{p, bgpMetric}], func(r route) bool { return r.protocol == unix.RTPROT_BGP })
	if installed && there && had.LinkIndex == entry.LinkIndex && had.Gw.Equal(entry.Gw) || !h.keeper.may(try{prefix: p, metric: bgpMetric}, now) {
		return
	}
	// A route of another daemon's with our metric stays: RouteAdd refuses. One of BGP's may be what a groved that was killed left.
	put := h.handle.RouteAdd
	if installed || there {
		put = h.handle.RouteReplace
	}
	err := put(&entry)
	if h.keeper.tried(try{prefix: p, metric: bgpMetric}, now, err) && err != nil {
		h.log.Warnf("cannot add route %v of BGP: %v", p, err)
	}
	if err == nil {
		h.bgp.installed[p] = entry
		delete(h.bgp.left, p)
	}
}

// firstWay returns the way to the next hop of the first of a route and those behind it whose next hop is reached; without an index:
// there is none.
func (h *Host) firstWay(r *engine.MRIBRoute, ways map[netip.Addr]hop) hop {
	way := func(hops []engine.NextHop) hop {
		next := hops[0].Gateway
		to, known := ways[next]
		if !known {
			to = h.nextHop(next)
			ways[next] = to
		}
		return to
	}
	to := way(r.Hops)
	for i := 0; to.index == 0 && i < len(r.Others); i++ {
		to = way(r.Others[i].Hops)
	}
	return to
}

// nextHop returns how a next hop is reached: on a link, or as the kernel's routes say; without an index: not at all.
func (h *Host) nextHop(next netip.Addr) hop {
	if index := h.linkOf(next); index != 0 {
		return hop{index: index, gateway: next}
	}
	routes, err := h.handle.RouteGet(next.AsSlice())
	if err != nil || len(routes) == 0 || routes[0].Protocol == unix.RTPROT_BGP {
		return hop{}
	}
	to := hop{index: routes[0].LinkIndex}
	if via, ok := netip.AddrFromSlice(routes[0].Gw); ok {
		to.gateway = via.Unmap()
	} else {
		to.gateway = next
	}
	return to
}

// removeUnicast takes BGP's routes out of the kernel, at the end.
func (h *Host) removeUnicast() {
	for p, r := range h.bgp.installed {
		_ = h.handle.RouteDel(&r)
		delete(h.bgp.installed, p)
	}
	h.sweepUnicast()
}
