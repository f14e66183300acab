package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"grove/internal/engine"
	"grove/internal/ipip"
)

// This file encapsulates where the kernel does not: the kernel routes packets into a TUN device, a goroutine for each
// tunnel takes them out, puts the outer header before them and sends them by a raw socket; and one goroutine for all
// takes what arrives of protocol 4 and puts it into the devices.

// tunnelBatch is how many packets are taken from a device, and sent, at once.
const tunnelBatch = 16

// userTunnel is a tunnel with a TUN device.
type userTunnel struct {
	ipip.Tunnel
	device *os.File
	raw    syscall.RawConn // of the device
	conn   *net.IPConn
	bucket ipip.Bucket
	looped atomic.Bool // the way to the far end leads through the tunnel
	counts tunnelCounts
	ending atomic.Bool
	news   func(pathNews)
	work   sync.WaitGroup
}

// tunnelCounts are what a tunnel passed and dropped.
type tunnelCounts struct {
	sent, sentBytes         atomic.Uint64
	received, receivedBytes atomic.Uint64
	notSent, dropped        [ipip.Reasons]atomic.Uint64
	tooBig, expired, closed atomic.Uint64 // words of routers on the way
}

func (c *tunnelCounts) snapshot() map[string]uint64 {
	all := map[string]uint64{
		"sent packets": c.sent.Load(), "sent bytes": c.sentBytes.Load(),
		"received packets": c.received.Load(), "received bytes": c.receivedBytes.Load(),
		"the path says: too big": c.tooBig.Load(), "the path says: TTL exceeded": c.expired.Load(),
		"the path says: unreachable": c.closed.Load(),
	}
	for r := ipip.Pass + 1; r < ipip.Reasons; r++ {
		all["not sent: "+r.String()] = c.notSent[r].Load()
		all["dropped: "+r.String()] = c.dropped[r].Load()
	}
	maps.DeleteFunc(all, func(_ string, n uint64) bool { return n == 0 })
	return all
}

// makeUserTunnel makes a TUN device and starts its goroutine, and that of the exit if this is the first.
func (h *Host) makeUserTunnel(t *tunnel) error {
	u := &userTunnel{
		Tunnel: ipip.Tunnel{Local: t.Local, Remote: t.Remote, TTL: t.TTL, Discover: t.MTU == 0},
		news:   func(n pathNews) { h.inbox.put([]item{{class: control, what: n}}) },
	}
	if t.RateKbps > 0 {
		u.bucket = ipip.NewBucket(t.RateKbps)
	}
	err := h.space.run(func() (err error) {
		if h.tunnels.exit == nil {
			if h.tunnels.exit, err = openExit(&h.tunnels.own, u.news); err != nil {
				return err
			}
		}
		return u.open(t.Name)
	})
	if err == nil {
		err = h.setUpTunnel(t)
	}
	if err != nil {
		u.closeFiles()
		delete(h.view.tunnels, t.index)
		return err
	}
	t.user = u
	u.work.Go(u.run)
	h.tunnels.exit.add(u)
	return nil
}

// open opens the device and the socket in the namespace of the calling thread.
func (u *userTunnel) open(name string) error {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("open /dev/net/tun: %w: the kernel has no ipip device, so that groved needs TUN: load the module, "+
			"or give the container the device", err)
	}
	request, err := unix.NewIfreq(name)
	if err == nil {
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_TUN_EXCL)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		unix.Close(fd)
		return fmt.Errorf("make a TUN device: %w", err)
	}
	u.device = os.NewFile(uintptr(fd), "/dev/net/tun")
	if u.raw, err = u.device.SyscallConn(); err != nil {
		return err
	}
	// A socket of IPPROTO_RAW sends whole packets and receives nothing.
	u.conn, err = net.ListenIP(fmt.Sprintf("ip4:%d", unix.IPPROTO_RAW), &net.IPAddr{IP: u.Local.AsSlice()})
	if err != nil {
		return fmt.Errorf("open a raw socket: %w", err)
	}
	setBuffer(u.conn, unix.SO_SNDBUFFORCE, unix.SO_SNDBUF, 4<<20)
	return nil
}

func (u *userTunnel) closeFiles() {
	if u.device != nil {
		u.device.Close()
	}
	if u.conn != nil {
		u.conn.Close()
	}
}

// close sends what the kernel has put into the device until now, goodbyes among it, and removes the device.
func (u *userTunnel) close() {
	u.ending.Store(true)
	_ = u.device.SetReadDeadline(time.Unix(1, 0))
	u.work.Wait()
	u.closeFiles()
}

