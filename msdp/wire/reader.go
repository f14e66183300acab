package wire

import (
	"encoding/binary"
	"fmt"
)

// Reader finds the TLVs in a stream of bytes that comes in pieces, split anywhere. Between pieces it keeps less than one TLV,
// which is at most 65,535 octets, and a TLV that comes an octet at a time is copied no more often than one that comes whole.
// The zero value is ready.
type Reader struct {
	rest  []byte // not yet returned
	owned bool   // rest is our own copy, and begins where it was allocated
}

// Feed hands over the next piece. What Next returns until Next has no more may share its memory.
func (r *Reader) Feed(b []byte) {
	if len(r.rest) == 0 {
		r.rest, r.owned = b, false
		return
	}
	r.own()
	r.rest = append(r.rest, b...)
}

// Next returns the next whole TLV; nil if the rest of it has yet to come. After an error nothing can be found in the stream
// any more: a length that is less than that of the header says nothing of where the next TLV begins.
func (r *Reader) Next() ([]byte, error) {
	if len(r.rest) < headerLen {
		r.own()
		return nil, nil
	}
	length := int(binary.BigEndian.Uint16(r.rest[1:]))
	if length < headerLen {
		return nil, fmt.Errorf("msdp: %v of %d octets: %w", Type(r.rest[0]), length, ErrLength)
	}
	if length > len(r.rest) {
		r.own()
		return nil, nil
	}
	tlv := r.rest[:length:length]
	r.rest, r.owned = r.rest[length:], false
	return tlv, nil
}

// Waiting returns how many octets of an unfinished TLV are kept.
func (r *Reader) Waiting() int { return len(r.rest) }

// own copies what is left of a piece, so that the whole piece is not held by it, and may be appended to.
func (r *Reader) own() {
	if !r.owned {
		r.rest, r.owned = append([]byte(nil), r.rest...), true
	}
}
