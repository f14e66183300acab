package kernel

import (
	"errors"

	"golang.org/x/sys/unix"

	"grove/internal/engine"
)

// ReadCounters reads the counters of rows. A row that is not in the kernel's table is Missing; one that cannot be read
// for another reason is left out.
func (t *Table) ReadCounters(keys []engine.Key) []engine.RowCounters {
	counters := make([]engine.RowCounters, 0, len(keys))
	for _, k := range keys {
		c, err := t.readCounter(k)
		if errors.Is(err, unix.EADDRNOTAVAIL) {
			c = engine.RowCounters{Key: k, Missing: true}
		} else if err != nil {
			continue
		}
		counters = append(counters, c)
	}
	return counters
}

func (t *Table) readCounter(k engine.Key) (engine.RowCounters, error) {
	source, group := t.unspecified(k.Source), t.unspecified(k.Group)
	if engine.FamilyOf(source) != t.family || engine.FamilyOf(group) != t.family {
		return engine.RowCounters{}, unix.EAFNOSUPPORT
	}
	if t.family == engine.IPv4 {
		r := sgReq{source: source.As4(), group: group.As4()}
		err := ioctl(t.fd, siocGetSGCount, &r)
		return engine.RowCounters{Key: k, Packets: uint64(r.packets), Bytes: uint64(r.bytes), WrongIf: uint64(r.wrong)}, err
	}
	r := sgReq6{source: sockaddr6(source), group: sockaddr6(group)}
	err := ioctl(t.fd, siocGetSGCount6, &r)
	return engine.RowCounters{Key: k, Packets: uint64(r.packets), Bytes: uint64(r.bytes), WrongIf: uint64(r.wrong)}, err
}
