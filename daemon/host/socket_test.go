package host

import (
	"bytes"
	"errors"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"grove/daemon/nstest"
	"grove/internal/engine"
	"grove/internal/ip"
)

// What a machine says of a packet it sends is what the machine of the neighbor is told of it.
func TestSocketsCarryAllFields(t *testing.T) {
	a, b := nstest.New(t, "a"), nstest.New(t, "b")
	nstest.Veth(a, "eth1", b, "eth1")
	a.Addr("eth1", "10.0.0.1/24")
	b.Addr("eth1", "10.0.0.2/24")
	a.Addr("eth1", "10.0.0.3/24")
	a.Addr("eth1", "2001:db8::1/64")
	a.Addr("eth1", "2001:db8::3/64")
	b.Addr("eth1", "2001:db8::2/64")
	ip := netip.MustParseAddr
	mld := []byte{130, 0, 0x55, 0x55, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	for _, c := range []struct {
		name string
		send engine.Send
	}{
		{"PIM Hello", engine.Send{If: 1, Src: ip("10.0.0.1"), Dst: ip("224.0.0.13"), Proto: engine.ProtoPIM, TTL: 1, TOS: 0xc0,
			Payload: []byte{0x20, 0, 1, 2}}},
		{"from another address", engine.Send{If: 1, Src: ip("10.0.0.3"), Dst: ip("224.0.0.13"), Proto: engine.ProtoPIM, TTL: 1,
			Payload: []byte{0x20, 0, 1, 2}}},
		{"Router Alert", engine.Send{If: 1, Src: ip("10.0.0.1"), Dst: ip("224.0.0.13"), Proto: engine.ProtoPIM, TTL: 1, TOS: 0xc0,
			RouterAlert: true, Payload: []byte{0x20, 0, 1, 2}}},
		{"Register, routed by unicast", engine.Send{Src: ip("10.0.0.3"), Dst: ip("10.0.0.2"), Proto: engine.ProtoPIM, TTL: 64, TOS: 0xb8,
			Payload: bytes.Repeat([]byte{7}, 1400)}},
		{"Register larger than the MTU", engine.Send{Src: ip("10.0.0.1"), Dst: ip("10.0.0.2"), Proto: engine.ProtoPIM, TTL: 64,
			Payload: bytes.Repeat([]byte{7}, 1508)}},
		{"PIM Hello", engine.Send{If: 1, Src: ip("2001:db8::1"), Dst: ip("ff02::d"), Proto: engine.ProtoPIM, TTL: 1, TOS: 0xc0,
			Payload: []byte{0x20, 0, 1, 2}}},
		{"Register, routed by unicast", engine.Send{Src: ip("2001:db8::3"), Dst: ip("2001:db8::2"), Proto: engine.ProtoPIM, TTL: 64, TOS: 0xb8,
			Payload: bytes.Repeat([]byte{7}, 1508)}},
		{"MLD query", engine.Send{If: 1, Src: ip("2001:db8::1"), Dst: ip("ff02::1"), Proto: engine.ProtoICMPv6, TTL: 1,
			RouterAlert: true, Payload: mld}},
		{"MLD query of a group", engine.Send{If: 1, Src: ip("2001:db8::1"), Dst: ip("ff02::1:3"), Proto: engine.ProtoICMPv6, TTL: 1,
			RouterAlert: true, Payload: mld}},
	} {
		f := engine.FamilyOf(c.send.Dst)
		t.Run(f.String()+" "+c.name, func(t *testing.T) {
			key := socketKey{f, c.send.Proto}
			var from, to *socket
			var err, err2 error
			a.Do(func() { from, err = openSocket(key) })
			b.Do(func() { to, err2 = openSocket(key) })
			if err := errors.Join(err, err2); err != nil {
				t.Fatal(err)
			}
			defer from.conn.Close()
			if c.send.Dst.IsMulticast() {
				g := newGroups(f, func(f func() error) (err error) { b.Do(func() { err = f() }); return err })
				defer g.close()
				if err := g.join(membership{b.Index("eth1"), c.send.Dst}); err != nil {
					t.Fatal(err)
				}
			}
			arrivals, ended := make(chan arrival, 10), make(chan struct{})
			go func() {
				defer close(ended)
				to.receive(func(all []arrival) {
					for _, a := range all {
						arrivals <- a
					}
				})
			}()
			defer func() { to.conn.Close(); <-ended }()
			index := 0
			if c.send.If != 0 {
				index = a.Index("eth1")
			}
			if err := from.send(index, &c.send); err != nil {
				t.Fatal(err)
			}
			select {
			case got := <-arrivals:
				s := &c.send
				if got.index != b.Index("eth1") || got.Src != s.Src || got.Dst != s.Dst || got.Proto != s.Proto || got.TTL != s.TTL ||
					got.TOS != s.TOS || got.RouterAlert != s.RouterAlert {
					t.Errorf("sent %+v\ngot  %+v", s, got)
				}
				payload := bytes.Clone(got.Payload)
				if s.Proto == engine.ProtoICMPv6 {
					if payload[2] == 0x55 || len(payload) < 4 {
						t.Error("the checksum is ours, not the kernel's")
					}
					copy(payload[2:4], s.Payload[2:4])
				}
				if !bytes.Equal(payload, s.Payload) {
					t.Errorf("payload % x", got.Payload)
				}
			case <-time.After(5 * time.Second):
				t.Fatal("nothing arrived")
			}
		})
	}
}

// A socket takes 20 memberships by default; the set takes as many as there are.
func TestGroupsBeyondOneSocket(t *testing.T) {
	for _, f := range []engine.Family{engine.IPv4, engine.IPv6} {
		a, b := nstest.New(t, "a"), nstest.New(t, "b")
		nstest.Veth(a, "eth1", b, "eth1")
		g := newGroups(f, func(f func() error) (err error) { a.Do(func() { err = f() }); return err })
		defer g.close()
		index := a.Index("eth1")
		group := func(i int) netip.Addr {
			if f == engine.IPv4 {
				return netip.AddrFrom4([4]byte{224, 0, 0, byte(100 + i)})
			}
			return netip.AddrFrom16([16]byte{0: 0xff, 1: 2, 14: byte(i >> 8), 15: byte(i)})
		}
		for i := range 50 {
			for range 2 {
				if err := g.join(membership{index, group(i)}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if f == engine.IPv4 && len(g.sockets) != 3 {
			t.Errorf("%d sockets", len(g.sockets))
		}
		for i := range 50 {
			g.leave(membership{index, group(i)})
		}
		if len(g.joined) != 0 {
			t.Errorf("%d memberships left", len(g.joined))
		}
		if err := g.join(membership{999, group(1)}); !errors.Is(err, syscall.ENODEV) {
			t.Errorf("an interface that is not there: %v", err)
		}
	}
}

func TestRouterAlertIsFound(t *testing.T) {
	for _, c := range []struct {
		b    []byte
		want bool
	}{
		{nil, false}, {[]byte{0x94, 4, 0, 0}, true}, {[]byte{1, 1, 0x94, 4, 0, 0}, true}, {[]byte{7, 4, 0, 0, 0x94, 4, 0, 0}, true},
		{[]byte{0, 0x94}, false}, {[]byte{7}, false}, {[]byte{7, 1, 0x94}, false}, {[]byte{7, 200, 0x94}, false},
	} {
		if got := hasRouterAlert4(c.b); got != c.want {
			t.Errorf("IPv4 % x: %v", c.b, got)
		}
	}
	for _, c := range []struct {
		b    []byte
		want bool
	}{
		{nil, false}, {routerAlert6, true}, {[]byte{58, 0, 1, 0, 5, 2, 0, 0}, true}, {[]byte{58, 0, 0, 0, 5, 2, 0, 0}, true},
		{[]byte{58, 0, 1, 4, 0, 0, 0, 0}, false}, {[]byte{58, 0, 1, 99}, false}, {[]byte{58}, false},
	} {
		if got := hasRouterAlert6(c.b); got != c.want {
			t.Errorf("IPv6 % x: %v", c.b, got)
		}
	}
}

// TestOnlyAutoRPsPort: of the UDP that reaches the host only what is to Auto-RP's port comes up, also with IP options before it, and also
// if it was fragmented.
func TestOnlyAutoRPsPort(t *testing.T) {
	a, b := nstest.New(t, "a"), nstest.New(t, "b")
	nstest.Veth(a, "eth1", b, "eth1")
	a.Addr("eth1", "10.0.0.1/24")
	b.Addr("eth1", "10.0.0.2/24")
	key := socketKey{engine.IPv4, engine.ProtoUDP}
	var from, to *socket
	var err, err2 error
	a.Do(func() { from, err = openSocket(key) })
	b.Do(func() { to, err2 = openSocket(key) })
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	defer from.conn.Close()
	group := netip.MustParseAddr("224.0.1.40")
	g := newGroups(engine.IPv4, func(f func() error) (err error) { b.Do(func() { err = f() }); return err })
	defer g.close()
	if err := g.join(membership{b.Index("eth1"), group}); err != nil {
		t.Fatal(err)
	}
	arrivals, ended := make(chan arrival, 10), make(chan struct{})
	go func() {
		defer close(ended)
		to.receive(func(all []arrival) {
			for _, a := range all {
				arrivals <- a
			}
		})
	}()
	defer func() { to.conn.Close(); <-ended }()
	for n, c := range []struct {
		port   uint16
		data   int
		option bool
	}{{495, 4, false}, {496, 4, false}, {497, 4, true}, {496, 4, true}, {53, 4, false}, {496, 3000, false}, {1, 3000, false}, {496, 5, false}} {
		src := netip.MustParseAddrPort("10.0.0.1:496")
		p := ip.UDP(src, netip.AddrPortFrom(group, c.port), 5, bytes.Repeat([]byte{byte(n)}, c.data))
		m := engine.Send{If: 1, Src: p.Src, Dst: p.Dst, Proto: p.Proto, TTL: 5, TOS: 0xc0, RouterAlert: c.option, Payload: p.Payload}
		if err := from.send(a.Index("eth1"), &m); err != nil {
			t.Fatal(err)
		}
		if c.port != engine.PortAutoRP {
			continue // what comes next shows that this did not
		}
		select {
		case got := <-arrivals:
			if got.Src != m.Src || got.Dst != m.Dst || got.Proto != m.Proto || got.TTL != m.TTL || got.index != b.Index("eth1") ||
				!bytes.Equal(got.Payload, m.Payload) {
				t.Fatalf("datagram %d: arrived %+v", n, got)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("datagram %d does not arrive", n)
		}
	}
}
