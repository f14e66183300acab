package config

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"grove/internal/engine"
)

var (
	msdpKeys       []key[MSDP]
	msdpPeerKeys   []key[MSDPPeer]
	msdpFilterKeys []key[MSDPFilter]
)

// maxSecret is how long a secret of TCP MD5 may be in Linux.
const maxSecret = 80

func defaultMSDP() MSDP {
	return MSDP{
		RecommendedFilters: true, EncapsulateData: true,
		Keepalive: 60 * time.Second, HoldTime: 75 * time.Second, ConnectRetry: 30 * time.Second,
		SAInterval: 60 * time.Second, SAHoldDown: 30 * time.Second, SAState: 150 * time.Second,
		MaxSAs: 500_000, MaxSAsPerPeer: 100_000, MaxSAsPerSource: 1000, MaxSAsPerRP: 50_000, MaxRPsPerFlow: 8, MaxRPs: 20_000, MaxRPsPerPeer: 5000,
	}
}

// initMSDPKeys makes the keys below msdp.
func initMSDPKeys() {
	type conf = MSDP
	msdpFilterKeys = []key[MSDPFilter]{
		{
			name: "action", takes: "permit or deny", def: "permit", doc: "What becomes of it.",
			read: func(r *reader, n ast.Node, v *MSDPFilter) {
				const takes = "permit or deny"
				switch s, ok := r.text(n, takes); {
				case !ok:
				case s == "permit" || s == "deny":
					v.Deny = s == "deny"
				default:
					r.fault(n, fmt.Sprintf("action %q is none", s), takes, "")
				}
			},
			print: func(v *MSDPFilter) string { return map[bool]string{false: "permit", true: "deny"}[v.Deny] },
		},
		prefixOrAll("source", "all", "The sources.", func(v *MSDPFilter) *netip.Prefix { return &v.Source }, (*reader).prefix),
		also(prefixOrAll("group", "all multicast", "The groups.", func(v *MSDPFilter) *netip.Prefix { return &v.Group }, (*reader).groups), "groups"),
		prefixOrAll("rp", "all", "The RP that told of it first.", func(v *MSDPFilter) *netip.Prefix { return &v.RP }, (*reader).prefix),
	}
	filter := func(name, doc string, field func(*conf) *[]MSDPFilter) key[conf] {
		return list(name, doc, msdpFilterKeys, field, (*reader).checkMSDPFilter)
	}
	initMSDPPeerKeys()
	static := []key[MSDPStaticRPF]{
		prefixKey("rp", []string{"prefix", "rps"}, engine.IPv4, func(v *MSDPStaticRPF) *netip.Prefix { return &v.RPs }, "The RPs. 0.0.0.0/0 is all."),
		peerAddressKey("peer", func(v *MSDPStaticRPF) *netip.Addr { return &v.Peer }, "The peer whose Source-Active messages of these RPs are accepted."),
	}
	msdpKeys = []key[conf]{
		list("peers", "The peers. MSDP runs if there are any.", msdpPeerKeys, func(v *conf) *[]MSDPPeer { return &v.Peers }, (*reader).checkMSDPPeer),
		{
			name: "originator-id", takes: "an interface, or an IPv4 address", def: "the address of the RP",
			doc: "What stands as the RP in Source-Active messages of our own sources. Routers that share an RP address (RFC 3446) must each have one of their own.",
			read: func(r *reader, n ast.Node, v *conf) {
				r.localAddress(n, "originator-id", &v.OriginatorID, &v.OriginatorInterface)
			},
			print: func(v *conf) string { return printLocal(v.OriginatorID, v.OriginatorInterface) },
		},
		also(filter("originate", "Which of our own sources are told to the peers: the first entry that fits decides, and what none fits is not told. Empty: all are.",
			func(v *conf) *[]MSDPFilter { return &v.Originate }), "redistribute", "sa-redistribute"),
		also(filter("filter-in", "Which Source-Active messages are accepted of peers without a filter of their own: the first entry that fits decides, and what none fits is refused. Empty: all are accepted.",
			func(v *conf) *[]MSDPFilter { return &v.In }), "sa-filter-in"),
		also(filter("filter-out", "Which are sent on, likewise.", func(v *conf) *[]MSDPFilter { return &v.Out }), "sa-filter-out"),
		boolean("recommended-filters", func(v *conf) *bool { return &v.RecommendedFilters }, "true",
			"Neither accept nor tell what no other domain should see: the groups and sources that stay in a domain (RFC 4611, section 4.1), among them 239.0.0.0/8 and private sources. They do not hold in a mesh group."),
		also(boolean("encapsulate-data", func(v *conf) *bool { return &v.EncapsulateData }, "true",
			"Whether the first packet of a source goes along with the message that tells of it."), "data-encapsulation"),
		list("static-rpf", "Peers that are the peer-RPF neighbours of RPs, whatever the routes say.", static,
			func(v *conf) *[]MSDPStaticRPF { return &v.StaticRPF }, (*reader).checkStaticRPF),
		also(duration("keepalive-interval", func(v *conf) *time.Duration { return &v.Keepalive }, time.Second, time.Hour, "60s",
			"KeepAlive-Period: what is silent for so long says that it lives. RFC 3618, section 5.5."), "keepalive", "keepalive-period"),
		also(duration("hold-time", func(v *conf) *time.Duration { return &v.HoldTime }, 3*time.Second, 3*time.Hour, "75s",
			"HoldTime-Period: a peer that is silent for so long is given up. RFC 3618, section 5.4."), "holdtime", "hold-time-period"),
		also(duration("connect-retry", func(v *conf) *time.Duration { return &v.ConnectRetry }, time.Second, time.Hour, "30s",
			"ConnectRetry-Period: the time between two attempts to connect. RFC 3618, section 5.6."), "connection-retry", "connect-retry-period"),
		also(duration("sa-interval", func(v *conf) *time.Duration { return &v.SAInterval }, time.Second, time.Hour, "60s",
			"SA-Advertisement-Period: in this time each of our own sources is told. RFC 3618, section 5.1."), "sa-advertisement-period"),
		duration("sa-hold-down", func(v *conf) *time.Duration { return &v.SAHoldDown }, time.Second, time.Hour, "30s",
			"SA-Hold-Down-Period. RFC 3618, section 5.2."),
		also(duration("sa-state", func(v *conf) *time.Duration { return &v.SAState }, time.Second, 10*time.Hour, "150s, or sa-interval + sa-hold-down if that is more",
			"SG-State-Period: how long a source of another domain is remembered that nobody tells of again; at least sa-interval and sa-hold-down "+
				"together. RFC 3618, section 5.3."), "sg-state-period", "sa-timeout"),
		number("max-sas", func(v *conf) *int { return &v.MaxSAs }, 1, 100_000_000, "500000",
			"Sources of other domains that are remembered; more are counted and ignored, and not sent on."),
		number("max-sas-per-peer", func(v *conf) *int { return &v.MaxSAsPerPeer }, 1, 100_000_000, "100000", "Of these, those of one peer."),
		number("max-sas-per-source", func(v *conf) *int { return &v.MaxSAsPerSource }, 1, 100_000_000, "1000", "Groups of one source that one peer tells of."),
		number("max-sas-per-rp", func(v *conf) *int { return &v.MaxSAsPerRP }, 1, 100_000_000, "50000", "Those that one RP told of, by one peer."),
		number("max-rps-per-flow", func(v *conf) *int { return &v.MaxRPsPerFlow }, 1, 1000, "8", "RPs by which one peer tells of one source in one group."),
		number("max-rps", func(v *conf) *int { return &v.MaxRPs }, 1, 1_000_000, "20000", "RPs of other domains that are known."),
		number("max-rps-per-peer", func(v *conf) *int { return &v.MaxRPsPerPeer }, 1, 1_000_000, "5000", "Of these, those that one peer was the first to name."),
	}
}

