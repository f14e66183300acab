package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	pb "grove/daemon/api/grove/v1"
)

func neighborTable(w io.Writer, m *pb.ListPIMNeighborsResponse) {
	t := newTable("Interface", "Neighbor", "Mode", "Uptime", "Expires", "DR priority", "DR", "Generation", "State refresh", "Secondary addresses")
	for _, n := range m.Neighbors {
		expires := clock(n.Expires)
		if expires == "" {
			expires = "never"
		}
		priority, generation := "", ""
		if n.DrPriority != nil {
			priority = fmt.Sprint(*n.DrPriority)
		}
		if n.GenerationId != nil {
			generation = fmt.Sprintf("%08x", *n.GenerationId)
		}
		refresh := ""
		if n.StateRefreshCapable {
			refresh = "every " + span(n.StateRefreshInterval)
		}
		t.row(n.Interface, n.Address, n.Mode, clock(n.Uptime), expires, priority, yes(n.Dr, "DR"), generation, refresh,
			strings.Join(n.SecondaryAddresses, " "))
	}
	t.write(w)
}

func interfaceTable(w io.Writer, m *pb.ListPIMInterfacesResponse) {
	t := newTable("Interface", "State", "Mode", "Address", "Neighbors", "DR", "DR priority", "Hello", "Next", "Prune delay", "State refresh")
	for _, i := range m.Interfaces {
		state, dr, priority := "up", i.Dr, "none"
		switch {
		case !i.Running:
			state = "down"
		case i.Passive:
			state = "passive"
		}
		if i.WeAreDr {
			dr = "us"
		}
		if i.DrPriority != nil {
			priority = fmt.Sprint(*i.DrPriority)
		}
		refresh := ""
		switch {
		case i.StateRefreshCapable:
			refresh = "all"
		case i.StateRefresh:
			refresh = "not all neighbors"
		case i.Mode != "sparse":
			refresh = "off"
		}
		t.row(i.Interface, state, i.Mode, i.Address, fmt.Sprint(i.Neighbors), dr, priority, span(i.HelloPeriod), clock(i.HelloTimer),
			span(i.PropagationDelay)+"+"+span(i.OverrideInterval), refresh)
	}
	t.write(w)
}

func joinTable(w io.Writer, m *pb.ListPIMJoinsResponse) {
	t := newTable("Interface", "Source", "Group", "State", "Expires", "(S,G,rpt)", "Expires", "Members", "Assert", "Winner", "Expires")
	for _, j := range m.Joins {
		rpt, members, assert := j.Rpt, yes(j.Member, "yes"), j.Assert
		if j.Source == "*" || rpt == "NoInfo" {
			rpt = ""
		}
		if j.Excluded {
			members = "excluded"
		}
		if assert == "NoInfo" {
			assert = ""
		}
		t.row(j.Interface, j.Source, j.Group, j.State, clock(j.Expires), rpt, clock(j.RptExpires), members,
			strings.TrimPrefix(assert, "I am Assert "), j.AssertWinner, clock(j.AssertExpires))
	}
	t.write(w)
}

func upstreamTable(w io.Writer, m *pb.ListMroutesResponse) {
	t := newTable("Interface", "Source", "Group", "State", "RPF neighbor", "Join timer", "Keepalive", "(S,G,rpt)", "Register", "Register-Stop", "RP")
	for _, r := range m.Mroutes {
		if r.Upstream == "" {
			continue
		}
		rp := r.Rp
		if r.WeAreRp {
			rp += " (us)"
		}
		t.row(orDash(r.IncomingInterface), r.Source, r.Group, r.Upstream, r.RpfNeighbor, clock(r.JoinTimer), clock(r.Keepalive), r.Rpt, r.Register,
			clock(r.RegisterStop), rp)
	}
	t.write(w)
}

func groupTable(w io.Writer, m *pb.ListGroupsResponse) {
	t := newTable("Interface", "Group", "Mode", "Version", "Expires", "Source", "Source expires", "Static")
	for _, g := range m.Groups {
		first := []string{g.Interface, g.Group, g.Mode, g.Version, clock(g.Expires), "", "", yes(g.Static, "static")}
		for i, s := range g.Sources {
			source, expires := s.Address, clock(s.Expires)
			if !s.Forwarded {
				source, expires = "not "+source, ""
			}
			if i == 0 {
				first[5], first[6] = source, expires
				t.row(first...)
				continue
			}
			t.row("", "", "", "", "", source, orDash(expires), "")
		}
		if len(g.Sources) == 0 {
			t.row(first...)
		}
	}
	t.write(w)
}

