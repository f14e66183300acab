package script

import (
	"strings"
	"testing"
)

// TestReplay: commands keep their place, what they print stands indented below them, old output goes.
func TestReplay(t *testing.T) {
	run := func(words []string) string { return strings.Join(words[1:], "\n") }
	in := "# prose\n\nsay a b\n    old\nsay\n"
	want := "# prose\n\nsay a b\n    a\n    b\nsay\n"
	if got := replay(in, run); got != want {
		t.Fatalf("got\n%s\nwant\n%s", got, want)
	}
}
