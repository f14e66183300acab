package host

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"grove/daemon/config"
	"grove/internal/engine"
)

// keeper keeps what the configuration wants of the kernel: addresses on interfaces, and static unicast routes. It
// compares and repairs whenever the kernel reports a change: Linux deletes routes, and IPv6 addresses, when a link goes
// down, and restores neither.
//
// Interfaces are set up once, when they are first seen: one that an operator sets down stays down. At the end
// everything is left as it is: whoever stops a router's multicast does not want to lose the way to it.
type keeper struct {
	configured map[string]*config.Interface
	routes     map[routeKey][]config.Route

	raised map[int]bool // interfaces that were set up, by ifindex
	tries  map[try]*attempt
	retry  time.Time // when to look again; zero: not before something changes
}

// try names something that was tried: an address of an interface, or a route.
type try struct {
	index  int
	prefix netip.Prefix
	metric uint32
}

type attempt struct {
	after time.Time // not again before
	err   string
}

const (
	// settleTime is how long the kernel's notification of a successful change may take.
	settleTime = 200 * time.Millisecond
	// retryTime is the pause after a failure.
	retryTime = time.Second
)

// want takes a new configuration.
func (k *keeper) want(cfg *config.Config) {
	k.configured = make(map[string]*config.Interface, len(cfg.Interfaces))
	for i := range cfg.Interfaces {
		k.configured[cfg.Interfaces[i].Name] = &cfg.Interfaces[i]
	}
	k.routes = make(map[routeKey][]config.Route)
	for _, r := range cfg.Routes {
		key := routeKey{r.Prefix.Masked(), r.Metric}
		if key.metric == 0 && r.Prefix.Addr().Is6() {
			key.metric = 1024 // IP6_RT_PRIO_USER
		}
		k.routes[key] = append(k.routes[key], r)
	}
	k.tries = make(map[try]*attempt)
	if k.raised == nil {
		k.raised = make(map[int]bool)
	}
}

// may says whether something may be tried now, or sees to it that it will be.
func (k *keeper) may(t try, now time.Time) bool {
	a := k.tries[t]
	if a == nil || !now.Before(a.after) {
		return true
	}
	k.later(a.after)
	return false
}

func (k *keeper) later(at time.Time) {
	if k.retry.IsZero() || at.Before(k.retry) {
		k.retry = at
	}
}

// tried records how a try ended, and says whether the outcome is news.
func (k *keeper) tried(t try, now time.Time, err error) bool {
	a := k.tries[t]
	if a == nil {
		a = &attempt{}
		k.tries[t] = a
	}
	text := ""
	a.after = now.Add(settleTime)
	if err != nil {
		text = err.Error()
		a.after = now.Add(retryTime)
		k.later(a.after)
	}
	news := text != a.err || err == nil
	a.err = text
	return news
}

// keep compares the kernel with the configuration and repairs.
func (h *Host) keep(now time.Time) {
	k := &h.keeper
	k.retry = time.Time{}
	for index := range k.raised {
		if _, there := h.view.links[index]; !there {
			delete(k.raised, index)
		}
	}
	h.keepTunnels(now)
	for index, l := range engine.Sorted(h.view.links) {
		if c := k.configured[l.name]; c != nil {
			h.keepInterface(now, index, &l, c)
		}
	}
	for key, wanted := range engine.SortedFunc(k.routes, compareKeys) {
		h.keepRoute(now, key, wanted)
	}
	h.keepUnicast(now)
	h.lookAtWays(now)
}

func device(index int) netlink.Link {
	return &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: index}}
}

func (h *Host) keepInterface(now time.Time, index int, l *link, c *config.Interface) {
	k := &h.keeper
	log := h.log.WithField("iface", l.name)
	if !k.raised[index] {
		k.raised[index] = true
		if c.MTU != 0 && c.MTU != l.mtu {
			if err := h.handle.LinkSetMTU(device(index), c.MTU); err != nil {
				log.Warnf("cannot set the MTU to %d: %v", c.MTU, err)
			}
		}
		if l.flags&unix.IFF_UP == 0 {
			if err := h.handle.LinkSetUp(device(index)); err != nil {
				log.Warnf("cannot set the interface up: %v", err)
			} else {
				log.Info("interface set up")
			}
		}
	}
	for _, p := range c.Addresses {
		there := slices.ContainsFunc(h.view.addresses[index], func(a address) bool { return a.prefix == p })
		if there || p.Addr().Is6() && l.flags&unix.IFF_UP == 0 || !k.may(try{index: index, prefix: p}, now) {
			continue
		}
		a := &netlink.Addr{IPNet: ipNet(p)}
		if p.Addr().Is6() {
			a.Flags = unix.IFA_F_NODAD
		}
		err := h.handle.AddrAdd(device(index), a)
		switch {
		case errors.Is(err, syscall.ENODEV):
			continue // its end is on its way to us
		case errors.Is(err, syscall.EEXIST):
			err = nil
		}
		if k.tried(try{index: index, prefix: p}, now, err) {
			if err != nil {
				log.Warnf("cannot add address %v: %v", p, err)
			} else {
				log.Infof("address %v added", p)
			}
		}
	}
}

