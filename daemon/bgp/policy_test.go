package bgp

import (
	"fmt"
	"strings"
	"testing"

	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
)

// one is a router of AS 65001 with a neighbor at 10.0.0.2, which connects to it.
const one = `  as: 65001
  router-id: 10.0.0.1
  listen: [10.0.0.1]
`

// TestImportPolicy: rules on what a neighbor of EBGP announces.
func TestImportPolicy(t *testing.T) {
	offers := []offer{
		{prefixes: []string{"10.1.0.0/16"}, med: -1},
		{prefixes: []string{"10.1.128.0/17", "10.1.1.0/24", "10.1.1.128/25"}, multicast: true, med: 5},
		{prefixes: []string{"10.2.0.0/16"}, multicast: true, med: -1, communities: []string{"65002:1", "65002:2"}},
		{prefixes: []string{"10.3.0.0/16"}, multicast: true, med: -1, path: []uint32{65002, 65003, 165003}},
		{prefixes: []string{"10.4.0.0/16"}, multicast: true, med: -1, path: []uint32{65002, 65030}, communities: []string{"no-export"}},
	}
	const (
		unicast = "10.1.0.0/16 via 10.0.0.2 path 65002"
		long    = "10.1.1.0/24 via 10.0.0.2 path 65002 med 5"
		longer  = "10.1.1.128/25 via 10.0.0.2 path 65002 med 5"
		short   = "10.1.128.0/17 via 10.0.0.2 path 65002 med 5"
		two     = "10.2.0.0/16 via 10.0.0.2 path 65002 65002:1 65002:2"
		three   = "10.3.0.0/16 via 10.0.0.2 path 65002 65003 165003"
		four    = "10.4.0.0/16 via 10.0.0.2 path 65002 65030 no-export"
	)
	for _, test := range []struct {
		name      string
		rules     []string
		unicast   []string
		multicast []string
	}{
		{"no policy", nil, []string{unicast}, []string{long, longer, short, two, three, four}},
		{"what no rule matches is rejected", []string{"{policy: in, prefixes: [10.2.0.0/16], action: accept}"}, nil, []string{two}},
		{"a prefix is that prefix alone", []string{"{policy: in, prefixes: [10.1.0.0/16], action: accept}"}, []string{unicast}, nil},
		{"le", []string{"{policy: in, prefixes: [10.1.0.0/16 le 24], action: accept}"}, []string{unicast}, []string{long, short}},
		{"ge", []string{"{policy: in, prefixes: [10.1.0.0/16 ge 24], action: accept}"}, nil, []string{long, longer}},
		{"ge and le", []string{`{policy: in, prefixes: ["10.0.0.0/8 ge 17 le 24"], action: accept}`}, nil, []string{long, short}},
		{"several prefixes", []string{`{policy: in, prefixes: [10.3.0.0/16, 10.1.1.0/24], action: accept}`}, nil, []string{long, three}},
		{"a family", []string{"{policy: in, families: [ipv4-unicast], action: accept}"}, []string{unicast}, nil},
		{"the other family", []string{"{policy: in, families: [ipv4-multicast], prefixes: [10.0.0.0/8 le 16], action: accept}"}, nil, []string{two, three, four}},
		{"one of the communities", []string{`{policy: in, communities: ["65002:9", "65002:2"], action: accept}`}, nil, []string{two}},
		{"a community by name", []string{`{policy: in, communities: [no-export], action: accept}`}, nil, []string{four}},
		{"a community that none has", []string{`{policy: in, communities: ["5002:1"], action: accept}`}, nil, nil},
		{"an AS anywhere in the path", []string{`{policy: in, as-path: _65003_, action: accept}`}, nil, []string{three}},
		{"the AS at the end of the path", []string{`{policy: in, as-path: "_65030$", action: accept}`}, nil, []string{four}},
		{"the whole path", []string{`{policy: in, as-path: ^65002$, action: accept}`}, []string{unicast}, []string{long, longer, short, two}},
		{"all conditions must hold", []string{`{policy: in, as-path: ^65002$, prefixes: [10.0.0.0/8 le 17], communities: ["65002:1"], action: accept}`}, nil, []string{two}},
		{"the first that matches decides", []string{
			"{policy: in, prefixes: [10.2.0.0/15 le 32], action: reject}",
			"{policy: in, families: [ipv4-multicast], prefixes: [10.0.0.0/8 le 17], action: accept}",
		}, nil, []string{short, four}},
		{"the local preference, the MED and communities are set", []string{
			`{policy: in, prefixes: [10.2.0.0/16], action: accept, local-preference: 70, med: 0, add-communities: ["65001:3"]}`,
			`{policy: in, prefixes: [10.3.0.0/16], action: accept, local-preference: 4294967295}`,
		}, nil, []string{"10.2.0.0/16 via 10.0.0.2 path 65002 pref 70 med 0 65002:1 65002:2 65001:3", three + " pref 4294967295"}},
		{"communities are removed", []string{`{policy: in, prefixes: [10.2.0.0/16], action: accept, remove-communities: ["65002:1"]}`}, nil,
			[]string{strings.Replace(two, " 65002:1", "", 1)}},
		{"communities are added and removed", []string{
			`{policy: in, prefixes: [10.2.0.0/16], action: accept, add-communities: ["65001:7"], remove-communities: ["65002:1", "65002:2"]}`,
		}, nil, []string{"10.2.0.0/16 via 10.0.0.2 path 65002 65001:7"}},
		{"next goes on with what was set", []string{
			`{policy: in, prefixes: [10.2.0.0/16], action: next, local-preference: 70}`,
			`{policy: in, communities: ["65002:2"], action: next, med: 8}`,
			`{policy: in, prefixes: [10.2.0.0/15 le 16], action: accept, remove-communities: ["65002:1"]}`,
		}, nil, []string{"10.2.0.0/16 via 10.0.0.2 path 65002 pref 70 med 8 65002:2", three}},
		{"the AS path is made longer", []string{`{policy: in, prefixes: [10.2.0.0/16], action: accept, prepend: 2}`}, nil,
			[]string{"10.2.0.0/16 via 10.0.0.2 path 65001 65001 65002 65002:1 65002:2"}},
		{"another policy does not count", []string{
			"{policy: other, action: accept}",
			"{policy: in, prefixes: [10.2.0.0/16], action: accept}",
			"{policy: other, prefixes: [10.2.0.0/16], action: reject}",
		}, nil, []string{two}},
	} {
		t.Run(test.name, func(t *testing.T) {
			section := one + "  neighbors: [{address: 10.0.0.2, as: 65002, passive: true"
			if test.rules != nil {
				section += ", import: in"
			}
			section += "}]\n"
			if test.rules != nil {
				section += "  policies:\n    - " + strings.Join(test.rules, "\n    - ") + "\n"
			}
			n := start(t, section)
			far := dial(t, manner{})
			for _, o := range offers {
				far.announce(o)
			}
			n.becomes("the neighbor's routes are taken", "6", func() string { return received(n, "10.0.0.2", "ipv4-multicast") })
			n.becomes("unicast routes", strings.Join(test.unicast, "\n"), func() string { return n.table("ipv4-unicast") })
			n.becomes("multicast routes", strings.Join(test.multicast, "\n"), func() string { return n.table("ipv4-multicast") })
		})
	}
}

