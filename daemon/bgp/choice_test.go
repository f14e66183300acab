package bgp

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"grove/internal/engine"
	"grove/internal/rib"
)

// TestPreferred: each rule of RFC 4271, section 9.1.2.2 decides when those before it do not.
func TestPreferred(t *testing.T) {
	path := func(neighbor string, internal bool, as ...uint32) *engine.BGPPath {
		return &engine.BGPPath{Neighbor: netip.MustParseAddr(neighbor), Internal: internal, ASPath: as}
	}
	base := candidate{path: path("10.0.0.2", false, 65002, 65009), med: 10, pref: 100, id: 7, asPaths: 2, origin: 1}
	for _, test := range []struct {
		what   string
		better func(*candidate)
		worse  func(*candidate)
	}{
		{"local preference", func(c *candidate) { c.pref, c.asPaths = 101, 9 }, func(c *candidate) { c.pref, c.asPaths = 99, 1 }},
		{"length of the AS path", func(c *candidate) { c.asPaths, c.origin = 1, 2 }, func(c *candidate) { c.asPaths, c.origin = 3, 0 }},
		{"origin", func(c *candidate) { c.origin, c.med = 0, 20 }, func(c *candidate) { c.origin, c.med = 2, 0 }},
		{"MED of the same AS", func(c *candidate) { c.med, c.path = 9, path("10.0.0.9", true, 65002, 65001) },
			func(c *candidate) { c.med, c.path = 11, path("10.0.0.1", false, 65002, 65001) }},
		{"EBGP before IBGP, MED of another AS does not count", func(c *candidate) { c.med, c.id, c.path = 99, 6, path("10.0.0.9", false, 65003, 65001) },
			func(c *candidate) { c.med, c.id, c.path = 0, 1, path("10.0.0.1", true, 65003, 65001) }},
		{"identifier", func(c *candidate) { c.id, c.path = 6, path("10.0.0.9", false, 65002, 65009) },
			func(c *candidate) { c.id, c.path = 8, path("10.0.0.1", false, 65002, 65009) }},
		{"address", func(c *candidate) { c.path = path("10.0.0.1", false, 65002, 65009) }, func(c *candidate) { c.path = path("10.0.0.3", false, 65002, 65009) }},
	} {
		better, worse := base, base
		test.better(&better)
		test.worse(&worse)
		if preferred(better, base) >= 0 || preferred(base, better) <= 0 || preferred(base, worse) >= 0 || preferred(worse, base) <= 0 {
			t.Errorf("%s does not decide", test.what)
		}
	}
	if preferred(base, base) != 0 {
		t.Error("a route is preferred to itself")
	}
}

// ranking is the next hops of all routes to a prefix as they were told, the best first.
func (n *node) ranking(prefix string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	r, ok := n.multicast[netip.MustParsePrefix(prefix)]
	if !ok {
		return "none"
	}
	list := []string{r.Hops[0].Gateway.String()}
	for _, o := range r.Others {
		list = append(list, o.Hops[0].Gateway.String())
	}
	return strings.Join(list, " ")
}

const several = one + `  neighbors:
    - {address: 10.0.0.2, as: 65002, passive: true}
    - {address: 10.0.0.3, as: 65003, passive: true}
    - {address: 10.0.0.4, as: 65001, passive: true}
`

// TestOthers: what is told of a destination has the routes behind the best, in the order of preference, and follows all that befalls
// them: other attributes, a withdrawal, the end of a session or of a neighbor, another policy.
func TestOthers(t *testing.T) {
	n := start(t, several)
	const prefix = "10.9.0.0/16"
	ranking := func() string { return n.ranking(prefix) }
	route := func(next string, pref uint32, path ...uint32) offer {
		return offer{prefixes: []string{prefix}, multicast: true, med: -1, next: next, path: path, pref: pref}
	}
	second, third, inside := dial(t, manner{}), dial(t, manner{from: "10.0.0.3", as: 65003}), dial(t, manner{from: "10.0.0.4", as: 65001})
	third.announce(route("10.0.0.3", 0, 65003, 65008, 65009))
	n.becomes("one", "10.0.0.3", ranking)
	second.announce(route("10.0.0.2", 0, 65002))
	n.becomes("a better one", "10.0.0.2 10.0.0.3", ranking)
	inside.announce(route("10.7.7.7", 100, 65002, 65009))
	n.becomes("one between them", "10.0.0.2 10.7.7.7 10.0.0.3", ranking)
	third.announce(route("10.0.0.33", 0, 65003))
	n.becomes("the last is better now, and next", "10.0.0.2 10.0.0.33 10.7.7.7", ranking)
	inside.announce(route("10.7.7.8", 200, 65002, 65009))
	n.becomes("the inner one is preferred", "10.7.7.8 10.0.0.2 10.0.0.33", ranking)
	second.withdraw(route("10.0.0.2", 0))
	n.becomes("one in the middle is withdrawn", "10.7.7.8 10.0.0.33", ranking)
	second.announce(route("10.0.0.2", 0, 65002))
	n.becomes("and there again", "10.7.7.8 10.0.0.2 10.0.0.33", ranking)
	inside.hangUp()
	n.becomes("the best one's session ends", "10.0.0.2 10.0.0.33", ranking)
	n.configure(strings.Replace(several, "65003, passive: true", "65003, passive: true, import: none", 1) + "  policies: [{policy: none, action: reject}]\n")
	n.becomes("a policy rejects the second", "10.0.0.2", ranking)
	n.configure(several)
	n.becomes("and no more", "10.0.0.2 10.0.0.33", ranking)
	n.configure(strings.Replace(several, "    - {address: 10.0.0.3, as: 65003, passive: true}\n", "", 1))
	n.becomes("a neighbor is removed", "10.0.0.2", ranking)
	second.withdraw(route("10.0.0.2", 0))
	n.becomes("the last is withdrawn", "none", ranking)
	n.becomes("nothing is left", "0", func() string {
		n.server.paths.mu.Lock()
		defer n.server.paths.mu.Unlock()
		return fmt.Sprint(len(n.server.paths.destinations))
	})
}

