package bench

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"grove/internal/engine"
	"grove/labs/script"
	"grove/labs/traffic"
)

const starts = 25

// BenchmarkSourceStart counts what is lost, and what comes twice, when a source starts to send to a group that has a
// member behind the four routers, and of which no router has heard yet. Each start is a new group.
func BenchmarkSourceStart(b *testing.B) {
	for _, m := range makes {
		for _, f := range m.families {
			for _, rate := range []int{1000, 10_000} {
				b.Run(fmt.Sprintf("%s/%v/%d per s", m.name, f, rate), func(b *testing.B) {
					for b.Loop() {
						l := startLine(b, m.build, f)
						s := l.starts(f, rate)
						b.ReportMetric(starts, "starts")
						b.ReportMetric(float64(s.sent), "sent")
						b.ReportMetric(float64(s.lost), "lost")
						b.ReportMetric(float64(s.mostLost), "most-lost-in-one")
						b.ReportMetric(float64(s.duplicates), "duplicates")
					}
				})
			}
		}
	}
}

type losses struct{ sent, lost, mostLost, duplicates int }

func (l *lab) starts(f engine.Family, rate int) (total losses) {
	l.b.Helper()
	packets := uint64(max(500, rate*3/10))
	for i := range starts {
		g := group(f, 2, i)
		l.do(script.Action{Join: &script.Membership{Host: "h2", Group: g}})
		l.until(10*time.Second, fmt.Sprintf("(*,%v) at the RP", g), func() bool { return l.joined("r2", g) })
		sent := l.burst("h1", traffic.SendOptions{Interface: "eth1", Group: g, Count: packets, Rate: float64(rate), Size: 100, TTL: 64})
		// What is still under way comes within milliseconds.
		l.wait(500*time.Millisecond, func() bool { return l.Received("h2", g).Packets == int(sent.Tried) })
		r := l.Received("h2", g)
		lost := int(sent.Tried) - r.Packets
		total.sent += int(sent.Tried)
		total.lost += lost
		total.mostLost = max(total.mostLost, lost)
		total.duplicates += r.Duplicates
		l.do(script.Action{Leave: &script.Membership{Host: "h2", Group: g}})
	}
	return total
}

// burst sends from a host and returns when all is sent.
func (l *lab) burst(host string, o traffic.SendOptions) traffic.Sent {
	l.b.Helper()
	var s *traffic.Sender
	err := l.In(host, func() (err error) {
		s, err = traffic.NewSender(o)
		return err
	})
	if err != nil {
		l.b.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(l.b.Context(), time.Minute)
	defer cancel()
	sent := s.Run(ctx)
	if sent.Failed > 0 {
		l.b.Fatalf("%v: %d of %d packets were refused: %v", o.Group, sent.Failed, sent.Tried, sent.Err)
	}
	return sent
}

// addresses makes n groups.
func addresses(set byte, n int) []netip.Addr {
	all := make([]netip.Addr, n)
	for i := range all {
		all[i] = group(engine.IPv4, set, i)
	}
	return all
}
