package wire

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
)

// Route is a line of a Report. Metric is as on the wire, without the Last bit: 1 to 31 reachable, 32 unreachable, 33 to
// 63 a poison reverse, 64 to 127 illegal (section 3.4.4). Prefix is as on the wire, too: it may have bits beyond its
// length, which the receiver has to refuse.
type Route struct {
	Prefix netip.Prefix
	Metric uint8
}

// Report tells routes (section 3.4).
type Report struct{ Routes []Route }

// Code returns CodeReport.
func (*Report) Code() Code { return CodeReport }

// last marks the last route of a mask (section 3.4.3).
const last = 0x80

// width returns how many bytes of the network are sent for a mask of n bits: as many as the mask has that are not zero
// (section 3.4.2), the first of which always counts.
func width(n int) int { return max(1, (n+7)/8) }

// shownMask returns the three bytes that stand for a mask of n bits. The first byte of a mask is taken to be 0xff, so the
// default route has the same mask as networks of 8 bits.
func shownMask(n int) [3]byte {
	m := maskOf(n)
	return [3]byte{byte(m >> 16), byte(m >> 8), byte(m)}
}

// Append appends the message without the header. Routes that follow one another with the same mask share it.
func (p *Report) Append(b []byte) ([]byte, error) {
	for i, rt := range p.Routes {
		n := rt.Prefix.Bits()
		switch {
		case !rt.Prefix.IsValid() || !rt.Prefix.Addr().Is4() || n > 0 && n < 8:
			return nil, fmt.Errorf("route %d: prefix %v: %w", i, rt.Prefix, ErrRange) // section 3.4.2
		case n == 0 && rt.Prefix.Addr().As4()[0] != 0, n == 8 && rt.Prefix.Addr().As4()[0] == 0:
			return nil, fmt.Errorf("route %d: prefix %v is read as another: %w", i, rt.Prefix, ErrRange)
		case rt.Metric >= last:
			return nil, fmt.Errorf("route %d: metric %d: %w", i, rt.Metric, ErrRange)
		}
		mask := shownMask(n)
		if i == 0 || shownMask(p.Routes[i-1].Prefix.Bits()) != mask {
			b = append(b, mask[:]...)
		}
		a := rt.Prefix.Addr().As4()
		b = append(b, a[:width(n)]...)
		if i+1 == len(p.Routes) || shownMask(p.Routes[i+1].Prefix.Bits()) != mask {
			rt.Metric |= last
		}
		b = append(b, rt.Metric)
	}
	return b, nil
}

func parseReport(r *reader) (*Report, error) {
	p := &Report{}
	for r.left() > 0 {
		m := r.take(3)
		n, ok := maskLen(0xff<<24 | uint32(m[0])<<16 | uint32(m[1])<<8 | uint32(m[2]))
		if !ok {
			return nil, fmt.Errorf("route %d: %w", len(p.Routes), ErrMask)
		}
		for end := false; !end; {
			var a [4]byte
			copy(a[:], r.take(width(n)))
			metric := r.byte()
			if r.err != nil {
				return nil, fmt.Errorf("route %d: %w", len(p.Routes), r.err)
			}
			end = metric&last != 0
			rt := Route{Prefix: netip.PrefixFrom(netip.AddrFrom4(a), n), Metric: metric &^ last}
			if n == 8 && a[0] == 0 {
				rt.Prefix = netip.PrefixFrom(netip.IPv4Unspecified(), 0) // section 3.4.2: MUST be the default route
			}
			p.Routes = append(p.Routes, rt)
		}
	}
	return p, nil
}

// PackReports makes Reports, each of at most limit bytes (see MaxMessage), that tell routes, those of the same mask
// together, in the order of their prefixes. The slice is sorted in place.
func PackReports(routes []Route, limit int) []*Report {
	slices.SortFunc(routes, func(a, b Route) int {
		return cmp.Or(cmp.Compare(a.Prefix.Bits(), b.Prefix.Bits()), a.Prefix.Addr().Compare(b.Prefix.Addr()))
	})
	var reports []*Report
	left := 0
	for i, rt := range routes {
		n := rt.Prefix.Bits()
		need := width(n) + 1
		if i == 0 || shownMask(routes[i-1].Prefix.Bits()) != shownMask(n) {
			need += 3
		}
		if len(reports) == 0 || need > left {
			reports = append(reports, &Report{})
			left, need = limit-headerLen, 3+width(n)+1
		}
		report := reports[len(reports)-1]
		report.Routes = append(report.Routes, rt)
		left -= need
	}
	return reports
}
