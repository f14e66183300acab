package mfib_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"grove/internal/engine"
	"grove/mfib"
)

// fakePlane is a kernel's table: it does as it is told, and fails the test when it is told nonsense.
type fakePlane struct {
	t    testing.TB
	vifs map[engine.VIF]engine.IfID // the register interface is 0
	rows map[engine.Key]engine.Row
}

func (p *fakePlane) apply(effects []engine.Effect) {
	for _, e := range effects {
		switch e := e.(type) {
		case engine.SetVIF:
			_, used := p.vifs[e.VIF]
			if used != e.Gone {
				p.t.Fatalf("%+v: used %v", e, used)
			}
			for k, r := range p.rows {
				if r.Parent == e.VIF || r.TTL[e.VIF] != 0 {
					p.t.Fatalf("%+v while row %v names it", e, k)
				}
			}
			if e.Gone {
				delete(p.vifs, e.VIF)
			} else {
				p.vifs[e.VIF] = e.If
			}
		case engine.SetRows:
			for _, r := range e.Rows {
				if r.Gone {
					delete(p.rows, r.Key)
				} else {
					p.rows[r.Key] = r
				}
			}
		}
	}
}

// text writes the row of a key by interfaces; empty if there is none.
func (p *fakePlane) text(k engine.Key) string {
	r, ok := p.rows[k]
	if !ok {
		return ""
	}
	name := func(v engine.VIF) string {
		id, ok := p.vifs[v]
		if !ok {
			return "?"
		}
		return fmt.Sprint(id)
	}
	var out []string
	for v, ttl := range r.TTL {
		if ttl > 0 {
			out = append(out, fmt.Sprintf("%s>%d", name(engine.VIF(v)), ttl))
		}
	}
	slices.Sort(out)
	return fmt.Sprintf("in %s out %v", name(r.Parent), out)
}

// protocols are those of the oracle, in the order in which the first is chosen.
var protocols = []string{"a", "b", "c"}

// The oracle says what the row of a key is, from the rules of doc.go, interface by interface, and what each protocol must have
// been told of the others.
type oracle struct {
	owner    map[engine.IfID]string // of the interfaces that there are: a, b, c, or igmp
	second   map[engine.IfID]string // whose it is for the groups 239.192.x.x; "": the owner's
	interest map[netip.Addr]map[string]bool
	ttl      map[engine.IfID]uint8
	bound    map[engine.IfID]bool // to the groups 239.192.x.x
	rpf      map[netip.Addr]engine.IfID
	wants    map[engine.Key]map[string]engine.Want
	register bool
}

// ownerFor says whose an interface is for a group.
func (o *oracle) ownerFor(id engine.IfID, g netip.Addr) string {
	if o.second[id] != "" && g.IsValid() && g.As4()[1] == 192 {
		return o.second[id]
	}
	return o.owner[id]
}

func (o *oracle) mine(who string, id engine.IfID, g netip.Addr) bool {
	owner, ok := o.owner[id]
	if ok && !g.IsValid() && o.second[id] == who {
		return true
	}
	if ok {
		owner = o.ownerFor(id, g)
	}
	return ok && (owner == who || owner == "igmp")
}

// leaves says whether packets leave by what a protocol wants of a key.
func (o *oracle) leaves(k engine.Key, who string) bool {
	w, ok := o.wants[k][who]
	if !ok || w.Negative != "" {
		return false
	}
	return len(w.Encap) > 0 || slices.ContainsFunc(w.Out, func(out engine.Outgoing) bool {
		return o.mine(who, out.If, k.Group) && !o.blocked(out.If, k.Group)
	})
}

// others says whether a protocol but one wants packets of a key to leave, or is interested in its group.
func (o *oracle) others(k engine.Key, but string) bool {
	return slices.ContainsFunc(protocols, func(who string) bool {
		return who != but && (o.leaves(k, who) || !k.Source.IsValid() && o.interest[k.Group][who])
	})
}

