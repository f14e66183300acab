package msdp

import (
	"net/netip"
	"time"

	"grove/internal/engine"
	"grove/msdp/wire"
)

// This file is the connection state machine of RFC 3618, section 11. Events E1 to E10 and actions A1 to A9 are named where
// they are.

// port is where the passive side listens.
const port = wire.Port

// State is a state of the connection state machine.
type State uint8

// The states of section 11.
const (
	Disabled State = iota
	Inactive
	Connecting
	Listen
	Established
)

// String returns the name that the RFC gives the state.
func (s State) String() string {
	return [...]string{"DISABLED", "INACTIVE", "CONNECTING", "LISTEN", "ESTABLISHED"}[s]
}

// peer is an MSDP peer.
type peer struct {
	m     *Machine
	cfg   PeerConfig
	state State
	since time.Time // of the state

	stream  engine.StreamID // 0: none
	retry   engine.Timer    // ConnectRetry
	hold    engine.Timer    // Hold Timer
	alive   engine.Timer    // KeepAlive
	reading engine.Timer    // the peer has to read by then
	slice   engine.Timer    // the next part of the cache is sent

	in       wire.Reader
	out      []byte // to be written at Settled
	flushing bool   // on the list of those that have something to write
	waiting  int    // bytes that were written and not read, as the driver last said

	sending *sa  // the next entry of the cache to be sent; nil: all are
	dumping dump // what sending walks through
	missed  bool // entries could not be sent: the cache is to be sent again
	bucket  bucket
	limited map[string]time.Time // when a limit was last said to the log

	cached    int            // entries of the cache that it told
	perSource map[uint32]int // of these, those of a source
	rps       int            // RPs that it was the first to name
	pathless  int            // its messages that wait for the path to their RP
	path      engine.Path

	resets    int
	lastReset string
	stats     stats
}

// stats are the counters of a peer that people look at.
type stats struct {
	messagesIn, messagesOut   uint64 // of all kinds
	sasIn, sasOut             uint64 // entries
	keepalivesIn              uint64
	keepalivesOut             uint64
	requestsIn, requestsOut   uint64
	responsesIn, responsesOut uint64
	notifications             uint64
	unknown                   uint64
	dataIn, dataOut           uint64 // encapsulated packets
	rpfFailures               uint64 // entries
	filteredIn, filteredOut   uint64
	overLimit, overRate       uint64
	notSent                   uint64 // the peer was slow to read
	dumps                     uint64 // of the whole cache
}

func (m *Machine) newPeer(pc *PeerConfig) *peer {
	p := &peer{m: m, cfg: *pc, since: m.now, limited: make(map[string]time.Time), perSource: make(map[uint32]int)}
	p.bucket = bucket{tokens: float64(pc.Burst), at: m.now}
	p.retry.Do = func(time.Time) { p.connectRetryTimerExpires() }
	p.hold.Do = func(time.Time) { p.reset(engine.Info, "Hold Timer expired") } // E8 -> A8
	p.alive.Do = func(time.Time) { p.sendKeepAlive() }
	p.reading.Do = func(time.Time) { p.reset(engine.Warning, "the peer does not read") }
	p.slice.Do = func(time.Time) { p.sendSlice() }
	m.peers[pc.Address] = p
	m.emit(engine.Track{Addr: pc.Address})
	return p
}

// reconfigure takes over a changed configuration. What a connection is made with cannot be changed under it.
func (p *peer) reconfigure(pc *PeerConfig) {
	m := p.m
	old := p.cfg
	p.cfg = *pc
	if old.transport() != pc.transport() && p.state != Disabled {
		p.disable("the configuration of the connection changed")
	}
	if pc.Disabled && p.state != Disabled {
		p.disable("disabled by configuration")
	}
	if old.Burst != pc.Burst {
		p.bucket = bucket{tokens: float64(pc.Burst), at: m.now}
	}
}

// remove ends a peer that is no longer configured. What it told stays until it times out.
func (p *peer) remove() {
	m := p.m
	p.disable("the peer is no longer configured")
	delete(m.peers, p.cfg.Address)
	if m.rps[p.cfg.Address] == nil {
		m.emit(engine.Untrack{Addr: p.cfg.Address})
	}
}

