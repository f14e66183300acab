// Package assert is what PIM sparse and dense mode share of the Assert mechanism: the metric with its comparison (RFC 7761
// section 4.6.3, RFC 3973 section 4.6.1), and the names of the states. The state machines differ, and are each protocol's
// own.
package assert

import (
	"fmt"
	"net/netip"

	"grove/internal/pim/wire"
)

// State is a state of an Assert state machine (RFC 7761, Figures 8 and 9; RFC 3973, Figure 4).
type State uint8

// The states.
const (
	NoInfo State = iota
	Winner
	Loser
)

// String returns the name that the RFCs give the state.
func (s State) String() string {
	return [...]string{"NoInfo", "I am Assert Winner", "I am Assert Loser"}[s]
}

// Metric is struct assert_metric. Dense mode has no rpt_bit_flag: there it is set in the infinite metric only.
type Metric struct {
	RPT        bool // rpt_bit_flag
	Preference uint32
	Metric     uint32
	Address    netip.Addr // ip_address
}

// Infinite is infinite_assert_metric() = {1,infinity,infinity,0}.
var Infinite = Metric{RPT: true, Preference: wire.InfiniteMetricPreference, Metric: wire.InfiniteMetric}

// Infinite says whether a is an infinite metric, whoever said it: that of an AssertCancel.
func (a Metric) Infinite() bool {
	return a.Preference == wire.InfiniteMetricPreference && a.Metric == wire.InfiniteMetric
}

// Better compares metrics: "the rpt_bit_flag, metric_preference, and route_metric fields are compared in order, where
// the first lower value wins. If all fields are equal, the primary IP address of the router that sourced the Assert
// message is used as a tie-breaker, with the highest IP address winning" (RFC 7761 section 4.6.3).
func (a Metric) Better(b Metric) bool {
	switch {
	case a.RPT != b.RPT:
		return !a.RPT
	case a.Preference != b.Preference:
		return a.Preference < b.Preference
	case a.Metric != b.Metric:
		return a.Metric < b.Metric
	}
	return b.Address.Less(a.Address)
}

// Acceptable: "one that has a better metric than my_assert_metric. An assert is never considered acceptable if its
// metric is infinite."
func (a Metric) Acceptable(mine Metric) bool { return !a.Infinite() && a.Better(mine) }

// Inferior: "one with a worse metric than my_assert_metric. An assert is never considered inferior if my_assert_metric
// is infinite."
func (a Metric) Inferior(mine Metric) bool { return !mine.Infinite() && mine.Better(a) }

// String is for people: "rpt 110/20 from 10.0.0.1".
func (a Metric) String() string {
	tree := "spt"
	if a.RPT {
		tree = "rpt"
	}
	if a.Infinite() {
		return tree + " infinite"
	}
	return fmt.Sprintf("%s %d/%d from %v", tree, a.Preference, a.Metric, a.Address)
}
