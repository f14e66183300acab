package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	pb "grove/daemon/api/grove/v1"
	"grove/daemon/api/grove/v1/grovev1connect"
)

// msdp is show ip msdp. It is a protocol of IPv4 alone.
func (s *shower) msdp() *cobra.Command {
	c := &cobra.Command{Use: "msdp", Short: "MSDP: sources of other domains"}
	c.AddCommand(
		showing(s, msdpPeers, 0, "peer [ADDRESS]", "Peers; of one, all that is known", cobra.MaximumNArgs(1), "peers", "neighbor", "neighbors"),
		showing(s, msdpSAs, 0, "sa-cache [ADDRESS]", "Sources that RPs told each other of: all, or those of a group, source or RP", cobra.MaximumNArgs(1), "sa", "cache"),
		showing(s, msdpMeshes, 0, "mesh-group [NAME]", "Mesh groups and their members", cobra.MaximumNArgs(1), "mesh-groups"),
		showing(s, msdpRPF, 0, "rpf ADDRESS", "From which peer the messages of an RP are taken, and why", cobra.ExactArgs(1), "rpf-peer"),
		showing(s, msdpSummary, 0, "summary", "How much there is", cobra.NoArgs),
	)
	return c
}

func askMSDPPeers(ctx context.Context, c grovev1connect.RouterServiceClient, _ pb.Family, args []string) (*pb.ListMSDPPeersResponse, error) {
	a := word(args, 0)
	if a == "detail" { // of FRR
		a = ""
	}
	return message(c.ListMSDPPeers(ctx, connect.NewRequest(&pb.ListMSDPPeersRequest{Address: a})))
}

var (
	msdpPeers  = view[*pb.ListMSDPPeersResponse]{askMSDPPeers, msdpPeerTable}
	msdpMeshes = view[*pb.ListMSDPPeersResponse]{askMSDPMeshes, msdpMeshTable}
)

// askMSDPMeshes takes the peers that are in a mesh group.
func askMSDPMeshes(ctx context.Context, c grovev1connect.RouterServiceClient, f pb.Family, args []string) (*pb.ListMSDPPeersResponse, error) {
	m, err := askMSDPPeers(ctx, c, f, nil)
	if err != nil {
		return nil, err
	}
	name := word(args, 0)
	m.Peers = slices.DeleteFunc(m.Peers, func(p *pb.MSDPPeer) bool { return p.MeshGroup == "" || name != "" && p.MeshGroup != name })
	slices.SortStableFunc(m.Peers, func(a, b *pb.MSDPPeer) int { return cmp.Compare(a.MeshGroup, b.MeshGroup) })
	return m, nil
}

var msdpSAs = view[*pb.ListMSDPSourceActivesResponse]{
	func(ctx context.Context, c grovev1connect.RouterServiceClient, _ pb.Family, args []string) (*pb.ListMSDPSourceActivesResponse, error) {
		return message(c.ListMSDPSourceActives(ctx, connect.NewRequest(&pb.ListMSDPSourceActivesRequest{Address: word(args, 0)})))
	}, msdpSATable,
}

var msdpRPF = view[*pb.GetMSDPRPFResponse]{
	func(ctx context.Context, c grovev1connect.RouterServiceClient, _ pb.Family, args []string) (*pb.GetMSDPRPFResponse, error) {
		return message(c.GetMSDPRPF(ctx, connect.NewRequest(&pb.GetMSDPRPFRequest{Rp: word(args, 0)})))
	}, msdpRPFTable,
}

var msdpSummary = view[*pb.GetMSDPSummaryResponse]{
	func(ctx context.Context, c grovev1connect.RouterServiceClient, _ pb.Family, _ []string) (*pb.GetMSDPSummaryResponse, error) {
		return message(c.GetMSDPSummary(ctx, connect.NewRequest(&pb.GetMSDPSummaryRequest{})))
	}, msdpSummaryTable,
}

// msdpPeerTable prints a line for each peer; one alone with its counters below.
func msdpPeerTable(w io.Writer, m *pb.ListMSDPPeersResponse) {
	t := newTable("Peer", "Local", "State", "Since", "AS", "Mesh group", "SAs", "RPs", "Resets", "Last reset")
	for _, p := range m.Peers {
		as := ""
		if p.As != 0 {
			as = fmt.Sprint(p.As)
		}
		t.row(p.Address, p.Local, p.State, clock(p.Since), as, p.MeshGroup, fmt.Sprint(p.Cached), fmt.Sprint(p.Rps), fmt.Sprint(p.Resets), p.LastReset)
	}
	t.write(w)
	if len(m.Peers) == 1 {
		msdpPeerDetail(w, m.Peers[0])
	}
}

