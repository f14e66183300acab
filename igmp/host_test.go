package igmp_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"grove/igmp"
	"grove/igmp/wire"
	"grove/internal/engine"
)

// hostOn returns a host with one interface, and what it sends when it is configured.
func hostOn(t testing.TB, n names, mtu int, memberships ...igmp.HostMembership) (*igmp.Host, []wire.Report) {
	h := igmp.NewHost(engine.MachineID{Protocol: engine.IGMP, Family: n.family}, rand.New(rand.NewPCG(1, 2)))
	i := upInterface(n)
	i.MTU = mtu
	now := time.Unix(1000, 0)
	h.Step(now, engine.InterfaceChange{Interface: i})
	return h, reportsOf(t, h.Step(now, engine.Configure{Config: igmp.HostConfig{Memberships: map[string][]igmp.HostMembership{"eth1": memberships}}}))
}

func reportsOf(t testing.TB, effects []engine.Effect) (out []wire.Report) {
	for _, e := range effects {
		if s, ok := e.(engine.Send); ok {
			m, err := wire.Parse(s.Payload, wire.Ends{Src: s.Src, Dst: s.Dst})
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, m.(wire.Report))
		}
	}
	return out
}

// TestSocketsAreJoined: RFC 3376 section 3.2 and its two examples; RFC 3810 section 4.2.
func TestSocketsAreJoined(t *testing.T) {
	const include, exclude = engine.Include, engine.Exclude
	type socket struct {
		mode    engine.FilterMode
		sources string
	}
	for _, c := range []struct {
		sockets []socket
		want    string
	}{
		{[]socket{{include, "S1 S2 S3"}, {include, "S2 S3 S4"}, {include, "S5 S6"}}, "ALLOW {S1 S2 S3 S4 S5 S6}"},
		{[]socket{{exclude, "S1 S2 S3 S4"}, {exclude, "S2 S3 S4 S5"}, {include, "S4 S5 S6"}}, "TO_EX {S2 S3}"},
		{[]socket{{include, "S4 S5 S6"}, {exclude, "S1 S2 S3 S4"}}, "TO_EX {S1 S2 S3}"},
		{[]socket{{exclude, "S1"}, {exclude, ""}}, "TO_EX {}"},
		{[]socket{{include, ""}}, ""},
		{[]socket{{include, "S2 S1 S2"}}, "ALLOW {S1 S2}"},
	} {
		for _, family := range []engine.Family{engine.IPv4, engine.IPv6} {
			n := namesOf(family)
			var list []igmp.HostMembership
			for _, s := range c.sockets {
				list = append(list, igmp.HostMembership{Group: n.addr("G1"), Mode: s.mode, Sources: n.addrs(strings.Fields(s.sources))})
			}
			_, reports := hostOn(t, n, 1500, list...)
			got := ""
			for _, r := range reports {
				for _, rec := range r.Records {
					got += fmt.Sprintf("%v %s", rec.Type, n.list(rec.Sources))
				}
			}
			if got != c.want {
				t.Errorf("%v, %v: reported %q, want %q", family, c.sockets, got, c.want)
			}
		}
	}
}

// TestLongReports: RFC 3376 section 4.2.16 and RFC 3810 section 5.2.15. Records fill reports up to the MTU; sources that
// do not fit are spread over records, but of an EXCLUDE list the first are reported alone, always the same.
func TestLongReports(t *testing.T) {
	for _, family := range []engine.Family{engine.IPv4, engine.IPv6} {
		n := namesOf(family)
		width, header := 4, 24
		if family == engine.IPv6 {
			width, header = 16, 48
		}
		const mtu = 1280
		most := (mtu - header - 8 - 4 - width) / width
		var sources []netip.Addr
		for k := range 2*most + 10 {
			a := n.addr("S1").As16()
			a[14], a[15] = byte(1+k/250), byte(k%250)
			sources = append(sources, netip.AddrFrom16(a).Unmap())
		}
		for _, mode := range []engine.FilterMode{engine.Include, engine.Exclude} {
			h, reports := hostOn(t, n, mtu,
				igmp.HostMembership{Group: n.addr("G1"), Mode: engine.Exclude},
				igmp.HostMembership{Group: n.addr("G2"), Mode: mode, Sources: sources},
				igmp.HostMembership{Group: n.addr("G3"), Mode: engine.Exclude})
			// The answer to a query of the group has the same sources.
			q := wire.Query{Version: 3 - n.offset(), MaxResp: time.Second, Group: n.addr("G2"), Robustness: 2}
			now := time.Unix(1000, 0)
			h.Step(now, packetOf(t, n, n.addr("R1"), n.addr("G2"), q))
			var answers []wire.Report
			for range 10 {
				at, ok := h.Deadline()
				if !ok {
					break
				}
				answers = append(answers, reportsOf(t, h.Step(at, engine.Tick{}))...)
			}
			for what, list := range map[string][]wire.Report{"change": reports, "answer": answers} {
				var got []netip.Addr
				for _, r := range list {
					size := wire.ReportHeader
					for _, rec := range r.Records {
						size += wire.RecordSize(width, len(rec.Sources))
						if rec.Group == n.addr("G2") && (rec.Type == wire.IsIn || rec.Type == wire.IsEx || what == "change") {
							got = append(got, rec.Sources...)
						}
					}
					if size+header > mtu {
						t.Errorf("%v, %v, %s: a packet of %d octets", family, mode, what, size+header)
					}
				}
				want := sources
				if mode == engine.Exclude {
					want = sources[:most]
				}
				if !slices.Equal(got, want) {
					t.Errorf("%v, %v, %s: %d sources reported, want %d", family, mode, what, len(got), len(want))
				}
			}
		}
	}
}

