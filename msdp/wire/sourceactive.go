package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// SourceActive is an IPv4 Source-Active TLV (RFC 3618, section 12.2.1) or, of the same form, a Source-Active Response.
type SourceActive struct {
	Response bool
	RP       netip.Addr // "the RP in the domain the source has become active in"
	Entries  []Entry
	// Data is a whole IPv4 packet of the last entry; nil: none.
	Data []byte
}

// Entry is a source and a group of a Source-Active TLV.
type Entry struct {
	Source, Group netip.Addr
	// PrefixLen is Sprefix Len, "the route prefix length associated with source address": always 32.
	PrefixLen uint8
}

const (
	saHeader = 5  // entry count and RP address
	saEntry  = 12 // reserved, Sprefix Len, group, source
	ipHeader = 20

	// MaxEntries is how many entries a TLV can count.
	MaxEntries = 255
	// MaxData is the largest packet that is encapsulated with one entry.
	MaxData = MaxLen - headerLen - saHeader - saEntry
)

// Type is TypeSourceActive or TypeResponse.
func (m *SourceActive) Type() Type {
	if m.Response {
		return TypeResponse
	}
	return TypeSourceActive
}

// parseSourceActive reads "x + y" octets: x are those of Entry Count entries, y the encapsulated packet. What follows the
// packet by its own length is ignored, as "any additional data" is (section 12).
func parseSourceActive(t Type, b []byte) (*SourceActive, error) {
	if len(b) < saHeader {
		return nil, ErrTruncated
	}
	n := int(b[0])
	m := &SourceActive{Response: t == TypeResponse, RP: addr4(b[1:5])}
	b = b[saHeader:]
	if len(b) < n*saEntry {
		return nil, fmt.Errorf("entry %d of %d: %w", len(b)/saEntry+1, n, ErrTruncated)
	}
	if n > 0 {
		m.Entries = make([]Entry, n)
	}
	for i := range m.Entries {
		m.Entries[i] = Entry{PrefixLen: b[3], Group: addr4(b[4:8]), Source: addr4(b[8:12])}
		b = b[saEntry:]
	}
	if len(b) == 0 {
		return m, nil
	}
	// "y is the value of the total length field in the header of the encapsulated IP packet."
	if len(b) < ipHeader {
		return nil, fmt.Errorf("encapsulated packet: %w", ErrTruncated)
	}
	switch total := int(binary.BigEndian.Uint16(b[2:])); {
	case total > len(b):
		return nil, fmt.Errorf("encapsulated packet: %w", ErrTruncated)
	case b[0]>>4 != 4, total < ipHeader, n == 0:
		return nil, fmt.Errorf("encapsulated packet: %w", ErrData)
	default:
		m.Data = append([]byte(nil), b[:total]...)
	}
	return m, nil
}

// Append is Message's.
func (m *SourceActive) Append(b []byte) ([]byte, error) {
	if len(m.Entries) > MaxEntries {
		return nil, fmt.Errorf("msdp: %v: %d entries: %w", m.Type(), len(m.Entries), ErrRange)
	}
	if n := len(m.Data); n > 0 && (n < ipHeader || m.Data[0]>>4 != 4 || int(binary.BigEndian.Uint16(m.Data[2:])) != n || len(m.Entries) == 0) {
		return nil, fmt.Errorf("msdp: %v: encapsulated packet: %w", m.Type(), ErrData)
	}
	b, err := begin(b, m.Type(), saHeader+len(m.Entries)*saEntry+len(m.Data))
	if err != nil {
		return nil, err
	}
	b = append(b, byte(len(m.Entries)))
	if b, err = appendAddr(b, m.RP); err != nil {
		return nil, fmt.Errorf("msdp: %v: RP: %w", m.Type(), err)
	}
	for i, e := range m.Entries {
		b = append(b, 0, 0, 0, e.PrefixLen)
		if b, err = appendAddr(b, e.Group); err == nil {
			b, err = appendAddr(b, e.Source)
		}
		if err != nil {
			return nil, fmt.Errorf("msdp: %v: entry %d: %w", m.Type(), i+1, err)
		}
	}
	return append(b, m.Data...), nil
}