// TestExportPolicy: rules on what a neighbor is told, of EBGP and of IBGP.
func TestExportPolicy(t *testing.T) {
	const networks = `  networks:
    - {prefix: 10.1.0.0/16, into: [multicast], med: 3, communities: ["65001:1"]}
    - {prefix: 10.2.0.0/16, into: [multicast]}
`
	const (
		one   = "ipv4-multicast 10.1.0.0/16 next 10.0.0.1 IGP path 65001 med 3 65001:1"
		two   = "ipv4-multicast 10.2.0.0/16 next 10.0.0.1 IGP path 65001"
		three = "ipv4-multicast 10.3.0.0/16 next 10.0.0.1 IGP path 65001 65003"
	)
	inside := func(route, pref string) string { // the AS path without ours
		return strings.NewReplacer("path 65001 65003", "path 65003", "path 65001", "path ").Replace(route) + pref
	}
	for _, test := range []struct {
		name     string
		internal bool
		rules    []string
		want     []string
	}{
		{"no policy", false, nil, []string{one, two, three}},
		{"no policy, IBGP", true, nil, []string{
			"ipv4-multicast 10.1.0.0/16 next 10.0.0.1 IGP path  med 3 pref 100 65001:1",
			inside(two, " pref 100"), strings.Replace(inside(three, " pref 100"), "10.0.0.1", "10.0.0.3", 1),
		}},
		{"what no rule matches is rejected", false, []string{"{policy: out, prefixes: [10.2.0.0/15 le 16], action: accept}"}, []string{two, three}},
		{"communities", false, []string{`{policy: out, communities: ["65001:1"], action: accept, add-communities: [no-export], remove-communities: ["65001:1"]}`},
			[]string{strings.Replace(one, "65001:1", "no-export", 1)}},
		{"AS path", false, []string{`{policy: out, as-path: "_65003$", action: accept, prepend: 2}`},
			[]string{strings.Replace(three, "65001", "65001 65001 65001", 1)}},
		{"MED", false, []string{`{policy: out, action: accept, med: 9}`}, []string{
			strings.Replace(one, "med 3", "med 9", 1), two + " med 9", three + " med 9",
		}},
		{"local preference within the domain", true, []string{`{policy: out, prefixes: [10.2.0.0/16], action: accept, local-preference: 300}`},
			[]string{inside(two, " pref 300")}},
		{"no local preference outside of the domain", false, []string{`{policy: out, prefixes: [10.2.0.0/16], action: accept, local-preference: 300}`},
			[]string{two}},
	} {
		t.Run(test.name, func(t *testing.T) {
			as, number := "65002", uint32(65002)
			if test.internal {
				as, number = "65001", 65001
			}
			section := strings.ReplaceAll(`  as: 65001
  router-id: 10.0.0.1
  listen: [10.0.0.1]
  neighbors:
    - {address: 10.0.0.2, as: AS, passive: true, POLICY}
    - {address: 10.0.0.3, as: 65003, passive: true}
`, "AS", as) + networks
			if test.rules != nil {
				section = strings.ReplaceAll(section, "POLICY", "export: out") + "  policies:\n    - " + strings.Join(test.rules, "\n    - ") + "\n"
			} else {
				section = strings.ReplaceAll(section, ", POLICY", "")
			}
			n := start(t, section)
			third := dial(t, manner{from: "10.0.0.3", as: 65003})
			third.announce(offer{prefixes: []string{"10.3.0.0/16"}, multicast: true, next: "10.0.0.3", path: []uint32{65003}, med: -1})
			n.becomes("three routes", "3", func() string { return lines(n.table("ipv4-multicast")) })
			far := dial(t, manner{as: number})
			far.hears("what is told", test.want...)
		})
	}
}

