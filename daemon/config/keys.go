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

	"grove/dvmrp"
	"grove/internal/engine"
	"grove/internal/rib"
)

// maxTable is the highest number of a multicast routing table that Linux accepts in both families.
const maxTable = 99_999_999

// defaults returns what holds if the file says nothing.
func defaults() *Config {
	return &Config{
		TimeScale: 1,
		Distances: map[string]uint32{
			"connected": 0, "static": 1, "bgp": 20, "ospf": 110, "isis": 115, "rip": 120, "kernel": 1, "dvmrp": 0, "ibgp": 200,
		},
		PIM4: defaultPIM(engine.IPv4),
		PIM6: defaultPIM(engine.IPv6), DVMRP: defaultDVMRP(), MSDP: defaultMSDP(),
		MFIB: MFIB{
			MaxEntries: 1_000_000, MaxNegative: 100_000, NegativeLife: time.Minute, CheckInterval: 4 * time.Second, UpcallRate: 5000,
			MaxGroups: 100_000, MaxHeld: 4096, MaxHeldPerEntry: 32,
		},
		API: API{Socket: DefaultSocket},
		Log: Log{Level: engine.Info},
	}
}

var hostname = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$`)

// The tables are filled in by init: a section's key names the table of the section below it.
var (
	topKeys       []key[Config]
	routeKeys     []key[Route]
	mrouteKeys    []key[rib.StaticRoute]
	mfibKeys      []key[MFIB]
	apiKeys       []key[API]
	logKeys       []key[Log]
	bothPIMKeys   []key[Config]
	distanceWords = []string{"connected", "static", "bgp", "ospf", "isis", "rip", "kernel", "dvmrp", "ibgp"}
)

func init() {
	initDVMRPInterfaceKeys()
	initDVMRPKeys()
	initMSDPKeys()
	initInterfaceKeys()
	initPIMKeys()
	initTunnelKeys()
	initBGPKeys()
	mfibKeys = []key[MFIB]{
		number("max-entries", func(v *MFIB) *int { return &v.MaxEntries }, 1, 100_000_000, "1000000",
			"Entries of a table, negative ones included; what is wanted beyond is refused and counted."),
		number("max-negative", func(v *MFIB) *int { return &v.MaxNegative }, 1, 100_000_000, "100000",
			"Negative entries that the table makes itself for flows that no protocol wants."),
		duration("negative-life", func(v *MFIB) *time.Duration { return &v.NegativeLife }, time.Second, 24*time.Hour, "60s",
			"How long such an entry stays."),
		duration("check-interval", func(v *MFIB) *time.Duration { return &v.CheckInterval }, 100*time.Millisecond, time.Hour, "4s",
			"The time in which the counters of all rows are read once. A row that someone else deleted is back by then. Not divided by time-scale."),
		number("rewrite-every", func(v *MFIB) *int { return &v.RewriteEvery }, 0, 1_000_000, "0: never",
			"At every so many checks each row is written again, which repairs one that someone else changed."),
		number("upcall-rate", func(v *MFIB) *int { return &v.UpcallRate }, 1, 10_000_000, "5000",
			"New flows per second of an interface; packets of more are counted and not answered."),
		number("max-groups", func(v *MFIB) *int { return &v.MaxGroups }, 1, 100_000_000, "100000",
			"Groups in which protocols say that they have receivers, where several protocols run (RFC 2715); more are counted."),
		number("max-held", func(v *MFIB) *int { return &v.MaxHeld }, 1, 1_000_000, "4096",
			"Packets of new flows that wait until the protocols have answered; more are dropped and counted."),
		number("max-held-per-entry", func(v *MFIB) *int { return &v.MaxHeldPerEntry }, 1, 1_000_000, "32",
			"Such packets of one flow."),
	}
	apiKeys = []key[API]{{
		name: "socket", takes: "an absolute path, or none", def: DefaultSocket,
		doc: "The unix socket on which groved answers grove. With none it does not.",
		read: func(r *reader, n ast.Node, v *API) {
			const takes = "an absolute path of at most 107 bytes, or none"
			s, ok := r.text(n, takes)
			switch {
			case !ok:
			case s == "none":
				v.Socket = ""
			case !filepath.IsAbs(s) || len(s) > 107 || !printable(s):
				r.fault(n, fmt.Sprintf("socket %q cannot be one", s), takes, "write it as "+DefaultSocket)
			default:
				v.Socket = s
			}
		},
		print: func(v *API) string {
			if v.Socket == "" {
				return "none"
			}
			return quote(v.Socket)
		},
	}}
	logKeys = []key[Log]{{
		name: "level", takes: "error, warning, info or debug", def: "info",
		doc: "What is written to the log. debug has a line for each bad packet.",
		read: func(r *reader, n ast.Node, v *Log) {
			const takes = "error, warning, info or debug"
			s, ok := r.text(n, takes)
			if !ok {
				return
			}
			i := slices.Index(levels[:], s)
			if i < 0 {
				r.fault(n, fmt.Sprintf("level %q is not one", s), takes, "")
				return
			}
			v.Level = engine.Level(i)
		},
		print: func(v *Log) string { return levels[v.Level] },
	}}
	initRouteKeys()
	bothPIMKeys = []key[Config]{
		section("ipv4", "PIM for IPv4 on the whole router.", pim4Keys, func(v *Config) *PIM { return &v.PIM4 },
			func(r *reader, at places, v *PIM) { r.checkPIM(at, v, engine.IPv4) }),
		section("ipv6", "PIM for IPv6 on the whole router.", pim6Keys, func(v *Config) *PIM { return &v.PIM6 },
			func(r *reader, at places, v *PIM) { r.checkPIM(at, v, engine.IPv6) }),
	}
	topKeys = []key[Config]{
		{
			name: "hostname", takes: "a name", def: "the name of the machine",
			doc: "What the router calls itself in logs and answers.",
			read: func(r *reader, n ast.Node, v *Config) {
				const takes = "1 to 64 letters, digits, dots, dashes and underscores, a letter or digit at both ends"
				s, ok := r.text(n, takes)
				if ok && !hostname.MatchString(s) {
					r.fault(n, fmt.Sprintf("hostname %q cannot be one", s), takes, "")
				} else if ok {
					v.Hostname = s
				}
			},
			print: func(v *Config) string { return quote(v.Hostname) },
		},
		{
			name: "time-scale", takes: "a number from 0.1 to 100", def: "1",
			doc: "All timers of the protocols are divided by this: a lab that would take an hour takes minutes. " +
				"Neighbours must use the same. Wherever it is used, grove says so.",
			read: func(r *reader, n ast.Node, v *Config) {
				const takes = "a number from 0.1 to 100"
				s, ok := r.text(n, takes)
				if !ok {
					return
				}
				x, err := strconv.ParseFloat(s, 64)
				if err != nil || math.IsNaN(x) || x < 0.1 || x > 100 {
					r.fault(n, fmt.Sprintf("time-scale %q is out of range or not a number", s), takes, "")
					return
				}
				v.TimeScale = x
			},
			print: func(v *Config) string { return strconv.FormatFloat(v.TimeScale, 'f', -1, 64) },
		},
		number("table", func(v *Config) *uint32 { return &v.Table }, 0, maxTable, "0",
			"The kernel's multicast routing table, in both families. 0 is the default table."),
		{
			name: "interfaces", takes: "interfaces by name", def: "none",
			doc: "What runs where. An interface that is not there yet is waited for.",
			sub: refer(interfaceKeys), read: readInterfaces, print: printInterfaces,
		},
		list("tunnels", "IP-in-IP tunnels (RFC 2003), as the MBone had them: each is an interface that groved makes, and what "+
			"runs on it stands under interfaces.",
			tunnelKeys, func(v *Config) *[]Tunnel { return &v.Tunnels }, (*reader).checkTunnel),
		list("routes", "Unicast routes that groved adds to the kernel, and again when they are lost. Two with different "+
			"metrics are a way and its substitute: the kernel uses the lower metric whose link works.",
			routeKeys, func(v *Config) *[]Route { return &v.Routes }, (*reader).checkRoute),
		list("multicast-routes", "Routes for the reverse-path check only (ip mroute of IOS). They win over unicast routes "+
			"of the same or a worse distance.",
			mrouteKeys, func(v *Config) *[]rib.StaticRoute { return &v.MulticastRoutes }, (*reader).checkMulticastRoute),
		{
			name: "distances", takes: "whole numbers from 0 to 255, by origin of a route",
			def: "connected 0, dvmrp 0, static 1, kernel 1, bgp 20, ospf 110, isis 115, rip 120, ibgp 200; others 254",
			doc: "Administrative distances: which of several unicast routes wins, and the metric preference of an Assert. " +
				"The origin is the kernel's name of the protocol that added the route (ip route shows it as proto), dvmrp, or for " +
				"multicast routes of BGP bgp and, if IBGP brought them, ibgp.",
			read: readDistances, print: printDistances,
		},
		rpfLookupKey(),
		section("pim", "PIM on the whole router. It runs on the interfaces that have pim or pim6.", bothPIMKeys,
			func(v *Config) *Config { return v }, nil),
		section("dvmrp", "DVMRP, version 3, on the whole router. It runs on the interfaces that have dvmrp.", dvmrpKeys,
			func(v *Config) *dvmrp.Config { return &v.DVMRP }, (*reader).checkDVMRP),
		section("msdp", "MSDP (RFC 3618), by which RPs of different domains, or of one address, tell each other of sources. For IPv4.", msdpKeys,
			func(v *Config) *MSDP { return &v.MSDP }, (*reader).checkMSDP),
		bgpKey(),
		section("mfib", "The forwarding tables of both families.", mfibKeys, func(v *Config) *MFIB { return &v.MFIB },
			func(r *reader, at places, v *MFIB) {
				if at.good("max-entries", "max-negative") && v.MaxNegative > v.MaxEntries && at.has("max-negative") {
					r.fault(at.of("max-negative"), fmt.Sprintf("max-negative %d is more than max-entries %d", v.MaxNegative, v.MaxEntries),
						"at most max-entries", "")
				}
			}),
		section("api", "The management API.", apiKeys, func(v *Config) *API { return &v.API }, nil),
		section("log", "The log, on standard error.", logKeys, func(v *Config) *Log { return &v.Log }, nil),
	}
}

var levels = [...]string{engine.Debug: "debug", engine.Info: "info", engine.Warning: "warning", engine.Error: "error"}

// section is a key with a mapping below it, which is always there: field says where its values go.
func section[T, S any](name, doc string, keys []key[S], field func(*T) *S, check func(*reader, places, *S)) key[T] {
	return key[T]{
		name: name, doc: doc, sub: refer(keys),
		read: func(r *reader, n ast.Node, v *T) {
			at := readSection(r, n, keys, field(v))
			if check != nil {
				check(r, at, field(v))
			}
		},
		print: func(v *T) string { return printSection(keys, field(v)) },
	}
}

// list is a key with a list of mappings below it. check says whether an element is sound enough to be kept.
func list[T, E any](name, doc string, keys []key[E], field func(*T) *[]E, check func(*reader, places, *E, []E)) key[T] {
	return key[T]{
		name: name, takes: "a list", def: "none", doc: doc, sub: refer(keys),
		read: func(r *reader, n ast.Node, v *T) {
			for _, element := range r.sequence(n, "keys with values") {
				var e E
				had := len(r.faults)
				at := readSection(r, element, keys, &e)
				if len(r.faults) > had {
					continue
				}
				check(r, at, &e, *field(v))
				*field(v) = append(*field(v), e)
			}
		},
		print: func(v *T) string {
			var lines []string
			for i := range *field(v) {
				lines = append(lines, "- "+printFlow(keys, &(*field(v))[i]))
			}
			return block(lines)
		},
	}
}

func initRouteKeys() {
	routeKeys = []key[Route]{
		prefixKey("to", []string{"prefix", "destination", "dst"}, 0, func(v *Route) *netip.Prefix { return &v.Prefix },
			"The destination. 0.0.0.0/0 or ::/0 is the default route."),
		{
			name: "via", also: []string{"gateway", "nexthop", "next-hop", "gw"},
			takes: "an address, or a list of addresses", def: "none: directly connected on interface",
			doc: "The gateway. Several share the load.",
			read: func(r *reader, n ast.Node, v *Route) {
				gateways := []ast.Node{n}
				if s, ok := n.(*ast.SequenceNode); ok {
					gateways = s.Values
				}
				for _, g := range gateways {
					a, ok := r.gateway(g)
					if ok && slices.Contains(v.Via, a) {
						r.fault(g, fmt.Sprintf("gateway %s stands here twice", a), "each gateway once", "")
					} else if ok {
						v.Via = append(v.Via, a)
					}
				}
			},
			print: func(v *Route) string {
				switch len(v.Via) {
				case 0:
					return ""
				case 1:
					return quote(v.Via[0].String())
				}
				return quoteAll(v.Via)
			},
		},
		interfaceKey(func(v *Route) *string { return &v.Interface }),
		number("metric", func(v *Route) *uint32 { return &v.Metric }, 0, math.MaxUint32, "0: the kernel's default",
			"The lower, the better."),
	}
	mrouteKeys = []key[rib.StaticRoute]{
		prefixKey("to", []string{"prefix", "source", "destination"}, 0, func(v *rib.StaticRoute) *netip.Prefix { return &v.Prefix },
			"The sources (not the groups) that are to be found this way."),
		{
			name: "via", also: []string{"gateway", "nexthop", "next-hop", "rpf-neighbor"},
			takes: "an address", def: "none: directly connected on interface",
			doc: "The RPF neighbour.",
			read: func(r *reader, n ast.Node, v *rib.StaticRoute) {
				if a, ok := r.gateway(n); ok {
					v.Gateway = a
				}
			},
			print: func(v *rib.StaticRoute) string {
				if !v.Gateway.IsValid() {
					return ""
				}
				return quote(v.Gateway.String())
			},
		},
		interfaceKey(func(v *rib.StaticRoute) *string { return &v.If }),
		number("distance", func(v *rib.StaticRoute) *uint32 { return &v.Distance }, 0, 255, "0",
			"The administrative distance."),
	}
}

func prefixKey[T any](name string, also []string, f engine.Family, field func(*T) *netip.Prefix, doc string) key[T] {
	return key[T]{
		name: name, also: also, takes: "a prefix", def: "required", doc: doc,
		read: func(r *reader, n ast.Node, v *T) {
			if p, ok := r.prefix(n, name, f); ok {
				*field(v) = p
			}
		},
		print: func(v *T) string { return quote(field(v).String()) },
	}
}

func interfaceKey[T any](field func(*T) *string) key[T] {
	return key[T]{
		name: "interface", also: []string{"dev", "device", "iface"}, takes: "the name of an interface",
		def: "the interface on whose subnet via is",
		doc: "The interface. Needed without via, and with a link-local via.",
		read: func(r *reader, n ast.Node, v *T) {
			if s, ok := r.text(n, "the name of an interface"); ok && r.interfaceName(n, s) {
				*field(v) = s
			}
		},
		print: func(v *T) string {
			if *field(v) == "" {
				return ""
			}
			return quote(*field(v))
		},
	}
}

func readDistances(r *reader, n ast.Node, v *Config) {
	first := make(map[string]int)
	for _, e := range r.mapping(n) {
		line, _ := position(e.key)
		if before, ok := first[e.name]; ok {
			r.duplicate(e.key, e.name, before)
			continue
		}
		first[e.name] = line
		if !origin.MatchString(e.name) {
			r.fault(e.key, fmt.Sprintf("%q is not the name of a routing protocol", e.name), "a word such as "+
				strings.Join(distanceWords, ", "), "")
			continue
		}
		if d, ok := readNumber[uint32](r, e.value, "distance", 0, 255, "a whole number from 0 to 255"); ok {
			v.Distances[e.name] = d
		}
	}
}

// rpfLookupKey is the key that FRR calls rpf-lookup-mode.
func rpfLookupKey() key[Config] {
	takes := strings.Join(rib.ModeNames(), ", ")
	return key[Config]{
		name: "rpf-lookup", also: []string{"rpf-lookup-mode", "rpf-mode"}, takes: takes, def: rib.LowerDistance.String(),
		doc: "Which route serves the reverse-path check if there are a multicast route (of multicast-routes, DVMRP or BGP) and a " +
			"unicast route: lower-distance and longer-prefix compare them and take the multicast route of equal ones; " +
			"mrib-then-urib takes the unicast route only if there is no multicast route; mrib-only and urib-only know one kind.",
		read: func(r *reader, n ast.Node, v *Config) {
			s, ok := r.text(n, takes)
			if !ok {
				return
			}
			if mode, known := rib.ParseMode(s); known {
				v.RPFLookup = mode
			} else {
				r.fault(n, fmt.Sprintf("rpf-lookup %q is not one", s), takes, "")
			}
		},
		print: func(v *Config) string { return v.RPFLookup.String() },
	}
}

var origin = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)

func printDistances(v *Config) string {
	var lines []string
	for name, d := range engine.Sorted(v.Distances) {
		lines = append(lines, fmt.Sprintf("%s: %d", quote(name), d))
	}
	return block(lines)
}
