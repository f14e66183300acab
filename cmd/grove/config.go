package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"grove/daemon/config"
)

func configCommand() *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "Check and print configurations"}
	c.AddCommand(&cobra.Command{
		Use:   "check FILE...",
		Short: "Say what is wrong with configuration files",
		Long: `Read configuration files as groved does, and print every fault with its line and
column, what was expected and how to mend it. Exit status 1 if there is any.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, files []string) error {
			faulty := false
			for _, file := range files {
				_, err := config.Load(file)
				var faults *config.Error
				switch {
				case errors.As(err, &faults):
					faulty = true
					fmt.Fprintln(c.ErrOrStderr(), faults)
				case err != nil:
					return err
				default:
					fmt.Fprintf(c.OutOrStdout(), "%s: valid\n", file)
				}
			}
			if faulty {
				return &exitError{status: exitFailed}
			}
			return nil
		},
	}, &cobra.Command{
		Use:   "print FILE",
		Short: "Print a configuration with everything written out, defaults included",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := config.Load(args[0])
			if err != nil {
				return err
			}
			fmt.Fprint(c.OutOrStdout(), cfg.Print())
			return nil
		},
	})
	return c
}
