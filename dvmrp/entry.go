package dvmrp

import (
	"net/netip"
	"time"

	"grove/internal/engine"
	"grove/internal/ip"
	"grove/internal/roll"
)

// This file is the life of entries and flows.

// entry is the state of packets from one source to one group, as the forwarding table has them: an (S,G).
type entry struct {
	m *Machine
	s *source
	g *group
	f *flow

	prunes []*prune  // that name this host alone, by their netmask (section 3.5.2)
	up     *upstream // what we asked upstream for this host alone; nil: nothing
	others bool      // by the (S,G) alert, another protocol wants the packets
	placed bool      // mfib has said Installed or Failed: we have been told what other protocols want
	data   bool      // a packet came in that may call for a Prune
	before bool      // the next count may be of packets from before the last Prune
	asked  bool      // a Creation of mfib waits for its answer
	alive  engine.Timer

	said                    row // what we want of the forwarding table, as last said
	born                    time.Time
	packets, bytes, wrongIf uint64

	unsaid                     bool
	gone                       bool
	placeInFlow, placeInSource int32
}

// flowKey names a flow.
type flowKey struct {
	r *route
	g *group
}

// flow is the state of a (source network, group): Prunes and Grafts are about it. It has the entries of all hosts of the
// network that send to the group. Its route is nil if there is none to the source.
type flow struct {
	m       *Machine
	r       *route
	g       *group
	entries roll.Roll[*entry]
	prunes  []*prune // by the seq of their neighbors
	up      upstream
	list    olist // the downstream interfaces as of the last update

	touched                    bool
	placeInRoute, placeInGroup int32
}

// row is what we want of the forwarding table for a key: an engine.Want without what follows from the configuration. The
// zero value is no row.
type row struct {
	wanted   bool
	in, out  ifSet
	fast     bool // activity is to be reported soon
	negative bool // there is no way to the source
}

func (e *entry) key() engine.Key { return engine.SG(e.s.addr, e.g.addr) }

// makeEntry returns the state of a key, made if there is none; nil if there can be none or there is no room for more.
func (m *Machine) makeEntry(k engine.Key) *entry {
	if e := m.entries[k]; e != nil {
		return e
	}
	if !validSource(k.Source) || !k.Group.Is4() || !ip.Forwarded(k.Group) || m.running == 0 {
		return nil
	}
	if len(m.entries) >= m.cfg.MaxEntries {
		m.counts.Add("too many entries")
		return nil
	}
	e := &entry{m: m, s: m.source(k.Source), g: m.group(k.Group), born: m.now}
	e.alive.Do = func(time.Time) { m.touch(e.f) }
	m.entries[k] = e
	e.s.entries.Add(e, placeInSource)
	e.enroll()
	return e
}

// enroll puts the entry into the flow of its source's route.
func (e *entry) enroll() {
	m, k := e.m, flowKey{e.s.route, e.g}
	f := m.flows[k]
	if f == nil {
		f = &flow{m: m, r: k.r, g: k.g}
		f.up.init(f, nil)
		m.flows[k] = f
		f.g.flows.Add(f, placeInGroup)
		if f.r != nil {
			f.r.flows.Add(f, placeInRoute)
		}
	}
	if old := e.f; old != nil {
		old.entries.Remove(e, placeInFlow)
		m.touch(old)
	}
	e.f = f
	f.entries.Add(e, placeInFlow)
	for len(e.prunes) > 0 {
		e.prunes[0].end("the source has another route")
	}
	e.endHost()
	m.touch(f)
	e.g.sayInterestLater()
}

// touch says that something changed from which state of the flow follows.
func (m *Machine) touch(f *flow) {
	if !f.touched {
		f.touched = true
		m.touched = append(m.touched, f)
	}
}

// touchAll says that something changed that every flow may depend on.
func (m *Machine) touchAll() {
	for _, g := range engine.SortedAddrs(m.groups) {
		g.touch()
		g.sayInterestLater()
	}
}

// maxRounds bounds how often flows can be touched in a Step: transitions come to rest after two or three.
const maxRounds = 100

// update works out what follows from what changed, until nothing does.
func (m *Machine) update() {
	if m.updating {
		return
	}
	m.updating = true
	if m.localStale {
		m.deriveLocal()
	}
	for rounds := 0; len(m.touched) > 0; rounds++ {
		if rounds == maxRounds {
			m.emit(engine.Note{Level: engine.Error, Text: "state machines do not come to rest: a fault of the program"})
			break
		}
		touched := m.touched
		m.touched = nil
		for _, f := range touched {
			f.touched = false
			f.update()
		}
	}
	m.updating = false
}

