package wire

import (
	"fmt"
	"net/netip"
)

// OlderReport is a report of the versions without source lists: IGMP Version 1 or Version 2 Membership Report (RFC 2236
// section 2) or MLDv1 Multicast Listener Report (RFC 2710 section 3).
type OlderReport struct {
	Version int // IGMP 1 or 2, MLD 1
	Group   netip.Addr
}

// Append is Message's.
func (m OlderReport) Append(b []byte, ends Ends) ([]byte, error) {
	var kind uint8
	switch mld := ends.mld(); {
	case mld && m.Version == 1:
		kind = mldReportV1
	case !mld && m.Version == 1:
		kind = igmpReportV1
	case !mld && m.Version == 2:
		kind = igmpReportV2
	default:
		return nil, fmt.Errorf("report: version %d: %w", m.Version, ErrValue)
	}
	b, err := appendOlder(b, kind, m.Group, ends)
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	return b, nil
}

func parseOlderReport(r *reader, version int) OlderReport {
	return OlderReport{Version: version, Group: r.older()}
}
