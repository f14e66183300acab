// Package fixture breaks, or for "clean" keeps, the rule that its folder names.
package fixture

import "fmt"

func f() { fmt.Println("x") }
