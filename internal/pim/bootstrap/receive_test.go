package bootstrap

import (
	"net/netip"
	"testing"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/wire"
)

// pair is a router with one neighbor on a link, which is the way to the BSR of whose messages a test speaks.
type pair struct {
	n    *network
	r    *router
	peer *router
	link *link
}

func newPair(t *testing.T, f engine.Family, cfg Config) *pair {
	n := newNetwork(t, f, 1)
	addresses := []string{"10.255.0.5", "10.255.0.9"}
	if f == engine.IPv6 {
		addresses = []string{"2001:db8::5", "2001:db8::9"}
	}
	p := &pair{n: n, r: n.addRouter(addresses[0], cfg), peer: n.addRouter(addresses[1], Config{})}
	p.link = n.addLink(p.r, p.peer)
	n.deny = func(_, _ *router, _ wire.Message) bool { return true } // the peer says what a test has it say
	n.startAll()
	n.run(time.Second)
	return p
}

// bsm is a message of the peer as a BSR. ranges are prefixes: "Z239.0.0.0/8" has the Zone bit, "B239.0.0.0/8" the BIDIR bit; each
// is followed by its RPs as "10.0.0.1" with holdtime 150 s and priority 192.
func (p *pair) bsm(ranges ...string) *wire.Bootstrap {
	m := &wire.Bootstrap{FragmentTag: uint16(p.n.rng.Uint32()), HashMaskLen: 30, Priority: 64, BSR: p.peer.address}
	for _, s := range ranges {
		if rp, err := netip.ParseAddr(s); err == nil {
			r := &m.Ranges[len(m.Ranges)-1]
			r.RPs = append(r.RPs, wire.RPMapping{RP: rp, Holdtime: 150 * time.Second, Priority: 192})
			r.RPCount++
			continue
		}
		var g wire.Group
		for ; s[0] == 'Z' || s[0] == 'B'; s = s[1:] {
			g.Zone, g.Bidir = g.Zone || s[0] == 'Z', g.Bidir || s[0] == 'B'
		}
		prefix := netip.MustParsePrefix(s)
		g.Addr, g.MaskLen = prefix.Addr(), uint8(prefix.Bits())
		m.Ranges = append(m.Ranges, wire.RPRange{Group: g})
	}
	return m
}

// receive hands the router a message of the peer.
func (p *pair) receive(m *wire.Bootstrap) {
	p.r.b.Receive(p.n.now, p.r.iface(p.link), p.link.on(p.peer), wire.AllPIMRouters(p.n.family), true, m)
	p.n.run(0)
}

