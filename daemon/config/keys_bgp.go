package config

import (
	"fmt"
	"math"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"grove/internal/engine"
)

var (
	bgpKeys             []key[BGP]
	bgpNeighborKeys     []key[BGPNeighbor]
	bgpNetworkKeys      []key[BGPNetwork]
	bgpRedistributeKeys []key[BGPRedistribution]
	bgpRuleKeys         []key[BGPRule]
)

func defaultBGP() *BGP { return &BGP{Port: 179, RestartTime: 120 * time.Second} }

// bgpKey is the section of BGP: it runs if the section is there.
func bgpKey() key[Config] {
	return key[Config]{
		name: "bgp", sub: refer(bgpKeys),
		doc: "BGP-4 with multicast routes (RFC 4760, SAFI 2). It runs if this section is there. Its timers are not divided by time-scale.",
		read: func(r *reader, n ast.Node, v *Config) {
			v.BGP = defaultBGP()
			r.checkBGP(readSection(r, n, bgpKeys, v.BGP), v.BGP)
		},
		print: func(v *Config) string {
			if v.BGP == nil {
				return ""
			}
			return printSection(bgpKeys, v.BGP)
		},
	}
}

func initBGPKeys() {
	initBGPNeighborKeys()
	initBGPOriginKeys()
	initBGPRuleKeys()
	bgpKeys = []key[BGP]{
		asNumber("as", []string{"asn", "local-as"}, "required", "Our autonomous system.", func(v *BGP) *uint32 { return &v.AS }),
		{
			name: "router-id", takes: "an IPv4 address", def: "required", doc: "The BGP identifier, which no other router of the domain has.",
			read: func(r *reader, n ast.Node, v *BGP) {
				if a, ok := r.unicast(n, "router-id", engine.IPv4); ok {
					v.RouterID = a
				}
			},
			print: func(v *BGP) string { return v.RouterID.String() },
		},
		{
			name: "listen", also: []string{"listen-addresses"}, takes: "a list of addresses", def: "all addresses",
			doc: "Our addresses at which neighbours may connect. [] is all.",
			read: func(r *reader, n ast.Node, v *BGP) {
				for _, e := range r.sequence(n, "addresses") {
					if a, ok := r.address(e, "listen address", 0); ok {
						v.Listen = append(v.Listen, a)
					}
				}
			},
			print: func(v *BGP) string { return quoteAll(v.Listen) },
		},
		number("port", func(v *BGP) *int { return &v.Port }, 1, 65535, "179", "The TCP port at which we listen."),
		boolean("graceful-restart", func(v *BGP) *bool { return &v.GracefulRestart }, "false",
			"Keep the routes of a neighbour that restarts, and ask neighbours to keep ours (RFC 4724)."),
		wholeSeconds("restart-time", func(v *BGP) *time.Duration { return &v.RestartTime }, time.Second, 4095*time.Second, "120s",
			"How long they are kept at most."),
		boolean("install-unicast", func(v *BGP) *bool { return &v.InstallUnicast }, "false",
			"Put the best unicast routes into the kernel's main table, with protocol bgp and metric 20, and take them out at the end: for routers "+
				"without another daemon. What was left there by a groved that was killed goes, unless it is learned again within restart-time."),
		list("neighbors", "Neighbours.", bgpNeighborKeys, func(v *BGP) *[]BGPNeighbor { return &v.Neighbors }, (*reader).checkBGPNeighbor),
		list("networks", "Networks that we originate, whether or not we have a route to them.", bgpNetworkKeys,
			func(v *BGP) *[]BGPNetwork { return &v.Networks }, (*reader).checkBGPNetwork),
		list("redistribute", "Routes of other origins that we originate.", bgpRedistributeKeys,
			func(v *BGP) *[]BGPRedistribution { return &v.Redistribute }, (*reader).checkBGPRedistribution),
		list("policies", "Rules, each a line of the policy that it names; the first that matches decides, and what none matches is rejected.",
			bgpRuleKeys, func(v *BGP) *[]BGPRule { return &v.Policies }, (*reader).checkBGPRule),
	}
}

