package wire

import (
	"errors"
	"fmt"
)

// What can be wrong with a message. Errors of this package wrap exactly one of these.
var (
	ErrTruncated       = errors.New("truncated")
	ErrVersion         = errors.New("unknown version")
	ErrChecksum        = errors.New("bad checksum")
	ErrUnsupportedType = errors.New("unsupported type")
	ErrDestination     = errors.New("wrong destination for the type")
	ErrFamily          = errors.New("wrong address family")
	ErrEncoding        = errors.New("unknown address encoding")
	ErrMaskLen         = errors.New("bad mask length")
	ErrFlags           = errors.New("wildcard bit without RPT bit")
	ErrOptionLength    = errors.New("bad option length")
	ErrInnerPacket     = errors.New("bad inner packet")
	ErrRange           = errors.New("value out of range")
)

var sentinels = []error{
	ErrTruncated, ErrVersion, ErrChecksum, ErrUnsupportedType, ErrDestination, ErrFamily, ErrEncoding, ErrMaskLen,
	ErrFlags, ErrOptionLength, ErrInnerPacket, ErrRange,
}

// TypeError is an ErrUnsupportedType that knows the type.
type TypeError struct{ Type Type }

// Error names the type.
func (e *TypeError) Error() string { return fmt.Sprintf("pim: %v: %v", e.Type, ErrUnsupportedType) }

// Unwrap returns ErrUnsupportedType.
func (e *TypeError) Unwrap() error { return ErrUnsupportedType }

// Reason returns the fixed words under which a receiver counts an error of this package: those of its sentinel and, if
// the type is not supported, the name of the type.
func Reason(err error) string {
	var te *TypeError
	if errors.As(err, &te) {
		return ErrUnsupportedType.Error() + ": " + te.Type.String()
	}
	for _, s := range sentinels {
		if errors.Is(err, s) {
			return s.Error()
		}
	}
	return "malformed"
}
