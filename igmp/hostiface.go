package igmp

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"grove/igmp/wire"
	"grove/internal/engine"
)

// hostIface is an interface of a Host.
type hostIface struct {
	h          *Host
	state      engine.Interface
	addr       netip.Addr // what we send from; unspecified while there is none
	groups     map[netip.Addr]*hostGroup
	generation int // Host Compatibility Mode (RFC 3376 section 7.2.1)

	plainQuerier     engine.Timer // IGMPv1 Querier Present
	withLeaveQuerier engine.Timer // IGMPv2 Querier Present; MLD: Older Version Querier Present
	queryInterval    time.Duration

	general    engine.Timer // the answer to a General Query (RFC 3376 section 5.2)
	retransmit engine.Timer // the next repetition of state-change reports
}

func newHostIface(h *Host) *hostIface {
	i := &hostIface{h: h, groups: make(map[netip.Addr]*hostGroup), generation: h.cfg.Version + h.family.offset}
	i.plainQuerier.Do = i.setGeneration
	i.withLeaveQuerier.Do = i.setGeneration
	i.general.Do = i.answerGeneral
	i.retransmit.Do = i.sendChanges
	return i
}

// update takes over a new state of the interface. When packets can pass again, or the first address is there, all
// is reported anew (RFC 3810 section 5.2.13).
func (i *hostIface) update(now time.Time, state engine.Interface) {
	had, ran := i.addr, i.state.Running()
	i.state = state
	i.addr = state.Primary(i.h.id.Family)
	if !i.addr.IsValid() {
		i.addr = i.h.family.unspecified()
	}
	switch {
	case !state.Running():
		i.cancel()
	case !ran || had.IsUnspecified() && !i.addr.IsUnspecified():
		var all []*hostGroup
		for _, g := range engine.SortedAddrs(i.groups) {
			g.change(level{})
			all = append(all, g)
		}
		i.report(now, all)
	}
}

// want takes over the whole list of what the interface wants, and reports the differences.
func (i *hostIface) want(now time.Time, wanted map[netip.Addr]level) {
	var changed []*hostGroup
	set := func(addr netip.Addr, l level) {
		g := i.groups[addr]
		if g == nil {
			g = newHostGroup(i, addr)
			i.groups[addr] = g
		}
		if g.want.equal(l) {
			return
		}
		if g.want.none() != l.none() {
			i.h.emit(engine.HostGroup{If: i.state.ID, Group: addr, Member: !l.none()})
		}
		old := g.want
		g.want = l
		if i.generation < withSources && old.none() == l.none() {
			return // older versions have no words for sources
		}
		g.change(old)
		changed = append(changed, g)
	}
	for addr, g := range engine.SortedAddrs(i.groups) {
		if _, ok := wanted[addr]; !ok && !g.want.none() {
			set(addr, level{})
		}
	}
	for addr, l := range engine.SortedAddrs(wanted) {
		set(addr, l)
	}
	i.report(now, changed)
}

// setGeneration works out the Host Compatibility Mode (RFC 3376 section 7.2.1).
func (i *hostIface) setGeneration(time.Time) {
	generation := i.h.cfg.Version + i.h.family.offset
	switch {
	case i.plainQuerier.Running():
		generation = plain
	case i.withLeaveQuerier.Running():
		generation = min(generation, withLeave)
	}
	if generation != i.generation {
		i.generation = generation
		i.cancel()
	}
}

// cancel stops all pending answers and repetitions.
func (i *hostIface) cancel() {
	i.h.timers.Stop(&i.general)
	i.h.timers.Stop(&i.retransmit)
	for addr, g := range engine.SortedAddrs(i.groups) {
		i.h.timers.Stop(&g.delay)
		g.modeLeft, g.left, g.unsolicited, g.asked = 0, nil, 0, nil
		g.last = true
		if g.want.none() {
			delete(i.groups, addr)
		}
	}
}

func (h *Host) receive(now time.Time, p engine.Packet) {
	i := h.ifaces[p.If]
	if i == nil {
		h.drop(p, unknownInterface)
		return
	}
	msg, err := h.family.parse(p, &i.state)
	if err != nil {
		h.drop(p, err)
		return
	}
	switch msg := msg.(type) {
	case wire.Query:
		h.counts.Add("query received")
		i.receiveQuery(now, msg)
	case wire.OlderReport:
		if g := i.groups[msg.Group]; g != nil && !i.state.HasAddr(p.Src) {
			g.suppress()
		}
	}
}

func (h *Host) drop(p engine.Packet, err error) {
	h.counts.Add("dropped: " + string(reason(err)))
	if !errors.Is(err, wire.ErrType) {
		h.emit(engine.Note{From: h.id, Level: engine.Debug, If: p.If, Neighbor: p.Src, Text: fmt.Sprintf("packet to %v dropped: %v", p.Dst, err)})
	}
}

