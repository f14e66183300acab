// Package fixture breaks, or for "clean" keeps, the rule that its folder names.
package fixture

import "math/rand/v2"

var n = rand.IntN(6)
