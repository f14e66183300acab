// Package labs holds the labs: a folder each, named NN-topic, and what opens them. The engines that run them are in
// sim, netns and clab.
package labs

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"grove/labs/script"
)

//go:embed all:02-dvmrp all:03-pim-dm all:06-pim-sm all:08-interdomain all:13-border all:14-anycast-rp all:15-bsr
var folders embed.FS

// Lab is a lab that can be run.
type Lab struct {
	Name     string
	Dir      fs.FS
	Topology *script.Topology
	Script   *script.Script
	Drawing  string // of the topology, for a terminal
}

// Names lists the labs that grove brings along.
func Names() []string {
	entries, err := folders.ReadDir(".")
	if err != nil {
		panic(err) // the folder is part of the program
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	slices.Sort(names)
	return names
}

// Open opens a lab: the path of a folder, or the name of one that grove brings along, or its number.
func Open(name string) (*Lab, error) {
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		return Read(os.DirFS(name))
	}
	for _, n := range Names() {
		if n == name || strings.HasPrefix(n, name+"-") {
			dir, err := fs.Sub(folders, n)
			if err != nil {
				return nil, err
			}
			return Read(dir)
		}
	}
	return nil, fmt.Errorf("there is no lab %q: `grove lab list` names those there are; a path opens one of your own", name)
}

// Read reads a lab's folder.
func Read(dir fs.FS) (*Lab, error) {
	topo, err := script.ReadTopology(dir)
	if err != nil {
		return nil, err
	}
	s, err := script.ReadScript(dir, topo)
	if err != nil {
		return nil, err
	}
	drawing, err := fs.ReadFile(dir, "topology.txt")
	if err != nil {
		return nil, fmt.Errorf("a lab draws its topology in topology.txt: %w", err)
	}
	return &Lab{Name: topo.Name, Dir: dir, Topology: topo, Script: s, Drawing: string(drawing)}, nil
}
