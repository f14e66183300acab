package plane_test

import (
	"net/netip"
	"testing"
	"time"

	"grove/internal/engine"
	"grove/internal/ip"
	"grove/labs/sim/plane"
	"grove/mfib/cases"
)

// TestCases runs the case table on the model: the verdicts are the kernel's.
func TestCases(t *testing.T) {
	for _, family := range []engine.Family{engine.IPv4, engine.IPv6} {
		t.Run(family.String(), func(t *testing.T) {
			cases.Run(t, family, false, func(*testing.T) cases.Bench { return newBench(family) })
		})
	}
}

// bench is the model as a cases.Bench.
type bench struct {
	family engine.Family
	plane  *plane.Plane
	now    time.Time
	seen   []cases.Seen
}

func newBench(family engine.Family) *bench {
	b := &bench{family: family, plane: plane.New(family), now: time.Unix(0, 0)}
	b.plane.Out = func(v engine.VIF, d *plane.Datagram) {
		b.seen = append(b.seen, cases.Seen{If: int(b.plane.IfOf(v)), Packet: d.Append(nil)})
	}
	b.plane.Upcall = func(u engine.Upcall) { b.seen = append(b.seen, cases.Seen{Upcall: u}) }
	return b
}

func (b *bench) Close() {}

func (b *bench) SetVIF(s engine.SetVIF) error { return b.plane.SetVIF(s) }

func (b *bench) Unplug(i int) {
	if v, ok := b.plane.VIFOf(engine.IfID(i)); ok {
		b.plane.SetVIF(engine.SetVIF{VIF: v, Gone: true})
	}
}

func (b *bench) SetRows(rows []engine.Row) []engine.RowFailed { return b.plane.SetRows(b.now, rows) }

func (b *bench) ReadCounters(keys []engine.Key) []engine.RowCounters {
	return b.plane.ReadCounters(keys)
}

func (b *bench) Arrive(i int, packet []byte) {
	p, err := ip.Parse(packet)
	if err != nil {
		return
	}
	if p.Proto == engine.ProtoPIM {
		b.plane.Decapsulate(b.now, p.Src, p.Dst, p.Payload)
		return
	}
	v, ok := b.plane.VIFOf(engine.IfID(i))
	if !ok {
		v = plane.NoVIF
	}
	b.plane.Forward(b.now, v, &p)
}

func (b *bench) Originate(i int, group netip.Addr, ttl uint8, data []byte) {
	p := ip.UDP(netip.AddrPortFrom(cases.RouterAddr(b.family, i), 1), netip.AddrPortFrom(group, 5000), ttl, data)
	b.seen = append(b.seen, cases.Seen{If: i, Packet: p.Append(nil)})
	if v, ok := b.plane.VIFOf(engine.IfID(i)); ok {
		b.plane.Originate(b.now, v, &p)
	}
}

func (b *bench) Wait(d time.Duration) { b.now = b.now.Add(d) }

func (b *bench) Seen() []cases.Seen {
	seen := b.seen
	b.seen = nil
	return seen
}
