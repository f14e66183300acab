package bench

import (
	"testing"

	"grove/internal/engine"
)

// makes are the routers that are measured, one after the other in the same run.
var makes = []struct {
	name     string
	build    func(b *testing.B, program, dir, node string) router
	families []engine.Family
	groups   []int
}{
	{"grove", newGroved, []engine.Family{engine.IPv4, engine.IPv6}, []int{5000, 10_000, 20_000, 40_000}},
	// FRR of Debian 12 has no pim6d; when the groups double it takes six times as long.
	{"FRR", newFRR, []engine.Family{engine.IPv4}, []int{5000, 10_000}},
}
