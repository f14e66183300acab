package host

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"grove/daemon/nstest"
	"grove/internal/engine"
	"grove/internal/ip"
	"grove/msdp"
	"grove/msdp/wire"
)

// A query of one machine that needs an answer of another is answered: why MSDP takes what it takes of an RP of which it has
// not heard yet.
func TestQueryThatAsksOn(t *testing.T) {
	a, b := nstest.New(t, "a"), nstest.New(t, "b")
	nstest.Veth(a, "eth1", b, "eth1")
	r := run(t, a, `
interfaces:
  eth1: {addresses: [10.0.0.5/24], pim: {}}
routes:
  - {to: 10.9.0.0/16, via: 10.0.0.1}
msdp: {peers: [{address: 10.0.0.1, connect-source: 10.0.0.5}]}
`)
	eventually(t, patience, "the route", func() bool { return a.HasRoute("10.9.0.0/16", "10.0.0.1") })
	for range 2 { // when the path is not known, and when it is
		v, err := r.Query(t.Context(), engine.MachineID{Protocol: engine.MSDP, Family: engine.IPv4}, "rpf", "10.9.0.1")
		if err != nil {
			t.Fatal(err)
		}
		if x := v.(msdp.RPFShow); x.RP != netip.MustParseAddr("10.9.0.1") || len(x.Compared) == 0 {
			t.Errorf("%+v", x)
		}
	}
}

var msdpID = engine.MachineID{Protocol: engine.MSDP, Family: engine.IPv4}

// The peers of a ward: what good tells goes on to other; bad opens its connection, and away is connected to. Each is the RP of
// what it tells.
var (
	bad, good, other, away = ipOf("10.0.0.1"), ipOf("10.0.0.2"), ipOf("10.0.0.3"), ipOf("10.0.0.9")
	wardAddr               = ipOf("10.0.0.5")
	wardSource             = engine.SG(ipOf("10.0.0.10"), ipOf("225.7.7.7"))
)

// ward is a router, an RP, with peers on one link, two of which are well and two of which are not, and with a flow from a source
// on that link to a member on another.
type ward struct {
	t           testing.TB
	r           *running
	peers       *nstest.Space // all of them, by several addresses
	member      *nstest.Space
	good, other *talker
	told        int
	sent        chan uint32 // stops the flow and says how many packets it had
	arrived     <-chan uint32
	next        atomic.Uint32
	first       uint32 // packet of the flow that has to arrive: of those before some found no row in the kernel's table
}

const wardFile = `
pim: {ipv4: {rp: [{address: 10.0.0.5}]}}
interfaces:
  eth1: {addresses: [10.0.0.5/24], igmp: {}, pim: {}}
  eth2: {addresses: [10.0.2.1/24], igmp: {}, pim: {}}
msdp:
  keepalive-interval: 1s
  hold-time: 6s
  connect-retry: 1s
  recommended-filters: false
  peers:
    - {address: 10.0.0.1, connect-source: 10.0.0.5, max-sas: 5000, rate: 1000, burst: 5000, max-waiting: 65536}
    - {address: 10.0.0.2, connect-source: 10.0.0.5}
    - {address: 10.0.0.3, connect-source: 10.0.0.5}
    - {address: 10.0.0.9, connect-source: 10.0.0.5}
`

func newWard(t testing.TB) *ward {
	router := nstest.New(t, "router")
	w := &ward{t: t, peers: nstest.New(t, "peers"), member: nstest.New(t, "member"), sent: make(chan uint32)}
	nstest.Veth(w.peers, "eth1", router, "eth1")
	nstest.Veth(w.member, "eth1", router, "eth2")
	for _, a := range []string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.9", "10.0.0.10"} {
		w.peers.Addr("eth1", a+"/24")
	}
	w.member.Addr("eth1", "10.0.2.9/24")
	w.r = run(t, router, wardFile)
	w.r.log.Logger.SetLevel(logrus.InfoLevel) // there are tens of thousands of sources
	eventually(t, patience, "the member's group", func() bool {
		if w.arrived == nil {
			w.arrived = w.join(wardSource.Group)
		}
		groups := ask[any](t, w.r, engine.MachineID{Protocol: engine.IGMP, Family: engine.IPv4}, "groups")
		return strings.Contains(fmt.Sprint(groups), wardSource.Group.String())
	})
	w.good, w.other = w.dial(good), w.dial(other)
	w.good.keepAlive()
	w.other.keepAlive()
	w.flow()
	eventually(t, patience, "our own source goes to the peers", func() bool { return w.other.has(wardSource) && w.good.has(wardSource) })
	select {
	case <-w.arrived: // so the row is there
		w.first = w.next.Load() + 1
	case <-time.After(patience):
		t.Fatal("the flow does not arrive")
	}
	return w
}

