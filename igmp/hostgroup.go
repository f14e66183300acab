package igmp

import (
	"net/netip"
	"slices"
	"time"

	"grove/igmp/wire"
	"grove/internal/engine"
)

// hostGroup is what a Host's interface wants of a group, and what it still has to say about it.
type hostGroup struct {
	i    *hostIface
	addr netip.Addr
	want level

	// The answer to a query is due when delay expires (in older versions, an unsolicited report as well).
	delay engine.Timer
	asked set // sources to answer about; empty: all

	// State-change reports of generation 3 (RFC 3810 section 6.1).
	modeLeft int          // Filter Mode Retransmission Counter
	left     []sourceLeft // Retransmission List, by address

	// Older versions (RFC 2236 section 6).
	unsolicited int  // reports left to repeat
	last        bool // we were the last host to report the group
}

// sourceLeft is a source with its Source Retransmission Counter.
type sourceLeft struct {
	addr netip.Addr
	left int
}

// maxAsked bounds the sources that queries can make a host remember (RFC 3376 section 9.1); beyond it the answer is
// about the whole group.
const maxAsked = 1024

func newHostGroup(i *hostIface, addr netip.Addr) *hostGroup {
	g := &hostGroup{i: i, addr: addr}
	g.delay.Do = g.answer
	return g
}

// reported says whether the group is wanted and one that messages are sent about.
func (g *hostGroup) reported() bool { return !g.want.none() && !g.i.h.family.unreported(g.addr) }

func (g *hostGroup) pending() bool { return g.modeLeft > 0 || len(g.left) > 0 }

// forget drops a group that is left and of which nothing is left to say.
func (g *hostGroup) forget() {
	if g.want.none() && !g.pending() && g.i.groups[g.addr] == g {
		g.i.h.timers.Stop(&g.delay)
		delete(g.i.groups, g.addr)
	}
}

// change notes the difference between old and what is wanted now, to be reported (RFC 3376 section 5.1).
func (g *hostGroup) change(old level) {
	if g.i.generation < withSources || !g.i.state.Running() || g.i.h.family.unreported(g.addr) {
		return
	}
	robustness := g.i.h.cfg.Robustness
	if old.mode != g.want.mode {
		g.modeLeft = robustness
		return
	}
	for _, a := range union(minus(old.sources, g.want.sources), minus(g.want.sources, old.sources)) {
		n, ok := slices.BinarySearchFunc(g.left, a, func(s sourceLeft, a netip.Addr) int { return s.addr.Compare(a) })
		if !ok {
			g.left = slices.Insert(g.left, n, sourceLeft{addr: a})
		}
		g.left[n].left = robustness
	}
}

// nextChange returns the records of the next state-change report and counts it (RFC 3810 sections 6.1 and 6.3).
func (g *hostGroup) nextChange() []wire.Record {
	var records []wire.Record
	if g.modeLeft > 0 {
		g.modeLeft--
		t := wire.ToIn
		if g.want.mode == engine.Exclude {
			t = wire.ToEx
		}
		records = append(records, wire.Record{Type: t, Group: g.addr, Sources: g.want.sources})
	} else {
		var allow, block set
		for _, s := range g.left {
			_, listed := slices.BinarySearchFunc(g.want.sources, s.addr, netip.Addr.Compare)
			if listed == (g.want.mode == engine.Include) {
				allow = append(allow, s.addr)
			} else {
				block = append(block, s.addr)
			}
		}
		if len(allow) > 0 {
			records = append(records, wire.Record{Type: wire.Allow, Group: g.addr, Sources: allow})
		}
		if len(block) > 0 {
			records = append(records, wire.Record{Type: wire.Block, Group: g.addr, Sources: block})
		}
	}
	for n := range g.left {
		g.left[n].left--
	}
	g.left = slices.DeleteFunc(g.left, func(s sourceLeft) bool { return s.left == 0 })
	return records
}

// current is the Current-State Record of the group.
func (g *hostGroup) current() wire.Record {
	t := wire.IsIn
	if g.want.mode == engine.Exclude {
		t = wire.IsEx
	}
	return wire.Record{Type: t, Group: g.addr, Sources: g.want.sources}
}

// ask schedules the answer to a specific query: rules 3 to 5 of RFC 3376 section 5.2.
func (g *hostGroup) ask(now time.Time, delay time.Duration, sources set) {
	switch {
	case !g.delay.Running():
		g.asked = sources
	case len(sources) == 0 || len(g.asked) == 0:
		g.asked = nil
	default:
		g.asked = union(g.asked, sources)
	}
	if len(g.asked) > maxAsked {
		g.asked = nil
	}
	g.i.h.timers.SetMin(&g.delay, now.Add(delay))
}

// answer sends what was asked for, when its delay is over.
func (g *hostGroup) answer(now time.Time) {
	if g.i.generation < withSources {
		g.sendOlder(now)
		return
	}
	asked := g.asked
	g.asked = nil
	if !g.reported() {
		return
	}
	r := g.current()
	if len(asked) > 0 {
		// The table of RFC 3376 section 5.2.
		r.Type = wire.IsIn
		if g.want.mode == engine.Include {
			r.Sources = intersect(g.want.sources, asked)
		} else {
			r.Sources = minus(asked, g.want.sources)
		}
		if len(r.Sources) == 0 {
			return
		}
	}
	g.i.sendRecords([]wire.Record{r})
}

// reportOlder reports a change in the versions without source lists (RFC 2236 section 6).
func (g *hostGroup) reportOlder(now time.Time) {
	i := g.i
	switch {
	case i.h.family.unreported(g.addr):
	case g.want.none():
		if i.generation == withLeave && g.last {
			i.send(i.h.family.allRouters, wire.Leave{Group: g.addr}, "leave sent")
		}
	default:
		g.unsolicited = i.h.cfg.Robustness - 1
		g.sendOlder(now)
	}
	g.forget()
}

// sendOlder sends a report of the older version in force, and schedules its repetition.
func (g *hostGroup) sendOlder(now time.Time) {
	i := g.i
	g.last = true
	i.send(g.addr, wire.OlderReport{Version: i.generation - i.h.family.offset, Group: g.addr}, "report of an older version sent")
	if g.unsolicited > 0 {
		g.unsolicited--
		i.h.timers.Set(&g.delay, now.Add(i.h.random(i.h.cfg.unsolicited(i.generation))))
	}
}

// askOlder schedules the answer to a query: a running timer is reset only if the query leaves less time.
func (g *hostGroup) askOlder(now time.Time, maxResp time.Duration) {
	if !g.reported() || g.delay.Running() && maxResp >= g.delay.Left(now) {
		return
	}
	g.i.h.timers.Set(&g.delay, now.Add(g.i.h.random(maxResp)))
}

// suppress hears another host's report of an older version: ours is not needed. A host in the newest version may
// heed it (RFC 3376 section 7.2.2), and does not.
func (g *hostGroup) suppress() {
	if g.i.generation < withSources && g.delay.Running() {
		g.i.h.timers.Stop(&g.delay)
		g.unsolicited, g.last = 0, false
	}
}