// initMSDPPeerKeys makes the keys of a peer.
func initMSDPPeerKeys() {
	type conf = MSDPPeer
	word := func(name, takes, doc string, longest int, field func(*conf) *string) key[conf] {
		return key[conf]{
			name: name, takes: takes, def: "none", doc: doc,
			read: func(r *reader, n ast.Node, v *conf) {
				s, ok := r.text(n, takes)
				if ok && (s == "" || len(s) > longest || !printable(s)) {
					r.fault(n, fmt.Sprintf("%s cannot be %q", name, s), fmt.Sprintf("1 to %d printable characters", longest), "")
				} else if ok {
					*field(v) = s
				}
			},
			print: func(v *conf) string { return quote(*field(v)) },
		}
	}
	filter := func(name, doc string, field func(*conf) *[]MSDPFilter) key[conf] {
		k := list(name, doc, msdpFilterKeys, field, (*reader).checkMSDPFilter)
		k.print = func(v *conf) string {
			var flow []string
			for i := range *field(v) {
				flow = append(flow, printFlow(msdpFilterKeys, &(*field(v))[i]))
			}
			if len(flow) == 0 {
				return ""
			}
			return "[" + strings.Join(flow, ", ") + "]"
		}
		return k
	}
	secret := word("password", "a text", "The secret of TCP MD5 signatures (RFC 2385), the same at both ends.", maxSecret,
		func(v *conf) *string { return &v.Secret })
	secret.print = func(v *conf) string {
		if v.SecretFile != "" {
			return ""
		}
		return quote(v.Secret)
	}
	msdpPeerKeys = []key[conf]{
		also(peerAddressKey("address", func(v *conf) *netip.Addr { return &v.Address }, "The peer's address."), "peer", "neighbor"),
		{
			name: "connect-source", also: []string{"source", "update-source", "local", "local-address"},
			takes: "an interface, or an IPv4 address", def: "our address on the peer's subnet",
			doc: "Our end, by which the peer knows us. Of two peers the one with the lower address connects.",
			read: func(r *reader, n ast.Node, v *conf) {
				r.localAddress(n, "connect-source", &v.Local, &v.LocalInterface)
			},
			print: func(v *conf) string { return printLocal(v.Local, v.LocalInterface) },
		},
		also(number("remote-as", func(v *conf) *uint32 { return &v.RemoteAS }, 0, 1<<32-1, "0: not known",
			"The peer's autonomous system, for the peer-RPF rule of the nearest AS (RFC 3618, section 10.1.3)."), "as", "peer-as"),
		word("description", "a text", "For people.", 80, func(v *conf) *string { return &v.Description }),
		also(word("mesh-group", "a name", "The mesh group of the peer: what one member says is sent on to none of the others (RFC 3618, section 10.2).",
			32, func(v *conf) *string { return &v.MeshGroup }), "mesh"),
		also(secret, "secret", "md5", "key"),
		{
			name: "password-file", also: []string{"secret-file"}, takes: "a path", def: "none",
			doc: "The file that holds the secret, alone in its first line; a relative path starts at this file's folder. It is read again by a reload; " +
				"if it holds another secret the connection is made anew, with that one.",
			read: func(r *reader, n ast.Node, v *conf) { r.secretFile(n, v) },
			print: func(v *conf) string {
				return quote(v.SecretFile)
			},
		},
		also(number("ttl-security", func(v *conf) *uint8 { return &v.SecurityHops }, 0, 254, "0: off",
			"How many hops away the peer is at most (GTSM, RFC 5082): 1 is on the same link. Both ends must use it."), "ttl-security-hops", "gtsm"),
		also(number("ttl-threshold", func(v *conf) *uint8 { return &v.TTLThreshold }, 0, 255, "0: all",
			"Packets with a smaller TTL are not put into messages to the peer."), "sa-ttl-threshold"),
		also(filter("filter-in", "Which Source-Active messages of the peer are accepted: the first entry that fits decides, and what none fits is refused. Empty: filter-in of msdp.",
			func(v *conf) *[]MSDPFilter { return &v.In }), "sa-filter-in"),
		also(filter("filter-out", "Which are sent to the peer, likewise. Empty: filter-out of msdp.", func(v *conf) *[]MSDPFilter { return &v.Out }), "sa-filter-out"),
		{
			name: "max-sas", also: []string{"sa-limit"}, takes: "a whole number from 1 to 100000000", def: "max-sas-per-peer of msdp",
			doc: "Sources that are remembered from the peer; more are counted and ignored.",
			read: func(r *reader, n ast.Node, v *conf) {
				if x, ok := readNumber(r, n, "max-sas", 1, 100_000_000, "a whole number from 1 to 100000000"); ok {
					v.MaxSAs = x
				}
			},
			print: func(v *conf) string {
				if v.MaxSAs == 0 {
					return ""
				}
				return fmt.Sprint(v.MaxSAs)
			},
		},
		also(number("rate", func(v *conf) *int { return &v.Rate }, 1, 100_000_000, "10000",
			"Entries of Source-Active messages that are taken from the peer in a second; the rest is dropped and counted."), "sa-rate"),
		number("burst", func(v *conf) *int { return &v.Burst }, 1, 100_000_000, "100000", "How many are taken at once."),
		number("max-waiting", func(v *conf) *int { return &v.MaxWaiting }, 64<<10, 1<<30, "262144",
			"Bytes that may wait until the peer reads. What is over that is not sent, and the cache is sent again when it has read."),
		{
			name: "boundary", also: []string{"scope"}, takes: "a list of prefixes of groups", def: "none",
			doc: "Groups that do not cross to the peer or from it (RFC 3618, section 7).",
			read: func(r *reader, n ast.Node, v *conf) {
				for _, e := range r.sequence(n, "prefixes of groups") {
					if p, ok := r.groups(e, "boundary", engine.IPv4); ok {
						v.Boundary = append(v.Boundary, p)
					}
				}
			},
			print: func(v *conf) string { return quoteSome(v.Boundary) },
		},
		boolean("default-peer", func(v *conf) *bool { return &v.Default }, "false",
			"What no rule finds a peer-RPF neighbour for is taken from this peer, as a stub domain does of its provider. Of several, from the first "+
				"in the file that is connected."),
		{
			name: "default-for", takes: "a list of IPv4 prefixes", def: "all",
			doc: "The RPs for which it is the default peer.",
			read: func(r *reader, n ast.Node, v *conf) {
				for _, e := range r.sequence(n, "prefixes of RPs") {
					if p, ok := r.prefix(e, "default-for", engine.IPv4); ok {
						v.DefaultFor = append(v.DefaultFor, p)
					}
				}
			},
			print: func(v *conf) string { return quoteSome(v.DefaultFor) },
		},
		also(boolean("sa-request", func(v *conf) *bool { return &v.Request }, "false",
			"Whether the peer is asked for sources when a group gets its first receivers. A peer that caches has told them already."), "sa-requests"),
		boolean("shutdown", func(v *conf) *bool { return &v.Shutdown }, "false", "Whether nothing is said to the peer for now."),
	}
}