// TestProcessingChecks is section 3.1.3, line by line: each case is a message that is taken, or one that differs from it in one
// thing and is dropped.
func TestProcessingChecks(t *testing.T) {
	type message struct {
		m        *wire.Bootstrap
		src, dst netip.Addr
		known    bool
	}
	const scope = "Z239.0.0.0/8"
	for _, c := range []struct {
		name  string
		cfg   Config
		setup func(p *pair)
		edit  func(p *pair, m *message)
		taken bool
		quiet bool // it is not forwarded
	}{
		{name: "from the RPF neighbor", taken: true},
		{name: "no Hello", edit: func(p *pair, m *message) { m.known = false }},
		{name: "not from RPF_neighbor(BSR)", edit: func(p *pair, m *message) { m.src = netip.MustParseAddr("10.0.1.77") }},
		{name: "no path to the BSR", edit: func(p *pair, m *message) { m.m.BSR = netip.MustParseAddr("10.255.9.9") }},
		{name: "another destination", edit: func(p *pair, m *message) { m.dst = netip.MustParseAddr("224.0.0.14") }},
		{name: "no-forward at startup", edit: func(p *pair, m *message) { m.m.NoForward = true }, taken: true, quiet: true},
		{name: "no-forward at startup, not from the RPF neighbor", edit: func(p *pair, m *message) {
			m.m.NoForward, m.src = true, netip.MustParseAddr("10.0.1.77")
		}, taken: true, quiet: true},
		{name: "no-forward at the end of BS_Period", setup: func(p *pair) { p.n.run(p.n.start.Add(time.Minute).Sub(p.n.now)) },
			edit: func(p *pair, m *message) { m.m.NoForward = true }, taken: true, quiet: true},
		{name: "no-forward after BS_Period", setup: func(p *pair) { p.n.run(time.Minute) },
			edit: func(p *pair, m *message) { m.m.NoForward = true }},
		{name: "no-forward after one of this scope", setup: func(p *pair) { p.receive(p.bsm("224.0.0.0/4")) },
			edit: func(p *pair, m *message) { m.m.NoForward, m.m.Priority = true, 65 }},
		{name: "no-forward after one of another scope", setup: func(p *pair) { p.receive(p.bsm("224.0.0.0/4")) },
			edit: func(p *pair, m *message) {
				m.m.NoForward, m.m.Ranges = true, p.bsm(scope, "10.255.0.9").Ranges
			}, taken: true, quiet: true},
		{name: "unicast, not enabled", edit: func(p *pair, m *message) { m.dst = p.link.on(p.r) }},
		{name: "unicast", cfg: Config{Unicast: true}, edit: func(p *pair, m *message) { m.dst = p.link.on(p.r) }, taken: true, quiet: true},
		{name: "unicast to somebody else", cfg: Config{Unicast: true}, edit: func(p *pair, m *message) { m.dst = p.link.on(p.peer) }},
		{name: "unicast after BS_Period", cfg: Config{Unicast: true}, setup: func(p *pair) { p.n.run(time.Minute) },
			edit: func(p *pair, m *message) { m.dst = p.link.on(p.r) }},
		{name: "unicast after one of this scope", cfg: Config{Unicast: true}, setup: func(p *pair) { p.receive(p.bsm("224.0.0.0/4")) },
			edit: func(p *pair, m *message) { m.dst = p.link.on(p.r) }},
		{name: "on a border of the scope", setup: func(p *pair) { p.link.boundaries = []netip.Prefix{netip.MustParsePrefix("239.0.0.0/8")} },
			edit: func(p *pair, m *message) { m.m.Ranges = p.bsm(scope, "10.255.0.9").Ranges }},
		{name: "of a smaller scope than the border", setup: func(p *pair) { p.link.boundaries = []netip.Prefix{netip.MustParsePrefix("239.0.0.0/8")} },
			edit: func(p *pair, m *message) { m.m.Ranges = p.bsm("Z239.1.0.0/16", "10.255.0.9").Ranges }},
		{name: "of a larger scope than the border", setup: func(p *pair) { p.link.boundaries = []netip.Prefix{netip.MustParsePrefix("239.1.0.0/16")} },
			edit: func(p *pair, m *message) { m.m.Ranges = p.bsm(scope, "10.255.0.9").Ranges }, taken: true},
		{name: "not scoped, on a border", setup: func(p *pair) { p.link.boundaries = []netip.Prefix{netip.MustParsePrefix("239.0.0.0/8")} },
			edit: func(p *pair, m *message) { m.m.Ranges = p.bsm("239.0.0.0/8", "10.255.0.9").Ranges }, taken: true},
		{name: "on a border of the domain", setup: func(p *pair) { p.link.border[p.r] = true }},
		// Not in the RFC's pseudocode.
		{name: "our own", edit: func(p *pair, m *message) { m.m.BSR, m.m.NoForward = p.r.address, true }},
		{name: "a BSR that is no unicast address", edit: func(p *pair, m *message) { m.m.BSR, m.m.NoForward = netip.MustParseAddr("224.0.0.1"), true }},
		{name: "a range of unicast addresses", edit: func(p *pair, m *message) { m.m.Ranges = p.bsm("10.0.0.0/8", "10.255.0.9").Ranges }},
		{name: "a range of more than multicast", edit: func(p *pair, m *message) { m.m.Ranges = p.bsm("224.0.0.0/3", "10.255.0.9").Ranges }},
		{name: "scoped, with a range outside", edit: func(p *pair, m *message) {
			m.m.Ranges = p.bsm(scope, "238.0.0.0/8", "10.255.0.9").Ranges
		}},
		{name: "empty", edit: func(p *pair, m *message) { m.m.Ranges = nil }, taken: true},
		{name: "one zone too many", cfg: Config{MaxZones: 1}, edit: func(p *pair, m *message) { m.m.Ranges = p.bsm(scope).Ranges }},
		{name: "as many zones as may be", cfg: Config{MaxZones: 2}, edit: func(p *pair, m *message) { m.m.Ranges = p.bsm(scope).Ranges }, taken: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPair(t, engine.IPv4, c.cfg)
			if c.setup != nil {
				c.setup(p)
			}
			m := message{m: p.bsm("224.0.0.0/4", "10.255.0.9"), src: p.link.on(p.peer), dst: wire.AllPIMRouters(engine.IPv4), known: true}
			if c.edit != nil {
				c.edit(p, &m)
			}
			before := p.r.counts.Get("accepted Bootstrap")
			p.r.sent = nil
			p.r.b.Receive(p.n.now, p.r.iface(p.link), m.src, m.dst, m.known, m.m)
			if taken := p.r.counts.Get("accepted Bootstrap") > before; taken != c.taken {
				t.Errorf("taken: %v; counts %v", taken, p.r.counts.Snapshot())
			}
			if forwarded := len(p.r.sent) > 0; forwarded != (c.taken && !c.quiet) {
				t.Errorf("forwarded: %v", p.r.sent)
			}
			for _, s := range p.r.sent {
				if s.m.NoForward {
					t.Error("the No-Forward bit is set in what is forwarded")
				}
			}
			p.r.checkInvariants(t)
		})
	}
}

