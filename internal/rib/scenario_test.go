package rib_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"grove/internal/engine"
	"grove/internal/rib"
	"grove/internal/script"
)

// TestScenarios runs testdata/*.txt. The commands:
//
//	family ipv4|ipv6
//	if N NAME up|down|nocarrier ADDR/LEN...       ifgone N
//	route PREFIX METRIC ORIGIN HOP...             a HOP is GATEWAY@N, @N, GATEWAY; none: blackhole
//	noroute PREFIX METRIC
//	learn WHO PREFIX METRIC HOP...                unlearn WHO PREFIX
//	bgp ibgp|ebgp NEIGHBOR AS,AS PREFIX HOP...    likewise, of BGP; after each "or" the next best: or ibgp|ebgp NEIGHBOR AS,AS HOP...
//	mode NAME                                     collected for the next configure
//	mroute PREFIX NAME|- GATEWAY|- DISTANCE       collected for the next configure
//	distance ORIGIN D                             likewise
//	configure
//	track WHO ADDR      untrack WHO ADDR
//	settle
//	rpf [ADDR]          routes          counts
func TestScenarios(t *testing.T) {
	script.Run(t, "testdata/*.txt", func(t *testing.T) func([]string) string {
		return (&interpreter{t: t, family: engine.IPv4}).run
	})
}

type interpreter struct {
	t      *testing.T
	family engine.Family
	m      *rib.Machine
	cfg    rib.Config
	query  uint64
}

func (in *interpreter) run(w []string) string {
	if w[0] == "family" {
		in.family = engine.IPv6
		return ""
	}
	if in.m == nil {
		in.m = rib.New(engine.MachineID{Protocol: engine.RIB, Family: in.family})
	}
	var ev engine.Event
	switch w[0] {
	case "if":
		ev = engine.InterfaceChange{Interface: in.iface(w)}
	case "ifgone":
		ev = engine.InterfaceChange{Interface: engine.Interface{ID: in.id(w[1])}, Gone: true}
	case "route":
		r := engine.RouteChange{Prefix: in.prefix(w[1]), Metric: in.number(w[2]), Origin: w[3]}
		for _, h := range w[4:] {
			r.Hops = append(r.Hops, in.hop(h))
		}
		ev = r
	case "noroute":
		ev = engine.RouteChange{Prefix: in.prefix(w[1]), Metric: in.number(w[2]), Gone: true}
	case "learn":
		r := engine.MRIBRoute{From: who(w[1], in.family), Prefix: in.prefix(w[2]), Metric: in.number(w[3])}
		for _, h := range w[4:] {
			r.Hops = append(r.Hops, in.hop(h))
		}
		ev = r
	case "bgp":
		r := engine.MRIBRoute{From: who("bgp", in.family), Prefix: in.prefix(w[4])}
		w = slices.Delete(w, 4, 5)
		for first := true; len(w) > 0; first = false {
			end := len(w)
			if i := slices.Index(w[1:], "or"); i >= 0 {
				end = i + 1
			}
			var one engine.MRIBAlternative
			one.BGP = &engine.BGPPath{Internal: w[1] == "ibgp", Neighbor: netip.MustParseAddr(w[2])}
			for _, as := range strings.Split(w[3], ",") {
				one.BGP.ASPath = append(one.BGP.ASPath, in.number(as))
			}
			for _, h := range w[4:end] {
				one.Hops = append(one.Hops, in.hop(h))
			}
			if first {
				r.Hops, r.BGP = one.Hops, one.BGP
			} else {
				r.Others = append(r.Others, one)
			}
			w = w[end:]
		}
		ev = r
	case "unlearn":
		ev = engine.MRIBRoute{From: who(w[1], in.family), Prefix: in.prefix(w[2]), Gone: true}
	case "mroute":
		s := rib.StaticRoute{Prefix: in.prefix(w[1]), Distance: in.number(w[4])}
		if w[2] != "-" {
			s.If = w[2]
		}
		if w[3] != "-" {
			s.Gateway = netip.MustParseAddr(w[3])
		}
		in.cfg.Static = append(in.cfg.Static, s)
		return ""
	case "mode":
		mode, ok := rib.ParseMode(w[1])
		if !ok {
			in.t.Fatalf("no mode %s", w[1])
		}
		in.cfg.Mode = mode
		return ""
	case "distance":
		in.cfg.Distances = map[string]uint32{w[1]: in.number(w[2])}
		return ""
	case "configure":
		ev = engine.Configure{Config: in.cfg}
		in.cfg = rib.Config{}
	case "track":
		ev = engine.Track{From: who(w[1], in.family), Addr: netip.MustParseAddr(w[2])}
	case "untrack":
		ev = engine.Untrack{From: who(w[1], in.family), Addr: netip.MustParseAddr(w[2])}
	case "settle":
		ev = engine.Settled{}
	case "rpf", "routes", "counts":
		in.query++
		ev = engine.Query{ID: in.query, What: w[0], Arg: strings.Join(w[1:], "")}
	default:
		in.t.Fatalf("unknown command %q", w[0])
	}
	var b strings.Builder
	for _, e := range in.m.Step(time.Unix(0, 0), ev) {
		b.WriteString(print(e))
	}
	return b.String()
}

