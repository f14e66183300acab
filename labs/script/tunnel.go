package script

import (
	"io/fs"

	"grove/daemon/config"
)

// findTunnels returns the tunnels between nodes as their configurations have them: to a tree they are links like those of
// the topology file, though no cable is theirs. A configuration that cannot be read is for the engine to complain of.
func findTunnels(dir fs.FS, nodes []Node) (links []Link) {
	type end struct {
		Endpoint
		config.Tunnel
	}
	var ends []end
	for _, n := range nodes {
		data, err := fs.ReadFile(dir, n.Config)
		if n.Bridge || err != nil {
			continue
		}
		c, err := config.Parse(n.Config, data)
		if err != nil {
			continue
		}
		for _, t := range c.Tunnels {
			for _, other := range ends {
				if other.Local == t.Remote && other.Remote == t.Local {
					links = append(links, Link{other.Endpoint, Endpoint{n.Name, t.Name}})
				}
			}
			ends = append(ends, end{Endpoint{n.Name, t.Name}, t})
		}
	}
	return links
}
