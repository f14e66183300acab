package script

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// Topology is the part of a containerlab topology file that grove's own engines use. The file may hold more: it is
// containerlab's to judge.
type Topology struct {
	Name  string
	Nodes []Node // in the order of the file
	Links []Link

	tunnels []Link // of the nodes' configurations
}

// Node is a router, a host, or a bridge: a LAN with more than two ends.
type Node struct {
	Name     string
	Config   string // the grove configuration that is bound to /etc/grove/grove.yml, relative to the lab's folder
	Sysctls  map[string]string
	Bridge   bool // containerlab's kind: bridge
	Snooping bool // of a bridge: IGMP and MLD snooping, asked for by the label grove.snooping
}

// Link is a cable between two interfaces.
type Link struct{ A, B Endpoint }

// Endpoint is an interface of a node.
type Endpoint struct{ Node, Interface string }

// String returns "r1:eth2".
func (e Endpoint) String() string { return e.Node + ":" + e.Interface }

// configTarget is where a node's configuration is bound to in its container.
const configTarget = "/etc/grove/grove.yml"

// topologyFile is containerlab's schema, as far as we read it.
type topologyFile struct {
	Name     string
	Topology struct {
		Defaults nodeFile
		Kinds    map[string]nodeFile
		Nodes    yaml.MapSlice
		Links    []struct{ Endpoints []string }
	}
}

type nodeFile struct {
	Kind    string
	Binds   []string
	Sysctls map[string]string
	Labels  map[string]string
}

// ReadTopology reads the one *.clab.yml in dir.
func ReadTopology(dir fs.FS) (*Topology, error) {
	names, err := fs.Glob(dir, "*.clab.y*ml")
	if err != nil {
		return nil, err
	}
	if len(names) != 1 {
		return nil, fmt.Errorf("a lab has exactly one *.clab.yml, found %d", len(names))
	}
	data, err := fs.ReadFile(dir, names[0])
	if err != nil {
		return nil, err
	}
	var file topologyFile
	if err := yaml.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("%s: %w", names[0], err)
	}
	t := &Topology{Name: file.Name}
	known := map[string]bool{}
	for _, item := range file.Topology.Nodes {
		name := fmt.Sprint(item.Key)
		raw, err := yaml.Marshal(item.Value)
		if err != nil {
			return nil, fmt.Errorf("%s: node %s: %w", names[0], name, err)
		}
		var nf nodeFile
		if err := yaml.Unmarshal(raw, &nf); err != nil {
			return nil, fmt.Errorf("%s: node %s: %w", names[0], name, err)
		}
		node := Node{Name: name, Sysctls: map[string]string{}}
		kind := nf.Kind
		if kind == "" {
			kind = file.Topology.Defaults.Kind
		}
		if kind == "bridge" {
			known[name] = true
			t.Nodes = append(t.Nodes, Node{Name: name, Bridge: true, Snooping: nf.Labels["grove.snooping"] == "true"})
			continue
		}
		for _, from := range []map[string]string{file.Topology.Defaults.Sysctls, file.Topology.Kinds[kind].Sysctls, nf.Sysctls} {
			for k, v := range from {
				node.Sysctls[k] = v
			}
		}
		for _, bind := range nf.Binds {
			if source, target, ok := strings.Cut(bind, ":"); ok && strings.TrimSuffix(target, ":ro") == configTarget {
				node.Config = path.Clean(source)
			}
		}
		if node.Config == "" {
			return nil, fmt.Errorf("%s: node %s: no bind to %s: every node has a grove configuration", names[0], name, configTarget)
		}
		known[name] = true
		t.Nodes = append(t.Nodes, node)
	}
	for i, l := range file.Topology.Links {
		if len(l.Endpoints) != 2 {
			return nil, fmt.Errorf("%s: link %d: two endpoints expected, found %d", names[0], i+1, len(l.Endpoints))
		}
		var ends [2]Endpoint
		for j, s := range l.Endpoints {
			node, ifc, ok := strings.Cut(s, ":")
			if !ok || !known[node] {
				return nil, fmt.Errorf("%s: link %d: endpoint %q: expected NODE:INTERFACE of a node in this file", names[0], i+1, s)
			}
			ends[j] = Endpoint{node, ifc}
		}
		t.Links = append(t.Links, Link{ends[0], ends[1]})
	}
	t.tunnels = findTunnels(dir, t.Nodes)
	return t, nil
}

// Peer returns the other end of the link, or tunnel, at e.
func (t *Topology) Peer(e Endpoint) (Endpoint, bool) {
	for _, l := range slices.Concat(t.Links, t.tunnels) {
		switch e {
		case l.A:
			return l.B, true
		case l.B:
			return l.A, true
		}
	}
	return Endpoint{}, false
}
