package neighbor_test

import (
	"bufio"
	"encoding/hex"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"grove/internal/engine"
	"grove/internal/pim/neighbor"
	"grove/internal/pim/wire"
)

var update = flag.Bool("update", false, "rewrite the scenarios' output")

// TestScenarios runs the scripts in testdata. A line that is not indented is a comment or a command; the indented lines
// below it are what followed, with the time since the start. The commands:
//
//	family ipv6                          only as the first command; IPv4 otherwise
//	configure [KEY=VALUE | FLAG] ...     the defaults of RFC 7761 with these changes; see configOf
//	link [up|down] [PREFIX ...]          the state of our link
//	hello SRC [KEY=VALUE] ...            a Hello comes in; see helloOf
//	raw SRC HEX                          the body of a Hello comes in, with a good checksum
//	wait DURATION                        time passes
//	before-join                          we are about to send a Join/Prune
//	lookup ADDR                          NBR(I,A)
//	show interface | neighbors | counts  state
//	show refresh                         StateRefreshCapable(I), and that of the neighbors
//	stop                                 PIM is stopped
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			script, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			got := runScenario(t, string(script))
			if *update {
				if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(script), got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func runScenario(t *testing.T, script string) string {
	s := newScenario(engine.IPv4)
	lines := bufio.NewScanner(strings.NewReader(script))
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "    ") {
			continue
		}
		s.out.WriteString(line + "\n")
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		if err := s.command(words[0], words[1:]); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	return s.out.String()
}

// scenario is one interface under test, with everything that it does written down.
type scenario struct {
	out    strings.Builder
	family engine.Family
	start  time.Time
	now    time.Time
	timers engine.Timers
	counts engine.Counts
	ifc    *neighbor.Interface
	sent   []sentMessage
}

type sentMessage struct {
	at       time.Time
	src, dst netip.Addr
	msg      wire.Message
}

func newScenario(f engine.Family) *scenario {
	s := &scenario{family: f, start: time.Unix(1_000_000_000, 0)}
	s.now = s.start
	s.ifc = neighbor.New(s.env(), configOf(nil))
	return s
}

func (s *scenario) env() neighbor.Env {
	about := func(what string) func(time.Time, *neighbor.Neighbor) {
		return func(_ time.Time, n *neighbor.Neighbor) { s.note("%s(%v)", what, n.Address) }
	}
	return neighbor.Env{
		ID: engine.MachineID{Protocol: engine.PIMSM, Family: s.family}, If: 1,
		Rand: rand.New(rand.NewPCG(1, 2)), Timers: &s.timers, Counts: &s.counts,
		Emit: func(e engine.Effect) {
			switch e := e.(type) {
			case engine.Transition:
				what := e.Entity
				if e.Neighbor.IsValid() {
					what += " " + e.Neighbor.String()
				}
				s.note("%s: %q -> %q, %s", what, e.Old, e.New, e.Cause)
			case engine.Note:
				s.note("note, level %d, neighbor %v: %s", e.Level, e.Neighbor, e.Text)
			case engine.HostGroup:
				s.note("host group %v: %v", e.Group, e.Member)
			default:
				s.note("%T", e)
			}
		},
		Send: func(now time.Time, src, dst netip.Addr, m wire.Message) {
			s.sent = append(s.sent, sentMessage{now, src, dst, m})
			b, err := wire.Encode(m, src, dst)
			if err != nil {
				s.note("send: %v", err)
				return
			}
			m, err = wire.Parse(b, src, dst)
			if err != nil {
				s.note("send: what we encode does not parse: %v", err)
				return
			}
			s.note("send %v > %v: %s", src, dst, describe(m.(*wire.Hello)))
		},
		NeighborUp: about("NeighborUp"), NeighborDown: about("NeighborDown"),
		NeighborRestarted: about("NeighborRestarted"),
		AddressesChanged:  func(time.Time) { s.note("AddressesChanged") },
		DRChanged: func(_ time.Time, old, dr netip.Addr) {
			s.note("DRChanged(%s, %s), IAmDR %v", text(old), text(dr), s.ifc.IAmDR())
		},
		ParametersChanged: func(time.Time) {
			s.note("ParametersChanged: propagation %v, override %v, suppression %v", s.ifc.EffectivePropagationDelay(),
				s.ifc.EffectiveOverrideInterval(), s.ifc.SuppressionEnabled())
		},
	}
}

func text(a netip.Addr) string {
	if !a.IsValid() {
		return "none"
	}
	return a.String()
}

