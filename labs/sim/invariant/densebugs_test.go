package invariant

import (
	"math"
	"slices"
	"time"

	dvmrp "grove/dvmrp/wire"
	"grove/internal/engine"
	"grove/internal/pim/wire"
)

// sayPIM returns a wrapper whose routers edit PIM messages before they say them, or do not say them.
func sayPIM(edit func(wire.Message) bool) func(engine.Machine) engine.Machine {
	return func(m engine.Machine) engine.Machine { return &tamper{Machine: m, out: editPIM(edit)} }
}

// deafTo returns a wrapper whose routers do not hear of some packets.
func deafTo(deaf func(engine.Packet) bool) func(engine.Machine) engine.Machine {
	return func(m engine.Machine) engine.Machine {
		return &tamper{Machine: m, in: func(ev engine.Event) bool {
			a, ok := ev.(engine.Addressed)
			if !ok {
				return true
			}
			p, ok := a.Event.(engine.Packet)
			return !ok || !deaf(p)
		}}
	}
}

// deafToHosts: what hosts want is not heard of, or not minded.
var deafToHosts = deafTo(func(p engine.Packet) bool {
	const dvmrpType = 0x13
	return p.Proto == engine.ProtoICMPv6 || p.Proto == engine.ProtoIGMP && p.Payload[0] != dvmrpType
})

// onlyFirst drops messages that repeat one of the last minute, of those that it is asked of.
func onlyFirst(concerned func(engine.Send) bool) func(engine.Machine) engine.Machine {
	return func(m engine.Machine) engine.Machine {
		t := &tamper{Machine: m}
		last := make(map[string]time.Time)
		t.out = func(eff engine.Effect) (engine.Effect, bool) {
			s, ok := eff.(engine.Send)
			if !ok || !concerned(s) {
				return eff, true
			}
			key := s.Dst.String() + string(s.Payload)
			before := last[key]
			last[key] = t.now
			return eff, t.now.Sub(before) > time.Minute
		}
		return t
	}
}

// ofType says whether a packet is a PIM message of a type.
func ofType(proto uint8, payload []byte, typ wire.Type) bool {
	return proto == engine.ProtoPIM && wire.Type(payload[0]&0xf) == typ
}

// place is an interface and a flow there.
type place struct {
	key engine.Key
	id  engine.IfID
}

// loserForwards has a router that lost an Assert go on forwarding.
func loserForwards(m engine.Machine) engine.Machine {
	lost := make(map[place]bool)
	t := forwardMore(m, func(p place) bool { return lost[p] })
	edit := t.out
	t.out = func(eff engine.Effect) (engine.Effect, bool) {
		if e, ok := eff.(engine.Transition); ok && e.Entity == "assert (S,G)" {
			lost[place{e.Key, e.If}] = e.New == "I am Assert Loser"
		}
		return edit(eff)
	}
	return t
}

// everywhere has a router that forwards a flow forward it on all interfaces.
func everywhere(m engine.Machine) engine.Machine {
	return forwardMore(m, func(place) bool { return true })
}

// forwardMore has a router that forwards a flow forward it on more interfaces.
func forwardMore(m engine.Machine, more func(place) bool) *tamper {
	vifs := make(map[engine.IfID]engine.VIF)
	return &tamper{Machine: m, out: func(eff engine.Effect) (engine.Effect, bool) {
		switch e := eff.(type) {
		case engine.SetVIF:
			if !e.Gone {
				vifs[e.If] = e.VIF
			}
		case engine.SetRows:
			rows := slices.Clone(e.Rows)
			for n := range rows {
				r := &rows[n]
				for id, v := range vifs {
					if !r.Gone && v != r.Parent && r.TTL != (engine.Row{}).TTL && more(place{r.Key, id}) {
						r.TTL[v] = 1
					}
				}
			}
			return engine.SetRows{Rows: rows}, true
		}
		return eff, true
	}}
}

// ackItself has a router take every Graft that it sends for acknowledged.
func ackItself(m engine.Machine) engine.Machine {
	t := &tamper{Machine: m}
	t.out = func(eff engine.Effect) (engine.Effect, bool) {
		s, ok := eff.(engine.Send)
		if !ok || !ofType(s.Proto, s.Payload, wire.TypeGraft) {
			return eff, true
		}
		msg, err := wire.Parse(s.Payload, s.Src, s.Dst)
		if err != nil {
			panic(err)
		}
		ack := &wire.GraftAck{Upstream: s.Src, Groups: msg.(*wire.Graft).Groups}
		payload, err := wire.Encode(ack, s.Dst, s.Src)
		if err != nil {
			panic(err)
		}
		t.after = append(t.after, engine.Addressed{
			To: engine.MachineID{Family: engine.FamilyOf(s.Src)},
			Event: engine.Packet{
				If: s.If, Src: s.Dst, Dst: s.Src, Proto: engine.ProtoPIM, TTL: 1, Payload: payload,
			},
		})
		return eff, true
	}
	return t
}

