package wire

import (
	"fmt"
	"net/netip"
)

// Leave is IGMPv2's Leave Group (RFC 2236 section 2) or MLDv1's Multicast Listener Done (RFC 2710 section 3).
type Leave struct{ Group netip.Addr }

// Append is Message's.
func (m Leave) Append(b []byte, ends Ends) ([]byte, error) {
	kind := uint8(igmpLeave)
	if ends.mld() {
		kind = mldDone
	}
	b, err := appendOlder(b, kind, m.Group, ends)
	if err != nil {
		return nil, fmt.Errorf("leave: %w", err)
	}
	return b, nil
}

func parseLeave(r *reader) Leave { return Leave{Group: r.older()} }
