package bgp

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
)

// pathText is what was told of the multicast route to a prefix.
func (n *node) pathText(prefix string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	r, ok := n.multicast[netip.MustParsePrefix(prefix)]
	if !ok {
		return "none"
	}
	return fmt.Sprintf("hop %v metric %d next %v neighbor %v internal %v path %v",
		r.Hops[0].Gateway, r.Metric, r.BGP.NextHop, r.BGP.Neighbor, r.BGP.Internal, r.BGP.ASPath)
}

// TestFeed: what is told of a route, what its changes are, and that all routes of a session go with it.
func TestFeed(t *testing.T) {
	n := start(t, one+`  neighbors:
    - {address: 10.0.0.2, as: 65002, passive: true}
    - {address: 10.0.0.3, as: 65001, passive: true}
`)
	outside, inside := dial(t, manner{}), dial(t, manner{from: "10.0.0.3", as: 65001})
	of := func(prefix string) func() string { return func() string { return n.pathText(prefix) } }

	outside.announce(offer{prefixes: []string{"10.1.0.0/16", "10.2.0.0/16"}, multicast: true, med: 4, path: []uint32{65002, 4200000000}, set: []uint32{65009}, next: "10.0.0.77"})
	const first = "hop 10.0.0.77 metric 4 next 10.0.0.77 neighbor 10.0.0.2 internal false path [65002 4200000000]"
	n.becomes("a route of EBGP, without the AS set", first, of("10.1.0.0/16"))
	n.becomes("another of the UPDATE", first, of("10.2.0.0/16"))
	n.mu.Lock()
	if a, b := n.multicast[netip.MustParsePrefix("10.1.0.0/16")], n.multicast[netip.MustParsePrefix("10.2.0.0/16")]; a.BGP != b.BGP {
		t.Error("routes of one UPDATE do not share what they have in common")
	}
	n.mu.Unlock()

	inside.announce(offer{prefixes: []string{"10.3.0.0/16"}, multicast: true, med: -1, pref: 100, path: []uint32{}, next: "10.7.7.7"})
	n.becomes("a route of IBGP that begins in our AS", "hop 10.7.7.7 metric 0 next 10.7.7.7 neighbor 10.0.0.3 internal true path []", of("10.3.0.0/16"))
	inside.announce(offer{prefixes: []string{"10.1.0.0/16"}, multicast: true, med: -1, pref: 200, path: []uint32{65004}, next: "10.7.7.7"})
	n.becomes("a better route", "hop 10.7.7.7 metric 0 next 10.7.7.7 neighbor 10.0.0.3 internal true path [65004]", of("10.1.0.0/16"))
	inside.withdraw(offer{prefixes: []string{"10.1.0.0/16"}, multicast: true})
	n.becomes("it is withdrawn", first, of("10.1.0.0/16"))
	outside.announce(offer{prefixes: []string{"10.1.0.0/16"}, multicast: true, med: 5})
	n.becomes("other attributes", "hop 10.0.0.2 metric 5 next 10.0.0.2 neighbor 10.0.0.2 internal false path [65002]", of("10.1.0.0/16"))
	outside.withdraw(offer{prefixes: []string{"10.1.0.0/16"}, multicast: true})
	n.becomes("the last is withdrawn", "none", of("10.1.0.0/16"))

	outside.announce(offer{prefixes: []string{"10.4.0.0/16"}, med: -1})
	n.becomes("a unicast route", "1", func() string {
		n.mu.Lock()
		defer n.mu.Unlock()
		return fmt.Sprint(len(n.unicast))
	})
	if got := n.pathText("10.4.0.0/16"); got != "none" {
		t.Errorf("a unicast route was told as a multicast route: %s", got)
	}
	outside.hangUp()
	n.becomes("without the session", "10.3.0.0/16 via 10.7.7.7", n.told)
	n.becomes("no unicast route", "0", func() string {
		n.mu.Lock()
		defer n.mu.Unlock()
		return fmt.Sprint(len(n.unicast))
	})
	n.becomes("the session's end", "Idle", func() string {
		states := n.sessionStates("10.0.0.2")
		return states[len(states)-1]
	})
	states := n.sessionStates("10.0.0.2")
	up := 0
	for i, s := range states {
		if s == "Established" {
			up++
			if i == 0 || states[i-1] != "OpenConfirm" {
				t.Errorf("Established follows upon %v", states[:i])
			}
		}
	}
	if up != 1 {
		t.Errorf("the session's states: %v", states)
	}
}

