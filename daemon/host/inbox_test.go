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

// Control and whole packets stay in order; alerts wait for them, but not for ever.
func TestInboxOrder(t *testing.T) {
	b := newInbox()
	for i := range 100 {
		for _, c := range []class{alert, control, whole} {
			b.put([]item{{c, engine.MachineID{}, engine.Packet{TTL: uint8(i)}}})
		}
	}
	var order []item
	for round := range 4 {
		before := len(order)
		order = b.take(order, 80)
		alerts := 0
		for _, it := range order[before:] {
			if it.class == alert {
				alerts++
			}
		}
		if want := []int{20, 20, 20, 40}[round]; alerts != want {
			t.Errorf("round %d: %d alerts, want %d", round, alerts, want)
		}
	}
	n := 0
	for _, it := range order {
		if it.class == alert {
			continue
		}
		if want := []class{control, whole}[n%2]; it.class != want || it.what.(engine.Packet).TTL != uint8(n/2) {
			t.Fatalf("item %d is out of order", n)
		}
		n++
	}
}
