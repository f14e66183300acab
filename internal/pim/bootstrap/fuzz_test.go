package bootstrap

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/wire"
)

// FuzzInstance feeds a router the messages that a string of octets is read as, with time, interfaces and configurations between
// them. Whatever comes: its state fits together (checkInvariants), is bounded, and nothing is left after Stop.
func FuzzInstance(f *testing.F) {
	// Seeds: messages as walks of the tests make them.
	rng := rand.New(rand.NewPCG(1, 2))
	for k := range 20 {
		f.Add(randomFeed(rng), k%2 == 0)
	}
	f.Fuzz(feed)
}

// randomFeed is a string of octets that feed reads as messages.
func randomFeed(rng *rand.Rand) []byte {
	p := &pair{n: &network{rng: rng}, peer: &router{address: netip.MustParseAddr("10.255.0.9")}}
	var feed []byte
	for range 30 {
		feed = append(feed, byte(rng.Uint32()), byte(rng.Uint32()))
		var m wire.Message
		if rng.IntN(3) > 0 {
			scope := []string{"224.0.0.0/4", "Z239.0.0.0/8", "Z239.1.0.0/16"}[rng.IntN(3)]
			b := p.bsm(scope, "10.0.0.1", "B239.1.2.0/24", "10.0.0.2", "239.1.3.0/24")
			b.Priority, b.FragmentTag = uint8(62+rng.IntN(4)), uint16(rng.IntN(3))
			b.BSR = netip.AddrFrom4([4]byte{10, 255, 0, byte(4 + rng.IntN(3))})
			b.Ranges[rng.IntN(3)].RPCount += uint8(rng.IntN(2))
			m = b
		} else {
			m = &wire.CandidateRPAdv{
				Holdtime: time.Duration(rng.IntN(3)*70) * time.Second, RP: netip.AddrFrom4([4]byte{10, 0, 0, byte(rng.IntN(3))}),
				Groups: []wire.Group{{Addr: netip.AddrFrom4([4]byte{239, byte(rng.IntN(3))}), MaskLen: 16, Bidir: rng.IntN(2) == 0}},
			}
		}
		body, err := wire.Encode(m, netip.MustParseAddr("10.0.1.2"), wire.AllPIMRouters(engine.IPv4))
		if err != nil {
			panic(err)
		}
		feed = append(append(feed, byte(len(body))), body...)
	}
	return feed
}

func feed(t *testing.T, b []byte, candidate bool) {
	cfg := Config{MaxZones: 4, MaxMappings: 8, Unicast: true}
	if candidate {
		a := netip.MustParseAddr("10.255.0.5")
		cfg.Candidate = &Candidate{Address: a, Priority: 64, Zones: prefixes("239.0.0.0/8")}
		cfg.CandidateRPs = []CandidateRP{{Address: a, Groups: prefixes("224.0.0.0/4", "239.1.0.0/16")}}
	}
	p := newPair(t, engine.IPv4, cfg)
	border := p.n.addLink(p.r)
	var late []func(netip.Addr)
	known := p.r.b.env.WhenPathKnown
	// Messages have one sum or another; both types of them are wanted.
	parse := func(payload []byte, src, dst netip.Addr) wire.Message {
		if len(payload) < 4 {
			return nil
		}
		payload = append([]byte(nil), payload...)
		binary.BigEndian.PutUint16(payload[2:], 0)
		sum := uint32(0)
		for i := 0; i < len(payload); i += 2 {
			pair := [2]byte{payload[i]}
			if i+1 < len(payload) {
				pair[1] = payload[i+1]
			}
			sum += uint32(binary.BigEndian.Uint16(pair[:]))
		}
		for sum > 0xffff {
			sum = sum>>16 + sum&0xffff
		}
		binary.BigEndian.PutUint16(payload[2:], ^uint16(sum))
		m, _ := wire.Parse(payload, src, dst)
		return m
	}
	for steps := 0; len(b) >= 3 && steps < 200; steps++ {
		do, with, length := b[0], b[1], int(b[2])
		body := b[3:min(3+length, len(b))]
		b = b[3+len(body):]
		src, dst := p.link.on(p.peer), wire.AllPIMRouters(engine.IPv4)
		if do&0x40 != 0 {
			dst = p.link.on(p.r)
		}
		p.r.b.env.WhenPathKnown = func(a netip.Addr, f func(netip.Addr)) {
			switch {
			case do&0x20 != 0:
				late = append(late, f)
			case do&0x10 != 0:
				known(a, f)
			default:
				f(src)
			}
		}
		switch m := parse(body, src, wire.AllPIMRouters(engine.IPv4)).(type) {
		case *wire.Bootstrap:
			p.r.b.Receive(p.n.now, p.r.iface(p.link), src, dst, do&0x80 == 0, m)
		}
		if m, ok := parse(body, src, p.r.address).(*wire.CandidateRPAdv); ok {
			p.r.b.ReceiveAdv(p.n.now, Interface{}, src, m)
		}
		switch do & 7 {
		case 1:
			p.n.run(time.Duration(with) * time.Second)
		case 2:
			p.n.run(time.Duration(with) * 10 * time.Second)
		case 3:
			border.boundaries = []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{239}), 8+int(with%2)*8)}
			p.r.b.Update(p.n.now)
		case 4:
			border.boundaries = nil
			p.r.b.Update(p.n.now)
		case 5:
			c := cfg
			switch with % 4 {
			case 0:
				c.Candidate = nil
			case 1:
				c.CandidateRPs = nil
			case 2:
				c.Candidate = &Candidate{Address: p.r.address, Priority: with, Zones: prefixes("239.1.0.0/16")}
			}
			p.r.b.Configure(p.n.now, c)
		case 6:
			for _, f := range late {
				f(src)
			}
			late = nil
		case 7:
			p.r.b.Prime(p.r.iface(p.link), []netip.Addr{src})
			p.r.b.Show(p.n.now)
		}
		p.r.sent, p.r.advs = nil, nil
		p.r.checkInvariants(t)
		if len(p.r.b.zones) > 4+3 { // those that are configured are made whatever the bound is
			t.Fatalf("%d zones", len(p.r.b.zones))
		}
		if len(p.r.b.offered) > 8 {
			t.Fatalf("%d ranges are offered", len(p.r.b.offered))
		}
	}
	p.r.b.Stop(p.n.now)
	for _, f := range late {
		f(p.link.on(p.peer))
	}
	p.n.run(time.Hour)
	p.gone()
}

// TestRandomFeeds is the fuzz target on random messages.
func TestRandomFeeds(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range 500 {
		feed(t, randomFeed(rng), i%2 == 0)
		if t.Failed() {
			t.Fatalf("feed %d", i)
		}
	}
}
