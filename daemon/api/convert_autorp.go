package api

import (
	"google.golang.org/protobuf/types/known/durationpb"

	pb "grove/daemon/api/grove/v1"
	"grove/internal/pim/autorp"
)

// AutoRPResponse converts what a pimsm machine answers to "auto-rp".
func AutoRPResponse(s *autorp.State) *pb.GetAutoRPResponse {
	r := &pb.GetAutoRPResponse{Schema: Schema, Listening: s.Listening}
	for _, m := range s.Mappings {
		r.Mappings = append(r.Mappings, &pb.AutoRPMapping{
			Groups: prefix(m.Groups), Rp: addr(m.RP), Negative: m.Negative, PimVersion: m.Version.String(), Agent: addr(m.Agent), Used: m.Used,
			Expires: left(m.Expires),
		})
	}
	for _, c := range s.Candidates {
		m := &pb.AutoRPCandidate{
			Address: addr(c.Address), Scope: uint32(c.Scope), Interval: durationpb.New(c.Interval), Holdtime: left(c.Holdtime), Active: c.Active,
			Next: left(c.Next),
		}
		for _, g := range c.Groups {
			if g.Negative {
				m.Denied = append(m.Denied, prefix(g.Prefix))
			} else {
				m.Groups = append(m.Groups, prefix(g.Prefix))
			}
		}
		r.Candidates = append(r.Candidates, m)
	}
	if a := s.Agent; a != nil {
		r.Agent = &pb.AutoRPAgent{
			Address: addr(a.Address), Status: a.Status, Other: addr(a.Other), Scope: uint32(a.Scope), Interval: durationpb.New(a.Interval),
			Holdtime: left(a.Holdtime), Next: left(a.Next),
		}
		for _, e := range a.Announced {
			r.Agent.Announced = append(r.Agent.Announced, &pb.AutoRPAnnounced{
				Groups: prefix(e.Groups), Rp: addr(e.RP), Negative: e.Negative, PimVersion: e.Version.String(), Chosen: e.Chosen,
				Expires: left(e.Expires),
			})
		}
	}
	return r
}
