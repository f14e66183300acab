// Package fixture breaks, or for "clean" keeps, the rule that its folder names.
package fixture

import "grove/internal/archtest/testdata/goroutine"

var _ = fixture.X
