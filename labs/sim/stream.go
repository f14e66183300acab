package sim

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"grove/internal/engine"
)

// This file models TCP between routers. A stream's bytes go by the unicast routes that there are when they leave, with the
// delay of the links on the way, a window at a time: the next leaves when the answer to the last has come back. What finds
// no way, there or back, is tried again every second, so bytes come in order and once, late, or never.

const (
	streamWindow  = 64 << 10
	retransmit    = time.Second
	connectTries  = 127 // seconds that Linux goes on trying to connect (tcp_syn_retries)
	transmitTries = 924 // and to send what is not answered (tcp_retries2)
	closeTries    = 5   // and daemon/host after CloseStream
	firstAccepted = engine.StreamID(1) << 63
)

// streamEnd is one end of a stream.
type streamEnd struct {
	router        *Router
	life          int // of the router: after a restart it knows nothing of the stream
	owner         engine.MachineID
	id            engine.StreamID
	peer          engine.StreamPeer
	local, remote netip.AddrPort
	accepted      bool
	far           *streamEnd // nil: nobody answered yet
	opened        bool       // and the machine knows
	closing       bool       // the machine closed it, and what it wrote is still to leave
	ended         bool

	waiting []byte  // was written and did not leave
	flight  *flight // left and was not answered
	tries   int
}

// flight is a window under way.
type flight struct {
	data      []byte
	fin       bool // the end of the stream
	delivered bool
}

type streamKey struct {
	owner engine.MachineID
	id    engine.StreamID
}

// listening is a port on which a machine accepts streams.
type listening struct {
	owner engine.MachineID
	port  uint16
	peers []engine.StreamPeer
}

func (e *streamEnd) gone() bool { return e.ended || e.life != e.router.life }

// tell tells the machine something of its stream.
func (e *streamEnd) tell(ev engine.Event) {
	if !e.closing && !e.gone() {
		e.router.feed(engine.Addressed{To: e.owner, Event: ev})
	}
}

// lost ends the stream for a reason that is told.
func (e *streamEnd) lost(why string) {
	if e.gone() {
		return
	}
	if e.opened || !e.accepted {
		e.tell(engine.StreamClosed{ID: e.id, Err: why})
	}
	e.forget()
}

func (e *streamEnd) forget() {
	e.ended = true
	delete(e.router.streams, streamKey{e.owner, e.id})
}

// listen is engine.Listen.
func (r *Router) listen(from engine.MachineID, l engine.Listen) {
	r.listens = slices.DeleteFunc(r.listens, func(o listening) bool { return o.owner == from && o.port == l.Port })
	if len(l.Peers) > 0 {
		r.listens = append(r.listens, listening{from, l.Port, l.Peers})
	}
}

// openStream is engine.OpenStream.
func (r *Router) openStream(from engine.MachineID, o engine.OpenStream) {
	e := &streamEnd{router: r, life: r.life, owner: from, id: o.ID, peer: o.Peer, remote: netip.AddrPortFrom(o.Peer.Remote, o.Port)}
	r.streams[streamKey{from, o.ID}] = e
	out, _ := r.nextHop(o.Peer.Remote)
	own := r.node.localPort(o.Peer.Remote) != nil
	local := o.Peer.Local
	switch {
	case local.IsValid():
	case own:
		local = o.Peer.Remote
	case out != nil:
		local = out.Addr(engine.FamilyOf(o.Peer.Remote))
	}
	switch {
	case local.IsValid() && r.node.localPort(local) == nil:
		e.lost(fmt.Sprintf("connect from %v: cannot assign requested address", local))
		return
	case !local.IsValid(), out == nil && !own:
		e.lost("connect: network is unreachable")
		return
	}
	r.ephemeral++
	e.local = netip.AddrPortFrom(local, 32768+r.ephemeral%28232) // as Linux numbers them
	e.connect()
}

// writeStream is engine.WriteStream.
func (r *Router) writeStream(from engine.MachineID, w engine.WriteStream) {
	if e := r.streams[streamKey{from, w.ID}]; e != nil {
		e.waiting = append(e.waiting, w.Data...)
		e.pump()
	}
}

