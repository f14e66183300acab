package invariant

import (
	"slices"
	"time"

	"grove/labs/sim"
)

// How long Play waits.
const (
	start  = 45 * time.Second  // Hellos, elections, first queries
	churn  = 150 * time.Second // joins, leaves, sources, failures and restarts at random
	rest   = 330 * time.Second // the longest timers: what vanished is forgotten
	quick  = 40 * time.Second  // what is triggered is over
	window = 5 * time.Second   // of observation
	forget = 700 * time.Second // keepalive, then Joins and Registers, are over
)

// Moment is a point of the play and the violations found there.
type Moment struct {
	Name  string
	At    time.Duration
	Found []Violation
}

// Play lets things happen to the network, checks the invariants at several moments, and returns those at which some do
// not hold: the first alone, or all.
func (n *Network) Play(all bool) []Moment {
	steps := n.playSparse()
	switch {
	case n.domains != nil:
		steps = n.playDomains()
	case n.candidates != nil:
		steps = n.playBSR()
	case n.dense():
		steps = n.playDense()
	}
	var moments []Moment
	faults := 0
	for _, s := range steps {
		m := Moment{Name: s.name, Found: s.do(), At: n.Now()}
		for _, f := range n.Faults()[faults:] {
			m.Found = append(m.Found, Violation{"fault", f.String()})
		}
		faults = len(n.Faults())
		if len(m.Found) > 0 {
			moments = append(moments, m)
			if !all {
				break
			}
		}
	}
	return moments
}

// step is a part of a play, and what is wrong at its end.
type step struct {
	name string
	do   func() []Violation
}

func (n *Network) playSparse() []step {
	return []step{
		{"at rest after joins, leaves, failures and restarts", func() []Violation {
			n.Run(start)
			n.churn()
			n.Run(rest)
			return Delivery(n.Sim, n.Sources, window, Settled)
		}},
		{"after joins and leaves", func() []Violation {
			for range 4 {
				n.join()
				n.leave()
				n.Run(time.Second)
			}
			n.Run(quick)
			return Delivery(n.Sim, n.Sources, window, Recent)
		}},
		{"after a failure", func() []Violation {
			n.cutLine()
			n.Run(quick)
			return only(Delivery(n.Sim, n.Sources, window, Recent), "loop", "black hole")
		}},
		{"after everyone left", func() []Violation {
			n.Run(rest)
			for len(n.members()) > 0 {
				n.leave()
			}
			n.Run(quick)
			return append(Delivery(n.Sim, n.Sources, window, Recent), NoJoins(n.Sim)...)
		}},
		{"after everyone fell silent", func() []Violation {
			for _, s := range n.Sources {
				s.Stop()
			}
			n.Run(forget)
			return NoState(n.Sim)
		}},
	}
}

// only keeps the violations of the named invariants.
func only(found []Violation, names ...string) []Violation {
	return slices.DeleteFunc(found, func(v Violation) bool { return !slices.Contains(names, v.Invariant) })
}

// churn starts some members and sources, and then does something at random every few seconds.
func (n *Network) churn() {
	for range 3 {
		n.join()
		n.send()
	}
	lossy := n.rng.IntN(3) == 0 // messages are lost, too, and everyone relies on repetition
	for _, l := range n.Links() {
		if lossy {
			l.SetLoss(0.05)
		}
	}
	for end := n.Now() + churn; n.Now() < end; {
		kinds := 11
		if n.domains != nil || n.candidates != nil {
			kinds = 13
		}
		switch n.rng.IntN(kinds) {
		case 0, 1, 2:
			n.join()
		case 3, 4:
			n.leave()
		case 5:
			n.send()
		case 6:
			n.silence()
		case 7, 8:
			n.cut()
		case 9:
			n.heal()
		case 10:
			n.Routers[n.rng.IntN(len(n.Routers))].Router().Restart()
		case 11:
			if n.domains != nil {
				n.shutPeering()
			} else {
				n.retireSome()
			}
		case 12:
			if n.domains != nil {
				n.openPeerings()
			} else {
				n.returnSome()
			}
		}
		n.Run(time.Duration(1+n.rng.IntN(10)) * time.Second)
	}
	for _, l := range n.Links() {
		l.SetLoss(0)
	}
	if len(n.members()) == 0 {
		n.join()
	}
	if !slices.ContainsFunc(n.Sources, (*sim.Source).Running) {
		n.send()
	}
}

