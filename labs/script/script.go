package script

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// Script is script.yml: what happens in a lab, and what must be true.
type Script struct {
	Title string `yaml:"title"`
	Steps []Step `yaml:"steps"`

	bgp map[string]map[string][]BGPRoute // by file, what BGP brings the routers, by node
}

// Step is a few actions and the checks that become true by them.
type Step struct {
	Name   string        `yaml:"name"`   // one sentence for the person at the terminal
	Do     []Action      `yaml:"do"`     // all at once, in order
	Until  []Check       `yaml:"until"`  // the step is over when all of these are true
	Check  []Check       `yaml:"check"`  // then these must be true as well
	Within time.Duration `yaml:"within"` // the longest that until may take; default 10 s
	Show   []Flow        `yaml:"show"`   // draw the tree of these at the end of the step
	// Quiet leaves the step's transitions out of what is printed: there are hundreds.
	Quiet bool `yaml:"quiet"`
}

// defaultWithin is how long a step may take if it does not say.
const defaultWithin = 10 * time.Second

// What a sender sends if the script does not say.
const (
	defaultTTL  = 64
	defaultSize = 100
)

// Flow is a source and a group; without a source it is the shared tree's (*,G).
type Flow struct {
	Source netip.Addr `yaml:"source"`
	Group  netip.Addr `yaml:"group"`
}

// Action is one thing that happens. Exactly one field is set.
type Action struct {
	Join  *Membership `yaml:"join"`
	Leave *Membership `yaml:"leave"`
	Send  *Send       `yaml:"send"`
	Stop  *Send       `yaml:"stop"`
	Cut   string      `yaml:"cut"`  // a link, "r3-r5": both ends go down
	Heal  string      `yaml:"heal"` // both ends come up again

	Reload *Reload `yaml:"reload"` // a router gets another configuration: timers, addresses, routes ...

	// BGPRoutes names the file that says what BGP brings the routers from now on, by the configurations that they have now.
	BGPRoutes string `yaml:"bgp-routes"`
}

// Reload gives a node the configuration in another file of the lab's folder.
type Reload struct {
	Node   string `yaml:"node"`
	Config string `yaml:"config"`
}

// Membership is a host that joins or leaves a group, or one source of it.
type Membership struct {
	Host   string     `yaml:"host"`
	Group  netip.Addr `yaml:"group"`
	Source netip.Addr `yaml:"source"`
}

// Send is a host that sends to a group until it is stopped.
type Send struct {
	Host   string     `yaml:"host"`
	Group  netip.Addr `yaml:"group"`
	Groups int        `yaml:"groups"` // so many, in a row from group on; default 1
	Rate   int        `yaml:"rate"`   // packets a second, to each
	TTL    int        `yaml:"ttl"`    // default 64
	Size   int        `yaml:"size"`   // bytes of the IP packet; default 100
}

// maxGroups is how many groups one action may send to.
const maxGroups = 1000

// Check is one thing that must be true. Exactly one field is set.
type Check struct {
	Neighbors  *NeighborsCheck  `yaml:"neighbors"`
	Route      *RouteCheck      `yaml:"route"`
	Entry      *EntryCheck      `yaml:"entry"`
	Gone       *EntryCheck      `yaml:"gone"`
	Tree       *TreeCheck       `yaml:"tree"`
	Received   *ReceivedCheck   `yaml:"received"`
	Transition *TransitionCheck `yaml:"transition"`
	Links      *LinksCheck      `yaml:"links"`
	BGP        *BGPCheck        `yaml:"bgp"`
	RPF        *RPFCheck        `yaml:"rpf"`
	MSDPPeer   *MSDPPeerCheck   `yaml:"msdp-peer"`
	SA         *SACheck         `yaml:"sa"`
	PeerRPF    *PeerRPFCheck    `yaml:"peer-rpf"`
	RP         *RPCheck         `yaml:"rp"`
	BSR        *BSRCheck        `yaml:"bsr"`
	Warning    *WarningCheck    `yaml:"warning"`
}

// WarningCheck: a router has written a warning into its log that holds this text. Such warnings are what the lab wants: they
// do not count as those of the run.
type WarningCheck struct {
	Node string `yaml:"node"`
	Text string `yaml:"text"`
}

