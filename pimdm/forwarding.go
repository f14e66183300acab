package pimdm

import (
	"time"

	"grove/internal/engine"
)

// This file is the rules of RFC 3973, section 4.2, as rows of the forwarding table.

// row is what we want of the forwarding table for a key: an engine.Want without what follows from the configuration. The
// zero value is no row.
type row struct {
	wanted   bool
	in       ifSet
	out      ifSet
	wrong    ifSet // packets that come in here are reported
	fast     bool  // activity is to be reported soon
	negative bool  // there is no way to the source
}

// wantRow is what section 4.2 says of the next packets:
//
//	if (iif == RPF_interface(S) AND UpstreamPState(S,G) != Pruned) {
//	  oiflist = olist(S,G)
//	} else {
//	  oiflist = NULL
//	}
//
// A row without outgoing interfaces keeps packets from coming up. "Packets for which a route to the source cannot be found
// MUST be discarded."
func wantRow(e *entry) row {
	r := row{wanted: true, in: rpfInterface(e), negative: !e.rpf.reachable}
	if e.up.state != UpstreamPruned && !r.negative {
		r.out = olist(e)
	}
	// Packets on other interfaces are the event of the Assert machine, which hears of them where there is somebody to hear
	// it, and unless it has lost there.
	r.wrong = pimNbrs(e.m) & usable(e.g) &^ boundary(e.g) &^ r.in &^
		e.where(func(o *oif) bool { return o.assert.lost() })
	// Where nobody wants them, the next packet calls for a Prune if PLT(S,G) does not run: in Pruned state, and in that of an
	// entry that a Prune from downstream made before a packet came, Forwarding.
	r.fast = !external(e) && !wanted(e) && !e.up.plt.Running() && !e.up.data && !directlyConnected(e)
	return r
}

// sayRows tells mfib what differs from what it was last told. It runs at Settled.
func (m *Machine) sayRows() {
	entries := m.unsaid
	m.unsaid = nil
	for _, e := range entries {
		e.unsaid = false
		if !e.gone {
			e.say()
		}
	}
}

func (e *entry) say() {
	if !e.rpf.known {
		return // the path comes in this batch, and then there is something to say
	}
	r := wantRow(e)
	if r != e.said || e.asked {
		e.m.want(e.key(), r) // if asked, although we said so: mfib has no row
	}
	e.said, e.asked = r, false
}

func (m *Machine) want(k engine.Key, r row) {
	w := engine.Want{
		Key: k, In: m.ifID(r.in), Out: m.outgoing(r.out), WrongIf: m.ifIDs(r.wrong), Activity: m.activityInterval(r),
	}
	if r.negative {
		w.Negative = "no route to the source"
	}
	m.emit(w)
}

const (
	activityParts = 6           // of SourceLifetime
	fastActivity  = time.Second // so late a Prune is at most
)

func (m *Machine) activityInterval(r row) time.Duration {
	d := m.cfg.SourceLifetime / activityParts
	if r.fast {
		d = min(d, fastActivity)
	}
	return d
}
