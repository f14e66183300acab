package script

import (
	"os"
	"slices"
	"testing"
)

// TestLabs: every lab folder can be read, and its script fits its topology.
func TestLabs(t *testing.T) {
	folders, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	labs := 0
	for _, f := range folders {
		if !f.IsDir() || f.Name()[0] < '0' || f.Name()[0] > '9' {
			continue
		}
		labs++
		dir := os.DirFS("../" + f.Name())
		topo, err := ReadTopology(dir)
		if err != nil {
			t.Errorf("%s: %v", f.Name(), err)
			continue
		}
		if topo.Name != f.Name() {
			t.Errorf("%s: the topology's name is %q", f.Name(), topo.Name)
		}
		s, err := ReadScript(dir, topo)
		if err != nil {
			t.Errorf("%s: %v", f.Name(), err)
		} else if len(s.Steps) == 0 {
			t.Errorf("%s: no steps", f.Name())
		}
	}
	if labs == 0 {
		t.Fatal("no labs found")
	}
}

// TestDrawTree: edges become an indented tree; a loop is drawn, and ends.
func TestDrawTree(t *testing.T) {
	for _, c := range []struct {
		edges string
		lines []string
	}{
		{"r1>r2>r4>h2 r1>r3", []string{"r1", "└─ r2", "   └─ r4", "      └─ h2", "└─ r3"}},
		{"a>b>a", []string{"a", "└─ b", "   └─ a (again)"}},
	} {
		edges, err := parseEdges(c.edges)
		if err != nil {
			t.Fatal(err)
		}
		if got := drawTree(edges); !slices.Equal(got, c.lines) {
			t.Errorf("%s: drawn as %q, want %q", c.edges, got, c.lines)
		}
	}
}
