package timers

import (
	"slices"
	"testing"
	"time"

	"grove/internal/engine"
	pimwire "grove/internal/pim/wire"
	"grove/pimsm"
)

const (
	twoRouters = "r1 a\nr2 a"
	// r1 is the RP, h2 a host behind r2.
	line = "r1 a\nr2 a b\nh2 b"
	// r2 and r3, each with a host, depend on r1 on one LAN.
	lan = "r1 a\nr2 a b\nr3 a c\nh2 b\nh3 c"
	// h2 is a host at r2, the first hop of what it sends; r1 is the RP, and nobody a member.
	firstHop = line
	// r3 and r4 both send to LAN c: r3 for r2, whose way to r1 leads by it, r4 as the DR for h5.
	// r3 wins the Asserts, because r1 and the source h1 are nearer.
	asserts = "h1 s\nr1 s a b\nr2 c:10 d\nr3 a c\nr4 b:2 c\nh2 d\nh5 c"
)

// hellos returns the Hellos that a router sent.
func (n *network) hellos(node string) []message {
	return of(n.sent, func(m *message, h *pimwire.Hello) bool { return m.node == node })
}

// joins returns the Join/Prune messages of a list that a router is the sender or receiver of, with a Join(*,G).
func (n *network) joins(list []message, node string) []message {
	return of(list, func(m *message, jp *pimwire.JoinPrune) bool {
		return m.node == node && len(jp.Groups) > 0 && slices.ContainsFunc(jp.Groups[0].Joined, pimwire.Source.IsStarG)
	})
}

// prunes is joins for Prune(*,G).
func (n *network) prunes(list []message, node string) []message {
	return of(list, func(m *message, jp *pimwire.JoinPrune) bool {
		return m.node == node && len(jp.Groups) > 0 && slices.ContainsFunc(jp.Groups[0].Pruned, pimwire.Source.IsStarG)
	})
}

func helloPeriod(t *testing.T, f engine.Family) {
	n := build(t, f, 1, twoRouters)
	n.Run(time.Hour)
	got := times(after(n.hellos("r1"), 10*second)) // the neighbor is known by then
	if len(got) < 119 {
		t.Errorf("%d Hellos in an hour", len(got))
	}
	for i := 1; i < len(got); i++ {
		exactly(t, "between two Hellos", got[i]-got[i-1], 30*second)
	}
}

func helloHoldtime(t *testing.T, f engine.Family) {
	n := build(t, f, 1, twoRouters)
	n.Run(time.Minute)
	for _, m := range n.hellos("r2") {
		if d, ok := m.msg.(*pimwire.Hello).Holdtime(); !ok || d != 105*second {
			t.Errorf("Holdtime %v, %v", d, ok)
		}
	}
	n.neighborExpires("r2")
}

// neighborExpires: from r2's last Hello the neighbor lives for 105 s at r1.
func (n *network) neighborExpires(who string) {
	n.t.Helper()
	n.silence("a", true)
	heard := n.last(of(n.heard, func(m *message, h *pimwire.Hello) bool { return m.node == "r1" && m.src == n.addr(who, "a") }))
	exactly(n.t, "neighbor gone after its last Hello", n.await("r1", "neighbor", "down", 10*time.Minute)-heard, 105*second)
}

// defaultHelloHoldtime: a Hello without the Holdtime option.
func defaultHelloHoldtime(t *testing.T, f engine.Family) {
	n := build(t, f, 1, twoRouters)
	n.edit = func(m *message) bool {
		if h, ok := m.msg.(*pimwire.Hello); ok {
			h.Options = slices.DeleteFunc(h.Options, func(o pimwire.Option) bool { _, is := o.(pimwire.Holdtime); return is })
		}
		return true
	}
	n.Run(time.Minute)
	n.neighborExpires("r2")
}

func firstHello(t *testing.T, f engine.Family) {
	got := each(t, f, "r1 a\nh1 a", func(n *network) time.Duration {
		n.Run(10 * second)
		return n.hellos("r1")[0].at
	})
	spread(t, "first Hello", got, 0, 5*second)
}

