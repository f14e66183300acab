package main

import (
	"context"
	"io"
	"net/netip"
	"slices"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	pb "grove/daemon/api/grove/v1"
	"grove/daemon/api/grove/v1/grovev1connect"
)

// shower holds the options of grove show.
type shower struct {
	remote
	json bool
}

// view is something to show: ask fetches the message, table prints it.
type view[M proto.Message] struct {
	ask   func(ctx context.Context, c grovev1connect.RouterServiceClient, f pb.Family, args []string) (M, error)
	table func(w io.Writer, m M)
}

// showing makes a command of a view.
func showing[M proto.Message](s *shower, v view[M], f pb.Family, use, short string, args cobra.PositionalArgs, aliases ...string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Aliases: aliases,
		Args: func(c *cobra.Command, list []string) error { return args(c, withoutJSON(list)) },
		RunE: func(c *cobra.Command, list []string) error {
			words := withoutJSON(list)
			m, err := v.ask(c.Context(), s.client(), f, words)
			if err != nil {
				return s.explain(err)
			}
			if s.json || len(words) < len(list) {
				return writeJSON(c.OutOrStdout(), m)
			}
			v.table(c.OutOrStdout(), m)
			return nil
		},
	}
}

// withoutJSON drops the last word "json", as FRR has it for -j.
func withoutJSON(args []string) []string {
	if n := len(args); n > 0 && args[n-1] == "json" {
		return args[:n-1]
	}
	return args
}

func showCommand() *cobra.Command {
	s := &shower{}
	show := &cobra.Command{
		Use:   "show",
		Short: "Show what a router knows",
		Long: `Show what a router knows. Spellings of FRR and IOS are understood; words may be
shortened. With -j the answer is JSON with the version of its schema.`,
	}
	s.flags(show)
	show.PersistentFlags().BoolVarP(&s.json, "json", "j", false, "print JSON")

	ip := &cobra.Command{Use: "ip", Short: "IPv4"}
	s.family(ip, pb.Family_FAMILY_IPV4)
	ip.AddCommand(s.membership("igmp", "Members of groups, by IGMP", pb.Family_FAMILY_IPV4), s.dvmrp(), s.msdp(), s.bgp(pb.Family_FAMILY_IPV4),
		showing(s, bgpTable("ipv4-multicast"), 0, "mbgp [PREFIX | ADDRESS]", "Routes of BGP for the reverse-path check", cobra.MaximumNArgs(1)))

	ipv6 := &cobra.Command{Use: "ipv6", Short: "IPv6"}
	s.family(ipv6, pb.Family_FAMILY_IPV6)
	ipv6.AddCommand(s.membership("mld", "Members of groups, by MLD", pb.Family_FAMILY_IPV6), s.bgp(pb.Family_FAMILY_IPV6))

	show.AddCommand(ip, ipv6,
		s.membership("igmp", "Members of IPv4 groups", pb.Family_FAMILY_IPV4),
		s.membership("mld", "Members of IPv6 groups", pb.Family_FAMILY_IPV6),
		s.bgp(0), s.counts(), s.status())
	return show
}

// family adds what exists for each address family.
func (s *shower) family(c *cobra.Command, f pb.Family) {
	pim := &cobra.Command{Use: "pim", Short: "PIM, sparse and dense mode"}
	pim.AddCommand(
		showing(s, neighbors, f, "neighbor [INTERFACE]", "Routers on our links that speak PIM", cobra.MaximumNArgs(1), "neighbors", "neighbour", "neighbours"),
		showing(s, interfaces, f, "interface", "Interfaces on which PIM runs", cobra.NoArgs, "interfaces"),
		showing(s, joins, f, "join [GROUP]", "What neighbors joined and pruned on our interfaces", cobra.MaximumNArgs(1), "joins"),
		showing(s, stateRefresh, f, "state-refresh [GROUP]", "State Refresh messages of dense mode", cobra.MaximumNArgs(1)),
		showing(s, upstream, f, "upstream [GROUP]", "What we join and pruned upstream", cobra.MaximumNArgs(2)),
		s.rp(f, "rp-info"),
		showing(s, rpMappings, f, "rp-mapping [GROUP]", "Mappings of groups to rendezvous points, and where they come from; of a group, with hash values",
			cobra.MaximumNArgs(1), "rp-hash"),
		showing(s, bsr, f, "bsr", "The bootstrap router, and its candidates", cobra.NoArgs, "bsr-router"),
	)
	if f == pb.Family_FAMILY_IPV4 {
		pim.AddCommand(showing(s, autoRP, 0, "autorp", "Auto-RP: what was learned, and what this router says", cobra.NoArgs, "auto-rp"))
	}
	c.AddCommand(pim,
		s.mroute(f),
		showing(s, rpf, f, "rpf [ADDRESS]", "By which route and neighbor an address is reached", cobra.MaximumNArgs(1)),
		s.rp(f),
		s.counts(),
	)
}