func lines(s string) string {
	if s == "" {
		return "0"
	}
	return fmt.Sprint(strings.Count(s, "\n") + 1)
}

// TestLocalPreference: of two neighbors' routes that serves to which the import policy gives the higher local preference,
// though its AS path is longer. Another policy is applied without a new session.
func TestLocalPreference(t *testing.T) {
	section := one + `  neighbors:
    - {address: 10.0.0.2, as: 65002, passive: true, import: near}
    - {address: 10.0.0.3, as: 65003, passive: true, import: far}
  policies:
    - {policy: near, action: accept, local-preference: 50}
    - {policy: far, action: accept, local-preference: FAR}
`
	n := start(t, strings.ReplaceAll(section, "FAR", "60"))
	near, far := dial(t, manner{}), dial(t, manner{from: "10.0.0.3", as: 65003})
	near.announce(offer{prefixes: []string{"10.9.0.0/16"}, multicast: true, med: -1})
	far.announce(offer{prefixes: []string{"10.9.0.0/16"}, multicast: true, med: -1, next: "10.0.0.3", path: []uint32{65003, 65004}})
	n.becomes("the higher preference", "10.9.0.0/16 via 10.0.0.3", n.told)
	n.configure(strings.ReplaceAll(section, "FAR", "40"))
	n.becomes("the other one, by another policy", "10.9.0.0/16 via 10.0.0.2", n.told)
	n.becomes("both are there", "10.9.0.0/16 via 10.0.0.2 path 65002 pref 50\n10.9.0.0/16 via 10.0.0.3 path 65003 65004 pref 40 not best",
		func() string { return n.table("ipv4-multicast") })
	for _, a := range []string{"10.0.0.2", "10.0.0.3"} {
		if got := n.neighbor(a); got.State != "Established" || got.Flaps != 0 {
			t.Errorf("after another policy the session with %s is %s, ended %d times", a, got.State, got.Flaps)
		}
	}
}