func (s *scenario) note(format string, args ...any) {
	at := s.now.Sub(s.start).Round(time.Millisecond)
	fmt.Fprintf(&s.out, "    %v: %s\n", at, fmt.Sprintf(format, args...))
}

func describe(h *wire.Hello) string {
	var words []string
	for _, o := range h.Options {
		switch o := o.(type) {
		case wire.Holdtime:
			words = append(words, fmt.Sprintf("holdtime=%v", time.Duration(o)))
		case wire.LANPruneDelay:
			words = append(words, fmt.Sprintf("lan=%v/%v/%v", o.PropagationDelay, o.OverrideInterval, o.TrackingSupport))
		case wire.DRPriority:
			words = append(words, fmt.Sprintf("priority=%d", o))
		case wire.GenerationID:
			words = append(words, fmt.Sprintf("genid=%08x", uint32(o)))
		case wire.AddressList:
			words = append(words, fmt.Sprintf("list=%v", []netip.Addr(o)))
		case wire.StateRefreshCapable:
			words = append(words, fmt.Sprintf("refresh=%v", o.Interval))
		default:
			words = append(words, fmt.Sprintf("%v", o))
		}
	}
	return strings.Join(words, " ")
}

// advance lets time pass and fires what falls due.
func (s *scenario) advance(d time.Duration) {
	end := s.now.Add(d)
	for {
		at, ok := s.timers.Deadline()
		if !ok || at.After(end) {
			break
		}
		s.now = at
		s.timers.Fire(at)
	}
	s.now = end
}

func (s *scenario) command(name string, args []string) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	switch name {
	case "family":
		s.family = engine.IPv6
		s.ifc = neighbor.New(s.env(), configOf(nil))
	case "configure":
		s.ifc.Configure(s.now, configOf(args))
	case "link":
		s.ifc.Update(s.now, linkOf(args))
	case "hello":
		s.ifc.Receive(s.now, netip.MustParseAddr(args[0]), helloOf(args[1:]))
	case "raw":
		return s.raw(args[0], args[1])
	case "wait":
		d, err := time.ParseDuration(args[0])
		s.advance(d)
		return err
	case "before-join":
		s.ifc.HelloBeforeJoin(s.now)
		s.note("the Join/Prune may go")
	case "lookup":
		found := "no neighbor"
		if n := s.ifc.Neighbor(netip.MustParseAddr(args[0])); n != nil {
			found = fmt.Sprintf("neighbor %v", n.Address)
		}
		s.note("%s", found)
	case "show":
		s.show(args[0])
	case "stop":
		s.ifc.Stop(s.now)
	default:
		return fmt.Errorf("no such command")
	}
	return nil
}

// raw hands over a Hello as a Machine does: what does not parse is counted under its reason.
func (s *scenario) raw(from, body string) error {
	b, err := hex.DecodeString(body)
	if err != nil {
		return err
	}
	src, dst := netip.MustParseAddr(from), wire.AllPIMRouters(s.family)
	m, err := wire.Encode(rawHello(b), src, dst)
	if err != nil {
		return err
	}
	h, err := wire.Parse(m, src, dst)
	if err != nil {
		s.counts.Add(wire.Reason(err))
		s.note("%v", err)
		return nil
	}
	s.ifc.Receive(s.now, src, h.(*wire.Hello))
	return nil
}

type rawHello []byte

func (rawHello) Type() wire.Type                   { return wire.TypeHello }
func (h rawHello) Append(b []byte) ([]byte, error) { return append(b, h...), nil }

