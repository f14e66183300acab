package host

import (
	"testing"

	"grove/internal/engine"
)

// An upcall storm fills its own bound; the control packets that come with it are all there, and in order.
func TestInboxStormStarvesNobody(t *testing.T) {
	b := newInbox()
	for i := range 3 * bounds[alert] {
		b.put([]item{{alert, engine.MachineID{}, engine.Upcall{}}})
		if i%100 == 0 {
			b.put([]item{{control, engine.MachineID{}, engine.Packet{TTL: uint8(i / 100)}}})
		}
	}
	var upcalls, packets int
	for {
		select {
		case <-b.ready:
		default:
			if upcalls != bounds[alert] || packets != (3*bounds[alert]+99)/100 {
				t.Fatalf("got %d upcalls and %d packets", upcalls, packets)
			}
			var c engine.Counts
			b.count(&c)
			if got := c.Get("dropped upcalls: queue full"); got != uint64(2*bounds[alert]) {
				t.Errorf("%d counted as dropped", got)
			}
			return
		}
		for _, it := range b.take(nil, 256) {
			switch ev := it.what.(type) {
			case engine.Upcall:
				upcalls++
			case engine.Packet:
				if ev.TTL != uint8(packets) {
					t.Fatalf("packet %d out of order", packets)
				}
				packets++
			}
		}
	}
}
