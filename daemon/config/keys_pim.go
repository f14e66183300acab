package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"grove/internal/engine"
	"grove/pimsm"
)

var pim4Keys, pim6Keys []key[PIM]

func initPIMKeys() { pim4Keys, pim6Keys = pimKeys(engine.IPv4), pimKeys(engine.IPv6) }

func defaultPIM(f engine.Family) PIM {
	p := PIM{
		SPTSwitch:           pimsm.SPTImmediate,
		JoinPrunePeriod:     60 * time.Second,
		KeepalivePeriod:     210 * time.Second,
		RegisterSuppression: 60 * time.Second,
		RegisterProbe:       5 * time.Second,
		AssertTime:          180 * time.Second,
		AssertOverride:      3 * time.Second,
		MaxEntries:          500_000,
		MaxSources:          100_000,
		BSR:                 defaultBSR(),
		Dense: PIMDense{
			PruneHoldtime: 210 * time.Second, PruneLimit: 210 * time.Second, GraftRetryPeriod: 3 * time.Second, GraftRetries: 20,
			SourceLifetime: 210 * time.Second, StateRefresh: true, RefreshInterval: time.Minute, RefreshLimit: 5 * time.Second, RefreshTTL: 64,
			MaxEntries: 500_000, MaxSources: 100_000, MaxMemberedGroups: 100_000,
		},
	}
	if f == engine.IPv4 {
		p.AutoRP = defaultAutoRP()
		p.SSM = []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{232}), 8)}
		return p
	}
	// RFC 4607, section 1: FF3x::/32, x being any scope.
	for scope := range 16 {
		p.SSM = append(p.SSM, netip.PrefixFrom(netip.AddrFrom16([16]byte{0xff, byte(0x30 | scope)}), 32))
	}
	return p
}

func pimKeys(f engine.Family) []key[PIM] {
	ssm := map[engine.Family]string{engine.IPv4: "[232.0.0.0/8]", engine.IPv6: "ff3x::/32 of each scope x"}[f]
	rps := []key[pimsm.StaticRP]{
		{
			name: "address", takes: "a unicast address", def: "required", doc: "The rendezvous point. It may be an address of this router.",
			read: func(r *reader, n ast.Node, v *pimsm.StaticRP) {
				a, ok := r.unicast(n, "RP address", f)
				if ok && a.IsLinkLocalUnicast() {
					r.fault(n, fmt.Sprintf("RP address %s is link-local", a), "an address that all routers of the domain reach", "")
				} else if ok {
					v.Address = a
				}
			},
			print: func(v *pimsm.StaticRP) string { return quote(v.Address.String()) },
		},
		{
			name: "groups", takes: "a list of prefixes of groups", def: "all multicast",
			doc: "The groups that it serves. Of several prefixes that hold a group the longest wins.",
			read: func(r *reader, n ast.Node, v *pimsm.StaticRP) {
				for _, e := range r.sequence(n, "prefixes of groups") {
					if p, ok := r.groups(e, "groups", f); ok {
						v.Groups = append(v.Groups, p)
					}
				}
			},
			print: func(v *pimsm.StaticRP) string { return quoteAll(v.Groups) },
		},
		boolean("override", func(v *pimsm.StaticRP) *bool { return &v.Override }, "false",
			"Whether it wins over every RP that is learned. Otherwise the longest prefix wins that holds a group, and of prefixes of one length a learned one."),
	}
	filters := []key[pimsm.RegisterFilter]{
		prefixKey("source", nil, f, func(v *pimsm.RegisterFilter) *netip.Prefix { return &v.Source }, "The sources."),
		{
			name: "group", also: []string{"groups"}, takes: "a prefix of groups", def: "all multicast", doc: "The groups.",
			read: func(r *reader, n ast.Node, v *pimsm.RegisterFilter) {
				if p, ok := r.groups(n, "group", f); ok {
					v.Group = p
				}
			},
			print: func(v *pimsm.RegisterFilter) string { return quote(v.Group.String()) },
		},
	}
	keys := append([]key[PIM]{
		list("rp", "Static rendezvous points. They must be the same on all routers of the domain.", rps,
			func(v *PIM) *[]pimsm.StaticRP { return &v.RPs },
			func(r *reader, at places, v *pimsm.StaticRP, before []pimsm.StaticRP) { r.checkRP(at, v, before, f) }),
		{
			name: "ssm", takes: "a list of prefixes of groups", def: ssm,
			doc: "Source-specific groups: no shared tree, no Register (RFC 4607). [] is none.",
			read: func(r *reader, n ast.Node, v *PIM) {
				v.SSM = []netip.Prefix{} // not nil, which would mean the default
				for _, e := range r.sequence(n, "prefixes of groups") {
					p, ok := r.groups(e, "ssm", f)
					if !ok {
						continue
					}
					if i := slices.IndexFunc(v.SSM, p.Overlaps); i >= 0 {
						r.fault(e, fmt.Sprintf("ssm %s overlaps %s", p, v.SSM[i]), "prefixes that do not overlap", "remove the longer one")
						continue
					}
					v.SSM = append(v.SSM, p)
				}
			},
			print: func(v *PIM) string { return quoteAll(v.SSM) },
		},
		{
			name: "spt-switch", also: []string{"spt-switchover", "spt-threshold"}, takes: "immediate, never, or a rate as 64kbps", def: "immediate",
			doc:  "When a last hop, and the RP, change from the shared tree to the shortest path: SwitchToSptDesired of RFC 7761, section 4.2.1.",
			read: readSPTSwitch,
			print: func(v *PIM) string {
				switch v.SPTSwitch {
				case pimsm.SPTNever:
					return "never"
				case pimsm.SPTThreshold:
					return fmt.Sprintf("%dkbps", v.SPTThresholdKbps)
				}
				return "immediate"
			},
		},
		also(duration("join-prune-period", func(v *PIM) *time.Duration { return &v.JoinPrunePeriod }, time.Second, 18000*time.Second, "60s",
			"t_periodic: time between periodic Joins. Their holdtime is 3.5 times that."), "join-prune-interval", "t-periodic"),
		also(duration("keepalive-period", func(v *PIM) *time.Duration { return &v.KeepalivePeriod }, time.Second, 18*time.Hour, "210s",
			"Keepalive_Period: how long (S,G) state stays without a packet."), "keepalive", "keep-alive-timer"),
		also(duration("register-suppression-time", func(v *PIM) *time.Duration { return &v.RegisterSuppression }, time.Second, 18*time.Hour, "60s",
			"Register_Suppression_Time: how long a Register-Stop holds, on average."), "register-suppression"),
		also(duration("register-probe-time", func(v *PIM) *time.Duration { return &v.RegisterProbe }, 100*time.Millisecond, time.Hour, "5s",
			"Register_Probe_Time: so long before its end a Null-Register is sent; less than half of register-suppression-time."), "register-probe"),
		also(duration("assert-time", func(v *PIM) *time.Duration { return &v.AssertTime }, time.Second, 18*time.Hour, "180s",
			"Assert_Time, of both modes: how long a loser stays one without another Assert."), "assert-timeout"),
		duration("assert-override-interval", func(v *PIM) *time.Duration { return &v.AssertOverride }, 100*time.Millisecond, time.Hour, "3s",
			"Assert_Override_Interval: so long before its end the winner sends another; less than assert-time."),
		list("accept-register", "The sources and groups for which this router, as RP, accepts Registers. Empty: all.", filters,
			func(v *PIM) *[]pimsm.RegisterFilter { return &v.AcceptRegister },
			func(r *reader, at places, v *pimsm.RegisterFilter, _ []pimsm.RegisterFilter) { r.checkFilter(at, v, f) }),
		list("anycast-rp", "Anycast-RP sets (RFC 4610): routers that have one RP address and hand each other Registers on. The RP is one of rp as well.",
			anycastKeys(f), func(v *PIM) *[]pimsm.AnycastRP { return &v.AnycastRPs },
			func(r *reader, at places, v *pimsm.AnycastRP, before []pimsm.AnycastRP) {
				r.checkAnycast(at, v, before)
			}),
		section("bsr", "The Bootstrap Router mechanism, by which routers learn the RPs of the domain (RFC 5059).", bsrKeys(f),
			func(v *PIM) *BSR { return &v.BSR }, (*reader).checkBSR),
		number("max-entries", func(v *PIM) *int { return &v.MaxEntries }, 1, 100_000_000, "500000",
			"(*,G), (S,G) and (S,G,rpt) entries; joins beyond are counted and ignored."),
		number("max-sources", func(v *PIM) *int { return &v.MaxSources }, 1, 100_000_000, "100000",
			"(S,G) entries of one group."),
	}, within(denseKeys(), func(v *PIM) *PIMDense { return &v.Dense })...)
	if f == engine.IPv4 {
		keys = append(keys, autorpKey())
	}
	return keys
}

