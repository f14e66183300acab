package ipip_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"grove/internal/ip"
	"grove/internal/ipip"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

var (
	near = ipip.Tunnel{Local: addr("192.0.2.1"), Remote: addr("198.51.100.1"), TTL: 64}
	far  = ipip.Tunnel{Local: addr("198.51.100.1"), Remote: addr("192.0.2.1"), TTL: 64}
)

// own are the addresses of the router at the end that a test looks at.
func own(addrs ...string) func(netip.Addr) bool {
	return func(a netip.Addr) bool { return slices.Contains(addrs, a.String()) }
}

func inner(change func(*ip.Packet)) []byte {
	p := ip.UDP(netip.MustParseAddrPort("10.1.0.9:5001"), netip.MustParseAddrPort("239.1.1.1:5001"), 16, []byte("hello"))
	p.TOS = 0xb8
	if change != nil {
		change(&p)
	}
	return p.Append(nil)
}

func encapsulate(t ipip.Tunnel, in []byte) []byte {
	b := append(make([]byte, ipip.HeaderLen), in...)
	t.Outer(b)
	return b
}

// The outer header is that of RFC 2003, section 3.1, and what goes in comes out, to the byte.
func TestThroughTheTunnel(t *testing.T) {
	for name, c := range map[string]struct {
		change   func(*ip.Packet)
		discover bool
		df       bool
	}{
		"may be fragmented":           {nil, false, false},
		"must not be fragmented":      {func(p *ip.Packet) { p.DontFragment = true }, false, true},
		"path MTU discovery":          {nil, true, true},
		"an option":                   {func(p *ip.Packet) { p.RouterAlert = true }, false, false},
		"the last hop of its journey": {func(p *ip.Packet) { p.TTL = 1 }, false, false},
	} {
		in := inner(c.change)
		tunnel := near
		tunnel.Discover = c.discover
		if why := tunnel.Enter(in); why != ipip.Pass {
			t.Errorf("%s: may not enter: %v", name, why)
		}
		outer := encapsulate(tunnel, in)
		p, err := ip.Parse(outer)
		if err != nil || p.Src != near.Local || p.Dst != near.Remote || p.Proto != 4 || p.TTL != 64 || p.TOS != 0xb8 ||
			p.DontFragment != c.df || !slices.Equal(p.Payload, in) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
		out, why := far.Leave(outer, own("198.51.100.1"))
		if why != ipip.Pass || !slices.Equal(out, in) {
			t.Errorf("%s: came out as % x: %v", name, out, why)
		}
	}
}

func TestWhatMayNotEnter(t *testing.T) {
	other := ipip.Tunnel{Local: addr("192.0.2.9"), Remote: addr("203.0.113.1"), TTL: 3}
	for name, c := range map[string]struct {
		in  []byte
		why ipip.Reason
	}{
		"nothing":               {nil, ipip.Malformed},
		"IPv6":                  {[]byte{0x60, 0, 0, 0}, ipip.NotIPv4},
		"half a header":         {inner(nil)[:19], ipip.Malformed},
		"TTL 0":                 {inner(func(p *ip.Packet) { p.TTL = 0 }), ipip.NoTTL},
		"our own outer header":  {encapsulate(near, inner(nil)), ipip.Loop},
		"a tunnel in a tunnel":  {encapsulate(other, inner(nil)), ipip.Pass},
		"round through another": {encapsulate(other, encapsulate(near, inner(nil))), ipip.Loop},
		"without end":           {encapsulate(other, encapsulate(other, encapsulate(other, encapsulate(other, inner(nil))))), ipip.Loop},
		"from the far end":      {inner(func(p *ip.Packet) { p.Src = far.Local }), ipip.FromFarEnd},
		"our own packet":        {inner(func(p *ip.Packet) { p.Src = near.Local }), ipip.Pass},
	} {
		if why := near.Enter(c.in); why != c.why {
			t.Errorf("%s: %v, want %v", name, why, c.why)
		}
	}
}

