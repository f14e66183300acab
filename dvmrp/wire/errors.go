package wire

import "errors"

// What can be wrong with a message. Errors of this package wrap exactly one of these.
var (
	ErrNotDVMRP  = errors.New("not DVMRP")
	ErrTruncated = errors.New("truncated")
	ErrChecksum  = errors.New("bad checksum")
	ErrCode      = errors.New("unknown code")
	ErrMask      = errors.New("bad netmask")
	ErrRange     = errors.New("value out of range") // Encode alone
)

var sentinels = []error{ErrNotDVMRP, ErrTruncated, ErrChecksum, ErrCode, ErrMask, ErrRange}

// Reason returns the fixed words under which a receiver counts an error of this package.
func Reason(err error) string {
	for _, s := range sentinels {
		if errors.Is(err, s) {
			return s.Error()
		}
	}
	return "malformed"
}
