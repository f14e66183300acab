package bgp

import (
	"testing"

	"grove/daemon/bgp/show"
)

// TestRoutes: the answers about a table: all of it, one prefix, the longest prefix that an address is in; and what is no question.
func TestRoutes(t *testing.T) {
	n := start(t, one+`  neighbors:
    - {address: 10.0.0.2, as: 65002, passive: true}
    - {address: 10.0.0.3, as: 65001, passive: true}
  networks: [{prefix: 10.5.0.0/16, into: [multicast], communities: [no-export]}]
`)
	outside, inside := dial(t, manner{}), dial(t, manner{from: "10.0.0.3", as: 65001})
	outside.announce(offer{prefixes: []string{"10.1.0.0/16", "10.1.128.0/17"}, multicast: true, med: 0})
	inside.announce(offer{prefixes: []string{"10.1.0.0/16"}, multicast: true, med: 3, pref: 90, path: []uint32{65004}, next: "10.0.0.3", origin: 2})
	const (
		best, second = "10.1.0.0/16 via 10.0.0.2 path 65002 med 0", "10.1.0.0/16 via 10.0.0.3 path 65004 pref 90 med 3 not best"
		long         = "10.1.128.0/17 via 10.0.0.2 path 65002 med 0"
		ours         = "10.5.0.0/16 ours no-export"
	)
	for _, test := range []struct{ ask, want string }{
		{"ipv4-multicast", best + "\n" + second + "\n" + long + "\n" + ours},
		{"ipv4-multicast 10.1.0.0/16", best + "\n" + second},
		{"ipv4-multicast 10.1.200.1", long},
		{"ipv4-multicast 10.1.1.1", best + "\n" + second},
		{"ipv4-multicast 10.6.0.1", ""},
		{"ipv4-multicast 10.1.0.0/15", ""},
		{"ipv4-unicast", ""},
		{"ipv6-multicast", ""},
	} {
		n.becomes(test.ask, test.want, func() string { return n.table(test.ask) })
	}
	for _, ask := range []struct{ what, arg string }{
		{"routes", ""}, {"routes", "ipv4"}, {"routes", "ipv4-multicast 10.1.0.0/33"}, {"routes", "ipv4-multicast x"}, {"routes", "ipv4-multicast 10.1.0.0/16 more"},
		{"neighbors", "10.0.0.9"}, {"neighbors", "x"}, {"else", ""},
	} {
		if answer, err := n.server.Query(ask.what, ask.arg); err == nil {
			t.Errorf("%s %q is answered: %v", ask.what, ask.arg, answer)
		}
	}
}

// TestSummary: the neighbors in order, and of each family whether both have it and how many routes there are.
func TestSummary(t *testing.T) {
	n := start(t, one+`  neighbors:
    - {address: 10.0.0.4, as: 65004, passive: true}
    - {address: 10.0.0.2, as: 65002, passive: true, import: in}
  networks: [{prefix: 10.5.0.0/16, into: [multicast]}]
  policies: [{policy: in, prefixes: [10.1.0.0/16], action: accept}]
`)
	far := dial(t, manner{families: ipv4Families[1:]})
	far.announce(offer{prefixes: []string{"10.1.0.0/16", "10.2.0.0/16"}, multicast: true, med: -1})
	far.hears("our network, and not its own", "ipv4-multicast 10.5.0.0/16 next 10.0.0.1 IGP path 65001")
	n.becomes("the route", "10.1.0.0/16 via 10.0.0.2", n.told)
	answer, err := n.server.Query("summary", "")
	if err != nil {
		t.Fatal(err)
	}
	s := answer.(show.Summary)
	if s.AS != 65001 || s.RouterID.String() != "10.0.0.1" || len(s.Neighbors) != 2 {
		t.Fatalf("summary: %+v", s)
	}
	up, down := s.Neighbors[0], s.Neighbors[1]
	if up.Address.String() != "10.0.0.2" || up.State != "Established" || up.Import != "in" || !up.Passive {
		t.Errorf("first neighbor: %+v", up)
	}
	if down.Address.String() != "10.0.0.4" || down.State == "Established" || down.Uptime != 0 {
		t.Errorf("second neighbor: %+v", down)
	}
	want := []show.Family{
		{Name: "ipv4-unicast"},
		{Name: "ipv4-multicast", Negotiated: true, Received: 2, Accepted: 1, Advertised: 1},
	}
	if len(up.Families) != 2 || up.Families[0] != want[0] || up.Families[1] != want[1] {
		t.Errorf("families:\ngot  %+v\nwant %+v", up.Families, want)
	}
}