func groupInterfaceTable(w io.Writer, m *pb.ListGroupInterfacesResponse) {
	t := newTable("Interface", "Version", "State", "Querier", "Other querier", "Next query", "Robustness", "Query interval", "Response", "Last member", "Groups")
	for _, i := range m.Interfaces {
		t.row(i.Interface, i.Version, i.State, i.Querier, clock(i.OtherQuerierPresent), clock(i.NextQuery), fmt.Sprint(i.Robustness),
			span(i.QueryInterval), span(i.QueryResponseInterval), span(i.LastMemberQueryInterval), fmt.Sprint(i.Groups))
	}
	t.write(w)
}

// hopText prints next hops as "10.0.12.2 on eth1".
func hopText(hops []*pb.NextHop) string {
	var list []string
	for _, h := range hops {
		text := "on " + h.Interface
		if h.Gateway != "" {
			text = h.Gateway + " " + text
		}
		if !h.Running {
			text += " (down)"
		}
		list = append(list, text)
	}
	return strings.Join(list, ", ")
}

func rpfTable(w io.Writer, m *pb.GetRPFResponse) {
	if len(m.Paths) == 1 && len(m.Paths[0].Considered) > 0 {
		rpfDetail(w, m.Paths[0])
		return
	}
	t := newTable("Address", "RPF neighbor", "Prefix", "Origin", "Distance", "Metric", "Tracked by")
	for _, p := range m.Paths {
		t.row(p.Address, neighborText(p), p.Prefix, p.Origin, fmt.Sprint(p.Distance), fmt.Sprint(p.Metric), strings.Join(p.TrackedBy, " "))
	}
	t.write(w)
}

// neighborText says where a path leads.
func neighborText(p *pb.RPF) string {
	switch {
	case p.Local:
		return "this router"
	case !p.Reachable:
		return "unreachable"
	}
	return hopText(p.Hops[:1])
}

func rpfDetail(w io.Writer, p *pb.RPF) {
	fmt.Fprintf(w, "RPF of %s: %s\n", p.Address, neighborText(p))
	fmt.Fprintf(w, "  why       %s\n", p.Why)
	if p.Prefix != "" {
		fmt.Fprintf(w, "  route     %s, %s, distance %d, metric %d\n", p.Prefix, p.Origin, p.Distance, p.Metric)
	}
	if p.Mode != "" && p.Mode != "lower-distance" {
		fmt.Fprintf(w, "  mode      %s\n", p.Mode)
	}
	if b := p.Bgp; b != nil {
		fmt.Fprintf(w, "  BGP       of %s, next hop %s, AS path %s\n", b.Neighbor, b.NextHop, orDash(strings.Trim(fmt.Sprint(b.AsPath), "[]")))
	}
	if len(p.Hops) > 1 {
		fmt.Fprintf(w, "  next hops %s\n", hopText(p.Hops))
	}
	if len(p.TrackedBy) > 0 {
		fmt.Fprintf(w, "  tracked   by %s\n", strings.Join(p.TrackedBy, ", "))
	}
	fmt.Fprintln(w)
	t := newTable("Considered", "Origin", "Distance", "Metric", "Next hops", "Usable")
	for _, c := range p.Considered {
		usable := "yes"
		if !c.Usable {
			usable = "no"
		}
		if c.Note != "" {
			usable += ": " + c.Note
		}
		t.row(c.Prefix, c.Origin, fmt.Sprint(c.Distance), fmt.Sprint(c.Metric), hopText(c.Hops), usable)
	}
	t.write(w)
}

func rpTable(w io.Writer, m *pb.ListRPsResponse) {
	t := newTable("RP", "Groups", "Origin", "Reached by", "Active groups")
	for _, r := range m.Rps {
		by := "unreachable"
		switch {
		case r.WeAreRp:
			by = "this router"
		case r.Reachable && r.RpfNeighbor != "":
			by = r.RpfNeighbor + " on " + r.Interface
		case r.Reachable:
			by = "on " + r.Interface
		}
		t.row(r.Address, strings.Join(r.Groups, " "), r.Origin, by, fmt.Sprint(r.ActiveGroups))
	}
	t.write(w)
}

