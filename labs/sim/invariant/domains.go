package invariant

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"grove/daemon/config"
	"grove/internal/engine"
)

// This file makes networks of several PIM-SM domains, each with its own RP, and MSDP between them.

// peeringKind is how the RPs of a network are joined, and by what their peer-RPF neighbors are found.
type peeringKind uint8

const (
	// fullMesh: all RPs are one mesh group.
	fullMesh peeringKind = iota
	// byStatic: any graph of RPs, and static RPF peers, default peers or an only peer.
	byStatic
	// byBGP: any graph of RPs, domains are autonomous systems, and what BGP would tell of the RPs is fed to the routers.
	byBGP
	// byIGP: every router speaks MSDP with each neighbor on a link, whether it is an RP or not.
	byIGP
	peeringKinds
)

// domains is what is known of a network's domains.
type domains struct {
	kind     peeringKind
	list     []*domain
	of       []int // the domain of a router
	peerings []*peering
	texts    []string // the configurations without MSDP, by router
	stub     []bool   // routers that forward nothing between their peers: default peers and an only peer are theirs
	noFlag   []bool   // an only peer that is no default peer
	told     []bgpStyle
	rules    map[string]int // by which a peer-RPF neighbor was found, and how often
}

// domain is a PIM-SM domain, and an autonomous system.
type domain struct {
	routers, hosts []int
	rps            []int // more than one share the address (Anycast-RP, RFC 3446)
	rp             netip.Addr
}

// peering is two routers that speak MSDP.
type peering struct {
	routers [2]int
	addrs   [2]netip.Addr
	mesh    string // the mesh group; "": none
	shut    bool
}

// bgpStyle is how the EBGP routes of a domain look, and so which rule finds the peer-RPF neighbor.
type bgpStyle uint8

const (
	nextHopIsPeer    bgpStyle = iota // rule (ii)
	advertiserIsPeer                 // rule (iii)
	sameAS                           // rule (iv)
	bgpStyles
)

// backboneCost is that of links between domains: so large that no way within a domain leads over another.
const backboneCost = 50

// planDomains draws two to five domains of one to three routers, and what joins them: a tree of links, some more, perhaps a
// LAN at which three domains meet.
func (n *Network) planDomains() (plans []linkPlan, routers, hosts int) {
	d := &domains{kind: peeringKind(n.rng.IntN(int(peeringKinds))), rules: make(map[string]int)}
	n.domains = d
	add := func(cost int, p linkPlan) {
		p.name = fmt.Sprintf("l%d", len(plans))
		p.cost = cost + n.rng.IntN(n.maxCost)
		p.delay = time.Duration(1+n.rng.IntN(10)) * time.Millisecond
		plans = append(plans, p)
	}
	for i := range 2 + n.rng.IntN(4) {
		m := &domain{}
		d.list = append(d.list, m)
		size := 1 + n.rng.IntN(3)
		for k := range size {
			r := routers
			routers++
			m.routers = append(m.routers, r)
			d.of = append(d.of, i)
			if k > 0 {
				add(1, linkPlan{routers: []int{m.routers[n.rng.IntN(k)], r}})
			}
		}
		if size > 2 {
			switch n.rng.IntN(3) {
			case 0:
				add(1, linkPlan{routers: []int{m.routers[1], m.routers[2]}})
			case 1:
				add(1, linkPlan{routers: slices.Clone(m.routers)})
			}
		}
		order := n.rng.Perm(size)
		for _, k := range order[:1+n.rng.IntN(min(size, 2))] {
			m.rps = append(m.rps, m.routers[k])
		}
		if m.rp = n.loopback(m.rps[0]).Addr(); len(m.rps) > 1 {
			m.rp = netip.MustParseAddr(fmt.Sprintf("10.254.0.%d", i+1))
		}
		for range 1 + n.rng.IntN(2) {
			p := linkPlan{hosts: []int{hosts}}
			for _, k := range n.rng.Perm(size)[:1+n.rng.IntN(min(size, 2))] {
				p.routers = append(p.routers, m.routers[k])
			}
			m.hosts = append(m.hosts, hosts)
			if hosts++; n.rng.IntN(3) == 0 {
				p.hosts = append(p.hosts, hosts)
				m.hosts = append(m.hosts, hosts)
				hosts++
			}
			add(1, p)
		}
	}
	one := func(i int) int { return d.list[i].routers[n.rng.IntN(len(d.list[i].routers))] }
	for i := 1; i < len(d.list); i++ {
		add(backboneCost, linkPlan{routers: []int{one(n.rng.IntN(i)), one(i)}})
	}
	for range len(d.list) - 1 {
		pair := n.rng.Perm(len(d.list))
		add(backboneCost, linkPlan{routers: []int{one(pair[0]), one(pair[1])}})
	}
	if len(d.list) > 2 && n.rng.IntN(3) == 0 {
		three := n.rng.Perm(len(d.list))
		add(backboneCost, linkPlan{routers: []int{one(three[0]), one(three[1]), one(three[2])}})
	}
	return plans, routers, hosts
}

