package host

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"grove/daemon/config"
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
	igmp := func(what, says string) func() bool {
		return func() bool {
			return strings.Contains(fmt.Sprintf("%+v", ask[any](t, w.r, engine.MachineID{Protocol: engine.IGMP, Family: engine.IPv4}, what)), says)
		}
	}
	eventually(t, patience, "somebody hears reports", igmp("interfaces", "Querier:10.0.2.1"))
	w.arrived = w.join(wardSource.Group, port)
	eventually(t, patience, "the member's group", igmp("groups", wardSource.Group.String()))
	w.good, w.other = w.dial(good), w.dial(other)
	w.good.keepAlive()
	w.other.keepAlive()
	w.flow()
	eventually(t, patience, "our own source goes to the peers", func() bool { return w.other.has(wardAddr, wardSource) && w.good.has(wardAddr, wardSource) })
	select {
	case <-w.arrived: // so the row is there
		w.first = w.next.Load() + 1
	case <-time.After(patience):
		t.Fatal("the flow does not arrive")
	}
	return w
}

// join joins a group at the member and returns the sequence numbers that arrive at a port, which is to be of this group alone.
func (w *ward) join(group netip.Addr, port int) <-chan uint32 {
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
				send(c, wardSource.Group, port, n)
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

func send(c *net.UDPConn, group netip.Addr, port int, n uint32) {
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

	mu  sync.Mutex
	got map[source]int
}

// source is a source of which a peer is told, and by which RP.
type source struct {
	rp  netip.Addr
	key engine.Key
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
	p := &talker{TCPConn: c, w: w, over: make(chan error, 1), got: make(map[source]int)}
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
						p.got[source{sa.RP, engine.SG(e.Source, e.Group)}]++
					}
					p.mu.Unlock()
				}
			}
		}
	}()
	w.t.Cleanup(func() { c.Close() })
	return p
}

func (p *talker) has(rp netip.Addr, k engine.Key) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.got[source{rp, k}] > 0
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
	eventually(w.t, 2*patience, after+": what the good peer tells goes on", func() bool { return w.other.has(good, k) })
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
	eventually(t, patience, "its source", func() bool { return w.other.has(bad, saKey(bad, 0)) })
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
	eventually(t, patience, "its source", func() bool { return w.other.has(bad, saKey(bad, 1)) })
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
		eventually(t, patience, "what it says in octets", func() bool { return w.other.has(bad, saKey(bad, n)) })
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
		eventually(t, patience, "all that it says", func() bool { return w.other.has(bad, saKey(bad, n)) })
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
	if counts["TLV format error: bad length"] != 3 || counts["TLV format error: truncated"] != 2 || w.other.has(bad, saKey(bad, 30)) {
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
		eventually(t, patience, "what is oversized, and what follows it", func() bool { return w.other.has(bad, saKey(bad, n)) })
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
			eventually(t, patience, "what it said whole", func() bool { return w.other.has(away, saKey(away, n)) })
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
	eventually(t, patience, "its source", func() bool { return w.other.has(away, saKey(away, 1000)) })
	eventually(t, patience, "all sources for it", func() bool { return p.has(good, saKey(good, w.told-1)) && p.has(wardAddr, wardSource) })
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

// signed has a socket sign its segments to the router, and take none that are not, by TCP MD5.
func signed(secret string) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) (err error) {
		failed := c.Control(func(fd uintptr) { err = setSecret(int(fd), wardAddr, secret) })
		return errors.Join(failed, err)
	}
}

// dialSigned opens a connection with a secret; the error is that of a router that does not answer.
func (w *ward) dialSigned(from netip.Addr, secret string, within time.Duration) (c net.Conn, err error) {
	w.peers.Do(func() {
		d := net.Dialer{Timeout: within, LocalAddr: &net.TCPAddr{IP: from.AsSlice()}, Control: signed(secret)}
		c, err = d.Dial("tcp4", netip.AddrPortFrom(wardAddr, msdpPort).String())
	})
	if err == nil {
		w.t.Cleanup(func() { c.Close() })
	}
	return c, err
}

