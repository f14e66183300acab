package bootstrap

import (
	"net/netip"
	"time"
)

// Show is the state of the mechanism for people.
type Show struct {
	Zones []ZoneShow
	// Candidates is the C-RP-Set, of a BSR.
	Candidates []OfferShow
	// Own are the Candidate-RPs of this router.
	Own []CandidateShow
}

// ZoneShow is the state of a scope zone.
type ZoneShow struct {
	Scope     netip.Prefix // invalid: the whole domain
	State     string
	BSR       netip.Addr // invalid: none
	Priority  uint8
	Uptime    time.Duration // of this BSR
	Expires   time.Duration // left of the Bootstrap Timer: the next message of ours, or the end of the BSR
	Fragments int           // of the last message
	Mappings  int

	Candidate         netip.Addr // the address that we are a candidate with; invalid: we are none
	CandidatePriority uint8
	HashMaskLen       uint8
}

// OfferShow is a group-to-C-RP mapping at the BSR.
type OfferShow struct {
	Groups   netip.Prefix
	Bidir    bool
	RP       netip.Addr
	Priority uint8
	Holdtime time.Duration
	Expires  time.Duration
}

// CandidateShow is a Candidate-RP of this router.
type CandidateShow struct {
	Address  netip.Addr
	Groups   []netip.Prefix
	Priority uint8
	Active   bool          // the address is ours
	Next     time.Duration // left until the next advertisement to any BSR; 0: no BSR is known
}

// Show returns the state.
func (b *Instance) Show(now time.Time) Show {
	s := Show{Zones: []ZoneShow{}, Candidates: []OfferShow{}, Own: []CandidateShow{}}
	for _, z := range b.sortedZones() {
		x := ZoneShow{
			Scope: z.scope, State: z.state.String(), BSR: z.bsr.address, Priority: z.bsr.priority, Expires: z.bst.Left(now),
			Fragments: len(z.last), Mappings: z.mappings, HashMaskLen: z.hashMaskLen,
		}
		if z.bsr.address.IsValid() {
			x.Uptime = now.Sub(z.since)
		}
		if z.self != nil {
			x.Candidate, x.CandidatePriority = z.self.Address, z.self.Priority
		}
		s.Zones = append(s.Zones, x)
	}
	for p, r := range b.sortedOffers() {
		for _, o := range r.offers {
			s.Candidates = append(s.Candidates, OfferShow{
				Groups: p, Bidir: o.bidir, RP: o.rp, Priority: o.priority, Holdtime: o.holdtime, Expires: o.expiry.Left(now),
			})
		}
	}
	for _, rp := range b.rps {
		x := CandidateShow{Address: rp.cfg.Address, Groups: rp.cfg.Groups, Priority: rp.cfg.Priority, Active: rp.active}
		for _, z := range b.sortedZones() {
			if a := rp.advertised[z.scope]; a != nil && a.timer.Running() && (x.Next == 0 || a.timer.Left(now) < x.Next) {
				x.Next = a.timer.Left(now)
			}
		}
		s.Own = append(s.Own, x)
	}
	return s
}
