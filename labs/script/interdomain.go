package script

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"connectrpc.com/connect"

	grovev1 "grove/daemon/api/grove/v1"
	"grove/daemon/api/grove/v1/grovev1connect"
)

// This file has the checks of what holds between domains: the routes of BGP for the reverse-path check, and MSDP.

// BGPCheck: BGP has brought the router the multicast routes that the lab lists for it, and they serve the RPF check.
type BGPCheck struct {
	Node string `yaml:"node"`
}

// RPFCheck: the way from a router towards a source or an RP, as the RPF check knows it.
type RPFCheck struct {
	Node      string     `yaml:"node"`
	Address   netip.Addr `yaml:"address"`
	Origin    string     `yaml:"origin"`    // of the route: "static", "bgp" ...
	Interface string     `yaml:"interface"` // where packets from there must come in
	Via       netip.Addr `yaml:"via"`       // the RPF neighbor
	ASPath    string     `yaml:"as-path"`   // "65001 65002", of a route of BGP
}

// MSDPPeerCheck: what a router says of an MSDP peer.
type MSDPPeerCheck struct {
	Node   string     `yaml:"node"`
	Peer   netip.Addr `yaml:"peer"`
	State  string     `yaml:"state"`  // "ESTABLISHED" ...; not said: any
	Cached *int       `yaml:"cached"` // entries that are cached from it, exactly so many
	// At least so many entries of the peer were refused since the routers started: by peer-RPF, and by a limit.
	RPFFailures int `yaml:"rpf-failures"`
	OverLimit   int `yaml:"over-limit"`
}

// SACheck: a router knows of a source by MSDP: from a peer, or its own domain's.
type SACheck struct {
	Node   string     `yaml:"node"`
	Source netip.Addr `yaml:"source"`
	Group  netip.Addr `yaml:"group"`
	RP     netip.Addr `yaml:"rp"`   // that told of it first; not said: any
	Peer   netip.Addr `yaml:"peer"` // that told the router; not said: any, or none
	Gone   bool       `yaml:"gone"` // the router knows of none such
	// Count, without a source and a group, is how many entries of the RP there are.
	Count *int `yaml:"count"`
}

// PeerRPFCheck: from which peer a router takes what an RP says, and by which rule.
type PeerRPFCheck struct {
	Node string     `yaml:"node"`
	RP   netip.Addr `yaml:"rp"`
	Peer netip.Addr `yaml:"peer"`
	Rule string     `yaml:"rule"` // how the rule's name begins: "(ii)", "default peer"; not said: any
	// Refuses are peers that told of the RP, too, and whose messages were refused.
	Refuses []netip.Addr `yaml:"refuses"`
	// Says is what the explanation has to say, each in one of its lines: of the route, and of what the rules looked at.
	Says []string `yaml:"says"`
}

// client returns the API of a router.
func (e *evaluator) client(node string) (grovev1connect.RouterServiceClient, error) {
	c := e.engine.Client(node)
	if c == nil {
		return nil, fmt.Errorf("%s is no router", node)
	}
	return c, nil
}

// rpf asks a router for its way to an address.
func (e *evaluator) rpf(node string, to netip.Addr) (*grovev1.RPF, error) {
	c, err := e.client(node)
	if err != nil {
		return nil, err
	}
	r, err := c.GetRPF(e.ctx, connect.NewRequest(&grovev1.GetRPFRequest{Address: to.String()}))
	if err != nil {
		return nil, fmt.Errorf("%s: RPF to %v: %w", node, to, err)
	}
	return r.Msg.Paths[0], nil
}

// describeRPF says what serves the RPF check.
func describeRPF(r *grovev1.RPF) string {
	switch {
	case r.Local:
		return "an address of the router"
	case !r.Reachable:
		return "not reached"
	}
	s := fmt.Sprintf("%s by %s", r.Prefix, r.Origin)
	if h := r.Hops[0]; h.Gateway != "" {
		s += " via " + h.Gateway
	}
	s += " on " + r.Hops[0].Interface
	if b := r.Bgp; b != nil {
		s += ", AS path " + orNone(asPath(b.AsPath))
		if b.Internal {
			s += ", internal"
		}
	}
	return s
}