// listenSigned is where the router connects to, with a secret.
func (w *ward) listenSigned(at netip.Addr, secret string) *net.TCPListener {
	w.t.Helper()
	var l net.Listener
	w.peers.Do(func() {
		c := net.ListenConfig{Control: signed(secret)}
		c.SetMultipathTCP(false) // it has no signatures
		var err error
		if l, err = c.Listen(context.Background(), "tcp4", netip.AddrPortFrom(at, msdpPort).String()); err != nil {
			w.t.Fatal(err)
		}
	})
	w.t.Cleanup(func() { l.Close() })
	return l.(*net.TCPListener)
}

// A reload reads the secret of TCP MD5 again, of peers that connect to us and of one to whom we connect: a changed one holds at
// once, an unchanged one and other peers' connections are left alone, and with a file that cannot be read the old one stays.
func TestReloadOfSecrets(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	folder := t.TempDir()
	secret := func(file, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(folder, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := strings.NewReplacer(
		"address: 10.0.0.1,", "address: 10.0.0.1, password-file: one.secret,", "address: 10.0.0.9,", "address: 10.0.0.9, password-file: nine.secret,",
	).Replace(wardFile)
	reload := func() error {
		cfg, err := config.Parse(filepath.Join(folder, "router.yaml"), []byte(file))
		if err != nil {
			return err
		}
		return w.r.Reload(t.Context(), cfg)
	}
	mustReload := func() {
		t.Helper()
		if err := reload(); err != nil {
			t.Fatal(err)
		}
	}
	talk := func(c net.Conn, peer netip.Addr, n int) *talker {
		t.Helper()
		p := w.talk(c.(*net.TCPConn))
		p.keepAlive()
		p.send(sa(peer, n))
		eventually(t, patience, fmt.Sprintf("source %d of %v", n, peer), func() bool { return w.other.has(peer, saKey(peer, n)) })
		return p
	}
	connect := func(with string, n int) *talker {
		t.Helper()
		c, err := w.dialSigned(bad, with, patience)
		if err != nil {
			t.Fatalf("with the secret %q: %v", with, err)
		}
		return talk(c, bad, n)
	}
	refused := func(with string) {
		t.Helper()
		if c, err := w.dialSigned(bad, with, 300*time.Millisecond); err == nil {
			t.Errorf("connected with the secret %q from %v", with, c.LocalAddr())
		}
	}

	// From none to one.
	p := w.dial(bad)
	w.state(bad, "ESTABLISHED")
	secret("one.secret", "first\n")
	secret("nine.secret", "nine")
	mustReload()
	w.reset(bad, 1, "the configuration of the connection changed")
	if err := p.ended(); !errors.Is(err, io.EOF) {
		t.Errorf("ended with %v", err)
	}
	w.state(bad, "LISTEN")
	refused("")
	refused("wrong")
	first := connect("first", 0)
	if !w.show(bad).Protected {
		t.Error("not protected")
	}
	l := w.listenSigned(away, "nine")
	nine := talk(w.accept(l), away, 0)

	// Nothing changed.
	mustReload()
	secret("one.secret", "first\r\n")
	mustReload()
	first.send(sa(bad, 1))
	nine.send(sa(away, 1))
	eventually(t, patience, "the connections are there", func() bool { return w.other.has(bad, saKey(bad, 1)) && w.other.has(away, saKey(away, 1)) })

	// A file that is not there, or holds none: the old configuration stays, whole.
	for _, text := range []string{"", "\n", strings.Repeat("x", 81), "two\nlines"} {
		secret("one.secret", text)
		if err := reload(); err == nil || !strings.Contains(err.Error(), "password-file") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if err := os.Remove(filepath.Join(folder, "one.secret")); err != nil {
		t.Fatal(err)
	}
	if err := reload(); err == nil || !strings.Contains(err.Error(), "password-file") {
		t.Errorf("no file: %v", err)
	}
	first.send(sa(bad, 2))
	eventually(t, patience, "the connection is there", func() bool { return w.other.has(bad, saKey(bad, 2)) })

	// Another secret of the one; the other's connection stays.
	secret("one.secret", "second\n")
	mustReload()
	w.reset(bad, 2, "the configuration of the connection changed")
	if err := first.ended(); !errors.Is(err, io.EOF) {
		t.Errorf("ended with %v", err)
	}
	refused("first")
	second := connect("second", 3)
	if s := w.show(away); s.State != "ESTABLISHED" || s.Resets != 0 {
		t.Errorf("%+v", s)
	}

	// Another secret of the peer to whom we connect: with the old one it is not reached, with the new one it is.
	secret("nine.secret", "ninety\n")
	mustReload()
	w.reset(away, 1, "the configuration of the connection changed")
	w.r.transition("an attempt with a secret that is not the peer's", func(_ string, e engine.Transition) bool {
		return e.Entity == "peer" && e.Neighbor == away && e.Old == "CONNECTING" && e.Cause == "ConnectRetry timer expired" &&
			w.show(away).State != "ESTABLISHED"
	})
	l.Close()
	l = w.listenSigned(away, "ninety")
	for ok := false; !ok; { // the first may be of an attempt that was given up meanwhile
		p := w.talk(w.accept(l))
		p.keepAlive()
		p.Write(octets(t, sa(away, 2)))
		eventually(t, patience, "what is said with the new secret", func() bool {
			ok = w.other.has(away, saKey(away, 2))
			return ok || len(p.over) > 0
		})
	}

	// And none any more.
	file = wardFile
	mustReload()
	w.reset(bad, 3, "the configuration of the connection changed")
	second.ended()
	refused("second")
	talk(w.connect(bad), bad, 4)
	w.forwarded()
}

// A peer that sends 25,000 Source-Actives a second, and here ten times as many, forged ones of another peer's sources among them: what is over its
// limits is refused, another peer's go on, members come and go, and each packet of a flow arrives once.
func TestFloodOverTCP(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	const enough = 500_000 // twenty seconds' worth of 25,000 a second, ten times as fast
	c := w.talk(w.connect(bad))
	w.state(bad, "ESTABLISHED")
	flood := make(chan error, 1)
	go func() { flood <- w.flood(c.TCPConn, enough) }()
	c2 := w.source()
	defer c2.Close()
	for n, over := 0, false; !over || n < 5; n++ {
		w.well("the flood")
		// A member of a new group has its packets.
		group := netip.AddrFrom4([4]byte{225, 9, byte(n >> 8), byte(n)})
		packets := w.join(group, port+1+n)
		eventually(t, 2*patience, "a packet of a new group", func() bool {
			send(c2, group, port+1+n, uint32(n))
			return len(packets) > 0
		})
		select {
		case err := <-flood:
			if over = true; err != nil {
				t.Fatal(err)
			}
		default:
		}
	}
	eventually(t, 2*patience, "all of the flood is read", func() bool { return w.show(bad).SAsIn >= enough })
	s := w.show(bad)
	if s.State != "ESTABLISHED" || s.Resets != 0 || s.Cached == 0 || s.Cached > 5000 || s.OverRate+s.OverLimit < enough/2 {
		t.Errorf("%+v", s)
	}
	host := ask[map[string]uint64](t, w.r, engine.MachineID{Protocol: Self}, "counts")
	if host["dropped control packets: queue full"] != 0 {
		t.Errorf("%v", host)
	}
	w.well("after the flood")
	t.Logf("%d entries read, %d cached, %d over the rate, %d over a limit", s.SAsIn, s.Cached, s.OverRate, s.OverLimit)
	w.forwarded()
}

// flood writes Source-Actives, 2,500 at most in 10 ms: each third forges a source that the good peer has or will have.
func (w *ward) flood(c *net.TCPConn, entries int) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for n := 0; n < entries; n += 250 {
		if n%2500 == 0 {
			<-tick.C
		}
		m := &wire.SourceActive{RP: bad}
		for i := n; i < n+250; i++ {
			e := saEntry(bad, i)
			e.Group = netip.AddrFrom4([4]byte{225, 2, byte(i >> 8), byte(i)})
			if i%3 == 0 {
				e = saEntry(good, i/3%200)
			}
			m.Entries = append(m.Entries, e)
		}
		b, err := m.Append(nil)
		if err != nil {
			return err
		}
		if _, err := c.Write(b); err != nil {
			return err
		}
	}
	return nil
}