// prefixOrAll is a key of a filter: nothing is all.
func prefixOrAll[T any](name, def, doc string, field func(*T) *netip.Prefix,
	read func(*reader, ast.Node, string, engine.Family) (netip.Prefix, bool)) key[T] {
	return key[T]{
		name: name, takes: "an IPv4 prefix", def: def, doc: doc,
		read: func(r *reader, n ast.Node, v *T) {
			if p, ok := read(r, n, name, engine.IPv4); ok {
				*field(v) = p
			}
		},
		print: func(v *T) string { return quote(field(v).String()) },
	}
}

func peerAddressKey[T any](name string, field func(*T) *netip.Addr, doc string) key[T] {
	return key[T]{
		name: name, takes: "an IPv4 unicast address", def: "required", doc: doc,
		read: func(r *reader, n ast.Node, v *T) {
			if a, ok := r.unicast(n, name, engine.IPv4); ok {
				*field(v) = a
			}
		},
		print: func(v *T) string { return quote(field(v).String()) },
	}
}

// localAddress reads an address of ours, or an interface whose first IPv4 address in the file it is.
func (r *reader) localAddress(n ast.Node, name string, address *netip.Addr, iface *string) {
	s, ok := r.text(n, "an interface, or an IPv4 address")
	if !ok {
		return
	}
	if _, err := netip.ParseAddr(s); err == nil {
		if a, ok := r.unicast(n, name, engine.IPv4); ok {
			*address = a
		}
		return
	}
	if r.interfaceName(n, s) {
		*iface = s
	}
}

