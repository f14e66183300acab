package router

import (
	"fmt"

	"grove/internal/engine"
)

// route stamps an effect with its sender and hands it to whom it concerns.
func (r *Router) route(from *slot, eff engine.Effect, parent int) {
	id := from.id
	switch e := eff.(type) {
	// For the outside.
	case engine.Send, engine.HostGroup, engine.SetVIF, engine.SetRows, engine.ReadCounters,
		engine.Listen, engine.OpenStream, engine.WriteStream, engine.CloseStream:
		r.emit(id, eff)
	case engine.Inject:
		if id.Protocol == engine.MFIB {
			r.emit(id, eff)
		} else {
			e.From = id
			r.serve(from, engine.MFIB, e, parent)
		}
	case engine.Answer:
		e.From = id
		r.emit(id, e)
	case engine.Transition:
		e.From = id
		r.emit(id, e)
	case engine.Note:
		e.From = id
		r.emit(id, e)

	// For the machine that serves all of this family and table.
	case engine.Want:
		e.From = id
		r.serve(from, engine.MFIB, e, parent)
	case engine.Unwant:
		e.From = id
		r.serve(from, engine.MFIB, e, parent)
	case engine.Decline:
		e.From = id
		r.serve(from, engine.MFIB, e, parent)
	case engine.Revisit:
		e.From = id
		r.serve(from, engine.MFIB, e, parent)
	case engine.Wildcard:
		e.From = id
		r.serve(from, engine.MFIB, e, parent)
	case engine.Interest:
		e.From = id
		r.serve(from, engine.MFIB, e, parent)
	case engine.MRIBRoute:
		e.From = id
		r.emit(id, e) // BGP, which is outside, may redistribute it
		r.serve(from, engine.RIB, e, parent)
	case engine.Track:
		e.From = id
		r.serve(from, engine.RIB, e, parent)
	case engine.Untrack:
		e.From = id
		r.serve(from, engine.RIB, e, parent)
	case engine.Subscribe:
		e.From = id
		r.serve(from, engine.IGMP, e, parent)
	case engine.SourceActive:
		e.From = id
		r.serve(from, engine.MSDP, e, parent)
	case engine.SourcesWanted:
		e.From = id
		r.serve(from, engine.MSDP, e, parent)
	case engine.GroupModes:
		e.From = id
		r.serve(from, engine.MFIB, e, parent)
		r.serve(from, engine.PIMDM, e, parent)

	// For the machine that it names.
	case engine.Membership:
		r.address(from, e.To, e, parent)
	case engine.RemoteSource:
		r.address(from, e.To, e, parent)
	case engine.Path:
		r.address(from, e.To, e, parent)
	case engine.Creation:
		r.address(from, e.To, e, parent)
	case engine.WrongInterface:
		r.address(from, e.To, e, parent)
	case engine.WholePacket:
		r.address(from, e.To, e, parent)
	case engine.Activity:
		r.address(from, e.To, e, parent)
	case engine.Alert:
		r.address(from, e.To, e, parent)
	case engine.Deletion:
		r.address(from, e.To, e, parent)
	case engine.OwnerChanged:
		r.address(from, e.To, e, parent)
	case engine.Installed:
		r.address(from, e.To, e, parent)
	case engine.Failed:
		r.address(from, e.To, e, parent)
	default:
		r.fault(fmt.Sprintf("%v: no route for effect %T", id, eff), parent)
	}
}

// serve posts ev to the machine of protocol p that has the sender's family and table. Without one nobody is concerned.
func (r *Router) serve(from *slot, p engine.Protocol, ev engine.Event, parent int) {
	to := from.id
	to.Protocol = p
	if s := r.find(to); s != nil && s != from {
		r.post(s, from.id, ev, parent)
	}
}

// address posts ev to the machine it names; to every protocol of the family and table if it names none. An addressee
// that is gone is not a fault: its last messages may still be under way.
func (r *Router) address(from *slot, to engine.MachineID, ev engine.Event, parent int) {
	if to != (engine.MachineID{}) {
		if s := r.find(to); s != nil && s != from {
			r.post(s, from.id, ev, parent)
		}
		return
	}
	for _, s := range r.machines {
		if s != from && s.id.Family == from.id.Family && s.id.Table == from.id.Table && !serves(s.id.Protocol) {
			r.post(s, from.id, ev, parent)
		}
	}
}

// serves says whether p serves the multicast routing protocols rather than being one.
func serves(p engine.Protocol) bool {
	return p == engine.MFIB || p == engine.IGMP || p == engine.RIB
}
