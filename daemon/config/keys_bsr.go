package config

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/goccy/go-yaml/ast"

	"grove/internal/engine"
	"grove/internal/pim/bootstrap"
)

// BSR is the Bootstrap mechanism of one family (RFC 5059).
type BSR struct {
	Enabled bool
	bootstrap.Config
}

func defaultBSR() BSR {
	return BSR{Enabled: true, Config: bootstrap.Config{
		Period: 60 * time.Second, Timeout: 130 * time.Second, MinInterval: 10 * time.Second, ZoneTimeout: 1300 * time.Second,
		MaxZones: 64, MaxMappings: 10_000,
	}}
}

func bsrKeys(f engine.Family) []key[BSR] {
	type conf = BSR
	return []key[conf]{
		boolean("enabled", func(v *conf) *bool { return &v.Enabled }, "true",
			"Whether RPs are learned from the BSR of the domain, and its messages handed on."),
		enable("candidate", "This router is a Candidate-BSR.", bsrCandidateKeys(f),
			func(v *conf) **bootstrap.Candidate { return &v.Candidate },
			func() *bootstrap.Candidate {
				return &bootstrap.Candidate{Priority: 64, HashMaskLen: uint8(AllGroups(f).Addr().BitLen() - 2)}
			},
			func(r *reader, at places, v *bootstrap.Candidate) {
				if !at.has("address") {
					r.fault(at.whole, "a Candidate-BSR without an address", "address: ADDRESS, one of this router's that the domain reaches", "")
				}
			}),
		list("candidate-rp", "Candidate-RPs of this router, which it advertises to the BSR.", bsrRPKeys(f),
			func(v *conf) *[]bootstrap.CandidateRP { return &v.CandidateRPs },
			func(r *reader, at places, v *bootstrap.CandidateRP, before []bootstrap.CandidateRP) {
				r.checkCandidateRP(at, v, before, f)
			}),
		{
			name: "accept-rp", takes: "a list of prefixes", def: "all",
			doc: "As a BSR: the addresses of the RPs whose advertisements are accepted.",
			read: func(r *reader, n ast.Node, v *conf) {
				for _, e := range r.sequence(n, "prefixes") {
					if p, ok := r.prefix(e, "accept-rp", f); ok {
						v.AcceptRP = append(v.AcceptRP, p)
					}
				}
			},
			print: func(v *conf) string { return printList(v.AcceptRP) },
		},
		boolean("unicast", func(v *conf) *bool { return &v.Unicast }, "false",
			"Whether new neighbours are sent Bootstrap messages by unicast, too, and such ones are accepted: for routers of RFC 2362. RFC 5059, section 3.5.2."),
		also(duration("period", func(v *conf) *time.Duration { return &v.Period }, time.Second, 18000*time.Second, "60s",
			"BS_Period: the time between the messages of the BSR. RFC 5059, section 5."), "bs-period", "interval"),
		also(duration("timeout", func(v *conf) *time.Duration { return &v.Timeout }, 2*time.Second, 36000*time.Second, "2 * period + 10s",
			"BS_Timeout: a BSR that is silent for so long is given up; more than period."), "bs-timeout"),
		also(duration("min-interval", func(v *conf) *time.Duration { return &v.MinInterval }, 100*time.Millisecond, time.Hour, "10s",
			"BS_Min_Interval: the least time between two messages of the BSR; less than period."), "bs-min-interval"),
		also(duration("zone-timeout", func(v *conf) *time.Duration { return &v.ZoneTimeout }, 3*time.Second, 1000*time.Hour, "10 * timeout",
			"SZ_Timeout: a scope zone of which nothing is heard for so long is forgotten; more than timeout."), "sz-timeout"),
		number("max-zones", func(v *conf) *int { return &v.MaxZones }, 1, 100_000, "64", "Scope zones; messages of more are counted and ignored."),
		number("max-mappings", func(v *conf) *int { return &v.MaxMappings }, 1, 10_000_000, "10000",
			"Mappings of groups to RPs of a zone, and candidates at the BSR; more are counted and ignored."),
	}
}

