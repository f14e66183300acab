package sim

import (
	"fmt"
	"testing"
	"time"

	"grove/internal/engine"
)

var msdp4 = engine.MachineID{Protocol: engine.MSDP, Family: engine.IPv4}

// streamName is the number of a stream, those that were accepted with an "a".
func streamName(id engine.StreamID) string {
	if id >= firstAccepted {
		return fmt.Sprintf("a%d", id-firstAccepted)
	}
	return fmt.Sprint(id)
}

// The ends of the line of three routers.
var near, farAway = addr("10.255.0.1"), addr("10.255.0.3")

// streams is a line of three routers; the last one listens for the first.
func streams(t *testing.T, listen, open engine.StreamPeer) *world {
	w := line(t, 3, Options{}, "", LinkOptions{Delay: 5 * time.Millisecond})
	w.Run(time.Second)
	listen.Local, listen.Remote = farAway, near
	open.Local, open.Remote = near, farAway
	w.m[2].do(w.n[2], msdp4, engine.Listen{Port: 639, Peers: []engine.StreamPeer{listen}})
	w.forget()
	w.m[0].do(w.n[0], msdp4, engine.OpenStream{ID: 1, Peer: open, Port: 639})
	return w
}

// TestStream: a stream opens, carries bytes in order with the delay of the path, a window at a time, and ends in good order.
func TestStream(t *testing.T) {
	w := streams(t, engine.StreamPeer{}, engine.StreamPeer{})
	w.Run(100 * time.Millisecond)
	expect(t, "who opens", w.m[0].take(), "1.02s msdp/ipv4 opened 1 accepted=false 10.255.0.1:32769 > 10.255.0.3:639")
	expect(t, "who accepts", w.m[2].take(), "1.03s msdp/ipv4 opened a0 accepted=true 10.255.0.3:639 > 10.255.0.1:32769")
	w.m[0].do(w.n[0], msdp4, engine.WriteStream{ID: 1, Data: make([]byte, 100_000)}, engine.WriteStream{ID: 1, Data: make([]byte, 100_000)},
		engine.CloseStream{ID: 1})
	w.Run(100 * time.Millisecond)
	expect(t, "who writes", w.m[0].take(), "1.1s msdp/ipv4 written 1 waiting 34464")
	expect(t, "who reads", w.m[2].take(),
		"1.11s msdp/ipv4 data a0 65536 bytes", "1.13s msdp/ipv4 data a0 65536 bytes", "1.15s msdp/ipv4 data a0 65536 bytes",
		"1.17s msdp/ipv4 data a0 3392 bytes", "1.19s msdp/ipv4 closed a0 \"\"")
	w.Run(time.Hour)
	expect(t, "after the end", w.m[0].take())
}

// TestStreamCut: what is written while the path is cut waits, and comes late, in order and once; a reset that nobody hears
// leaves the other end half-open until it says something.
func TestStreamCut(t *testing.T) {
	w := streams(t, engine.StreamPeer{}, engine.StreamPeer{})
	w.Run(100 * time.Millisecond)
	w.forget()
	w.Link("l2").SetUp(false)
	w.Run(time.Second)
	w.forget()
	w.m[0].do(w.n[0], msdp4, engine.WriteStream{ID: 1, Data: []byte("abc")}, engine.WriteStream{ID: 1, Data: []byte("de")})
	w.Run(10 * time.Second)
	expect(t, "while it is cut", w.m[2].take())
	expect(t, "the writer", w.m[0].take(), "2.1s msdp/ipv4 written 1 waiting 0")
	w.Link("l2").SetUp(true)
	w.Run(500 * time.Millisecond)
	w.forget()
	w.Run(10 * time.Second)
	expect(t, "when it is healed", w.m[2].take(), "13.11s msdp/ipv4 data a0 3 bytes", "13.13s msdp/ipv4 data a0 2 bytes")
	// Bytes that are on their way when the link fails are not lost either.
	w.m[0].do(w.n[0], msdp4, engine.WriteStream{ID: 1, Data: []byte("fg")})
	w.Run(time.Millisecond)
	w.Link("l1").SetUp(false)
	w.Run(time.Second)
	w.Link("l1").SetUp(true)
	w.Run(2 * time.Second)
	if got := w.m[2].take(); len(got) == 0 || got[len(got)-1] != "24.61s msdp/ipv4 data a0 2 bytes" {
		t.Errorf("under way at the cut: %q", got)
	}
	w.Link("l1").SetUp(false)
	w.Run(time.Second)
	w.m[0].do(w.n[0], msdp4, engine.CloseStream{ID: 1, Reset: true})
	w.Link("l1").SetUp(true)
	w.Run(time.Hour)
	w.forget()
	w.m[2].do(w.n[2], msdp4, engine.WriteStream{ID: firstAccepted, Data: []byte("still there?")})
	w.Run(time.Second)
	expect(t, "half-open", w.m[2].take(), "1h0m26.601s msdp/ipv4 written a0 waiting 0",
		"1h0m26.621s msdp/ipv4 closed a0 \"read: connection reset by peer\"")
	// Cut for ever: at last it is given up.
	w.m[0].do(w.n[0], msdp4, engine.OpenStream{ID: 2, Peer: engine.StreamPeer{Local: near, Remote: farAway}, Port: 639})
	w.Run(time.Second)
	w.Link("l2").SetUp(false)
	w.m[0].do(w.n[0], msdp4, engine.WriteStream{ID: 2, Data: []byte("x")})
	w.Run(time.Second)
	w.forget()
	w.Run(time.Hour)
	expect(t, "given up", w.m[0].take(), "1h15m52.601s msdp/ipv4 closed 2 \"read: connection timed out\"")
}