// triggeredHello: r2 appears when r1's next periodic Hello is more than 5 s away.
func triggeredHello(t *testing.T, f engine.Family) {
	got := each(t, f, "r1 a\nr2 a\nh1 a", func(n *network) time.Duration {
		r2 := n.Node("r2").Port("a")
		r2.SetUp(false)
		n.Run(50 * second)
		r2.SetUp(true)
		up := n.await("r1", "neighbor", "up", 5*second+delay)
		n.Run(6 * second)
		return n.last(after(n.hellos("r1"), up)) - up
	})
	spread(t, "Hello for a new neighbor", got, 0, 5*second)
}

// lanPruneDelay: what the option of our Hellos says.
func lanPruneDelay(t *testing.T, f engine.Family) {
	n := build(t, f, 1, twoRouters)
	n.Run(time.Minute)
	for _, m := range n.hellos("r1") {
		d, ok := m.msg.(*pimwire.Hello).LANPruneDelay()
		want := pimwire.LANPruneDelay{PropagationDelay: 500 * millisecond, OverrideInterval: 2500 * millisecond}
		if !ok || d != want {
			t.Errorf("LAN Prune Delay %+v, %v", d, ok)
		}
	}
}

// pending returns how long a Prune(*,G) is pending at r1 after h2 has left.
func (n *network) pending(m interface{ Leave() }) time.Duration {
	n.t.Helper()
	n.await("r1", "downstream (*,G)", "Join", time.Minute)
	n.Run(time.Minute)
	m.Leave()
	begin := n.await("r1", "downstream (*,G)", "Prune-Pending", time.Minute)
	if end := n.when("r1", "downstream (*,G)", "NoInfo"); len(end) > 0 && end[len(end)-1] == begin {
		return 0
	}
	return n.await("r1", "downstream (*,G)", "NoInfo", time.Minute) - begin
}

func prunePending(t *testing.T, f engine.Family) {
	n := build(t, f, 1, lan)
	exactly(t, "Prune pending", n.pending(n.join("h2")), 3*second)
	n.Run(second)
	// The PruneEcho, for those who did not hear the Prune.
	echo := n.prunes(n.sent, "r1")
	if len(echo) != 1 || echo[0].msg.(*pimwire.JoinPrune).Upstream != n.addr("r1", "a") {
		t.Errorf("PruneEcho: %v", echo)
	}
}

func prunePendingAlone(t *testing.T, f engine.Family) {
	n := build(t, f, 1, line)
	exactly(t, "Prune pending", n.pending(n.join("h2")), 0)
	if echo := n.prunes(n.sent, "r1"); len(echo) > 0 {
		t.Errorf("PruneEcho: %v", echo)
	}
}

// withoutLANPruneDelay: r2 says long delays, and is obeyed. When r3 stops sending the option nobody is.
func withoutLANPruneDelay(t *testing.T, f engine.Family) {
	n := build(t, f, 1, lan)
	all := true
	n.edit = func(m *message) bool {
		if h, ok := m.msg.(*pimwire.Hello); ok {
			for i, o := range h.Options {
				if _, is := o.(pimwire.LANPruneDelay); !is {
					continue
				}
				switch {
				case m.node == "r2":
					h.Options[i] = pimwire.LANPruneDelay{PropagationDelay: second, OverrideInterval: 5 * second}
				case m.node == "r3" && !all:
					h.Options = slices.Delete(h.Options, i, i+1)
				}
				break
			}
		}
		return true
	}
	exactly(t, "Prune pending as r2's option says", n.pending(n.join("h2")), 6*second)
	all = false
	n.Run(time.Minute)
	exactly(t, "Prune pending with a router that does not send the option", n.pending(n.join("h2")), 3*second)
}

func overrideJoin(t *testing.T, f engine.Family) {
	got := each(t, f, lan, func(n *network) time.Duration {
		m := n.join("h2")
		n.join("h3")
		n.Run(5 * time.Minute)
		m.Leave()
		n.Run(second)
		pending := n.await("r1", "downstream (*,G)", "Prune-Pending", 10*second)
		return n.await("r1", "downstream (*,G)", "Join", 10*second) - pending
	})
	spread(t, "Join that overrides a Prune", got, 0, 2500*millisecond)
}

