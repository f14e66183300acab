package invariant

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"grove/daemon/config"
	"grove/internal/engine"
	"grove/labs/sim"
)

// Options change how a random network is made.
type Options struct {
	// Wrap tampers with the machine of every router: see sim.RouterOptions.
	Wrap func(engine.Machine) engine.Machine
	// Protocol is the one of all routers; default PIM-SM. Of each there is another network of a seed. MSDP is PIM-SM in
	// several domains, with MSDP between their RPs; BSR is PIM-SM whose RPs come and go.
	Protocol engine.Protocol
}

// Network is a random topology: routers joined by links of two and by LANs, one of them the RP, and hosts on LANs of
// their own with one or two routers.
type Network struct {
	*sim.Sim
	Seed    uint64
	Family  engine.Family
	Routers []*sim.Node
	Hosts   []*sim.Node
	Sources []*sim.Source
	Groups  []netip.Addr // the last is source-specific

	rng     *rand.Rand
	older   map[int]bool // hosts of IGMPv2 or MLDv1, by index: they know no sources
	maxCost int          // 1: many equal paths
	spt     string       // spt-switch

	protocol     engine.Protocol
	domains      *domains      // of MSDP: what is known of them; nil: there is one
	candidates   *candidates   // of BSR; nil: the RP is static
	refresh      bool          // of protocols that flood and prune: prunes and Asserts are refreshed, or outlive the play
	forgetRoutes time.Duration // how long the protocol's own routing takes at most; 0: it has none

	lines []*sim.Link // links of two routers
	lans  []*sim.Link // with two routers or more
}

// linkPlan is a link before the routers exist.
type linkPlan struct {
	name    string
	routers []int
	hosts   []int
	cost    int
	delay   time.Duration
}

// Random makes the network of a seed. Every fourth is an IPv6 network.
func Random(seed uint64, o Options) (*Network, error) {
	n := &Network{
		Sim: sim.New(seed, sim.Options{}), Seed: seed, Family: engine.IPv4, older: make(map[int]bool), protocol: o.Protocol,
	}
	if n.protocol == "" {
		n.protocol = engine.PIMSM
	}
	n.rng = rand.New(rand.NewPCG(seed, map[engine.Protocol]uint64{engine.PIMSM: 7761, engine.PIMDM: 3973, engine.DVMRP: 1075, engine.MSDP: 3618, BSR: 5059}[n.protocol]))
	if seed%4 == 3 && n.protocol != engine.DVMRP && n.protocol != engine.MSDP {
		n.Family = engine.IPv6
	}
	n.maxCost = 1 + n.rng.IntN(3)
	if n.spt = "immediate"; n.rng.IntN(4) == 0 {
		n.spt = "never"
	}
	if n.dense() {
		n.refresh = n.rng.IntN(2) == 0
	}
	if n.protocol == engine.DVMRP {
		n.forgetRoutes = 420 * time.Second
	}
	var plans []linkPlan
	var routers, hosts, rp int
	if n.protocol == engine.MSDP {
		plans, routers, hosts = n.planDomains()
		n.planPeers(plans)
	} else {
		routers = 4 + n.rng.IntN(5)
		plans, hosts = n.plan(routers)
		rp = n.rng.IntN(routers)
	}
	if n.protocol == BSR {
		n.planCandidates(routers)
	}
	for i := range routers {
		text := n.config(i, rp, plans)
		if n.domains != nil {
			n.domains.texts = append(n.domains.texts, text)
			text += n.peersOf(i)
		}
		c, err := config.Parse(fmt.Sprintf("r%d", i), []byte(text))
		if err != nil {
			return nil, fmt.Errorf("seed %d: %w", seed, err)
		}
		n.Routers = append(n.Routers, n.AddRouter(fmt.Sprintf("r%d", i), c, sim.RouterOptions{Wrap: o.Wrap}))
	}
	for i := range hosts {
		var o sim.HostOptions
		if n.rng.IntN(3) == 0 {
			o = sim.HostOptions{IGMPVersion: 2, MLDVersion: 1}
			n.older[i] = true
		}
		n.Hosts = append(n.Hosts, n.AddHost(fmt.Sprintf("h%d", i), o))
	}
	for k, p := range plans {
		var ends []sim.End
		for _, r := range p.routers {
			ends = append(ends, sim.End{Node: n.Routers[r], If: p.name})
		}
		for i, h := range p.hosts {
			ends = append(ends, sim.End{Node: n.Hosts[h], If: "eth0", Addrs: []netip.Prefix{n.address(k, 100+i)}})
		}
		l := n.AddLink(p.name, sim.LinkOptions{Delay: p.delay, Cost: p.cost, Lan: len(p.hosts) > 0}, ends...)
		switch {
		case len(p.routers) == 2 && len(p.hosts) == 0:
			n.lines = append(n.lines, l)
		case len(p.routers) >= 2:
			n.lans = append(n.lans, l)
		}
	}
	for _, g := range []string{"239.1.1.1", "239.1.1.2", "232.1.1.1"} {
		n.Groups = append(n.Groups, netip.MustParseAddr(g))
	}
	if n.Family == engine.IPv6 {
		n.Groups = n.Groups[:0]
		for _, g := range []string{"ff0e::1:1", "ff0e::1:2", "ff3e::1:1"} {
			n.Groups = append(n.Groups, netip.MustParseAddr(g))
		}
	}
	n.tellBGP()
	return n, nil
}

