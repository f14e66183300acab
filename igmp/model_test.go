package igmp_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"grove/igmp"
	"grove/igmp/wire"
	"grove/internal/engine"
)

// lan is a link with routers and hosts on it: all hear all packets, after a random delay, and some are lost.
type lan struct {
	n       names
	rng     *rand.Rand
	now     time.Time
	nodes   []*lanNode
	flying  []delivery
	lossPct int
	levels  map[int]map[netip.Addr]engine.Membership // by router: what it was last told to subscribers
}

type lanNode struct {
	m      engine.Machine
	router bool
}

type delivery struct {
	at time.Time
	to int
	p  engine.Packet
}

func (l *lan) step(node int, ev engine.Event) {
	for _, event := range []engine.Event{ev, engine.Settled{}} {
		for _, e := range l.nodes[node].m.Step(l.now, event) {
			switch e := e.(type) {
			case engine.Membership:
				if l.levels[node] == nil {
					l.levels[node] = map[netip.Addr]engine.Membership{}
				}
				l.levels[node][e.Group] = e
			case engine.Send:
				p := engine.Packet{If: 1, Src: e.Src, Dst: e.Dst, Proto: e.Proto, TTL: e.TTL, TOS: e.TOS, RouterAlert: e.RouterAlert, Payload: e.Payload}
				for to := range l.nodes {
					if to != node && l.rng.IntN(100) >= l.lossPct {
						l.flying = append(l.flying, delivery{l.now.Add(time.Duration(l.rng.IntN(20)+1) * time.Millisecond), to, p})
					}
				}
			}
		}
	}
}

// advance runs the link for a time.
func (l *lan) advance(d time.Duration) {
	until := l.now.Add(d)
	for {
		next, node, flight := until, -1, -1
		for i, f := range l.flying {
			if !f.at.After(next) {
				next, flight = f.at, i
			}
		}
		for i, n := range l.nodes {
			if at, ok := n.m.Deadline(); ok && at.Before(next) {
				next, node, flight = at, i, -1
			}
		}
		l.now = next
		switch {
		case flight >= 0:
			f := l.flying[flight]
			l.flying = slices.Delete(l.flying, flight, flight+1)
			l.step(f.to, f.p)
		case node >= 0:
			l.step(node, engine.Tick{})
		default:
			return
		}
	}
}

// TestMembershipIsWhatHostsWant lets random hosts, of random versions, want random things of two routers on a lossy
// link. When it is quiet, both routers say exactly what the hosts want together.
func TestMembershipIsWhatHostsWant(t *testing.T) {
	rapid.Check(t, checkMembership)
}

func checkMembership(t *rapid.T) {
	const groups, sources = 3, 4
	family := rapid.SampledFrom([]engine.Family{engine.IPv4, engine.IPv6}).Draw(t, "family")
	n := namesOf(family)
	seed := rapid.Uint64().Draw(t, "seed")
	l := &lan{n: n, rng: rand.New(rand.NewPCG(seed, 0)), now: time.Unix(1000, 0), levels: map[int]map[netip.Addr]engine.Membership{}}
	bits := 24
	if family == engine.IPv6 {
		bits = 64
	}
	id := engine.MachineID{Protocol: engine.IGMP, Family: family}
	add := func(m engine.Machine, router bool, address string) int {
		l.nodes = append(l.nodes, &lanNode{m, router})
		node := len(l.nodes) - 1
		l.step(node, engine.InterfaceChange{Interface: engine.Interface{
			ID: 1, Name: "eth0", Up: true, Carrier: true, Multicast: true, MTU: 1500,
			Addrs: []netip.Prefix{netip.PrefixFrom(n.addr(address), bits)},
		}})
		return node
	}
	config := igmp.InterfaceConfig{
		Querier: true, QueryInterval: 10 * time.Second, QueryResponseInterval: 2 * time.Second,
	}
	for _, address := range []string{"R1", "R2"} {
		r := add(igmp.New(id, rand.New(rand.NewPCG(seed, 1))), true, address)
		l.step(r, engine.Configure{Config: igmp.Config{Interfaces: map[string]igmp.InterfaceConfig{"eth0": config}}})
		l.step(r, engine.Subscribe{From: engine.MachineID{Protocol: engine.PIMSM, Family: family}})
	}
	type host struct {
		node, version int
		want          map[netip.Addr]igmp.HostMembership
	}
	var hosts []*host
	newest := 3 - n.offset()
	for k := range rapid.IntRange(1, 4).Draw(t, "hosts") {
		h := &host{version: newest, want: map[netip.Addr]igmp.HostMembership{}}
		if rapid.IntRange(0, 3).Draw(t, "older") == 0 {
			h.version = rapid.IntRange(1, newest).Draw(t, "version")
		}
		h.node = add(igmp.NewHost(id, rand.New(rand.NewPCG(seed, uint64(k+2)))), false, fmt.Sprintf("H%d", k+1))
		hosts = append(hosts, h)
	}

	// check compares what both routers told with what the hosts want: all that is wanted is forwarded and, if exactly,
	// nothing else.
	check := func(exactly bool) {
		for router := range 2 {
			for k := range groups {
				g := n.addr(fmt.Sprintf("G%d", k+1))
				told := l.levels[router][g]
				for s := range sources + 1 {
					source := n.addr(fmt.Sprintf("S%d", s+1)) // the last is one that nobody names
					want := false
					for _, h := range hosts {
						m, member := h.want[g]
						if member && h.version < newest {
							want = true // has no words for sources
						} else if member && slices.Contains(m.Sources, source) == (m.Mode == engine.Include) {
							want = true
						}
					}
					got := slices.Contains(told.Sources, source) == (told.Mode == engine.Include)
					if want && !got || exactly && got && !want {
						t.Fatalf("router %d: %s of %s is forwarded: %v, wanted: %v; told %v %s", router, n.name(source), n.name(g), got, want, told.Mode, n.list(told.Sources))
					}
				}
			}
		}
	}

	// Changes. If no packet is lost, nobody misses what he wants at any time.
	l.lossPct = rapid.SampledFrom([]int{0, 0, 20}).Draw(t, "loss")
	for range rapid.IntRange(1, 25).Draw(t, "changes") {
		h := hosts[rapid.IntRange(0, len(hosts)-1).Draw(t, "host")]
		g := n.addr(fmt.Sprintf("G%d", rapid.IntRange(1, groups).Draw(t, "group")))
		m := igmp.HostMembership{Group: g}
		for k := range sources {
			if rapid.Bool().Draw(t, "source") {
				m.Sources = append(m.Sources, n.addr(fmt.Sprintf("S%d", k+1)))
			}
		}
		switch rapid.IntRange(0, 2).Draw(t, "mode") {
		case 0:
			m.Sources = nil // leaves
		case 1:
			m.Mode = engine.Exclude
		}
		if m.Mode == engine.Include && len(m.Sources) == 0 {
			delete(h.want, g)
		} else {
			h.want[g] = m
		}
		cfg := igmp.HostConfig{Version: h.version, QueryInterval: 10 * time.Second, Memberships: map[string][]igmp.HostMembership{}}
		for _, m := range engine.SortedAddrs(h.want) {
			cfg.Memberships["eth0"] = append(cfg.Memberships["eth0"], m)
		}
		l.step(h.node, engine.Configure{Config: cfg})
		l.advance(25 * time.Millisecond)
		for range rapid.IntRange(0, 40).Draw(t, "pause") {
			if l.lossPct == 0 {
				check(false)
			}
			l.advance(100 * time.Millisecond)
		}
	}

	// Quiet: all that was lost or forgotten is gone after the Older Host Present Interval, the next General Query, and
	// the Group Membership Interval.
	l.lossPct = 0
	l.advance(70 * time.Second)

	check(true)
}