// closeStream is engine.CloseStream.
func (r *Router) closeStream(from engine.MachineID, c engine.CloseStream) {
	e := r.streams[streamKey{from, c.ID}]
	if e == nil {
		return
	}
	delete(r.streams, streamKey{from, c.ID})
	if c.Reset || !e.opened {
		e.reset()
		return
	}
	e.closing = true
	e.pump()
	r.node.sim.After(closeTries*retransmit, func() {
		if !e.gone() {
			e.reset()
		}
	})
}

// reset ends the stream. The far end hears of it if there is a way.
func (e *streamEnd) reset() {
	if e.far != nil {
		e.carry(func() { e.far.lost("read: connection reset by peer") })
	}
	e.forget()
}

// streamPath follows the unicast routes to the router that has dst: the delay, and how many routers take one of the TTL.
func (r *Router) streamPath(dst netip.Addr) (to *Router, delay int64, routers int, ok bool) {
	for range maxHops {
		if r.node.localPort(dst) != nil {
			return r, delay, max(routers-1, 0), true
		}
		out, gateway := r.nextHop(dst)
		if out == nil || !out.live {
			return nil, 0, 0, false
		}
		var next *Router
		if out.tunnel != nil {
			end, d, _, there := r.streamPath(out.tunnel.Remote)
			if !there || out.tunnel.looped || !end.hasTunnel(out.tunnel.Remote, out.tunnel.Local) {
				return nil, 0, 0, false
			}
			next, delay = end, delay+d
		} else {
			p := out.link.owner(gateway, out)
			if p == nil || !p.live || p.node.router == nil {
				return nil, 0, 0, false
			}
			next, delay = p.node.router, delay+out.link.delay
		}
		r = next
		routers++
	}
	return nil, 0, 0, false
}

// hasTunnel says whether a router has the end of a tunnel.
func (r *Router) hasTunnel(local, remote netip.Addr) bool {
	return slices.ContainsFunc(r.node.ports, func(p *Port) bool {
		return p != nil && p.tunnel != nil && p.live && p.tunnel.Local == local && p.tunnel.Remote == remote
	})
}

// carry calls f when something that leaves now has reached the far end. It does not if there is no way, now or when it
// arrives, or if the far end drops what comes from so far away (RFC 5082).
func (e *streamEnd) carry(f func()) {
	to, delay, _, ok := e.router.streamPath(e.remote.Addr())
	if !ok {
		return
	}
	e.router.node.sim.After(time.Duration(delay), func() {
		now, _, routers, ok := e.router.streamPath(e.remote.Addr())
		if !ok || now != to || e.far != nil && e.far.router == to && e.ttl(routers) < int(e.far.peer.MinTTL) {
			return
		}
		f()
	})
}

// ttl returns what a segment's TTL is behind routers.
func (e *streamEnd) ttl(routers int) int {
	if e.peer.MinTTL > 0 {
		return 255 - routers
	}
	return 64 - routers
}

// connect asks the far end to open the stream, again and again.
func (e *streamEnd) connect() {
	if e.gone() || e.opened {
		return
	}
	if e.tries++; e.tries > connectTries {
		e.lost("connect: connection timed out")
		return
	}
	e.carry(e.request)
	e.router.node.sim.After(retransmit, e.connect)
}

