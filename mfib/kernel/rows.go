package kernel

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"grove/internal/engine"
)

// SetRows adds, replaces and deletes rows in order, and returns what the kernel refused. A row that is to be deleted
// and is not there is as wanted.
func (t *Table) SetRows(rows []engine.Row) []engine.RowFailed {
	if t.family == engine.IPv4 && !t.direct {
		failed, err := t.writeNetlink(rows)
		if err == nil {
			return failed
		}
		if errors.Is(err, unix.EPERM) {
			// No CAP_NET_ADMIN: an inherited multicast routing socket is enough for the other writer.
			t.direct = true
		}
		// Rows are levels: writing again those of them that were written changes nothing.
	}
	var failed []engine.RowFailed
	for i := range rows {
		if err := t.writeSocket(&rows[i]); err != nil {
			failed = append(failed, rowFailed(&rows[i], err))
		}
	}
	return failed
}

func rowFailed(r *engine.Row, err error) engine.RowFailed {
	text := fmt.Sprintf("kernel: add %v, parent vif %d: %v", r.Key, r.Parent, err)
	if r.Gone {
		text = fmt.Sprintf("kernel: delete %v: %v", r.Key, err)
	}
	return engine.RowFailed{Key: r.Key, Err: text}
}

// checkRow refuses what would be cut short or misread on its way to the kernel.
func (t *Table) checkRow(r *engine.Row) error {
	if s := t.unspecified(r.Key.Source); engine.FamilyOf(s) != t.family {
		return unix.EAFNOSUPPORT
	}
	if g := t.unspecified(r.Key.Group); engine.FamilyOf(g) != t.family {
		return unix.EAFNOSUPPORT
	}
	if !r.Gone && (r.Parent >= engine.MaxVIFs || !t.vifs[r.Parent].exists) {
		return ErrVIF
	}
	return nil
}

// writeSocket writes a row by the multicast routing socket.
func (t *Table) writeSocket(r *engine.Row) error {
	if err := t.checkRow(r); err != nil {
		return err
	}
	name := mrtAddMFC
	if r.Gone {
		name = mrtDelMFC
	}
	source, group := t.unspecified(r.Key.Source), t.unspecified(r.Key.Group)
	var err error
	if t.family == engine.IPv4 {
		c := mfcctl{origin: source.As4(), group: group.As4(), parent: uint16(r.Parent), ttls: r.TTL}
		err = setopt(t.fd, t.level(), name, &c)
	} else {
		c := mf6cctl{origin: sockaddr6(source), group: sockaddr6(group), parent: uint16(r.Parent)}
		for v, ttl := range r.TTL {
			if ttl != 0 && ttl != 255 {
				c.set[v/32] |= 1 << (v % 32)
			}
		}
		err = setopt(t.fd, t.level(), name, &c)
	}
	if r.Gone && errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}
