package config

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/goccy/go-yaml/ast"

	"grove/igmp"
	"grove/internal/engine"
	"grove/internal/rib"
	"grove/pimsm"
)

// maxInterfaces is how many interfaces a table of Linux takes, the register interface apart.
const maxInterfaces = engine.MaxVIFs - 1

// unicast reads an address that one host can have.
func (r *reader) unicast(n ast.Node, name string, f engine.Family) (netip.Addr, bool) {
	a, ok := r.address(n, name, f)
	if !ok {
		return a, false
	}
	what := ""
	switch {
	case a.IsMulticast():
		what = "is a multicast group"
	case a.IsUnspecified():
		what = "is the unspecified address"
	case a.IsLoopback():
		what = "is a loopback address"
	case a.Is4() && (a.As4()[0] == 0 || a.As4()[0] >= 240):
		what = "is reserved"
	default:
		return a, true
	}
	r.fault(n, fmt.Sprintf("%s %s %s", name, a, what), "a unicast address", "")
	return netip.Addr{}, false
}

// gateway reads the next hop of a route and has it compared with our own addresses at the end.
func (r *reader) gateway(n ast.Node) (netip.Addr, bool) {
	a, ok := r.unicast(n, "gateway", 0)
	if ok {
		r.later = append(r.later, func(*Config) {
			for _, own := range r.addresses {
				if own.value.Addr() == a {
					r.fault(n, fmt.Sprintf("gateway %s is our own address on %s", a, own.iface), "the address of another router", "")
					return
				}
			}
		})
	}
	return a, ok
}

// checkInterface checks what stands below one interface.
func (r *reader) checkInterface(at places, i *Interface, name ast.Node) {
	r.checkTunnelInterface(at, i.Name)
	protocols := []string{"igmp", "mld", "pim", "pim6", "dvmrp"}
	any := false
	for _, p := range protocols {
		if !at.has(p) {
			continue
		}
		any = true
		if i.Name == "lo" {
			r.fault(at.keyOf(p), p+" on lo, where no other router or host is", "no protocol on lo",
				"remove it: an address of lo is reachable, and can be an RP, without")
		}
	}
	if at.has("pim") && at.has("dvmrp") {
		r.fault(at.keyOf("dvmrp"), "pim and dvmrp on one interface", "one of them: an interface belongs to one routing protocol (RFC 2715)",
			"remove one; this router may run the other on another interface")
	}
	if at.has("multicast") && !any {
		r.fault(at.keyOf("multicast"), "multicast on an interface that routes none", "igmp, mld, pim, pim6 or dvmrp beside it", "remove it or enable one")
	}
	v6 := i.Enabled(engine.IPv6) || slices.ContainsFunc(i.Addresses, func(p netip.Prefix) bool { return p.Addr().Is6() })
	if v6 && i.MTU != 0 && i.MTU < 1280 {
		r.fault(at.of("mtu"), fmt.Sprintf("mtu %d is too small for IPv6", i.MTU), "at least 1280", "")
	}
	for _, f := range []engine.Family{engine.IPv4, engine.IPv6} {
		if i.Enabled(f) {
			r.enabled[f] = append(r.enabled[f], located[string]{i.Name, i.Name, name})
		}
	}
}

