package config

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/goccy/go-yaml/ast"

	"grove/internal/engine"
	"grove/internal/pim/autorp"
	"grove/internal/pim/autorp/wire"
	"grove/mfib"
	"grove/pimdm"
	"grove/pimsm"
)

// What holds for Auto-RP if the file does not say.
const (
	autorpInterval  = 60 * time.Second
	autorpScope     = 31
	autorpHoldtimes = 3 // a holdtime is so many intervals
	autorpMax       = 1024
)

func defaultAutoRP() autorp.Config {
	return autorp.Config{MaxMappings: autorpMax, MaxAnnounced: autorpMax}
}

// autorpTimes are what candidates and agents have in common.
type autorpTimes struct {
	address            *netip.Addr
	scope              *uint8
	interval, holdtime *time.Duration
}

func ofCandidate(v *autorp.Candidate) autorpTimes {
	return autorpTimes{&v.Address, &v.Scope, &v.Interval, &v.Holdtime}
}

func ofAgent(v *autorp.Agent) autorpTimes {
	return autorpTimes{&v.Address, &v.Scope, &v.Interval, &v.Holdtime}
}

// autorpKey is auto-rp, below pim.ipv4.
func autorpKey() key[PIM] {
	type conf = autorp.Config
	return section("auto-rp", "Auto-RP: RPs announce themselves to 224.0.1.39, mapping agents tell all routers by 224.0.1.40 which RP serves "+
		"which groups. It runs if listen is true, or if there are candidates or an agent; then the two groups are dense on the interfaces with pim.",
		[]key[conf]{
			boolean("listen", func(v *conf) *bool { return &v.Listen }, "true if there are candidates or an agent, else false",
				"Whether RPs are learned from mapping agents."),
			list("candidates", "Addresses of this router that it announces as RPs.", autorpCandidateKeys(),
				func(v *conf) *[]autorp.Candidate { return &v.Candidates }, (*reader).checkAutoRPCandidate),
			{
				name: "agent", takes: "keys with values", def: "not there: this router is none",
				doc: "The mapping agent: it collects the announcements, and tells for each range of groups the RP with the highest address. Of " +
					"several agents the one with the highest address speaks.",
				sub: refer(autorpAgentKeys()),
				read: func(r *reader, n ast.Node, v *conf) {
					at := readSection(r, n, autorpAgentKeys(), &v.Agent)
					r.checkAutoRPTimes(at, "a mapping agent", ofAgent(&v.Agent))
				},
				print: func(v *conf) string {
					if !v.Agent.Address.IsValid() {
						return ""
					}
					return printSection(autorpAgentKeys(), &v.Agent)
				},
			},
			number("max-mappings", func(v *conf) *int { return &v.MaxMappings }, 1, 1_000_000, "1024",
				"Ranges of groups that are learned, of each agent; more are counted and ignored."),
			number("max-announced", func(v *conf) *int { return &v.MaxAnnounced }, 1, 1_000_000, "1024",
				"Ranges of groups that the agent collects, of each RP; more are counted and ignored."),
		},
		func(v *PIM) *conf { return &v.AutoRP }, func(_ *reader, at places, v *conf) {
			if !at.has("listen") {
				v.Listen = v.On()
			}
		})
}