// ours says whether the local address is one of this router.
func (p *peer) ours() bool { return p.m.owned[p.cfg.Local] > 0 }

// active says whether we open the connection: "The peer with the higher IP address will listen."
func (p *peer) active() bool { return p.cfg.Local.Less(p.cfg.Address) }

// enablePeers is E1 and E7 for all peers: peering is enabled by the configuration while our own address is there.
func (m *Machine) enablePeers() {
	for _, p := range m.order {
		switch can := !p.cfg.Disabled && p.ours(); {
		case can && p.state == Disabled:
			p.become(Inactive, "peering enabled") // E1 -> A1
			p.start()
		case !can && p.state != Disabled:
			p.disable("own address is gone")
		}
	}
}

// start is E2 and E3: the addresses decide who opens the connection.
func (p *peer) start() {
	m := p.m
	if !p.active() {
		p.become(Listen, "own address is higher") // E3 -> A3; sayListen opens the port
		return
	}
	p.become(Connecting, "own address is lower") // E2 -> A2
	m.lastStream++
	p.stream = m.lastStream
	m.streams[p.stream] = p
	m.emit(engine.OpenStream{ID: p.stream, Peer: p.cfg.transport(), Port: port})
	m.timers.Set(&p.retry, m.now.Add(m.cfg.ConnectRetry))
}

// connectRetryTimerExpires is E6. An attempt that has not failed yet is given up.
func (p *peer) connectRetryTimerExpires() {
	if p.state == Connecting {
		p.dropStream(true)
		p.become(Inactive, "ConnectRetry timer expired")
	}
	if p.state == Inactive {
		p.start()
	}
}

// streamOpened is E4 and E5.
func (m *Machine) streamOpened(e engine.StreamOpened) {
	if !e.Accepted {
		if p := m.streams[e.ID]; p != nil && p.state == Connecting {
			m.timers.Stop(&p.retry)
			p.established("TCP established (active side)") // E4 -> A4
		} else {
			m.emit(engine.CloseStream{ID: e.ID, Reset: true}) // it was given up meanwhile
		}
		return
	}
	p := m.peers[e.Remote.Addr()]
	if p == nil || p.active() || p.state != Listen && p.state != Established || e.Local.Addr() != p.cfg.Local {
		m.counts.Add("connection refused")
		m.emit(engine.CloseStream{ID: e.ID, Reset: true})
		return
	}
	if p.state == Established {
		// Its end of the old connection is gone, and nobody told us: it would be half open until the Hold Timer expires.
		p.closed(engine.Info, "the peer opened another connection", true)
		p.become(Inactive, "peering enabled")
		p.start()
	}
	p.stream = e.ID
	m.streams[e.ID] = p
	p.established("TCP established (passive side)") // E5 -> A5
}

// established is what A4 and A5 have in common: "Send KeepAlive TLV, Set KeepAlive timer to [KeepAlive-Period], Set Hold Timer
// to [HoldTime-Period]". "An implementation SHOULD send all cached SA messages when a connection is established" (section 5.2).
func (p *peer) established(cause string) {
	m := p.m
	p.in = wire.Reader{}
	p.out, p.waiting, p.missed = nil, 0, false
	p.become(Established, cause)
	p.sendKeepAlive()
	m.timers.Set(&p.hold, m.now.Add(m.cfg.Hold))
	p.startDump()
}

// streamClosed: the peer closed the connection, it broke, or could not be opened.
func (m *Machine) streamClosed(e engine.StreamClosed) {
	p := m.streams[e.ID]
	if p == nil {
		return
	}
	delete(m.streams, e.ID)
	p.stream = 0
	why := e.Err
	if why == "" {
		why = "closed by the peer"
	}
	p.lastReset = why
	if p.state == Established {
		p.reset(engine.Info, why)
	}
	// In CONNECTING state the ConnectRetry timer says when to try again.
}

