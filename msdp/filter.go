package msdp

import (
	"net/netip"
	"slices"
	"time"

	"grove/internal/engine"
)

// This file is the policy of RFC 3618, section 7, and RFC 4611, section 4.1.

// Filter is a list of rules: the first that matches decides. Without rules everything is permitted; what no rule matches is
// denied.
type Filter []FilterRule

// FilterRule matches a source, a group and an RP; an invalid prefix matches any.
type FilterRule struct {
	Deny              bool
	Source, Group, RP netip.Prefix
}

// permits says whether the filter lets a source of an RP pass.
func (f Filter) permits(source, group, rp netip.Addr) bool {
	for _, r := range f {
		if r.matches(source, group, rp) {
			return !r.Deny
		}
	}
	return len(f) == 0
}

func (r FilterRule) matches(source, group, rp netip.Addr) bool {
	return covers(r.Source, source) && covers(r.Group, group) && covers(r.RP, rp)
}

func covers(p netip.Prefix, a netip.Addr) bool { return !p.IsValid() || p.Contains(a) }

// RecommendedFilters returns "an external SA filter list [...] to help prevent unnecessary creation, forwarding, and caching of
// well-known domain local sources" (RFC 4611, section 4.1), as operators have published it for their borders: groups of
// protocols that stay in a domain, administratively scoped ones (RFC 2365), source-specific ones, and private sources.
func RecommendedFilters() Filter { return slices.Clone(recommended) }

var recommended = makeRecommended()

func makeRecommended() Filter {
	var f Filter
	for _, g := range []string{
		"224.0.0.0/24",                   // local links
		"224.0.1.2/32",                   // SGI-Dogfight
		"224.0.1.3/32",                   // Rwhod
		"224.0.1.8/32",                   // SUN NIS+
		"224.0.1.22/32", "224.0.1.35/32", // SVRLOC
		"224.0.1.24/32",                  // microsoft-ds
		"224.0.1.25/32",                  // nbc-pro
		"224.0.1.39/32", "224.0.1.40/32", // Auto-RP
		"224.0.1.60/32", // hp-device-disc
		"224.0.2.1/32",  // rwho
		"224.0.2.2/32",  // SUN RPC
		"232.0.0.0/8",   // SSM
		"239.0.0.0/8",   // administratively scoped
	} {
		f = append(f, FilterRule{Deny: true, Group: netip.MustParsePrefix(g)})
	}
	for _, s := range []string{"0.0.0.0/8", "10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"} {
		f = append(f, FilterRule{Deny: true, Source: netip.MustParsePrefix(s)})
	}
	return append(f, FilterRule{})
}

// passes says whether an entry may be taken from the peer (in), or be told to it.
func (p *peer) passes(in bool, source, group, rp netip.Addr, domainLocal bool) bool {
	if domainLocal && p.cfg.MeshGroup == "" && !p.m.cfg.NoRecommendedFilters {
		return false
	}
	for _, b := range p.cfg.Boundary {
		if b.Contains(group) {
			return false
		}
	}
	if in {
		return p.cfg.In.permits(source, group, rp)
	}
	return p.cfg.Out.permits(source, group, rp)
}

// sameIn says whether two configurations of a peer let the same entries in; sameOut, whether they tell it the same.
func sameIn(a, b *PeerConfig) bool  { return sameScope(a, b) && slices.Equal(a.In, b.In) }
func sameOut(a, b *PeerConfig) bool { return sameScope(a, b) && slices.Equal(a.Out, b.Out) }

func sameScope(a, b *PeerConfig) bool {
	return a.MeshGroup == b.MeshGroup && slices.Equal(a.Boundary, b.Boundary)
}

// ---- a new configuration ----

const (
	refilterAtOnce = 5000 // entries
	refilterPause  = 5 * time.Millisecond
)

// refiltering is the walk through the cache after the filters changed.
type refiltering struct {
	timer engine.Timer
	next  *sa
}

// refilterSlice removes entries that the filters do not let in any more, and walks on a little later. What they let in from
// now on comes with the peer's next Source-Active.
func (m *Machine) refilterSlice() {
	w := &m.refiltering
	for n := 0; n < refilterAtOnce && w.next != nil; n++ {
		s := w.next
		w.next = s.next
		if !s.peer.passes(true, s.source(), s.group(), s.rp.addr, s.domainLocal) {
			s.remove("the filter does not let it in any more")
		}
	}
	if w.next != nil {
		m.timers.Set(&w.timer, m.now.Add(refilterPause))
	}
}

// domainLocal says that the recommended filters would keep the source in its domain.
func domainLocal(source, group netip.Addr) bool {
	return !recommended.permits(source, group, netip.Addr{})
}