// checkInterfaces checks the interfaces against each other.
func (r *reader) checkInterfaces() {
	for i, a := range r.addresses {
		for _, b := range r.addresses[:i] {
			same := a.value.Addr() == b.value.Addr()
			switch {
			case same && a.iface == b.iface:
				r.fault(a.node, fmt.Sprintf("address %s stands twice on %s", a.value.Addr(), a.iface), "each address once", "remove one")
			case a.value.Addr().IsLinkLocalUnicast():
				continue
			case same:
				r.fault(a.node, fmt.Sprintf("address %s is also on %s", a.value.Addr(), b.iface), "each address on one interface", "change one of the two")
			case a.iface != b.iface && a.value.Overlaps(b.value) && !a.value.IsSingleIP() && !b.value.IsSingleIP():
				r.fault(a.node, fmt.Sprintf("the subnet of %s overlaps that of %s on %s", a.value, b.value, b.iface),
					"subnets that do not overlap", "change the address or the length of one")
			default:
				continue
			}
			break
		}
	}
	for _, f := range []engine.Family{engine.IPv4, engine.IPv6} {
		if n := len(r.enabled[f]); n > maxInterfaces {
			r.fault(r.enabled[f][maxInterfaces].node, fmt.Sprintf("%s multicast is enabled on %d interfaces", f, n),
				fmt.Sprintf("at most %d: Linux has no more in a multicast table", maxInterfaces),
				"disable it on others, or route them by another groved with another table")
		}
	}
}

// ---- routes ----

func (r *reader) checkRoute(at places, v *Route, before []Route) {
	if !r.checkDestination(at, v.Prefix, len(v.Via) > 0, v.Interface) {
		return
	}
	for _, g := range v.Via {
		r.checkGateway(at, v.Prefix, g, v.Interface)
	}
	if v.Prefix.Addr().IsMulticast() {
		r.fault(at.of("to"), fmt.Sprintf("%s is multicast", v.Prefix), "a unicast destination", "groups need no route")
	}
	for _, b := range before {
		if b.Prefix == v.Prefix && b.Metric == v.Metric {
			r.fault(at.of("to"), fmt.Sprintf("%s with metric %d stands here a second time", v.Prefix, v.Metric),
				"each destination once per metric", "give one of them a higher metric, or put both gateways into one via")
		}
	}
}

func (r *reader) checkMulticastRoute(at places, v *rib.StaticRoute, before []rib.StaticRoute) {
	if !r.checkDestination(at, v.Prefix, v.Gateway.IsValid(), v.If) {
		return
	}
	if v.Gateway.IsValid() {
		r.checkGateway(at, v.Prefix, v.Gateway, v.If)
	}
	if v.Prefix.Addr().IsMulticast() {
		r.fault(at.of("to"), fmt.Sprintf("%s is multicast", v.Prefix), "the prefix of the sources, not of the groups",
			"write the subnet of the sources or of the RP")
	}
	for _, b := range before {
		if b.Prefix == v.Prefix && b.Distance == v.Distance {
			r.fault(at.of("to"), fmt.Sprintf("%s with distance %d stands here a second time", v.Prefix, v.Distance),
				"each prefix once per distance", "give one of them a higher distance")
		}
	}
}

// checkDestination checks that a route says where it goes.
func (r *reader) checkDestination(at places, to netip.Prefix, via bool, iface string) bool {
	if !to.IsValid() {
		r.fault(at.whole, "a route without a destination", "to: PREFIX", "")
		return false
	}
	if !via && iface == "" {
		r.fault(at.whole, fmt.Sprintf("the route to %s leads nowhere", to), "via: ADDRESS, interface: NAME or both", "")
		return false
	}
	return true
}

func (r *reader) checkGateway(at places, to netip.Prefix, via netip.Addr, iface string) {
	if engine.FamilyOf(to.Addr()) != engine.FamilyOf(via) {
		r.fault(at.of("via"), fmt.Sprintf("gateway %s and destination %s are of different families", via, to), "the same family", "")
	} else if via.IsLinkLocalUnicast() && iface == "" {
		r.fault(at.of("via"), fmt.Sprintf("gateway %s is link-local, on every link", via), "interface: NAME beside it", "")
	}
}

// ---- igmp, mld ----

func (r *reader) checkStaticGroup(at places, v *igmp.StaticGroup, before []igmp.StaticGroup) {
	if !v.Group.IsValid() {
		r.fault(at.whole, "a static group without a group", "group: ADDRESS", "")
	} else if slices.Contains(before, *v) {
		r.fault(at.whole, fmt.Sprintf("static group %s stands here a second time", v.Group), "each once", "remove one")
	}
}

