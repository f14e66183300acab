package plane

import (
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
	"time"

	"grove/internal/engine"
	"grove/internal/ip"
)

// Datagram is an IP packet on its way: Append renders it, ip.Parse reads one. It is cheap to copy: all copies share
// the payload, which nobody changes.
type Datagram = ip.Packet

// What SetVIF and SetRows refuse, as the kernel does.
var (
	ErrExists  = errors.New("plane: the VIF exists")                         // EADDRINUSE
	ErrMissing = errors.New("plane: no such VIF")                            // EADDRNOTAVAIL
	ErrVIF     = errors.New("plane: a VIF number is less than 32")           // ENFILE
	ErrGroup   = errors.New("plane: the group of a row is multicast")        // EINVAL
	ErrFamily  = errors.New("plane: an address of the table's other family") // EINVAL
)

// DefaultMaxUnresolved is how many unresolved entries a table keeps unless MaxUnresolved is set.
const DefaultMaxUnresolved = 8192

// Plane is the forwarding plane of one router, family and table. Make one with New.
type Plane struct {
	// Out takes a packet that leaves by a VIF, its TTL decremented. The datagram is valid only during the call.
	Out func(v engine.VIF, d *Datagram)
	// Upcall takes what the kernel would tell its multicast routing daemon.
	Upcall func(u engine.Upcall)
	// MaxUnresolved bounds the unresolved entries; packets of further flows are dropped in silence.
	MaxUnresolved int

	family   engine.Family
	vifs     [engine.MaxVIFs]vif
	present  uint32 // the VIFs that exist, as bits
	register int    // the register VIF; -1: none

	rows map[engine.Key]*row // (S,G) and (*,G)
	any  *row                // (*,*)

	unresolved map[engine.Key]*pending
	oldest     []*pending // by deadline; those answered meanwhile are skipped
	leaving    Datagram   // scratch: what Out is shown
}

type vif struct {
	id       engine.IfID
	register bool
}

// row is an entry of the multicast forwarding cache (struct mr_mfc).
type row struct {
	key                    engine.Key
	parent                 engine.VIF
	ttl                    [engine.MaxVIFs]uint8 // off: never
	out                    uint32                // the VIFs whose ttl is not off, as bits
	lastAssert             time.Time
	packets, bytes, wrongs uint64
}

const off = 255

// New returns an empty plane.
func New(family engine.Family) *Plane {
	return &Plane{
		Out:           func(engine.VIF, *Datagram) {},
		Upcall:        func(engine.Upcall) {},
		MaxUnresolved: DefaultMaxUnresolved,
		family:        family,
		register:      -1,
		rows:          make(map[engine.Key]*row),
		unresolved:    make(map[engine.Key]*pending),
	}
}

// SetVIF adds or deletes a VIF. Rows that name a deleted VIF keep its bit, as in Linux: whoever gets the number next
// receives their traffic. When an interface goes the kernel deletes its VIF itself; so must the simulator.
func (p *Plane) SetVIF(s engine.SetVIF) error {
	if s.VIF >= engine.MaxVIFs {
		return fmt.Errorf("%w: %d", ErrVIF, s.VIF)
	}
	bit := uint32(1) << s.VIF
	if s.Gone {
		if p.present&bit == 0 {
			return fmt.Errorf("%w: %d", ErrMissing, s.VIF)
		}
		if p.vifs[s.VIF].register {
			p.register = -1
		}
		p.present &^= bit
		p.vifs[s.VIF] = vif{}
		return nil
	}
	if p.present&bit != 0 || s.Register && p.register >= 0 {
		return fmt.Errorf("%w: %d", ErrExists, s.VIF)
	}
	p.present |= bit
	p.vifs[s.VIF] = vif{s.If, s.Register}
	if s.Register {
		p.register = int(s.VIF)
	}
	return nil
}

