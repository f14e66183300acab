// Package fixture breaks, or for "clean" keeps, the rule that its folder names.
package fixture

import "maps"

func f(m map[int]int) (s int) {
	for k := range maps.Keys(m) {
		s = k
	}
	return s
}
