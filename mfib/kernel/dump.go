package kernel

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"grove/internal/engine"
)

// Dumped is a row as the kernel has it. Interfaces without a VIF of this Table are left out.
type Dumped struct {
	Row        engine.Row
	Counters   engine.RowCounters
	Unresolved bool // packets of this (S,G) wait for a row
}

// Dump reads the whole table, the unresolved entries included. Its cost grows with the square of the rows: it is for
// the start.
func (t *Table) Dump() ([]Dumped, error) {
	n := t.link
	family := uint8(familyIPMR)
	if t.family == engine.IPv6 {
		family = familyIP6MR
	}
	n.out = n.out[:0]
	start := n.begin(unix.RTM_GETROUTE, unix.NLM_F_REQUEST|unix.NLM_F_DUMP, unix.RtMsg{Family: family})
	n.end(start)
	if err := n.send(); err != nil {
		return nil, fmt.Errorf("kernel: dump: %w", err)
	}
	var rows []Dumped
	err := n.receive(func(head unix.NlMsghdr, body []byte) (bool, error) {
		if head.Seq != n.seq {
			return false, nil // left over from an exchange that failed
		}
		switch head.Type {
		case unix.NLMSG_DONE:
			return true, nil
		case unix.NLMSG_ERROR:
			if len(body) < 4 {
				return false, errShort
			}
			return false, unix.Errno(-int32(binary.NativeEndian.Uint32(body)))
		case unix.RTM_NEWROUTE:
			if row, ok := t.parseRow(body); ok {
				rows = append(rows, row)
			}
		}
		return false, nil
	})
	if err != nil {
		return nil, fmt.Errorf("kernel: dump: %w", err)
	}
	return rows, nil
}

// parseRow reads a row of a dump; false: it is of another table, or not one.
func (t *Table) parseRow(body []byte) (Dumped, bool) {
	if len(body) < unix.SizeofRtMsg {
		return Dumped{}, false
	}
	d := Dumped{Unresolved: binary.NativeEndian.Uint32(body[8:])&unix.RTNH_F_UNRESOLVED != 0}
	table := uint32(body[4])
	known := true
	for kind, value := range attributes(body[unix.SizeofRtMsg:]) {
		switch {
		case kind == unix.RTA_TABLE && len(value) >= 4:
			table = binary.NativeEndian.Uint32(value)
		case kind == unix.RTA_SRC:
			d.Row.Key.Source, known = address(value)
		case kind == unix.RTA_DST:
			d.Row.Key.Group, known = address(value)
		case kind == unix.RTA_IIF && len(value) >= 4:
			d.Row.Parent, _ = t.vifOf(int(binary.NativeEndian.Uint32(value)))
		case kind == unix.RTA_MULTIPATH:
			t.parseNexthops(value, &d.Row)
		case kind == unix.RTA_MFC_STATS && len(value) >= 24:
			d.Counters.Packets = binary.NativeEndian.Uint64(value)
			d.Counters.Bytes = binary.NativeEndian.Uint64(value[8:])
			d.Counters.WrongIf = binary.NativeEndian.Uint64(value[16:])
		}
		if !known {
			return Dumped{}, false
		}
	}
	d.Counters.Key = d.Row.Key
	return d, table == t.tableID()
}

// parseNexthops reads the outgoing list of a dumped row: sparse, by interface index.
func (t *Table) parseNexthops(b []byte, r *engine.Row) {
	for len(b) >= unix.SizeofRtNexthop {
		length, ttl, ifindex := int(binary.NativeEndian.Uint16(b)), b[3], int(binary.NativeEndian.Uint32(b[4:]))
		if v, ok := t.vifOf(ifindex); ok {
			r.TTL[v] = ttl
		}
		if length < unix.SizeofRtNexthop || length > len(b) {
			return
		}
		b = b[length:]
	}
}

func (t *Table) vifOf(ifindex int) (engine.VIF, bool) {
	for v := range t.vifs {
		if t.vifs[v].exists && t.vifs[v].ifindex == ifindex {
			return engine.VIF(v), true
		}
	}
	return 0, false
}

// address reads an address; an unspecified one is a *, which is no address.
func address(b []byte) (netip.Addr, bool) {
	a, ok := netip.AddrFromSlice(b)
	if ok && a.IsUnspecified() {
		return netip.Addr{}, true
	}
	return a, ok
}

// attributes ranges over netlink attributes.
func attributes(b []byte) func(yield func(kind uint16, value []byte) bool) {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= unix.SizeofRtAttr {
			length := int(binary.NativeEndian.Uint16(b))
			if length < unix.SizeofRtAttr || length > len(b) {
				return
			}
			if !yield(binary.NativeEndian.Uint16(b[2:])&attrTypeMask, b[unix.SizeofRtAttr:length]) {
				return
			}
			b = b[min(len(b), (length+3)&^3):]
		}
	}
}