func bsrCandidateKeys(f engine.Family) []key[bootstrap.Candidate] {
	type conf = bootstrap.Candidate
	bits := AllGroups(f).Addr().BitLen()
	return []key[conf]{
		bsrAddressKey("The address of the BSR, one of this router's. The Candidate-BSR stands by while the router does not have it.", f,
			func(v *conf) *netip.Addr { return &v.Address }),
		number("priority", func(v *conf) *uint8 { return &v.Priority }, 0, 255, "64", "The highest is elected; of equal ones the highest address."),
		also(number("hash-mask-length", func(v *conf) *uint8 { return &v.HashMaskLen }, 0, uint8(bits), fmt.Sprint(bits-2),
			"The bits of a group that the hash function takes: groups that are equal in them have one RP. RFC 7761, section 4.7.2."), "hash-mask-len"),
		{
			name: "zones", takes: "a list of prefixes of groups", def: "none",
			doc: "Scope zones that it is a candidate for, besides the whole domain. The border of a zone is multicast.boundary of interfaces." +
				map[engine.Family]string{engine.IPv6: " The zone of a scope s is ff0s::/16. Packets stop only where each ff0s::/16, ff1s::/16 ... that is used is a boundary."}[f],
			read: func(r *reader, n ast.Node, v *conf) {
				for _, e := range r.sequence(n, "prefixes of groups") {
					p, ok := r.groups(e, "zones", f)
					switch {
					case !ok:
					case f == engine.IPv6 && (p.Bits() != 16 || p.Addr().As16()[1]&0xf0 != 0):
						r.fault(e, fmt.Sprintf("zone %s is not that of a scope", p), "ff0s::/16, s being the scope", "")
					case slices.Contains(v.Zones, p):
						r.fault(e, fmt.Sprintf("zone %s stands here twice", p), "each zone once", "")
					default:
						v.Zones = append(v.Zones, p)
					}
				}
			},
			print: func(v *conf) string { return printList(v.Zones) },
		},
	}
}

func bsrRPKeys(f engine.Family) []key[bootstrap.CandidateRP] {
	type conf = bootstrap.CandidateRP
	return []key[conf]{
		bsrAddressKey("The address of the RP, one of this router's. It is not advertised while the router does not have it.", f,
			func(v *conf) *netip.Addr { return &v.Address }),
		{
			name: "groups", also: []string{"group"}, takes: "a list of prefixes of groups", def: "all multicast", doc: "The groups that it is willing to serve.",
			read: func(r *reader, n ast.Node, v *conf) {
				for _, e := range r.sequence(n, "prefixes of groups") {
					if p, ok := r.groups(e, "groups", f); ok {
						v.Groups = append(v.Groups, p)
					}
				}
			},
			print: func(v *conf) string { return quoteAll(v.Groups) },
		},
		{
			name: "priority", takes: "a whole number from 0 to 255", def: "192", doc: "The lowest is preferred, 0 most of all.",
			read: func(r *reader, n ast.Node, v *conf) {
				if x, ok := readNumber[uint8](r, n, "priority", 0, 255, "a whole number from 0 to 255"); ok {
					v.Priority = x
				}
			},
			print: func(v *conf) string { return fmt.Sprint(v.Priority) },
		},
		also(duration("advertisement-period", func(v *conf) *time.Duration { return &v.Period }, time.Second, 26214*time.Second, "60s",
			"C_RP_Adv_Period: the time between advertisements. The BSR keeps it for 2.5 times that."), "interval", "c-rp-adv-period"),
	}
}

func bsrAddressKey[T any](doc string, f engine.Family, field func(*T) *netip.Addr) key[T] {
	return key[T]{
		name: "address", takes: "a unicast address", def: "required", doc: doc,
		read: func(r *reader, n ast.Node, v *T) {
			a, ok := r.unicast(n, "address", f)
			if ok && a.IsLinkLocalUnicast() {
				r.fault(n, fmt.Sprintf("address %s is link-local", a), "an address that all routers of the domain reach", "")
			} else if ok {
				*field(v) = a
			}
		},
		print: func(v *T) string { return quote(field(v).String()) },
	}
}

