package timers

import (
	"testing"
	"time"

	"grove/daemon/config"
	"grove/igmp"
	igmpwire "grove/igmp/wire"
	"grove/internal/engine"
)

const (
	oneHost    = "r1 a\nh1 a"
	twoHosts   = "r1 a\no1 a\nh2 a"
	olderHost  = "r1 a\no1 a"
	twoQuerier = "r1 a\nr2 a\nh1 a"
)

// queries returns the General Queries that a router sent, or heard.
func (n *network) queries(list []message, node string) []message {
	return of(list, func(m *message, q igmpwire.Query) bool { return m.node == node && q.General() })
}

// specific returns the Group-Specific Queries that a router sent.
func (n *network) specific(node string) []message {
	return of(n.sent, func(m *message, q igmpwire.Query) bool { return m.node == node && q.Group == n.group() })
}

// reports returns the reports about the group that a router heard.
func (n *network) reports(node string) []message {
	v3 := func(m *message, r igmpwire.Report) bool {
		for _, rec := range r.Records {
			if m.node == node && rec.Group == n.group() {
				return true
			}
		}
		return false
	}
	return of(n.heard, v3)
}

// olderReports is reports for those of the older version.
func (n *network) olderReports(node string) []message {
	return of(n.heard, func(m *message, r igmpwire.OlderReport) bool { return m.node == node && r.Group == n.group() })
}

func queryInterval(t *testing.T, f engine.Family) {
	n := build(t, f, 1, oneHost)
	n.Run(time.Hour)
	got := n.queries(n.sent, "r1")
	if len(got) < 29 {
		t.Errorf("%d General Queries in an hour", len(got))
	}
	for i := range got {
		if i > 1 {
			exactly(t, "between two General Queries", got[i].at-got[i-1].at, 125*second)
		}
		if q := got[i].msg.(igmpwire.Query); q.QueryInterval != 125*second || q.Robustness != 2 {
			t.Errorf("a query says QQI %v, QRV %d", q.QueryInterval, q.Robustness)
		}
	}
}

func startupQuery(t *testing.T, f engine.Family) {
	n := build(t, f, 1, oneHost)
	n.Run(10 * time.Minute)
	got := times(n.queries(n.sent, "r1"))
	exactly(t, "from the first query to the second", got[1]-got[0], 31250*millisecond)
	exactly(t, "from the second query to the third", got[2]-got[1], 125*second)
}

func queryResponse(t *testing.T, f engine.Family) {
	got := each(t, f, oneHost, func(n *network) time.Duration {
		n.join("h1")
		n.Run(2 * time.Minute)
		asked := len(n.queries(n.sent, "r1"))
		n.RunWhile(func() bool { return len(n.queries(n.sent, "r1")) == asked }, 3*time.Minute)
		query := n.queries(n.sent, "r1")[asked]
		if d := query.msg.(igmpwire.Query).MaxResp; d != 10*second {
			t.Errorf("a General Query leaves %v for the answer", d)
		}
		n.Run(11 * second)
		return after(n.reports("r1"), query.at)[0].at - query.at
	})
	spread(t, "answer to a General Query", got, 0, 10*second+2*delay)
}

func groupMembership(t *testing.T, f engine.Family) {
	n := build(t, f, 1, oneHost)
	n.join("h1")
	n.Run(10 * time.Minute)
	n.silence("a", true)
	heard := n.last(n.reports("r1"))
	exactly(t, "membership of a silent host", n.await("r1", "group", "none", 10*time.Minute)-heard, 260*second)
}

func otherQuerierPresent(t *testing.T, f engine.Family) {
	n := build(t, f, 1, twoQuerier)
	n.Run(10 * time.Minute)
	n.silence("a", true)
	heard := n.last(n.queries(n.heard, "r2"))
	exactly(t, "from the last query of the Querier", n.await("r2", "querier", "Querier", 10*time.Minute)-heard, 255*second)
	n.Run(second)
	if got := after(n.queries(n.sent, "r2"), heard); len(got) != 1 {
		t.Errorf("r2 asked at %v", times(got))
	}
}

// leave has a host join and leave, and returns when the router heard of it.
func leave(t *testing.T, f engine.Family) (*network, time.Duration) {
	t.Helper()
	n := build(t, f, 1, oneHost)
	m := n.join("h1")
	n.Run(time.Minute)
	m.Leave()
	return n, n.Now() + delay
}

