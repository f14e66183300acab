package script

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"

	"github.com/goccy/go-yaml"

	"grove/internal/engine"
)

// bgpFile holds the multicast routes that BGP brings the routers of a lab at its beginning; an action names another file for when
// they change. The simulator, which has no BGP, tells them to the routers; on the kernel the sessions of the configurations
// do, and a check says that they bring the same.
const bgpFile = "bgp-routes.yml"

// BGPRoute is a multicast route that a router has by BGP.
type BGPRoute struct {
	To       netip.Prefix `yaml:"to"`
	Via      netip.Addr   `yaml:"via"`      // the next hop
	Neighbor netip.Addr   `yaml:"neighbor"` // who advertised it; not said: the next hop
	ASPath   []uint32     `yaml:"as-path"`  // nearest first
	Internal bool         `yaml:"internal"` // by IBGP
}

// MRIBRoute returns the route as rib is told it.
func (b *BGPRoute) MRIBRoute() engine.MRIBRoute {
	return engine.MRIBRoute{
		Prefix: b.To, Hops: []engine.NextHop{{Gateway: b.Via, Weight: 1}},
		BGP: &engine.BGPPath{NextHop: b.Via, Neighbor: b.Neighbor, Internal: b.Internal, ASPath: b.ASPath},
	}
}

// ReadBGP reads what BGP brings the routers of the lab in dir at its beginning, by node; nothing if the lab does not say.
func ReadBGP(dir fs.FS, t *Topology) (map[string][]BGPRoute, error) {
	routes, err := ReadBGPFile(dir, bgpFile, t)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return routes, err
}

// ReadBGPFile reads a file of the lab in dir that says what BGP brings the routers, by node.
func ReadBGPFile(dir fs.FS, name string, t *Topology) (map[string][]BGPRoute, error) {
	data, err := fs.ReadFile(dir, name)
	if err != nil {
		return nil, err
	}
	var routes map[string][]BGPRoute
	if err := yaml.UnmarshalWithOptions(data, &routes, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var faults []error
	for node, list := range engine.Sorted(routes) {
		if !slices.ContainsFunc(t.Nodes, func(n Node) bool { return n.Name == node }) {
			faults = append(faults, fmt.Errorf("%s: there is no node %q in the topology", name, node))
		}
		for i := range list {
			b := &list[i]
			if !b.To.IsValid() || b.To != b.To.Masked() || b.To.Addr().IsMulticast() {
				faults = append(faults, fmt.Errorf("%s: %s: to %v: expected a unicast prefix", name, node, b.To))
			}
			if !b.Via.IsValid() {
				faults = append(faults, fmt.Errorf("%s: %s: to %v: a route needs via, its next hop", name, node, b.To))
			}
			if !b.Neighbor.IsValid() {
				b.Neighbor = b.Via
			}
		}
	}
	return routes, errors.Join(faults...)
}
