// Package fixture breaks, or for "clean" keeps, the rule that its folder names.
package fixture

var c chan int