func lastMemberQuery(t *testing.T, f engine.Family) {
	n, left := leave(t, f)
	n.RunUntil(left)
	n.silence("a", true) // the Leave is repeated, and so would be the queries
	n.Run(10 * second)
	got := n.specific("r1")
	if len(got) != 2 {
		t.Fatalf("Group-Specific Queries at %v", times(got))
	}
	for i, m := range got {
		exactly(t, "Group-Specific Query after the Leave", m.at-left, time.Duration(i)*second)
		if d := m.msg.(igmpwire.Query).MaxResp; d != second {
			t.Errorf("it leaves %v for the answer", d)
		}
	}
}

func lastMemberQueryTime(t *testing.T, f engine.Family) {
	n, left := leave(t, f)
	exactly(t, "membership after the Leave", n.await("r1", "group", "none", time.Minute)-left, 2*second)
}

func unsolicitedReport(t *testing.T, f engine.Family) {
	got := each(t, f, oneHost, func(n *network) time.Duration {
		n.Run(time.Minute)
		n.join("h1")
		n.Run(20 * second)
		return repeated(n, n.reports("r1"))
	})
	spread(t, "repeated report", got, 0, second)
}

func olderUnsolicitedReport(t *testing.T, f engine.Family) {
	// The older host shares its link with a Querier of its version: a newer one is understood, too, but needs not be.
	got := each(t, f, olderHost, func(n *network) time.Duration {
		n.Run(time.Minute)
		n.join("o1")
		n.Run(20 * second)
		return repeated(n, n.olderReports("r1"))
	})
	spread(t, "repeated report", got, 0, 10*second)
}

// repeated: the first report comes at once, and it is said once more.
func repeated(n *network, reports []message) time.Duration {
	n.t.Helper()
	if len(reports) != 2 {
		n.t.Fatalf("reports at %v", times(reports))
	}
	exactly(n.t, "first report", reports[0].at, n.Now()-20*second)
	return reports[1].at - reports[0].at
}

// olderQuerierPresent: the router speaks the older version, and then the newest.
func olderQuerierPresent(t *testing.T, f engine.Family) {
	n := build(t, f, 1, oneHost)
	configure := func(members string) {
		c, err := config.Parse("r1", []byte(n.config("r1", []string{"a"}, members)))
		if err != nil {
			t.Fatal(err)
		}
		n.Node("r1").Router().Configure(c)
	}
	configure(map[engine.Family]string{engine.IPv4: "{version: 2}", engine.IPv6: "{version: 1}"}[f])
	n.Run(time.Minute)
	n.join("h1")
	n.Run(10 * time.Minute)
	if n.last(n.olderReports("r1")); len(n.reports("r1")) > 0 {
		t.Errorf("the host said the newest version to an older querier")
	}
	heard := n.last(n.queries(n.sent, "r1")) + delay
	configure("{}")
	// The router asks in the newest version now; the host goes on in the older one. A group that it joins shows it at once.
	newest := func() []message { return of(n.heard, func(*message, igmpwire.Report) bool { return true }) }
	for other, until := n.group(), n.Now()+10*time.Minute; len(newest()) == 0 && n.Now() < until; n.Run(second) {
		other = other.Next()
		n.Node("h1").Host().Join("a", other)
	}
	if len(newest()) == 0 {
		t.Fatal("the host never goes back to the newest version")
	}
	between(t, "from the last query of the older version", newest()[0].at-heard, 260*second, 261*second+2*delay)
}

// olderHostPresent: two members, of which the older one leaves.
func olderHostPresent(t *testing.T, f engine.Family) {
	n := build(t, f, 1, twoHosts)
	m := n.join("o1")
	n.join("h2")
	n.Run(10 * time.Minute)
	older, newest := "IGMPv2", "IGMPv3"
	if f == engine.IPv6 {
		older, newest = "MLDv1", "MLDv2"
	}
	version := func() string {
		groups := query[[]igmp.GroupInfo](n, "r1", engine.IGMP, "groups")
		for _, g := range groups {
			if g.Group == n.group() {
				return g.Version
			}
		}
		return "none"
	}
	if v := version(); v != older {
		t.Fatalf("with an older host: %s", v)
	}
	heard := n.last(n.olderReports("r1"))
	m.Leave()
	for until := heard + 10*time.Minute; version() == older && n.Now() < until; n.Run(10 * millisecond) {
	}
	if v := version(); v != newest {
		t.Fatalf("after the older host is gone: %s", v)
	}
	between(t, "from the last report of the older version", n.Now()-heard, 260*second, 260*second+10*millisecond)
}