// ownerOf returns the owner of an (S,G).
func (o *oracle) ownerOf(k engine.Key) string {
	if owner := o.ownerFor(o.rpf[k.Source], k.Group); slices.Contains(protocols, owner) {
		return owner
	}
	for _, who := range protocols {
		w, ok := o.wants[k][who]
		if _, exists := o.owner[w.In]; ok && w.In != 0 && (!exists || o.mine(who, w.In, k.Group)) {
			return who
		}
	}
	return ""
}

func (o *oracle) blocked(id engine.IfID, g netip.Addr) bool {
	return g.IsValid() && o.bound[id] && g.As4()[1] == 192
}

func (o *oracle) row(k engine.Key) string {
	wants := o.wants[k]
	if len(wants) == 0 {
		return ""
	}
	out := make(map[engine.IfID]uint8)
	lower := func(id engine.IfID, ttl uint8) {
		if old, ok := out[id]; !ok || ttl < old {
			out[id] = ttl
		}
	}
	join := func(proxy bool) {
		for who, w := range wants {
			if w.Negative != "" {
				continue
			}
			for _, out := range w.Out {
				if o.mine(who, out.If, k.Group) && !o.blocked(out.If, k.Group) {
					lower(out.If, max(1, out.Threshold, o.ttl[out.If]))
				}
			}
			if w.Tap || len(w.Encap) > 0 || proxy {
				out[0] = 1
			}
		}
	}
	print := func(in engine.IfID) string {
		if in == 0 && !o.register {
			return ""
		}
		if _, ok := o.owner[in]; in != 0 && !ok {
			return ""
		}
		var list []string
		for id, ttl := range out {
			list = append(list, fmt.Sprintf("%d>%d", id, ttl))
		}
		slices.Sort(list)
		return fmt.Sprintf("in %d out %v", in, list)
	}
	if k.Source.IsValid() {
		rpf, owner := o.rpf[k.Source], o.ownerOf(k)
		w, ok := wants[owner]
		switch {
		case !ok:
			return print(rpf)
		case w.In == 0 && w.Negative != "":
			return print(0)
		case !o.mine(owner, w.In, k.Group):
			return ""
		case w.Negative == "" && !o.blocked(w.In, k.Group):
			join(false)
			delete(out, w.In)
		}
		return print(w.In)
	}
	first := ""
	for _, negative := range []bool{true, false} {
		for _, who := range slices.Backward(protocols) {
			if w, ok := wants[who]; ok && (negative || w.Negative == "") {
				first = who
			}
		}
	}
	in := wants[first].In
	if in != 0 && !o.mine(first, in, k.Group) {
		return ""
	}
	if wants[first].Negative != "" {
		return print(in)
	}
	join(true)
	for who, w := range wants {
		if w.Negative != "" {
			continue
		}
		for _, id := range append(slices.Clone(w.Accept), w.In) {
			if _, there := out[id]; !there && o.mine(who, id, k.Group) && !o.blocked(id, k.Group) {
				out[id] = 254
			}
		}
	}
	if !k.Group.IsValid() {
		for who, w := range wants {
			if w.Negative == "" && o.mine(who, w.In, k.Group) {
				out[w.In] = max(1, o.ttl[w.In])
			}
		}
	}
	return print(in)
}

// TestOracle: after every batch of random wants, interface changes, path changes and losses in the kernel, each row is what
// the oracle says, and nothing is written that is in the table already.
func TestOracle(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { runOracle(t, seed) })
	}
}