// ipNet keeps the host part, which netlink takes for the address.
func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// keepRoute adds or replaces a route. Of its gateways those count that are on a link that is up: with the others the
// kernel would refuse it.
func (h *Host) keepRoute(now time.Time, key routeKey, wanted []config.Route) {
	hops := h.usableHops(wanted)
	if len(hops) == 0 || isStatic(h.view.routes[key], hops) || !h.keeper.may(try{prefix: key.prefix, metric: key.metric}, now) {
		return
	}
	r := &netlink.Route{Dst: ipNet(key.prefix), Priority: int(key.metric), Protocol: unix.RTPROT_STATIC}
	if len(hops) == 1 {
		r.LinkIndex, r.Gw = hops[0].index, gateway(hops[0])
	} else {
		for _, one := range hops {
			r.MultiPath = append(r.MultiPath, &netlink.NexthopInfo{LinkIndex: one.index, Gw: gateway(one)})
		}
	}
	if r.Gw == nil && r.MultiPath == nil && key.prefix.Addr().Is4() {
		r.Scope = netlink.SCOPE_LINK
	}
	err := h.handle.RouteReplace(r)
	if h.keeper.tried(try{prefix: key.prefix, metric: key.metric}, now, err) {
		if err != nil {
			h.log.Warnf("cannot add route %s: %v", describe(key, hops), err)
		} else {
			h.log.Infof("route %s added", describe(key, hops))
		}
	}
}

func gateway(one hop) net.IP {
	if !one.gateway.IsValid() {
		return nil
	}
	return one.gateway.AsSlice()
}

func describe(key routeKey, hops []hop) string {
	text := key.prefix.String()
	for _, one := range hops {
		if one.gateway.IsValid() {
			text += fmt.Sprintf(" via %v", one.gateway)
		}
	}
	if key.metric != 0 {
		text += fmt.Sprintf(" metric %d", key.metric)
	}
	return text
}

// usableHops returns the hops whose link is up, sorted.
func (h *Host) usableHops(wanted []config.Route) (hops []hop) {
	for _, r := range wanted {
		if len(r.Via) == 0 {
			if index := h.upLink(r.Interface); index != 0 {
				hops = append(hops, hop{index: index})
			}
		}
		for _, gateway := range r.Via {
			index := h.upLink(r.Interface)
			if r.Interface == "" {
				index = h.linkOf(gateway)
			}
			if index != 0 {
				hops = append(hops, hop{index: index, gateway: gateway})
			}
		}
	}
	slices.SortFunc(hops, compareHops)
	return slices.Compact(hops)
}

func compareHops(a, b hop) int {
	return cmp.Or(cmp.Compare(a.index, b.index), a.gateway.Compare(b.gateway))
}

// upLink returns the index of the interface called name if it is up, else 0.
func (h *Host) upLink(name string) int {
	for index, l := range h.view.links {
		if l.name == name && l.flags&unix.IFF_UP != 0 {
			return index
		}
	}
	return 0
}

// linkOf returns the index of the up interface with the longest subnet that gateway is in; 0 if there is none.
func (h *Host) linkOf(gateway netip.Addr) (index int) {
	bits := -1
	for i, l := range engine.Sorted(h.view.links) {
		if l.flags&unix.IFF_UP == 0 {
			continue
		}
		for _, a := range h.view.addresses[i] {
			if a.prefix.Contains(gateway) && a.prefix.Addr() != gateway && a.prefix.Bits() > bits {
				index, bits = i, a.prefix.Bits()
			}
		}
	}
	return index
}

// isStatic says whether routes are the one static route with these hops.
func isStatic(routes []route, hops []hop) bool {
	if len(routes) != 1 || routes[0].protocol != unix.RTPROT_STATIC || routes[0].kind != unix.RTN_UNICAST {
		return false
	}
	var alive []hop
	for _, one := range routes[0].hops {
		if !one.dead {
			alive = append(alive, hop{index: one.index, gateway: one.gateway})
		}
	}
	slices.SortFunc(alive, compareHops)
	return slices.Equal(alive, hops)
}

// remove takes back what the old configuration wanted and the new one does not.
func (k *keeper) remove(h *Host, old *keeper) {
	for index, l := range engine.Sorted(h.view.links) {
		was, is := old.configured[l.name], k.configured[l.name]
		if was == nil {
			continue
		}
		for _, p := range was.Addresses {
			if is != nil && slices.Contains(is.Addresses, p) {
				continue
			}
			err := h.handle.AddrDel(device(index), &netlink.Addr{IPNet: ipNet(p)})
			h.log.WithField("iface", l.name).Infof("address %v removed%s", p, because(err))
		}
		if is != nil && is.MTU != was.MTU {
			delete(k.raised, index) // so that the new one is set
		}
	}
	for key := range engine.SortedFunc(old.routes, compareKeys) {
		if _, stays := k.routes[key]; stays {
			continue
		}
		r := &netlink.Route{Dst: ipNet(key.prefix), Priority: int(key.metric), Protocol: unix.RTPROT_STATIC}
		if err := h.handle.RouteDel(r); !errors.Is(err, syscall.ESRCH) { // it went with its link
			h.log.Infof("route %s removed%s", describe(key, nil), because(err))
		}
	}
}

func because(err error) string {
	if err == nil {
		return ""
	}
	return fmt.Sprintf(" (%v)", err)
}
