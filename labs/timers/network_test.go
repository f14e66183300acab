package timers

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"grove/daemon/config"
	dvmrpwire "grove/dvmrp/wire"
	igmpwire "grove/igmp/wire"
	"grove/internal/engine"
	pimwire "grove/internal/pim/wire"
	"grove/labs/sim"
)

// network is a small network under a test, and what its routers said and heard.
type network struct {
	*sim.Sim
	t      *testing.T
	family engine.Family
	seed   uint64
	ssm    bool // the group is source-specific
	// dense is what stands at pim.ipv4 or pim.ipv6 of each router; if it is not empty they speak dense mode.
	dense map[string]string
	// vector has the routers speak DVMRP.
	vector bool

	sent, heard []message
	// edit sees what a router is about to send, and may change it; false: it is not sent.
	edit func(m *message) bool
}

// message is a PIM, DVMRP, IGMP or MLD message at a router.
type message struct {
	at       time.Duration
	node     string
	ifname   string // empty: the unicast route decides
	src, dst netip.Addr
	msg      any // *pimwire.Hello ..., igmpwire.Query ...
}

// build makes a network. Each line of layout is a node and the links that it is attached to, each a letter, perhaps
// with the cost of the link: "r1 a b:10". r is a router, h a host, o a host that speaks IGMPv2 or MLDv1; the numbers are
// part of the addresses, which rise with them. r1 is the RP of all groups. Every protocol of the family runs on every interface of the
// routers, with nothing configured that has a default.
func build(t *testing.T, f engine.Family, seed uint64, layout string) *network {
	t.Helper()
	return (&network{t: t, family: f, seed: seed}).build(layout)
}

// buildDense makes a network of routers in dense mode. Of a router in pim, the value is what stands at pim.ipv4 or pim.ipv6.
func buildDense(t *testing.T, f engine.Family, layout string, pim map[string]string) *network {
	t.Helper()
	return (&network{t: t, family: f, seed: 1, dense: pim}).build(layout)
}

// buildVector makes a network of routers that speak DVMRP.
func buildVector(t *testing.T, seed uint64, layout string) *network {
	t.Helper()
	return (&network{t: t, family: engine.IPv4, seed: seed, vector: true}).build(layout)
}

func (n *network) build(layout string) *network {
	t, seed := n.t, n.seed
	t.Helper()
	n.Sim = sim.New(seed, sim.Options{})
	ends, costs := map[string][]sim.End{}, map[string]int{}
	var links []string
	for _, line := range strings.Split(strings.TrimSpace(layout), "\n") {
		words := strings.Fields(line)
		name := words[0]
		var on []string
		for _, w := range words[1:] {
			link, cost, _ := strings.Cut(w, ":")
			on = append(on, link)
			if cost != "" {
				costs[link], _ = strconv.Atoi(cost)
			}
		}
		c, err := config.Parse(name, []byte(n.config(name, on, "{}")))
		if err != nil {
			t.Fatal(err)
		}
		var node *sim.Node
		if name[0] != 'r' {
			node = n.AddHost(name, hostOptions(c, name))
		} else {
			node = n.AddRouter(name, c, sim.RouterOptions{Wrap: func(m engine.Machine) engine.Machine { return &spy{m, n, name} }})
		}
		for _, l := range on {
			if ends[l] == nil {
				links = append(links, l)
			}
			ends[l] = append(ends[l], sim.End{Node: node, If: l})
		}
	}
	for _, l := range links {
		n.AddLink(l, sim.LinkOptions{Cost: costs[l]}, ends[l]...)
	}
	return n
}

func hostOptions(c *config.Config, name string) sim.HostOptions {
	if name[0] == 'o' {
		return sim.HostOptions{Config: c, IGMPVersion: 2, MLDVersion: 1}
	}
	return sim.HostOptions{Config: c}
}