// update makes the transitions of a flow that follow from its state, and has its rows said.
func (f *flow) update() {
	f.list = f.downstream()
	f.updateUpstream()
	for n := len(f.entries.All) - 1; n >= 0; n-- {
		e := f.entries.All[n]
		f.m.sayEntryLater(e)
		if e.idle() {
			e.remove()
		}
	}
	if len(f.entries.All) == 0 {
		f.remove()
	}
}

// idle says that nothing is known of the entry that would not be so without it: no packets came for a while, and nothing is
// pruned for it.
func (e *entry) idle() bool {
	switch {
	case e.m.running == 0:
		return true
	case !e.s.known || e.alive.Running():
		return false
	}
	return e.f.up.state == Forwarding && (e.up == nil || e.up.state == Forwarding) && len(e.prunes) == 0 && len(e.f.prunes) == 0 && !e.others
}

func (e *entry) remove() {
	m := e.m
	e.gone = true
	m.timers.Stop(&e.alive)
	for len(e.prunes) > 0 {
		e.prunes[0].end("the entry goes")
	}
	e.endHost()
	if e.said.wanted {
		m.emit(engine.Unwant{From: m.id, Key: e.key()})
	}
	if e.asked {
		m.emit(engine.Decline{From: m.id, Key: e.key()})
	}
	delete(m.entries, e.key())
	e.f.entries.Remove(e, placeInFlow)
	e.s.entries.Remove(e, placeInSource)
	e.s.release()
	e.g.sayInterestLater()
}

func (f *flow) remove() {
	m := f.m
	for len(f.prunes) > 0 {
		f.prunes[0].end("the flow goes")
	}
	f.up.stop()
	delete(m.flows, flowKey{f.r, f.g})
	f.g.flows.Remove(f, placeInGroup)
	if f.r != nil {
		f.r.flows.Remove(f, placeInRoute)
	}
	f.g.sayInterestLater()
}

// ---- the downstream list (section 3.3.3) ----

// olist is the downstream interfaces of a flow.
type olist struct {
	forwards  ifSet // we are the designated forwarder, and the scope of the group reaches there
	dependent ifSet // of these: not all routers that depend on us have pruned
}

// downstream works out the downstream interfaces of the flow: "starting with the list of non-leaf interfaces. The upstream
// interface MUST be removed from this list. Then any interfaces on the list where all of the downstream dependents have sent
// prunes upstream MUST be removed." On an interface without dependents, there is nobody to prune.
func (f *flow) downstream() olist {
	if f.r == nil {
		return olist{forwards: f.m.running &^ f.g.boundary}
	}
	var o olist
	o.forwards, o.dependent = f.r.downstream()
	o.forwards &^= f.g.boundary
	o.dependent &^= f.g.boundary
	if len(f.prunes) > 0 {
		o.dependent &= f.unpruned(nil)
	}
	return o
}

// unpruned returns the interfaces with a dependent router that has not pruned the flow, or, if e is not nil, the host of e.
func (f *flow) unpruned(e *entry) ifSet {
	var set ifSet
	for _, h := range f.r.heard {
		if h.dependent() && f.pruneOf(h.n) == nil && (e == nil || e.pruneOf(h.n) == nil) {
			set |= h.n.iface.set()
		}
	}
	return set
}

// olist returns the downstream interfaces of an entry: those of the flow, less where all dependents have pruned the host. "Next,
// any interfaces for which the router is the designated forwarder and local group members are present MUST be added to the
// list."
func (e *entry) olist(o olist) ifSet {
	in := e.s.upstream()
	if e.g.boundary.Has(in) {
		return 0
	}
	out := o.dependent
	if len(e.prunes) > 0 && e.f.r != nil {
		out &= e.f.unpruned(e)
	}
	return (out | e.g.wanting(e.s.addr)&o.forwards) &^ in
}

// wanted says whether packets of the flow are wanted from the upstream neighbor, for any host. The interfaces of other
// protocols on this router count as well (RFC 2715, section 2, rules 4 and 5). That a neighbor pruned a single host does
// not count: our Prune would stop the others.
func (f *flow) wanted() bool {
	o := f.list
	for _, e := range f.entries.All {
		switch in := e.s.upstream(); {
		case in == 0 || f.g.boundary.Has(in):
		case e.others || (o.dependent|f.g.wanting(e.s.addr)&o.forwards)&^in != 0:
			return true
		}
	}
	return false
}

// ---- what mfib is told ----

func (m *Machine) sayEntryLater(e *entry) {
	if !e.unsaid {
		e.unsaid = true
		m.unsaidEntries = append(m.unsaidEntries, e)
	}
}

// sayRows tells mfib what differs from what it was last told. It runs at Settled.
func (m *Machine) sayRows() {
	entries := m.unsaidEntries
	m.unsaidEntries = nil
	for _, e := range entries {
		e.unsaid = false
		if !e.gone {
			e.say()
		}
	}
}

