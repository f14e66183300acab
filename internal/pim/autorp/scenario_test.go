package autorp_test

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"grove/internal/engine"
	"grove/internal/pim/autorp"
	"grove/internal/pim/autorp/wire"
	"grove/internal/script"
)

// TestScenarios runs the scripts in testdata. A line that is not indented is a comment or a command; the indented lines
// below it are what followed, with the time since the start. The commands:
//
//	owns A...                                  the addresses of this router
//	config [listen] [candidate A [opt] PREFIX...] [agent A [opt] [accept RPS GROUPS]...] [max N]
//	                                           the whole configuration; opt: scope=N, interval=D, hold=D; -PREFIX: negative;
//	                                           max: both bounds
//	announce SRC hold D RP PREFIX... [RP PREFIX...]...
//	discover SRC hold D RP PREFIX... [RP PREFIX...]...
//	raw SRC GROUP HEX                          a datagram
//	neighbor                                   a PIM neighbor appears
//	wait D                                     time passes
//	show state|mappings|counts
func TestScenarios(t *testing.T) {
	script.Run(t, "testdata/*.txt", func(t *testing.T) func(words []string) string {
		w := newWorld()
		return func(words []string) string {
			w.timers.Fire(w.now)
			if err := w.do(words); err != nil {
				t.Fatalf("%s: %v", strings.Join(words, " "), err)
			}
			said := strings.Join(w.log, "\n")
			w.log = nil
			return said
		}
	})
}

// world is what surrounds an AutoRP in a script.
type world struct {
	a      *autorp.AutoRP
	timers engine.Timers
	counts engine.Counts
	start  time.Time
	now    time.Time
	owned  []netip.Addr
	log    []string
}

func newWorld() *world {
	w := &world{start: time.Unix(1_000_000, 0)}
	w.now = w.start
	w.a = autorp.New(autorp.Env{
		Rand: rand.New(rand.NewPCG(1, 2)), Timers: &w.timers, Counts: &w.counts,
		Emit: func(e engine.Effect) {
			tr := e.(engine.Transition)
			w.say("%s: %s -> %s: %s", tr.Entity, tr.Old, tr.New, tr.Cause)
		},
		Owns: func(a netip.Addr) bool { return slices.Contains(w.owned, a) },
		Send: func(src, group netip.Addr, ttl uint8, data []byte) {
			m, err := wire.Parse(data)
			if err != nil {
				w.say("MALFORMED %v", err)
				return
			}
			w.say("send %v to %v ttl %d: %v hold %v: %s", src, group, ttl, m.Type, m.Holdtime, rps(m.RPs))
		},
		Changed: func() { w.say("mappings: %v", w.mappings()) },
	})
	return w
}

func (w *world) mappings() []string {
	list := []string{}
	for _, m := range w.a.Mappings() {
		list = append(list, fmt.Sprintf("%v=%v", m.Groups, m))
	}
	return list
}

func rps(list []wire.RP) string {
	var words []string
	for _, rp := range list {
		words = append(words, rp.Address.String())
		for _, g := range rp.Groups {
			sign := ""
			if g.Negative {
				sign = "-"
			}
			words = append(words, sign+g.Prefix.String())
		}
	}
	return strings.Join(words, " ")
}

func (w *world) say(format string, args ...any) {
	w.log = append(w.log, fmt.Sprintf("%v ", w.now.Sub(w.start).Round(time.Millisecond))+fmt.Sprintf(format, args...))
}

func (w *world) do(f []string) error {
	switch cmd, args := f[0], f[1:]; cmd {
	case "owns":
		w.owned = nil
		for _, a := range args {
			w.owned = append(w.owned, netip.MustParseAddr(a))
		}
		w.a.AddressesChanged(w.now)
	case "config":
		c, err := configOf(args)
		if err != nil {
			return err
		}
		w.a.Configure(w.now, c)
	case "announce", "discover":
		src := netip.MustParseAddr(args[0])
		hold, err := time.ParseDuration(args[2])
		if err != nil {
			return err
		}
		m := &wire.Message{Type: wire.Announcement, Holdtime: hold, RPs: rpsOf(args[3:])}
		group := wire.AnnounceGroup
		if cmd == "discover" {
			m.Type, group = wire.Discovery, wire.DiscoveryGroup
		}
		b, err := m.Append(nil)
		if err != nil {
			return err
		}
		w.a.Receive(w.now, src, group, b)
	case "raw":
		b, err := hex.DecodeString(strings.Join(args[2:], ""))
		if err != nil {
			return err
		}
		w.a.Receive(w.now, netip.MustParseAddr(args[0]), netip.MustParseAddr(args[1]), b)
	case "neighbor":
		w.a.NeighborUp(w.now)
	case "wait":
		d, err := time.ParseDuration(args[0])
		w.wait(d)
		return err
	case "show":
		w.show(args[0])
	default:
		return fmt.Errorf("unknown command %q", cmd)
	}
	return nil
}

