package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"

	"grove/internal/engine"
	"grove/internal/ip"
)

// Lengths of the messages that are upcalls.
const (
	igmpMsgLen = 20 // struct igmpmsg, in the shape of an IPv4 header
	mrt6MsgLen = 40 // struct mrt6msg
)

// Read waits for the next message of the kernel: an engine.Upcall, or (IPv4) an IGMP message as an engine.Packet, with
// the index of the interface it came in on; daemon/host fills in If. It ends with an error at the read deadline
// (os.ErrDeadlineExceeded) and at Close (os.ErrClosed). What is neither is passed over: for that, event is nil. Read
// and TryRead are for one goroutine, which may be another than that of the other methods.
func (t *Table) Read() (event engine.Event, ifindex int, err error) { return t.read(true) }

// TryRead is Read without waiting, whatever the deadline; ErrEmpty: no message waits.
func (t *Table) TryRead() (event engine.Event, ifindex int, err error) { return t.read(false) }

func (t *Table) read(wait bool) (engine.Event, int, error) {
	conn, err := t.mroute.SyscallConn()
	if err != nil {
		return nil, 0, fmt.Errorf("kernel: read: %w", err)
	}
	var n, oobn int
	var failed error
	receive := func(fd uintptr) bool {
		for {
			n, oobn, _, _, failed = unix.Recvmsg(int(fd), t.buf, t.oob, 0)
			if failed != unix.EINTR {
				break
			}
		}
		return failed != unix.EAGAIN
	}
	if wait {
		err = conn.Read(receive)
	} else { // past the deadline as well
		err = conn.Control(func(fd uintptr) { receive(fd) })
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, 0, fmt.Errorf("kernel: read: %w", err)
	case err != nil: // the poller's own word for it is not exported
		return nil, 0, fmt.Errorf("kernel: read: %w (%w)", os.ErrClosed, err)
	case failed == unix.EAGAIN:
		return nil, 0, ErrEmpty
	case failed != nil:
		return nil, 0, fmt.Errorf("kernel: read: %w", failed)
	}
	if t.family == engine.IPv6 {
		return parseUpcall6(t.buf[:n]), 0, nil
	}
	if event := parseUpcall4(t.buf[:n]); event != nil {
		return event, 0, nil
	}
	event := parseIGMP(t.buf[:n])
	if event == nil {
		return nil, 0, nil
	}
	return event, pktinfo(t.oob[:oobn]), nil
}

// parseUpcall4 reads a struct igmpmsg and the packet behind it; nil: it is none. The struct lies over an IPv4 header:
// the zero where the protocol would be says that it is no packet.
func parseUpcall4(b []byte) engine.Event {
	if len(b) < igmpMsgLen || b[9] != 0 {
		return nil
	}
	u := engine.Upcall{
		Kind: engine.UpcallKind(b[8]),
		VIF:  engine.VIF(b[10]), // b[11] is the high byte of a number below 32
		Src:  netip.AddrFrom4([4]byte(b[12:])),
		Dst:  netip.AddrFrom4([4]byte(b[16:])),
	}
	return finish(u, b[igmpMsgLen:])
}

// parseUpcall6 reads a struct mrt6msg and the packet behind it; nil: it is none.
func parseUpcall6(b []byte) engine.Event {
	if len(b) < mrt6MsgLen || b[0] != 0 {
		return nil
	}
	u := engine.Upcall{
		Kind: engine.UpcallKind(b[1]),
		VIF:  engine.VIF(binary.NativeEndian.Uint16(b[2:])),
		Src:  netip.AddrFrom16([16]byte(b[8:])),
		Dst:  netip.AddrFrom16([16]byte(b[24:])),
	}
	return finish(u, b[mrt6MsgLen:])
}

// finish gives a whole-packet upcall a copy of its packet, its checksum completed.
func finish(u engine.Upcall, packet []byte) engine.Event {
	switch u.Kind {
	case engine.NoCache, engine.WrongVIF:
		return u
	case engine.WholePkt, engine.WrongVIFWhole:
		u.Packet = slices.Clone(packet)
		ip.CompleteChecksum(u.Packet)
		return u
	}
	return nil
}

// parseIGMP reads an IPv4 packet that carries IGMP; nil: it is none.
func parseIGMP(b []byte) engine.Event {
	p, err := ip.Parse(b)
	if err != nil || p.Proto != engine.ProtoIGMP || p.Fragment {
		return nil
	}
	return engine.Packet{
		Src:         p.Src,
		Dst:         p.Dst,
		Proto:       p.Proto,
		TTL:         p.TTL,
		TOS:         p.TOS,
		RouterAlert: p.RouterAlert,
		Payload:     slices.Clone(p.Payload),
	}
}

// pktinfo returns the interface index in the control messages of a packet; 0: there is none.
func pktinfo(oob []byte) int {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return 0
	}
	for _, m := range messages {
		if m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_PKTINFO && len(m.Data) >= int(unsafe.Sizeof(unix.Inet4Pktinfo{})) {
			return int(int32(binary.NativeEndian.Uint32(m.Data)))
		}
	}
	return 0
}
