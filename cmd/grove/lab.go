package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spf13/cobra"

	"grove/daemon/config"
	"grove/labs"
	"grove/labs/netns"
	"grove/labs/script"
	simlab "grove/labs/sim/lab"
)

// labOptions are the flags of `grove lab run`.
type labOptions struct {
	engine string
	groved string
	seed   uint64
	json   bool
	quiet  bool
	keep   bool
}

func labCommand() *cobra.Command {
	c := &cobra.Command{Use: "lab", Short: "Run a lab: a topology, what happens in it, and what must be true"}
	c.AddCommand(&cobra.Command{
		Use: "list", Short: "List the labs", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			for _, name := range labs.Names() {
				l, err := labs.Open(name)
				if err != nil {
					return err
				}
				fmt.Fprintf(c.OutOrStdout(), "%-14s %s\n", l.Name, l.Script.Title)
			}
			return nil
		},
	})

	var o labOptions
	run := &cobra.Command{
		Use:   "run LAB",
		Short: "Run a lab: one that grove brings along, or a folder of your own",
		Long: `Run a lab and print what its routers do, and a table of what must be true.

The engine netns runs it on the kernel, in network namespaces that are removed at the end; it needs root.
The engine sim runs it in virtual time, on any machine; the same seed gives the same output, to the byte.

Exit status: 0 all checks are true, 1 a check is not, 2 there is nothing to check, 3 true with warnings.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return o.run(c.Context(), c.OutOrStdout(), args[0])
		},
	}
	f := run.Flags()
	f.StringVar(&o.engine, "engine", "sim", "sim or netns")
	f.StringVar(&o.groved, "groved", "", "the groved that netns starts; default: the one beside grove, then that of the PATH")
	f.Uint64Var(&o.seed, "seed", 1, "all chance of the simulator comes from this")
	f.BoolVarP(&o.json, "json", "j", false, "print the result as JSON")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "leave the transitions out")
	f.BoolVar(&o.keep, "keep", false, "netns: leave the nodes running at the end; 'grove lab down' removes them")
	c.AddCommand(run)

	c.AddCommand(&cobra.Command{
		Use: "down LAB", Short: "Remove what a killed run of a lab left on the kernel", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			l, err := labs.Open(args[0])
			if err != nil {
				return err
			}
			removed, err := netns.Down(l.Name, "")
			for _, name := range removed {
				fmt.Fprintf(c.OutOrStdout(), "removed network namespace %s\n", name)
			}
			return err
		},
	})
	return c
}

func (o *labOptions) run(ctx context.Context, out io.Writer, name string) (err error) {
	l, err := labs.Open(name)
	if err != nil {
		return err
	}
	scale, err := timeScale(l)
	if err != nil {
		return err
	}
	if !o.json {
		fmt.Fprintf(out, "%s: %s\n\n%s\n", l.Name, l.Script.Title, l.Drawing)
		if scale != 1 {
			fmt.Fprintf(out, "time scale %g: the protocols' timers run %g times faster than the RFCs' (a Hello every %.3g s instead of 30 s)\n", scale, scale, 30/scale)
		}
	}
	e, err := o.start(ctx, l)
	if err != nil {
		return err
	}
	kernel, onKernel := e.(*netns.Engine)
	defer func() {
		if o.keep && onKernel {
			kernel.Keep()
			return
		}
		if closing := e.Close(); err == nil {
			err = closing
		}
	}()

	p := &script.Printer{Out: out, Quiet: o.quiet}
	if o.json {
		p.Out = io.Discard
	}
	r, err := script.Run(ctx, l.Name, l.Topology, l.Script, e, p)
	if err != nil {
		return err
	}
	r.TimeScale = scale
	if o.json {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		err = enc.Encode(r)
	} else {
		p.Summary(r)
		if o.keep && onKernel {
			fmt.Fprintf(out, "\nThe nodes are still there: %s grove show ip mroute\nRemove them: grove lab down %s\n",
				kernel.Enter(l.Topology.Nodes[0].Name), l.Name)
		}
	}
	if err == nil && r.Status() != 0 {
		return &exitError{status: r.Status()}
	}
	return err
}

func (o *labOptions) start(ctx context.Context, l *labs.Lab) (script.Engine, error) {
	switch o.engine {
	case "sim":
		return simlab.New(l.Dir, l.Topology, o.seed)
	case "netns":
		groved, err := o.findGroved()
		if err != nil {
			return nil, err
		}
		if os.Geteuid() != 0 {
			return nil, fmt.Errorf("the engine netns needs root: use sudo, or --engine sim")
		}
		return netns.New(ctx, l.Dir, l.Topology, netns.Options{Groved: groved})
	}
	return nil, fmt.Errorf("there is no engine %q: sim or netns", o.engine)
}

// findGroved returns the groved to start.
func (o *labOptions) findGroved() (string, error) {
	if o.groved != "" {
		return o.groved, nil
	}
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), "groved")
		if _, err := os.Stat(beside); err == nil {
			return beside, nil
		}
	}
	path, err := exec.LookPath("groved")
	if err != nil {
		return "", fmt.Errorf("no groved beside grove nor in the PATH: build it (make build), or name it with --groved")
	}
	return path, nil
}

// timeScale returns the largest time scale of the lab's nodes: hosts have none.
func timeScale(l *labs.Lab) (float64, error) {
	scale := 1.0
	for _, n := range l.Topology.Nodes {
		if n.Bridge {
			continue
		}
		data, err := fs.ReadFile(l.Dir, n.Config)
		if err != nil {
			return 0, err
		}
		c, err := config.Parse(n.Config, data)
		if err != nil {
			return 0, err
		}
		scale = max(scale, c.TimeScale)
	}
	return scale, nil
}
