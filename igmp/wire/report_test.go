package wire_test

import (
	"testing"

	"grove/igmp/wire"
)

var goldenReports = []golden{
	{"IGMPv3 without records", false, "22 00 cc cc 0000 0000", wire.Report{}},
	{"IGMPv3 join", false, "22 00 cc cc 0000 0001 04 00 0000 ef010203",
		wire.Report{Records: []wire.Record{{Type: wire.ToEx, Group: addr("239.1.2.3")}}}},
	{"IGMPv3, one record of each type, unknown type, auxiliary data", false, `22 00 cc cc 0000 0007
		01 00 0001 e8010101 0a000001
		02 00 0002 e8010102 0a000001 0a000002
		03 00 0000 e8010103
		04 02 0001 e8010104 0a000001 6175786164617461
		05 00 0001 e8010105 0a000001
		06 00 0001 e8010106 0a000001
		63 01 0000 e8010107 78797a7a`,
		wire.Report{Records: []wire.Record{
			{Type: wire.IsIn, Group: addr("232.1.1.1"), Sources: addrs("10.0.0.1")},
			{Type: wire.IsEx, Group: addr("232.1.1.2"), Sources: addrs("10.0.0.1", "10.0.0.2")},
			{Type: wire.ToIn, Group: addr("232.1.1.3")},
			{Type: wire.ToEx, Group: addr("232.1.1.4"), Sources: addrs("10.0.0.1"), Aux: []byte("auxadata")},
			{Type: wire.Allow, Group: addr("232.1.1.5"), Sources: addrs("10.0.0.1")},
			{Type: wire.Block, Group: addr("232.1.1.6"), Sources: addrs("10.0.0.1")},
			{Type: 99, Group: addr("232.1.1.7"), Aux: []byte("xyzz")},
		}}},
	{"MLDv2", true, `8f 00 cc cc 0000 0002
		05 00 0001 ff3e0000000000000000000000000001 20010db8000000000000000000000009
		04 00 0000 ff1e0000000000000000000000000002`,
		wire.Report{Records: []wire.Record{
			{Type: wire.Allow, Group: addr("ff3e::1"), Sources: addrs("2001:db8::9")},
			{Type: wire.ToEx, Group: addr("ff1e::2")},
		}}},
}

func TestReport(t *testing.T) { checkGolden(t, goldenReports) }

func TestRecordTypeNames(t *testing.T) {
	for typ, want := range map[wire.RecordType]string{0: "type 0", wire.IsIn: "IS_IN", wire.IsEx: "IS_EX", wire.ToIn: "TO_IN",
		wire.ToEx: "TO_EX", wire.Allow: "ALLOW", wire.Block: "BLOCK", 7: "type 7"} {
		if got := typ.String(); got != want {
			t.Errorf("%d: %s", uint8(typ), got)
		}
	}
}

// TestRecordSize: what a sender fills a packet by is what Append writes.
func TestRecordSize(t *testing.T) {
	for _, g := range goldenReports {
		size, width := wire.ReportHeader, 4
		if g.mld {
			width = 16
		}
		for _, r := range g.msg.(wire.Report).Records {
			size += wire.RecordSize(width, len(r.Sources)) + len(r.Aux)
		}
		if got := len(g.octets(t)); got != size {
			t.Errorf("%s: %d octets, computed %d", g.name, got, size)
		}
	}
}