// printList is quoteAll; nothing for an empty list.
func printList(list []netip.Prefix) string {
	if len(list) == 0 {
		return ""
	}
	return quoteAll(list)
}

func (r *reader) checkCandidateRP(at places, v *bootstrap.CandidateRP, before []bootstrap.CandidateRP, f engine.Family) {
	if !at.has("address") {
		r.fault(at.whole, "a Candidate-RP without an address", "address: ADDRESS, one of this router's that the domain reaches", "")
		return
	}
	if slices.ContainsFunc(before, func(o bootstrap.CandidateRP) bool { return o.Address == v.Address }) {
		r.fault(at.of("address"), fmt.Sprintf("Candidate-RP %s stands here twice", v.Address), "each address once", "write its groups in one place")
	}
	if !at.has("priority") {
		v.Priority = 192
	}
	if !at.has("advertisement-period") {
		v.Period = time.Minute
	}
	if len(v.Groups) == 0 {
		v.Groups = []netip.Prefix{AllGroups(f)}
	}
	r.later = append(r.later, func(c *Config) {
		r.checkScaled(c, at, scaled{"advertisement-period", v.Period * 5 / 2, time.Second})
	})
}

func (r *reader) checkBSR(at places, v *BSR) {
	const period, timeout, least, zone = "period", "timeout", "min-interval", "zone-timeout"
	if !at.has(timeout) {
		v.Timeout = 2*v.Period + 10*time.Second
	}
	if !at.has(zone) {
		v.ZoneTimeout = 10 * v.Timeout
	}
	// RFC 5059, section 5: "BS_Timeout MUST be larger than BS_Period", "SZ_Timeout MUST be larger than BS_Timeout".
	larger := func(name, than string, x, y time.Duration) {
		if at.good(name, than) && x <= y {
			r.fault(at.latest(name, than), fmt.Sprintf("%s %s is not more than %s %s", name, printDuration(x), than, printDuration(y)), "a longer one", "")
		}
	}
	larger(timeout, period, v.Timeout, v.Period)
	larger(zone, timeout, v.ZoneTimeout, v.Timeout)
	larger(period, least, v.Period, v.MinInterval)
	r.later = append(r.later, func(c *Config) {
		r.checkScaled(c, at, scaled{period, v.Period * 5 / 2, time.Second})
	})
}

// bsr is what the machine has of it.
func (c *Config) bsr(f engine.Family) *bootstrap.Config {
	b := c.pimOf(f).BSR
	if !b.Enabled {
		return nil
	}
	cfg := b.Config
	for _, d := range []*time.Duration{&cfg.Period, &cfg.Timeout, &cfg.MinInterval, &cfg.ZoneTimeout} {
		*d = c.scaled(*d)
	}
	cfg.Second = c.scaled(time.Second)
	cfg.CandidateRPs = slices.Clone(cfg.CandidateRPs)
	for i := range cfg.CandidateRPs {
		cfg.CandidateRPs[i].Period = c.scaled(cfg.CandidateRPs[i].Period)
	}
	cfg.Boundaries = make(map[string][]netip.Prefix)
	for i := range c.Interfaces {
		iface := &c.Interfaces[i]
		pim := iface.PIM
		if f == engine.IPv6 {
			pim = iface.PIM6
		}
		if pim == nil {
			continue
		}
		if pim.BSRBorder {
			cfg.Borders = append(cfg.Borders, iface.Name)
		}
		for _, p := range ofFamily(iface.Multicast.Boundaries, f) {
			// An IPv6 scope is all groups with its scope ID; a longer prefix bounds some of them only.
			if f == engine.IPv4 || p.Bits() <= 16 {
				cfg.Boundaries[iface.Name] = append(cfg.Boundaries[iface.Name], p)
			}
		}
	}
	return &cfg
}
