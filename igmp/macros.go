package igmp

import (
	"slices"

	"grove/igmp/wire"
	"grove/internal/engine"
)

// reaction is what a row of the tables of RFC 3376 sections 6.4.1 and 6.4.2 (RFC 3810 sections 7.4.1 and 7.4.2) asks
// for when a record arrives.
type reaction struct {
	mode         engine.FilterMode // New Router State; its sources follow from the actions
	gmi          set               // (...)=GMI: recorded, with that timer
	groupTimer   set               // (...)=Group Timer, the one before this record
	zero         set               // (...)=0: recorded, not to be forwarded
	remove       set               // Delete (...)
	restart      bool              // Group Timer=GMI
	querySources set               // Send Q(G,...)
	queryGroup   bool              // Send Q(G)
}

// react looks up the row of the tables: the router state is INCLUDE (x), with y empty, or EXCLUDE (x,y); the record
// is of type t with sources a. A type that the RFC does not know asks for nothing.
func react(mode engine.FilterMode, x, y set, t wire.RecordType, a set) reaction {
	if mode == engine.Include {
		switch t {
		case wire.IsIn, wire.Allow: // INCLUDE (A+B)
			return reaction{mode: engine.Include, gmi: a}
		case wire.IsEx: // EXCLUDE (A*B,B-A)
			return reaction{mode: engine.Exclude, zero: minus(a, x), remove: minus(x, a), restart: true}
		case wire.ToEx: // EXCLUDE (A*B,B-A)
			return reaction{mode: engine.Exclude, zero: minus(a, x), remove: minus(x, a), restart: true, querySources: intersect(x, a)}
		case wire.Block: // INCLUDE (A)
			return reaction{mode: engine.Include, querySources: intersect(x, a)}
		case wire.ToIn: // INCLUDE (A+B)
			return reaction{mode: engine.Include, gmi: a, querySources: minus(x, a)}
		}
		return reaction{mode: engine.Include}
	}
	switch t {
	case wire.IsIn, wire.Allow: // EXCLUDE (X+A,Y-A)
		return reaction{mode: engine.Exclude, gmi: a}
	case wire.IsEx: // EXCLUDE (A-Y,Y*A)
		return reaction{mode: engine.Exclude, gmi: minus(a, union(x, y)), remove: minus(union(x, y), a), restart: true}
	case wire.ToEx: // EXCLUDE (A-Y,Y*A)
		return reaction{mode: engine.Exclude, groupTimer: minus(a, union(x, y)), remove: minus(union(x, y), a), restart: true, querySources: minus(a, y)}
	case wire.Block: // EXCLUDE (X+(A-Y),Y)
		return reaction{mode: engine.Exclude, groupTimer: minus(a, union(x, y)), querySources: minus(a, y)}
	case wire.ToIn: // EXCLUDE (X+A,Y-A)
		return reaction{mode: engine.Exclude, gmi: a, querySources: minus(x, a), queryGroup: true}
	}
	return reaction{mode: engine.Exclude}
}

// level is a membership as subscribers are told it. The zero value is no membership.
type level struct {
	mode    engine.FilterMode
	sources set
}

func (l level) none() bool { return l.mode == engine.Include && len(l.sources) == 0 }

// join returns what two listeners want together (RFC 3376 section 3.2).
func (l level) join(o level) level {
	switch {
	case l.mode == engine.Include && o.mode == engine.Include:
		return level{engine.Include, union(l.sources, o.sources)}
	case l.mode == engine.Exclude && o.mode == engine.Exclude:
		return level{engine.Exclude, intersect(l.sources, o.sources)}
	case l.mode == engine.Exclude:
		return level{engine.Exclude, minus(l.sources, o.sources)}
	}
	return level{engine.Exclude, minus(o.sources, l.sources)}
}

func (l level) equal(o level) bool { return l.mode == o.mode && slices.Equal(l.sources, o.sources) }

// state names the level for a Transition.
func (l level) state() string {
	if l.none() {
		return "none"
	}
	return l.mode.String()
}
