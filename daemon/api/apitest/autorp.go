package apitest

import (
	"net/netip"
	"time"

	"grove/daemon/api"
	"grove/internal/engine"
	"grove/internal/pim/autorp"
	"grove/internal/pim/autorp/wire"
	"grove/pimsm"
)

// Discovered returns r1, a router that is all that there is in Auto-RP: it listens, is a candidate, and is a mapping agent that is
// silent because another one speaks.
func Discovered() *Fake {
	address, groups := netip.MustParseAddr, netip.MustParsePrefix
	self := engine.MachineID{Protocol: engine.PIMSM, Family: engine.IPv4}
	mapping := func(g, rp string, negative bool) autorp.Mapping {
		return autorp.Mapping{Groups: groups(g), RP: address(rp), Negative: negative}
	}
	return &Fake{
		Events: make(chan api.Event, 16),
		Self:   api.Status{Hostname: "r1", Version: "v0.1.0", Uptime: time.Hour, TimeScale: 1, Machines: []engine.MachineID{self}},
		Answers: map[string]any{"pimsm/ipv4 auto-rp ": autorp.State{
			Listening: true,
			Mappings: []autorp.MappingState{
				{Mapping: mapping("224.0.0.0/4", "10.255.0.1", false), Version: wire.PIMv2, Agent: address("10.255.0.1"), Expires: 20 * time.Second},
				{Mapping: mapping("224.0.0.0/4", "10.255.0.5", false), Version: wire.PIMv2, Agent: address("10.255.0.9"), Used: true, Expires: 170 * time.Second},
				{Mapping: mapping("239.9.0.0/16", "10.255.0.5", true), Version: wire.PIMv1And2, Agent: address("10.255.0.9"), Used: true},
			},
			Candidates: []autorp.CandidateState{
				{Candidate: autorp.Candidate{
					Address: address("10.255.0.1"), Groups: []wire.Group{{Prefix: groups("224.0.0.0/4")}, {Prefix: groups("239.8.0.0/16"), Negative: true}},
					Scope: 31, Interval: time.Minute, Holdtime: 3 * time.Minute,
				}, Active: true, Next: 12 * time.Second},
				{Candidate: autorp.Candidate{
					Address: address("10.255.0.2"), Groups: []wire.Group{{Prefix: groups("239.1.0.0/16")}, {Prefix: groups("239.2.0.0/16")}},
					Scope: 16, Interval: 30 * time.Second,
				}},
			},
			Agent: &autorp.AgentState{
				Address: address("10.255.0.1"), Scope: 31, Interval: time.Minute, Holdtime: 3 * time.Minute, Status: "silent",
				Other: address("10.255.0.9"), Next: 170 * time.Second,
				Announced: []autorp.AnnouncedState{
					{RP: address("10.255.0.1"), Groups: groups("224.0.0.0/4"), Version: wire.PIMv2, Expires: 168 * time.Second},
					{RP: address("10.255.0.5"), Groups: groups("224.0.0.0/4"), Version: wire.PIMv2, Chosen: true, Expires: 131 * time.Second},
					{RP: address("10.255.0.5"), Groups: groups("239.9.0.0/16"), Version: wire.PIMv1And2, Negative: true, Chosen: true},
				},
			},
		}, "pimsm/ipv4 mappings ": []pimsm.MappingShow{
			{Groups: groups("224.0.0.0/4"), RP: address("10.255.0.5"), Origin: "Auto-RP", HashMaskLen: 30, Reachable: true},
			{Groups: groups("239.9.0.0/16"), Origin: "Auto-RP", HashMaskLen: 30},
		}},
	}
}
