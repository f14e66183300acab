package invariant

import (
	"flag"
	"os"
	"testing"

	"grove/internal/engine"
	"grove/msdp"
)

var (
	seedFlag  = flag.Int("seed", -1, "play the network of this seed only, and print it if an invariant breaks")
	traceFlag = flag.String("events", "", "with -seed, write all that happens to this file")
	seedsFlag = flag.Int("seeds", 200, "play so many networks of PIM-SM and of MSDP, and half as many of the other protocols")
	firstFlag = flag.Int("first", 0, "the seed of the first network")
)

// protocols are those of which networks are played.
var protocols = []engine.Protocol{engine.PIMSM, engine.PIMDM, engine.DVMRP, engine.MSDP, BSR}

// seeds returns how many networks of a protocol are played; with -short fewer.
func seeds(p engine.Protocol) int {
	n := *seedsFlag
	if testing.Short() {
		n = 20
	}
	if p != engine.PIMSM && p != engine.MSDP {
		n /= 2 // their plays are longer
	}
	return n
}

// TestSeeds: on random networks, after random joins, leaves, link failures and heals, the invariants hold.
func TestSeeds(t *testing.T) {
	for _, protocol := range protocols {
		t.Run(string(protocol), func(t *testing.T) {
			if *seedFlag >= 0 {
				playSeed(t, uint64(*seedFlag), protocol)
				return
			}
			for part := range 2 { // two cores
				t.Run("", func(t *testing.T) {
					t.Parallel()
					for seed := part; seed < seeds(protocol); seed += 2 {
						playSeed(t, uint64(*firstFlag+seed), protocol)
					}
				})
			}
		})
	}
}

// playSeed plays the network of a seed and reports what does not hold; all of it, and the network, with -seed.
func playSeed(t *testing.T, seed uint64, protocol engine.Protocol) {
	alone := *seedFlag >= 0
	n, err := Random(seed, Options{Protocol: protocol})
	if err != nil {
		t.Fatal(err)
	}
	if alone && *traceFlag != "" {
		f, err := os.Create(*traceFlag)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		n.SetTrace(f)
	}
	moments := n.Play(alone)
	for _, m := range moments {
		for i, v := range m.Found {
			if i < 8 || alone {
				t.Errorf("seed %d, %s (%v): %v", seed, m.Name, m.At, v)
			}
		}
	}
	if len(moments) > 0 && alone {
		t.Logf("the network:\n%s", n)
	}
}

// TestRules: among the networks there are some for every rule by which a peer-RPF neighbor is found.
func TestRules(t *testing.T) {
	met := make(map[string]bool)
	for seed := range uint64(40) {
		n, err := Random(seed, Options{Protocol: engine.MSDP})
		if err != nil {
			t.Fatal(err)
		}
		n.Run(start)
		w := walk{sim: n.Sim}
		n.came(&w)
		for rule := range n.domains.rules {
			met[rule] = true
		}
	}
	for r := msdp.RuleSelf; r <= msdp.RuleOnlyPeer; r++ {
		if r != msdp.RuleMeshGroup && !met[r.String()] { // no neighbor has to be found for a mesh group
			t.Errorf("nobody has an RPF peer by %q", r)
		}
	}
}