// NeighborsCheck: a router has exactly so many neighbors of a family, of PIM or two-way ones of DVMRP, and these run on all
// interfaces where they are to.
type NeighborsCheck struct {
	Node  string `yaml:"node"`
	Count int    `yaml:"count"`
	IPv6  bool   `yaml:"ipv6"`
}

// RouteCheck: a router has a DVMRP route, and what is said of it is so.
type RouteCheck struct {
	Node       string       `yaml:"node"`
	Prefix     netip.Prefix `yaml:"prefix"`
	State      string       `yaml:"state"`      // connected, redistributed, learned, hold-down or unreachable
	Metric     int          `yaml:"metric"`     // 32: not reachable; not said: any
	Via        netip.Addr   `yaml:"via"`        // the upstream router
	Dependents string       `yaml:"dependents"` // the routers that depend on this one, all of them: "10.0.1.1 10.0.2.2", or none
}

// EntryCheck: a router has an entry, and what is said of it is so.
type EntryCheck struct {
	Node     string     `yaml:"node"`
	Group    netip.Addr `yaml:"group"`
	Source   netip.Addr `yaml:"source"`
	In       string     `yaml:"in"`       // incoming interface
	Out      *[]string  `yaml:"out"`      // outgoing interfaces, all of them
	Upstream string     `yaml:"upstream"` // Joined or NotJoined
	Register string     `yaml:"register"` // NoInfo, Join, Prune, JoinPending
	SPT      *bool      `yaml:"spt"`      // the SPTbit
}

// TreeCheck: the forwarding entries of all routers together are this tree.
type TreeCheck struct {
	Flow `yaml:",inline"`
	// Is lists the tree's edges, "r1>r3 r3>r5 r5>h3", in any order. A chain may be written as one: "r1>r3>r5>h3".
	Is string `yaml:"is"`
}

// ReceivedCheck: what a member has received since it joined, by sequence number.
type ReceivedCheck struct {
	Host       string     `yaml:"host"`
	Group      netip.Addr `yaml:"group"`
	AtLeast    int        `yaml:"at-least"`   // packets
	AtMost     *int       `yaml:"at-most"`    // packets; not said: any
	New        int        `yaml:"new"`        // packets since the step began
	Lost       *int       `yaml:"lost"`       // at most; not said: any
	Duplicates *int       `yaml:"duplicates"` // at most; not said: any
	// NewLost is how many may have been lost since the step began; not said: any.
	NewLost *int `yaml:"new-lost"`
	// NewDuplicates is how many duplicates may have come since the step began; not said: any.
	NewDuplicates *int `yaml:"new-duplicates"`
	// FirstWithin is the longest time from the join to the first packet: of a graft, if the source was sending.
	FirstWithin time.Duration `yaml:"first-within"`
}

// LinksCheck: which links carried the packets of a flow, and how often. Without a source it is about all sources of the
// group. Packets in tunnels and in Registers do not count as theirs.
type LinksCheck struct {
	Flow `yaml:",inline"`
	// For is how far back the check looks; all of that time must be in this step. Not said: since the step began.
	For     time.Duration `yaml:"for"`
	Carried string        `yaml:"carried"`  // links that carried packets: "r1-r2 lan"
	AtLeast int           `yaml:"at-least"` // so many different packets on each of those; default 1
	Copies  int           `yaml:"copies"`   // no packet was put on one of those more often; not said: any
	Senders int           `yaml:"senders"`  // so many nodes put packets on each of those; not said: any
	By      string        `yaml:"by"`       // only these nodes did; not said: any
	Silent  string        `yaml:"silent"`   // links that carried no packet; "rest": all that carried does not name
}

// TransitionCheck: such a transition happened since the step began. Empty fields match anything.
type TransitionCheck struct {
	Never  bool       `yaml:"never"` // none such happened
	Node   string     `yaml:"node"`
	Entity string     `yaml:"entity"` // "assert (S,G)", or "assert" for those of (S,G) and (*,G)
	Source netip.Addr `yaml:"source"`
	Group  netip.Addr `yaml:"group"`
	Old    string     `yaml:"old"`
	New    string     `yaml:"new"`
}

