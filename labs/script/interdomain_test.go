package script

import (
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"
)

const twoNodes = `name: t
topology:
  kinds: {linux: {image: grove}}
  nodes:
    a: {kind: linux, binds: ["a.yml:/etc/grove/grove.yml"]}
    b: {kind: linux, binds: ["b.yml:/etc/grove/grove.yml"]}
  links: [{endpoints: ["a:eth1", "b:eth1"]}]
`

// read reads a lab of two nodes with this script and these routes of BGP.
func read(t *testing.T, script, bgp string) (*Script, error) {
	t.Helper()
	dir := fstest.MapFS{"t.clab.yml": {Data: []byte(twoNodes)}, "script.yml": {Data: []byte(script)}}
	if bgp != "" {
		dir[bgpFile] = &fstest.MapFile{Data: []byte(bgp)}
	}
	topo, err := ReadTopology(dir)
	if err != nil {
		t.Fatal(err)
	}
	return ReadScript(dir, topo)
}

// TestInterdomainFaults: what is wrong with a check between domains, or with the routes of BGP, is said when the lab is read.
func TestInterdomainFaults(t *testing.T) {
	const routes = "a: [{to: 10.2.0.0/16, via: 10.0.0.2}]"
	step := func(check string) string { return "title: t\nsteps: [{name: s, until: [" + check + "]}]" }
	for _, c := range []struct{ script, bgp, want string }{
		{step("{bgp: {node: a}}"), routes, ""},
		{step("{bgp: {node: a}}"), "", "a has no routes of BGP"},
		{step("{bgp: {node: c}}"), routes, `no node "c"`},
		{step("{bgp: {node: a}}"), "c: [{to: 10.2.0.0/16, via: 10.0.0.2}]", `no node "c"`},
		{step("{bgp: {node: a}}"), "a: [{to: 10.2.0.1/16, via: 10.0.0.2}]", "expected a unicast prefix"},
		{step("{bgp: {node: a}}"), "a: [{to: 233.252.0.0/24, via: 10.0.0.2}]", "expected a unicast prefix"},
		{step("{bgp: {node: a}}"), "a: [{to: 10.2.0.0/16}]", "needs via"},
		{step("{bgp: {node: a}}"), "a: [{to: 10.2.0.0/16, by: 10.0.0.2}]", "by"},
		{step("{rpf: {node: c, address: 10.2.0.1}}"), "", `no node "c"`},
		{step("{msdp-peer: {node: c, peer: 10.2.0.1}}"), "", `no node "c"`},
		{step("{peer-rpf: {node: c, rp: 10.2.0.1}}"), "", `no node "c"`},
		{step("{sa: {node: a, rp: 10.2.0.1, count: 0}}"), "", ""},
		{step("{sa: {node: a, source: 10.2.0.1, group: 233.252.0.1}}"), "", ""},
		{step("{sa: {node: a, group: 233.252.0.1}}"), "", "expected source and group, or rp and count"},
		{step("{sa: {node: a, rp: 10.2.0.1}}"), "", "expected source and group, or rp and count"},
		{step("{warning: {node: a}}"), "", "expected text"},
		{"title: t\nsteps: [{name: s, do: [{bgp-routes: other.yml}]}]", routes, "other.yml"},
		{"title: t\nsteps: [{name: s, do: [{send: {host: a, group: 233.252.0.1, rate: 1, groups: -1}}]}]", "", "groups -1"},
		{"title: t\nsteps: [{name: s, do: [{stop: {host: a, group: 233.252.0.1, groups: 1001}}]}]", "", "groups 1001"},
	} {
		_, err := read(t, c.script, c.bgp)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s, %s: %v", c.script, c.bgp, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s, %s: %v; want %q", c.script, c.bgp, err, c.want)
		}
	}
}

// TestBGPRoutes: who advertised a route is its next hop if nothing else is said.
func TestBGPRoutes(t *testing.T) {
	s, err := read(t, "title: t\nsteps: []", `a:
  - {to: 10.2.0.0/16, via: 10.0.0.2, as-path: [2, 3]}
  - {to: 10.3.0.0/16, via: 10.0.0.2, neighbor: 10.0.0.9, internal: true}
`)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"10.0.0.2", "10.0.0.9"} {
		r := s.bgp[bgpFile]["a"][i].MRIBRoute()
		if r.BGP.Neighbor.String() != want || r.BGP.NextHop.String() != "10.0.0.2" || r.BGP.Internal != (i == 1) || len(r.BGP.ASPath) != 2-2*i ||
			r.Hops[0].Gateway.String() != "10.0.0.2" {
			t.Errorf("route %d: %+v by %+v", i, r, r.BGP)
		}
	}
}

// TestManyGroups: an action on many groups is one on each, in order.
func TestManyGroups(t *testing.T) {
	s, err := read(t, `title: t
steps:
  - name: s
    do:
      - {send: {host: a, group: 233.252.0.254, groups: 3, rate: 1}}
      - {stop: {host: a, group: 233.252.0.1}}
      - {cut: a-b}
`, "")
	if err != nil {
		t.Fatal(err)
	}
	do := s.Steps[0].Do
	var groups []netip.Addr
	for _, a := range do[0].each() {
		groups = append(groups, a.Send.Group)
	}
	if len(groups) != 3 || groups[0].String() != "233.252.0.254" || groups[2].String() != "233.252.1.0" {
		t.Errorf("sends to %v", groups)
	}
	if list := do[1].each(); len(list) != 1 || list[0].Stop.Group != do[1].Stop.Group {
		t.Errorf("stops %v", list)
	}
	if list := do[2].each(); len(list) != 1 || list[0].Cut != "a-b" {
		t.Errorf("cuts %v", list)
	}
	if got, want := do[0].String(), "a sends to 3 groups from 233.252.0.254 on, 1 packets a second"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestWantedWarnings: a warning that a check is about is no warning of the run; another router's is.
func TestWantedWarnings(t *testing.T) {
	s, err := read(t, "title: t\nsteps: [{name: s, check: [{warning: {node: a, text: too many}}]}]", "")
	if err != nil {
		t.Fatal(err)
	}
	for warning, want := range map[string]bool{
		"1.000s a: msdp: too many sources": true, "1.000s b: msdp: too many sources": false, "1.000s a: something else": false,
	} {
		if s.wants(warning) != want {
			t.Errorf("%q: wanted %v", warning, !want)
		}
	}
}
