// Package fixture breaks, or for "clean" keeps, the rule that its folder names.
package fixture

func f[M ~map[int]int](m M) (s int) {
	for k := range m {
		s = k
	}
	return s
}
