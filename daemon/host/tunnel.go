package host

import (
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"grove/daemon/config"
	"grove/internal/engine"
	"grove/internal/ipip"
)

// tunnels are the tunnels of the configuration: the devices that the host makes for them, and what is known of their
// ways. All but what is atomic belongs to the loop.
type tunnels struct {
	wanted []config.Tunnel
	made   map[string]*tunnel
	tries  map[string]*attempt // of those that could not be made
	exit   *exit               // where the packets of user tunnels come out; nil: there is none
	own    ownAddrs

	// add makes a device of the kernel: netlink's LinkAdd, except in a test.
	add func(netlink.Link) error
}

// tunnel is one that has its device.
type tunnel struct {
	config.Tunnel
	index   int
	seen    bool        // its link was announced
	user    *userTunnel // nil: the kernel encapsulates
	mtu     int         // as last set; 0: not yet known
	checked time.Time   // when its way was looked at; zero: to be looked at at once
	way     string      // what is wrong with its way; empty: nothing
}

const (
	// wayPeriod is how often the way of a tunnel is looked at if nothing happens: the kernel forgets the MTU of a path
	// after ten minutes, without a word.
	wayPeriod = 10 * time.Second
	// wayPause is how soon it is looked at again, at the earliest.
	wayPause = 200 * time.Millisecond
)

// ownAddrs are the router's addresses, for the goroutines of tunnels.
type ownAddrs struct {
	all atomic.Pointer[map[netip.Addr]struct{}]
}

func (o *ownAddrs) has(a netip.Addr) bool {
	all := o.all.Load()
	if all == nil {
		return false
	}
	_, there := (*all)[a]
	return there
}

func (t *tunnels) want(cfg *config.Config) {
	if t.made == nil {
		t.made = make(map[string]*tunnel)
	}
	t.wanted = cfg.Tunnels
	t.tries = make(map[string]*attempt)
}

// wants returns the tunnel called name as the configuration has it, nil if it does not.
func (t *tunnels) wants(name string) *config.Tunnel {
	for i := range t.wanted {
		if t.wanted[i].Name == name {
			return &t.wanted[i]
		}
	}
	return nil
}

// keepTunnels makes the devices of tunnels whose local address is there, and again when somebody deletes them, and
// removes the others.
func (h *Host) keepTunnels(now time.Time) {
	t := &h.tunnels
	if len(t.wanted) == 0 && len(t.made) == 0 {
		return
	}
	own := make(map[netip.Addr]struct{})
	for _, all := range h.view.addresses {
		for _, a := range all {
			own[a.prefix.Addr()] = struct{}{}
		}
	}
	t.own.all.Store(&own)
	for name, made := range engine.Sorted(t.made) {
		l, there := h.view.links[made.index]
		made.seen = made.seen || there
		wanted := t.wants(name)
		_, local := own[made.Local]
		switch {
		case made.seen && (!there || l.name != name):
			h.log.WithField("iface", name).Warn("somebody deleted or renamed the tunnel: it is made again")
			h.endTunnel(made)
		case wanted == nil:
			h.endTunnel(made)
			h.log.WithField("iface", name).Info("tunnel removed")
		case *wanted != made.Tunnel:
			h.endTunnel(made)
		case !local:
			h.endTunnel(made)
			h.log.WithField("iface", name).Warnf("tunnel removed: %v is no address of this router any more", made.Local)
		}
	}
	for i := range t.wanted {
		wanted := &t.wanted[i]
		if t.made[wanted.Name] != nil {
			continue
		}
		if _, local := own[wanted.Local]; local {
			h.tryTunnel(now, wanted)
		}
	}
	h.closeExit()
}

// lookAtWays looks at the ways of all tunnels.
func (h *Host) lookAtWays(now time.Time) {
	for _, made := range engine.Sorted(h.tunnels.made) {
		h.lookAtWay(now, made)
	}
}

