package host

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"grove/daemon/nstest"
	"grove/internal/engine"
)

var msdp4 = engine.MachineID{Protocol: engine.MSDP, Family: engine.IPv4}

// speaker is the streams of a host in a namespace, with a loop of its own and the test as the machine.
type speaker struct {
	t       testing.TB
	streams streams
	do      chan func()
	events  chan engine.Event
	warned  chan string
	hold    func(engine.Event) // called in the loop before an event is handed on
}

func speak(t testing.TB, s *nstest.Space) *speaker {
	p := &speaker{t: t, streams: newStreams(newInbox()), do: make(chan func()), events: make(chan engine.Event, 4096), warned: make(chan string, 16)}
	st := &p.streams
	st.tell = func(_ engine.MachineID, ev engine.Event) {
		if p.hold != nil {
			p.hold(ev)
		}
		p.events <- ev
	}
	st.warn = func(_ engine.MachineID, _ netip.Addr, text string) { p.warned <- text }
	s.Do(func() {
		var err error
		if st.space, err = currentNamespace(); err != nil {
			t.Fatal(err)
		}
	})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(10 * time.Millisecond) // not After: a test that asks all the time would put it off for ever
		defer tick.Stop()
		for {
			select {
			case f, ok := <-p.do:
				if !ok {
					st.end()
					return
				}
				f()
			case <-st.inbox.ready:
				for _, it := range st.inbox.take(nil, batchSize) {
					st.hear(it.what)
				}
			case <-tick.C:
				st.again(time.Now())
			}
		}
	}()
	t.Cleanup(func() {
		close(p.do)
		<-ended
		if n := len(st.running.all); n > 0 {
			t.Errorf("%d streams still run", n)
		}
		_ = st.space.close()
	})
	return p
}

// effect has the loop carry out an effect.
func (p *speaker) effect(effects ...engine.Effect) {
	done := make(chan struct{})
	p.do <- func() {
		defer close(done)
		for _, e := range effects {
			switch e := e.(type) {
			case engine.Listen:
				p.streams.listen(msdp4, e)
			case engine.OpenStream:
				p.streams.open(msdp4, e)
			case engine.WriteStream:
				p.streams.write(msdp4, e)
			case engine.CloseStream:
				p.streams.close(msdp4, e)
			}
		}
	}
	<-done
}

func (p *speaker) count(what string) uint64 {
	var c engine.Counts
	done := make(chan struct{})
	p.do <- func() { p.streams.count(&c); close(done) }
	<-done
	return c.Get(what)
}

const patience = 10 * time.Second

// next returns the next event, which must be an E; StreamWritten is left out unless it is asked for.
func next[E engine.Event](p *speaker) E {
	p.t.Helper()
	for timeout := time.After(patience); ; {
		select {
		case ev := <-p.events:
			if e, ok := ev.(E); ok {
				return e
			}
			if _, ok := ev.(engine.StreamWritten); ok {
				continue
			}
			var want E
			p.t.Fatalf("got %T, want %T", ev, want)
		case <-timeout:
			var want E
			p.t.Fatalf("no %T", want)
		}
	}
}

// read collects n bytes of a stream.
func (p *speaker) read(id engine.StreamID, n int) []byte {
	p.t.Helper()
	var b []byte
	for len(b) < n {
		d := next[engine.StreamData](p)
		if d.ID != id || len(d.Data) > chunk {
			p.t.Fatalf("%d bytes of stream %d", len(d.Data), d.ID)
		}
		b = append(b, d.Data...)
	}
	return b
}

// quiet sees that nothing is told for a time, StreamWritten excepted.
func (p *speaker) quiet(d time.Duration) {
	p.t.Helper()
	for timeout := time.After(d); ; {
		select {
		case ev := <-p.events:
			if _, ok := ev.(engine.StreamWritten); !ok {
				p.t.Fatalf("got %T", ev)
			}
		case <-timeout:
			return
		}
	}
}

