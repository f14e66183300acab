// Package fixture breaks the rule that its folder names: it uses every function that a Machine must not.
package fixture

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"time"
)

var all = []any{
	time.Now, time.Since, time.Until, time.Sleep, time.After, time.AfterFunc, time.Tick, time.NewTimer, time.NewTicker,
	fmt.Print, fmt.Printf, fmt.Println,
	maps.All[map[int]int], maps.Keys[map[int]int], maps.Values[map[int]int],
	rand.IntN,
}
