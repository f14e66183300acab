package invariant

import (
	"net/netip"
	"slices"
	"time"

	"grove/internal/engine"
	"grove/labs/sim"
	"grove/msdp"
)

// This file is what must be true of MSDP (RFC 3618) between the domains of a network at rest:
//
//   - unknown: every router that speaks MSDP knows of every active source of every domain, as of one RP
//   - flood: a message comes once in an SA-Advertisement-Period over a connection, is taken from one peer, and one that came
//     from a member of a mesh group does not go on to another
//   - loop: whoever tells of a source has it from someone nearer to its RP
//   - first packet: members in other domains get the first packet of a new source, once

const (
	advertised = 60 * time.Second          // SA-Advertisement-Period
	saState    = 150 * time.Second         // SG-State-Period
	saWindow   = advertised * 3 / 2        // of observation: everyone is told of a source once, or twice
	soon       = 3 * time.Second           // what is told of a new source is everywhere
	reconnect  = (75 + 2*30) * time.Second // HoldTime-Period, and two attempts to connect
)

func (n *Network) playDomains() []step {
	steps := n.playSparse()
	play := steps[0].do
	steps[0].do = func() []Violation {
		found := play()
		return append(found, n.interdomain()...)
	}
	news := step{"just after a new source", func() []Violation {
		before := len(n.Sources)
		n.ForgetHops()
		n.send()
		var found []Violation
		if len(n.Sources) > before {
			src := n.Sources[before]
			src.SetTraced(true)
			n.Run(soon)
			src.SetTraced(false)
			found = n.first(src)
		} else { // one that was silent for a while
			n.Run(soon)
		}
		n.ForgetHops()
		return append(found, n.unknown(once)...)
	}}
	failure := steps[2].do
	steps[2].do = func() []Violation { return append(failure(), n.unknown(atLeastOnce)...) }
	return slices.Insert(steps, 2, news)
}

// first checks that the first packet of a new source comes to every member in other domains once, in the message that tells of
// the source.
func (n *Network) first(src *sim.Source) []Violation {
	w := walk{sim: n.Sim, hops: n.Hops()}
	got := make(map[*sim.Member]int)
	for _, d := range n.Deliveries() {
		if d.Seq == 1 {
			got[d.Member]++
		}
	}
	for _, m := range n.members() {
		if m.Group == src.Key().Group && m.Wants(src.Key().Source) && n.domainOf(m.Host().Node()) != n.domainOf(src.Node()) && got[m] != 1 {
			w.add("first packet", "%s gets the first packet of %v from %s %d times", m.Host().Node().Name(), src.Key(), src.Node().Name(), got[m])
		}
	}
	return w.found
}

// flows returns the active sources of which MSDP tells, and the domain of each.
func (n *Network) flows() map[engine.Key]int {
	flows := make(map[engine.Key]int)
	for _, s := range n.Sources {
		if s.Running() && s.Key().Group != n.Groups[len(n.Groups)-1] {
			flows[s.Key()] = n.domainOf(s.Node())
		}
	}
	return flows
}

// domainOf returns the domain of a host.
func (n *Network) domainOf(host *sim.Node) int {
	i := slices.Index(n.Hosts, host)
	return slices.IndexFunc(n.domains.list, func(m *domain) bool { return slices.Contains(m.hosts, i) })
}

// nodes returns those of a list that have these numbers.
func (n *Network) nodes(numbers []int, list []*sim.Node) (nodes []*sim.Node) {
	for _, i := range numbers {
		nodes = append(nodes, list[i])
	}
	return nodes
}

func (n *Network) msdp() engine.MachineID {
	return engine.MachineID{Protocol: engine.MSDP, Family: engine.IPv4}
}

// once and atLeastOnce say of how many RPs a source is known. A source whose packets come to another RP of the same address
// after a failure is told of by both for a while.
const (
	once        = true
	atLeastOnce = false
)

// unknown says which routers do not know of every active source, or know of what they should not.
func (n *Network) unknown(once bool) []Violation {
	w := walk{sim: n.Sim}
	flows := n.flows()
	originators := make(map[engine.Key]string)
	for _, r := range n.domains.speakers() {
		at := n.Routers[r]
		entries, _ := w.ask(at, n.msdp(), "sa-cache").([]msdp.SAShow)
		known := make(map[engine.Key]int)
		for _, e := range entries {
			if e.Key.Group == n.Groups[len(n.Groups)-1] {
				w.add("unknown", "%s has %v, of a source-specific group", at.Name(), e.Key)
			}
			home, active := flows[e.Key]
			if !active {
				continue // it may still be remembered
			}
			known[e.Key]++
			if e.Own {
				if d := n.domains.of[r]; d != home {
					w.add("unknown", "%s, which is in domain %d, originates %v of domain %d", at.Name(), d, e.Key, home)
				}
				if other, twice := originators[e.Key]; twice && once {
					w.add("unknown", "%s and %s both originate %v", at.Name(), other, e.Key)
				}
				originators[e.Key] = at.Name()
			}
		}
		for key := range engine.SortedFunc(flows, engine.Key.Compare) {
			if known[key] == 0 || once && known[key] > 1 {
				w.add("unknown", "%s has %d entries of %v, which domain %d has", at.Name(), known[key], key, flows[key])
			}
		}
	}
	return w.found
}

