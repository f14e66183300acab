package autorp

import (
	"net/netip"
	"slices"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/autorp/wire"
)

// This file is what every designated router does: it obtains "the group-RP mappings for local use" (section 3.2).

// Mapping is a learned Group-to-RP mapping. "Only one longest match lookup is done on the group. If the entry found is negative, the
// group is deemed in dense mode" (section 6, rule 1).
type Mapping struct {
	Groups   netip.Prefix
	RP       netip.Addr
	Negative bool
}

// listener is the mappings that were learned.
type listener struct {
	a     *AutoRP
	heard map[saying]*heard
	used  []Mapping
}

// heard is what an agent says of a range of groups.
type heard struct {
	rp       netip.Addr
	version  wire.PIMVersion
	negative bool
	at       time.Time    // when it was last said
	expires  engine.Timer // does not run: never
}

// quiet is how long an agent may be silent whose mappings never time out, before another is believed.
const quiet = 3 * time.Minute

// silentSince says that what was heard is without end, and old.
func (h *heard) silentSince(now time.Time) bool { return !h.expires.Running() && now.Sub(h.at) > quiet }

func (l *listener) init(a *AutoRP) {
	l.a = a
	l.heard = make(map[saying]*heard)
}

// configure forgets all if mappings are not to be learned.
func (l *listener) configure(now time.Time) {
	if l.a.cfg.Listen {
		return
	}
	for _, h := range engine.SortedFunc(l.heard, compareSayings) {
		l.a.env.Timers.Stop(&h.expires)
	}
	clear(l.heard)
	l.choose(now, "auto-rp is not listened to")
}

// hear takes what an agent says, ourselves among them.
func (l *listener) hear(now time.Time, src netip.Addr, m *wire.Message) {
	if !l.a.cfg.Listen {
		return
	}
	for _, rp := range m.RPs {
		for _, g := range rp.Groups {
			if l.a.usable(rp.Address, g) {
				l.take(now, src, rp, g, m.Holdtime)
			}
		}
	}
	l.choose(now, "discovery of "+src.String())
}

func (l *listener) take(now time.Time, src netip.Addr, rp wire.RP, g wire.Group, holdtime time.Duration) {
	k := saying{src, g.Prefix}
	h := l.heard[k]
	if h == nil {
		if len(l.heard) >= l.a.cfg.MaxMappings {
			l.a.count("mapping refused: too many")
			return
		}
		h = &heard{}
		h.expires.Do = func(now time.Time) {
			delete(l.heard, k)
			l.choose(now, "the holdtime is over")
		}
		l.heard[k] = h
	}
	l.a.setExpiry(&h.expires, now, holdtime)
	h.rp, h.version, h.negative, h.at = rp.Address, rp.Version, g.Negative, now
}

// best returns, for every range of groups of which something was said, what is believed: the agent with the highest address.
func (l *listener) best(now time.Time) []saying {
	var list []saying
	for k, h := range engine.SortedFunc(l.heard, compareSayings) {
		last := len(list) - 1
		if last < 0 || list[last].groups != k.groups {
			list = append(list, k)
		} else if !h.silentSince(now) || l.heard[list[last]].silentSince(now) {
			list[last] = k
		}
	}
	return list
}

// choose works out the mappings anew.
func (l *listener) choose(now time.Time, cause string) {
	var list []Mapping
	for _, k := range l.best(now) {
		h := l.heard[k]
		list = append(list, Mapping{Groups: k.groups, RP: h.rp, Negative: h.negative})
	}
	if slices.Equal(list, l.used) {
		return
	}
	old := l.used
	l.used = list
	l.tell(old, list, cause)
	l.a.env.Changed()
}

// tell tells what changed. Both lists are sorted.
func (l *listener) tell(old, now []Mapping, cause string) {
	for len(old)+len(now) > 0 {
		var was, is Mapping
		order := 0
		switch {
		case len(old) == 0:
			order = +1
		case len(now) == 0:
			order = -1
		default:
			order = comparePrefixes(old[0].Groups, now[0].Groups)
		}
		if order <= 0 {
			was, old = old[0], old[1:]
		}
		if order >= 0 {
			is, now = now[0], now[1:]
		}
		if was.String() == is.String() {
			continue
		}
		of := was.Groups
		if order >= 0 {
			of = is.Groups
		}
		l.a.env.Emit(engine.Transition{Entity: "auto-rp mapping " + of.String(), Old: was.String(), New: is.String(), Cause: cause})
	}
}

// String returns the RP, "dense" for a negative mapping, "none" for none.
func (m Mapping) String() string {
	switch {
	case m.Negative:
		return "dense"
	case !m.RP.IsValid():
		return "none"
	}
	return m.RP.String()
}

// Mappings returns what was learned: one mapping for each range of groups, in order. It is not changed later.
func (a *AutoRP) Mappings() []Mapping { return a.listener.used }
