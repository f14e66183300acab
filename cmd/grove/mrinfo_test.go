package main

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"grove/dvmrp/wire"
	"grove/labs/traffic/traffictest"
)

// interfacesOf is a router with a network, a tunnel, and an interface that is down.
var interfacesOf = []wire.Interface{
	{Local: netip.MustParseAddr("10.0.0.2"), Metric: 1, Threshold: 1, Flags: wire.FlagQuerier,
		Neighbors: []netip.Addr{netip.MustParseAddr("10.0.0.3"), netip.MustParseAddr("10.0.0.4")}},
	{Local: netip.MustParseAddr("10.0.0.2"), Metric: 3, Threshold: 64, Flags: wire.FlagTunnel | wire.FlagSourceRoute | wire.FlagPIM,
		Neighbors: []netip.Addr{netip.MustParseAddr("192.0.2.1")}},
	{Local: netip.MustParseAddr("10.9.0.2"), Metric: 1, Threshold: 1, Flags: wire.FlagDown | wire.FlagDisabled, Neighbors: []netip.Addr{netip.IPv4Unspecified()}},
	{Local: netip.MustParseAddr("10.8.0.2"), Metric: 1, Threshold: 1, Flags: wire.FlagQuerier | wire.FlagLeaf},
}

var ourHeader = wire.Header{Version: wire.OurVersion, Capabilities: wire.CapPrune | wire.CapGenerationID | wire.CapMtrace}

// TestMrinfoFormat: an answer, in however many messages, is printed as mrinfo does it.
func TestMrinfoFormat(t *testing.T) {
	var answers []neighbors2
	for _, m := range wire.PackNeighbors2(interfacesOf, 40) {
		answers = append(answers, neighbors2{ourHeader, m})
	}
	if len(answers) < 2 {
		t.Fatal("one message")
	}
	var b strings.Builder
	writeNeighbors(t.Context(), &b, netip.MustParseAddr("10.0.0.2"), answers, func(_ context.Context, a netip.Addr) string {
		return map[string]string{"10.0.0.2": "r2.example", "10.0.0.3": "r3.example"}[a.String()]
	})
	golden(t, "mrinfo.txt", b.String())
}

// TestMrinfo: a router is asked by a raw socket; if it loses the question it is asked again; if it stays silent, that is
// said.
func TestMrinfo(t *testing.T) {
	traffictest.Pair(t)
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(lo); err != nil { // both ends are in one namespace
		t.Fatal(err)
	}
	router, err := net.ListenPacket("ip4:2", "10.0.0.2")
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan int, 1)
	go func() {
		questions := 0
		defer func() { asked <- questions }()
		b := make([]byte, 1500)
		for {
			n, from, err := router.ReadFrom(b)
			if err != nil {
				return
			}
			_, m, err := wire.Parse(b[:n])
			if _, is := m.(*wire.AskNeighbors2); err != nil || !is {
				continue
			}
			if questions++; questions == 1 {
				continue // lost
			}
			for _, m := range wire.PackNeighbors2(interfacesOf, 40) {
				answer, err := wire.Encode(ourHeader, m)
				if err != nil {
					return
				}
				router.WriteTo(answer, from)
			}
		}
	}()
	var o mrinfo
	o.timeout, o.retries = 500*time.Millisecond, 5
	from, answers, err := o.ask(t.Context(), netip.MustParseAddr("10.0.0.2"))
	if err != nil {
		t.Fatal(err)
	}
	var got []wire.Interface
	for _, a := range answers {
		got = append(got, a.Interfaces...)
	}
	if from != netip.MustParseAddr("10.0.0.2") || answers[0].Header != ourHeader || len(got) < len(interfacesOf) {
		t.Errorf("%s answers %v", from, got)
	}
	router.Close()
	if n := <-asked; n < 2 {
		t.Errorf("asked %d times", n)
	}

	o.timeout, o.retries = 20*time.Millisecond, 1
	if _, _, err := o.ask(t.Context(), netip.MustParseAddr("10.0.0.1")); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("a silent router: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := o.ask(ctx, netip.MustParseAddr("10.0.0.1")); err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("stopped by the person: %v", err)
	}
}

// TestMrinfoErrors: what cannot be meant is said.
func TestMrinfoErrors(t *testing.T) {
	for line, text := range map[string]string{
		"mrinfo":                   "Usage",
		"mrinfo -t 0 10.0.0.1":     "more than 0",
		"mrinfo 2001:db8::1":       "unicast IPv4",
		"mrinfo 224.0.0.4":         "unicast IPv4",
		"mrinfo 10.0.0.1 10.0.0.2": "Usage",
	} {
		if _, errs, status := grove(t.Context(), strings.Fields(line)...); status != exitUsage || !strings.Contains(errs, text) {
			t.Errorf("%s: status %d, %q", line, status, errs)
		}
	}
}
