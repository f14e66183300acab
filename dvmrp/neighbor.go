package dvmrp

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"grove/dvmrp/wire"
	"grove/internal/engine"
	"grove/internal/roll"
)

// neighbor is a DVMRP router on a link of ours, known by its Probes (section 3.2).
type neighbor struct {
	m     *Machine
	iface *iface
	addr  netip.Addr
	seq   uint32 // by which routes keep what they heard

	version      wire.Version
	capabilities wire.Capabilities
	generationID uint32
	twoWay       bool // our address is in its Probes
	told         bool // it has been adjacent since it started: it has been sent the whole table, or will be
	fresh        bool // it is to be sent the whole table at Settled
	born         time.Time
	expiry       engine.Timer

	heard  roll.Roll[*heard]      // what it reported
	early  map[netip.Prefix]early // what it reported of networks to which we have no route
	routes roll.Roll[*route]      // of which it is the upstream neighbor
	prunes roll.Roll[*prune]      // that it sent
}

// conforms says whether the neighbor waits for our Probe to name it, as this version of the protocol asks (section 3.2.3).
func (n *neighbor) conforms() bool { return n.version == wire.OurVersion }

// adjacent says whether routes are exchanged with the neighbor: both hear each other, or it is of a version that does not
// tell (appendix C).
func (n *neighbor) adjacent() bool { return n.twoWay || !n.conforms() }

// canPrune says whether the neighbor understands Prunes and Grafts (appendix C): major versions 1 and 2 do not, 3.0 to 3.2 do,
// later ones say so, and Cisco's do since 11.
func (n *neighbor) canPrune() bool {
	switch v := n.version; {
	case v.Major < 3, v.Major == 10:
		return false
	case v.Major == 3 && v.Minor > 2 && v != wire.OurVersion:
		return n.capabilities&wire.CapPrune != 0
	}
	return true
}

// neighbor returns the neighbor that has an address; nil if there is none.
func (i *iface) neighbor(a netip.Addr) *neighbor {
	if n, found := i.find(a); found {
		return i.neighbors[n]
	}
	return nil
}

func (i *iface) find(a netip.Addr) (int, bool) {
	return slices.BinarySearchFunc(i.neighbors, a, func(n *neighbor, a netip.Addr) int { return n.addr.Compare(a) })
}

// receiveProbe handles a Probe.
func (i *iface) receiveProbe(src netip.Addr, h wire.Header, p *wire.Probe) {
	m := i.m
	n := i.neighbor(src)
	if n == nil {
		if n = i.makeNeighbor(src); n == nil {
			return
		}
		n.version, n.capabilities, n.generationID = h.Version, h.Capabilities, p.GenerationID
	}
	m.timers.Set(&n.expiry, m.now.Add(m.cfg.NeighborTimeout))
	if n.version != h.Version || n.capabilities != h.Capabilities {
		// "Each time a Probe message is received from a neighbor, the capabilities bits should be compared to the previous
		// version for that neighbor in order to detect changes" (section 3.2.1).
		m.counts.Add("neighbor changed its capabilities")
		n.version, n.capabilities = h.Version, h.Capabilities
		n.touchRoutes()
	}
	if p.HasGenerationID && n.generationID != p.GenerationID {
		n.generationID = p.GenerationID
		n.restarted()
		if n.twoWay {
			return // it has not heard our Probe yet, perhaps: the next one tells
		}
	}
	n.setTwoWay(slices.Contains(p.Neighbors, i.addr))
}

// makeNeighbor returns the new neighbor of an address; nil if there is no room for more.
func (i *iface) makeNeighbor(a netip.Addr) *neighbor {
	m := i.m
	if len(i.neighbors) >= i.cfg.MaxNeighbors {
		m.drop(i, a, "too many neighbors")
		return nil
	}
	m.seq++
	n := &neighbor{m: m, iface: i, addr: a, seq: m.seq, born: m.now}
	n.expiry.Do = func(time.Time) { n.expire("Neighbor Time-out Interval") }
	at, _ := i.find(a)
	i.neighbors = slices.Insert(i.neighbors, at, n)
	m.emit(engine.Transition{
		Entity: "neighbor", If: i.id, Neighbor: a, Old: "down", New: "one-way", Cause: "receive Probe",
	})
	// It learns that we hear it without waiting for the next periodic Probe.
	i.probeNow = true
	return n
}

