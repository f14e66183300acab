// Package scenarios holds small networks in which PIM-SM has to do something particular: one file each, with the
// topology, the configurations and the script of a lab, and the RFC's section. Each is run in the simulator and on the
// kernel.
package scenarios

import (
	"bytes"
	"context"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"grove/internal/testneed"
	"grove/labs/netns"
	"grove/labs/script"
	"grove/labs/sim/lab"
)

// each runs f for every scenario.
func each(t *testing.T, start func(t *testing.T, dir fs.FS, topo *script.Topology) script.Engine) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("scenarios: %v, %v", files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			dir, err := txtar.FS(archive)
			if err != nil {
				t.Fatal(err)
			}
			topo, err := script.ReadTopology(dir)
			if err != nil {
				t.Fatal(err)
			}
			s, err := script.ReadScript(dir, topo)
			if err != nil {
				t.Fatal(err)
			}
			e := start(t, dir, topo)
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			var out bytes.Buffer
			p := &script.Printer{Out: &out}
			r, err := script.Run(ctx, topo.Name, topo, s, e, p)
			if closing := e.Close(); closing != nil {
				t.Error(closing)
			}
			if err != nil {
				t.Fatalf("%v\n%s", err, out.String())
			}
			if r.Status() != 0 {
				p.Summary(r)
				t.Error(out.String())
			}
		})
	}
}

func TestInSimulator(t *testing.T) {
	each(t, func(t *testing.T, dir fs.FS, topo *script.Topology) script.Engine {
		e, err := lab.New(dir, topo, 1)
		if err != nil {
			t.Fatal(err)
		}
		return e
	})
}

func TestOnKernel(t *testing.T) {
	testneed.Root(t)
	groved := filepath.Join(t.TempDir(), "groved")
	if out, err := exec.Command("go", "build", "-o", groved, "grove/cmd/groved").CombinedOutput(); err != nil {
		t.Fatalf("build groved: %v\n%s", err, out)
	}
	each(t, func(t *testing.T, dir fs.FS, topo *script.Topology) script.Engine {
		e, err := netns.New(context.Background(), dir, topo, netns.Options{Groved: groved, RunDir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		return e
	})
}
