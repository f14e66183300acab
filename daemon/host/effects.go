package host

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"time"

	"grove/internal/engine"
	"grove/internal/ip"
)

var noAddr netip.Addr

// perform carries out an effect.
func (h *Host) perform(now time.Time, out *engine.Outward) {
	switch eff := out.Effect.(type) {
	case engine.Send:
		h.outbox = append(h.outbox, posted{out.From, eff})
	case engine.HostGroup:
		h.hostGroup(out.From, eff)
	case engine.SetVIF:
		h.setVIF(out.From, eff)
	case engine.SetRows:
		if p := h.drivers.planes[out.From]; p != nil {
			for _, failed := range p.table.SetRows(eff.Rows) {
				h.feedback = append(h.feedback, engine.Addressed{To: out.From, Event: failed})
			}
		}
	case engine.ReadCounters:
		if p := h.drivers.planes[out.From]; p != nil {
			rows := p.table.ReadCounters(eff.Keys)
			h.feedback = append(h.feedback, engine.Addressed{To: out.From, Event: engine.Counters{Rows: rows}})
		}
	case engine.Inject:
		h.inject(out.From, &eff)
	case engine.Listen:
		h.streams.listen(out.From, eff)
	case engine.OpenStream:
		h.streams.open(out.From, eff)
	case engine.WriteStream:
		h.streams.write(out.From, eff)
	case engine.CloseStream:
		h.streams.close(out.From, eff)
	case engine.MRIBRoute:
		h.contributed(&eff)
	case engine.Answer:
		if answer := h.answers[eff.ID]; answer != nil {
			answer <- eff
			delete(h.answers, eff.ID)
		}
	case engine.Transition:
		eff.From = out.From
		h.transition(now, &eff)
		h.publish(Event{Time: now, Interface: h.InterfaceName(eff.If), Effect: eff})
	case engine.Note:
		eff.From = out.From
		h.note(now, &eff)
		h.publish(Event{Time: now, Interface: h.InterfaceName(eff.If), Effect: eff})
	default:
		h.counts.Add("effects that the host does not know")
		h.warn(0, "effect %T of %v: the host does not know it", eff, out.From)
	}
}

// posted is a packet that waits until the batch is settled.
type posted struct {
	from engine.MachineID
	send engine.Send
}

// post sends what the machines said in a batch, after the tables are written. A Join that leaves before its row is
// there brings packets that the row before it misleads.
func (h *Host) post() {
	for i := range h.outbox {
		h.send(h.outbox[i].from, &h.outbox[i].send)
	}
	clear(h.outbox)
	h.outbox = h.outbox[:0]
}

// send sends a packet. That it fails is the network's way of losing it: it is counted, and said at Debug level, except
// for what only a person can mend.
func (h *Host) send(from engine.MachineID, m *engine.Send) {
	index := 0
	gone := false // the address that it is to come from
	if m.If != 0 {
		i := h.view.byID[m.If]
		if i == nil {
			h.counts.Add("not sent: the interface is gone")
			return
		}
		index = i.index
		gone = m.Src.IsValid() && !i.HasAddr(m.Src)
	}
	s := h.drivers.sockets[socketKey{from.Family, m.Proto}]
	if s == nil {
		h.counts.Add("not sent: no socket")
		return
	}
	err := s.send(index, m)
	if err != nil && gone && m.Dst.IsMulticast() {
		// The goodbye of an address that is no longer ours (RFC 7761, section 4.3.1). The kernel does not speak for it, but
		// it sends a packet that has its IP header.
		whole := ip.Packet{
			Src: m.Src, Dst: m.Dst, Proto: m.Proto, TTL: m.TTL, TOS: m.TOS, RouterAlert: m.RouterAlert, Payload: m.Payload,
		}
		if p := h.drivers.planes[engine.MachineID{Protocol: engine.MFIB, Family: from.Family, Table: from.Table}]; p != nil {
			err = p.table.Inject([]int{index}, whole.Append(nil))
		}
	}
	if err == nil {
		h.counts.Add("sent packets")
		return
	}
	level := engine.Debug
	var errno syscall.Errno
	if errors.As(err, &errno) {
		h.counts.Add("not sent: " + errno.Error())
		if errno == syscall.EPERM || errno == syscall.EMSGSIZE {
			level = engine.Warning
		}
	}
	h.say(engine.Note{From: from, Level: level, If: m.If, Neighbor: m.Dst, Text: err.Error()})
}

// hostGroup joins or leaves a group for a machine.
func (h *Host) hostGroup(from engine.MachineID, g engine.HostGroup) {
	w, set, i := wish{g.If, g.Group}, h.drivers.groups[from.Family], h.view.byID[g.If]
	if !g.Member {
		delete(h.drivers.wanted, w)
		if set != nil && i != nil {
			set.leave(membership{i.index, g.Group})
		}
		return
	}
	h.drivers.wanted[w] = true
	h.join(w)
}

func (h *Host) join(w wish) {
	set, i := h.drivers.groups[engine.FamilyOf(w.group)], h.view.byID[w.ifc]
	if set == nil || i == nil {
		return
	}
	if err := set.join(membership{i.index, w.group}); err != nil {
		h.say(engine.Note{Level: engine.Warning, If: w.ifc, Key: engine.StarG(w.group), Text: err.Error()})
	}
}

// joinAgain makes the memberships that could not be made when they were asked for, say because IPv6 was off.
func (h *Host) joinAgain() {
	for w := range h.drivers.wanted {
		h.join(w)
	}
}

// meet notes a new or changed interface.
func (h *Host) meet(i *engine.Interface) {
	h.namesMu.Lock()
	_, known := h.names[i.ID]
	h.names[i.ID] = i.Name
	h.namesMu.Unlock()
	if !known && h.keeper.configured[i.Name] != nil {
		h.filter(i)
	}
}

// forget drops what the host holds for an interface that is gone.
func (h *Host) forget(id engine.IfID) {
	for _, set := range h.drivers.groups {
		set.forget(h.view.byID[id].index)
	}
	h.view.forget(id)
	for w := range h.drivers.wanted {
		if w.ifc == id {
			delete(h.drivers.wanted, w)
		}
	}
}

func (h *Host) setVIF(from engine.MachineID, v engine.SetVIF) {
	p := h.drivers.planes[from]
	if p == nil {
		return
	}
	index := 0
	if i := h.view.byID[v.If]; i != nil {
		index = i.index
	}
	err := error(nil)
	if index == 0 && !v.Register && !v.Gone {
		err = fmt.Errorf("host: vif %d: the interface is gone", v.VIF)
	} else {
		err = p.table.SetVIF(v, index)
	}
	if err != nil {
		failed := engine.RowFailed{VIF: v.VIF, OfVIF: true, Err: err.Error()}
		h.feedback = append(h.feedback, engine.Addressed{To: from, Event: failed})
	}
}

func (h *Host) inject(from engine.MachineID, j *engine.Inject) {
	id := engine.MachineID{Protocol: engine.MFIB, Family: from.Family, Table: from.Table}
	p := h.drivers.planes[id]
	if p == nil {
		h.counts.Add("not injected: no multicast table")
		return
	}
	var indexes []int
	for _, out := range j.Out {
		if i := h.view.byID[out]; i != nil {
			indexes = append(indexes, i.index)
		}
	}
	if err := p.table.Inject(indexes, j.Packet); err != nil {
		h.counts.Add("not injected: the kernel refused")
		h.say(engine.Note{From: from, Level: engine.Debug, Text: err.Error()})
		return
	}
	h.counts.Add("injected packets")
}
