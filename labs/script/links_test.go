package script

import (
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// crossed is an engine that was asked at a time and knows only what links carried.
type crossed struct {
	Engine
	now  time.Duration
	seen []Crossing
}

func (c *crossed) Now() time.Duration    { return c.now }
func (c *crossed) Crossings() []Crossing { return c.seen }

// lan is r1 - r2 and r3 on a bridge, and h1 behind r1.
var lan = fstest.MapFS{"lan.clab.yml": {Data: []byte(`
name: lan
topology:
  nodes:
    h1: {kind: linux, binds: ["h1.yml:/etc/grove/grove.yml"]}
    r1: {kind: linux, binds: ["r1.yml:/etc/grove/grove.yml"]}
    r2: {kind: linux, binds: ["r2.yml:/etc/grove/grove.yml"]}
    r3: {kind: linux, binds: ["r3.yml:/etc/grove/grove.yml"]}
    wire: {kind: bridge}
  links:
    - endpoints: ["h1:eth1", "r1:eth1"]
    - endpoints: ["r1:eth2", "r2:eth1"]
    - endpoints: ["r2:eth2", "wire:eth1"]
    - endpoints: ["r3:eth1", "wire:eth2"]
`)}}

// TestLinks: what a check of links says of four packets, of which one came twice onto the LAN, from two routers.
func TestLinks(t *testing.T) {
	topo, err := ReadTopology(lan)
	if err != nil {
		t.Fatal(err)
	}
	source, group := netip.MustParseAddr("10.1.0.10"), netip.MustParseAddr("239.1.1.1")
	e := &crossed{now: 10 * time.Second}
	put := func(ms int, link, from string, seq uint64) {
		e.seen = append(e.seen, Crossing{time.Duration(ms) * time.Millisecond, link, from, source, group, seq})
	}
	put(4000, "wire", "r2", 1) // before the step
	put(6000, "r1-r2", "r1", 2)
	put(6001, "wire", "r2", 2)
	put(6002, "wire", "r3", 2)
	put(7000, "r1-r2", "r1", 3)
	put(7001, "wire", "r2", 3)
	eval := &evaluator{engine: e, topo: topo, since: mark{at: 5 * time.Second}}
	flow := Flow{Source: source, Group: group}
	for _, c := range []struct {
		check LinksCheck
		found string // empty: true
	}{
		{LinksCheck{Flow: flow, Carried: "r2-r1 wire", AtLeast: 2}, ""},
		{LinksCheck{Flow: Flow{Group: group}, Carried: "wire", AtLeast: 2, Copies: 2, Senders: 2, By: "r3 r2"}, ""},
		{LinksCheck{Flow: flow, Carried: "wire", AtLeast: 3}, "wire: 2 packets from r2 and r3, one of them 2 times"},
		{LinksCheck{Flow: flow, Carried: "wire", Copies: 1}, "wire: 2 packets from r2 and r3, one of them 2 times"},
		{LinksCheck{Flow: flow, Carried: "wire", Senders: 1}, "wire: 2 packets from r2 and r3, one of them 2 times"},
		{LinksCheck{Flow: flow, Carried: "wire", By: "r3"}, "wire: 2 packets from r2 and r3, one of them 2 times"},
		{LinksCheck{Flow: flow, Carried: "wire", For: 3500 * time.Millisecond, Copies: 1, Senders: 1}, ""},
		{LinksCheck{Flow: flow, Carried: "wire", For: 2 * time.Second}, "wire: nothing"},
		{LinksCheck{Flow: flow, Silent: "wire r1-r2", For: 2 * time.Second}, ""},
		{LinksCheck{Flow: flow, Silent: "wire", For: 4500 * time.Millisecond}, "wire: 2 packets from r2 and r3, one of them 2 times"},
		{LinksCheck{Flow: flow, Silent: "h1-r1", For: 6 * time.Second}, "the step is not 6s old"},
		{LinksCheck{Flow: flow, Carried: "wire", Silent: rest}, "r1-r2: 2 packets from r1"},
		{LinksCheck{Flow: flow, Carried: "wire r1-r2", Silent: rest}, ""},
		{LinksCheck{Flow: Flow{Source: netip.MustParseAddr("10.1.0.11"), Group: group}, Silent: rest}, ""},
	} {
		if wrong := c.check.fault(topo); wrong != "" {
			t.Errorf("%+v: %s", c.check, wrong)
			continue
		}
		f := eval.links(&c.check)
		if f.True != (c.found == "") || !f.True && f.Found != c.found {
			t.Errorf("%s: %v, found %s, want %q", f.Check, f.True, f.Found, c.found)
		}
	}
}

// TestFirstWithin: the time from a join to the first packet is measured, said, and bounded.
func TestFirstWithin(t *testing.T) {
	group := netip.MustParseAddr("239.1.1.1")
	eval := &evaluator{engine: got{r: Received{Packets: 3, First: 40 * time.Millisecond}}}
	for limit, want := range map[time.Duration]bool{30 * time.Millisecond: false, 50 * time.Millisecond: true} {
		f := eval.received(&ReceivedCheck{Host: "h1", Group: group, FirstWithin: limit})
		if f.True != want || !strings.HasSuffix(f.Found, "the first after 40ms") {
			t.Errorf("within %v: %v, %s", limit, f.True, f.Found)
		}
	}
	eval.engine = got{}
	if f := eval.received(&ReceivedCheck{Host: "h1", Group: group, FirstWithin: time.Hour}); f.True {
		t.Errorf("nothing came: %s", f.Found)
	}
}

// got is an engine all of whose hosts received the same.
type got struct {
	Engine
	r Received
}

func (g got) Received(string, netip.Addr) Received { return g.r }

// TestFaults: what is wrong with a check is said with its place and what was expected.
func TestFaults(t *testing.T) {
	topo, err := ReadTopology(lan)
	if err != nil {
		t.Fatal(err)
	}
	for check, want := range map[string]string{
		`links: {group: 239.1.1.1, carried: r1-r3}`:                 `step 1 (s): links: carried: there is no link "r1-r3" in the topology: expected NODE-NODE`,
		`links: {group: 239.1.1.1, silent: bus}`:                    `links: silent: there is no link "bus" in the topology: expected NODE-NODE, or the word rest`,
		`links: {group: 239.1.1.1}`:                                 `links: expected carried, silent or both`,
		`links: {group: 10.1.1.1, silent: rest}`:                    `links: group 10.1.1.1: expected a multicast group`,
		`links: {group: 239.1.1.1, silent: wire, copies: 1}`:        `say something of the links in carried`,
		`links: {group: 239.1.1.1, silent: wire, carried: wire}`:    `wire stands in carried and in silent`,
		`links: {group: 239.1.1.1, carried: wire, by: "r2 r9"}`:     `links: by: there is no node "r9" in the topology`,
		`{links: {group: 239.1.1.1, silent: wire}, tree: {is: ""}}`: `a check is one of`,
	} {
		if !strings.HasPrefix(check, "{") {
			check = "{" + check + "}"
		}
		dir := fstest.MapFS{"script.yml": {Data: []byte("steps: [{name: s, check: [" + check + "]}]\n")}}
		if _, err := ReadScript(dir, topo); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", check, err, want)
		}
	}
}