// quoteSome is quoteAll, and nothing for nothing.
func quoteSome(list []netip.Prefix) string {
	if len(list) == 0 {
		return ""
	}
	return quoteAll(list)
}

func printLocal(a netip.Addr, iface string) string {
	if iface != "" {
		return quote(iface)
	}
	if !a.IsValid() {
		return ""
	}
	return quote(a.String())
}

// firstIPv4 finds the address of an interface that stands in place of an address.
func (r *reader) firstIPv4(c *Config, n ast.Node, name, iface string) netip.Addr {
	i := slices.IndexFunc(c.Interfaces, func(i Interface) bool { return i.Name == iface })
	if i < 0 {
		r.fault(n, fmt.Sprintf("%s %s is not among the interfaces", name, iface), "an interface of this file with an IPv4 address, or an address", "")
		return netip.Addr{}
	}
	for _, p := range c.Interfaces[i].Addresses {
		if p.Addr().Is4() {
			return p.Addr()
		}
	}
	r.fault(n, fmt.Sprintf("%s %s has no IPv4 address in this file", name, iface), "an interface with one, or an address",
		"write the address itself, or give the interface its addresses here")
	return netip.Addr{}
}

// secretFile reads a secret from a file.
func (r *reader) secretFile(n ast.Node, v *MSDPPeer) {
	s, ok := r.text(n, "a path")
	if !ok {
		return
	}
	if s == "" || !printable(s) {
		r.fault(n, fmt.Sprintf("password-file cannot be %q", s), "a path", "")
		return
	}
	path := s
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(r.file), path)
	}
	info, err := os.Stat(path)
	if err == nil && (!info.Mode().IsRegular() || info.Size() > 4096) {
		r.fault(n, fmt.Sprintf("password-file %s is no small file", s), "a file with one line", "")
		return
	}
	data, err := os.ReadFile(path)
	if err != nil {
		r.fault(n, fmt.Sprintf("password-file cannot be read: %v", err), "a file that groved may read", "make it, or mend its path or rights")
		return
	}
	secret := strings.TrimRight(string(data), "\r\n")
	if secret == "" || len(secret) > maxSecret || !printable(secret) {
		r.fault(n, fmt.Sprintf("password-file %s does not hold a secret", s), fmt.Sprintf("one line of 1 to %d printable characters", maxSecret), "")
		return
	}
	v.Secret, v.SecretFile = secret, s
}