// counts is what a router has counted of an RP's messages from a peer.
type counts struct {
	router, rp int
	peer       netip.Addr
}

// came returns how many entries came by now, and of these were accepted, and the rules by which.
func (n *Network) came(w *walk) (all, accepted map[counts]uint64) {
	all, accepted = make(map[counts]uint64), make(map[counts]uint64)
	for _, r := range n.domains.speakers() {
		for _, to := range n.domains.rps() {
			v, err := n.Query(n.Routers[r], n.msdp(), "rpf", n.loopback(to).Addr().String())
			if err != nil {
				w.add("fault", "%s: %v", n.Routers[r].Name(), err)
				continue
			}
			x := v.(msdp.RPFShow)
			n.domains.rules[x.Rule]++
			for _, p := range x.Peers {
				c := counts{r, to, p.Peer}
				all[c], accepted[c] = p.AcceptedN+p.Refused, p.AcceptedN
			}
		}
	}
	return all, accepted
}

// interdomain checks what MSDP says and does while nothing happens.
func (n *Network) interdomain() []Violation {
	d := n.domains
	w := walk{sim: n.Sim, found: n.unknown(once)}
	told := make(map[int]uint64) // sources that an RP tells of
	by := make(map[telling]int)
	var order []telling
	for _, r := range d.speakers() {
		entries, _ := w.ask(n.Routers[r], n.msdp(), "sa-cache").([]msdp.SAShow)
		for _, e := range entries {
			if e.Own {
				told[r]++
			} else if p := d.peerAt(r, e.Peer); p != nil && p.mesh == "" {
				t := telling{r, e.RP, e.Key}
				by[t], _, _, _ = p.ends(r)
				order = append(order, t)
			}
		}
	}
	w.circles(by, order)
	all, accepted := n.came(&w)
	n.Run(saWindow)
	all2, accepted2 := n.came(&w)
	for _, r := range d.speakers() {
		at := n.Routers[r].Name()
		for _, rp := range d.rps() {
			if r == rp {
				continue
			}
			most := 2 * told[rp]
			from := 0 // peers outside of mesh groups whose messages were taken
			for _, p := range d.peerings {
				peer, addr, _, ok := p.ends(r)
				if !ok || p.shut {
					continue
				}
				c := counts{r, rp, addr}
				got, took := more(all[c], all2[c]), more(accepted[c], accepted2[c])
				if got > most {
					w.add("flood", "%s got %d entries of RP %d from %v in %v, not %d", at, got, rp, addr, saWindow, most)
				}
				if p.mesh == "" && took > 0 {
					from++
				}
				if p.mesh != "" && got > 0 && peer != rp && !n.tookOutside(peer, rp, p.mesh, accepted, accepted2) {
					w.add("flood", "%s got entries of RP %d from %v, which has them from a member of the mesh group, too", at, rp, addr)
				}
			}
			if from > 1 {
				w.add("flood", "%s took entries of RP %d from %d peers", at, rp, from)
			}
		}
	}
	return w.found
}

// more returns how much was counted between two counts. What is below the first was counted anew, since the RP was forgotten.
func more(before, after uint64) uint64 {
	if after < before {
		return 0
	}
	return after - before
}

// telling is an entry at a router.
type telling struct {
	router int
	rp     netip.Addr
	flow   engine.Key
}

// circles follows entries to the routers that told of them (by), as far as no mesh group is on the way: there everyone may tell
// everyone.
func (w *walk) circles(by map[telling]int, order []telling) {
	for _, at := range order {
		seen := map[int]bool{at.router: true}
		for {
			next, ok := by[at]
			if !ok {
				break
			}
			if at.router = next; seen[next] {
				w.add("loop", "%v of RP %v goes round by router %d", at.flow, at.rp, next)
				break
			}
			seen[next] = true
		}
	}
}

// peerAt returns the peering of a router with a peer of an address.
func (d *domains) peerAt(r int, addr netip.Addr) *peering {
	for _, p := range d.peerings {
		if _, theirs, _, ok := p.ends(r); ok && theirs == addr {
			return p
		}
	}
	return nil
}

// tookOutside says whether a router took messages of an RP from a peer that is not of a mesh group.
func (n *Network) tookOutside(r, rp int, mesh string, before, after map[counts]uint64) bool {
	for _, p := range n.domains.peerings {
		if _, addr, _, ok := p.ends(r); ok && p.mesh != mesh {
			if c := (counts{r, rp, addr}); more(before[c], after[c]) > 0 {
				return true
			}
		}
	}
	return false
}