func asPath(list []uint32) string {
	var words []string
	for _, as := range list {
		words = append(words, strconv.FormatUint(uint64(as), 10))
	}
	return strings.Join(words, " ")
}

func (e *evaluator) bgp(c *BGPCheck) (Finding, error) {
	routes := e.script.bgp[e.listed][c.Node]
	by := "by its sessions of BGP"
	if e.engine.Name() == "sim" {
		by = "told by the simulator, which has no BGP"
	}
	f := Finding{Check: fmt.Sprintf("%s has the %d routes of %s, %s", c.Node, len(routes), e.listed, by), True: true}
	var found []string
	for _, b := range routes {
		to := b.To.Addr()
		if !b.To.IsSingleIP() {
			to = to.Next()
		}
		r, err := e.rpf(c.Node, to)
		if err != nil {
			return Finding{}, err
		}
		if p := r.Bgp; p == nil || r.Prefix != b.To.String() || p.NextHop != b.Via.String() || p.Neighbor != b.Neighbor.String() ||
			p.Internal != b.Internal || !slices.Equal(p.AsPath, b.ASPath) {
			f.True = false
			found = append(found, fmt.Sprintf("to %v: %s", b.To, describeRPF(r)))
		}
	}
	if f.Found = strings.Join(found, "; "); f.True {
		f.Found = "all"
	}
	return f, nil
}

func (e *evaluator) rpfCheck(c *RPFCheck) (Finding, error) {
	r, err := e.rpf(c.Node, c.Address)
	if err != nil {
		return Finding{}, err
	}
	f := Finding{Check: fmt.Sprintf("%s reaches %v", c.Node, c.Address), True: r.Reachable, Found: describeRPF(r)}
	want := func(what string, ok bool) {
		f.Check += " " + what
		f.True = f.True && ok
	}
	var hop grovev1.NextHop
	if len(r.Hops) > 0 {
		hop.Interface, hop.Gateway = r.Hops[0].Interface, r.Hops[0].Gateway
	}
	if c.Origin != "" {
		want("by "+c.Origin, r.Origin == c.Origin)
	}
	if c.Via.IsValid() {
		want("via "+c.Via.String(), hop.Gateway == c.Via.String())
	}
	if c.Interface != "" {
		want("on "+c.Interface, hop.Interface == c.Interface)
	}
	if c.ASPath != "" {
		want("with the AS path "+c.ASPath, r.Bgp != nil && asPath(r.Bgp.AsPath) == c.ASPath)
	}
	return f, nil
}

func (e *evaluator) msdpPeer(c *MSDPPeerCheck) (Finding, error) {
	client, err := e.client(c.Node)
	if err != nil {
		return Finding{}, err
	}
	list, err := client.ListMSDPPeers(e.ctx, connect.NewRequest(&grovev1.ListMSDPPeersRequest{Address: c.Peer.String()}))
	if err != nil {
		return Finding{}, fmt.Errorf("%s: MSDP peer %v: %w", c.Node, c.Peer, err)
	}
	p := list.Msg.Peers[0]
	f := Finding{
		Check: fmt.Sprintf("%s's MSDP peer %v:", c.Node, c.Peer), True: true,
		Found: fmt.Sprintf("%s, %d cached, refused: %d by peer-RPF, %d by a limit", p.State, p.Cached, p.RpfFailures, p.OverLimit),
	}
	var words []string
	want := func(what string, ok bool) {
		words = append(words, what)
		f.True = f.True && ok
	}
	if c.State != "" {
		want(c.State, p.State == c.State)
	}
	if c.Cached != nil {
		want(fmt.Sprintf("%d entries cached", *c.Cached), int(p.Cached) == *c.Cached)
	}
	if c.RPFFailures > 0 {
		want(fmt.Sprintf("%d or more refused by peer-RPF", c.RPFFailures), p.RpfFailures >= uint64(c.RPFFailures))
	}
	if c.OverLimit > 0 {
		want(fmt.Sprintf("%d or more refused by a limit", c.OverLimit), p.OverLimit >= uint64(c.OverLimit))
	}
	f.Check += " " + strings.Join(words, ", ")
	return f, nil
}