// join joins a group at the member and returns the sequence numbers that arrive.
func (w *ward) join(group netip.Addr) <-chan uint32 {
	w.t.Helper()
	var c *net.UDPConn
	var err error
	w.member.Do(func() {
		if c, err = net.ListenUDP("udp4", &net.UDPAddr{IP: group.AsSlice(), Port: port}); err != nil {
			return
		}
		raw, _ := c.SyscallConn()
		raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20) })
		err = ipv4.NewPacketConn(c).JoinGroup(&net.Interface{Index: w.member.Index("eth1")}, &net.UDPAddr{IP: group.AsSlice()})
	})
	if err != nil {
		w.t.Fatal(err)
	}
	numbers, ended := make(chan uint32, 1<<20), make(chan struct{})
	go func() {
		defer close(ended)
		b := make([]byte, 2000)
		for {
			n, err := c.Read(b)
			if err != nil {
				return
			}
			if n >= 4 {
				numbers <- binary.BigEndian.Uint32(b)
			}
		}
	}()
	w.t.Cleanup(func() { c.Close(); <-ended })
	return numbers
}

// flow begins to send numbered packets to a group, each few milliseconds.
func (w *ward) flow() {
	c := w.source()
	go func() {
		defer c.Close()
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for n := uint32(0); ; {
			select {
			case w.sent <- n:
				return
			case <-tick.C:
				send(c, wardSource.Group, n)
				n++
				w.next.Store(n)
			}
		}
	}()
	w.t.Cleanup(func() {
		select {
		case <-w.sent:
		case <-time.After(patience): // forwarded has asked already
		}
	})
}

