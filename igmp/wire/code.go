package wire

import "math/bits"

// decodeFloat decodes a code of RFC 3376 section 4.1.1 (4 bits of mantissa) or RFC 3810 section 5.1.3 (12 bits): three
// bits of exponent lie above the mantissa and a 1 above them; a code without that 1 is the value itself.
func decodeFloat(code uint32, mantissa int) uint32 {
	if code>>(mantissa+3) == 0 {
		return code
	}
	one := uint32(1) << mantissa
	return (code&(one-1) | one) << (code>>mantissa&7 + 3)
}

// encodeFloat encodes v, rounded down to what a code can tell (RFC 3376 section 8.8).
func encodeFloat(v uint32, mantissa int) uint32 {
	if v>>(mantissa+3) == 0 {
		return v
	}
	exp := bits.Len32(v) - mantissa - 4
	if exp > 7 {
		return 1<<(mantissa+4) - 1
	}
	one := uint32(1) << mantissa
	return 1<<(mantissa+3) | uint32(exp)<<mantissa | v>>(exp+3)&(one-1)
}