func runOracle(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 11))
	in := newInterpreter(t)
	m := mfib.New(engine.MachineID{Protocol: engine.MFIB, Family: engine.IPv4})
	plane := &fakePlane{t: t, vifs: make(map[engine.VIF]engine.IfID), rows: make(map[engine.Key]engine.Row)}
	o := &oracle{
		owner: make(map[engine.IfID]string), ttl: make(map[engine.IfID]uint8), bound: make(map[engine.IfID]bool),
		rpf: make(map[netip.Addr]engine.IfID), wants: make(map[engine.Key]map[string]engine.Want),
		second: make(map[engine.IfID]string), interest: make(map[netip.Addr]map[string]bool),
	}
	told := make(map[engine.Key]map[string]bool) // by alerts, as it stands
	now := time.Unix(0, 0)
	var step func(ev engine.Event)
	step = func(ev engine.Event) {
		effects := slices.Clone(m.Step(now, ev))
		plane.apply(effects)
		for _, e := range effects {
			switch e := e.(type) {
			case engine.Alert:
				if told[e.Key] == nil {
					told[e.Key] = make(map[string]bool)
				}
				told[e.Key][string(e.To.Protocol)] = e.Kind == engine.JoinAlert
			case engine.Track:
				step(pathTo(e.Addr, o.rpf[e.Addr]))
			case engine.Creation:
				if w, ok := o.wants[e.Key][string(e.To.Protocol)]; ok {
					step(w)
				} else {
					step(engine.Decline{From: e.To, Key: e.Key})
				}
			}
		}
	}
	// Interfaces 1 and 2 are a's, 3 and 4 b's, 5 is nobody's, 6 is a's or b's by the group, 7 is c's; each generation adds 7 to
	// the number.
	kinds := []struct {
		owner, second string
		ttl           uint8
		bound         bool
	}{
		{"a", "", 0, false}, {"a", "", 7, true}, {"b", "", 0, false}, {"b", "", 9, true}, {"igmp", "", 0, true}, {"a", "b", 0, false},
		{"c", "", 0, false},
	}
	cfg := mfib.Config{Interfaces: make(map[string]mfib.InterfaceConfig)}
	for i, k := range kinds {
		ic := mfib.InterfaceConfig{Owner: engine.Protocol(k.owner), TTLThreshold: k.ttl}
		if k.bound {
			ic.Boundaries = []netip.Prefix{netip.MustParsePrefix("239.192.0.0/16")}
		}
		if k.second != "" {
			ic.Groups = []mfib.GroupOwner{{Groups: netip.MustParsePrefix("239.192.0.0/16"), Owner: engine.Protocol(k.second)}}
		}
		cfg.Interfaces[fmt.Sprint("eth", i)] = ic
	}
	current := make([]engine.IfID, len(kinds))
	appear := func(i int, id engine.IfID) {
		current[i] = id
		o.second[id] = kinds[i].second
		o.owner[id], o.ttl[id], o.bound[id] = kinds[i].owner, kinds[i].ttl, kinds[i].bound
		step(engine.InterfaceChange{Interface: engine.Interface{ID: id, Name: fmt.Sprint("eth", i), Up: true, Carrier: true}})
	}
	step(engine.Configure{Config: cfg})
	for i := range kinds {
		appear(i, engine.IfID(i+1))
	}
	anyIf := func() engine.IfID {
		if rng.IntN(12) == 0 {
			return 0
		}
		if rng.IntN(20) == 0 {
			return 999
		}
		return current[rng.IntN(len(current))]
	}
	keys := []engine.Key{{}}
	for _, g := range []string{"239.1.1.1", "239.192.1.1"} {
		keys = append(keys, engine.StarG(netip.MustParseAddr(g)))
		for _, s := range []string{"10.0.1.1", "10.0.2.1"} {
			keys = append(keys, engine.SG(netip.MustParseAddr(s), netip.MustParseAddr(g)))
		}
	}
	for range 300 {
		for range 1 + rng.IntN(4) {
			k := keys[rng.IntN(len(keys))]
			who := protocols[rng.IntN(len(protocols))]
			switch rng.IntN(9) {
			case 0, 1, 2:
				w := engine.Want{From: in.who(who), Key: k, In: anyIf(), Tap: rng.IntN(5) == 0}
				for range rng.IntN(4) {
					w.Out = append(w.Out, engine.Outgoing{If: anyIf(), Threshold: uint8(rng.IntN(3) * 6)})
					w.Accept = append(w.Accept, anyIf())
				}
				if rng.IntN(6) == 0 {
					w.Encap = []engine.Encap{{Kind: engine.EncapRegister}}
				}
				if rng.IntN(6) == 0 {
					w.Negative = "why not"
				}
				// The first time that packets have to come up the register interface gets its VIF.
				o.register = o.register || w.Tap || len(w.Encap) > 0 || !k.Source.IsValid()
				if o.wants[k] == nil {
					o.wants[k] = make(map[string]engine.Want)
				}
				o.wants[k][who] = w
				step(w)
			case 3:
				delete(o.wants[k], who)
				step(engine.Unwant{From: in.who(who), Key: k})
			case 4:
				if k.Source.IsValid() {
					o.rpf[k.Source] = anyIf()
					step(pathTo(k.Source, o.rpf[k.Source]))
				}
			case 5:
				if rng.IntN(6) > 0 {
					break
				}
				i := rng.IntN(len(kinds))
				id := current[i]
				delete(o.owner, id)
				delete(o.second, id)
				for _, wants := range o.wants {
					for who, w := range wants {
						if w.In == id {
							delete(wants, who)
						}
					}
				}
				step(engine.InterfaceChange{Interface: engine.Interface{ID: id}, Gone: true})
				appear(i, id+engine.IfID(len(kinds)))
			case 6:
				if _, ok := plane.rows[k]; ok { // somebody deletes it, and the check of counters finds out
					delete(plane.rows, k)
					step(engine.Counters{Rows: []engine.RowCounters{{Key: k, Missing: true}}})
				}
			case 8:
				if g := k.Group; g.IsValid() {
					if o.interest[g] == nil {
						o.interest[g] = make(map[string]bool)
					}
					o.interest[g][who] = rng.IntN(2) == 0
					step(engine.Interest{From: in.who(who), Group: g, Wanted: o.interest[g][who]})
				}
			case 7:
				for v, id := range plane.vifs { // ... or a packet does
					if _, ok := plane.rows[k]; ok && k.Source.IsValid() && id == current[0] {
						delete(plane.rows, k)
						step(engine.Upcall{Kind: engine.NoCache, VIF: v, Src: k.Source, Dst: k.Group})
					}
				}
			}
		}
		// A VIF that is released may go to another interface, whose rows are written after a pause, and a new owner has 50 ms
		// to say where the packets come in now.
		for range 8 {
			step(engine.Settled{})
			now = now.Add(10 * time.Millisecond)
		}
		for _, k := range keys {
			got, want := plane.text(k), o.row(k)
			// What cannot be installed may be negative for a while, for an upcall had to be answered; and an upcall
			// tells the incoming interface of a negative entry that has none.
			if got == want || (want == "" || want == "in 0 out []") && strings.HasSuffix(got, "out []") {
				continue
			}
			t.Fatalf("row of %v\ngot  %q\nwant %q\nwants %+v\nrpf %d of %v\n%s", k, got, want, o.wants[k], o.rpf[k.Source], o.owner,
				printAll(m.Step(now, engine.Query{What: "entries", Arg: k.Group.String()})))
		}
		for _, k := range keys {
			owner := o.ownerOf(k)
			switch {
			case k.Source.IsValid() && owner != "" && len(o.wants[k]) > 0:
				if _, wanted := o.wants[k][owner]; (wanted || o.others(k, owner)) && told[k][owner] != o.others(k, owner) {
					t.Fatalf("%s, the owner of %v, was told %v of the others; wants %+v", owner, k, told[k][owner], o.wants[k])
				}
			case !k.Source.IsValid() && k.Group.IsValid():
				for _, who := range protocols {
					if told[k][who] != o.others(k, who) {
						t.Fatalf("%s was told %v of the others' interest in %v; wants %+v, interest %v", who, told[k][who], k, o.wants[k], o.interest[k.Group])
					}
				}
			}
		}
		if e := m.Step(now, engine.Settled{}); len(e) > 0 {
			t.Fatalf("settled twice, and yet: %s", printAll(e))
		}
		now = now.Add(time.Second)
	}
}

func pathTo(s netip.Addr, id engine.IfID) engine.Path {
	p := engine.Path{Addr: s}
	if id != 0 {
		p.Hops = []engine.NextHop{{If: id}}
	}
	return p
}
