package host

import (
	"errors"
	"io"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// chunk is how much of a stream is read, and written, at once.
const chunk = 64 << 10

// stream is a TCP stream. It has two goroutines: one connects, reads and ends it, the other writes.
type stream struct {
	streamKey
	of            *streams
	isOpen        bool // the machine knows it as open; the loop's
	local, remote netip.AddrPort

	file *os.File // non-blocking; its methods may be called by all
	raw  syscall.RawConn

	handed chan struct{} // the machine was handed what the reader gave
	wake   chan struct{} // there is something to write, or finishing
	ending chan struct{} // closed when what was written is to leave and no more is to be read
	over   chan struct{} // closed when all is over
	once   struct{ ending, over sync.Once }

	mu      sync.Mutex
	queue   [][]byte
	waiting int  // bytes that did not leave
	told    bool // news of them are in the inbox
}

func (s *stream) init() {
	s.handed, s.wake = make(chan struct{}, 1), make(chan struct{}, 1)
	s.ending, s.over = make(chan struct{}), make(chan struct{})
}

// start starts the goroutines on a socket that is connected, or about to be.
func (s *stream) start(fd int, connected bool) {
	s.file = os.NewFile(uintptr(fd), "stream")
	raw, err := s.file.SyscallConn()
	s.raw = raw
	s.of.running.add(s)
	s.of.work.Go(func() {
		defer s.of.running.remove(s)
		defer s.file.Close()
		if err == nil && !connected {
			if err = s.connected(); err == nil {
				s.of.inbox.put([]item{{class: flow, what: streamOpened{s}}})
			}
		}
		if err == nil {
			err = s.talk()
		}
		text := ""
		if !errors.Is(err, io.EOF) {
			text = errorText(err)
		}
		s.of.inbox.put([]item{{class: flow, what: streamClosed{s, text}}})
	})
}

// errorText says what the system said, without the name of a file that there is not.
func errorText(err error) string {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Op + ": " + p.Err.Error()
	}
	return err.Error()
}

// connected returns when the peer has answered, or not.
func (s *stream) connected() error {
	var failed error
	err := s.raw.Write(func(fd uintptr) bool {
		code, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		switch {
		case err != nil:
			failed = os.NewSyscallError("getsockopt", err)
		case code != 0:
			failed = os.NewSyscallError("connect", syscall.Errno(code))
		default:
			remote, err := unix.Getpeername(int(fd))
			if err != nil {
				return false // not yet
			}
			s.remote = addrPort(remote)
			local, err := unix.Getsockname(int(fd))
			if failed = os.NewSyscallError("getsockname", err); err == nil {
				s.local = addrPort(local)
			}
		}
		return true
	})
	if err != nil {
		return err
	}
	return failed
}

// talk reads and writes until the stream ends, and says why it did: io.EOF if in good order.
func (s *stream) talk() error {
	wrote := make(chan error, 1)
	s.of.work.Go(func() {
		err := s.writeAll()
		if err != nil {
			// The reader still has what arrived, then it meets the error as well. It must not wait for more.
			_ = s.file.SetReadDeadline(time.Now().Add(endWithin))
		}
		wrote <- err
	})
	err := s.readAll()
	select {
	case <-s.ending:
		// What was written has until the deadline that finish set.
		if <-wrote != nil {
			s.linger()
		}
		return err
	default:
	}
	s.once.over.Do(func() { close(s.over) })
	_ = s.file.SetWriteDeadline(time.Unix(1, 0))
	// The system says an error once only, to the reader or to the writer. That a peer that closed does not read is none.
	if failed := <-wrote; failed != nil && (errors.Is(err, io.EOF) || errors.Is(err, os.ErrDeadlineExceeded)) &&
		!errors.Is(failed, syscall.EPIPE) && !errors.Is(failed, os.ErrDeadlineExceeded) && !errors.Is(failed, os.ErrClosed) {
		return failed
	}
	return err
}

// readAll hands what arrives to the loop, a chunk at a time. When the stream is to end it reads and forgets: a socket that
// is closed with bytes unread resets the stream, and the peer may lose what we wrote last.
func (s *stream) readAll() error {
	buffer := make([]byte, chunk)
	for {
		n, err := s.file.Read(buffer)
		if err != nil {
			return err
		}
		select {
		case <-s.ending:
			continue
		default:
		}
		s.of.inbox.put([]item{{class: flow, what: streamData{s, slices.Clone(buffer[:n])}}})
		select {
		case <-s.handed:
		case <-s.ending:
		case <-s.over:
			return os.ErrClosed
		}
	}
}

// writeAll sends what the machine wrote, until the stream is over or, if it is to end, all has left.
func (s *stream) writeAll() error {
	for {
		b := s.next()
		if len(b) == 0 {
			select {
			case <-s.wake:
				continue
			case <-s.over:
				return nil
			case <-s.ending:
			}
			if s.idle() {
				return s.shutWrite()
			}
			continue
		}
		for len(b) > 0 {
			n, err := s.send(b)
			if err != nil {
				return err
			}
			b = b[n:]
			s.left(n)
		}
	}
}

// send sends as much as the system takes, and waits until it takes something.
func (s *stream) send(b []byte) (n int, err error) {
	var failed error
	err = s.raw.Write(func(fd uintptr) bool {
		n, failed = unix.SendmsgN(int(fd), b, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		return failed != unix.EAGAIN && failed != unix.EINTR
	})
	switch {
	case err == nil:
		err = os.NewSyscallError("write", failed)
	case !errors.Is(err, os.ErrDeadlineExceeded):
		err = os.ErrClosed
	}
	return n, err
}

func (s *stream) shutWrite() error {
	var failed error
	err := s.raw.Control(func(fd uintptr) { failed = unix.Shutdown(int(fd), unix.SHUT_WR) })
	if err == nil {
		err = failed
	}
	return err
}

// push appends to the queue of the writer.
func (s *stream) push(b []byte) {
	s.mu.Lock()
	s.queue = append(s.queue, b)
	s.waiting += len(b)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// next takes about a chunk from the queue: small messages leave together.
func (s *stream) next() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return nil
	}
	n, size := 0, 0
	for n < len(s.queue) && (n == 0 || size+len(s.queue[n]) <= chunk) {
		size += len(s.queue[n])
		n++
	}
	b := s.queue[0]
	if n > 1 {
		b = slices.Concat(s.queue[:n]...)
	}
	s.queue = slices.Delete(s.queue, 0, n)
	return b
}

func (s *stream) idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue) == 0
}

// left notes that n bytes have left. There is one piece of news in the inbox at most.
func (s *stream) left(n int) {
	s.mu.Lock()
	s.waiting -= n
	say := !s.told
	s.told = true
	s.mu.Unlock()
	if say {
		s.of.inbox.put([]item{{class: flow, what: streamWritten{s}}})
	}
}

// news returns how many bytes wait, and lets the writer say so again.
func (s *stream) news() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = false
	return s.waiting
}

// finish ends the stream when what was written has left, by the deadline.
func (s *stream) finish(deadline time.Time) {
	_ = s.file.SetDeadline(deadline)
	s.once.ending.Do(func() { close(s.ending) })
}

// abort ends the stream at once.
func (s *stream) abort(reset bool) {
	if s.file == nil { // it was never opened
		return
	}
	if reset {
		s.linger()
	}
	s.once.over.Do(func() { close(s.over) })
	_ = s.file.Close()
}

// linger makes the end of the stream a reset.
func (s *stream) linger() {
	_ = s.raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	})
}
