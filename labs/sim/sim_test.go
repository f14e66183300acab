package sim

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"grove/daemon/config"
	"grove/internal/engine"
	"grove/internal/ip"
	"grove/internal/testneed"
)

// fake is a router's machine under the test's control: it notes what it is told and does what it is given to do.
type fake struct {
	sim    *Sim
	events []string
	todo   []engine.Effect
	wake   time.Time
}

func (f *fake) Step(now time.Time, ev engine.Event) []engine.Effect {
	if !f.wake.IsZero() && !f.wake.After(now) {
		f.wake = time.Time{}
	}
	f.events = append(f.events, fmt.Sprintf("%v %s", f.sim.Now(), describe(ev)))
	out := f.todo
	f.todo = nil
	return out
}

func (f *fake) Deadline() (time.Time, bool) { return f.wake, !f.wake.IsZero() }

func describe(ev engine.Event) string {
	switch e := ev.(type) {
	case engine.Addressed:
		if p, ok := e.Event.(engine.Packet); ok {
			return describe(p) // the router knows who reads it
		}
		return e.To.String() + " " + describe(e.Event)
	case engine.Packet:
		return fmt.Sprintf("packet if %d %v > %v proto %d ttl %d", e.If, e.Src, e.Dst, e.Proto, e.TTL)
	case engine.InterfaceChange:
		return fmt.Sprintf("interface %s up=%v carrier=%v gone=%v %v", e.Name, e.Up, e.Carrier, e.Gone, e.Addrs)
	case engine.RouteChange:
		return fmt.Sprintf("route %v metric %d %v %s gone=%v", e.Prefix, e.Metric, hopText(e.Hops), e.Origin, e.Gone)
	case engine.Upcall:
		return fmt.Sprintf("upcall %d vif %d %v > %v", e.Kind, e.VIF, e.Src, e.Dst)
	case engine.StreamOpened:
		return fmt.Sprintf("opened %s accepted=%v %v > %v", streamName(e.ID), e.Accepted, e.Local, e.Remote)
	case engine.StreamData:
		return fmt.Sprintf("data %s %d bytes", streamName(e.ID), len(e.Data))
	case engine.StreamWritten:
		return fmt.Sprintf("written %s waiting %d", streamName(e.ID), e.Waiting)
	case engine.StreamClosed:
		return fmt.Sprintf("closed %s %q", streamName(e.ID), e.Err)
	case engine.Counters:
		return fmt.Sprintf("counters %v", e.Rows)
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", ev), "engine.")
}

func hopText(hops []engine.NextHop) string {
	var b []string
	for _, h := range hops {
		b = append(b, fmt.Sprintf("%d/%v", h.If, h.Gateway))
	}
	return strings.Join(b, " ")
}

// take returns the events since the last take, those about Settled and Configure left out.
func (f *fake) take() []string {
	e := slices.DeleteFunc(f.events, func(s string) bool {
		return strings.HasSuffix(s, " Settled") || strings.HasSuffix(s, " Configure")
	})
	f.events = nil
	return e
}

// do makes the machine say something the next time it is stepped: now.
func (f *fake) do(n *Node, from engine.MachineID, effects ...engine.Effect) {
	for _, e := range effects {
		f.todo = append(f.todo, engine.Outward{From: from, Effect: e})
	}
	at := len(f.events)
	n.router.feed(engine.Tick{})
	f.events = slices.Delete(f.events, at, at+1)
}

var (
	pim4  = engine.MachineID{Protocol: engine.PIMSM, Family: engine.IPv4}
	igmp4 = engine.MachineID{Protocol: engine.IGMP, Family: engine.IPv4}
	mfib4 = engine.MachineID{Protocol: engine.MFIB, Family: engine.IPv4}
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// world has routers of fake machines in a line, r1 - r2 - r3 ..., link i between ri and ri+1 with the net 10.0.i.0/24,
// and hosts' nets 10.1.i.0/24 on eth9.
type world struct {
	*Sim
	t *testing.T
	n []*Node
	m []*fake
}

func line(t *testing.T, routers int, o Options, static string, lo LinkOptions) *world {
	w := &world{Sim: New(1, o), t: t}
	for i := 1; i <= routers; i++ {
		text := "interfaces:\n"
		if i > 1 {
			text += fmt.Sprintf("  eth1: {addresses: [10.0.%d.%d/24]}\n", i-1, i)
		}
		if i < routers {
			text += fmt.Sprintf("  eth2: {addresses: [10.0.%d.%d/24]}\n", i, i)
		}
		text += fmt.Sprintf("  eth9: {addresses: [10.1.%d.1/24]}\n  lo: {addresses: [10.255.0.%d/32]}\n", i, i)
		if i == 1 {
			text += static
		}
		c, err := config.Parse("test", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		m := &fake{sim: w.Sim}
		w.m = append(w.m, m)
		w.n = append(w.n, w.addRouter(fmt.Sprintf("r%d", i), c, func() engine.Machine { return m }))
	}
	for i := 1; i < routers; i++ {
		w.AddLink(fmt.Sprintf("l%d", i), lo, End{Node: w.n[i-1], If: "eth2"}, End{Node: w.n[i], If: "eth1"})
	}
	return w
}

func (w *world) forget() {
	for _, m := range w.m {
		m.take()
	}
}

func expect(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\ngot\n  %s\nwant\n  %s", what, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// TestHeap: events come out by time and then in the order of their making.
func TestHeap(t *testing.T) {
	s := New(1, Options{})
	var got []int
	order := []int{5, 3, 9, 3, 1, 5, 0, 7, 3}
	for i, at := range order {
		s.At(time.Duration(at), func() { got = append(got, at*100+i) })
	}
	s.Run(time.Second)
	if want := []int{6, 104, 301, 303, 308, 500, 505, 707, 902}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestBatch: all that reaches a router at one instant is one batch, ended by one Settled.
func TestBatch(t *testing.T) {
	w := line(t, 3, Options{}, "", LinkOptions{Delay: 5 * time.Millisecond})
	w.Run(time.Second)
	w.forget()
	w.m[1].do(w.n[1], pim4, engine.HostGroup{If: w.n[1].Port("eth1").id, Group: addr("224.0.0.13"), Member: true},
		engine.HostGroup{If: w.n[1].Port("eth2").id, Group: addr("224.0.0.13"), Member: true})
	hello := engine.Send{Dst: addr("224.0.0.13"), Proto: engine.ProtoPIM, TTL: 1, Payload: []byte{0x20, 0, 0, 0}}
	w.Run(0)
	w.m[1].events = nil
	for i, port := range map[int]string{0: "eth2", 2: "eth1"} {
		h := hello
		h.If = w.n[i].Port(port).id
		w.m[i].do(w.n[i], pim4, h)
	}
	w.m[0].wake = w.Clock().Add(time.Hour)
	w.Run(time.Second)
	if n := len(w.m[1].events); n != 3 || w.m[1].events[2] != "1.005s Settled" {
		t.Errorf("events of one instant: %q", w.m[1].events)
	}
}

// TestDeadline: a router is called when it asked for it, and the clock it sees is the virtual one.
func TestDeadline(t *testing.T) {
	w := line(t, 1, Options{}, "", LinkOptions{})
	w.m[0].wake = w.Clock().Add(90 * time.Second)
	w.Run(time.Hour)
	events := w.m[0].take()
	if last := events[len(events)-1]; last != "1m30s Tick" {
		t.Errorf("last event %q", last)
	}
}

// TestControlPackets: PIM comes to those who joined the group, IGMP to interfaces with a VIF.
func TestControlPackets(t *testing.T) {
	w := line(t, 2, Options{}, "", LinkOptions{})
	w.Run(time.Second)
	w.forget()
	out, in := w.n[0].Port("eth2").id, w.n[1].Port("eth1").id
	send := func() {
		w.m[0].do(w.n[0], pim4, engine.Send{If: out, Dst: addr("224.0.0.13"), Proto: engine.ProtoPIM, TTL: 1, Payload: []byte{0x20, 0, 0, 0}})
		w.m[0].do(w.n[0], igmp4, engine.Send{If: out, Dst: addr("239.1.1.1"), Proto: engine.ProtoIGMP, TTL: 1, RouterAlert: true, Payload: make([]byte, 8)})
		w.Run(time.Second)
	}
	send()
	expect(t, "nobody listens", w.m[1].take())
	w.m[1].do(w.n[1], pim4, engine.HostGroup{If: in, Group: addr("224.0.0.13"), Member: true})
	w.m[1].do(w.n[1], mfib4, engine.SetVIF{VIF: 3, If: in})
	send()
	expect(t, "both listen", w.m[1].take(),
		"2.001s packet if 2 10.0.1.1 > 224.0.0.13 proto 103 ttl 1",
		"2.001s packet if 2 10.0.1.1 > 239.1.1.1 proto 2 ttl 1")
	w.m[1].do(w.n[1], pim4, engine.HostGroup{If: in, Group: addr("224.0.0.13")})
	w.m[1].do(w.n[1], mfib4, engine.SetVIF{VIF: 3, Gone: true})
	send()
	expect(t, "nobody any more", w.m[1].take())
}

// TestUnicast: a Register goes hop by hop with its TTL falling, and stops where the TTL ends; one for the router itself
// comes back at once.
func TestUnicast(t *testing.T) {
	w := line(t, 4, Options{}, "", LinkOptions{Delay: 2 * time.Millisecond})
	w.Run(time.Second)
	w.forget()
	register := engine.Send{Dst: addr("10.255.0.4"), Proto: engine.ProtoPIM, TTL: 64, Payload: make([]byte, 30)}
	w.m[0].do(w.n[0], pim4, register)
	register.TTL = 2
	w.m[0].do(w.n[0], pim4, register)
	register.Dst = addr("10.255.0.1")
	w.m[0].do(w.n[0], pim4, register)
	register.Dst = addr("10.9.9.9")
	w.m[0].do(w.n[0], pim4, register)
	w.Run(time.Second)
	expect(t, "the RP", w.m[3].take(), "1.006s packet if 2 10.0.1.1 > 10.255.0.4 proto 103 ttl 62")
	expect(t, "itself", w.m[0].take(), "1s packet if 1 10.255.0.1 > 10.255.0.1 proto 103 ttl 2")
	if s := w.Stats(); s.Expired != 1 || s.NoRoute != 1 {
		t.Errorf("expired %d, no route %d", s.Expired, s.NoRoute)
	}
}

// TestOracle: routes come and go with the topology, after the delay, and only differences are told.
func TestOracle(t *testing.T) {
	only := netip.MustParsePrefix("10.255.0.3/32")
	w := line(t, 3, Options{Announce: func(p netip.Prefix) bool { return p == only }}, "", LinkOptions{})
	long := w.AddLink("detour", LinkOptions{Cost: 5},
		End{w.n[0], "eth3", []netip.Prefix{netip.MustParsePrefix("10.0.77.1/24")}},
		End{w.n[2], "eth3", []netip.Prefix{netip.MustParsePrefix("10.0.77.3/24")}})
	w.Run(time.Second)
	told := slices.DeleteFunc(w.m[0].take(), func(s string) bool { return !strings.Contains(s, "ospf") })
	expect(t, "at the start", told, "0s route 10.255.0.3/32 metric 2 2/10.0.1.2 ospf gone=false")
	w.forget()
	w.Link("l2").SetUp(false)
	w.Run(time.Second)
	expect(t, "after the cut", w.m[0].take(),
		"1.2s route 10.255.0.3/32 metric 5 3/10.0.77.3 ospf gone=false",
		"1.2s route 10.255.0.3/32 metric 2 2/10.0.1.2 ospf gone=true")
	expect(t, "beside the cut", w.m[1].take()[2:],
		"1.2s route 10.255.0.3/32 metric 6 2/10.0.1.1 ospf gone=false",
		"1.2s route 10.255.0.3/32 metric 1 3/10.0.2.3 ospf gone=true")
	long.SetUp(false)
	w.Run(time.Second)
	expect(t, "no way left", w.m[0].take()[2:], "2.2s route 10.255.0.3/32 metric 5 3/10.0.77.3 ospf gone=true")
}

// TestEqualCost: both of two ways are told, the highest gateway first.
func TestEqualCost(t *testing.T) {
	w := line(t, 2, Options{}, "", LinkOptions{})
	w.AddLink("second", LinkOptions{},
		End{w.n[0], "eth3", []netip.Prefix{netip.MustParsePrefix("10.0.77.1/24")}},
		End{w.n[1], "eth3", []netip.Prefix{netip.MustParsePrefix("10.0.77.2/24")}})
	w.Run(time.Second)
	told := slices.DeleteFunc(w.m[0].take(), func(s string) bool { return !strings.Contains(s, "10.255.0.2") })
	expect(t, "routes", told, "0s route 10.255.0.2/32 metric 1 3/10.0.77.2 2/10.0.1.2 ospf gone=false")
}

// TestStaticRoutes: a static route goes with its link and is back with it; the worse one stays.
func TestStaticRoutes(t *testing.T) {
	static := "routes:\n  - {to: 10.2.0.0/16, via: 10.0.1.2, metric: 10}\n  - {to: 10.2.0.0/16, via: 10.1.1.9, metric: 20}\n"
	w := line(t, 2, Options{Unicast: Static}, static, LinkOptions{})
	h := w.AddHost("h", HostOptions{})
	w.AddLink("lan", LinkOptions{}, End{Node: w.n[0], If: "eth9"}, End{h, "eth1", []netip.Prefix{netip.MustParsePrefix("10.1.1.9/24")}})
	w.Run(time.Second)
	w.forget()
	w.Link("l1").SetUp(false)
	w.Run(time.Second)
	expect(t, "cut", w.m[0].take(),
		"1s interface eth2 up=false carrier=false gone=false [10.0.1.1/24]",
		"1s route 10.0.1.0/24 metric 0 2/invalid IP kernel gone=true",
		"1s route 10.2.0.0/16 metric 10 2/10.0.1.2 static gone=true")
	w.Link("l1").SetUp(true)
	w.Run(time.Second)
	expect(t, "healed", w.m[0].take(),
		"2s interface eth2 up=true carrier=true gone=false [10.0.1.1/24 fe80::ff:fe00:2/64]",
		"2s route 10.0.1.0/24 metric 0 2/invalid IP kernel gone=false",
		"2s route 10.2.0.0/16 metric 10 2/10.0.1.2 static gone=false")
	w.n[1].Port("eth1").SetUp(false)
	w.Run(time.Second)
	expect(t, "the far end is down", w.m[0].take(),
		"3s interface eth2 up=true carrier=false gone=false [10.0.1.1/24 fe80::ff:fe00:2/64]")
}

// forward gives router i rows that send a group from interface in to the interfaces out.
func (w *world) forward(i int, group string, in string, out ...string) {
	n := w.n[i]
	row := engine.Row{Key: engine.SG(addr("10.1.1.9"), addr(group)), Parent: 0}
	effects := []engine.Effect{engine.SetVIF{VIF: 0, If: n.Port(in).id}}
	for j, o := range out {
		effects = append(effects, engine.SetVIF{VIF: engine.VIF(j + 1), If: n.Port(o).id})
		row.TTL[j+1] = 1
	}
	w.m[i].do(n, mfib4, append(effects, engine.SetRows{Rows: []engine.Row{row}})...)
}

// TestData: a source's packets pass two routers to a member, which keeps account of them; the link's loss shows in it.
func TestData(t *testing.T) {
	w := line(t, 2, Options{}, "", LinkOptions{Delay: 3 * time.Millisecond})
	h1, h2 := w.AddHost("h1", HostOptions{}), w.AddHost("h2", HostOptions{})
	w.AddLink("lan1", LinkOptions{}, End{Node: w.n[0], If: "eth9"}, End{h1, "eth1", []netip.Prefix{netip.MustParsePrefix("10.1.1.9/24")}})
	w.AddLink("lan2", LinkOptions{}, End{Node: w.n[1], If: "eth9"}, End{h2, "eth1", []netip.Prefix{netip.MustParsePrefix("10.1.2.9/24")}})
	w.Run(time.Second)
	member := h2.Host().Join("eth1", addr("239.1.1.1"))
	src := h1.AddSource(SourceOptions{If: "eth1", Group: addr("239.1.1.1"), Interval: 100 * time.Millisecond, Count: 1000, Traced: true})
	w.forward(0, "239.1.1.1", "eth9", "eth2")
	w.forward(1, "239.1.1.1", "eth1", "eth9")
	w.Run(50 * time.Second)
	f := member.Flow(addr("10.1.1.9"))
	if f == nil || f.Packets != 500 || f.Lost() != 0 || f.Duplicates != 0 || f.TTL != 62 || f.MaxLatency != 5*time.Millisecond {
		t.Fatalf("account %+v", f)
	}
	if len(w.Deliveries()) != 500 || len(w.Hops()) != 1+3*500+1 { // the last packet has just left
		t.Errorf("%d deliveries, %d hops", len(w.Deliveries()), len(w.Hops()))
	}
	var path []string
	for h := w.Deliveries()[7].Hop; h != 0; h = w.Hops()[h].Parent {
		path = append(path, w.Hops()[h].From.Link().Name())
	}
	expect(t, "path backwards", path, "lan2", "l1", "lan1")
	w.Link("l1").SetLoss(0.5)
	w.Run(100 * time.Second)
	if src.Running() || src.Sent() != 1000 || f.Lost() < 200 || f.Lost() > 300 {
		t.Errorf("sent %d, lost %d", src.Sent(), f.Lost())
	}
	for i, c := range w.n[0].Router().Plane(engine.IPv4).ReadCounters([]engine.Key{src.Key()}) {
		if c.Packets != 1000 {
			t.Errorf("counter %d: %+v", i, c)
		}
	}
}

// TestUpcall: a packet without a row is an upcall in the same instant, and goes on when the row is there.
func TestUpcall(t *testing.T) {
	w := line(t, 1, Options{}, "", LinkOptions{})
	h := w.AddHost("h1", HostOptions{})
	w.AddLink("lan1", LinkOptions{}, End{Node: w.n[0], If: "eth9"}, End{h, "eth1", []netip.Prefix{netip.MustParsePrefix("10.1.1.9/24")}})
	w.Run(time.Second)
	w.m[0].do(w.n[0], mfib4, engine.SetVIF{VIF: 0, If: w.n[0].Port("eth9").id})
	w.forget()
	h.AddSource(SourceOptions{If: "eth1", Group: addr("239.1.1.1"), Count: 1})
	w.Run(time.Second)
	expect(t, "upcall", w.m[0].take(), "1.001s mfib/ipv4 upcall 1 vif 0 10.1.1.9 > 239.1.1.1")
	w.m[0].do(w.n[0], mfib4, engine.ReadCounters{Keys: []engine.Key{engine.SG(addr("10.1.1.9"), addr("239.1.1.1"))}})
	expect(t, "counters", w.m[0].take(), "2s mfib/ipv4 counters [{(10.1.1.9,239.1.1.1) true 0 0 0}]")
}

// TestMTU: a control packet larger than the MTU is a fault of its sender; data that may be fragmented passes.
func TestMTU(t *testing.T) {
	w := line(t, 2, Options{}, "", LinkOptions{MTU: 576})
	w.Run(time.Second)
	out := w.n[0].Port("eth2").id
	w.m[0].do(w.n[0], pim4, engine.Send{If: out, Dst: addr("224.0.0.13"), Proto: engine.ProtoPIM, TTL: 1, Payload: make([]byte, 600)})
	if f := w.Faults(); len(f) != 1 || !strings.Contains(f[0].String(), "the MTU is 576") {
		t.Errorf("faults %v", f)
	}
	w.forget()
	w.m[0].do(w.n[0], pim4, engine.Send{Dst: addr("10.255.0.2"), Proto: engine.ProtoPIM, TTL: 64, Payload: make([]byte, 600)})
	w.Run(time.Second)
	if got := w.m[1].take(); len(got) != 1 {
		t.Errorf("a large Register: %q", got)
	}
	inject := ip.UDP(netip.MustParseAddrPort("10.1.1.9:1"), netip.MustParseAddrPort("239.1.1.1:1"), 60, make([]byte, 600))
	for _, df := range []bool{false, true} {
		inject.DontFragment = df
		before := w.Stats()
		w.m[0].do(w.n[0], pim4, engine.Inject{Out: []engine.IfID{out}, Packet: inject.Append(nil)})
		after := w.Stats()
		if sent, big := after.Data-before.Data, after.TooBig-before.TooBig; sent == big || (big == 1) != df {
			t.Errorf("don't fragment %v: sent %d, too big %d", df, sent, big)
		}
	}
}

// TestCutLosesPackets: what is under way when a link fails does not arrive, nor later.
func TestCutLosesPackets(t *testing.T) {
	w := line(t, 2, Options{}, "", LinkOptions{Delay: 10 * time.Millisecond})
	w.Run(time.Second)
	w.forget()
	w.m[1].do(w.n[1], pim4, engine.HostGroup{If: w.n[1].Port("eth1").id, Group: addr("224.0.0.13"), Member: true})
	w.m[0].do(w.n[0], pim4, engine.Send{If: w.n[0].Port("eth2").id, Dst: addr("224.0.0.13"), Proto: engine.ProtoPIM, TTL: 1, Payload: make([]byte, 8)})
	w.Run(5 * time.Millisecond)
	w.Link("l1").SetUp(false)
	w.Run(time.Millisecond)
	w.Link("l1").SetUp(true)
	w.Run(time.Second)
	for _, e := range w.m[1].take() {
		if strings.Contains(e, "packet") {
			t.Errorf("arrived after the cut: %s", e)
		}
	}
	if w.Stats().LinkDown != 1 {
		t.Errorf("lost on links that are down: %d", w.Stats().LinkDown)
	}
}

// TestRemove: an interface that goes takes its VIF along.
func TestRemove(t *testing.T) {
	w := line(t, 2, Options{}, "", LinkOptions{})
	w.Run(time.Second)
	p := w.n[0].Port("eth2")
	w.m[0].do(w.n[0], mfib4, engine.SetVIF{VIF: 5, If: p.id})
	w.forget()
	p.Remove()
	w.Run(0)
	if e := w.m[0].take(); !strings.Contains(strings.Join(e, "\n"), "interface eth2 up=false carrier=false gone=true") {
		t.Errorf("events %q", e)
	}
	if _, there := w.n[0].Router().Plane(engine.IPv4).VIFOf(p.id); there || w.n[0].Port("eth2") != nil {
		t.Error("the VIF or the interface is still there")
	}
}

// TestCapture: tshark reads the capture, and finds nothing malformed.
func TestCapture(t *testing.T) {
	tshark := testneed.Tool(t, "tshark")
	w := line(t, 2, Options{}, "", LinkOptions{Delay: 3 * time.Millisecond})
	file := filepath.Join(t.TempDir(), "test.pcapng")
	var b bytes.Buffer
	c, err := w.NewCapture(&b, w.Link("l1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.AddPort(w.n[1].Port("eth1")); err != nil {
		t.Fatal(err)
	}
	w.Run(1500 * time.Millisecond)
	out := w.n[0].Port("eth2").id
	data := ip.UDP(netip.MustParseAddrPort("10.1.1.9:1"), netip.MustParseAddrPort("239.1.1.1:1"), 60, make([]byte, 20))
	data6 := ip.UDP(netip.MustParseAddrPort("[2001:db8::1]:1"), netip.MustParseAddrPort("[ff0e::1]:1"), 60, make([]byte, 20))
	w.m[0].do(w.n[0], pim4,
		engine.Send{If: out, Dst: addr("224.0.0.13"), Proto: engine.ProtoPIM, TTL: 1, Payload: []byte{0x20, 0, 0xdf, 0xff}},
		engine.Inject{Out: []engine.IfID{out}, Packet: data.Append(nil)},
		engine.Inject{Out: []engine.IfID{out}, Packet: data6.Append(nil)})
	w.Run(time.Second)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := exec.Command(tshark, "-r", file, "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-T", "fields",
		"-e", "frame.interface_id", "-e", "frame.time_epoch", "-e", "eth.dst", "-e", "_ws.col.Protocol", "-e", "ip.checksum.status",
		"-e", "udp.checksum.status", "-e", "_ws.malformed").Output()
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for _, l := range []string{
		"01:00:5e:00:00:0d\tPIMv2\t1\t\t", "01:00:5e:01:01:01\tUDP\t1\t1\t", "33:33:00:00:00:01\tUDP\t\t1\t",
	} {
		for i := range 2 {
			fmt.Fprintf(&want, "%d\t946684801.500000000\t%s\n", i, l)
		}
	}
	if string(text) != want.String() {
		t.Errorf("tshark says\n%swant\n%s", text, want.String())
	}
}

// TestRestart: a router that starts anew is told everything again, and its plane is empty.
func TestRestart(t *testing.T) {
	only := netip.MustParsePrefix("10.255.0.2/32")
	w := line(t, 2, Options{Announce: func(p netip.Prefix) bool { return p == only }}, "", LinkOptions{})
	w.Run(time.Second)
	first := w.m[0].take()
	w.forward(0, "239.1.1.1", "lo", "eth2")
	w.n[0].Router().Restart()
	w.Run(0)
	again := w.m[0].take()
	for i := range again {
		again[i] = strings.TrimPrefix(again[i], "1s ")
		first[i] = strings.TrimPrefix(first[i], "0s ")
	}
	expect(t, "after the restart", again, first...)
	if w.n[0].Router().Plane(engine.IPv4).Rows() != 0 {
		t.Error("the plane has rows")
	}
}