func asNumber[T any](name string, also []string, def, doc string, field func(*T) *uint32) key[T] {
	const takes = "a whole number from 1 to 4294967294"
	return key[T]{
		name: name, also: also, takes: takes, def: def, doc: doc,
		read: func(r *reader, n ast.Node, v *T) {
			if x, ok := readNumber[uint32](r, n, name, 1, math.MaxUint32-1, takes); ok {
				*field(v) = x
			}
		},
		print: func(v *T) string { return fmt.Sprint(*field(v)) },
	}
}

// wholeSeconds is a duration that the protocol counts in seconds.
func wholeSeconds[T any](name string, field func(*T) *time.Duration, low, high time.Duration, def, doc string) key[T] {
	k := duration(name, field, low, high, def, doc)
	plain := k.read
	k.read = func(r *reader, n ast.Node, v *T) {
		had := len(r.faults)
		if plain(r, n, v); len(r.faults) == had && *field(v)%time.Second != 0 {
			r.fault(n, fmt.Sprintf("%s %s is not a whole number of seconds", name, printDuration(*field(v))), "whole seconds", "")
		}
	}
	return k
}

func word[T any](name, takes, def, doc string, field func(*T) *string, valid func(string) bool) key[T] {
	return key[T]{
		name: name, takes: takes, def: def, doc: doc,
		read: func(r *reader, n ast.Node, v *T) {
			s, ok := r.text(n, takes)
			if ok && !valid(s) {
				r.fault(n, fmt.Sprintf("%s %q cannot be one", name, s), takes, "")
			} else if ok {
				*field(v) = s
			}
		},
		print: func(v *T) string { return quote(*field(v)) },
	}
}

// words is a list of words.
func words[T any](name, takes, def, doc string, field func(*T) *[]string, valid func(string) bool) key[T] {
	return key[T]{
		name: name, takes: "a list: " + takes, def: def, doc: doc,
		read: func(r *reader, n ast.Node, v *T) {
			for _, e := range r.sequence(n, takes) {
				s, ok := r.text(e, takes)
				if ok && !valid(s) {
					r.fault(e, fmt.Sprintf("%s %q cannot be one", name, s), takes, "")
				} else if ok {
					*field(v) = append(*field(v), s)
				}
			}
		},
		print: func(v *T) string {
			if len(*field(v)) == 0 {
				return ""
			}
			quoted := make([]string, len(*field(v)))
			for i, s := range *field(v) {
				quoted[i] = strconv.Quote(s)
			}
			return "[" + strings.Join(quoted, ", ") + "]"
		},
	}
}

func communities[T any](name, def, doc string, field func(*T) *[]string) key[T] {
	return words(name, "communities as 65001:100, in quotes, or "+strings.Join(wellKnown, ", "), def, doc, field, validCommunity)
}

func families[T any](def, doc string, field func(*T) *[]BGPFamily) key[T] {
	takes := "a list of " + strings.Join(bgpFamilyNames, ", ")
	return key[T]{
		name: "families", also: []string{"afi-safis", "address-families"}, takes: takes, def: def, doc: doc,
		read: func(r *reader, n ast.Node, v *T) {
			for _, e := range r.sequence(n, "families") {
				s, ok := r.text(e, takes)
				if !ok {
					continue
				}
				i := slices.Index(bgpFamilyNames, s)
				if i < 0 {
					r.fault(e, fmt.Sprintf("family %q is not one", s), takes, "")
				} else if !slices.Contains(*field(v), BGPFamily(i)) {
					*field(v) = append(*field(v), BGPFamily(i))
				}
			}
		},
		print: func(v *T) string {
			if len(*field(v)) == 0 {
				return ""
			}
			return quoteAll(*field(v))
		},
	}
}