// tryTunnel makes a tunnel, unless that failed a moment ago.
func (h *Host) tryTunnel(now time.Time, c *config.Tunnel) {
	t := &h.tunnels
	a := t.tries[c.Name]
	if a != nil && now.Before(a.after) {
		h.keeper.later(a.after)
		return
	}
	log := h.log.WithField("iface", c.Name)
	made, err := h.makeTunnel(c)
	if err == nil {
		delete(t.tries, c.Name)
		t.made[c.Name] = made
		how := "the kernel encapsulates"
		if made.user != nil {
			how = "groved encapsulates"
		}
		log.Infof("tunnel from %v to %v made: %s", c.Local, c.Remote, how)
		return
	}
	if a == nil {
		a = &attempt{}
		t.tries[c.Name] = a
	}
	a.after = now.Add(retryTime)
	h.keeper.later(a.after)
	if errors.Is(err, syscall.EADDRNOTAVAIL) {
		log.Debugf("tunnel not made: %v went before we heard of it", c.Local)
		return
	}
	if a.err != err.Error() {
		a.err = err.Error()
		h.warn(0, "cannot make tunnel %s: %v", c.Name, err)
	}
}

// makeTunnel makes the device of a tunnel, of the kernel's kind or of ours.
func (h *Host) makeTunnel(c *config.Tunnel) (*tunnel, error) {
	if there, err := h.handle.LinkByName(c.Name); err == nil {
		// A groved that was killed leaves the kernel's device behind. Any other of that name is somebody's.
		if left, ok := there.(*netlink.Iptun); !ok || !left.Local.Equal(c.Local.AsSlice()) || !left.Remote.Equal(c.Remote.AsSlice()) {
			return nil, errors.New("there is an interface of that name: rename it, or the tunnel")
		}
		if err := h.handle.LinkDel(there); err != nil && !errors.Is(err, syscall.ENODEV) {
			return nil, fmt.Errorf("remove what was left of it: %w", err)
		}
		h.dropLink(there.Attrs().Index)
	}
	made := &tunnel{Tunnel: *c}
	if c.Mode != config.TunnelUser {
		err := h.makeKernelTunnel(made)
		if err == nil || c.Mode == config.TunnelKernel || !noIPIP(err) {
			return made, err
		}
	}
	return made, h.makeUserTunnel(made)
}

// noIPIP says that the kernel knows no device of kind ipip.
func noIPIP(err error) bool {
	return errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EPROTONOSUPPORT)
}

// makeKernelTunnel makes an ipip device, with a token bucket filter for the rate limit.
func (h *Host) makeKernelTunnel(t *tunnel) error {
	link := &netlink.Iptun{
		LinkAttrs: netlink.NewLinkAttrs(),
		Local:     t.Local.AsSlice(), Remote: t.Remote.AsSlice(), Ttl: t.TTL,
		Tos: 1, // inherit
	}
	link.Name = t.Name
	if t.MTU == 0 {
		link.PMtuDisc = 1
	}
	if err := h.tunnels.add(link); err != nil {
		return fmt.Errorf("make an ipip device: %w", err)
	}
	err := h.setUpTunnel(t)
	if err == nil && t.RateKbps > 0 {
		err = h.limitTunnel(t)
	}
	if err != nil && t.index != 0 {
		_ = h.handle.LinkDel(device(t.index))
	}
	return err
}

// limitTunnel puts a token bucket filter on the device, which queues no more than the bucket holds.
func (h *Host) limitTunnel(t *tunnel) error {
	rate, burst := t.RateKbps*1000/8, uint32(ipip.Burst(t.RateKbps))
	err := h.handle.QdiscReplace(&netlink.Tbf{
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: t.index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT},
		Rate:       rate, Buffer: netlink.Xmittime(rate, burst), Limit: burst,
	})
	if err != nil {
		return fmt.Errorf("set the rate limit (qdisc tbf): %w", err)
	}
	return nil
}