// TestBadPacketsChangeNothing throws random packets, most of them bad, at a router with members: what is counted as
// dropped leaves groups and interfaces as they were, and nothing panics. The host side gets the same packets.
func TestBadPacketsChangeNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		family := rapid.SampledFrom([]engine.Family{engine.IPv4, engine.IPv6}).Draw(rt, "family")
		tb := newTable(t, family)
		h := igmp.NewHost(engine.MachineID{Protocol: engine.IGMP, Family: family}, rand.New(rand.NewPCG(1, 2)))
		h.Step(tb.now, engine.InterfaceChange{Interface: upInterface(tb.n)})
		h.Step(tb.now, engine.Configure{Config: igmp.HostConfig{Memberships: map[string][]igmp.HostMembership{"eth1": {{Group: tb.n.addr("G1"), Mode: engine.Exclude}}}}})
		kinds := []byte{0x11, 0x12, 0x16, 0x17, 0x22, 0x13}
		if family == engine.IPv6 {
			kinds = []byte{130, 131, 132, 143, 135}
		}
		destinations := []string{"all-systems", "all-routers", "report-routers", "G1", "G2", "R5"}
		sources := []string{"R1", "R9", "H1", "none", "far", "R5"}
		for range rapid.IntRange(1, 10).Draw(rt, "packets") {
			body := rapid.SliceOfN(rapid.Byte(), 0, 60).Draw(rt, "payload")
			if rapid.Bool().Draw(rt, "group") {
				at := 4 + 4*tb.n.offset()
				body = append(body, make([]byte, 40)...)
				copy(body[at:], tb.n.addr("G1").AsSlice())
			}
			if len(body) > 0 {
				body[0] = rapid.SampledFrom(kinds).Draw(rt, "kind")
			}
			p := packetOf(t, tb.n, tb.n.addr(rapid.SampledFrom(sources).Draw(rt, "source")), tb.n.addr(rapid.SampledFrom(destinations).Draw(rt, "destination")), wire.Leave{Group: tb.n.addr("G1")})
			p.Payload = body
			if len(body) >= 4 {
				p.Payload = reseal(append([]byte(nil), body...), p)
			}
			p.RouterAlert = rapid.IntRange(0, 9).Draw(rt, "alert") > 0
			before, counts := state(tb), total(tb)
			tb.step(p)
			if after := state(tb); total(tb) > counts && after != before {
				rt.Fatalf("a dropped packet % x changed\n%s\nto\n%s", p.Payload, before, after)
			}
			h.Step(tb.now, p)
			tb.advance(time.Duration(rapid.IntRange(0, 3000).Draw(rt, "pause")) * time.Millisecond)
		}
	})
}

func state(tb *table) string {
	return fmt.Sprintf("%+v\n%+v", query(tb, "groups"), query(tb, "interfaces"))
}

// total counts the packets that were dropped whole: those without a report, of which single records may be bad.
func total(tb *table) (sum uint64) {
	counts := query(tb, "counts").(map[string]uint64)
	for k, v := range counts {
		if len(k) > 8 && k[:8] == "dropped:" {
			sum += v
		}
	}
	if counts["report received"] > 0 {
		return 0
	}
	return sum
}

func query(tb *table, what string) any {
	for _, e := range tb.step(engine.Query{What: what}) {
		if a, ok := e.(engine.Answer); ok {
			return a.Value
		}
	}
	tb.t.Fatal("no answer")
	return nil
}