// rp is show ip rp, and with mapping behind it what IOS calls show ip pim rp mapping.
func (s *shower) rp(f pb.Family, also ...string) *cobra.Command {
	c := showing(s, rps, f, "rp [GROUP]", "Rendezvous points", cobra.MaximumNArgs(1), also...)
	c.AddCommand(showing(s, rpMappings, f, "mapping [GROUP]", "Mappings of groups to rendezvous points, and where they come from; of a group, with hash values",
		cobra.MaximumNArgs(1), "mappings"))
	return c
}

func (s *shower) membership(use, short string, f pb.Family) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short}
	c.AddCommand(
		showing(s, groups, f, "groups [INTERFACE] [GROUP]", "Groups that have members", cobra.MaximumNArgs(2), "group", "sources"),
		showing(s, groupInterfaces, f, "interface", "Interfaces on which it runs", cobra.NoArgs, "interfaces"),
	)
	return c
}

func (s *shower) counts() *cobra.Command {
	return showing(s, counts, 0, "counts", "Counters: what was sent, received and dropped, and why", cobra.NoArgs, "counters", "statistics")
}

func (s *shower) status() *cobra.Command {
	return showing(s, status, 0, "status", "What runs", cobra.NoArgs, "version")
}

// mroute is show mroute, with IOS's count behind it or before the addresses.
func (s *shower) mroute(f pb.Family) *cobra.Command {
	c := showing(s, mroutes, f, "mroute [GROUP] [SOURCE] [count]", "Multicast routes", cobra.MaximumNArgs(3), "mroutes", "multicast")
	plain := c.RunE
	counted := showing(s, view[*pb.ListMroutesResponse]{mroutes.ask, mrouteCounts}, f, "count", "", cobra.MaximumNArgs(3)).RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		if i := slices.Index(args, "count"); i >= 0 {
			return counted(c, slices.Delete(slices.Clone(args), i, i+1))
		}
		return plain(c, args)
	}
	return c
}

// message takes the message out of a response.
func message[M any](r *connect.Response[M], err error) (*M, error) {
	if err != nil {
		return nil, err
	}
	return r.Msg, nil
}

var neighbors = view[*pb.ListPIMNeighborsResponse]{
	func(ctx context.Context, c grovev1connect.RouterServiceClient, f pb.Family, args []string) (*pb.ListPIMNeighborsResponse, error) {
		return message(c.ListPIMNeighbors(ctx, connect.NewRequest(&pb.ListPIMNeighborsRequest{Family: f, Interface: word(args, 0)})))
	}, neighborTable,
}

var interfaces = view[*pb.ListPIMInterfacesResponse]{
	func(ctx context.Context, c grovev1connect.RouterServiceClient, f pb.Family, _ []string) (*pb.ListPIMInterfacesResponse, error) {
		return message(c.ListPIMInterfaces(ctx, connect.NewRequest(&pb.ListPIMInterfacesRequest{Family: f})))
	}, interfaceTable,
}

var joins = view[*pb.ListPIMJoinsResponse]{
	func(ctx context.Context, c grovev1connect.RouterServiceClient, f pb.Family, args []string) (*pb.ListPIMJoinsResponse, error) {
		return message(c.ListPIMJoins(ctx, connect.NewRequest(&pb.ListPIMJoinsRequest{Family: f, Group: word(args, 0)})))
	}, joinTable,
}

