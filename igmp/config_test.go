package igmp_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"grove/igmp"
	"grove/internal/engine"
)

// TestDefaults: RFC 3376 section 8 and RFC 3810 section 9.
func TestDefaults(t *testing.T) {
	for family, version := range map[engine.Family]int{engine.IPv4: 3, engine.IPv6: 2} {
		got := igmp.InterfaceConfig{Querier: true}.WithDefaults(family)
		want := igmp.InterfaceConfig{
			Version: version, Robustness: 2, QueryInterval: 125 * time.Second, QueryResponseInterval: 10 * time.Second,
			StartupQueryInterval: 31250 * time.Millisecond, StartupQueryCount: 2,
			LastMemberQueryInterval: time.Second, LastMemberQueryCount: 2, OlderHostPresent: 260 * time.Second,
			Querier: true, MaxGroups: 65536, MaxSources: 1024,
		}
		if !cmp.Equal(got, want) {
			t.Errorf("%v: %+v", family, got)
		}
		// What depends on another number follows it; what is set stays.
		got = igmp.InterfaceConfig{Robustness: 3, QueryInterval: 20 * time.Second, LastMemberQueryCount: 5}.WithDefaults(family)
		want.Robustness, want.QueryInterval, want.StartupQueryInterval, want.StartupQueryCount = 3, 20*time.Second, 5*time.Second, 3
		want.LastMemberQueryCount, want.OlderHostPresent, want.Querier = 5, 70*time.Second, false
		if !cmp.Equal(got, want) {
			t.Errorf("%v: %+v", family, got)
		}
	}
}

// TestTimesThatQueriesCanTell: a time scale does not make the router give up before hosts have to answer.
func TestTimesThatQueriesCanTell(t *testing.T) {
	for family, want := range map[engine.Family]time.Duration{engine.IPv4: 100 * time.Millisecond, engine.IPv6: time.Millisecond} {
		c := igmp.InterfaceConfig{QueryResponseInterval: time.Microsecond, LastMemberQueryInterval: time.Microsecond}.WithDefaults(family)
		if c.QueryResponseInterval != want || c.LastMemberQueryInterval != want {
			t.Errorf("%v: %v, %v", family, c.QueryResponseInterval, c.LastMemberQueryInterval)
		}
	}
}
