package wire

import "net/netip"

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
	return appendMetric(b, m.RPT, m.MetricPreference, m.Metric)
}

func parseAssert(r *reader) (*Assert, error) {
	m := &Assert{}
	m.Group, m.Source = r.flow()
	m.RPT, m.MetricPreference, m.Metric = r.metric()
	if r.err != nil {
		return nil, r.err
	}
	return m, nil
}