var stateRefresh = view[*pb.ListPIMStateRefreshResponse]{
	func(ctx context.Context, c grovev1connect.RouterServiceClient, f pb.Family, args []string) (*pb.ListPIMStateRefreshResponse, error) {
		return message(c.ListPIMStateRefresh(ctx, connect.NewRequest(&pb.ListPIMStateRefreshRequest{Family: f, Group: word(args, 0)})))
	}, stateRefreshTable,
}

var mroutes = view[*pb.ListMroutesResponse]{askMroutes, mrouteTable}

var upstream = view[*pb.ListMroutesResponse]{askMroutes, upstreamTable}

// askMroutes takes a group and a source, in any order.
func askMroutes(ctx context.Context, c grovev1connect.RouterServiceClient, f pb.Family, args []string) (*pb.ListMroutesResponse, error) {
	req := &pb.ListMroutesRequest{Family: f}
	for _, a := range args {
		if addr, err := netip.ParseAddr(a); err == nil && addr.IsMulticast() && req.Group == "" {
			req.Group = a
		} else if req.Source == "" {
			req.Source = a
		} else {
			return nil, usage("mroute: %q is neither a group nor a source", a)
		}
	}
	return message(c.ListMroutes(ctx, connect.NewRequest(req)))
}

var groups = view[*pb.ListGroupsResponse]{
	func(ctx context.Context, c grovev1connect.RouterServiceClient, f pb.Family, args []string) (*pb.ListGroupsResponse, error) {
		req := &pb.ListGroupsRequest{Family: f}
		for _, a := range args {
			if _, err := netip.ParseAddr(a); err == nil {
				req.Group = a
			} else {
				req.Interface = a
			}
		}
		return message(c.ListGroups(ctx, connect.NewRequest(req)))
	}, groupTable,
}

var groupInterfaces = view[*pb.ListGroupInterfacesResponse]{
	func(ctx context.Context, c grovev1connect.RouterServiceClient, f pb.Family, _ []string) (*pb.ListGroupInterfacesResponse, error) {
		return message(c.ListGroupInterfaces(ctx, connect.NewRequest(&pb.ListGroupInterfacesRequest{Family: f})))
	}, groupInterfaceTable,
}

var rpf = view[*pb.GetRPFResponse]{
	func(ctx context.Context, c grovev1connect.RouterServiceClient, f pb.Family, args []string) (*pb.GetRPFResponse, error) {
		return message(c.GetRPF(ctx, connect.NewRequest(&pb.GetRPFRequest{Family: f, Address: word(args, 0)})))
	}, rpfTable,
}

var rps = view[*pb.ListRPsResponse]{
	func(ctx context.Context, c grovev1connect.RouterServiceClient, f pb.Family, args []string) (*pb.ListRPsResponse, error) {
		return message(c.ListRPs(ctx, connect.NewRequest(&pb.ListRPsRequest{Family: f, Group: word(args, 0)})))
	}, rpTable,
}

var rpMappings = view[*pb.ListRPMappingsResponse]{
	func(ctx context.Context, c grovev1connect.RouterServiceClient, f pb.Family, args []string) (*pb.ListRPMappingsResponse, error) {
		return message(c.ListRPMappings(ctx, connect.NewRequest(&pb.ListRPMappingsRequest{Family: f, Group: word(args, 0)})))
	}, rpMappingTable,
}

var bsr = view[*pb.GetBSRResponse]{
	func(ctx context.Context, c grovev1connect.RouterServiceClient, f pb.Family, _ []string) (*pb.GetBSRResponse, error) {
		return message(c.GetBSR(ctx, connect.NewRequest(&pb.GetBSRRequest{Family: f})))
	}, bsrTable,
}

var counts = view[*pb.ListCountsResponse]{
	func(ctx context.Context, c grovev1connect.RouterServiceClient, _ pb.Family, _ []string) (*pb.ListCountsResponse, error) {
		return message(c.ListCounts(ctx, connect.NewRequest(&pb.ListCountsRequest{})))
	}, countTable,
}

var status = view[*pb.GetStatusResponse]{
	func(ctx context.Context, c grovev1connect.RouterServiceClient, _ pb.Family, _ []string) (*pb.GetStatusResponse, error) {
		return message(c.GetStatus(ctx, connect.NewRequest(&pb.GetStatusRequest{})))
	}, statusTable,
}

func word(args []string, i int) string {
	if i < len(args) {
		return args[i]
	}
	return ""
}