func (r *reader) checkMembership(at places, v *igmp.InterfaceConfig, f engine.Family) {
	if !at.has("startup-query-interval") {
		v.StartupQueryInterval = v.QueryInterval / 4
	}
	if !at.has("startup-query-count") {
		v.StartupQueryCount = v.Robustness
	}
	last := "last-member-query-interval"
	longest := map[int]time.Duration{2: 25500 * time.Millisecond}[v.Version]
	if f == engine.IPv6 {
		last = "last-listener-query-interval"
		longest = map[int]time.Duration{1: 65535 * time.Millisecond}[v.Version]
	}
	count := "last-member-query-count"
	if f == engine.IPv6 {
		count = "last-listener-query-count"
	}
	if !at.has(count) {
		v.LastMemberQueryCount = v.Robustness
	}
	if !at.has("older-host-present") {
		v.OlderHostPresent = time.Duration(v.Robustness)*v.QueryInterval + v.QueryResponseInterval
	}
	const response = "query-response-interval"
	if at.good("query-interval", response) && v.QueryResponseInterval >= v.QueryInterval {
		r.fault(at.latest("query-interval", response),
			fmt.Sprintf("query-response-interval %s is not less than query-interval %s",
				printDuration(v.QueryResponseInterval), printDuration(v.QueryInterval)),
			"a shorter one (hosts answer before they are asked again)", "")
	}
	for name, d := range map[string]time.Duration{response: v.QueryResponseInterval, last: v.LastMemberQueryInterval} {
		if longest != 0 && d > longest && at.good(name, "version") {
			r.fault(at.latest(name, "version"), fmt.Sprintf("%s %s is too long for version %d", name, printDuration(d), v.Version),
				"at most "+printDuration(longest), "")
		}
	}
	// The times to answer in are made long enough by igmp itself.
	r.later = append(r.later, func(c *Config) {
		r.checkScaled(c, at, scaled{"query-interval", v.QueryInterval, time.Second})
	})
}

// scaled is a time that messages carry in whole units.
type scaled struct {
	name  string
	value time.Duration
	unit  time.Duration
}

// checkScaled checks that messages can say the time when the time scale has divided it.
func (r *reader) checkScaled(c *Config, at places, t scaled) {
	if !at.good(t.name) || c.scaled(t.value) >= t.unit || t.value < t.unit {
		return
	}
	r.fault(at.of(t.name), fmt.Sprintf("time-scale %g makes of %s %s only %s", c.TimeScale, t.name, printDuration(t.value), c.scaled(t.value)),
		"at least "+printDuration(t.unit)+" then, the shortest that a message can say", "lower time-scale or write a longer time")
}

// ---- pim ----

func (r *reader) checkPIMInterface(at places, v *PIMInterface) {
	const period, hold = "hello-period", "hello-holdtime"
	if !at.has(hold) {
		v.HelloHoldtime = v.HelloPeriod * 7 / 2
	}
	if at.good(period, hold) && v.HelloHoldtime < v.HelloPeriod {
		r.fault(at.latest(period, hold), fmt.Sprintf("hello-holdtime %s is less than hello-period %s",
			printDuration(v.HelloHoldtime), printDuration(v.HelloPeriod)), "at least hello-period, better 3.5 times it",
			"write "+printDuration(v.HelloPeriod*7/2)+", or leave it out")
	}
	r.later = append(r.later, func(c *Config) {
		r.checkScaled(c, at, scaled{hold, v.HelloHoldtime, time.Second})
	})
}