// VIFOf returns the VIF of an interface; false: it has none, and packets from it are not forwarded.
func (p *Plane) VIFOf(id engine.IfID) (engine.VIF, bool) {
	for m := p.present; m != 0; m &= m - 1 {
		v := bits.TrailingZeros32(m)
		if p.vifs[v].id == id && !p.vifs[v].register {
			return engine.VIF(v), true
		}
	}
	return 0, false
}

// IfOf returns the interface of a VIF; 0: it has none.
func (p *Plane) IfOf(v engine.VIF) engine.IfID {
	if v >= engine.MaxVIFs {
		return 0
	}
	return p.vifs[v].id
}

// SetRows adds, replaces and deletes rows in order, and returns what was refused. Adding an (S,G) sends the packets on
// that wait for it. A row that is to be deleted and is not there is as wanted.
func (p *Plane) SetRows(now time.Time, rows []engine.Row) []engine.RowFailed {
	var failed []engine.RowFailed
	for i := range rows {
		if err := p.setRow(now, &rows[i]); err != nil {
			failed = append(failed, engine.RowFailed{Key: rows[i].Key, Err: err.Error()})
		}
	}
	return failed
}

func (p *Plane) setRow(now time.Time, want *engine.Row) error {
	key, err := p.key(want.Key)
	if err != nil {
		return err
	}
	if want.Gone {
		if !key.Group.IsValid() {
			p.any = nil
		}
		delete(p.rows, key)
		return nil
	}
	if !p.exists(want.Parent) {
		return fmt.Errorf("%w: parent %d", ErrMissing, want.Parent)
	}
	r := p.lookup(key)
	if r != nil {
		// Replaced: counters and the time of the last assert stay.
		p.fill(r, want)
		return nil
	}
	r = &row{key: key}
	p.fill(r, want)
	if key.Group.IsValid() {
		p.rows[key] = r
	} else {
		p.any = r
	}
	p.resolve(now, r)
	return nil
}

// fill takes parent and thresholds over. Only VIFs that exist at this moment get a bit.
func (p *Plane) fill(r *row, want *engine.Row) {
	r.parent, r.out = want.Parent, 0
	for v := range r.ttl {
		t := want.TTL[v]
		if t == 0 || p.present&(1<<v) == 0 {
			t = off
		}
		if t != off {
			r.out |= 1 << v
			if p.family == engine.IPv6 {
				t = 1 // struct mf6cctl has a set of interfaces and no thresholds
			}
		}
		r.ttl[v] = t
	}
}

// key checks a key and brings it to one form: an unspecified address is no address.
func (p *Plane) key(k engine.Key) (engine.Key, error) {
	for _, a := range []*netip.Addr{&k.Source, &k.Group} {
		if !a.IsValid() {
			continue
		}
		if engine.FamilyOf(*a) != p.family {
			return k, fmt.Errorf("%w: %v", ErrFamily, k)
		}
		if a.IsUnspecified() {
			*a = netip.Addr{}
		}
	}
	if k.Group.IsValid() && !k.Group.IsMulticast() || !k.Group.IsValid() && k.Source.IsValid() {
		return k, fmt.Errorf("%w: %v", ErrGroup, k)
	}
	return k, nil
}

func (p *Plane) lookup(k engine.Key) *row {
	if !k.Group.IsValid() {
		return p.any
	}
	return p.rows[k]
}

// ReadCounters answers the effect of that name.
func (p *Plane) ReadCounters(keys []engine.Key) []engine.RowCounters {
	counters := make([]engine.RowCounters, len(keys))
	for i, k := range keys {
		counters[i] = engine.RowCounters{Key: k, Missing: true}
		norm, err := p.key(k)
		if err != nil {
			continue
		}
		if r := p.lookup(norm); r != nil {
			counters[i] = engine.RowCounters{Key: k, Packets: r.packets, Bytes: r.bytes, WrongIf: r.wrongs}
		}
	}
	return counters
}

// Rows returns how many rows there are.
func (p *Plane) Rows() int {
	if p.any != nil {
		return len(p.rows) + 1
	}
	return len(p.rows)
}