func who(name string, f engine.Family) engine.MachineID {
	return engine.MachineID{Protocol: engine.Protocol(name), Family: f}
}

func (in *interpreter) iface(w []string) engine.Interface {
	i := engine.Interface{ID: in.id(w[1]), Name: w[2], Up: w[3] != "down", Carrier: w[3] == "up"}
	for _, a := range w[4:] {
		i.Addrs = append(i.Addrs, in.prefix(a))
	}
	return i
}

func (in *interpreter) hop(s string) engine.NextHop {
	h := engine.NextHop{Weight: 1}
	gateway, id, _ := strings.Cut(s, "@")
	if gateway != "" {
		h.Gateway = netip.MustParseAddr(gateway)
	}
	if id != "" {
		h.If = in.id(id)
	}
	return h
}

func (in *interpreter) prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }
func (in *interpreter) id(s string) engine.IfID      { return engine.IfID(in.number(s)) }

func (in *interpreter) number(s string) uint32 {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		in.t.Fatal(err)
	}
	return uint32(n)
}

func print(e engine.Effect) string {
	switch e := e.(type) {
	case engine.Path:
		var hops []string
		for _, h := range e.Hops {
			hops = append(hops, hopText(h.Gateway, fmt.Sprint(h.If)))
		}
		text := fmt.Sprintf("to %v: %v %s", e.To, e.Addr, pathText(e.Reachable(), e.Local, e.Prefix, e.Origin, e.Distance, e.Metric, hops))
		if e.BGP != nil {
			text += fmt.Sprintf(" (of %v, AS path %v)", e.BGP.Neighbor, e.BGP.ASPath)
		}
		return text + "\n"
	case engine.Answer:
		if e.Err != "" {
			return e.Err + "\n"
		}
		switch v := e.Value.(type) {
		case rib.RPF:
			text := rpfText(v)
			for _, r := range v.Considered {
				text += "  considered: " + routeText(r)
			}
			return text
		case []rib.RPF:
			var b strings.Builder
			for _, r := range v {
				b.WriteString(rpfText(r))
			}
			return b.String()
		case []rib.Route:
			var b strings.Builder
			for _, r := range v {
				b.WriteString(routeText(r))
			}
			return b.String()
		}
		return fmt.Sprintf("%+v\n", e.Value)
	}
	return fmt.Sprintf("%T %+v\n", e, e)
}

func pathText(reachable, local bool, p netip.Prefix, origin string, distance, metric uint32, hops []string) string {
	switch {
	case local:
		return "local, " + strings.Join(hops, " ")
	case !reachable:
		return "unreachable"
	}
	return fmt.Sprintf("by %v %s [%d/%d] %s", p, origin, distance, metric, strings.Join(hops, " "))
}

func hopText(gateway netip.Addr, where string) string {
	if !gateway.IsValid() {
		return "on " + where
	}
	return fmt.Sprintf("via %v on %s", gateway, where)
}

func rpfText(r rib.RPF) string {
	return fmt.Sprintf("%v %s: %s %v\n", r.Addr, pathText(r.Reachable, r.Local, r.Prefix, r.Origin, r.Distance, r.Metric, hopTexts(r.Hops)), r.Why, r.TrackedBy)
}

func routeText(r rib.Route) string {
	return fmt.Sprintf("%v %s [%d/%d] %s %s\n", r.Prefix, r.Origin, r.Distance, r.Metric, strings.Join(hopTexts(r.Hops), " "), r.Note)
}

func hopTexts(hops []rib.Hop) []string {
	var out []string
	for _, h := range hops {
		out = append(out, hopText(h.Gateway, h.Interface))
	}
	return out
}