// refused waits until a stream that was asked for has ended: the kernel may have opened it, for a moment.
func (p *speaker) refused(id engine.StreamID) {
	p.t.Helper()
	for timeout := time.After(patience); ; {
		select {
		case ev := <-p.events:
			if c, ok := ev.(engine.StreamClosed); ok {
				if c.ID != id || !strings.Contains(c.Err, "reset by peer") {
					p.t.Errorf("%+v", c)
				}
				return
			}
			if o, ok := ev.(engine.StreamOpened); !ok || o.ID != id {
				p.t.Fatalf("got %T", ev)
			}
		case <-timeout:
			p.t.Fatal("not refused")
		}
	}
}

// two are speakers on one wire, 10.0.0.1 and 10.0.0.2, and b also 10.0.0.3.
type two struct {
	a, b           *speaker
	aSpace, bSpace *nstest.Space
}

var addrA, addrB, addrC = netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.0.3")

const msdpPort = 639

func newTwo(t testing.TB) *two {
	w := &two{aSpace: nstest.New(t, "a"), bSpace: nstest.New(t, "b")}
	nstest.Veth(w.aSpace, "eth1", w.bSpace, "eth1")
	w.aSpace.Addr("eth1", "10.0.0.1/24")
	w.bSpace.Addr("eth1", "10.0.0.2/24")
	w.bSpace.Addr("eth1", "10.0.0.3/24")
	w.a, w.b = speak(t, w.aSpace), speak(t, w.bSpace)
	return w
}

// toB and toA are the ends of a peering.
func toB(secret string, ttl uint8) engine.StreamPeer {
	return engine.StreamPeer{Local: addrA, Remote: addrB, Secret: secret, MinTTL: ttl}
}

func toA(secret string, ttl uint8) engine.StreamPeer {
	return engine.StreamPeer{Local: addrB, Remote: addrA, Secret: secret, MinTTL: ttl}
}

// connect opens a stream from a to b and returns its numbers at both.
func (w *two) connect(id engine.StreamID, from, to engine.StreamPeer) engine.StreamID {
	w.a.t.Helper()
	w.b.effect(engine.Listen{Port: msdpPort, Peers: []engine.StreamPeer{to}})
	w.a.effect(engine.OpenStream{ID: id, Peer: from, Port: msdpPort})
	there := next[engine.StreamOpened](w.b)
	here := next[engine.StreamOpened](w.a)
	if here.ID != id || here.Accepted || here.Local.Addr() != addrA || here.Remote != netip.AddrPortFrom(addrB, msdpPort) {
		w.a.t.Errorf("here: %+v", here)
	}
	if there.ID < firstAccepted || !there.Accepted || there.Remote != here.Local || there.Local != here.Remote {
		w.a.t.Errorf("there: %+v", there)
	}
	return there.ID
}

// Bytes cross in both directions, and an end in good order is told as one, after the bytes.
func TestStreamsCarryBytes(t *testing.T) {
	w := newTwo(t)
	id := w.connect(1, toB("", 0), toA("", 0))
	ping, pong := bytes.Repeat([]byte("ping"), 100_000), []byte("pong")
	w.a.effect(engine.WriteStream{ID: 1, Data: ping[:4]}, engine.WriteStream{ID: 1, Data: ping[4:]})
	if got := w.b.read(id, len(ping)); !bytes.Equal(got, ping) {
		t.Errorf("%d bytes are not those that were sent", len(got))
	}
	w.b.effect(engine.WriteStream{ID: id, Data: pong}, engine.CloseStream{ID: id})
	if got := w.a.read(1, len(pong)); !bytes.Equal(got, pong) {
		t.Errorf("got %q", got)
	}
	if c := next[engine.StreamClosed](w.a); c != (engine.StreamClosed{ID: 1}) {
		t.Errorf("%+v", c)
	}
	w.b.quiet(20 * time.Millisecond)
	// A second stream has numbers of its own.
	if again := w.connect(2, toB("", 0), toA("", 0)); again == id {
		t.Error("a number is used twice")
	}
}

