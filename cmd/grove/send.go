package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"grove/labs/traffic"
)

// sendSchema and recvSchema are the versions of what send and recv print as JSON.
const (
	sendSchema = "grove/send/v1"
	recvSchema = "grove/recv/v1"
)

// sendSummary is what grove send -j prints.
type sendSummary struct {
	Schema  string  `json:"schema"`
	Event   string  `json:"event"` // "summary"
	Source  string  `json:"source"`
	Group   string  `json:"group"`
	Port    uint16  `json:"port"`
	Run     uint64  `json:"run,string"`
	Packets uint64  `json:"packets"`
	Failed  uint64  `json:"failed"`
	Error   string  `json:"error"` // of the last that failed
	Seconds float64 `json:"seconds"`
}

// addrValue is a flag that takes an address.
type addrValue struct{ addr *netip.Addr }

func (v addrValue) String() string {
	if v.addr == nil || !v.addr.IsValid() {
		return ""
	}
	return v.addr.String()
}

func (v addrValue) Set(s string) error {
	a, err := netip.ParseAddr(s)
	*v.addr = a
	return err
}

func (v addrValue) Type() string { return "address" }

func sendCommand() *cobra.Command {
	o := traffic.SendOptions{}
	var duration time.Duration
	var asJSON bool
	c := &cobra.Command{
		Use:   "send -i INTERFACE -g GROUP",
		Short: "Send test packets to a group",
		Long: `Send numbered packets to a group at an even rate, for grove recv to count. The
first has number 0. Without --count and --duration it sends until it is stopped.

Exit status 0 if all packets were sent, 1 if any failed.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				if err := (addrValue{&o.Group}).Set(args[0]); err != nil || o.Group.Zone() != "" {
					return usage("send: %q is not a group", args[0])
				}
			}
			if !o.Group.IsValid() {
				return usage("send: to which group? Name it by -g")
			}
			s, err := traffic.NewSender(o)
			if err != nil {
				return err
			}
			defer s.Close()
			ctx := c.Context()
			if duration > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, duration)
				defer cancel()
			}
			sent := s.Run(ctx)
			sum := sendSummary{
				Schema: sendSchema, Event: "summary", Source: sent.Source.Addr().String(), Group: o.Group.String(), Port: o.Port, Run: sent.Run,
				Packets: sent.Tried - sent.Failed, Failed: sent.Failed, Seconds: sent.Took.Seconds(),
			}
			if sent.Err != nil {
				sum.Error = sent.Err.Error()
			}
			if asJSON {
				if err := json.NewEncoder(c.OutOrStdout()).Encode(sum); err != nil {
					return err
				}
			} else {
				fmt.Fprintf(c.OutOrStdout(), "sent %d packets of %d bytes to %s port %d by %s in %.1f s, TTL %d\n",
					sum.Packets, o.Size, o.Group, o.Port, o.Interface, sum.Seconds, o.TTL)
			}
			if sent.Failed > 0 {
				return fmt.Errorf("%d packets could not be sent: %w", sent.Failed, sent.Err)
			}
			return nil
		},
	}
	f := c.Flags()
	f.StringVarP(&o.Interface, "interface", "i", "", "interface to send by")
	f.VarP(addrValue{&o.Group}, "group", "g", "group to send to")
	f.Var(addrValue{&o.Source}, "source", "address to send from (default the interface's)")
	f.Uint16VarP(&o.Port, "port", "p", traffic.DefaultPort, "UDP port")
	f.Uint16VarP(&o.SourcePort, "source-port", "s", 0, "UDP port to send from (default any)")
	f.Uint64Var(&o.Count, "count", 0, "packets to send (default no end)")
	f.DurationVar(&duration, "duration", 0, "send for so long (default no end)")
	f.Float64Var(&o.Rate, "rate", 10, "packets per second")
	f.IntVar(&o.Size, "size", 100, "bytes of UDP payload")
	f.Uint8VarP(&o.TTL, "ttl", "t", 64, "TTL or hop limit; each router takes one, and forwards no 1")
	f.BoolVarP(&asJSON, "json", "j", false, "print JSON")
	return c
}