func (r *reader) checkMSDPFilter(_ places, v *MSDPFilter, _ []MSDPFilter) {
	all := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	if !v.Source.IsValid() {
		v.Source = all
	}
	if !v.RP.IsValid() {
		v.RP = all
	}
	if !v.Group.IsValid() {
		v.Group = AllGroups(engine.IPv4)
	}
}

func (r *reader) checkMSDPPeer(at places, v *MSDPPeer, before []MSDPPeer) {
	for _, n := range []struct {
		value     *int
		otherwise int
	}{{&v.Rate, 10_000}, {&v.Burst, 100_000}, {&v.MaxWaiting, 256 << 10}} {
		if *n.value == 0 {
			*n.value = n.otherwise
		}
	}
	if len(v.DefaultFor) > 0 && !v.Default {
		r.fault(at.of("default-for"), "default-for of a peer that is no default peer", "default-peer: true beside it", "")
	}
	if !v.Address.IsValid() {
		r.fault(at.whole, "a peer without an address", "address: ADDRESS", "")
		return
	}
	if slices.ContainsFunc(before, func(b MSDPPeer) bool { return b.Address == v.Address }) {
		r.fault(at.of("address"), fmt.Sprintf("peer %s stands here a second time", v.Address), "each peer once", "remove one")
	}
	if at.has("password") && at.has("password-file") {
		r.fault(at.keyOf("password-file"), "password and password-file of one peer", "one of them", "remove one")
	}
	if v.Local == v.Address {
		r.fault(at.of("connect-source"), fmt.Sprintf("connect-source is the peer's own address %s", v.Local), "an address of this router", "")
	}
	address, place := v.Address, at
	r.later = append(r.later, func(c *Config) {
		for _, own := range r.addresses {
			if own.value.Addr() == address {
				r.fault(place.of("address"), fmt.Sprintf("peer %s is our own address on %s", address, own.iface), "the address of another router", "")
			}
		}
		i := slices.IndexFunc(c.MSDP.Peers, func(p MSDPPeer) bool { return p.Address == address })
		if i < 0 {
			return
		}
		p := &c.MSDP.Peers[i]
		switch {
		case p.LocalInterface != "":
			p.Local = r.firstIPv4(c, place.of("connect-source"), "connect-source", p.LocalInterface)
		case p.Local.IsValid():
		default:
			for _, own := range r.addresses {
				if own.value.Contains(address) {
					p.Local = own.value.Addr()
					return
				}
			}
			r.fault(place.whole, fmt.Sprintf("peer %s is on no subnet of ours", address), "connect-source: INTERFACE or ADDRESS beside it",
				"write the address by which the peer knows this router")
		}
	})
}

