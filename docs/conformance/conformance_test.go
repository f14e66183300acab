// Package conformance holds the tables of which section of an RFC is where in the code and what would fail without it.
// Its test reads them, and fails when a function, file or test that they name does not exist, when a section is missing,
// when a Deviation in the code is not listed, and when a comment in the code names a section that is not there.
package conformance

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"grove/internal/testneed"
)

const root = "../.."

// chapters are those of each RFC whose sections must all be in a table, by their first number.
var chapters = map[string][2]int{
	"2003": {3, 6}, "2236": {2, 10}, "2710": {3, 9}, "2715": {2, 5}, "3376": {2, 9}, "3618": {3, 13}, "3810": {3, 10}, "3973": {4, 5}, "5059": {2, 6}, "7761": {4, 6},
}

// drafts are the sections of documents that are no RFC and must all be in a table.
var drafts = map[string][]string{
	"dvmrp-v3": strings.Fields(`1.3 2.1 2.2 2.3 2.4 2.5 2.5.1 2.5.2 2.6 2.7 3.1 3.2 3.2.1 3.2.2 3.2.3 3.2.4 3.2.5 3.2.6 3.3 3.3.1 3.3.2
		3.3.3 3.4 3.4.1 3.4.2 3.4.3 3.4.4 3.4.5 3.4.6 3.4.7 3.4.8 3.4.9 3.4.10 3.5 3.5.1 3.5.2 3.5.3 3.5.4 3.5.5 3.5.6 3.6 3.6.1 3.6.2
		3.6.3 3.6.4 3.6.5 3.6.6 3.7 3.7.1 5 6 10 11 11.1 11.2 12`),
	"Auto-RP": strings.Fields(`3.1 3.2 3.3 4 5 6 7 8`),
}

// A table has the rows | section | what it says | where | test |. In the third column, between backquotes, a path of a
// file comes before the names that are declared in it. In the fourth column, between backquotes, DIR/NAME is a test
// function of the package in DIR, a file in DIR/testdata, or a timer of labs/timers. What is not implemented says so in
// the third column.
type row struct {
	file     string // of the document
	line     int
	rfc      string
	sections []string
	where    string
	tests    string
}

func (r row) String() string { return fmt.Sprintf("%s:%d: section %v", r.file, r.line, r.sections) }

// document is a file of this folder.
type document struct {
	rows       []row
	deviations []string // the first file that each entry of the lists of deviations names, or ""
}

var (
	heading = regexp.MustCompile(`^#+ (?:RFC |draft-ietf-idmr-)?(dvmrp-v3|Auto-RP|\d+)`)
	quoted  = regexp.MustCompile("`([^`]+)`")
)

func documents(t *testing.T) map[string]document {
	t.Helper()
	files, err := filepath.Glob("*.md")
	if err != nil || len(files) < 4 {
		t.Fatalf("documents: %v, %v", files, err)
	}
	docs := map[string]document{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		docs[file] = read(t, file, string(text))
	}
	return docs
}

func read(t *testing.T, file, text string) (d document) {
	t.Helper()
	rfc, deviations := "", false
	for n, line := range strings.Split(text, "\n") {
		if m := heading.FindStringSubmatch(line); m != nil {
			rfc = m[1]
		}
		if strings.HasPrefix(line, "#") {
			deviations = strings.HasSuffix(line, "Deviations")
		}
		switch {
		case deviations && strings.HasPrefix(line, "- "):
			first := ""
			if m := quoted.FindStringSubmatch(line); m != nil && strings.HasSuffix(m[1], ".go") {
				first = m[1]
			}
			d.deviations = append(d.deviations, first)
		case strings.HasPrefix(line, "|") && !strings.HasPrefix(line, "|---") && !strings.HasPrefix(line, "| section"):
			cells := strings.Split(strings.Trim(line, "| "), " | ")
			if len(cells) == 3 {
				cells = append(cells, "")
			}
			if len(cells) != 4 {
				t.Errorf("%s:%d: %d columns", file, n+1, len(cells))
				continue
			}
			d.rows = append(d.rows, row{file, n + 1, rfc, sections(t, cells[0]), cells[2], cells[3]})
		}
	}
	return d
}

