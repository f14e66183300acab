// Package fixture breaks, or for "clean" keeps, the rule that its folder names.
package fixture

import "math/rand"

var n = rand.Intn(6)