// overrideRpt: r2 gets the source over link g and prunes it off the shared tree; r3 gets it by r1 as before.
func overrideRpt(t *testing.T, f engine.Family) {
	got := each(t, f, "r1 a:10 e:5\nr2 a g:8 b\nr3 a c\nr4 e g s\nh2 b\nh3 c\nh4 s", func(n *network) time.Duration {
		n.join("h2")
		n.join("h3")
		n.Run(time.Minute)
		n.send("h4")
		pending := n.await("r1", "downstream (S,G,rpt)", "Prune-Pending", time.Minute)
		return n.await("r1", "downstream (S,G,rpt)", "NoInfo", 10*second) - pending
	})
	spread(t, "Join(S,G,rpt) that overrides a Prune(S,G,rpt)", got, 0, 2500*millisecond)
}

func periodic(t *testing.T, f engine.Family) {
	n := build(t, f, 1, line)
	n.Run(time.Minute)
	n.join("h2")
	n.Run(time.Hour)
	got := n.joins(n.sent, "r2")
	if len(got) < 60 || len(got) > 62 {
		t.Errorf("%d Joins in an hour", len(got))
	}
	for i := 1; i < len(got); i++ {
		// Joins that are due in the same 64th of a period go together.
		between(t, "between two Joins", got[i].at-got[i-1].at, 60*second-60*second/64, 60*second)
	}
}

func joinHoldtime(t *testing.T, f engine.Family) {
	n := build(t, f, 1, line)
	n.join("h2")
	n.Run(10 * time.Minute)
	for _, m := range n.joins(n.sent, "r2") {
		if d := m.msg.(*pimwire.JoinPrune).Holdtime; d != 210*second {
			t.Errorf("HoldTime %v", d)
		}
	}
	n.silence("a", true)
	heard := n.last(n.joins(n.heard, "r1"))
	exactly(t, "state of a silent downstream router", n.await("r1", "downstream (*,G)", "NoInfo", 10*time.Minute)-heard, 210*second)
}

// suppressed: one of the two routers speaks for both. When it falls silent the other one does.
func suppressed(t *testing.T, f engine.Family) {
	got := each(t, f, lan, func(n *network) time.Duration {
		n.Run(time.Minute)
		n.join("h2")
		n.join("h3")
		n.Run(10 * time.Minute)
		begin := n.Now() - 5*time.Minute
		speaker, quiet := "r2", "r3"
		if len(after(n.joins(n.sent, quiet), begin)) > 0 {
			speaker, quiet = quiet, speaker
		}
		if some := after(n.joins(n.sent, quiet), begin); len(some) > 0 {
			t.Errorf("nothing is suppressed: %s sent Joins at %v", quiet, times(some))
		}
		n.edit = func(m *message) bool {
			_, is := m.msg.(*pimwire.JoinPrune)
			return !is || m.node != speaker
		}
		heard := n.last(n.joins(n.heard, quiet))
		n.Run(2 * time.Minute)
		return after(n.joins(n.sent, quiet), heard)[0].at - heard
	})
	spread(t, "Join after another router's last Join", got, 66*second, 84*second)
}

// late is how much later than its last packet a flow may be known to be silent: mfib tells of packets every sixth of
// Keepalive_Period, at its next check of the row.
const late = 210*second/6 + 2*4*second

func keepalive(t *testing.T, f engine.Family) {
	n := build(t, f, 1, firstHop)
	n.Run(time.Minute)
	source := n.send("h2")
	n.Run(10 * time.Minute)
	if gone := n.when("r2", "register", "NoInfo"); len(gone) > 0 {
		t.Fatalf("the KeepaliveTimer expired while packets came%s", n.story())
	}
	source.Stop()
	stopped := n.Now()
	between(t, "KeepaliveTimer after the last packet", n.await("r2", "register", "NoInfo", 10*time.Minute)-stopped,
		209*second, 210*second+late)
}

