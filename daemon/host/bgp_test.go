package host

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"grove/daemon/bgp"
	"grove/daemon/config"
	"grove/daemon/nstest"
	"grove/internal/engine"
)

// TestUnicastOfBGP: the best unicast routes of BGP are in the kernel while they are learned, by the next best if the next hop is not
// reached, and follow the way to the next hop. What another daemon has there stays, and all go at the end.
func TestUnicastOfBGP(t *testing.T) {
	a, b := nstest.New(t, "a"), nstest.New(t, "b")
	nstest.Veth(a, "eth1", b, "eth1")
	r := run(t, a, "hostname: a\ninterfaces: {eth1: {addresses: [10.0.1.1/24]}}\n")
	eventually(t, 5*time.Second, "an address", func() bool { return a.HasAddr("eth1", "10.0.1.1/24") })
	do := func(f func()) {
		t.Helper()
		if err := r.call(context.Background(), f); err != nil {
			t.Fatal(err)
		}
	}
	// BGP itself would not run here: the process is in another namespace. What it tells is made up.
	do(func() { r.config.BGP = &config.BGP{InstallUnicast: true} })
	route := func(prefix string, next ...string) engine.MRIBRoute {
		hops := func(s string) []engine.NextHop { return []engine.NextHop{{Gateway: netip.MustParseAddr(s), Weight: 1}} }
		route := engine.MRIBRoute{Prefix: netip.MustParsePrefix(prefix), Gone: len(next) == 0}
		for i, n := range next {
			if i == 0 {
				route.Hops = hops(n)
			} else {
				route.Others = append(route.Others, engine.MRIBAlternative{Hops: hops(n)})
			}
		}
		return route
	}
	tell := func(routes ...engine.MRIBRoute) { t.Helper(); do(func() { r.hearBGP(bgp.News{Unicast: routes}) }) }
	becomes := func(what, prefix, via string) {
		t.Helper()
		eventually(t, 5*time.Second, what, func() bool {
			for _, gateway := range []string{"10.0.1.2", "10.0.1.3", "10.0.1.4"} {
				if a.HasRoute(prefix, gateway) != (gateway == via) {
					return false
				}
			}
			return true
		})
	}
	a.Run("ip", "route", "add", "10.3.0.0/16", "via", "10.0.1.4", "proto", "static", "metric", "20")
	tell(route("10.1.0.0/16", "10.0.1.2"), route("10.2.0.0/16", "10.255.0.9", "10.255.0.8", "10.0.1.3"), route("10.3.0.0/16", "10.0.1.2"))
	becomes("a next hop on the link", "10.1.0.0/16", "10.0.1.2")
	becomes("the first two are not reached", "10.2.0.0/16", "10.0.1.3")
	becomes("another daemon's route with our metric", "10.3.0.0/16", "10.0.1.4")
	a.Run("ip", "route", "add", "10.255.0.9/32", "via", "10.0.1.2")
	becomes("the first is reached", "10.2.0.0/16", "10.0.1.2")
	a.Run("ip", "route", "replace", "10.255.0.9/32", "via", "10.0.1.4")
	becomes("by another way", "10.2.0.0/16", "10.0.1.4")
	a.Run("ip", "route", "del", "10.255.0.9/32")
	becomes("not reached again", "10.2.0.0/16", "10.0.1.3")
	tell(route("10.1.0.0/16", "10.0.1.3"), route("10.2.0.0/16", "10.255.0.9"))
	becomes("another next hop", "10.1.0.0/16", "10.0.1.3")
	becomes("no way", "10.2.0.0/16", "")
	a.Run("ip", "route", "del", "10.1.0.0/16")
	becomes("somebody deletes it", "10.1.0.0/16", "10.0.1.3")
	tell(route("10.1.0.0/16"))
	becomes("withdrawn", "10.1.0.0/16", "")
	var many []engine.MRIBRoute
	for i := range 200 {
		many = append(many, route(fmt.Sprintf("20.0.%d.0/24", i), "10.0.1.2"))
	}
	tell(many...)
	becomes("many", "20.0.199.0/24", "10.0.1.2")
	r.stop()
	for _, prefix := range []string{"20.0.0.0/24", "20.0.199.0/24"} {
		if a.HasRoute(prefix, "10.0.1.2") {
			t.Errorf("%s is left in the kernel", prefix)
		}
	}
	if !a.HasRoute("10.3.0.0/16", "10.0.1.4") {
		t.Error("another daemon's route is gone")
	}
}

// TestRoutesLeftBehind: of the routes that a killed groved left those go that are not learned again: at once, or after the restart time.
func TestRoutesLeftBehind(t *testing.T) {
	a, b := nstest.New(t, "a"), nstest.New(t, "b")
	nstest.Veth(a, "eth1", b, "eth1")
	r := run(t, a, "hostname: a\ninterfaces: {eth1: {addresses: [10.0.1.1/24]}}\n")
	eventually(t, 5*time.Second, "an address", func() bool { return a.HasAddr("eth1", "10.0.1.1/24") })
	do := func(f func()) {
		t.Helper()
		if err := r.call(context.Background(), f); err != nil {
			t.Fatal(err)
		}
	}
	has := func(prefix string) bool { return a.HasRoute(prefix, "10.0.1.2") }
	leave := func(cfg *config.BGP) {
		t.Helper()
		for _, prefix := range []string{"10.1.0.0/16", "10.2.0.0/16"} {
			a.Run("ip", "route", "replace", prefix, "via", "10.0.1.2", "proto", "bgp", "metric", "20")
		}
		eventually(t, 5*time.Second, "the routes are known", func() bool {
			known := 0
			do(func() { known = len(r.view.routes[routeKey{netip.MustParsePrefix("10.2.0.0/16"), bgpMetric}]) })
			return known == 1
		})
		do(func() {
			r.config.BGP = cfg
			r.adoptUnicast(time.Now())
		})
	}
	leave(&config.BGP{InstallUnicast: false})
	do(func() {
		if len(r.bgp.left) != 0 {
			t.Errorf("without install-unicast %d routes are taken for ours", len(r.bgp.left))
		}
	})
	leave(&config.BGP{InstallUnicast: true, GracefulRestart: true, RestartTime: time.Hour})
	do(func() {
		r.hearBGP(bgp.News{Unicast: []engine.MRIBRoute{{
			Prefix: netip.MustParsePrefix("10.1.0.0/16"), Hops: []engine.NextHop{{Gateway: netip.MustParseAddr("10.0.1.2"), Weight: 1}},
		}}})
		if len(r.bgp.left) != 1 || !r.bgp.left[netip.MustParsePrefix("10.2.0.0/16")] {
			t.Errorf("after one is learned %v are left", r.bgp.left)
		}
	})
	if !has("10.1.0.0/16") || !has("10.2.0.0/16") {
		t.Error("a route is gone before the restart time")
	}
	do(func() { r.bgp.sweep = time.Now() }) // the restart time is over
	eventually(t, 5*time.Second, "what is not learned goes", func() bool { return has("10.1.0.0/16") && !has("10.2.0.0/16") })
	leave(&config.BGP{InstallUnicast: true})
	eventually(t, 5*time.Second, "at once without graceful restart", func() bool { return !has("10.2.0.0/16") })
}
