package host

import (
	"strings"
	"testing"
	"time"

	"grove/daemon/nstest"
	"grove/internal/engine"
)

// Interfaces come after the routers have started, go down, are deleted and made again; the neighbors follow each time. At
// the end one says goodbye.
func TestNeighborsComeAndGo(t *testing.T) {
	t.Parallel()
	a, b := nstest.New(t, "a"), nstest.New(t, "b")
	file := func(n string) string {
		return "time-scale: 10\ninterfaces: {eth1: {addresses: [10.0.1." + n + "/24], pim: {}, pim6: {}}}"
	}
	r1, r2 := run(t, a, file("1")), run(t, b, file("2"))
	nstest.Veth(a, "eth1", b, "eth1")
	is := func(family engine.Family, state string) func(string, engine.Transition) bool {
		return func(ifc string, tr engine.Transition) bool {
			return tr.From.Family == family && ifc == "eth1" && tr.Entity == "neighbor" && tr.New == state
		}
	}
	up := func(what string) {
		t.Helper()
		r1.transitions(what, is(engine.IPv4, "up"), is(engine.IPv6, "up"))
		r2.transitions(what, is(engine.IPv4, "up"), is(engine.IPv6, "up"))
	}
	up("the late interface")
	a.Down("eth1")
	r1.transition("the link is down", is(engine.IPv4, "down"))
	a.Up("eth1")
	r1.transition("the link is up again", is(engine.IPv4, "up"))
	r2.transition("the link is up again", is(engine.IPv4, "up")) // or it would be taken for one of what follows
	a.Delete("eth1")
	r1.transition("the interface is gone", is(engine.IPv4, "down"))
	nstest.Veth(a, "eth1", b, "eth1")
	up("the interface is there again")
	for _, proc := range []string{"/proc/net/ip_mr_vif", "/proc/net/ip6_mr_vif"} {
		if vifs := a.Run("cat", proc); strings.Count(vifs, "eth1") != 1 {
			t.Errorf("%s:\n%s", proc, vifs)
		}
	}

	// Renamed, with the same index: an interface that the configuration does not name; and back.
	a.Rename("eth1", "wan")
	r1.transition("another interface", is(engine.IPv4, "down"))
	a.Rename("wan", "eth1")
	up4 := is(engine.IPv4, "up")
	r1.transition("the name is back", up4)
	r2.transition("the name is back", up4)

	start := time.Now()
	r1.stop()
	bye := r2.transition("goodbye", is(engine.IPv4, "down"))
	if !strings.Contains(bye.Cause, "holdtime 0") || time.Since(start) > 5*time.Second {
		t.Errorf("%+v after %v", bye, time.Since(start))
	}
}
