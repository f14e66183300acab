package igmp

import (
	"net/netip"
	"time"

	"grove/igmp/wire"
	"grove/internal/engine"
)

// querier is the election of the one router that asks (RFC 3376 section 6.6.2): the lowest address that is heard to ask.
type querier struct {
	elected bool         // we are the Querier
	startup int          // General Queries left of the Startup Query Count
	query   engine.Timer // the next General Query

	other        netip.Addr   // the Querier if we are not; invalid if none is known
	otherPresent engine.Timer // Other Querier Present timer
	robustness   uint8        // adopted from other; 0: our own
	interval     time.Duration

	warned time.Time // the last warning about a Query of another version
}

// The states of a router on a link (RFC 2236 section 7).
const (
	stateQuerier    = "Querier"
	stateNonQuerier = "Non-Querier"
)

func (q *querier) init(i *iface) {
	q.query.Do = i.queryTimerExpires
	q.otherPresent.Do = func(now time.Time) {
		if i.cfg.Querier {
			// Not a startup: one query now, then at the Query Interval (RFC 2236 section 7).
			i.becomeQuerier(now, 1, "other querier present timer expires")
		} else {
			i.resign(now, "other querier present timer expires")
		}
	}
}

func (q *querier) state() string {
	if q.elected {
		return stateQuerier
	}
	return stateNonQuerier
}

// becomeQuerier starts asking at once, with queries as many as are due at the Startup Query Interval.
func (i *iface) becomeQuerier(now time.Time, queries int, cause string) {
	q := &i.querier
	old := q.state()
	i.m.timers.Stop(&q.otherPresent)
	q.elected, q.startup = true, queries
	q.other, q.robustness, q.interval = netip.Addr{}, 0, 0
	i.electionChanged(old, i.addr, cause)
	i.queryTimerExpires(now)
}

// resign stops asking while no other Querier is known.
func (i *iface) resign(now time.Time, cause string) {
	q := &i.querier
	old, other := q.state(), q.other
	i.m.timers.Stop(&q.query)
	i.m.timers.Stop(&q.otherPresent)
	q.elected = false
	q.other, q.robustness, q.interval = netip.Addr{}, 0, 0
	if old == stateQuerier || other.IsValid() {
		i.electionChanged(old, netip.Addr{}, cause)
	}
}

// hearQuerier takes part in the election on hearing another router's Query.
func (i *iface) hearQuerier(now time.Time, from netip.Addr, msg wire.Query) {
	q := &i.querier
	if i.cfg.Querier && !i.m.family.lower(from, i.addr) {
		// Deviation: the Robustness Variable of a Query that loses is not adopted (RFC 3376 section 4.1.6 adopts that
		// of the most recent Query), since its sender is about to fall silent.
		return
	}
	old, other := q.state(), q.other
	i.m.timers.Stop(&q.query)
	q.elected, q.other = false, from
	q.robustness, q.interval = msg.Robustness, msg.QueryInterval // 0 of an older version: our own
	if q.interval == i.cfg.QueryInterval.Truncate(time.Second) {
		q.interval = 0 // ours, as far as the message can tell
	}
	i.m.timers.Set(&q.otherPresent, now.Add(i.otherQuerierPresent()))
	if other != from {
		i.electionChanged(old, from, "receive Query")
	}
}

func (i *iface) electionChanged(old string, who netip.Addr, cause string) {
	i.m.emit(engine.Transition{
		From: i.m.id, Entity: "querier", If: i.state.ID, Neighbor: who,
		Old: old, New: i.querier.state(), Cause: cause,
	})
}

// queryTimerExpires sends a General Query and sets the timer for the next.
func (i *iface) queryTimerExpires(now time.Time) {
	i.sendGeneral()
	next := i.cfg.QueryInterval
	if i.querier.startup--; i.querier.startup > 0 {
		next = i.cfg.StartupQueryInterval
	}
	i.m.timers.Set(&i.querier.query, now.Add(next))
}
