package host

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"grove/internal/engine"
)

func quietHost(level logrus.Level) (*Host, *bytes.Buffer) {
	var b bytes.Buffer
	log := logrus.New()
	log.SetOutput(&b)
	log.SetLevel(level)
	log.SetFormatter(&logrus.TextFormatter{DisableColors: true, DisableTimestamp: true})
	return &Host{
		log: logrus.NewEntry(log), names: map[engine.IfID]string{4: "eth4"}, watchers: watchers{all: make(map[*watcher]struct{})},
	}, &b
}

// Transitions that an operator cares about are Info, the rest Debug, both with the same fields.
func TestLogOfTransitions(t *testing.T) {
	pim := engine.MachineID{Protocol: engine.PIMSM, Family: engine.IPv4}
	up := engine.Transition{From: pim, Entity: "neighbor", If: 4, Neighbor: ipOf("10.0.0.2"), New: "up", Cause: "receive Hello"}
	join := engine.Transition{From: pim, Entity: "downstream (S,G)", If: 4, Key: engine.SG(ipOf("10.1.1.1"), ipOf("232.1.1.1")), Old: "NoInfo", New: "Join"}
	for level, want := range map[logrus.Level]string{
		logrus.InfoLevel: `level=info msg="neighbor: none -> up: receive Hello" iface=eth4 machine=pimsm/ipv4 nbr=10.0.0.2 state=up` + "\n",
		logrus.DebugLevel: `level=info msg="neighbor: none -> up: receive Hello" iface=eth4 machine=pimsm/ipv4 nbr=10.0.0.2 state=up` + "\n" +
			`level=debug msg="downstream (S,G): NoInfo -> Join" grp=232.1.1.1 iface=eth4 machine=pimsm/ipv4 src=10.1.1.1 state=Join` + "\n",
		logrus.WarnLevel: "",
	} {
		h, out := quietHost(level)
		h.transition(time.Now(), &up)
		h.transition(time.Now(), &join)
		if out.String() != want {
			t.Errorf("at %v:\n%s", level, out)
		}
	}
}

// A line that repeats is printed a few times in ten seconds, and the next time says how often it was not.
func TestLogLimitsRepeatedNotes(t *testing.T) {
	h, out := quietHost(logrus.InfoLevel)
	now := time.Now()
	for i := range 100 {
		h.note(now, &engine.Note{Level: engine.Warning, Text: "trouble", If: 4})
		if i == 0 {
			h.note(now, &engine.Note{Level: engine.Warning, Text: "other"})
		}
	}
	h.note(now.Add(limitPeriod), &engine.Note{Level: engine.Warning, Text: "trouble", If: 4})
	if got := strings.Count(out.String(), "trouble"); got != limitLines+1 || strings.Count(out.String(), "other") != 1 {
		t.Errorf("%s", out)
	}
	if !strings.Contains(out.String(), fmt.Sprintf("suppressed=%d", 100-limitLines)) {
		t.Errorf("no word of what was suppressed:\n%s", out)
	}
}

// A watcher gets every event in order; one that sleeps loses some and is told how many; the end of its context, or of
// the host, closes its channel.
func TestWatch(t *testing.T) {
	h, _ := quietHost(logrus.PanicLevel)
	ctx, cancel := context.WithCancel(t.Context())
	events, other := h.Watch(ctx), h.Watch(t.Context())
	const more = 10
	for range watchBuffer + more {
		h.say(engine.Note{Text: "x", If: 4})
	}
	for range watchBuffer {
		if e := <-events; e.Lost != 0 || e.Interface != "eth4" || e.Effect.(engine.Note).Text != "x" || e.Time.IsZero() {
			t.Fatalf("%+v", e)
		}
	}
	h.say(engine.Note{Text: "y"})
	if e := <-events; e.Lost != more {
		t.Errorf("%d lost", e.Lost)
	}
	cancel()
	if _, open := <-events; open {
		t.Error("the channel is open")
	}
	h.endWatching()
	for range other {
	}
	if _, open := <-h.Watch(t.Context()); open {
		t.Error("a watch after the end")
	}
}
