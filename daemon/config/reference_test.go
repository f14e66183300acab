package config

import (
	"os"
	"strings"
	"testing"
)

// TestReference: docs/configuration.md has the tables of keys as they are, and an example that is valid. -update
// rewrites what lies between the marks.
func TestReference(t *testing.T) {
	const path = "../../docs/configuration.md"
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	example, err := os.ReadFile("testdata/router.yml")
	if err != nil {
		t.Fatal(err)
	}
	faults, err := os.ReadFile("testdata/faulty.golden")
	if err != nil {
		t.Fatal(err)
	}
	firstFaults := strings.Join(strings.SplitAfter(string(faults), "\n")[3:9], "")
	for mark, want := range map[string]string{
		"reference": Reference(),
		"example":   "```yaml\n" + string(example) + "```\n",
		"faults":    "```\n" + firstFaults + "```\n",
	} {
		begin, end := "<!-- "+mark+": made by go test ./daemon/config -update -->\n", "<!-- end -->"
		before, rest, found := strings.Cut(text, begin)
		got, after, closed := strings.Cut(rest, end)
		if !found || !closed {
			t.Fatalf("%s has no mark %q", path, begin)
		}
		if *update {
			text = before + begin + want + end + after
		} else if got != want {
			t.Errorf("%s: the %s is not current: -update rewrites it", path, mark)
		}
	}
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