// wait lets time pass.
func (w *world) wait(d time.Duration) {
	until := w.now.Add(d)
	for {
		at, ok := w.timers.Deadline()
		if !ok || at.After(until) {
			break
		}
		w.now = at
		w.timers.Fire(at)
	}
	w.now = until
}

func (w *world) show(what string) {
	switch s := w.a.Show(w.now); what {
	case "mappings":
		w.say("mappings: %v", w.mappings())
	case "counts":
		for k, n := range engine.Sorted(w.counts.Snapshot()) {
			w.say("%s: %d", k, n)
		}
	case "state":
		for _, c := range s.Candidates {
			w.say("candidate %v active=%v next %v", c.Address, c.Active, c.Next.Round(time.Millisecond))
		}
		if g := s.Agent; g != nil {
			w.say("agent %v %s other %v next %v", g.Address, g.Status, g.Other, g.Next.Round(time.Millisecond))
			for _, e := range g.Announced {
				w.say("announced %v %v %v negative=%v chosen=%v expires %v", e.RP, e.Groups, e.Version, e.Negative, e.Chosen, e.Expires)
			}
		}
		for _, m := range s.Mappings {
			w.say("mapping %v = %v %v by %v used=%v expires %v", m.Groups, m.RP, m.Mapping, m.Agent, m.Used, m.Expires)
		}
	}
}

func groupOf(s string) (wire.Group, error) {
	p, err := netip.ParsePrefix(strings.TrimPrefix(s, "-"))
	return wire.Group{Prefix: p, Negative: strings.HasPrefix(s, "-")}, err
}

// rpsOf reads RPs, each an address with its ranges of groups behind it.
func rpsOf(f []string) []wire.RP {
	var list []wire.RP
	for _, s := range f {
		if g, err := groupOf(s); err == nil {
			last := &list[len(list)-1]
			last.Groups = append(last.Groups, g)
		} else {
			list = append(list, wire.RP{Address: netip.MustParseAddr(s), Version: wire.PIMv2})
		}
	}
	return list
}

func configOf(f []string) (c autorp.Config, err error) {
	agent := false
	for n := 0; n < len(f) && err == nil; n++ {
		key, value, _ := strings.Cut(f[n], "=")
		last := len(c.Candidates) - 1
		switch key {
		case "listen":
			c.Listen = true
		case "max":
			n++
			c.MaxMappings, err = strconv.Atoi(f[n])
			c.MaxAnnounced = c.MaxMappings
		case "candidate":
			n++
			agent = false
			c.Candidates = append(c.Candidates, autorp.Candidate{
				Address: netip.MustParseAddr(f[n]), Scope: 31, Interval: time.Minute, Holdtime: 3 * time.Minute,
			})
		case "agent":
			n++
			agent = true
			c.Agent = autorp.Agent{Address: netip.MustParseAddr(f[n]), Scope: 31, Interval: time.Minute, Holdtime: 3 * time.Minute}
		case "accept":
			c.Agent.Accept = append(c.Agent.Accept, autorp.Filter{RP: netip.MustParsePrefix(f[n+1]), Groups: netip.MustParsePrefix(f[n+2])})
			n += 2
		case "scope":
			x, _ := strconv.Atoi(value)
			if agent {
				c.Agent.Scope = uint8(x)
			} else {
				c.Candidates[last].Scope = uint8(x)
			}
		case "interval", "hold":
			var d time.Duration
			d, err = time.ParseDuration(value)
			switch {
			case agent && key == "hold":
				c.Agent.Holdtime = d
			case agent:
				c.Agent.Interval = d
			case key == "hold":
				c.Candidates[last].Holdtime = d
			default:
				c.Candidates[last].Interval = d
			}
		default:
			var g wire.Group
			if g, err = groupOf(f[n]); err == nil {
				c.Candidates[last].Groups = append(c.Candidates[last].Groups, g)
			}
		}
	}
	return c, err
}