// planPeers decides who speaks MSDP with whom.
func (n *Network) planPeers(plans []linkPlan) {
	d := n.domains
	d.stub, d.noFlag, d.told = make([]bool, len(d.of)), make([]bool, len(d.of)), make([]bgpStyle, len(d.of))
	join := func(a, b int, mesh string) {
		d.peerings = append(d.peerings, &peering{
			routers: [2]int{a, b}, addrs: [2]netip.Addr{n.loopback(a).Addr(), n.loopback(b).Addr()}, mesh: mesh,
		})
	}
	if d.kind == byIGP {
		for k, p := range plans {
			for i := range p.routers {
				for j := range i {
					d.peerings = append(d.peerings, &peering{
						routers: [2]int{p.routers[i], p.routers[j]}, addrs: [2]netip.Addr{n.address(k, i+1).Addr(), n.address(k, j+1).Addr()},
					})
				}
			}
		}
		return
	}
	rps := d.rps()
	if d.kind == fullMesh {
		for i, a := range rps {
			for _, b := range rps[:i] {
				join(a, b, "all")
			}
		}
		return
	}
	for i, m := range d.list {
		for k, a := range m.rps {
			for _, b := range m.rps[:k] {
				join(a, b, fmt.Sprintf("anycast-%d", i))
			}
		}
		if i > 0 {
			far := d.list[n.rng.IntN(i)].rps
			join(m.rps[n.rng.IntN(len(m.rps))], far[n.rng.IntN(len(far))], "")
		}
	}
	for i, a := range rps {
		for _, b := range rps[:i] {
			if d.of[a] != d.of[b] && d.peering(a, b) == nil && n.rng.IntN(3) == 0 {
				join(a, b, "")
			}
		}
		d.told[a] = bgpStyle(n.rng.IntN(int(bgpStyles)))
	}
	for _, m := range d.list {
		if r := m.rps[0]; len(m.rps) == 1 && n.rng.IntN(2) == 0 {
			d.stub[r] = true
			if !d.joined() {
				d.stub[r] = false
			}
			d.noFlag[r] = n.rng.IntN(2) == 0
		}
	}
}

// rps returns the RPs of all domains.
func (d *domains) rps() (all []int) {
	for _, m := range d.list {
		all = append(all, m.rps...)
	}
	return all
}

// speakers returns the routers that speak MSDP.
func (d *domains) speakers() (all []int) {
	if d.kind != byIGP {
		return d.rps()
	}
	for r := range d.of {
		all = append(all, r)
	}
	return all
}

func (d *domains) peering(a, b int) *peering {
	for _, p := range d.peerings {
		if p.routers == [2]int{a, b} || p.routers == [2]int{b, a} {
			return p
		}
	}
	return nil
}

// ends returns what a peering is to a router: the peer, its address and ours; ok is false if it is not its.
func (p *peering) ends(r int) (peer int, theirs, ours netip.Addr, ok bool) {
	switch r {
	case p.routers[0]:
		return p.routers[1], p.addrs[1], p.addrs[0], true
	case p.routers[1]:
		return p.routers[0], p.addrs[0], p.addrs[1], true
	}
	return 0, netip.Addr{}, netip.Addr{}, false
}

