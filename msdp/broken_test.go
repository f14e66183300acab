package msdp_test

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"grove/internal/engine"
	"grove/msdp"
	"grove/msdp/wire"
)

// These tests are of peers that are broken: after whatever one of them does, another's Source-Actives are taken, cached and
// sent on as before.

// Peers of the tests of broken ones: what good tells goes on to other; bad opens its connection, and away is connected to.
var good, other, bad, away = addr("10.0.0.2"), addr("10.0.0.3"), addr("10.0.0.1"), addr("10.0.0.9")

// rpOf is the RP of which a peer tells.
func rpOf(peer netip.Addr) netip.Addr { return nth(addr("10.255.0.0"), int(peer.As4()[3])) }

// ward is a world with two peers that are well and two that are not.
type ward struct {
	*world
	told int // sources that good told
}

func newWard(t *testing.T) *ward {
	w := &ward{world: newWorld(t)}
	w.nosay = true
	w.received = map[netip.Addr][]engine.Key{}
	for _, p := range []netip.Addr{good, other, bad, away} {
		w.do([]string{"peer", p.String()})
		w.do([]string{"path", rpOf(p).String(), "via", p.String()})
	}
	w.cfg.MaxPerSource = 10_000
	w.do([]string{"addr", local.String()})
	w.event(engine.Configure{Config: w.cfg})
	w.connect(good)
	w.connect(other)
	w.due()
	return w
}

// sa is a message of a peer with one source.
func sa(peer netip.Addr, n int) *wire.SourceActive {
	return &wire.SourceActive{RP: rpOf(peer), Entries: []wire.Entry{{
		Source: nth(addr("10.100.0.0"), int(peer.As4()[3])<<14|n), Group: addr("225.1.1.1"), PrefixLen: 32,
	}}}
}