// run takes packets from the device and sends them to the far end, until close or until somebody deletes the device.
func (u *userTunnel) run() {
	buffers := make([][]byte, tunnelBatch)
	for i := range buffers {
		buffers[i] = make([]byte, 1<<16)
	}
	lengths := make([]int, 0, tunnelBatch)
	messages := make([]ipv4.Message, 0, tunnelBatch)
	out := ipv4.NewPacketConn(u.conn)
	to := &net.IPAddr{IP: u.Remote.AsSlice()}
	var failed error
	take := func(fd uintptr) bool {
		for len(lengths) < tunnelBatch {
			n, err := unix.Read(int(fd), buffers[len(lengths)][ipip.HeaderLen:])
			switch {
			case errors.Is(err, syscall.EINTR):
			case errors.Is(err, syscall.EAGAIN):
				return len(lengths) > 0
			case err != nil:
				failed = err
				return true
			default:
				lengths = append(lengths, n)
			}
		}
		return true
	}
	for {
		lengths = lengths[:0]
		ending := u.ending.Load()
		if ending {
			_ = u.raw.Control(func(fd uintptr) { take(fd) })
		} else if err := u.raw.Read(take); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		if len(lengths) == 0 && (ending || failed != nil) {
			return
		}
		messages = messages[:0]
		now := time.Now()
		for i, n := range lengths {
			b := buffers[i][:ipip.HeaderLen+n]
			if why := u.enter(now, b); why != ipip.Pass {
				u.counts.notSent[why].Add(1)
				continue
			}
			messages = append(messages, ipv4.Message{Buffers: [][]byte{b}, Addr: to})
		}
		u.send(out, messages)
	}
}

// enter completes the outer header of a packet, or says why it is not sent.
func (u *userTunnel) enter(now time.Time, b []byte) ipip.Reason {
	inner := b[ipip.HeaderLen:]
	if u.looped.Load() {
		return ipip.Loop
	}
	if why := u.Enter(inner); why != ipip.Pass {
		return why
	}
	if !u.bucket.Take(now, len(b), ipip.Control(inner)) {
		return ipip.RateLimited
	}
	u.Outer(b)
	return ipip.Pass
}

// send sends packets, as many at a time as the kernel takes.
func (u *userTunnel) send(out *ipv4.PacketConn, messages []ipv4.Message) {
	for len(messages) > 0 {
		n, err := out.WriteBatch(messages, 0)
		for i := range messages[:max(n, 0)] {
			u.counts.sent.Add(1)
			u.counts.sentBytes.Add(uint64(len(messages[i].Buffers[0])))
		}
		messages = messages[max(n, 0):]
		if err == nil && n > 0 {
			continue
		}
		if errors.Is(err, net.ErrClosed) || len(messages) == 0 {
			return
		}
		// The first of the rest was refused; the others may pass.
		why := ipip.NotSent
		if errors.Is(err, syscall.EMSGSIZE) {
			why = ipip.TooBig
			u.news(pathNews{remote: u.Remote})
		}
		u.counts.notSent[why].Add(1)
		messages = messages[1:]
	}
}

// exit is where the packets of all user tunnels of a router come out.
type exit struct {
	conn      *net.IPConn
	raw       syscall.RawConn
	own       *ownAddrs
	news      func(pathNews)
	tunnels   atomic.Pointer[map[tunnelEnds]*userTunnel]
	strangers atomic.Uint64 // packets of no tunnel
	work      sync.WaitGroup
}

// tunnelEnds are the outer addresses of a tunnel.
type tunnelEnds struct{ local, remote netip.Addr }

// openExit opens the socket in the namespace of the calling thread. The kernel puts outer fragments together before they
// come here. What routers on the way say of our packets comes here as well (IP_RECVERR), and the kernel learns the
// path's MTU by it, which it does only if a socket of the protocol exists.
func openExit(own *ownAddrs, news func(pathNews)) (*exit, error) {
	conn, err := net.ListenIP(fmt.Sprintf("ip4:%d", ipip.Protocol), nil)
	if err != nil {
		return nil, fmt.Errorf("open a raw socket of protocol %d: %w", ipip.Protocol, err)
	}
	x := &exit{conn: conn, own: own, news: news}
	x.tunnels.Store(&map[tunnelEnds]*userTunnel{})
	if x.raw, err = conn.SyscallConn(); err == nil {
		err = setInts(conn, [][3]int{{unix.IPPROTO_IP, unix.IP_RECVERR, 1}, {unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DO}})
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("set up the raw socket of protocol %d: %w", ipip.Protocol, err)
	}
	setBuffer(conn, unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, 4<<20)
	x.work.Go(x.run)
	return x, nil
}

