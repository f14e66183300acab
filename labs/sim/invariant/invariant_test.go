package invariant

import (
	"flag"
	"os"
	"testing"
)

var (
	seedFlag  = flag.Int("seed", -1, "play the network of this seed only, and print it if an invariant breaks")
	traceFlag = flag.String("events", "", "with -seed, write all that happens to this file")
	seedsFlag = flag.Int("seeds", 200, "play so many networks")
)

// seeds returns how many networks are played; with -short fewer.
func seeds() int {
	if testing.Short() {
		return 20
	}
	return *seedsFlag
}

// TestSeeds: on random networks, after random joins, leaves, link failures and heals, the invariants hold.
func TestSeeds(t *testing.T) {
	for part := range 2 { // two cores
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for seed := part; seed < max(seeds(), *seedFlag+1); seed += 2 {
				if *seedFlag >= 0 && seed != *seedFlag {
					continue
				}
				n, err := Random(uint64(seed), Options{})
				if err != nil {
					t.Fatal(err)
				}
				if *seedFlag >= 0 && *traceFlag != "" {
					f, err := os.Create(*traceFlag)
					if err != nil {
						t.Fatal(err)
					}
					defer f.Close()
					n.SetTrace(f)
				}
				moments := n.Play(*seedFlag >= 0)
				for _, m := range moments {
					for i, v := range m.Found {
						if i < 8 || *seedFlag >= 0 {
							t.Errorf("seed %d, %s (%v): %v", seed, m.Name, m.At, v)
						}
					}
				}
				if len(moments) > 0 && *seedFlag >= 0 {
					t.Logf("the network:\n%s", n)
				}
			}
		})
	}
}