// noRPFCheck has a router forward what comes in on a wrong interface, as often as the kernel tells of it: out of all others.
func noRPFCheck(m engine.Machine) engine.Machine {
	t := &tamper{Machine: m}
	vifs := make(map[engine.VIF]engine.IfID)
	t.in = func(ev engine.Event) bool {
		a, ok := ev.(engine.Addressed)
		if !ok {
			return true
		}
		u, ok := a.Event.(engine.Upcall)
		if !ok || u.Kind != engine.WrongVIFWhole {
			return true
		}
		var out []engine.IfID
		for v := range engine.VIF(engine.MaxVIFs) {
			if id, ok := vifs[v]; ok && v != u.VIF {
				out = append(out, id)
			}
		}
		t.more = append(t.more, engine.Outward{From: a.To, Effect: engine.Inject{Out: out, Packet: u.Packet}})
		return true
	}
	t.out = func(eff engine.Effect) (engine.Effect, bool) {
		if e, ok := eff.(engine.SetVIF); ok {
			if delete(vifs, e.VIF); !e.Gone && !e.Register {
				vifs[e.VIF] = e.If
			}
		}
		return eff, true
	}
	return t
}

var pimdmBugs = []bug{
	{name: "lost prune", want: "waste", wrap: func(m engine.Machine) engine.Machine {
		return &tamper{Machine: m, out: withoutPrunes(func(wire.Source) bool { return true })}
	}},
	{name: "no prune override", want: "black hole", wrap: sayPIM(func(m wire.Message) bool {
		jp, ok := m.(*wire.JoinPrune)
		return !ok || !slices.ContainsFunc(jp.Groups, func(g wire.GroupSet) bool { return len(g.Joined) > 0 })
	})},
	{name: "prune never ends", want: "stale prune", wrap: sayPIM(func(m wire.Message) bool {
		if jp, ok := m.(*wire.JoinPrune); ok {
			jp.Holdtime = wire.Forever
		}
		return true
	})},
	{name: "no Assert", want: "duplicate", wrap: sayPIM(func(m wire.Message) bool {
		switch m.(type) {
		case *wire.Assert, *wire.StateRefresh: // which is one, too
			return false
		}
		return true
	})},
	{name: "Assert loser forwards", want: "duplicate", wrap: loserForwards},
	{name: "lost Graft", want: "black hole", wrap: sayPIM(func(m wire.Message) bool { return m.Type() != wire.TypeGraft })},
	{name: "Graft not retried", want: "black hole", wrap: onlyFirst(func(s engine.Send) bool {
		return ofType(s.Proto, s.Payload, wire.TypeGraft)
	})},
	{name: "Graft-Ack not required", want: "black hole", wrap: ackItself},
	{name: "State Refresh does not keep prunes", want: "waste", wrap: sayPIM(func(m wire.Message) bool {
		if h, ok := m.(*wire.Hello); ok {
			h.Options = slices.DeleteFunc(h.Options, func(o wire.Option) bool {
				_, is := o.(wire.StateRefreshCapable)
				return is
			})
		}
		return true
	})},
	{name: "olist ignores members", want: "black hole", wrap: deafToHosts},
	{name: "no RPF check", want: "duplicate", wrap: noRPFCheck},
	{name: "missed RPF change", want: "black hole", wrap: missRPFChanges},
}

// editDVMRP returns an out of tamper that edits DVMRP messages; false: the message is not sent.
func editDVMRP(edit func(dvmrp.Message) bool) func(engine.Effect) (engine.Effect, bool) {
	return func(eff engine.Effect) (engine.Effect, bool) {
		s, ok := eff.(engine.Send)
		if !ok || s.Proto != engine.ProtoIGMP {
			return eff, true
		}
		h, m, err := dvmrp.Parse(s.Payload)
		if err != nil {
			return eff, true // IGMP's own
		}
		if !edit(m) {
			return nil, false
		}
		if s.Payload, err = dvmrp.Encode(h, m); err != nil {
			panic(err)
		}
		return s, true
	}
}

// sayDVMRP is sayPIM for DVMRP.
func sayDVMRP(edit func(dvmrp.Message) bool) func(engine.Machine) engine.Machine {
	return func(m engine.Machine) engine.Machine { return &tamper{Machine: m, out: editDVMRP(edit)} }
}

var dvmrpBugs = []bug{
	{name: "lost prune", want: "waste", wrap: sayDVMRP(func(m dvmrp.Message) bool { return m.Code() != dvmrp.CodePrune })},
	{name: "prune never ends", want: "stale prune", wrap: sayDVMRP(func(m dvmrp.Message) bool {
		if p, ok := m.(*dvmrp.Prune); ok {
			p.Lifetime = math.MaxUint32 * time.Second
		}
		return true
	})},
	{name: "lost Graft", want: "black hole", wrap: sayDVMRP(func(m dvmrp.Message) bool { return m.Code() != dvmrp.CodeGraft })},
	{name: "Graft not retried", want: "black hole", wrap: onlyFirst(func(s engine.Send) bool {
		_, m, err := dvmrp.Parse(s.Payload)
		return s.Proto == engine.ProtoIGMP && err == nil && m.Code() == dvmrp.CodeGraft
	})},
	{name: "no poison reverse", want: "black hole", wrap: sayDVMRP(func(m dvmrp.Message) bool {
		if r, ok := m.(*dvmrp.Report); ok {
			r.Routes = slices.DeleteFunc(r.Routes, func(rt dvmrp.Route) bool { return rt.Metric > dvmrp.Infinity })
			return len(r.Routes) > 0
		}
		return true
	})},
	{name: "olist ignores members", want: "black hole", wrap: deafToHosts},
	{name: "no designated forwarder", want: "duplicate", wrap: everywhere},
}
