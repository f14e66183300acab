package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"grove/dvmrp"
	"grove/igmp"
	"grove/internal/engine"
)

var (
	interfaceKeys []key[Interface]
	multicastKeys []key[Multicast]
	igmpKeys      []key[igmp.InterfaceConfig]
	mldKeys       []key[igmp.InterfaceConfig]
)

func initInterfaceKeys() {
	igmpKeys = membershipKeys(engine.IPv4)
	mldKeys = membershipKeys(engine.IPv6)
	initPIMInterfaceKeys()
	multicastKeys = []key[Multicast]{
		number("ttl-threshold", func(v *Multicast) *uint8 { return &v.TTLThreshold }, 0, 255, "0",
			"Packets with this TTL (hop limit) or less do not leave by the interface. With 0 or 1 all leave that still may."),
		{
			name: "boundary", also: []string{"boundaries", "scope"}, takes: "a list of prefixes of groups, both families", def: "none",
			doc: "Groups that cross the interface in neither direction (RFC 2365).",
			read: func(r *reader, n ast.Node, v *Multicast) {
				for _, e := range r.sequence(n, "prefixes of groups") {
					p, ok := r.groups(e, "boundary", 0)
					if ok && slices.Contains(v.Boundaries, p) {
						r.fault(e, fmt.Sprintf("boundary %s stands here twice", p), "each prefix once", "")
					} else if ok {
						v.Boundaries = append(v.Boundaries, p)
					}
				}
			},
			print: func(v *Multicast) string { return quoteAll(v.Boundaries) },
		},
	}
	interfaceKeys = []key[Interface]{
		{
			name: "addresses", also: []string{"address", "ip", "ipv4", "ipv6"}, takes: "a list of ADDRESS/LENGTH of both families",
			def:  "those that the interface has",
			doc:  "Addresses that groved adds, and again when they are lost. The first of IPv4 is the primary one.",
			read: readAddresses,
			print: func(v *Interface) string {
				if len(v.Addresses) == 0 {
					return ""
				}
				return quoteAll(v.Addresses)
			},
		},
		{
			name: "mtu", takes: "a whole number from 68 to 65535", def: "that which the interface has",
			doc: "The largest packet in bytes, IP header included. IPv6 needs 1280.",
			read: func(r *reader, n ast.Node, v *Interface) {
				if x, ok := readNumber(r, n, "mtu", 68, 65535, "a whole number from 68 to 65535"); ok {
					v.MTU = x
				}
			},
			print: func(v *Interface) string {
				if v.MTU == 0 {
					return ""
				}
				return fmt.Sprint(v.MTU)
			},
		},
		enable("igmp", "IGMP, the router's side of group membership of IPv4 hosts (RFC 2236, 3376).", igmpKeys,
			func(v *Interface) **igmp.InterfaceConfig { return &v.IGMP },
			func() *igmp.InterfaceConfig { return defaultMembership(engine.IPv4) },
			func(r *reader, at places, v *igmp.InterfaceConfig) { r.checkMembership(at, v, engine.IPv4) }),
		enable("mld", "MLD, the same for IPv6 (RFC 2710, 3810).", mldKeys,
			func(v *Interface) **igmp.InterfaceConfig { return &v.MLD },
			func() *igmp.InterfaceConfig { return defaultMembership(engine.IPv6) },
			func(r *reader, at places, v *igmp.InterfaceConfig) { r.checkMembership(at, v, engine.IPv6) }),
		enable("pim", "PIM for IPv4: sparse mode (RFC 7761), dense mode (RFC 3973), or both.", pimInterfaceKeys,
			func(v *Interface) **PIMInterface { return &v.PIM }, defaultPIMInterface, (*reader).checkPIMInterface),
		enable("pim6", "PIM for IPv6.", pimInterfaceKeys,
			func(v *Interface) **PIMInterface { return &v.PIM6 }, defaultPIMInterface, (*reader).checkPIMInterface),
		enable("dvmrp", "DVMRP, version 3 (draft-ietf-idmr-dvmrp-v3-11), for IPv4.", dvmrpInterfaceKeys,
			func(v *Interface) **dvmrp.InterfaceConfig { return &v.DVMRP }, defaultDVMRPInterface,
			func(*reader, places, *dvmrp.InterfaceConfig) {}),
		{
			name: "multicast", doc: "What holds for all multicast on the interface.", sub: refer(multicastKeys),
			read: func(r *reader, n ast.Node, v *Interface) { readSection(r, n, multicastKeys, &v.Multicast) },
			print: func(v *Interface) string {
				if v.Multicast.TTLThreshold == 0 && len(v.Multicast.Boundaries) == 0 {
					return ""
				}
				return printSection(multicastKeys, &v.Multicast)
			},
		},
	}
}