func (e *evaluator) sourceActive(c *SACheck) (Finding, error) {
	client, err := e.client(c.Node)
	if err != nil {
		return Finding{}, err
	}
	about := c.Group
	if !about.IsValid() {
		about = c.RP
	}
	list, err := client.ListMSDPSourceActives(e.ctx, connect.NewRequest(&grovev1.ListMSDPSourceActivesRequest{Address: about.String()}))
	if err != nil {
		return Finding{}, fmt.Errorf("%s: MSDP sources: %w", c.Node, err)
	}
	if c.Count != nil {
		n := len(list.Msg.SourceActives)
		return Finding{
			Check: fmt.Sprintf("%s knows of %d sources of RP %v", c.Node, *c.Count, c.RP), True: n == *c.Count, Found: strconv.Itoa(n),
		}, nil
	}
	f := Finding{Check: fmt.Sprintf("%s knows of (%v,%v)", c.Node, c.Source, c.Group), Found: "it does not"}
	if c.Gone {
		f.Check = fmt.Sprintf("%s knows of no (%v,%v)", c.Node, c.Source, c.Group)
	}
	if c.RP.IsValid() {
		f.Check += fmt.Sprintf(" of RP %v", c.RP)
	}
	if c.Peer.IsValid() {
		f.Check += fmt.Sprintf(" from peer %v", c.Peer)
	}
	for _, s := range list.Msg.SourceActives {
		if s.Source != c.Source.String() {
			continue
		}
		f.Found = "of RP " + s.Rp + " from peer " + orNone(s.Peer)
		if (!c.RP.IsValid() || s.Rp == c.RP.String()) && (!c.Peer.IsValid() || s.Peer == c.Peer.String()) {
			f.True = true
			break
		}
	}
	if c.Gone {
		f.True = !f.True
	}
	return f, nil
}

func (e *evaluator) peerRPF(c *PeerRPFCheck) (Finding, error) {
	client, err := e.client(c.Node)
	if err != nil {
		return Finding{}, err
	}
	r, err := client.GetMSDPRPF(e.ctx, connect.NewRequest(&grovev1.GetMSDPRPFRequest{Rp: c.RP.String()}))
	if err != nil {
		return Finding{}, fmt.Errorf("%s: peer-RPF of %v: %w", c.Node, c.RP, err)
	}
	f := Finding{
		Check: fmt.Sprintf("%s takes what RP %v says from %v", c.Node, c.RP, c.Peer),
		True:  r.Msg.RpfPeer == c.Peer.String(), Found: fmt.Sprintf("from %s: %s", orNone(r.Msg.RpfPeer), r.Msg.Rule),
	}
	if c.Rule != "" {
		f.Check += ": " + c.Rule
		f.True = f.True && strings.HasPrefix(r.Msg.Rule, c.Rule)
	}
	for _, a := range c.Refuses {
		f.Check += fmt.Sprintf(", and refuses it from %v", a)
		i := slices.IndexFunc(r.Msg.Peers, func(p *grovev1.MSDPRPFPeer) bool { return p.Peer == a.String() })
		if i < 0 || r.Msg.Peers[i].Accepted || r.Msg.Peers[i].RefusedEntries == 0 {
			f.True = false
			f.Found += fmt.Sprintf("; nothing refused from %v", a)
		}
	}
	lines := append([]string{"route " + r.Msg.Route}, r.Msg.Compared...)
	for _, say := range c.Says {
		f.Check += fmt.Sprintf(", for %q", say)
		if !slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, say) }) {
			f.True = false
			f.Found += fmt.Sprintf("; it says %q", lines)
		}
	}
	return f, nil
}