// request is the first segment of a stream at the router that it reached.
func (e *streamEnd) request() {
	to, _, routers, _ := e.router.streamPath(e.remote.Addr())
	if e.gone() {
		return
	}
	refuse := func(why string) {
		back := streamEnd{router: to, remote: e.local, local: e.remote}
		back.carry(func() {
			if !e.opened {
				e.lost(why)
			}
		})
	}
	if e.far != nil && !e.far.gone() {
		e.far.carry(e.answered) // the answer was lost
		return
	}
	i := slices.IndexFunc(to.listens, func(l listening) bool {
		return l.port == e.remote.Port() && l.owner.Family == engine.FamilyOf(e.remote.Addr())
	})
	if i < 0 {
		refuse("connect: connection refused")
		return
	}
	secret, found := "", -1
	for n, p := range to.listens[i].peers {
		if p.Remote == e.local.Addr() {
			secret = p.Secret
			if !p.Local.IsValid() || p.Local == e.remote.Addr() {
				found = n
				break
			}
		}
	}
	switch {
	case secret != e.peer.Secret: // nobody answers what is signed otherwise
		return
	case found < 0:
		refuse("connect: connection reset by peer")
		return
	}
	peer := to.listens[i].peers[found]
	if e.ttl(routers) < int(peer.MinTTL) {
		return
	}
	far := &streamEnd{
		router: to, life: to.life, owner: to.listens[i].owner, id: firstAccepted + engine.StreamID(to.accepted), peer: peer,
		local: e.remote, remote: e.local, accepted: true, far: e,
	}
	to.accepted++
	to.streams[streamKey{far.owner, far.id}] = far
	e.far = far
	far.carry(e.answered)
}

// answered is the answer to the first segment.
func (e *streamEnd) answered() {
	switch {
	case e.gone():
		e.far.bounced(e)
	case !e.opened:
		e.tries = 0
		e.open()
		e.confirm()
	}
}

// confirm tells the far end that the stream is open, until it knows.
func (e *streamEnd) confirm() {
	if e.gone() || e.far.opened || e.far.gone() {
		return
	}
	e.carry(e.far.open)
	e.router.node.sim.After(retransmit, e.confirm)
}

// open tells the machine that the stream is there, once.
func (e *streamEnd) open() {
	if e.opened || e.gone() {
		return
	}
	e.opened = true
	e.router.node.sim.tracef("%s stream %v > %v accepted=%v", e.router.node.name, e.local, e.remote, e.accepted)
	e.tell(engine.StreamOpened{ID: e.id, Accepted: e.accepted, Local: e.local, Remote: e.remote})
	e.pump()
}

// bounced: what this end sent reached a router that knows of no such stream, from, which answers with a reset.
func (e *streamEnd) bounced(from *streamEnd) {
	from.carry(func() { e.lost("read: connection reset by peer") })
}

// pump sends the next window if the last was answered, and at last the end.
func (e *streamEnd) pump() {
	if e.gone() || !e.opened || e.flight != nil {
		return
	}
	switch n := min(len(e.waiting), streamWindow); {
	case n > 0:
		e.flight = &flight{data: bytes.Clone(e.waiting[:n])}
		e.waiting = e.waiting[n:]
		if len(e.waiting) == 0 {
			e.waiting = nil
		}
		e.tell(engine.StreamWritten{ID: e.id, Waiting: len(e.waiting)})
	case e.closing:
		e.flight = &flight{fin: true}
	default:
		return
	}
	e.tries = 0
	e.transmit(e.flight)
}

// transmit sends a window, again and again until it is answered.
func (e *streamEnd) transmit(f *flight) {
	if e.gone() || e.flight != f {
		return
	}
	if e.tries++; e.tries > transmitTries {
		e.lost("read: connection timed out")
		return
	}
	e.carry(func() { e.far.receive(f) })
	e.router.node.sim.After(retransmit, func() { e.transmit(f) })
}

// receive takes a window of the far end, and answers it.
func (e *streamEnd) receive(f *flight) {
	if e.gone() && !f.delivered {
		e.far.bounced(e)
		return
	}
	if !f.delivered {
		f.delivered = true
		e.open()
		if f.fin {
			e.lost("")
		} else {
			e.tell(engine.StreamData{ID: e.id, Data: f.data})
		}
	}
	e.carry(func() { e.far.acknowledged(f) })
}

// acknowledged is the answer to a window.
func (e *streamEnd) acknowledged(f *flight) {
	if e.gone() || e.flight != f {
		return
	}
	e.flight = nil
	if f.fin {
		e.forget()
		return
	}
	e.pump()
}