// TestStreamRestart: a router that was started anew knows nothing of the streams of before, and says so when it is spoken to.
func TestStreamRestart(t *testing.T) {
	w := streams(t, engine.StreamPeer{}, engine.StreamPeer{})
	w.Run(time.Second)
	w.forget()
	w.n[2].router.Restart()
	w.Run(time.Second)
	expect(t, "nobody said anything", w.m[0].take())
	w.m[0].do(w.n[0], msdp4, engine.WriteStream{ID: 1, Data: []byte("hello")})
	w.Run(time.Second)
	expect(t, "who writes", w.m[0].take(), "3s msdp/ipv4 written 1 waiting 0", "3.02s msdp/ipv4 closed 1 \"read: connection reset by peer\"")
	// It does not listen yet.
	w.m[0].do(w.n[0], msdp4, engine.OpenStream{ID: 2, Peer: engine.StreamPeer{Local: near, Remote: farAway}, Port: 639})
	w.Run(time.Second)
	expect(t, "the port is closed", w.m[0].take(), "4.02s msdp/ipv4 closed 2 \"connect: connection refused\"")
}

// TestStreamRefused: who may open a stream, and what the others are told.
func TestStreamRefused(t *testing.T) {
	late := "2m8s msdp/ipv4 closed 1 \"connect: connection timed out\""
	for _, c := range []struct {
		name         string
		listen, open engine.StreamPeer
		want         string // empty: it opens
	}{
		{"same secret", engine.StreamPeer{Secret: "s"}, engine.StreamPeer{Secret: "s"}, ""},
		{"another secret", engine.StreamPeer{Secret: "s"}, engine.StreamPeer{Secret: "t"}, late},
		{"no secret", engine.StreamPeer{Secret: "s"}, engine.StreamPeer{}, late},
		{"a secret too many", engine.StreamPeer{}, engine.StreamPeer{Secret: "s"}, late},
		{"near enough", engine.StreamPeer{MinTTL: 254}, engine.StreamPeer{MinTTL: 254}, ""},
		{"too far", engine.StreamPeer{MinTTL: 255}, engine.StreamPeer{MinTTL: 254}, late},
		{"too far for who opens", engine.StreamPeer{MinTTL: 254}, engine.StreamPeer{MinTTL: 255}, late},
		{"with the usual TTL", engine.StreamPeer{MinTTL: 254}, engine.StreamPeer{}, late},
	} {
		w := streams(t, c.listen, c.open)
		w.Run(time.Hour)
		got := w.m[0].take()
		if c.want == "" {
			c.want = "1.02s msdp/ipv4 opened 1 accepted=false 10.255.0.1:32769 > 10.255.0.3:639"
			if there := w.m[2].take(); len(there) != 1 {
				t.Errorf("%s: %q", c.name, there)
			}
		} else if there := w.m[2].take(); len(there) != 0 {
			t.Errorf("%s: %q", c.name, there)
		}
		expect(t, c.name, got, c.want)
	}
	w := streams(t, engine.StreamPeer{}, engine.StreamPeer{})
	w.Run(time.Second)
	w.forget()
	open := func(id engine.StreamID, local, remote string) {
		p := engine.StreamPeer{Remote: addr(remote)}
		if local != "" {
			p.Local = addr(local)
		}
		w.m[0].do(w.n[0], msdp4, engine.OpenStream{ID: id, Peer: p, Port: 639})
	}
	open(2, "10.0.1.1", "10.255.0.3")
	open(3, "10.9.9.9", "10.255.0.3")
	open(4, "", "192.0.2.1")
	open(5, "", "10.255.0.2")
	w.Run(time.Second)
	expect(t, "others", w.m[0].take(),
		"2s msdp/ipv4 closed 3 \"connect from 10.9.9.9: cannot assign requested address\"",
		"2s msdp/ipv4 closed 4 \"connect: network is unreachable\"",
		"2.01s msdp/ipv4 closed 5 \"connect: connection refused\"",
		"2.02s msdp/ipv4 closed 2 \"connect: connection reset by peer\"")
}

// TestStreamGivenUp: an attempt that nobody answers ends when the machine says so; one that is answered too late as well.
func TestStreamGivenUp(t *testing.T) {
	w := streams(t, engine.StreamPeer{}, engine.StreamPeer{})
	w.Run(12 * time.Millisecond) // the answer is under way
	w.m[0].do(w.n[0], msdp4, engine.CloseStream{ID: 1})
	w.Run(time.Hour)
	expect(t, "who gave up", w.m[0].take())
	expect(t, "who never knew", w.m[2].take())
	if n := len(w.n[0].router.streams) + len(w.n[2].router.streams); n != 0 {
		t.Errorf("%d streams left", n)
	}
}