func TestWhatMayNotLeave(t *testing.T) {
	outer := encapsulate(near, inner(nil))
	edit := func(at int, value byte) []byte {
		b := slices.Clone(outer)
		b[at] = value
		return b
	}
	for name, c := range map[string]struct {
		outer []byte
		why   ipip.Reason
	}{
		"nothing":                    {nil, ipip.Malformed},
		"an empty outer packet":      {(&ip.Packet{Src: near.Local, Dst: near.Remote, Proto: 4, TTL: 9}).Append(nil), ipip.Malformed},
		"another source":             {encapsulate(ipip.Tunnel{Local: addr("192.0.2.66"), Remote: near.Remote, TTL: 9}, inner(nil)), ipip.Malformed},
		"another protocol":           {(&ip.Packet{Src: near.Local, Dst: near.Remote, Proto: 17, TTL: 9, Payload: inner(nil)}).Append(nil), ipip.Malformed},
		"IPv6 inside":                {edit(20, 0x60), ipip.NotIPv4},
		"a short header inside":      {edit(20, 0x44), ipip.Malformed},
		"a damaged header inside":    {edit(29, 99), ipip.Malformed},
		"longer inside than outside": {edit(22, 0xff), ipip.Malformed},
		"cut":                        {outer[:len(outer)-1], ipip.Malformed},
		"TTL 0":                      {encapsulate(near, inner(func(p *ip.Packet) { p.TTL = 0 })), ipip.NoTTL},
		"a source of ours":           {encapsulate(near, inner(func(p *ip.Packet) { p.Src = addr("10.2.0.1") })), ipip.OwnSource},
		"twice encapsulated":         {encapsulate(near, encapsulate(near, inner(nil))), ipip.Nested},
		"a group as source":          {encapsulate(near, inner(func(p *ip.Packet) { p.Src = addr("239.1.1.1") })), ipip.BadSource},
		"loopback as source":         {encapsulate(near, inner(func(p *ip.Packet) { p.Src = addr("127.0.0.1") })), ipip.BadSource},
		"no source":                  {encapsulate(near, inner(func(p *ip.Packet) { p.Src = addr("0.0.0.0") })), ipip.BadSource},
		"a report without source": {encapsulate(near, inner(func(p *ip.Packet) {
			p.Src, p.Dst = addr("0.0.0.0"), addr("224.0.0.22")
		})), ipip.Pass},
		"a fragment inside": {encapsulate(near, inner(func(p *ip.Packet) { p.Src = addr("10.1.0.7") })), ipip.Pass},
	} {
		in, why := far.Leave(c.outer, own("198.51.100.1", "10.2.0.1"))
		if why != c.why || (in == nil) != (why != ipip.Pass) {
			t.Errorf("%s: %v, want %v", name, why, c.why)
		}
	}
}

// What is sent in a second is the rate, and the burst once; control packets always pass.
func TestBucket(t *testing.T) {
	b := ipip.NewBucket(800) // 100,000 bytes a second
	now, sent := time.Unix(0, 0), 0
	for range 10_000 { // two seconds, 1000 bytes every 0.2 ms: fifty times too much
		if b.Take(now, 1000, false) {
			sent += 1000
		}
		now = now.Add(200 * time.Microsecond)
	}
	if sent < 205_000 || sent > 211_000 {
		t.Errorf("%d bytes in two seconds", sent)
	}
	for range 100 {
		if !b.Take(now, 1000, true) {
			t.Fatal("a control packet was dropped")
		}
	}
	if b.Take(now.Add(50*time.Millisecond), 1000, false) {
		t.Error("what control packets took was not owed")
	}
	if !b.Take(now.Add(500*time.Millisecond), 1000, false) {
		t.Error("the debt is without end")
	}
	var none ipip.Bucket
	if !none.Take(now, 1<<30, false) {
		t.Error("no limit limits")
	}
}

// FuzzLeave: nothing that arrives makes it panic, and what it lets pass is a packet that another end would let enter.
func FuzzLeave(f *testing.F) {
	f.Add(encapsulate(near, inner(nil)))
	f.Add(encapsulate(near, inner(func(p *ip.Packet) { p.RouterAlert = true })))
	f.Add(encapsulate(near, encapsulate(near, inner(nil))))
	f.Add(encapsulate(near, inner(nil))[:30])
	f.Fuzz(func(t *testing.T, b []byte) {
		ipip.Ends(b)
		mine := own("198.51.100.1")
		in, why := far.Leave(b, mine)
		if why != ipip.Pass {
			if in != nil {
				t.Fatal("dropped and delivered")
			}
			return
		}
		p, err := ip.Parse(in)
		if err != nil || p.TTL == 0 || mine(p.Src) || p.Src.IsMulticast() {
			t.Fatalf("%+v, %v", p, err)
		}
		if len(in) > len(b)-ipip.HeaderLen {
			t.Fatal("longer than what arrived")
		}
		other := ipip.Tunnel{Local: addr("203.0.113.1"), Remote: addr("203.0.113.2"), TTL: 5}
		if why := other.Enter(in); why == ipip.Malformed || why == ipip.NotIPv4 || why == ipip.NoTTL {
			t.Fatalf("left one tunnel and may not enter another: %v", why)
		}
	})
}
