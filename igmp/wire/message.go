package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"grove/internal/engine"
	"grove/internal/ip"
)

// The reasons for which Parse and Append refuse; errors wrap one of them.
var (
	ErrTruncated = errors.New("truncated")
	ErrChecksum  = errors.New("bad checksum")
	ErrType      = errors.New("unknown message type")
	ErrLength    = errors.New("length of no version")         // a Query of RFC 3376 section 7.1's last sentence
	ErrValue     = errors.New("value that cannot be encoded") // Append alone
)

// Ends are the source and destination of the IP packet around a message. Dst decides the family; MLD's checksum covers
// both.
type Ends struct{ Src, Dst netip.Addr }

func (e Ends) mld() bool { return engine.FamilyOf(e.Dst) == engine.IPv6 }

// Message is one of Query, OlderReport, Leave and Report.
type Message interface {
	// Append appends the message as the whole payload of an IP packet between ends, with its checksum.
	Append(b []byte, ends Ends) ([]byte, error)
}

// Message types: IGMP's, and ICMPv6's for MLD.
const (
	igmpQuery    = 0x11
	igmpReportV1 = 0x12
	igmpReportV2 = 0x16
	igmpLeave    = 0x17
	igmpReportV3 = 0x22

	mldQuery    = 130
	mldReportV1 = 131
	mldDone     = 132
	mldReportV2 = 143
)

// Parse decodes a message: the whole payload of an IP packet between ends (without IPv6 extension headers).
func Parse(b []byte, ends Ends) (Message, error) {
	mld := ends.mld()
	name := "igmp"
	if mld {
		name = "mld"
	}
	m, err := parse(b, mld, ends)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return m, nil
}

func parse(b []byte, mld bool, ends Ends) (Message, error) {
	if len(b) < 4 {
		return nil, fmt.Errorf("header: %w", ErrTruncated)
	}
	if checksum(b, ends) != 0 {
		return nil, ErrChecksum
	}
	r := &reader{b: b, mld: mld}
	var m Message
	switch kind := b[0]; {
	case !mld && kind == igmpQuery, mld && kind == mldQuery:
		m = parseQuery(r)
	case !mld && kind == igmpReportV1, mld && kind == mldReportV1:
		m = parseOlderReport(r, 1)
	case !mld && kind == igmpReportV2:
		m = parseOlderReport(r, 2)
	case !mld && kind == igmpLeave, mld && kind == mldDone:
		m = parseLeave(r)
	case !mld && kind == igmpReportV3, mld && kind == mldReportV2:
		m = parseReport(r)
	default:
		return nil, fmt.Errorf("type %d: %w", kind, ErrType)
	}
	if r.err != nil {
		return nil, r.err
	}
	return m, nil
}

// checksum is the Internet checksum of b, for MLD with the pseudo-header of RFC 8200 section 8.1. It is zero for a
// message whose checksum field is right.
func checksum(b []byte, ends Ends) uint16 {
	var sum uint32
	if ends.mld() {
		sum = ip.PseudoSum(netip.AddrFrom16(ends.Src.As16()), netip.AddrFrom16(ends.Dst.As16()), engine.ProtoICMPv6, len(b))
	}
	return ^ip.Fold(ip.Sum(sum, b))
}

// seal writes the checksum of the message that starts at start.
func seal(b []byte, start int, ends Ends) []byte {
	binary.BigEndian.PutUint16(b[start+2:], checksum(b[start:], ends))
	return b
}

// appendAddr appends a, which must be of the family; an invalid one is all zeros.
func appendAddr(b []byte, a netip.Addr, mld bool) ([]byte, error) {
	switch {
	case !a.IsValid() && mld:
		a = netip.IPv6Unspecified()
	case !a.IsValid():
		a = netip.IPv4Unspecified()
	case a.Is4() == mld:
		return nil, fmt.Errorf("address %v of the other family: %w", a, ErrValue)
	}
	return append(b, a.AsSlice()...), nil
}

func appendAddrs(b []byte, addrs []netip.Addr, mld bool) ([]byte, error) {
	var err error
	for i, a := range addrs {
		if b, err = appendAddr(b, a, mld); err != nil {
			return nil, fmt.Errorf("source %d: %w", i, err)
		}
	}
	return b, nil
}

// appendOlder appends the message that is nothing but a group: OlderReport, Leave.
func appendOlder(b []byte, kind uint8, group netip.Addr, ends Ends) ([]byte, error) {
	start, mld := len(b), ends.mld()
	b = append(b, kind, 0, 0, 0)
	if mld {
		b = append(b, 0, 0, 0, 0)
	}
	b, err := appendAddr(b, group, mld)
	if err != nil {
		return nil, err
	}
	return seal(b, start, ends), nil
}

// reader reads fields in order. After the first that is missing it yields zeros, and err says where that was.
type reader struct {
	b   []byte
	mld bool
	err error
}

func (r *reader) take(n int, what string) []byte {
	if r.err != nil || len(r.b) < n {
		r.fail(what, ErrTruncated)
		return make([]byte, n)
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) fail(what string, err error) {
	if r.err == nil {
		r.err = fmt.Errorf("%s: %w", what, err)
	}
}

func (r *reader) width() int {
	if r.mld {
		return 16
	}
	return 4
}

func (r *reader) uint8(what string) uint8   { return r.take(1, what)[0] }
func (r *reader) uint16(what string) uint16 { return binary.BigEndian.Uint16(r.take(2, what)) }

func (r *reader) addr(what string) netip.Addr {
	a, _ := netip.AddrFromSlice(r.take(r.width(), what))
	return a
}

// addrs reads n addresses; nil if there are none.
func (r *reader) addrs(n int, what string) []netip.Addr {
	if r.err == nil && len(r.b) < n*r.width() {
		r.fail(fmt.Sprintf("%s %d", what, len(r.b)/r.width()), ErrTruncated)
	}
	if r.err != nil || n == 0 {
		return nil
	}
	addrs := make([]netip.Addr, n)
	for i := range addrs {
		addrs[i] = r.addr(what)
	}
	return addrs
}

// older reads what appendOlder wrote.
func (r *reader) older() netip.Addr {
	r.take(4, "header")
	if r.mld {
		r.take(4, "header")
	}
	return r.addr("group")
}