// into is what routes are originated for.
func into[T any](unicast, multicast func(*T) *bool) key[T] {
	const takes = "a list of unicast and multicast"
	return key[T]{
		name: "into", takes: takes, def: "[unicast, multicast]", doc: "For which they are announced. Multicast: for the reverse-path check.",
		read: func(r *reader, n ast.Node, v *T) {
			for _, e := range r.sequence(n, "unicast and multicast") {
				switch s, ok := r.text(e, takes); {
				case !ok:
				case s == "unicast":
					*unicast(v) = true
				case s == "multicast":
					*multicast(v) = true
				default:
					r.fault(e, fmt.Sprintf("into %q is neither", s), takes, "")
				}
			}
		},
		print: func(v *T) string {
			var list []string
			if *unicast(v) {
				list = append(list, "unicast")
			}
			if *multicast(v) {
				list = append(list, "multicast")
			}
			return "[" + strings.Join(list, ", ") + "]"
		},
	}
}

var policyName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,63}$`)

func initBGPNeighborKeys() {
	type conf = BGPNeighbor
	policy := func(name, doc string, field func(*conf) *string) key[conf] {
		return word(name, "the name of a policy", "none: all routes", doc, field, policyName.MatchString)
	}
	optional := func(name string, field func(*conf) *int, high int, def, doc string) key[conf] {
		k := number(name, field, 1, high, def, doc)
		plain := k.print
		k.print = func(v *conf) string {
			if *field(v) == 0 {
				return ""
			}
			return plain(v)
		}
		return k
	}
	bgpNeighborKeys = []key[conf]{
		{
			name: "address", also: []string{"neighbor-address", "ip"}, takes: "a unicast address", def: "required", doc: "Its address.",
			read: func(r *reader, n ast.Node, v *conf) {
				a, ok := r.unicast(n, "neighbor address", 0)
				if ok && a.IsLinkLocalUnicast() {
					r.fault(n, fmt.Sprintf("neighbor address %s is link-local", a), "an address that needs no interface", "")
				} else if ok {
					v.Address = a
				}
			},
			print: func(v *conf) string { return quote(v.Address.String()) },
		},
		asNumber("as", []string{"remote-as", "asn", "peer-as"}, "required", "Its autonomous system. Ours: IBGP.", func(v *conf) *uint32 { return &v.AS }),
		word("description", "a text", "none", "What it is.", func(v *conf) *string { return &v.Description }, printable),
		families("unicast and multicast of the address's family", "What is exchanged with it.", func(v *conf) *[]BGPFamily { return &v.Families }),
		word("password", "a text of at most 80 bytes", "none", "Sign the session's segments by MD5 (RFC 2385).", func(v *conf) *string { return &v.Password },
			func(s string) bool { return len(s) > 0 && len(s) <= 80 && printable(s) }),
		word("password-file", "an absolute path", "none", "The file that has the password, read again at each reload.", func(v *conf) *string { return &v.PasswordFile },
			func(s string) bool { return filepath.IsAbs(s) && printable(s) }),
		{
			name: "local-address", also: []string{"update-source"}, takes: "an address", def: "as the kernel chooses", doc: "Our end of the session.",
			read: func(r *reader, n ast.Node, v *conf) {
				if a, ok := r.unicast(n, "local-address", 0); ok {
					v.LocalAddress = a
				}
			},
			print: func(v *conf) string {
				if !v.LocalAddress.IsValid() {
					return ""
				}
				return quote(v.LocalAddress.String())
			},
		},
		boolean("passive", func(v *conf) *bool { return &v.Passive }, "false", "Wait for it to connect."),
		also(optional("ebgp-multihop", func(v *conf) *int { return &v.Multihop }, 255, "none: it is on a link", "The TTL of our segments to a neighbour of EBGP that is not on a link of ours."), "multihop"),
		also(optional("ttl-security", func(v *conf) *int { return &v.TTLSecurity }, 254, "off",
			"How many hops it may be away; segments that came farther are dropped (GTSM, RFC 5082)."), "gtsm", "ttl-security-hops"),
		wholeSeconds("hold-time", func(v *conf) *time.Duration { return &v.HoldTime }, 3*time.Second, 65535*time.Second, "90s", "How long it may be silent."),
		wholeSeconds("keepalive", func(v *conf) *time.Duration { return &v.Keepalive }, time.Second, 21845*time.Second, "a third of hold-time", "Time between our Keepalives."),
		wholeSeconds("connect-retry", func(v *conf) *time.Duration { return &v.ConnectRetry }, time.Second, time.Hour, "10s", "Time between attempts to connect."),
		boolean("next-hop-self", func(v *conf) *bool { return &v.NextHopSelf }, "false", "Tell it our address as the next hop of routes that EBGP brought."),
		boolean("route-reflector-client", func(v *conf) *bool { return &v.RouteReflectorClient }, "false", "Reflect routes of IBGP to it (RFC 4456)."),
		optional("max-prefixes", func(v *conf) *int { return &v.MaxPrefixes }, 10_000_000, "no limit", "The most routes of a family that it may send; with more the session ends."),
		policy("import", "The policy for routes from it.", func(v *conf) *string { return &v.Import }),
		policy("export", "The policy for routes to it.", func(v *conf) *string { return &v.Export }),
	}
}

func initBGPOriginKeys() {
	type network = BGPNetwork
	type redist = BGPRedistribution
	bgpNetworkKeys = []key[network]{
		prefixKey("prefix", []string{"network", "to"}, 0, func(v *network) *netip.Prefix { return &v.Prefix }, "The network."),
		into(func(v *network) *bool { return &v.Unicast }, func(v *network) *bool { return &v.Multicast }),
		also(number("med", func(v *network) *uint32 { return &v.MED }, 0, math.MaxUint32, "0", "The multi-exit discriminator."), "metric"),
		communities("communities", "none", "Its communities.", func(v *network) *[]string { return &v.Communities }),
	}
	bgpRedistributeKeys = []key[redist]{
		word("from", "connected, static or dvmrp", "required", "Networks of our interfaces; static unicast routes of the kernel, those of routes among them; "+
			"routes that DVMRP learned.", func(v *redist) *string { return &v.From },
			func(s string) bool { return s == "connected" || s == "static" || s == "dvmrp" }),
		into(func(v *redist) *bool { return &v.Unicast }, func(v *redist) *bool { return &v.Multicast }),
		also(number("med", func(v *redist) *uint32 { return &v.MED }, 0, math.MaxUint32, "0", "The multi-exit discriminator."), "metric"),
	}
}

func initBGPRuleKeys() {
	type rule = BGPRule
	set := func(name string, low uint32, doc string, field func(*rule) **uint32) key[rule] {
		takes := fmt.Sprintf("a whole number from %d to 4294967295", low)
		return key[rule]{
			name: name, takes: takes, def: "as it is", doc: doc,
			read: func(r *reader, n ast.Node, v *rule) {
				if x, ok := readNumber(r, n, name, low, math.MaxUint32, takes); ok {
					*field(v) = &x
				}
			},
			print: func(v *rule) string {
				if *field(v) == nil {
					return ""
				}
				return fmt.Sprint(**field(v))
			},
		}
	}
	const line = `a list: networks as 10.0.0.0/8, "10.0.0.0/8 le 24", "10.0.0.0/8 ge 16 le 24"`
	bgpRuleKeys = []key[rule]{
		word("policy", "a name", "required", "The policy that the rule belongs to.", func(v *rule) *string { return &v.Policy }, policyName.MatchString),
		families("all", "It matches routes of these families.", func(v *rule) *[]BGPFamily { return &v.Families }),
		{
			name: "prefixes", also: []string{"prefix-list"}, takes: line, def: "all",
			doc: "It matches routes to these networks; with ge and le to parts of them with prefixes of these lengths.",
			read: func(r *reader, n ast.Node, v *rule) {
				for _, e := range r.sequence(n, "networks") {
					s, ok := r.text(e, line)
					if !ok {
						continue
					}
					if p, err := parseBGPPrefix(s); err != nil {
						r.fault(e, "prefixes: "+err.Error(), line, "")
					} else {
						v.Prefixes = append(v.Prefixes, p)
					}
				}
			},
			print: func(v *rule) string {
				if len(v.Prefixes) == 0 {
					return ""
				}
				return quoteAll(v.Prefixes)
			},
		},
		communities("communities", "all", "It matches routes with one of these communities.", func(v *rule) *[]string { return &v.Communities }),
		word("as-path", "a regular expression", "all", "It matches routes whose AS path matches; _ is the border of a number, as in ^65001_.*_65003$.",
			func(v *rule) *string { return &v.ASPath }, func(s string) bool {
				_, err := regexp.Compile(strings.ReplaceAll(s, "_", "([ ]|^|$)"))
				return err == nil && s != "" && printable(s)
			}),
		word("action", "accept, reject or next", "required", "What becomes of a route that matches. next: the rules that follow decide, after what is set here is set.",
			func(v *rule) *string { return &v.Action }, func(s string) bool { return s == "accept" || s == "reject" || s == "next" }),
		set("local-preference", 1, "Set the local preference, of routes from a neighbour or to one of IBGP.", func(v *rule) **uint32 { return &v.LocalPreference }),
		set("med", 0, "Set the multi-exit discriminator.", func(v *rule) **uint32 { return &v.MED }),
		communities("add-communities", "none", "Add these communities.", func(v *rule) *[]string { return &v.AddCommunities }),
		communities("remove-communities", "none", "Remove these communities.", func(v *rule) *[]string { return &v.RemoveCommunities }),
		{
			name: "prepend", takes: "a whole number from 1 to 32", def: "none", doc: "Put our AS in front of the AS path so many times more.",
			read: func(r *reader, n ast.Node, v *rule) {
				if x, ok := readNumber(r, n, "prepend", 1, 32, "a whole number from 1 to 32"); ok {
					v.Prepend = x
				}
			},
			print: func(v *rule) string {
				if v.Prepend == 0 {
					return ""
				}
				return fmt.Sprint(v.Prepend)
			},
		},
	}
}

func (r *reader) checkBGP(at places, v *BGP) {
	if at.good("as") && v.AS == 0 {
		r.fault(at.whole, "bgp without an autonomous system", "as: NUMBER", "for labs there are 64512 to 65534")
	}
	if at.good("router-id") && !v.RouterID.IsValid() {
		r.fault(at.whole, "bgp without a router-id", "router-id: ADDRESS", "write an IPv4 address of this router")
	}
	named := func(name string) bool {
		return name == "" || slices.ContainsFunc(v.Policies, func(r BGPRule) bool { return r.Policy == name })
	}
	for i := range v.Neighbors {
		n := &v.Neighbors[i]
		where := at.of("neighbors")
		if at.good("policies") && !named(n.Import) {
			r.fault(where, fmt.Sprintf("neighbor %s: import %s is not a policy", n.Address, n.Import), "the name of one below policies", "")
		}
		if at.good("policies") && !named(n.Export) {
			r.fault(where, fmt.Sprintf("neighbor %s: export %s is not a policy", n.Address, n.Export), "the name of one below policies", "")
		}
		if n.AS == v.AS && n.Multihop != 0 {
			r.fault(where, fmt.Sprintf("neighbor %s is of our own AS and has ebgp-multihop", n.Address), "it for other AS", "remove it: IBGP needs none")
		}
		if n.AS != v.AS && n.RouteReflectorClient && v.AS != 0 {
			r.fault(where, fmt.Sprintf("neighbor %s is of another AS and a route-reflector-client", n.Address), "it for our own AS", "remove it")
		}
	}
}

func (r *reader) checkBGPNeighbor(at places, v *BGPNeighbor, before []BGPNeighbor) {
	switch {
	case !v.Address.IsValid():
		r.fault(at.whole, "a neighbor without an address", "address: ADDRESS", "")
		return
	case v.AS == 0:
		r.fault(at.whole, fmt.Sprintf("neighbor %s without an autonomous system", v.Address), "as: NUMBER", "")
	case slices.ContainsFunc(before, func(b BGPNeighbor) bool { return b.Address == v.Address }):
		r.fault(at.of("address"), fmt.Sprintf("neighbor %s stands here a second time", v.Address), "each neighbor once", "remove one")
	}
	if v.Password != "" && v.PasswordFile != "" {
		r.fault(at.latest("password", "password-file"), "a password and a password-file", "one of them", "remove the password")
	}
	if v.Multihop != 0 && v.TTLSecurity != 0 {
		r.fault(at.latest("ebgp-multihop", "ttl-security"), "ebgp-multihop and ttl-security contradict each other", "one of them",
			"ttl-security says by itself how many hops are allowed")
	}
	if v.LocalAddress.IsValid() && v.LocalAddress.Is4() != v.Address.Is4() {
		r.fault(at.of("local-address"), fmt.Sprintf("local-address %s is of another family than %s", v.LocalAddress, v.Address), "the same family", "")
	}
	if v.HoldTime == 0 {
		v.HoldTime = 90 * time.Second
	}
	if v.Keepalive == 0 {
		v.Keepalive = (v.HoldTime / 3).Truncate(time.Second)
	}
	if v.ConnectRetry == 0 {
		v.ConnectRetry = 10 * time.Second
	}
	if at.good("keepalive", "hold-time") && v.Keepalive >= v.HoldTime {
		r.fault(at.latest("keepalive", "hold-time"), fmt.Sprintf("keepalive %s is not less than hold-time %s", printDuration(v.Keepalive), printDuration(v.HoldTime)),
			"a third of hold-time", "leave it out")
	}
	if len(v.Families) == 0 {
		v.Families = []BGPFamily{IPv4Unicast, IPv4Multicast}
		if v.Address.Is6() {
			v.Families = []BGPFamily{IPv6Unicast, IPv6Multicast}
		}
	}
}

func (r *reader) checkBGPNetwork(at places, v *BGPNetwork, before []BGPNetwork) {
	switch {
	case !v.Prefix.IsValid():
		r.fault(at.whole, "a network without a prefix", "prefix: PREFIX", "")
	case v.Prefix.Addr().IsMulticast():
		r.fault(at.of("prefix"), fmt.Sprintf("network %s is multicast", v.Prefix), "the network of the sources, not of the groups", "groups need no route")
	case slices.ContainsFunc(before, func(b BGPNetwork) bool { return b.Prefix == v.Prefix }):
		r.fault(at.of("prefix"), fmt.Sprintf("network %s stands here a second time", v.Prefix), "each network once", "remove one")
	}
	if !v.Unicast && !v.Multicast {
		v.Unicast, v.Multicast = true, true
	}
}

func (r *reader) checkBGPRedistribution(at places, v *BGPRedistribution, before []BGPRedistribution) {
	switch {
	case v.From == "":
		r.fault(at.whole, "redistribute without an origin", "from: connected, static or dvmrp", "")
	case slices.ContainsFunc(before, func(b BGPRedistribution) bool { return b.From == v.From }):
		r.fault(at.of("from"), fmt.Sprintf("from %s stands here a second time", v.From), "each origin once", "remove one")
	}
	if !v.Unicast && !v.Multicast {
		v.Unicast, v.Multicast = true, true
	}
}

func (r *reader) checkBGPRule(at places, v *BGPRule, _ []BGPRule) {
	if v.Policy == "" {
		r.fault(at.whole, "a rule without a policy", "policy: NAME", "")
	}
	if v.Action == "" {
		r.fault(at.whole, "a rule without an action", "action: accept, reject or next", "")
	}
}
