package traffic_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"grove/internal/probe"
	"grove/labs/traffic"
	"grove/labs/traffic/traffictest"
)

// TestDelivery: what is sent at 10,000 packets a second arrives whole, in order, with its TTL, in both families, of any
// and of a named source; a member of another source gets nothing.
func TestDelivery(t *testing.T) {
	traffictest.Pair(t)
	for _, c := range []struct{ group, source, other string }{
		{"239.1.1.1", "10.0.0.1", "10.0.0.9"},
		{"ff0e::1234", "2001:db8::1", "2001:db8::9"},
	} {
		func() { // no t.Run: it would be another thread, in another namespace
			group := netip.MustParseAddr(c.group)
			open := func(sources ...string) *traffic.Receiver {
				o := traffic.RecvOptions{Interface: "b", Group: group}
				for _, s := range sources {
					o.Sources = append(o.Sources, netip.MustParseAddr(s))
				}
				r, err := traffic.Listen(o)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { r.Close() })
				return r
			}
			all, one, none := open(), open(c.source), open(c.other)
			const count = 5000
			s, err := traffic.NewSender(traffic.SendOptions{Interface: "a", Group: group, Source: netip.MustParseAddr(c.source), Count: count, Rate: 10_000, Size: 200, TTL: 17})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			sent := make(chan traffic.Sent, 1)
			go func() { sent <- s.Run(ctx) }()
			for _, r := range []*traffic.Receiver{all, one} {
				var account traffic.Account
				if err := r.Receive(ctx, &account, count, nil); err != nil {
					t.Fatal(err)
				}
				flows := account.Flows()
				if len(flows) != 1 {
					t.Fatalf("%d flows", len(flows))
				}
				f := flows[0]
				if f.Source.Addr().String() != c.source || f.Unique() != count || f.LostSince(0) != 0 || f.Duplicates != 0 ||
					f.Reordered != 0 || f.TTL != 17 || f.Hops != 0 || f.MinLatency <= 0 || f.MaxLatency > 5*time.Second || r.Dropped() != 0 {
					f.Flow = probe.Flow{Packets: f.Packets, Duplicates: f.Duplicates, Reordered: f.Reordered, TTL: f.TTL, MinLatency: f.MinLatency}
					t.Errorf("%+v, dropped %d", f, r.Dropped())
				}
			}
			if got := <-sent; got.Tried != count || got.Failed != 0 || got.Took < 400*time.Millisecond {
				t.Errorf("sent %+v", got)
			}
			none.SetDeadline(time.Unix(1, 0))
			if v, err := none.Next(); err == nil {
				t.Errorf("a member of %s got a packet of %s", c.other, v.From)
			}
		}()
	}
}

// TestRefusals: what cannot be is refused with words that help.
func TestRefusals(t *testing.T) {
	good := traffic.SendOptions{Interface: "lo", Group: netip.MustParseAddr("239.1.1.1"), Rate: 1, Size: 100, TTL: 1}
	for want, spoil := range map[string]func(*traffic.SendOptions){
		"not a multicast group": func(o *traffic.SendOptions) { o.Group = netip.MustParseAddr("10.0.0.1") },
		"no interface absent":   func(o *traffic.SendOptions) { o.Interface = "absent" },
		"no interface named":    func(o *traffic.SendOptions) { o.Interface = "" },
		"size 3":                func(o *traffic.SendOptions) { o.Size = 3 },
		"rate 0":                func(o *traffic.SendOptions) { o.Rate = 0 },
		"TTL 0":                 func(o *traffic.SendOptions) { o.TTL = 0 },
		"different families":    func(o *traffic.SendOptions) { o.Source = netip.MustParseAddr("2001:db8::1") },
	} {
		o := good
		spoil(&o)
		if s, err := traffic.NewSender(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
			if err == nil {
				s.Close()
			}
		}
	}
	if _, err := traffic.Listen(traffic.RecvOptions{Interface: "lo", Group: netip.MustParseAddr("10.0.0.1")}); err == nil {
		t.Error("joined a unicast address")
	}
}