// setUpTunnel makes a new device ready: multicast, no IPv6 of its own, up.
func (h *Host) setUpTunnel(t *tunnel) error {
	link, err := h.handle.LinkByName(t.Name)
	if err != nil {
		return fmt.Errorf("find the new device: %w", err)
	}
	t.index = link.Attrs().Index
	h.view.tunnels[t.index] = tunnelEnds{t.Local, t.Remote}
	const addrGenNone = 1
	_ = h.handle.LinkSetIP6AddrGenMode(link, addrGenNone) // fails where IPv6 is off, which is as good
	if err := h.handle.LinkSetMulticastOn(link); err != nil {
		return fmt.Errorf("allow multicast: %w", err)
	}
	if t.MTU != 0 {
		if err := h.handle.LinkSetMTU(link, t.MTU); err != nil {
			return fmt.Errorf("set the MTU to %d: %w", t.MTU, err)
		}
		t.mtu = t.MTU
	}
	if err := h.handle.LinkSetUp(link); err != nil {
		return fmt.Errorf("set it up: %w", err)
	}
	return nil
}

// endTunnel removes a tunnel and its device.
func (h *Host) endTunnel(t *tunnel) {
	delete(h.tunnels.made, t.Name)
	if t.user != nil {
		h.tunnels.exit.remove(t.user)
		t.user.close()
	} else if err := h.handle.LinkDel(device(t.index)); err != nil && !errors.Is(err, syscall.ENODEV) && !errors.Is(err, syscall.EINVAL) {
		h.warn(0, "cannot remove tunnel %s: %v", t.Name, err)
	}
	if _, there := h.view.links[t.index]; there || !t.seen {
		h.dropLink(t.index)
	}
	delete(h.view.tunnels, t.index)
}

// dropLink forgets a device that we have just removed, and what the kernel said of it before and we have not read yet.
func (h *Host) dropLink(index int) {
	h.view.bury(index)
	h.view.news = true
}

// closeTunnels removes all tunnels, at the end: their devices are ours, unlike the addresses and routes of others.
func (h *Host) closeTunnels() {
	for _, t := range engine.Sorted(h.tunnels.made) {
		h.endTunnel(t)
	}
	h.closeExit()
}

// closeExit closes the exit if no tunnel has it.
func (h *Host) closeExit() {
	x := h.tunnels.exit
	if x != nil && len(*x.tunnels.Load()) == 0 {
		x.close()
		h.tunnels.exit = nil
	}
}

// lookAtWay looks at the way to a tunnel's far end: whether there is one, whether it leads through the tunnel itself (RFC
// 2003, section 4), and how large the packets may be that it takes (section 5.1).
func (h *Host) lookAtWay(now time.Time, t *tunnel) {
	if next := t.checked.Add(wayPause); now.Before(next) {
		h.keeper.later(next)
		return
	}
	t.checked = now
	h.keeper.later(now.Add(wayPeriod))
	out, mtu, way := h.wayTo(t)
	looped := out == t.index
	for i, next := 0, out; !looped && next > 0 && i < len(h.tunnels.made); i++ { // through other tunnels, back to this one
		through := h.tunnels.byIndex(next)
		if through == nil {
			break
		}
		next, _, _ = h.wayTo(through)
		looped = next == t.index
	}
	if looped {
		way = fmt.Sprintf("loop: the way to %v leads through the tunnel itself: nothing is sent until a route leads elsewhere", t.Remote)
	}
	if t.user != nil {
		t.user.looped.Store(looped)
	}
	if way != t.way {
		level := engine.Info // a far end that is not reached now is the network's affair
		if looped || out == ours {
			level = engine.Warning
		}
		h.say(engine.Note{Level: level, If: h.view.id(t.index), Text: fmt.Sprintf("tunnel %s: %s", t.Name, orUp(way))})
		t.way = way
	}
	if looped || mtu == 0 || t.MTU != 0 {
		return
	}
	mtu = max(mtu-ipip.HeaderLen, ipip.MinMTU)
	if mtu == t.mtu {
		return
	}
	if err := h.handle.LinkSetMTU(device(t.index), mtu); err != nil {
		if !errors.Is(err, syscall.ENODEV) {
			h.warn(h.view.id(t.index), "tunnel %s: cannot set the MTU to %d: %v", t.Name, mtu, err)
		}
		return
	}
	h.log.WithField("iface", t.Name).Infof("the path takes %d bytes: MTU %d", mtu+ipip.HeaderLen, mtu)
	t.mtu = mtu
}

// ours in place of an interface says that the far end is this router.
const ours = -1