func (e *entry) say() {
	if !e.s.known {
		return // the path comes in this batch, and then there is something to say
	}
	r := e.wantRow()
	if r != e.said || e.asked {
		e.m.want(e.key(), r) // if asked, although we said so: mfib has no row
	}
	e.said, e.asked = r, false
}

// wantRow is what section 3.3 says of the next packets. A row without outgoing interfaces keeps packets from coming up; what
// comes in elsewhere than on the upstream interface "MUST be discarded without further processing" (section 3.3.2), which the
// row does.
func (e *entry) wantRow() row {
	external := e.s.external()
	r := row{wanted: true, in: e.s.upstream()}
	r.negative = !external && r.in == 0
	if !r.negative {
		r.out = e.olist(e.f.list)
	}
	r.fast = !external && (e.f.up.watches() || e.up != nil && e.f.up.wanted && e.up.watches())
	return r
}

func (m *Machine) want(k engine.Key, r row) {
	w := engine.Want{From: m.id, Key: k, In: m.ifID(r.in), Out: m.outgoing(r.out), Activity: m.activityInterval(r)}
	if r.negative {
		w.Negative = "no DVMRP route to the source"
	}
	m.emit(w)
}

const (
	activityParts = 6 // of CacheLifetime
	watchParts    = 3 // of PruneRetransmission: so late a Prune is
)

func (m *Machine) activityInterval(r row) time.Duration {
	d := m.cfg.CacheLifetime / activityParts
	if r.fast {
		d = min(d, m.cfg.PruneRetransmission/watchParts)
	}
	return d
}

// ---- what mfib tells ----

// creation is a packet of a flow that has no entry. It is answered at Settled: by the row that follows, or by Decline.
func (m *Machine) creation(c engine.Creation) {
	e := m.makeEntry(c.Key)
	if e == nil || !m.configured {
		m.emit(engine.Decline{From: m.id, Key: c.Key})
		return
	}
	e.asked = true
	m.timers.Set(&e.alive, m.now.Add(m.cfg.CacheLifetime))
	if in := e.s.upstream(); c.If == 0 || in == 0 || m.bitOf(c.If) == in {
		e.data = true
	}
	m.touch(e.f)
}

// activity says what came since we were last told.
func (m *Machine) activity(a engine.Activity) {
	e := m.entries[a.Key]
	if e == nil {
		return
	}
	e.packets += a.Packets
	e.bytes += a.Bytes
	e.wrongIf += a.WrongIf
	if a.Packets > 0 {
		m.timers.Set(&e.alive, m.now.Add(m.cfg.CacheLifetime))
		if !e.before && (e.f.up.hears() || e.up != nil && e.up.hears()) {
			e.data = true
			m.touch(e.f)
		}
	}
	e.before = false
}

// alert is an (S,G) alert, a level: does another protocol on this router want the packets? Alerts of (*,G) and (*,*) mean
// nothing to a protocol that floods.
func (m *Machine) alert(a engine.Alert) {
	if e := m.entries[a.Key]; e != nil {
		e.others = a.Kind == engine.JoinAlert
		m.touch(e.f)
	}
}

// ownerChanged: only the owner of an entry is told what others want.
func (m *Machine) ownerChanged(c engine.OwnerChanged) {
	if e := m.entries[c.Key]; e != nil && c.Owner != m.id {
		e.others = false
		m.touch(e.f)
	}
}

// setPlaced: mfib has dealt with what we want of a flow, and has told us what others want.
func (m *Machine) setPlaced(k engine.Key) {
	if e := m.entries[k]; e != nil && e.said.wanted {
		e.placed = true
		m.touch(e.f)
	}
}

// deletion: mfib gave up an entry. What we want of it now is said again.
func (m *Machine) deletion(k engine.Key) {
	if e := m.entries[k]; e != nil {
		e.said, e.placed = row{}, false
		m.touch(e.f)
	}
}

// validSource says whether an address can be the source of a multicast packet.
func validSource(a netip.Addr) bool {
	return a.Is4() && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback() && !a.IsLinkLocalUnicast()
}

// Where a thing keeps its place on a roll.
func placeInBucket(r *route) *int32   { return &r.placeInBucket }
func placeAtGateway(r *route) *int32  { return &r.placeAtGateway }
func placeOfHeard(h *heard) *int32    { return &h.place }
func placeInRoute(f *flow) *int32     { return &f.placeInRoute }
func placeInGroup(f *flow) *int32     { return &f.placeInGroup }
func placeInFlow(e *entry) *int32     { return &e.placeInFlow }
func placeInSource(e *entry) *int32   { return &e.placeInSource }
func placeAtNeighbor(p *prune) *int32 { return &p.place }
