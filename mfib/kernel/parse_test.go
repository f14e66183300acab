package kernel

import (
	"testing"
	"unsafe"

	"grove/internal/engine"
	"grove/internal/ip"
)

// FuzzRead: whatever the sockets hand over, the parsers neither panic nor return half of something. The kernel is
// trusted, but the packets in its upcalls are anybody's.
func FuzzRead(f *testing.F) {
	whole4, whole6 := data(flow(engine.IPv4, 1), 9, "data"), data(flow(engine.IPv6, 1), 9, "data")
	upcall4 := append(append([]byte(nil), whole4[:20]...), whole4...)
	upcall4[8], upcall4[9], upcall4[10], upcall4[11] = 3, 0, 5, 0
	upcall6 := append([]byte{0, 3, 5, 0, 0, 0, 0, 0}, whole6[8:40]...)
	upcall6 = append(upcall6, whole6...)
	igmp := ip.Packet{Src: flow(engine.IPv4, 1).Source, Dst: flow(engine.IPv4, 1).Group, Proto: engine.ProtoIGMP, TTL: 1, RouterAlert: true, Payload: make([]byte, 8)}
	f.Add(upcall4)
	f.Add(upcall6)
	f.Add(igmp.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, event := range []engine.Event{parseUpcall4(b), parseUpcall6(b)} {
			u, ok := event.(engine.Upcall)
			if event != nil && (!ok || u.Kind < engine.NoCache || u.Kind > engine.WrongVIFWhole || u.Src.BitLen() != u.Dst.BitLen()) {
				t.Errorf("%+v", event)
			}
		}
		if event := parseIGMP(b); event != nil && event.(engine.Packet).Proto != engine.ProtoIGMP {
			t.Errorf("%+v", event)
		}
		pktinfo(b)
	})
}

// FuzzDump: no message of a dump makes its parser panic.
func FuzzDump(f *testing.F) {
	tab := &Table{family: engine.IPv4}
	tab.vifs[3] = vif{exists: true, ifindex: 7}
	n := &nlSocket{}
	w := row(flow(engine.IPv4, 1), 3, 3)
	tab.appendRow(n, &w)
	f.Add(n.out[16:])
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, ok := tab.parseRow(b); ok && d.Row.Parent >= engine.MaxVIFs {
			t.Errorf("%+v", d)
		}
	})
}

// TestParseUpcall: the fields of both families' upcalls, and what is none.
func TestParseUpcall(t *testing.T) {
	whole := data(flow(engine.IPv4, 1), 9, "data")
	b := append(append([]byte(nil), whole[:20]...), whole...)
	b[8], b[9], b[10], b[11] = 3, 0, 5, 0
	u, ok := parseUpcall4(b).(engine.Upcall)
	if !ok || u.Kind != engine.WholePkt || u.VIF != 5 || u.Src != flow(engine.IPv4, 1).Source || u.Dst != flow(engine.IPv4, 1).Group || string(u.Packet) != string(whole) {
		t.Errorf("%+v", u)
	}
	clear(b)
	if string(u.Packet) != string(whole) {
		t.Error("the packet shares the buffer of the next read")
	}
	for _, none := range [][]byte{nil, whole, whole[:19], make([]byte, 28), {8: 9, 27: 0}} {
		if event := parseUpcall4(none); event != nil {
			t.Errorf("%x is %+v", none, event)
		}
	}
}

// TestABI: the structs have the sizes of the kernel's.
func TestABI(t *testing.T) {
	for name, sizes := range map[string][2]uintptr{
		"vifctl":  {unsafe.Sizeof(vifctl{}), 16},
		"mif6ctl": {unsafe.Sizeof(mif6ctl{}), 12},
		"mfcctl":  {unsafe.Sizeof(mfcctl{}), 60},
		"mf6cctl": {unsafe.Sizeof(mf6cctl{}), 92},
	} {
		if sizes[0] != sizes[1] {
			t.Errorf("%s has %d bytes, not %d", name, sizes[0], sizes[1])
		}
	}
}