func rpMappingTable(w io.Writer, m *pb.ListRPMappingsResponse) {
	header := []string{"Groups", "RP", "Origin", "Priority", "Reached"}
	ofGroup := slices.ContainsFunc(m.Mappings, func(x *pb.RPMapping) bool { return x.Hash != nil })
	if ofGroup {
		header = append(header, "Hash mask", "Hash", "Chosen")
	}
	t := newTable(header...)
	for _, x := range m.Mappings {
		reached := "no"
		switch {
		case x.Bidir:
			reached = "BIDIR-PIM: not for sparse mode"
		case x.Rp == "": // a negative mapping of Auto-RP
			reached = "no RP: dense"
		case x.WeAreRp:
			reached = "this router"
		case x.Reachable:
			reached = "yes"
		}
		priority := fmt.Sprint(x.Priority)
		if strings.HasPrefix(x.Origin, "static") {
			priority = "-"
		}
		row := []string{x.Groups, x.Rp, x.Origin, priority, reached}
		if ofGroup {
			row = append(row, fmt.Sprint(x.HashMaskLength), fmt.Sprint(x.GetHash()), yesOrDash(x.Chosen))
		}
		t.row(row...)
	}
	t.write(w)
}

func yesOrDash(yes bool) string {
	if yes {
		return "yes"
	}
	return "-"
}

// bsrTable prints the zones; at the BSR the candidates below, and then what this router advertises.
func bsrTable(w io.Writer, m *pb.GetBSRResponse) {
	t := newTable("Zone", "State", "BSR", "Priority", "Hash mask", "Uptime", "Timer", "Mappings", "Candidate here")
	for _, z := range m.Zones {
		zone, priority, mask := "domain", "-", "-"
		if z.Scope != "" {
			zone = z.Scope
		}
		if z.Bsr != "" {
			priority, mask = fmt.Sprint(z.Priority), fmt.Sprint(z.HashMaskLength)
		}
		candidate := "-"
		if z.Candidate != "" {
			candidate = fmt.Sprintf("%s, priority %d", z.Candidate, z.CandidatePriority)
		}
		t.row(zone, z.State, orDash(z.Bsr), priority, mask, orDash(clock(z.Uptime)), orDash(clock(z.Expires)), fmt.Sprint(z.Mappings), candidate)
	}
	t.write(w)
	if len(m.Candidates) > 0 {
		fmt.Fprintln(w)
		t := newTable("Candidate RP", "Groups", "Priority", "Holdtime", "Expires")
		for _, c := range m.Candidates {
			groups := c.Groups
			if c.Bidir {
				groups += " BIDIR"
			}
			t.row(c.Rp, groups, fmt.Sprint(c.Priority), clock(c.Holdtime), orDash(clock(c.Expires)))
		}
		t.write(w)
	}
	if len(m.Own) > 0 {
		fmt.Fprintln(w)
		t := newTable("Advertised by this router", "Groups", "Priority", "Next")
		for _, c := range m.Own {
			next := orDash(clock(c.Next))
			if !c.Active {
				next = "not our address"
			}
			t.row(c.Address, strings.Join(c.Groups, " "), fmt.Sprint(c.Priority), next)
		}
		t.write(w)
	}
}

func countTable(w io.Writer, m *pb.ListCountsResponse) {
	t := newTable("Machine", "Count", "What")
	for _, c := range m.Machines {
		for _, n := range c.Counts {
			t.row(c.Machine, fmt.Sprint(n.Count), n.Name)
		}
	}
	t.write(w)
}

func statusTable(w io.Writer, m *pb.GetStatusResponse) {
	fmt.Fprintf(w, "hostname    %s\n", orDash(m.Hostname))
	fmt.Fprintf(w, "version     %s\n", orDash(m.Version))
	fmt.Fprintf(w, "schema      %s\n", m.Schema)
	fmt.Fprintf(w, "uptime      %s\n", orDash(clock(m.Uptime)))
	fmt.Fprintf(w, "table       %d\n", m.Table)
	if m.TimeScale != 1 {
		fmt.Fprintf(w, "time scale  %g: the protocols' timers are divided by this\n", m.TimeScale)
	}
	fmt.Fprintf(w, "machines    %s\n", orDash(strings.Join(m.Machines, " ")))
}