// config is the file of a node. members is the value of its igmp or mld keys.
func (n *network) config(name string, links []string, members string) string {
	number, _ := strconv.Atoi(name[1:])
	host := name[0] != 'r'
	if host {
		number += 100
	}
	var b strings.Builder
	b.WriteString("interfaces:\n")
	for _, l := range links {
		pim := "{}"
		if n.dense != nil {
			pim = "{mode: dense}"
		}
		addr, protocols := fmt.Sprintf("10.0.%d.%d/24", l[0]-'a', number), "pim: "+pim+", igmp: "+members
		if n.family == engine.IPv6 {
			addr, protocols = fmt.Sprintf("2001:db8:%d::%d/64", l[0]-'a', number), "pim6: "+pim+", mld: "+members
		}
		if n.vector {
			protocols = "dvmrp: {}, igmp: " + members
		}
		if host {
			protocols = ""
		}
		fmt.Fprintf(&b, "  %s: {addresses: [%q], %s}\n", l, addr, protocols)
	}
	if !host && !n.vector {
		lo := fmt.Sprintf("10.255.0.%d/32", number)
		if n.family == engine.IPv6 {
			lo = fmt.Sprintf("2001:db8:ff::%d/128", number)
		}
		fmt.Fprintf(&b, "  lo: {addresses: [%q]}\n", lo)
		if n.dense != nil {
			options := n.dense[name]
			if options == "" {
				options = "{}"
			}
			fmt.Fprintf(&b, "pim: {%v: %s}\n", n.family, options)
			return b.String()
		}
		fmt.Fprintf(&b, "pim: {ipv4: {rp: [{address: 10.255.0.1}]}, ipv6: {rp: [{address: %q}]}}\n", "2001:db8:ff::1")
	}
	return b.String()
}

// spy notes what a router sends and hears.
type spy struct {
	engine.Machine
	n    *network
	name string
}

func (s *spy) Step(now time.Time, ev engine.Event) []engine.Effect {
	if a, ok := ev.(engine.Addressed); ok {
		if p, ok := a.Event.(engine.Packet); ok {
			s.n.heard = append(s.n.heard, s.n.message(s.name, p.If, p.Src, p.Dst, p.Proto, p.Payload))
		}
	}
	var out []engine.Effect
	for _, e := range s.Machine.Step(now, ev) {
		o := e.(engine.Outward)
		if send, ok := o.Effect.(engine.Send); ok {
			m := s.n.message(s.name, send.If, send.Src, send.Dst, send.Proto, send.Payload)
			if s.n.edit != nil {
				if !s.n.edit(&m) {
					continue
				}
				if pim, ok := m.msg.(pimwire.Message); ok {
					payload, err := pimwire.Encode(pim, send.Src, send.Dst)
					if err != nil {
						s.n.t.Fatal(err)
					}
					send.Payload = payload
					o.Effect = send
				}
			}
			s.n.sent = append(s.n.sent, m)
		}
		out = append(out, o)
	}
	return out
}

// dvmrpType is the IGMP type of DVMRP.
const dvmrpType = 0x13

func (n *network) message(node string, id engine.IfID, src, dst netip.Addr, proto uint8, payload []byte) message {
	m := message{at: n.Now(), node: node, ifname: n.Node(node).IfName(id), src: src, dst: dst}
	var err error
	if proto == engine.ProtoIGMP && len(payload) > 0 && payload[0] == dvmrpType {
		_, m.msg, err = dvmrpwire.Parse(payload)
	} else if proto == engine.ProtoPIM {
		m.msg, err = pimwire.Parse(payload, src, dst)
	} else {
		m.msg, err = igmpwire.Parse(payload, igmpwire.Ends{Src: src, Dst: dst})
	}
	if err != nil {
		n.t.Fatalf("%s at %v: %v", node, n.Now(), err)
	}
	return m
}

// group is the group that everything is about.
func (n *network) group() netip.Addr {
	switch {
	case n.family == engine.IPv4 && n.ssm:
		return netip.MustParseAddr("232.1.1.1")
	case n.family == engine.IPv4:
		return netip.MustParseAddr("239.1.1.1")
	case n.ssm:
		return netip.MustParseAddr("ff3e::1:1")
	}
	return netip.MustParseAddr("ff1e::1:1")
}

// join makes a host a member: of all sources, or of one host.
func (n *network) join(host string, sources ...string) *sim.Member {
	var addrs []netip.Addr
	for _, s := range sources {
		addrs = append(addrs, n.Node(s).Ports()[1].Addr(n.family))
	}
	node := n.Node(host)
	return node.Host().Join(node.Ports()[1].Name(), n.group(), addrs...)
}

// send starts a source on a host: a packet a second.
func (n *network) send(host string) *sim.Source {
	node := n.Node(host)
	return node.AddSource(sim.SourceOptions{If: node.Ports()[1].Name(), Group: n.group()})
}

