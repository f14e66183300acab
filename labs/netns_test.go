package labs

import (
	"bytes"
	"context"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"grove/internal/testneed"
	"grove/labs/netns"
	"grove/labs/script"
)

// TestOnKernel: every check of every lab is true on the real kernel.
func TestOnKernel(t *testing.T) {
	testneed.Root(t)
	groved := filepath.Join(t.TempDir(), "groved")
	if out, err := exec.Command("go", "build", "-o", groved, "grove/cmd/groved").CombinedOutput(); err != nil {
		t.Fatalf("build groved: %v\n%s", err, out)
	}
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			l, err := Open(name)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
			defer cancel()
			e, err := netns.New(ctx, l.Dir, l.Topology, netns.Options{Groved: groved, RunDir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			p := &script.Printer{Out: &out}
			r, err := script.Run(ctx, l.Name, l.Topology, l.Script, e, p)
			if err := e.Close(); err != nil {
				t.Error(err)
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