func (i *hostIface) receiveQuery(now time.Time, q wire.Query) {
	maxResp := q.MaxResp
	generation := q.Version + i.h.family.offset
	if generation == plain {
		maxResp = 10 * time.Second // RFC 3376 section 7.2.1
	}
	i.hearQuerier(now, generation, q, maxResp)
	if i.generation < withSources {
		if q.General() {
			for _, g := range engine.SortedAddrs(i.groups) {
				g.askOlder(now, maxResp)
			}
		} else if g := i.groups[q.Group]; g != nil {
			g.askOlder(now, maxResp)
		}
		return
	}
	// RFC 3376 section 5.2: the five rules, in order.
	delay := i.h.random(maxResp)
	if i.general.Running() && i.general.Left(now) <= delay {
		return
	}
	if q.General() {
		if len(i.groups) > 0 {
			i.h.timers.Set(&i.general, now.Add(delay))
		}
		return
	}
	if g := i.groups[q.Group]; g != nil && g.reported() {
		g.ask(now, delay, setOf(q.Sources))
	}
}

// hearQuerier keeps the Older Version Querier Present timers (RFC 3376 section 7.2.1, RFC 3810 section 8.2.1).
func (i *hostIface) hearQuerier(now time.Time, generation int, q wire.Query, maxResp time.Duration) {
	if generation == withSources {
		i.queryInterval = q.QueryInterval
		return
	}
	interval := i.queryInterval
	if interval == 0 {
		interval = i.h.cfg.QueryInterval
	}
	until := now.Add(time.Duration(i.h.cfg.Robustness)*interval + maxResp)
	switch {
	case generation == plain:
		i.h.timers.Set(&i.plainQuerier, until)
	case q.General() || i.h.family.Family == engine.IPv6:
		i.h.timers.Set(&i.withLeaveQuerier, until)
	}
	i.setGeneration(now)
}

// answerGeneral reports the state of every group (RFC 3376 section 5.2).
func (i *hostIface) answerGeneral(time.Time) {
	var records []wire.Record
	for _, g := range engine.SortedAddrs(i.groups) {
		if !g.reported() {
			continue
		}
		// What a specific query asked is answered with it.
		i.h.timers.Stop(&g.delay)
		g.asked = nil
		records = append(records, g.current())
	}
	i.sendRecords(records)
}

// report sends the first report of what changed. While packets cannot pass there is none: all is reported when they can.
func (i *hostIface) report(now time.Time, changed []*hostGroup) {
	if !i.state.Running() {
		for _, g := range changed {
			g.forget()
		}
		return
	}
	if i.generation < withSources {
		for _, g := range changed {
			g.reportOlder(now)
		}
		return
	}
	var records []wire.Record
	for _, g := range changed {
		records = append(records, g.nextChange()...)
	}
	i.sendRecords(records)
	i.repeat(now, changed)
}

// sendChanges sends the pending state-change records of all groups (RFC 3376 section 5.1). One timer per interface
// serves all groups, so that they share reports.
func (i *hostIface) sendChanges(now time.Time) {
	var pending []*hostGroup
	for _, g := range engine.SortedAddrs(i.groups) {
		if g.pending() {
			pending = append(pending, g)
		}
	}
	i.report(now, pending)
}

// repeat sets the timer for the next repetition, if one is left of the groups, and forgets those that are left for good.
func (i *hostIface) repeat(now time.Time, groups []*hostGroup) {
	for _, g := range groups {
		switch {
		case g.pending() && !i.retransmit.Running():
			i.h.timers.Set(&i.retransmit, now.Add(i.h.random(i.h.cfg.unsolicited(withSources))))
		case !g.pending():
			g.forget()
		}
	}
}

// sendRecords sends records in as few reports as the MTU allows (RFC 3376 section 4.2.16).
func (i *hostIface) sendRecords(records []wire.Record) {
	f := i.h.family
	mtu := i.state.MTU
	if mtu <= 0 {
		mtu = f.mtu
	}
	room := mtu - f.overhead - wire.ReportHeader
	most := max(1, (room-wire.RecordSize(f.width, 0))/f.width) // sources of a record that is alone
	var batch []wire.Record
	used := 0
	flush := func() {
		if len(batch) > 0 {
			i.send(f.reports, wire.Report{Records: batch}, "report sent")
		}
		batch, used = nil, 0
	}
	for _, r := range records {
		if len(r.Sources) > most && (r.Type == wire.IsEx || r.Type == wire.ToEx) {
			r.Sources = r.Sources[:most] // the remaining are not reported: always the same
		}
		for {
			part := r
			part.Sources = r.Sources[:min(most, len(r.Sources))]
			size := wire.RecordSize(f.width, len(part.Sources))
			if used+size > room {
				flush()
			}
			batch = append(batch, part)
			used += size
			if r.Sources = r.Sources[len(part.Sources):]; len(r.Sources) == 0 {
				break
			}
		}
	}
	flush()
}

func (i *hostIface) send(dst netip.Addr, msg wire.Message, count string) {
	p, err := i.h.family.packet(i.state.ID, i.addr, dst, msg)
	if err != nil {
		i.h.emit(engine.Note{From: i.h.id, Level: engine.Error, If: i.state.ID, Text: err.Error()})
		return
	}
	i.h.counts.Add(count)
	i.h.emit(p)
}
