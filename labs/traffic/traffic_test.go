package traffic

import (
	"context"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"grove/internal/probe"
	"grove/internal/testneed"
)

// pair makes a fresh namespace for the calling test with a pair of interfaces, a (10.0.0.1, 2001:db8::1) and b
// (10.0.0.2, 2001:db8::2), and leaves it at the end.
func pair(t *testing.T) {
	t.Helper()
	testneed.Root(t)
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	space, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		space.Close()
		if err := netns.Set(home); err != nil {
			t.Error(err)
			return // the thread stays locked, and ends with its goroutine
		}
		home.Close()
		runtime.UnlockOSThread()
	})
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "a"}, PeerName: "b"}))
	for name, addresses := range map[string][]string{"lo": nil, "a": {"10.0.0.1/24", "2001:db8::1/64"}, "b": {"10.0.0.2/24", "2001:db8::2/64"}} {
		link, err := netlink.LinkByName(name)
		check(err)
		check(netlink.LinkSetUp(link))
		for _, text := range addresses {
			addr, err := netlink.ParseAddr(text)
			check(err)
			addr.Flags = 2 // IFA_F_NODAD: usable at once
			check(netlink.AddrAdd(link, addr))
		}
	}
	// A packet from our own other address is a martian.
	for _, name := range []string{"all", "b"} {
		check(writeSysctl("net/ipv4/conf/"+name+"/rp_filter", "0"))
		check(writeSysctl("net/ipv4/conf/"+name+"/accept_local", "1"))
	}
}

// TestDelivery: what is sent at 10,000 packets a second arrives whole, in order, with its TTL, in both families, of any
// and of a named source; a member of another source gets nothing.
func TestDelivery(t *testing.T) {
	pair(t)
	for _, c := range []struct{ group, source, other string }{
		{"239.1.1.1", "10.0.0.1", "10.0.0.9"},
		{"ff0e::1234", "2001:db8::1", "2001:db8::9"},
	} {
		func() { // no t.Run: it would be another thread, in another namespace
			group := netip.MustParseAddr(c.group)
			open := func(sources ...string) *Receiver {
				o := RecvOptions{Interface: "b", Group: group}
				for _, s := range sources {
					o.Sources = append(o.Sources, netip.MustParseAddr(s))
				}
				r, err := Listen(o)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { r.Close() })
				return r
			}
			all, one, none := open(), open(c.source), open(c.other)
			const count = 5000
			s, err := NewSender(SendOptions{Interface: "a", Group: group, Source: netip.MustParseAddr(c.source), Count: count, Rate: 10_000, Size: 200, TTL: 17})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			sent := make(chan Sent, 1)
			go func() { sent <- s.Run(ctx) }()
			for _, r := range []*Receiver{all, one} {
				var account Account
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
	good := SendOptions{Interface: "lo", Group: netip.MustParseAddr("239.1.1.1"), Rate: 1, Size: 100, TTL: 1}
	for want, spoil := range map[string]func(*SendOptions){
		"not a multicast group": func(o *SendOptions) { o.Group = netip.MustParseAddr("10.0.0.1") },
		"no interface absent":   func(o *SendOptions) { o.Interface = "absent" },
		"no interface named":    func(o *SendOptions) { o.Interface = "" },
		"size 3":                func(o *SendOptions) { o.Size = 3 },
		"rate 0":                func(o *SendOptions) { o.Rate = 0 },
		"TTL 0":                 func(o *SendOptions) { o.TTL = 0 },
		"different families":    func(o *SendOptions) { o.Source = netip.MustParseAddr("2001:db8::1") },
	} {
		o := good
		spoil(&o)
		if s, err := NewSender(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
			if err == nil {
				s.Close()
			}
		}
	}
	if _, err := Listen(RecvOptions{Interface: "lo", Group: netip.MustParseAddr("10.0.0.1")}); err == nil {
		t.Error("joined a unicast address")
	}
}

func writeSysctl(path, value string) error {
	return os.WriteFile("/proc/sys/"+path, []byte(value), 0o644)
}
