package host

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"grove/internal/engine"
)

// listener is a port on which a machine accepts streams, by a socket for all addresses of the host: so it is there before
// the addresses are. It has a goroutine that accepts.
type listener struct {
	listenKey
	of     *streams
	wanted []engine.StreamPeer // by the machine
	said   string              // what is wrong and was said
	file   *os.File            // nil: the port could not be opened
	raw    syscall.RawConn
	keys   map[netip.Addr]string // of TCP MD5, as the socket has them
	took   chan struct{}         // the loop took what was given
	ended  chan struct{}         // closed by close

	mu    sync.Mutex
	peers []engine.StreamPeer // from whom streams are accepted
}

// apply opens the port if it is not open and makes its socket fit the peers. A peer whose secret cannot be set is not
// accepted from at all.
func (l *listener) apply() error {
	if l.file == nil {
		fd := -1
		err := l.of.space.run(func() (err error) {
			fd, err = listenOn(l.owner.Family, l.port)
			return err
		})
		if err != nil {
			return err
		}
		l.keys = make(map[netip.Addr]string)
		l.file = os.NewFile(uintptr(fd), "port")
		if l.raw, err = l.file.SyscallConn(); err != nil {
			return err
		}
		defer l.of.work.Go(l.acceptAll) // when the socket is set up
	}
	var peers []engine.StreamPeer
	var errs []error
	secrets := make(map[netip.Addr]string)
	lowest, near := uint8(255), false
	for _, p := range l.wanted {
		lowest = min(lowest, p.MinTTL)
		near = near || p.MinTTL > 0
		secrets[p.Remote] = p.Secret
	}
	err := l.raw.Control(func(fd uintptr) {
		for a := range engine.SortedFunc(l.keys, netip.Addr.Compare) {
			if secrets[a] == "" {
				if err := setSecret(int(fd), a, ""); err != nil {
					errs = append(errs, err)
				}
				delete(l.keys, a)
			}
		}
		for a, secret := range engine.SortedFunc(secrets, netip.Addr.Compare) {
			if secret == l.keys[a] {
				continue
			}
			if err := setSecret(int(fd), a, secret); err != nil {
				errs = append(errs, err)
				continue
			}
			l.keys[a] = secret
		}
		// The answers to a peer's first segment leave from here, so they need the TTL that it may ask for. What is less than
		// each peer must have is dropped here already; accept asks for more.
		errs = append(errs, setTTLs(int(fd), l.owner.Family, near, lowest))
	})
	for _, p := range l.wanted {
		if p.Secret == l.keys[p.Remote] {
			peers = append(peers, p)
		}
	}
	l.mu.Lock()
	l.peers = peers
	l.mu.Unlock()
	if err := errors.Join(append(errs, err)...); err != nil {
		return fmt.Errorf("port %d: %s", l.port, strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return nil
}

// allows finds the peer that opened a stream.
func (l *listener) allows(local, remote netip.Addr) (engine.StreamPeer, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.peers {
		if p.Remote == remote && (!p.Local.IsValid() || p.Local == local) {
			return p, true
		}
	}
	return engine.StreamPeer{}, false
}

// close closes the port.
func (l *listener) close() {
	close(l.ended)
	if l.file != nil {
		_ = l.file.Close()
	}
}

// acceptAll accepts streams, one at a time, until close. Those that nobody listed are reset here, so that they cost the
// loop nothing.
func (l *listener) acceptAll() {
	for {
		fd, from, err := l.acceptOne()
		select {
		case <-l.ended:
			if err == nil {
				resetSocket(fd)
			}
			return
		default:
		}
		switch {
		case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOBUFS), errors.Is(err, syscall.ENOMEM):
			l.of.inbox.put([]item{{class: flow, what: listenFailed{l, fmt.Sprintf("port %d: accept: %v", l.port, err)}}})
			select {
			case <-time.After(time.Second):
				continue
			case <-l.ended:
				return
			}
		case err != nil: // a stream that broke before we had it
			continue
		}
		n := streamAccepted{l, fd, netip.AddrPort{}, addrPort(from)}
		if local, err := unix.Getsockname(fd); err == nil {
			n.local = addrPort(local)
		}
		peer, ok := l.allows(n.local.Addr(), n.remote.Addr())
		if !ok {
			l.of.strangers.Add(1)
			resetSocket(fd)
			continue
		}
		// The socket drops near peers' segments from afar from now on only. That the first one came from near shows
		// that no other did (RFC 5082, section 3): a stranger cannot make his first segment live longer.
		if ttl, known := firstTTL(fd, l.owner.Family); known && ttl < peer.MinTTL {
			l.of.far.Add(1)
			resetSocket(fd)
			continue
		}
		l.of.inbox.put([]item{{class: flow, what: n}})
		select {
		case <-l.took:
		case <-l.ended:
			select {
			case <-l.took:
			default:
				resetSocket(fd)
			}
			return
		}
	}
}

func (l *listener) acceptOne() (fd int, from unix.Sockaddr, err error) {
	var failed error
	err = l.raw.Read(func(socket uintptr) bool {
		fd, from, failed = unix.Accept4(int(socket), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		return failed != unix.EAGAIN
	})
	if err == nil {
		err = failed
	}
	return fd, from, err
}
