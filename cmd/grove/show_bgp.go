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

// bgp is show bgp. f is the family of "show ip bgp" and "show ipv6 bgp", which show the table of unicast routes by themselves.
func (s *shower) bgp(f pb.Family) *cobra.Command {
	c := &cobra.Command{Use: "bgp", Short: "BGP"}
	if f != 0 {
		c = showing(s, bgpTable("ip"+bgpVersion(f)+"-unicast"), f, "bgp [PREFIX | ADDRESS]", "BGP, its unicast routes", cobra.MaximumNArgs(1))
	}
	c.AddCommand(s.bgpNeighbors(f)...)
	for _, version := range []string{"4", "6"} {
		ip := showing(s, bgpTable("ipv"+version+"-unicast"), 0, "ipv"+version+" [PREFIX | ADDRESS]", "Routes of IPv"+version, cobra.MaximumNArgs(1))
		ip.AddCommand(s.bgpRoutes("unicast", version, "Unicast routes"), s.bgpRoutes("multicast", version, "Routes for the reverse-path check"))
		c.AddCommand(ip)
	}
	return c
}

// bgpNeighbors are the words that show neighbors, behind bgp and behind the name of a table.
func (s *shower) bgpNeighbors(f pb.Family) []*cobra.Command {
	return []*cobra.Command{
		showing(s, view[*pb.ListBGPNeighborsResponse]{askBGPNeighbors, bgpSummaryTable}, f, "summary", "Neighbors at a glance", cobra.NoArgs),
		showing(s, view[*pb.ListBGPNeighborsResponse]{askBGPNeighbors, bgpNeighborText}, f, "neighbors [ADDRESS]", "Neighbors",
			cobra.MaximumNArgs(1), "neighbor", "neighbours"),
	}
}

func bgpVersion(f pb.Family) string {
	if f == pb.Family_FAMILY_IPV6 {
		return "v6"
	}
	return "v4"
}

func (s *shower) bgpRoutes(what, version, short string) *cobra.Command {
	c := showing(s, bgpTable("ipv"+version+"-"+what), 0, what+" [PREFIX | ADDRESS]", short, cobra.MaximumNArgs(1))
	c.AddCommand(s.bgpNeighbors(0)...)
	return c
}

func bgpTable(family string) view[*pb.ListBGPRoutesResponse] {
	return view[*pb.ListBGPRoutesResponse]{
		func(ctx context.Context, c grovev1connect.RouterServiceClient, _ pb.Family, args []string) (*pb.ListBGPRoutesResponse, error) {
			return message(c.ListBGPRoutes(ctx, connect.NewRequest(&pb.ListBGPRoutesRequest{Family: family, Destination: word(args, 0)})))
		}, bgpRouteTable,
	}
}

func askBGPNeighbors(ctx context.Context, c grovev1connect.RouterServiceClient, _ pb.Family, args []string) (*pb.ListBGPNeighborsResponse, error) {
	return message(c.ListBGPNeighbors(ctx, connect.NewRequest(&pb.ListBGPNeighborsRequest{Address: word(args, 0)})))
}

func bgpSummaryTable(w io.Writer, m *pb.ListBGPNeighborsResponse) {
	fmt.Fprintf(w, "AS %d, router ID %s\n\n", m.As, m.RouterId)
	t := newTable("Neighbor", "AS", "State", "Uptime", "Received", "Sent", "Routes accepted", "Description")
	for _, n := range m.Neighbors {
		var accepted []string
		for _, f := range n.Families {
			if f.Negotiated {
				accepted = append(accepted, fmt.Sprintf("%s %d", f.Name, f.Accepted))
			}
		}
		t.row(n.Address, fmt.Sprint(n.As), n.State, clock(n.Uptime), fmt.Sprint(n.Received.GetTotal()), fmt.Sprint(n.Sent.GetTotal()),
			strings.Join(accepted, ", "), n.Description)
	}
	t.write(w)
}

func bgpNeighborText(w io.Writer, m *pb.ListBGPNeighborsResponse) {
	for i, n := range m.Neighbors {
		if i > 0 {
			fmt.Fprintln(w)
		}
		kind := "external"
		if n.Internal {
			kind = "internal"
		}
		fmt.Fprintf(w, "BGP neighbor %s, AS %d, %s\n", n.Address, n.As, kind)
		line := func(name, text string) {
			if text != "" {
				fmt.Fprintf(w, "  %-16s %s\n", name, text)
			}
		}
		line("description", n.Description)
		state := n.State
		if n.Uptime != nil {
			state += " for " + clock(n.Uptime)
		}
		if n.Restarting {
			state += ", it restarts and its routes are kept"
		}
		line("state", state)
		line("router ID", n.RouterId)
		line("local address", n.LocalAddress)
		if n.HoldTime != nil {
			line("hold time", span(n.HoldTime)+", keepalive "+span(n.Keepalive))
		}
		line("options", bgpOptions(n))
		line("import", n.Import)
		line("export", n.Export)
		line("received", bgpMessages(n.Received))
		line("sent", bgpMessages(n.Sent))
		if n.Flaps > 0 {
			line("sessions ended", fmt.Sprint(n.Flaps))
		}
		line("last end", n.LastEnd)
		for _, f := range n.Families {
			if !f.Negotiated {
				line(f.Name, "not agreed")
				continue
			}
			line(f.Name, fmt.Sprintf("%d received, %d accepted, %d advertised", f.Received, f.Accepted, f.Advertised))
		}
	}
}

func bgpOptions(n *pb.BGPNeighbor) string {
	var list []string
	add := func(is bool, text string) {
		if is {
			list = append(list, text)
		}
	}
	add(n.Md5, "MD5")
	add(n.TtlSecurity > 0, fmt.Sprintf("TTL security %d", n.TtlSecurity))
	add(n.EbgpMultihop > 0, fmt.Sprintf("multihop %d", n.EbgpMultihop))
	add(n.Passive, "passive")
	add(n.GracefulRestart, "graceful restart")
	add(n.RouteReflectorClient, "route reflector client")
	return strings.Join(list, ", ")
}

func bgpMessages(m *pb.BGPMessages) string {
	return fmt.Sprintf("%d messages: %d updates, %d keepalives, %d notifications", m.GetTotal(), m.GetUpdates(), m.GetKeepalives(), m.GetNotifications())
}

func bgpRouteTable(w io.Writer, m *pb.ListBGPRoutesResponse) {
	t := newTable("", "Network", "Next hop", "Neighbor", "MED", "Local pref.", "AS path", "Origin", "Communities", "Age")
	for _, r := range m.Routes {
		mark := ""
		if r.Best {
			mark = ">"
		}
		if r.Internal {
			mark += "i"
		}
		if r.Stale {
			mark += "S"
		}
		next, neighbor := r.NextHop, r.Neighbor
		if r.Ours {
			next, neighbor = "", "this router"
		}
		t.row(mark, r.Prefix, next, neighbor, optional(r.Med), optional(r.LocalPreference), r.AsPath, r.Origin, strings.Join(r.Communities, " "), clock(r.Age))
	}
	t.write(w)
}

func optional(v *uint32) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(*v)
}