func (r *reader) checkStaticRPF(at places, v *MSDPStaticRPF, before []MSDPStaticRPF) {
	if !v.RPs.IsValid() || !v.Peer.IsValid() {
		r.fault(at.whole, "a static RPF peer needs both", "rp: PREFIX and peer: ADDRESS", "")
		return
	}
	if slices.ContainsFunc(before, func(b MSDPStaticRPF) bool { return b.RPs == v.RPs }) {
		r.fault(at.of("rp"), fmt.Sprintf("rp %s stands here a second time", v.RPs), "each once", "remove one")
	}
	peer := v.Peer
	r.later = append(r.later, func(c *Config) {
		if !slices.ContainsFunc(c.MSDP.Peers, func(p MSDPPeer) bool { return p.Address == peer }) {
			r.fault(at.of("peer"), fmt.Sprintf("%s is not among the peers", peer), "a peer of msdp", "")
		}
	})
}

func (r *reader) checkMSDP(at places, v *MSDP) {
	const keepalive, hold, interval, down, state = "keepalive-interval", "hold-time", "sa-interval", "sa-hold-down", "sa-state"
	if !at.has(hold) && at.has(keepalive) {
		v.HoldTime = v.Keepalive * 5 / 4
	}
	if !at.has(state) {
		v.SAState = max(150*time.Second, v.SAInterval+v.SAHoldDown)
	}
	if at.good(keepalive, hold) && v.HoldTime <= v.Keepalive {
		r.fault(at.latest(keepalive, hold), fmt.Sprintf("hold-time %s is not more than keepalive-interval %s", printDuration(v.HoldTime),
			printDuration(v.Keepalive)), "a longer one, or a peer that is well is given up", "leave it out")
	}
	if at.good(interval, down, state) && v.SAState < v.SAInterval+v.SAHoldDown {
		r.fault(at.latest(interval, down, state), fmt.Sprintf("sa-state %s is less than sa-interval %s and sa-hold-down %s together", printDuration(v.SAState),
			printDuration(v.SAInterval), printDuration(v.SAHoldDown)), "at least that (RFC 3618, section 5.3)", "leave it out")
	}
	r.later = append(r.later, func(c *Config) {
		if len(c.MSDP.Peers) > 0 && len(r.enabled[engine.IPv4]) == 0 {
			r.fault(at.of("peers"), "msdp on a router that routes no multicast of IPv4", "pim: {} on an interface", "enable it, or remove the peers")
		}
		if c.MSDP.OriginatorInterface != "" {
			c.MSDP.OriginatorID = r.firstIPv4(c, at.of("originator-id"), "originator-id", c.MSDP.OriginatorInterface)
		}
	})
}
