package labs

import (
	"bytes"
	"context"
	"testing"

	"grove/labs/script"
	"grove/labs/sim/lab"
)

// TestInSimulator: every check of every lab is true in the simulator.
func TestInSimulator(t *testing.T) {
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			l, err := Open(name)
			if err != nil {
				t.Fatal(err)
			}
			e, err := lab.New(l.Dir, l.Topology, 1)
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			var out bytes.Buffer
			p := &script.Printer{Out: &out}
			r, err := script.Run(context.Background(), l.Name, l.Topology, l.Script, e, p)
			if err != nil {
				t.Fatal(err)
			}
			if r.Status() != 0 {
				p.Summary(r)
				t.Error(out.String())
			}
			for _, f := range e.Sim().Faults() {
				t.Error(f)
			}
		})
	}
}
