package assert_test

import (
	"net/netip"
	"testing"

	"grove/internal/pim/assert"
)

func metric(rpt bool, preference, cost uint32, a string) assert.Metric {
	return assert.Metric{RPT: rpt, Preference: preference, Metric: cost, Address: netip.MustParseAddr(a)}
}

// TestOrder: of a list from best to worst each metric is better than all that follow it, and worse than none of them.
func TestOrder(t *testing.T) {
	list := []assert.Metric{
		metric(false, 0, 0, "10.0.0.2"), // the higher address wins
		metric(false, 0, 0, "10.0.0.1"),
		metric(false, 0, 1, "10.0.0.9"),
		metric(false, 1, 0, "10.0.0.9"),
		metric(false, 110, 0xffffffff, "10.0.0.9"),
		metric(true, 0, 0, "10.0.0.1"), // a shared tree's is worse than any
		metric(true, 110, 20, "10.0.0.1"),
		metric(true, 0x7fffffff, 0xffffffff, "10.0.0.1"), // an AssertCancel
		assert.Infinite,
	}
	for i, a := range list {
		for j, b := range list {
			if got, want := a.Better(b), i < j; got != want {
				t.Errorf("%v better than %v: %v", a, b, got)
			}
			finite := i < len(list)-2
			if got, want := a.Acceptable(b), i < j && finite; got != want {
				t.Errorf("%v acceptable to %v: %v", a, b, got)
			}
			if got, want := a.Inferior(b), i > j && j < len(list)-2; got != want {
				t.Errorf("%v inferior to %v: %v", a, b, got)
			}
		}
	}
}

func TestString(t *testing.T) {
	for want, m := range map[string]assert.Metric{
		"spt 110/20 from 10.0.0.1": metric(false, 110, 20, "10.0.0.1"),
		"rpt 1/0 from fe80::1":     metric(true, 1, 0, "fe80::1"),
		"rpt infinite":             assert.Infinite,
	} {
		if got := m.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if assert.NoInfo.String() != "NoInfo" || assert.Loser.String() != "I am Assert Loser" {
		t.Error("names of states")
	}
}
