package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

// StateRefresh is a State Refresh message (RFC 3973 section 4.7.10).
type StateRefresh struct {
	Group            Group
	Source           netip.Addr
	Originator       netip.Addr // the first hop router
	RPT              bool       // zero in dense mode
	MetricPreference uint32     // 31 bits; of the sender's route to Source
	Metric           uint32
	MaskLen          uint8         // of the sender's route to Source
	TTL              uint8         // not that of the IP header, which is 1
	PruneIndicator   bool          // P: the interface that the message goes to is pruned
	PruneNow         bool          // N: ignored, but for earlier versions of the protocol
	AssertOverride   bool          // O: likewise
	Interval         time.Duration // between messages of the originator; whole seconds, rounded up, at most 255
}

// The flags of a State Refresh message.
const (
	refreshPruneIndicator = 0x80
	refreshPruneNow       = 0x40
	refreshAssertOverride = 0x20
)

// Type returns TypeStateRefresh.
func (*StateRefresh) Type() Type { return TypeStateRefresh }

// Append appends the message.
func (m *StateRefresh) Append(b []byte) ([]byte, error) {
	b, err := appendFlow(b, m.Group, m.Source)
	if err != nil {
		return nil, err
	}
	if b, err = appendUnicast(b, m.Originator); err != nil {
		return nil, fmt.Errorf("originator: %w", err)
	}
	if b, err = appendMetric(b, m.RPT, m.MetricPreference, m.Metric); err != nil {
		return nil, err
	}
	if int(m.MaskLen) > m.Source.BitLen() {
		return nil, fmt.Errorf("mask length %d: %w", m.MaskLen, ErrMaskLen)
	}
	interval, err := intervalOf(m.Interval)
	if err != nil {
		return nil, err
	}
	flags := flag(m.PruneIndicator, refreshPruneIndicator) | flag(m.PruneNow, refreshPruneNow) |
		flag(m.AssertOverride, refreshAssertOverride)
	return append(b, m.MaskLen, m.TTL, flags, interval), nil
}

func parseStateRefresh(r *reader) (*StateRefresh, error) {
	m := &StateRefresh{}
	m.Group, m.Source = r.flow()
	if r.err != nil {
		return nil, r.err
	}
	m.Originator = r.unicast()
	r.sameFamily(m.Originator)
	if r.err != nil {
		return nil, fmt.Errorf("originator: %w", r.err)
	}
	m.RPT, m.MetricPreference, m.Metric = r.metric()
	m.MaskLen, m.TTL = r.uint8(), r.uint8()
	flags := r.uint8()
	m.PruneIndicator, m.PruneNow = flags&refreshPruneIndicator != 0, flags&refreshPruneNow != 0
	m.AssertOverride = flags&refreshAssertOverride != 0
	m.Interval = time.Duration(r.uint8()) * time.Second
	if r.err == nil && int(m.MaskLen) > m.Source.BitLen() {
		r.fail(fmt.Errorf("mask length %d: %w", m.MaskLen, ErrMaskLen))
	}
	if r.err != nil {
		return nil, r.err
	}
	return m, nil
}

// intervalOf returns a State Refresh interval in seconds, rounded up.
func intervalOf(d time.Duration) (uint8, error) {
	secs := (d + time.Second - 1) / time.Second
	if d < 0 || secs > 0xff {
		return 0, fmt.Errorf("interval %v: %w", d, ErrRange)
	}
	return uint8(secs), nil
}

// appendMetric appends the metric of an Assert or State Refresh message.
func appendMetric(b []byte, rpt bool, preference, metric uint32) ([]byte, error) {
	if preference&rptBit != 0 {
		return nil, fmt.Errorf("metric preference %d: %w", preference, ErrRange)
	}
	if rpt {
		preference |= rptBit
	}
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, preference), metric), nil
}

// metric reads what appendMetric writes.
func (r *reader) metric() (rpt bool, preference, metric uint32) {
	preference = r.uint32()
	return preference&rptBit != 0, preference &^ rptBit, r.uint32()
}