func octets(t *testing.T, messages ...wire.Message) (b []byte) {
	for _, m := range messages {
		var err error
		if b, err = m.Append(b); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func (w *ward) show(peer netip.Addr) msdp.PeerShow {
	w.t.Helper()
	for _, e := range w.m.Step(w.now, engine.Query{What: "peers", Arg: peer.String()}) {
		if a, ok := e.(engine.Answer); ok && a.Err == "" {
			return a.Value.([]msdp.PeerShow)[0]
		}
	}
	w.t.Fatalf("no peer %v", peer)
	return msdp.PeerShow{}
}

func (w *ward) counts() map[string]uint64 {
	for _, e := range w.m.Step(w.now, engine.Query{What: "counts"}) {
		if a, ok := e.(engine.Answer); ok {
			return a.Value.(map[string]uint64)
		}
	}
	return nil
}

// cached returns how many entries the cache has of a peer's RP.
func (w *ward) cached(peer netip.Addr) int {
	for _, e := range w.m.Step(w.now, engine.Query{What: "sa-cache", Arg: rpOf(peer).String()}) {
		if a, ok := e.(engine.Answer); ok {
			return len(a.Value.([]msdp.SAShow))
		}
	}
	return 0
}

// well sees that the peers that are well are well: a new source of the one is cached and goes on to the other at once, nothing of
// either was lost, and neither connection was reset.
func (w *ward) well(after string) {
	w.t.Helper()
	m := sa(good, w.told)
	w.told++
	w.send(good, m)
	w.send(other, &wire.KeepAlive{})
	list := w.received[other]
	if len(list) == 0 || list[len(list)-1].Source != m.Entries[0].Source {
		w.t.Fatalf("%s: what a good peer tells does not go on", after)
	}
	if n := w.cached(good); n != w.told {
		w.t.Fatalf("%s: %d entries of a good peer are cached, of %d", after, n, w.told)
	}
	for _, p := range []netip.Addr{good, other} {
		if s := w.show(p); s.State != "ESTABLISHED" || s.Resets > 0 || s.NotSent > 0 || s.OverLimit+s.OverRate > 0 {
			w.t.Fatalf("%s: a good peer: %+v", after, s)
		}
	}
	if err := w.m.Check(); err != nil {
		w.t.Fatalf("%s: %v", after, err)
	}
}

// pass lets time pass, in which the peers that are well say what they do.
func (w *ward) pass(d time.Duration) {
	w.wait(d)
	m := &wire.SourceActive{RP: rpOf(good)}
	for n := range w.told {
		if m.Entries = append(m.Entries, sa(good, n).Entries[0]); len(m.Entries) == wire.MaxEntries || n == w.told-1 {
			w.send(good, m)
			m.Entries = nil
		}
	}
	w.send(other, &wire.KeepAlive{})
}

// lose has the connection of a peer break.
func (w *ward) lose(peer netip.Addr, why string) {
	id := w.peers[peer]
	delete(w.open, id)
	delete(w.dial, id)
	w.event(engine.StreamClosed{ID: id, Err: why})
}

// trouble is a stream of TLVs of all kinds, among them one that is longer than may be sent, and how many entries it has.
func trouble(t *testing.T) ([]byte, int) {
	withData := sa(bad, 1)
	withData.Data = dataPacket(withData.Entries[0].Source, withData.Entries[0].Group, 9)
	several := sa(bad, 2)
	several.Entries = append(several.Entries, sa(bad, 3).Entries[0])
	return octets(t, &wire.KeepAlive{}, sa(bad, 0), &wire.Unknown{Of: 200, Value: []byte{1, 2, 3}}, withData,
		&wire.Request{Group: addr("225.1.1.1")}, &wire.Notification{Code: 7}, several, &wire.KeepAlive{}), 4
}

// TestSplitAnywhere: a stream that is split at every octet, or comes one octet at a time, says what it says whole; while half of
// it is there, and the rest never comes, the other peers do not notice.
func TestSplitAnywhere(t *testing.T) {
	stream, entries := trouble(t)
	whole := newWard(t)
	whole.connect(bad)
	whole.event(engine.StreamData{ID: whole.peers[bad], Data: slices.Clone(stream)})
	want := slices.Clone(whole.received[other])
	slices.SortFunc(want, engine.Key.Compare)
	if len(want) != entries || whole.cached(bad) != entries {
		t.Fatalf("%d entries go on, %d are cached, of %d", len(want), whole.cached(bad), entries)
	}
	whole.well("the whole stream")
	for n := range len(stream) + 1 {
		w := newWard(t)
		w.connect(bad)
		w.event(engine.StreamData{ID: w.peers[bad], Data: slices.Clone(stream[:n])})
		w.well(fmt.Sprintf("after %d octets", n))
		w.event(engine.StreamData{ID: w.peers[bad], Data: slices.Clone(stream[n:])})
		w.well(fmt.Sprintf("split after %d octets", n))
		got := slices.DeleteFunc(slices.Clone(w.received[other]), func(k engine.Key) bool { return w.of(good, k) })
		slices.SortFunc(got, engine.Key.Compare)
		if s := w.show(bad); !slices.Equal(got, want) || w.cached(bad) != entries || s.State != "ESTABLISHED" || s.Unknown != 1 ||
			s.Notifications != 1 || s.KeepalivesIn != 2 || s.RequestsIn != 1 || s.DataIn != 1 {
			t.Fatalf("split after %d octets: %v went on, want %v; %+v", n, got, want, s)
		}
	}
	w := newWard(t)
	w.connect(bad)
	for n := range stream {
		w.event(engine.StreamData{ID: w.peers[bad], Data: slices.Clone(stream[n : n+1])})
	}
	w.well("an octet at a time")
	if w.cached(bad) != entries {
		t.Errorf("an octet at a time: %d entries", w.cached(bad))
	}
	// The rest of a TLV never comes: it says nothing, so the Hold Timer ends it.
	w.event(engine.StreamData{ID: w.peers[bad], Data: []byte{1, 0xff, 0xff, 255}})
	for range 8 {
		w.pass(10 * time.Second)
		w.well("half a TLV")
	}
	if s := w.show(bad); s.State == "ESTABLISHED" || s.LastReset != "Hold Timer expired" {
		t.Errorf("half a TLV and then nothing: %+v", s)
	}
}

// of says whether a flow is one that a peer tells.
func (w *ward) of(peer netip.Addr, k engine.Key) bool {
	for n := range w.told {
		if sa(peer, n).Entries[0].Source == k.Source {
			return true
		}
	}
	return false
}

// TestResetAnywhere: a connection breaks in each state, and after each octet of what the peer says. What it said whole holds;
// what it said half is forgotten, also by its next connection.
func TestResetAnywhere(t *testing.T) {
	stream, entries := trouble(t)
	for _, peer := range []netip.Addr{bad, away} {
		w := newWard(t)
		if peer == away { // while it connects; and an answer that comes when the attempt was given up
			w.lose(away, "connection refused")
			w.well("refused")
			w.pass(35 * time.Second)
			first := w.peers[away]
			w.pass(35 * time.Second)
			if w.peers[away] == first {
				t.Fatal("the attempt was not given up")
			}
			w.event(engine.StreamClosed{ID: first, Err: "late"})
			w.well("the end of an attempt that was given up")
		}
		for n := range len(stream) + 1 {
			w.connect(peer)
			if s := w.show(peer); s.State != "ESTABLISHED" {
				t.Fatalf("before octet %d: %+v", n, s)
			}
			id := w.peers[peer]
			w.event(engine.StreamData{ID: id, Data: slices.Clone(stream[:n])})
			w.well(fmt.Sprintf("%v, %d octets", peer, n))
			w.lose(peer, "read: connection reset by peer")
			w.well(fmt.Sprintf("%v, reset after %d octets", peer, n))
			if s := w.show(peer); s.Resets != n+1 || s.LastReset != "read: connection reset by peer" {
				t.Fatalf("reset after %d octets: %+v", n, s)
			}
			// What was under way when it broke comes to nothing.
			w.event(engine.StreamData{ID: id, Data: slices.Clone(stream[n:])})
			w.event(engine.StreamWritten{ID: id, Waiting: 1 << 30})
			w.event(engine.StreamClosed{ID: id, Err: "again"})
			w.well("late news of it")
			for w.show(peer).State == "INACTIVE" {
				w.pass(5 * time.Second)
			}
		}
		if peer == bad && w.cached(bad) != entries {
			t.Errorf("%d entries of what it said", w.cached(bad))
		}
	}
}

// TestBadTLVs: what resets a session is counted and told, and resets no other; what does not is counted (RFC 3618, sections 12
// and 13).
func TestBadTLVs(t *testing.T) {
	source := "00000020 e1010101 0a640001"
	packet := hex.EncodeToString(dataPacket(addr("10.100.0.1"), addr("225.1.1.1"), 9))
	type broken struct {
		hex, counted string
		reset        bool
	}
	list := []broken{
		{"04 0004 00", "TLV format error: bad length", true},
		{"01 0004 01", "TLV format error: truncated", true},
		{"01 0014 02 0aff0001" + source, "TLV format error: truncated", true},
		{"01 0008 ff 0aff0001", "TLV format error: truncated", true},
		{"03 0014 02 0aff0001" + source, "TLV format error: truncated", true},
		{"01 0018 01 0aff0001" + source + "45000020", "TLV format error: truncated", true},                // an IP header cut off
		{"01 0028 01 0aff0001" + source + "4500ffff" + packet[8:40], "TLV format error: truncated", true}, // a packet longer than the TLV
		{"01 003c 01 0aff0001" + source + "6" + packet[1:], "TLV format error: bad encapsulated data", true},
		{"02 0004 00", "TLV format error: truncated", true},
		{"02 0009 00 e1010101 00", "TLV format error: bad length", true},
		{"05 0004 00", "TLV format error: truncated", true},
		// Not a format error.
		{"06 0004 00", "unrecognized type", false},
		{"ff 0004 00", "unrecognized type", false},
		{"01 0014 01 0aff0001 00000018 e1010101 0a640001", "source-active with a source prefix other than /32", false},
		{"01 0014 01 0aff0001 00000020 0a010101 0a640001", "source-active of a flow that is never forwarded", false},
		{"01 0014 01 0aff0001 00000020 e0000001 0a640001", "source-active of a flow that is never forwarded", false},
		{"01 0014 01 0aff0001 00000020 e1010101 e1010102", "source-active of a flow that is never forwarded", false},
		{"01 0014 01 e0000001 00000020 e1010101 0a640001", "source-active of an RP that is no unicast address", false},
		{"01 003c 01 0aff0001 00000020 e1010102 0a640001" + packet, "encapsulated packet of another source or group, or malformed", false},
		{"01 0014 01 0aff0003" + source, "peer-RPF failure", false}, // the RP of another peer
		// Longer than may be sent: "the TLV SHOULD be accepted".
		{"c8 ffff" + strings.Repeat("00", 0xffff-3), "unrecognized type", false},
		{"01 ffff 01 0aff0003" + source + packet + strings.Repeat("00", 0xffff-20-len(packet)/2), "peer-RPF failure", false},
	}
	for t := range 256 { // a length that is less than that of the header, of every type
		for n := range 3 {
			list = append(list, broken{fmt.Sprintf("%02x %04x 00", t, n), "TLV format error: bad length", true})
		}
		if t != 4 {
			list = append(list, broken{fmt.Sprintf("%02x 0003", t), "TLV format error: bad length", true})
		}
	}
	w := newWard(t)
	resets := 0
	for _, c := range list {
		b, err := hex.DecodeString(strings.ReplaceAll(c.hex, " ", ""))
		if err != nil || len(b) > 3 && b[1] != 0 && len(b) != int(b[1])<<8|int(b[2]) {
			t.Fatalf("%.60s: %v, %d octets", c.hex, err, len(b))
		}
		if w.show(bad).State == "LISTEN" {
			w.connect(bad)
		}
		before := w.counts()[c.counted]
		id := w.peers[bad]
		b = append(b, octets(t, sa(bad, 5))...)
		for len(b) > 0 && w.open[id] {
			n := min(len(b), 64<<10) // as the driver does
			w.event(engine.StreamData{ID: id, Data: slices.Clone(b[:n])})
			b = b[n:]
		}
		name := fmt.Sprintf("%.60s", c.hex)
		if now := w.counts()[c.counted]; now != before+1 {
			t.Errorf("%s: %q is counted %d times: %v", name, c.counted, now-before, w.counts())
		}
		if c.reset {
			resets++
		}
		s := w.show(bad)
		if s.Resets != resets || c.reset != (s.State == "LISTEN") || c.reset && !strings.HasPrefix(s.LastReset, "TLV format error: ") {
			t.Fatalf("%s: %+v, want %d resets", name, s, resets)
		}
		w.well(name)
	}
	// What came behind a TLV that was discarded was read, and the source whose packet was discarded is cached.
	if n := w.cached(bad); n != 2 {
		t.Errorf("%d entries", n)
	}
}

// TestLogOfABrokenPeer: whatever a peer sends, and however often, the log has a few lines of it.
func TestLogOfABrokenPeer(t *testing.T) {
	w := newWard(t)
	w.connect(bad)
	w.nosay, w.quiet = false, true
	for n := range 5000 {
		w.send(bad, &wire.Notification{Code: uint8(n % 128), Subcode: uint8(n)}, &wire.Unknown{Of: 99, Value: []byte{1}})
	}
	notes := 0
	for _, l := range w.log {
		if strings.HasPrefix(l, "note") {
			notes++
		}
	}
	if s := w.show(bad); notes == 0 || notes > 130 || s.Notifications != 5000 || s.Unknown != 5000 {
		t.Errorf("%d notes; %+v", notes, s)
	}
}

// TestRequestsAreBounded: a peer that reads slowly is not asked for more than it can be asked for.
func TestRequestsAreBounded(t *testing.T) {
	w := newWard(t)
	w.do([]string{"peer", bad.String(), "asks", "waiting", "65536"})
	w.event(engine.Configure{Config: w.cfg})
	w.connect(bad)
	w.slow[bad] = true
	for n := range 20_000 {
		w.event(engine.SourcesWanted{Group: nth(addr("226.0.0.0"), n), Wanted: true})
	}
	w.well("20,000 requests")
	if s := w.show(bad); s.Waiting > 66_000 || s.RequestsOut < 8000 || w.counts()["request not sent: the peer is slow to read"]+s.RequestsOut != 20_000 {
		t.Errorf("%+v, %v", s, w.counts())
	}
}

// TestClockLeaps: the machine's clock leaps, as that of a machine does that was stopped for a while. What was due meanwhile is
// done once, not once for each period; who said nothing meanwhile has to connect again; and then all is as before.
func TestClockLeaps(t *testing.T) {
	const own = 3000
	for _, leap := range []time.Duration{30 * time.Second, time.Minute, 10 * time.Minute, time.Hour, 1000 * time.Hour} {
		for first, ev := range map[string]func(w *ward) engine.Event{
			"a tick":       func(*ward) engine.Event { return engine.Tick{} },
			"a message":    func(w *ward) engine.Event { return engine.StreamData{ID: w.peers[good], Data: octets(t, sa(good, 0))} },
			"a new stream": func(w *ward) engine.Event { w.acc++; return w.opened(bad) },
			"a path": func(w *ward) engine.Event {
				return engine.Path{Addr: rpOf(good), Prefix: netip.PrefixFrom(rpOf(good), 32)}
			},
			"what was sent": func(w *ward) engine.Event { return engine.StreamWritten{ID: w.peers[other], Waiting: 10} },
		} {
			name := fmt.Sprintf("%v, then %s", leap, first)
			w := newWard(t)
			for n := range own {
				w.event(engine.SourceActive{Key: engine.SG(nth(addr("10.1.0.0"), n), addr("225.2.2.2")), RP: local, Active: true})
			}
			w.well(name)
			w.wait(2 * time.Minute) // without a word of theirs: connections are lost, and made again
			w.connect(good)
			w.connect(other)
			w.wait(time.Second)
			w.received[other] = nil

			w.now = w.now.Add(leap)
			w.event(ev(w))
			w.due()
			if err := w.m.Check(); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if n := len(w.received[other]); n > own+1 {
				t.Fatalf("%s: %d entries are sent at once, of %d", name, n, own)
			}
			held := leap < 75*time.Second
			for _, p := range []netip.Addr{good, other} {
				if s := w.show(p); held != (s.State == "ESTABLISHED") {
					t.Fatalf("%s: %+v", name, s)
				}
				if !held {
					w.connect(p)
				}
			}
			w.paths[rpOf(good)] = engine.Path{}
			w.do([]string{"path", rpOf(good).String(), "via", good.String()})
			// All of our own are told once in a period, and what the peers tell goes on.
			w.wait(2 * time.Second)
			w.received[other] = nil
			w.send(good, sa(good, 9000))
			if n := len(w.received[other]); n == 0 || w.received[other][n-1].Source != sa(good, 9000).Entries[0].Source {
				t.Fatalf("%s: what a peer tells does not go on", name)
			}
			for range 2 {
				w.received[other] = nil
				for range 60 {
					w.wait(time.Second)
					w.send(good, &wire.KeepAlive{})
					w.send(other, &wire.KeepAlive{})
				}
				if n := len(w.received[other]); n != own {
					t.Fatalf("%s: %d entries of %d are told in a period", name, n, own)
				}
			}
			if err := w.m.Check(); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
}

// opened is the event of a connection that a peer opens.
func (w *ward) opened(peer netip.Addr) engine.Event {
	id := 1<<63 | w.acc
	w.names[id], w.peers[peer], w.open[id], w.read[id] = peer, id, true, &wire.Reader{}
	return engine.StreamOpened{ID: id, Accepted: true, Local: netip.AddrPortFrom(local, 639), Remote: netip.AddrPortFrom(peer, 40000)}
}