// TestManySourcesAsked: queries cannot make a host remember more than so many sources (RFC 3376 section 9.1): then it
// answers about the whole group.
func TestManySourcesAsked(t *testing.T) {
	n := namesOf(engine.IPv4)
	h, _ := hostOn(t, n, 0, igmp.HostMembership{Group: n.addr("G1"), Mode: engine.Exclude})
	now, _ := h.Deadline()
	h.Step(now, engine.Tick{}) // the repetition of the join
	for k := range 4 {
		q := wire.Query{Version: 3, MaxResp: time.Second, Group: n.addr("G1")}
		for s := range 360 {
			q.Sources = append(q.Sources, netip.AddrFrom4([4]byte{10, byte(k), byte(s >> 8), byte(s)}))
		}
		h.Step(now, packetOf(t, n, n.addr("R1"), n.addr("G1"), q))
	}
	at, ok := h.Deadline()
	if !ok {
		t.Fatal("no answer is due")
	}
	reports := reportsOf(t, h.Step(at, engine.Tick{}))
	if len(reports) != 1 || len(reports[0].Records) != 1 || reports[0].Records[0].Type != wire.IsEx {
		t.Fatalf("answered %+v", reports)
	}
}

// TestForeignConfiguration: a configuration of another type changes nothing, and says so.
func TestForeignConfiguration(t *testing.T) {
	n := namesOf(engine.IPv4)
	h, _ := hostOn(t, n, 1500, igmp.HostMembership{Group: n.addr("G1"), Mode: engine.Exclude})
	tb := newTable(t, engine.IPv4)
	for _, m := range []engine.Machine{h, tb.m} {
		effects := m.Step(tb.now, engine.Configure{Config: 7})
		if len(effects) != 1 || effects[0].(engine.Note).Level != engine.Error {
			t.Errorf("%T: %+v", m, effects)
		}
	}
}

// TestUnsolicitedReportInterval: a join is repeated within the interval, the default or the configured.
func TestUnsolicitedReportInterval(t *testing.T) {
	n := namesOf(engine.IPv4)
	start := time.Unix(1000, 0)
	for _, c := range []struct {
		version            int
		configured, within time.Duration
	}{{3, 0, time.Second}, {2, 0, 10 * time.Second}, {3, 50 * time.Millisecond, 50 * time.Millisecond}, {2, 50 * time.Millisecond, 50 * time.Millisecond}} {
		latest := time.Duration(0)
		for seed := range uint64(50) {
			h := igmp.NewHost(engine.MachineID{Protocol: engine.IGMP, Family: engine.IPv4}, rand.New(rand.NewPCG(seed, 0)))
			h.Step(start, engine.InterfaceChange{Interface: upInterface(n)})
			h.Step(start, engine.Configure{Config: igmp.HostConfig{
				Version: c.version, UnsolicitedReportInterval: c.configured,
				Memberships: map[string][]igmp.HostMembership{"eth1": {{Group: n.addr("G1"), Mode: engine.Exclude}}},
			}})
			at, ok := h.Deadline()
			if !ok || !at.After(start) || at.Sub(start) > c.within {
				t.Fatalf("%+v: repeated after %v", c, at.Sub(start))
			}
			latest = max(latest, at.Sub(start))
		}
		if latest < c.within/2 {
			t.Errorf("%+v: never later than %v", c, latest)
		}
	}
}