// What cannot be opened is said in words.
func TestStreamsThatCannotBeOpened(t *testing.T) {
	w := newTwo(t)
	closed := func(id engine.StreamID, peer engine.StreamPeer, want string) {
		t.Helper()
		w.a.effect(engine.OpenStream{ID: id, Peer: peer, Port: msdpPort})
		if c := next[engine.StreamClosed](w.a); c.ID != id || c.Err != want {
			t.Errorf("%+v, want %q", c, want)
		}
	}
	closed(1, toB("", 0), "connect: connection refused")
	closed(2, engine.StreamPeer{Local: addrA, Remote: netip.MustParseAddr("192.0.2.1")}, "connect: network is unreachable")
	if len(w.a.warned) != 0 {
		t.Errorf("warned of what mends itself: %q", <-w.a.warned)
	}
	closed(3, engine.StreamPeer{Local: addrC, Remote: addrB}, "connect from 10.0.0.3: cannot assign requested address")
	if got := <-w.a.warned; !strings.Contains(got, "10.0.0.3") {
		t.Errorf("warned %q", got)
	}
	closed(4, toB(strings.Repeat("x", 81), 0), "peer 10.0.0.2: "+errSecretLength.Error())
	<-w.a.warned
}

// Only listed peers get in, and only to the address that they are listed for.
func TestStreamsOfStrangersAreReset(t *testing.T) {
	w := newTwo(t)
	w.b.effect(engine.Listen{Port: msdpPort, Peers: []engine.StreamPeer{{Local: addrB, Remote: addrC}, {Local: addrC, Remote: addrA}}})
	w.a.effect(engine.OpenStream{ID: 1, Peer: toB("", 0), Port: msdpPort})
	w.a.refused(1)
	if n := w.b.count("refused streams: not from a listed peer"); n != 1 {
		t.Errorf("%d counted", n)
	}
	w.a.effect(engine.OpenStream{ID: 2, Peer: engine.StreamPeer{Remote: addrC}, Port: msdpPort})
	next[engine.StreamOpened](w.a)
	if there := next[engine.StreamOpened](w.b); there.Local.Addr() != addrC {
		t.Errorf("%+v", there)
	}
	// Without peers the port is closed; the stream stays.
	w.b.effect(engine.Listen{Port: msdpPort})
	w.a.effect(engine.OpenStream{ID: 3, Peer: toB("", 0), Port: msdpPort})
	if c := next[engine.StreamClosed](w.a); c.ID != 3 || c.Err != "connect: connection refused" {
		t.Errorf("%+v", c)
	}
	w.b.quiet(20 * time.Millisecond)
}

// A port that another process has is said, and opened when it is free.
func TestPortIsTaken(t *testing.T) {
	w := newTwo(t)
	var other net.Listener
	w.bSpace.Do(func() {
		var err error
		if other, err = net.Listen("tcp4", fmt.Sprintf(":%d", msdpPort)); err != nil {
			t.Fatal(err)
		}
	})
	w.b.effect(engine.Listen{Port: msdpPort, Peers: []engine.StreamPeer{toA("", 0)}})
	if got := <-w.b.warned; got != "port 639: bind: address already in use" {
		t.Errorf("warned %q", got)
	}
	other.Close()
	w.b.do <- func() { w.b.streams.retry = time.Now() }
	eventually(t, patience, "the port is open", func() bool {
		open := make(chan bool)
		w.b.do <- func() {
			l := w.b.streams.listeners[listenKey{msdp4, msdpPort}]
			open <- l.file != nil && l.said == ""
		}
		return <-open
	})
	w.a.effect(engine.OpenStream{ID: 1, Peer: toB("", 0), Port: msdpPort})
	next[engine.StreamOpened](w.b)
	if len(w.b.warned) != 0 {
		t.Errorf("warned %q", <-w.b.warned)
	}
}

// With the right secret streams open; with a wrong one nobody answers; a changed secret holds for streams that come later
// and leaves those that there are alone.
func TestSecrets(t *testing.T) {
	w := newTwo(t)
	id := w.connect(1, toB("first", 0), toA("first", 0))
	silent := func(n engine.StreamID, secret string) {
		t.Helper()
		w.a.effect(engine.OpenStream{ID: n, Peer: toB(secret, 0), Port: msdpPort})
		w.a.quiet(200 * time.Millisecond)
		w.b.quiet(0)
		w.a.effect(engine.CloseStream{ID: n})
	}
	silent(2, "wrong")
	silent(3, "")
	second := w.connect(4, toB("second", 0), toA("second", 0))
	silent(5, "first")
	w.a.effect(engine.WriteStream{ID: 1, Data: []byte("old")})
	w.b.read(id, 3)
	w.a.effect(engine.WriteStream{ID: 4, Data: []byte("new")})
	w.b.read(second, 3)
	// A peer without one any more, and one whose secret cannot be set: nobody gets in.
	w.connect(6, toB("", 0), toA("", 0))
	silent(7, "second")
	w.b.effect(engine.Listen{Port: msdpPort, Peers: []engine.StreamPeer{toA(strings.Repeat("x", 81), 0)}})
	if got := <-w.b.warned; !strings.Contains(got, errSecretLength.Error()) {
		t.Errorf("warned %q", got)
	}
	w.a.effect(engine.OpenStream{ID: 8, Peer: toB("", 0), Port: msdpPort})
	w.a.refused(8)
}