// rpKeepalive: max(Keepalive_Period, RP_Keepalive_Period) is Keepalive_Period, as long as both are the defaults.
func rpKeepalive(t *testing.T, f engine.Family) {
	n := build(t, f, 1, firstHop)
	n.Run(time.Minute)
	source := n.send("h2")
	stops := func() []message {
		return of(n.sent, func(m *message, _ *pimwire.RegisterStop) bool { return m.node == "r1" })
	}
	left := func() time.Duration {
		for _, e := range query[[]pimsm.EntryShow](n, "r1", engine.PIMSM, "entries") {
			if e.Key.Source.IsValid() {
				return e.Keepalive
			}
		}
		return 0
	}
	begin := n.Now()
	for range 20 {
		seen := len(stops())
		if !n.RunWhile(func() bool { return len(stops()) == seen }, 2*time.Minute) {
			t.Fatalf("no Register-Stop%s", n.story())
		}
		exactly(t, "KeepaliveTimer when a Register-Stop is sent", left(), max(210*second, 185*second))
	}
	if n.Now()-begin < 10*time.Minute {
		t.Errorf("20 Register-Stops in %v: more than Null-Registers", n.Now()-begin)
	}
	source.Stop()
	n.await("r2", "register", "NoInfo", 10*time.Minute)
	stopped := n.last(stops())
	if !n.RunWhile(func() bool { return left() > 0 }, 10*time.Minute) {
		t.Fatal("the RP keeps the source for good")
	}
	exactly(t, "state at the RP after the last Register-Stop", n.Now()-stopped, 210*second)
}

func registerSuppression(t *testing.T, f engine.Family) {
	got := each(t, f, firstHop, func(n *network) time.Duration {
		n.Run(time.Minute)
		n.send("h2")
		stopped := n.await("r2", "register", "Prune", 10*second)
		probe := n.await("r2", "register", "Join-Pending", 2*time.Minute)
		null := of(after(n.sent, stopped), func(m *message, r *pimwire.Register) bool { return m.node == "r2" && r.Null })
		if len(null) != 1 || null[0].at != probe {
			t.Errorf("Null-Registers at %v, the timer expired at %v", times(null), probe)
		}
		return probe + 5*second - stopped
	})
	spread(t, "Register-Stop Timer, and the probe", got, 30*second, 90*second)
}

func registerProbe(t *testing.T, f engine.Family) {
	n := build(t, f, 1, firstHop)
	n.Run(time.Minute)
	n.send("h2")
	n.await("r2", "register", "Prune", 10*second)
	n.silence("a", true)
	probe := n.await("r2", "register", "Join-Pending", 2*time.Minute)
	exactly(t, "from the Null-Register to Registers, without an answer", n.await("r2", "register", "Join", time.Minute)-probe, 5*second)
}

// assertOn makes a network with an Assert on LAN c. The group is source-specific: there is no (*,G) Assert beside it.
func assertOn(t *testing.T, f engine.Family) *network {
	t.Helper()
	n := build(t, f, 1, asserts)
	n.ssm = true
	n.join("h2", "h1")
	n.join("h5", "h1")
	n.Run(time.Minute)
	n.send("h1")
	n.Run(time.Minute)
	won, lost := n.when("r3", "assert (S,G)", "I am Assert Winner"), n.when("r4", "assert (S,G)", "I am Assert Loser")
	if len(won) != 1 || len(lost) != 1 {
		t.Fatalf("r3 has not won over r4%s", n.story())
	}
	return n
}

// asserted returns the Asserts of r3 on LAN c, as a router sent or heard them.
func (n *network) asserted(list []message, node string) []message {
	return of(list, func(m *message, _ *pimwire.Assert) bool {
		return m.node == node && m.ifname == "c" && m.src == n.addr("r3", "c")
	})
}

func assertTime(t *testing.T, f engine.Family) {
	n := assertOn(t, f)
	n.edit = func(m *message) bool { _, is := m.msg.(*pimwire.Assert); return !is }
	heard := n.last(n.asserted(n.heard, "r4"))
	exactly(t, "Assert forgotten by the loser", n.await("r4", "assert (S,G)", "NoInfo", 10*time.Minute)-heard, 180*second)
}

func assertOverride(t *testing.T, f engine.Family) {
	n := assertOn(t, f)
	begin := n.Now()
	n.Run(time.Hour)
	got := times(n.asserted(n.sent, "r3"))
	got = got[slices.IndexFunc(got, func(at time.Duration) bool { return at > begin })-1:]
	if len(got) < 20 {
		t.Errorf("Asserts of the winner: %v", got)
	}
	for i := 1; i < len(got); i++ {
		exactly(t, "between two Asserts of the winner", got[i]-got[i-1], 177*second)
	}
	if forgot := n.when("r4", "assert (S,G)", "NoInfo"); len(forgot) > 0 {
		t.Errorf("the loser forgot the Assert%s", n.story())
	}
}
