package host

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"grove/internal/engine"
)

const (
	// closeWithin is how long what was written may take to leave after CloseStream. Then the stream is reset.
	closeWithin = 5 * time.Second
	// endWithin is the same when the host ends.
	endWithin = time.Second
	// listenAgain is how long after a failure a port is tried again.
	listenAgain = 5 * time.Second
	// accepted streams are numbered from here.
	firstAccepted engine.StreamID = 1 << 63
)

// streams are the TCP streams and ports of machines. Its methods belong to the loop; the goroutines of a stream
// (stream_conn.go) and of a port (stream_listen.go) speak to the loop by the inbox.
type streams struct {
	space namespace
	inbox *inbox
	tell  func(to engine.MachineID, ev engine.Event)
	warn  func(from engine.MachineID, peer netip.Addr, text string)

	all       map[streamKey]*stream
	listeners map[listenKey]*listener
	retry     time.Time // when ports that could not be opened are tried again; zero: none
	accepted  engine.StreamID
	work      sync.WaitGroup
	running   runningStreams

	opened, taken          uint64
	strangers, far, broken atomic.Uint64 // streams that were refused
}

type streamKey struct {
	owner engine.MachineID
	id    engine.StreamID
}

type listenKey struct {
	owner engine.MachineID
	port  uint16
}

func compareListenKeys(a, b listenKey) int {
	return cmp.Or(compareIDs(a.owner, b.owner), cmp.Compare(a.port, b.port))
}

func compareStreamKeys(a, b streamKey) int {
	return cmp.Or(compareIDs(a.owner, b.owner), cmp.Compare(a.id, b.id))
}

func newStreams(b *inbox) streams {
	return streams{
		inbox:     b,
		all:       make(map[streamKey]*stream),
		listeners: make(map[listenKey]*listener),
		accepted:  firstAccepted,
		running:   runningStreams{all: make(map[*stream]bool)},
	}
}

// runningStreams are the streams that have goroutines: those of machines, and those that were closed and still send what
// was written.
type runningStreams struct {
	mu  sync.Mutex
	all map[*stream]bool
}

func (r *runningStreams) add(s *stream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all[s] = true
}

func (r *runningStreams) remove(s *stream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, s)
}

// news of goroutines, for the loop.
type (
	// streamOpened: the peer answered.
	streamOpened struct{ *stream }
	// streamData: bytes arrived. The reader waits until the machine was handed them.
	streamData struct {
		*stream
		data []byte
	}
	// streamWritten: bytes left.
	streamWritten struct{ *stream }
	// streamClosed: the stream is over.
	streamClosed struct {
		*stream
		err string
	}
	// streamAccepted: a peer opened a stream. The listener waits until the loop took it.
	streamAccepted struct {
		*listener
		fd            int
		local, remote netip.AddrPort
	}
	// listenFailed: a port does not accept for a reason that is the system's.
	listenFailed struct {
		*listener
		err string
	}
)

// open opens a stream for a machine.
func (st *streams) open(from engine.MachineID, e engine.OpenStream) {
	k := streamKey{from, e.ID}
	if st.all[k] != nil {
		st.warn(from, e.Peer.Remote, fmt.Sprintf("stream %d is opened twice", e.ID))
		return
	}
	s := &stream{streamKey: k, of: st}
	s.init()
	fd, err := -1, error(nil)
	failed := st.space.run(func() error {
		fd, err = dial(e.Peer, e.Port)
		return nil
	})
	if failed != nil {
		err = failed
	}
	st.all[k] = s
	if err != nil {
		if mendable(err) {
			st.warn(from, e.Peer.Remote, err.Error())
		}
		st.inbox.put([]item{{class: flow, what: streamClosed{s, err.Error()}}})
		return
	}
	s.start(fd, false)
}

