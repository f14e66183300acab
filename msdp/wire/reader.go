package wire

import (
	"encoding/binary"
	"fmt"
)

// Reader finds the TLVs in a stream of bytes that comes in pieces, split anywhere. Between pieces it keeps less than one TLV,
// which is at most 65,535 octets. The zero value is ready.
type Reader struct {
	kept []byte // the beginning of a TLV
	new  []byte // not yet looked at
}

// Feed hands over the next piece. What Next returns until Next has no more may share its memory.
func (r *Reader) Feed(b []byte) {
	if len(r.kept) == 0 && len(r.new) == 0 {
		r.new = b
		return
	}
	r.kept = append(r.kept, r.new...)
	r.kept, r.new = append(r.kept, b...), nil
	r.new, r.kept = r.kept, nil
}

// Next returns the next whole TLV; nil if the rest of it has yet to come. After an error nothing can be found in the stream
// any more: a length that is less than that of the header says nothing of where the next TLV begins.
func (r *Reader) Next() ([]byte, error) {
	if len(r.new) < headerLen {
		r.keep()
		return nil, nil
	}
	length := int(binary.BigEndian.Uint16(r.new[1:]))
	if length < headerLen {
		return nil, fmt.Errorf("msdp: %v of %d octets: %w", Type(r.new[0]), length, ErrLength)
	}
	if length > len(r.new) {
		r.keep()
		return nil, nil
	}
	tlv := r.new[:length:length]
	r.new = r.new[length:]
	return tlv, nil
}

// Waiting returns how many octets of an unfinished TLV are kept.
func (r *Reader) Waiting() int { return len(r.kept) + len(r.new) }

// keep copies what is left of a piece, so that the whole piece is not held by it.
func (r *Reader) keep() {
	if len(r.new) > 0 {
		r.kept = append([]byte(nil), r.new...)
	}
	r.new = nil
}
