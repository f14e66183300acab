package bgp

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/osrg/gobgp/v4/api"

	"grove/daemon/config"
)

// The names of the two policies that GoBGP has of us.
const (
	importPolicy = "import"
	exportPolicy = "export"
)

// policyText is the policies with who uses them, so that two configurations can be compared.
func policyText(cfg *config.BGP) string {
	text := ""
	for _, a := range neighbors(cfg) {
		n := byAddress(cfg)[a]
		text += fmt.Sprintln(a, n.AS == cfg.AS, n.Import, n.Export, n.NextHopSelf)
	}
	for _, r := range cfg.Policies {
		text += fmt.Sprintf("%+v %v %v\n", r, value(r.LocalPreference), value(r.MED))
	}
	return text
}

func value(p *uint32) int64 {
	if p == nil {
		return -1
	}
	return int64(*p)
}

// applyPolicies replaces all policies. At first they are assigned as well.
func (s *Server) applyPolicies(ctx context.Context, first bool) error {
	b := &policies{cfg: s.cfg, sets: make(map[string]bool)}
	imports, exports := &api.Policy{Name: importPolicy}, &api.Policy{Name: exportPolicy}
	for i := range s.cfg.Neighbors {
		n := &s.cfg.Neighbors[i]
		imports.Statements = append(imports.Statements, b.statements(importPolicy, n, n.Import)...)
		exports.Statements = append(exports.Statements, b.nextHopSelf(n)...)
		exports.Statements = append(exports.Statements, b.statements(exportPolicy, n, n.Export)...)
	}
	req := &api.SetPoliciesRequest{DefinedSets: b.defined, Policies: []*api.Policy{imports, exports}}
	if err := s.gobgp.SetPolicies(ctx, req); err != nil {
		return fmt.Errorf("bgp: policies: %w", err)
	}
	if !first {
		return nil
	}
	for _, p := range []struct {
		policy    *api.Policy
		direction api.PolicyDirection
	}{{imports, api.PolicyDirection_POLICY_DIRECTION_IMPORT}, {exports, api.PolicyDirection_POLICY_DIRECTION_EXPORT}} {
		err := s.gobgp.SetPolicyAssignment(ctx, &api.SetPolicyAssignmentRequest{Assignment: &api.PolicyAssignment{
			Name: "global", Direction: p.direction, Policies: []*api.Policy{{Name: p.policy.Name}},
			DefaultAction: api.RouteAction_ROUTE_ACTION_ACCEPT,
		}})
		if err != nil {
			return fmt.Errorf("bgp: policies: %w", err)
		}
	}
	return nil
}

// policies builds what GoBGP calls statements and defined sets.
type policies struct {
	cfg     *config.BGP
	defined []*api.DefinedSet
	sets    map[string]bool // by name
}

func (b *policies) define(set *api.DefinedSet) *api.MatchSet {
	if !b.sets[set.Name] {
		b.sets[set.Name] = true
		b.defined = append(b.defined, set)
	}
	return &api.MatchSet{Type: api.MatchSet_TYPE_ANY, Name: set.Name}
}

func (b *policies) neighbor(a netip.Addr) *api.MatchSet {
	return b.define(&api.DefinedSet{
		DefinedType: api.DefinedType_DEFINED_TYPE_NEIGHBOR, Name: "neighbor " + a.String(),
		List: []string{netip.PrefixFrom(a, a.BitLen()).String()},
	})
}

// nextHopSelf tells an IBGP neighbor our own address as the next hop of what EBGP brought.
func (b *policies) nextHopSelf(n *config.BGPNeighbor) []*api.Statement {
	if !n.NextHopSelf {
		return nil
	}
	return []*api.Statement{{
		Name:       "next-hop-self " + n.Address.String(),
		Conditions: &api.Conditions{NeighborSet: b.neighbor(n.Address), RouteType: api.Conditions_ROUTE_TYPE_EXTERNAL},
		Actions:    &api.Actions{Nexthop: &api.NexthopAction{Self: true}},
	}}
}

