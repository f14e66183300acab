// Package nstest makes network namespaces for tests: spaces joined by veth pairs, with bridges and addresses. A space
// has no name in the system, so nothing is left behind, however a test ends: it goes with the process.
package nstest

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"grove/internal/testneed"
)

// Space is a network namespace. Its methods end the test if something fails.
type Space struct {
	Name    string // for messages
	t       testing.TB
	id      netns.NsHandle
	netlink *netlink.Handle
}

// New makes a namespace with lo up, and no waiting for duplicate address detection. It goes at the end of the test.
func New(t testing.TB, name string) *Space {
	t.Helper()
	testneed.Root(t)
	s := &Space{Name: name, t: t}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	back, err := netns.Get()
	s.must(err)
	defer back.Close()
	s.id, err = netns.New()
	s.must(err)
	t.Cleanup(func() { s.id.Close() })
	s.must(netns.Set(back))
	s.netlink, err = netlink.NewHandleAt(s.id)
	s.must(err)
	t.Cleanup(s.netlink.Close)
	s.Up("lo")
	s.Sysctl("ipv6/conf/default/accept_dad", "0")
	return s
}

func (s *Space) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("namespace %s: %v", s.Name, err)
	}
}

// Do runs f in the namespace, on the calling goroutine. Sockets that f opens, and processes that it starts, stay
// there; goroutines that it starts do not.
func (s *Space) Do(f func()) {
	s.t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	back, err := netns.Get()
	s.must(err)
	defer back.Close()
	s.must(netns.Set(s.id))
	defer func() {
		if err := netns.Set(back); err != nil {
			panic(err) // the thread would carry the namespace into other tests
		}
	}()
	f()
}

// Sysctl sets a value below /proc/sys/net.
func (s *Space) Sysctl(name, value string) {
	s.t.Helper()
	s.Do(func() {
		s.t.Helper()
		s.must(os.WriteFile(filepath.Join("/proc/sys/net", name), []byte(value), 0))
	})
}

// Veth joins two spaces by a cable, both ends up.
func Veth(a *Space, ifA string, b *Space, ifB string) {
	a.t.Helper()
	a.must(a.netlink.LinkAdd(&netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: ifA}, PeerName: ifB, PeerNamespace: netlink.NsFd(b.id),
	}))
	a.Up(ifA)
	b.Up(ifB)
}

// Bridge makes a bridge, with snooping off, of interfaces of the space.
func (s *Space) Bridge(name string, ports ...string) {
	s.t.Helper()
	off := false
	s.must(s.netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name}, MulticastSnooping: &off}))
	for _, p := range ports {
		s.must(s.netlink.LinkSetMaster(s.link(p), s.link(name)))
	}
	s.Up(name)
}

func (s *Space) link(name string) netlink.Link {
	s.t.Helper()
	l, err := s.netlink.LinkByName(name)
	s.must(err)
	return l
}

// Up and Down set an interface; Delete deletes it, and the other end of its cable.
func (s *Space) Up(name string)     { s.t.Helper(); s.must(s.netlink.LinkSetUp(s.link(name))) }
func (s *Space) Down(name string)   { s.t.Helper(); s.must(s.netlink.LinkSetDown(s.link(name))) }
func (s *Space) Delete(name string) { s.t.Helper(); s.must(s.netlink.LinkDel(s.link(name))) }

// Rename renames an interface. It is down for a moment and then up.
func (s *Space) Rename(name, to string) {
	s.t.Helper()
	l := s.link(name)
	s.must(s.netlink.LinkSetDown(l))
	s.must(s.netlink.LinkSetName(l, to))
	s.must(s.netlink.LinkSetUp(l))
}

// Index returns an interface's index.
func (s *Space) Index(name string) int { s.t.Helper(); return s.link(name).Attrs().Index }

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// Addr gives an interface an address, such as "10.0.0.1/24", which can be used at once.
func (s *Space) Addr(name, prefix string) {
	s.t.Helper()
	a := &netlink.Addr{IPNet: ipNet(netip.MustParsePrefix(prefix))}
	if a.IP.To4() == nil {
		a.Flags = syscall.IFA_F_NODAD
	}
	s.must(s.netlink.AddrAdd(s.link(name), a))
}

// DelAddr takes an address away.
func (s *Space) DelAddr(name, prefix string) {
	s.t.Helper()
	s.must(s.netlink.AddrDel(s.link(name), &netlink.Addr{IPNet: ipNet(netip.MustParsePrefix(prefix))}))
}

// Route adds a route by a gateway.
func (s *Space) Route(prefix, via string) {
	s.t.Helper()
	s.must(s.netlink.RouteAdd(&netlink.Route{Dst: ipNet(netip.MustParsePrefix(prefix)), Gw: net.ParseIP(via)}))
}

// HasAddr and HasRoute say what the kernel has.
func (s *Space) HasAddr(name, prefix string) bool {
	s.t.Helper()
	all, err := s.netlink.AddrList(s.link(name), netlink.FAMILY_ALL)
	s.must(err)
	for _, a := range all {
		if a.IPNet.String() == netip.MustParsePrefix(prefix).String() {
			return true
		}
	}
	return false
}

// HasRoute says whether the main table has the route, by the gateway.
func (s *Space) HasRoute(prefix, via string) bool {
	s.t.Helper()
	family := netlink.FAMILY_V4
	if netip.MustParsePrefix(prefix).Addr().Is6() {
		family = netlink.FAMILY_V6
	}
	all, err := s.netlink.RouteList(nil, family)
	s.must(err)
	for _, r := range all {
		if r.Dst != nil && r.Dst.String() == prefix && r.Gw.Equal(net.ParseIP(via)) {
			return true
		}
	}
	return false
}

// Run runs a program in the namespace and returns its output.
func (s *Space) Run(name string, args ...string) string {
	s.t.Helper()
	var out []byte
	var err error
	s.Do(func() { out, err = exec.Command(name, args...).CombinedOutput() })
	if err != nil {
		s.t.Fatalf("namespace %s: %s %v: %v\n%s", s.Name, name, args, err, out)
	}
	return string(out)
}
