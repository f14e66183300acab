package wire

import "errors"

// What can be wrong with a message. Errors of this package wrap exactly one of these.
var (
	ErrTruncated = errors.New("truncated")
	ErrVersion   = errors.New("unknown version")
	ErrType      = errors.New("unknown type")
	ErrMaskLen   = errors.New("bad mask length")
	ErrRange     = errors.New("value out of range") // Append and Pack alone
)

var sentinels = []error{ErrTruncated, ErrVersion, ErrType, ErrMaskLen, ErrRange}

// Reason returns the fixed words under which a receiver counts an error of this package.
func Reason(err error) string {
	for _, s := range sentinels {
		if errors.Is(err, s) {
			return s.Error()
		}
	}
	return "malformed"
}