// TestFeedIPv6: a next hop of IPv6 with a link-local one beside it (RFC 2545) is the global one.
func TestFeedIPv6(t *testing.T) {
	n := start(t, `  as: 65001
  router-id: 10.0.0.1
  listen: ["2001:db8::1"]
  neighbors: [{address: "2001:db8::2", as: 65002, passive: true}]
`)
	far := dial(t, manner{from: "2001:db8::2", to: "2001:db8::1", families: []bgp.Family{bgp.RF_IPv6_UC, bgp.RF_IPv6_MC}})
	nlri, err := bgp.NewIPAddrPrefix(netip.MustParsePrefix("2001:db8:9::/48"))
	if err != nil {
		t.Fatal(err)
	}
	reach, err := bgp.NewPathAttributeMpReachNLRI(bgp.RF_IPv6_MC, []bgp.PathNLRI{{NLRI: nlri}},
		netip.MustParseAddr("2001:db8::2"), netip.MustParseAddr("fe80::2"))
	if err != nil {
		t.Fatal(err)
	}
	as := bgp.NewAs4PathParam(bgp.BGP_ASPATH_ATTR_TYPE_SEQ, []uint32{65002})
	if err := far.write(bgp.NewBGPUpdateMessage(nil, []bgp.PathAttributeInterface{
		bgp.NewPathAttributeOrigin(0), bgp.NewPathAttributeAsPath([]bgp.AsPathParamInterface{as}), reach,
	}, nil)); err != nil {
		t.Fatal(err)
	}
	n.becomes("the route", "hop 2001:db8::2 metric 0 next 2001:db8::2 neighbor 2001:db8::2 internal false path [65002]",
		func() string { return n.pathText("2001:db8:9::/48") })
}

// TestLoops: a route with our AS in its path is not taken (RFC 4271, section 9.1.2).
func TestLoops(t *testing.T) {
	n := start(t, one+"  neighbors: [{address: 10.0.0.2, as: 65002, passive: true}]\n")
	far := dial(t, manner{})
	far.announce(offer{prefixes: []string{"10.1.0.0/16"}, multicast: true, med: -1, path: []uint32{65002, 65001, 65003}})
	far.announce(offer{prefixes: []string{"10.2.0.0/16"}, multicast: true, med: -1})
	n.becomes("the one without a loop", "10.2.0.0/16 via 10.0.0.2", n.told)
}

// TestMalformedUpdate: an UPDATE whose attributes are wrong withdraws its routes and leaves the session and the other routes alone
// (RFC 7606).
func TestMalformedUpdate(t *testing.T) {
	n := start(t, one+"  neighbors: [{address: 10.0.0.2, as: 65002, passive: true}]\n")
	far := dial(t, manner{})
	far.announce(offer{prefixes: []string{"10.1.0.0/16", "10.2.0.0/16"}, multicast: true, med: -1})
	n.becomes("two routes", "10.1.0.0/16 via 10.0.0.2\n10.2.0.0/16 via 10.0.0.2", n.told)
	// A MED of three bytes (RFC 7606, section 7.4: treat as withdraw).
	far.announce(offer{prefixes: []string{"10.1.0.0/16"}, multicast: true, med: -1, raw: []bgp.PathAttributeInterface{
		bgp.NewPathAttributeUnknown(bgp.BGP_ATTR_FLAG_OPTIONAL, bgp.BGP_ATTR_TYPE_MULTI_EXIT_DISC, []byte{1, 2, 3}),
	}})
	n.becomes("one is withdrawn", "10.2.0.0/16 via 10.0.0.2", n.told)
	if got := n.neighbor("10.0.0.2"); got.State != "Established" || got.Flaps != 0 {
		t.Errorf("the session is %s, ended %d times", got.State, got.Flaps)
	}
}

// TestStop: after Stop nothing is told any more, even while routes come in.
func TestStop(t *testing.T) {
	n := start(t, one+"  neighbors: [{address: 10.0.0.2, as: 65002, passive: true}]\n")
	far := dial(t, manner{})
	far.announce(offer{prefixes: []string{"10.1.0.0/16"}, multicast: true, med: -1})
	n.becomes("a route", "10.1.0.0/16 via 10.0.0.2", n.told)
	n.stop()
	n.mu.Lock()
	told := n.changed
	n.mu.Unlock()
	if end := far.ended(); end != "6/3" && end != "" { // GoBGP may close the connection before it has sent the Cease
		t.Errorf("the session ended with %q, not with a Cease", end)
	}
	select {
	case <-told:
		t.Error("told after Stop")
	default:
	}
}