// peers returns the routers that a router speaks with, and that do so now.
func (d *domains) peers(r int) (all []int) {
	for _, p := range d.peerings {
		if peer, _, _, ok := p.ends(r); ok && !p.shut {
			all = append(all, peer)
		}
	}
	slices.Sort(all)
	return all
}

// hops returns how many peerings each router is away from r, over no stub; -1: it is not reached.
func (d *domains) hops(r int) []int {
	dist := make([]int, len(d.of))
	for i := range dist {
		dist[i] = -1
	}
	dist[r] = 0
	for todo := []int{r}; len(todo) > 0; todo = todo[1:] {
		at := todo[0]
		if at != r && d.stub[at] {
			continue
		}
		for _, p := range d.peers(at) {
			if dist[p] < 0 {
				dist[p] = dist[at] + 1
				todo = append(todo, p)
			}
		}
	}
	return dist
}

// joined says whether every RP's messages reach every other, and whether no stub is a peer of a stub, over which nothing
// would reach others.
func (d *domains) joined() bool {
	for _, r := range d.rps() {
		if d.stub[r] && slices.ContainsFunc(d.peers(r), func(p int) bool { return d.stub[p] }) {
			return false
		}
		dist := d.hops(r)
		if slices.ContainsFunc(d.rps(), func(q int) bool { return dist[q] < 0 }) {
			return false
		}
	}
	return true
}

// towards returns the peer by which a router reaches an RP: itself if it is one, else the first of the nearest.
func (d *domains) towards(q, r int) (next int, ok bool) {
	dist := d.hops(r)
	for _, p := range d.peers(q) {
		if dist[p] >= 0 && dist[p] == dist[q]-1 && (p == r || !d.stub[p]) {
			return p, true
		}
	}
	return 0, false
}

// shutPeering ends a peering by configuration, unless that divides the RPs, and the routes of BGP change.
func (n *Network) shutPeering() {
	d := n.domains
	if d.kind != byStatic && d.kind != byBGP {
		return
	}
	p := d.peerings[n.rng.IntN(len(d.peerings))]
	if p.shut || p.mesh != "" {
		return
	}
	if p.shut = true; !d.joined() {
		p.shut = false
		return
	}
	n.configurePeers()
}

func (n *Network) openPeerings() {
	for _, p := range n.domains.peerings {
		p.shut = p.shut && n.rng.IntN(2) == 0
	}
	n.configurePeers()
}

// configurePeers gives the routers configurations that fit the peerings.
func (n *Network) configurePeers() {
	for _, r := range n.domains.speakers() {
		c, err := config.Parse(n.Routers[r].Name(), []byte(n.domains.texts[r]+n.peersOf(r)))
		if err != nil {
			panic(err) // it was read before
		}
		n.Routers[r].Router().Configure(c)
	}
	n.tellBGP()
}

// otherLoopbacks returns what a router's loopback interface has besides its own address: that of an Anycast-RP, and one that
// only BGP knows.
func (n *Network) otherLoopbacks(r int) (text string) {
	if n.domains == nil {
		return ""
	}
	if m := n.domains.list[n.domains.of[r]]; len(m.rps) > 1 && slices.Contains(m.rps, r) {
		text = fmt.Sprintf(", %q", m.rp.String()+"/32")
	}
	return text + fmt.Sprintf(", %q", bgpAddress(r).String()+"/32")
}

func bgpAddress(r int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("10.253.0.%d", r+1)) }

func as(domain int) uint32 { return uint32(65001 + domain) }