func (n *Network) members() []*sim.Member {
	var all []*sim.Member
	for _, h := range n.Hosts {
		all = append(all, h.Host().Members()...)
	}
	return all
}

// join makes a host a member of a group that it is not in yet.
func (n *Network) join() {
	host := n.rng.IntN(len(n.Hosts))
	h := n.Hosts[host].Host()
	i := n.rng.IntN(len(n.Groups))
	if n.older[host] {
		i = n.rng.IntN(len(n.Groups) - 1)
	}
	g := n.Groups[i]
	if slices.ContainsFunc(h.Members(), func(m *sim.Member) bool { return m.Group == g }) {
		return
	}
	if i < len(n.Groups)-1 {
		h.Join("eth0", g)
		return
	}
	source := n.Hosts[n.rng.IntN(len(n.Hosts))]
	h.Join("eth0", g, source.Port("eth0").Addr(n.Family))
}

func (n *Network) leave() {
	if all := n.members(); len(all) > 0 {
		all[n.rng.IntN(len(all))].Leave()
	}
}

// send makes a host send to a group, or again if it was silenced.
func (n *Network) send() {
	h := n.Hosts[n.rng.IntN(len(n.Hosts))]
	g := n.Groups[n.rng.IntN(len(n.Groups))]
	for _, s := range n.Sources {
		if s.Node() == h && s.Key().Group == g {
			s.Start()
			return
		}
	}
	n.Sources = append(n.Sources, h.AddSource(sim.SourceOptions{If: "eth0", Group: g}))
}

func (n *Network) silence() {
	if len(n.Sources) > 0 {
		n.Sources[n.rng.IntN(len(n.Sources))].Stop()
	}
}

// cut takes a link of two down, or a router off a LAN, unless that divides the network.
func (n *Network) cut() {
	if n.rng.IntN(3) > 0 || len(n.lans) == 0 {
		n.cutLine()
		return
	}
	l := n.lans[n.rng.IntN(len(n.lans))]
	p := l.Ports()[n.rng.IntN(len(l.Ports()))]
	if p.Node().Router() == nil || !p.Up() {
		return
	}
	p.SetUp(false)
	if !n.connected() {
		p.SetUp(true)
	}
}

func (n *Network) cutLine() {
	for range 5 {
		l := n.lines[n.rng.IntN(len(n.lines))]
		if !l.Up() {
			continue
		}
		l.SetUp(false)
		if n.connected() {
			return
		}
		l.SetUp(true)
	}
}

func (n *Network) heal() {
	for _, l := range n.lines {
		if n.rng.IntN(2) == 0 {
			l.SetUp(true)
		}
	}
	for _, l := range n.lans {
		for _, p := range l.Ports() {
			if n.rng.IntN(2) == 0 {
				p.SetUp(true)
			}
		}
	}
}

// connected says whether every router and every host reaches every other, and those of a domain without leaving it.
func (n *Network) connected() bool {
	if n.domains != nil {
		for _, d := range n.domains.list {
			all := slices.Concat(n.nodes(d.routers, n.Routers), n.nodes(d.hosts, n.Hosts))
			if !n.reaches(all) {
				return false
			}
		}
	}
	return n.reaches(slices.Concat(n.Routers, n.Hosts))
}

// reaches says whether the first of some nodes, a router, reaches all others over no routers but them.
func (n *Network) reaches(all []*sim.Node) bool {
	seen := map[*sim.Node]bool{all[0]: true}
	todo := []*sim.Node{all[0]}
	for len(todo) > 0 {
		at := todo[0]
		todo = todo[1:]
		if at.Host() != nil {
			continue // hosts forward nothing
		}
		for _, p := range at.Ports() {
			if p.Link() == nil || !p.Up() {
				continue
			}
			for _, q := range p.Link().Ports() {
				if q.Up() && !seen[q.Node()] && slices.Contains(all, q.Node()) {
					seen[q.Node()] = true
					todo = append(todo, q.Node())
				}
			}
		}
	}
	return len(seen) == len(all)
}
