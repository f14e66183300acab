// Package fixture breaks, or for "clean" keeps, the rule that its folder names.
package fixture

func f() { go f() }

// X is for the fixture that imports this one.
const X = 1