// silence has a link lose everything, or no more.
func (n *network) silence(link string, on bool) {
	loss := 0.0
	if on {
		loss = 1
	}
	n.Link(link).SetLoss(loss)
}

// addr is the address that a router speaks from on a link.
func (n *network) addr(node, link string) netip.Addr {
	p := n.Node(node).Port(link)
	for _, a := range p.Addrs() {
		if n.family == engine.IPv4 || a.Addr().IsLinkLocalUnicast() {
			return a.Addr()
		}
	}
	return netip.Addr{}
}

// await runs until a router makes a transition to a state, and returns when it did. What was before does not count.
func (n *network) await(node, entity, state string, limit time.Duration) time.Duration {
	n.t.Helper()
	seen := len(n.Transitions())
	var at time.Duration
	if !n.RunWhile(func() bool {
		for ; seen < len(n.Transitions()); seen++ {
			if t := n.Transitions()[seen]; t.Node.Name() == node && t.Entity == entity && t.New == state {
				at = t.At
				return false
			}
		}
		return true
	}, limit) {
		n.t.Fatalf("within %v from %v: no transition of %s at %s to %s%s", limit, n.Now()-limit, entity, node, state, n.story())
	}
	return at
}

// when returns when a router made transitions to a state.
func (n *network) when(node, entity, state string) []time.Duration {
	var list []time.Duration
	for _, t := range n.Transitions() {
		if t.Node.Name() == node && t.Entity == entity && t.New == state {
			list = append(list, t.At)
		}
	}
	return list
}

// story is what happened of late, for a person.
func (n *network) story() string {
	var b strings.Builder
	all := n.Transitions()
	for _, t := range all[max(0, len(all)-30):] {
		b.WriteString("\n  " + t.String())
	}
	return b.String()
}

// query asks a machine of a router for its state.
func query[T any](n *network, node string, p engine.Protocol, what string) T {
	n.t.Helper()
	v, err := n.Node(node).Router().Query(p, n.family, what, "")
	if err != nil {
		n.t.Fatal(err)
	}
	return v.(T)
}

// of returns the messages of one kind that pass a test.
func of[T any](list []message, keep func(m *message, body T) bool) []message {
	var out []message
	for i := range list {
		if body, ok := list[i].msg.(T); ok && keep(&list[i], body) {
			out = append(out, list[i])
		}
	}
	return out
}

// after returns the messages that came later than a time.
func after(list []message, at time.Duration) []message {
	return slices.DeleteFunc(slices.Clone(list), func(m message) bool { return m.at <= at })
}

func times(list []message) []time.Duration {
	var out []time.Duration
	for _, m := range list {
		out = append(out, m.at)
	}
	return out
}

// last returns the time of the last message.
func (n *network) last(list []message) time.Duration {
	n.t.Helper()
	if len(list) == 0 {
		n.t.Fatal("no such message")
	}
	return list[len(list)-1].at
}

// delay is what a link takes.
const delay = time.Millisecond

// exactly says that a time passed, to the delay of a message.
func exactly(t *testing.T, what string, got, want time.Duration) {
	t.Helper()
	between(t, what, got, want-delay, want+delay)
}

func between(t *testing.T, what string, got, least, most time.Duration) {
	t.Helper()
	if got < least || got > most {
		t.Errorf("%s: %v, want %v to %v", what, got, least, most)
	}
}

// spread says that random times lie in an interval, and use it: some near its beginning, some near its end.
func spread(t *testing.T, what string, got []time.Duration, least, most time.Duration) {
	t.Helper()
	for _, d := range got {
		between(t, what, d, least, most+delay)
	}
	if len(got) == 0 {
		t.Fatalf("%s: never", what)
	}
	eighth := (most - least) / 8
	if first, last := slices.Min(got), slices.Max(got); first > least+eighth || last < most-eighth {
		t.Errorf("%s: %d times, from %v to %v: not spread over %v to %v", what, len(got), first, last, least, most)
	}
}

// seeds is how many networks are made to see how random times are spread.
const seeds = 40

// each makes a network for every seed, and collects what it measures.
func each(t *testing.T, f engine.Family, layout string, measure func(n *network) time.Duration) []time.Duration {
	t.Helper()
	var got []time.Duration
	for seed := range uint64(seeds) {
		got = append(got, measure(build(t, f, seed, layout)))
	}
	return got
}
