// Package fixture breaks, or for "clean" keeps, the rule that its folder names.
package fixture

func f(m map[int]int) (s int) {
	for k := range m {
		s = k
	}
	return s
}