// setTwoWay takes over whether the neighbor hears us.
func (n *neighbor) setTwoWay(twoWay bool) {
	m, was := n.m, n.adjacent()
	if twoWay != n.twoWay {
		n.twoWay = twoWay
		names := map[bool]string{false: "one-way", true: "two-way"}
		m.emit(engine.Transition{
			Entity: "neighbor", If: n.iface.id, Neighbor: n.addr, Old: names[!twoWay], New: names[twoWay], Cause: "receive Probe",
		})
	}
	switch is := n.adjacent(); {
	case is && !n.told:
		// Section 3.4.5: "When a router sees its own address in a neighbor probe packet for the first time, it should send a
		// unicast copy of its entire routing table to the neighbor".
		n.told, n.fresh = true, true
		n.touchRoutes()
	case was && !is:
		// Section 6: "If a neighbor no longer appears in this list" what was learned from it is removed.
		n.lose("the neighbor hears us no more")
	}
}

// restarted is a Probe with another generation ID: "any prune information received from the router is no longer valid and
// should be flushed", and it is sent the whole table (section 3.2.2). It has forgotten our Prunes, too, so it floods again.
func (n *neighbor) restarted() {
	n.m.counts.Add("neighbor restarted")
	n.forgetPrunes()
	for _, r := range n.routes.All {
		for _, f := range r.flows.All {
			f.upstreamForgot("the upstream neighbor has a new generation ID")
		}
	}
	n.iface.probeNow = true
	n.fresh = n.adjacent()
}

// expire is Neighbor Expiry (section 3.2.4).
func (n *neighbor) expire(cause string) {
	i := n.iface
	n.m.timers.Stop(&n.expiry)
	n.lose(cause)
	if at, found := i.find(n.addr); found {
		i.neighbors = slices.Delete(i.neighbors, at, at+1)
	}
	old := "one-way"
	if n.twoWay {
		old = "two-way"
	}
	n.m.emit(engine.Transition{Entity: "neighbor", If: i.id, Neighbor: n.addr, Old: old, New: "down", Cause: cause})
}

// lose takes the steps of section 3.2.4: what was learned from the neighbor is forgotten, the routes that lead to it are held
// down. That it is no designated forwarder any more, and that nobody depends on us, follows; so does the end of Grafts that
// wait for its answer.
func (n *neighbor) lose(cause string) {
	n.told, n.fresh = false, false
	n.forgetPrunes()
	n.m.early -= len(n.early)
	n.early = nil
	for len(n.heard.All) > 0 {
		h := n.heard.All[len(n.heard.All)-1]
		h.forget()
		h.r.touch()
	}
	for len(n.routes.All) > 0 {
		n.routes.All[len(n.routes.All)-1].lose(cause)
	}
}

func (n *neighbor) forgetPrunes() {
	for len(n.prunes.All) > 0 {
		n.prunes.All[len(n.prunes.All)-1].end("the neighbor is gone or has restarted")
	}
}

// touchRoutes says that something of the neighbor changed on which flows of its routes may depend.
func (n *neighbor) touchRoutes() {
	for _, h := range n.heard.All {
		h.r.touch()
	}
	for _, r := range n.routes.All {
		r.touch()
	}
}

// capabilityNames are the words for capabilities that people know.
var capabilityNames = []struct {
	bit  wire.Capabilities
	name string
}{
	{wire.CapLeaf, "leaf"}, {wire.CapPrune, "prune"}, {wire.CapGenerationID, "genid"}, {wire.CapMtrace, "mtrace"},
	{wire.CapSNMP, "snmp"}, {wire.CapNetmask, "netmask"},
}

func (n *neighbor) capabilityText() string {
	var words []string
	for _, c := range capabilityNames {
		if n.capabilities&c.bit != 0 || c.bit == wire.CapPrune && n.canPrune() {
			words = append(words, c.name)
		}
	}
	return strings.Join(words, " ")
}
