package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	pb "grove/daemon/api/grove/v1"
	"grove/daemon/api/grove/v1/grovev1connect"
)

// dvmrp is show ip dvmrp. It is a protocol of IPv4 alone.
func (s *shower) dvmrp() *cobra.Command {
	c := &cobra.Command{Use: "dvmrp", Short: "DVMRP"}
	c.AddCommand(
		showing(s, dvmrpNeighbors, 0, "neighbor [INTERFACE]", "Routers on our links that speak DVMRP", cobra.MaximumNArgs(1), "neighbors", "neighbour", "neighbours"),
		showing(s, dvmrpInterfaces, 0, "interface", "Interfaces on which DVMRP is configured", cobra.NoArgs, "interfaces"),
		showing(s, dvmrpRoutes, 0, "route [PREFIX | ADDRESS]", "Source networks, and who forwards and who depends on us", cobra.MaximumNArgs(1), "routes"),
		showing(s, dvmrpEntries, 0, "entry [GROUP]", "Entries, with what was asked upstream and downstream", cobra.MaximumNArgs(1), "entries", "cache"),
		showing(s, dvmrpPrunes, 0, "prune [GROUP]", "Prunes that we and our neighbors sent", cobra.MaximumNArgs(1), "prunes"),
	)
	return c
}

var dvmrpNeighbors = view[*pb.ListDVMRPNeighborsResponse]{
	func(ctx context.Context, c grovev1connect.RouterServiceClient, _ pb.Family, args []string) (*pb.ListDVMRPNeighborsResponse, error) {
		return message(c.ListDVMRPNeighbors(ctx, connect.NewRequest(&pb.ListDVMRPNeighborsRequest{Interface: word(args, 0)})))
	}, dvmrpNeighborTable,
}

var dvmrpInterfaces = view[*pb.ListDVMRPInterfacesResponse]{
	func(ctx context.Context, c grovev1connect.RouterServiceClient, _ pb.Family, _ []string) (*pb.ListDVMRPInterfacesResponse, error) {
		return message(c.ListDVMRPInterfaces(ctx, connect.NewRequest(&pb.ListDVMRPInterfacesRequest{})))
	}, dvmrpInterfaceTable,
}

var dvmrpRoutes = view[*pb.ListDVMRPRoutesResponse]{
	func(ctx context.Context, c grovev1connect.RouterServiceClient, _ pb.Family, args []string) (*pb.ListDVMRPRoutesResponse, error) {
		return message(c.ListDVMRPRoutes(ctx, connect.NewRequest(&pb.ListDVMRPRoutesRequest{Destination: word(args, 0)})))
	}, dvmrpRouteTable,
}

var (
	dvmrpEntries = view[*pb.ListDVMRPEntriesResponse]{askDVMRPEntries, dvmrpEntryTable}
	dvmrpPrunes  = view[*pb.ListDVMRPEntriesResponse]{askDVMRPEntries, dvmrpPruneTable}
)

func askDVMRPEntries(ctx context.Context, c grovev1connect.RouterServiceClient, _ pb.Family, args []string) (*pb.ListDVMRPEntriesResponse, error) {
	return message(c.ListDVMRPEntries(ctx, connect.NewRequest(&pb.ListDVMRPEntriesRequest{Group: word(args, 0)})))
}

func dvmrpNeighborTable(w io.Writer, m *pb.ListDVMRPNeighborsResponse) {
	t := newTable("Interface", "Neighbor", "State", "Uptime", "Expires", "Version", "Capabilities", "Generation", "Routes", "Dependent")
	for _, n := range m.Neighbors {
		state := "one-way"
		if n.TwoWay {
			state = "two-way"
		}
		t.row(n.Interface, n.Address, state, clock(n.Uptime), clock(n.Expires), n.Version, n.Capabilities, fmt.Sprintf("%08x", n.GenerationId),
			fmt.Sprint(n.Routes), fmt.Sprint(n.Dependent))
	}
	t.write(w)
}

