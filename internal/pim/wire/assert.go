package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// Assert is an Assert message (RFC 7761 section 4.9.6).
type Assert struct {
	Group            Group
	Source           netip.Addr // of an Assert(*,G) it may be unspecified (all zeros)
	RPT              bool       // the RPTbit: Assert(*,G)
	MetricPreference uint32     // 31 bits
	Metric           uint32
}

// The metric preference and metric of an AssertCancel, with the RPTbit set (RFC 7761 section 4.6.4): infinite.
const (
	InfiniteMetricPreference = 0x7fffffff
	InfiniteMetric           = 0xffffffff
)

const rptBit = 0x80000000

// Type returns TypeAssert.
func (*Assert) Type() Type { return TypeAssert }

// Append appends the message.
func (m *Assert) Append(b []byte) ([]byte, error) {
	b, err := appendFlow(b, m.Group, m.Source)
	if err != nil {
		return nil, err
	}
	preference := m.MetricPreference
	if preference&rptBit != 0 {
		return nil, fmt.Errorf("metric preference %d: %w", preference, ErrRange)
	}
	if m.RPT {
		preference |= rptBit
	}
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, preference), m.Metric), nil
}

func parseAssert(r *reader) (*Assert, error) {
	m := &Assert{}
	m.Group, m.Source = r.flow()
	preference := r.uint32()
	m.RPT, m.MetricPreference = preference&rptBit != 0, preference&^rptBit
	m.Metric = r.uint32()
	if r.err != nil {
		return nil, r.err
	}
	return m, nil
}