// dense says whether the protocol floods and prunes.
func (n *Network) dense() bool { return n.protocol == engine.PIMDM || n.protocol == engine.DVMRP }

// plan draws the links: a tree of links of two, some more of them, one or two LANs of routers, and the hosts' LANs.
func (n *Network) plan(routers int) (plans []linkPlan, hosts int) {
	add := func(p linkPlan) {
		p.name = fmt.Sprintf("l%d", len(plans))
		p.cost = 1 + n.rng.IntN(n.maxCost)
		p.delay = time.Duration(1+n.rng.IntN(10)) * time.Millisecond
		plans = append(plans, p)
	}
	for i := 1; i < routers; i++ {
		add(linkPlan{routers: []int{n.rng.IntN(i), i}})
	}
	for range routers / 2 {
		if pair := n.rng.Perm(routers)[:2]; true {
			add(linkPlan{routers: pair})
		}
	}
	for range 1 + n.rng.IntN(2) {
		add(linkPlan{routers: n.rng.Perm(routers)[:3+n.rng.IntN(2)]})
	}
	for range 3 + n.rng.IntN(3) {
		p := linkPlan{routers: n.rng.Perm(routers)[:1+n.rng.IntN(5)/3], hosts: []int{hosts}}
		hosts++
		if n.rng.IntN(3) == 0 {
			p.hosts = append(p.hosts, hosts)
			hosts++
		}
		add(p)
	}
	return plans, hosts
}

// address returns the address of place i on link k.
func (n *Network) address(k, i int) netip.Prefix {
	if n.Family == engine.IPv6 {
		return netip.MustParsePrefix(fmt.Sprintf("2001:db8:%x::%x/64", k, i))
	}
	return netip.MustParsePrefix(fmt.Sprintf("10.0.%d.%d/24", k, i))
}

func (n *Network) loopback(r int) netip.Prefix {
	if n.Family == engine.IPv6 {
		return netip.MustParsePrefix(fmt.Sprintf("2001:db8:ffff::%x/128", r+1))
	}
	return netip.MustParsePrefix(fmt.Sprintf("10.255.0.%d/32", r+1))
}

// config writes the configuration file of router r.
func (n *Network) config(r, rp int, plans []linkPlan) string {
	pim, members, section := "pim", "igmp", "ipv4"
	if n.Family == engine.IPv6 {
		pim, members, section = "pim6", "mld", "ipv6"
	}
	if n.protocol == engine.DVMRP {
		pim = "dvmrp"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "hostname: r%d\ninterfaces:\n  lo: {addresses: [%q%s]}\n", r, n.loopback(r), n.otherLoopbacks(r))
	for k, p := range plans {
		if i := slices.Index(p.routers, r); i >= 0 {
			keys := ""
			switch n.protocol {
			case engine.PIMSM, engine.MSDP, BSR:
				keys = fmt.Sprintf("dr-priority: %d", 1+n.rng.IntN(2))
			case engine.PIMDM:
				keys = "mode: dense"
			case engine.DVMRP:
				keys = fmt.Sprintf("metric: %d", p.cost)
			}
			fmt.Fprintf(&b, "  %s: {addresses: [%q], %s: {%s}", p.name, n.address(k, i+1), pim, keys)
			if len(p.routers) != 2 || len(p.hosts) > 0 {
				fmt.Fprintf(&b, ", %s: {}", members)
			}
			b.WriteString("}\n")
		}
	}
	switch n.protocol {
	case engine.PIMDM:
		fmt.Fprintf(&b, "pim:\n  %s: {state-refresh: %v}\n", section, n.refresh)
		return b.String()
	case engine.DVMRP:
		prune := lifetime
		if n.refresh {
			prune = longLifetime
		}
		fmt.Fprintf(&b, "dvmrp: {prune-lifetime: %v}\n", prune)
		return b.String()
	}
	if n.candidates != nil {
		fmt.Fprintf(&b, "pim:\n  %s: {%s, spt-switch: %s}\n", section, n.candidacy(r), n.spt)
		return b.String()
	}
	address := n.loopback(rp).Addr()
	if n.domains != nil {
		address = n.domains.list[n.domains.of[r]].rp
	}
	fmt.Fprintf(&b, "pim:\n  %s: {rp: [{address: %q}], spt-switch: %s}\n", section, address, n.spt)
	return b.String()
}
