// Package fixture breaks, or for "clean" keeps, the rule that its folder names.
package fixture

import "time"

func f() { time.Sleep(1) }
