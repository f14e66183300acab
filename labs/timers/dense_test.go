package timers

import (
	"testing"
	"time"

	"grove/internal/engine"
	pimwire "grove/internal/pim/wire"
)

const (
	// h1 sends, r1 is its first hop, and r2 has a host behind it.
	denseLine = "h1 s\nr1 s a\nr2 a b\nh2 b"
	upstream  = "upstream (S,G)"
	pruned    = "Pruned"
)

// withoutRefresh has no router send State Refresh, which would keep prunes alive.
var withoutRefresh = map[string]string{"r1": "{state-refresh: false}", "r2": "{state-refresh: false}", "r3": "{state-refresh: false}"}

// densePrunes returns the Prunes of a list that a router is the sender or receiver of.
func (n *network) densePrunes(list []message, node string) []message {
	return of(list, func(m *message, jp *pimwire.JoinPrune) bool {
		return m.node == node && len(jp.Groups) > 0 && len(jp.Groups[0].Pruned) > 0
	})
}

// pruneHoldtime: what our Prunes say, and that packets are flooded again when one has run out.
func pruneHoldtime(t *testing.T, f engine.Family) {
	n := buildDense(t, f, denseLine, withoutRefresh)
	n.Run(time.Minute)
	n.send("h1")
	n.await("r1", "downstream (S,G)", pruned, time.Minute)
	heard := n.last(n.densePrunes(n.heard, "r1"))
	for _, m := range n.densePrunes(n.sent, "r2") {
		if d := m.msg.(*pimwire.JoinPrune).Holdtime; d != 210*second {
			t.Errorf("Holdtime %v", d)
		}
	}
	exactly(t, "the Prune runs out", n.await("r1", "downstream (S,G)", "NoInfo", 10*time.Minute)-heard, 210*second)
}

// pruneLimit: the upstream router hears no Prune, so packets come on, and one is sent each time that it may be.
func pruneLimit(t *testing.T, f engine.Family) {
	n := buildDense(t, f, denseLine, withoutRefresh)
	var got []time.Duration
	n.edit = func(m *message) bool {
		_, is := m.msg.(*pimwire.JoinPrune)
		if is && m.node == "r2" {
			got = append(got, m.at)
		}
		return !is
	}
	n.Run(time.Minute)
	n.send("h1")
	n.Run(time.Hour)
	if len(got) < 16 {
		t.Errorf("%d Prunes in an hour", len(got))
	}
	for i := 1; i < len(got); i++ {
		// Packets are noticed when the counters are read.
		between(t, "between two Prunes", got[i]-got[i-1], 210*second, 215*second)
	}
}

// graftRetry: no Graft arrives.
func graftRetry(t *testing.T, f engine.Family) {
	n := buildDense(t, f, denseLine, withoutRefresh)
	n.Run(time.Minute)
	n.send("h1")
	n.await("r2", upstream, pruned, time.Minute)
	n.silence("a", true)
	n.join("h2")
	n.Run(20 * second)
	got := times(of(n.sent, func(m *message, _ *pimwire.Graft) bool { return m.node == "r2" }))
	if len(got) < 6 {
		t.Errorf("%d Grafts in 20 s", len(got))
	}
	for i := 1; i < len(got); i++ {
		exactly(t, "between two Grafts", got[i]-got[i-1], 3*second)
	}
}

// denseAssertTime: r2 and r3 lead to LAN c, where r4 is. Without State Refresh the Assert of the first packet is over
// after Assert_Time, and both forward again.
func denseAssertTime(t *testing.T, f engine.Family) {
	n := buildDense(t, f, "h1 s\nr1 s a\nr2 a c\nr3 a c\nr4 c d\nh4 d", withoutRefresh)
	n.join("h4")
	n.Run(time.Minute)
	n.send("h1")
	begin := n.await("r2", "assert (S,G)", "I am Assert Loser", time.Minute)
	heard := begin
	end := n.await("r2", "assert (S,G)", "NoInfo", 10*time.Minute)
	for _, m := range of(n.heard, func(m *message, _ *pimwire.Assert) bool { return m.node == "r2" && m.at < end }) {
		heard = max(heard, m.at)
	}
	exactly(t, "the Assert is over", end-heard, 180*second)
}

// sourceLifetime: the source falls silent. Packets are noticed when the counters are read, within a sixth of it.
func sourceLifetime(t *testing.T, f engine.Family) {
	n := buildDense(t, f, denseLine, map[string]string{})
	n.join("h2")
	n.Run(time.Minute)
	s := n.send("h1")
	n.Run(10 * time.Minute)
	s.Stop()
	stopped := n.Now()
	between(t, "the source is forgotten", n.await("r1", "originator (S,G)", "NotOriginator", 10*time.Minute)-stopped,
		210*second, 210*second+210*second/6+5*second)
}

// stateRefreshes returns the State Refresh messages that a router sent on a link.
func (n *network) stateRefreshes(node, link string) []time.Duration {
	return times(of(n.sent, func(m *message, _ *pimwire.StateRefresh) bool { return m.node == node && m.ifname == link }))
}

func refreshInterval(t *testing.T, f engine.Family) {
	n := buildDense(t, f, denseLine, map[string]string{})
	n.join("h2")
	n.Run(time.Minute)
	n.send("h1")
	n.Run(10 * time.Minute)
	got := n.stateRefreshes("r1", "a")
	if len(got) < 9 {
		t.Errorf("%d State Refreshes in 10 minutes", len(got))
	}
	for i := 1; i < len(got); i++ {
		exactly(t, "between two State Refreshes", got[i]-got[i-1], 60*second)
	}
}

// refreshLimit: r1 sends State Refresh each second, and r2 forwards what it may.
func refreshLimit(t *testing.T, f engine.Family) {
	n := buildDense(t, f, "h1 s\nr1 s a\nr2 a b\nr3 b", map[string]string{"r1": "{state-refresh-interval: 1s}"})
	n.Run(time.Minute)
	n.send("h1")
	n.Run(2 * time.Minute)
	got := n.stateRefreshes("r2", "b")
	if len(got) < 20 {
		t.Errorf("%d State Refreshes in 2 minutes", len(got))
	}
	for i := 1; i < len(got); i++ {
		exactly(t, "between two State Refreshes that are forwarded", got[i]-got[i-1], 5*second)
	}
}