// TestSecondNeighbor: with the second neighbor, that a new configuration brings, all routes count, those before it as well.
func TestSecondNeighbor(t *testing.T) {
	n := start(t, one+"  neighbors: [{address: 10.0.0.2, as: 65002, passive: true}]\n")
	dial(t, manner{}).announce(offer{prefixes: []string{"10.9.0.0/16", "10.8.0.0/16"}, multicast: true, med: -1})
	n.becomes("one neighbor", "10.0.0.2", func() string { return n.ranking("10.8.0.0/16") })
	n.configure(one + "  neighbors: [{address: 10.0.0.2, as: 65002, passive: true}, {address: 10.0.0.3, as: 65003, passive: true}]\n")
	third := dial(t, manner{from: "10.0.0.3", as: 65003})
	third.announce(offer{prefixes: []string{"10.9.0.0/16"}, multicast: true, med: -1, path: []uint32{65003, 65009}, next: "10.0.0.3"})
	n.becomes("a worse route", "10.0.0.2 10.0.0.3", func() string { return n.ranking("10.9.0.0/16") })
	third.announce(offer{prefixes: []string{"10.8.0.0/16"}, multicast: true, med: -1, path: []uint32{65003}, next: "10.0.0.3", origin: 2})
	n.becomes("another worse route", "10.0.0.2 10.0.0.3", func() string { return n.ranking("10.8.0.0/16") })
}

// TestNextHopUnreached: rib takes the second best route of BGP while the next hop of the best is not reached, in the place of a
// shorter prefix or of none.
func TestNextHopUnreached(t *testing.T) {
	m := startMRIB(t, several)
	t.Cleanup(m.server.Stop)
	now := time.Unix(0, 0)
	igp := func(to string, gone bool) engine.RouteChange {
		return engine.RouteChange{Prefix: netip.MustParsePrefix(to), Metric: 10, Origin: "ospf", Gone: gone,
			Hops: []engine.NextHop{{If: 1, Gateway: netip.MustParseAddr("10.0.0.77"), Weight: 1}}}
	}
	m.do(func(r *rib.Machine) {
		r.Step(now, igp("10.7.7.7/32", false))
		r.Step(now, engine.Track{From: engine.MachineID{Protocol: engine.PIMSM, Family: engine.IPv4}, Addr: netip.MustParseAddr("10.9.0.9")})
	})
	told := func(what, want string) {
		t.Helper()
		var seen []string
		end := time.After(30 * time.Second)
		for {
			select {
			case p := <-m.paths:
				text := "none"
				if len(p.Hops) > 0 {
					text = fmt.Sprintf("%v of %v by %v", p.Prefix, p.BGP.NextHop, p.Hops[0].Gateway)
				}
				if seen = append(seen, text); text == want {
					return
				}
			case <-end:
				t.Fatalf("%s: told %q, not %q", what, seen, want)
			}
		}
	}
	outside, inside := dial(t, manner{}), dial(t, manner{from: "10.0.0.4", as: 65001})
	outside.announce(offer{prefixes: []string{"10.0.0.0/8"}, multicast: true, med: -1})
	outside.announce(offer{prefixes: []string{"10.9.0.0/16"}, multicast: true, med: -1, path: []uint32{65002, 65009}})
	inside.announce(offer{prefixes: []string{"10.9.0.0/16"}, multicast: true, med: -1, pref: 200, path: []uint32{65009}, next: "10.7.7.7"})
	told("the best", "10.9.0.0/16 of 10.7.7.7 by 10.0.0.77")
	m.do(func(r *rib.Machine) { r.Step(now, igp("10.7.7.7/32", true)) })
	told("its next hop is not reached", "10.9.0.0/16 of 10.0.0.2 by 10.0.0.2")
	m.do(func(r *rib.Machine) { r.Step(now, igp("10.7.7.7/32", false)) })
	told("its next hop is reached", "10.9.0.0/16 of 10.7.7.7 by 10.0.0.77")
	m.do(func(r *rib.Machine) { r.Step(now, igp("10.7.7.7/32", true)) })
	told("its next hop is not reached again", "10.9.0.0/16 of 10.0.0.2 by 10.0.0.2")
	outside.withdraw(offer{prefixes: []string{"10.9.0.0/16"}, multicast: true})
	told("the second is withdrawn", "10.0.0.0/8 of 10.0.0.2 by 10.0.0.2")
}