// TestScopeOfMessage: the scope of a message is that of its first range, if that has the Zone bit (section 3.1).
func TestScopeOfMessage(t *testing.T) {
	for _, c := range []struct {
		family engine.Family
		ranges []string
		want   string // the scope; "" the whole domain; "drop"
	}{
		{engine.IPv4, nil, ""},
		{engine.IPv4, []string{"239.0.0.0/8"}, ""},
		{engine.IPv4, []string{"Z239.0.0.0/8"}, "239.0.0.0/8"},
		{engine.IPv4, []string{"Z239.1.2.3/8"}, "239.0.0.0/8"},
		{engine.IPv4, []string{"Z224.0.0.0/4"}, "224.0.0.0/4"},
		{engine.IPv4, []string{"Z239.0.0.0/8", "239.1.0.0/16"}, "239.0.0.0/8"},
		{engine.IPv4, []string{"Z239.0.0.0/8", "Z239.1.0.0/16"}, "239.0.0.0/8"}, // "MUST be ignored on receipt"
		{engine.IPv4, []string{"239.0.0.0/8", "Z239.1.0.0/16"}, ""},
		{engine.IPv4, []string{"Z239.1.0.0/16", "239.0.0.0/8"}, "drop"},
		{engine.IPv6, []string{"ff05::/16"}, ""},
		{engine.IPv6, []string{"Zff05::/16"}, "ff05::/16"},
		{engine.IPv6, []string{"Zff15:1::/32"}, "ff05::/16"}, // the scope ID is that of any range
		{engine.IPv6, []string{"Zff05::/16", "ff75:1::/32"}, "ff05::/16"},
		{engine.IPv6, []string{"Zff05::/16", "ff78:1::/32"}, "drop"},
		{engine.IPv6, []string{"Zff05::/16", "ff00::/12"}, "drop"}, // "all the group ranges in such a BSM MUST have a mask length of at least 16"
		{engine.IPv6, []string{"Zff05::/15"}, "drop"},              // "the message MUST be dropped"
		{engine.IPv6, []string{"Zff00::/8"}, "drop"},
	} {
		m := newPair(t, c.family, Config{}).bsm(c.ranges...)
		scope, reason := scopeOfMessage(m)
		got := scope.String()
		if !scope.IsValid() {
			got = ""
		}
		if reason != "" {
			got = "drop"
		}
		if got != c.want {
			t.Errorf("%v: %q (%s), want %q", c.ranges, got, reason, c.want)
		}
	}
}

// TestNotForwardedAcrossBorders: what is accepted leaves by all interfaces with neighbors, that on which it came included, but by
// none that is a border of its scope or of the domain (section 3.4).
func TestNotForwardedAcrossBorders(t *testing.T) {
	p := newPair(t, engine.IPv4, Config{})
	n := p.n
	border := func(s string) *link {
		l := n.addLink(p.r, n.addRouter(netip.AddrFrom4([4]byte{10, 255, 1, byte(len(n.routers))}).String(), Config{}))
		n.startRouter(l.routers[1])
		if s == "domain" {
			l.border[p.r] = true
		} else if s != "" {
			l.boundaries = []netip.Prefix{netip.MustParsePrefix(s)}
		}
		return l
	}
	plain, larger, same, smaller, domain := border(""), border("238.0.0.0/7"), border("239.0.0.0/8"), border("239.1.0.0/16"), border("domain")
	empty := n.addLink(p.r)
	n.run(time.Second)
	for _, c := range []struct {
		first string
		want  []*link
	}{
		{"224.0.0.0/4", []*link{p.link, plain, larger, same, smaller}},
		{"Z239.0.0.0/8", []*link{p.link, plain, smaller}},
		{"Z239.1.0.0/16", []*link{p.link, plain}},
		{"Z238.0.0.0/7", []*link{p.link, plain, same, smaller}},
	} {
		p.r.sent = nil
		p.receive(p.bsm(c.first))
		got := map[engine.IfID]int{}
		for _, s := range p.r.sent {
			got[s.i]++
		}
		for _, l := range c.want {
			if got[l.id] != 1 {
				t.Errorf("%s: sent %d times by %d", c.first, got[l.id], l.id)
			}
		}
		if len(got) != len(c.want) {
			t.Errorf("%s: sent by %v (%d is the domain's border, %d has no neighbor)", c.first, got, domain.id, empty.id)
		}
	}
}
