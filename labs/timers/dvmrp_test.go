package timers

import (
	"testing"
	"time"

	"grove/dvmrp"
	dvmrpwire "grove/dvmrp/wire"
	"grove/internal/engine"
)

// ipv4 makes a test of a protocol of IPv4 alone one of both families.
func ipv4(test func(t *testing.T)) func(t *testing.T, f engine.Family) {
	return func(t *testing.T, f engine.Family) {
		if f == engine.IPv6 {
			t.Skip("a protocol of IPv4")
		}
		test(t)
	}
}

// probes returns the Probes of a list that a router is the sender or receiver of.
func (n *network) probes(list []message, node string) []message {
	return of(list, func(m *message, _ *dvmrpwire.Probe) bool { return m.node == node })
}

// routeReports returns the Reports to all that a router sent, of so many routes.
func (n *network) routeReports(node string, routes int) []message {
	return of(n.sent, func(m *message, p *dvmrpwire.Report) bool {
		return m.node == node && m.dst == dvmrpwire.AllDVMRPRouters && len(p.Routes) == routes
	})
}

func probeInterval(t *testing.T) {
	n := buildVector(t, 1, twoRouters)
	n.Run(time.Hour)
	got := times(after(n.probes(n.sent, "r1"), second)) // the neighbor is known by then
	if len(got) < 359 {
		t.Errorf("%d Probes in an hour", len(got))
	}
	for i := 1; i < len(got); i++ {
		exactly(t, "between two Probes", got[i]-got[i-1], 10*second)
	}
}

func neighborTimeout(t *testing.T) {
	n := buildVector(t, 1, twoRouters)
	n.Run(65 * second) // no Probe is on its way
	n.silence("a", true)
	heard := n.last(n.probes(n.heard, "r1"))
	exactly(t, "neighbor gone after its last Probe", n.await("r1", "neighbor", "down", time.Minute)-heard, 35*second)
}

func reportInterval(t *testing.T) {
	n := buildVector(t, 1, "r1 a b c\nr2 a\nh1 b\nh2 c")
	n.Run(time.Hour)
	got := times(after(n.routeReports("r1", 2), 10*second))
	if len(got) < 59 {
		t.Errorf("%d Reports in an hour", len(got))
	}
	for i := 1; i < len(got); i++ {
		exactly(t, "between two Reports", got[i]-got[i-1], 60*second)
	}
}

// flashInterval: a network comes and goes each second.
func flashInterval(t *testing.T) {
	n := buildVector(t, 1, "r1 a b c\nr2 a\nh1 b\nh2 c")
	n.Run(time.Minute)
	for i := range 60 {
		n.Node("r1").Port("b").SetUp(i%2 == 1)
		n.Run(second)
	}
	got := times(after(n.routeReports("r1", 1), time.Minute))
	if len(got) < 11 {
		t.Errorf("%d flash updates in a minute", len(got))
	}
	for i := 1; i < len(got); i++ {
		exactly(t, "between two flash updates", got[i]-got[i-1], 5*second)
	}
}

// deaf is a network in which r1 hears no Reports of r2 any more, whose network b it knew, but Probes. It returns when r1
// heard the last.
func deaf(t *testing.T) (n *network, last time.Duration) {
	n = buildVector(t, 1, "r1 a\nr2 a b\nh2 b")
	n.Run(3 * time.Minute)
	last = n.last(of(n.heard, func(m *message, _ *dvmrpwire.Report) bool { return m.node == "r1" }))
	n.edit = func(m *message) bool {
		_, is := m.msg.(*dvmrpwire.Report)
		return !is || m.node != "r2"
	}
	return n, last
}

func routeExpiration(t *testing.T) {
	n, last := deaf(t)
	exactly(t, "the route ends after the last Report", n.await("r1", "route 10.0.1.0/24", "hold-down", 10*time.Minute)-last, 140*second)
}

func routeHoldDown(t *testing.T) {
	n, _ := deaf(t)
	begin := n.await("r1", "route 10.0.1.0/24", "hold-down", 10*time.Minute)
	exactly(t, "hold-down", n.await("r1", "route 10.0.1.0/24", "none", 10*time.Minute)-begin, 120*second)
}

// pruneLifetime: the default, "randomized to prevent synchronization", and that packets are flooded again when it is over.
func pruneLifetime(t *testing.T) {
	var got []time.Duration
	for seed := range uint64(seeds) {
		n := buildVector(t, seed, denseLine)
		n.Run(time.Minute)
		n.send("h1")
		n.await("r1", "downstream (S,G)", pruned, time.Minute)
		heard := of(n.heard, func(m *message, _ *dvmrpwire.Prune) bool { return m.node == "r1" })
		lifetime := heard[0].msg.(*dvmrpwire.Prune).Lifetime
		got = append(got, lifetime)
		if seed == 0 {
			exactly(t, "the Prune runs out", n.await("r1", "downstream (S,G)", "Forwarding", 3*time.Hour)-heard[0].at, lifetime)
		}
	}
	spread(t, "lifetime of Prunes", got, 5400*second, 7200*second)
}

// pruneRetransmission: no Prune arrives. Packets come each second, and are looked for as often.
func pruneRetransmission(t *testing.T) {
	n := buildVector(t, 1, denseLine)
	var got []time.Duration
	n.edit = func(m *message) bool {
		_, is := m.msg.(*dvmrpwire.Prune)
		if is {
			got = append(got, m.at)
		}
		return !is
	}
	n.Run(time.Minute)
	n.send("h1")
	n.Run(time.Minute)
	if len(got) < 4 {
		t.Fatalf("%d Prunes in a minute", len(got))
	}
	for i, interval := 1, 3*second; i < 4; i, interval = i+1, 2*interval {
		between(t, "until the Prune is sent again", got[i]-got[i-1], interval, interval*5/4+2500*millisecond)
	}
}

// graftRetransmission: no Graft Ack arrives.
func graftRetransmission(t *testing.T) {
	n := buildVector(t, 1, denseLine)
	n.edit = func(m *message) bool {
		_, is := m.msg.(*dvmrpwire.GraftAck)
		return !is
	}
	n.Run(time.Minute)
	n.send("h1")
	n.Run(time.Minute)
	n.join("h2")
	n.Run(time.Minute)
	got := times(of(n.sent, func(m *message, _ *dvmrpwire.Graft) bool { return m.node == "r2" }))
	if len(got) != 4 {
		t.Fatalf("Grafts at %v", got)
	}
	for i, interval := 1, 5*second; i < 4; i, interval = i+1, 2*interval {
		exactly(t, "until the Graft is sent again", got[i]-got[i-1], interval)
	}
}

// cacheLifetime: r1 has nobody to prune. That packets come is seen by counters, read every 50 s.
func cacheLifetime(t *testing.T) {
	n := buildVector(t, 1, "h1 s\nr1 s")
	n.Run(second)
	source := n.send("h1")
	n.Run(time.Hour)
	source.Stop()
	begin := n.Now()
	if !n.RunWhile(func() bool { return len(query[[]dvmrp.EntryShow](n, "r1", engine.DVMRP, "entries")) > 0 }, time.Hour) {
		t.Fatal("the entry stays")
	}
	between(t, "the entry stays", n.Now()-begin, 299*second, 360*second)
}
