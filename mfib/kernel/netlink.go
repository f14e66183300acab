package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"grove/internal/engine"
)

// batch is how many messages go to the kernel in one write.
const batch = 128

// errShort says that the kernel's answer could not be read.
var errShort = errors.New("netlink: truncated message")

// nlSocket is a NETLINK_ROUTE socket. Requests are carried out within sendto, so the answer waits when it returns.
type nlSocket struct {
	fd  int
	seq uint32
	out []byte
	in  []byte
}

func openNetlink() (*nlSocket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	// Errors without the message that caused them, so that a batch of nothing but errors fits the buffer.
	if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1); err != nil {
		unix.Close(fd)
		return nil, err
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 1<<20) != nil {
		// Without the right to have more, as much as there is: too little of it shows as ENOBUFS.
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1<<20)
	}
	return &nlSocket{fd: fd, in: make([]byte, 1<<16)}, nil
}

func (n *nlSocket) close() error { return unix.Close(n.fd) }

// begin starts a message with a struct rtmsg (or fib_rule_hdr, which has its shape) and returns where it starts.
func (n *nlSocket) begin(kind, flags uint16, head unix.RtMsg) int {
	start := len(n.out)
	n.seq++
	n.out = binary.NativeEndian.AppendUint32(n.out, 0) // length, set by end
	n.out = binary.NativeEndian.AppendUint16(n.out, kind)
	n.out = binary.NativeEndian.AppendUint16(n.out, flags)
	n.out = binary.NativeEndian.AppendUint32(n.out, n.seq)
	n.out = binary.NativeEndian.AppendUint32(n.out, 0)
	n.out = append(n.out, head.Family, head.Dst_len, head.Src_len, head.Tos, head.Table, head.Protocol, head.Scope, head.Type)
	n.out = binary.NativeEndian.AppendUint32(n.out, head.Flags)
	return start
}

func (n *nlSocket) end(start int) {
	binary.NativeEndian.PutUint32(n.out[start:], uint32(len(n.out)-start))
}

// attr appends an attribute.
func (n *nlSocket) attr(kind uint16, value []byte) {
	n.out = binary.NativeEndian.AppendUint16(n.out, uint16(4+len(value)))
	n.out = binary.NativeEndian.AppendUint16(n.out, kind)
	n.out = append(n.out, value...)
	for len(n.out)%4 != 0 {
		n.out = append(n.out, 0)
	}
}

func (n *nlSocket) attrUint32(kind uint16, value uint32) {
	n.attr(kind, binary.NativeEndian.AppendUint32(nil, value))
}

