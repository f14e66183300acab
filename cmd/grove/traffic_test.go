package main

import (
	"bytes"
	"encoding/json"
	"runtime"
	"strings"
	"testing"

	"github.com/vishvananda/netns"

	"grove/labs/traffic/traffictest"
)

// TestSendRecv: recv says when it is a member; what send sends from then on is counted, at 10,000 packets a second.
func TestSendRecv(t *testing.T) {
	space := traffictest.Pair(t)
	for _, c := range []struct{ group, source, extra string }{
		{"239.1.1.1", "10.0.0.1", ""},
		{"232.1.1.1", "10.0.0.1", "--source=10.0.0.1"},
		{"ff0e::1", "2001:db8::1", ""},
		{"ff3e::8000:1", "2001:db8::1", "--source=2001:db8::1"},
	} {
		var stdout, stderr lines
		ended := make(chan int)
		go func() {
			runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
			if err := netns.Set(space); err != nil {
				ended <- -1
				return
			}
			args := []string{"recv", "-i", "b", c.group, "--count", "2000", "--duration", "20s", "-j"}
			if c.extra != "" {
				args = append(args, c.extra)
			}
			ended <- groveTo(t.Context(), &stdout, &stderr, args...)
		}()
		if err := stdout.wait(t.Context(), `"ready"`); err != nil {
			t.Fatal(err)
		}
		out, errs, status := grove(t.Context(), "send", "-i", "a", "-g", c.group, "--source", c.source, "--count", "2000", "--rate", "10000", "--ttl", "9", "-j")
		var sent sendSummary
		if err := json.Unmarshal([]byte(out), &sent); err != nil || status != exitOK || sent.Packets != 2000 {
			t.Errorf("send: status %d, %s%s", status, out, errs)
		}
		if status := <-ended; status != exitOK {
			t.Errorf("recv: status %d, %s%s", status, stdout.String(), stderr.String())
		}
		text := strings.TrimSpace(stdout.String())
		var sum recvSummary
		if err := json.Unmarshal([]byte(text[strings.LastIndexByte(text, '\n')+1:]), &sum); err != nil || len(sum.Flows) != 1 {
			t.Fatalf("%v: %s", err, text)
		}
		f := sum.Flows[0]
		if f.Source != c.source || f.Run != sent.Run || f.Packets != 2000 || f.Lost != 0 || f.LostAtStart != 0 || f.Duplicates != 0 ||
			f.TTL != 9 || f.Hops != 0 || sum.Schema != recvSchema {
			t.Errorf("%s: %+v", c.group, f)
		}
	}
}

// TestRecvNothing: without packets the summary says so, and the exit status, too.
func TestRecvNothing(t *testing.T) {
	traffictest.Pair(t)
	out, errs, status := grove(t.Context(), "recv", "-i", "b", "239.1.1.1", "--duration", "10ms")
	if status != exitFailed || !strings.HasPrefix(out, "ready\nnothing received of 239.1.1.1") {
		t.Errorf("status %d, %s%s", status, out, errs)
	}
}

// TestSummary: the summary of several flows reads well.
func TestSummary(t *testing.T) {
	var b bytes.Buffer
	writeSummary(&b, &recvSummary{Group: "239.1.1.1", Foreign: 2, Dropped: 3, Flows: []recvFlow{
		{Source: "10.1.0.10", Packets: 97, First: 2, Last: 99, LostAtStart: 2, Lost: 1, Duplicates: 1, Reordered: 4, TTL: 61, Hops: 3,
			MinLatency: 0.041, MeanLatency: 0.0523, MaxLatency: 1.5, LongestSilent: 120.25},
		{Source: "10.1.0.11", Packets: 1, TTL: 1, Hops: 63},
	}})
	golden(t, "recv.txt", b.String())
}