// sections reads a first column: "4.1, 4.1.1", "5.1.1 to 5.1.12".
func sections(t *testing.T, cell string) []string {
	t.Helper()
	var list []string
	for _, part := range strings.Split(cell, ", ") {
		first, last, isRange := strings.Cut(strings.TrimSpace(part), " to ")
		list = append(list, first)
		if !isRange {
			continue
		}
		dot := strings.LastIndex(first, ".")
		from, err1 := strconv.Atoi(first[dot+1:])
		to, err2 := strconv.Atoi(strings.TrimPrefix(last, first[:dot+1]))
		if err1 != nil || err2 != nil {
			t.Errorf("range %q", part)
			continue
		}
		for n := from + 1; n <= to; n++ {
			list = append(list, first[:dot+1]+strconv.Itoa(n))
		}
	}
	return list
}

// TestNames: what a row names exists, and a row names something, or says that there is nothing.
func TestNames(t *testing.T) {
	for _, d := range documents(t) {
		for _, r := range d.rows {
			if strings.Contains(r.where, "not implemented") || strings.Contains(r.where, "nothing to do") {
				continue
			}
			names, tests := quoted.FindAllStringSubmatch(r.where, -1), quoted.FindAllStringSubmatch(r.tests, -1)
			if len(names) < 2 || len(tests) == 0 {
				t.Errorf("%v: names no function, or no test", r)
			}
			file := ""
			for _, n := range names {
				if strings.HasSuffix(n[1], ".go") {
					file = n[1]
					if _, err := declared(file); err != nil {
						t.Errorf("%v: %v", r, err)
					}
				} else if names, _ := declared(file); !names[n[1]] {
					t.Errorf("%v: %s has no %s", r, file, n[1])
				}
			}
			for _, n := range tests {
				if err := isTest(n[1]); err != nil {
					t.Errorf("%v: %v", r, err)
				}
			}
		}
	}
}

// declared returns the names that a file declares at its top level, and those of its methods.
func declared(file string) (map[string]bool, error) {
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			names[d.Name.Name] = true
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.TypeSpec:
					names[s.Name.Name] = true
				case *ast.ValueSpec:
					for _, n := range s.Names {
						names[n.Name] = true
					}
				}
			}
		}
	}
	return names, nil
}

// isTest says why there is no such test.
func isTest(name string) error {
	dir, base := filepath.Split(name)
	switch {
	case strings.HasSuffix(base, ".txt"), strings.HasSuffix(base, ".txtar"):
		_, err := os.Stat(filepath.Join(root, dir, "testdata", base))
		return err
	case strings.HasPrefix(base, "Test"), strings.HasPrefix(base, "Fuzz"):
		files, err := filepath.Glob(filepath.Join(root, dir, "*_test.go"))
		for _, f := range files {
			rel, _ := filepath.Rel(root, f)
			if names, err := declared(rel); err != nil || names[base] {
				return err
			}
		}
		if err == nil {
			err = fmt.Errorf("there is no test %s in %s", base, dir)
		}
		return err
	}
	timer, found := strings.CutPrefix(name, "labs/timers/")
	if !found {
		return fmt.Errorf("%q is no test", name)
	}
	if !timers()[timer] {
		return fmt.Errorf("labs/timers has no %q", timer)
	}
	return nil
}

// timers returns the names in the table of labs/timers.
var timers = sync.OnceValue(func() map[string]bool {
	names := map[string]bool{}
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "labs/timers/timers_test.go"), nil, 0)
	if err != nil {
		return names
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if lit, ok := n.(*ast.CompositeLit); ok && lit.Type == nil && len(lit.Elts) > 0 {
			if s, ok := lit.Elts[0].(*ast.BasicLit); ok && s.Kind == token.STRING {
				if name, err := strconv.Unquote(s.Value); err == nil {
					names[name] = true
				}
			}
		}
		return true
	})
	return names
})