func msdpPeerDetail(w io.Writer, p *pb.MSDPPeer) {
	who := "the peer"
	if p.Active {
		who = "we"
	}
	fmt.Fprintf(w, "\nThe connection is opened by: %s", who)
	for _, x := range []struct {
		is   bool
		text string
	}{{p.Protected, "TCP MD5"}, {p.DefaultPeer, "default peer"}, {p.CatchingUp, "the cache is being sent"}} {
		if x.is {
			fmt.Fprintf(w, "; %s", x.text)
		}
	}
	fmt.Fprintf(w, "\nTimers: connect retry %s, hold %s, keepalive %s\n\n", orDash(clock(p.ConnectRetry)), orDash(clock(p.Hold)), orDash(clock(p.Keepalive)))
	t := newTable("", "Messages", "SAs", "Keepalives", "Requests", "Responses", "Packets", "Filtered")
	row := func(name string, n ...uint64) {
		cells := []string{name}
		for _, x := range n {
			cells = append(cells, fmt.Sprint(x))
		}
		t.row(cells...)
	}
	row("in", p.MessagesIn, p.SourceActivesIn, p.KeepalivesIn, p.RequestsIn, p.ResponsesIn, p.DataIn, p.FilteredIn)
	row("out", p.MessagesOut, p.SourceActivesOut, p.KeepalivesOut, p.RequestsOut, p.ResponsesOut, p.DataOut, p.FilteredOut)
	t.write(w)
	fmt.Fprintf(w, "\nEntries refused: RPF %d, limit %d, rate %d; not sent %d; bytes waiting %d\n", p.RpfFailures, p.OverLimit, p.OverRate, p.NotSent, p.Waiting)
}

func msdpMeshTable(w io.Writer, m *pb.ListMSDPPeersResponse) {
	t := newTable("Mesh group", "Member", "Local", "State")
	last := ""
	for _, p := range m.Peers {
		name := p.MeshGroup
		if name == last {
			name = ""
		}
		last = p.MeshGroup
		t.row(name, p.Address, p.Local, p.State)
	}
	t.write(w)
}

func msdpSATable(w io.Writer, m *pb.ListMSDPSourceActivesResponse) {
	t := newTable("Source", "Group", "RP", "Peer", "Age", "Expires", "Sent on", "Receivers")
	for _, s := range m.SourceActives {
		peer := s.Peer
		switch {
		case s.Withheld:
			peer = "own, withheld"
		case s.Own:
			peer = "own"
		}
		t.row(s.Source, s.Group, s.Rp, peer, clock(s.Age), clock(s.Expires), clock(s.Forwarded), yes(s.Wanted, "yes"))
	}
	t.write(w)
}

// msdpRPFTable explains the verdict: what each rule looked at, and what follows for each peer.
func msdpRPFTable(w io.Writer, m *pb.GetMSDPRPFResponse) {
	fmt.Fprintf(w, "RP %s, route %s\n", m.Rp, orDash(m.Route))
	for _, c := range m.Compared {
		fmt.Fprintf(w, "  %s\n", c)
	}
	fmt.Fprintf(w, "RPF peer: %s (%s)\n\n", orDash(m.RpfPeer), m.Rule)
	t := newTable("Peer", "State", "Verdict", "Rule", "Accepted", "Refused")
	for _, p := range m.Peers {
		state, verdict := "down", "refused"
		if p.Established {
			state = "established"
		}
		if p.Accepted {
			verdict = "accepted"
		}
		t.row(p.Peer, state, verdict, p.Rule, fmt.Sprint(p.AcceptedEntries), fmt.Sprint(p.RefusedEntries))
	}
	t.write(w)
}

func msdpSummaryTable(w io.Writer, m *pb.GetMSDPSummaryResponse) {
	t := newTable("What", "Number")
	for _, r := range []struct {
		what string
		n    uint32
	}{
		{"peers", m.Peers}, {"peers that are connected", m.Established}, {"entries of other domains", m.Cached}, {"entries of our own", m.Own},
		{"groups", m.Groups}, {"groups with receivers here", m.Wanted}, {"sources", m.Sources}, {"RPs", m.Rps},
	} {
		t.row(r.what, fmt.Sprint(r.n))
	}
	t.write(w)
	if m.OriginatorId != "" {
		fmt.Fprintf(w, "\nOriginator ID: %s\n", m.OriginatorId)
	}
}
