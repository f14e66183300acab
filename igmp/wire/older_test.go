package wire_test

import (
	"testing"

	"grove/igmp/wire"
)

var goldenOlderReports = []golden{
	{"IGMPv1", false, "12 00 cc cc ef010203", wire.OlderReport{Version: 1, Group: addr("239.1.2.3")}},
	{"IGMPv2", false, "16 00 cc cc ef010203", wire.OlderReport{Version: 2, Group: addr("239.1.2.3")}},
	{"MLDv1", true, "83 00 cc cc 0000 0000 ff3e0000000000000000000000000001", wire.OlderReport{Version: 1, Group: addr("ff3e::1")}},
}

func TestOlderReport(t *testing.T) { checkGolden(t, goldenOlderReports) }