// mendable says whether an error is one that only a person can mend.
func mendable(err error) bool {
	for _, e := range []error{
		syscall.EADDRNOTAVAIL, syscall.EADDRINUSE, syscall.EACCES, syscall.EPERM, syscall.ENOPROTOOPT, syscall.EMFILE, syscall.ENFILE,
		errSecretLength,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// write gives bytes to a stream's writer.
func (st *streams) write(from engine.MachineID, e engine.WriteStream) {
	if s := st.all[streamKey{from, e.ID}]; s != nil && len(e.Data) > 0 {
		s.push(e.Data)
	}
}

// close ends a stream for its machine, which is told nothing more of it.
func (st *streams) close(from engine.MachineID, e engine.CloseStream) {
	k := streamKey{from, e.ID}
	s := st.all[k]
	if s == nil {
		return
	}
	delete(st.all, k)
	if e.Reset || !s.isOpen {
		s.abort(e.Reset)
	} else {
		s.finish(time.Now().Add(closeWithin))
	}
}

// hear tells the machines what the goroutines have to say.
func (st *streams) hear(news any) {
	switch n := news.(type) {
	case streamOpened:
		if st.all[n.streamKey] == n.stream {
			n.isOpen = true
			st.opened++
			st.tell(n.owner, engine.StreamOpened{ID: n.id, Local: n.local, Remote: n.remote})
		}
	case streamData:
		if st.all[n.streamKey] == n.stream {
			st.tell(n.owner, engine.StreamData{ID: n.id, Data: n.data})
		}
		n.handed <- struct{}{} // never waits: the reader takes one for each that it gives
	case streamWritten:
		if waiting := n.news(); st.all[n.streamKey] == n.stream {
			st.tell(n.owner, engine.StreamWritten{ID: n.id, Waiting: waiting})
		}
	case streamClosed:
		if st.all[n.streamKey] == n.stream {
			delete(st.all, n.streamKey)
			st.tell(n.owner, engine.StreamClosed{ID: n.id, Err: n.err})
		}
	case streamAccepted:
		st.accept(n)
	case listenFailed:
		st.warn(n.owner, noAddr, n.err)
	}
}

// accept gives a stream that a peer opened to the machine.
func (st *streams) accept(n streamAccepted) {
	if st.listeners[n.listenKey] != n.listener {
		return // its goroutine closes the socket
	}
	n.took <- struct{}{} // never waits: the listener takes one for each that it gives
	peer, ok := n.allows(n.local.Addr(), n.remote.Addr())
	if !ok { // the list changed since
		st.strangers.Add(1)
		resetSocket(n.fd)
		return
	}
	if err := protect(n.fd, peer); err != nil {
		st.broken.Add(1)
		st.warn(n.owner, peer.Remote, err.Error())
		resetSocket(n.fd)
		return
	}
	s := &stream{streamKey: streamKey{n.owner, st.accepted}, of: st, local: n.local, remote: n.remote, isOpen: true}
	st.accepted++
	st.taken++
	s.init()
	st.all[s.streamKey] = s
	s.start(n.fd, true)
	st.tell(n.owner, engine.StreamOpened{ID: s.id, Accepted: true, Local: s.local, Remote: s.remote})
}

// listen opens, changes or closes a port.
func (st *streams) listen(from engine.MachineID, e engine.Listen) {
	k := listenKey{from, e.Port}
	l := st.listeners[k]
	if len(e.Peers) == 0 {
		if l != nil {
			delete(st.listeners, k)
			l.close()
		}
		return
	}
	if l == nil {
		l = &listener{listenKey: k, of: st, took: make(chan struct{}, 1), ended: make(chan struct{})}
		st.listeners[k] = l
	}
	l.wanted = e.Peers
	st.apply(time.Now(), l)
}

// apply makes a port what it is to be. What fails is said once, and tried again.
func (st *streams) apply(now time.Time, l *listener) {
	err := l.apply()
	if err == nil {
		l.said = ""
		return
	}
	if text := err.Error(); text != l.said {
		l.said = text
		st.warn(l.owner, noAddr, text)
	}
	st.retry = now.Add(listenAgain)
}

// again tries what failed before.
func (st *streams) again(now time.Time) {
	if st.retry.IsZero() || now.Before(st.retry) {
		return
	}
	st.retry = time.Time{}
	for _, l := range engine.SortedFunc(st.listeners, compareListenKeys) {
		if l.said != "" {
			st.apply(now, l)
		}
	}
}

// keep ends what belongs to machines that are no more.
func (st *streams) keep(machines map[engine.MachineID]any) {
	for k, l := range engine.SortedFunc(st.listeners, compareListenKeys) {
		if _, stays := machines[k.owner]; !stays {
			delete(st.listeners, k)
			l.close()
		}
	}
	for k := range engine.SortedFunc(st.all, compareStreamKeys) {
		if _, stays := machines[k.owner]; !stays {
			st.close(k.owner, engine.CloseStream{ID: k.id})
		}
	}
}

// end closes everything, and returns when no goroutine runs any more. What machines wrote to streams that they closed has
// a last second to leave.
func (st *streams) end() {
	st.keep(nil)
	st.running.mu.Lock()
	for s := range st.running.all {
		s.finish(time.Now().Add(endWithin))
	}
	st.running.mu.Unlock()
	st.work.Wait()
}

// count adds what streams count.
func (st *streams) count(c *engine.Counts) {
	c.AddN("streams opened", st.opened)
	c.AddN("streams accepted", st.taken)
	c.AddN("refused streams: not from a listed peer", st.strangers.Load())
	c.AddN("refused streams: from too far away", st.far.Load())
	c.AddN("refused streams: cannot be protected", st.broken.Load())
}

// resetSocket closes a socket with a reset.
func resetSocket(fd int) {
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	_ = unix.Close(fd)
}