// source is a socket of the source.
func (w *ward) source() *net.UDPConn {
	w.t.Helper()
	var c *net.UDPConn
	var err error
	w.peers.Do(func() {
		if c, err = net.ListenUDP("udp4", &net.UDPAddr{IP: wardSource.Source.AsSlice()}); err == nil {
			p := ipv4.NewPacketConn(c)
			err = errors.Join(p.SetMulticastInterface(&net.Interface{Index: w.peers.Index("eth1")}), p.SetMulticastTTL(16))
		}
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func send(c *net.UDPConn, group netip.Addr, n uint32) {
	_, _ = c.WriteTo(binary.BigEndian.AppendUint32(nil, n), &net.UDPAddr{IP: group.AsSlice(), Port: port})
}

// forwarded ends the flow and sees that each of its packets arrived, once.
func (w *ward) forwarded() {
	w.t.Helper()
	end := <-w.sent
	close(w.sent)
	n := end - min(w.first, end)
	got := make(map[uint32]int)
	for timeout := time.After(patience); len(got) < int(n); {
		select {
		case i := <-w.arrived:
			if i >= w.first {
				got[i]++
			}
			continue
		case <-timeout:
		}
		break
	}
	twice := 0
	for _, times := range got {
		twice += times - 1
	}
	if len(got) != int(n) || twice > 0 || n == 0 {
		w.t.Errorf("of %d packets %d arrived, %d twice", n, len(got), twice)
	}
}

// talker is a peer's end of a connection: it reads all, and keeps what it was told.
type talker struct {
	*net.TCPConn
	w    *ward
	over chan error // why reading ended

	mu   sync.Mutex
	got  map[engine.Key]int
	news chan struct{} // a token: got has changed
}

// dial opens a connection to the router from one of the peers.
func (w *ward) dial(from netip.Addr) *talker {
	w.t.Helper()
	return w.talk(w.connect(from))
}

func (w *ward) connect(from netip.Addr) *net.TCPConn {
	w.t.Helper()
	var c net.Conn
	w.peers.Do(func() {
		d := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: from.AsSlice()}}
		var err error
		if c, err = d.Dial("tcp4", netip.AddrPortFrom(wardAddr, msdpPort).String()); err != nil {
			w.t.Fatal(err)
		}
	})
	w.t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// listen is where the router connects to.
func (w *ward) listen(at netip.Addr) *net.TCPListener {
	w.t.Helper()
	var l net.Listener
	w.peers.Do(func() {
		var err error
		if l, err = net.Listen("tcp4", netip.AddrPortFrom(at, msdpPort).String()); err != nil {
			w.t.Fatal(err)
		}
	})
	w.t.Cleanup(func() { l.Close() })
	return l.(*net.TCPListener)
}

func (w *ward) accept(l *net.TCPListener) *net.TCPConn {
	w.t.Helper()
	l.SetDeadline(time.Now().Add(patience))
	c, err := l.AcceptTCP()
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	return c
}

func (w *ward) talk(c *net.TCPConn) *talker {
	p := &talker{TCPConn: c, w: w, over: make(chan error, 1), got: make(map[engine.Key]int), news: make(chan struct{}, 1)}
	go func() {
		var r wire.Reader
		b := make([]byte, chunk)
		for {
			n, err := c.Read(b)
			if err != nil {
				p.over <- err
				return
			}
			r.Feed(b[:n])
			for {
				tlv, err := r.Next()
				if tlv == nil && err == nil {
					break
				}
				var m wire.Message
				if err == nil {
					m, err = wire.Parse(tlv)
				}
				if err != nil {
					w.t.Errorf("grove writes %x: %v", tlv, err)
					p.over <- err
					return
				}
				if sa, ok := m.(*wire.SourceActive); ok {
					p.mu.Lock()
					for _, e := range sa.Entries {
						p.got[engine.SG(e.Source, e.Group)]++
					}
					p.mu.Unlock()
				}
			}
		}
	}()
	w.t.Cleanup(func() { c.Close() })
	return p
}

func (p *talker) has(k engine.Key) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.got[k] > 0
}

// heard is how many sources it was told of.
func (p *talker) heard() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.got)
}

func (p *talker) send(messages ...wire.Message) {
	p.w.t.Helper()
	if _, err := p.Write(octets(p.w.t, messages...)); err != nil {
		p.w.t.Fatal(err)
	}
}

func octets(t testing.TB, messages ...wire.Message) (b []byte) {
	t.Helper()
	for _, m := range messages {
		var err error
		if b, err = m.Append(b); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// keepAlive says that the peer lives until its connection ends.
func (p *talker) keepAlive() { keepAlive(p.w.t, p.TCPConn) }

func keepAlive(t testing.TB, c *net.TCPConn) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for tick := time.NewTicker(200 * time.Millisecond); ; <-tick.C {
			if _, err := c.Write([]byte{4, 0, 3}); err != nil {
				tick.Stop()
				return
			}
		}
	}()
	t.Cleanup(func() { c.Close(); <-ended })
}

// ended waits until the router has ended the connection, and says how.
func (p *talker) ended() error {
	p.w.t.Helper()
	select {
	case err := <-p.over:
		return err
	case <-time.After(2 * patience):
		p.w.t.Fatal("the router does not end the connection")
		return nil
	}
}

// sa is the n-th source of a peer.
func sa(peer netip.Addr, n int) *wire.SourceActive {
	return &wire.SourceActive{RP: peer, Entries: []wire.Entry{saEntry(peer, n)}}
}

func saEntry(peer netip.Addr, n int) wire.Entry {
	return wire.Entry{
		Source: netip.AddrFrom4([4]byte{172, 16 + peer.As4()[3]&15, byte(n >> 8), byte(n)}), Group: ipOf("225.1.1.1"), PrefixLen: 32,
	}
}