func (s *scenario) show(what string) {
	switch what {
	case "interface":
		i := s.ifc.Show(s.now)
		s.note("%s: running=%v passive=%v address=%s secondary=%v neighbors=%d", i.Name, i.Running, i.Passive,
			text(i.Address), i.Secondary, i.Neighbors)
		s.note("dr=%s me=%v priority=%d genid=%08x period=%v next-hello=%v", text(i.DR), i.IAmDR, i.DRPriority,
			i.GenerationID, i.HelloPeriod, i.NextHello.Round(time.Millisecond))
		s.note("lan-delay=%v propagation=%v override=%v suppression=%v", i.LANDelayEnabled, i.PropagationDelay,
			i.OverrideInterval, i.SuppressionEnabled)
	case "neighbors":
		for _, n := range s.ifc.ShowNeighbors(s.now) {
			s.note("%v: secondary=%v uptime=%v holdtime=%v forever=%v expires=%v dr=%v priority=%v/%d genid=%v/%08x "+
				"lan=%v/%v/%v/%v", n.Address, n.Secondary, n.Uptime, n.Holdtime, n.Forever, n.Expires, n.DR,
				n.DRPriorityPresent, n.DRPriority, n.GenerationIDPresent, n.GenerationID, n.LANPruneDelayPresent,
				n.PropagationDelay, n.OverrideInterval, n.TrackingSupport)
		}
	case "refresh":
		s.note("StateRefreshCapable(I)=%v interval=%v silent=%v", s.ifc.StateRefreshCapable(),
			s.ifc.Show(s.now).StateRefreshInterval, s.ifc.Show(s.now).Silent)
		for _, n := range s.ifc.ShowNeighbors(s.now) {
			s.note("%v: refresh=%v/%v", n.Address, n.StateRefreshCapable, n.StateRefreshInterval)
		}
	case "counts":
		for name, n := range engine.Sorted(s.counts.Snapshot()) {
			s.note("%d %s", n, name)
		}
	}
}

// configOf returns the RFC's defaults with the changes in args.
func configOf(args []string) neighbor.Config {
	c := neighbor.Config{
		HelloPeriod: 30 * time.Second, HelloHoldtime: 105 * time.Second, TriggeredHelloDelay: 5 * time.Second,
		DRPriority: 1, PropagationDelay: 500 * time.Millisecond, OverrideInterval: 2500 * time.Millisecond,
	}
	for _, arg := range args {
		key, value, _ := strings.Cut(arg, "=")
		switch key {
		case "period":
			c.HelloPeriod = duration(value)
			c.HelloHoldtime = c.HelloPeriod * 7 / 2
		case "triggered":
			c.TriggeredHelloDelay = duration(value)
		case "priority":
			c.DRPriority = number(value)
		case "no-priority":
			c.NoDRPriority = true
		case "propagation":
			c.PropagationDelay = duration(value)
		case "override":
			c.OverrideInterval = duration(value)
		case "default-delays":
			p, o, _ := strings.Cut(value, "/")
			c.DefaultPropagationDelay, c.DefaultOverrideInterval = duration(p), duration(o)
		case "tracking":
			c.TrackingSupport = true
		case "passive":
			c.Passive = true
		case "silent":
			c.Silent = true
		case "refresh":
			c.StateRefreshInterval = duration(value)
		case "max-neighbors":
			c.MaxNeighbors = int(number(value))
		case "max-secondary":
			c.MaxSecondaryAddresses = int(number(value))
		default:
			panic("unknown setting " + key)
		}
	}
	return c
}

func linkOf(args []string) engine.Interface {
	l := engine.Interface{ID: 1, Name: "eth1", Up: true, Carrier: true, Multicast: true, MTU: 1500}
	for _, arg := range args {
		switch arg {
		case "up":
		case "down":
			l.Carrier = false
		case "point-to-point":
			l.PointToPoint = true
		case "no-multicast":
			l.Multicast = false
		default:
			l.Addrs = append(l.Addrs, netip.MustParsePrefix(arg))
		}
	}
	return l
}

func helloOf(args []string) *wire.Hello {
	h := &wire.Hello{}
	for _, arg := range args {
		key, value, _ := strings.Cut(arg, "=")
		var o wire.Option
		switch key {
		case "holdtime":
			if value == "forever" {
				o = wire.Holdtime(wire.Forever)
			} else {
				o = wire.Holdtime(duration(value))
			}
		case "lan":
			part := strings.Split(value, "/")
			o = wire.LANPruneDelay{
				PropagationDelay: duration(part[0]), OverrideInterval: duration(part[1]), TrackingSupport: len(part) == 3,
			}
		case "priority":
			o = wire.DRPriority(number(value))
		case "genid":
			o = wire.GenerationID(number(value))
		case "refresh":
			o = wire.StateRefreshCapable{Version: wire.StateRefreshVersion, Interval: duration(value)}
		case "list":
			var l wire.AddressList
			for _, a := range strings.Split(value, ",") {
				l = append(l, netip.MustParseAddr(a))
			}
			o = l
		case "option":
			o = wire.UnknownOption{OptionType: uint16(number(value)), Value: []byte{1, 2, 3}}
		default:
			panic("unknown option " + key)
		}
		h.Options = append(h.Options, o)
	}
	return h
}

func duration(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		panic(err)
	}
	return d
}

func number(s string) uint32 {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		panic(err)
	}
	return uint32(n)
}
