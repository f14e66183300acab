package wire

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
)

// Report is IGMPv3's Version 3 Membership Report (RFC 3376 section 4.2) or MLDv2's Version 2 Multicast Listener Report
// (RFC 3810 section 5.2).
type Report struct{ Records []Record }

// Record is a Group Record or Multicast Address Record.
type Record struct {
	Type    RecordType
	Group   netip.Addr
	Sources []netip.Addr
	Aux     []byte // auxiliary data: kept, without meaning in these versions; a multiple of 4 octets
}

// RecordType is what a Record says (RFC 3376 section 4.2.12). Types that are not listed here are decoded, and to be
// ignored.
type RecordType uint8

// The record types, with the RFC's notation.
const (
	IsIn  RecordType = iota + 1 // MODE_IS_INCLUDE
	IsEx                        // MODE_IS_EXCLUDE
	ToIn                        // CHANGE_TO_INCLUDE_MODE
	ToEx                        // CHANGE_TO_EXCLUDE_MODE
	Allow                       // ALLOW_NEW_SOURCES
	Block                       // BLOCK_OLD_SOURCES
)

// String returns the RFC's notation: "IS_IN" ... "BLOCK".
func (t RecordType) String() string {
	names := [...]string{"", "IS_IN", "IS_EX", "TO_IN", "TO_EX", "ALLOW", "BLOCK"}
	if t == 0 || int(t) >= len(names) {
		return fmt.Sprintf("type %d", uint8(t))
	}
	return names[t]
}

// The sizes of a Report by octets, for those who fill one up to the MTU.
const ReportHeader = 8

// RecordSize returns the octets of a record with n sources, without auxiliary data, whose addresses have width octets.
func RecordSize(width, n int) int { return 4 + width*(1+n) }

// Append is Message's.
func (m Report) Append(b []byte, ends Ends) ([]byte, error) {
	start, mld := len(b), ends.mld()
	kind := uint8(igmpReportV3)
	if mld {
		kind = mldReportV2
	}
	if len(m.Records) > math.MaxUint16 {
		return nil, fmt.Errorf("report: %d records: %w", len(m.Records), ErrValue)
	}
	b = append(b, kind, 0, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(m.Records)))
	var err error
	for i, rec := range m.Records {
		if len(rec.Aux)%4 != 0 || len(rec.Aux)/4 > math.MaxUint8 || len(rec.Sources) > math.MaxUint16 {
			return nil, fmt.Errorf("report: record %d: %d sources, %d octets of auxiliary data: %w", i, len(rec.Sources), len(rec.Aux), ErrValue)
		}
		b = append(b, uint8(rec.Type), uint8(len(rec.Aux)/4))
		b = binary.BigEndian.AppendUint16(b, uint16(len(rec.Sources)))
		if b, err = appendAddr(b, rec.Group, mld); err != nil {
			return nil, fmt.Errorf("report: record %d: %w", i, err)
		}
		if b, err = appendAddrs(b, rec.Sources, mld); err != nil {
			return nil, fmt.Errorf("report: record %d: %w", i, err)
		}
		b = append(b, rec.Aux...)
	}
	return seal(b, start, ends), nil
}

func parseReport(r *reader) Report {
	r.take(6, "header")
	n := int(r.uint16("number of records"))
	if n == 0 || r.err != nil {
		return Report{}
	}
	// No record is shorter than one without sources.
	records := make([]Record, 0, min(n, len(r.b)/RecordSize(r.width(), 0)))
	for i := 0; i < n && r.err == nil; i++ {
		records = append(records, parseRecord(r))
		if r.err != nil {
			r.err = fmt.Errorf("report: record %d: %w", i, r.err)
		}
	}
	return Report{Records: records}
}

func parseRecord(r *reader) Record {
	var rec Record
	rec.Type = RecordType(r.uint8("type"))
	aux := int(r.uint8("length of auxiliary data")) * 4
	n := int(r.uint16("number of sources"))
	rec.Group = r.addr("group")
	rec.Sources = r.addrs(n, "source")
	if aux > 0 {
		rec.Aux = append(rec.Aux, r.take(aux, "auxiliary data")...)
	}
	return rec
}