func autorpCandidateKeys() []key[autorp.Candidate] {
	type conf = autorp.Candidate
	groups := func(name, def, doc string, negative bool) key[conf] {
		return key[conf]{
			name: name, takes: "a list of prefixes of groups", def: def, doc: doc,
			read: func(r *reader, n ast.Node, v *conf) {
				for _, e := range r.sequence(n, "prefixes of groups") {
					p, ok := r.groups(e, name, engine.IPv4)
					switch {
					case !ok:
					case slices.ContainsFunc(v.Groups, func(g wire.Group) bool { return g.Prefix == p }):
						r.fault(e, fmt.Sprintf("%s %s stands here a second time", name, p), "each prefix once, in groups or in deny", "")
					default:
						v.Groups = append(v.Groups, wire.Group{Prefix: p, Negative: negative})
					}
				}
			},
			print: func(v *conf) string {
				list := []netip.Prefix{}
				for _, g := range v.Groups {
					if g.Negative == negative {
						list = append(list, g.Prefix)
					}
				}
				return quoteAll(list)
			},
		}
	}
	keys := autorpTimeKeys(ofCandidate, "The RP. It announces itself while this router has the address.", "announcements")
	return slices.Insert(keys, 1, // behind the address
		groups("groups", "all multicast", "The groups that it would serve.", false),
		groups("deny", "none", "Groups that are to have no RP, whoever else announces them: they are dense (negative prefixes).", true),
	)
}

func autorpAgentKeys() []key[autorp.Agent] {
	type conf = autorp.Agent
	filters := []key[autorp.Filter]{
		prefixKey("rp", []string{"rps", "address"}, engine.IPv4, func(v *autorp.Filter) *netip.Prefix { return &v.RP }, "The RPs."),
		also(prefixOrAll("groups", "all multicast", "The ranges of groups within this one.",
			func(v *autorp.Filter) *netip.Prefix { return &v.Groups }, (*reader).groups), "group"),
	}
	accept := list("accept", "The RPs and groups of which announcements count. Empty: all.", filters,
		func(v *conf) *[]autorp.Filter { return &v.Accept }, (*reader).checkAutoRPFilter)
	return append(autorpTimeKeys(ofAgent, "The address it speaks from, one of this router's.", "messages"), accept)
}

func autorpTimeKeys[T any](of func(*T) autorpTimes, address, what string) []key[T] {
	return []key[T]{
		{
			name: "address", takes: "a unicast address", def: "required", doc: address,
			read: func(r *reader, n ast.Node, v *T) {
				a, ok := r.unicast(n, "address", engine.IPv4)
				if ok && a.IsLinkLocalUnicast() {
					r.fault(n, fmt.Sprintf("address %s is link-local", a), "an address that all routers of the domain reach", "")
				} else if ok {
					*of(v).address = a
				}
			},
			print: func(v *T) string { return quote(of(v).address.String()) },
		},
		also(number("scope", func(v *T) *uint8 { return of(v).scope }, 1, 255, "31", "The TTL of its "+what+"."), "ttl"),
		duration("interval", func(v *T) *time.Duration { return of(v).interval }, time.Second, 16383*time.Second, "60s",
			"The time between its "+what+"."),
		{
			name: "holdtime", also: []string{"hold-time"}, takes: "a duration from 1s to 65535s, or forever", def: "3 times interval",
			doc: "How long its " + what + " are valid.",
			read: func(r *reader, n ast.Node, v *T) {
				if s, _ := scalar(n); s == "forever" {
					*of(v).holdtime = 0
					return
				}
				duration("holdtime", func(v *T) *time.Duration { return of(v).holdtime }, time.Second, wire.MaxHoldtime, "", "").read(r, n, v)
			},
			print: func(v *T) string {
				if d := *of(v).holdtime; d != 0 {
					return printDuration(d)
				}
				return "forever"
			},
		},
	}
}

func (r *reader) checkAutoRPCandidate(at places, v *autorp.Candidate, before []autorp.Candidate) {
	if slices.ContainsFunc(before, func(b autorp.Candidate) bool { return b.Address == v.Address && v.Address.IsValid() }) {
		r.fault(at.of("address"), fmt.Sprintf("candidate %s stands here a second time", v.Address), "each once", "put all groups into one")
		return
	}
	if !at.has("groups") && !slices.ContainsFunc(v.Groups, func(g wire.Group) bool { return g.Prefix == AllGroups(engine.IPv4) }) {
		v.Groups = append([]wire.Group{{Prefix: AllGroups(engine.IPv4)}}, v.Groups...)
	}
	if len(v.Groups) == 0 {
		r.fault(at.of("groups"), "a candidate without groups", "groups, deny or both", "leave groups out for all multicast")
	}
	r.checkAutoRPTimes(at, "a candidate", ofCandidate(v))
}

