package cases

import (
	"embed"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"grove/internal/engine"
)

//go:embed testdata/*.txt
var scripts embed.FS

// Interfaces is how many interfaces a Bench has: 1 to Interfaces.
const Interfaces = 5

// Bench is a router whose forwarding plane is tried. Its table is empty at first.
type Bench interface {
	// SetVIF adds or deletes a VIF; If is the number of the interface.
	SetVIF(s engine.SetVIF) error
	// Unplug makes an interface disappear.
	Unplug(i int)
	SetRows(rows []engine.Row) []engine.RowFailed
	ReadCounters(keys []engine.Key) []engine.RowCounters
	// Arrive lets a packet arrive on an interface.
	Arrive(i int, packet []byte)
	// Originate lets this router send UDP data out of an interface, from its address there.
	Originate(i int, group Address, ttl uint8, data []byte)
	// Wait lets time pass.
	Wait(d time.Duration)
	// Seen returns what happened since it was last called, in order for each interface and for the upcalls.
	Seen() []Seen
	// Close ends the Bench.
	Close()
}

// Seen is a packet that left by an interface, or an upcall.
type Seen struct {
	If     int // 0: an upcall
	Packet []byte
	Upcall engine.Upcall
}

// Run runs all cases of a family. With update it rewrites the scripts by what it saw.
func Run(t *testing.T, family engine.Family, update bool, open func(t *testing.T) Bench) {
	names, err := fs.Glob(scripts, "testdata/*.txt")
	if err != nil || len(names) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, name := range names {
		path := filepath.Join("../cases", name)
		text, err := scripts.ReadFile(name)
		if update {
			text, err = os.ReadFile(path) // the other family may have rewritten it
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			var rewritten strings.Builder
			for _, c := range split(string(text)) {
				if c.family != 0 && c.family != family {
					rewritten.WriteString(c.text)
					continue
				}
				t.Run(c.title, func(t *testing.T) {
					got := runCase(t, family, c.text, open)
					rewritten.WriteString(got)
					if got != c.text && !update {
						t.Errorf("unlike %s:\n%s", name, cmp.Diff(strings.Split(c.text, "\n"), strings.Split(got, "\n")))
					}
				})
			}
			if update && !t.Failed() {
				if err := os.WriteFile(path, []byte(rewritten.String()), 0o666); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// aCase is a part of a script.
type aCase struct {
	title  string
	family engine.Family // 0: both
	text   string        // as in the file
}

// split takes a script apart. What stands before the first title is part of the first case.
func split(text string) []aCase {
	var all []aCase
	var c aCase
	for _, line := range strings.SplitAfter(text, "\n") {
		if title, ok := strings.CutPrefix(line, "== "); ok {
			if c.title != "" {
				all = append(all, c)
				c = aCase{}
			}
			c.title = strings.TrimSpace(title)
			for _, f := range []engine.Family{engine.IPv4, engine.IPv6} {
				if strings.HasSuffix(c.title, "["+f.String()+"]") {
					c.family = f
				}
			}
		}
		c.text += line
	}
	return append(all, c)
}
