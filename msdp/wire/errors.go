package wire

import "errors"

// What can be wrong with a TLV. Errors of this package wrap exactly one of these. All are TLV format errors, after which the
// connection is reset (RFC 3618, section 13).
var (
	ErrLength    = errors.New("bad length")
	ErrTruncated = errors.New("truncated")
	ErrData      = errors.New("bad encapsulated data")
	ErrRange     = errors.New("value out of range") // Append alone
)

var sentinels = []error{ErrLength, ErrTruncated, ErrData, ErrRange}

// Reason returns the fixed words under which a receiver counts an error of this package.
func Reason(err error) string {
	for _, s := range sentinels {
		if errors.Is(err, s) {
			return s.Error()
		}
	}
	return "malformed"
}