func dvmrpInterfaceTable(w io.Writer, m *pb.ListDVMRPInterfacesResponse) {
	t := newTable("Interface", "State", "Address", "Tunnel to", "Metric", "Threshold", "Neighbors", "Forwarder of", "Dependents", "Next probe", "Boundary")
	for _, i := range m.Interfaces {
		state := "up"
		switch {
		case !i.Running:
			state = "down"
		case i.Leaf:
			state = "leaf"
		}
		t.row(i.Interface, state, i.Address, i.Tunnel, fmt.Sprint(i.Metric), fmt.Sprint(i.Threshold), fmt.Sprint(i.Neighbors),
			fmt.Sprint(i.Forwarding), fmt.Sprint(i.Dependents), clock(i.NextProbe), strings.Join(i.Boundary, " "))
	}
	t.write(w)
}

// dvmrpRouteTable prints the routes with, for each interface, who forwards there and who depends on us.
func dvmrpRouteTable(w io.Writer, m *pb.ListDVMRPRoutesResponse) {
	t := newTable("Network", "State", "Metric", "Interface", "Gateway", "Uptime", "Expires", "Entries", "On", "Forwarder", "Depend on us")
	for _, r := range m.Routes {
		expires := clock(r.Expires)
		if r.HoldDown != nil {
			expires = clock(r.HoldDown)
		}
		first := []string{r.Prefix, r.State, fmt.Sprint(r.Metric), r.Interface, r.Gateway, clock(r.Uptime), expires, fmt.Sprint(r.Entries), "", "", ""}
		for i, on := range r.Interfaces {
			forwarder := "us"
			if !on.WeAreForwarder {
				forwarder = fmt.Sprintf("%s (%d)", on.Forwarder, on.Metric)
			}
			if i == 0 {
				first[8], first[9], first[10] = on.Interface, forwarder, strings.Join(on.Dependents, " ")
				t.row(first...)
				continue
			}
			t.row("", "", "", "", "", "", "", "", on.Interface, forwarder, orDash(strings.Join(on.Dependents, " ")))
		}
		if len(r.Interfaces) == 0 {
			t.row(first...)
		}
	}
	t.write(w)
}

// dvmrpEntryTable prints the entries with what each downstream interface is.
func dvmrpEntryTable(w io.Writer, m *pb.ListDVMRPEntriesResponse) {
	t := newTable("Source", "Group", "Network", "Upstream", "Interface", "Neighbor", "Prune", "Expires", "Packets", "On", "State")
	for _, e := range m.Entries {
		upstream := e.Upstream
		switch {
		case e.External:
			upstream = "another protocol's"
		case e.Grafts > 0:
			upstream = fmt.Sprintf("%s (%d sent)", upstream, e.Grafts)
		}
		first := []string{e.Source, e.Group, e.Route, upstream, e.Interface, e.Neighbor, clock(e.Prune), clock(e.Expires), fmt.Sprint(e.Packets), "", ""}
		for i, on := range e.Interfaces {
			if i == 0 {
				first[9], first[10] = on.Interface, dvmrpDownstream(on)
				t.row(first...)
				continue
			}
			t.row("", "", "", "", "", "", "", "", "", on.Interface, dvmrpDownstream(on))
		}
		if len(e.Interfaces) == 0 {
			t.row(first...)
		}
	}
	t.write(w)
}

// dvmrpDownstream says why packets go to an interface, or why not.
func dvmrpDownstream(i *pb.DVMRPEntryInterface) string {
	switch {
	case i.Boundary:
		return "boundary"
	case i.Forwarding && i.Member:
		return "members"
	case i.Forwarding:
		return "flood"
	case !i.WeAreForwarder:
		return "not forwarder"
	case len(i.Prunes) > 0:
		return "pruned"
	}
	return "nobody there"
}

// dvmrpPruneTable prints the Prunes in force: ours, and those of neighbors.
func dvmrpPruneTable(w io.Writer, m *pb.ListDVMRPEntriesResponse) {
	t := newTable("Source", "Group", "Network", "Interface", "Direction", "Neighbor", "For", "Expires", "Sent again")
	what := map[bool]string{false: "network", true: "host"}
	for _, e := range m.Entries {
		if e.Upstream == "Pruned" {
			t.row(e.Source, e.Group, e.Route, e.Interface, "upstream", e.Neighbor, what[e.HostAlone], clock(e.Prune), clock(e.PruneRetransmission))
		}
		for _, i := range e.Interfaces {
			for _, p := range i.Prunes {
				t.row(e.Source, e.Group, e.Route, i.Interface, "downstream", p.Neighbor, what[p.Host], clock(p.Expires), "")
			}
		}
	}
	t.write(w)
}
