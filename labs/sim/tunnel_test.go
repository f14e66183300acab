package sim

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"grove/daemon/config"
	"grove/internal/engine"
	"grove/internal/ip"
	"grove/internal/ipip"
)

// tunneled is h1 - r1 - u - r2 - h2: u knows no multicast, and r1, the RP, and r2 have a tunnel through it.
type tunneled struct {
	*Sim
	h1, r1, u, r2, h2 *Node
	near, far         *Link // r1-u, u-r2
	notes             []string
}

var tunnelGroup = netip.MustParseAddr("239.1.1.1")

// newTunneled makes it; keys are those of both tunnels, beside name and ends, routes more routes of r1.
func newTunneled(t *testing.T, keys, routes string, mtu int) *tunneled {
	t.Helper()
	parse := func(name, text string) *config.Config {
		c, err := config.Parse(name, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	n := &tunneled{}
	n.Sim = New(1, Options{Unicast: Static, OnNote: func(note Note) {
		if note.Level >= engine.Warning {
			n.notes = append(n.notes, note.Text)
		}
	}})
	n.h1 = n.AddHost("h1", HostOptions{Config: parse("h1", "interfaces: {eth1: {addresses: [10.1.0.10/24]}}")})
	n.h2 = n.AddHost("h2", HostOptions{Config: parse("h2", "interfaces: {eth1: {addresses: [10.2.0.10/24]}}")})
	n.r1 = n.AddRouter("r1", parse("r1", fmt.Sprintf(`
interfaces:
  eth1: {addresses: [10.1.0.1/24], pim: {}, igmp: {}}
  eth2: {addresses: [192.0.2.1/24]}
  tun1: {addresses: [10.99.0.1/30], pim: {}}
tunnels: [{name: tun1, local: 192.0.2.1, remote: 198.51.100.2%s}]
routes:
  - {to: 198.51.100.0/24, via: 192.0.2.254}
  - {to: 10.2.0.0/24, via: 10.99.0.2}
%s
pim: {ipv4: {rp: [{address: 10.99.0.1}]}}
`, keys, routes)), RouterOptions{})
	n.u = n.AddRouter("u", parse("u", "interfaces: {eth1: {addresses: [192.0.2.254/24]}, eth2: {addresses: [198.51.100.254/24]}}"), RouterOptions{})
	n.r2 = n.AddRouter("r2", parse("r2", fmt.Sprintf(`
interfaces:
  eth1: {addresses: [10.2.0.1/24], pim: {}, igmp: {}}
  eth2: {addresses: [198.51.100.2/24]}
  tun1: {addresses: [10.99.0.2/30], pim: {}}
tunnels: [{name: tun1, local: 198.51.100.2, remote: 192.0.2.1%s}]
routes:
  - {to: 192.0.2.0/24, via: 198.51.100.254}
  - {to: 10.1.0.0/24, via: 10.99.0.1}
pim: {ipv4: {rp: [{address: 10.99.0.1}]}}
`, keys)), RouterOptions{})
	n.AddLink("h1-r1", LinkOptions{}, End{Node: n.h1, If: "eth1"}, End{Node: n.r1, If: "eth1"})
	n.near = n.AddLink("r1-u", LinkOptions{Delay: 10 * time.Millisecond}, End{Node: n.r1, If: "eth2"}, End{Node: n.u, If: "eth1"})
	n.far = n.AddLink("u-r2", LinkOptions{Delay: 30 * time.Millisecond, MTU: mtu}, End{Node: n.u, If: "eth2"}, End{Node: n.r2, If: "eth2"})
	n.AddLink("r2-h2", LinkOptions{}, End{Node: n.r2, If: "eth1"}, End{Node: n.h2, If: "eth1"})
	return n
}

// flow joins h2, lets h1 send, and returns what h2 received.
func (n *tunneled) flow(o SourceOptions) *Flow {
	n.Run(40 * time.Second)
	m := n.h2.Host().Join("eth1", tunnelGroup)
	n.Run(time.Second)
	o.If, o.Group = "eth1", tunnelGroup
	n.h1.AddSource(o)
	n.Run(10 * time.Second)
	return m.Flow(netip.MustParseAddr("10.1.0.10"))
}

// Hellos, Joins and data pass inside outer packets, hop by hop through a router that knows nothing of it, with the delay
// of the links; to the packet inside the tunnel is one hop.
func TestTunnel(t *testing.T) {
	n := newTunneled(t, ", ttl: 7", "", 0)
	var file bytes.Buffer
	c, err := n.NewCapture(&file, n.far)
	if err != nil {
		t.Fatal(err)
	}
	i := n.r1.Port("tun1").state()
	if !i.PointToPoint || !i.Multicast || !i.Carrier || i.TunnelLocal != netip.MustParseAddr("192.0.2.1") ||
		i.TunnelRemote != netip.MustParseAddr("198.51.100.2") || i.MTU != 1480 {
		t.Errorf("the machines know the tunnel as %+v", i)
	}
	f := n.flow(SourceOptions{Interval: 100 * time.Millisecond, TTL: 20, Count: 50, Traced: true})
	if f == nil || f.Unique() != 50 || f.TTL != 18 {
		t.Fatalf("received: %+v; transitions %v", f, n.Transitions())
	}
	var path []string
	for h := n.Deliveries()[49].Hop; h != 0; h = n.Hops()[h].Parent {
		path = append(path, n.Hops()[h].From.Link().Name())
	}
	if got := strings.Join(path, " "); got != "r2-h2 r1:tun1 h1-r1" {
		t.Errorf("the packet took %s", got)
	}
	if len(n.Faults()) > 0 || len(n.notes) > 0 {
		t.Errorf("faults %v, notes %v", n.Faults(), n.notes)
	}

	// On the wire there is nothing but outer packets.
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := pcapgo.NewNgReader(&file, pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	inside := map[layers.IPProtocol]int{}
	for {
		frame, _, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		var headers []*layers.IPv4
		for _, l := range gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default).Layers() {
			if h, ok := l.(*layers.IPv4); ok {
				headers = append(headers, h)
			}
		}
		if len(headers) == 0 {
			continue // Hellos of IPv6 have no place here, ND is not modelled
		}
		if len(headers) != 2 || headers[0].Protocol != layers.IPProtocolIPv4 || headers[0].TTL != 7 && headers[0].TTL != 6 ||
			headers[0].Length != headers[1].Length+20 || headers[0].Flags&layers.IPv4DontFragment == 0 {
			t.Fatalf("on the wire: %+v", headers)
		}
		inside[headers[1].Protocol]++
	}
	if inside[layers.IPProtocolUDP] != 50 || inside[layers.IPProtocol(engine.ProtoPIM)] < 3 {
		t.Errorf("inside: %v", inside)
	}
}

// What the links do to outer packets they do to what is inside.
func TestTunnelLoss(t *testing.T) {
	n := newTunneled(t, "", "", 0)
	n.After(42*time.Second, func() { n.far.SetLoss(0.3) }) // while the packets pass, after all Joins
	f := n.flow(SourceOptions{Interval: 20 * time.Millisecond, Count: 450})
	if f == nil || f.Unique() > 350 || f.Unique() < 280 {
		t.Fatalf("of 450 packets, 400 of them with 30 %% loss, there arrived %+v", f)
	}
}

// A path that takes less makes the tunnel take less; packets that may be fragmented pass, others are dropped.
func TestTunnelPathMTU(t *testing.T) {
	for name, c := range map[string]struct {
		keys     string
		size     int // of the packet inside
		df       bool
		mtu      int
		received uint64
	}{
		"discovered, fits":                  {"", 1380, true, 1380, 20},
		"discovered, may be fragmented":     {"", 1480, false, 1380, 20},
		"discovered, may not be":            {"", 1381, true, 1380, 0},
		"configured, fits the path":         {", mtu: 1480", 1380, true, 1480, 20},
		"configured, fragmented on its way": {", mtu: 1480", 1480, false, 1480, 20},
		"configured, may not be fragmented": {", mtu: 1480", 1480, true, 1480, 0},
		"larger than configured":            {", mtu: 1000", 1001, true, 1000, 0},
	} {
		n := newTunneled(t, c.keys, "", 1400)
		f := n.flow(SourceOptions{Interval: 100 * time.Millisecond, Count: 20, Size: c.size - 28, DontFrag: c.df})
		got := uint64(0)
		if f != nil {
			got = f.Unique()
		}
		if got != c.received || n.r1.Port("tun1").state().MTU != c.mtu {
			t.Errorf("%s: %d received, MTU %d", name, got, n.r1.Port("tun1").state().MTU)
		}
	}
}

// A way to the far end through the tunnel is said once; nothing is sent, and the simulation does not hang.
func TestTunnelLoop(t *testing.T) {
	n := newTunneled(t, "", "  - {to: 198.51.100.2/32, interface: tun1}", 0)
	n.Run(2 * time.Minute)
	if len(n.notes) != 1 || !strings.Contains(n.notes[0], "loop") {
		t.Errorf("said: %v", n.notes)
	}
	if d := n.r1.Port("tun1").TunnelDrops(); d[ipip.Loop.String()] == 0 || len(d) != 1 {
		t.Errorf("dropped: %v", d)
	}
	if n.near.Stats().Control > n.far.Stats().Control+5 && n.near.Stats().Control > 20 {
		t.Errorf("packets go round: %+v", n.near.Stats())
	}
}

// What comes from elsewhere than the far end does not leave the tunnel, nor do packets from an address of ours.
func TestTunnelRefuses(t *testing.T) {
	n := newTunneled(t, "", "", 0)
	n.Run(10 * time.Second)
	send := func(src string, inner string) {
		in := ip.UDP(netip.AddrPortFrom(netip.MustParseAddr(inner), 7), netip.AddrPortFrom(tunnelGroup, 7), 9, []byte("x"))
		p := newPacket(&ip.Packet{Src: netip.MustParseAddr(src), Dst: netip.MustParseAddr("198.51.100.2"), Proto: 4, TTL: 9, Payload: in.Append(nil)})
		p.inner, p.innerTTL = n.newData(&in), 9
		n.u.router.originate(p, 9)
		n.Run(time.Second)
	}
	before := n.Stats().Tunnel
	send("192.0.2.77", "10.7.0.1")
	if d := n.Stats().Tunnel - before; d != 1 {
		t.Errorf("%d drops for a stranger", d)
	}
	send("192.0.2.1", "10.2.0.1")
	send("192.0.2.1", "10.7.0.1") // good
	if d := n.r2.Port("tun1").TunnelDrops(); d[ipip.OwnSource.String()] != 1 || len(d) != 1 {
		t.Errorf("dropped: %v", d)
	}
}

// The rate limit drops data beyond it and no Hello.
func TestTunnelRateLimit(t *testing.T) {
	n := newTunneled(t, ", rate-limit: 80kbps", "", 0)
	f := n.flow(SourceOptions{Interval: 10 * time.Millisecond, Size: 1000 - 48}) // 800 kbps outside
	if f == nil || f.Unique() < 90 || f.Unique() > 110 {
		t.Errorf("in ten seconds of 10,000 bytes each there arrived %+v", f)
	}
	n.Run(5 * time.Minute)
	for _, tr := range n.Transitions() {
		if tr.Entity == "neighbor" && tr.New == "down" {
			t.Errorf("a neighbor was lost: %v", tr)
		}
	}
}

func running(p *Port) bool {
	i := p.state()
	return i.Running()
}

// The tunnel is there while its local address is, and as the configuration has it.
func TestTunnelComesAndGoes(t *testing.T) {
	n := newTunneled(t, "", "", 0)
	n.Run(10 * time.Second)
	eth := n.r1.Port("eth2")
	had := eth.addrs
	eth.SetAddrs(nil)
	if running(n.r1.Port("tun1")) {
		t.Error("the tunnel runs without its address")
	}
	n.Run(time.Second)
	eth.SetAddrs(had)
	if !running(n.r1.Port("tun1")) {
		t.Error("the tunnel does not come back with its address")
	}
	n.Run(time.Second)
	id := n.r1.Port("tun1").ID()
	c := *n.r1.Router().Config()
	c.Tunnels = nil
	n.r1.Router().Configure(&c)
	if n.r1.Port("tun1") != nil {
		t.Error("the tunnel is still there")
	}
	n.Run(time.Second)
	again := c
	again.Tunnels = n.r2.Router().Config().Tunnels[:0:0]
	again.Tunnels = append(again.Tunnels, config.Tunnel{Name: "tun1", Local: netip.MustParseAddr("192.0.2.1"), Remote: netip.MustParseAddr("198.51.100.2"), TTL: 64})
	n.r1.Router().Configure(&again)
	n.Run(2 * time.Minute)
	p := n.r1.Port("tun1")
	if p == nil || p.ID() == id || !running(p) {
		t.Fatal("the tunnel is not made again")
	}
	if f := n.flow(SourceOptions{Interval: 100 * time.Millisecond, Count: 10}); f == nil || f.Unique() != 10 {
		t.Errorf("through the tunnel that was made again: %+v", f)
	}
	if len(n.Faults()) > 0 {
		t.Error(n.Faults())
	}
}