// statements are the rules of a policy for one neighbor, and one that rejects what none of them matches.
func (b *policies) statements(direction string, n *config.BGPNeighbor, policy string) []*api.Statement {
	if policy == "" {
		return nil
	}
	var list []*api.Statement
	for i := range b.cfg.Policies {
		if r := &b.cfg.Policies[i]; r.Policy == policy {
			list = append(list, b.rule(fmt.Sprintf("%s %v %d", direction, n.Address, i), n, r)...)
		}
	}
	return append(list, &api.Statement{
		Name:       fmt.Sprintf("%s %v end", direction, n.Address),
		Conditions: &api.Conditions{NeighborSet: b.neighbor(n.Address)},
		Actions:    &api.Actions{RouteAction: api.RouteAction_ROUTE_ACTION_REJECT},
	})
}

// rule makes statements of a rule: a prefix list of GoBGP is of one family, so a rule with both has two.
func (b *policies) rule(name string, n *config.BGPNeighbor, r *config.BGPRule) []*api.Statement {
	lists := map[bool][]*api.Prefix{}
	for _, p := range r.Prefixes {
		six := p.Prefix.Addr().Is6()
		lists[six] = append(lists[six], &api.Prefix{IpPrefix: p.Prefix.String(), MaskLengthMin: uint32(p.Min), MaskLengthMax: uint32(p.Max)})
	}
	if len(r.Prefixes) == 0 {
		return b.both(name, b.conditions(name, n, r), r)
	}
	var list []*api.Statement
	for _, six := range []bool{false, true} {
		if len(lists[six]) == 0 {
			continue
		}
		part := name
		if six {
			part += " IPv6"
		}
		c := b.conditions(name, n, r)
		c.PrefixSet = b.define(&api.DefinedSet{DefinedType: api.DefinedType_DEFINED_TYPE_PREFIX, Name: "prefixes " + part, Prefixes: lists[six]})
		list = append(list, b.both(part, c, r)...)
	}
	return list
}

// both makes two statements of a rule that adds communities and removes some, for GoBGP has one action on communities in a
// statement. The first leaves the route such that the second matches, too.
func (b *policies) both(name string, c *api.Conditions, r *config.BGPRule) []*api.Statement {
	last := *r
	if len(r.AddCommunities) == 0 || len(r.RemoveCommunities) == 0 {
		return []*api.Statement{{Name: name, Conditions: c, Actions: b.actions(&last)}}
	}
	add := config.BGPRule{AddCommunities: r.AddCommunities}
	last.AddCommunities = nil
	return []*api.Statement{
		{Name: name + " add", Conditions: c, Actions: b.actions(&add)},
		{Name: name, Conditions: c, Actions: b.actions(&last)},
	}
}

func (b *policies) conditions(name string, n *config.BGPNeighbor, r *config.BGPRule) *api.Conditions {
	c := &api.Conditions{NeighborSet: b.neighbor(n.Address)}
	for _, f := range r.Families {
		c.AfiSafiIn = append(c.AfiSafiIn, apiFamily(f))
	}
	if len(r.Communities) > 0 {
		c.CommunitySet = b.define(&api.DefinedSet{
			DefinedType: api.DefinedType_DEFINED_TYPE_COMMUNITY, Name: "communities " + name, List: communityTexts(r.Communities),
		})
	}
	if r.ASPath != "" {
		c.AsPathSet = b.define(&api.DefinedSet{DefinedType: api.DefinedType_DEFINED_TYPE_AS_PATH, Name: "as-path " + name, List: []string{r.ASPath}})
	}
	return c
}

func (b *policies) actions(r *config.BGPRule) *api.Actions {
	a := &api.Actions{}
	switch r.Action {
	case "accept":
		a.RouteAction = api.RouteAction_ROUTE_ACTION_ACCEPT
	case "reject":
		a.RouteAction = api.RouteAction_ROUTE_ACTION_REJECT
	}
	if r.LocalPreference != nil {
		a.LocalPref = &api.LocalPrefAction{Value: *r.LocalPreference}
	}
	if r.MED != nil {
		a.Med = &api.MedAction{Type: api.MedAction_TYPE_REPLACE, Value: int64(*r.MED)}
	}
	switch {
	case len(r.AddCommunities) > 0:
		a.Community = &api.CommunityAction{Type: api.CommunityAction_TYPE_ADD, Communities: communityTexts(r.AddCommunities)}
	case len(r.RemoveCommunities) > 0:
		a.Community = &api.CommunityAction{Type: api.CommunityAction_TYPE_REMOVE, Communities: communityTexts(r.RemoveCommunities)}
	}
	if r.Prepend > 0 {
		a.AsPrepend = &api.AsPrependAction{Asn: b.cfg.AS, Repeat: uint32(r.Prepend)}
	}
	return a
}