// TestDeviations: every Deviation in the code is in a list, and every one in a list is in the code.
func TestDeviations(t *testing.T) {
	listed := map[string]int{}
	for _, d := range documents(t) {
		for _, file := range d.deviations {
			if file != "" {
				listed[file]++
			}
		}
	}
	marked := map[string]int{}
	for file, text := range sources(t) {
		if n := strings.Count(text, "Deviation: "); n > 0 && !strings.HasSuffix(file, "_test.go") {
			marked[file] = n
		}
	}
	for file, n := range marked {
		if listed[file] != n {
			t.Errorf("%s has %d Deviations, %d are listed", file, n, listed[file])
		}
	}
	for file := range listed {
		if marked[file] == 0 {
			t.Errorf("a Deviation of %s is listed, and not in the code", file)
		}
	}
}

// sources returns the text of every Go file of the module.
func sources(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && e.Name() != ".." && strings.HasPrefix(e.Name(), ".") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		text, err := os.ReadFile(path)
		rel, _ := filepath.Rel(root, path)
		texts[filepath.ToSlash(rel)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

var sectionLine = regexp.MustCompile(`^ {0,4}(\d+(?:\.\d+)*)\.? +\S`)

// headings returns the sections of an RFC; nil if its text is not there.
func headings(t *testing.T, rfc string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testneed.Shared(t), "rfc", "rfc"+rfc+".txt"))
	if err != nil {
		return nil
	}
	var list []string
	for _, line := range strings.Split(string(text), "\n") {
		if m := sectionLine.FindStringSubmatch(line); m != nil && !slices.Contains(list, m[1]) {
			list = append(list, m[1])
		}
	}
	return list
}

// TestSections: every section of the chapters that matter is in a table, and no other.
func TestSections(t *testing.T) {
	listed := map[string][]string{}
	for _, d := range documents(t) {
		for _, r := range d.rows {
			listed[r.rfc] = append(listed[r.rfc], r.sections...)
		}
	}
	for draft, all := range drafts {
		for _, s := range all {
			if !slices.Contains(listed[draft], s) {
				t.Errorf("%s: section %s is in no table", draft, s)
			}
		}
		for _, s := range listed[draft] {
			if !slices.Contains(all, s) {
				t.Errorf("%s: there is no section %s", draft, s)
			}
		}
	}
	for rfc, c := range chapters {
		all := headings(t, rfc)
		for _, s := range all {
			// Numbered paragraphs look like sections without a dot: chapters themselves are not asked for.
			first, _, deeper := strings.Cut(s, ".")
			if n, err := strconv.Atoi(first); err == nil && deeper && n >= c[0] && n <= c[1] && !slices.Contains(listed[rfc], s) {
				t.Errorf("RFC %s: section %s is in no table", rfc, s)
			}
		}
		for _, s := range listed[rfc] {
			if !slices.Contains(all, s) {
				t.Errorf("RFC %s: there is no section %s", rfc, s)
			}
		}
	}
}

var citation = regexp.MustCompile(`RFC (\d{4}),? sections? (\d+(?:\.\d+)*(?:(?:, | and | to )\d+(?:\.\d+)*)*)`)

// TestCitations: a section that a comment names is there.
func TestCitations(t *testing.T) {
	comment := regexp.MustCompile(`\n\s*//\s*`)
	number := regexp.MustCompile(`\d+(?:\.\d+)*`)
	known := map[string][]string{}
	for file, text := range sources(t) {
		for _, m := range citation.FindAllStringSubmatch(comment.ReplaceAllString(text, " "), -1) {
			if _, ok := known[m[1]]; !ok {
				known[m[1]] = headings(t, m[1])
			}
			for _, s := range number.FindAllString(m[2], -1) {
				if all := known[m[1]]; all != nil && !slices.Contains(all, s) {
					t.Errorf("%s: RFC %s has no section %s", file, m[1], s)
				}
			}
		}
	}
}