// peersOf writes the MSDP section of a router's configuration.
func (n *Network) peersOf(r int) string {
	d := n.domains
	if !slices.Contains(d.speakers(), r) {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "msdp:\n  recommended-filters: false\n  originator-id: %s\n  peers:\n", n.loopback(r).Addr())
	for _, p := range d.peerings {
		peer, theirs, ours, ok := p.ends(r)
		if !ok {
			continue
		}
		fmt.Fprintf(&b, "    - {address: %s, connect-source: %s, remote-as: %d", theirs, ours, as(d.of[peer]))
		if p.mesh != "" {
			fmt.Fprintf(&b, ", mesh-group: %s", p.mesh)
		}
		if d.stub[r] && !(d.noFlag[r] && d.alone(r)) {
			b.WriteString(", default-peer: true")
		}
		if p.shut {
			b.WriteString(", shutdown: true")
		}
		b.WriteString("}\n")
	}
	if d.kind != byStatic || d.stub[r] {
		return b.String()
	}
	b.WriteString("  static-rpf:\n")
	for _, to := range d.rps() {
		if next, ok := d.towards(r, to); ok {
			fmt.Fprintf(&b, "    - {rp: %s, peer: %s}\n", n.loopback(to), n.loopback(next).Addr())
		}
	}
	return b.String()
}

// alone says whether a router has one peer only, whether it speaks or not.
func (d *domains) alone(r int) bool {
	peers := 0
	for _, p := range d.peerings {
		if _, _, _, ok := p.ends(r); ok {
			peers++
		}
	}
	return peers == 1
}

// tellBGP tells the routers what BGP would of the RPs: the shortest path over autonomous systems that peer.
func (n *Network) tellBGP() {
	d := n.domains
	if d == nil || d.kind != byBGP {
		return
	}
	for _, q := range d.rps() {
		var routes []engine.MRIBRoute
		for _, r := range d.rps() {
			if d.of[q] == d.of[r] || d.stub[q] {
				continue
			}
			path, next := d.asPath(q, r)
			if next < 0 {
				continue // the other RP of the domain has the route, and tells of its sources
			}
			peer := n.loopback(next).Addr()
			b := &engine.BGPPath{NextHop: bgpAddress(next), Neighbor: bgpAddress(next), ASPath: path}
			switch d.told[q] {
			case nextHopIsPeer:
				b.NextHop = peer
			case advertiserIsPeer:
				b.Neighbor = peer
			}
			routes = append(routes, engine.MRIBRoute{Prefix: n.loopback(r), Hops: []engine.NextHop{{Gateway: b.NextHop, Weight: 1}}, BGP: b})
		}
		n.Routers[q].Router().Learn(routes)
	}
}

// asPath returns the autonomous systems on the way from a router to one of another domain, the nearest first, and the router's
// peer in that; -1: it has none there.
func (d *domains) asPath(q, r int) (path []uint32, next int) {
	next = -1
	at := d.of[q]
	dist := d.domainHops(d.of[r])
	for at != d.of[r] {
		to := -1
		for _, p := range d.peerings {
			for i, a := range p.routers {
				b := p.routers[1-i]
				if !p.shut && d.of[a] == at && d.of[b] != at && dist[d.of[b]] == dist[at]-1 && (d.of[b] == d.of[r] || !d.stub[b]) &&
					(to < 0 || d.of[b] < to) {
					to = d.of[b]
				}
			}
		}
		if to < 0 {
			return nil, -1
		}
		if at == d.of[q] {
			for _, p := range d.peers(q) {
				if d.of[p] == to && next < 0 {
					next = p
				}
			}
		}
		path = append(path, as(to))
		at = to
	}
	return path, next
}

// domainHops is hops for domains.
func (d *domains) domainHops(to int) []int {
	dist := make([]int, len(d.list))
	for i := range dist {
		dist[i] = -1
	}
	dist[to] = 0
	for todo := []int{to}; len(todo) > 0; todo = todo[1:] {
		at := todo[0]
		for _, r := range d.list[at].rps {
			if at != to && d.stub[r] {
				continue
			}
			for _, p := range d.peers(r) {
				if dist[d.of[p]] < 0 {
					dist[d.of[p]] = dist[at] + 1
					todo = append(todo, d.of[p])
				}
			}
		}
	}
	return dist
}