// send hands the collected messages to the kernel.
func (n *nlSocket) send() error {
	err := unix.Sendto(n.fd, n.out, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	n.out = n.out[:0]
	return err
}

// receive calls handle for each message that waits until handle says that it has all.
func (n *nlSocket) receive(handle func(head unix.NlMsghdr, body []byte) (done bool, err error)) error {
	for {
		size, _, err := unix.Recvfrom(n.fd, n.in, unix.MSG_DONTWAIT|unix.MSG_TRUNC)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		if size > len(n.in) {
			return errShort
		}
		for b := n.in[:size]; len(b) >= unix.NLMSG_HDRLEN; {
			head := unix.NlMsghdr{
				Len:   binary.NativeEndian.Uint32(b),
				Type:  binary.NativeEndian.Uint16(b[4:]),
				Flags: binary.NativeEndian.Uint16(b[6:]),
				Seq:   binary.NativeEndian.Uint32(b[8:]),
			}
			if int(head.Len) < unix.NLMSG_HDRLEN || int(head.Len) > len(b) {
				return errShort
			}
			done, err := handle(head, b[unix.NLMSG_HDRLEN:head.Len])
			if done || err != nil {
				return err
			}
			b = b[min(len(b), (int(head.Len)+3)&^3):]
		}
	}
}

// acknowledged sends what was collected and calls failed for each message that the kernel refused, until the
// acknowledgment of the last. It returns what hindered the exchange itself.
func (n *nlSocket) acknowledged(failed func(seq uint32, errno unix.Errno) error) error {
	last := n.seq
	if err := n.send(); err != nil {
		return err
	}
	return n.receive(func(head unix.NlMsghdr, body []byte) (bool, error) {
		if head.Type != unix.NLMSG_ERROR || len(body) < 4 || int32(head.Seq-last) > 0 {
			return false, nil
		}
		if code := int32(binary.NativeEndian.Uint32(body)); code != 0 {
			if err := failed(head.Seq, unix.Errno(-code)); err != nil {
				return false, err
			}
		}
		return head.Seq == last, nil
	})
}

// writeNetlink writes rows in batches. The error is about the writer, not about a row.
func (t *Table) writeNetlink(rows []engine.Row) (failed []engine.RowFailed, err error) {
	for len(rows) > 0 {
		n := 0
		for n < min(batch, len(rows)) && !tooWide(&rows[n]) {
			n++
		}
		f, err := t.writeBatch(rows[:n])
		if err != nil {
			return nil, err
		}
		failed = append(failed, f...)
		if n < len(rows) && tooWide(&rows[n]) {
			if err := t.writeSocket(&rows[n]); err != nil {
				failed = append(failed, rowFailed(&rows[n], err))
			}
			n++
		}
		rows = rows[n:]
	}
	return failed, nil
}

// tooWide says that netlink cannot write the row: Linux refuses a list of 32 nexthops (EINVAL), so one that names
// VIF 31 goes by setsockopt.
func tooWide(r *engine.Row) bool { return !r.Gone && r.TTL[engine.MaxVIFs-1] != 0 }

func (t *Table) writeBatch(rows []engine.Row) (failed []engine.RowFailed, err error) {
	n := t.link
	n.out = n.out[:0]
	var written []*engine.Row // by sequence number, from first on
	first, last := n.seq+1, 0
	for i := range rows {
		if err := t.checkRow(&rows[i]); err != nil {
			failed = append(failed, rowFailed(&rows[i], err))
			continue
		}
		written = append(written, &rows[i])
		last = t.appendRow(n, &rows[i])
	}
	if len(written) == 0 {
		return failed, nil
	}
	// Only the last message is acknowledged; an error is answered always.
	flags := binary.NativeEndian.Uint16(n.out[last+6:])
	binary.NativeEndian.PutUint16(n.out[last+6:], flags|unix.NLM_F_ACK)
	err = n.acknowledged(func(seq uint32, errno unix.Errno) error {
		i := int(seq - first)
		switch {
		case errno == unix.EPERM:
			return fmt.Errorf("netlink: %w", errno)
		case i < 0 || i >= len(written) || written[i].Gone && errno == unix.ENOENT:
			return nil
		}
		failed = append(failed, rowFailed(written[i], errno))
		return nil
	})
	return failed, err
}

// appendRow adds the message of a row and returns where it starts.
func (t *Table) appendRow(n *nlSocket, r *engine.Row) int {
	kind, flags := uint16(unix.RTM_NEWROUTE), uint16(unix.NLM_F_REQUEST|unix.NLM_F_CREATE|unix.NLM_F_REPLACE)
	if r.Gone {
		kind, flags = unix.RTM_DELROUTE, unix.NLM_F_REQUEST
	}
	start := n.begin(kind, flags, unix.RtMsg{
		Family:   familyIPMR,
		Dst_len:  32,
		Src_len:  32,
		Protocol: protoMrouted, // not static: the row goes with its owner
		Scope:    unix.RT_SCOPE_UNIVERSE,
		Type:     unix.RTN_MULTICAST,
	})
	n.attr(unix.RTA_SRC, t.unspecified(r.Key.Source).AsSlice())
	n.attr(unix.RTA_DST, t.unspecified(r.Key.Group).AsSlice())
	if t.table != 0 {
		n.attrUint32(unix.RTA_TABLE, t.table)
	}
	if !r.Gone {
		n.attrUint32(unix.RTA_IIF, uint32(t.vifs[r.Parent].ifindex))
		// Linux refuses an empty list; without one the row is negative.
		if hops := nexthops(r); len(hops) > 0 {
			n.attr(unix.RTA_MULTIPATH, hops)
		}
	}
	n.end(start)
	return start
}

// nexthops returns the thresholds as an array of struct rtnexthop, one for each VIF up to the last in use.
func nexthops(r *engine.Row) []byte {
	last := 0
	for v, ttl := range r.TTL {
		if ttl != 0 {
			last = v + 1
		}
	}
	b := make([]byte, 0, last*unix.SizeofRtNexthop)
	for _, ttl := range r.TTL[:last] {
		b = binary.NativeEndian.AppendUint16(b, unix.SizeofRtNexthop)
		b = append(b, 0, ttl, 0, 0, 0, 0)
	}
	return b
}
