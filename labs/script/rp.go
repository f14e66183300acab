package script

import (
	"fmt"
	"net/netip"
	"strings"

	"connectrpc.com/connect"

	grovev1 "grove/daemon/api/grove/v1"
)

// This file has the checks of how routers learn their RPs.

// RPCheck: some routers agree on the RP of a group.
type RPCheck struct {
	Nodes  []string   `yaml:"nodes"`
	Group  netip.Addr `yaml:"group"`
	Is     netip.Addr `yaml:"is"`     // not said: there is none
	Origin string     `yaml:"origin"` // where the mapping comes from: "static", "BSR" ...; not said: any
}

// BSRCheck: some routers agree on the BSR.
type BSRCheck struct {
	Nodes []string     `yaml:"nodes"`
	Is    netip.Addr   `yaml:"is"`    // not said: there is none
	Scope netip.Prefix `yaml:"scope"` // of the zone; not said: the whole domain
	IPv6  bool         `yaml:"ipv6"`  // where there is none
}

// fault says what is wrong with the check.
func (c *RPCheck) fault() string {
	if len(c.Nodes) == 0 || !c.Group.IsMulticast() {
		return "rp: expected nodes and group"
	}
	return ""
}

func (c *BSRCheck) fault() string {
	if len(c.Nodes) == 0 {
		return "bsr: expected nodes"
	}
	return ""
}

func (e *evaluator) rp(c *RPCheck) (Finding, error) {
	want := addrOrNone(c.Is)
	f := Finding{Check: fmt.Sprintf("%s: the RP of %v is %s", strings.Join(c.Nodes, ", "), c.Group, want), True: true}
	if c.Origin != "" {
		f.Check += ", by " + c.Origin
	}
	family := grovev1.Family_FAMILY_IPV4
	if c.Group.Is6() {
		family = grovev1.Family_FAMILY_IPV6
	}
	var found []string
	for _, node := range c.Nodes {
		client, err := e.client(node)
		if err != nil {
			return Finding{}, err
		}
		list, err := client.ListRPMappings(e.ctx, connect.NewRequest(&grovev1.ListRPMappingsRequest{Family: family, Group: c.Group.String()}))
		if err != nil {
			return Finding{}, fmt.Errorf("%s: RP of %v: %w", node, c.Group, err)
		}
		is, origin := "none", ""
		for _, m := range list.Msg.Mappings {
			if m.Chosen {
				is, origin = m.Rp, m.Origin
			}
		}
		if is == want && (c.Origin == "" || c.Origin == origin) {
			continue
		}
		f.True = false
		found = append(found, strings.TrimSpace(fmt.Sprintf("%s has %s %s", node, is, origin)))
	}
	f.Found = agreement(found)
	return f, nil
}

func (e *evaluator) bsr(c *BSRCheck) (Finding, error) {
	want, scope, family := addrOrNone(c.Is), "", grovev1.Family_FAMILY_IPV4
	if c.IPv6 || c.Is.Is6() {
		family = grovev1.Family_FAMILY_IPV6
	}
	f := Finding{Check: fmt.Sprintf("%s: the BSR is %s", strings.Join(c.Nodes, ", "), want), True: true}
	if c.Scope.IsValid() {
		scope = c.Scope.String()
		f.Check = fmt.Sprintf("%s: the BSR of %s is %s", strings.Join(c.Nodes, ", "), scope, want)
	}
	var found []string
	for _, node := range c.Nodes {
		client, err := e.client(node)
		if err != nil {
			return Finding{}, err
		}
		r, err := client.GetBSR(e.ctx, connect.NewRequest(&grovev1.GetBSRRequest{Family: family}))
		if err != nil {
			return Finding{}, fmt.Errorf("%s: BSR: %w", node, err)
		}
		is := "none"
		for _, z := range r.Msg.Zones {
			if z.Scope == scope && z.Bsr != "" {
				is = z.Bsr
			}
		}
		if is != want {
			f.True = false
			found = append(found, node+" has "+is)
		}
	}
	f.Found = agreement(found)
	return f, nil
}

func addrOrNone(a netip.Addr) string {
	if !a.IsValid() {
		return "none"
	}
	return a.String()
}

// agreement is what was found: those that differ.
func agreement(others []string) string {
	if len(others) == 0 {
		return "so on all"
	}
	return strings.Join(others, "; ")
}
