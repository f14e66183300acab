package wire

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"time"
)

// Query is a Membership Query (RFC 3376 section 4.1, RFC 2236 section 2) or Multicast Listener Query (RFC 3810 section
// 5.1, RFC 2710 section 3).
type Query struct {
	Version int        // IGMP 1 to 3, MLD 1 or 2
	Group   netip.Addr // invalid: a General Query
	// MaxResp is the time that hosts may take to answer. IGMPv1 has none: 0, which hosts take for 10 s.
	MaxResp time.Duration
	// The rest is of IGMPv3 and MLDv2 alone.
	Suppress      bool          // the S flag: routers leave their timers alone
	Robustness    uint8         // QRV, 0 to 7; 0: not told
	QueryInterval time.Duration // QQI, in seconds; 0: not told
	Sources       []netip.Addr
}

// General says whether the query asks for all groups.
func (q Query) General() bool { return !q.Group.IsValid() }

// Append is Message's. Times are rounded down to what the format can tell, but not to zero: a Max Resp Time of zero
// is IGMPv1's.
func (q Query) Append(b []byte, ends Ends) ([]byte, error) {
	start, mld := len(b), ends.mld()
	newest := 3
	if mld {
		newest = 2
	}
	if q.Version < 1 || q.Version > newest {
		return nil, fmt.Errorf("query: version %d: %w", q.Version, ErrValue)
	}
	withSources := q.Version == newest
	if mld {
		resp := units(q.MaxResp, time.Millisecond)
		if withSources {
			resp = encodeFloat(resp, 12)
		}
		b = append(b, mldQuery, 0, 0, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(min(resp, math.MaxUint16)))
		b = append(b, 0, 0)
	} else {
		resp := units(q.MaxResp, 100*time.Millisecond)
		switch q.Version {
		case 1:
			resp = 0
		case 3:
			resp = encodeFloat(resp, 4)
		}
		b = append(b, igmpQuery, uint8(min(resp, math.MaxUint8)), 0, 0)
	}
	b, err := appendAddr(b, q.Group, mld)
	if err != nil {
		return nil, fmt.Errorf("query: group: %w", err)
	}
	if withSources {
		if q.Robustness > 7 || len(q.Sources) > math.MaxUint16 {
			return nil, fmt.Errorf("query: robustness %d, %d sources: %w", q.Robustness, len(q.Sources), ErrValue)
		}
		flags := q.Robustness
		if q.Suppress {
			flags |= 8
		}
		b = append(b, flags, uint8(encodeFloat(uint32(min(q.QueryInterval/time.Second, math.MaxInt32)), 4)))
		b = binary.BigEndian.AppendUint16(b, uint16(len(q.Sources)))
		if b, err = appendAddrs(b, q.Sources, mld); err != nil {
			return nil, fmt.Errorf("query: %w", err)
		}
	}
	return seal(b, start, ends), nil
}

// units counts the units in d, rounded down, but a time that is not zero is at least one.
func units(d, unit time.Duration) uint32 {
	if d > 0 && d < unit {
		return 1
	}
	return uint32(min(d/unit, math.MaxInt32))
}

// parseQuery tells the version by the length: RFC 3376 section 7.1, RFC 3810 section 8.1.
func parseQuery(r *reader) Query {
	length := len(r.b)
	short := 4 + r.width() // with IGMP's header of 4 octets, MLD's of 8
	if r.mld {
		short += 4
	}
	withSources := length >= short+4
	if length < short {
		r.fail("query", ErrTruncated)
		return Query{}
	}
	if length != short && !withSources {
		r.fail(fmt.Sprintf("query of %d octets", length), ErrLength)
		return Query{}
	}
	var q Query
	r.uint8("type")
	code := r.uint8("code")
	r.uint16("checksum")
	switch {
	case r.mld:
		resp := uint32(r.uint16("maximum response code"))
		r.uint16("reserved")
		q.Version = 1
		if withSources {
			q.Version = 2
			resp = decodeFloat(resp, 12)
		}
		q.MaxResp = time.Duration(resp) * time.Millisecond
	case withSources:
		q.Version = 3
		q.MaxResp = time.Duration(decodeFloat(uint32(code), 4)) * 100 * time.Millisecond
	case code == 0:
		q.Version = 1
	default:
		q.Version = 2
		q.MaxResp = time.Duration(code) * 100 * time.Millisecond
	}
	if g := r.addr("group"); !g.IsUnspecified() {
		q.Group = g
	}
	if withSources {
		flags := r.uint8("flags")
		q.Suppress, q.Robustness = flags&8 != 0, flags&7
		q.QueryInterval = time.Duration(decodeFloat(uint32(r.uint8("qqic")), 4)) * time.Second
		q.Sources = r.addrs(int(r.uint16("number of sources")), "query: source")
	}
	return q
}
