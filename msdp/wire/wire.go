package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// Port is the TCP port on which the peer with the higher address listens (RFC 3618, section 11).
const Port = 639

// Type is the type of a TLV (section 12.2).
type Type uint8

// The types of section 12.2.
const (
	TypeSourceActive Type = 1
	TypeRequest      Type = 2
	TypeResponse     Type = 3
	TypeKeepAlive    Type = 4
	TypeNotification Type = 5 // "Reserved (Previously: Notification)"
	TypeTraceroute   Type = 6 // "MSDP traceroute in progress"
	TypeTraceReply   Type = 7 // "MSDP traceroute reply"
)

// String returns the name that the RFC gives the type.
func (t Type) String() string {
	switch t {
	case TypeSourceActive:
		return "IPv4 Source-Active"
	case TypeRequest:
		return "IPv4 Source-Active Request"
	case TypeResponse:
		return "IPv4 Source-Active Response"
	case TypeKeepAlive:
		return "KeepAlive"
	case TypeNotification:
		return "Notification"
	case TypeTraceroute:
		return "MSDP traceroute in progress"
	case TypeTraceReply:
		return "MSDP traceroute reply"
	}
	return fmt.Sprintf("type %d", uint8(t))
}

const (
	headerLen = 3 // type and length
	// MaxLen is the longest TLV that may be sent. A longer one is accepted (section 12).
	MaxLen = 9192
)

// Message is a TLV: *SourceActive, *Request, *KeepAlive, *Notification or *Unknown.
type Message interface {
	Type() Type
	// Append appends the whole TLV to b.
	Append(b []byte) ([]byte, error)
}

// Parse reads one TLV, which is all of b. What it returns keeps nothing of b.
func Parse(b []byte) (Message, error) {
	if len(b) < headerLen {
		return nil, fmt.Errorf("msdp: header: %w", ErrTruncated)
	}
	t, length := Type(b[0]), int(binary.BigEndian.Uint16(b[1:]))
	switch {
	case length > len(b):
		return nil, fmt.Errorf("msdp: %v of %d octets: %w", t, length, ErrTruncated)
	case length < headerLen, length < len(b), t != TypeKeepAlive && length == headerLen, t == TypeKeepAlive && length != headerLen:
		return nil, fmt.Errorf("msdp: %v of %d octets: %w", t, length, ErrLength)
	}
	value := b[headerLen:]
	var m Message
	var err error
	switch t {
	case TypeSourceActive, TypeResponse:
		m, err = parseSourceActive(t, value)
	case TypeRequest:
		m, err = parseRequest(value)
	case TypeKeepAlive:
		m = &KeepAlive{}
	case TypeNotification:
		m, err = parseNotification(value)
	default:
		m = &Unknown{Of: t, Value: append([]byte(nil), value...)}
	}
	if err != nil {
		return nil, fmt.Errorf("msdp: %v: %w", t, err)
	}
	return m, nil
}

// begin appends the header of a TLV whose value has n octets.
func begin(b []byte, t Type, n int) ([]byte, error) {
	if n+headerLen > 0xffff {
		return nil, fmt.Errorf("msdp: %v of %d octets: %w", t, n+headerLen, ErrRange)
	}
	return binary.BigEndian.AppendUint16(append(b, byte(t)), uint16(n+headerLen)), nil
}

func addr4(b []byte) netip.Addr { return netip.AddrFrom4([4]byte(b)) }

func appendAddr(b []byte, a netip.Addr) ([]byte, error) {
	if !a.Is4() {
		return nil, fmt.Errorf("address %v: %w", a, ErrRange)
	}
	v := a.As4()
	return append(b, v[:]...), nil
}