// reset is A8: "Close the TCP connection, Release resources allocated for peering with P", and then E1 again.
//
// Deviation: the active side waits for up to ConnectRetry-Period before it opens the connection again; by the diagram it would
// at once, as fast as a peer that sends nothing but errors lets itself be reset.
func (p *peer) reset(level engine.Level, cause string) {
	m := p.m
	p.closed(level, cause, true)
	p.become(Inactive, "peering enabled")
	if !p.active() {
		p.start()
		return
	}
	wait := m.cfg.ConnectRetry
	if jitter := int64(wait / 4); jitter > 0 {
		wait -= time.Duration(m.rng.Int64N(jitter))
	}
	m.timers.Set(&p.retry, m.now.Add(wait))
}

// disable is E7 -> A6, A7 or A8.
func (p *peer) disable(cause string) {
	p.closed(engine.Info, cause, false)
}

// closed ends whatever there is of a connection and goes to DISABLED state. The level is a warning where the peer did what it
// must not do: that one dies is part of a network's life.
func (p *peer) closed(level engine.Level, cause string, reset bool) {
	m := p.m
	if p.state == Established {
		p.resets++
		p.lastReset = cause
		m.note(level, p.cfg.Address, "msdp: connection closed: "+cause)
	}
	p.dropStream(reset)
	for _, t := range []*engine.Timer{&p.retry, &p.hold, &p.alive, &p.reading, &p.slice} {
		m.timers.Stop(t)
	}
	p.in, p.out, p.waiting = wire.Reader{}, nil, 0
	p.missed, p.dumping, p.sending = false, dumpNothing, nil
	p.become(Disabled, cause)
}

func (p *peer) dropStream(reset bool) {
	if p.stream != 0 {
		delete(p.m.streams, p.stream)
		p.m.emit(engine.CloseStream{ID: p.stream, Reset: reset})
		p.stream = 0
	}
}

func (p *peer) become(s State, cause string) {
	m := p.m
	old := p.state
	if old == s {
		return
	}
	p.state, p.since = s, m.now
	if old == Established || s == Established {
		m.rpfChanged() // "MSDP peers, which are NOT in state ESTABLISHED, are not eligible for peer RPF consideration"
	}
	m.emit(engine.Transition{
		Entity: "peer", Neighbor: p.cfg.Address, Old: old.String(), New: s.String(), Cause: cause,
	})
}

// sayListen tells the driver from whom connections are taken.
func (m *Machine) sayListen() {
	var peers []engine.StreamPeer
	for _, p := range m.order {
		if p.state != Disabled && !p.active() {
			peers = append(peers, p.cfg.transport())
		}
	}
	if len(peers) == len(m.saidListen) {
		same := true
		for n := range peers {
			same = same && peers[n] == m.saidListen[n]
		}
		if same {
			return
		}
	}
	m.saidListen = peers
	m.emit(engine.Listen{Port: port, Peers: append([]engine.StreamPeer(nil), peers...)})
}

// bucket is a token bucket in the time of the machine.
type bucket struct {
	tokens float64
	at     time.Time
}

// take takes n tokens and says whether there were as many. A message that is larger than the bucket passes when it is full.
func (b *bucket) take(now time.Time, n, rate, burst int) bool {
	if d := now.Sub(b.at); d > 0 {
		b.tokens = min(float64(burst), b.tokens+d.Seconds()*float64(rate))
		b.at = now
	}
	if b.tokens < float64(min(n, burst)) {
		return false
	}
	b.tokens -= float64(n)
	return true
}

// limit counts entries that a limit keeps out, and says so in the log once in a while.
func (p *peer) limit(what string, n int) {
	p.m.counts.AddN(what, uint64(n))
	p.complain(what, what)
}

// complain says what is wrong with the peer to the log, once in a while of each kind, of which there are few.
func (p *peer) complain(kind, text string) {
	m := p.m
	if last, said := p.limited[kind]; said && m.now.Sub(last) < time.Minute {
		return
	}
	p.limited[kind] = m.now
	m.note(engine.Warning, p.cfg.Address, "msdp: "+text)
}

// addr of a peer, or none.
func (p *peer) addr() netip.Addr {
	if p == nil {
		return netip.Addr{}
	}
	return p.cfg.Address
}