// Segments leave with a TTL of 255 and must arrive with it: a peer that is not on the link, or does not send 255, gets
// nowhere; one that does, does.
func TestGTSM(t *testing.T) {
	w := newTwo(t)
	id := w.connect(1, toB("", 255), toA("", 255))
	w.a.effect(engine.WriteStream{ID: 1, Data: []byte("near")})
	w.b.read(id, 4)
	// Without GTSM our segments have 64, and are dropped there.
	w.a.effect(engine.OpenStream{ID: 2, Peer: toB("", 0), Port: msdpPort})
	w.a.quiet(200 * time.Millisecond)
	w.a.effect(engine.CloseStream{ID: 2})
	// Nor do we take an answer with 64.
	w.b.effect(engine.Listen{Port: msdpPort, Peers: []engine.StreamPeer{toA("", 0)}})
	w.a.effect(engine.OpenStream{ID: 3, Peer: toB("", 254), Port: msdpPort})
	w.a.quiet(200 * time.Millisecond)
	w.a.effect(engine.CloseStream{ID: 3})
	w.b.quiet(0)
	// Beside a peer that may be far the socket takes all: the near one's first segment tells.
	w.b.effect(engine.Listen{Port: msdpPort, Peers: []engine.StreamPeer{toA("", 255), {Local: addrB, Remote: netip.MustParseAddr("10.0.0.9")}}})
	w.a.effect(engine.OpenStream{ID: 4, Peer: toB("", 0), Port: msdpPort})
	w.a.refused(4)
	if n := w.b.count("refused streams: from too far away"); n != 1 {
		t.Errorf("%d counted", n)
	}
	w.a.effect(engine.OpenStream{ID: 5, Peer: toB("", 255), Port: msdpPort})
	next[engine.StreamOpened](w.a)
	next[engine.StreamOpened](w.b)
}

// All options on a stream of IPv6.
func TestStreamsOfIPv6(t *testing.T) {
	w := newTwo(t)
	w.aSpace.Addr("eth1", "2001:db8::1/64")
	w.bSpace.Addr("eth1", "2001:db8::2/64")
	a, b := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
	six := engine.MachineID{Protocol: engine.MSDP, Family: engine.IPv6}
	w.b.do <- func() {
		w.b.streams.listen(six, engine.Listen{Port: msdpPort, Peers: []engine.StreamPeer{{Local: b, Remote: a, Secret: "s", MinTTL: 255}}})
	}
	w.a.effect(engine.OpenStream{ID: 1, Peer: engine.StreamPeer{Local: a, Remote: b, Secret: "wrong", MinTTL: 255}, Port: msdpPort})
	w.a.quiet(100 * time.Millisecond)
	w.a.effect(engine.OpenStream{ID: 2, Peer: engine.StreamPeer{Local: a, Remote: b, Secret: "s", MinTTL: 255}, Port: msdpPort})
	if o := next[engine.StreamOpened](w.b); o.Remote.Addr() != a || o.Local != netip.AddrPortFrom(b, msdpPort) {
		t.Errorf("%+v", o)
	}
	next[engine.StreamOpened](w.a)
}