// ReadScript reads script.yml in dir and checks it against the topology.
func ReadScript(dir fs.FS, t *Topology) (*Script, error) {
	const name = "script.yml"
	data, err := fs.ReadFile(dir, name)
	if err != nil {
		return nil, err
	}
	var s Script
	if err := yaml.UnmarshalWithOptions(data, &s, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	first, err := ReadBGP(dir, t)
	if err != nil {
		return nil, err
	}
	s.bgp = map[string]map[string][]BGPRoute{bgpFile: first}
	listed := bgpFile // the file that counts
	var faults []error
	fault := func(step int, format string, args ...any) {
		faults = append(faults, fmt.Errorf("%s: step %d (%s): %s", name, step+1, s.Steps[step].Name, fmt.Sprintf(format, args...)))
	}
	nodes := map[string]bool{}
	for _, n := range t.Nodes {
		nodes[n.Name] = true
	}
	for i := range s.Steps {
		step := &s.Steps[i]
		if step.Within == 0 {
			step.Within = defaultWithin
		}
		if step.Name == "" {
			fault(i, "a step needs a name: one sentence that says what the person sees")
		}
		for _, a := range step.Do {
			if n := a.count(); n != 1 {
				fault(i, "an action is one of join, leave, send, stop, cut, heal, reload, bgp-routes; found %d", n)
			}
			if a.BGPRoutes != "" {
				listed = a.BGPRoutes
				if s.bgp[listed], err = ReadBGPFile(dir, listed, t); err != nil {
					fault(i, "%v", err)
				}
			}
			for _, link := range []string{a.Cut, a.Heal} {
				if link != "" {
					if _, err := t.Link(link); err != nil {
						fault(i, "%v", err)
					}
				}
			}
			if host, group := a.target(); host != "" || group.IsValid() {
				if !nodes[host] {
					fault(i, "there is no node %q in the topology", host)
				}
				if !group.IsMulticast() {
					fault(i, "%v is not a multicast group", group)
				}
			}
			if a.Reload != nil && !nodes[a.Reload.Node] {
				fault(i, "there is no node %q in the topology", a.Reload.Node)
			}
			if a.Send != nil && a.Send.TTL == 0 {
				a.Send.TTL = defaultTTL
			}
			if a.Send != nil && a.Send.Size == 0 {
				a.Send.Size = defaultSize
			}
			for _, many := range []*Send{a.Send, a.Stop} {
				if many != nil && many.Groups == 0 {
					many.Groups = 1
				}
				if many != nil && (many.Groups < 1 || many.Groups > maxGroups) {
					fault(i, "groups %d: expected 1 to %d", many.Groups, maxGroups)
				}
			}
			if a.Send != nil && (a.Send.Rate < 1 || a.Send.Rate > 10000) {
				fault(i, "send: rate %d: expected 1 to 10000 packets a second", a.Send.Rate)
			}
		}
		for _, c := range append(append([]Check(nil), step.Until...), step.Check...) {
			if n := c.count(); n != 1 {
				fault(i, "a check is one of neighbors, route, entry, gone, tree, received, transition, links, bgp, rpf, msdp-peer, sa, peer-rpf, rp, bsr, warning; found %d", n)
			}
			for _, node := range c.nodes() {
				if !nodes[node] {
					fault(i, "there is no node %q in the topology", node)
				}
			}
			if c.RP != nil && c.RP.fault() != "" {
				fault(i, "%s", c.RP.fault())
			}
			if c.BSR != nil && c.BSR.fault() != "" {
				fault(i, "%s", c.BSR.fault())
			}
			if c.BGP != nil && len(s.bgp[listed][c.BGP.Node]) == 0 {
				fault(i, "bgp: %s has no routes of BGP: expected some in %s", c.BGP.Node, listed)
			}
			if c.SA != nil && (!c.SA.Source.IsValid() || !c.SA.Group.IsValid()) && (c.SA.Count == nil || !c.SA.RP.IsValid()) {
				fault(i, "sa: expected source and group, or rp and count")
			}
			if c.Warning != nil && c.Warning.Text == "" {
				fault(i, "warning: expected text: a part of what the log says")
			}
			if c.Links != nil {
				if wrong := c.Links.fault(t); wrong != "" {
					fault(i, "%s", wrong)
				}
			}
			if c.Tree != nil {
				if _, err := parseEdges(c.Tree.Is); err != nil {
					fault(i, "%v", err)
				}
			}
		}
	}
	return &s, errors.Join(faults...)
}

// countsLinks says whether a check asks which links carried packets.
func (s *Script) countsLinks() bool {
	for i := range s.Steps {
		for _, list := range [][]Check{s.Steps[i].Until, s.Steps[i].Check} {
			if slices.ContainsFunc(list, func(c Check) bool { return c.Links != nil }) {
				return true
			}
		}
	}
	return false
}

// Link returns the link that "r3-r5" names.
func (t *Topology) Link(name string) (Link, error) {
	a, b, ok := strings.Cut(name, "-")
	if ok {
		for _, l := range t.Links {
			if l.A.Node == a && l.B.Node == b || l.A.Node == b && l.B.Node == a {
				return l, nil
			}
		}
	}
	return Link{}, fmt.Errorf("there is no link %q in the topology: expected NODE-NODE", name)
}

func (a *Action) count() int {
	return truths(a.Join != nil, a.Leave != nil, a.Send != nil, a.Stop != nil, a.Cut != "", a.Heal != "",
		a.Reload != nil, a.BGPRoutes != "")
}

// target returns the host and the group of the actions that have them.
func (a *Action) target() (string, netip.Addr) {
	switch {
	case a.Join != nil:
		return a.Join.Host, a.Join.Group
	case a.Leave != nil:
		return a.Leave.Host, a.Leave.Group
	case a.Send != nil:
		return a.Send.Host, a.Send.Group
	case a.Stop != nil:
		return a.Stop.Host, a.Stop.Group
	}
	return "", netip.Addr{}
}

// each returns the action for each of its groups.
func (a Action) each() []Action {
	of := a.Send
	if of == nil {
		of = a.Stop
	}
	if of == nil {
		return []Action{a}
	}
	var list []Action
	for group := of.Group; len(list) < max(of.Groups, 1); group = group.Next() {
		one := *of
		one.Group = group
		if a.Send != nil {
			list = append(list, Action{Send: &one})
		} else {
			list = append(list, Action{Stop: &one})
		}
	}
	return list
}

func (c *Check) count() int {
	return truths(c.Neighbors != nil, c.Route != nil, c.Entry != nil, c.Gone != nil, c.Tree != nil, c.Received != nil, c.Transition != nil,
		c.Links != nil, c.BGP != nil, c.RPF != nil, c.MSDPPeer != nil, c.SA != nil, c.PeerRPF != nil, c.RP != nil, c.BSR != nil, c.Warning != nil)
}

// nodes returns the routers and hosts that a check asks.
func (c *Check) nodes() []string {
	switch {
	case c.RP != nil:
		return c.RP.Nodes
	case c.BSR != nil:
		return c.BSR.Nodes
	}
	if node := c.node(); node != "" {
		return []string{node}
	}
	return nil
}

func (c *Check) node() string {
	switch {
	case c.Neighbors != nil:
		return c.Neighbors.Node
	case c.Route != nil:
		return c.Route.Node
	case c.Entry != nil:
		return c.Entry.Node
	case c.Gone != nil:
		return c.Gone.Node
	case c.Received != nil:
		return c.Received.Host
	case c.Transition != nil:
		return c.Transition.Node
	case c.BGP != nil:
		return c.BGP.Node
	case c.RPF != nil:
		return c.RPF.Node
	case c.MSDPPeer != nil:
		return c.MSDPPeer.Node
	case c.SA != nil:
		return c.SA.Node
	case c.PeerRPF != nil:
		return c.PeerRPF.Node
	case c.Warning != nil:
		return c.Warning.Node
	}
	return ""
}

func truths(list ...bool) (n int) {
	for _, b := range list {
		if b {
			n++
		}
	}
	return n
}
