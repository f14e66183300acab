package router

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"grove/internal/engine"
	"grove/internal/rib"
)

// fake is a machine made of functions.
type fake struct {
	step     func(now time.Time, ev engine.Event) []engine.Effect
	deadline func() (time.Time, bool)
}

func (f fake) Step(now time.Time, ev engine.Event) []engine.Effect {
	if f.step == nil {
		return nil
	}
	return f.step(now, ev)
}

func (f fake) Deadline() (time.Time, bool) {
	if f.deadline == nil {
		return time.Time{}, false
	}
	return f.deadline()
}

var (
	epoch  = time.Unix(0, 0)
	group  = netip.MustParseAddr("239.1.1.1")
	mfibID = engine.MachineID{Protocol: engine.MFIB, Family: engine.IPv4}
	igmpID = engine.MachineID{Protocol: engine.IGMP, Family: engine.IPv4}
	ribID  = engine.MachineID{Protocol: engine.RIB, Family: engine.IPv4}
	pimID  = engine.MachineID{Protocol: engine.PIMSM, Family: engine.IPv4}
)

// with returns a router of fakes, in the order of announcement.
func with(machines map[engine.MachineID]fake) *Router {
	r := New(rand.New(rand.NewPCG(1, 1)))
	for id, m := range engine.SortedFunc(machines, compareIDs) {
		r.machines = append(r.machines, &slot{id: id, machine: m})
	}
	return r
}

// TestStampsAndAddresses: a want reaches mfib with its sender on it, what mfib answers reaches the one it names, and
// what is for the outside leaves with the sender's name.
func TestStampsAndAddresses(t *testing.T) {
	var log []string
	key := engine.StarG(group)
	r := with(map[engine.MachineID]fake{
		pimID: {step: func(_ time.Time, ev engine.Event) []engine.Effect {
			switch ev := ev.(type) {
			case engine.Packet:
				return []engine.Effect{engine.Want{Key: key}, engine.Send{Dst: group}}
			case engine.Installed:
				log = append(log, fmt.Sprint("installed ", ev.Key))
			}
			return nil
		}},
		mfibID: {step: func(_ time.Time, ev engine.Event) []engine.Effect {
			if w, ok := ev.(engine.Want); ok {
				log = append(log, fmt.Sprint("want of ", w.From))
				return []engine.Effect{engine.Installed{To: w.From, Key: w.Key}}
			}
			return nil
		}},
	})
	out := r.Step(epoch, engine.Addressed{To: pimID, Event: engine.Packet{Proto: engine.ProtoPIM}})
	if want := []string{"want of pimsm/ipv4", "installed (*,239.1.1.1)"}; !slices.Equal(log, want) {
		t.Errorf("delivered %q, want %q", log, want)
	}
	if len(out) != 1 || out[0].(engine.Outward).From != pimID {
		t.Errorf("left the router: %v", out)
	}
}

// TestFirstInFirstOut: a Want that was said first arrives first, although the machine that said the second was stepped
// in between.
func TestFirstInFirstOut(t *testing.T) {
	var log []string
	r := with(map[engine.MachineID]fake{
		pimID: {step: func(_ time.Time, ev engine.Event) []engine.Effect {
			switch ev.(type) {
			case engine.Packet:
				return []engine.Effect{engine.Track{Addr: group}, engine.Want{Epoch: 1}}
			case engine.Path:
				return []engine.Effect{engine.Want{Epoch: 2}}
			}
			return nil
		}},
		ribID: {step: func(_ time.Time, ev engine.Event) []engine.Effect {
			if tr, ok := ev.(engine.Track); ok {
				return []engine.Effect{engine.Path{To: tr.From}}
			}
			return nil
		}},
		mfibID: {step: func(_ time.Time, ev engine.Event) []engine.Effect {
			if w, ok := ev.(engine.Want); ok {
				log = append(log, fmt.Sprint(w.Epoch))
			}
			return nil
		}},
	})
	r.Step(epoch, engine.Addressed{To: pimID, Event: engine.Packet{Proto: engine.ProtoPIM}})
	if !slices.Equal(log, []string{"1", "2"}) {
		t.Errorf("wants arrived in the order %q", log)
	}
}

// TestAnnouncement: a new interface is announced to mfib, igmp, rib, then the protocols; a lost one in reverse.
func TestAnnouncement(t *testing.T) {
	var log []string
	hear := func(name string) fake {
		return fake{step: func(_ time.Time, ev engine.Event) []engine.Effect {
			if _, ok := ev.(engine.InterfaceChange); ok {
				log = append(log, name)
			}
			return nil
		}}
	}
	r := with(map[engine.MachineID]fake{pimID: hear("pim"), mfibID: hear("mfib"), ribID: hear("rib"), igmpID: hear("igmp")})
	r.Step(epoch, engine.InterfaceChange{Interface: engine.Interface{ID: 1}})
	r.Step(epoch, engine.InterfaceChange{Interface: engine.Interface{ID: 1}, Gone: true})
	if want := "mfib igmp rib pim pim rib igmp mfib"; strings.Join(log, " ") != want {
		t.Errorf("announced to %q, want %q", log, want)
	}
}