func anycastKeys(f engine.Family) []key[pimsm.AnycastRP] {
	return []key[pimsm.AnycastRP]{
		{
			name: "address", takes: "a unicast address", def: "required", doc: "The RP's address, that each of the routers has.",
			read: func(r *reader, n ast.Node, v *pimsm.AnycastRP) {
				if a, ok := r.unicast(n, "RP address", f); ok {
					v.Address = a
				}
			},
			print: func(v *pimsm.AnycastRP) string { return quote(v.Address.String()) },
		},
		{
			name: "members", takes: "a list of unicast addresses", def: "required",
			doc: "The routers of the set, each by an address that it alone has; one of them is this router's. The same list serves on all of them.",
			read: func(r *reader, n ast.Node, v *pimsm.AnycastRP) {
				for _, e := range r.sequence(n, "unicast addresses") {
					a, ok := r.unicast(e, "member", f)
					switch {
					case !ok:
					case a.IsLinkLocalUnicast():
						r.fault(e, fmt.Sprintf("member %s is link-local", a), "an address that the other members reach", "")
					case slices.Contains(v.Members, a):
						r.fault(e, fmt.Sprintf("member %s stands here twice", a), "each member once", "")
					default:
						v.Members = append(v.Members, a)
					}
				}
			},
			print: func(v *pimsm.AnycastRP) string {
				var list []string
				for _, a := range v.Members {
					list = append(list, quote(a.String()))
				}
				return "[" + strings.Join(list, ", ") + "]"
			},
		},
	}
}

func readSPTSwitch(r *reader, n ast.Node, v *PIM) {
	const takes = "immediate, never, or a rate from 1kbps to 1000000000kbps"
	s, ok := r.text(n, takes)
	if !ok {
		return
	}
	switch s {
	case "immediate":
		v.SPTSwitch = pimsm.SPTImmediate
		return
	case "never":
		v.SPTSwitch = pimsm.SPTNever
		return
	}
	digits, found := strings.CutSuffix(s, "kbps")
	kbps, err := strconv.ParseUint(strings.TrimSpace(digits), 10, 64)
	if !found || err != nil || kbps < 1 || kbps > 1_000_000_000 {
		mend := ""
		if _, err := strconv.Atoi(s); err == nil {
			mend = "write " + s + "kbps"
		} else if s == "infinity" {
			mend = "write never"
		}
		r.fault(n, fmt.Sprintf("spt-switch %q is none of the policies", s), takes, mend)
		return
	}
	v.SPTSwitch, v.SPTThresholdKbps = pimsm.SPTThreshold, kbps
}