// TestExportPolicyChanges: what a changed export policy rejects is withdrawn, and what it accepts is told, in the same session.
func TestExportPolicyChanges(t *testing.T) {
	section := one + `  neighbors: [{address: 10.0.0.2, as: 65002, passive: true, export: out}]
  networks: [{prefix: 10.1.0.0/16, into: [multicast]}, {prefix: 10.2.0.0/16, into: [multicast]}]
  policies: [{policy: out, prefixes: [PREFIX], action: accept}]
`
	n := start(t, strings.ReplaceAll(section, "PREFIX", "10.1.0.0/16"))
	far := dial(t, manner{})
	far.hears("the first network", "ipv4-multicast 10.1.0.0/16 next 10.0.0.1 IGP path 65001")
	n.configure(strings.ReplaceAll(section, "PREFIX", "10.2.0.0/16"))
	far.hears("the second instead", "ipv4-multicast 10.2.0.0/16 next 10.0.0.1 IGP path 65001")
	if got := n.neighbor("10.0.0.2"); got.State != "Established" || got.Flaps != 0 {
		t.Errorf("after another policy the session is %s, ended %d times", got.State, got.Flaps)
	}
}

// TestIPv6Policy: a rule with prefixes of both families is applied to each.
func TestIPv6Policy(t *testing.T) {
	n := start(t, `  as: 65001
  router-id: 10.0.0.1
  listen: [10.0.0.1, "2001:db8::1"]
  neighbors:
    - {address: 10.0.0.2, as: 65002, passive: true, import: in}
    - {address: "2001:db8::2", as: 65002, passive: true, import: in}
  policies: [{policy: in, prefixes: [10.0.0.0/8 le 16, "2001:db8:100::/40 ge 48 le 64"], action: accept, local-preference: 70}]
`)
	four := dial(t, manner{})
	four.announce(offer{prefixes: []string{"10.1.0.0/16", "10.1.1.0/24"}, multicast: true, med: -1})
	six := dial(t, manner{from: "2001:db8::2", to: "2001:db8::1", families: []bgp.Family{bgp.RF_IPv6_UC, bgp.RF_IPv6_MC}})
	six.announce(offer{prefixes: []string{"2001:db8:100::/40", "2001:db8:101::/48", "2001:db8:201::/48"}, multicast: true, med: -1})
	n.becomes("IPv4", "10.1.0.0/16 via 10.0.0.2 path 65002 pref 70", func() string { return n.table("ipv4-multicast") })
	n.becomes("IPv6", "2001:db8:101::/48 via 2001:db8::2 path 65002 pref 70", func() string { return n.table("ipv6-multicast") })
}

// TestNextHopSelf: a neighbor of IBGP is told our address as the next hop of what EBGP brought, if that is configured.
func TestNextHopSelf(t *testing.T) {
	n := start(t, one+`  neighbors:
    - {address: 10.0.0.2, as: 65002, passive: true}
    - {address: 10.0.0.3, as: 65001, passive: true}
    - {address: 10.0.0.4, as: 65001, passive: true, next-hop-self: true}
`)
	dial(t, manner{}).announce(offer{prefixes: []string{"10.9.0.0/16"}, multicast: true, med: -1})
	n.becomes("the route", "10.9.0.0/16 via 10.0.0.2", n.told)
	dial(t, manner{from: "10.0.0.3", as: 65001}).hears("as it came", "ipv4-multicast 10.9.0.0/16 next 10.0.0.2 IGP path 65002 pref 100")
	dial(t, manner{from: "10.0.0.4", as: 65001}).hears("with our address", "ipv4-multicast 10.9.0.0/16 next 10.0.0.1 IGP path 65002 pref 100")
}

// TestRouteReflection: a route of IBGP is told to other neighbors of IBGP if one of the two is a client.
func TestRouteReflection(t *testing.T) {
	n := start(t, one+`  neighbors:
    - {address: 10.0.0.2, as: 65001, passive: true, route-reflector-client: true}
    - {address: 10.0.0.3, as: 65001, passive: true}
    - {address: 10.0.0.4, as: 65001, passive: true}
`)
	client, other, third := dial(t, manner{as: 65001}), dial(t, manner{from: "10.0.0.3", as: 65001}), dial(t, manner{from: "10.0.0.4", as: 65001})
	client.announce(offer{prefixes: []string{"10.9.0.0/16"}, multicast: true, med: -1, pref: 100, path: []uint32{65009}})
	other.announce(offer{prefixes: []string{"10.8.0.0/16"}, multicast: true, med: -1, pref: 100, path: []uint32{65009}, next: "10.0.0.3"})
	n.becomes("the routes", "10.8.0.0/16 via 10.0.0.3\n10.9.0.0/16 via 10.0.0.2", n.told)
	const nine, eight = "ipv4-multicast 10.9.0.0/16 next 10.0.0.2 IGP path 65009 pref 100", "ipv4-multicast 10.8.0.0/16 next 10.0.0.3 IGP path 65009 pref 100"
	client.hears("to the client", eight)
	other.hears("to one that is not", nine)
	third.hears("to another that is not", nine)
}