// TestSettledGoesRound: a machine that was told something while the others settled is settled again.
func TestSettledGoesRound(t *testing.T) {
	var log []string
	r := with(map[engine.MachineID]fake{
		pimID: {step: func(_ time.Time, ev engine.Event) []engine.Effect {
			if _, ok := ev.(engine.Settled); ok {
				return []engine.Effect{engine.Want{}}
			}
			return nil
		}},
		mfibID: {step: func(_ time.Time, ev engine.Event) []engine.Effect {
			if _, ok := ev.(engine.Settled); ok {
				log = append(log, "written")
			}
			return nil
		}},
	})
	r.Step(epoch, engine.Addressed{To: pimID, Event: engine.Packet{Proto: engine.ProtoPIM}})
	r.Step(epoch, engine.Settled{})
	if !slices.Equal(log, []string{"written"}) || r.Faults() != 0 {
		t.Errorf("%q, %d faults", log, r.Faults())
	}
}

// TestFaults: machines that go round in circles are cut off, and the chain is printed.
func TestFaults(t *testing.T) {
	pingPong := func(settled bool) *Router {
		return with(map[engine.MachineID]fake{
			pimID: {step: func(_ time.Time, ev engine.Event) []engine.Effect {
				switch ev.(type) {
				case engine.Settled:
					if !settled {
						return nil
					}
				case engine.Installed:
					if settled {
						return nil
					}
				}
				return []engine.Effect{engine.Want{}}
			}},
			mfibID: {step: func(_ time.Time, ev engine.Event) []engine.Effect {
				if w, ok := ev.(engine.Want); ok {
					return []engine.Effect{engine.Installed{To: w.From}}
				}
				return nil
			}},
		})
	}
	stuck := with(map[engine.MachineID]fake{pimID: {deadline: func() (time.Time, bool) { return epoch, true }}})
	for _, c := range []struct {
		name   string
		router *Router
		event  engine.Event
		says   string
	}{
		{"chain", pingPong(false), engine.Addressed{To: pimID, Event: engine.Packet{Proto: engine.ProtoPIM}}, "mfib/ipv4 -> pimsm/ipv4: engine.Installed"},
		{"settled", pingPong(true), engine.Settled{}, "not settled after 16 rounds"},
		{"deadline", stuck, engine.Tick{}, "the deadline does not advance"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.name == "settled" {
				c.router.machines[1].dirty = true
			}
			out := c.router.Step(epoch, c.event)
			if c.router.Faults() == 0 {
				t.Fatal("no fault")
			}
			note := out[len(out)-1].(engine.Outward).Effect.(engine.Note)
			if note.Level != engine.Error || !strings.Contains(note.Text, c.says) {
				t.Errorf("note %q does not say %q", note.Text, c.says)
			}
		})
	}
}

// TestQueryOfNobody: a query of a machine that does not run is answered.
func TestQueryOfNobody(t *testing.T) {
	out := New(rand.New(rand.NewPCG(1, 1))).Step(epoch, engine.Addressed{To: pimID, Event: engine.Query{ID: 7}})
	if a, ok := out[0].(engine.Outward).Effect.(engine.Answer); !ok || a.ID != 7 || a.Err == "" {
		t.Errorf("answered %v", out)
	}
}

// TestRoutesToldBefore: the kernel tells its routes once. A rib that a later configuration brings knows them all the
// same, and not those that have gone.
func TestRoutesToldBefore(t *testing.T) {
	r := New(rand.New(rand.NewPCG(1, 1)))
	ifc := engine.Interface{ID: 3, Name: "eth1", Up: true, Carrier: true, Multicast: true, MTU: 1500,
		Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")}}
	route := engine.RouteChange{Prefix: netip.MustParsePrefix("10.1.0.0/24"), Origin: "static",
		Hops: []engine.NextHop{{If: ifc.ID, Gateway: netip.MustParseAddr("10.0.0.2"), Weight: 1}}}
	passing := route
	passing.Prefix = netip.MustParsePrefix("10.2.0.0/24")
	gone := passing
	gone.Gone = true
	for _, ev := range []engine.Event{engine.InterfaceChange{Interface: ifc}, route, passing, gone} {
		r.Step(epoch, ev)
	}
	r.Step(epoch, engine.Configure{Config: Config{Machines: map[engine.MachineID]any{ribID: rib.Config{}}}})
	for addr, reachable := range map[string]bool{"10.1.0.10": true, "10.2.0.10": false} {
		out := r.Step(epoch, engine.Addressed{To: ribID, Event: engine.Query{To: ribID, ID: 1, What: "rpf", Arg: addr}})
		a, ok := out[0].(engine.Outward).Effect.(engine.Answer)
		if !ok {
			t.Fatalf("answered %v", out)
		}
		if got := a.Value.(rib.RPF); got.Reachable != reachable {
			t.Errorf("%s is reachable: %v, want %v: %+v", addr, got.Reachable, reachable, got)
		}
	}
}
