package main

import (
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// command returns the whole tree of commands.
func command() *cobra.Command {
	cobra.EnablePrefixMatching = true
	root := &cobra.Command{
		Use:   "grove",
		Short: "See, test and check multicast routers",
		Long: `grove shows what a multicast router knows, watches what changes, sends and receives
test packets, and checks configurations. Words of a command may be shortened as
long as only one is meant: grove sh ip pi n.

Exit status, of every command but lab:
  0  done
  1  it failed, or the answer is no
  2  the command line cannot be meant
  3  no router answers on the socket`,
		Version:       version(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetVersionTemplate("grove {{.Version}}\n")
	root.AddCommand(showCommand(), watchCommand(), mrinfoCommand(), sendCommand(), recvCommand(), configCommand(), labCommand())
	finish(root)
	return root
}

// finish completes a tree of commands: one that only has others below it says which, and what is wrong on a command
// line exits with exitUsage.
func finish(c *cobra.Command) {
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage("%w\nSee: %s --help", err, c.CommandPath())
	})
	if !c.Runnable() {
		c.Args = cobra.ArbitraryArgs
		c.RunE = choose
	} else if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return usage("%s: %w\nUsage: %s", c.CommandPath(), err, c.UseLine())
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		finish(sub)
	}
}

// choose is run when no command follows that is known, or more than one.
func choose(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return c.Help()
	}
	var known, begin []string
	for _, sub := range c.Commands() {
		if sub.Hidden {
			continue
		}
		known = append(known, sub.Name())
		if strings.HasPrefix(sub.Name(), args[0]) {
			begin = append(begin, sub.Name())
		}
	}
	slices.Sort(known)
	if len(begin) > 1 {
		return usage("%s %s: can be %s", c.CommandPath(), args[0], strings.Join(begin, " or "))
	}
	return usage("%s: there is no %q; there are %s", c.CommandPath(), args[0], strings.Join(known, ", "))
}

// version is that of the module, or of the source that it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	revision, modified := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = ", modified"
		}
	}
	if revision == "" {
		return info.Main.Version
	}
	return fmt.Sprintf("%s (%s%s)", info.Main.Version, revision, modified)
}
