package wire

import (
	"fmt"
	"net/netip"
)

// Request is a Source-Active Request: it asks for the sources of a group. RFC 3618 names it and describes it no more.
type Request struct{ Group netip.Addr }

// Type is TypeRequest.
func (*Request) Type() Type { return TypeRequest }

func parseRequest(b []byte) (*Request, error) {
	switch {
	case len(b) < 5:
		return nil, ErrTruncated
	case len(b) > 5:
		return nil, ErrLength
	}
	return &Request{Group: addr4(b[1:])}, nil
}

// Append is Message's.
func (m *Request) Append(b []byte) ([]byte, error) {
	b, err := begin(b, TypeRequest, 5)
	if err == nil {
		b, err = appendAddr(append(b, 0), m.Group)
	}
	if err != nil {
		return nil, fmt.Errorf("msdp: %v: %w", TypeRequest, err)
	}
	return b, nil
}

// KeepAlive is a KeepAlive TLV (RFC 3618, section 12.2.2).
type KeepAlive struct{}

// Type is TypeKeepAlive.
func (*KeepAlive) Type() Type { return TypeKeepAlive }

// Append is Message's.
func (*KeepAlive) Append(b []byte) ([]byte, error) { return begin(b, TypeKeepAlive, 0) }

// Notification is what type 5 was before RFC 3618: the sender says what error it found.
type Notification struct {
	Open    bool // the O bit: the sender keeps the connection open
	Code    uint8
	Subcode uint8
	Data    []byte
}

// notificationCodes are the error codes of the drafts.
var notificationCodes = [...]string{
	1: "Message Header Error", 2: "SA-Request Error", 3: "SA-Message/SA-Response Error", 4: "Hold Timer Expired",
	5: "Finite State Machine Error", 6: "Notification", 7: "Cease",
}

// Reason returns the error code in words.
func (m *Notification) Reason() string {
	if int(m.Code) < len(notificationCodes) && notificationCodes[m.Code] != "" {
		return notificationCodes[m.Code]
	}
	return fmt.Sprintf("error code %d", m.Code)
}

// Type is TypeNotification.
func (*Notification) Type() Type { return TypeNotification }

func parseNotification(b []byte) (*Notification, error) {
	if len(b) < 2 {
		return nil, ErrTruncated
	}
	m := &Notification{Open: b[0]&0x80 != 0, Code: b[0] & 0x7f, Subcode: b[1]}
	if len(b) > 2 {
		m.Data = append([]byte(nil), b[2:]...)
	}
	return m, nil
}

// Append is Message's.
func (m *Notification) Append(b []byte) ([]byte, error) {
	if m.Code > 0x7f {
		return nil, fmt.Errorf("msdp: %v: code %d: %w", TypeNotification, m.Code, ErrRange)
	}
	b, err := begin(b, TypeNotification, 2+len(m.Data))
	if err != nil {
		return nil, err
	}
	code := m.Code
	if m.Open {
		code |= 0x80
	}
	return append(append(b, code, m.Subcode), m.Data...), nil
}

// Unknown is a TLV of a type that is none of the others'.
type Unknown struct {
	Of    Type
	Value []byte // one octet or more
}

// Type is the type that the TLV has.
func (m *Unknown) Type() Type { return m.Of }

// Append is Message's.
func (m *Unknown) Append(b []byte) ([]byte, error) {
	if m.Of >= TypeSourceActive && m.Of <= TypeNotification || len(m.Value) == 0 {
		return nil, fmt.Errorf("msdp: %v of %d octets: %w", m.Of, len(m.Value)+headerLen, ErrRange)
	}
	b, err := begin(b, m.Of, len(m.Value))
	if err != nil {
		return nil, err
	}
	return append(b, m.Value...), nil
}
