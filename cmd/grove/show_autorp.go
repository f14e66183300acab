package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "grove/daemon/api/grove/v1"
	"grove/daemon/api/grove/v1/grovev1connect"
)

// autoRP is show ip pim autorp. It is a protocol of IPv4 alone.
var autoRP = view[*pb.GetAutoRPResponse]{
	func(ctx context.Context, c grovev1connect.RouterServiceClient, _ pb.Family, _ []string) (*pb.GetAutoRPResponse, error) {
		return message(c.GetAutoRP(ctx, connect.NewRequest(&pb.GetAutoRPRequest{})))
	}, autoRPTables,
}

// autoRPTables prints the mappings that were learned, then this router as a candidate and as a mapping agent.
func autoRPTables(w io.Writer, m *pb.GetAutoRPResponse) {
	if !m.Listening && len(m.Candidates) == 0 && m.Agent == nil {
		fmt.Fprintln(w, "Auto-RP does not run on this router.")
		return
	}
	if m.Listening {
		t := newTable("Groups", "RP", "PIM", "Agent", "Expires", "Used")
		for _, x := range m.Mappings {
			t.row(x.Groups, rpOrDense(x.Rp, x.Negative), x.PimVersion, x.Agent, never(x.Expires), yes(x.Used, "yes"))
		}
		t.write(w)
	} else {
		fmt.Fprintln(w, "Mapping agents are not listened to.")
	}
	if len(m.Candidates) > 0 {
		fmt.Fprintln(w, "\nThis router announces itself:")
		t := newTable("RP", "Groups", "Dense", "Scope", "Interval", "Holdtime", "Next")
		for _, c := range m.Candidates {
			next := clock(c.Next)
			if !c.Active {
				next = "not our address"
			}
			t.row(c.Address, strings.Join(c.Groups, " "), strings.Join(c.Denied, " "), fmt.Sprint(c.Scope), clock(c.Interval), never(c.Holdtime), next)
		}
		t.write(w)
	}
	if a := m.Agent; a != nil {
		fmt.Fprintf(w, "\nMapping agent %s: %s\n", a.Address, agentStatus(a))
		t := newTable("Groups", "RP", "PIM", "Expires", "Chosen")
		for _, x := range a.Announced {
			t.row(x.Groups, rpOrDense(x.Rp, x.Negative), x.PimVersion, never(x.Expires), yes(x.Chosen, "yes"))
		}
		t.write(w)
	}
}

func agentStatus(a *pb.AutoRPAgent) string {
	switch a.Status {
	case "sending":
		return fmt.Sprintf("sends with scope %d every %s, valid for %s, next in %s", a.Scope, clock(a.Interval), never(a.Holdtime), orDash(clock(a.Next)))
	case "silent":
		return fmt.Sprintf("silent, since %s speaks; if nothing more is heard of it, for %s yet", a.Other, orDash(clock(a.Next)))
	}
	return a.Status + ": the address is none of this router's"
}

// rpOrDense prints an RP, and that it denies the groups one.
func rpOrDense(rp string, negative bool) string {
	if negative {
		return "dense, by " + rp
	}
	return rp
}

// never is clock for a time that may never come.
func never(d *durationpb.Duration) string {
	if d == nil {
		return "never"
	}
	return clock(d)
}
