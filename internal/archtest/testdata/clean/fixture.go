// Package fixture breaks, or for "clean" keeps, the rule that its folder names.
package fixture

import (
	"math/rand/v2"
	"time"

	"grove/internal/engine"
)

func f(r *rand.Rand, now time.Time, m map[int]int) (s int) {
	for k := range engine.Sorted(m) {
		s += k + r.IntN(6) + now.Add(time.Second).Second()
	}
	return s
}
