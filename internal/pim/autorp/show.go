package autorp

import (
	"net/netip"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/autorp/wire"
)

// State is Auto-RP for people.
type State struct {
	Listening  bool
	Candidates []CandidateState
	Agent      *AgentState // nil: this router is none
	Mappings   []MappingState
}

// CandidateState is an address that announces itself as RP.
type CandidateState struct {
	Candidate
	Active bool          // the address is one of ours
	Next   time.Duration // until the next announcement
}

// AgentState is the mapping agent of this router.
type AgentState struct {
	Address            netip.Addr
	Scope              uint8
	Interval, Holdtime time.Duration
	Status             string        // "sending"; "silent": Other speaks; "inactive": the address is none of ours
	Other              netip.Addr    // the agent with the higher address
	Next               time.Duration // until it says the mappings, or until it takes it that Other is gone
	Announced          []AnnouncedState
}

// AnnouncedState is a range of groups that an RP announced.
type AnnouncedState struct {
	RP       netip.Addr
	Groups   netip.Prefix
	Version  wire.PIMVersion
	Negative bool
	Chosen   bool          // it is what the agent says of the range
	Expires  time.Duration // 0: never
}

// MappingState is what an agent said of a range of groups.
type MappingState struct {
	Mapping
	Version wire.PIMVersion
	Agent   netip.Addr
	Used    bool // another agent's is believed if not
	Expires time.Duration
}

// Show returns the state.
func (a *AutoRP) Show(now time.Time) State {
	s := State{Listening: a.cfg.Listen}
	for _, c := range a.candidates {
		s.Candidates = append(s.Candidates, CandidateState{Candidate: c.cfg, Active: c.send.Running(), Next: c.send.Left(now)})
	}
	if g := &a.agent; g.cfg.Address.IsValid() {
		s.Agent = g.show(now)
	}
	used := make(map[saying]bool)
	for _, k := range a.listener.best(now) {
		used[k] = true
	}
	for k, h := range engine.SortedFunc(a.listener.heard, compareSayings) {
		s.Mappings = append(s.Mappings, MappingState{
			Mapping: Mapping{Groups: k.groups, RP: h.rp, Negative: h.negative}, Version: h.version, Agent: k.by, Used: used[k],
			Expires: h.expires.Left(now),
		})
	}
	return s
}

func (g *agent) show(now time.Time) *AgentState {
	s := &AgentState{
		Address: g.cfg.Address, Scope: g.cfg.Scope, Interval: g.cfg.Interval, Holdtime: g.cfg.Holdtime, Status: "inactive",
	}
	switch {
	case g.send.Running():
		s.Status, s.Next = "sending", g.send.Left(now)
	case g.silent.Running():
		s.Status, s.Other, s.Next = "silent", g.other, g.silent.Left(now)
	}
	chosen := g.choose()
	for k, e := range engine.SortedFunc(g.cache, compareSayings) {
		c := chosen[k.groups]
		s.Announced = append(s.Announced, AnnouncedState{
			RP: k.by, Groups: k.groups, Version: e.version, Negative: e.negative,
			Chosen: c.rp == k.by && c.negative == e.negative, Expires: e.expires.Left(now),
		})
	}
	return s
}