// checkAutoRPTimes fills in what is left out.
func (r *reader) checkAutoRPTimes(at places, who string, v autorpTimes) {
	const interval, hold = "interval", "holdtime"
	if !v.address.IsValid() && at.good("address") {
		r.fault(at.whole, who+" without an address", "address: ADDRESS", "")
	}
	if !at.has("scope") {
		*v.scope = autorpScope
	}
	if !at.has(interval) {
		*v.interval = autorpInterval
	}
	if !at.has(hold) {
		*v.holdtime = autorpHoldtimes * *v.interval
	}
	if at.good(interval, hold) && *v.holdtime != 0 && *v.holdtime < *v.interval {
		r.fault(at.latest(interval, hold), fmt.Sprintf("holdtime %s is less than interval %s", printDuration(*v.holdtime),
			printDuration(*v.interval)), "at least interval, better 3 times it", "leave it out")
	}
	holdtime := *v.holdtime
	r.later = append(r.later, func(c *Config) { r.checkScaled(c, at, scaled{hold, holdtime, time.Second}) })
}

func (r *reader) checkAutoRPFilter(at places, v *autorp.Filter, _ []autorp.Filter) {
	if !v.RP.IsValid() {
		r.fault(at.whole, "a filter without RPs", "rp: PREFIX", "")
		return
	}
	if !v.Groups.IsValid() {
		v.Groups = AllGroups(engine.IPv4)
	}
}

// autorp returns what pimsm has of Auto-RP.
func (c *Config) autorp(f engine.Family) autorp.Config {
	if f != engine.IPv4 {
		return autorp.Config{}
	}
	a := c.PIM4.AutoRP
	a.Candidates = slices.Clone(a.Candidates)
	for i := range a.Candidates {
		v := &a.Candidates[i]
		v.Interval, v.Holdtime = c.scaled(v.Interval), c.scaled(v.Holdtime)
	}
	a.Agent.Interval, a.Agent.Holdtime = c.scaled(a.Agent.Interval), c.scaled(a.Agent.Holdtime)
	return a
}

// autorpGroups are the groups of Auto-RP: dense mode's while it runs.
func (c *Config) autorpGroups(f engine.Family) []netip.Prefix {
	if f != engine.IPv4 || !c.PIM4.AutoRP.On() {
		return nil
	}
	return []netip.Prefix{netip.PrefixFrom(wire.AnnounceGroup, 32), netip.PrefixFrom(wire.DiscoveryGroup, 32)}
}

// floodAutoRP has dense mode run beside sparse mode on an interface for the groups of Auto-RP.
func (c *Config) floodAutoRP(i *Interface, p *PIMInterface, f engine.Family, sparse *pimsm.Config, dense *pimdm.Config, entry *mfib.InterfaceConfig) {
	groups := c.autorpGroups(f)
	if len(groups) == 0 || !p.Mode.RunsSparse() {
		return
	}
	var owners []mfib.GroupOwner
	for _, g := range groups {
		owners = append(owners, mfib.GroupOwner{Groups: g, Owner: engine.PIMDM})
	}
	entry.Groups = append(owners, entry.Groups...)
	d, runs := dense.Interfaces[i.Name]
	if !runs {
		d = c.denseInterface(i, p, f)
		// No State Refresh: pimsm, which speaks the Hellos, does not announce it.
		d.Silent, d.NoStateRefresh, d.Sparse = true, true, []netip.Prefix{AllGroups(f)}
	}
	d.Dense = groups
	dense.Interfaces[i.Name] = d
	dense.Own = sparse.AutoRP.Hears()
}