// wayTo asks the kernel for the way to a tunnel's far end: the interface, and the path's MTU.
func (h *Host) wayTo(t *tunnel) (out, mtu int, trouble string) {
	routes, err := h.handle.RouteGetWithOptions(t.Remote.AsSlice(), &netlink.RouteGetOptions{SrcAddr: t.Local.AsSlice()})
	switch {
	case err != nil:
		return 0, 0, fmt.Sprintf("no way to %v: %v", t.Remote, err)
	case len(routes) == 0:
		return 0, 0, fmt.Sprintf("no way to %v", t.Remote)
	case routes[0].Type == unix.RTN_LOCAL:
		return ours, 0, fmt.Sprintf("the remote end %v is an address of this router", t.Remote)
	}
	out, mtu = routes[0].LinkIndex, routes[0].MTU
	if mtu == 0 {
		mtu = h.view.links[out].mtu
	}
	return out, mtu, ""
}

func (t *tunnels) byIndex(index int) *tunnel {
	for _, made := range t.made {
		if made.index == index {
			return made
		}
	}
	return nil
}

// pathNews says that something on the way to a tunnel's far end did not take a packet.
type pathNews struct {
	remote netip.Addr
	text   string
}

// hearOfPath looks at the way again when a router on it, or our own kernel, complained.
func (h *Host) hearOfPath(now time.Time, n pathNews) {
	for _, t := range engine.Sorted(h.tunnels.made) {
		if t.Remote != n.remote {
			continue
		}
		if n.text != "" {
			h.say(engine.Note{Level: engine.Debug, If: h.view.id(t.index), Text: n.text})
		}
		if now.Sub(t.checked) >= wayPause {
			t.checked = time.Time{}
		}
		h.lookAtWay(now, t)
	}
}

// Tunnel is a tunnel as the host has it.
type Tunnel struct {
	config.Tunnel
	Index  int    // the kernel's; 0: it could not be made
	Kernel bool   // the kernel encapsulates
	MTU    int    // of a packet inside
	State  string // "up", or what is wrong
	Counts map[string]uint64
}

// states answers "tunnels".
func (h *Host) tunnelStates() (all []Tunnel) {
	for i := range h.tunnels.wanted {
		c := &h.tunnels.wanted[i]
		s := Tunnel{Tunnel: *c, State: fmt.Sprintf("%v is no address of this router", c.Local)}
		if !h.tunnels.own.has(c.Local) {
			all = append(all, s)
			continue
		}
		if t := h.tunnels.made[c.Name]; t != nil {
			s.Index, s.Kernel, s.MTU, s.State = t.index, t.user == nil, t.mtu, orUp(t.way)
			s.Counts = h.tunnelCounts(t)
		} else if a := h.tunnels.tries[c.Name]; a != nil {
			s.State = a.err
		}
		all = append(all, s)
	}
	return all
}

func orUp(way string) string {
	if way == "" {
		return "up"
	}
	return way
}

// tunnelCounts returns what a tunnel counted, ours or the kernel's.
func (h *Host) tunnelCounts(t *tunnel) map[string]uint64 {
	if t.user != nil {
		return t.user.counts.snapshot()
	}
	link, err := h.handle.LinkByIndex(t.index)
	if err != nil || link.Attrs().Statistics == nil {
		return nil
	}
	s := link.Attrs().Statistics
	return map[string]uint64{
		"sent packets": s.TxPackets, "sent bytes": s.TxBytes, "received packets": s.RxPackets, "received bytes": s.RxBytes,
		"not sent": s.TxDropped + s.TxErrors, "dropped": s.RxDropped + s.RxErrors,
	}
}

// countTunnels adds the counters of all tunnels.
func (h *Host) countTunnels(c *engine.Counts) {
	for name, t := range engine.Sorted(h.tunnels.made) {
		for what, n := range engine.Sorted(h.tunnelCounts(t)) {
			c.AddN("tunnel "+name+": "+what, n)
		}
	}
	if x := h.tunnels.exit; x != nil {
		c.AddN("dropped IP in IP packets: no such tunnel", x.strangers.Load())
	}
}