// enable is a key of something that is enabled if the key is there, as a protocol on an interface is.
func enable[T, S any](name, doc string, keys []key[S], field func(*T) **S, def func() *S, check func(*reader, places, *S)) key[T] {
	return key[T]{
		name: name, takes: "keys with values, or {} for the defaults", def: "not there: not enabled", doc: doc, sub: refer(keys),
		read: func(r *reader, n ast.Node, v *T) {
			s := def()
			at := readSection(r, n, keys, s)
			check(r, at, s)
			*field(v) = s
		},
		print: func(v *T) string {
			if *field(v) == nil {
				return ""
			}
			return printSection(keys, *field(v))
		},
	}
}

func readInterfaces(r *reader, n ast.Node, v *Config) {
	first := make(map[string]int)
	for _, e := range r.mapping(n) {
		if !r.interfaceName(e.key, e.name) {
			continue
		}
		line, _ := position(e.key)
		if before, ok := first[e.name]; ok {
			r.duplicate(e.key, "interface "+e.name, before)
			continue
		}
		first[e.name] = line
		i := Interface{Name: e.name}
		at := readSection(r, e.value, interfaceKeys, &i)
		r.checkInterface(at, &i, e.key)
		v.Interfaces = append(v.Interfaces, i)
	}
}

// interfaceName says whether s can be the name of an interface of Linux, and reports it if not.
func (r *reader) interfaceName(n ast.Node, s string) bool {
	if s != "" && len(s) <= 15 && s != "." && s != ".." && printable(s) && !strings.ContainsAny(s, "/: \\\"") {
		return true
	}
	r.fault(n, fmt.Sprintf("%q cannot be the name of an interface", s), "1 to 15 characters without space, slash and colon", "")
	return false
}

func printInterfaces(v *Config) string {
	var lines []string
	for i := range v.Interfaces {
		body := printSection(interfaceKeys, &v.Interfaces[i])
		lines = append(lines, keyLine(quote(v.Interfaces[i].Name), body))
	}
	return block(lines)
}

func readAddresses(r *reader, n ast.Node, v *Interface) {
	for _, e := range r.sequence(n, "addresses") {
		p, ok := r.anyPrefix(e, "address", 0)
		if !ok {
			continue
		}
		if what, mend := unfit(p); what != "" {
			r.fault(e, fmt.Sprintf("address %s %s", p, what), "an address of a host, with the length of its subnet", mend)
			continue
		}
		v.Addresses = append(v.Addresses, p)
		r.addresses = append(r.addresses, located[netip.Prefix]{p, v.Name, e})
	}
}

// unfit says why p cannot be the address of an interface.
func unfit(p netip.Prefix) (what, mend string) {
	a := p.Addr()
	switch {
	case a.IsMulticast():
		return "is a multicast group", ""
	case a.IsUnspecified():
		return "is the unspecified address", ""
	case a.Is4() && (a.As4()[0] == 0 || a.As4()[0] >= 240):
		return "is reserved", ""
	case p.Bits() == 0:
		return "has the whole family as its subnet", ""
	case a.Is4() && p.Bits() < 31 && a == p.Masked().Addr():
		return "is the name of its subnet", fmt.Sprintf("write a host of it, as %s/%d", a.Next(), p.Bits())
	case a.Is4() && p.Bits() < 31 && a == lastOf(p):
		return "is the broadcast address of its subnet", fmt.Sprintf("write another host of it, as %s/%d", a.Prev(), p.Bits())
	}
	return "", ""
}

// lastOf returns the last address of an IPv4 prefix.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b)
}

func defaultMembership(f engine.Family) *igmp.InterfaceConfig {
	version := 3
	if f == engine.IPv6 {
		version = 2
	}
	return &igmp.InterfaceConfig{
		Version: version, Robustness: 2,
		QueryInterval: 125 * time.Second, QueryResponseInterval: 10 * time.Second, LastMemberQueryInterval: time.Second,
		Querier: true, MaxGroups: 65536, MaxSources: 1024,
	}
}

