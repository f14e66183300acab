package invariant

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"grove/daemon/router"
	"grove/internal/engine"
	"grove/msdp"
	"grove/msdp/wire"
)

// misread is a router that reads its MSDP configuration wrongly.
type misread struct {
	engine.Machine
	edit func(*msdp.Config)
}

func (m *misread) Step(now time.Time, ev engine.Event) []engine.Effect {
	if c, ok := ev.(engine.Configure); ok {
		machines := maps.Clone(c.Config.(router.Config).Machines)
		id := engine.MachineID{Protocol: engine.MSDP, Family: engine.IPv4}
		if mc, ok := machines[id].(msdp.Config); ok {
			mc.Peers = slices.Clone(mc.Peers)
			m.edit(&mc)
			machines[id] = mc
			ev = engine.Configure{To: c.To, Config: router.Config{Machines: machines}}
		}
	}
	return m.Machine.Step(now, ev)
}

func misreading(edit func(*msdp.Config)) func(engine.Machine) engine.Machine {
	return func(m engine.Machine) engine.Machine { return &misread{m, edit} }
}

// editSAs returns a wrapper whose routers edit Source-Active messages before they say them: what is left of the entries.
func editSAs(edit func() func(now time.Time, sa *wire.SourceActive)) func(engine.Machine) engine.Machine {
	return func(m engine.Machine) engine.Machine {
		change := edit()
		t := &tamper{Machine: m}
		t.out = func(eff engine.Effect) (engine.Effect, bool) {
			w, ok := eff.(engine.WriteStream)
			if !ok {
				return eff, true
			}
			var r wire.Reader
			r.Feed(w.Data)
			var data []byte
			for {
				b, err := r.Next()
				if err != nil {
					panic(err)
				}
				if b == nil {
					w.Data = data
					return w, len(data) > 0
				}
				msg, err := wire.Parse(b)
				if err != nil {
					panic(err)
				}
				if sa, ok := msg.(*wire.SourceActive); ok {
					if change(t.now, sa); len(sa.Entries) == 0 {
						continue
					}
				}
				if data, err = msg.Append(data); err != nil {
					panic(err)
				}
			}
		}
		return t
	}
}

// told is an entry of a message.
type told struct {
	rp   netip.Addr
	flow engine.Key
}

var msdpBugs = []bug{
	// What comes from a member of a mesh group is not checked, and goes on to all other groups: so a group of each peer's own
	// is the fault of a router that does not check, or does not know where a message came from.
	{name: "no peer-RPF check", want: "flood", wrap: misreading(func(c *msdp.Config) {
		for i := range c.Peers {
			if p := &c.Peers[i]; p.MeshGroup == "" {
				p.MeshGroup = "alone with " + p.Address.String()
			}
		}
	})},
	{name: "forwards within the mesh group", want: "flood", wrap: misreading(func(c *msdp.Config) {
		for i := range c.Peers {
			if p := &c.Peers[i]; p.MeshGroup != "" {
				p.MeshGroup = "alone with " + p.Address.String()
			}
		}
	})},
	{name: "mesh group unknown", want: "unknown", wrap: misreading(func(c *msdp.Config) {
		for i := range c.Peers {
			c.Peers[i].MeshGroup = ""
		}
	})},
	{name: "forwards no more than its own", want: "unknown", wrap: misreading(func(c *msdp.Config) {
		for i := range c.Peers {
			p := &c.Peers[i]
			p.MeshGroup = "all"
		}
	})},
	{name: "new source only with the next period", want: "unknown", wrap: editSAs(func() func(time.Time, *wire.SourceActive) {
		first := make(map[told]time.Time)
		return func(now time.Time, sa *wire.SourceActive) {
			sa.Entries = slices.DeleteFunc(sa.Entries, func(e wire.Entry) bool {
				k := told{sa.RP, engine.SG(e.Source, e.Group)}
				if first[k].IsZero() {
					first[k] = now
				}
				return now.Sub(first[k]) < soon
			})
			sa.Data = nil
		}
	})},
	{name: "told once, and not again", want: "unknown", wrap: editSAs(func() func(time.Time, *wire.SourceActive) {
		first := make(map[told]time.Time)
		return func(now time.Time, sa *wire.SourceActive) {
			sa.Entries = slices.DeleteFunc(sa.Entries, func(e wire.Entry) bool {
				k := told{sa.RP, engine.SG(e.Source, e.Group)}
				if first[k].IsZero() {
					first[k] = now
				}
				return now.Sub(first[k]) > advertised/2
			})
		}
	})},
	{name: "tells of silent sources for ever", want: "flood", wrap: editSAs(func() func(time.Time, *wire.SourceActive) {
		known := make(map[netip.Addr][]wire.Entry)
		return func(_ time.Time, sa *wire.SourceActive) {
			for _, e := range sa.Entries {
				if !slices.Contains(known[sa.RP], e) {
					known[sa.RP] = append(known[sa.RP], e)
				}
			}
			sa.Entries, sa.Data = slices.Clone(known[sa.RP]), nil
		}
	})},
	{name: "cache never expires", want: "state", wrap: misreading(func(c *msdp.Config) { c.SGState = 1000 * time.Hour })},
	{name: "one group is not told of", want: "unknown", wrap: misreading(func(c *msdp.Config) {
		c.Originate = msdp.Filter{{Deny: true, Group: netip.MustParsePrefix("239.1.1.2/32")}, {}}
	})},
	{name: "no second connection", want: "unknown", wrap: func(m engine.Machine) engine.Machine {
		opened := make(map[netip.Addr]bool)
		return &tamper{Machine: m, out: func(eff engine.Effect) (engine.Effect, bool) {
			o, ok := eff.(engine.OpenStream)
			if !ok {
				return eff, true
			}
			again := opened[o.Peer.Remote]
			opened[o.Peer.Remote] = true
			return eff, !again
		}}
	}},
}
