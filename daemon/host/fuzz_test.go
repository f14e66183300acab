package host

import (
	"testing"

	"golang.org/x/sys/unix"
)

// Whatever the kernel hands over, taking it apart ends without a panic.

func FuzzArrival(f *testing.F) {
	f.Add([]byte{0x46, 0xc0, 0, 28, 0, 0, 0, 0, 1, 2, 0, 0, 10, 0, 0, 1, 224, 0, 0, 1, 0x94, 4, 0, 0, 0x11, 0, 0, 0},
		appendControl(nil, unix.IPPROTO_IP, unix.IP_PKTINFO, make([]byte, 12)))
	f.Add(make([]byte, 40), appendControl(nil, unix.IPPROTO_IPV6, unix.IPV6_HOPOPTS, routerAlert6))
	f.Fuzz(func(t *testing.T, packet, oob []byte) {
		a, ok := arrival4(packet, oob)
		if ok && (len(a.Payload) > len(packet)-20 || !a.Src.Is4() || !a.Dst.Is4()) {
			t.Errorf("%+v", a)
		}
		arrival6(ipOf("fe80::1"), packet, oob)
	})
}

func FuzzNetlink(f *testing.F) {
	f.Add(uint16(unix.RTM_NEWLINK), make([]byte, 40))
	f.Add(uint16(unix.RTM_NEWROUTE), []byte{2, 16, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0, 8, 0, 1, 0, 10, 1, 0, 0, 20, 0, 9, 0, 16, 0, 0, 1, 7, 0, 0, 0, 8, 0, 5, 0, 10, 0, 0, 1})
	f.Add(uint16(unix.RTM_NEWNEXTHOP), []byte{2, 0, 0, 0, 0, 0, 0, 0, 12, 0, 2, 0, 1, 0, 0, 0, 3, 0, 0, 0})
	f.Fuzz(func(t *testing.T, kind uint16, b []byte) {
		v := newView()
		news, err := parseNotification(kind, 0, b)
		if r, ok := news.(routeNews); ok && err == nil {
			v.applyRoute(r)
			v.changes()
		}
		if _, err := parseNexthop(b); err == nil && len(b) < sizeofNhMsg {
			t.Error("a nexthop of nothing")
		}
		parseAddress(b)
	})
}
