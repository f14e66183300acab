package wire_test

import (
	"testing"
	"time"

	"grove/igmp/wire"
)

var goldenQueries = []golden{
	{"IGMPv1 general", false, "11 00 cc cc 00000000", wire.Query{Version: 1}},
	{"IGMPv2 general", false, "11 64 cc cc 00000000", wire.Query{Version: 2, MaxResp: 10 * time.Second}},
	{"IGMPv2 of a group", false, "11 0a cc cc ef010203", wire.Query{Version: 2, MaxResp: time.Second, Group: addr("239.1.2.3")}},
	{"IGMPv3 general", false, "11 64 cc cc 00000000 02 7d 0000",
		wire.Query{Version: 3, MaxResp: 10 * time.Second, Robustness: 2, QueryInterval: 125 * time.Second}},
	{"IGMPv3 of a group, suppressed, floating-point times", false, "11 90 cc cc ef010203 0f 8f 0000",
		wire.Query{Version: 3, MaxResp: 25600 * time.Millisecond, Group: addr("239.1.2.3"), Suppress: true, Robustness: 7, QueryInterval: 248 * time.Second}},
	{"IGMPv3 of sources", false, "11 0a cc cc e8010203 02 7d 0002 0a000001 c0000207",
		wire.Query{Version: 3, MaxResp: time.Second, Group: addr("232.1.2.3"), Robustness: 2, QueryInterval: 125 * time.Second, Sources: addrs("10.0.0.1", "192.0.2.7")}},
	{"MLDv1 general", true, "82 00 cc cc 2710 0000 00000000000000000000000000000000", wire.Query{Version: 1, MaxResp: 10 * time.Second}},
	{"MLDv1 of an address, time in full", true, "82 00 cc cc ffff 0000 ff3e0000000000000000000000000001",
		wire.Query{Version: 1, MaxResp: 65535 * time.Millisecond, Group: addr("ff3e::1")}},
	{"MLDv2 general", true, "82 00 cc cc 2710 0000 00000000000000000000000000000000 02 7d 0000",
		wire.Query{Version: 2, MaxResp: 10 * time.Second, Robustness: 2, QueryInterval: 125 * time.Second}},
	{"MLDv2 of sources, suppressed, floating-point times", true, "82 00 cc cc 9000 0000 ff3e0000000000000000000000000001 0a ff 0001 20010db8000000000000000000000009",
		wire.Query{Version: 2, MaxResp: 65536 * time.Millisecond, Group: addr("ff3e::1"), Suppress: true, Robustness: 2, QueryInterval: 31744 * time.Second, Sources: addrs("2001:db8::9")}},
}

func TestQuery(t *testing.T) { checkGolden(t, goldenQueries) }

// TestQueryRounds: a time that the format cannot tell is rounded down, but never to the zero that means IGMPv1.
func TestQueryRounds(t *testing.T) {
	for _, c := range []struct {
		mld        bool
		version    int
		give, want time.Duration
	}{
		{false, 2, 40 * time.Millisecond, 100 * time.Millisecond},
		{false, 3, 40 * time.Millisecond, 100 * time.Millisecond},
		{true, 2, 40 * time.Microsecond, time.Millisecond},
		{false, 2, 199 * time.Millisecond, 100 * time.Millisecond},
		{false, 2, time.Minute, 25500 * time.Millisecond},
		{false, 3, 13100 * time.Millisecond, 12800 * time.Millisecond},
		{false, 3, 24 * time.Hour, 31744 * 100 * time.Millisecond},
		{true, 1, time.Hour, 65535 * time.Millisecond},
		{true, 2, 32783 * time.Millisecond, 32776 * time.Millisecond},
		{true, 2, 24 * time.Hour, 8387584 * time.Millisecond},
	} {
		b, err := wire.Query{Version: c.version, MaxResp: c.give}.Append(nil, ends(c.mld))
		if err != nil {
			t.Fatal(err)
		}
		m, err := wire.Parse(b, ends(c.mld))
		if err != nil {
			t.Fatal(err)
		}
		if q := m.(wire.Query); q.MaxResp != c.want || q.Version != c.version {
			t.Errorf("version %d, mld %v: %v became %v of version %d, want %v", c.version, c.mld, c.give, q.MaxResp, q.Version, c.want)
		}
	}
}
