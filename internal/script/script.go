// Package script runs the scenario scripts of tests. A script is a text: comments (#) in prose, commands at the margin,
// and indented below each command what it printed. The test runs the commands and compares; with -update it writes what they
// print into the file. Commit a rewrite only if you can explain every changed line.
package script

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the expected output of scenario scripts")

const indent = "    "

// Run runs every script that pattern matches, each as a subtest with a fresh interpreter: start returns what runs one
// command, given as words, and returns what it prints.
func Run(t *testing.T, pattern string, start func(t *testing.T) func(words []string) string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no script matches %s (%v)", pattern, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := replay(string(text), start(t))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			compare(t, file, string(text), got)
		})
	}
}

// replay runs the commands of a script and returns it with what they print.
func replay(text string, run func(words []string) string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, indent) {
			continue
		}
		b.WriteString(line + "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		for out := range strings.Lines(run(strings.Fields(line))) {
			b.WriteString(indent + strings.TrimRight(out, "\n") + "\n")
		}
	}
	return b.String()
}

func compare(t *testing.T, file, want, got string) {
	t.Helper()
	if want == got {
		return
	}
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		at := func(lines []string) string {
			if i < len(lines) {
				return lines[i]
			}
			return "(the end)"
		}
		if at(w) != at(g) {
			t.Fatalf("%s:%d: differs (go test -update rewrites it)\nwant %s\ngot  %s\n\nthe whole run:\n%s", file, i+1, at(w), at(g), got)
		}
	}
}