func (x *exit) add(u *userTunnel) { x.change(tunnelEnds{u.Local, u.Remote}, u) }

func (x *exit) remove(u *userTunnel) { x.change(tunnelEnds{u.Local, u.Remote}, nil) }

func (x *exit) change(ends tunnelEnds, u *userTunnel) {
	all := maps.Clone(*x.tunnels.Load())
	if u != nil {
		all[ends] = u
	} else {
		delete(all, ends)
	}
	x.tunnels.Store(&all)
}

func (x *exit) close() {
	x.conn.Close()
	x.work.Wait()
}

// run takes what arrives and puts it into the devices, until close.
func (x *exit) run() {
	messages := make([]ipv4.Message, tunnelBatch)
	for i := range messages {
		messages[i].Buffers = [][]byte{make([]byte, 1<<16)}
	}
	in := ipv4.NewPacketConn(x.conn)
	for {
		n, err := in.ReadBatch(messages, 0)
		if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrClosed) {
			return
		}
		if err != nil {
			x.readErrors()
			continue
		}
		for i := range messages[:n] {
			x.leave(messages[i].Buffers[0][:messages[i].N])
		}
	}
}

// leave puts what is in an outer packet into the device of its tunnel.
func (x *exit) leave(outer []byte) {
	src, dst, ok := ipip.Ends(outer)
	if !ok {
		return
	}
	u := (*x.tunnels.Load())[tunnelEnds{dst, src}]
	if u == nil {
		x.strangers.Add(1)
		return
	}
	inner, why := u.Leave(outer, x.own.has)
	if why != ipip.Pass {
		u.counts.dropped[why].Add(1)
		return
	}
	if _, err := u.device.Write(inner); err != nil {
		u.counts.dropped[ipip.NotSent].Add(1)
		return
	}
	u.counts.received.Add(1)
	u.counts.receivedBytes.Add(uint64(len(outer)))
}

// readErrors takes what routers on the way said: the soft state of RFC 2003, section 5. What they say is not relayed to
// the senders: to those of multicast nothing may be said (RFC 1122, section 3.2.2).
func (x *exit) readErrors() {
	payload, oob := make([]byte, 576), make([]byte, 512)
	_ = x.raw.Control(func(fd uintptr) {
		for range 64 {
			_, n, _, from, err := unix.Recvmsg(int(fd), payload, oob, unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
			if err != nil {
				return
			}
			if to, ok := from.(*unix.SockaddrInet4); ok {
				x.complaint(netip.AddrFrom4(to.Addr), oob[:n])
			}
		}
	})
}

const (
	icmpUnreachable   = 3
	icmpTooBig        = 4 // code
	icmpExceeded      = 11
	sizeofExtendedErr = 16
)

// complaint takes an ICMP error about a packet that we sent to remote.
func (x *exit) complaint(remote netip.Addr, oob []byte) {
	for len(oob) >= unix.SizeofCmsghdr {
		header, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			return
		}
		oob = rest
		if header.Level != unix.IPPROTO_IP || header.Type != unix.IP_RECVERR || len(data) < sizeofExtendedErr {
			continue
		}
		// struct sock_extended_err: errno, origin, type, code, pad, info, data; then the address of who says it.
		kind, code, info := data[5], data[6], binary.NativeEndian.Uint32(data[8:])
		who := "a router"
		if len(data) >= sizeofExtendedErr+8 {
			who = netip.AddrFrom4([4]byte(data[sizeofExtendedErr+4:])).String()
		}
		text := ""
		for _, u := range *x.tunnels.Load() {
			if u.Remote != remote {
				continue
			}
			switch {
			case data[4] == unix.SO_EE_ORIGIN_LOCAL || kind == icmpUnreachable && code == icmpTooBig:
				u.counts.tooBig.Add(1)
				text = fmt.Sprintf("%s says that packets to %v must not be larger than %d bytes", who, remote, info)
			case kind == icmpExceeded:
				u.counts.expired.Add(1)
				text = fmt.Sprintf("%s says that the TTL of packets to %v is over: the path loops, or ttl is too small", who, remote)
			case kind == icmpUnreachable:
				u.counts.closed.Add(1)
				text = fmt.Sprintf("%s says that %v is unreachable (code %d)", who, remote, code)
			}
		}
		if text != "" {
			x.news(pathNews{remote, text})
		}
	}
}

// id returns the number of the interface with an index, 0 if it was not announced.
func (v *view) id(index int) engine.IfID {
	if i := v.ifaces[index]; i != nil {
		return i.ID
	}
	return 0
}
