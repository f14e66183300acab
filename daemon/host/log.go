package host

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"grove/internal/engine"
)

// What an operator cares about, by the first word of a Transition's entity; the rest is the protocol at work, and
// Debug.
var notable = map[string]bool{"neighbor": true, "DR": true, "querier": true, "RP": true, "interface": true}

// transition prints a change of state.
func (h *Host) transition(now time.Time, t *engine.Transition) {
	level := logrus.DebugLevel
	if first, _, _ := strings.Cut(t.Entity, " "); notable[first] {
		level = logrus.InfoLevel
	}
	if !h.log.Logger.IsLevelEnabled(level) {
		return
	}
	text := fmt.Sprintf("%s: %s -> %s", t.Entity, orNone(t.Old), orNone(t.New))
	if t.Cause != "" {
		text += ": " + t.Cause
	}
	h.entry(now, t.From, t.If, t.Neighbor, t.Key).WithField("state", t.New).Log(level, text)
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// note prints a line of a machine, unless the same line was printed too often of late.
func (h *Host) note(now time.Time, n *engine.Note) {
	level := levels[min(int(n.Level), len(levels)-1)]
	if !h.log.Logger.IsLevelEnabled(level) {
		return
	}
	e := h.entry(now, n.From, n.If, n.Neighbor, n.Key)
	if n.Level > engine.Debug {
		ok, suppressed := h.limit.allow(now, said{n.From, n.If, n.Text})
		if !ok {
			return
		}
		if suppressed > 0 {
			e = e.WithField("suppressed", suppressed)
		}
	}
	e.Log(level, n.Text)
}

var levels = []logrus.Level{
	engine.Debug: logrus.DebugLevel, engine.Info: logrus.InfoLevel,
	engine.Warning: logrus.WarnLevel, engine.Error: logrus.ErrorLevel,
}

// warn is a Note of the host itself.
func (h *Host) warn(ifc engine.IfID, format string, args ...any) {
	h.say(engine.Note{Level: engine.Warning, If: ifc, Text: fmt.Sprintf(format, args...)})
}

// say prints and publishes a Note.
func (h *Host) say(n engine.Note) {
	now := time.Now()
	h.note(now, &n)
	h.publish(Event{Time: now, Interface: h.InterfaceName(n.If), Effect: n})
}

func (h *Host) entry(now time.Time, from engine.MachineID, ifc engine.IfID, nbr netip.Addr, key engine.Key) *logrus.Entry {
	fields := make(logrus.Fields, 6)
	if from != (engine.MachineID{}) {
		fields["machine"] = from.String()
	}
	if ifc != 0 {
		fields["iface"] = h.InterfaceName(ifc)
	}
	if nbr.IsValid() {
		fields["nbr"] = nbr
	}
	if key.Source.IsValid() {
		fields["src"] = key.Source
	}
	if key.Group.IsValid() {
		fields["grp"] = key.Group
	}
	return h.log.WithTime(now).WithFields(fields)
}

// said is a line of the log as far as repetition goes.
type said struct {
	from engine.MachineID
	ifc  engine.IfID
	text string
}

// limiter lets through the first few of equal lines in a period, and counts the others.
type limiter struct {
	since time.Time
	seen  map[said]int
	quiet map[said]int // suppressed in the period before
}

const (
	limitPeriod = 10 * time.Second
	limitLines  = 3
	limitKinds  = 1000 // different lines in a period; beyond that all pass
)

func (l *limiter) allow(now time.Time, s said) (ok bool, suppressed int) {
	if l.seen == nil || now.Sub(l.since) >= limitPeriod {
		l.quiet = make(map[said]int)
		for s, n := range l.seen {
			if n > limitLines {
				l.quiet[s] = n - limitLines
			}
		}
		l.since, l.seen = now, make(map[said]int)
	}
	if len(l.seen) >= limitKinds {
		return true, 0
	}
	l.seen[s]++
	if l.seen[s] > limitLines {
		return false, 0
	}
	suppressed = l.quiet[s]
	delete(l.quiet, s)
	return true, suppressed
}