// raw opens a stream from a to b by the package net, as a peer that is no grove.
func (w *two) raw() (*net.TCPConn, engine.StreamID) {
	w.a.t.Helper()
	w.b.effect(engine.Listen{Port: msdpPort, Peers: []engine.StreamPeer{toA("", 0)}})
	var conn net.Conn
	w.aSpace.Do(func() {
		var err error
		d := net.Dialer{Timeout: patience}
		if conn, err = d.Dial("tcp4", netip.AddrPortFrom(addrB, msdpPort).String()); err != nil {
			w.a.t.Fatal(err)
		}
	})
	w.a.t.Cleanup(func() { conn.Close() })
	return conn.(*net.TCPConn), next[engine.StreamOpened](w.b).ID
}

// A peer that does not read: the machine hears how much waits, nothing blocks, and all of it arrives when it reads.
func TestSlowReader(t *testing.T) {
	w := newTwo(t)
	conn, id := w.raw()
	if err := conn.SetReadBuffer(1 << 16); err != nil {
		t.Fatal(err)
	}
	const pieces, size = 64, 256 << 10
	var all []engine.Effect
	for range pieces {
		all = append(all, engine.WriteStream{ID: id, Data: make([]byte, size)})
	}
	w.b.effect(all...)
	// The kernel takes what the peer's buffer holds and a little more; the rest stays with us.
	waiting := pieces * size
	for {
		select {
		case ev := <-w.b.events:
			if waiting = ev.(engine.StreamWritten).Waiting; waiting < pieces*size/2 {
				t.Fatalf("only %d bytes wait although nobody reads", waiting)
			}
			continue
		case <-time.After(200 * time.Millisecond):
		}
		break
	}
	if waiting == pieces*size {
		t.Error("nothing was said to have left")
	}
	if n, err := io.CopyN(io.Discard, conn, pieces*size); err != nil {
		t.Fatalf("after %d bytes: %v", n, err)
	}
	for waiting > 0 {
		waiting = next[engine.StreamWritten](w.b).Waiting
	}
}

// A stream that floods does not keep another from being heard, nor packets, and what the machine was not handed stays with
// the sender.
func TestFloodBesideAQuietStream(t *testing.T) {
	w := newTwo(t)
	flood, _ := w.raw()
	quiet, id := w.raw()
	var order []engine.StreamID
	step := make(chan struct{})
	w.b.hold = func(ev engine.Event) {
		if d, ok := ev.(engine.StreamData); ok {
			order = append(order, d.ID)
			<-step // the machine works
		}
	}
	sent := make(chan int)
	go func() {
		n := 0
		defer func() { sent <- n }()
		block := make([]byte, 1<<20)
		for {
			_ = flood.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
			m, err := flood.Write(block)
			if n += m; err != nil {
				return
			}
		}
	}()
	stuck := <-sent // TCP slowed it down
	if stuck > 64<<20 {
		t.Errorf("%d bytes were taken while the machine was at work", stuck)
	}
	if _, err := quiet.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(100*time.Millisecond, func() { close(step) }) // by then the quiet one has been read
	for {
		d := next[engine.StreamData](w.b)
		if d.ID == id {
			break
		}
	}
	done := make(chan int)
	w.b.do <- func() {
		place := 0
		for i, o := range order {
			if o == id {
				place = i
			}
		}
		done <- place
	}
	if place := <-done; place > 2 {
		t.Errorf("the quiet stream was handed over as number %d", place)
	}
}

// A batch has a few pieces of news of streams, however many there are, and the packets as before.
func TestStreamsDoNotStarvePackets(t *testing.T) {
	b := newInbox()
	for range 100 {
		b.put([]item{{flow, msdp4, streamWritten{}}})
	}
	for range 600 {
		b.put([]item{{control, engine.MachineID{}, engine.Packet{}}, {alert, engine.MachineID{}, engine.Upcall{}}})
	}
	for round := range 3 {
		var n [classes]int
		for _, it := range b.take(nil, 256) {
			n[it.class]++
		}
		if n[flow] != flowShare || n[control] != 256-64-flowShare || n[alert] != 64 {
			t.Errorf("round %d: %v", round, n)
		}
	}
}

