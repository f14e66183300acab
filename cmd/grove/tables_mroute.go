package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	pb "grove/daemon/api/grove/v1"
)

const mrouteLegend = `Flags: D dense, S source-specific, C members on our links, T shortest-path tree, J joined upstream, P pruned upstream,
       G graft not acknowledged, X source of another protocol, A upstream by Assert, R registering, r register stopped,
       O we are the RP, o we originate State Refresh, N negative: dropped, * in the forwarding table`

// flags prints the state of a route as letters.
func flags(m *pb.Mroute) string {
	var b strings.Builder
	for _, f := range []struct {
		on     bool
		letter byte
	}{
		{m.Dense, 'D'}, {m.Ssm, 'S'}, {m.LocalMembers, 'C'}, {m.Spt, 'T'}, {m.Upstream == "Joined", 'J'}, {m.Upstream == "Pruned", 'P'},
		{m.Upstream == "AckPending" || m.Upstream == "Grafting", 'G'}, {m.External, 'X'}, {m.RpfByAssert, 'A'},
		{m.Register == "Join", 'R'}, {m.Register != "" && m.Register != "Join", 'r'},
		{m.WeAreRp, 'O'}, {m.Originator, 'o'}, {m.State == "negative", 'N'}, {m.Installed, '*'},
	} {
		if f.on {
			b.WriteByte(f.letter)
		}
	}
	return b.String()
}

func mrouteTable(w io.Writer, m *pb.ListMroutesResponse) {
	list := visible(m)
	if len(list) > 0 {
		fmt.Fprintln(w, mrouteLegend)
		fmt.Fprintln(w)
	}
	t := newTable("Source", "Group", "Flags", "Input", "Output", "State", "Expires", "Packets", "Uptime")
	closed := false
	for _, r := range list {
		first := []string{r.Source, r.Group, flags(r), r.IncomingInterface, "", "", "", strconv.FormatUint(r.Packets, 10), clock(r.Uptime)}
		outputs := outputsOf(r)
		for i, o := range outputs {
			closed = closed || o.closed
			if i == 0 {
				first[4], first[5], first[6] = o.name, o.state, o.expires
				t.row(first...)
				continue
			}
			t.row("", "", "", "", o.name, orDash(o.state), orDash(o.expires), "", "")
		}
		if len(outputs) == 0 {
			t.row(first...)
		}
	}
	t.write(w)
	if closed {
		fmt.Fprintln(w, "\nclosed: a boundary, a TTL threshold or a fault keeps the interface out of the forwarding table")
	}
}

// output is an interface of a route as a person sees it.
type output struct {
	name, state, expires string
	closed               bool
}

// outputsOf returns the outgoing interfaces of a route, and those that flood and prune protocols would send to but for
// what their state says.
func outputsOf(r *pb.Mroute) []output {
	var list []output
	for _, d := range r.Downstream {
		if !d.Forwarding {
			list = append(list, output{name: d.Interface, state: withheld(d), expires: clock(cmp.Or(d.Pruned, d.AssertExpires))})
		}
	}
	for _, o := range r.Outgoing {
		out := output{name: o.Interface, expires: clock(o.Expires)}
		if out.closed = r.Installed && !o.Installed; out.closed {
			out.name += " (closed)"
		}
		switch {
		case o.Join:
			out.state = "join"
		case o.Member:
			out.state = "members"
		case o.Inherited:
			out.state = "of (*,G)"
		}
		for _, d := range r.Downstream {
			if d.Interface != o.Interface || !d.Forwarding {
				continue
			}
			switch {
			case d.State == "PrunePending":
				out.state, out.expires = "prune pending", clock(d.PrunePending)
			case out.state == "":
				out.state = "flood"
			}
			if d.Assert == "I am Assert Winner" {
				out.state += ", assert winner"
			}
		}
		list = append(list, out)
	}
	if len(r.Downstream) > 0 {
		slices.SortStableFunc(list, func(a, b output) int { return cmp.Compare(a.name, b.name) })
	}
	return list
}

// withheld says why no packets go to an interface.
func withheld(d *pb.MrouteDownstream) string {
	switch {
	case d.Boundary:
		return "boundary"
	case d.Assert == "I am Assert Loser":
		return "assert loser to " + d.AssertWinner
	case d.State == "Pruned":
		return "pruned"
	case !d.Neighbors && d.Excluded:
		return "source excluded"
	case !d.Neighbors && !d.Member:
		return "nobody there"
	}
	return ""
}

// visible leaves out (*,*), by which the router itself hears of new flows.
func visible(m *pb.ListMroutesResponse) []*pb.Mroute {
	return slices.DeleteFunc(slices.Clone(m.Mroutes), func(r *pb.Mroute) bool { return r.Group == "*" })
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func mrouteCounts(w io.Writer, m *pb.ListMroutesResponse) {
	t := newTable("Source", "Group", "Packets", "Bytes", "Wrong interface", "State", "Reason")
	for _, r := range visible(m) {
		t.row(r.Source, r.Group, fmt.Sprint(r.Packets), fmt.Sprint(r.Bytes), fmt.Sprint(r.WrongInterface), r.State, r.Reason)
	}
	t.write(w)
}

func stateRefreshTable(w io.Writer, m *pb.ListPIMStateRefreshResponse) {
	t := newTable("Source", "Group", "Originator", "Interval", "TTL", "Prune", "Last", "Next", "Received", "Limited", "Sent")
	for _, e := range m.Entries {
		originator := e.Originator
		if e.Originating {
			originator = "us"
		}
		t.row(e.Source, e.Group, originator, span(e.Interval), fmt.Sprint(e.Ttl), yes(e.PruneIndicator, "yes"), clock(e.Ago), clock(e.Next),
			fmt.Sprint(e.Received), fmt.Sprint(e.Limited), fmt.Sprint(e.Sent))
	}
	t.write(w)
}
