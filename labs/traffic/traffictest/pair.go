// Package traffictest makes a place for tests to send and receive in.
package traffictest

import (
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"grove/internal/testneed"
)

// Pair makes a network namespace with two interfaces that are joined, a (10.0.0.1, 2001:db8::1) and b (10.0.0.2,
// 2001:db8::2), and leaves the calling goroutine in it until the test ends. Needs root.
func Pair(t *testing.T) netns.NsHandle {
	t.Helper()
	testneed.Root(t)
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	space, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		space.Close()
		if err := netns.Set(home); err != nil {
			t.Error(err)
			return // the thread stays locked, and ends with its goroutine
		}
		home.Close()
		runtime.UnlockOSThread()
	})
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	updates, done := make(chan netlink.LinkUpdate, 64), make(chan struct{})
	check(netlink.LinkSubscribe(updates, done))
	defer close(done)
	check(netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "a"}, PeerName: "b"}))
	for name, addresses := range map[string][]string{"a": {"10.0.0.1/24", "2001:db8::1/64"}, "b": {"10.0.0.2/24", "2001:db8::2/64"}} {
		link, err := netlink.LinkByName(name)
		check(err)
		check(netlink.LinkSetUp(link))
		for _, text := range addresses {
			addr, err := netlink.ParseAddr(text)
			check(err)
			addr.Flags = 2 // IFA_F_NODAD: usable at once
			check(netlink.AddrAdd(link, addr))
		}
	}
	// Both ends are in one namespace: packets from our own address would be martians.
	for file, value := range map[string]string{"all/rp_filter": "0", "b/rp_filter": "0", "b/accept_local": "1"} {
		check(os.WriteFile("/proc/sys/net/ipv4/conf/"+file, []byte(value), 0o644))
	}
	// An interface drops what is sent until the kernel has seen its link.
	limit := time.After(10 * time.Second)
	for working := map[string]bool{}; !working["a"] || !working["b"]; {
		select {
		case u := <-updates:
			working[u.Attrs().Name] = u.Attrs().OperState == netlink.OperUp
		case <-limit:
			t.Fatal("the interfaces did not come up")
		}
	}
	return space
}