// membershipKeys are the keys of igmp, or with the words of RFC 3810 of mld.
func membershipKeys(f engine.Family) []key[igmp.InterfaceConfig] {
	type conf = igmp.InterfaceConfig
	member, section, version, maxResponse := "member", "RFC 3376, section 8.", 3, 3174*time.Second
	if f == engine.IPv6 {
		member, section, version, maxResponse = "listener", "RFC 3810, section 9.", 2, 8387*time.Second
	}
	groups := []key[igmp.StaticGroup]{
		{
			name: "group", takes: "a multicast address", def: "required", doc: "The group.",
			read: func(r *reader, n ast.Node, v *igmp.StaticGroup) {
				a, ok := r.address(n, "group", f)
				switch {
				case !ok:
				case !a.IsMulticast():
					r.fault(n, fmt.Sprintf("group %s is not multicast", a), "a group in "+AllGroups(f).String(), "")
				case a.IsLinkLocalMulticast() || a.IsInterfaceLocalMulticast():
					r.fault(n, fmt.Sprintf("group %s never leaves its link", a), "a group that routers forward", "")
				default:
					v.Group = a
				}
			},
			print: func(v *igmp.StaticGroup) string { return quote(v.Group.String()) },
		},
		{
			name: "source", takes: "a unicast address", def: "every source", doc: "The source.",
			read: func(r *reader, n ast.Node, v *igmp.StaticGroup) {
				if a, ok := r.unicast(n, "source", f); ok {
					v.Source = a
				}
			},
			print: func(v *igmp.StaticGroup) string {
				if !v.Source.IsValid() {
					return ""
				}
				return quote(v.Source.String())
			},
		},
	}
	return []key[conf]{
		number("version", func(v *conf) *int { return &v.Version }, 1, version, fmt.Sprint(version),
			"The version spoken; older hosts are understood in any case."),
		number("robustness", func(v *conf) *int { return &v.Robustness }, 1, 7, "2",
			"How many losses in a row are survived, plus one. "+section+"1."),
		also(duration("query-interval", func(v *conf) *time.Duration { return &v.QueryInterval }, time.Second, 31744*time.Second, "125s",
			"Time between general queries. "+section+"2."), "query-period"),
		also(duration("query-response-interval", func(v *conf) *time.Duration { return &v.QueryResponseInterval },
			100*time.Millisecond, maxResponse, "10s",
			"Within this hosts answer a general query; less than query-interval. "+section+"3."),
			"max-response-time", "query-max-response-time", "max-resp-time"),
		duration("startup-query-interval", func(v *conf) *time.Duration { return &v.StartupQueryInterval },
			100*time.Millisecond, 31744*time.Second, "query-interval / 4", "Time between the first queries. "+section+"6."),
		number("startup-query-count", func(v *conf) *int { return &v.StartupQueryCount }, 1, 255, "robustness",
			"Number of those. "+section+"7."),
		also(duration("last-"+member+"-query-interval", func(v *conf) *time.Duration { return &v.LastMemberQueryInterval },
			map[engine.Family]time.Duration{engine.IPv4: 100 * time.Millisecond, engine.IPv6: time.Millisecond}[f], maxResponse, "1s",
			"Within this other hosts answer when one leaves. "+section+"8."), "last-member-query-interval", "last-listener-query-interval"),
		also(number("last-"+member+"-query-count", func(v *conf) *int { return &v.LastMemberQueryCount }, 1, 255, "robustness",
			"How often they are asked. "+section+"9."), "last-member-query-count", "last-listener-query-count"),
		duration("older-host-present", func(v *conf) *time.Duration { return &v.OlderHostPresent }, time.Second, 24*time.Hour*7,
			"robustness * query-interval + query-response-interval",
			"How long a group stays in the older version after a report of an older host. "+section+map[engine.Family]string{engine.IPv4: "13.", engine.IPv6: "13."}[f]),
		boolean("querier", func(v *conf) *bool { return &v.Querier }, "true",
			"Whether to send queries when elected. With false none is ever sent."),
		number("max-groups", func(v *conf) *int { return &v.MaxGroups }, 1, 10_000_000, "65536",
			"Groups on the interface; reports of more are counted and ignored."),
		number("max-sources", func(v *conf) *int { return &v.MaxSources }, 1, 1_000_000, "1024",
			"Sources of a group; more are counted and ignored."),
		list("static-groups", "Memberships by configuration, as if a host were there.", groups,
			func(v *conf) *[]igmp.StaticGroup { return &v.StaticGroups }, (*reader).checkStaticGroup),
	}
}

// also gives a key other names by which people know it.
func also[T any](k key[T], names ...string) key[T] {
	for _, n := range names {
		if n != k.name {
			k.also = append(k.also, n)
		}
	}
	return k
}