func (r *reader) checkPIM(at places, v *PIM, f engine.Family) {
	const suppression, probe, assert, override = "register-suppression-time", "register-probe-time", "assert-time", "assert-override-interval"
	// RFC 7761, section 4.4.1: the Register-Stop timer is 0.5 to 1.5 times the one less the other.
	if at.good(suppression, probe) && v.RegisterProbe*2 >= v.RegisterSuppression {
		r.fault(at.latest(suppression, probe), fmt.Sprintf("register-probe-time %s is not less than half of register-suppression-time %s",
			printDuration(v.RegisterProbe), printDuration(v.RegisterSuppression)), "less than half of it", "")
	}
	if at.good(assert, override) && v.AssertOverride >= v.AssertTime {
		r.fault(at.latest(assert, override), fmt.Sprintf("assert-override-interval %s is not less than assert-time %s",
			printDuration(v.AssertOverride), printDuration(v.AssertTime)), "a shorter one", "")
	}
	r.checkDense(at, &v.Dense)
	if at.good("rp", "ssm") {
		for _, rp := range v.RPs {
			for _, g := range rp.Groups {
				if i := slices.IndexFunc(v.SSM, func(s netip.Prefix) bool { return s.Overlaps(g) && s.Bits() <= g.Bits() }); i >= 0 {
					r.fault(at.of("rp"), fmt.Sprintf("RP %s serves %s, which is source-specific (ssm %s) and needs none", rp.Address, g, v.SSM[i]),
						"groups outside of ssm", "remove "+g.String()+", or change ssm")
				}
			}
		}
	}
	r.later = append(r.later, func(c *Config) {
		r.checkScaled(c, at, scaled{"join-prune-period", v.JoinPrunePeriod * 7 / 2, time.Second})
		r.checkScaled(c, at, scaled{assert, v.AssertTime, time.Second})
	})
}

func (r *reader) checkRP(at places, v *pimsm.StaticRP, before []pimsm.StaticRP, f engine.Family) {
	if !v.Address.IsValid() {
		r.fault(at.whole, "an RP without an address", "address: ADDRESS", "")
		return
	}
	if len(v.Groups) == 0 {
		v.Groups = []netip.Prefix{AllGroups(f)}
	}
	for i, g := range v.Groups {
		if slices.Contains(v.Groups[:i], g) {
			r.fault(at.of("groups"), fmt.Sprintf("groups %s stand here twice", g), "each prefix once", "")
			continue
		}
		for _, b := range before {
			if slices.Contains(b.Groups, g) {
				r.fault(at.of("groups"), fmt.Sprintf("groups %s have RP %s already", g, b.Address), "one RP for each prefix",
					"remove one, or divide the groups between them")
			}
		}
	}
}

func (r *reader) checkAnycast(at places, v *pimsm.AnycastRP, before []pimsm.AnycastRP) {
	switch {
	case !v.Address.IsValid():
		r.fault(at.whole, "an Anycast-RP set without the RP's address", "address: ADDRESS", "")
	case slices.ContainsFunc(before, func(b pimsm.AnycastRP) bool { return b.Address == v.Address }):
		r.fault(at.of("address"), fmt.Sprintf("RP %s has a set already", v.Address), "one set for each RP", "put all members into one list")
	case slices.Contains(v.Members, v.Address):
		r.fault(at.of("members"), fmt.Sprintf("member %s is the RP's address", v.Address), "addresses that one router alone has",
			"all members have the RP's address, so they cannot speak to each other by it")
	case len(v.Members) < 2:
		r.fault(at.whole, "an Anycast-RP set of fewer than two members", "members: [ADDRESS, ADDRESS ...], this router among them", "")
	}
}

func (r *reader) checkFilter(at places, v *pimsm.RegisterFilter, f engine.Family) {
	if !v.Source.IsValid() {
		r.fault(at.whole, "a filter without sources", "source: PREFIX", "")
		return
	}
	if v.Source.Addr().IsMulticast() {
		r.fault(at.of("source"), fmt.Sprintf("source %s is multicast", v.Source), "a unicast prefix", "")
	}
	if !v.Group.IsValid() {
		v.Group = AllGroups(f)
	}
}
