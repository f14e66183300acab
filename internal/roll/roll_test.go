package roll

import (
	"testing"

	"pgregory.net/rapid"
)

type thing struct{ place int32 }

func placeOf(x *thing) *int32 { return &x.place }

// TestRoll: whatever comes and goes, each thing that is there is at its place once, and no other is.
func TestRoll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		things := make([]*thing, 8)
		for i := range things {
			things[i] = &thing{}
		}
		var r Roll[*thing]
		there := map[*thing]bool{}
		for range rapid.IntRange(0, 50).Draw(t, "steps") {
			x := things[rapid.IntRange(0, len(things)-1).Draw(t, "thing")]
			if rapid.Bool().Draw(t, "comes") {
				r.Add(x, placeOf)
				there[x] = true
			} else {
				r.Remove(x, placeOf)
				delete(there, x)
			}
			if len(r.All) != len(there) {
				t.Fatalf("%d on the roll, want %d", len(r.All), len(there))
			}
			for _, x := range things {
				switch on := x.place != 0; {
				case on != there[x]:
					t.Fatalf("place %d, but there: %v", x.place, there[x])
				case on && r.All[x.place-1] != x:
					t.Fatalf("not at its place %d", x.place)
				}
			}
		}
	})
}
