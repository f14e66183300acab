package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"grove/daemon/config"
	"grove/internal/engine"
)

// options are what the command line says.
type options struct {
	file     string
	check    bool
	show     bool
	logLevel string
	socket   string
}

func command() *cobra.Command {
	var o options
	c := &cobra.Command{
		Use:   "groved -c FILE",
		Short: "The multicast router daemon of grove",
		Long: `groved routes multicast: it runs in the foreground with the protocols that its configuration names.

SIGTERM and SIGINT shut it down: neighbors are told goodbye, addresses and unicast routes stay.
SIGHUP reads the configuration again; one with faults is refused whole, and the old one stays.`,
		Version:       version(),
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := o.load()
			if err != nil {
				return err
			}
			if o.check {
				if o.show {
					fmt.Fprint(c.OutOrStdout(), cfg.Print())
				}
				return nil
			}
			ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			return o.run(ctx, cfg)
		},
	}
	f := c.Flags()
	f.StringVarP(&o.file, "config", "c", "/etc/grove/grove.yml", "configuration file")
	f.BoolVarP(&o.check, "check", "n", false, "check the configuration and exit")
	f.BoolVarP(&o.show, "verbose", "v", false, "with -n, print the configuration with everything written out")
	f.StringVar(&o.logLevel, "log-level", "", "debug, info, warning or error; overrides the file")
	f.StringVar(&o.socket, "socket", "", "unix socket of the management API; overrides the file")
	c.SetVersionTemplate("groved {{.Version}}\n")
	c.SetContext(context.Background())
	return c
}

// load reads the file; the command line wins over it.
func (o *options) load() (*config.Config, error) {
	cfg, err := config.Load(o.file)
	if err != nil {
		return nil, err
	}
	if o.socket != "" {
		cfg.API.Socket = o.socket
	}
	if o.logLevel != "" {
		level, ok := levels[o.logLevel]
		if !ok {
			return nil, fmt.Errorf("groved: no log level is called %q: debug, info, warning or error", o.logLevel)
		}
		cfg.Log.Level = level
	}
	if cfg.Hostname == "" {
		if cfg.Hostname, err = os.Hostname(); err != nil {
			return nil, fmt.Errorf("groved: %w", err)
		}
	}
	return cfg, nil
}

var levels = map[string]engine.Level{
	"debug": engine.Debug, "info": engine.Info, "warning": engine.Warning, "error": engine.Error,
}

var logrusLevels = map[engine.Level]logrus.Level{
	engine.Debug: logrus.DebugLevel, engine.Info: logrus.InfoLevel,
	engine.Warning: logrus.WarnLevel, engine.Error: logrus.ErrorLevel,
}

// version is the module's version, or that of the commit it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	revision := "unknown"
	dirty := ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+changes"
		}
	}
	return "devel-" + revision + dirty
}
