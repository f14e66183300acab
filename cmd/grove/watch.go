package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	pb "grove/daemon/api/grove/v1"
)

func watchCommand() *cobra.Command {
	var r remote
	var asJSON, notes bool
	var limit uint
	c := &cobra.Command{
		Use:   "watch",
		Short: "Watch what changes on a router",
		Long: `Print every change of state of a router's protocols as it happens, one a line:

  TIME MACHINE ENTITY [on INTERFACE] [NEIGHBOR] [(SOURCE,GROUP)]: OLD -> NEW (CAUSE)

With -j each line is a JSON object; the first one says that the router is ready,
and nothing that happens after it is missed.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			stream, err := r.client().Watch(c.Context(), connect.NewRequest(&pb.WatchRequest{Notes: notes}))
			if err != nil {
				return r.explain(err)
			}
			defer stream.Close()
			for shown := uint(0); stream.Receive(); {
				m := stream.Msg()
				if asJSON {
					line, err := toJSON(m)
					if err != nil {
						return err
					}
					fmt.Fprintf(c.OutOrStdout(), "%s\n", line)
				} else if ready := m.GetReady(); ready != nil {
					fmt.Fprintf(c.ErrOrStderr(), "watching %s\n", ready.Hostname)
				} else {
					writeEvent(c.OutOrStdout(), m, time.Local)
				}
				if m.GetTransition() != nil {
					if shown++; shown == limit {
						return nil
					}
				}
			}
			switch err := stream.Err(); {
			case c.Context().Err() != nil:
				return nil
			case err != nil:
				return r.explain(err)
			}
			return &exitError{exitUnreachable, errors.New("the router has ended")}
		},
	}
	r.flags(c)
	c.Flags().BoolVarP(&asJSON, "json", "j", false, "print JSON, one object a line")
	c.Flags().BoolVar(&notes, "notes", false, "print lines of the log, too")
	c.Flags().UintVar(&limit, "count", 0, "end after this many changes of state")
	return c
}

// writeEvent prints an event as a line.
func writeEvent(w io.Writer, m *pb.WatchResponse, zone *time.Location) {
	at := m.Time.AsTime().In(zone).Format("15:04:05.000")
	switch e := m.Event.(type) {
	case *pb.WatchResponse_Transition:
		t := e.Transition
		old := t.Old
		if old == "" {
			old = "none"
		}
		state := t.New
		if state == "" {
			state = "none"
		}
		fmt.Fprintf(w, "%s %s %s%s: %s -> %s", at, t.Machine, t.Entity, where(t.Interface, t.Neighbor, t.Source, t.Group), old, state)
		if t.Cause != "" {
			fmt.Fprintf(w, " (%s)", t.Cause)
		}
		fmt.Fprintln(w)
	case *pb.WatchResponse_Note:
		n := e.Note
		fmt.Fprintf(w, "%s %s %s%s: %s\n", at, n.Machine, n.Level, where(n.Interface, n.Neighbor, n.Source, n.Group), n.Text)
	case *pb.WatchResponse_Lost:
		fmt.Fprintf(w, "%s lost %d events: read too slowly\n", at, e.Lost.Events)
	}
}

func where(iface, neighbor, source, group string) string {
	var b strings.Builder
	if iface != "" {
		b.WriteString(" on " + iface)
	}
	if neighbor != "" {
		b.WriteString(" " + neighbor)
	}
	if group != "" {
		b.WriteString(" (" + source + "," + group + ")")
	}
	return b.String()
}