// A peer's reset, in the middle of what it sends, is told as an error after what arrived.
func TestPeerResets(t *testing.T) {
	w := newTwo(t)
	conn, id := w.raw()
	if _, err := conn.Write([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	w.b.read(id, 3)
	conn.SetLinger(0)
	conn.Close()
	if c := next[engine.StreamClosed](w.b); c.ID != id || c.Err != "read: connection reset by peer" {
		t.Errorf("%+v", c)
	}
	// Also while we write.
	conn, id = w.raw()
	w.b.effect(engine.WriteStream{ID: id, Data: make([]byte, 32<<20)})
	next[engine.StreamWritten](w.b)
	conn.SetLinger(0)
	conn.Close()
	if c := next[engine.StreamClosed](w.b); c.ID != id || !strings.Contains(c.Err, "reset by peer") {
		t.Errorf("%+v", c)
	}
}

// CloseStream sends what was written, though the peer sends at the same time, and reads late; Reset does not.
func TestCloseWithDataUnderWay(t *testing.T) {
	w := newTwo(t)
	conn, id := w.raw()
	const size = 8 << 20
	if _, err := conn.Write(make([]byte, 200_000)); err != nil { // the machine will not be handed all of it
		t.Fatal(err)
	}
	w.b.effect(engine.WriteStream{ID: id, Data: make([]byte, size)}, engine.WriteStream{ID: id, Data: []byte("end")}, engine.CloseStream{ID: id})
	got, err := io.ReadAll(conn)
	if err != nil || len(got) != size+3 || string(got[size:]) != "end" {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	conn.Close()
	for len(w.b.events) > 0 { // what was told before the end
		<-w.b.events
	}

	conn, id = w.raw()
	w.b.effect(engine.WriteStream{ID: id, Data: make([]byte, size)}, engine.CloseStream{ID: id, Reset: true})
	got, err = io.ReadAll(conn)
	if !errors.Is(err, unix.ECONNRESET) || len(got) >= size {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	for len(w.b.events) > 0 {
		if ev := <-w.b.events; fmt.Sprintf("%T", ev) == "engine.StreamClosed" {
			t.Errorf("told after CloseStream: %+v", ev)
		}
	}
}

// A peer that never reads cannot keep a closed stream: it is reset after its time. Here the host ends, which shortens it.
func TestCloseDoesNotWaitForEver(t *testing.T) {
	w := newTwo(t)
	conn, id := w.raw()
	w.b.effect(engine.WriteStream{ID: id, Data: make([]byte, 32<<20)}, engine.CloseStream{ID: id})
	before := time.Now()
	done := make(chan struct{})
	w.b.do <- func() { w.b.streams.end(); close(done) }
	<-done
	if d := time.Since(before); d < endWithin/2 || d > endWithin+2*time.Second {
		t.Errorf("ended after %v", d)
	}
	if _, err := io.Copy(io.Discard, conn); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("the peer read %v", err)
	}
}

// A peer that does not answer: the attempt ends when the machine says so, and its goroutine with it.
func TestHalfOpenConnect(t *testing.T) {
	w := newTwo(t)
	// A neighbor is there but the address behind it answers nothing.
	w.bSpace.Run("ip", "route", "add", "blackhole", "192.0.2.0/24")
	w.aSpace.Route("192.0.2.0/24", "10.0.0.2")
	w.bSpace.Sysctl("ipv4/ip_forward", "1")
	before := runtime.NumGoroutine()
	w.a.effect(engine.OpenStream{ID: 1, Peer: engine.StreamPeer{Local: addrA, Remote: netip.MustParseAddr("192.0.2.1")}, Port: msdpPort})
	w.a.effect(engine.WriteStream{ID: 1, Data: []byte("too early")})
	w.a.quiet(200 * time.Millisecond)
	w.a.effect(engine.CloseStream{ID: 1})
	eventually(t, patience, "the goroutine is gone", func() bool { return runtime.NumGoroutine() <= before })
	w.a.quiet(20 * time.Millisecond)
	// What belongs to a machine that is no more ends as well.
	w.a.effect(engine.OpenStream{ID: 2, Peer: engine.StreamPeer{Local: addrA, Remote: netip.MustParseAddr("192.0.2.1")}, Port: msdpPort})
	id := w.connect(3, toB("", 0), toA("", 0))
	w.a.do <- func() { w.a.streams.keep(nil) }
	if c := next[engine.StreamClosed](w.b); c != (engine.StreamClosed{ID: id}) {
		t.Errorf("%+v", c)
	}
}