func saKey(peer netip.Addr, n int) engine.Key {
	e := saEntry(peer, n)
	return engine.SG(e.Source, e.Group)
}

func (w *ward) query(what, arg string) any {
	w.t.Helper()
	v, err := w.r.Query(context.Background(), msdpID, what, arg)
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

func (w *ward) show(peer netip.Addr) msdp.PeerShow {
	w.t.Helper()
	return w.query("peers", peer.String()).([]msdp.PeerShow)[0]
}

// cached is how many entries of a peer's RP are cached.
func (w *ward) cached(peer netip.Addr) int {
	w.t.Helper()
	return len(w.query("sa-cache", peer.String()).([]msdp.SAShow))
}

// well sees that the peers that are well are well: a new source of the one is cached and goes on to the other, nothing of either
// was lost, and neither connection was reset.
func (w *ward) well(after string) {
	w.t.Helper()
	k := saKey(good, w.told)
	w.good.send(sa(good, w.told))
	w.told++
	eventually(w.t, 2*patience, after+": what the good peer tells goes on", func() bool { return w.other.has(k) })
	if n := w.cached(good); n != w.told {
		w.t.Fatalf("%s: %d entries of the good peer are cached, of %d", after, n, w.told)
	}
	for _, p := range []netip.Addr{good, other} {
		if s := w.show(p); s.State != "ESTABLISHED" || s.Resets > 0 || s.NotSent > 0 || s.OverLimit+s.OverRate > 0 {
			w.t.Fatalf("%s: a good peer: %+v", after, s)
		}
	}
}

// reset waits until a peer's connection has been reset so many times, and sees why the last time.
func (w *ward) reset(peer netip.Addr, times int, why string) {
	w.t.Helper()
	eventually(w.t, 2*patience, fmt.Sprintf("reset %d of %v: %s", times, peer, why), func() bool { return w.show(peer).Resets >= times })
	if s := w.show(peer); s.Resets != times || !strings.Contains(s.LastReset, why) {
		w.t.Errorf("%v: %d resets, the last %q; want %d, the last %q", peer, s.Resets, s.LastReset, times, why)
	}
	w.well(why)
}

// state waits for a state of a peer.
func (w *ward) state(peer netip.Addr, state string) {
	w.t.Helper()
	eventually(w.t, patience, fmt.Sprintf("%v is %s", peer, state), func() bool { return w.show(peer).State == state })
}

// mute has nothing that a peer's system sends leave, be it a reset: the peer has vanished. It returns what brings it back.
func (w *ward) mute(peer netip.Addr) (back func()) {
	w.peers.Run("ip", "rule", "add", "blackhole", "from", peer.String())
	return func() { w.peers.Run("ip", "rule", "del", "blackhole", "from", peer.String()) }
}

// trouble is a stream of TLVs of all kinds, with four sources of bad.
func trouble(t testing.TB, first int) []byte {
	packet := ip.Packet{Src: saEntry(bad, first+1).Source, Dst: ipOf("225.1.1.1"), Proto: engine.ProtoUDP, TTL: 9, Payload: make([]byte, 20)}
	withData := sa(bad, first+1)
	withData.Data = packet.Append(nil)
	several := sa(bad, first+2)
	several.Entries = append(several.Entries, saEntry(bad, first+3))
	return octets(t, &wire.KeepAlive{}, sa(bad, first), &wire.Unknown{Of: 200, Value: []byte{1, 2, 3}}, withData,
		&wire.Request{Group: ipOf("225.1.1.1")}, &wire.Notification{Code: 7}, several)
}

// Peers that open their connection to us and are broken: another peer's Source-Actives are taken, cached and sent on as before,
// and each packet of a flow arrives once.
func TestBrokenPeers(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	resets := 0
	broken := func(why string) {
		t.Helper()
		resets++
		w.reset(bad, resets, why)
	}
	if e := <-w.r.events; e.Time == e.Time.Round(0) {
		t.Error("the machines' time is not monotonic: it leaps when somebody sets the clock")
	}

	// It says nothing.
	p := w.dial(bad)
	broken("Hold Timer expired")
	if err := p.ended(); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("ended with %v", err)
	}
	// It vanishes in the middle of a message.
	p = w.dial(bad)
	p.send(sa(bad, 0))
	p.Write([]byte{1, 0, 20, 1})
	eventually(t, patience, "its source", func() bool { return w.other.has(saKey(bad, 0)) })
	back := w.mute(bad)
	broken("Hold Timer expired")
	back()
	// It vanishes, and is back before we notice.
	p = w.dial(bad)
	w.state(bad, "ESTABLISHED")
	back = w.mute(bad)
	p.SetLinger(0)
	p.Close()
	back()
	p = w.dial(bad)
	broken("the peer opened another connection")
	p.send(sa(bad, 1))
	eventually(t, patience, "its source", func() bool { return w.other.has(saKey(bad, 1)) })
	p.Close()
	broken("closed by the peer")

	// It sends an octet at a time.
	p = w.dial(bad)
	for _, b := range trouble(t, 10) {
		if _, err := p.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	for n := 10; n < 14; n++ {
		eventually(t, patience, "what it says in octets", func() bool { return w.other.has(saKey(bad, n)) })
	}
	w.well("octets")
	if s := w.show(bad); s.Unknown != 1 || s.Notifications != 1 || s.DataIn != 1 || s.RequestsIn != 1 {
		t.Errorf("%+v", s)
	}
	p.Close()
	broken("closed by the peer")

	// It resets the connection after each octet of what it says. What it said whole holds.
	stream := trouble(t, 20)
	for n := 0; n <= len(stream); n += 7 {
		p = w.dial(bad)
		p.Write(stream[:n])
		if n%2 == 0 {
			w.state(bad, "ESTABLISHED") // else the reset comes when it may
		}
		p.SetLinger(0)
		p.Close()
		w.well(fmt.Sprintf("%d octets and a reset", n))
		w.state(bad, "LISTEN")
	}
	p = w.dial(bad)
	p.Write(stream)
	for n := 20; n < 24; n++ {
		eventually(t, patience, "all that it says", func() bool { return w.other.has(saKey(bad, n)) })
	}
	p.SetLinger(0)
	p.Close()
	w.state(bad, "LISTEN")
	resets = w.show(bad).Resets

	// What no TLV is resets the session, and is counted.
	for _, c := range []struct{ octets, why string }{
		{"\x04\x00\x02", "KeepAlive of 2 octets: bad length"},
		{"\x04\x00\x04\x00", "KeepAlive of 4 octets: bad length"},
		{"\xff\x00\x00", "type 255 of 0 octets: bad length"},
		{"\x01\x00\x14\x02\x0a\x00\x00\x01\x00\x00\x00\x20\xe1\x01\x01\x01\xac\x11\x00\x01", "entry 2 of 2: truncated"},
		{"\x01\x00\x18\x01\x0a\x00\x00\x01\x00\x00\x00\x20\xe1\x01\x01\x01\xac\x11\x00\x01\x45\x00\xff\xff", "encapsulated packet: truncated"},
	} {
		p = w.dial(bad)
		p.Write([]byte(c.octets))
		_, said := p.Write(octets(t, sa(bad, 30))) // is not read any more
		broken(c.why)
		if err := p.ended(); !errors.Is(err, unix.ECONNRESET) && said == nil { // the system says it once, here or there
			t.Errorf("%s: ended with %v", c.why, err)
		}
	}
	counts := w.query("counts", "").(map[string]uint64)
	if counts["TLV format error: bad length"] != 3 || counts["TLV format error: truncated"] != 2 || w.other.has(saKey(bad, 30)) {
		t.Errorf("%v", counts)
	}
	// What is longer than may be sent is taken; of an unknown type it is discarded.
	unknown := w.show(bad).Unknown
	p = w.dial(bad)
	p.Write(append([]byte{222, 0xff, 0xff}, make([]byte, 0xffff-3)...))
	long := octets(t, sa(bad, 40))
	long = append(long, (&ip.Packet{Src: saEntry(bad, 40).Source, Dst: ipOf("225.1.1.1"), TTL: 9, Payload: make([]byte, 20)}).Append(nil)...)
	long = append(long, make([]byte, 0xffff-len(long))...)
	long[1], long[2] = 0xff, 0xff
	p.Write(long)
	p.send(sa(bad, 41))
	for _, n := range []int{40, 41} {
		eventually(t, patience, "what is oversized, and what follows it", func() bool { return w.other.has(saKey(bad, n)) })
	}
	if s := w.show(bad); s.State != "ESTABLISHED" || s.Unknown != unknown+1 {
		t.Errorf("%+v", s)
	}
	w.well("oversized")
	w.forwarded()
}

// Peers to whom we connect and who are broken.
func TestBrokenPeersWeConnectTo(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	gaveUp := func(_ string, e engine.Transition) bool {
		return e.Entity == "peer" && e.Neighbor == away && e.Old == "CONNECTING" && e.Cause == "ConnectRetry timer expired"
	}
	// Nobody listens: it refuses, as often as we ask.
	w.r.transition("another attempt", gaveUp)
	if s := w.show(away); !strings.Contains(s.LastReset, "connection refused") || s.Resets != 0 {
		t.Errorf("%+v", s)
	}
	// It does not answer at all.
	back := w.mute(away)
	for range 2 {
		w.r.transition("another attempt", gaveUp)
		w.well("no answer")
	}
	// Its system answers, and it does not accept: it says nothing.
	l := w.listen(away)
	back()
	w.state(away, "ESTABLISHED")
	w.reset(away, 1, "Hold Timer expired")
	w.accept(l).Close() // that one
	// It resets the connection at once, after a message, and in the middle of one.
	for _, n := range []int{0, 3, 10, 23, 30} {
		c := w.accept(l)
		resets := w.show(away).Resets // of those before
		stream := octets(t, &wire.KeepAlive{}, sa(away, n), &wire.KeepAlive{}, sa(away, 100+n))
		c.Write(stream[:n])
		if n > 0 {
			w.state(away, "ESTABLISHED")
		}
		if n >= 23 {
			eventually(t, patience, "what it said whole", func() bool { return w.other.has(saKey(away, n)) })
		}
		c.SetLinger(0)
		c.Close()
		if n == 0 { // it may be over before it was open
			w.well("a reset at once")
			continue
		}
		w.reset(away, resets+1, "reset by peer")
	}
	// And then it is well.
	p := w.talk(w.accept(l))
	p.send(sa(away, 1000))
	eventually(t, patience, "its source", func() bool { return w.other.has(saKey(away, 1000)) })
	eventually(t, patience, "all sources for it", func() bool { return p.has(saKey(good, w.told-1)) && p.has(wardSource) })
	w.well("all is well")
	w.forwarded()
}

// A peer that lives and does not read: what waits for it is bounded, others have all, it is reset, and when it reads at last it
// has all, too.
func TestPeerThatDoesNotRead(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	c := w.connect(bad)
	if err := c.SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	keepAlive(t, c)
	w.state(bad, "ESTABLISHED")
	const lots = 150 // of 255: more than may wait, and than the systems' buffers hold
	n := 0
	for range lots {
		m := &wire.SourceActive{RP: good}
		for range wire.MaxEntries {
			e := saEntry(good, n)
			e.Group = netip.AddrFrom4([4]byte{225, 8, byte(n >> 16), byte(n >> 8)})
			m.Entries = append(m.Entries, e)
			n++
		}
		w.good.send(m)
	}
	w.told = n
	eventually(t, 3*patience, "all for who reads", func() bool { return w.other.heard() >= n })
	s := w.show(bad)
	if s.State == "ESTABLISHED" && (s.NotSent == 0 || s.Waiting > 65536+1024 || s.Waiting == 0) {
		t.Errorf("%+v", s)
	}
	w.reset(bad, 1, "does not read")
	p := w.dial(bad)
	keepAlive(t, p.TCPConn)
	eventually(t, 3*patience, "all for who reads at last", func() bool { return p.heard() >= n })
	if s := w.show(bad); s.Resets != 1 || s.NotSent == 0 {
		t.Errorf("%+v", s)
	}
	w.forwarded()
}
